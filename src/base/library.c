/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loading is done without a lock of ours: a library's constructor may come back to us, from the thread that loads it or
 * from one that waits for it in the loader. Threads that come at once each load it, which the loader counts and answers
 * alike, and the first to have all pointers publishes them.
 */
#include "base/library.h"

#include <dlfcn.h>
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "base/log.h"

enum { UNTRIED, FILLING, READY, MISSING };

static int settled(int state)
{
	return state == READY ? 0 : -ENOENT;
}

/* NULL, or the loader's words on what is missing. */
static const char *resolve(const struct na_library *library, void **pointers)
{
	void *handle = dlopen(library->soname, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	const char *why;

	for (size_t i = 0; handle && i < library->count; i++) {
		pointers[i] = dlsym(handle, library->names[i]);
		if (!pointers[i])
			handle = NULL;
	}
	if (handle)
		return NULL;
	why = dlerror();
	return why ? why : "no reason is given";
}

int na_library_load(struct na_library *library)
{
	int state = atomic_load_explicit(&library->state, memory_order_acquire), expected = UNTRIED;
	void *pointers[NA_LIBRARY_CALLS];
	const char *why;

	if (state >= READY)
		return settled(state);
	why = resolve(library, pointers);
	if (atomic_compare_exchange_strong_explicit(&library->state, &expected, FILLING, memory_order_relaxed,
						    memory_order_relaxed)) {
		if (why)
			na_log(NA_LOG_ERROR, "%s cannot be used (%s): %s", library->soname, why, library->without);
		else
			memcpy(library->table, pointers, library->count * sizeof(*pointers));
		atomic_store_explicit(&library->state, why ? MISSING : READY, memory_order_release);
		return settled(why ? MISSING : READY);
	}
	while ((state = atomic_load_explicit(&library->state, memory_order_acquire)) == FILLING)
		sched_yield();
	return settled(state);
}
