/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two counters over all threads of this process: of the processor's last cache, references and misses.
 *
 * A counter belongs to a thread and follows the threads which that one starts from then on, never those that exist already. So a pair
 * is opened for each thread in /proc/self/task, all or none. A thread that comes meanwhile may have inherited a pair, or may not, if
 * the one that started it had none yet; nobody can tell which, and a second pair would count it twice. So if the list of threads has
 * grown when all are open, all are closed and it begins again; after eight tries such threads are left out and their number is told.
 *
 * A pair is opened as a group, so that both count the same stretches of time; where the processor cannot do that, one by one. What was
 * counted for part of the time is scaled by enabled / running time, each thread's by its own.
 *
 * na_counters_*: the process's pair, under a lock that fork takes; a forked child has none until it asks. No heap lock may be held, nothing
 * allocates. Cost: two descriptors and up to 0.4 ms a thread to start, 3 us a thread to read (measured on a busy virtual
 * machine; who forks meanwhile waits for it); none to a running thread but the kernel's, where it is switched.
 */
#ifndef NA_METRICS_COUNTERS_H
#define NA_METRICS_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NA_COUNTERS_THREADS 1024 /* of a process with more, none are counted */

struct na_counters_event {
	uint32_t type; /* PERF_TYPE_... */
	uint64_t config;
};

/* One pair for each thread. Plain data, its caller's; all zero: closed. */
struct na_counters {
	uint32_t threads; /* that have a pair */
	uint32_t missed;  /* threads that came while they were opened */
	int fd[NA_COUNTERS_THREADS][2];
};

struct na_counters_sum {
	uint64_t value[2];   /* scaled */
	uint64_t enabled_ns; /* of the first of each pair, over all threads */
	uint64_t running_ns; /* of that, really counted */
	uint32_t threads, missed;
};

/* 0; or -errno of the os table, -EUSERS for too many threads: then all are closed. */
int na_counters_open(struct na_counters *c, const struct na_counters_event event[2]);
int na_counters_sum(const struct na_counters *c, struct na_counters_sum *out);
void na_counters_close(struct na_counters *c);

/* The process's. Starting twice is once; after a failure it tries again. 0 or -errno. */
int na_counters_start(void);
void na_counters_stop(void);

/* Starts it if nobody has tried yet, and reads: 0, or the -errno of starting or reading. */
int na_counters_figures(struct na_counters_sum *out);

/* A sentence on such an error; static storage. */
const char *na_counters_why(int error);

void na_counters_before_fork(void);
void na_counters_after_fork(bool child);

#endif
