/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * src/topology/share.h: one process discovers, the others read; nothing that a dead or foreign process
 * leaves can make one fail, hang or believe something wrong; nothing stays behind.
 *
 * Processes of a "job" are children that wait for each other at a gate in shared memory, then start at once.
 */
#include "support/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "support/machine.h"
#include "topology/rundir.h"
#include "topology/share.h"
#include "topology/sysfs.h"
#include "topology/xmlfile.h"

#define MOST 8
#define PATIENCE_MS 60000 /* more than any machine needs: only a test of impatience sets less */

struct result {
	int rc;
	struct na_topology_cost cost;
	uint32_t nodes, cpus, allowed_nodes, allowed_cpus;
	bool real;
	uint64_t fingerprint; /* of what does not depend on the process */
};

struct gate {
	_Atomic int waiting;
	struct result results[MOST];
};

struct folder {
	char path[PATH_MAX];
	struct gate *gate;
};

static int enter(void **state)
{
	struct folder *f = calloc(1, sizeof(*f));

	test_folder_make(f->path);
	f->gate = mmap(NULL, sizeof(*f->gate), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (f->gate == MAP_FAILED)
		return -1;
	*state = f;
	return 0;
}

/* Every test: nothing is left in the parent. */
static int leave(void **state)
{
	struct folder *f = *state;
	int left = test_folder_count(f->path), gone;

	gone = rmdir(f->path);
	if (gone < 0)
		test_folder_remove(f->path);
	munmap(f->gate, sizeof(*f->gate));
	free(f);
	return left == 0 && gone == 0 ? 0 : -1;
}

static uint64_t fingerprint(const struct na_topology *t)
{
	uint64_t hash = na_hash(NA_HASH_START, t->cpu_node, t->cpu_slots * sizeof(*t->cpu_node));

	for (uint32_t i = 0; i < t->node_count; i++)
		hash = na_hash(hash, &t->nodes[i].memory, sizeof(t->nodes[i].memory));
	hash = na_hash(hash, t->distance, (size_t)t->node_count * t->node_count * sizeof(*t->distance));
	hash = na_hash(hash, t->caches, t->cache_count * sizeof(*t->caches));
	return na_hash(hash, &t->line_size, sizeof(t->line_size));
}

static struct result obtain(const struct na_topology_job *job, const struct na_topology_source *source)
{
	struct na_topology *t = NULL;
	struct result r = { 0 };

	r.rc = na_topology_obtain(job, source, &t, &r.cost);
	if (r.rc < 0)
		return r;
	r.nodes = t->node_count;
	r.cpus = t->cpu_count;
	r.real = t->real;
	r.allowed_nodes = na_bitset_count(t->allowed_nodes, t->node_slots);
	r.allowed_cpus = na_bitset_count(t->allowed_cpus, t->cpu_slots);
	r.fingerprint = fingerprint(t);
	free(t);
	return r;
}

/* What each process of a job does before it asks; its rank, the source to change. */
typedef void prepare(int rank, struct na_topology_source *source);

static void run_rank(struct folder *f, int rank, int size, struct na_topology_job job, struct na_topology_source source,
		     prepare *first)
{
	job.local_rank = rank;
	if (first)
		first(rank, &source);
	atomic_fetch_add(&f->gate->waiting, 1);
	while (atomic_load(&f->gate->waiting) < size)
		sched_yield();
	f->gate->results[rank] = obtain(&job, &source);
	_exit(0);
}

static void run(struct folder *f, int size, const struct na_topology_job *job, const struct na_topology_source *source,
		prepare *first)
{
	pid_t children[MOST];

	memset(f->gate, 0, sizeof(*f->gate));
	for (int rank = 0; rank < size; rank++) {
		children[rank] = fork();
		assert_true(children[rank] >= 0);
		if (children[rank] == 0)
			run_rank(f, rank, size, *job, *source, first);
	}
	for (int rank = 0; rank < size; rank++) {
		int status;

		assert_int_equal(waitpid(children[rank], &status, 0), children[rank]);
		assert_int_equal(status, 0);
		assert_int_equal(f->gate->results[rank].rc, 0);
	}
}

static struct na_topology_job job_of(const struct folder *f, int size)
{
	return (struct na_topology_job){ .folder = f->path, .id = "share", .local_size = size, .wait_ms = PATIENCE_MS };
}

static int count_origin(const struct folder *f, int size, enum na_topology_origin origin)
{
	int n = 0;

	for (int rank = 0; rank < size; rank++)
		n += f->gate->results[rank].cost.origin == origin;
	return n;
}

static void race(struct folder *f, int size)
{
	static const struct na_topology_source here;
	struct na_topology_job job = job_of(f, size);

	for (int round = 0; round < 10; round++) {
		run(f, size, &job, &here, NULL);
		assert_int_equal(count_origin(f, size, NA_TOPOLOGY_DISCOVERED), 1);
		assert_int_equal(count_origin(f, size, NA_TOPOLOGY_READ), size - 1);
		for (int rank = 0; rank < size; rank++) {
			assert_true(f->gate->results[rank].cost.shared);
			assert_true(f->gate->results[rank].real);
			assert_true(f->gate->results[rank].fingerprint == f->gate->results[0].fingerprint);
			assert_true(f->gate->results[rank].cost.xml_bytes == f->gate->results[0].cost.xml_bytes);
		}
		assert_int_equal(test_folder_count(f->path), 0);
	}
}

static void of_two_processes_one_discovers_and_one_reads(void **state)
{
	race(*state, 2);
}

static void of_eight_processes_one_discovers_and_seven_read(void **state)
{
	race(*state, 8);
}

static void bind_to_cpu(int rank, struct na_topology_source *source)
{
	cpu_set_t set;

	(void)source;
	CPU_ZERO(&set);
	CPU_SET(rank, &set);
	if (rank < 2 && sched_setaffinity(0, sizeof(set), &set) < 0)
		_exit(1);
}

static void each_process_applies_its_own_binding(void **state)
{
	static const struct na_topology_source here;
	struct folder *f = *state;
	struct na_topology_job job = job_of(f, 3);
	cpu_set_t now;

	sched_getaffinity(0, sizeof(now), &now);
	if (CPU_COUNT(&now) < 2 || !CPU_ISSET(0, &now) || !CPU_ISSET(1, &now)) {
		print_message("skipped: needs CPUs 0 and 1\n");
		skip();
	}
	run(f, 3, &job, &here, bind_to_cpu);
	assert_int_equal(count_origin(f, 3, NA_TOPOLOGY_READ), 2);
	assert_int_equal(f->gate->results[0].allowed_cpus, 1);
	assert_int_equal(f->gate->results[1].allowed_cpus, 1);
	assert_int_equal(f->gate->results[2].allowed_cpus, CPU_COUNT(&now));
}

static char roots[3][PATH_MAX];

static void use_own_root(int rank, struct na_topology_source *source)
{
	source->root = roots[rank];
}

/* A whole machine of four nodes, and processes whose cpusets differ. */
static void each_process_applies_its_own_cpuset(void **state)
{
	static const struct test_node nodes[] = { { .cpus = 4, .megabytes = 64 } };
	static const char *const mems[] = { "0-3", "1", "2-3" };
	struct na_topology_source source = { .synthetic = "pack:4 [numa(memory=1GB)] pu:2", .real = true };
	struct test_machine m = { .nodes = nodes, .node_count = 1, .cpus_allowed = "0-7" };
	struct folder *f = *state;
	struct na_topology_job job = job_of(f, 3);

	for (int i = 0; i < 3; i++) {
		m.mems_allowed = mems[i];
		test_machine_make(&m, roots[i]);
	}
	run(f, 3, &job, &source, use_own_root);
	for (int i = 0; i < 3; i++)
		test_folder_remove(roots[i]);
	assert_int_equal(count_origin(f, 3, NA_TOPOLOGY_READ), 2);
	assert_int_equal(f->gate->results[0].allowed_nodes, 4);
	assert_int_equal(f->gate->results[1].allowed_nodes, 1);
	assert_int_equal(f->gate->results[2].allowed_nodes, 2);
}

static void set_variable(int rank, struct na_topology_source *source)
{
	(void)source;
	if (rank % 2)
		setenv("HWLOC_SYNTHETIC", "pack:3 [numa(memory=1GB)] pu:5", 1);
}

static void processes_with_unlike_variables_share_among_their_own_kind(void **state)
{
	static const struct na_topology_source here;
	struct folder *f = *state;
	struct na_topology_job job = job_of(f, 4);

	run(f, 4, &job, &here, set_variable);
	assert_int_equal(count_origin(f, 4, NA_TOPOLOGY_DISCOVERED), 2);
	assert_int_equal(f->gate->results[1].cpus, 15);
	assert_int_equal(f->gate->results[3].cpus, 15);
	assert_false(f->gate->results[3].real);
	assert_true(f->gate->results[0].real && f->gate->results[2].real);
}

/* The file that a first process of a job of three leaves, and its folder. */
static void leave_file(struct folder *f, struct na_rundir *folder, char *name, size_t capacity)
{
	static const struct na_topology_source here;
	struct na_topology_job job = job_of(f, 1000);
	struct dirent *entry;
	DIR *entries;

	assert_int_equal(obtain(&job, &here).cost.origin, NA_TOPOLOGY_DISCOVERED);
	assert_int_equal(na_rundir_open(&job, false, folder), 0);
	entries = opendir(folder->path);
	assert_non_null(entries);
	*name = '\0';
	while ((entry = readdir(entries)))
		if (strncmp(entry->d_name, NA_RUNDIR_PREFIX, strlen(NA_RUNDIR_PREFIX)) == 0 &&
		    !strchr(entry->d_name, '.') && strcmp(entry->d_name, NA_RUNDIR_PREFIX "seen") != 0)
			snprintf(name, capacity, "%s", entry->d_name);
	closedir(entries);
	assert_true(*name);
	assert_int_equal(obtain(&job, &here).cost.origin, NA_TOPOLOGY_READ);
}

static size_t file_size(const struct na_rundir *folder, const char *name)
{
	struct stat s;

	assert_int_equal(fstatat(folder->fd, name, &s, 0), 0);
	return (size_t)s.st_size;
}

static void end_job(struct folder *f, struct na_rundir *folder)
{
	struct na_topology_job job = job_of(f, 1000);

	na_rundir_close(folder);
	job.local_rank = 1;
	na_topology_unshare(&job);
	assert_true(test_folder_count(f->path) > 0);
	job.local_rank = 0;
	na_topology_unshare(&job);
	assert_int_equal(test_folder_count(f->path), 0);
	na_topology_unshare(&job);
}

static void a_cut_file_is_discovered_anew_and_replaced(void **state)
{
	static const struct na_topology_source here;
	struct folder *f = *state;
	struct na_topology_job job = job_of(f, 1000);
	struct na_rundir folder;
	char name[256];
	size_t size;
	int fd;

	leave_file(f, &folder, name, sizeof(name));
	size = file_size(&folder, name);
	for (size_t cut = 0; cut < size; cut += 1 + size / 40) {
		fd = openat(folder.fd, name, O_WRONLY);
		assert_int_equal(ftruncate(fd, (off_t)cut), 0);
		close(fd);
		assert_int_equal(obtain(&job, &here).cost.origin, NA_TOPOLOGY_DISCOVERED);
		assert_true(file_size(&folder, name) == size);
		assert_int_equal(obtain(&job, &here).cost.origin, NA_TOPOLOGY_READ);
	}
	end_job(f, &folder);
}

static void a_file_of_another_boot_is_replaced(void **state)
{
	static const struct na_topology_source here;
	struct folder *f = *state;
	struct na_topology_job job = job_of(f, 1000);
	char name[256], head[64], *boot;
	struct na_rundir folder;
	int fd;

	leave_file(f, &folder, name, sizeof(name));
	fd = openat(folder.fd, name, O_RDWR);
	assert_int_equal(pread(fd, head, sizeof(head), 0), sizeof(head));
	boot = memmem(head, sizeof(head), "boot ", 5);
	assert_non_null(boot);
	assert_int_equal(pwrite(fd, "#", 1, boot + 5 - head), 1);
	close(fd);
	assert_int_equal(obtain(&job, &here).cost.origin, NA_TOPOLOGY_DISCOVERED);
	assert_int_equal(obtain(&job, &here).cost.origin, NA_TOPOLOGY_READ);
	end_job(f, &folder);
}

static void whole_files_with_xml_that_hwloc_refuses_are_replaced(void **state)
{
	static const char xml[] = "<?xml version=\"1.0\"?><topology version=\"2.0\"><object type=\"Mach";
	static const struct na_topology_source here;
	struct na_xmlfile content = { .real = true, .xml = xml, .length = sizeof(xml) };
	char name[256], identity[NA_XMLFILE_IDENTITY], header[NA_XMLFILE_HEADER];
	struct folder *f = *state;
	struct na_topology_job job = job_of(f, 1000);
	struct na_rundir folder;
	size_t length;
	int fd;

	leave_file(f, &folder, name, sizeof(name));
	na_xmlfile_identity(NULL, identity);
	length = na_xmlfile_encode(identity, &content, header);
	fd = openat(folder.fd, name, O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, header, length), length);
	assert_int_equal(write(fd, xml, sizeof(xml)), sizeof(xml));
	assert_int_equal(write(fd, na_xmlfile_trailer, strlen(na_xmlfile_trailer)), strlen(na_xmlfile_trailer));
	close(fd);
	assert_int_equal(obtain(&job, &here).cost.origin, NA_TOPOLOGY_DISCOVERED);
	assert_int_equal(obtain(&job, &here).cost.origin, NA_TOPOLOGY_READ);
	end_job(f, &folder);
}

static void a_link_in_place_of_the_file_is_not_followed(void **state)
{
	static const struct na_topology_source here;
	struct folder *f = *state;
	struct na_topology_job job = job_of(f, 1000);
	struct na_rundir folder;
	char name[256];

	leave_file(f, &folder, name, sizeof(name));
	assert_int_equal(renameat(folder.fd, name, folder.fd, NA_RUNDIR_PREFIX "moved"), 0);
	assert_int_equal(symlinkat(NA_RUNDIR_PREFIX "moved", folder.fd, name), 0);
	assert_int_equal(obtain(&job, &here).cost.origin, NA_TOPOLOGY_DISCOVERED);
	assert_int_equal(obtain(&job, &here).cost.origin, NA_TOPOLOGY_READ); /* the link was replaced */
	end_job(f, &folder);
}

/* Takes the lock as a process that discovers does. */
static int take_lock(const struct na_rundir *folder, const char *name)
{
	char lock[300];
	int fd;

	snprintf(lock, sizeof(lock), "%s.lock", name);
	fd = openat(folder->fd, lock, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	return fd;
}

static void a_process_that_dies_while_writing_holds_nobody_up(void **state)
{
	static const struct na_topology_source here;
	struct folder *f = *state;
	struct na_topology_job job = job_of(f, 4);
	struct na_rundir folder;
	char name[256], half[300];
	int ready[2], status;
	pid_t child;

	leave_file(f, &folder, name, sizeof(name));
	assert_int_equal(unlinkat(folder.fd, name, 0), 0);
	assert_int_equal(unlinkat(folder.fd, NA_RUNDIR_PREFIX "seen", 0), 0);
	assert_int_equal(pipe(ready), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		take_lock(&folder, name);
		snprintf(half, sizeof(half), "%s.%d", name, (int)getpid());
		if (write(openat(folder.fd, half, O_CREAT | O_WRONLY, 0600), "numarena-topo", 13) != 13 ||
		    write(ready[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], half, 1), 1);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_true(test_folder_count(folder.path) >= 2); /* the lock and the half */
	run(f, 4, &job, &here, NULL);
	assert_int_equal(count_origin(f, 4, NA_TOPOLOGY_DISCOVERED), 1);
	assert_int_equal(test_folder_count(f->path), 0);
	close(ready[0]);
	close(ready[1]);
	na_rundir_close(&folder);
}

static void patience_with_a_slow_process_ends(void **state)
{
	static const struct na_topology_source here;
	struct folder *f = *state;
	struct na_topology_job job = job_of(f, 1000);
	struct na_rundir folder;
	struct result r;
	char name[256];
	int lock;

	leave_file(f, &folder, name, sizeof(name));
	assert_int_equal(unlinkat(folder.fd, name, 0), 0);
	lock = take_lock(&folder, name);
	job.wait_ms = 20;
	r = obtain(&job, &here);
	assert_int_equal(r.rc, 0);
	assert_int_equal(r.cost.origin, NA_TOPOLOGY_DISCOVERED);
	assert_false(r.cost.shared);
	assert_true(r.cost.wait_ns > 0);
	close(lock);
	end_job(f, &folder);
}

static void a_folder_that_cannot_be_written_costs_only_the_sharing(void **state)
{
	static const struct na_topology_source here;
	struct folder *f = *state;
	struct na_topology_job job = job_of(f, 4);
	char file[PATH_MAX + 8];

	snprintf(file, sizeof(file), "%s/file", f->path);
	close(open(file, O_CREAT | O_WRONLY, 0600));
	job.folder = file;
	run(f, 4, &job, &here, NULL);
	assert_int_equal(count_origin(f, 4, NA_TOPOLOGY_DISCOVERED), 4);
	for (int rank = 0; rank < 4; rank++)
		assert_false(f->gate->results[rank].cost.shared);
	assert_int_equal(unlink(file), 0);
}

static void a_process_without_others_or_without_a_job_leaves_no_file(void **state)
{
	static const char *const launcher[] = { "PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid", "SLURM_JOB_ID",
						"FLUX_JOB_ID", "PALS_APID" };
	static const struct na_topology_source here;
	struct folder *f = *state;
	struct na_topology_job job = job_of(f, 1);

	for (size_t i = 0; i < sizeof(launcher) / sizeof(launcher[0]); i++)
		unsetenv(launcher[i]);
	assert_false(obtain(&job, &here).cost.shared);
	assert_int_equal(test_folder_count(f->path), 0);
	job.local_size = 8;
	job.id = NULL;
	assert_false(obtain(&job, &here).cost.shared);
	assert_int_equal(obtain(NULL, &here).rc, 0);
	assert_int_equal(test_folder_count(f->path), 0);
}

static void a_process_that_has_its_topology_is_not_waited_for(void **state)
{
	static const struct na_topology_source here;
	struct folder *f = *state;
	struct na_topology_job job = job_of(f, 3);

	na_topology_check_in(&job);
	assert_int_equal(obtain(&job, &here).cost.origin, NA_TOPOLOGY_DISCOVERED);
	assert_true(test_folder_count(f->path) > 0);
	assert_int_equal(obtain(&job, &here).cost.origin, NA_TOPOLOGY_READ);
	assert_int_equal(test_folder_count(f->path), 0);
}

static void be_one_of_two(const struct na_topology_job *job, int from, int to, uint64_t expect)
{
	_Atomic uint64_t *board;
	char c = 0;

	if (expect && read(from, &c, 1) != 1)
		_exit(2);
	na_topology_check_in(job);
	board = na_topology_board();
	if (!board || atomic_load(board) != expect)
		_exit(3);
	atomic_store(board, expect + 1);
	if (write(to, &c, 1) != 1 || (!expect && read(from, &c, 1) != 1))
		_exit(4);
	_exit(atomic_load(board) == 2 ? 0 : 5);
}

static void processes_share_a_board_and_leave_none(void **state)
{
	struct folder *f = *state;
	struct na_topology_job job = job_of(f, 2);
	int one[2], two[2], status;
	pid_t child[2];

	assert_null(na_topology_board());
	assert_int_equal(pipe(one) | pipe(two), 0);
	child[0] = fork();
	if (child[0] == 0)
		be_one_of_two(&job, two[0], one[1], 0);
	child[1] = fork();
	if (child[1] == 0)
		be_one_of_two(&job, one[0], two[1], 1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(waitpid(child[i], &status, 0), child[i]);
		assert_int_equal(status, 0);
		close(one[i]);
		close(two[i]);
	}
	assert_int_equal(test_folder_count(f->path), 0);
}

int main(void)
{
#define SHARE_TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)
	const struct CMUnitTest tests[] = {
		SHARE_TEST(processes_share_a_board_and_leave_none), /* first: a board that is mapped stays so */
		SHARE_TEST(of_two_processes_one_discovers_and_one_reads),
		SHARE_TEST(of_eight_processes_one_discovers_and_seven_read),
		SHARE_TEST(each_process_applies_its_own_binding),
		SHARE_TEST(each_process_applies_its_own_cpuset),
		SHARE_TEST(processes_with_unlike_variables_share_among_their_own_kind),
		SHARE_TEST(a_cut_file_is_discovered_anew_and_replaced),
		SHARE_TEST(a_file_of_another_boot_is_replaced),
		SHARE_TEST(whole_files_with_xml_that_hwloc_refuses_are_replaced),
		SHARE_TEST(a_link_in_place_of_the_file_is_not_followed),
		SHARE_TEST(a_process_that_dies_while_writing_holds_nobody_up),
		SHARE_TEST(patience_with_a_slow_process_ends),
		SHARE_TEST(a_folder_that_cannot_be_written_costs_only_the_sharing),
		SHARE_TEST(a_process_without_others_or_without_a_job_leaves_no_file),
		SHARE_TEST(a_process_that_has_its_topology_is_not_waited_for),
	};

	unsetenv("HWLOC_SYNTHETIC");
	unsetenv("HWLOC_XMLFILE");
	unsetenv("HWLOC_FSROOT");
	return cmocka_run_group_tests_name("topology/share", tests, NULL, NULL);
}
