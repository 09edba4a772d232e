/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Named phases of the program, process-wide. They nest: a phase that begins within another is part of it too, and what
 * happens in it counts for both. A phase of a name that was there before adds to it.
 *
 * Each end and beginning sums up all thread caches (heap/figures.h): exact for what the calling thread did, and for others as
 * of some moment during the call. The peak within is the maximum of what threads publish (heap.md), at least what was
 * live at both ends. One lock, fixed memory: 64 names, 32 deep. Any thread; never allocates.
 *
 * A leak by phase shows in what is live at the ends of one that comes again and again. Of these ends each phase keeps a
 * series of NA_PHASE_STRETCHES at most, each the lowest of as many ends as the others: when it is full, neighbours become one.
 */
#ifndef NA_TRACKING_PHASES_H
#define NA_TRACKING_PHASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NA_PHASES	   64
#define NA_PHASES_DEEP	   32
#define NA_PHASE_NAME	   48
#define NA_PHASE_STRETCHES 16 /* even */

struct na_phase {
	char name[NA_PHASE_NAME];
	uint64_t entered; /* times */
	uint64_t ns;
	uint64_t allocations, releases, allocated_bytes, released_bytes;
	uint64_t live_at_start, live_at_end; /* of the last time; of one that runs, at_end is now */
	uint64_t peak;			     /* the highest of all times */
	bool running;
	uint64_t lows[NA_PHASE_STRETCHES]; /* live bytes at the ends, oldest first: the lowest of each stretch */
	uint64_t stretch;		   /* ends in each of them; 0: it never ended */
	uint32_t low_count;		   /* the last may have fewer ends */
	uint64_t in_last;		   /* ends in the last */
};

/* 0; -ENOSPC: there are 64 others; -EOVERFLOW: 32 run already. The name is 1 to 47 characters. */
int na_phase_begin(const char *name);
/* Ends the innermost: 0, or -ENOENT if none runs. */
int na_phase_end(void);
/* How many run, one within the other. */
uint32_t na_phases_running(void);

/* How many stretches of a phase's ends are complete; and what live bytes rose from the first of them to the last, 0 if it
 * ended too seldom to tell, or left less than half of that behind itself: an inner phase that frees all it takes sees what the outer one leaks. */
static inline uint32_t na_phase_stretches(const struct na_phase *p)
{
	return p->low_count - (p->in_last < p->stretch);
}

uint64_t na_phase_growth(const struct na_phase *p);

/* Of the phases that ended often enough to tell, the one in which most bytes were left behind: the lowest live bytes of each
 * complete stretch of its ends to out[0..n), its name to `name`; n, at most NA_PHASE_STRETCHES, or 0 if there is none. */
size_t na_phases_growth(uint64_t *out, char name[NA_PHASE_NAME]);

/* In the order of their first beginning; those that run up to now. How many there are. */
size_t na_phases_copy(struct na_phase *out, size_t capacity);

/* The place of the innermost phase that runs, in the order of na_phases_copy(); NA_PHASES: none does. */
size_t na_phases_innermost(void);

/* fork's handlers: the lock. */
void na_phases_before_fork(void);
void na_phases_after_fork(bool child);

#endif
