/* SPDX-License-Identifier: BSD-3-Clause */
/* See merging.h. What fork does is in parting.c. */
#include "heap/merging.h"

#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "cache/merge.h"
#include "cache/turns.h"
#include "heap/concurrent.h"
#include "heap/heap.h"
#include "heap/named.h"
#include "heap/parting.h"
#include "os/limit.h"
#include "os/os.h"
#include "pool/frames.h"

#define LEAST_MAPPINGS 256 /* fewer are not worth the trouble */

struct na_lock na_merging_lock;

/* Under na_merging_lock. */
static struct {
	struct na_merge_limits limits;
	uint32_t grain; /* see struct na_merging */
	uint64_t winnable;
	int rc;
	enum na_merging_off off;
	char why[96];
	uint64_t ns;
} state;

/* ---- which pools ---- */

bool na_merging_takes_part(const struct na_named *n)
{
	struct na_hint hint = na_hint_unpack(n->hint);

	if (n->guarded || n->pool.beyond)
		return false;
	if (na_group_is(n))
		return n->hint && !hint.no_move && hint.priority != NA_PRIORITY_HIGH;
	return __atomic_load_n(&n->merges, __ATOMIC_RELAXED);
}

static uint64_t each_class(struct na_pool *pool, uint64_t (*work)(struct na_cache *, unsigned int))
{
	struct na_named *n = na_named_of(pool);
	uint64_t sum = 0;

	for (uint32_t i = 0; na_merging_takes_part(n) && i < n->caches; i++)
		for (unsigned int cls = 0; na_named_cache(n, i) && cls < NA_CLASSES; cls++)
			sum += work(na_named_cache(n, i), cls);
	return sum;
}

/* `units`: where units of grain 1 are counted as well, or NULL. */
static uint64_t winnable_of_pool(struct na_pool *pool, void *units)
{
	struct na_named *n = na_named_of(pool);
	uint64_t sum = 0;

	for (uint32_t i = 0; na_merging_takes_part(n) && i < n->caches; i++)
		if (na_named_cache(n, i))
			sum += na_merge_winnable(na_named_cache(n, i), units);
	return sum;
}

uint64_t na_merging_winnable(void)
{
	return na_named_each(winnable_of_pool, NULL);
}

/* ---- when not ---- */

static int say(enum na_merging_off off, const char *format, const char *what, unsigned long long figure)
{
	if (what)
		na_format(state.why, sizeof(state.why), format, what);
	else
		na_format(state.why, sizeof(state.why), format, figure);
	state.off = off;
	return -EBUSY;
}

/* Whether each name of a list such as "self,posix,tcp" is one of the words. */
static bool all_of(const char *list, const char *const *words)
{
	while (*list) {
		size_t n = strcspn(list, ",;");
		bool found = n == 0;

		for (const char *const *w = words; *w && !found; w++)
			found = strlen(*w) == n && memcmp(*w, list, n) == 0;
		if (!found)
			return false;
		list += n + (list[n] != '\0');
	}
	return true;
}

static const char *const ucx_unpinned[] = { "self", "posix", "sysv", "tcp", "cma", "sm", NULL };
static const char *const ofi_unpinned[] = { "tcp", "shm", "sockets", "udp", "ofi_rxm", "ofi_rxd", "net", NULL };

/* dl_iterate_phdr() calls it for each object loaded: one that may keep a registration cache ends the walk. */
static int look_at_library(struct dl_phdr_info *info, size_t size, void *found)
{
	static const struct {
		const char *name, *variable;
		const char *const *unpinned;
	} known[] = {
		{ "libuct_ib", "UCX_TLS", ucx_unpinned },	 { "libuct_rdmacm", "UCX_TLS", ucx_unpinned },
		{ "libuct_cuda", "UCX_TLS", ucx_unpinned },	 { "libuct_xpmem", "UCX_TLS", ucx_unpinned },
		{ "libfabric.so", "FI_PROVIDER", ofi_unpinned }, { "libpsm", NULL, NULL },
	};
	const char *base = info->dlpi_name ? strrchr(info->dlpi_name, '/') : NULL;

	(void)size;
	base = base ? base + 1 : info->dlpi_name ? info->dlpi_name : "";
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		const char *chosen = known[i].variable ? getenv(known[i].variable) : NULL;

		if (strncmp(base, known[i].name, strlen(known[i].name)) != 0)
			continue;
		if (chosen && *chosen && all_of(chosen, known[i].unpinned))
			continue;
		*(const char **)found = known[i].name;
		return 1;
	}
	return 0;
}

/* Whether memory is, or may be, pinned now: asked before every slice. */
static int look_at_pins(void)
{
	uint64_t pinned = NA_LIMIT_NONE, locked = NA_LIMIT_NONE;
	static char text[16384]; /* a line of it has all of the user's groups */
	const char *library = NULL;

	if (na_limits_text("/proc/self/status", text, sizeof(text)) > 0) {
		pinned = na_limits_line(text, "VmPin:");
		locked = na_limits_line(text, "VmLck:");
	}
	if (pinned == NA_LIMIT_NONE || locked == NA_LIMIT_NONE)
		return say(NA_MERGING_PINNED, "whether pages are pinned is unknown: no VmPin and VmLck in %s",
			   "/proc/self/status", 0);
	if (pinned)
		return say(NA_MERGING_PINNED, "%llu KiB of this process are pinned or registered", NULL, pinned);
	if (locked)
		return say(NA_MERGING_LOCKED, "%llu KiB of this process are locked", NULL, locked);
	dl_iterate_phdr(look_at_library, &library);
	if (library)
		return say(NA_MERGING_REGISTERED, "%s is loaded, which may keep a registration cache", library, 0);
	return 0;
}

/* 0 if it may be done, with what mappings it may use. */
static int look_around(void)
{
	uint64_t most = na_limits_most_maps();
	int rc;

	state.off = NA_MERGING_ON;
	state.why[0] = '\0';
	rc = look_at_pins();
	if (rc < 0)
		return rc;
	if (na_limits_number("/proc/sys/vm/overcommit_memory") == 2)
		return say(NA_MERGING_MAPPINGS, "mappings that go back to private memory may be refused: %s is 2",
			   "vm.overcommit_memory", 0);
	if (most == NA_LIMIT_NONE || most / 3 < LEAST_MAPPINGS)
		return say(NA_MERGING_MAPPINGS, "too few mappings are allowed: vm.max_map_count is %llu", NULL, most);
	state.limits.edges = most / 3;
	rc = na_parting_prepare();
	if (rc < 0)
		return say(NA_MERGING_REFUSED, "no pipe for the day the program forks: error %llu", NULL,
			   (unsigned long long)-rc);
	return 0;
}

int na_merging_look(struct na_merge_limits *limits, const char **why)
{
	int rc = look_around();

	limits->edges = state.limits.edges;
	*why = state.why;
	return rc;
}

/* ---- a pass ---- */

static uint64_t merge_class(struct na_cache *c, unsigned int cls)
{
	if (state.rc == 0)
		state.rc = na_merge_class(c, cls, &state.limits);
	return 0;
}

static uint64_t merge_pool(struct na_pool *pool, void *unused)
{
	(void)unused;
	return each_class(pool, merge_class);
}

static uint64_t restore_pool(struct na_pool *pool, void *unused)
{
	struct na_named *n = na_named_of(pool);

	(void)unused;
	for (uint32_t i = 0; i < n->caches; i++)
		if (na_named_cache(n, i) && na_merge_restore(na_named_cache(n, i)) < 0)
			return 0;
	return 0;
}

static uint64_t figure(const uint64_t *f)
{
	return __atomic_load_n(f, __ATOMIC_RELAXED);
}

/* What is on frames would take mapped bytes without, and takes frames' bytes. */
static uint64_t saved(void)
{
	uint64_t mapped = figure(&na_merge_figures.mapped_bytes), frames = figure(&na_merge_figures.frame_bytes);

	return mapped > frames ? mapped - frames : 0;
}

/* How many pages a mapping must cover, were all of them merged: covering.c sees to it. */
static void count_pages(void)
{
	uint64_t used = figure(&na_merge_figures.edges), units = 0,
		 left = state.limits.edges > used ? state.limits.edges - used : 1;

	state.limits.grain = 1;
	na_named_each(winnable_of_pool, &units);
	state.grain = units <= left ? 1 : (uint32_t)((units + left - 1) / left);
}

uint64_t na_merging_run(void)
{
	uint64_t began = na_os_now_ns(), before, purged, won;

	na_lock(&na_merging_lock);
	before = saved();
	purged = figure(&na_merge_figures.purged);
	na_named_each(restore_pool, NULL);
	state.rc = 0;
	if (look_around() == 0) {
		count_pages();
		na_named_each(merge_pool, NULL);
		na_named_each(restore_pool, NULL);
		if (state.rc < 0)
			say(NA_MERGING_REFUSED, "the system refused a call: error %llu", NULL,
			    (unsigned long long)-state.rc);
	}
	state.ns += na_os_now_ns() - began;
	won = (saved() > before ? saved() - before : 0) + figure(&na_merge_figures.purged) - purged;
	na_unlock(&na_merging_lock);
	return won;
}

/* ---- slices ---- */

/* Where a pass in slices is: pools by their number in the list, which may have changed meanwhile (then one is left out, or looked at twice). */
static struct {
	uint32_t pool, cache, cls, left, number;
	bool on;
} at = { .left = UINT32_MAX };

static void slice_cache(struct na_cache *c)
{
	for (; at.cls < NA_CLASSES && state.rc == 0; at.cls++, at.left = UINT32_MAX) {
		state.rc = na_merge_slice(c, at.cls, &state.limits, &at.left);
		if (state.limits.more)
			return;
	}
}

static uint64_t slice_pool(struct na_pool *pool, void *unused)
{
	struct na_named *n = na_named_of(pool);

	(void)unused;
	if (at.number++ != at.pool || state.limits.more || state.rc < 0)
		return 0;
	for (; at.cache < n->caches && na_merging_takes_part(n); at.cache++, at.cls = 0) {
		if (na_named_cache(n, at.cache))
			slice_cache(na_named_cache(n, at.cache));
		if (state.limits.more || state.rc < 0)
			return 0;
	}
	at.pool++;
	at.cache = at.cls = 0;
	return 0;
}

static void begin_slices(void)
{
	na_named_each(restore_pool, NULL);
	count_pages();
	at.pool = at.cache = at.cls = 0;
	at.left = UINT32_MAX;
	at.on = true;
}

bool na_merging_slice(uint64_t deadline, struct na_move_budget *budget, uint64_t *won)
{
	uint64_t began = na_os_now_ns(), before;

	if (!na_trylock(&na_merging_lock)) /* somebody else is at it, or forks */
		return false;
	before = saved();
	state.rc = 0;
	state.limits.more = false;
	state.limits.deadline = deadline;
	state.limits.budget = budget;
	state.limits.begun = false;
	if ((at.on ? look_at_pins() : look_around()) < 0) {
		at.on = false;
	} else {
		if (!at.on)
			begin_slices();
		at.number = 0;
		na_named_each(slice_pool, NULL);
		at.on = state.limits.more;
		if (state.rc < 0)
			say(NA_MERGING_REFUSED, "the system refused a call: error %llu", NULL,
			    (unsigned long long)-state.rc);
	}
	if (!at.on)
		na_merge_slice_end();
	*won += saved() > before ? saved() - before : 0;
	state.limits.deadline = 0;
	state.ns += na_os_now_ns() - began;
	na_unlock(&na_merging_lock);
	return at.on;
}

/* ---- figures ---- */

void na_merging_figures(struct na_merging *out)
{
	na_lock(&na_merging_lock);
	*out = (struct na_merging){ .restored = figure(&na_merge_figures.restored),
				    .frame_bytes = figure(&na_merge_figures.frame_bytes),
				    .mapped_bytes = figure(&na_merge_figures.mapped_bytes),
				    .mappings = figure(&na_merge_figures.edges),
				    .bound = figure(&na_merge_figures.bound),
				    .refused = figure(&na_merge_figures.refused),
				    .ns = state.ns,
				    .grain = state.grain,
				    .most_mappings = state.limits.edges,
				    .off = state.off };
	memcpy(out->why, state.why, sizeof(out->why));
	na_unlock(&na_merging_lock);
}

/* ---- pools ---- */

void na_merging_allow(struct na_named *named)
{
	__atomic_store_n(&named->merges, true, __ATOMIC_RELAXED);
	named->cache.merges = true;
}

void na_merging_arm(bool on)
{
	atomic_store_explicit(&na_turns_armed, on, memory_order_relaxed);
}

void na_merging_restore(void)
{
	if (!figure(&na_merge_figures.mapped_bytes) || !na_trylock(&na_merging_lock))
		return;
	na_named_each(restore_pool, NULL);
	na_concurrent_restore();
	na_unlock(&na_merging_lock);
}

void na_merging_drop(struct na_named *named)
{
	for (uint32_t i = 0; i < named->caches; i++)
		if (na_named_cache(named, i))
			na_merge_drop(na_named_cache(named, i));
}

void na_merging_forget(struct na_named *named)
{
	for (uint32_t i = 0; i < named->caches; i++)
		if (na_named_cache(named, i))
			na_merge_forget(na_named_cache(named, i));
}
