/* SPDX-License-Identifier: BSD-3-Clause */
/* Hash tables: while a key is searched, the slots of keys some places on, where their searches begin, are on their way. */
#include "kernels/indexed.h"

#define NEAR ((size_t)256 << 10) /* bytes: nothing is to be hidden, see tune.h */

/* The key's slot, or SIZE_MAX, and the free one where it belongs in *place: SIZE_MAX if all are taken, by others. Free is asked first:
 * the key that stands for none is nowhere. */
static inline size_t search(const kernel_hash_t *table, uint64_t key, size_t *place)
{
	size_t first = kernel_hash_slot(table, key), mask = table->slots - 1, at = first;

	for (;;) {
		uint64_t found = table->keys[at];

		if (found == table->empty) {
			*place = at;
			return SIZE_MAX;
		}
		if (found == key)
			return at;
		at = (at + 1) & mask;
		if (__builtin_expect(at == first, 0)) {
			*place = SIZE_MAX;
			return SIZE_MAX;
		}
	}
}

size_t na_kernel_hash_insert(const kernel_hash_t *of, const uint64_t *keys, size_t n)
{
	const kernel_hash_t copy = *of, *table = &copy;
	size_t done = 0;

	for_each_prefetched (k, n, &table->keys[kernel_hash_slot(table, keys[k])]) {
		size_t free_slot = 0;

		if (keys[k] == table->empty)
			break;
		if (search(table, keys[k], &free_slot) == SIZE_MAX) {
			if (free_slot == SIZE_MAX)
				break;
			table->keys[free_slot] = keys[k];
		}
		done++;
	}
	return done;
}

static __attribute__((cold, noinline)) size_t search_all(const kernel_hash_t *table, uint64_t key)
{
	size_t free_slot;

	return search(table, key, &free_slot);
}

/* From a copy of the table's description: the compiler cannot know that slots are not stored into it. A table that is near is searched
 * by a loop that has nothing else in it. */
void na_kernel_hash_probe(const kernel_hash_t *of, const uint64_t *keys, size_t n, size_t *slot)
{
	const kernel_hash_t copy = *of, *table = &copy;

	if (n < KERNEL_LEAST || table->slots < NEAR / sizeof(*keys)) {
		kernel_hash_find_all_(table, keys, n, slot, search_all);
		return;
	}
	for_each_prefetched (k, n, &table->keys[kernel_hash_slot(table, keys[k])]) {
		size_t free_slot;

		slot[k] = search(table, keys[k], &free_slot); /* not found first: nothing is predicted here */
	}
}
