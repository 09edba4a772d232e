/* SPDX-License-Identifier: BSD-3-Clause */
/* A thread that is moved to another node gets its memory there within 100 operations: fresh blocks, and in a loop of pairs of one size. */
#include "guest.h"

enum { OPERATIONS = 100 };

static void *blocks[2 * OPERATIONS];

static int pairs(int node, size_t size)
{
	for (int i = 1; i <= OPERATIONS; i++) {
		char *p = malloc(size);
		int at;

		*p = 1;
		at = guest_node_of(p);
		free(p);
		if (at == node)
			return i;
	}
	return -1;
}

static int fresh(int node, size_t size)
{
	int first = -1;

	for (int i = 0; i < 2 * OPERATIONS; i++) {
		blocks[i] = malloc(size);
		memset(blocks[i], 1, size);
		if (guest_node_of(blocks[i]) == node) {
			if (first < 0)
				first = i + 1;
		} else if (first >= 0) {
			first = OPERATIONS + 1; /* back again */
		}
	}
	for (int i = 0; i < 2 * OPERATIONS; i++)
		free(blocks[i]);
	return first;
}

int main(void)
{
	static const size_t sizes[] = { 16, 64, 500, 4000, 30000, 200000 };
	int worst = 0, bad = 0;

	for (int move = 0; move < 12; move++) {
		int cpu = (move * 3 + 1) % 4;

		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
			int a, b;

			guest_run_on((cpu + 2) % 4); /* warm on another node */
			for (int i = 0; i < 500; i++)
				free(malloc(sizes[s]));
			guest_run_on(cpu);
			a = pairs(guest_node_here(), sizes[s]);
			guest_run_on((cpu + 1) % 4);
			b = fresh(guest_node_here(), sizes[s]);
			if (a < 0 || b < 0 || b > OPERATIONS) {
				printf("not ok moves: size %zu to CPU %d: pairs %d, fresh %d\n", sizes[s], cpu, a, b);
				bad = 1;
			}
			worst = a > worst ? a : worst;
			worst = b > worst ? b : worst;
		}
	}
	if (!bad)
		printf("ok moves: at the latest after %d operations\n", worst);
	return bad;
}
