/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * spawn ROUNDS PROGRAM LIBRARY...: what a preloaded library adds to the life of a process that does nothing. In each round PROGRAM
 * (`true`) is run once with each LIBRARY preloaded, "-" being none, in an order that rotates; the program prints one line of JSON with
 * the microseconds of every run, from just before posix_spawn (which is a vfork here) to waitpid's return. Children get
 * the environment as it is but for LD_PRELOAD. A run that does not end with status 0 ends the whole.
 */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return 1e6 * (double)time.tv_sec + 1e-3 * (double)time.tv_nsec;
}

static void stop(const char *what, const char *why)
{
	fprintf(stderr, "spawn: %s: %s\n", what, why);
	exit(1);
}

/* The environment with `preload` in place of LD_PRELOAD. */
static char **environment(const char *library)
{
	size_t count = 0, i;
	char **copy, *preload;

	while (environ[count])
		count++;
	copy = calloc(count + 2, sizeof(*copy));
	if (!copy || asprintf(&preload, "LD_PRELOAD=%s", library) < 0)
		stop("no memory", strerror(errno));
	for (count = i = 0; environ[i]; i++)
		if (strncmp(environ[i], "LD_PRELOAD=", 11) != 0)
			copy[count++] = environ[i];
	if (strcmp(library, "-") != 0)
		copy[count] = preload;
	return copy;
}

static double run(char *program, char **variables)
{
	char *words[] = { program, NULL };
	double began = now();
	int status, rc;
	pid_t pid;

	rc = posix_spawn(&pid, program, NULL, NULL, words, variables);
	if (rc)
		stop(program, strerror(rc));
	if (waitpid(pid, &status, 0) != pid || status)
		stop(program, "did not end with status 0");
	return now() - began;
}

static void print(double *times, long rounds, int libraries)
{
	long r;
	int i;

	printf("[");
	for (i = 0; i < libraries; i++) {
		printf("%s[", i ? ", " : "");
		for (r = 0; r < rounds; r++)
			printf("%s%.1f", r ? ", " : "", times[r * libraries + i]);
		printf("]");
	}
	printf("]\n");
}

int main(int argc, char **argv)
{
	int libraries = argc - 3, i, turn;
	long rounds = argc > 3 ? atol(argv[1]) : 0, r;
	char ***variables;
	double *times;

	if (rounds < 1) {
		fprintf(stderr, "Usage: spawn ROUNDS PROGRAM LIBRARY...   (- is none)\n");
		return 2;
	}
	times = calloc((size_t)rounds * (size_t)libraries, sizeof(*times));
	variables = calloc((size_t)libraries, sizeof(*variables));
	if (!times || !variables)
		stop("no memory", strerror(errno));
	for (i = 0; i < libraries; i++) {
		variables[i] = environment(argv[i + 3]);
		run(argv[2], variables[i]); /* the files are in the page cache from here on */
	}
	for (r = 0; r < rounds; r++)
		for (i = 0; i < libraries; i++) {
			turn = (int)((r + i) % libraries);
			times[r * libraries + turn] = run(argv[2], variables[turn]);
		}
	print(times, rounds, libraries);
	return 0;
}
