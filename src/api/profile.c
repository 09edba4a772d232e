/* SPDX-License-Identifier: BSD-3-Clause */
/* numarena/profile.h, and the profile at exit. */
#include <numarena/profile.h>

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "api/error.h"
#include "api/life.h"
#include "base/log.h"
#include "base/options.h"
#include "tracking/profile.h"
#include "tracking/sample.h"

memory_error_t write_memory_profile(const char *path, memory_profile_view_t view, memory_profile_format_t format)
{
	int rc;

	if (!path || !path[0])
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "path is %s", path ? "empty" : "NULL");
	if ((unsigned int)view >= NA_PROFILE_VIEWS_)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT,
				"view is %d: must be MEMORY_PROFILE_LIVE, _PEAK or _ALLOCATIONS", (int)view);
	if ((unsigned int)format >= NA_PROFILE_FORMATS_)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "format is %d: must be MEMORY_PROFILE_PPROF or _FOLDED",
				(int)format);
	_Static_assert((int)MEMORY_PROFILE_LIVE == NA_PROFILE_LIVE && (int)MEMORY_PROFILE_PEAK == NA_PROFILE_PEAK &&
			       (int)MEMORY_PROFILE_ALLOCATIONS == NA_PROFILE_TOTAL &&
			       (int)MEMORY_PROFILE_FOLDED == NA_PROFILE_FOLDED,
		       "the same numbers");
	rc = na_profile_write(path, (enum na_profile_view)view, (enum na_profile_format)format);
	if (rc == -ENOMEM)
		return na_error(MEMORY_ERROR_ALLOCATION, "no memory to write the profile %s", path);
	if (rc < 0)
		return na_error(MEMORY_ERROR_IO, "the profile %s: %s", path, strerrordesc_np(-rc));
	return MEMORY_ERROR_NONE;
}

memory_error_t get_memory_sampling_statistics(memory_sampling_stats_t *stats)
{
	struct na_sample_summary s;

	if (!stats)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "stats is NULL");
	na_sample_summary(&s);
	*stats = (memory_sampling_stats_t){ .sample_bytes = s.mean,
					    .samples = s.taken,
					    .live_samples = s.live,
					    .dropped_samples = s.dropped,
					    .stacks = s.sites,
					    .live_blocks = s.values.live_blocks,
					    .live_bytes = s.values.live_bytes,
					    .peak_blocks = s.values.peak_blocks,
					    .peak_bytes = s.values.peak_bytes,
					    .allocations = s.values.total_blocks,
					    .allocated_bytes = s.values.total_bytes };
	return MEMORY_ERROR_NONE;
}

memory_error_t get_memory_latency(memory_latency_t *latency)
{
	struct na_latency l;

	if (!latency)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "latency is NULL");
	na_sample_latency(&l);
	*latency = (memory_latency_t){ l.samples, l.mean, l.p50, l.p90, l.p99, l.p999, l.most };
	return MEMORY_ERROR_NONE;
}

size_t get_memory_lifetimes(memory_lifetime_bin_t *bins, size_t capacity)
{
	struct na_lifetimes l;

	na_sample_lifetimes(&l);
	for (size_t i = 0; bins && i < NA_LIFETIME_BINS && i < capacity; i++)
		bins[i] = (memory_lifetime_bin_t){ .from = i ? (double)(UINT64_C(1) << i) / 1e9 : 0,
						   .to = (double)(UINT64_C(2) << i) / 1e9,
						   .blocks = l.blocks[i],
						   .bytes = l.bytes[i] };
	return NA_LIFETIME_BINS;
}

/* Absolute, because the program may go elsewhere meanwhile. */
static char prefix[PATH_MAX - 64];

void na_life_check_profile(void)
{
	char folder[PATH_MAX], *slash;
	size_t n = 0;

	if (na_options.profile[0] != '/' && getcwd(prefix, sizeof(prefix)))
		n = strlen(prefix);
	if (n + strlen(na_options.profile) + 2 > sizeof(prefix)) {
		na_log(NA_LOG_WARNING, "NUMARENA_PROFILE=%s: the path is too long, there will be no profile",
		       na_options.profile);
		prefix[0] = '\0';
		return;
	}
	na_format(prefix + n, sizeof(prefix) - n, "%s%s", n ? "/" : "", na_options.profile);
	memcpy(folder, prefix, strlen(prefix) + 1);
	slash = strrchr(folder, '/');
	slash[slash == folder] = '\0';
	if (access(folder, W_OK | X_OK) < 0)
		na_log(NA_LOG_WARNING, "NUMARENA_PROFILE=%s: no file can be made in %s: %s", na_options.profile, folder,
		       strerrordesc_np(errno));
}

void na_life_write_profile(void)
{
	struct na_sample_summary s;
	char path[PATH_MAX];
	int rc;

	na_sample_summary(&s);
	if (!prefix[0] || (!s.mean && !s.taken)) /* NUMARENA_SAMPLE_BYTES=0 */
		return;
	rc = na_profile_write_all(prefix, getpid(), path, sizeof(path));
	if (rc < 0)
		na_log(NA_LOG_ERROR, "the profile %s: %s", path, strerrordesc_np(-rc));
}
