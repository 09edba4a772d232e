/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tracking. The heap always counts; tracking adds what costs a little: peaks to within a few
 * blocks instead of a few caches, and a bounded time series of live and physical bytes.
 */
#ifndef NUMARENA_TRACKING_H
#define NUMARENA_TRACKING_H

#include <numarena/base.h>
#include <numarena/error.h>

NUMARENA_BEGIN

typedef struct tracking_config {
	bool track_allocations;         /* tighten the peaks: account at every refill of a thread cache */
	bool track_usage;               /* time series of live bytes */
	bool track_fragmentation;       /* time series of physical bytes and fragmentation */
	unsigned int sampling_interval; /* ms between samples, 1 to 3600000; 0: 100 */
	size_t sample_bytes;            /* call stacks: of so many bytes allocated one sample, on average, up to 1 TiB;
	                                 * 0: none, unless the environment wants them. See profile.h */
} tracking_config_t;

/* Starts tracking, or changes what is tracked. NULL: everything, each 100 ms.
 * MEMORY_ERROR_INVALID_ARGUMENT: sampling_interval out of range. Thread-safe. */
memory_error_t start_memory_tracking(const tracking_config_t *config) NUMARENA_CALL(start_memory_tracking);

/* Stops what start_memory_tracking or a configuration's enable_monitoring started. The series so
 * far stays readable. In any order, and twice. Thread-safe. */
memory_error_t stop_memory_monitoring(void) NUMARENA_CALL(stop_memory_monitoring);

typedef struct memory_sample {
	double seconds;         /* since tracking started: end of the bin */
	size_t live_bytes;      /* maximum within the bin; MEMORY_METRIC_UNAVAILABLE if not tracked */
	size_t physical_bytes;  /* maximum within the bin; MEMORY_METRIC_UNAVAILABLE if not tracked */
	double fragmentation;   /* at the bin's physical maximum, in [0, 1]; NaN if not tracked */
} memory_sample_t;

/* Copies up to `capacity` samples, oldest first, and returns how many there are. The series is
 * bounded: when it is full, neighbours merge and the bin width doubles. samples may be NULL when
 * capacity is 0. Thread-safe. */
size_t get_memory_samples(memory_sample_t *samples, size_t capacity) NUMARENA_CALL(get_memory_samples);

NUMARENA_END
#endif
