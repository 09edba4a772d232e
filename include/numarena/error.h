/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Errors. Functions that can fail return memory_error_t, 0 being success; allocators return NULL
 * and set errno. Either way, but for the C library's calls of memory.h, which have errno alone, last_memory_error() tells the calling thread what happened and
 * last_memory_error_message() names the field, file or size at fault.
 */
#ifndef NUMARENA_ERROR_H
#define NUMARENA_ERROR_H

#include <numarena/base.h>

NUMARENA_BEGIN

typedef enum memory_error {
	MEMORY_ERROR_NONE = 0,
	MEMORY_ERROR_ALLOCATION,       /* out of memory, or past a limit */
	MEMORY_ERROR_FRAGMENTATION,    /* memory is there, but not in pieces that serve */
	MEMORY_ERROR_CORRUPTION,       /* a pointer we never gave out, one returned twice, damaged metadata */
	MEMORY_ERROR_INVALID_ARGUMENT, /* a field or argument outside what is allowed; nothing was changed */
	MEMORY_ERROR_BUSY,             /* cannot change while in use */
	MEMORY_ERROR_PERMISSION,       /* the kernel or a container refused */
	MEMORY_ERROR_UNSUPPORTED,      /* not on this machine, or not in this build */
	MEMORY_ERROR_IO                /* a file could not be read or written */
} memory_error_t;

/* The calling thread's last error; MEMORY_ERROR_NONE if it had none. Never resets. Thread-safe. */
memory_error_t last_memory_error(void) NUMARENA_CALL(last_memory_error);

/* What went wrong, in a sentence that names the thing: valid until this thread's next failing
 * call; "" if there was none. Thread-safe. */
const char *last_memory_error_message(void) NUMARENA_CALL(last_memory_error_message);

/* A short English name for an error, static storage, never NULL. Thread-safe. */
const char *memory_error_string(memory_error_t error) NUMARENA_CALL(memory_error_string);

NUMARENA_END
#endif
