/* SPDX-License-Identifier: BSD-3-Clause */
#include "harden/trace.h"

#include <dlfcn.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "tracking/stack.h"

/* The kernel's number costs a system call: once a thread. (Threads of a forked child keep that of the parent's.) */
static uint32_t thread_number(void)
{
	static __thread uint32_t number __attribute__((tls_model("initial-exec")));

	if (!number)
		number = (uint32_t)syscall(SYS_gettid);
	return number;
}

void na_trace_take(struct na_trace *t)
{
	t->thread = thread_number();
	t->depth = (uint32_t)na_stack_walk(t->frame, NA_TRACE_FRAMES);
}

void na_trace_caller(struct na_trace *t, const void *caller)
{
	t->thread = thread_number();
	t->depth = caller != NULL;
	t->frame[0] = (uintptr_t)caller;
}

void na_trace_print(const char *what, const struct na_trace *t)
{
	if (!t->thread) {
		na_log(NA_LOG_ERROR, "  %s: not recorded", what);
		return;
	}
	na_log(NA_LOG_ERROR, "  %s by thread %u:%s", what, t->thread, t->depth ? "" : " from where is not known");
	for (uint32_t i = 0; i < t->depth && i < NA_TRACE_FRAMES; i++) {
		const char *name = NULL;
		Dl_info info;

		if (dladdr((void *)t->frame[i], &info) && info.dli_fname)
			name = info.dli_fname;
		else
			info.dli_sname = NULL;
		na_log(NA_LOG_ERROR, "    #%u %p %s%s%s (+0x%lx)", i, (void *)t->frame[i],
		       info.dli_sname ? info.dli_sname : "", info.dli_sname ? " in " : "", name ? name : "?",
		       (unsigned long)(name ? t->frame[i] - (uintptr_t)info.dli_fbase : 0));
	}
}
