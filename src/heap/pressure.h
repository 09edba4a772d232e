/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Living within limits. Two halves:
 *
 * Before a limit: na_pressure_check() stands in the slow paths of allocation. Past a mark of held bytes it asks the system how
 * much room is left (cgroup, machine) and, where less than a tenth or 2 GiB is, gives back all free memory first, because what
 * comes past the cgroup's limit is not ENOMEM but the OOM killer, at the touch. The maintenance thread asks
 * once a second besides, also whether tasks stall for memory (PSI), and shortens the decay time with the room.
 *
 * At a limit: na_recovery_try() makes room when an allocation has failed: it trims this thread's cache, tends the others', purges
 * all pools, named ones too, and gives back empty segments' addresses. na_recovery_failed() then says, once for each kind
 * of limit, which one it was. Who calls them, and what else is tried: heap/request.h.
 *
 * Any thread, no lock of ours held (memory is unmapped here). Cost: na_pressure_check() is a load and a comparison.
 */
#ifndef NA_HEAP_PRESSURE_H
#define NA_HEAP_PRESSURE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/fast.h"

extern _Atomic uint64_t na_pressure_mark; /* held bytes from which on we ask again; relaxed */

void na_pressure_ask(uint64_t more);

/* Before `more` bytes are taken from the system, perhaps. */
static inline void na_pressure_check(uint64_t more)
{
	if (na_unlikely(atomic_load_explicit(&na_pool_held, memory_order_relaxed) + more >
			atomic_load_explicit(&na_pressure_mark, memory_order_relaxed)))
		na_pressure_ask(more);
}

/* From the maintenance thread, at most once a second does it ask. */
void na_pressure_tick(uint64_t now_ms);

/* Whether free memory shall go back without decay now, and the decay time with little room. */
bool na_pressure_high(void);
uint64_t na_pressure_decay_ms(void);

/* The pool's limit is the default (machine or cgroup), so it follows when that changes; or it is somebody's wish. */
void na_pressure_follow(bool follow);
bool na_pressure_follows(void);

/* After an allocation of the default or a named pool failed: bytes, of memory or of addresses, that went back; 0: another try is
 * not worth it. */
uint64_t na_recovery_try(uint64_t size);
void na_recovery_failed(uint64_t size);

/* Tries `expression` again as long as making room helps: for parts of a request that recovers as a whole. */
#define NA_RECOVER(p, size, expression)                                                                                \
	do {                                                                                                           \
		for (int na_tries = 0; !((p) = (expression)) && na_tries < 3; na_tries++)                              \
			if (!na_recovery_try(size))                                                                    \
				break;                                                                                 \
	} while (0)

/* Which limit stands against `size` bytes more, as a sentence with figures. Returns a number of it, 0 to NA_WHY_KINDS - 1. */
#define NA_WHY_KINDS 8
int na_recovery_why(uint64_t size, char *out, size_t capacity);

/* What the last look found, for reports: NA_LIMIT_NONE where unknown. */
struct na_pressure_figures {
	uint64_t room, ceiling;
	uint64_t purges; /* times that free memory went back for want of room */
};
void na_pressure_figures(struct na_pressure_figures *out);

#endif
