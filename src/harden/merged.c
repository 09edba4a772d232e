/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Spans whose pages are shared (cache/merge.h). Bits are there twice: what lives in `own`, what may be given out in `taken`, and the one follows from the others of
 * its frame. A repair makes counts and `taken` follow from `own`, but only in the direction that withdraws slots. Rings and frames have no second
 * copy: what is wrong there is told, and left.
 */
#include "base/bits.h"
#include "cache/merge.h"
#include "harden/survey.h"

static bool record_whole(struct na_survey *v, const struct na_span *span, const struct na_merge *m)
{
	return na_survey_meta(v, m, sizeof(*m), 64) && na_survey_meta(v, m, m->size, 64) && m->span == span &&
	       m->size > sizeof(*m) && m->per && (uint32_t)m->per * m->units <= span->slots &&
	       (uintptr_t)m->own > (uintptr_t)m && (uintptr_t)m->own + span->slots / 8 <= (uintptr_t)m + m->size &&
	       sizeof(*m) + m->units * sizeof(struct na_unit) < m->size;
}

/* The frame's units lead back to it, the one we came from and a host among them. */
static bool frame_whole(struct na_survey *v, const struct na_unit *unit)
{
	const struct na_frame *frame = unit->frame;
	bool found = false, host = false;
	uint32_t n = 0;

	if (!na_survey_meta(v, frame, sizeof(*frame), 64))
		return false;
	for (const struct na_unit *u = frame->units; u && n <= frame->count; u = u->next, n++) {
		if (!na_survey_meta(v, u, sizeof(*u), 8) || u->frame != frame ||
		    !na_survey_meta(v, u->of, sizeof(*u->of), 64) || u->of->per != unit->of->per)
			return false;
		found = found || u == unit;
		host = host || u == frame->host;
	}
	return found && host && n == frame->count && frame->count <= frame->mapped;
}

/* What `taken` has to say of `n` slots of a unit: everything, but in a host what lives on the frame; in a private one what lives. */
static uint64_t should_be(const struct na_merge *m, const struct na_unit *unit, uint32_t from, uint32_t n)
{
	uint64_t bits = 0;

	if (!unit->frame)
		return na_merge_bits(m->own, unit->index * m->per + from, n);
	if (unit->frame->host != unit)
		return n == 64 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1;
	for (const struct na_unit *u = unit->frame->units; u; u = u->next)
		bits |= na_merge_bits(u->of->own, u->index * m->per + from, n);
	return bits;
}

static void check_unit(struct na_survey *v, struct na_merge *m, struct na_unit *unit)
{
	struct na_span *span = m->span;

	if (unit->of != m || m->unit + unit->index != unit || (unit->frame && !frame_whole(v, unit))) {
		na_fault(v, "span %p: a unit of merged pages is in no frame that knows it", (void *)span->base);
		return;
	}
	for (uint32_t i = 0; i < m->per; i += 64) {
		uint32_t n = m->per - i < 64 ? m->per - i : 64;
		uint64_t bits = na_merge_bits(span->taken, unit->index * m->per + i, n),
			 should = should_be(m, unit, i, n);

		/* A slot that was withdrawn from use is taken and lives nowhere: so it stays. */
		if (!(should & ~bits) ||
		    !na_fault(v, "span %p: a slot can be given out whose place on a shared page is taken",
			      (void *)span->base))
			continue;
		for (uint32_t k = 0; k < n; k++) {
			uint32_t slot = unit->index * m->per + i + k;

			if (!((should & ~bits) >> k & 1))
				continue;
			na_span_take(span, slot / 64, UINT64_C(1) << slot % 64);
			span->used++;
		}
		v->rebuilt++;
	}
}

void na_survey_merged(struct na_survey *v, struct na_span *span)
{
	struct na_merge *m = na_span_merge(span);
	uint32_t live = 0;

	if (!m)
		return;
	if (!record_whole(v, span, m)) {
		na_fault(v, "span %p: what is known of its merged pages is in doubt", (void *)span->base);
		return;
	}
	for (uint32_t i = 0; i < span->slots; i += 64)
		live += na_popcount(na_merge_bits(m->own, i, span->slots - i < 64 ? span->slots - i : 64));
	if (live != m->live &&
	    na_fault(v, "span %p: %u of its slots live, and it counts %u", (void *)span->base, live, m->live)) {
		m->live = live;
		v->rebuilt++;
	}
	for (uint32_t i = 0; i < m->units && !m->retired; i++)
		check_unit(v, m, &m->unit[i]);
}
