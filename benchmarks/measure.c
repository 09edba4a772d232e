/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * measure [--preload=LIBRARY[:LIBRARY]] [--output=DIR] [--verify] PROGRAM [ARGUMENT]... runs a program and writes one line of JSON: its
 * exit status, seconds of wall clock and of processor, peak physical memory, page faults. The line goes to standard output after the
 * program's own, or with --output into DIR/PID.json, which keeps the lines of several MPI ranks apart.
 *
 * Why a program of its own: the kernel carries the largest resident set of a process over exec (it counts the image before it
 * as well), so a child of Python never shows less than Python's own memory. This one is smaller than anything it starts. The
 * library is preloaded into the child alone, never into the one who measures, nor into mpirun.
 *
 * The figure is wait4's ru_maxrss: the kernel notes the peak itself, so no short peak is missed as by sampling. It counts resident
 * pages; pages mapped twice would count twice, which no allocator measured here does with a program's memory, and the
 * program's and the C library's own pages, which are the same for all. From Linux 6.2 on the count may lag by 32 pages a core.
 *
 * --verify looks into the child's /proc/PID/maps until every library of --preload is there ("preloaded": true), for programs that cannot
 * say themselves whose malloc they got. It costs the child some waiting for its own map, so runs of a few milliseconds go without it.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
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

/* Whether the file of this length-limited name is mapped by the process; maps shows names without symbolic links. */
static int mapped(pid_t pid, const char *library, size_t length)
{
	char name[PATH_MAX], real[PATH_MAX], line[PATH_MAX + 128];
	int found = 0;
	FILE *maps;

	if (length >= sizeof(name))
		return 0;
	memcpy(name, library, length);
	name[length] = '\0';
	snprintf(line, sizeof(line), "/proc/%ld/maps", (long)pid);
	maps = realpath(name, real) ? fopen(line, "r") : NULL;
	if (!maps)
		return 0;
	while (!found && fgets(line, sizeof(line), maps)) {
		line[strcspn(line, "\n")] = '\0';
		found = strchr(line, '/') && strcmp(strchr(line, '/'), real) == 0;
	}
	fclose(maps);
	return found;
}

static int all_mapped(pid_t pid, const char *preload)
{
	size_t length;

	for (; *preload; preload += length + (preload[length] == ':')) {
		length = strcspn(preload, ":");
		if (length && !mapped(pid, preload, length))
			return 0;
	}
	return 1;
}

/* Looks every millisecond, for two seconds or until the child has ended: the pidfd wakes us then, so its time stays exact. */
static int verify(pid_t pid, const char *preload)
{
	struct pollfd end = { .fd = pidfd_open(pid, 0), .events = POLLIN };
	double until = now() + 2;
	int seen = 0;

	while (end.fd >= 0 && now() < until && poll(&end, 1, 1) == 0) {
		seen = all_mapped(pid, preload);
		if (seen)
			break;
	}
	if (end.fd >= 0)
		close(end.fd);
	return seen;
}

static int print(const char *folder, int status, double wall, const struct rusage *usage, int preloaded)
{
	FILE *out = stdout;
	char name[PATH_MAX];

	if (folder) {
		snprintf(name, sizeof(name), "%s/%ld.json", folder, (long)getpid());
		out = fopen(name, "wx");
	}
	if (!out) {
		fprintf(stderr, "measure: cannot write %s: %s\n", name, strerror(errno));
		return 2;
	}
	fprintf(out,
		"{\"status\": %d, \"signal\": %d, \"wall\": %.6f, \"user\": %.6f, \"system\": %.6f, "
		"\"peak_kib\": %ld, \"minor_faults\": %ld, \"major_faults\": %ld, \"preloaded\": %s}\n",
		WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : 0, wall,
		seconds(usage->ru_utime), seconds(usage->ru_stime), usage->ru_maxrss, usage->ru_minflt,
		usage->ru_majflt,
		preloaded < 0 ? "null"
		: preloaded   ? "true"
			      : "false");
	if (fflush(out) || ferror(out)) {
		fprintf(stderr, "measure: cannot write the result: %s\n", strerror(errno));
		return 2;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
	const char *preload = NULL, *folder = NULL;
	int status, first, check = 0, preloaded = -1;
	struct rusage usage;
	double began;
	pid_t pid;

	for (first = 1; first < argc && strncmp(argv[first], "--", 2) == 0; first++) {
		if (strncmp(argv[first], "--preload=", 10) == 0)
			preload = argv[first] + 10;
		else if (strncmp(argv[first], "--output=", 9) == 0)
			folder = argv[first] + 9;
		else if (strcmp(argv[first], "--verify") == 0)
			check = 1;
		else
			argc = 0;
	}
	if (first >= argc) {
		fprintf(stderr, "Usage: measure [--preload=LIBRARY[:LIBRARY]] [--output=DIR] [--verify] PROGRAM "
				"[ARGUMENT]...\n");
		return 2;
	}
	began = now();
	pid = fork();
	if (pid == 0)
		child(preload, argv + first);
	if (pid > 0 && check && preload)
		preloaded = verify(pid, preload);
	if (pid < 0 || wait4(pid, &status, 0, &usage) != pid) {
		fprintf(stderr, "measure: %s\n", strerror(errno));
		return 2;
	}
	return print(folder, status, now() - began, &usage, preloaded);
}
