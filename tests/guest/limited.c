/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What only a machine of one's own can show.
 *   limited memory   in a cgroup with memory.max: malloc fails with ENOMEM before the OOM killer comes, and works again after frees
 *   limited pages    with hugetlb pages reserved and NUMARENA_HUGEPAGES=hugetlb: a large block is on them, and
 *                    one for which they do not suffice is not
 */
#include <stdbool.h>

#include "guest.h"

enum { MIB = 1 << 20, MOST = 4096 };

static void *blocks[MOST];

static int fill(void)
{
	int n = 0;

	errno = 0;
	while (n < MOST && (blocks[n] = malloc(MIB)) != NULL)
		memset(blocks[n++], 1, MIB);
	return n;
}

static int memory(int limit)
{
	int first, second, error;

	first = fill();
	error = errno;
	for (int i = 0; i < first; i++)
		free(blocks[i]);
	second = fill();
	for (int i = 0; i < second; i++)
		free(blocks[i]);
	/* What the group's page cache and the kernel's share take besides moves by a tenth of the limit from one fill to the next. */
	if (first < limit / 2 || first > limit || error != ENOMEM || second < first - first / 4) {
		printf("not ok memory: of %d MiB first %d, then %d, error %d\n", limit, first, second, error);
		return 1;
	}
	printf("ok memory: of %d MiB first %d, then %d; no process was killed\n", limit, first, second);
	return 0;
}

/* KiB of the block's pages that are hugetlb ones. */
static long hugetlb_of(const void *p)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long from, to;
	char line[256];
	bool here = false;
	long sum = 0, n;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2 && strchr(line, '-') < line + 20)
			here = (unsigned long)p >= from && (unsigned long)p < to;
		else if (here && sscanf(line, "Private_Hugetlb: %ld", &n) == 1)
			sum += n;
	}
	if (f)
		fclose(f);
	return sum;
}

static int pages(void)
{
	char *one = malloc(40 * MIB), *two;
	long first, second;

	memset(one, 1, 40 * MIB);
	first = hugetlb_of(one);
	two = malloc(80 * MIB);
	memset(two, 2, 80 * MIB);
	second = hugetlb_of(two);
	if (first < 40 * 1024 || second != 0) {
		printf("not ok pages: %ld KiB of the first block, %ld of the second are hugetlb pages\n", first,
		       second);
		return 1;
	}
	printf("ok pages: the first block on %ld KiB of hugetlb pages, the second, too large for them, on none\n",
	       first);
	free(one);
	free(two);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "memory") == 0)
		return memory(atoi(argv[2]));
	return pages();
}
