/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages of this layer on standard error, each one write, unless NUMARENA_VERBOSE is 0; and the last error of
 * the calls in numarena/mpi.h, which the core keeps.
 */
#ifndef NA_MPI_MESSAGE_H
#define NA_MPI_MESSAGE_H

#include <numarena/error.h>
#include <stdbool.h>

/* Whether NUMARENA_VERBOSE allows messages at all. */
bool na_message_wanted(void);

void na_message(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Sets the calling thread's last error and returns it. The core's own function, by its label. */
memory_error_t na_core_error(memory_error_t error, const char *format, ...) __asm__("numarena_internal_error")
	__attribute__((format(printf, 2, 3)));

#endif
