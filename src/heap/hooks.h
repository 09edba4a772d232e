/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What upper layers want to hear from the heap's slow paths. api/ installs the table once, before
 * the maintenance thread starts; a NULL entry is skipped.
 */
#ifndef NA_HEAP_HOOKS_H
#define NA_HEAP_HOOKS_H

#include <stdint.h>

struct na_request;

struct na_heap_hooks {
	/* From the maintenance thread, with no lock held: do periodic work, and say in how many
	 * milliseconds to call again (UINT32_MAX: no need). May allocate. */
	uint32_t (*tick)(uint64_t now_ns);

	/* A request has failed, on the thread that made it, with no lock held: serves it by other means, or says why not and
	 * returns NULL. Not called for a thread that is in it already, nor within a system call of ours. */
	void *(*exhausted)(const struct na_request *request);

	/* Corruption was reported on this thread, or on one without a cache; no lock held. */
	void (*corrupted)(void);

	/* Compresses what may be, when memory is short, until so many bytes went back or there is no more; how many did. No lock held. Set when
	 * compression is first started: a pointer, read relaxed. */
	uint64_t (*compress)(uint64_t bytes);

	/* Compacts blocks that may move; bytes that went back. No lock held. */
	uint64_t (*compact)(void);

	/* For the report before an allocation fails for good: who holds what, as far as upper layers know (phases, call stacks). Calls
	 * `line` for each line of it. Must not allocate, nor take a lock that an allocating thread may hold. */
	void (*describe)(void (*line)(const char *text, void *closure), void *closure);

	/* A file for that report, to be closed by who asks; negative: none. Must not allocate. */
	int (*report_file)(void);
};

extern struct na_heap_hooks na_heap_hooks;

#endif
