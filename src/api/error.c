/* SPDX-License-Identifier: BSD-3-Clause */
#include "api/error.h"

#include "api/life.h"

#include "base/log.h"
#include "cache/cache.h"

memory_error_t na_error(memory_error_t error, const char *format, ...)
{
	struct na_cache *c = na_cache_here();
	va_list args;

	if (!c) /* no memory even for the thread's cache: the code is all that the caller gets */
		return error;
	va_start(args, format);
	c->error = (int)error;
	na_vformat(c->error_text, sizeof(c->error_text), format, args);
	va_end(args);
	return error;
}

memory_error_t last_memory_error(void)
{
	return (memory_error_t)na_cache_current->error;
}

const char *last_memory_error_message(void)
{
	return na_cache_current->error_text;
}

const char *memory_error_string(memory_error_t error)
{
	switch (error) {
	case MEMORY_ERROR_NONE:
		return "no error";
	case MEMORY_ERROR_ALLOCATION:
		return "out of memory";
	case MEMORY_ERROR_FRAGMENTATION:
		return "memory too fragmented";
	case MEMORY_ERROR_CORRUPTION:
		return "memory corruption";
	case MEMORY_ERROR_INVALID_ARGUMENT:
		return "invalid argument";
	case MEMORY_ERROR_BUSY:
		return "in use";
	case MEMORY_ERROR_PERMISSION:
		return "not permitted";
	case MEMORY_ERROR_UNSUPPORTED:
		return "not supported";
	case MEMORY_ERROR_IO:
		return "input/output error";
	}
	return "unknown error";
}
