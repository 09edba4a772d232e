/* SPDX-License-Identifier: BSD-3-Clause */
/* What benchmarks need that are not patterns of bench.h: an order for medians, random numbers that are the same in each run, and a thread that keeps the
 * other processor busy. */
#ifndef NA_BENCHMARKS_MEASURES_H
#define NA_BENCHMARKS_MEASURES_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Doubles, for qsort(3). */
static inline int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* splitmix64, of one thread. */
static inline uint64_t random_next(void)
{
	static uint64_t state = 1;
	uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* Computes, and touches no memory but its own line. */
struct busy {
	volatile bool on;
	pthread_t thread;
};

static inline void *busy_compute(void *busy)
{
	volatile double x = 1;

	while (((struct busy *)busy)->on)
		for (int i = 0; i < 1000; i++)
			x = x * 1.0000001;
	return NULL;
}

/* false: there is no thread to be had. */
static inline bool busy_begin(struct busy *busy)
{
	busy->on = true;
	busy->on = pthread_create(&busy->thread, NULL, busy_compute, busy) == 0;
	return busy->on;
}

static inline void busy_end(struct busy *busy)
{
	busy->on = false;
	pthread_join(busy->thread, NULL);
}

#endif
