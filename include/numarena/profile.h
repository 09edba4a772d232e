/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Profiles: sampled allocations with their call stacks. Sampling is on while NUMARENA_SAMPLE_BYTES or tracking_config_t's
 * sample_bytes says so; it costs nothing per allocation that is not sampled, and in each thread begins when its cache is
 * next refilled. Of so many bytes one sample, on average, at random: a block of `size` bytes is
 * taken with the probability 1 - exp(-size / sample_bytes), and stands for the inverse of that many. All figures here but the
 * number of samples are such estimates: without bias, and of n samples right to about 1 / sqrt(n).
 */
#ifndef NUMARENA_PROFILE_H
#define NUMARENA_PROFILE_H

#include <numarena/base.h>
#include <numarena/error.h>

NUMARENA_BEGIN

typedef enum memory_profile_view {
	MEMORY_PROFILE_LIVE,       /* what is live now, by stack: leaks */
	MEMORY_PROFILE_PEAK,       /* what was live when the sampled blocks together were most */
	MEMORY_PROFILE_ALLOCATIONS /* all that was ever allocated */
} memory_profile_view_t;

typedef enum memory_profile_format {
	MEMORY_PROFILE_PPROF, /* for `pprof`, with all three views, of which `view` is shown first */
	MEMORY_PROFILE_FOLDED /* a line a stack, "main;solve;malloc_caller BYTES": for flame graphs */
} memory_profile_format_t;

/* Writes a profile, over what may be there. MEMORY_ERROR_INVALID_ARGUMENT; MEMORY_ERROR_IO: the file cannot be written, and
 * there is none then; MEMORY_ERROR_ALLOCATION. Without samples the profile is empty. Reads the symbols of the
 * program and its libraries: milliseconds. Thread-safe. */
memory_error_t write_memory_profile(const char *path, memory_profile_view_t view, memory_profile_format_t format)
	NUMARENA_CALL(write_memory_profile);

typedef struct memory_sampling_stats {
	size_t sample_bytes;    /* in force; 0: off */
	size_t samples;         /* taken so far */
	size_t live_samples;    /* of those, blocks that are live */
	size_t dropped_samples; /* for which there was no room */
	size_t stacks;          /* different ones */
	size_t live_blocks;     /* estimates, from here on */
	size_t live_bytes;
	size_t peak_blocks;     /* when live_bytes was most */
	size_t peak_bytes;
	size_t allocations;
	size_t allocated_bytes;
} memory_sampling_stats_t;

memory_error_t get_memory_sampling_statistics(memory_sampling_stats_t *stats)
	NUMARENA_CALL(get_memory_sampling_statistics);

/* What allocations took, in nanoseconds, by the samples, each weighted by the allocations that it stands for; NaN without
 * samples. Of a small block, what it would have taken had it not been sampled: the same stack is popped once more, or, if it
 * had to be refilled for it, the refill is what was timed. Of a large one the whole call. Less the cost of
 * reading the clock; a thread's jump into the call, and cold caches that the sample itself has warmed, are not in it. Right
 * to 6%, but no better than the clock, some nanoseconds. */
typedef struct memory_latency {
	size_t samples;
	double mean;
	double p50, p90, p99, p999;
	double maximum;
} memory_latency_t;

memory_error_t get_memory_latency(memory_latency_t *latency) NUMARENA_CALL(get_memory_latency);

/* Sampled blocks that were freed, by how long they had lived: from `from` seconds up to, but not with, `to`. */
typedef struct memory_lifetime_bin {
	double from, to;
	size_t blocks;
	size_t bytes;
} memory_lifetime_bin_t;

/* Copies up to `capacity` bins, ascending, and returns how many there are; bins may be NULL when capacity is 0. Thread-safe. */
size_t get_memory_lifetimes(memory_lifetime_bin_t *bins, size_t capacity) NUMARENA_CALL(get_memory_lifetimes);

NUMARENA_END
#endif
