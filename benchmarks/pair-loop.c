/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loop whose instructions benchmarks/instructions counts: N pairs of malloc and free of 64 bytes, or the same loop with
 * nothing in it. No harness, no printing: under callgrind all else is noise.
 */
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	long i, pairs;
	void *block;

	if (argc != 3)
		return 2;
	pairs = atol(argv[2]);
	if (strcmp(argv[1], "pair") == 0) {
		for (i = 0; i < pairs; i++) {
			block = malloc(64);
			__asm__ volatile("" : : "r"(block) : "memory");
			free(block);
		}
	} else if (strcmp(argv[1], "empty") == 0) {
		for (i = 0; i < pairs; i++)
			__asm__ volatile("" : : "r"(&i) : "memory");
	} else {
		return 2;
	}
	return 0;
}
