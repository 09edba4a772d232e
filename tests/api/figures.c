/* SPDX-License-Identifier: BSD-3-Clause */
/* Statistics by size class, thread, pool, node and phase: each against what this program did, and their sums against the whole. */
#include "api/api.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ROOM = 200 };
static memory_class_stats_t classes[ROOM], classes_before[ROOM];
static memory_thread_stats_t threads[ROOM];
static memory_pool_stats_t pools[ROOM];
static memory_phase_stats_t phases[ROOM];

static const memory_phase_stats_t *phase(const char *name)
{
	size_t n = get_memory_phase_statistics(phases, ROOM);

	for (size_t i = 0; i < n; i++)
		if (strcmp(phases[i].name, name) == 0)
			return &phases[i];
	CHECK_MSG(0, "there is no phase %s", name);
	return &phases[0];
}

static size_t class_of(size_t size)
{
	size_t i = 0;

	while (classes[i].block_size && classes[i].block_size < size)
		i++;
	return i;
}

static void classes_add_up(void)
{
	named_pool_config_t config = { .name = "of classes", .node = MEMORY_NODE_ANY };
	size_t n = get_memory_class_statistics(classes_before, ROOM), allocations = 0, live = 0;
	memory_pool_t *pool;
	memory_stats_t s;
	void *p[100], *large = allocate_aligned_memory(4096, MIB);

	CHECK_EQ(get_memory_class_statistics(NULL, 0), n);
	GOOD(create_memory_pool(&config, &pool));
	for (int i = 0; i < 100; i++)
		p[i] = i % 2 ? allocate_memory(500) : allocate_from(pool, 512);
	for (int i = 0; i < 30; i++)
		return_to_pool(p[i]);
	CHECK_EQ(get_memory_class_statistics(classes, ROOM), n);
	CHECK_EQ(classes[n - 1].block_size, 0);
	CHECK_EQ(classes[n - 1].allocations - classes_before[n - 1].allocations, 1);
	CHECK_EQ(classes[n - 1].live_bytes - classes_before[n - 1].live_bytes, MIB);
	CHECK_EQ(classes[n - 1].live_blocks - classes_before[n - 1].live_blocks, 1);
	CHECK_EQ(classes[class_of(500)].block_size, 512);
	CHECK_EQ(classes[class_of(500)].allocations - classes_before[class_of(500)].allocations, 100);
	CHECK_EQ(classes[class_of(500)].releases - classes_before[class_of(500)].releases, 30);
	CHECK_EQ(classes[class_of(500)].live_blocks - classes_before[class_of(500)].live_blocks, 70);
	for (size_t i = 0; i < n; i++) {
		CHECK(i == n - 1 || i == 0 || classes[i].block_size > classes[i - 1].block_size);
		CHECK(i == n - 1 || classes[i].live_bytes == classes[i].live_blocks * classes[i].block_size);
		allocations += classes[i].allocations;
		live += classes[i].live_bytes;
	}
	s = api_stats();
	CHECK_EQ(allocations, s.allocations);
	CHECK_EQ(live, s.total_allocated);
	for (int i = 30; i < 100; i++)
		return_to_pool(p[i]);
	GOOD(destroy_memory_pool(pool));
	release_memory(large);
}

static pthread_barrier_t meet;
static void *handed[50];

static void *other_thread(void *arg)
{
	for (int i = 0; i < 50; i++)
		handed[i] = allocate_memory(200);
	*(int *)arg = (int)syscall(SYS_gettid);
	pthread_barrier_wait(&meet); /* the figures are looked at */
	pthread_barrier_wait(&meet);
	return NULL;
}

static const memory_thread_stats_t *thread(int number, size_t *count)
{
	*count = get_memory_thread_statistics(threads, ROOM);
	for (size_t i = 0; i < *count; i++)
		if (threads[i].thread == number)
			return &threads[i];
	return NULL;
}

static void threads_are_told_apart(void)
{
	int self = (int)syscall(SYS_gettid), other = 0;
	const memory_thread_stats_t *f;
	memory_thread_stats_t before;
	size_t n, allocations = 0;
	pthread_t t;

	release_memory(allocate_memory(10));
	f = thread(self, &n);
	REQUIRE(f);
	before = *f;
	CHECK(before.node >= 0);
	pthread_barrier_init(&meet, NULL, 2);
	REQUIRE(pthread_create(&t, NULL, other_thread, &other) == 0);
	pthread_barrier_wait(&meet);
	f = thread(other, &n);
	REQUIRE(f);
	CHECK_EQ(f->allocations, 50);
	CHECK_EQ(f->releases, 0);
	CHECK_EQ(f->allocated_bytes, 50 * allocation_size(handed[0]));
	for (int i = 0; i < 50; i++)
		release_memory(handed[i]);
	release_memory(allocate_memory(5 * MIB));
	f = thread(self, &n);
	REQUIRE(f);
	CHECK_EQ(f->releases - before.releases, 51);
	CHECK(f->allocated_bytes - before.allocated_bytes >= 5 * MIB);
	CHECK_EQ(f->released_bytes - before.released_bytes,
		 f->allocated_bytes - before.allocated_bytes + 50 * (size_t)208);
	for (size_t i = 0; i < n; i++)
		allocations += threads[i].allocations;
	CHECK_EQ(allocations, api_stats().allocations);
	CHECK_EQ(threads[n - 1].thread, 0);
	CHECK_EQ(threads[n - 1].node, -1);
	pthread_barrier_wait(&meet);
	pthread_join(t, NULL);
	CHECK(!thread(other, &n));
	CHECK(threads[n - 1].allocations >= 50);
	CHECK_EQ(get_memory_thread_statistics(NULL, 0), n);
	/* The next one may get the cache of the last, and not its figures. */
	REQUIRE(pthread_create(&t, NULL, other_thread, &other) == 0);
	pthread_barrier_wait(&meet);
	f = thread(other, &n);
	REQUIRE(f);
	CHECK_EQ(f->allocations, 50);
	pthread_barrier_wait(&meet);
	pthread_join(t, NULL);
	for (int i = 0; i < 50; i++)
		release_memory(handed[i]);
}

static void pools_are_listed(void)
{
	named_pool_config_t config = { .name = "first", .node = MEMORY_NODE_ANY };
	size_t n = get_all_memory_pool_statistics(NULL, 0), live = 0, allocations = 0;
	memory_pool_t *a, *b;
	memory_stats_t s;

	GOOD(create_memory_pool(&config, &a));
	config.name = "second";
	GOOD(create_memory_pool(&config, &b));
	REQUIRE(allocate_from(b, 1000) && allocate_from(b, MIB));
	CHECK_EQ(get_all_memory_pool_statistics(pools, 2), n + 2);
	CHECK_EQ(get_all_memory_pool_statistics(pools, ROOM), n + 2);
	CHECK_EQ(pools[0].name[0], 0);
	CHECK_EQ(pools[0].node, MEMORY_NODE_ANY);
	CHECK_EQ(pools[0].peak_bytes, MEMORY_METRIC_UNAVAILABLE);
	CHECK(strcmp(pools[1].name, "second") == 0 && strcmp(pools[2].name, "first") == 0);
	CHECK_EQ(pools[1].allocations, 2);
	CHECK(pools[1].live_bytes > MIB && pools[1].peak_bytes == pools[1].live_bytes);
	for (size_t i = 0; i < n + 2; i++) {
		live += pools[i].live_bytes;
		allocations += pools[i].allocations;
	}
	s = api_stats();
	CHECK_EQ(live, s.total_allocated);
	CHECK_EQ(allocations + 50, s.allocations); /* of a pool that is no more */
	GOOD(destroy_memory_pool(a));
	GOOD(destroy_memory_pool(b));
	CHECK_EQ(get_all_memory_pool_statistics(NULL, 0), n);
}

static void nodes_count_their_allocations(void)
{
	memory_node_stats_t nodes[64];
	size_t n = get_memory_node_statistics(nodes, 64), sum = 0;
	memory_stats_t s = api_stats();

	for (size_t i = 0; i < n; i++)
		sum += nodes[i].allocations;
	CHECK_EQ(sum, s.allocations);
}

static void wrong_phases_are_named(void)
{
	char name[60];

	memset(name, 'x', 48);
	name[48] = '\0';
	ERROR(begin_memory_phase(NULL), MEMORY_ERROR_INVALID_ARGUMENT, "phase", "1 to 47");
	ERROR(begin_memory_phase(""), MEMORY_ERROR_INVALID_ARGUMENT, "phase");
	ERROR(begin_memory_phase(name), MEMORY_ERROR_INVALID_ARGUMENT, "xxx", "47");
	ERROR(end_memory_phase(), MEMORY_ERROR_INVALID_ARGUMENT, "no phase");
	for (int i = 0; i < 32; i++)
		GOOD(begin_memory_phase("many"));
	ERROR(begin_memory_phase("one more"), MEMORY_ERROR_BUSY, "one more", "32");
	for (int i = 0; i < 32; i++)
		GOOD(end_memory_phase());
	CHECK_EQ(phase("many")->entered, 32);
}

static void phases_split_what_happens(void)
{
	void *p, *q;

	GOOD(begin_memory_phase("assemble"));
	p = allocate_aligned_memory(4096, 3 * MIB); /* so that it is as long as it says */
	GOOD(begin_memory_phase("sort"));
	q = allocate_aligned_memory(4096, 2 * MIB);
	release_memory(q);
	GOOD(end_memory_phase());
	CHECK(phase("assemble")->running && !phase("sort")->running);
	GOOD(end_memory_phase());
	release_memory(p);
	CHECK_EQ(phase("assemble")->allocations, 2);
	CHECK_EQ(phase("assemble")->releases, 1);
	CHECK_EQ(phase("assemble")->live_at_end - phase("assemble")->live_at_start, 3 * MIB);
	CHECK_EQ(phase("assemble")->peak_bytes - phase("assemble")->live_at_start, 5 * MIB);
	CHECK_EQ(phase("sort")->allocated_bytes, 2 * MIB);
	CHECK_EQ(phase("sort")->released_bytes, 2 * MIB);
	CHECK(phase("assemble")->seconds > 0 && phase("assemble")->seconds >= phase("sort")->seconds);
}

/* The peak that is reported never exceeds the true one by anything, and falls short of it by what stacks may hold. */
static void the_peak_is_exact_but_for_thread_caches(void)
{
	enum { N = 20000 };
	static void *p[N];
	tracking_config_t config = { .track_allocations = true };
	size_t live = api_stats().total_allocated, most = live, peak;

	GOOD(start_memory_tracking(&config));
	GOOD(begin_memory_phase("up and down"));
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < N; i += 1 + round) {
			if (p[i]) {
				live -= allocation_size(p[i]);
				release_memory(p[i]);
				p[i] = NULL;
			} else {
				p[i] = allocate_memory((size_t)(i % 20) * 100 + 1);
				live += allocation_size(p[i]);
				most = live > most ? live : most;
			}
		}
	GOOD(end_memory_phase());
	for (int i = 0; i < N; i++)
		release_memory(p[i]);
	peak = phase("up and down")->peak_bytes;
	CHECK_MSG(peak <= most && most - peak < MIB, "%zu, and it was %zu", peak, most);
	GOOD(stop_memory_monitoring());
}

int main(void)
{
	check_watchdog(100);
	RUN(wrong_phases_are_named);
	RUN(classes_add_up);
	RUN(threads_are_told_apart);
	RUN(pools_are_listed);
	RUN(nodes_count_their_allocations);
	RUN(phases_split_what_happens);
	RUN(the_peak_is_exact_but_for_thread_caches);
	return check_result();
}
