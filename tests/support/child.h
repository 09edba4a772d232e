/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Running a piece of a test in a forked child, with its standard error caught: for what may crash or
 * hang, and for messages. The child is ended by its own alarm, so nothing is left behind.
 */
#ifndef NA_TESTS_CHILD_H
#define NA_TESTS_CHILD_H

#include <signal.h>
#include <sys/wait.h>

#include "support/check.h"

struct child {
	int status;        /* of waitpid */
	char text[16384];  /* what it wrote on standard error, cut */
};

static inline void child_read(int fd, struct child *out)
{
	size_t n = 0;
	char rest[4096];

	for (;;) {
		ssize_t got = n + 1 < sizeof(out->text) ? read(fd, out->text + n, sizeof(out->text) - 1 - n) :
							  read(fd, rest, sizeof(rest));

		if (got <= 0)
			break;
		if (n + 1 < sizeof(out->text))
			n += (size_t)got;
	}
	out->text[n] = '\0';
}

/* Runs function(argument) in a child; its return value, or its failed checks, are the exit status. */
static inline void child_run(int (*function)(void *), void *argument, struct child *out)
{
	int pipes[2];
	pid_t pid;

	fflush(NULL);
	REQUIRE(pipe(pipes) == 0);
	pid = fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		int rc;

		alarm(60);
		close(pipes[0]);
		if (dup2(pipes[1], STDERR_FILENO) < 0)
			_exit(98);
		check_failures = 0;
		rc = function(argument);
		_exit(rc ? rc : check_failures ? 1 : 0);
	}
	close(pipes[1]);
	child_read(pipes[0], out);
	close(pipes[0]);
	REQUIRE(waitpid(pid, &out->status, 0) == pid);
}

static inline void child_expect_good(const struct child *c, const char *what, const char *file, int line)
{
	if (WIFSIGNALED(c->status))
		check_fail(file, line, "%s: killed by signal %d%s; said: %s", what, WTERMSIG(c->status),
			   WTERMSIG(c->status) == SIGALRM ? " (it hung)" : "", c->text);
	else if (WEXITSTATUS(c->status) != 0)
		check_fail(file, line, "%s: exit status %d; said: %s", what, WEXITSTATUS(c->status), c->text);
}
#define CHILD_GOOD(c, what) child_expect_good((c), (what), __FILE__, __LINE__)

static inline int child_lines_with(const struct child *c, const char *needle)
{
	int n = 0;

	for (const char *s = strstr(c->text, needle); s; s = strstr(s + 1, needle))
		n++;
	return n;
}

#endif
