/* SPDX-License-Identifier: BSD-3-Clause */
/* src/base/log.h: what reaches standard error, in how many writes, and what does not change. */
#include "support/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/options.h"

struct capture {
	int saved;
	int ends[2];
};

/* A socket that keeps writes apart takes the place of standard error. */
static int enter(void **state)
{
	static struct capture c;

	c.saved = dup(STDERR_FILENO);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, c.ends) < 0)
		return -1;
	dup2(c.ends[1], STDERR_FILENO);
	close(c.ends[1]);
	*state = &c;
	return 0;
}

static int leave(void **state)
{
	struct capture *c = *state;

	dup2(c->saved, STDERR_FILENO);
	close(c->saved);
	close(c->ends[0]);
	na_options.verbose = 1;
	na_log_set_rank(-1);
	return 0;
}

/* The next write, or "" if there is none. */
static const char *next_write(const struct capture *c)
{
	static char line[4096];
	ssize_t n = recv(c->ends[0], line, sizeof(line) - 1, MSG_DONTWAIT);

	line[n > 0 ? n : 0] = '\0';
	return line;
}

static void a_message_is_one_write_with_our_name_before_it(void **state)
{
	na_log(NA_LOG_ERROR, "%s: %d of %zu", "pool", -3, (size_t)9);
	assert_string_equal(next_write(*state), "numarena: pool: -3 of 9\n");
	assert_string_equal(next_write(*state), "");
}

static void a_rank_is_named_once_it_is_known(void **state)
{
	na_log_set_rank(17);
	na_log(NA_LOG_WARNING, "here");
	assert_string_equal(next_write(*state), "numarena: rank 17: here\n");
	na_log_set_rank(0);
	na_log(NA_LOG_WARNING, "here");
	assert_string_equal(next_write(*state), "numarena: rank 0: here\n");
	na_log_set_rank(-1);
	na_log(NA_LOG_WARNING, "here");
	assert_string_equal(next_write(*state), "numarena: here\n");
}

static void levels_above_the_chosen_one_are_silent(void **state)
{
	static const char *const names[] = { "error", "warning", "information", "debugging" };
	char wanted[64];

	for (unsigned int verbose = 0; verbose <= 3; verbose++) {
		na_options.verbose = verbose;
		for (unsigned int level = NA_LOG_ERROR; level <= NA_LOG_DEBUG; level++) {
			na_log((enum na_log_level)level, "%s", names[level]);
			na_format(wanted, sizeof(wanted), "numarena: %s\n", names[level]);
			assert_string_equal(next_write(*state), level <= verbose ? wanted : "");
		}
	}
}

static void a_message_too_long_is_cut_but_still_a_line(void **state)
{
	char body[5000];
	const char *line;
	size_t n;

	memset(body, 'x', sizeof(body) - 1);
	body[sizeof(body) - 1] = '\0';
	na_log_set_rank(2147483647);
	na_log(NA_LOG_ERROR, "%s", body);
	line = next_write(*state);
	n = strlen(line);
	assert_true(n > 800 && n < 1024);
	assert_memory_equal(line, "numarena: rank 2147483647: xxx", 30);
	assert_int_equal(line[n - 1], '\n');
	assert_string_equal(next_write(*state), "");
}

static void errno_stays_as_it_was(void **state)
{
	struct capture *c = *state;

	errno = ENOTTY;
	na_log(NA_LOG_ERROR, "fine");
	assert_int_equal(errno, ENOTTY);
	assert_string_equal(next_write(c), "numarena: fine\n");
	close(STDERR_FILENO); /* leave() puts it back */
	errno = ENOTTY;
	na_log(NA_LOG_ERROR, "nobody listens");
	assert_int_equal(errno, ENOTTY);
}

static void a_message_is_not_its_own_format(void **state)
{
	na_log(NA_LOG_ERROR, "%s", "100%s %d %n");
	assert_string_equal(next_write(*state), "numarena: 100%s %d %n\n");
}

int main(void)
{
#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)
	const struct CMUnitTest tests[] = {
		LOG_TEST(a_message_is_one_write_with_our_name_before_it),
		LOG_TEST(a_rank_is_named_once_it_is_known),
		LOG_TEST(levels_above_the_chosen_one_are_silent),
		LOG_TEST(a_message_too_long_is_cut_but_still_a_line),
		LOG_TEST(errno_stays_as_it_was),
		LOG_TEST(a_message_is_not_its_own_format),
	};

	na_options.verbose = 1;
	return cmocka_run_group_tests_name("base/log", tests, NULL, NULL);
}
