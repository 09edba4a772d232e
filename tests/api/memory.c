/* SPDX-License-Identifier: BSD-3-Clause */
/* The C library's calls under names of their own, beside the C library's, and what can be asked about a pointer. */
#include "api/api.h"

static void semantics_are_the_c_librarys(void)
{
	unsigned char *p = allocate_memory(100), *q;

	CHECK(p && api_aligned(p, 16));
	check_fill(p, 0, 100, 1);
	errno = 77;
	p = resize_memory(p, 50000);
	CHECK_EQ(check_filled(p, 0, 100, 1), 100);
	CHECK_EQ(errno, 77);
	release_memory(NULL);
	q = resize_memory(NULL, 300);
	CHECK(q != NULL);
	CHECK(resize_memory(q, hide_size(0)) == NULL); /* freed, as glibc does */
	release_memory(p);
	CHECK_EQ(errno, 77);
	p = allocate_memory(hide_size(0));
	q = allocate_memory(hide_size(0));
	CHECK(p && q && p != q);
	release_memory(p);
	release_memory(q);
}

static void zeroed_memory(void)
{
	for (size_t size = 1; size < 20 * MIB; size = size * 3 + 1) {
		unsigned char *p = allocate_memory(size), *z;
		size_t at = 0;

		memset(p, 0xff, allocation_size(p));
		release_memory(p);
		z = allocate_zeroed_memory(size % 2 ? 1 : size, size % 2 ? size : 1);
		while (at < size && z[at] == 0)
			at++;
		CHECK_EQ(at, size);
		memset(z, 1, size);
		release_memory(z);
	}
}

static void failed(void *p, const char *what)
{
	CHECK_MSG(p == NULL && errno == ENOMEM, "%s: %p, errno %d", what, p, errno);
	errno = 0;
}

static void impossible_sizes(void)
{
	const size_t sizes[] = { SIZE_MAX, SIZE_MAX - 16, SIZE_MAX - 65536, (size_t)PTRDIFF_MAX + 1, (size_t)1 << 60 };
	unsigned char *kept = allocate_memory(64);

	check_fill(kept, 0, 64, 3);
	errno = 0;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t size = hide_size(sizes[i]);

		failed(allocate_memory(size), "allocate_memory");
		failed(allocate_zeroed_memory(1, size), "allocate_zeroed_memory");
		failed(allocate_aligned_memory(4096, size), "allocate_aligned_memory");
		failed(resize_memory(hide(kept), size), "resize_memory");
	}
	failed(allocate_zeroed_memory(hide_size(SIZE_MAX), 2), "a product that overflows");
	failed(allocate_zeroed_memory(hide_size((size_t)1 << 33), hide_size(((size_t)1 << 31) + 1)),
	       "a product that overflows");
	CHECK_EQ(check_filled(kept, 0, 64, 3), 64);
	release_memory(kept);
}

static void aligned_memory(void)
{
	const size_t bad[] = { 0, 3, 48, 2 * GIB, SIZE_MAX };

	for (size_t alignment = 1; alignment <= (api_brief() ? MIB : GIB); alignment *= 4)
		for (size_t size = 0; size < 2 * MIB; size = size * 5 + 7) {
			void *p = allocate_aligned_memory(alignment, size);

			CHECK(p && api_aligned(p, alignment) && api_aligned(p, 16));
			memset(p, 1, size);
			release_memory(p);
		}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		errno = 0;
		CHECK(allocate_aligned_memory(hide_size(bad[i]), 100) == NULL);
		CHECK_EQ(errno, EINVAL);
	}
}

static void what_a_pointer_is(void)
{
	static const size_t sizes[] = { 0, 1, 100, 5000, 40000, 300000, 9 * MIB };
	int here = 0;
	char *libc = malloc(100);

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *p = allocate_memory(sizes[i]);
		size_t size = allocation_size(p);

		CHECK(size >= sizes[i] && size > 0);
		CHECK(allocation_node(p) >= 0);
		CHECK(in_memory_pool(p) && in_memory_pool(p + size - 1));
		if (size > 32)
			CHECK_EQ(allocation_size(p + 16), 0);
		release_memory(p);
		CHECK_EQ(allocation_size(hide(p)), 0);
		CHECK_EQ(allocation_node(hide(p)), -1);
		CHECK(!in_memory_pool(hide(p)));
	}
	const void *foreign[] = {
		NULL, &here, libc, (void *)(uintptr_t)semantics_are_the_c_librarys, (void *)UINTPTR_MAX, (void *)8
	};

	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		CHECK_EQ(allocation_size(hide(foreign[i])), 0);
		CHECK_EQ(allocation_node(hide(foreign[i])), -1);
		CHECK(!in_memory_pool(hide(foreign[i])));
	}
	free(libc);
}

/* "Free it here if ours, else with libc", on blocks of both kinds in one table. */
static void the_two_heaps_side_by_side(void)
{
	enum { N = 2000 };
	static unsigned char *p[N];
	memory_stats_t before = api_stats();

	for (size_t i = 0; i < N; i++) {
		p[i] = i % 2 ? malloc(i) : allocate_memory(i);
		check_fill(p[i], 0, i, i);
	}
	for (size_t i = 0; i < N; i++) {
		CHECK_EQ(in_memory_pool(p[i]), i % 2 == 0);
		CHECK_EQ(check_filled(p[i], 0, i, i), i);
		if (in_memory_pool(p[i]))
			release_memory(p[i]);
		else
			free(p[i]);
	}
	CHECK_EQ(api_stats().total_allocated, before.total_allocated);
}

/* A block may go back by either door. */
static void pools_and_memory_share_the_heap(void)
{
	for (size_t size = 1; size < 12 * MIB; size = size * 4 + 3) {
		return_to_pool(allocate_memory(size));
		release_memory(allocate_from_pool(size));
		release_memory(resize_memory(allocate_from_pool(size), size * 2));
		return_to_pool(resize_in_pool(allocate_memory(size), size * 2));
	}
	CHECK_EQ(last_memory_error(), MEMORY_ERROR_NONE);
}

static int release_foreign(void *p)
{
	errno = 5;
	release_memory(p);
	CHECK_EQ(errno, 5);
	CHECK_EQ(check_failures, 0);
	return 0;
}

static void foreign_pointers_are_reported_and_left_alone(void)
{
	char *p = allocate_memory(100);
	struct child c;
	char name[32];
	int here = 0;

	release_memory(p);
	child_run(release_foreign, hide(p), &c);
	CHILD_GOOD(&c, "released twice");
	snprintf(name, sizeof(name), "%p", (void *)p);
	CHECK_MSG(child_lines_with(&c, "numarena: ") == 1 && strstr(c.text, name), "said: %s", c.text);
	child_run(release_foreign, hide(&here), &c);
	CHILD_GOOD(&c, "a stack address");
	CHECK_MSG(child_lines_with(&c, "numarena: ") == 1, "said: %s", c.text);
}

int main(void)
{
	check_watchdog(120);
	RUN(semantics_are_the_c_librarys);
	RUN(zeroed_memory);
	RUN(impossible_sizes);
	RUN(aligned_memory);
	RUN(what_a_pointer_is);
	RUN(the_two_heaps_side_by_side);
	RUN(pools_and_memory_share_the_heap);
	RUN(foreign_pointers_are_reported_and_left_alone);
	return check_result();
}
