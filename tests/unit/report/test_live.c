/* SPDX-License-Identifier: BSD-3-Clause */
/* The file of live figures: who counts, whose records are not even opened, and where it lies. */
#include "support/unit.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "records.h"
#include "base/options.h"
#include "report/live.h"
#include "report/place.h"

#define SECOND UINT64_C(1000000000)

static char folder[64];
static struct na_live_of of;
static uint64_t now;

static int enter(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/numarena-test-XXXXXX");
	if (!mkdtemp(folder) || chdir(folder) < 0)
		return -1;
	na_place_job(folder, "4711", of.job_folder, sizeof(of.job_folder));
	snprintf(of.job, sizeof(of.job), "4711");
	snprintf(of.host, sizeof(of.host), "alpha");
	na_options.metrics_file = "live.prom";
	na_live_begin();
	now += 3600 * SECOND;
	return na_place_make(of.job_folder);
}

static int leave(void **state)
{
	char command[200];

	(void)state;
	na_live_end();
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return chdir("/") < 0 ? -1 : system(command);
}

static void store(const char *path, struct na_record *r)
{
	struct na_record *slots;

	assert_int_equal(na_place_map(path, &slots), 0);
	na_record_store(slots, r);
	na_place_unmap(slots);
}

/* Running, of a process that there is, with 1 MiB live. */
static void make(struct na_record *r, int32_t rank, const char *host)
{
	record_make(r, rank < 0 ? 0 : rank, 8, host);
	r->rank = rank;
	r->role = rank < 0 ? NA_RECORD_PROCESS : NA_RECORD_RANK;
	r->pid = getpid();
	r->state = NA_RECORD_RUNNING;
	r->heap.live_bytes = 1 << 20;
}

static void put_rank(int32_t rank, const char *host)
{
	static struct na_record r;
	char path[PATH_MAX];

	make(&r, rank, host);
	na_place_of_rank(of.job_folder, rank, path, sizeof(path));
	store(path, &r);
}

static void put_process(int32_t pid, uint32_t state, const char *host)
{
	static struct na_record r;
	char path[PATH_MAX];

	make(&r, -1, host);
	r.pid = pid;
	r.state = state;
	na_place_of_process(of.job_folder, host, pid, path, sizeof(path));
	store(path, &r);
}

/* MiB that the file says to be live; -1: there is none. */
static long tick(const char *path)
{
	static const char name[] = "\nnumarena_node_live_bytes{job=\"4711\",host=\"alpha\"} ";
	static char text[65536];
	const char *at;
	FILE *f;
	size_t n;

	now += 3600 * SECOND;
	na_live_tick(&of, now);
	f = fopen(path, "r");
	if (!f)
		return -1;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	at = strstr(text, name);
	assert_non_null(at);
	return strtol(at + strlen(name), NULL, 10) >> 20;
}

static void ranks_of_this_node_are_found_once(void **state)
{
	char path[PATH_MAX];

	(void)state;
	of.rank = 4;
	of.size = 8;
	of.local_size = 3;
	put_rank(3, "beta");
	put_rank(4, "alpha");
	put_rank(6, "alpha");
	assert_int_equal(tick("live.prom"), 2);
	put_rank(7, "alpha"); /* was late */
	assert_int_equal(tick("live.prom"), 3);
	/* All are there: nobody else is looked at, and who is of another node stays so. */
	put_rank(3, "alpha");
	na_place_of_rank(of.job_folder, 5, path, sizeof(path));
	assert_int_equal(mkfifo(path, 0600), 0);
	alarm(30); /* opening it would wait for ever */
	assert_int_equal(tick("live.prom"), 3);
	alarm(0);
	/* A job with another folder is another. */
	of.job_folder[strlen(of.job_folder) - 1]++;
	assert_int_equal(na_place_make(of.job_folder), 0);
	put_rank(3, "alpha");
	put_rank(4, "alpha");
	assert_int_equal(tick("live.prom"), 2);
}

static void ranks_dealt_out_node_by_node_look_at_no_others(void **state)
{
	char path[PATH_MAX];

	(void)state;
	of.rank = 4;
	of.size = 8;
	of.local_size = 2;
	put_rank(4, "alpha");
	put_rank(5, "alpha");
	for (int rank = 3; rank <= 6; rank += 3) {
		na_place_of_rank(of.job_folder, rank, path, sizeof(path));
		assert_int_equal(mkfifo(path, 0600), 0);
	}
	alarm(30);
	assert_int_equal(tick("live.prom"), 2);
	alarm(0);
}

static void without_the_number_of_local_ranks_all_are_looked_at(void **state)
{
	(void)state;
	of.rank = 2;
	of.size = 8;
	of.local_size = 0;
	for (int i = 0; i < 8; i++)
		put_rank(i, i % 2 ? "beta" : "alpha");
	assert_int_equal(tick("live.prom"), 4);
	put_rank(1, "alpha"); /* it was not */
	assert_int_equal(tick("live.prom"), 4);
}

static void other_nodes_records_are_not_opened_and_the_dead_do_not_count(void **state)
{
	char path[PATH_MAX];
	pid_t dead = fork();

	(void)state;
	if (dead == 0)
		_exit(0);
	waitpid(dead, NULL, 0);
	of.rank = -1;
	put_process(getpid(), NA_RECORD_RUNNING, "alpha");
	put_process(dead, NA_RECORD_RUNNING, "alpha");
	put_process(1, NA_RECORD_EXITED, "alpha");
	put_process(2, NA_RECORD_COMPLETE, "alpha");
	for (int i = 0; i < 2; i++) {
		na_place_of_process(of.job_folder, i ? "alpha-2" : "beta", 77, path, sizeof(path));
		assert_int_equal(mkfifo(path, 0600), 0);
	}
	alarm(30);
	assert_int_equal(tick("live.prom"), 1);
	alarm(0);
}

static void a_relative_path_stays_where_it_was(void **state)
{
	(void)state;
	of.rank = -1;
	put_process(getpid(), NA_RECORD_RUNNING, "alpha");
	assert_int_equal(mkdir("below", 0700), 0);
	assert_int_equal(chdir("below"), 0);
	assert_int_equal(tick("../live.prom"), 1);
	assert_int_not_equal(access("live.prom", F_OK), 0);
	na_live_end();
	assert_int_not_equal(access("../live.prom", F_OK), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(ranks_of_this_node_are_found_once, enter, leave),
		cmocka_unit_test_setup_teardown(ranks_dealt_out_node_by_node_look_at_no_others, enter, leave),
		cmocka_unit_test_setup_teardown(without_the_number_of_local_ranks_all_are_looked_at, enter, leave),
		cmocka_unit_test_setup_teardown(other_nodes_records_are_not_opened_and_the_dead_do_not_count, enter, leave),
		cmocka_unit_test_setup_teardown(a_relative_path_stays_where_it_was, enter, leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
