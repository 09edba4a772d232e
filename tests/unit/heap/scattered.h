/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocks of which few live on, at random places, and what must be in them; for tests of merging. Where they come from says the test: take_block(), give_block(). */
#ifndef TESTS_UNIT_HEAP_SCATTERED_H
#define TESTS_UNIT_HEAP_SCATTERED_H

#include "harden/integrity.h"
#include "support/nth.h"

#define MOST 65536

static unsigned char *blocks[MOST];
static size_t count, size_of_blocks;

static unsigned char *take_block(size_t size);
static void give_block(void *p);

static uint64_t random_next(void)
{
	static uint64_t state = 42;
	uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	return z ^ z >> 31;
}

/* `wanted` blocks, of which one in `keep` lives on, chosen at random. */
static void scatter_blocks(size_t wanted, size_t size, uint64_t keep)
{
	count = wanted;
	size_of_blocks = size;
	REQUIRE(count <= MOST);
	for (size_t i = 0; i < count; i++) {
		blocks[i] = take_block(size);
		REQUIRE(blocks[i]);
	}
	for (size_t i = 0; i < count; i++)
		if (random_next() % keep) {
			give_block(blocks[i]);
			blocks[i] = NULL;
		} else {
			check_fill(blocks[i], 0, size, i);
		}
}

static void check_blocks(void)
{
	for (size_t i = 0; i < count; i++)
		if (blocks[i])
			CHECK_EQ(check_filled(blocks[i], 0, size_of_blocks, i), size_of_blocks);
}

static void free_blocks(void)
{
	for (size_t i = 0; i < count; i++)
		if (blocks[i])
			give_block(blocks[i]);
	count = 0;
}

static void validate(void)
{
	char first[160] = "";
	size_t faults = 0;

	CHECK_EQ(na_integrity_validate(&faults, first), 0);
	CHECK_MSG(faults == 0, "%zu faults: %s", faults, first);
}

#endif
