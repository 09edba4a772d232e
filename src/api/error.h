/* SPDX-License-Identifier: BSD-3-Clause */
/* Setting the calling thread's last error. The sentence lives in the thread's cache; see cache.h. */
#ifndef NA_API_ERROR_H
#define NA_API_ERROR_H

#include <numarena/error.h>

/* Returns the error, so that a caller can `return na_error(...)`. The MPI layer, a library of its own, calls it by
 * its label. */
memory_error_t na_error(memory_error_t error, const char *format, ...) __asm__("numarena_internal_error")
	__attribute__((format(printf, 2, 3), visibility("default")));

#endif
