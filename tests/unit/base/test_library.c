/* SPDX-License-Identifier: BSD-3-Clause */
/* Libraries loaded when first needed: a table is filled whole or not at all, and a failure is said once. */
#include "base/library.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/unit.h"

/* libm is nobody's dependency here, and its name has been the same for decades. */
#define LIBM "libm.so.6"

static const char *const good[] = { "floor", "ceil" };
static const char *const bad[] = { "floor", "no_such_function_of_libm" };
static double (*table[2])(double);

static struct na_library library(const char *soname, const char *const *names)
{
	memset(table, 0, sizeof(table));
	return (struct na_library){
		.soname = soname, .without = "nothing works", .names = names, .count = 2, .table = table
	};
}

/* Three calls in a child, and what they wrote to standard error. Their result is the child's status. */
static int load_thrice(struct na_library *l, char *said, size_t capacity)
{
	int ends[2], status;
	ssize_t n;
	size_t used = 0;
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		int rc[3];

		dup2(ends[1], STDERR_FILENO);
		for (int i = 0; i < 3; i++)
			rc[i] = na_library_load(l);
		if (rc[0] != rc[1] || rc[1] != rc[2])
			_exit(100);
		_exit(rc[0] < 0 ? (table[0] || table[1] ? 101 : -rc[0])
				: (table[0](2.5) != 2 || table[1](2.5) != 3 ? 102 : 0));
	}
	close(ends[1]);
	while ((n = read(ends[0], said + used, capacity - 1 - used)) > 0)
		used += (size_t)n;
	said[used] = '\0';
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void a_library_that_is_there_is_usable(void **state)
{
	struct na_library l = library(LIBM, good);
	char said[1024];

	(void)state;
	assert_int_equal(load_thrice(&l, said, sizeof(said)), 0);
	assert_string_equal(said, "");
}

static void a_missing_one_is_named_once(void **state)
{
	struct na_library l = library("libnumarena-no-such-library.so.7", good);
	char said[1024], *first;

	(void)state;
	assert_int_equal(load_thrice(&l, said, sizeof(said)), ENOENT);
	first = strstr(said, "libnumarena-no-such-library.so.7 cannot be used (");
	assert_non_null(first);
	assert_null(strstr(strchr(first, '('), "cannot be used"));
	assert_non_null(strstr(said, "): nothing works\n"));
}

static void one_without_a_function_is_as_good_as_none(void **state)
{
	struct na_library l = library(LIBM, bad);
	char said[1024];

	(void)state;
	assert_int_equal(load_thrice(&l, said, sizeof(said)), ENOENT);
	assert_non_null(strstr(said, "no_such_function_of_libm"));
}

struct crowd {
	struct na_library library;
	pthread_barrier_t start;
};

static void *load_with_others(void *data)
{
	struct crowd *c = data;

	pthread_barrier_wait(&c->start);
	return na_library_load(&c->library) == 0 && table[0](1.5) == 1 && table[1](1.5) == 2 ? NULL : c;
}

static void threads_may_come_at_once(void **state)
{
	(void)state;
	for (int round = 0; round < 50; round++) {
		struct crowd c = { .library = library(LIBM, good) };
		pthread_t t[8];
		void *bad_luck;

		pthread_barrier_init(&c.start, NULL, 8);
		for (int i = 0; i < 8; i++)
			assert_int_equal(pthread_create(&t[i], NULL, load_with_others, &c), 0);
		for (int i = 0; i < 8; i++) {
			pthread_join(t[i], &bad_luck);
			assert_null(bad_luck);
		}
		pthread_barrier_destroy(&c.start);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_library_that_is_there_is_usable),
		cmocka_unit_test(a_missing_one_is_named_once),
		cmocka_unit_test(one_without_a_function_is_as_good_as_none),
		cmocka_unit_test(threads_may_come_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
