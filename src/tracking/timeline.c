/* SPDX-License-Identifier: BSD-3-Clause */
#include "tracking/timeline.h"

#include "os/lock.h"

static struct na_lock lock;
static struct na_timeline_bin bins[NA_TIMELINE_BINS];
static size_t used;
static uint64_t start_ns, width = 100;

static const struct na_timeline_bin nothing = { UINT64_MAX, UINT64_MAX, UINT64_MAX };

void na_timeline_reset(uint64_t now_ns, uint32_t interval_ms)
{
	na_lock(&lock);
	used = 0;
	start_ns = now_ns;
	width = interval_ms;
	na_unlock(&lock);
}

static void merge(struct na_timeline_bin *into, const struct na_timeline_bin *from)
{
	if (from->live != UINT64_MAX && (into->live == UINT64_MAX || from->live > into->live))
		into->live = from->live;
	if (from->physical != UINT64_MAX && (into->physical == UINT64_MAX || from->physical > into->physical)) {
		into->physical = from->physical;
		into->live_at_physical = from->live_at_physical;
	}
}

static void double_width(void)
{
	for (size_t i = 0; i < NA_TIMELINE_BINS / 2; i++) {
		struct na_timeline_bin bin = bins[2 * i];

		merge(&bin, &bins[2 * i + 1]);
		bins[i] = bin;
	}
	used = NA_TIMELINE_BINS / 2;
	width *= 2;
}

void na_timeline_add(uint64_t now_ns, uint64_t live, uint64_t physical)
{
	const struct na_timeline_bin sample = { live, physical, live };
	uint64_t at;

	na_lock(&lock);
	while ((at = (now_ns - start_ns) / 1000000 / width) >= NA_TIMELINE_BINS) {
		while (used < NA_TIMELINE_BINS)
			bins[used++] = nothing;
		double_width();
	}
	while (used <= at)
		bins[used++] = nothing;
	merge(&bins[at], &sample);
	na_unlock(&lock);
}

size_t na_timeline_copy(struct na_timeline_bin *out, size_t capacity, uint64_t *width_ms)
{
	size_t n;

	na_lock(&lock);
	n = used;
	*width_ms = width;
	for (size_t i = 0; i < n && i < capacity; i++)
		out[i] = bins[i];
	na_unlock(&lock);
	return n;
}

void na_timeline_before_fork(void)
{
	na_lock(&lock);
}

void na_timeline_after_fork(bool child)
{
	if (child)
		na_lock_reset(&lock);
	else
		na_unlock(&lock);
}
