/* SPDX-License-Identifier: BSD-3-Clause */
#include "recovery/handler.h"

#include <errno.h>
#include <stdatomic.h>

#include "base/log.h"
#include "heap/heap.h"

static _Atomic(na_handler) current; /* release: what the program prepared for it; acquire: its call */
static _Atomic uint64_t calls;	    /* relaxed: a statistic */

na_handler na_handler_set(na_handler handler)
{
	return atomic_exchange_explicit(&current, handler, memory_order_acq_rel);
}

uint64_t na_handler_calls(void)
{
	return atomic_load_explicit(&calls, memory_order_relaxed);
}

/* Calls the handler; false if there is none, or it runs already. The thread's state may move to another cache meanwhile. */
static bool call(struct na_failure *f, memory_error_t error)
{
	na_handler handler = atomic_load_explicit(&current, memory_order_acquire);

	if (!handler || f->in_handler)
		return false;
	f->in_handler = true;
	f->answer = NULL;
	atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
	handler(error);
	na_cache_current->failure.in_handler = false;
	return true;
}

/* What last_memory_error() shall tell the handler. */
static void note_error(const struct na_request *r, memory_error_t error)
{
	struct na_cache *c = na_cache_current;

	c->error = (int)error;
	na_format(c->error_text, sizeof(c->error_text), "no memory for %zu bytes: %llu held of %llu allowed", r->size,
		  (unsigned long long)na_pool_counted(), (unsigned long long)na_pool_ask_limit());
}

void *na_handler_ask(const struct na_request *r, memory_error_t error, bool *asked)
{
	struct na_failure *f = na_failure_here();
	uint64_t freed = 0;
	void *p;

	*asked = false;
	if (!f)
		return NULL;
	f->last = *r;
	if (atomic_load_explicit(&current, memory_order_relaxed))
		note_error(r, error);
	*asked = call(f, error);
	if (!*asked)
		return NULL;
	f = &na_cache_current->failure;
	p = f->answer;
	f->answer = NULL;
	/* One that only frees something, or defragments, has helped as well. */
	if (!p)
		p = na_request_try(r);
	if (!p)
		p = na_request_after_room(r, &freed);
	f = &na_cache_current->failure;
	f->last = *r; /* not what the handler itself asked for in vain */
	if (p)
		f->last.kind = NA_REQUEST_NONE;
	return p;
}

void na_handler_corrupted(void)
{
	struct na_failure *f = na_failure_here();
	struct na_request last;

	if (!f)
		return;
	last = f->last;
	/* What it retries is a request of before. */
	if (call(f, MEMORY_ERROR_CORRUPTION) && !na_cache_current->failure.answer)
		na_cache_current->failure.last = last;
	na_cache_current->failure.answer = NULL;
}

const struct na_request *na_handler_request(void)
{
	const struct na_failure *f = &na_cache_current->failure;

	return f->in_handler && f->busy ? &f->last : NULL;
}

int na_handler_retry(void **out)
{
	struct na_failure *f = na_failure_here();
	struct na_request r;
	uint64_t freed = 0;
	void *p;

	if (f && f->in_handler && f->answer) { /* once is enough: it is the same request */
		*out = f->answer;
		return 0;
	}
	if (!f || f->last.kind == NA_REQUEST_NONE ||
	    (f->last.kind == NA_REQUEST_NAMED && !na_named_valid(f->last.named)))
		return -EINVAL;
	r = f->last;
	p = na_request_try(&r);
	if (!p)
		p = f->in_handler ? na_request_after_room(&r, &freed) : na_request_recover(&r);
	if (!p)
		return -ENOMEM;
	f = &na_cache_current->failure;
	f->last.kind = NA_REQUEST_NONE;
	if (f->in_handler)
		f->answer = p;
	*out = p;
	return 0;
}
