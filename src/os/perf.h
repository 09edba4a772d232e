/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The Linux port of the counters of os.h: perf_event_open(2), the list of threads, page faults, and pinning. Any thread,
 * no lock; keeps errno; nothing here allocates.
 *
 * Two kernel rules that callers must know. A counter with `inherit` follows threads that its thread starts later, never those that are
 * there already: so one has to be opened for each. And such a counter cannot be read together with others of its group
 * (PERF_FORMAT_GROUP is EINVAL with inherit): each is read alone, and the group serves only to have both on the processor at the same time.
 *
 * Reading makes sure first that the descriptor is still a counter: a program may have closed all descriptors that it does not know and
 * opened sockets in their place, whose data are not ours to read.
 */
#ifndef NA_OS_PERF_H
#define NA_OS_PERF_H

#include "os/os.h"

int na_perf_open(uint32_t type, uint64_t config, int thread, int group, int *out);
int na_perf_read(int counter, struct na_counter_value *out);
int na_perf_close(int counter);
int na_perf_threads(int *ids, size_t capacity, size_t *count);
int na_perf_page_faults(uint64_t *minor, uint64_t *major);
int na_perf_run_on(const unsigned long *mask, size_t bytes);

#endif
