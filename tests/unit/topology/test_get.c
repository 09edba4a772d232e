/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * src/topology/topology.h: the process's one snapshot. It is made once a process, so each test's body runs
 * in a child of its own; what fails there ends it with a line number.
 */
#include "support/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/machine.h"
#include "topology/source.h"

#define NEED(condition)                                                                                                \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "line %d: %s is false\n", __LINE__, #condition);                               \
			_exit(1);                                                                                      \
		}                                                                                                      \
	} while (0)

/* Runs `body` in a child, which SIGALRM ends if it hangs; `errors` gets its standard error. */
static void in_child(void (*body)(void), char *errors, size_t capacity)
{
	int out[2], status;
	size_t used = 0;
	ssize_t n;
	pid_t child;

	assert_int_equal(pipe(out), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		alarm(120);
		dup2(out[1], STDERR_FILENO);
		close(out[0]);
		body();
		_exit(0);
	}
	close(out[1]);
	while (used + 1 < capacity && (n = read(out[0], errors + used, capacity - used - 1)) > 0)
		used += (size_t)n;
	errors[used] = '\0';
	close(out[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (status != 0)
		fail_msg("child ended with %#x: %s", (unsigned int)status, errors);
}

static void ask_twice(void)
{
	const struct na_topology *first = NULL, *second = NULL;

	NEED(na_topology_cost()->origin == NA_TOPOLOGY_NONE);
	NEED(na_topology_get(&first) == 0);
	NEED(na_topology_cost()->origin == NA_TOPOLOGY_DISCOVERED);
	NEED(na_topology_cost()->total_ns > 0 && !na_topology_cost()->shared);
	NEED(na_topology_get(&second) == 0);
	NEED(first == second && first->real);
}

static void the_first_call_discovers_and_later_ones_do_not(void **state)
{
	char errors[4096];

	(void)state;
	in_child(ask_twice, errors, sizeof(errors));
	assert_string_equal(errors, "");
}

static pthread_barrier_t together;

static void *ask(void *unused)
{
	const struct na_topology *t = NULL;

	(void)unused;
	pthread_barrier_wait(&together);
	NEED(na_topology_get(&t) == 0);
	NEED(t->nodes[0].os_index >= 0 && t->cpu_count > 0);
	return (void *)t;
}

static void ask_from_threads(void)
{
	pthread_t threads[8];
	void *got[8];

	pthread_barrier_init(&together, NULL, 8);
	for (int i = 0; i < 8; i++)
		NEED(pthread_create(&threads[i], NULL, ask, NULL) == 0);
	for (int i = 0; i < 8; i++) {
		NEED(pthread_join(threads[i], &got[i]) == 0);
		NEED(got[i] == got[0]);
	}
}

static void threads_that_ask_at_once_get_one_snapshot(void **state)
{
	char errors[4096];

	(void)state;
	in_child(ask_from_threads, errors, sizeof(errors));
}

static void *ask_alone(void *unused)
{
	const struct na_topology *t;

	(void)unused;
	NEED(na_topology_get(&t) == 0);
	return NULL;
}

/* Forks, and has the child ask. In a thread of its own because the fork waits for the discovery. */
static void *fork_and_ask(void *unused)
{
	const struct na_topology *t = NULL;
	pid_t child = fork();
	int status;

	(void)unused;
	NEED(child >= 0);
	if (child == 0) {
		alarm(20);
		NEED(na_topology_get(&t) == 0);
		NEED(t->cpu_count == 6);
		_exit(0);
	}
	NEED(waitpid(child, &status, 0) == child);
	NEED(status == 0);
	return NULL;
}

static char pipe_path[PATH_MAX + 16];

/* hwloc reads its XML from a named pipe, so that it is in mid-discovery until we write. */
static void fork_during_discovery(void)
{
	struct na_topology_source six = { .synthetic = "pack:2 [numa(memory=1GB)] pu:3" };
	struct na_topology_cost cost = { 0 };
	struct hwloc_topology *tree;
	pthread_t asking, forking;
	size_t length;
	char *xml;
	int fd;

	NEED(na_topology_load(&six, &tree, &cost) == 0);
	NEED(na_topology_export(tree, &xml, &length) == 0);
	NEED(mkfifo(pipe_path, 0600) == 0);
	setenv("HWLOC_XMLFILE", pipe_path, 1);
	NEED(pthread_create(&asking, NULL, ask_alone, NULL) == 0);
	fd = open(pipe_path, O_WRONLY); /* returns when hwloc has opened the other end */
	NEED(fd >= 0);
	NEED(pthread_create(&forking, NULL, fork_and_ask, NULL) == 0);
	usleep(50000); /* time for a fork that does not wait */
	NEED(write(fd, xml, length - 1) == (ssize_t)length - 1);
	close(fd);
	NEED(pthread_join(asking, NULL) == 0);
	NEED(pthread_join(forking, NULL) == 0);
}

static void fork_waits_for_a_discovery_and_the_child_has_it(void **state)
{
	char errors[4096], folder[PATH_MAX];

	(void)state;
	test_folder_make(folder);
	snprintf(pipe_path, sizeof(pipe_path), "%s/xml", folder);
	in_child(fork_during_discovery, errors, sizeof(errors));
	test_folder_remove(folder);
}

static void ask_and_be_refused(void)
{
	const struct na_topology *t = NULL;

	NEED(na_topology_get(&t) == -EINVAL);
	NEED(na_topology_get(&t) == -EINVAL);
	NEED(t == NULL);
}

static void expect_complaint(const char *name, const char *value)
{
	char errors[4096], *first, wanted[256];

	setenv(name, value, 1);
	in_child(ask_and_be_refused, errors, sizeof(errors));
	unsetenv(name);
	snprintf(wanted, sizeof(wanted), "%s=%s: ", name, value);
	first = strstr(errors, wanted);
	if (!first)
		fail_msg("\"%s\" does not name %s", errors, wanted);
	assert_null(strstr(first + 1, wanted)); /* said once */
}

static void a_wrong_variable_is_an_error_that_names_it(void **state)
{
	(void)state;
	expect_complaint("HWLOC_SYNTHETIC", "pack:2 [numa(");
	expect_complaint("HWLOC_SYNTHETIC", "nonsense");
	expect_complaint("HWLOC_XMLFILE", "/nonexistent/topology.xml");
	expect_complaint("HWLOC_XMLFILE", "/dev/null");
	expect_complaint("HWLOC_FSROOT", "/nonexistent/root");
}

static void ask_for_synthetic(void)
{
	const struct na_topology *t = NULL;

	setenv("HWLOC_SYNTHETIC", "pack:96 [numa(memory=1GB)] pu:1", 1);
	NEED(na_topology_get(&t) == 0);
	NEED(!t->real && t->node_count == 96);
	NEED(na_bitset_count(t->allowed_nodes, t->node_slots) == 96);
}

static void a_synthetic_machine_is_not_taken_for_ours(void **state)
{
	char errors[4096];

	(void)state;
	in_child(ask_for_synthetic, errors, sizeof(errors));
}

static char parent[PATH_MAX];

static void share_as_two(void)
{
	struct na_topology_job job = { .folder = parent, .id = "get", .local_size = 2, .wait_ms = 60000 };
	const struct na_topology *before = NULL, *t = NULL;
	struct na_topology_cost cost = { 0 };
	pid_t other = fork();
	int status;

	NEED(other >= 0);
	if (other == 0) {
		/* Had it before, so the first process must not wait for this one. */
		NEED(na_topology_get(&before) == 0);
		NEED(na_topology_share(&job, &cost) == 0);
		NEED(cost.origin == NA_TOPOLOGY_DISCOVERED && !cost.shared);
		NEED(na_topology_get(&t) == 0 && t == before);
		_exit(0);
	}
	NEED(na_topology_share(&job, &cost) == 0);
	NEED(cost.origin == NA_TOPOLOGY_DISCOVERED && cost.shared && cost.xml_bytes > 0);
	NEED(na_topology_get(&t) == 0 && t->real);
	NEED(memcmp(&cost, na_topology_cost(), sizeof(cost)) == 0);
	NEED(waitpid(other, &status, 0) == other && status == 0);
}

static void a_shared_topology_is_the_processs_own_from_then_on(void **state)
{
	char errors[4096];

	(void)state;
	test_folder_make(parent);
	in_child(share_as_two, errors, sizeof(errors));
	assert_int_equal(test_folder_count(parent), 0);
	assert_int_equal(rmdir(parent), 0);
}

static void describe_to_a_full_disk(void)
{
	const struct na_topology *t;
	FILE *full = fopen("/dev/full", "w");

	NEED(full && setvbuf(full, NULL, _IONBF, 0) == 0);
	NEED(na_topology_get(&t) == 0);
	NEED(na_topology_describe(t, na_topology_cost(), full) == -EIO);
	fclose(full);
}

static void a_description_that_cannot_be_written_is_an_error(void **state)
{
	char errors[4096];

	(void)state;
	in_child(describe_to_a_full_disk, errors, sizeof(errors));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_call_discovers_and_later_ones_do_not),
		cmocka_unit_test(threads_that_ask_at_once_get_one_snapshot),
		cmocka_unit_test(fork_waits_for_a_discovery_and_the_child_has_it),
		cmocka_unit_test(a_wrong_variable_is_an_error_that_names_it),
		cmocka_unit_test(a_synthetic_machine_is_not_taken_for_ours),
		cmocka_unit_test(a_shared_topology_is_the_processs_own_from_then_on),
		cmocka_unit_test(a_description_that_cannot_be_written_is_an_error),
	};

	unsetenv("HWLOC_SYNTHETIC");
	unsetenv("HWLOC_XMLFILE");
	unsetenv("HWLOC_FSROOT");
	return cmocka_run_group_tests_name("topology/get", tests, NULL, NULL);
}
