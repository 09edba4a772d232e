/* SPDX-License-Identifier: BSD-3-Clause */
#include "tracking/sample.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/chance.h"
#include "cache/traps.h"
#include "meta/arena.h"
#include "os/os.h"
#include "pool/segment.h"
#include "tracking/histogram.h"
#include "tracking/stack.h"

#define BUCKETS	     8192
#define SITE_BUCKETS 4096
#define WEIGHT_ONE   256 /* of blocks, in weights: fractions of a block that a sample stands for */

/* A live sample. */
struct sample {
	struct sample *next;
	const void *p;
	struct site *site;
	uint64_t size;
	uint64_t weight; /* blocks that it stands for, times WEIGHT_ONE */
	uint64_t born_ns;
};

/* Blocks are in weights here. A site's values at the peak are kept without touching it then: `epoch` counts the peaks, and a site that is
 * about to change for the first time since the last one puts its live values by. */
struct site {
	struct site *next, *next_all;
	struct na_sample_values values;
	uint64_t epoch;
	uint32_t hash, depth;
	uintptr_t frames[];
};

static struct na_lock lock; /* all that follows; buckets are also peeked at without */
static _Atomic(struct sample *) buckets[BUCKETS];
static struct site *site_buckets[SITE_BUCKETS];
static struct site without_room; /* stacks that found no room, or could not be walked */
static struct site *all_sites = &without_room;
static struct na_sample_values sum; /* live and total of all; peak_bytes is the highest */
static uint64_t epoch = 1;
static uint64_t taken, live, site_count;
static struct na_lifetimes lifetimes;
static struct na_histogram latency;
static uint64_t clock_cost; /* ns of reading the clock; constant once sampling has started */
static _Atomic uint64_t dropped;
static uint64_t most_samples = UINT64_C(1) << 20, most_sites = UINT64_C(1) << 15; /* under the lock */

static struct na_arena arena = { .node = -1 };

static uint32_t bucket_of(const void *p)
{
	return (uint32_t)(((uint64_t)(uintptr_t)p >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 51) % BUCKETS;
}

/* ---- sites ---- */

static uint32_t hash_of(const uintptr_t *frames, size_t depth)
{
	uint64_t h = depth;

	for (size_t i = 0; i < depth; i++) {
		h = (h ^ frames[i]) * UINT64_C(0xff51afd7ed558ccd);
		h ^= h >> 32;
	}
	return (uint32_t)h;
}

static size_t site_bytes(size_t depth)
{
	return sizeof(struct site) + depth * sizeof(uintptr_t);
}

/* Under the lock. */
static struct site *find_site(const uintptr_t *frames, size_t depth, uint32_t hash)
{
	struct site *s = site_buckets[hash % SITE_BUCKETS];

	while (s && (s->hash != hash || s->depth != depth || memcmp(s->frames, frames, depth * sizeof(*frames)) != 0))
		s = s->next;
	return s;
}

/* Under the lock, which is let go while memory is got. */
static struct site *site_of(const uintptr_t *frames, size_t depth)
{
	uint32_t hash = hash_of(frames, depth);
	struct site *s = depth ? find_site(frames, depth, hash) : &without_room, *fresh;

	if (s)
		return s;
	if (site_count >= most_sites)
		return &without_room;
	na_unlock(&lock);
	fresh = na_arena_take(&arena, site_bytes(depth), NULL);
	na_lock(&lock);
	s = find_site(frames, depth, hash);
	if (s) { /* another thread was first */
		if (fresh)
			na_arena_give(&arena, fresh, site_bytes(depth));
		return s;
	}
	if (!fresh)
		return &without_room;
	memset(fresh, 0, sizeof(*fresh));
	memcpy(fresh->frames, frames, depth * sizeof(*frames));
	fresh->hash = hash;
	fresh->depth = (uint32_t)depth;
	fresh->next = site_buckets[hash % SITE_BUCKETS];
	site_buckets[hash % SITE_BUCKETS] = fresh;
	fresh->next_all = all_sites;
	all_sites = fresh;
	site_count++;
	return fresh;
}

/* Under the lock: before live values change. */
static void keep_peak(struct site *s)
{
	if (s->epoch == epoch)
		return;
	s->values.peak_blocks = s->values.live_blocks;
	s->values.peak_bytes = s->values.live_bytes;
	s->epoch = epoch;
}

static struct na_sample_values values_of(const struct site *s)
{
	struct na_sample_values v = s->values;

	if (s->epoch != epoch) { /* unchanged since the peak */
		v.peak_blocks = v.live_blocks;
		v.peak_bytes = v.live_bytes;
	}
	v.live_blocks /= WEIGHT_ONE;
	v.peak_blocks /= WEIGHT_ONE;
	v.total_blocks /= WEIGHT_ONE;
	return v;
}

/* ---- samples ---- */

static uint64_t weight_of(size_t size, uint64_t mean)
{
	return (uint64_t)(WEIGHT_ONE / na_chance_of(size, mean) + 0.5);
}

/* The same for the sample that comes and that goes, so that sums end at zero. */
static uint64_t bytes_of(const struct sample *s)
{
	return s->weight / WEIGHT_ONE * s->size + s->weight % WEIGHT_ONE * s->size / WEIGHT_ONE;
}

/* Under the lock. */
static void insert(struct sample *s)
{
	uint32_t at = bucket_of(s->p);
	uint64_t bytes = bytes_of(s);

	s->next = atomic_load_explicit(&buckets[at], memory_order_relaxed);
	atomic_store_explicit(&buckets[at], s, memory_order_relaxed); /* who frees the block has it from us */
	keep_peak(s->site);
	s->site->values.live_blocks += s->weight;
	s->site->values.live_bytes += bytes;
	s->site->values.total_blocks += s->weight;
	s->site->values.total_bytes += bytes;
	sum.live_blocks += s->weight;
	sum.live_bytes += bytes;
	sum.total_blocks += s->weight;
	sum.total_bytes += bytes;
	live++;
	if (sum.live_bytes > sum.peak_bytes) {
		sum.peak_bytes = sum.live_bytes;
		sum.peak_blocks = sum.live_blocks;
		epoch++;
	}
}

/* Under the lock: no longer live. */
static void retire(struct sample *s, uint64_t now_ns)
{
	uint64_t age = now_ns > s->born_ns ? now_ns - s->born_ns : 0, bytes = bytes_of(s);
	unsigned int bin = age ? 63u - (unsigned int)__builtin_clzll(age) : 0;

	keep_peak(s->site);
	s->site->values.live_blocks -= s->weight;
	s->site->values.live_bytes -= bytes;
	sum.live_blocks -= s->weight;
	sum.live_bytes -= bytes;
	live--;
	if (bin >= NA_LIFETIME_BINS)
		bin = NA_LIFETIME_BINS - 1;
	lifetimes.samples++;
	lifetimes.blocks[bin] += s->weight;
	lifetimes.bytes[bin] += bytes;
}

static void on_taken(void *p, size_t size, uint64_t mean, uint64_t ns)
{
	uintptr_t frames[NA_SAMPLE_FRAMES];
	size_t depth = na_stack_walk(frames, NA_SAMPLE_FRAMES);
	struct sample *s = na_arena_take(&arena, sizeof(*s), NULL);
	bool room;

	if (s)
		*s = (struct sample){ NULL, p, NULL, size, weight_of(size, mean), na_os_now_ns() };
	na_lock(&lock);
	taken++;
	na_histogram_add(&latency, ns > clock_cost ? ns - clock_cost : 0, weight_of(size, mean));
	room = s && live < most_samples;
	if (room) {
		s->site = site_of(frames, depth);
		insert(s);
	}
	na_unlock(&lock);
	if (room)
		return;
	atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
	if (s)
		na_arena_give(&arena, s, sizeof(*s));
}

static void on_released(const void *p)
{
	_Atomic(struct sample *) *link = &buckets[bucket_of(p)];
	struct sample *s, *before = NULL;
	uint64_t now;

	if (!atomic_load_explicit(link, memory_order_relaxed))
		return;
	now = na_os_now_ns();
	na_lock(&lock);
	s = atomic_load_explicit(link, memory_order_relaxed);
	for (; s && s->p != p; s = s->next)
		before = s;
	if (s) {
		if (before)
			before->next = s->next;
		else
			atomic_store_explicit(link, s->next, memory_order_relaxed);
		retire(s, now);
	}
	na_unlock(&lock);
	if (s)
		na_arena_give(&arena, s, sizeof(*s));
}

/* Takes the samples of a pool out of one bucket, onto a list. Under the lock. */
static struct sample *empty_bucket(uint32_t at, const struct na_pool *pool, struct sample *gone, uint64_t now)
{
	struct sample *s = atomic_load_explicit(&buckets[at], memory_order_relaxed), *kept = NULL, *next;

	for (; s; s = next) {
		const struct na_segment *segment = na_segment_of(s->p);

		next = s->next;
		if (segment && segment->pool == pool) {
			retire(s, now);
			s->next = gone;
			gone = s;
		} else {
			s->next = kept;
			kept = s;
		}
	}
	atomic_store_explicit(&buckets[at], kept, memory_order_relaxed);
	return gone;
}

static void on_emptied(const struct na_pool *pool)
{
	struct sample *gone = NULL, *next;
	uint64_t now = na_os_now_ns();

	na_lock(&lock);
	for (uint32_t i = 0; i < BUCKETS && live; i++)
		gone = empty_bucket(i, pool, gone, now);
	na_unlock(&lock);
	for (; gone; gone = next) {
		next = gone->next;
		na_arena_give(&arena, gone, sizeof(*gone));
	}
}

/* ---- on and off ---- */

/* The least of several: what every time measured has too much. */
static uint64_t cost_of_clock(void)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < 64; i++) {
		uint64_t from = na_os_now_ns(), to = na_os_now_ns();

		least = to - from < least ? to - from : least;
	}
	return least;
}

static uint64_t seed(void)
{
	return na_os_now_ns() ^ (uint64_t)getpid() << 32 ^ (uintptr_t)&lock;
}

int na_sample_start(uint64_t mean)
{
	uint64_t none = 0;
	int rc;

	if (mean == 0) {
		atomic_store_explicit(&na_sample_mean, 0, memory_order_release);
		return 0;
	}
	rc = na_traps_prepare();
	if (rc < 0)
		return rc;
	na_stack_prepare();
	if (!atomic_load_explicit(&na_sample_hooked, memory_order_acquire)) {
		uint64_t cost = cost_of_clock();

		na_lock(&lock); /* two threads may start it at once */
		if (!atomic_load_explicit(&na_sample_hooked, memory_order_relaxed)) {
			clock_cost = cost;
			na_sample_hooks = (struct na_sample_hooks){ on_taken, on_released, on_emptied };
			atomic_compare_exchange_strong_explicit(&na_sample_seed, &none, seed(), memory_order_relaxed,
								memory_order_relaxed);
			atomic_store_explicit(&na_sample_hooked, true, memory_order_release);
		}
		na_unlock(&lock);
	}
	atomic_store_explicit(&na_sample_mean, mean, memory_order_release);
	if (na_cache_current != &na_cache_none)
		na_trap_follow(na_cache_current); /* others do at their next slow path */
	return 0;
}

void na_sample_limit(uint64_t samples, uint64_t sites)
{
	na_lock(&lock);
	most_samples = samples;
	most_sites = sites;
	na_unlock(&lock);
}

uint64_t na_sample_running(void)
{
	return atomic_load_explicit(&na_sample_mean, memory_order_relaxed);
}

/* ---- reading ---- */

static void copy_site(const struct site *s, struct na_sample_site *out)
{
	memcpy(out->frames, s->frames, s->depth * sizeof(*s->frames));
	out->depth = s->depth;
	out->values = values_of(s);
}

static bool has_any(const struct site *s)
{
	return s != &without_room || s->values.total_blocks;
}

size_t na_sample_sites(struct na_sample_site *out, size_t n)
{
	size_t count = 0;

	na_lock(&lock);
	for (const struct site *s = all_sites; s; s = s->next_all)
		if (has_any(s) && count++ < n)
			copy_site(s, &out[count - 1]);
	na_unlock(&lock);
	return count;
}

static size_t top(struct na_sample_site *out, size_t n, uint64_t (*bytes)(const struct na_sample_values *v))
{
	size_t count = 0;

	na_lock(&lock);
	for (const struct site *s = all_sites; s && n; s = s->next_all) {
		struct na_sample_values v = values_of(s);
		size_t at = count;

		if (!bytes(&v) || (count == n && bytes(&out[n - 1].values) >= bytes(&v)))
			continue;
		if (count < n)
			count++;
		else
			at = n - 1;
		for (; at && bytes(&out[at - 1].values) < bytes(&v); at--)
			out[at] = out[at - 1];
		copy_site(s, &out[at]);
	}
	na_unlock(&lock);
	return count;
}

static uint64_t live_bytes(const struct na_sample_values *v)
{
	return v->live_bytes;
}

static uint64_t peak_bytes(const struct na_sample_values *v)
{
	return v->peak_bytes;
}

size_t na_sample_top(struct na_sample_site *out, size_t n)
{
	return top(out, n, live_bytes);
}

size_t na_sample_top_of_peak(struct na_sample_site *out, size_t n)
{
	return top(out, n, peak_bytes);
}

void na_sample_summary(struct na_sample_summary *out)
{
	na_lock(&lock);
	*out = (struct na_sample_summary){ .taken = taken, .live = live, .sites = site_count, .values = sum };
	na_unlock(&lock);
	out->mean = na_sample_running();
	out->dropped = atomic_load_explicit(&dropped, memory_order_relaxed);
	out->values.live_blocks /= WEIGHT_ONE;
	out->values.peak_blocks /= WEIGHT_ONE;
	out->values.total_blocks /= WEIGHT_ONE;
}

void na_sample_lifetimes(struct na_lifetimes *out)
{
	na_lock(&lock);
	*out = lifetimes;
	na_unlock(&lock);
	for (size_t i = 0; i < NA_LIFETIME_BINS; i++)
		out->blocks[i] /= WEIGHT_ONE;
}

void na_sample_times(struct na_histogram *out)
{
	na_lock(&lock);
	*out = latency;
	na_unlock(&lock);
	out->weight /= WEIGHT_ONE;
	out->weighted_sum /= WEIGHT_ONE;
	for (unsigned int i = 0; i < NA_HISTOGRAM_BINS; i++)
		out->bins[i] /= WEIGHT_ONE;
}

void na_sample_latency(struct na_latency *out)
{
	struct na_histogram copy;

	na_sample_times(&copy);
	*out = (struct na_latency){ .samples = copy.samples,
				    .mean = na_histogram_mean(&copy),
				    .p50 = na_histogram_quantile(&copy, 0.5),
				    .p90 = na_histogram_quantile(&copy, 0.9),
				    .p99 = na_histogram_quantile(&copy, 0.99),
				    .p999 = na_histogram_quantile(&copy, 0.999),
				    .most = copy.samples ? (double)copy.most : NAN };
}

const struct na_arena *na_sample_arena(void)
{
	return &arena;
}

void na_sample_before_fork(void)
{
	na_lock(&lock);
	na_lock(&arena.lock);
}

void na_sample_after_fork(bool child)
{
	void (*const leave)(struct na_lock *) = child ? na_lock_reset : na_unlock;

	leave(&arena.lock);
	leave(&lock);
}
