/* SPDX-License-Identifier: BSD-3-Clause */
/* Writing profiles where something fails; what is in them is for tests/interpose/profiles. */
#include "tracking/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/traps.h"
#include "support/faulty_os.h"
#include "support/unit.h"
#include "tracking/sample.h"

static char folder[] = "/tmp/na-profile-XXXXXX", path[100];

static void a_file_that_cannot_be_made_is_an_error(void **state)
{
	(void)state;
	assert_int_equal(na_profile_write("/nowhere/at/all", NA_PROFILE_LIVE, NA_PROFILE_PPROF), -ENOENT);
	assert_int_equal(na_profile_write(folder, NA_PROFILE_LIVE, NA_PROFILE_FOLDED), -EISDIR);
}

static void a_full_disk_is_an_error(void **state)
{
	(void)state;
	if (access("/dev/full", W_OK) < 0)
		skip();
	/* by a link, because what could not be written is removed */
	assert_int_equal(symlink("/dev/full", path), 0);
	assert_int_equal(na_profile_write(path, NA_PROFILE_PEAK, NA_PROFILE_PPROF), -ENOSPC);
	assert_int_equal(access(path, F_OK), -1);
}

static void each_call_of_the_system_may_fail(void **state)
{
	struct stat s;
	int rc = -ENOMEM;
	long nth;

	(void)state;
	for (nth = 1; rc == -ENOMEM && nth < 10; nth++) {
		na_faulty_os_install(nth);
		rc = na_profile_write(path, NA_PROFILE_TOTAL, NA_PROFILE_PPROF);
		na_faulty_os_remove();
		assert_int_equal(access(path, F_OK), rc == 0 ? 0 : -1);
	}
	assert_int_equal(rc, 0);
	assert_true(nth > 3); /* two were in the way */
	assert_int_equal(stat(path, &s), 0);
	assert_true(s.st_size > 500);
	unlink(path);
}

static void frames_of_no_object_and_sites_without_frames_are_written(void **state)
{
	char line[4000];
	FILE *f;

	(void)state;
	na_sample_limit(1 << 20, 0);
	na_sample_hooks.taken((void *)(UINT64_C(1) << 46), 1 << 30, 1 << 20, 5);
	assert_int_equal(na_profile_write(path, NA_PROFILE_LIVE, NA_PROFILE_FOLDED), 0);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) && strncmp(line, "[no_stack] ", 11) != 0)
		;
	assert_string_equal(line, "[no_stack] 1073741824\n");
	fclose(f);
	unlink(path);
	na_sample_hooks.released((void *)(UINT64_C(1) << 46));
}

static int start(void **state)
{
	(void)state;
	if (!mkdtemp(folder) || na_sample_start(1 << 20) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/profile", folder);
	na_sample_hooks.taken((void *)((UINT64_C(1) << 46) + 64), 1000, 1 << 20, 5);
	return 0;
}

static int finish(void **state)
{
	(void)state;
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_that_cannot_be_made_is_an_error),
		cmocka_unit_test(a_full_disk_is_an_error),
		cmocka_unit_test(each_call_of_the_system_may_fail),
		cmocka_unit_test(frames_of_no_object_and_sites_without_frames_are_written),
	};

	return cmocka_run_group_tests(tests, start, finish);
}
