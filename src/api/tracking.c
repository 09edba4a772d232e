/* SPDX-License-Identifier: BSD-3-Clause */
/* numarena/tracking.h */
#include <numarena/tracking.h>

#include <errno.h>
#include <math.h>
#include <string.h>

#include "api/error.h"
#include "api/life.h"
#include "base/options.h"
#include "os/lock.h"
#include "tracking/sample.h"
#include "tracking/timeline.h"
#include "tracking/tracking.h"

static struct na_lock lock;
static tracking_config_t configured = { true, true, true, 0, 0 }; /* under lock */

#define MOST_MEAN    (UINT64_C(1) << 40)
#define PROFILE_MEAN ((uint64_t)2 << 20) /* if a profile is wanted, and nothing is said about samples */

/* The environment's mean of bytes a sample, else the program's. */
static uint64_t sample_mean(uint64_t wanted)
{
	if (wanted && !na_option_from_environment(NA_OPTION_sample_bytes))
		return wanted;
	if (na_options.sample_bytes || na_option_from_environment(NA_OPTION_sample_bytes))
		return na_options.sample_bytes;
	return na_options.profile[0] ? PROFILE_MEAN : 0;
}

memory_error_t na_life_start_sampling(uint64_t wanted)
{
	if (na_sample_start(sample_mean(wanted)) < 0)
		return na_error(MEMORY_ERROR_ALLOCATION, "no call stacks: no memory for what sampling needs");
	return MEMORY_ERROR_NONE;
}

static memory_error_t start(const tracking_config_t *config)
{
	uint32_t interval = config->sampling_interval;
	struct na_tracking wanted;
	memory_error_t error;
	int rc;

	if (interval > 3600000)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "sampling_interval is %u ms: must be from 1 to 3600000",
				interval);
	if (config->sample_bytes > MOST_MEAN)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "sample_bytes is %zu: must be from 0 to %llu",
				config->sample_bytes, (unsigned long long)MOST_MEAN);
	if (interval == 0 || na_option_from_environment(NA_OPTION_sampling_interval))
		interval = (uint32_t)na_options.sampling_interval;
	memset(&wanted, 0, sizeof(wanted));
	wanted.allocations = config->track_allocations;
	wanted.usage = config->track_usage;
	wanted.fragmentation = config->track_fragmentation;
	wanted.interval_ms = interval;
	error = na_life_start_sampling(config->sample_bytes);
	if (error)
		return error;
	rc = na_tracking_start(&wanted);
	if (rc == -EPERM)
		return na_error(MEMORY_ERROR_PERMISSION,
				"no samples: NUMARENA_BACKGROUND=0 forbids the thread that takes them");
	if (rc < 0)
		return na_error(MEMORY_ERROR_ALLOCATION, "no samples: the maintenance thread did not start (error %d)",
				-rc);
	return MEMORY_ERROR_NONE;
}

memory_error_t start_memory_tracking(const tracking_config_t *config)
{
	static const tracking_config_t everything = { true, true, true, 0, 0 };
	memory_error_t error;

	if (!config)
		config = &everything;
	error = start(config);
	if (error)
		return error;
	na_lock(&lock);
	configured = *config;
	na_unlock(&lock);
	return MEMORY_ERROR_NONE;
}

memory_error_t na_life_start_monitoring(void)
{
	tracking_config_t config;

	na_lock(&lock);
	config = configured;
	na_unlock(&lock);
	return start(&config);
}

memory_error_t stop_memory_monitoring(void)
{
	na_tracking_stop();
	na_sample_start(0);
	return MEMORY_ERROR_NONE;
}

size_t get_memory_samples(memory_sample_t *samples, size_t capacity)
{
	struct na_timeline_bin bins[NA_TIMELINE_BINS];
	uint64_t width;
	size_t n = na_timeline_copy(bins, NA_TIMELINE_BINS, &width), out = 0;
	bool usage = na_tracking_of_usage();

	for (size_t i = 0; i < n; i++) {
		const struct na_timeline_bin *b = &bins[i];

		if (b->live == UINT64_MAX && b->physical == UINT64_MAX)
			continue; /* nothing fell into this bin: tracking was stopped, or the machine was busy */
		if (samples && out < capacity)
			samples[out] = (memory_sample_t){
				.seconds = (double)(i + 1) * (double)width / 1000.0,
				.live_bytes = !usage || b->live == UINT64_MAX ? MEMORY_METRIC_UNAVAILABLE : b->live,
				.physical_bytes = b->physical == UINT64_MAX ? MEMORY_METRIC_UNAVAILABLE : b->physical,
				.fragmentation = b->physical == UINT64_MAX ? NAN
						 : b->physical == 0 || b->live_at_physical >= b->physical
							 ? 0.0
							 : 1.0 - (double)b->live_at_physical / (double)b->physical,
			};
		out++;
	}
	return out;
}

void na_life_lock_tracking(void)
{
	na_lock(&lock);
}

void na_life_unlock_tracking(bool child)
{
	if (child)
		na_lock_reset(&lock);
	else
		na_unlock(&lock);
}
