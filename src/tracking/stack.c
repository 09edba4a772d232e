/* SPDX-License-Identifier: BSD-3-Clause */
#include "tracking/stack.h"

#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unwind.h>

#include "base/library.h"
#include "base/log.h"
#include "pool/segment.h"

struct unwinder {
	_Unwind_Reason_Code (*backtrace)(_Unwind_Trace_Fn, void *);
	_Unwind_Ptr (*ip)(struct _Unwind_Context *);
};

#ifdef PIC

static struct unwinder unwinder;

static int load(void)
{
	static const char *const names[] = { "_Unwind_Backtrace", "_Unwind_GetIP" };
	static struct na_library library = { .soname = "libgcc_s.so.1",
					     .without = "samples have no call stacks",
					     .names = names,
					     .count = 2,
					     .table = &unwinder };

	_Static_assert(sizeof(unwinder) == sizeof(names), "a pointer for each name");
	return na_library_load(&library);
}

#else

static struct unwinder unwinder = { _Unwind_Backtrace, _Unwind_GetIP };

static int load(void)
{
	return 0;
}

#endif

/* Addresses of libnumarena and libnumarena-malloc; a static one's are the program's, and stay. Written before `ready`. */
static struct {
	uintptr_t from, to;
} ours[2];
static size_t ours_count;
static _Atomic bool ready; /* release: the unwinder has been called once; acquire */

static int find_ours(struct dl_phdr_info *info, size_t size, void *first)
{
	uintptr_t from = UINTPTR_MAX, to = 0, here = (uintptr_t)&na_stack_walk;
	bool is_program = *(int *)first == 0;

	(void)size;
	*(int *)first = 1;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + p->p_vaddr;

		if (p->p_type != PT_LOAD)
			continue;
		from = start < from ? start : from;
		to = start + p->p_memsz > to ? start + p->p_memsz : to;
	}
	if (is_program || ours_count == 2 ||
	    !((here >= from && here < to) || (info->dlpi_name && strstr(info->dlpi_name, "/libnumarena-malloc."))))
		return 0;
	ours[ours_count].from = from;
	ours[ours_count++].to = to;
	return 0;
}

/* Under a tight address limit parts of the map go back (na_map_slim()), and the loader may put a library there: within what it takes for
 * ours. Its unwinder then finds no table for itself, and aborts. */
static bool is_in_our_place(void)
{
	uintptr_t at = (uintptr_t)unwinder.backtrace, map = (uintptr_t)&na_map;

	return at >= map && at < map + sizeof(na_map);
}

void na_stack_prepare(void)
{
	static _Atomic bool begun;
	uintptr_t frames[4];
	int seen = 0;

	if (atomic_exchange_explicit(&begun, true, memory_order_relaxed) || load() < 0)
		return;
	if (is_in_our_place()) {
		na_log(NA_LOG_INFO,
		       "no call stacks: the limit on address space (ulimit -v) is too tight for the unwinder");
		return;
	}
	dl_iterate_phdr(find_ours, &seen);
	atomic_store_explicit(&ready, true, memory_order_release);
	na_stack_walk(frames, 4); /* what the unwinder sets up at its first call, it does now */
}

struct walk {
	uintptr_t *frames;
	size_t count, most;
	bool outside; /* past our own frames */
};

static bool is_ours(uintptr_t at)
{
	for (size_t i = 0; i < ours_count; i++)
		if (at >= ours[i].from && at < ours[i].to)
			return true;
	return false;
}

static _Unwind_Reason_Code step(struct _Unwind_Context *context, void *closure)
{
	struct walk *w = closure;
	uintptr_t at = unwinder.ip(context);

	if (!w->outside && is_ours(at))
		return _URC_NO_REASON;
	w->outside = true;
	if (!at || w->count == w->most)
		return _URC_END_OF_STACK;
	w->frames[w->count++] = at;
	return _URC_NO_REASON;
}

size_t na_stack_walk(uintptr_t *frames, size_t n)
{
	struct walk w = { frames, 0, n, false };

	if (atomic_load_explicit(&ready, memory_order_acquire))
		unwinder.backtrace(step, &w);
	return w.count;
}
