/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a thread remembers of its failing requests. It lies in the thread's cache, because that is the one place that each thread has
 * and that needs no allocation; heap/request.h and recovery/ have the meaning. Owner thread only, all of it.
 */
#ifndef NA_CACHE_FAILURE_H
#define NA_CACHE_FAILURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum na_request_kind {
	NA_REQUEST_NONE,
	NA_REQUEST_PLAIN, /* the default pool */
	NA_REQUEST_NAMED, /* a named pool's own */
	NA_REQUEST_GROUP, /* blocks with hints */
	NA_REQUEST_PLACED /* na_placed_allocate(): the fields from `placement` on */
};

struct na_request {
	uint8_t kind; /* enum na_request_kind */
	bool zero;
	bool strict, huge;
	uint8_t placement; /* enum na_placed */
	int16_t node;
	uint32_t parts, hint;
	size_t size;
	size_t alignment; /* a power of two */
	void *named;	  /* struct na_named, by then perhaps destroyed */
};

struct na_failure {
	struct na_request last; /* the last request that failed for good, or the one being recovered */
	void *answer;		/* a block that the program's handler has got by retrying it */
	uint8_t quiet;		/* above 0: requests are parts of another, which speaks for them */
	bool busy;		/* recovery is at work for this thread */
	bool in_handler;	/* the program's handler runs */
	bool corrupted; /* a report of corruption that the handler has not heard of; of threads without a cache it is
				 * one for all: relaxed atomic */
};

#endif
