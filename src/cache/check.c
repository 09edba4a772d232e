/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/check.h"

#include <stdlib.h>

#include "base/bits.h"
#include "base/log.h"
#include "cache/fast.h"
#include "config.h"

const char *na_span_check(const struct na_span *span)
{
	uint32_t out = 0, groups = (span->slots + 63u) / 64, carved = na_span_carved(span);

	if (na_span_kind(span) != NA_SPAN_SMALL)
		return "a span in use is not of small blocks";
	if (span->slices != na_class_slices(span->cls) || span->slots != span->slices * NA_SLICE / span->size ||
	    span->size != na_class_size(span->cls))
		return "slices, slots, size and class of a span disagree";
	for (uint32_t i = 0; i < groups; i++)
		out += na_popcount(na_span_taken(span, i));
	if (carved > span->slots || (carved < groups * 64 && !(na_span_taken(span, carved / 64) >> (carved % 64) & 1)))
		return "a slot that was never carved is free";
	if (out - (groups * 64 - carved) != span->used)
		return "used is not the number of slots that are taken";
	/* A remote bit where the slot is free is no fault of ours: a program that frees twice, from two threads, sets
	 * it, and collecting it reports that. */
	return NULL;
}

/* Blocks of other caches' spans are looked at no further: those caches run. The owner may pop and push meanwhile, if the maintenance thread checks
 * its cache: then what is read is of one moment or the next, either of which is right; ThreadSanitizer is told to pass over it. */
__attribute__((no_sanitize("thread"))) static const char *check_stack(struct na_cache *c, struct na_bin *bin,
								      unsigned int cls)
{
	if (bin->top < bin->floor || bin->top > bin->limit || bin->limit > bin->floor + bin->most || bin->cls != cls)
		return "a stack's top, limit or class is wrong";
	if (bin == &c->out[cls] && c->trap[cls].displaced &&
	    (c->trap[cls].at <= bin->floor || c->trap[cls].at > bin->top))
		return "a trap lies outside of its stack";
	if (*na_bin_at(bin, bin->floor))
		return "there is something below the bottom of a stack";
	for (uint32_t i = bin->floor + 1u; i <= bin->top; i++) {
		const struct na_trap *trap = &c->trap[cls];
		bool sprung = bin == &c->out[cls] && trap->displaced && trap->at == i;
		void *p = sprung ? trap->displaced : *na_bin_at(bin, i);
		struct na_span *span = na_span_of(p);
		uint32_t slot;

		if (sprung && *na_bin_at(bin, i))
			return "there is a block in the place of a trap";
		if (na_span_kind(span) != NA_SPAN_SMALL || span->cls != cls)
			return "a block in a stack is of another class";
		if (atomic_load_explicit(&span->cache, memory_order_relaxed) != c)
			continue;
		slot = na_slot_of(span, p);
		if (!(na_span_taken(span, slot / 64) >> (slot % 64) & 1))
			return "a block in a stack is free in its span";
	}
	return NULL;
}

static const char *check_class(struct na_cache *c, unsigned int cls)
{
	const struct na_kind *kind = &c->kind[cls];
	const struct na_span *span = kind->span;
	const char *wrong = NULL;
	uint32_t count = na_cache_count(kind);

	if (c->direct[0] && na_cache_bin(c, na_cache_id(c, cls))->most) {
		wrong = check_stack(c, na_cache_bin(c, na_cache_id(c, cls)), cls);
		if (!wrong && c->split)
			wrong = check_stack(c, &c->out[cls], cls);
	}
	if (!wrong && span)
		wrong = span->listed ? "the current span is listed as well" : na_span_check(span);
	for (span = kind->partial; count && !wrong; count--, span = span->next) {
		if (span->cls != cls || !span->listed || span->next->prev != span)
			return "a ring of partial spans is broken";
		if (atomic_load_explicit(&span->cache, memory_order_relaxed) != c)
			return "a listed span belongs to another cache";
		wrong = na_span_check(span);
	}
	return wrong;
}

const char *na_cache_check(const struct na_cache *c)
{
	for (unsigned int i = 0; i < NA_CLASSES; i++) {
		const char *wrong = check_class((struct na_cache *)(uintptr_t)c, i);

		if (wrong)
			return wrong;
	}
	return NULL;
}

#if NA_CHECKS
void na_cache_enforce(const struct na_cache *c, const char *where)
{
	const char *wrong = na_cache_check(c);

	if (!wrong)
		return;
	na_log(NA_LOG_ERROR, "%s: %s", where, wrong);
	abort();
}
#endif
