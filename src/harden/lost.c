/* SPDX-License-Identifier: BSD-3-Clause */
#include "harden/lost.h"

#include <errno.h>
#include <stdint.h>
#include <sys/prctl.h>

#include "base/log.h"
#include "base/options.h"
#include "cache/merge.h"
#include "heap/guard.h"
#include "heap/heap.h"
#include "pool/lost.h"

#ifndef BUS_MCEERR_AR
#define BUS_MCEERR_AR 4
#define BUS_MCEERR_AO 5
#endif

static struct sigaction before;

/* Every free of a block of the span comes to the slow path from now on, which looks. */
static void watch(struct na_segment *segment, struct na_span *span)
{
	uint32_t at = (uint32_t)(span - segment->span);

	for (uint32_t i = 0; i < span->slices && at + i < NA_SLICES; i++)
		atomic_store_explicit(&segment->id[at + i], 0, memory_order_relaxed);
}

static void tell(const struct na_pool *pool, uintptr_t page, size_t bytes, uintptr_t start, size_t size, bool live)
{
	uintptr_t from = page > start ? page - start : 0,
		  to = page + bytes - start < size ? page + bytes - start : size;

	if (live)
		na_log(NA_LOG_ERROR,
		       "memory error: the machine lost the page at %p of node %d; block %p of %zu bytes%s%s has lost "
		       "its bytes %zu to %zu",
		       (void *)page, pool->node, (void *)start, size, pool->named ? " of pool " : "",
		       pool->named ? pool->name : "", from, to - 1);
	else
		na_log(NA_LOG_ERROR,
		       "memory error: the machine lost the page at %p of node %d, which was free: nothing is lost",
		       (void *)page, pool->node);
}

/* All slots of a small span that lie on the page. */
static void tell_slots(const struct na_pool *pool, const struct na_span *span, uintptr_t page, size_t bytes)
{
	uintptr_t from = page > span->base ? page : span->base;
	uint32_t lost = 0;

	for (uint32_t slot = na_slot_of(span, (void *)from); slot < na_span_carved(span); slot++) {
		uintptr_t start = span->base + (uintptr_t)slot * span->size;
		struct na_block block;

		if (start >= page + bytes)
			break;
		/* Only the bitmaps: a look at the block itself would meet the page. One in a stack counts as live. */
		if (!na_slot_is_out(span, slot) ||
		    (atomic_load_explicit(&span->remote[slot / 64], memory_order_relaxed) >> (slot % 64) & 1))
			continue;
		block.start = start;
		block.size = span->size;
		if (lost++ < 8)
			tell(pool, page, bytes, block.start, block.size, true);
	}
	if (lost > 8)
		na_log(NA_LOG_ERROR, "memory error: and %u blocks more on that page", lost - 8);
	if (!lost)
		tell(pool, page, bytes, page, bytes, false);
}

bool na_lost_handle(const siginfo_t *info)
{
	unsigned int shift =
		(unsigned int)info->si_addr_lsb >= 12 && info->si_addr_lsb < 31 ? (unsigned int)info->si_addr_lsb : 12;
	size_t bytes = (size_t)1 << shift;
	uintptr_t page = (uintptr_t)info->si_addr & ~(bytes - 1);
	struct na_segment *segment;
	struct na_span *span;

	if (!na_address_valid((void *)page) || !na_map_covers(page, 1) || !(segment = na_segment_of((void *)page)))
		return false;
	atomic_fetch_add_explicit(&na_misuse.memory_errors, 1, memory_order_relaxed);
	if (!na_lost_note(page, bytes))
		return true; /* told already */
	span = na_span_of((void *)page);
	switch (na_span_kind(span)) {
	case NA_SPAN_SMALL:
		watch(segment, span);
		tell_slots(segment->pool, span, page, bytes);
		break;
	case NA_SPAN_LARGE:
	case NA_SPAN_HUGE:
		tell(segment->pool, page, bytes, span->base, span->length, page - span->base < span->length);
		break;
	default:
		tell(segment->pool, page, bytes, page, bytes, false);
	}
	return true;
}

static void handler(int number, siginfo_t *info, void *context)
{
	int saved = errno;
	bool error = info->si_code == BUS_MCEERR_AO || info->si_code == BUS_MCEERR_AR;

	if (error)
		na_lost_handle(info);
	if (before.sa_flags & SA_SIGINFO)
		before.sa_sigaction(number, info, context);
	else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
		before.sa_handler(number);
	else if (info->si_code != BUS_MCEERR_AO) /* it comes again, and ends the process */
		sigaction(number, &before, NULL);
	errno = saved;
}

void na_lost_start(void)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };

	sigemptyset(&action.sa_mask);
	if (sigaction(SIGBUS, &action, &before) == 0)
		prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0);
}
