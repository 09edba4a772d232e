/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * measure [--preload=LIBRARY] PROGRAM [ARGUMENT]... runs a program and prints, after the program's own output, one line of JSON: its
 * exit status, seconds of wall clock and of processor, peak physical memory, page faults.
 *
 * Why a program of its own: the kernel carries the largest resident set of a process over exec (it counts the image before it
 * as well), so a child of Python never shows less than Python's own memory. This one is smaller than anything it starts. The
 * library is preloaded into the child alone, never into the one who measures.
 *
 * The figure is wait4's ru_maxrss: the kernel notes the peak itself, so no short peak is missed as by sampling. It counts resident
 * pages; pages mapped twice would count twice, which no allocator measured here does with a program's memory, and the
 * program's and the C library's own pages, which are the same for all. From Linux 6.2 on the count may lag by 32 pages a core.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static double seconds(struct timeval time)
{
	return (double)time.tv_sec + 1e-6 * (double)time.tv_usec;
}

static void child(const char *preload, char **argv)
{
	if (preload ? setenv("LD_PRELOAD", preload, 1) : unsetenv("LD_PRELOAD"))
		_exit(126);
	execvp(argv[0], argv);
	fprintf(stderr, "measure: cannot run %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

int main(int argc, char **argv)
{
	const char *preload = NULL;
	struct rusage usage;
	double began;
	int status, first = 1;
	pid_t pid;

	if (argc > 1 && strncmp(argv[1], "--preload=", 10) == 0)
		preload = argv[first++] + 10;
	if (first >= argc) {
		fprintf(stderr, "Usage: measure [--preload=LIBRARY] PROGRAM [ARGUMENT]...\n");
		return 2;
	}
	began = now();
	pid = fork();
	if (pid == 0)
		child(preload, argv + first);
	if (pid < 0 || wait4(pid, &status, 0, &usage) != pid) {
		fprintf(stderr, "measure: %s\n", strerror(errno));
		return 2;
	}
	printf("{\"status\": %d, \"signal\": %d, \"wall\": %.6f, \"user\": %.6f, \"system\": %.6f, "
	       "\"peak_kib\": %ld, \"minor_faults\": %ld, \"major_faults\": %ld}\n",
	       WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : 0, now() - began,
	       seconds(usage.ru_utime), seconds(usage.ru_stime), usage.ru_maxrss, usage.ru_minflt, usage.ru_majflt);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
