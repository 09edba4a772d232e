/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * numarena/pool.h: the default pool's configuration, its blocks, and named pools. Configuration
 * is written under config_lock; slow paths read the fields without it, each being one word.
 */
#include <numarena/pool.h>

#include <errno.h>
#include <string.h>

#include "api/error.h"
#include "api/life.h"
#include "base/log.h"
#include "base/settings.h"
#include "heap/groups.h"
#include "heap/guard.h"
#include "heap/heap.h"
#include "heap/merging.h"
#include "heap/beyond.h"
#include "heap/placed.h"
#include "heap/pressure.h"
#include "heap/request.h"
#include "heap/snapshot.h"
#include "movable/movable.h"
#include "os/os.h"
#include "recovery/climb.h"

#define MAX_ALIGNMENT ((size_t)1 << 30)

static struct na_lock config_lock;

static bool power_of_two(size_t v)
{
	return v && (v & (v - 1)) == 0;
}

static memory_error_t validate_alignment(size_t alignment)
{
	if (alignment && (!power_of_two(alignment) || alignment < 16 || alignment > 4096))
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT,
				"alignment is %zu: must be a power of two from 16 to 4096", alignment);
	return MEMORY_ERROR_NONE;
}

/* Messages are made without the C library's printf, which may allocate: three digits have to do. */
static memory_error_t refuse_threshold(double v)
{
	const char *must = "must be above 0, up to 1";
	double size = v < 0 ? -v : v;
	unsigned long long thousandths = size < 1e15 ? (unsigned long long)(size * 1000 + 0.5) : 0;

	if (v != v)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "defrag_threshold is not a number: %s", must);
	if (size >= 1e15)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "defrag_threshold is %s: %s",
				v < 0 ? "below -1e15" : "above 1e15", must);
	return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "defrag_threshold is %s%llu.%llu%llu%llu: %s", v < 0 ? "-" : "",
			thousandths / 1000, thousandths / 100 % 10, thousandths / 10 % 10, thousandths % 10, must);
}

static memory_error_t validate(const memory_pool_config_t *config)
{
	if (config->block_size &&
	    (!power_of_two(config->block_size) || config->block_size < 4096 || config->block_size > 33554432))
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT,
				"block_size is %zu: must be a power of two from 4096 to 33554432", config->block_size);
	if (!(config->defrag_threshold >= 0.0 && config->defrag_threshold <= 1.0))
		return refuse_threshold(config->defrag_threshold);
	return validate_alignment(config->alignment);
}

static memory_error_t set_limit(uint64_t wanted)
{
	uint64_t held, limit = wanted ? wanted : na_os_memory_limit();

	if (atomic_load_explicit(&na_pool_limit, memory_order_relaxed) == limit) {
		na_pressure_follow(wanted == 0);
		return MEMORY_ERROR_NONE;
	}
	held = na_pool_counted();
	if (limit < held) { /* what is merely kept for reuse can go */
		na_heap_flush();
		held = na_pool_counted();
	}
	if (limit < held)
		return na_error(MEMORY_ERROR_BUSY, "total_size is %llu: %llu bytes are in use",
				(unsigned long long)limit, (unsigned long long)held);
	na_pressure_follow(wanted == 0);
	atomic_store_explicit(&na_pool_limit, limit, memory_order_relaxed);
	return MEMORY_ERROR_NONE;
}

/* A field left zero is the next one's to set: a level's, or the default. */
static void set_option(enum na_option_id id, uint64_t value)
{
	if (value)
		na_setting_put(id, NA_FROM_PROGRAM, value);
	else
		na_setting_drop(id, NA_FROM_PROGRAM);
}

static void apply(const memory_pool_config_t *config)
{
	uint64_t threshold = (uint64_t)(config->defrag_threshold * 1000.0 + 0.5);

	if (config->defrag_threshold > 0.0 && threshold == 0)
		threshold = 1;
	set_option(NA_OPTION_total_size, config->total_size);
	set_option(NA_OPTION_block_size, config->block_size);
	set_option(NA_OPTION_alignment, config->alignment);
	na_life_align_to_lines(true);
	set_option(NA_OPTION_defragmentation, config->enable_defragmentation);
	set_option(NA_OPTION_defrag_threshold, threshold);
}

memory_error_t initialize_memory_pool(const memory_pool_config_t *config)
{
	static const memory_pool_config_t defaults;
	memory_error_t error;

	if (!config)
		config = &defaults;
	na_pools_boot();
	error = validate(config);
	if (error)
		return error;
	na_lock(&config_lock);
	if (!na_option_from_environment(NA_OPTION_total_size))
		error = set_limit(config->total_size);
	if (!error)
		apply(config);
	na_unlock(&config_lock);
	if (!error && config->enable_defragmentation) {
		na_maintenance_consider();
		na_maintenance_poke();
	}
	if (!error && config->enable_monitoring)
		error = na_life_start_monitoring();
	return error;
}

static void *no_memory(size_t size)
{
	char why[200];

	na_recovery_why(size, why, sizeof(why));
	na_error(na_climb_error(size), "no memory for %zu bytes: %s", size, why);
	errno = ENOMEM;
	return NULL;
}

void *allocate_from_pool(size_t size)
{
	size_t alignment = __atomic_load_n(&na_options.alignment, __ATOMIC_RELAXED);
	void *p;

	if (na_likely(size - 1 <= NA_DIRECT_MAX - alignment &&
		      alignment <= NA_DIRECT_MAX)) { /* not 0, and still direct when rounded up */
		size_t rounded = (size + alignment - 1) & ~(alignment - 1);

		/* Steps of classes are at most an eighth of the size: the class of a multiple of the alignment may be
		 * larger, and no multiple of it. */
		if (na_likely(rounded <= 256 || (na_class_size(na_class_of(rounded)) & (alignment - 1)) == 0)) {
			p = na_bin_pop(na_cache_direct(na_cache_current, rounded));
			if (na_likely(p != NULL))
				return p;
		}
	}
	na_pools_boot();
	alignment = __atomic_load_n(&na_options.alignment, __ATOMIC_RELAXED);
	p = na_heap_allocate_aligned(alignment, size, false);
	return p ? p : no_memory(size);
}

void *allocate_zeroed_from_pool(size_t size)
{
	void *p;

	na_pools_boot();
	p = na_heap_allocate_aligned(na_options.alignment, size, true);
	return p ? p : no_memory(size);
}

void *allocate_aligned_from_pool(size_t size, size_t alignment)
{
	void *p;

	if (!power_of_two(alignment) || alignment > MAX_ALIGNMENT) {
		na_error(MEMORY_ERROR_INVALID_ARGUMENT, "alignment is %zu: must be a power of two up to 1 GiB",
			 alignment);
		errno = EINVAL;
		return NULL;
	}
	na_pools_boot();
	if (alignment < na_options.alignment)
		alignment = na_options.alignment;
	p = na_heap_allocate_aligned(alignment, size, false);
	return p ? p : no_memory(size);
}

static void *bad_pointer(const void *block, const char *what, const void *caller)
{
	na_cache_complain(block, what, caller);
	na_error(MEMORY_ERROR_CORRUPTION, "pointer %p was %s (called from %p)", block, what, caller);
	na_failure_tell();
	return NULL;
}

static void *resize_by_moving(void *block, const struct na_block *found, size_t size)
{
	void *fresh = found->pool->named && !found->pool->beyond ? na_heap_another(found->pool, found->size, size)
								 : allocate_from_pool(size);

	if (!fresh)
		return NULL;
	memcpy(fresh, block, found->size < size ? found->size : size);
	na_heap_release_checked(block);
	return fresh;
}

void *resize_in_pool(void *block, size_t size)
{
	struct na_block found;
	void *p;

	if (!block)
		return allocate_from_pool(size);
	if (!na_heap_find(block, &found) || !found.live || found.start != (uintptr_t)block) {
		errno = EINVAL;
		return bad_pointer(block, "resized, but is not a live block of a pool", __builtin_return_address(0));
	}
	if (size > PTRDIFF_MAX)
		return no_memory(size);
	if (na_guarded()) {
		p = na_heap_resize(block, size);
		return p ? p : no_memory(size);
	}
	/* A block that stays, or whose pages move, keeps its alignment; one that is copied gets the pool's. */
	if (na_span_kind(found.span) != NA_SPAN_SMALL || size > found.size || size < found.size / 2)
		p = na_span_kind(found.span) != NA_SPAN_SMALL && size > NA_SMALL_MAX
			    ? na_heap_resize(block, size)
			    : resize_by_moving(block, &found, size);
	else
		p = block;
	return p ? p : no_memory(size);
}

void return_to_pool(void *block)
{
	if (!block)
		return;
	if (na_heap_release_checked(block) < 0)
		bad_pointer(block, "returned, but is not a live block of a pool (freed twice, or never given out)",
			    __builtin_return_address(0));
}

void flush_memory_pools(void)
{
	na_heap_flush();
}

memory_error_t create_memory_pool(const named_pool_config_t *config, memory_pool_t **pool)
{
	struct na_named *named;
	memory_error_t error;
	int rc;

	if (!config || !pool)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "%s is NULL", config ? "pool" : "config");
	if (!config->name || !config->name[0] || strlen(config->name) > 31)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "name is \"%s\": must have 1 to 31 characters",
				config->name ? config->name : "");
	error = validate_alignment(config->alignment);
	if (error)
		return error;
	rc = na_named_create(config->name, config->node, config->limit,
			     config->alignment ? config->alignment : na_options.alignment, &named);
	if (rc == -EINVAL)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "node is %d: no memory there that this process may use",
				config->node);
	if (rc < 0)
		return na_error(MEMORY_ERROR_ALLOCATION, "no memory for the pool \"%s\"", config->name);
	if (!config->no_move)
		na_merging_allow(named);
	*pool = (memory_pool_t *)named;
	return MEMORY_ERROR_NONE;
}

static memory_error_t check_pool(const memory_pool_t *pool)
{
	if (na_named_valid((const struct na_named *)pool))
		return MEMORY_ERROR_NONE;
	return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "pool %p is not a named pool", (const void *)pool);
}

static void refuse_in_named(const struct na_named *named, size_t size)
{
	uint64_t used, limit = na_named_limit(named, &used);
	char why[200];

	if (na_named_is_full(named, size))
		na_format(why, sizeof(why), "%llu held of %llu allowed (its limit)", (unsigned long long)used,
			  (unsigned long long)limit);
	else
		na_recovery_why(size, why, sizeof(why));
	na_error(MEMORY_ERROR_ALLOCATION, "no memory for %zu bytes in the pool \"%s\": %s", size, na_named_name(named),
		 why);
}

void *allocate_from(memory_pool_t *pool, size_t size)
{
	void *p;

	if (check_pool(pool)) {
		errno = EINVAL;
		return NULL;
	}
	p = na_named_allocate((struct na_named *)pool, size);
	if (!p)
		refuse_in_named((const struct na_named *)pool, size);
	return p;
}

memory_error_t reset_memory_pool(memory_pool_t *pool)
{
	memory_error_t error = check_pool(pool);

	if (!error)
		na_named_reset((struct na_named *)pool);
	return error;
}

memory_error_t destroy_memory_pool(memory_pool_t *pool)
{
	memory_error_t error = check_pool(pool);

	if (!error)
		na_named_destroy((struct na_named *)pool);
	return error;
}

static void copy_figures(memory_pool_stats_t *out, const struct na_named_figures *f)
{
	*out = (memory_pool_stats_t){ .live_bytes = f->live,
				      .peak_bytes = f->peak,
				      .held_bytes = f->held,
				      .allocations = f->allocations,
				      .releases = f->releases,
				      .node = f->node };
	memcpy(out->name, f->name, sizeof(out->name));
}

memory_error_t get_memory_pool_statistics(memory_pool_t *pool, memory_pool_stats_t *stats)
{
	memory_error_t error = check_pool(pool);
	struct na_named_figures f;

	if (error)
		return error;
	if (!stats)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "stats is NULL");
	na_named_figures((struct na_named *)pool, &f);
	copy_figures(stats, &f);
	return MEMORY_ERROR_NONE;
}

struct listing {
	memory_pool_stats_t *out;
	size_t capacity, count;
	struct na_named_figures sum;
};

static void list_pool(const struct na_named *named, const struct na_named_figures *f, void *closure)
{
	struct listing *l = closure;

	/* The program knows nothing of those: they count as the default pool's. */
	if (named && (na_group_is(named) || na_named_guarded(named)))
		return;
	if (named && l->count < l->capacity)
		copy_figures(&l->out[l->count], f);
	l->count += named != NULL;
	l->sum.live += f->live;
	l->sum.held += f->held;
	l->sum.allocations += f->allocations;
	l->sum.releases += f->releases;
}

size_t get_all_memory_pool_statistics(memory_pool_stats_t *pools, size_t capacity)
{
	struct listing l = { .out = pools, .capacity = pools ? capacity : 0, .count = 1 };
	struct na_snapshot s;

	na_named_visit(list_pool, &l);
	if (!l.capacity)
		return l.count;
	na_heap_snapshot(&s);
	pools[0] = (memory_pool_stats_t){ .live_bytes = s.live_bytes > l.sum.live ? s.live_bytes - l.sum.live : 0,
					  .peak_bytes = MEMORY_METRIC_UNAVAILABLE,
					  .held_bytes = s.held_bytes > l.sum.held ? s.held_bytes - l.sum.held : 0,
					  .allocations = s.allocations - l.sum.allocations,
					  .releases = s.releases - l.sum.releases,
					  .node = MEMORY_NODE_ANY };
	return l.count;
}

memory_pool_t *allocation_pool(const void *block)
{
	struct na_named *named;
	struct na_block found;

	if (!na_heap_find(block, &found) || !found.live)
		return NULL;
	named = na_named_of(found.pool);
	return named && !na_group_is(named) && !na_beyond_owns(named) && !na_named_guarded(named) &&
			       !na_movable_owns(named)
		       ? (memory_pool_t *)named
		       : NULL;
}

void na_life_lock_configuration(void)
{
	na_lock(&config_lock);
}

void na_life_unlock_configuration(bool child)
{
	if (child)
		na_lock_reset(&config_lock);
	else
		na_unlock(&config_lock);
}
