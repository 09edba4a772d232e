/* SPDX-License-Identifier: BSD-3-Clause */
/* For stress of merging: blocks whose contents follow from a number that is kept beside them, so that whoever changes one is found out; and what forbids merging, which
 * is looked up here and not taken on the library's word. SHADOW_NAME: what failures are told of. */
#ifndef TESTS_STRESS_SHADOW_H
#define TESTS_STRESS_SHADOW_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct block {
	uint64_t *p;
	uint32_t words;
	uint64_t seed;
};

static uint64_t base_seed;

static uint64_t next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void fail(const char *what, const void *p)
{
	fprintf(stderr, SHADOW_NAME ": %s (%p, error %d), seed %llu\n", what, p, errno, (unsigned long long)base_seed);
	abort();
}

static void fill(struct block *b, uint64_t seed)
{
	b->seed = seed;
	for (uint32_t i = 0; i < b->words; i++)
		b->p[i] = seed * (2 * i + 1) + i;
}

static void verify(const struct block *b)
{
	for (uint32_t i = 0; i < b->words; i++)
		if (b->p[i] != b->seed * (2 * i + 1) + i)
			fail("a block has changed", b->p);
}

static size_t size_of(uint64_t *state)
{
	static const size_t sizes[] = { 16, 32, 48, 64, 64, 64, 80, 96, 112, 128, 192, 256, 256, 256, 320, 512, 640, 1024, 1536, 2048, 5120 };

	return sizes[next(state) % (sizeof(sizes) / sizeof(sizes[0]))];
}

/* A line's figure of a file of /proc; -1: there is none. */
static long long figure(const char *path, const char *line)
{
	char text[256];
	long long value = -1;
	FILE *f = fopen(path, "r");

	while (f && value < 0 && fgets(text, sizeof(text), f))
		if (strncmp(text, line, strlen(line)) == 0)
			value = atoll(text + strlen(line));
	if (f)
		fclose(f);
	return value;
}

/* What forbids merging here; NULL: nothing, so that a refusal is a fault. */
static const char *forbidden(void)
{
	if (figure("/proc/self/status", "VmPin:") != 0)
		return "pages of this process are pinned, or the kernel does not tell";
	if (figure("/proc/self/status", "VmLck:") != 0)
		return "pages of this process are locked, or the kernel does not tell";
	if (figure("/proc/sys/vm/overcommit_memory", "") == 2)
		return "vm.overcommit_memory is 2";
	if (figure("/proc/sys/vm/max_map_count", "") < 768)
		return "vm.max_map_count is too small, or unknown";
	return NULL;
}

#endif
