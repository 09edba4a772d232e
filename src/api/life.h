/* SPDX-License-Identifier: BSD-3-Clause */
/* Life cycle: what the constructor starts, and the one place that wires the layers together. */
#ifndef NA_API_LIFE_H
#define NA_API_LIFE_H

#include <numarena/error.h>
#include <numarena/system.h>
#include <stdbool.h>

/* Starts tracking with what was configured before, or with the defaults. */
memory_error_t na_life_start_monitoring(void);

/* enable_optimization: the balanced level, unless the program has chosen one. */
void na_life_balance(void);

/* Pool blocks begin on a cache line, unless the program or the environment has set their alignment, which the caller says it has just
 * done or left if `fresh`. Under the lock. */
void na_life_align_to_lines(bool fresh);

/* Starts the processor's counters, or stops them, as monitor_cache_misses says. Without the lock. */
void na_life_follow_counters(void);

/* Takes back what the program has set. */
void na_life_reset_settings(void);

/* enable_compression: with the defaults, unless it runs. */
memory_error_t na_life_compress(void);
/* Why raw blocks are not compressed: a sentence in static storage; NULL if they are. */
const char *na_life_raw_refused(void);
/* The calling thread's new block may be compressed, if hints want it. */
void na_life_adopt(void *block, bool wanted);
/* NUMARENA_COMPRESSION=1, at the start: what cannot be is said. */
void na_life_start_compression(void);
void na_life_compression_lock(void);
void na_life_compression_unlock(bool child);

/* Starts, changes or stops sampling, by the environment or else `mean`; 0: off, unless the environment wants a profile. */
memory_error_t na_life_start_sampling(uint64_t mean);

/* What NUMARENA_PROFILE asks for: complains at the start about a prefix that cannot be written to; writes at exit. */
void na_life_check_profile(void);
void na_life_write_profile(void);
/* Memory beyond the limit is no longer to be had, unless the fallback says so. Without the lock. */
void na_life_follow_recovery(void);

/* fork's handlers: the locks of api/pool.c and api/tracking.c. */
void na_life_lock_configuration(void);
void na_life_unlock_configuration(bool child);
void na_life_lock_tracking(void);
void na_life_unlock_tracking(bool child);

/* Every file of api/ includes this, and so asks for a symbol of life.c's: in a static link the constructor comes along,
 * whichever calls a program makes. Without it there would be no maintenance, no fork handlers and no report. */
static const char *(*const na_life_anchor)(void)__attribute__((used)) = memory_system_version;

#endif
