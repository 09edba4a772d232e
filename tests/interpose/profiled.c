/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program whose profile is known: it leaks in one function, has its peak in a second, and churns in a third. It knows
 * nothing of numarena; the script `profiles` runs it and reads what is written. Its functions are static: no dynamic symbol names them.
 *
 *     profiled [exit|_exit|abort|fork|chdir|nothing]
 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

__attribute__((noinline)) static void *take(size_t size)
{
	char *volatile p = malloc(size);

	if (!p)
		abort();
	p[0] = 1;
	return p;
}

__attribute__((noinline)) static void leaks_in_here(void) /* 16 MiB stay */
{
	for (int i = 0; i < 16384; i++)
		take(1000);
	__asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) static void peaks_in_here(void) /* 64 MiB at once */
{
	static void *p[640];

	for (size_t i = 0; i < 640; i++)
		p[i] = take(100 * 1024);
	for (size_t i = 0; i < 640; i++)
		free(p[i]);
	__asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) static void churns_in_here(void) /* 128 MiB, a block at a time */
{
	for (int i = 0; i < 1310720; i++)
		free(take(100));
	__asm__ volatile("" ::: "memory");
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";
	pid_t child;

	if (strcmp(how, "nothing") == 0)
		return 0;
	peaks_in_here();
	leaks_in_here();
	churns_in_here();
	if (strcmp(how, "_exit") == 0)
		_exit(0);
	if (strcmp(how, "abort") == 0)
		abort();
	if (strcmp(how, "chdir") == 0 && chdir("/") < 0)
		return 2;
	if (strcmp(how, "fork") == 0) {
		child = fork();
		if (child == 0) {
			leaks_in_here();
			exit(0);
		}
		waitpid(child, NULL, 0);
	}
	exit(0);
}
