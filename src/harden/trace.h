/* SPDX-License-Identifier: BSD-3-Clause */
/* Call stacks that the hardened mode keeps, and their lines in messages. Takes no lock of ours and allocates nothing. */
#ifndef NA_HARDEN_TRACE_H
#define NA_HARDEN_TRACE_H

#include <stddef.h>
#include <stdint.h>

#define NA_TRACE_FRAMES 8

struct na_trace {
	uint32_t thread; /* the kernel's number; 0: no trace */
	uint32_t depth;
	uintptr_t frame[NA_TRACE_FRAMES];
};

/* The calling thread's, from the program's frame on; or only who called, which costs nothing. */
void na_trace_take(struct na_trace *t);
void na_trace_caller(struct na_trace *t, const void *caller);

/* "  freed by thread N:" and a line a frame, on standard error. */
void na_trace_print(const char *what, const struct na_trace *t);

#endif
