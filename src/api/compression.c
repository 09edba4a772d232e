/* SPDX-License-Identifier: BSD-3-Clause */
/* numarena/compression.h: arguments, errors, figures. What is done is in cold/ and compression/. */
#include <numarena/compression.h>

#include <errno.h>
#include <math.h>
#include <numarena/system.h>

#include "api/error.h"
#include "api/life.h"
#include "base/log.h"
#include "base/settings.h"
#include "cold/cold.h"
#include "cold/movables.h"
#include "compression/raw.h"
#include "heap/heap.h"
#include "os/lock.h"

#define LEAST_SIZE	1024
#define DEFAULT_MIN	4096
#define DEFAULT_AGE	10000
#define MOST_PHASES	200
#define ALL_FILTERS	0x1f
#define FILTERS_OF_FAST 0x07 /* no differences */

static struct na_lock lock; /* one starts or stops at a time */

static memory_error_t validate(const compression_config_t *c)
{
	if ((unsigned int)c->algorithm > COMPRESSION_LZ4HC)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT,
				"algorithm is %d: must be COMPRESSION_NONE, COMPRESSION_LZ4 or COMPRESSION_LZ4HC",
				(int)c->algorithm);
	if ((unsigned int)c->level > COMPRESSION_AGGRESSIVE)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT,
				"level is %d: must be COMPRESSION_FAST, _BALANCED or _AGGRESSIVE", (int)c->level);
	if (c->min_size && (c->min_size < LEAST_SIZE || c->min_size >> 40))
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "min_size is %zu: must be from %d bytes to 1 TiB, or 0",
				c->min_size, LEAST_SIZE);
	if (c->cold_after && (c->cold_after < 10 || c->cold_after > 3600000))
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "cold_after is %u ms: must be from 10 to 3600000, or 0",
				c->cold_after);
	if (c->cold_after_phases > MOST_PHASES)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "cold_after_phases is %u: must be from 0 to %d",
				c->cold_after_phases, MOST_PHASES);
	return MEMORY_ERROR_NONE;
}

static struct na_effort effort_of(const compression_config_t *c)
{
	struct na_effort e = { .speed = 1, .filters = ALL_FILTERS };

	if (c->algorithm == COMPRESSION_LZ4HC)
		e.high = c->level == COMPRESSION_FAST ? 3 : c->level == COMPRESSION_BALANCED ? 6 : 10;
	else if (c->level == COMPRESSION_AGGRESSIVE)
		e.high = 4;
	if (c->level == COMPRESSION_FAST) {
		e.speed = 4;
		e.filters = FILTERS_OF_FAST;
	}
	return e;
}

/* The environment goes before the program. */
static uint64_t setting(enum na_option_id id, const uint64_t *value, uint64_t wanted)
{
	return wanted && !na_option_from_environment(id) ? wanted : __atomic_load_n(value, __ATOMIC_RELAXED);
}

const char *na_life_raw_refused(void)
{
	switch (na_cold_raw_refused()) {
	case 0:
		return NULL;
	case -EAGAIN:
		return "compression was not initialised";
	case -EPERM:
	case -EACCES:
		return "the kernel does not let this process answer page faults: that takes root, "
		       "vm.unprivileged_userfaultfd=1 or a "
		       "/dev/userfaultfd that it may open";
	case -EOPNOTSUPP:
		return "the hardened mode looks into blocks while others must not move";
	default:
		return "this kernel has no userfaultfd with write protection";
	}
}

static memory_error_t start(const compression_config_t *c)
{
	static _Atomic bool said;
	struct na_cold_settings s = {
		.effort = effort_of(c),
		.min_size = setting(NA_OPTION_compression_min_size, &na_options.compression_min_size, c->min_size),
		.age_ms = (uint32_t)setting(NA_OPTION_compression_age, &na_options.compression_age, c->cold_after),
		.phases = (uint32_t)setting(NA_OPTION_compression_phases, &na_options.compression_phases,
					    c->cold_after_phases),
		.cache = c->enable_cache,
	};
	int rc = na_cold_start(&s);

	if (rc == -ENOMEM)
		return na_error(MEMORY_ERROR_ALLOCATION, "no memory for the buffers of compression");
	if (rc < 0)
		return na_error(MEMORY_ERROR_UNSUPPORTED, "no compression: %s", na_lz4_why_not());
	if (na_life_raw_refused() && !atomic_exchange_explicit(&said, true, memory_order_relaxed))
		na_log(NA_LOG_WARNING, "movable blocks are compressed when they are cold, raw ones are not: %s",
		       na_life_raw_refused());
	return MEMORY_ERROR_NONE;
}

memory_error_t initialize_memory_compression(const compression_config_t *config)
{
	static const compression_config_t defaults = { .algorithm = COMPRESSION_LZ4,
						       .level = COMPRESSION_BALANCED,
						       .enable_cache = true };
	memory_error_t error;

	if (!config)
		config = &defaults;
	na_pools_boot();
	error = validate(config);
	if (error)
		return error;
	if (config->algorithm == COMPRESSION_NONE)
		return cleanup_compression();
	if (na_option_from_environment(NA_OPTION_compression) && !na_options.compression) {
		na_log(NA_LOG_INFO, "NUMARENA_COMPRESSION=0: nothing is compressed");
		return MEMORY_ERROR_NONE;
	}
	atomic_store_explicit(&na_cold_begun, true, memory_order_relaxed);
	na_lock(&lock);
	error = start(config);
	na_unlock(&lock);
	return error;
}

memory_error_t na_life_compress(void)
{
	return na_cold_runs() ? MEMORY_ERROR_NONE : initialize_memory_compression(NULL);
}

memory_error_t cleanup_compression(void)
{
	int rc;

	na_lock(&lock);
	rc = na_cold_stop();
	na_unlock(&lock);
	if (rc < 0)
		return na_error(MEMORY_ERROR_ALLOCATION, "no memory for all that is compressed (error %d)", -rc);
	return MEMORY_ERROR_NONE;
}

/* What a block's compression came to. */
static memory_error_t outcome(int rc, const char *what, unsigned long long which)
{
	switch (rc) {
	case 0:
		return MEMORY_ERROR_NONE;
	case -EINVAL:
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "%s %llx is not live", what, which);
	case -ENOTSUP:
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT,
				"%s %llx cannot be compressed: it is below 64 KiB or min_size, of a named pool, of "
				"hugetlb pages, or no_move",
				what, which);
	case -ENODATA:
		return na_error(MEMORY_ERROR_UNSUPPORTED, "%s %llx does not shrink to three quarters", what, which);
	case -ENOMEM:
		return na_error(MEMORY_ERROR_ALLOCATION, "no memory for the image of %s %llx", what, which);
	case -EBUSY:
		return na_error(MEMORY_ERROR_BUSY, "%s %llx is pinned", what, which);
	case -EDEADLK:
		return na_error(MEMORY_ERROR_BUSY,
				"%s %llx: next() of compact_in_order() must not resize or compress blocks", what,
				which);
	case -EBADMSG:
		return na_error(MEMORY_ERROR_CORRUPTION, "the compressed image of %s %llx is damaged", what, which);
	default:
		return na_error(MEMORY_ERROR_UNSUPPORTED, "%s %llx: the kernel refused (error %d)", what, which, -rc);
	}
}

static memory_error_t check_running(void)
{
	if (na_cold_runs())
		return MEMORY_ERROR_NONE;
	if (na_option_from_environment(NA_OPTION_compression) && !na_options.compression)
		return na_error(MEMORY_ERROR_UNSUPPORTED, "compression is off: NUMARENA_COMPRESSION=0 forbids it");
	return na_error(MEMORY_ERROR_UNSUPPORTED, "compression is off: initialize_memory_compression() turns it on");
}

memory_error_t compress_memory(void *block)
{
	memory_error_t error = check_running();
	uint64_t bytes;

	if (error)
		return error;
	if (na_life_raw_refused())
		return na_error(MEMORY_ERROR_UNSUPPORTED, "%s", na_life_raw_refused());
	return outcome(na_raw_compress(block, &bytes), "the block", (uintptr_t)block);
}

memory_error_t touch_memory(void *block)
{
	return outcome(na_raw_touch(block), "the block", (uintptr_t)block);
}

memory_error_t compress_movable(memory_handle_t handle)
{
	memory_error_t error = check_running();
	uint64_t bytes;

	return error ? error : outcome(na_cold_movables_compress(handle, &bytes), "the movable block", handle);
}

memory_error_t get_compression_statistics(compression_stats_t *stats)
{
	struct na_image_figures f;
	struct na_raw_figures raw;

	if (!stats)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "stats is NULL");
	na_image_figures(&f);
	na_raw_figures(&raw);
	*stats = (compression_stats_t){
		.original_bytes = f.original,
		.compressed_bytes = f.compressed,
		.ratio = f.original && f.compressed ? (double)f.original / (double)f.compressed : NAN,
		.transparent_bytes = raw.away,
		.images = f.images,
		.pieces_compressed = f.made,
		.pieces_restored = f.restored,
		.pieces_unchanged = f.dropped_unchanged,
		.compress_seconds = (double)f.compress_ns / 1e9,
		.restore_seconds = (double)f.restore_ns / 1e9,
		.incompressible = f.incompressible,
		.incompressible_bytes = f.incompressible_size,
		.faults = raw.faults,
		.damaged = f.damaged,
	};
	return MEMORY_ERROR_NONE;
}

void na_life_start_compression(void)
{
	if (na_life_compress())
		na_log(NA_LOG_WARNING, "NUMARENA_COMPRESSION: %s", last_memory_error_message());
}

void na_life_adopt(void *block, bool wanted)
{
	if (wanted && na_raw_runs())
		na_raw_adopt(block);
}

void na_life_compression_lock(void)
{
	na_lock(&lock);
}

void na_life_compression_unlock(bool child)
{
	if (child)
		na_lock_reset(&lock);
	else
		na_unlock(&lock);
}
