/* SPDX-License-Identifier: BSD-3-Clause */
/* What hints do, as far as a machine of one node can show it: pages by smaps and mincore, spans by addresses. */
#include <sys/mman.h>
#include <sys/wait.h>

#include "api/api.h"

enum { LIFETIMES = 4, PRIORITIES = 3, PATTERNS = 5, SLICE = 65536, PAGE = 4096 };

static memory_hints_t hints_of(const void *block)
{
	memory_hints_t h;

	memset(&h, 0xff, sizeof(h));
	GOOD(allocation_hints(block, &h));
	return h;
}

static bool same(memory_hints_t a, memory_hints_t b)
{
	return a.access_pattern == b.access_pattern && a.lifetime == b.lifetime && a.priority == b.priority &&
	       a.no_move == b.no_move;
}

static void without_hints_it_is_a_block_of_the_pool(void)
{
	memory_hints_t none = { 0 }, aligned = { .alignment = 4096 };
	void *p[4] = { optimized_allocate(100, NULL), optimized_allocate(100, &none), allocate_from_pool(100),
		       optimized_allocate(100, &aligned) };

	for (int i = 0; i < 4; i++) {
		CHECK(p[i] && api_aligned(p[i], i == 3 ? 4096 : 64));
		CHECK(same(hints_of(p[i]), none));
		CHECK_EQ(hints_of(p[i]).placement, PLACEMENT_NODE);
		CHECK_EQ(hints_of(p[i]).node, allocation_node(p[i]));
		return_to_pool(p[i]);
	}
}

static const size_t sizes[] = { 0, 1, 16, 100, 700, 5000, 32768, 33000, 65536, 300000, 3 * MIB, 20 * MIB };

static void resized(unsigned char *p, size_t size, memory_hints_t h, uint64_t seed)
{
	size_t more = size * 3 + 40, kept = size / 3;

	p = resize_memory(p, more);
	REQUIRE(p);
	CHECK_EQ(check_filled(p, 0, size, seed), size);
	CHECK(same(hints_of(p), h) && api_aligned(p, 64));
	p = resize_in_pool(p, kept + 1);
	REQUIRE(p);
	CHECK_EQ(check_filled(p, 0, kept, seed), kept);
	CHECK(same(hints_of(p), h));
	return_to_pool(p);
}

static void every_kind_of_hints_is_kept(void)
{
	for (unsigned int i = 0; i < LIFETIMES * PRIORITIES * PATTERNS * 2; i += api_brief() ? 17 : 1)
		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s += 1 + i % 2) {
			memory_hints_t h = { .lifetime = (memory_lifetime_t)(i % LIFETIMES),
					     .priority = (memory_priority_t)(i / LIFETIMES % PRIORITIES),
					     .access_pattern = (memory_access_t)(i / LIFETIMES / PRIORITIES % PATTERNS),
					     .no_move = i % 2,
					     .alignment = (size_t)64 << i % 8 };
			unsigned char *p = optimized_allocate(sizes[s], &h);

			REQUIRE(p);
			CHECK(api_aligned(p, h.alignment));
			CHECK(allocation_size(p) >= sizes[s] && allocation_pool(p) == NULL);
			CHECK(same(hints_of(p), h));
			CHECK_EQ(hints_of(p).alignment, 0);
			check_fill(p, 0, sizes[s], i + s);
			resized(p, sizes[s], h, i + s);
		}
}

static void alignments_up_to_a_gigabyte(void)
{
	for (size_t alignment = 1; alignment <= GIB; alignment *= 2) {
		memory_hints_t h = { .alignment = alignment, .lifetime = LIFETIME_SHORT };
		memory_hints_t spread = { .alignment = alignment, .placement = PLACEMENT_INTERLEAVE };
		memory_hints_t large = { .alignment = alignment, .access_pattern = ACCESS_RANDOM };
		unsigned char *p = optimized_allocate(1000, &h), *q = optimized_allocate(100000, &spread),
			      *r = optimized_allocate(5 * MIB, &large);

		CHECK(p && api_aligned(p, alignment));
		CHECK(q && api_aligned(q, alignment));
		CHECK(r && api_aligned(r, alignment));
		return_to_pool(p);
		release_memory(q);
		return_to_pool(r);
	}
}

/* ---- spans ---- */

enum { MANY = 6000, TEAM = 4 };

static struct {
	uintptr_t at;
	int lifetime;
} seen[TEAM * MANY];
static size_t seen_count;
static void *blocks[TEAM][MANY];

static void *fill_with_lifetimes(void *number)
{
	int me = (int)(intptr_t)number;
	uint64_t random = (uint64_t)me;

	for (int i = 0; i < MANY; i++) {
		size_t size = check_random(&random) % (i % 50 ? 2000 : 200000);
		memory_hints_t h = { .lifetime = (memory_lifetime_t)(i % LIFETIMES) };

		blocks[me][i] = optimized_allocate(size, i % 8 ? &h : NULL);
		REQUIRE(blocks[me][i]);
		memset(blocks[me][i], i, size);
		/* Some go at once, from here or from a neighbour's, so that spans are used again. */
		if (i % 3 == 0) {
			return_to_pool(blocks[me][i]);
			blocks[me][i] = NULL;
		}
	}
	return NULL;
}

static int by_address(const void *a, const void *b)
{
	uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;

	return x < y ? -1 : x > y;
}

static void unlike_lifetimes_share_no_span(void)
{
	pthread_t threads[TEAM];

	for (intptr_t i = 0; i < TEAM; i++)
		REQUIRE(pthread_create(&threads[i], NULL, fill_with_lifetimes, (void *)i) == 0);
	for (int i = 0; i < TEAM; i++)
		pthread_join(threads[i], NULL);
	for (int t = 0; t < TEAM; t++)
		for (int i = 0; i < MANY; i++)
			if (blocks[t][i]) {
				seen[seen_count].at = (uintptr_t)blocks[t][i];
				seen[seen_count++].lifetime = i % 8 ? i % LIFETIMES : 0;
			}
	qsort(seen, seen_count, sizeof(seen[0]), by_address);
	for (size_t i = 1; i < seen_count; i++)
		if (seen[i].at / SLICE == seen[i - 1].at / SLICE)
			CHECK_EQ(seen[i].lifetime, seen[i - 1].lifetime);
	for (int t = 0; t < TEAM; t++)
		for (int i = 0; i < MANY; i++)
			return_to_pool(blocks[t][i]);
	CHECK_EQ(last_memory_error(), MEMORY_ERROR_NONE);
}

/* Long-lived blocks among short-lived ones: when these are gone, what is left is little more than what lives. */
static void what_lives_long_pins_nothing_of_what_does_not(void)
{
	enum { COUNT = 60000, EVERY = 30 };
	memory_hints_t brief = { .lifetime = LIFETIME_SHORT }, lasting = { .lifetime = LIFETIME_LONG };
	static void *p[COUNT];
	size_t live = 0, before;

	flush_memory_pools();
	before = api_stats().physical_bytes;
	for (int i = 0; i < COUNT; i++) {
		size_t size = 64 + (size_t)(i * 7 % 400);

		p[i] = memset(optimized_allocate(size, i % EVERY ? &brief : &lasting), 1, size);
		live += i % EVERY ? 0 : allocation_size(p[i]);
	}
	for (int i = 0; i < COUNT; i++)
		if (i % EVERY)
			return_to_pool(p[i]);
	flush_memory_pools();
	/* Each class has one span that is not full; there are 21 of them here. */
	CHECK_MSG(api_stats().physical_bytes < before + live * 5 / 4 + 21 * (size_t)PAGE + MIB / 4,
		  "%zu bytes live hold %zu", live, api_stats().physical_bytes - before);
	for (int i = 0; i < COUNT; i += EVERY)
		return_to_pool(p[i]);
}

/* ---- pages ---- */

/* VmFlags of the mapping that p is in; "" if smaps does not tell. */
static void flags_of(const void *p, char *flags, size_t capacity)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long long from, to;
	bool here = false;
	char line[512];

	flags[0] = '\0';
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%llx-%llx ", &from, &to) == 2)
			here = (uintptr_t)p >= from && (uintptr_t)p < to;
		else if (here && strncmp(line, "VmFlags:", 8) == 0)
			snprintf(flags, capacity, "%.*s", (int)capacity - 1, line + 8);
	if (f)
		fclose(f);
}

static void expect_pages(memory_hints_t h, size_t size, bool huge, bool ordinary)
{
	unsigned char *p = optimized_allocate(size, &h);
	char flags[256];

	REQUIRE(p);
	memset(p, 1, size);
	flags_of(p, flags, sizeof(flags));
	if (flags[0]) {
		CHECK_MSG(!!strstr(flags, " hg") == huge, "pattern %d, placement %d, %zu bytes:%s", h.access_pattern,
			  h.placement, size, flags);
		CHECK_MSG(!!strstr(flags, " nh") == ordinary, "pattern %d, placement %d, %zu bytes:%s",
			  h.access_pattern, h.placement, size, flags);
	}
	return_to_pool(p);
}

static void access_patterns_choose_pages(void)
{
	FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");

	if (!f)
		return; /* a kernel without huge pages has no flags of theirs */
	fclose(f);
	for (memory_access_t a = ACCESS_DEFAULT; a <= ACCESS_READ_MOSTLY; a++) {
		bool huge = a != ACCESS_DEFAULT && a != ACCESS_READ_MOSTLY;

		for (memory_lifetime_t l = LIFETIME_MEDIUM; l <= LIFETIME_PERMANENT; l++) {
			expect_pages((memory_hints_t){ .access_pattern = a, .lifetime = l }, 2 * MIB, huge, false);
			expect_pages((memory_hints_t){ .access_pattern = a, .lifetime = l }, 30 * MIB, huge, false);
			expect_pages((memory_hints_t){ .access_pattern = a, .lifetime = l }, MIB, false, false);
		}
		expect_pages((memory_hints_t){ .access_pattern = a, .placement = PLACEMENT_INTERLEAVE }, 4 * MIB, false,
			     true);
		expect_pages((memory_hints_t){ .access_pattern = a, .placement = PLACEMENT_PARTITIONED }, 4 * MIB,
			     false, true);
		expect_pages((memory_hints_t){ .access_pattern = a, .placement = PLACEMENT_CAPACITY }, 4 * MIB, huge,
			     false);
	}
}

static void blocks_grow_into_their_pages_and_out_of_them(void)
{
	memory_hints_t h = { .access_pattern = ACCESS_SEQUENTIAL, .lifetime = LIFETIME_LONG };
	unsigned char *p = optimized_allocate(100, &h);
	char flags[256];

	check_fill(p, 0, 100, 1);
	for (size_t size = 1000; size <= 64 * MIB; size *= 4) {
		p = resize_memory(p, size);
		REQUIRE(p);
		CHECK(same(hints_of(p), h));
		CHECK_EQ(check_filled(p, 0, 100, 1), 100);
		memset(p + 100, 2, size - 100);
		flags_of(p, flags, sizeof(flags));
		if (flags[0])
			CHECK_MSG(!!strstr(flags, " hg") == (size >= 2 * MIB), "%zu bytes:%s", size, flags);
	}
	for (size_t size = 16 * MIB; size >= 100; size /= 5) {
		p = resize_memory(p, size);
		REQUIRE(p);
		CHECK(same(hints_of(p), h));
		CHECK_EQ(check_filled(p, 0, 100, 1), 100);
	}
	return_to_pool(p);
}

static size_t resident(const unsigned char *p, size_t size)
{
	uintptr_t from = (uintptr_t)p & ~(uintptr_t)(PAGE - 1),
		  to = ((uintptr_t)p + size + PAGE - 1) & -(uintptr_t)PAGE;
	size_t pages = (to - from) / PAGE, count = 0;
	unsigned char *map = malloc(pages);

	REQUIRE(map && mincore((void *)from, to - from, map) == 0);
	for (size_t i = 0; i < pages; i++)
		count += map[i] & 1;
	free(map);
	return count * PAGE;
}

static void high_priority_is_there_at_once(void)
{
	static const size_t some[] = { 1, 5000, 30000, 65536, 1000000, 9 * MIB, 33 * MIB + 5 };
	memory_hints_t high = { .priority = PRIORITY_HIGH }, aligned = { .priority = PRIORITY_HIGH, .alignment = 64 };

	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++)
		for (int round = 0; round < 2; round++) {
			unsigned char *p = optimized_allocate(some[i], &high),
				      *q = optimized_allocate(some[i], &aligned);

			CHECK(resident(p, some[i]) >= some[i]);
			CHECK(resident(q, some[i]) >= some[i]);
			memset(p, 1, some[i]);
			memset(q, 2, some[i]);
			for (size_t k = 0; k < some[i]; k += 997)
				CHECK_EQ(p[k], 1);
			return_to_pool(p);
			return_to_pool(q);
			if (round == 0)
				flush_memory_pools();
		}
	for (memory_priority_t low = PRIORITY_NORMAL; low <= PRIORITY_LOW; low++) {
		memory_hints_t h = { .priority = low, .lifetime = LIFETIME_PERMANENT };
		unsigned char *p = optimized_allocate(40 * MIB, &h);

		REQUIRE(p);
		CHECK(resident(p, 40 * MIB) < MIB * 4);
		return_to_pool(p);
	}
}

/* ---- with others ---- */

static void *traded[256];

static void *trade(void *number)
{
	uint64_t random = 77 + (uint64_t)(uintptr_t)number;

	for (int i = 0; i < (api_brief() ? 3000 : 60000); i++) {
		uint64_t draw = check_random(&random);
		size_t size = draw >> 8 & (draw & 0xff000000 ? 0xfff : 0x3ffff);
		memory_hints_t h = { .lifetime = (memory_lifetime_t)(draw % 4),
				     .access_pattern = (memory_access_t)(draw / 4 % 3),
				     .no_move = draw & 64 };
		uint32_t *p = optimized_allocate(size + 8, &h), *old;

		REQUIRE(p);
		p[0] = (uint32_t)size;
		memset(p + 1, (int)size, size + 4);
		if (draw & 0x1000000000) {
			p = resize_memory(p, size + size / 2 + 8);
			REQUIRE(p);
		}
		old = __atomic_exchange_n(&traded[draw >> 40 & 255], p, __ATOMIC_ACQ_REL);
		if (!old)
			continue;
		CHECK_EQ(((unsigned char *)old)[4], old[0] & 255);
		CHECK_EQ(((unsigned char *)old)[old[0] + 7], old[0] & 255);
		if (draw & 0x100)
			return_to_pool(old);
		else
			release_memory(old);
	}
	return NULL;
}

static void threads_free_each_others_blocks(void)
{
	size_t before = api_stats().total_allocated, allocations = api_stats().allocations - api_stats().releases;
	pthread_t threads[20]; /* more than a group has caches */

	for (uintptr_t i = 0; i < 20; i++)
		REQUIRE(pthread_create(&threads[i], NULL, trade, (void *)i) == 0);
	for (int i = 0; i < 20; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 256; i++) {
		return_to_pool(traded[i]);
		traded[i] = NULL;
	}
	CHECK_EQ(last_memory_error(), MEMORY_ERROR_NONE);
	CHECK_EQ(api_stats().total_allocated, before);
	CHECK_EQ(api_stats().allocations - api_stats().releases, allocations);
}

static void counts_are_exact(void)
{
	memory_hints_t h = { .lifetime = LIFETIME_SHORT, .access_pattern = ACCESS_RANDOM };
	memory_stats_t s = api_stats(), t;
	size_t bytes = 0;
	void *p[300];

	for (size_t i = 0; i < 300; i++) {
		p[i] = optimized_allocate(i * i * 100, &h);
		bytes += allocation_size(p[i]);
	}
	t = api_stats();
	CHECK_EQ(t.total_allocated - s.total_allocated, bytes);
	CHECK_EQ(t.allocations - s.allocations, 300);
	CHECK(t.peak_usage >= t.total_allocated);
	for (int i = 0; i < 300; i++)
		return_to_pool(p[i]);
	CHECK_EQ(api_stats().total_allocated, s.total_allocated);
	CHECK_EQ(api_stats().releases - s.releases, 300);
}

static void freeing_twice_is_noticed(void)
{
	memory_hints_t h = { .lifetime = LIFETIME_LONG };
	void *p = optimized_allocate(100, &h), *q = optimized_allocate(100, &h);

	return_to_pool(p);
	return_to_pool(hide(p));
	ERROR(last_memory_error(), MEMORY_ERROR_CORRUPTION, "twice");
	CHECK(in_memory_pool(q));
	return_to_pool(q);
}

static void *until_told(void *stop)
{
	uint64_t random = 5;

	while (!__atomic_load_n((int *)stop, __ATOMIC_RELAXED)) {
		memory_hints_t h = { .lifetime = (memory_lifetime_t)(check_random(&random) % 4),
				     .no_move = random & 1 };
		void *p = optimized_allocate(random >> 50, &h);

		REQUIRE(p);
		return_to_pool(p);
	}
	return NULL;
}

static void forked_children_go_on(void)
{
	pthread_t threads[3];
	int stop = 0, status;

	for (int i = 0; i < 3; i++)
		REQUIRE(pthread_create(&threads[i], NULL, until_told, &stop) == 0);
	for (int i = 0; i < (api_brief() ? 3 : 40); i++) {
		pid_t child = fork();

		if (child == 0) {
			stop = 0;
			check_watchdog(20);
			for (unsigned int k = 0; k < 400; k++) {
				memory_hints_t h = { .lifetime = (memory_lifetime_t)(k % 4), .no_move = k & 4 };
				void *p = optimized_allocate(k * 40, &h);

				if (!p || hints_of(p).lifetime != h.lifetime)
					_exit(1);
				return_to_pool(p);
			}
			_exit(0);
		}
		REQUIRE(child > 0 && waitpid(child, &status, 0) == child);
		CHECK_EQ(status, 0);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}

static void what_cannot_be_is_refused(void)
{
#define WRONG(word, ...)                                                                                               \
	REFUSED(optimized_allocate(10, &(memory_hints_t){ __VA_ARGS__ }), EINVAL, MEMORY_ERROR_INVALID_ARGUMENT, word)
	memory_hints_t h = { .lifetime = LIFETIME_LONG }, high = { .priority = PRIORITY_HIGH };
	int foreign;

	WRONG("access_pattern is 5", .access_pattern = (memory_access_t)5);
	WRONG("lifetime is -1", .lifetime = (memory_lifetime_t)-1);
	WRONG("priority is 3", .priority = (memory_priority_t)3);
	WRONG("placement is 6", .placement = (memory_placement_t)6);
	WRONG("node is -2", .placement = PLACEMENT_NODE, .node = -2);
	WRONG("node 999", .placement = PLACEMENT_NODE, .node = 999);
	WRONG("parts is 65537", .parts = 65537);
	WRONG("alignment is 48", .alignment = 48);
	WRONG("alignment is 2147483648", .alignment = 2 * GIB);
	REFUSED(optimized_allocate(hide_size(SIZE_MAX), &h), ENOMEM, MEMORY_ERROR_ALLOCATION, "optimized_allocate");
	REFUSED(optimized_allocate(hide_size(SIZE_MAX / 4), &h), ENOMEM, MEMORY_ERROR_ALLOCATION, "optimized_allocate");
	REFUSED(optimized_allocate(hide_size(SIZE_MAX), NULL), ENOMEM, MEMORY_ERROR_ALLOCATION, "optimized_allocate");
	/* More than any machine has, but not more than there are addresses: nothing of it may be touched. */
	REFUSED(optimized_allocate(hide_size((size_t)1 << 44), &high), ENOMEM, MEMORY_ERROR_ALLOCATION, "MiB are left");
	ERROR(allocation_hints(&foreign, &h), MEMORY_ERROR_INVALID_ARGUMENT, "live block");
	ERROR(allocation_hints(NULL, &h), MEMORY_ERROR_INVALID_ARGUMENT, "live block");
	ERROR(allocation_hints(&foreign, NULL), MEMORY_ERROR_INVALID_ARGUMENT, "hints is NULL");
}

int main(void)
{
	check_watchdog(240);
	RUN(without_hints_it_is_a_block_of_the_pool);
	RUN(what_lives_long_pins_nothing_of_what_does_not);
	RUN(unlike_lifetimes_share_no_span);
	RUN(counts_are_exact);
	RUN(every_kind_of_hints_is_kept);
	RUN(alignments_up_to_a_gigabyte);
	RUN(access_patterns_choose_pages);
	RUN(blocks_grow_into_their_pages_and_out_of_them);
	RUN(high_priority_is_there_at_once);
	RUN(threads_free_each_others_blocks);
	RUN(forked_children_go_on);
	RUN(freeing_twice_is_noticed);
	RUN(what_cannot_be_is_refused);
	return check_result();
}
