/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An os table whose Nth mapping call fails, for tests of failure paths. na_faulty_os_install(n)
 * wraps the current table; the nth call from then on (1 is the next) returns -ENOMEM, and so do
 * all after it until na_faulty_os_remove(), which also tells how many calls there were.
 */
#ifndef NA_TESTS_FAULTY_OS_H
#define NA_TESTS_FAULTY_OS_H

#include <errno.h>
#include <stdatomic.h>

#include "os/os.h"

static struct na_os faulty_real;
static _Atomic long faulty_left, faulty_calls;

static int faulty(void)
{
	atomic_fetch_add(&faulty_calls, 1);
	return atomic_fetch_sub(&faulty_left, 1) <= 1;
}

static int faulty_map(void *at, size_t size, void **out)
{
	return faulty() ? -ENOMEM : faulty_real.map(at, size, out);
}

static int faulty_purge(void *at, size_t size)
{
	return faulty() ? -EPERM : faulty_real.purge(at, size);
}

static int faulty_protect(void *at, size_t size, bool open)
{
	return faulty() ? -ENOMEM : faulty_real.protect(at, size, open);
}

static int faulty_bind(void *at, size_t size, int node)
{
	return faulty() ? -EPERM : faulty_real.bind(at, size, node);
}

static int faulty_remap(void *at, size_t size, size_t grown, void *to)
{
	return faulty() ? -ENOMEM : faulty_real.remap(at, size, grown, to);
}

static int faulty_populate(void *at, size_t size)
{
	return faulty() ? -ENOMEM : faulty_real.populate(at, size);
}

static inline void na_faulty_os_install(long nth)
{
	faulty_real = na_os;
	faulty_left = nth;
	faulty_calls = 0;
	na_os.map = faulty_map;
	na_os.purge = faulty_purge;
	na_os.protect = faulty_protect;
	na_os.bind = faulty_bind;
	na_os.remap = faulty_remap;
	na_os.populate = faulty_populate;
}

static inline long na_faulty_os_remove(void)
{
	na_os = faulty_real;
	return faulty_calls;
}

#endif
