/* SPDX-License-Identifier: BSD-3-Clause */
/* The job's name out of the arguments of a proxy of Hydra's, and out of what is none. */
#include "report/hydra.h"

#include "support/unit.h"

/* Arguments as /proc has them: a NUL behind each. */
#define PARSE(arguments, job) na_hydra_parse(arguments, sizeof(arguments), job, sizeof(job))

static void a_proxy_names_its_job(void **state)
{
	char job[64];

	(void)state;
	assert_int_equal(PARSE("/usr/bin/hydra_pmi_proxy\0--control-port\0node-17.site:43831\0--rmk\0user\0--pgid\0002\0--proxy-id\0000", job), 1);
	assert_string_equal(job, "hydra.43831.2.node-17.site");
	assert_int_equal(PARSE("hydra_pmi_proxy\0--pgid\0000\0--control-port\0::1:80", job), 1);
	assert_string_equal(job, "hydra.80.0.::1");
}

static void long_hosts_are_cut_at_the_end(void **state)
{
	char job[24];

	(void)state;
	assert_int_equal(PARSE("hydra_pmi_proxy\0--control-port\0a-very-long-name-of-a-host-that-is-cut:43831\0--pgid\0001", job), 1);
	assert_string_equal(job, "hydra.43831.1.a-very-lo");
}

static void others_name_none(void **state)
{
	char job[64] = "as it was";

	(void)state;
	assert_int_equal(na_hydra_parse("", 0, job, sizeof(job)), 0);
	assert_int_equal(PARSE("bash\0--control-port\0h:1\0--pgid\0001", job), 0); /* not a proxy */
	assert_int_equal(PARSE("hydra_pmi_proxy\0--control-port\0h:1", job), 0);
	assert_int_equal(PARSE("hydra_pmi_proxy\0--pgid\0001", job), 0);
	assert_int_equal(PARSE("hydra_pmi_proxy\0--control-port\0h\0--pgid\0001", job), 0);
	assert_int_equal(PARSE("hydra_pmi_proxy\0--control-port\0h:\0--pgid\0001", job), 0);
	assert_int_equal(PARSE("hydra_pmi_proxy\0--control-port\0:1\0--pgid\0001", job), 0);
	assert_int_equal(PARSE("hydra_pmi_proxy\0--control-port\0h:1\0--pgid\0", job), 0);
	assert_int_equal(na_hydra_parse("hydra_pmi_proxy\0--control-port\0h:1\0--pgid\0001", 20, job, sizeof(job)), 0); /* cut */
	assert_string_equal(job, "as it was");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_proxy_names_its_job),
		cmocka_unit_test(long_hosts_are_cut_at_the_end),
		cmocka_unit_test(others_name_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
