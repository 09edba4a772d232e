/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A Lennard-Jones molecular dynamics on a periodic box, in reduced units, over MPI ranks.
 *
 *   main.c       the time loop, and what is printed
 *   input.c      the input file
 *   atoms.c      the arrays of particles, and the initial state
 *   domain.c     who has which part of the box; particles that move on; copies of neighbours' particles
 *   neighbour.c  cell lists and neighbour lists
 *   force.c      forces, potential energy, virial
 *
 * Memory is used as simulations use it. Particle arrays live as long as the run and come from the pool
 * (optimized_allocate, resize_in_pool); neighbour lists grow by realloc; cells, buffers of messages and per-particle
 * energies are allocated and freed every time they are needed.
 *
 * Compiled with -DWITHOUT_NUMARENA it uses the C library alone, for comparison: same numbers, bit by bit.
 */
#ifndef LJ_H
#define LJ_H

#include <mpi.h>
#include <stdlib.h>

#ifdef WITHOUT_NUMARENA
static inline void *pool_allocate(size_t size)
{
	return malloc(size);
}
static inline void *pool_resize(void *block, size_t size)
{
	return realloc(block, size);
}
static inline void pool_return(void *block)
{
	free(block);
}
/* The loops as they are without numarena/indexed.h. */
#define with_prefetched_rows(rows, k, first, last, address)
#define for_each_in_row(rows, k, first, last, address) for (size_t k = (size_t)(first); k < (size_t)(last); k++)
#else
#include <numarena/numarena.h>
static inline void *pool_allocate(size_t size)
{
	/* Neighbours are anywhere in these: huge pages, where there are any, spare each a walk of the page table. */
	memory_hints_t hints = { .access_pattern = ACCESS_RANDOM, .lifetime = LIFETIME_LONG };

	return optimized_allocate(size, &hints);
}
static inline void *pool_resize(void *block, size_t size)
{
	return resize_in_pool(block, size);
}
static inline void pool_return(void *block)
{
	return_to_pool(block);
}
#endif

struct input {
	int cells[3];       /* face-centred cubic unit cells, four particles each */
	double density;     /* particles a unit volume */
	double temperature; /* of the initial velocities */
	double timestep;
	int steps;
	double cutoff;
	double skin;        /* lists are good until a particle has moved by half of it */
	long seed;
	int print_every;
	double tolerance;   /* drift of the total energy a particle that is still accepted */
};

struct atoms {
	long count;    /* ours */
	long ghosts;   /* copies of neighbours' particles, behind ours */
	long capacity;
	double *x, *v, *f; /* three a particle; v and f of ours only */
	double *home;      /* x when the lists were built */
	long *id;
};

#define SWAPS 6 /* two a dimension */

struct domain {
	MPI_Comm comm;
	int rank, ranks;
	int dims[3], coords[3];
	int neighbour[3][2]; /* ranks below and above */
	double box[3];
	double lo[3], hi[3];
	/* Who is sent in each swap, and where the received ones begin; from one list build to the next. */
	int send_count[SWAPS], receive_count[SWAPS];
	int *send[SWAPS];
	long first[SWAPS];
};

struct neighbours {
	long *start; /* of particle i's neighbours; count + 1 entries */
	int *list;
	long capacity, start_capacity;
};

struct energies {
	double potential, kinetic, virial;
};

/* input.c: 0, or 1 after a sentence on standard error that names file, line and field. */
int input_read(const char *path, struct input *in);

/* atoms.c: end the job when there is no memory. */
void atoms_reserve(struct atoms *a, long wanted);
void atoms_create(struct atoms *a, const struct domain *d, const struct input *in);
void atoms_free(struct atoms *a);

/* domain.c */
int domain_create(struct domain *d, const struct input *in); /* 1: too many ranks for the box, and said so */
void domain_migrate(struct domain *d, struct atoms *a);
void domain_halo(struct domain *d, struct atoms *a, double reach);
void domain_update(struct domain *d, struct atoms *a);
void domain_free(struct domain *d);
void *need(void *block, const char *what); /* the block, or the end of the job */

/* neighbour.c */
void neighbours_build(struct neighbours *n, const struct domain *d, struct atoms *a, double reach);
int neighbours_stale(const struct domain *d, const struct atoms *a, double skin);
void neighbours_free(struct neighbours *n);

/* force.c: forces on ours; potential and virial of ours (half of each pair) into e. */
void force_compute(const struct atoms *a, const struct neighbours *n, double cutoff, struct energies *e);

#endif
