/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The black-box tests' harness: CHECK counts a failure and goes on, REQUIRE ends the program, RUN
 * names a case, SKIP ends with 77. Messages go to standard error without allocating, because
 * what is under test is the allocator. Usable from C and C++, from any thread; a program that hangs
 * dies of check_watchdog()'s alarm, which is a guard and not an assertion on time.
 */
#ifndef NA_TESTS_CHECK_H
#define NA_TESTS_CHECK_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int check_failures;
static const char *check_case = "";

static inline __attribute__((format(printf, 3, 4))) void check_fail(const char *file, int line, const char *format, ...)
{
	int failures = __atomic_add_fetch(&check_failures, 1, __ATOMIC_RELAXED);
	char text[1024];
	va_list args;
	int n;

	if (failures > 40) /* the first ones tell; a loop gone wrong must not fill a disk */
		return;
	n = snprintf(text, sizeof(text), "FAIL %s:%d: %s: ", file, line, check_case);
	va_start(args, format);
	n += vsnprintf(text + n, sizeof(text) - (size_t)n - 1, format, args);
	va_end(args);
	if (n > (int)sizeof(text) - 2)
		n = (int)sizeof(text) - 2;
	text[n++] = '\n';
	if (write(STDERR_FILENO, text, (size_t)n) < 0)
		_exit(99);
}

#define CHECK(condition) ((condition) ? (void)0 : check_fail(__FILE__, __LINE__, "%s", #condition))
#define CHECK_MSG(condition, ...) ((condition) ? (void)0 : check_fail(__FILE__, __LINE__, __VA_ARGS__))
#define CHECK_EQ(a, b)                                                                                            \
	do {                                                                                                      \
		long long check_a = (long long)(a), check_b = (long long)(b);                                     \
		if (check_a != check_b)                                                                           \
			check_fail(__FILE__, __LINE__, "%s is %lld, not %s (%lld)", #a, check_a, #b, check_b); \
	} while (0)
#define REQUIRE(condition)                                                         \
	do {                                                                       \
		if (!(condition)) {                                                \
			check_fail(__FILE__, __LINE__, "required: %s", #condition); \
			_exit(1);                                                  \
		}                                                                  \
	} while (0)
#define RUN(function)                     \
	do {                              \
		check_case = #function;   \
		function();               \
		check_case = "";          \
	} while (0)
#define SKIP(...)                      \
	do {                           \
		printf("SKIP: ");      \
		printf(__VA_ARGS__);   \
		printf("\n");          \
		fflush(stdout);        \
		_exit(77);             \
	} while (0)

static inline int check_result(void)
{
	if (check_failures)
		fprintf(stderr, "%d checks failed\n", check_failures);
	return check_failures ? 1 : 0;
}

static inline void check_watchdog(unsigned int seconds)
{
	alarm(seconds);
}

/* The compiler forgets what it knows of a value: pointers after free, sizes beyond sense. */
static inline void *hide(const void *p)
{
	__asm__ volatile("" : "+r"(p) : : "memory");
	return (void *)(uintptr_t)p;
}

static inline size_t hide_size(size_t n)
{
	__asm__ volatile("" : "+r"(n));
	return n;
}

/* A pattern that differs by block and place, so that an overlap or a wrong copy shows. */
static inline unsigned char check_byte(uint64_t seed, size_t at)
{
	uint64_t x = (seed + at / 8) * UINT64_C(0x9e3779b97f4a7c15);

	return (unsigned char)(x >> (8 * (at % 8)) >> 0 ^ x >> 56);
}

static inline void check_fill(void *block, size_t from, size_t to, uint64_t seed)
{
	unsigned char *p = (unsigned char *)block;

	for (size_t i = from; i < to; i++)
		p[i] = check_byte(seed, i);
}

/* Where the first wrong byte is, or `to`. */
static inline size_t check_filled(const void *block, size_t from, size_t to, uint64_t seed)
{
	const unsigned char *p = (const unsigned char *)block;
	size_t i = from;

	while (i < to && p[i] == check_byte(seed, i))
		i++;
	return i;
}

static inline uint64_t check_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

#endif
