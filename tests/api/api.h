/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the tests of the documented calls share. They link the library as a user does, see its public headers alone, and
 * run with the C library's own malloc, so each is a second program that brings numarena for some of its data.
 *
 * ERROR(call, code, words...) holds an error to the documentation: its code, that it is this thread's last
 * one, and that the message has each word: the field at fault above all. api_again() starts the program once more
 * with other settings in the environment. NA_TEST_BRIEF=1 (under valgrind) means fewer rounds.
 */
#ifndef NA_TESTS_API_H
#define NA_TESTS_API_H

#include <errno.h>
#include <math.h>
#include <numarena/numarena.h>
#include <pthread.h>

#include "support/check.h"
#include "support/child.h"

#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)

static inline int api_brief(void)
{
	const char *value = getenv("NA_TEST_BRIEF");

	return value && *value == '1';
}

static inline void api_expect_error(memory_error_t got, memory_error_t wanted, const char *const *words,
				    const char *file, int line)
{
	if (got != wanted)
		check_fail(file, line, "error is \"%s\", not \"%s\"", memory_error_string(got),
			   memory_error_string(wanted));
	if (last_memory_error() != wanted)
		check_fail(file, line, "last_memory_error() is \"%s\", not \"%s\"",
			   memory_error_string(last_memory_error()), memory_error_string(wanted));
	for (; *words; words++)
		if (!strstr(last_memory_error_message(), *words))
			check_fail(file, line, "no \"%s\" in the message \"%s\"", *words, last_memory_error_message());
}
#define ERROR(call, wanted, ...)                                                                                       \
	api_expect_error((call), (wanted), (const char *const[]){ __VA_ARGS__, NULL }, __FILE__, __LINE__)
#define GOOD(call)                                                                                                     \
	do {                                                                                                           \
		memory_error_t api_got = (call);                                                                       \
		if (api_got)                                                                                           \
			check_fail(__FILE__, __LINE__, "%s: %s: %s", #call, memory_error_string(api_got),              \
				   last_memory_error_message());                                                       \
	} while (0)

static inline memory_stats_t api_stats(void)
{
	memory_stats_t stats;

	memset(&stats, 0xff, sizeof(stats));
	GOOD(get_memory_statistics(&stats));
	return stats;
}

static inline int api_aligned(const void *p, size_t alignment)
{
	return ((uintptr_t)p & (alignment - 1)) == 0;
}

/* An allocation that must fail: NULL, errno, the thread's last error, and the message. */
#define REFUSED(call, number, code, ...)                                                                               \
	do {                                                                                                           \
		void *api_block;                                                                                       \
		errno = 0;                                                                                             \
		api_block = (call);                                                                                    \
		CHECK_MSG(api_block == NULL, "%s gave a block", #call);                                                \
		CHECK_MSG(errno == (number), "%s: errno is %d, not %d", #call, errno, (number));                       \
		ERROR(last_memory_error(), (code), __VA_ARGS__);                                                       \
	} while (0)

struct api_program {
	const char *mode;
	const char *const *settings; /* "NAME=value", up to NULL */
};

static inline int api_exec(void *program)
{
	const struct api_program *p = program;
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	REQUIRE(n > 0);
	self[n] = '\0';
	for (const char *const *s = p->settings; *s; s++) {
		char name[64];
		size_t length = strcspn(*s, "=");

		REQUIRE(length < sizeof(name));
		memcpy(name, *s, length);
		name[length] = '\0';
		setenv(name, *s + length + 1, 1);
	}
	execl(self, self, p->mode, (char *)NULL);
	return 97;
}

/* This program, with `mode` as its argument and these settings, in a child whose standard error is caught. */
static inline void api_again(const char *mode, const char *const *settings, struct child *c)
{
	struct api_program program = { mode, settings };

	child_run(api_exec, &program, c);
}

/* Waits for what another thread must do some time; the watchdog ends a wait for what never comes. */
#define EVENTUALLY(condition)                                                                                          \
	do {                                                                                                           \
		while (!(condition))                                                                                   \
			usleep(2000);                                                                                  \
	} while (0)

#endif
