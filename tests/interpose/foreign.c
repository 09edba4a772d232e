/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pointers that free must not get: not ours, inside a block, freed before. Each is reported on standard error, once, and
 * harms nothing: afterwards every block that is given out is checked to be nobody else's. glibc aborts
 * the program instead, so there is no oracle here but the header: "reported on standard error and left alone".
 */
#include "interpose.h"

#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>

#define MIB ((size_t)1 << 20)

static int in_static[64];

/* 4000 blocks of the size, all filled, none shared. */
static int heap_is_sound(size_t size)
{
	enum { N = 4000 };
	static unsigned char *p[N];
	size_t n = size * N > 400 * MIB ? 400 * MIB / size : N, looked = size < 4096 ? size : 4096;
	int bad = 0;

	for (size_t i = 0; i < n; i++) {
		p[i] = malloc(size);
		if (!p[i])
			return 0;
		check_fill(p[i], 0, looked, i);
	}
	for (size_t i = 0; i < n; i++) {
		bad += check_filled(p[i], 0, looked, i) != looked;
		free(p[i]);
	}
	return !bad;
}

static void expect_reported(int (*function)(void *), void *argument, int reports, const char *what)
{
	struct child c;

	child_run(function, argument, &c);
	CHILD_GOOD(&c, what);
	CHECK_MSG(child_lines_with(&c, "numarena: ") == reports, "%s: %d lines, not %d: %s", what,
		  child_lines_with(&c, "numarena: "), reports, c.text);
}

static int free_and_go_on(void *p)
{
	char text[32];

	free(p);
	snprintf(text, sizeof(text), "%p", p);
	CHECK(heap_is_sound(16) && heap_is_sound(100) && heap_is_sound(5000));
	return 0;
}

static void pointers_that_nobody_allocated(void)
{
	int on_stack[64];
	char *mapped = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *libc_own;

	memset(on_stack, 0, sizeof(on_stack));
	expect_reported(free_and_go_on, hide(&on_stack[8]), 1, "free of a stack address");
	expect_reported(free_and_go_on, hide(&in_static[8]), 1, "free of a static address");
	expect_reported(free_and_go_on, hide(mapped), 1, "free of a mapped page");
	expect_reported(free_and_go_on, hide(mapped + 16), 1, "free inside a mapped page");
	expect_reported(free_and_go_on, hide((void *)free_and_go_on), 1, "free of a function");
	expect_reported(free_and_go_on, hide((void *)16), 1, "free of 16");
	expect_reported(free_and_go_on, hide((void *)(uintptr_t)0x7fffffffe000), 1, "free of the highest address");
	libc_own = dlsym(RTLD_NEXT, "environ");
	if (libc_own)
		expect_reported(free_and_go_on, libc_own, 1, "free of a variable of libc's");
	munmap(mapped, 1 << 16);
	expect_reported(free_and_go_on, hide(mapped), 1, "free of an unmapped page");
}

static void addresses_that_cannot_be(void)
{
	/* Beyond what a process may have: reading there faults, and so may free, as a documented limit. Silence it is not. */
	static const uintptr_t wild[] = { UINTPTR_MAX, 0xdeadbeefdeadbeef, 0x4242424242424240 };

	for (size_t i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
		struct child c;

		child_run(free_and_go_on, hide((void *)wild[i]), &c);
		CHECK_MSG((WIFSIGNALED(c.status) && WTERMSIG(c.status) == SIGSEGV) || child_lines_with(&c, "numarena: ") == 1,
			  "free of %p: status %x: %s", (void *)wild[i], (unsigned int)c.status, c.text);
	}
}

static int free_inside(void *size_and_offset)
{
	size_t *a = size_and_offset;
	unsigned char *neighbours[64], *p;

	for (int i = 0; i < 64; i++)
		check_fill(neighbours[i] = malloc(a[0]), 0, 16, (uint64_t)i);
	p = neighbours[7];
	free(hide(p + a[1]));
	CHECK_MSG(malloc_usable_size(p) >= a[0], "a free at +%zu of a block of %zu has freed it", a[1], a[0]);
	CHECK(heap_is_sound(a[0]));
	for (int i = 0; i < 64; i++) {
		CHECK_EQ(check_filled(neighbours[i], 0, 16, (uint64_t)i), 16);
		free(neighbours[i]);
	}
	return 0;
}

static void pointers_into_large_blocks(void)
{
	static size_t cases[][2] = { { 40000, 16 }, { 40000, 4096 }, { 200000, 65536 }, { 200000, 65552 }, { 9 * MIB, 16 },
				     { 9 * MIB, 65536 }, { 9 * MIB, 8 * MIB } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_reported(free_inside, cases[i], 1, "free inside a large block");
}

static int resize_bad_pointer(void *p)
{
	CHECK(realloc(p, 100) == NULL);
	CHECK(heap_is_sound(100));
	return 0;
}

static void realloc_of_foreign_pointers(void)
{
	expect_reported(resize_bad_pointer, hide(&in_static[8]), 1, "realloc of a static address");
	expect_reported(resize_bad_pointer, hide((char *)malloc(300000) + 65536), 1, "realloc inside a block");
	expect_reported(resize_bad_pointer, hide((char *)malloc(3000) + 16), 1, "realloc inside a small block");
}

static void usable_size_of_foreign_pointers_is_zero(void)
{
	char *p = malloc(100000);
	int here = 0;

	CHECK_EQ(malloc_usable_size(hide(&here)), 0);
	CHECK_EQ(malloc_usable_size(hide(&in_static)), 0);
	CHECK_EQ(malloc_usable_size(hide(p + 65536)), 0);
	CHECK_EQ(malloc_usable_size(hide((void *)UINTPTR_MAX)), 0);
	free(p);
	CHECK_EQ(malloc_usable_size(hide(p)), 0);
}

static int twice_at_once(void *size)
{
	void *p = malloc(*(size_t *)size), *kept = malloc(*(size_t *)size);

	free(p);
	free(hide(p));
	CHECK(heap_is_sound(*(size_t *)size));
	free(kept);
	return 0;
}

static int twice_with_others_between(void *size)
{
	void *p[200];

	for (int i = 0; i < 200; i++)
		p[i] = malloc(*(size_t *)size);
	for (int i = 0; i < 200; i++)
		free(p[i]);
	free(hide(p[77]));
	CHECK(heap_is_sound(*(size_t *)size));
	return 0;
}

static void freed_twice(void)
{
	static size_t sizes[] = { 1, 16, 48, 100, 1000, 5000, 32768, 40000, 200000, 9 * MIB, 40 * MIB };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		expect_reported(twice_at_once, &sizes[i], 1, "freed twice in a row");
		expect_reported(twice_with_others_between, &sizes[i], 1, "freed twice with frees between");
	}
}

static void *free_it(void *p)
{
	free(p);
	return NULL;
}

static int twice_from_threads(void *who)
{
	int first = *(int *)who & 1, second = *(int *)who >> 1 & 1;
	void *p[100];
	pthread_t t;

	for (int i = 0; i < 100; i++)
		p[i] = malloc(64);
	for (int pass = 0; pass < 2; pass++) {
		if (pass ? second : first) {
			REQUIRE(pthread_create(&t, NULL, free_it, p[50]) == 0);
			pthread_join(t, NULL);
		} else {
			free(hide(p[50]));
		}
	}
	CHECK(heap_is_sound(64));
	return 0;
}

static void freed_twice_by_threads(void)
{
	static int who[] = { 1, 2, 3 };

	expect_reported(twice_from_threads, &who[0], 1, "freed by another thread, then by the owner");
	expect_reported(twice_from_threads, &who[1], 1, "freed by the owner, then by another thread");
	expect_reported(twice_from_threads, &who[2], 1, "freed by two other threads");
}

static int foreign_from_fresh_thread(void *p)
{
	pthread_t t;

	REQUIRE(pthread_create(&t, NULL, free_it, p) == 0);
	pthread_join(t, NULL);
	CHECK(heap_is_sound(64));
	return 0;
}

static void foreign_as_a_threads_first_call(void)
{
	expect_reported(foreign_from_fresh_thread, hide(&in_static[8]), 1, "a thread whose first call frees a foreign pointer");
}

/* Standard error closed: nowhere to report, and still no harm. */
static int without_stderr(void *p)
{
	close(STDERR_FILENO);
	free(p);
	return heap_is_sound(100) ? 0 : 3;
}

static void reports_need_no_standard_error(void)
{
	expect_reported(without_stderr, hide(&in_static[8]), 0, "no standard error");
}

int main(int argc, char **argv)
{
	(void)argc;
	if (interpose_libc())
		SKIP("glibc aborts on these; there is nothing to compare with");
	interpose_enter(argv);
	RUN(pointers_that_nobody_allocated);
	RUN(addresses_that_cannot_be);
	RUN(pointers_into_large_blocks);
	RUN(realloc_of_foreign_pointers);
	RUN(usable_size_of_foreign_pointers_is_zero);
	RUN(freed_twice);
	RUN(freed_twice_by_threads);
	RUN(foreign_as_a_threads_first_call);
	RUN(reports_need_no_standard_error);
	return check_result();
}
