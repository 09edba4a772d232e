/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A library that loading.c loads and unloads: it allocates in its constructor, has thread-local storage large enough that
 * the loader must allocate it (with our malloc, from inside the loader), and frees in its destructor what the
 * constructor took.
 */
#include <stdlib.h>
#include <string.h>

#define SIZE 100000

void *loaded_blocks(size_t n);
int loaded_local(int value);

static char *kept;
static __thread int local[20000];

static __attribute__((constructor)) void start(void)
{
	kept = calloc(1, SIZE);
	if (!kept)
		abort();
	memset(kept, 1, SIZE);
	free(malloc(10));
}

static __attribute__((destructor)) void end(void)
{
	for (int i = 0; i < SIZE; i++)
		if (kept[i] != 1)
			abort();
	free(kept);
}

/* A list of n blocks, each pointing to the next; the caller frees them, perhaps when this library is gone. */
void *loaded_blocks(size_t n)
{
	void **first = NULL;

	while (n--) {
		void **block = malloc(16 + n * 8);

		if (!block)
			abort();
		*block = first;
		first = block;
	}
	return first;
}

/* The sum of what this thread has put there. */
int loaded_local(int value)
{
	local[value % 20000] += value;
	return local[value % 20000];
}
