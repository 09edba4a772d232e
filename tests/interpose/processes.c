/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fork, exec and the ends of threads: a child of a process whose threads allocate all the time can allocate and
 * start threads of its own; blocks outlive their threads; destructors of keys allocate when the thread is almost gone.
 */
#include "interpose/interpose.h"

#include <pthread.h>
#include <spawn.h>

#define THREADS 4
#define FORKS 60

static int stopping;

static void churn(uint64_t seed, int rounds)
{
	enum { N = 64 };
	void *p[N] = { NULL };
	size_t size[N] = { 0 };

	for (int i = 0; i < rounds; i++) {
		size_t at = check_random(&seed) % N;

		if (p[at]) {
			CHECK_EQ(check_filled(p[at], 0, size[at] < 64 ? size[at] : 64, at), size[at] < 64 ? size[at] : 64);
			free(p[at]);
		}
		size[at] = 1 + check_random(&seed) % (i % 50 ? 2000 : 300000);
		p[at] = malloc(size[at]);
		REQUIRE(p[at]);
		check_fill(p[at], 0, size[at] < 64 ? size[at] : 64, at);
	}
	for (size_t i = 0; i < N; i++)
		free(p[i]);
}

static void *worker(void *seed)
{
	while (!__atomic_load_n(&stopping, __ATOMIC_RELAXED))
		churn((uint64_t)(uintptr_t)seed, 500);
	return NULL;
}

static void *briefly(void *seed)
{
	churn((uint64_t)(uintptr_t)seed, 300);
	return NULL;
}

/* With blocks of the parent's to free. */
static int child(void *blocks)
{
	pthread_t threads[2];

	for (int i = 0; i < 100; i++)
		free(((void **)blocks)[i]);
	for (uintptr_t i = 0; i < 2; i++)
		REQUIRE(pthread_create(&threads[i], NULL, briefly, (void *)(i + 77)) == 0);
	churn(5, 1000);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

static void forks_while_threads_allocate(void)
{
	pthread_t threads[THREADS];
	void *blocks[100];
	struct child c;

	for (uintptr_t i = 0; i < THREADS; i++)
		REQUIRE(pthread_create(&threads[i], NULL, worker, (void *)(i + 1)) == 0);
	for (int i = 0; i < FORKS; i++) {
		for (int k = 0; k < 100; k++)
			blocks[k] = malloc(16 + 40 * (size_t)k);
		child_run(child, blocks, &c);
		CHILD_GOOD(&c, "a child");
		for (int k = 0; k < 100; k++)
			free(blocks[k]);
	}
	__atomic_store_n(&stopping, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static int grandchildren(void *depth)
{
	struct child c;

	churn(9, 200);
	if (depth) {
		child_run(grandchildren, (void *)((uintptr_t)depth - 1), &c);
		CHILD_GOOD(&c, "a grandchild");
	}
	return 0;
}

static void children_of_children(void)
{
	grandchildren((void *)4);
}

static void vfork_and_exec(void)
{
	extern char **environ;
	char *const arguments[] = { (char *)"/bin/true", NULL };
	int status;
	pid_t pid;

	for (int i = 0; i < 20; i++) {
		REQUIRE(posix_spawn(&pid, "/bin/true", NULL, NULL, arguments, environ) == 0);
		REQUIRE(waitpid(pid, &status, 0) == pid);
		CHECK_EQ(status, 0);
		churn((uint64_t)i, 100);
	}
}

static void *leave_blocks(void *out)
{
	void **p = out;

	for (int i = 0; i < 200; i++) {
		p[i] = malloc(8 + 100 * (size_t)i);
		check_fill(p[i], 0, 8, (uint64_t)i);
	}
	return NULL;
}

static void blocks_outlive_their_threads(void)
{
	for (int round = 0; round < 50; round++) {
		void *p[200], *q[200];
		pthread_t thread;

		REQUIRE(pthread_create(&thread, NULL, leave_blocks, p) == 0);
		pthread_join(thread, NULL);
		leave_blocks(q); /* takes over what the other left */
		for (int i = 0; i < 200; i++) {
			CHECK_EQ(check_filled(p[i], 0, 8, (uint64_t)i), 8);
			free(p[i]);
			free(q[i]);
		}
	}
}

static pthread_key_t key;
static int destroyed;

/* Runs when the thread's cache may be gone; twice, because it sets the key again. */
static void destroy(void *value)
{
	int *count = value, *again;

	churn(3, 50);
	again = malloc(sizeof(*again));
	*again = *count + 1;
	free(count);
	__atomic_add_fetch(&destroyed, 1, __ATOMIC_RELAXED);
	if (*again < 3)
		pthread_setspecific(key, again);
	else
		free(again);
}

static void *with_key(void *unused)
{
	int *count = calloc(1, sizeof(*count));

	(void)unused;
	pthread_setspecific(key, count);
	churn(4, 50);
	return NULL;
}

static void destructors_allocate(void)
{
	pthread_t thread;

	REQUIRE(pthread_key_create(&key, destroy) == 0);
	for (int i = 0; i < 20; i++) {
		REQUIRE(pthread_create(&thread, NULL, with_key, NULL) == 0);
		pthread_join(thread, NULL);
	}
	CHECK_EQ(destroyed, 60);
}

static void *ends_in_the_middle(void *unused)
{
	(void)unused;
	churn(6, 100);
	pthread_exit(malloc(100));
}

static void threads_that_exit_and_are_cancelled(void)
{
	for (int i = 0; i < 20; i++) {
		pthread_t thread;
		void *result;

		REQUIRE(pthread_create(&thread, NULL, ends_in_the_middle, NULL) == 0);
		pthread_join(thread, &result);
		CHECK(result != NULL);
		free(result);
	}
}

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
	(void)number;
	caught++; /* a handler may not allocate; what it interrupts does */
}

static void interrupted_by_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	pid_t me = getpid(), pid;

	REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
	pid = fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		for (int i = 0; i < 300; i++) {
			kill(me, SIGUSR1);
			usleep(100);
		}
		_exit(0);
	}
	while (waitpid(pid, NULL, WNOHANG) == 0)
		churn(8, 200);
	CHECK(caught > 0);
}

int main(int argc, char **argv)
{
	(void)argc;
	interpose_enter(argv);
	RUN(forks_while_threads_allocate);
	RUN(children_of_children);
	RUN(vfork_and_exec);
	RUN(blocks_outlive_their_threads);
	RUN(destructors_allocate);
	RUN(threads_that_exit_and_are_cancelled);
	RUN(interrupted_by_signals);
	return check_result();
}
