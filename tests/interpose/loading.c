/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * malloc where there is hardly a program yet or any more: in .preinit_array, before any library's constructors; in
 * constructors of the first priority; within the loader, which allocates for dlopen and for thread-local storage; in
 * libraries that come and go; in exit handlers and destructors.
 */
#include "interpose/interpose.h"

#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>

#define LIBRARY NA_TEST_BUILD "/tests/interpose/.libs/loaded.so"

static char *earliest, *early;

static void at_preinit(int argc, char **argv, char **environment)
{
	(void)argc;
	(void)argv;
	(void)environment;
	earliest = malloc(1000);
	check_fill(earliest, 0, 1000, 1);
	free(malloc(3000000));
	earliest = realloc(earliest, 50000);
}

/* Runs before the constructors of all libraries, ours among them. */
static __attribute__((section(".preinit_array"), used)) void (*const preinit)(int, char **, char **) = at_preinit;

static __attribute__((constructor(101))) void at_first_constructor(void)
{
	early = calloc(100, 100);
	check_fill(early, 0, 10000, 2);
}

static __attribute__((destructor(101))) void at_last_destructor(void)
{
	char *p = malloc(2000);

	if (!p || check_filled(early, 0, 10000, 2) != 10000)
		_exit(5);
	free(early);
	memset(p, 1, 2000);
	free(realloc(p, 5000000));
}

static void at_exit(void)
{
	free(memset(malloc(300000), 1, 300000));
}

static void blocks_from_before_main(void)
{
	CHECK(earliest && check_filled(earliest, 0, 1000, 1) == 1000);
	CHECK(malloc_usable_size(earliest) >= 50000);
	CHECK_EQ(check_filled(early, 0, 10000, 2), 10000);
	free(earliest);
}

static void *open_library(void)
{
	void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

	if (!handle)
		check_fail(__FILE__, __LINE__, "%s", dlerror());
	REQUIRE(handle);
	return handle;
}

static void *function_of(void *handle, const char *name)
{
	void *p = dlsym(handle, name);

	REQUIRE(p);
	return p;
}

static void *fetch_blocks(void *handle, size_t n)
{
	void *(*blocks)(size_t);

	*(void **)&blocks = function_of(handle, "loaded_blocks");
	return blocks(n);
}

static int keep_local(void *handle, int value)
{
	int (*local)(int);

	*(void **)&local = function_of(handle, "loaded_local");
	return local(value);
}

static void free_list(void *p, size_t n)
{
	for (; p; n--) {
		void *next = *(void **)p;

		CHECK(malloc_usable_size(p) >= 16);
		free(p);
		p = next;
	}
	CHECK_EQ(n, 0);
}

static void libraries_come_and_go(void)
{
	size_t live = 0;

	for (int i = 0; i < 200; i++) {
		void *handle = open_library(), *list = fetch_blocks(handle, 100);

		CHECK_EQ(keep_local(handle, 7), 7);
		CHECK_EQ(dlclose(handle), 0);
		free_list(list, 100); /* the library that allocated them is gone */
		CHECK(dlopen("/nonexistent/library.so", RTLD_NOW) == NULL);
		CHECK(dlerror() != NULL); /* an allocated message */
		if (i == 20)
			live = mallinfo2().uordblks;
	}
	if (!interpose_libc())
		CHECK_MSG(mallinfo2().uordblks <= live + 4096, "%zu bytes live, %zu after 180 libraries", live,
			  mallinfo2().uordblks);
}

struct visit {
	void *handle;
	sem_t ready, go;
	int sum;
};

static void *visitor(void *data)
{
	struct visit *v = data;

	sem_post(&v->ready);
	sem_wait(&v->go);
	for (int i = 0; i < 100; i++)
		v->sum = keep_local(v->handle, 3); /* this thread's storage is allocated at the first */
	free_list(fetch_blocks(v->handle, 50), 50);
	return NULL;
}

/* Threads older than the library: the loader makes their storage when they first touch it. */
static void thread_local_storage_of_late_libraries(void)
{
	for (int round = 0; round < 20; round++) {
		struct visit v[4];
		pthread_t t[4];
		void *handle;

		for (int i = 0; i < 4; i++) {
			v[i].sum = 0;
			sem_init(&v[i].ready, 0, 0);
			sem_init(&v[i].go, 0, 0);
			REQUIRE(pthread_create(&t[i], NULL, visitor, &v[i]) == 0);
			sem_wait(&v[i].ready);
		}
		handle = open_library();
		for (int i = 0; i < 4; i++) {
			v[i].handle = handle;
			sem_post(&v[i].go);
		}
		for (int i = 0; i < 4; i++) {
			pthread_join(t[i], NULL);
			CHECK_EQ(v[i].sum, 300);
			sem_destroy(&v[i].ready);
			sem_destroy(&v[i].go);
		}
		CHECK_EQ(dlclose(handle), 0);
	}
}

static void *load_often(void *unused)
{
	(void)unused;
	for (int i = 0; i < 100; i++) {
		void *handle = open_library();

		free_list(fetch_blocks(handle, 20), 20);
		keep_local(handle, i);
		dlclose(handle);
	}
	return NULL;
}

static void *allocate_often(void *stop)
{
	uint64_t random = 4;

	while (!__atomic_load_n((int *)stop, __ATOMIC_RELAXED))
		free(memset(malloc(check_random(&random) % 100000), 1, 1));
	return NULL;
}

static void threads_load_while_others_allocate(void)
{
	pthread_t t[4];
	int stop = 0;

	for (int i = 0; i < 4; i++)
		REQUIRE(pthread_create(&t[i], NULL, i < 2 ? load_often : allocate_often, &stop) == 0);
	for (int i = 0; i < 4; i++) {
		if (i == 2)
			__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
		pthread_join(t[i], NULL);
	}
}

static int load_in_child(void *unused)
{
	(void)unused;
	load_often(NULL);
	return 0;
}

static void a_forked_child_loads(void)
{
	struct child c;

	for (int i = 0; i < 5; i++) {
		child_run(load_in_child, NULL, &c);
		CHILD_GOOD(&c, "loading in a forked child");
	}
}

int main(int argc, char **argv)
{
	(void)argc;
	interpose_enter(argv);
	atexit(at_exit);
	RUN(blocks_from_before_main);
	RUN(libraries_come_and_go);
	RUN(thread_local_storage_of_late_libraries);
	RUN(threads_load_while_others_allocate);
	RUN(a_forked_child_loads);
	return check_result();
}
