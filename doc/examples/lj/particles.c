/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Particles as movable blocks: one each, and a shorter one for each ghost. All are pinned while anybody uses their addresses, which is
 * always but in particles_settle(): the old list is not used any more there, the new one not yet built, and no message is under
 * way. So that is where numarena may lay them elsewhere: together, in windows that the ranks agree on, and in an order of ours.
 */
#ifdef MOVABLE
#include <numarena/mpi.h>
#include <stddef.h>
#include <stdio.h>

#include "lj.h"

static void pin(struct atoms *a, long i)
{
	a->at[i] = need(pin_memory_shared(a->handle[i]), "a particle");
}

static void check(memory_error_t error, const char *what)
{
	if (!error)
		return;
	fprintf(stderr, "lj: %s: %s\n", what, last_memory_error_message());
	MPI_Abort(MPI_COMM_WORLD, 1);
}

void particles_make(struct atoms *a, long i, int ghost)
{
	a->handle[i] = allocate_movable(ghost ? offsetof(struct particle, v) : sizeof(struct particle));
	pin(a, i);
}

void particles_end(struct atoms *a, long first, long last)
{
	for (long i = first; i < last; i++) {
		check(unpin_memory(a->handle[i]), "a particle");
		check(release_movable(a->handle[i]), "a particle");
	}
}

/* For compact_in_order(): where we keep the handles, cell by cell. */
struct walk {
	struct atoms *a;
	const struct cells *c;
	long at;
};

static memory_handle_t *next_in_cells(void *closure)
{
	struct walk *w = closure;

	return w->at < w->a->count + w->a->ghosts ? &w->a->handle[w->c->member[w->at++]] : NULL;
}

void particles_settle(struct atoms *a, const struct domain *d, const struct cells *c, const struct options *o)
{
	static long builds;
	int due = o->order && builds++ % o->order == 0;
	struct walk walk = { a, c, 0 };
	compaction_order_t order = { .next = next_in_cells, .closure = &walk, .renew_handles = true };

	if (!o->windows && !due)
		return;
	for (long i = 0; i < a->count + a->ghosts; i++)
		check(unpin_memory(a->handle[i]), "a particle");
	if (o->windows)
		check(coordinate_defragmentation(d->comm, NULL, NULL), "coordinate_defragmentation");
	if (due)
		check(compact_in_order(&order, NULL), "compact_in_order");
	for (long i = 0; i < a->count + a->ghosts; i++)
		pin(a, i);
}
#else
typedef int no_particles; /* a file must not be empty */
#endif
