/* SPDX-License-Identifier: BSD-3-Clause */
#include "recovery/climb.h"

#include <errno.h>
#include <stdatomic.h>

#include "base/log.h"
#include "base/options.h"
#include "heap/beyond.h"
#include "heap/heap.h"
#include "heap/hooks.h"
#include "heap/pressure.h"
#include "os/lock.h"
#include "os/os.h"
#include "recovery/handler.h"
#include "recovery/oom.h"
#include "recovery/pass.h"

#define WAIT_SHARE 10 /* of the time, when a fallback serves in the meantime */

static _Atomic uint64_t requests, served[NA_STEPS], retries, waited; /* relaxed: statistics */
static _Atomic uint64_t wait_again_ms;				     /* relaxed: a hint */

/* What was done for a request. */
struct climb {
	const struct na_request *r;
	enum na_step by;
	uint64_t purged, compressed, defragmented;
	uint32_t retries, waited_ms;
	bool tried_node, tried_system, asked;
};

static uint64_t setting(const uint64_t *field)
{
	return __atomic_load_n(field, __ATOMIC_RELAXED);
}

static void count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static void *by(struct climb *c, enum na_step step, void *p)
{
	if (p)
		c->by = step;
	return p;
}

static void *make_room(struct climb *c)
{
	void *p = by(c, NA_STEP_PURGE, na_request_after_room(c->r, &c->purged));
	uint64_t bytes;

	if (p || !setting(&na_options.recovery))
		return p;
	bytes = na_heap_hooks.compress ? na_heap_hooks.compress(c->r->size + NA_SEGMENT / 8) : 0;
	c->compressed += bytes;
	if (bytes)
		p = by(c, NA_STEP_COMPRESS, na_request_try(c->r));
	if (p)
		return p;
	bytes = na_pass_make_room();
	c->defragmented += bytes;
	return bytes ? by(c, NA_STEP_DEFRAGMENT, na_request_try(c->r)) : NULL;
}

static bool may_wait(const struct climb *c)
{
	if (!setting(&na_options.recovery) || c->retries >= setting(&na_options.max_retries) || na_os_inside)
		return false;
	if (c->r->kind != NA_REQUEST_NAMED && c->r->size > na_pool_ask_limit()) /* whatever others free */
		return false;
	return setting(&na_options.fallback) == NA_FALLBACK_NONE ||
	       na_os_coarse_ms() >= atomic_load_explicit(&wait_again_ms, memory_order_relaxed);
}

/* Not by nanosleep(), where a thread may be cancelled: malloc is no such place. */
static void wait_some(struct climb *c)
{
	_Atomic uint32_t nobody = 0;
	uint32_t delay = (uint32_t)setting(&na_options.retry_delay);
	uint64_t end = na_os_now_ns() / 1000000 + delay, now;

	while ((now = na_os_now_ns() / 1000000) < end)
		na_futex_wait(&nobody, 0, (uint32_t)(end - now));
	c->retries++;
	c->waited_ms += delay;
	count(&retries, 1);
	count(&waited, delay);
}

static void *retry(struct climb *c)
{
	void *p = make_room(c);

	while (!p && may_wait(c)) {
		wait_some(c);
		p = by(c, NA_STEP_RETRY, na_request_try(c->r));
		if (!p)
			p = make_room(c);
	}
	if (!p && c->retries)
		atomic_store_explicit(&wait_again_ms, na_os_coarse_ms() + (uint64_t)WAIT_SHARE * c->waited_ms,
				      memory_order_relaxed);
	return p;
}

/* Blocks of a named pool, and placed ones, are only what they are if they come from there. */
static void *fall_back(struct climb *c)
{
	uint64_t fallback = setting(&na_options.fallback);
	void *p;

	if (!setting(&na_options.recovery) || fallback == NA_FALLBACK_NONE || c->r->kind != NA_REQUEST_PLAIN)
		return NULL;
	c->tried_node = true;
	p = by(c, NA_STEP_NODE, na_request_elsewhere(c->r));
	if (p || fallback != NA_FALLBACK_SYSTEM)
		return p;
	c->tried_system = true;
	if (na_beyond_open() < 0) /* from the environment; else it is open since the program asked for it */
		return NULL;
	return by(c, NA_STEP_SYSTEM, na_beyond_allocate(c->r->size, c->r->alignment, c->r->zero));
}

memory_error_t na_climb_error(uint64_t size)
{
	uint64_t limit = na_pool_ask_limit(), counted = na_pool_counted();
	int64_t published = atomic_load_explicit(&na_live, memory_order_relaxed);
	uint64_t live = published > 0 ? (uint64_t)published : 0;

	if (size < NA_SLICE)
		size = NA_SLICE;
	if (!NA_ABSURD(size) && counted + size > limit && live + size <= limit && counted - counted / 4 >= live)
		return MEMORY_ERROR_FRAGMENTATION;
	return MEMORY_ERROR_ALLOCATION;
}

static const char *outcome(const struct climb *c)
{
	static const char *const words[NA_STEPS] = { "served after free memory went back",
						     "served after compression",
						     "served after defragmentation",
						     "served by a retry",
						     "served by another node",
						     "served by the system allocator",
						     "served by the program's handler",
						     "refused" };

	return words[c->by];
}

static void log_line(const struct climb *c)
{
	const struct na_request *r = c->r;
	int64_t live = atomic_load_explicit(&na_live, memory_order_relaxed);

	na_log(NA_LOG_WARNING,
	       "recovery: %zu bytes on node %d%s%s: %s; tried: purge (%llu bytes), compression (%llu), defragmentation "
	       "(%llu), "
	       "%u retries in %u ms%s%s%s; %llu live, %llu held of %llu allowed",
	       r->size, r->kind == NA_REQUEST_PLACED && r->node > 0 ? r->node : na_pool_here()->node,
	       r->kind == NA_REQUEST_NAMED ? ", pool " : "", r->kind == NA_REQUEST_NAMED ? na_named_name(r->named) : "",
	       outcome(c), (unsigned long long)c->purged, (unsigned long long)c->compressed,
	       (unsigned long long)c->defragmented, c->retries, c->waited_ms, c->tried_node ? ", other nodes" : "",
	       c->tried_system ? ", the system" : "", c->asked ? ", the program's handler" : "",
	       (unsigned long long)(live > 0 ? live : 0), (unsigned long long)na_pool_counted(),
	       (unsigned long long)na_pool_ask_limit());
}

/* A named pool that is full is what it was made for, and so is a strict placement that cannot be: the process has memory. */
static bool is_its_own_affair(const struct na_request *r)
{
	return (r->kind == NA_REQUEST_NAMED && na_named_is_full(r->named, r->size)) ||
	       (r->kind == NA_REQUEST_PLACED && r->strict);
}

void *na_climb_exhausted(const struct na_request *r)
{
	struct climb c = { .r = r, .by = NA_STEP_NONE };
	void *p = NULL;

	count(&requests, 1);
	if (!NA_ABSURD(r->size))
		p = retry(&c);
	if (!p && !NA_ABSURD(r->size))
		p = fall_back(&c);
	if (!p)
		p = by(&c, NA_STEP_HANDLER, na_handler_ask(r, na_climb_error(r->size), &c.asked));
	count(&served[c.by], 1);
	if (setting(&na_options.recovery_logging) && setting(&na_options.recovery))
		log_line(&c);
	if (!p && !is_its_own_affair(r)) {
		na_recovery_failed(r->size);
		na_oom_report(r);
	}
	return p;
}

void na_climb_figures(struct na_climb_figures *out)
{
	out->requests = atomic_load_explicit(&requests, memory_order_relaxed);
	for (int i = 0; i < NA_STEPS; i++)
		out->served[i] = atomic_load_explicit(&served[i], memory_order_relaxed);
	out->retries = atomic_load_explicit(&retries, memory_order_relaxed);
	out->waited_ms = atomic_load_explicit(&waited, memory_order_relaxed);
}
