/* SPDX-License-Identifier: BSD-3-Clause */
/* src/topology/rundir.h: which folder, made how, trusted when, and gone afterwards. */
#include "support/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/options.h"
#include "support/machine.h"
#include "topology/rundir.h"

static const char *const launcher[] = { "PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid",
					"SLURM_JOB_ID",	  "SLURM_STEP_ID",
					"FLUX_JOB_ID",	  "PALS_APID",
					"XDG_RUNTIME_DIR" };

static int enter(void **state)
{
	char *parent = malloc(PATH_MAX);

	for (size_t i = 0; i < sizeof(launcher) / sizeof(launcher[0]); i++)
		unsetenv(launcher[i]);
	test_folder_make(parent);
	*state = parent;
	return 0;
}

static int leave(void **state)
{
	test_folder_remove(*state);
	free(*state);
	return 0;
}

static struct na_topology_job job_in(void **state)
{
	return (struct na_topology_job){ .folder = *state, .id = "job-1", .local_size = 2 };
}

static void the_job_is_the_callers_or_the_launchers(void **state)
{
	struct na_topology_job job = { 0 };
	char id[64];

	(void)state;
	assert_int_equal(na_rundir_job_id(&job, id, sizeof(id)), -ENOENT);
	setenv("SLURM_JOB_ID", "77", 1);
	assert_int_equal(na_rundir_job_id(&job, id, sizeof(id)), -ENOENT); /* a batch script, no step */
	setenv("SLURM_STEP_ID", "3", 1);
	assert_int_equal(na_rundir_job_id(&job, id, sizeof(id)), 0);
	assert_string_equal(id, "77.3");
	setenv("PMIX_NAMESPACE", "prte@1", 1);
	assert_int_equal(na_rundir_job_id(&job, id, sizeof(id)), 0);
	assert_string_equal(id, "prte@1");
	job.id = "mine";
	assert_int_equal(na_rundir_job_id(&job, id, sizeof(id)), 0);
	assert_string_equal(id, "mine");
	unsetenv("SLURM_JOB_ID");
	unsetenv("SLURM_STEP_ID");
	unsetenv("PMIX_NAMESPACE");
}

static void the_folder_is_private_and_the_same_for_all_of_the_job(void **state)
{
	struct na_topology_job job = job_in(state);
	struct na_rundir first, second, other;
	struct stat s;

	assert_int_equal(na_rundir_open(&job, false, &first), -ENOENT);
	assert_int_equal(na_rundir_open(&job, true, &first), 0);
	assert_int_equal(na_rundir_open(&job, true, &second), 0);
	assert_string_equal(first.path, second.path);
	assert_int_equal(fstat(first.fd, &s), 0);
	assert_int_equal(s.st_mode & 0777, 0700);
	job.id = "job-2";
	assert_int_equal(na_rundir_open(&job, true, &other), 0);
	assert_string_not_equal(first.path, other.path);
	na_rundir_remove(&first);
	na_rundir_remove(&other);
	assert_int_equal(access(first.path, F_OK), -1);
	na_rundir_close(&first);
	na_rundir_close(&second);
	na_rundir_close(&other);
}

static void a_job_cannot_name_its_way_out_of_the_parent(void **state)
{
	struct na_topology_job job = job_in(state);
	struct na_rundir folder;
	char longer[600];

	job.id = "../../tmp/x/../\n\"y";
	assert_int_equal(na_rundir_open(&job, true, &folder), 0);
	assert_int_equal(strncmp(folder.path, *state, strlen(*state)), 0);
	assert_null(strchr(folder.path + strlen(*state) + 1, '/'));
	na_rundir_remove(&folder);
	na_rundir_close(&folder);
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	job.id = longer;
	assert_int_equal(na_rundir_open(&job, true, &folder), 0);
	na_rundir_remove(&folder);
	na_rundir_close(&folder);
}

/* Where the job's folder would be; it is not there afterwards. */
static void find_path(const struct na_topology_job *job, char path[PATH_MAX])
{
	struct na_rundir folder;

	assert_int_equal(na_rundir_open(job, true, &folder), 0);
	memcpy(path, folder.path, PATH_MAX);
	na_rundir_remove(&folder);
	na_rundir_close(&folder);
}

static void a_link_is_not_followed(void **state)
{
	struct na_topology_job job = job_in(state);
	struct na_rundir folder = { .fd = -1 };
	char path[PATH_MAX], target[PATH_MAX + 8];

	find_path(&job, path);
	snprintf(target, sizeof(target), "%s/target", (char *)*state);
	assert_int_equal(mkdir(target, 0700), 0);
	assert_int_equal(symlink(target, path), 0);
	assert_true(na_rundir_open(&job, true, &folder) < 0);
	assert_int_equal(folder.fd, -1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(target), 0);
}

static void a_folder_open_to_others_is_refused(void **state)
{
	struct na_topology_job job = job_in(state);
	struct na_rundir folder = { .fd = -1 };
	char path[PATH_MAX];

	find_path(&job, path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chmod(path, 0750), 0);
	assert_int_equal(na_rundir_open(&job, true, &folder), -EPERM);
	assert_int_equal(chmod(path, 0701), 0);
	assert_int_equal(na_rundir_open(&job, true, &folder), -EPERM);
	assert_int_equal(rmdir(path), 0);
}

static void a_folder_of_another_user_is_refused(void **state)
{
	struct na_topology_job job = job_in(state);
	struct na_rundir folder = { .fd = -1 };
	char path[PATH_MAX];

	if (geteuid() != 0) {
		print_message("skipped: only root can give a folder away\n");
		skip();
	}
	find_path(&job, path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chown(path, 12345, 12345), 0);
	assert_int_equal(na_rundir_open(&job, true, &folder), -EPERM);
	assert_int_equal(rmdir(path), 0);
}

static void a_parent_that_cannot_be_used_is_an_error(void **state)
{
	struct na_topology_job job = job_in(state);
	struct na_rundir folder;
	char file[PATH_MAX + 8];

	snprintf(file, sizeof(file), "%s/file", (char *)*state);
	close(open(file, O_CREAT | O_WRONLY, 0600));
	job.folder = file;
	assert_int_equal(na_rundir_open(&job, true, &folder), -ENOTDIR);
	job.folder = "/proc/self/fd"; /* not even root makes folders here */
	assert_true(na_rundir_open(&job, true, &folder) < 0);
	job.folder = "/proc/no/such/folder";
	assert_true(na_rundir_open(&job, true, &folder) < 0);
	assert_int_equal(unlink(file), 0);
}

static void the_parent_is_named_or_the_sessions(void **state)
{
	struct na_topology_job job = job_in(state);
	struct na_rundir folder;
	char made[PATH_MAX + 8];

	job.folder = NULL;
	snprintf(made, sizeof(made), "%s/made", (char *)*state);
	na_options.runtime_dir = made;
	assert_int_equal(na_rundir_open(&job, true, &folder), 0);
	assert_int_equal(strncmp(folder.path, made, strlen(made)), 0);
	na_rundir_remove(&folder);
	na_rundir_close(&folder);
	assert_int_equal(rmdir(made), 0);
	na_options.runtime_dir = "";

	setenv("XDG_RUNTIME_DIR", *state, 1);
	assert_int_equal(na_rundir_open(&job, true, &folder), 0);
	assert_int_equal(strncmp(folder.path, *state, strlen(*state)), 0);
	na_rundir_remove(&folder);
	na_rundir_close(&folder);
	setenv("XDG_RUNTIME_DIR", "relative", 1);
	assert_int_equal(na_rundir_open(&job, true, &folder), 0);
	assert_int_equal(folder.path[0], '/');
	na_rundir_remove(&folder);
	na_rundir_close(&folder);
	unsetenv("XDG_RUNTIME_DIR");
}

static void what_killed_jobs_left_goes_after_an_hour(void **state)
{
	struct timespec old[2] = { { time(NULL) - NA_RUNDIR_LIFE_S - 10, 0 }, { time(NULL) - NA_RUNDIR_LIFE_S - 10, 0 } };
	struct na_topology_job killed = job_in(state), recent = killed, next = killed;
	struct na_rundir first, second, third;
	char other[PATH_MAX];
	int fd;

	recent.id = "job-2";
	next.id = "job-3";
	assert_int_equal(na_rundir_open(&killed, true, &first), 0);
	assert_int_equal(na_rundir_open(&recent, true, &second), 0);
	fd = openat(first.fd, NA_RUNDIR_PREFIX "seen", O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(futimens(first.fd, old), 0);
	snprintf(other, sizeof(other), "%s/numarena-%u-notes", (char *)*state, (unsigned int)geteuid());
	assert_int_equal(mkdir(other, 0755), 0); /* open to others: none of ours */
	assert_int_equal(utimensat(AT_FDCWD, other, old, 0), 0);
	assert_int_equal(na_rundir_open(&next, true, &third), 0);
	assert_int_equal(access(first.path, F_OK), -1);
	assert_int_equal(access(second.path, F_OK), 0);
	assert_int_equal(access(other, F_OK), 0);
	assert_int_equal(rmdir(other), 0);
	na_rundir_remove(&second);
	na_rundir_remove(&third);
	na_rundir_close(&first);
	na_rundir_close(&second);
	na_rundir_close(&third);
}

static void removal_takes_our_files_and_no_others_and_can_be_repeated(void **state)
{
	struct na_topology_job job = job_in(state);
	struct na_rundir folder;

	assert_int_equal(na_rundir_open(&job, true, &folder), 0);
	close(openat(folder.fd, NA_RUNDIR_PREFIX "1234", O_CREAT | O_WRONLY, 0600));
	close(openat(folder.fd, NA_RUNDIR_PREFIX "1234.lock", O_CREAT | O_WRONLY, 0600));
	close(openat(folder.fd, "somebody-elses", O_CREAT | O_WRONLY, 0600));
	na_rundir_remove(&folder);
	assert_int_equal(test_folder_count(folder.path), 1);
	assert_int_equal(unlinkat(folder.fd, "somebody-elses", 0), 0);
	na_rundir_remove(&folder);
	assert_int_equal(access(folder.path, F_OK), -1);
	na_rundir_remove(&folder);
	na_rundir_close(&folder);
	na_rundir_close(&folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_job_is_the_callers_or_the_launchers),
		cmocka_unit_test(the_folder_is_private_and_the_same_for_all_of_the_job),
		cmocka_unit_test(a_job_cannot_name_its_way_out_of_the_parent),
		cmocka_unit_test(a_link_is_not_followed),
		cmocka_unit_test(a_folder_open_to_others_is_refused),
		cmocka_unit_test(a_folder_of_another_user_is_refused),
		cmocka_unit_test(a_parent_that_cannot_be_used_is_an_error),
		cmocka_unit_test(the_parent_is_named_or_the_sessions),
		cmocka_unit_test(what_killed_jobs_left_goes_after_an_hour),
		cmocka_unit_test(removal_takes_our_files_and_no_others_and_can_be_repeated),
	};

	return cmocka_run_group_tests_name("topology/rundir", tests, enter, leave);
}
