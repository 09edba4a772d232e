/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages on standard error, one write(2) each so that lines of many ranks do not mix. Formats
 * into a stack buffer with a small printf of our own kind (%s %d %u %zu %llu %p %x): libc's may
 * allocate, and this must work inside malloc. Any thread, any time; keeps errno.
 */
#ifndef NA_BASE_LOG_H
#define NA_BASE_LOG_H

#include <stdarg.h>
#include <stddef.h>

enum na_log_level { NA_LOG_ERROR, NA_LOG_WARNING, NA_LOG_INFO, NA_LOG_DEBUG };

/* Printed if level <= na_options.verbose, as "numarena: [rank N: ]message". */
void na_log(enum na_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The small printf itself; returns the length written, the cut included. */
size_t na_format(char *out, size_t capacity, const char *format, ...) __attribute__((format(printf, 3, 4)));
size_t na_vformat(char *out, size_t capacity, const char *format, va_list args);

/* The rank to name in messages; -1 (the default): none. */
void na_log_set_rank(int rank);

#endif
