/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loop whose instructions benchmarks/instructions counts: N pairs of malloc and free of SIZE bytes (64 if not
 * given), or the same loop with nothing in it. No harness, no printing: under callgrind all else is noise.
 */
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	long i, pairs;
	size_t size;
	void *block;

	if (argc != 3 && argc != 4)
		return 2;
	pairs = atol(argv[2]);
	size = argc == 4 ? strtoul(argv[3], NULL, 10) : 64;
	if (strcmp(argv[1], "pair") == 0) {
		for (i = 0; i < pairs; i++) {
			block = malloc(size);
			__asm__ volatile("" : : "r"(block) : "memory");
			free(block);
		}
	} else if (strcmp(argv[1], "empty") == 0) {
		for (i = 0; i < pairs; i++)
			__asm__ volatile("" : : "r"(size) : "memory");
	} else {
		return 2;
	}
	return 0;
}
