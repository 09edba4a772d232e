/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The library opened by a program that runs already, with threads: as Python's extension modules and plug-ins have it.
 * It must fit in what static thread-local storage is left, serve threads that are older than itself, and survive dlclose.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>

#include "support/check.h"

static void *(*allocate)(size_t);
static void (*give)(void *);
static size_t (*size_of)(const void *);
static sem_t opened, ready;

static void *function_of(void *handle, const char *name)
{
	void *p = dlsym(handle, name);

	if (!p)
		check_fail(__FILE__, __LINE__, "%s", dlerror());
	REQUIRE(p);
	return p;
}

static void use(uint64_t seed)
{
	unsigned char *p[200];

	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < 200; i++) {
			p[i] = allocate(i * 40);
			REQUIRE(p[i]);
			check_fill(p[i], 0, i * 40, seed + i);
		}
		for (size_t i = 0; i < 200; i++) {
			CHECK(size_of(p[i]) >= i * 40);
			CHECK_EQ(check_filled(p[i], 0, i * 40, seed + i), i * 40);
			give(p[i]);
		}
	}
}

static void *older(void *seed)
{
	sem_post(&ready);
	sem_wait(&opened);
	use((uintptr_t)seed);
	return NULL;
}

static void *open_library(const char *path, int flags)
{
	void *handle = dlopen(path, flags);

	if (!handle)
		check_fail(__FILE__, __LINE__, "%s", dlerror());
	REQUIRE(handle);
	*(void **)&allocate = function_of(handle, "numarena_allocate_from_pool");
	*(void **)&give = function_of(handle, "numarena_return_to_pool");
	*(void **)&size_of = function_of(handle, "numarena_allocation_size");
	return handle;
}

static void opened_beside_running_threads(void)
{
	pthread_t threads[4];
	void *handle;

	for (uintptr_t i = 0; i < 4; i++) {
		REQUIRE(pthread_create(&threads[i], NULL, older, (void *)(i + 1)) == 0);
		sem_wait(&ready);
	}
	handle = open_library(NA_TEST_BUILD "/src/.libs/libnumarena.so", RTLD_NOW | RTLD_LOCAL);
	for (int i = 0; i < 4; i++)
		sem_post(&opened);
	use(77);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	CHECK_EQ(dlclose(handle), 0);
	use(99); /* it stays: its thread keys' destructors and exit handlers are called yet */
}

/* malloc itself does not change hands in mid-run: both heaps' blocks go back to where they came from. */
static void the_interposer_opened_late(void)
{
	char *before = malloc(1000), *after;
	void *handle;

	check_fill(before, 0, 1000, 1);
	handle = open_library(NA_TEST_BUILD "/src/interpose/.libs/libnumarena-malloc.so", RTLD_NOW | RTLD_LOCAL);
	after = malloc(1000);
	CHECK_EQ(size_of(after), 0); /* the C library's */
	before = realloc(before, 100000);
	CHECK_EQ(check_filled(before, 0, 1000, 1), 1000);
	free(after);
	free(before);
	use(3);
	CHECK_EQ(dlclose(handle), 0);
	free(malloc(100));
}

int main(void)
{
	check_watchdog(60);
	REQUIRE(!dlsym(RTLD_DEFAULT, "numarena_allocate_from_pool"));
	sem_init(&opened, 0, 0);
	sem_init(&ready, 0, 0);
	RUN(opened_beside_running_threads);
	RUN(the_interposer_opened_late);
	return check_result();
}
