/* SPDX-License-Identifier: BSD-3-Clause */
/* The C library's clocks in whole nanoseconds and milliseconds. Tests that set the time replace os/os.h's calls instead. */
#ifndef NA_BASE_CLOCK_H
#define NA_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t na_clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline uint64_t na_clock_ms(clockid_t id)
{
	return na_clock_ns(id) / 1000000;
}

#endif
