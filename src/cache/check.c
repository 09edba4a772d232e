/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/check.h"

#include <stdlib.h>

#include "base/bits.h"
#include "base/log.h"
#include "config.h"

const char *na_span_check(const struct na_span *span)
{
	uint32_t out = 0, padded = (span->slots + 63u) / 64 * 64;

	if (na_span_kind(span) != NA_SPAN_SMALL)
		return "a span in use is not of small blocks";
	if (span->slots != NA_SLICE / span->size || span->size != na_class_size(span->cls))
		return "slots, size and class of a span disagree";
	for (uint32_t i = 0; i < padded; i++) {
		if (span->state[i] != NA_SLOT_FREE && span->state[i] != NA_SLOT_ASIDE && span->state[i] != NA_SLOT_OUT)
			return "a state byte is neither free nor set aside nor out";
		if (i >= span->slots && span->state[i] != NA_SLOT_OUT)
			return "a slot past the span's end is free";
		out += i < span->slots && span->state[i] != NA_SLOT_FREE;
	}
	if (out != span->used)
		return "used is not the number of slots that are out";
	/* A remote bit where the slot is not out is no fault of ours: a program that frees twice, from two threads, sets
	 * it, and collecting it reports that. */
	return NULL;
}

static const char *check_bin(const struct na_cache *c, const struct na_bin *bin)
{
	const struct na_span *span = bin->span;
	const char *wrong;
	uint32_t count = na_cache_count(bin);

	if (bin->bits && !span)
		return "a bundle without a current span";
	if (span) {
		wrong = na_span_check(span);
		if (wrong)
			return wrong;
		if (span->listed)
			return "the current span is listed as well";
		if (na_popcount(bin->bits) > span->used)
			return "a bundle has more slots than are out";
	}
	for (span = bin->partial; count; count--, span = span->next) {
		if (span->bin != bin || !span->listed || span->next->prev != span)
			return "a ring of partial spans is broken";
		if (atomic_load_explicit(&span->cache, memory_order_relaxed) != c)
			return "a listed span belongs to another cache";
		wrong = na_span_check(span);
		if (wrong)
			return wrong;
	}
	return NULL;
}

const char *na_cache_check(const struct na_cache *c)
{
	for (unsigned int i = 0; i < NA_CLASSES; i++) {
		const char *wrong = check_bin(c, &c->bins[i]);

		if (wrong)
			return wrong;
	}
	return NULL;
}

void na_cache_enforce(const struct na_cache *c, const char *where)
{
#if NA_CHECKS
	const char *wrong = na_cache_check(c);

	if (!wrong)
		return;
	na_log(NA_LOG_ERROR, "%s: %s", where, wrong);
	abort();
#else
	(void)c;
	(void)where;
#endif
}
