/* SPDX-License-Identifier: BSD-3-Clause */
/* The folder that a report's name stands for, under each batch system's environment. */
#include "report/folder.h"

#include "support/unit.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static char folder[64], complaint[256];

static int forget(void **state)
{
	static const char *const names[] = { "SLURM_JOB_ID",	   "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_STEP_ID",
					     "PBS_JOBID",	   "PBS_ARRAY_INDEX",	 "PBS_ARRAYID",		"LSB_JOBID",
					     "LSB_JOBINDEX",	   "FLUX_JOB_ID",	 "COBALT_JOBID",	"SGE_TASK_ID",
					     "JOB_ID",		   NA_FOLDER_VARIABLE };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
	return 0;
}

static void expect(const char *name, const char *wanted)
{
	assert_int_equal(na_folder_find(name, folder, sizeof(folder), complaint, sizeof(complaint)), 0);
	assert_string_equal(folder, wanted);
}

static void alone(void **state)
{
	(void)state;
	setenv("JOB_ID", "somebody's", 1);
	expect(NULL, "numarena-report");
	expect("run", "run");
	expect("/a b/run.%j.%A_%a.%s.%%", "/a b/run.0.0_0.0.%");
}

static void slurm(void **state)
{
	(void)state;
	setenv("SLURM_JOB_ID", "1235", 1);
	expect(NULL, "numarena-report/1235");
	expect("run", "run");
	expect("run-%j", "run-1235");
	setenv("SLURM_STEP_ID", "2", 1);
	expect(NULL, "numarena-report/1235.2");
	expect("%j.%s", "1235.2");
}

static void slurm_array(void **state)
{
	(void)state;
	setenv("SLURM_JOB_ID", "1235", 1);
	setenv("SLURM_ARRAY_JOB_ID", "1234", 1);
	setenv("SLURM_ARRAY_TASK_ID", "7", 1);
	expect(NULL, "numarena-report/1234_7");
	expect("run", "run/1234_7");
	expect("run/%A.%a", "run/1234.7");
	expect("run%%", "run%");
	setenv(NA_FOLDER_VARIABLE, "/x/run/1234.7", 1); /* numarena-run has been there */
	expect("/x/run/1234.7", "/x/run/1234.7");
	expect("/x/other", "/x/other/1234_7");
	setenv(NA_FOLDER_VARIABLE, "/x/100%", 1);
	expect("/x/100%", "/x/100%");
}

static void others(void **state)
{
	setenv("PBS_JOBID", "88[3].server", 1);
	expect(NULL, "numarena-report/88_3_.server");
	setenv("PBS_ARRAY_INDEX", "3", 1);
	expect("run", "run/88_3_.server_3");
	forget(state);
	setenv("LSB_JOBID", "9", 1);
	setenv("LSB_JOBINDEX", "0", 1);
	expect("run", "run");
	setenv("LSB_JOBINDEX", "4", 1);
	expect("run", "run/9_4");
	forget(state);
	setenv("JOB_ID", "10", 1);
	setenv("SGE_TASK_ID", "undefined", 1);
	expect("run", "run");
	expect(NULL, "numarena-report/10");
	setenv("SGE_TASK_ID", "5", 1);
	expect("run", "run/10_5");
}

static void wrong_ones_are_told(void **state)
{
	char small[8];

	(void)state;
	assert_int_equal(na_folder_find("run.%q", folder, sizeof(folder), complaint, sizeof(complaint)), -EINVAL);
	assert_non_null(strstr(complaint, "run.%q: %q is not known"));
	assert_int_equal(na_folder_find("run%", folder, sizeof(folder), complaint, sizeof(complaint)), -EINVAL);
	assert_int_equal(na_folder_find("1234567", small, sizeof(small), complaint, sizeof(complaint)), 0);
	assert_int_equal(na_folder_find("12345678", small, sizeof(small), complaint, sizeof(complaint)), -ENAMETOOLONG);
	assert_non_null(strstr(complaint, "12345678"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(alone, forget),	cmocka_unit_test_setup(slurm, forget),
		cmocka_unit_test_setup(slurm_array, forget), cmocka_unit_test_setup(others, forget),
		cmocka_unit_test_setup(wrong_ones_are_told, forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
