/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A job of four processes, each pinned to a node, that end with 4, 6, 8 and 10 MiB live there: for the report's table of nodes.
 * Called with a node and a number, it is one of them.
 */
#include <sys/wait.h>

#include "guest.h"

enum { PROCESSES = 4, HALF = 32768 };

static int one(int node, int mib)
{
	guest_run_on(node);
	for (int i = 0; i < mib * 16; i++) { /* 64 KiB each, in one block or in two */
		for (int part = 0; part < 1 + i % 2; part++) {
			size_t size = i % 2 ? HALF : 2 * HALF;
			char *p = malloc(size);

			if (!p)
				return 1;
			memset(p, 1, size);
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	int status, bad = 0;

	if (argc == 3)
		return one(atoi(argv[1]), atoi(argv[2]));
	for (int i = 0; i < PROCESSES; i++) {
		char node[16], mib[16];

		snprintf(node, sizeof(node), "%d", i);
		snprintf(mib, sizeof(mib), "%d", 4 + 2 * i);
		if (fork() == 0) {
			execl("/proc/self/exe", argv[0], node, mib, (char *)NULL);
			_exit(127);
		}
	}
	while (wait(&status) > 0)
		bad |= status;
	return bad != 0;
}
