/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A Lennard-Jones molecular dynamics on a periodic box, in reduced units, over MPI ranks.
 *
 *   main.c       the time loop, and what is printed
 *   input.c      the input file
 *   atoms.c      the arrays of particles, and the initial state
 *   domain.c     who has which part of the box; particles that move on; copies of neighbours' particles
 *   neighbour.c  cell lists and neighbour lists
 *   particles.c  particles as movable blocks
 *   force.c      forces, potential energy, virial
 *
 * Memory is used as simulations use it. Particle arrays live as long as the run and come from the pool
 * (optimized_allocate, resize_in_pool); neighbour lists grow by realloc; cells, buffers of messages and per-particle
 * energies are allocated and freed every time they are needed.
 *
 * Compiled with -DWITHOUT_NUMARENA it uses the C library alone, for comparison: same numbers, bit by bit.
 *
 * Compiled with -DMOVABLE each particle is a movable block, reached by a pointer, as in codes whose particles are objects: same numbers again. Where
 * they lie in memory then is numarena's affair, at the one moment when nobody uses them (particles_settle(): between two lists, no
 * message under way): --windows lets the ranks defragment there, together, and --order lays the particles in the order of their cells, in which
 * they are then gone through, too; --by-cells does the second alone.
 */
#ifndef LJ_H
#define LJ_H

#include <mpi.h>
#include <stdlib.h>
#include <string.h>

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

/* The command line. */
struct options {
	int windows;  /* defragment together at each list build */
	int by_cells; /* go through the particles in the order of their cells, not of their numbers */
	int order;    /* and lay them so in memory too, at the first of so many list builds; 0: never */
};

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
	int shuffle;        /* 1: particles are made in an order drawn at random: they lie as they do after days of mixing */
};

struct atoms {
	long count;    /* ours */
	long ghosts;   /* copies of neighbours' particles, behind ours */
	long capacity;
#ifdef MOVABLE
	struct particle **at; /* pinned, but while they settle */
	memory_handle_t *handle;
#else
	double *x, *v, *f; /* three a particle; v and f of ours only */
	double *home;      /* x when the lists were built */
	long *id;
#endif
};

#ifdef MOVABLE
struct particle {
	double x[3]; /* a ghost's block ends here */
	double v[3], f[3], home[3];
	long id;
};
#define OF(a, what, i) ((a)->at[i]->what)
#define ID(a, i)       ((a)->at[i]->id)
#else
#define OF(a, what, i) ((a)->what + 3 * (i))
#define ID(a, i)       ((a)->id[i])
#endif
/* What of particle i is asked for ahead. */
#define POSITION(a, i) ((const double (*)[3])OF(a, x, (long)(i)))
/* In a list: numbers of particles or, where these stand still till the next list, their addresses. */
#ifdef MOVABLE
typedef const struct particle *listed;
#define LISTED(a, n, k) ((const double (*)[3])(n)->list[k]->x)
#else
typedef int listed;
#define LISTED(a, n, k) POSITION(a, (n)->list[k])
#endif

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
	long *start; /* of the neighbours in row k; count + 1 entries */
	listed *list;
	long capacity, start_capacity;
#ifdef MOVABLE
	int by_cells; /* rows are in the order of cells */
	int *order;   /* whose row k is */
#endif
};

/* The particle of row k. */
static inline long row_of(const struct neighbours *n, long k)
{
#ifdef MOVABLE
	return n->order[k];
#else
	(void)n;
	return k;
#endif
}

/* Particles by the cells that they are in; of one list build. */
struct cells {
	int n[3];
	double from[3], width[3];
#ifdef WITHOUT_NUMARENA
	int *head, *next;
#else
	size_t *first; /* of a cell's particles, in order of cells; one more than cells */
	int *member;
	double *x; /* theirs */
#endif
#ifdef MOVABLE
	listed *at;
#endif
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
#ifdef MOVABLE
/* particles.c. Each rank has a block for each of its particles and ghosts, pinned. */
void particles_make(struct atoms *a, long i, int ghost);
void particles_end(struct atoms *a, long first, long last);
void particles_settle(struct atoms *a, const struct domain *d, const struct cells *c, const struct options *o);
#endif

/* Particle i begins. */
static inline void atoms_add(struct atoms *a, long i, int ghost)
{
	atoms_reserve(a, i + 1);
#ifdef MOVABLE
	particles_make(a, i, ghost);
#else
	(void)ghost;
#endif
}

static inline void atoms_drop_ghosts(struct atoms *a)
{
#ifdef MOVABLE
	particles_end(a, a->count, a->count + a->ghosts);
#endif
	a->ghosts = 0;
}

/* Particle i ends, and the last of ours takes its number. */
static inline void atoms_take_out(struct atoms *a, long i)
{
#ifdef MOVABLE
	particles_end(a, i, i + 1);
	a->count--;
	a->handle[i] = a->handle[a->count];
	a->at[i] = a->at[a->count];
#else
	a->count--;
	memcpy(OF(a, x, i), OF(a, x, a->count), 3 * sizeof(double));
	memcpy(OF(a, v, i), OF(a, v, a->count), 3 * sizeof(double));
	a->id[i] = a->id[a->count];
#endif
}

/* domain.c */
int domain_create(struct domain *d, const struct input *in); /* 1: too many ranks for the box, and said so */
void domain_migrate(struct domain *d, struct atoms *a);
void domain_halo(struct domain *d, struct atoms *a, double reach);
void domain_update(struct domain *d, struct atoms *a);
void domain_free(struct domain *d);
void *need(void *block, const char *what); /* the block, or the end of the job */

/* neighbour.c: the cells first, which neighbours_build() ends. */
void cells_fill(struct cells *c, const struct domain *d, const struct atoms *a, double reach);
void neighbours_build(struct neighbours *n, struct cells *c, struct atoms *a, double reach);
int neighbours_stale(const struct domain *d, const struct atoms *a, double skin);
void neighbours_free(struct neighbours *n);

/* force.c: forces on ours; potential and virial of ours (half of each pair) into e. */
void force_compute(const struct atoms *a, const struct neighbours *n, double cutoff, struct energies *e);

#endif
