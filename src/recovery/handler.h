/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The program's error handler, and the request that it may retry.
 *
 * The handler is called on the thread whose request failed, or on which corruption was reported, at a point where no lock of ours
 * is held and no system call of ours is under way. Never again within itself: struct na_failure of the thread guards that. It may
 * allocate, free, and call everything public; what it asks for and does not get is NULL at once.
 *
 * A block that it gets from na_handler_retry() is what the failing call returns.
 */
#ifndef NA_RECOVERY_HANDLER_H
#define NA_RECOVERY_HANDLER_H

#include <numarena/error.h>

#include "heap/request.h"

typedef void (*na_handler)(memory_error_t);

/* The former one. NULL: none. */
na_handler na_handler_set(na_handler handler);

/* Remembers the request as this thread's last that failed, and asks the handler, if there is one. The block that came of it, or NULL.
 * *asked: whether it was called. */
void *na_handler_ask(const struct na_request *r, memory_error_t error, bool *asked);

/* From the heap, when corruption was reported. */
void na_handler_corrupted(void);

/* The thread's last failed request once more: 0 and the block; -ENOMEM; -EINVAL: there is none. */
int na_handler_retry(void **out);

/* The request that the handler runs for; NULL outside of it, and if it runs for something else. */
const struct na_request *na_handler_request(void);

uint64_t na_handler_calls(void);

#endif
