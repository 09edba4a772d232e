/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/gather.h"

#include <string.h>

#include "analysis/analysis.h"
#include "compression/image.h"
#include "heap/figures.h"
#include "heap/heap.h"

static struct na_phase phases[NA_PHASES]; /* under the caller's lock, as what follows */
static struct na_histogram times;

static void fill_growth(struct na_phase_growth *out, const struct na_phase *p)
{
	struct na_analysis_growth g;

	na_analysis_growth_of(p->lows, na_phase_stretches(p), "", &g);
	*out = (struct na_phase_growth){ g.first, g.last, g.last_step, g.points, g.rises };
}

static void gather_phases(struct na_breakdown *b)
{
	size_t n = na_phases_copy(phases, NA_PHASES), innermost = na_phases_innermost();

	b->innermost = innermost < n ? innermost + 1 : 0; /* one that has begun since is not in the table */
	b->phase_count = (uint32_t)n;
	for (size_t i = 0; i < n; i++) {
		const struct na_phase *p = &phases[i];
		struct na_phase_part *out = &b->phases[i];

		memcpy(out->name, p->name, sizeof(out->name));
		out->entered = p->entered;
		out->ns = p->ns;
		out->allocations = p->allocations;
		out->releases = p->releases;
		out->allocated_bytes = p->allocated_bytes;
		out->released_bytes = p->released_bytes;
		out->peak = p->peak;
		out->live_at_start = p->live_at_start;
		out->live_at_end = p->live_at_end;
		out->running = p->running;
		fill_growth(&out->growth, p);
	}
}

/* A sum over threads that run meanwhile may be off for a moment. */
static uint64_t not_negative(uint64_t v)
{
	return (int64_t)v < 0 ? 0 : v;
}

/* allocated: bytes of all classes and large blocks together, since the start. */
static void gather_classes(struct na_breakdown *b, const struct na_snapshot *now, uint64_t allocated)
{
	struct na_class_figures figures[NA_BREAKDOWN_CLASSES];
	uint64_t live = 0, small = 0;

	na_heap_classes_of(now, figures);
	for (unsigned int i = 0; i < NA_BREAKDOWN_CLASSES; i++) {
		struct na_class_part *out = &b->classes[i];

		out->size = figures[i].size;
		out->allocations = figures[i].allocations;
		out->live_blocks = not_negative(figures[i].live_blocks);
		out->live_bytes = not_negative(figures[i].live_bytes);
		out->allocated_bytes = out->allocations * out->size;
		live += out->live_bytes;
		small += out->allocated_bytes;
	}
	b->classes[NA_CLASSES].allocated_bytes = not_negative(allocated - small);
	if (live < b->fullest_live)
		return;
	b->fullest_live = live;
	for (unsigned int i = 0; i < NA_BREAKDOWN_CLASSES; i++)
		b->classes[i].fullest_bytes = b->classes[i].live_bytes;
}

struct thread_sum {
	struct na_threads_part *threads;
	uint64_t allocated; /* bytes, of all */
};

static void add_thread(const struct na_thread_figures *f, void *closure)
{
	struct thread_sum *sum = closure;
	struct na_threads_part *t = sum->threads;

	sum->allocated += f->totals.allocated_bytes;
	if (!f->thread)
		return;
	t->running++;
	/* A thread's number may come again: then it is the other one that has allocated more. */
	if (f->totals.allocated_bytes < t->busiest.allocated_bytes || !f->totals.allocations)
		return;
	t->busiest = (struct na_busiest){ .thread = f->thread,
					  .node = f->node,
					  .allocations = f->totals.allocations,
					  .allocated_bytes = f->totals.allocated_bytes };
}

static uint64_t gather_threads(struct na_breakdown *b)
{
	struct thread_sum sum = { &b->threads, 0 };

	b->threads.running = 0;
	na_heap_each_thread(add_thread, &sum);
	if (b->threads.running > b->threads.most_running)
		b->threads.most_running = b->threads.running;
	return sum.allocated;
}

/* What this update has seen of a name, until all are seen. */
struct seen {
	uint64_t pools, peak, allocations;
};

struct pool_walk {
	struct na_breakdown *b;
	struct seen seen[NA_BREAKDOWN_POOLS], others;
};

static void keep_most(struct na_pool_part *p, const struct seen *s)
{
	p->pools = s->pools > p->pools ? s->pools : p->pools;
	p->peak = s->peak > p->peak ? s->peak : p->peak;
	p->allocations = s->allocations > p->allocations ? s->allocations : p->allocations;
}

/* The place of a name, made if need be: in that of the lowest peak, if that is lower. NA_BREAKDOWN_POOLS: there is none. */
static uint32_t place_of(struct pool_walk *w, const struct na_named_figures *f)
{
	struct na_breakdown *b = w->b;
	uint32_t at, low = 0;

	for (at = 0; at < b->pool_count; at++) {
		if (strncmp(b->pools[at].name, f->name, sizeof(f->name)) == 0)
			return at;
		if (b->pools[at].peak + w->seen[at].peak < b->pools[low].peak + w->seen[low].peak)
			low = at;
	}
	if (b->pool_count < NA_BREAKDOWN_POOLS) {
		at = b->pool_count++;
	} else if (f->peak > b->pools[low].peak && f->peak > w->seen[low].peak) {
		at = low;
		keep_most(&b->pools[at], &w->seen[at]);
		b->other_pools.live += b->pools[at].live;
		b->other_pools.held += b->pools[at].held;
		w->others.pools += b->pools[at].pools;
		w->others.peak += b->pools[at].peak;
		w->others.allocations += b->pools[at].allocations;
	} else {
		return NA_BREAKDOWN_POOLS;
	}
	memset(&b->pools[at], 0, sizeof(b->pools[at]));
	memset(&w->seen[at], 0, sizeof(w->seen[at]));
	memcpy(b->pools[at].name, f->name, strnlen(f->name, sizeof(f->name) - 1));
	return at;
}

/* Under the lock of the named pools' list. */
static void add_pool(const struct na_named *named, const struct na_named_figures *f, void *closure)
{
	struct pool_walk *w = closure;
	struct na_pool_part *p;
	struct seen *s;
	uint32_t at;

	if (!named) /* those that are no more: counted while they were there */
		return;
	at = place_of(w, f);
	p = at < NA_BREAKDOWN_POOLS ? &w->b->pools[at] : &w->b->other_pools;
	s = at < NA_BREAKDOWN_POOLS ? &w->seen[at] : &w->others;
	p->live += f->live;
	p->held += f->held;
	s->pools++;
	s->peak += f->peak;
	s->allocations += f->allocations;
}

static void gather_pools(struct na_breakdown *b)
{
	struct pool_walk w = { .b = b };

	for (uint32_t i = 0; i < b->pool_count; i++)
		b->pools[i].live = b->pools[i].held = 0;
	b->other_pools.live = b->other_pools.held = 0;
	na_named_visit(add_pool, &w);
	for (uint32_t i = 0; i < b->pool_count; i++)
		keep_most(&b->pools[i], &w.seen[i]);
	keep_most(&b->other_pools, &w.others);
}

static void gather_samples(struct na_breakdown *b)
{
	struct na_times *t = &b->latency;

	b->sample_mean = na_sample_running();
	na_sample_times(&times);
	na_sample_lifetimes(&b->lifetimes);
	t->samples = times.samples;
	t->most = times.most;
	t->sum = (uint64_t)(times.weighted_sum + 0.5);
	t->count = 0;
	for (unsigned int i = 0; i < NA_HISTOGRAM_BINS; i++) {
		t->bins[i] = (uint64_t)(times.bins[i] + 0.5);
		t->count += t->bins[i];
	}
}

void na_gather(struct na_breakdown *b, const struct na_snapshot *now)
{
	gather_phases(b);
	gather_classes(b, now, gather_threads(b));
	gather_pools(b);
	gather_samples(b);
}

void na_gather_amounts(uint64_t *requested, uint64_t *compressed)
{
	struct na_sample_summary samples;
	struct na_image_figures images;

	na_sample_summary(&samples);
	na_image_figures(&images);
	*requested = samples.taken ? samples.values.live_bytes : NA_UNKNOWN;
	*compressed = images.compressed;
}

/* ---- call sites ---- */

#define KNOWN 64 /* stacks whose text is kept, by their hash: a power of two */

static struct na_sample_site tops[NA_BREAKDOWN_SITES];
static struct {
	uintptr_t frames[NA_SITE_FRAMES];
	char text[NA_SITE_TEXT];
} known[KNOWN];

/* "main+0x12 (solver)" becomes "main (solver)", "solver+0x123" stays. */
static void without_offset(char *name)
{
	char *plus = strrchr(name, '+'), *open = plus ? strstr(plus, " (") : NULL;

	if (open)
		memmove(plus, open, strlen(open) + 1);
}

/* Frames that would be cut are left out. */
static void spell(char out[NA_SITE_TEXT], const uintptr_t *frames, uint32_t depth)
{
	char name[160];
	size_t length = 0, n;

	memset(out, 0, NA_SITE_TEXT);
	for (uint32_t i = 0; i < depth; i++) {
		na_sample_frame(frames[i], name, sizeof(name));
		without_offset(name);
		n = strlen(name);
		if (length + n + 2 > NA_SITE_TEXT)
			break;
		if (length)
			out[length++] = '\n';
		memcpy(out + length, name, n);
		length += n;
	}
	if (!length)
		memcpy(out, "(stack not known)", sizeof("(stack not known)"));
}

static const char *text_of(const struct na_sample_site *s)
{
	uint32_t depth = s->depth < NA_SITE_FRAMES ? s->depth : NA_SITE_FRAMES;
	uintptr_t frames[NA_SITE_FRAMES] = { 0 };
	uint64_t hash = 0;

	for (uint32_t i = 0; i < depth; i++) {
		frames[i] = s->frames[i];
		hash = (hash ^ frames[i]) * UINT64_C(0x9e3779b97f4a7c15);
	}
	hash >>= 58;
	if (!known[hash].text[0] || memcmp(known[hash].frames, frames, sizeof(frames)) != 0) {
		memcpy(known[hash].frames, frames, sizeof(frames));
		spell(known[hash].text, frames, depth);
	}
	return known[hash].text;
}

/* Stacks that differ further out than their text goes, or within a function, are one. */
static void add_site(struct na_breakdown *b, const struct na_sample_site *s)
{
	const char *text = text_of(s);
	uint64_t at = 0;

	while (at < b->site_count && strncmp(b->sites[at].frames, text, NA_SITE_TEXT) != 0)
		at++;
	if (at == b->site_count) {
		memset(&b->sites[at], 0, sizeof(b->sites[at]));
		memcpy(b->sites[at].frames, text, NA_SITE_TEXT);
		b->site_count++;
	}
	b->sites[at].bytes += s->values.peak_bytes;
	b->sites[at].allocations += s->values.total_blocks;
}

void na_gather_sites(struct na_breakdown *b)
{
	struct na_sample_summary samples;
	size_t n;

	_Static_assert(KNOWN == 1 << (64 - 58), "the hash's upper bits");
	na_sample_summary(&samples);
	if (!samples.taken)
		return;
	n = na_sample_top_of_peak(tops, NA_BREAKDOWN_SITES);
	b->site_count = 0;
	b->sites_bytes = samples.values.peak_bytes;
	for (size_t i = 0; i < n; i++)
		add_site(b, &tops[i]);
}
