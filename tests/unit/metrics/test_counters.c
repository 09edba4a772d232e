/* SPDX-License-Identifier: BSD-3-Clause */
/* Counters over all threads: by an os table that makes them up, in every way in which they can fail, and once for real. */
#include "metrics/counters.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <numarena/metrics.h>
#include <pthread.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>

#include "base/options.h"
#include "os/os.h"
#include "support/unit.h"

#define MOST 4096

/* The made-up kernel: descriptors are indices, and each knows what it was opened for. */
static struct {
	struct na_os real;
	struct {
		bool open;
		int thread, group;
		uint64_t config;
	} fd[MOST];
	int opened, open_now;
	int threads[2000];
	size_t thread_count;
	int grow;	    /* listings after which a thread more is there each time; while > 0 */
	int vanished;	    /* a thread that is listed and cannot be opened */
	bool no_groups;	    /* -EINVAL for the second of a group */
	long fail_at;	    /* the call of the table that fails; 0: none */
	long calls;
	int error;
	struct na_counter_value value[2]; /* of references, and of misses */
} kernel;

static bool fails(void)
{
	return ++kernel.calls == kernel.fail_at;
}

static int make_open(uint32_t type, uint64_t config, int thread, int group, int *out)
{
	assert_int_equal(type, PERF_TYPE_HARDWARE);
	if (fails())
		return kernel.error;
	if (thread == kernel.vanished)
		return -ESRCH;
	if (group >= 0 && kernel.no_groups)
		return -EINVAL;
	if (group >= 0) {
		assert_true(kernel.fd[group].open);
		assert_int_equal(kernel.fd[group].thread, thread);
	}
	assert_true(kernel.opened < MOST);
	kernel.fd[kernel.opened].open = true;
	kernel.fd[kernel.opened].thread = thread;
	kernel.fd[kernel.opened].group = group;
	kernel.fd[kernel.opened].config = config;
	kernel.open_now++;
	*out = kernel.opened++;
	return 0;
}

static int make_read(int fd, struct na_counter_value *out)
{
	if (fails())
		return kernel.error;
	assert_true(kernel.fd[fd].open);
	*out = kernel.value[kernel.fd[fd].config == PERF_COUNT_HW_CACHE_MISSES];
	return 0;
}

static int make_close(int fd)
{
	assert_true(kernel.fd[fd].open);
	kernel.fd[fd].open = false;
	kernel.open_now--;
	return 0;
}

static int make_threads(int *ids, size_t capacity, size_t *count)
{
	if (fails())
		return kernel.error;
	for (size_t i = 0; i < kernel.thread_count && i < capacity; i++)
		ids[i] = kernel.threads[i];
	*count = kernel.thread_count;
	if (kernel.grow-- > 0) {
		kernel.threads[kernel.thread_count] = 1000 + (int)kernel.thread_count;
		kernel.thread_count++;
	}
	return 0;
}

static int begin(void **state)
{
	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	kernel.real = na_os;
	na_os.counter_open = make_open;
	na_os.counter_read = make_read;
	na_os.counter_close = make_close;
	na_os.threads = make_threads;
	kernel.thread_count = 3;
	for (int i = 0; i < 3; i++)
		kernel.threads[i] = 100 + i;
	kernel.value[0] = (struct na_counter_value){ 1000, 50, 50 };
	kernel.value[1] = (struct na_counter_value){ 100, 50, 50 };
	__atomic_store_n(&na_options.monitor_cache_misses, 1, __ATOMIC_RELAXED);
	return 0;
}

static int end(void **state)
{
	(void)state;
	na_counters_stop();
	assert_int_equal(kernel.open_now, 0); /* whatever happened, no descriptor is left */
	na_os = kernel.real;
	__atomic_store_n(&na_options.monitor_cache_misses, 0, __ATOMIC_RELAXED);
	return 0;
}

static struct na_counters_sum figures(void)
{
	struct na_counters_sum sum;

	assert_int_equal(na_counters_figures(&sum), 0);
	return sum;
}

static void every_thread_has_a_pair_that_counts_together(void **state)
{
	struct na_counters_sum sum;

	(void)state;
	sum = figures();
	assert_int_equal(sum.threads, 3);
	assert_int_equal(sum.missed, 0);
	assert_int_equal(sum.value[0], 3000);
	assert_int_equal(sum.value[1], 300);
	assert_int_equal(kernel.open_now, 6);
	for (int i = 0; i < 6; i += 2) {
		assert_int_equal(kernel.fd[i].thread, 100 + i / 2);
		assert_int_equal(kernel.fd[i].group, -1);
		assert_int_equal(kernel.fd[i + 1].group, i);
	}
	assert_int_equal(na_counters_start(), 0); /* twice is once */
	assert_int_equal(kernel.open_now, 6);
}

/* Each by its own times. */
static void what_was_counted_in_part_is_scaled(void **state)
{
	struct na_counters_sum sum;

	(void)state;
	kernel.value[0] = (struct na_counter_value){ 1000, 400, 100 };
	kernel.value[1] = (struct na_counter_value){ 90, 300, 100 };
	sum = figures();
	assert_int_equal(sum.value[0], 3 * 4000);
	assert_int_equal(sum.value[1], 3 * 270);
	assert_int_equal(sum.enabled_ns, 1200);
	assert_int_equal(sum.running_ns, 300);
	kernel.value[0] = (struct na_counter_value){ UINT64_C(1) << 60, UINT64_C(1) << 62, UINT64_C(1) << 61 };
	assert_int_equal(figures().value[0], 3 * (UINT64_C(1) << 61)); /* no overflow on the way */
	kernel.value[0] = (struct na_counter_value){ 5, 100, 101 };    /* never less than was counted */
	assert_int_equal(figures().value[0], 15);
}

static void the_metrics_say_how_much_was_counted(void **state)
{
	memory_metrics_t m;

	(void)state;
	kernel.value[0] = (struct na_counter_value){ 1000, 400, 100 };
	kernel.value[1] = (struct na_counter_value){ 250, 400, 100 };
	assert_int_equal(get_memory_metrics(&m), 0);
	assert_int_equal(m.cache_references, 12000);
	assert_int_equal(m.cache_misses, 3000);
	assert_true(fabs(m.cache_hit_rate - 0.75) < 1e-9);
	assert_true(fabs(m.cache_counted - 0.25) < 1e-9);
	assert_string_equal(memory_metric_unavailable_reason("cache_misses"), "");
	kernel.value[1].value = 5000; /* of other moments than the references */
	assert_int_equal(get_memory_metrics(&m), 0);
	assert_true(m.cache_hit_rate == 0.0);
	kernel.value[0].value = kernel.value[1].value = 0;
	assert_int_equal(get_memory_metrics(&m), 0);
	assert_true(isnan(m.cache_hit_rate) && m.cache_misses == 0);
	assert_non_null(strstr(memory_metric_unavailable_reason("cache_hit_rate"), "no access"));
	kernel.value[0].running_ns = kernel.value[1].running_ns = 0;
	assert_int_equal(get_memory_metrics(&m), 0);
	assert_true(isnan(m.cache_hit_rate) && m.cache_misses == MEMORY_METRIC_UNAVAILABLE);
	assert_non_null(strstr(memory_metric_unavailable_reason("cache_misses"), "others"));
	__atomic_store_n(&na_options.monitor_cache_misses, 0, __ATOMIC_RELAXED);
	assert_int_equal(get_memory_metrics(&m), 0);
	assert_int_equal(m.cache_misses, MEMORY_METRIC_UNAVAILABLE);
	assert_non_null(strstr(memory_metric_unavailable_reason("cache_misses"), "monitor_cache_misses"));
}

static void where_groups_are_refused_each_counts_alone(void **state)
{
	(void)state;
	kernel.no_groups = true;
	assert_int_equal(figures().value[1], 300);
	for (int i = 0; i < 6; i++)
		assert_int_equal(kernel.fd[i].group, -1);
}

static void a_thread_that_ended_meanwhile_is_passed_over(void **state)
{
	(void)state;
	kernel.vanished = 101;
	assert_int_equal(figures().threads, 2);
	assert_int_equal(kernel.open_now, 4);
}

/* A thread that came while we opened would be counted twice or not at all. */
static void when_a_thread_comes_it_begins_again(void **state)
{
	struct na_counters_sum sum;

	(void)state;
	kernel.grow = 3;
	sum = figures();
	assert_int_equal(sum.threads, 6);
	assert_int_equal(sum.missed, 0);
	assert_int_equal(kernel.open_now, 12);
	assert_true(kernel.opened > 12);
}

static void threads_that_never_stop_coming_are_told(void **state)
{
	struct na_counters_sum sum;
	memory_metrics_t m;

	(void)state;
	kernel.grow = 1000;
	sum = figures();
	assert_int_equal(sum.missed, 1);
	assert_int_equal(get_memory_metrics(&m), 0);
	assert_int_equal(m.cache_threads_missed, 1);
	assert_int_equal(kernel.open_now, 2 * (int)sum.threads);
}

static void too_many_threads_are_not_counted_in_part(void **state)
{
	struct na_counters_sum sum;

	(void)state;
	for (int i = 0; i < 2000; i++)
		kernel.threads[i] = 10 + i;
	kernel.thread_count = NA_COUNTERS_THREADS + 1;
	assert_int_equal(na_counters_figures(&sum), -EUSERS);
	assert_int_equal(kernel.opened, 0);
	kernel.thread_count = NA_COUNTERS_THREADS;
	assert_int_equal(na_counters_start(), 0);
	assert_int_equal(figures().threads, NA_COUNTERS_THREADS);
}

static void refusals_have_their_reasons(void **state)
{
	static const struct {
		int error;
		const char *word;
	} cases[] = {
		{ -EACCES, "perf_event_paranoid" }, { -EPERM, "perf_event_paranoid" }, { -ENOENT, "not supported" },
		{ -EOPNOTSUPP, "not supported" },   { -EMFILE, "descriptors" },	       { -ENFILE, "descriptors" },
		{ -ENOSYS, "no perf events" },	    { -EBUSY, "another profiler" },    { -E2BIG, "failed" },
		{ -EUSERS, "1024" },		    { -EBADF, "closed" },
	};
	memory_metrics_t m;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct na_counters_sum sum;
		int opened;

		na_counters_stop();
		kernel.calls = 0;
		kernel.fail_at = 2; /* the first is the list of threads */
		kernel.error = cases[i].error;
		assert_int_equal(na_counters_figures(&sum), cases[i].error);
		assert_int_equal(kernel.open_now, 0);
		opened = kernel.opened;
		assert_int_equal(get_memory_metrics(&m), 0); /* not tried again at each question */
		assert_int_equal(kernel.opened, opened);
		assert_true(isnan(m.cache_hit_rate) && isnan(m.cache_counted));
		assert_int_equal(m.cache_misses, MEMORY_METRIC_UNAVAILABLE);
		assert_int_equal(m.cache_references, MEMORY_METRIC_UNAVAILABLE);
		assert_non_null(strstr(memory_metric_unavailable_reason("cache_misses"), cases[i].word));
		assert_int_equal(na_counters_start(), 0); /* but when it is asked for */
	}
}

/* Whichever call fails, in starting or in reading: an error, and no descriptor left behind. */
static void the_nth_call_fails(void **state)
{
	struct na_counters_sum sum;
	long reached = 0;

	(void)state;
	for (long n = 1; n == 1 || n <= reached; n++) {
		na_counters_stop();
		assert_int_equal(kernel.open_now, 0);
		kernel.calls = 0;
		kernel.fail_at = n;
		kernel.error = -EMFILE;
		assert_int_equal(na_counters_figures(&sum), -EMFILE);
		assert_true(kernel.open_now == 0 || kernel.open_now == 6);
		if (n == 1) { /* how many calls there are */
			na_counters_stop();
			kernel.calls = kernel.fail_at = 0;
			figures();
			reached = kernel.calls;
			assert_true(reached >= 14); /* two lists, six opened, six read */
		}
	}
}

/* ---- for real: the kernel's own page faults ---- */

#define PAGES	400
#define THREADS 3

static pthread_barrier_t barrier;

static void touch_pages(void)
{
	volatile char *p = mmap(NULL, PAGES * NA_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	madvise((void *)(uintptr_t)p, PAGES * NA_PAGE, MADV_NOHUGEPAGE);
	for (int i = 0; i < PAGES; i++)
		p[i * NA_PAGE] = 1;
	munmap((void *)(uintptr_t)p, PAGES * NA_PAGE);
}

static void *touch_once(void *descend)
{
	pthread_t t;

	touch_pages();
	if (descend && pthread_create(&t, NULL, touch_once, NULL) == 0)
		pthread_join(t, NULL);
	return NULL;
}

static void *wait_and_touch(void *unused)
{
	pthread_t t;

	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	touch_pages();
	if (pthread_create(&t, NULL, touch_once, unused) == 0)
		pthread_join(t, NULL);
	return NULL;
}

/* Threads that were there before, their children, and threads that come later: each counted once. */
static void all_threads_are_counted_once(void **state)
{
	static const struct na_counters_event events[2] = {
		{ PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS },
		{ PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MIN },
	};
	static struct na_counters c;
	struct na_counters_sum before, after;
	pthread_t threads[THREADS], later;
	int rc;

	(void)state;
	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, wait_and_touch, NULL), 0);
	pthread_barrier_wait(&barrier);
	rc = na_counters_open(&c, events);
	if (rc == 0) {
		assert_int_equal(c.threads, THREADS + 1);
		assert_int_equal(na_counters_sum(&c, &before), 0);
	}
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(pthread_create(&later, NULL, touch_once, &barrier), 0);
	pthread_join(later, NULL);
	pthread_barrier_destroy(&barrier);
	if (rc < 0) {
		print_message("no counters here: %s\n", na_counters_why(rc));
		skip();
	}
	assert_int_equal(na_counters_sum(&c, &after), 0);
	/* Each thread touches its pages, and a few more of its stack and the like. */
	assert_in_range(after.value[0] - before.value[0], (2 * THREADS + 2) * PAGES, (2 * THREADS + 2) * (PAGES + PAGES / 2));
	assert_int_equal(after.value[0] - before.value[0], after.value[1] - before.value[1]); /* they count together */
	na_counters_close(&c);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		CASE(every_thread_has_a_pair_that_counts_together),
		CASE(what_was_counted_in_part_is_scaled),
		CASE(the_metrics_say_how_much_was_counted),
		CASE(where_groups_are_refused_each_counts_alone),
		CASE(a_thread_that_ended_meanwhile_is_passed_over),
		CASE(when_a_thread_comes_it_begins_again),
		CASE(threads_that_never_stop_coming_are_told),
		CASE(too_many_threads_are_not_counted_in_part),
		CASE(refusals_have_their_reasons),
		CASE(the_nth_call_fails),
		cmocka_unit_test(all_threads_are_counted_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
