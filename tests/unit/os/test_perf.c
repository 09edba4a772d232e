/* SPDX-License-Identifier: BSD-3-Clause */
/* The real port of the counters: software events work where a processor's own are not to be had. */
#include "os/perf.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/limit.h"
#include "support/unit.h"

#define PAGES 400

static int open_faults(int *fd)
{
	return na_os.counter_open(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS, 0, -1, fd);
}

static bool forbidden(void)
{
	int fd, rc = open_faults(&fd);

	if (rc < 0)
		print_message("perf_event_open: error %d (paranoid %lld)\n", -rc,
			      (long long)na_limits_number("/proc/sys/kernel/perf_event_paranoid"));
	else
		na_os.counter_close(fd);
	return rc < 0;
}

static void touch_pages(void)
{
	volatile char *p = mmap(NULL, PAGES * NA_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	madvise((void *)(uintptr_t)p, PAGES * NA_PAGE, MADV_NOHUGEPAGE);
	for (int i = 0; i < PAGES; i++)
		p[i * NA_PAGE] = 1;
	munmap((void *)(uintptr_t)p, PAGES * NA_PAGE);
}

static void *touch_in_thread(void *unused)
{
	touch_pages();
	return unused;
}

static uint64_t count(int fd)
{
	struct na_counter_value v = { 0 };

	assert_int_equal(na_os.counter_read(fd, &v), 0);
	assert_true(v.enabled_ns > 0 && v.running_ns == v.enabled_ns); /* software is never short of counters */
	return v.value;
}

static void a_counter_follows_threads_and_not_processes(void **state)
{
	pthread_t t;
	uint64_t before, after;
	int fd, status;
	pid_t child;

	(void)state;
	if (forbidden())
		skip();
	assert_int_equal(open_faults(&fd), 0);
	before = count(fd);
	touch_pages();
	after = count(fd);
	assert_in_range(after - before, PAGES, PAGES + PAGES / 2);
	assert_int_equal(pthread_create(&t, NULL, touch_in_thread, NULL), 0);
	pthread_join(t, NULL);
	before = count(fd);
	assert_in_range(before - after, PAGES, PAGES + PAGES / 2);
	child = fork();
	if (child == 0) {
		for (int i = 0; i < 10; i++)
			touch_pages();
		_exit(0);
	}
	waitpid(child, &status, 0);
	assert_in_range(count(fd) - before, 0, PAGES); /* fork itself makes some of our pages fault */
	assert_int_equal(na_os.counter_close(fd), 0);
}

/* A program may have closed our descriptor and opened its own under that number. */
static void a_foreign_descriptor_is_neither_read_nor_closed(void **state)
{
	struct na_counter_value v = { 7, 7, 7 };
	int fds[2];
	char byte;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(na_os.counter_read(fds[0], &v), -EBADF);
	assert_int_equal(na_os.counter_close(fds[0]), -EBADF);
	assert_int_equal(v.value, 7);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	assert_int_equal(byte, 'x');
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(na_os.counter_read(fds[0], &v), -EBADF);
}

static void what_cannot_be_opened_is_an_error(void **state)
{
	int fd = -7;

	(void)state;
	errno = 77;
	assert_true(na_os.counter_open(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS, 999999999, -1, &fd) < 0);
	assert_true(na_os.counter_open(12345, 0, 0, -1, &fd) < 0);
	assert_int_equal(fd, -7);
	assert_int_equal(errno, 77);
}

static void *wait_here(void *barrier)
{
	pthread_barrier_wait(barrier);
	pthread_barrier_wait(barrier);
	return NULL;
}

static void threads_are_listed(void **state)
{
	int ids[64];
	pthread_barrier_t barrier;
	pthread_t t[3];
	size_t n = 0, own = 0;

	(void)state;
	assert_int_equal(na_os.threads(ids, 64, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(ids[0], getpid());
	pthread_barrier_init(&barrier, NULL, 4);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&t[i], NULL, wait_here, &barrier), 0);
	pthread_barrier_wait(&barrier);
	assert_int_equal(na_os.threads(ids, 64, &n), 0);
	assert_int_equal(n, 4);
	for (size_t i = 0; i < n; i++)
		own += ids[i] == getpid();
	assert_int_equal(own, 1);
	memset(ids, 0, sizeof(ids));
	assert_int_equal(na_os.threads(ids, 2, &n), 0);
	assert_int_equal(n, 4); /* more than there is room for */
	assert_int_equal(ids[2], 0);
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	pthread_barrier_destroy(&barrier);
}

static void page_faults_are_the_process_s(void **state)
{
	uint64_t minor, major, more;

	(void)state;
	assert_int_equal(na_os.page_faults(&minor, &major), 0);
	touch_pages();
	assert_int_equal(na_os.page_faults(&more, &major), 0);
	assert_in_range(more - minor, PAGES, PAGES + PAGES / 2);
}

static void a_thread_runs_where_it_is_told(void **state)
{
	unsigned long all[128] = { 0 }, one[128] = { 0 }, now[128] = { 0 };
	size_t cpu = 0;

	(void)state;
	assert_true(na_os.cpus(all, sizeof(all)) > 0);
	while (!(all[cpu / 64] >> (cpu % 64) & 1))
		cpu++;
	one[cpu / 64] = 1ul << (cpu % 64);
	assert_int_equal(na_os.run_on(one, sizeof(one)), 0);
	assert_int_equal(na_os.cpus(now, sizeof(now)), 1);
	assert_memory_equal(now, one, sizeof(now));
	assert_int_equal(na_os.run_on(all, sizeof(all)), 0);
	memset(one, 0, sizeof(one));
	assert_int_equal(na_os.run_on(one, sizeof(one)), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_are_listed),
		cmocka_unit_test(a_counter_follows_threads_and_not_processes),
		cmocka_unit_test(a_foreign_descriptor_is_neither_read_nor_closed),
		cmocka_unit_test(what_cannot_be_opened_is_an_error),
		cmocka_unit_test(page_faults_are_the_process_s),
		cmocka_unit_test(a_thread_runs_where_it_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
