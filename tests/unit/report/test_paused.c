/* SPDX-License-Identifier: BSD-3-Clause */
/* The trace of pauses: as many lines as there were pauses, each whole, whatever the writer's buffer holds. */
#include "support/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/options.h"
#include "report/paused.h"

#define PAUSES 5000

static void every_pause_has_its_line(void **state)
{
	char path[] = "/tmp/numarena-test-XXXXXX", line[200];
	int fd = mkstemp(path), lines = 0;
	unsigned long long at = 0, ns, last = 0;
	FILE *f;

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(na_paused_trace(path, 3, 0, 1), -ENODATA);
	na_paused(NA_PAUSE_ALONE, 1, 0); /* without the setting none is kept */
	na_options.pause_trace = 1;
	assert_int_equal(na_paused_trace(path, 3, 0, 1), -ENODATA);
	for (uint64_t i = 0; i < PAUSES; i++)
		na_paused(i % 2 ? NA_PAUSE_ALONE : NA_PAUSE_WINDOW, 1000 + i, 0);
	na_paused(NA_PAUSE_WAITING, 7, 0); /* costs nothing */
	assert_int_equal(na_paused_trace(path, 3, 0, UINT64_MAX), 0);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (line[0] == '#')
			continue;
		assert_int_equal(sscanf(line, "%llu\t%llu", &at, &ns), 2);
		assert_true(lines == 0 ? at == 0 : at > last); /* they rise */
		assert_int_equal(ns, lines > 0 && lines <= PAUSES ? 999 + (unsigned)lines : 0);
		last = at;
		lines++;
	}
	assert_int_equal(lines, PAUSES + 2); /* between a line of nothing and the end */
	assert_int_equal(at, UINT64_MAX);
	assert_null(strchr(line, '\n')); /* none at the end */
	fclose(f);
	unlink(path);
	assert_int_equal(na_paused_trace("/dev/null/trace", 3, 0, 1), -ENOTDIR);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(every_pause_has_its_line) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
