/* SPDX-License-Identifier: BSD-3-Clause */
/* numarena/integrity.h: a sound heap is told so, also while threads are at work in it; misuse is counted. */
#include <stdatomic.h>
#include <sys/wait.h>

#include "api.h"

#define THREADS 3
#define SLOTS	600

static _Atomic int stop;
static _Atomic(void *) shared[SLOTS]; /* blocks that go from thread to thread */

static void *work(void *argument)
{
	unsigned int seed = (unsigned int)(size_t)argument;

	while (!atomic_load(&stop)) {
		size_t i = (size_t)rand_r(&seed) % SLOTS,
		       size = 1 + (size_t)rand_r(&seed) % (rand_r(&seed) % 64 ? 2000 : 300000);
		/* Of the default pool, and of groups of blocks with hints. */
		memory_hints_t hints = { .lifetime = rand_r(&seed) % 2 ? LIFETIME_LONG : LIFETIME_SHORT };
		char *p = rand_r(&seed) % 4 ? allocate_memory(size) : optimized_allocate(size, &hints);

		if (p) {
			p[0] = 1;
			p[size - 1] = 2;
		}
		release_memory(atomic_exchange(&shared[i], p));
	}
	return NULL;
}

static void *once(void *unused)
{
	for (size_t i = 0; i < SLOTS; i += 3)
		release_memory(atomic_exchange(&shared[i], allocate_memory(100 + i)));
	return unused;
}

/* Threads that end leave caches behind, which the next ones take over. */
static void *come_and_go(void *unused)
{
	while (!atomic_load(&stop)) {
		pthread_t t;

		if (pthread_create(&t, NULL, once, NULL) == 0)
			pthread_join(t, NULL);
		flush_memory_pools();
	}
	return unused;
}

static void while_threads_work(void)
{
	pthread_t t[THREADS + 1];
	size_t faults = 0;

	for (size_t i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, work, (void *)(i + 1));
	pthread_create(&t[THREADS], NULL, come_and_go, NULL);
	for (int i = 0; i < (api_brief() ? 3 : 40); i++) {
		faults += validate_memory_blocks();
		if (i % 10 == 9)
			faults += repair_corruption() != MEMORY_ERROR_NONE;
	}
	atomic_store(&stop, 1);
	for (size_t i = 0; i <= THREADS; i++)
		pthread_join(t[i], NULL);
	CHECK(faults == 0);
	CHECK(validate_memory_blocks() == 0);
}

/* With threads in the middle of things, and validating at that: the child's heap is whole, but for what they had in hand. */
static void in_a_child(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		void *p = allocate_memory(100);

		release_memory(p);
		_exit(validate_memory_blocks() == 0 && repair_corruption() == MEMORY_ERROR_NONE ? 0 : 1);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void misuse_is_counted_and_no_fault(void)
{
	memory_integrity_report_t before, after;
	void *p = allocate_memory(64), *kept = allocate_memory(64);
	int local;

	CHECK(get_memory_integrity_report(&before) == MEMORY_ERROR_NONE);
	release_memory(p);
	release_memory(p);
	return_to_pool(&local);
	CHECK(get_memory_integrity_report(&after) == MEMORY_ERROR_NONE);
	CHECK(after.double_frees + after.invalid_frees == before.double_frees + before.invalid_frees + 2);
	CHECK(validate_memory_blocks() == 0);
	release_memory(kept);
	CHECK(get_memory_integrity_report(NULL) == MEMORY_ERROR_INVALID_ARGUMENT);
	CHECK(strstr(last_memory_error_message(), "report") != NULL);
}

/* All of it in a process that samples, whose caches have split stacks with traps. */
static void while_blocks_are_sampled(void)
{
	struct child c;

	api_again("again", (const char *const[]){ "NUMARENA_SAMPLE_BYTES=4K", NULL }, &c);
	CHILD_GOOD(&c, "again");
}

int main(int argc, char **argv)
{
	memory_integrity_report_t report;

	(void)argv;
	CHECK(validate_memory_blocks() == 0);
	CHECK(repair_corruption() == MEMORY_ERROR_NONE);
	CHECK(get_memory_integrity_report(&report) == MEMORY_ERROR_NONE);
	CHECK(report.faults_found == 0 && report.first[0] == '\0');
	misuse_is_counted_and_no_fault();
	in_a_child();
	while_threads_work();
	if (argc == 1)
		while_blocks_are_sampled();
	return check_result();
}
