/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is cold is compressed: the policy over movable blocks (movables.h) and raw ones (compression/raw.h). Off until na_cold_start().
 *
 * The maintenance thread comes here ten times a second and spends at most 5 ms: 5 % of a core while there is something cold, nothing else. Near a limit
 * whoever allocates comes here for as many bytes as are wanted (na_heap_hooks.compress).
 *
 * Started and stopped under a lock of its own, which nothing else is called with but the start and the end of the parts. Others read a flag.
 */
#ifndef NA_COLD_COLD_H
#define NA_COLD_COLD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compression/piece.h"

struct na_cold_settings {
	struct na_effort effort;
	size_t min_size;
	uint32_t age_ms;
	uint32_t phases; /* movable blocks age by ends of phases, and so many are an age; 0: by time */
	bool cache;
};

/* 0; -ENOENT, -ENOSYS: there is no LZ4 (na_lz4_why_not()); -ENOMEM. Repeated: takes over the settings. That raw blocks cannot be had is no error:
 * na_cold_raw_refused(). */
int na_cold_start(const struct na_cold_settings *settings);
/* Raw blocks come back, movable ones stay images until they are pinned; caches go. 0 or -ENOMEM: not all could come back. */
int na_cold_stop(void);
bool na_cold_runs(void);

/* Whether anybody has ever started it: until then neither ticks nor fork come here. relaxed; set before the first lock is taken. */
extern _Atomic bool na_cold_begun;

/* 0, or why the kernel does not let us answer page faults: -errno. */
int na_cold_raw_refused(void);

/* From the maintenance thread: ms until it wants to be called again. */
uint32_t na_cold_tick(uint64_t now_ns);

/* A phase of the program that is within no other has ended. Any thread. */
void na_cold_phase_ended(void);

/* Bytes that went back, at least so many if there is that much. Any thread, no lock held. */
uint64_t na_cold_make_room(uint64_t bytes);

/* Whether the images of raw blocks, and those that are kept of movable ones, are whole; how many are not. Other threads may run, no lock held. */
size_t na_cold_check(void (*tell)(const char *text, void *closure), void *closure);

/* Outside of the heap's locks and movable/'s; the inner ones inside of movable/'s. */
void na_cold_before_fork(void);
void na_cold_before_fork_inner(void);
void na_cold_after_fork_inner(bool child);
void na_cold_after_fork(bool child);

#endif
