/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Recovery: retries and fallbacks past a limit, the program's error handler, the report of who holds what, and the
 * documentation's handler word for word (where the library has the calls that repair).
 */
#include "api/api.h"

#include <dirent.h>
#include <sys/resource.h>
#include <time.h>

static memory_recovery_stats_t figures(void)
{
	memory_recovery_stats_t stats;

	memset(&stats, 0xff, sizeof(stats));
	GOOD(get_memory_recovery_statistics(&stats));
	return stats;
}

static void limit(size_t bytes)
{
	memory_pool_config_t config = { .total_size = bytes };

	flush_memory_pools();
	GOOD(initialize_memory_pool(&config));
}

static void recovery(unsigned int retries, unsigned int delay, recovery_fallback_t fallback)
{
	recovery_config_t config = { .max_retries = retries, .retry_delay = delay, .fallback_strategy = fallback };

	GOOD(initialize_memory_recovery(&config));
}

static void everything_back(void)
{
	set_memory_error_handler(NULL);
	GOOD(cleanup_memory_resources());
}

static void wrong_fields_are_named(void)
{
	recovery_config_t config = { .max_retries = 1001 };

	ERROR(initialize_memory_recovery(&config), MEMORY_ERROR_INVALID_ARGUMENT, "max_retries", "1001", "1000");
	config = (recovery_config_t){ .retry_delay = 60001 };
	ERROR(initialize_memory_recovery(&config), MEMORY_ERROR_INVALID_ARGUMENT, "retry_delay", "60001", "60000");
	config = (recovery_config_t){ .fallback_strategy = (recovery_fallback_t)3 };
	ERROR(initialize_memory_recovery(&config), MEMORY_ERROR_INVALID_ARGUMENT, "fallback_strategy", "3");
	ERROR(get_memory_recovery_statistics(NULL), MEMORY_ERROR_INVALID_ARGUMENT, "stats");
	GOOD(initialize_memory_recovery(NULL));
	GOOD(initialize_memory_recovery(NULL));
	everything_back();
}

static void nothing_to_retry(void)
{
	REFUSED(retry_allocation(), EINVAL, MEMORY_ERROR_INVALID_ARGUMENT, "no request");
}

/* What is kept goes before anything is refused, without any configuration. */
static void free_memory_is_the_first_to_go(void)
{
	memory_recovery_stats_t before;
	void *p[4];

	limit(40 * MIB);
	return_to_pool(allocate_from_pool(25 * MIB));
	before = figures();
	for (int i = 0; i < 4; i++)
		CHECK((p[i] = allocate_from_pool(9 * MIB)) != NULL);
	CHECK_EQ(figures().refused, before.refused);
	for (int i = 0; i < 4; i++)
		return_to_pool(p[i]);
	everything_back();
}

static long ms_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - start->tv_sec) * 1000 + (now.tv_nsec - start->tv_nsec) / 1000000;
}

/* No sooner than the delays are over: a lower bound is no matter of speed. */
static void retries_wait_and_are_counted(void)
{
	memory_recovery_stats_t before, after;
	struct timespec start;

	limit(32 * MIB);
	void *held = allocate_from_pool(20 * MIB);

	recovery(3, 20, FALLBACK_NONE);
	before = figures();
	clock_gettime(CLOCK_MONOTONIC, &start);
	REFUSED(allocate_from_pool(20 * MIB), ENOMEM, MEMORY_ERROR_ALLOCATION, "total_size");
	CHECK(ms_since(&start) >= 60);
	after = figures();
	CHECK_EQ(after.retries - before.retries, 3);
	CHECK_EQ(after.waited_ms - before.waited_ms, 60);
	CHECK_EQ(after.failures - before.failures, 1);
	CHECK_EQ(after.refused - before.refused, 1);
	/* What no retry could help: it does not wait. */
	REFUSED(allocate_from_pool(40 * MIB), ENOMEM, MEMORY_ERROR_ALLOCATION, "total_size");
	REFUSED(allocate_from_pool(hide_size(SIZE_MAX)), ENOMEM, MEMORY_ERROR_ALLOCATION, "18446744073709551615");
	REFUSED(allocate_from_pool((size_t)1 << 50), ENOMEM, MEMORY_ERROR_ALLOCATION, "no memory");
	CHECK_EQ(figures().retries, after.retries);
	return_to_pool(held);
	everything_back();
	/* And without recovery there is no retry. */
	limit(32 * MIB);
	held = allocate_from_pool(20 * MIB);
	REFUSED(allocate_from_pool(20 * MIB), ENOMEM, MEMORY_ERROR_ALLOCATION, "total_size");
	CHECK_EQ(figures().retries, after.retries);
	return_to_pool(held);
	everything_back();
}

static void *frees_it_later(void *block)
{
	memory_recovery_stats_t before = figures();

	EVENTUALLY(figures().retries > before.retries || __atomic_load_n((int *)block, __ATOMIC_RELAXED) == 1);
	return_to_pool(block);
	return NULL;
}

static void a_retry_gets_what_others_free(void)
{
	memory_recovery_stats_t before = figures(), after;
	pthread_t thread;
	int *held;
	void *p;

	limit(32 * MIB);
	held = allocate_from_pool(20 * MIB);
	*held = 0;
	recovery(1000, 5, FALLBACK_NONE);
	REQUIRE(pthread_create(&thread, NULL, frees_it_later, held) == 0);
	p = allocate_from_pool(20 * MIB); /* until the other has freed it */
	CHECK(p != NULL);
	pthread_join(thread, NULL);
	after = figures();
	CHECK(after.by_retry + after.by_purge > before.by_retry + before.by_purge);
	CHECK(after.retries > before.retries);
	return_to_pool(p);
	everything_back();
}

/* ---- the system allocator ---- */

static const size_t sizes[] = { 1, 100, 4000, 30000, 100000, 3 * MIB, 20 * MIB };

static void blocks_from_beyond_are_as_good_as_any(void)
{
	memory_recovery_stats_t before = figures();
	void *held, *p[7];
	memory_stats_t stats;

	limit(16 * MIB);
	held = allocate_from_pool(15 * MIB + 900000);
	REQUIRE(held);
	recovery(1, 1, FALLBACK_SYSTEM_ALLOC);
	for (size_t i = 0; i < 7; i++) {
		REQUIRE((p[i] = allocate_from_pool(sizes[i])) != NULL);
		CHECK(api_aligned(p[i], 64));
		CHECK(in_memory_pool(p[i]) && allocation_size(p[i]) >= sizes[i] && !allocation_pool(p[i]));
		CHECK(allocation_node(p[i]) >= 0);
		check_fill(p[i], 0, sizes[i], i);
	}
	CHECK(figures().by_system > before.by_system);
	CHECK(figures().system_bytes > 23 * MIB);
	stats = api_stats();
	CHECK(stats.held_bytes > 39 * MIB && stats.total_allocated > 38 * MIB);
	for (size_t i = 0; i < 7; i++) {
		size_t larger = sizes[i] * 3;
		void *q = i % 2 ? resize_memory(p[i], larger) : resize_in_pool(p[i], larger);

		REQUIRE(q);
		CHECK_EQ(check_filled(q, 0, sizes[i], i), sizes[i]);
		p[i] = q;
	}
	for (size_t i = 0; i < 7; i++)
		i % 2 ? release_memory(p[i]) : return_to_pool(p[i]);
	p[0] = allocate_zeroed_from_pool(MIB);
	REQUIRE(p[0]);
	for (size_t i = 0; i < MIB; i++)
		REQUIRE(((char *)p[0])[i] == 0);
	return_to_pool(p[0]);
	REQUIRE((p[0] = allocate_aligned_from_pool(5000, MIB)) != NULL);
	CHECK(api_aligned(p[0], MIB));
	return_to_pool(p[0]);
	return_to_pool(held);
	flush_memory_pools();
	CHECK_EQ(figures().system_bytes, 0);
	everything_back();
}

/* A block that was got beyond the limit outlives the configuration; what is beyond does not count against the limit. */
static void the_limit_holds_again_afterwards(void)
{
	void *held, *beyond, *p;

	limit(16 * MIB);
	held = allocate_from_pool(12 * MIB);
	recovery(1, 1, FALLBACK_SYSTEM_ALLOC);
	beyond = allocate_from_pool(30 * MIB);
	REQUIRE(held && beyond);
	check_fill(beyond, 0, 30 * MIB, 7);
	recovery(1, 1, FALLBACK_NONE);
	p = allocate_from_pool(2 * MIB); /* inside the limit there is room */
	CHECK(p != NULL);
	return_to_pool(p);
	REFUSED(allocate_from_pool(10 * MIB), ENOMEM, MEMORY_ERROR_ALLOCATION, "total_size");
	errno = 0;
	CHECK(!resize_memory(beyond, 60 * MIB) && errno == ENOMEM);
	GOOD(cleanup_memory_resources());
	CHECK_EQ(check_filled(beyond, 0, 30 * MIB, 7), 30 * MIB);
	p = resize_memory(beyond, 60 * MIB); /* inside again, for now there is no limit */
	REQUIRE(p);
	CHECK_EQ(check_filled(p, 0, 30 * MIB, 7), 30 * MIB);
	flush_memory_pools();
	CHECK_EQ(figures().system_bytes, 0);
	return_to_pool(p);
	return_to_pool(held);
	everything_back();
}

/* Past what the machine has comes the OOM killer, so there is no fallback to it. */
static void not_more_than_the_machine_has(void)
{
	limit(16 * MIB);
	recovery(1, 1, FALLBACK_SYSTEM_ALLOC);
	REFUSED(allocate_from_pool((size_t)16 << 40), ENOMEM, MEMORY_ERROR_ALLOCATION, "total_size");
	everything_back();
}

static void a_named_pool_keeps_its_limit(void)
{
	named_pool_config_t config = { .name = "bounded", .node = MEMORY_NODE_ANY, .limit = 4 * MIB };
	memory_recovery_stats_t before;
	memory_pool_t *pool;

	recovery(1, 1, FALLBACK_SYSTEM_ALLOC);
	GOOD(create_memory_pool(&config, &pool));
	before = figures();
	REFUSED(allocate_from(pool, 5 * MIB), ENOMEM, MEMORY_ERROR_ALLOCATION, "bounded");
	CHECK_EQ(figures().refused - before.refused, 1);
	CHECK_EQ(figures().reports, before.reports); /* it is full, and the process has memory */
	GOOD(destroy_memory_pool(pool));
	everything_back();
}

/* ---- the handler ---- */

static int calls, in_handler;
static memory_error_t last_seen;
static void *saved[2], *retried;
static char said[256];
static pthread_t called_on;

static void note(memory_error_t error)
{
	calls++;
	last_seen = error;
	called_on = pthread_self();
	snprintf(said, sizeof(said), "%s", last_memory_error_message());
}

static void frees_and_retries(memory_error_t error)
{
	note(error);
	return_to_pool(saved[0]);
	saved[0] = NULL;
	free_unused_memory();
	retried = retry_allocation();
	CHECK(retry_allocation() == retried); /* the same request, the same block */
}

static void only_frees(memory_error_t error)
{
	note(error);
	return_to_pool(saved[0]);
	saved[0] = NULL;
}

/* Fails itself, and must not be called for that. */
static void fails_in_turn(memory_error_t error)
{
	note(error);
	CHECK_EQ(in_handler++, 0);
	CHECK(!allocate_from_pool(20 * MIB));
	in_handler--;
}

static void *hold_and_fail(size_t hold, size_t size, memory_error_handler_t handler)
{
	void *p;

	limit(32 * MIB);
	saved[0] = allocate_from_pool(hold);
	calls = 0;
	last_seen = MEMORY_ERROR_NONE;
	set_memory_error_handler(handler);
	p = allocate_from_pool(size);
	set_memory_error_handler(NULL);
	return p;
}

static void the_failing_call_returns_what_the_handler_got(void)
{
	memory_recovery_stats_t before = figures();
	void *p = hold_and_fail(20 * MIB, 25 * MIB, frees_and_retries);

	CHECK(p && p == retried);
	CHECK_EQ(calls, 1);
	CHECK_EQ(last_seen, MEMORY_ERROR_ALLOCATION);
	CHECK(pthread_equal(called_on, pthread_self()));
	CHECK_MSG(strstr(said, "26214400") != NULL, "the handler's message: %s", said);
	CHECK_EQ(figures().by_handler - before.by_handler, 1);
	CHECK_EQ(figures().refused, before.refused);
	CHECK(allocation_size(p) >= 25 * MIB);
	nothing_to_retry();
	return_to_pool(p);
	CHECK_EQ(api_stats().total_allocated, 0);
	everything_back();
}

static void a_handler_need_not_retry(void)
{
	void *p = hold_and_fail(20 * MIB, 25 * MIB, only_frees);

	CHECK(p != NULL);
	CHECK_EQ(calls, 1);
	return_to_pool(p);
	everything_back();
}

static void once_for_each_request_and_never_within(void)
{
	void *p = hold_and_fail(20 * MIB, 25 * MIB, fails_in_turn);

	CHECK(!p);
	CHECK_EQ(calls, 1);
	CHECK_EQ(last_memory_error(), MEMORY_ERROR_ALLOCATION);
	set_memory_error_handler(fails_in_turn);
	CHECK(!allocate_from_pool(25 * MIB));
	CHECK(!allocate_memory(25 * MIB));
	CHECK(!allocate_zeroed_memory(5, 5 * MIB));
	CHECK(!allocate_aligned_memory(4096, 25 * MIB));
	CHECK(!resize_memory(saved[0], 40 * MIB));
	CHECK_EQ(calls, 6);
	/* A setting that is refused is the caller's affair. */
	ERROR(initialize_memory_pool(&(memory_pool_config_t){ .alignment = 3 }), MEMORY_ERROR_INVALID_ARGUMENT,
	      "alignment");
	CHECK_EQ(calls, 6);
	CHECK(set_memory_error_handler(NULL) == fails_in_turn);
	CHECK(set_memory_error_handler(NULL) == NULL);
	return_to_pool(saved[0]);
	everything_back();
}

static void retrying_outside_of_a_handler(void)
{
	char *p = hold_and_fail(20 * MIB, 25 * MIB, NULL);

	CHECK(!p);
	REFUSED(retry_allocation(), ENOMEM, MEMORY_ERROR_ALLOCATION, "no memory");
	return_to_pool(saved[0]);
	p = retry_allocation();
	CHECK(p && allocation_size(p) >= 25 * MIB);
	nothing_to_retry();
	memset(p, 1, 25 * MIB);
	CHECK(!allocate_zeroed_memory(1, 25 * MIB)); /* of calloc's kind: so is what comes of it */
	return_to_pool(p);
	p = retry_allocation();
	REQUIRE(p);
	for (size_t i = 0; i < 25 * MIB; i++)
		REQUIRE(p[i] == 0);
	return_to_pool(p);
	everything_back();
}

/* A block that is resized keeps its contents, whoever got the new place. */
static void resizing_goes_through_the_handler(void)
{
	char *p, *q;

	limit(32 * MIB);
	saved[0] = allocate_from_pool(15 * MIB);
	p = allocate_from_pool(9 * MIB);
	check_fill(p, 0, 9 * MIB, 3);
	calls = 0;
	set_memory_error_handler(frees_and_retries);
	q = resize_memory(p, 20 * MIB);
	set_memory_error_handler(NULL);
	REQUIRE(q);
	CHECK_EQ(calls, 1);
	CHECK_EQ(check_filled(q, 0, 9 * MIB, 3), 9 * MIB);
	return_to_pool(q);
	everything_back();
}

static void only_notes(memory_error_t error)
{
	note(error);
	CHECK_EQ(in_handler++, 0);
	return_to_pool(hide(saved[1])); /* a second fault: reported, but not to the handler that runs */
	in_handler--;
}

static void *frees_rubbish(void *p)
{
	return_to_pool(p);
	return NULL;
}

static void corruption_is_told_too(void)
{
	char *p = allocate_from_pool(300), *q = allocate_from_pool(300);
	pthread_t thread;
	static char foreign[64];

	calls = 0;
	saved[1] = q;
	return_to_pool(q);
	set_memory_error_handler(only_notes);
	return_to_pool(p);
	CHECK_EQ(calls, 0);
	return_to_pool(hide(p));
	CHECK_EQ(calls, 1);
	CHECK_EQ(last_seen, MEMORY_ERROR_CORRUPTION);
	release_memory(hide(foreign));
	CHECK_EQ(calls, 2);
	/* A thread that has never allocated. */
	REQUIRE(pthread_create(&thread, NULL, frees_rubbish, foreign) == 0);
	pthread_join(thread, NULL);
	CHECK_EQ(calls, 3);
	set_memory_error_handler(NULL);
	everything_back();
}

/* Memory is there, in half-empty spans, and none of it serves a large block. */
static void fragmentation_is_another_error(void)
{
	enum { BLOCKS = 40000 };
	static void *p[BLOCKS];

	limit(32 * MIB);
	for (size_t i = 0; i < BLOCKS; i++)
		p[i] = allocate_from_pool(700);
	for (size_t i = 0; i < BLOCKS; i++)
		if (i % 50) {
			return_to_pool(p[i]);
			p[i] = NULL;
		}
	calls = 0;
	set_memory_error_handler(note);
	CHECK(!allocate_from_pool(20 * MIB));
	CHECK_EQ(calls, 1);
	CHECK_EQ(last_seen, MEMORY_ERROR_FRAGMENTATION);
	CHECK_EQ(last_memory_error(), MEMORY_ERROR_FRAGMENTATION);
	set_memory_error_handler(NULL);
	for (size_t i = 0; i < BLOCKS; i++)
		return_to_pool(p[i]);
	everything_back();
}

static void a_pass_gives_back_free_pages(void)
{
	enum { BLOCKS = 40000 };
	static unsigned char *p[BLOCKS];
	memory_stats_t before, after;

	for (size_t i = 0; i < BLOCKS; i++) {
		p[i] = allocate_from_pool(700);
		check_fill(p[i], 0, 700, i);
	}
	for (size_t i = 0; i < BLOCKS; i++)
		if (i % 50) {
			return_to_pool(p[i]);
			p[i] = NULL;
		}
	return_to_pool(memset(allocate_from_pool(10 * MIB), 1, 10 * MIB));
	before = api_stats();
	GOOD(trigger_defragmentation());
	after = api_stats();
	CHECK_MSG(after.physical_bytes + 20 * MIB < before.physical_bytes, "%zu before, %zu after",
		  before.physical_bytes, after.physical_bytes);
	CHECK_EQ(after.total_allocated, before.total_allocated);
	for (size_t i = 0; i < BLOCKS; i++) {
		if (p[i])
			CHECK_EQ(check_filled(p[i], 0, 700, i), 700);
		return_to_pool(p[i]);
	}
	return_to_pool(memset(allocate_from_pool(10 * MIB), 1, 10 * MIB));
	CHECK(free_unused_memory() >= 10 * MIB);
	CHECK_EQ(free_unused_memory(), 0);
	everything_back();
}

/* ---- what is said ---- */

static int run_out(void *times)
{
	memory_pool_t *pool;
	void *held[3];

	GOOD(create_memory_pool(&(named_pool_config_t){ .name = "halo", .node = MEMORY_NODE_ANY }, &pool));
	limit(32 * MIB);
	held[0] = allocate_from(pool, 9 * MIB);
	held[1] = allocate_from_pool(12 * MIB);
	held[2] = allocate_from_pool(100);
	REQUIRE(held[0] && held[1] && held[2]);
	for (uintptr_t i = 0; i < (uintptr_t)times; i++) {
		CHECK(!allocate_from_pool(20 * MIB));
		CHECK(!allocate_from_pool(hide_size(SIZE_MAX / 2)));
	}
	return_to_pool(held[1]);
	return 0;
}

static void who_holds_what_is_reported_once(void)
{
	struct child c;

	child_run(run_out, (void *)(uintptr_t)50, &c);
	CHILD_GOOD(&c, "out of memory");
	CHECK_EQ(child_lines_with(&c, "who holds what"), 1);
	CHECK_EQ(child_lines_with(&c, "20971520 bytes on node"), 1);
	CHECK_MSG(strstr(c.text, "total_size 32768"), "no limit in: %s", c.text);
	CHECK_MSG(strstr(c.text, "pool \"halo\""), "no pool in: %s", c.text);
	CHECK_MSG(strstr(c.text, "blocks above 32 KiB: live"), "no sizes in: %s", c.text);
	CHECK_MSG(strstr(c.text, "node "), "no node in: %s", c.text);
}

static int run_out_and_free(void *unused)
{
	memory_recovery_stats_t stats;

	(void)unused;
	limit(32 * MIB);
	for (int i = 0; i < 12; i++) {
		void *p = allocate_from_pool(30 * MIB);

		memset(p, 1, 30 * MIB);
		CHECK(!allocate_from_pool(10 * MIB));
		return_to_pool(p);
		flush_memory_pools();
	}
	stats = figures();
	CHECK_EQ(stats.refused, 12);
	CHECK_MSG(stats.reports >= 2 && stats.reports <= 5, "%zu reports", stats.reports);
	return 0;
}

static void and_again_after_much_was_freed(void)
{
	struct child c;

	child_run(run_out_and_free, NULL, &c);
	CHILD_GOOD(&c, "out of memory, again and again");
}

static int logged(void *unused)
{
	recovery_config_t config = { .max_retries = 2, .retry_delay = 1, .enable_logging = true };
	void *held;

	(void)unused;
	limit(32 * MIB);
	held = allocate_from_pool(20 * MIB);
	GOOD(initialize_memory_recovery(&config));
	CHECK(!allocate_from_pool(15 * MIB));
	config.fallback_strategy = FALLBACK_SYSTEM_ALLOC;
	GOOD(initialize_memory_recovery(&config));
	CHECK(allocate_from_pool(15 * MIB) != NULL);
	log_memory_error(last_memory_error());
	return_to_pool(held);
	return 0;
}

static void each_recovery_is_a_line(void)
{
	struct child c;

	child_run(logged, NULL, &c);
	CHILD_GOOD(&c, "logging");
	CHECK_EQ(child_lines_with(&c, "numarena: recovery: 15728640 bytes on node"), 2);
	CHECK_MSG(strstr(c.text, "refused") && strstr(c.text, "2 retries in 2 ms"), "said: %s", c.text);
	CHECK_MSG(strstr(c.text, "served by the system allocator"), "said: %s", c.text);
	CHECK_EQ(child_lines_with(&c, "memory error: out of memory: no memory for 15728640 bytes"), 1);
}

static int abort_now(void *unused)
{
	struct rlimit none = { 0, 0 };

	(void)unused;
	setrlimit(RLIMIT_CORE, &none);
	abort_operation();
}

static void aborting_ends_the_process(void)
{
	struct child c;

	child_run(abort_now, NULL, &c);
	CHECK(WIFSIGNALED(c.status) && WTERMSIG(c.status) == SIGABRT);
}

static void gives_up(memory_error_t error)
{
	log_memory_error(error);
	abort_operation();
}

static int abort_for_want_of_memory(void)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	set_memory_error_handler(gives_up);
	while (allocate_from_pool(5 * MIB))
		;
	return 7;
}

/* Files of a folder whose names begin so. */
static int files_named(const char *folder, const char *start)
{
	DIR *d = opendir(folder);
	int n = 0;

	for (struct dirent *e; d && (e = readdir(d));)
		n += strncmp(e->d_name, start, strlen(start)) == 0;
	if (d)
		closedir(d);
	return n;
}

/* With a folder for reports: who held what is there, and the record says how it ended. */
static void aborting_leaves_what_is_known(void)
{
	char folder[] = "recovery-XXXXXX", setting[64], command[128];
	struct child c;

	REQUIRE(mkdtemp(folder));
	snprintf(setting, sizeof(setting), "NUMARENA_REPORT=%s", folder);
	api_again("abort", (const char *const[]){ setting, "NUMARENA_TOTAL_SIZE=32M", NULL }, &c);
	CHECK(WIFSIGNALED(c.status) && WTERMSIG(c.status) == SIGABRT);
	CHECK_EQ(child_lines_with(&c, "memory error: out of memory: no memory for 5242880 bytes"), 1);
	CHECK_EQ(child_lines_with(&c, "who holds what"), 1);
	CHECK_EQ(files_named(folder, "oom-"), 1);
	CHECK_EQ(files_named(folder, ".numarena"), 1);
	snprintf(command, sizeof(command), "grep -q 'limit: total_size 32768' %s/oom-*.txt", folder);
	CHECK_EQ(system(command), 0);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	CHECK_EQ(system(command), 0);
}

/* From the environment, which the program's own configuration does not change. */
static int by_settings(void)
{
	memory_recovery_stats_t before = figures();
	void *held = allocate_from_pool(20 * MIB), *p;

	p = allocate_from_pool(20 * MIB);
	CHECK(p != NULL);
	CHECK_EQ(figures().by_system - before.by_system, 1);
	CHECK_EQ(figures().retries - before.retries, 2);
	recovery(9, 1, FALLBACK_NONE);
	CHECK(allocate_from_pool(20 * MIB) != NULL);
	return_to_pool(held);
	return_to_pool(p);
	return check_failures != 0;
}

static void the_environment_wins(void)
{
	struct child c;

	api_again("settings",
		  (const char *const[]){ "NUMARENA_RECOVERY=1", "NUMARENA_MAX_RETRIES=2", "NUMARENA_RETRY_DELAY=1",
					 "NUMARENA_FALLBACK=system", "NUMARENA_TOTAL_SIZE=32M", NULL },
		  &c);
	CHILD_GOOD(&c, "settings");
	api_again("settings", (const char *const[]){ "NUMARENA_FALLBACK=libc", NULL }, &c);
	CHECK_EQ(WEXITSTATUS(c.status), 2);
	CHECK_MSG(strstr(c.text, "NUMARENA_FALLBACK=libc") && strstr(c.text, "system"), "said: %s", c.text);
}

#ifdef NUMARENA_INTEGRITY_H /* with the calls that validate and repair: the documentation's handler, word for word */
void handle_memory_error(memory_error_t error);
void handle_memory_error(memory_error_t error)
{
	switch (error) {
	case MEMORY_ERROR_ALLOCATION:
		free_unused_memory();
		retry_allocation();
		break;

	case MEMORY_ERROR_FRAGMENTATION:
		trigger_defragmentation();
		break;

	case MEMORY_ERROR_CORRUPTION:
		validate_memory_blocks();
		repair_corruption();
		break;

	default:
		log_memory_error(error);
		abort_operation();
	}
}

static void the_documented_handler(void)
{
	static char foreign[64];
	void *p, *held;

	limit(32 * MIB);
	set_memory_error_handler(handle_memory_error);
	held = allocate_from_pool(20 * MIB);
	CHECK(!allocate_from_pool(20 * MIB));
	return_to_pool(hide(foreign));
	return_to_pool(held);
	p = allocate_from_pool(20 * MIB);
	CHECK(p != NULL);
	return_to_pool(p);
	everything_back();
}
#endif

int main(int argc, char **argv)
{
	check_watchdog(120);
	if (argc > 1 && strcmp(argv[1], "settings") == 0)
		return by_settings();
	if (argc > 1 && strcmp(argv[1], "abort") == 0)
		return abort_for_want_of_memory();
	/* Each of these in a process without a past. */
	RUN(who_holds_what_is_reported_once);
	RUN(and_again_after_much_was_freed);
	RUN(each_recovery_is_a_line);
	RUN(aborting_ends_the_process);
	RUN(aborting_leaves_what_is_known);
	RUN(the_environment_wins);
	RUN(nothing_to_retry);
	RUN(wrong_fields_are_named);
	RUN(free_memory_is_the_first_to_go);
	RUN(retries_wait_and_are_counted);
	RUN(a_retry_gets_what_others_free);
	RUN(blocks_from_beyond_are_as_good_as_any);
	RUN(the_limit_holds_again_afterwards);
	RUN(not_more_than_the_machine_has);
	RUN(a_named_pool_keeps_its_limit);
	RUN(the_failing_call_returns_what_the_handler_got);
	RUN(a_handler_need_not_retry);
	RUN(once_for_each_request_and_never_within);
	RUN(retrying_outside_of_a_handler);
	RUN(resizing_goes_through_the_handler);
	RUN(corruption_is_told_too);
	RUN(fragmentation_is_another_error);
	RUN(a_pass_gives_back_free_pages);
#ifdef NUMARENA_INTEGRITY_H
	RUN(the_documented_handler);
#endif
	return check_result();
}
