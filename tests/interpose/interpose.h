/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a program gets under test: interpose_enter() starts it again with libnumarena-malloc preloaded,
 * unless it is linked with it (CHECK_LINKED), or NA_TEST_LIBC=1 asks for the C library's own
 * allocator, which is how the tests themselves are tested. Either way it verifies whose malloc is called.
 * NA_TEST_MALLOC names another library to preload, such as the installed one.
 */
#ifndef NA_TESTS_INTERPOSE_H
#define NA_TESTS_INTERPOSE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>

#include "support/check.h"
#include "support/child.h"

#define INTERPOSE_LIBRARY NA_TEST_BUILD "/src/interpose/.libs/libnumarena-malloc.so"

static inline const char *interpose_library(void)
{
	const char *path = getenv("NA_TEST_MALLOC");

	return path && *path ? path : INTERPOSE_LIBRARY;
}

static inline int interpose_libc(void)
{
	const char *value = getenv("NA_TEST_LIBC");

	return value && *value == '1';
}

/* Whether calls of malloc go to numarena. */
static inline int interpose_active(void)
{
	void *p = dlsym(RTLD_DEFAULT, "malloc");
	Dl_info info;

	return p && dladdr(p, &info) && info.dli_fname && strstr(info.dli_fname, "libnumarena-malloc");
}

/* extra: further libraries to preload, after ours, separated by ':'; or NULL. */
static inline void interpose_enter_with(char **argv, const char *extra)
{
	char preload[4096];

	check_watchdog(240);
	if (interpose_libc() || interpose_active()) {
		unsetenv("LD_PRELOAD"); /* programs that the test starts choose for themselves */
		if (!interpose_libc())
			REQUIRE(interpose_active());
		return;
	}
#ifdef CHECK_LINKED
	check_fail(__FILE__, __LINE__, "linked with libnumarena-malloc, but malloc is another's");
	_exit(1);
#endif
	if (getenv("NA_TEST_ENTERED")) {
		check_fail(__FILE__, __LINE__, "preloading %s had no effect", interpose_library());
		_exit(1);
	}
	snprintf(preload, sizeof(preload), "%s%s%s", interpose_library(), extra ? ":" : "", extra ? extra : "");
	setenv("NA_TEST_ENTERED", "1", 1);
	setenv("LD_PRELOAD", preload, 1);
	execv("/proc/self/exe", argv);
	REQUIRE(!"exec of /proc/self/exe");
}

static inline void interpose_enter(char **argv)
{
	interpose_enter_with(argv, NULL);
}

#endif
