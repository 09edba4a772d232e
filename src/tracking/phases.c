/* SPDX-License-Identifier: BSD-3-Clause */
#include "tracking/phases.h"

#include <errno.h>
#include <string.h>

#include "cache/cache.h"
#include "heap/figures.h"
#include "os/os.h"

/* The heap at one moment. */
struct moment {
	uint64_t ns;
	struct na_totals totals;
	uint64_t live;
};

struct open_phase {
	struct na_phase *phase;
	struct moment start;
	int64_t outer_peak; /* of the window that was open when it began */
	bool outermost;	    /* of its name: within itself a phase counts once */
};

static struct na_lock lock; /* all that follows */
static struct na_phase phases[NA_PHASES];
static size_t phase_count;
static struct open_phase open_phases[NA_PHASES_DEEP];
static size_t depth;

static void look(struct moment *m)
{
	if (na_cache_current != &na_cache_none)
		na_cache_publish(na_cache_current); /* so that what this thread did is in the window */
	m->ns = na_os_now_ns();
	na_heap_totals(&m->totals);
	m->live = m->totals.allocated_bytes - m->totals.released_bytes;
}

static struct na_phase *phase_of(const char *name)
{
	for (size_t i = 0; i < phase_count; i++)
		if (strcmp(phases[i].name, name) == 0)
			return &phases[i];
	if (phase_count == NA_PHASES)
		return NULL;
	memcpy(phases[phase_count].name, name, strlen(name) + 1);
	return &phases[phase_count++];
}

static bool is_open(const struct na_phase *phase)
{
	for (size_t i = 0; i < depth; i++)
		if (open_phases[i].phase == phase)
			return true;
	return false;
}

int na_phase_begin(const char *name)
{
	struct open_phase *o;
	struct na_phase *phase;
	int rc = 0;

	na_lock(&lock);
	phase = depth == NA_PHASES_DEEP ? NULL : phase_of(name);
	if (!phase) {
		rc = depth == NA_PHASES_DEEP ? -EOVERFLOW : -ENOSPC;
		goto out;
	}
	o = &open_phases[depth];
	o->phase = phase;
	o->outermost = !is_open(phase);
	depth++;
	phase->entered++;
	look(&o->start);
	o->outer_peak = atomic_exchange_explicit(&na_live_window, (int64_t)o->start.live, memory_order_relaxed);
	if (o->outermost)
		phase->live_at_start = o->start.live;
out:
	na_unlock(&lock);
	return rc;
}

/* What an open phase has seen until now, on top of what it had. */
static void add_to(struct na_phase *out, const struct open_phase *o, const struct moment *now, uint64_t peak)
{
	const struct na_totals *was = &o->start.totals, *is = &now->totals;

	peak = peak > now->live ? peak : now->live;
	peak = peak > o->start.live ? peak : o->start.live;
	out->peak = peak > out->peak ? peak : out->peak;
	out->live_at_end = now->live;
	if (!o->outermost)
		return;
	out->ns += now->ns - o->start.ns;
	out->allocations += is->allocations - was->allocations;
	out->releases += is->releases - was->releases;
	out->allocated_bytes += is->allocated_bytes - was->allocated_bytes;
	out->released_bytes += is->released_bytes - was->released_bytes;
}

/* One more end at which `live` bytes were there. */
static void note_end(struct na_phase *p, uint64_t live)
{
	if (p->stretch == 0)
		p->stretch = 1;
	if (p->low_count && p->in_last < p->stretch) {
		uint64_t *low = &p->lows[p->low_count - 1];

		*low = live < *low ? live : *low;
		p->in_last++;
		return;
	}
	if (p->low_count == NA_PHASE_STRETCHES) {
		for (uint32_t i = 0; i < NA_PHASE_STRETCHES / 2; i++) {
			uint64_t one = p->lows[2 * i], other = p->lows[2 * i + 1];

			p->lows[i] = one < other ? one : other;
		}
		p->low_count /= 2;
		p->stretch *= 2;
	}
	p->lows[p->low_count++] = live;
	p->in_last = 1;
}

uint64_t na_phase_growth(const struct na_phase *p)
{
	uint32_t n = na_phase_stretches(p);
	uint64_t grown = n >= NA_PHASE_STRETCHES / 2 && p->lows[n - 1] > p->lows[0] ? p->lows[n - 1] - p->lows[0] : 0;
	int64_t left = (int64_t)(p->allocated_bytes - p->released_bytes);

	return left > 0 && (uint64_t)left >= grown / 2 ? grown : 0;
}

size_t na_phases_growth(uint64_t *out, char name[NA_PHASE_NAME])
{
	const struct na_phase *most = NULL;
	size_t n = 0;

	na_lock(&lock);
	for (size_t i = 0; i < phase_count; i++)
		if (na_phase_growth(&phases[i]) > (most ? na_phase_growth(most) : 0))
			most = &phases[i];
	if (most) {
		n = na_phase_stretches(most);
		memcpy(out, most->lows, n * sizeof(*out));
		memcpy(name, most->name, NA_PHASE_NAME);
	}
	na_unlock(&lock);
	return n;
}

static uint64_t window(void)
{
	int64_t peak = atomic_load_explicit(&na_live_window, memory_order_relaxed);

	return peak > 0 ? (uint64_t)peak : 0;
}

int na_phase_end(void)
{
	struct open_phase *o;
	struct moment now;
	int64_t peak;

	na_lock(&lock);
	if (depth == 0) {
		na_unlock(&lock);
		return -ENOENT;
	}
	look(&now);
	o = &open_phases[--depth];
	add_to(o->phase, o, &now, window());
	if (o->outermost)
		note_end(o->phase, now.live);
	/* What was a peak in here was one of what is around it as well. A thread that publishes between the two may be lost
	 * to the outer window until it publishes again. */
	peak = (int64_t)window();
	atomic_store_explicit(&na_live_window, peak > o->outer_peak ? peak : o->outer_peak, memory_order_relaxed);
	na_unlock(&lock);
	return 0;
}

uint32_t na_phases_running(void)
{
	uint32_t n;

	na_lock(&lock);
	n = (uint32_t)depth;
	na_unlock(&lock);
	return n;
}

size_t na_phases_copy(struct na_phase *out, size_t capacity)
{
	struct moment now;
	uint64_t peak;
	size_t n;

	na_lock(&lock);
	n = phase_count;
	if (n && depth)
		look(&now);
	for (size_t i = 0; i < n && i < capacity; i++) {
		out[i] = phases[i];
		out[i].running = is_open(&phases[i]);
	}
	/* Innermost first, so that each takes in the peaks of those within. */
	peak = window();
	for (size_t i = depth; i-- > 0;) {
		size_t at = (size_t)(open_phases[i].phase - phases);

		if (at < capacity)
			add_to(&out[at], &open_phases[i], &now, peak);
		peak = (int64_t)peak > open_phases[i].outer_peak ? peak : (uint64_t)open_phases[i].outer_peak;
	}
	na_unlock(&lock);
	return n;
}

size_t na_phases_innermost(void)
{
	size_t at;

	na_lock(&lock);
	at = depth ? (size_t)(open_phases[depth - 1].phase - phases) : NA_PHASES;
	na_unlock(&lock);
	return at;
}

void na_phases_before_fork(void)
{
	na_lock(&lock);
}

void na_phases_after_fork(bool child)
{
	if (child)
		na_lock_reset(&lock);
	else
		na_unlock(&lock);
}
