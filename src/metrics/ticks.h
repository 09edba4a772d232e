/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The unit of na_os_ticks(): found by comparing the processor's clock with the system's, from the library's start
 * to the first question, at least over a millisecond; then constant. Any thread.
 */
#ifndef NA_METRICS_TICKS_H
#define NA_METRICS_TICKS_H

#include <stdint.h>

/* From the library's constructor: the first of the two moments. */
void na_ticks_begin(void);

/* Picoseconds. The first call may take a millisecond. */
uint64_t na_ticks_to_ps(uint64_t ticks);

#endif
