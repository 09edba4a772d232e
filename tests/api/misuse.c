/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pointers that a pool must not take back or resize. Each is MEMORY_ERROR_CORRUPTION for the thread that
 * brought it, one line on standard error that has the pointer and the call's place, and no harm: afterwards every
 * block given out is nobody else's.
 */
#include "api/api.h"

#include <sys/mman.h>

static int in_static[64];

static void heap_is_sound(size_t size)
{
	enum { N = 2000 };
	static unsigned char *p[N];
	size_t most = api_brief() ? 60 : N, n = size * most > 100 * MIB ? 100 * MIB / size : most;
	size_t looked = size < 512 ? size : 512;

	for (size_t i = 0; i < n; i++) {
		p[i] = allocate_from_pool(size);
		REQUIRE(p[i]);
		check_fill(p[i], 0, looked, i);
	}
	for (size_t i = 0; i < n; i++) {
		CHECK_MSG(check_filled(p[i], 0, looked, i) == looked, "a block of %zu bytes is also another's", size);
		return_to_pool(p[i]);
	}
}

static void expect_reported(int (*function)(void *), void *argument, const char *what)
{
	struct child c;

	child_run(function, argument, &c);
	CHILD_GOOD(&c, what);
	CHECK_MSG(child_lines_with(&c, "numarena: ") == 1, "%s: %d lines: %s", what, child_lines_with(&c, "numarena: "),
		  c.text);
	CHECK_MSG(strstr(c.text, "called from 0x") || strstr(c.text, "from 0x"), "%s: no call site: %s", what, c.text);
}

/* In the child: the pointer is refused, named, and the thread's last error is CORRUPTION. */
static int refuse(void *p)
{
	char name[32];
	memory_stats_t before = api_stats(), after;

	snprintf(name, sizeof(name), "%p", p);
	return_to_pool(p);
	ERROR(last_memory_error(), MEMORY_ERROR_CORRUPTION, name);
	after = api_stats();
	CHECK_EQ(after.total_allocated, before.total_allocated);
	CHECK_EQ(after.releases, before.releases);
	heap_is_sound(16);
	heap_is_sound(300);
	heap_is_sound(40000);
	return 0;
}

static void pointers_that_no_pool_gave_out(void)
{
	int on_stack[64] = { 0 };
	char *mapped = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *libc = malloc(100);

	expect_reported(refuse, hide(&on_stack[8]), "a stack address");
	expect_reported(refuse, hide(&in_static[8]), "a static address");
	expect_reported(refuse, hide(mapped), "a mapped page");
	expect_reported(refuse, hide(libc), "a block of the C library's");
	expect_reported(refuse, hide((void *)refuse), "a function");
	expect_reported(refuse, hide((void *)16), "16");
	expect_reported(refuse, hide((void *)UINTPTR_MAX), "the last address");
	expect_reported(refuse, hide((void *)(uintptr_t)0xdeadbeefdeadbeef), "0xdeadbeefdeadbeef");
	munmap(mapped, 1 << 16);
	expect_reported(refuse, hide(mapped), "an unmapped page");
	free(libc);
}

static int refuse_inside(void *size_and_offset)
{
	const size_t *a = size_and_offset;
	unsigned char *p = allocate_from_pool(a[0]);

	check_fill(p, 0, a[0], 2);
	refuse(p + a[1]);
	CHECK_EQ(check_filled(p, 0, a[0], 2), a[0]);
	CHECK(allocation_size(p) >= a[0]);
	return_to_pool(p);
	CHECK_EQ(allocation_size(hide(p)), 0);
	return 0;
}

static void pointers_into_blocks(void)
{
	static const size_t cases[][2] = { { 100, 1 },	    { 100, 16 },	 { 5000, 4096 },  { 40000, 16 },
					   { 40000, 4096 }, { 200000, 65536 },	 { 9 * MIB, 16 }, { 9 * MIB, 65536 },
					   { 200000, 1 },   { 9 * MIB, 8 * MIB } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i += api_brief() ? 4 : 1)
		expect_reported(refuse_inside, (void *)(uintptr_t)cases[i], "inside a block");
}

static int refuse_twice(void *size)
{
	void *p = allocate_from_pool(*(size_t *)size), *kept = allocate_from_pool(*(size_t *)size);

	return_to_pool(p);
	refuse(hide(p));
	heap_is_sound(*(size_t *)size);
	return_to_pool(kept);
	return 0;
}

static int refuse_later(void *size)
{
	void *p[100];

	for (int i = 0; i < 100; i++)
		p[i] = allocate_from_pool(*(size_t *)size);
	for (int i = 0; i < 100; i++)
		return_to_pool(p[i]);
	refuse(hide(p[33]));
	heap_is_sound(*(size_t *)size);
	return 0;
}

static void blocks_returned_twice(void)
{
	static size_t sizes[] = { 0, 16, 100, 3000, 32768, 40000, 300000, 9 * MIB };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i += api_brief() ? 3 : 1) {
		expect_reported(refuse_twice, &sizes[i], "twice in a row");
		if (sizes[i] < MIB)
			expect_reported(refuse_later, &sizes[i], "twice with others between");
	}
}

static int refuse_twice_named(void *size)
{
	named_pool_config_t config = { .name = "twice", .node = MEMORY_NODE_ANY };
	memory_pool_t *pool;
	memory_pool_stats_t stats;
	void *p, *q;

	GOOD(create_memory_pool(&config, &pool));
	p = allocate_from(pool, *(size_t *)size);
	q = allocate_from(pool, *(size_t *)size);
	return_to_pool(p);
	refuse(hide(p));
	GOOD(get_memory_pool_statistics(pool, &stats));
	CHECK_EQ(stats.releases, 1);
	CHECK_EQ(stats.live_bytes, allocation_size(q));
	p = allocate_from(pool, *(size_t *)size);
	CHECK(p != q && p != allocate_from(pool, *(size_t *)size));
	GOOD(destroy_memory_pool(pool));
	return 0;
}

static void blocks_of_named_pools_returned_twice(void)
{
	static size_t sizes[] = { 16, 1000, 40000, 9 * MIB };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i += api_brief() ? 3 : 1)
		expect_reported(refuse_twice_named, &sizes[i], "a named pool's, twice");
}

static int refuse_after_destroy(void *size)
{
	named_pool_config_t config = { .name = "gone", .node = MEMORY_NODE_ANY };
	memory_pool_t *pool;
	void *p;

	GOOD(create_memory_pool(&config, &pool));
	p = allocate_from(pool, *(size_t *)size);
	GOOD(destroy_memory_pool(pool));
	return refuse(hide(p));
}

static void blocks_of_pools_that_ended(void)
{
	static size_t sizes[] = { 100, 100000, 9 * MIB };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i += api_brief() ? 3 : 1)
		expect_reported(refuse_after_destroy, &sizes[i], "a block of a pool that ended");
}

static int refuse_resize(void *p)
{
	char name[32];

	snprintf(name, sizeof(name), "%p", p);
	REFUSED(resize_in_pool(p, 100), EINVAL, MEMORY_ERROR_CORRUPTION, name);
	heap_is_sound(100);
	return 0;
}

static void resizing_what_is_no_block(void)
{
	char *p = allocate_from_pool(5000), *freed = allocate_from_pool(5000);

	return_to_pool(freed);
	expect_reported(refuse_resize, hide(&in_static[8]), "resizing a static address");
	expect_reported(refuse_resize, hide(p + 16), "resizing inside a block");
	expect_reported(refuse_resize, hide(freed), "resizing a block that was returned");
	expect_reported(refuse_resize, hide((void *)UINTPTR_MAX), "resizing the last address");
	return_to_pool(p);
}

static void *give_back(void *p)
{
	return_to_pool(p);
	return NULL;
}

static void *give_back_wrongly(void *p)
{
	CHECK_EQ(last_memory_error(), MEMORY_ERROR_NONE);
	CHECK(last_memory_error_message()[0] == '\0');
	return_to_pool(p);
	CHECK_EQ(last_memory_error(), MEMORY_ERROR_CORRUPTION);
	return NULL;
}

/* Whose error it is: the thread's that brought the pointer, and nobody else's. */
static int between_threads(void *unused)
{
	void *p = allocate_from_pool(100);
	pthread_t t;

	(void)unused;
	REQUIRE(pthread_create(&t, NULL, give_back, p) == 0);
	pthread_join(t, NULL);
	flush_memory_pools();
	CHECK_EQ(last_memory_error(), MEMORY_ERROR_NONE);
	REQUIRE(pthread_create(&t, NULL, give_back_wrongly, hide(in_static)) == 0);
	pthread_join(t, NULL);
	CHECK_EQ(last_memory_error(), MEMORY_ERROR_NONE);
	heap_is_sound(100);
	return 0;
}

static void errors_belong_to_their_thread(void)
{
	expect_reported(between_threads, NULL, "another thread's error");
}

static int remote_then_local(void *size)
{
	void *p = allocate_from_pool(*(size_t *)size), *kept = allocate_from_pool(*(size_t *)size);
	pthread_t t;

	REQUIRE(pthread_create(&t, NULL, give_back, p) == 0);
	pthread_join(t, NULL);
	flush_memory_pools(); /* what the other thread gave is seen now */
	refuse(hide(p));
	return_to_pool(kept);
	return 0;
}

static void returned_by_another_thread_and_again(void)
{
	static size_t sizes[] = { 100, 40000, 9 * MIB };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i += api_brief() ? 3 : 1)
		expect_reported(remote_then_local, &sizes[i], "returned by another thread, then by its own");
}

int main(void)
{
	check_watchdog(250);
	CHECK_EQ(last_memory_error(), MEMORY_ERROR_NONE);
	RUN(pointers_that_no_pool_gave_out);
	RUN(pointers_into_blocks);
	RUN(blocks_returned_twice);
	RUN(blocks_of_named_pools_returned_twice);
	RUN(blocks_of_pools_that_ended);
	RUN(resizing_what_is_no_block);
	RUN(errors_belong_to_their_thread);
	RUN(returned_by_another_thread_and_again);
	return check_result();
}
