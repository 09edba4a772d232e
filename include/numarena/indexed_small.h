/* SPDX-License-Identifier: BSD-3-Clause */
/* Part of numarena/indexed.h: small calls compiled into the program, as in numarena/kernels_small.h and under the same conditions. */
#ifndef NUMARENA_INDEXED_SMALL_H
#define NUMARENA_INDEXED_SMALL_H

#include <numarena/indexed.h>
#include <numarena/kernels.h>

#define KERNEL_HASH_CALL_ extern __attribute__((gnu_inline, always_inline)) inline

NUMARENA_BEGIN

/* Whoever searches a table to its end goes on out of line: it is rare, and a loop there slows down the one here. */
typedef size_t kernel_hash_wrap_t(const kernel_hash_t *table, uint64_t key);

/* The slot of a key, or SIZE_MAX. Found first is the shortest way; the key that stands for none is nowhere. */
KERNEL_HASH_CALL_ size_t kernel_hash_find_(const kernel_hash_t *table, uint64_t key, kernel_hash_wrap_t *wrap)
{
	size_t at = kernel_hash_first_(table->slots, key);
	uint64_t found = table->keys[at];

	if (__builtin_expect(found == key, 1))
		return key == table->empty ? SIZE_MAX : at;
	for (;;) {
		if (found == table->empty)
			return SIZE_MAX;
		if (__builtin_expect(++at == table->slots, 0))
			return wrap(table, key);
		found = table->keys[at];
		if (found == key)
			return key == table->empty ? SIZE_MAX : at;
	}
}

/* Four by hand: compilers do not unroll a loop that has one within. The table is the caller's own, which stores into slot do not change. */
KERNEL_HASH_CALL_ void kernel_hash_find_all_(const kernel_hash_t *table, const uint64_t *keys, size_t n, size_t *slot,
					     kernel_hash_wrap_t *wrap)
{
	size_t k = 0;

	for (; k + 4 <= n; k += 4) {
		slot[k] = kernel_hash_find_(table, keys[k], wrap);
		slot[k + 1] = kernel_hash_find_(table, keys[k + 1], wrap);
		slot[k + 2] = kernel_hash_find_(table, keys[k + 2], wrap);
		slot[k + 3] = kernel_hash_find_(table, keys[k + 3], wrap);
	}
	for (; k < n; k++)
		slot[k] = kernel_hash_find_(table, keys[k], wrap);
}

NUMARENA_END

#ifdef KERNEL_SMALL_CALL_

NUMARENA_BEGIN

memory_error_t kernel_hash_probe_u64_(const kernel_hash_t *table, const uint64_t *keys, size_t n, size_t *slot)
	NUMARENA_CALL(kernel_hash_probe_u64);

KERNEL_SMALL_CALL_ size_t kernel_hash_wrap_(const kernel_hash_t *table, uint64_t key)
{
	const kernel_hash_t copy = *table;
	size_t slot = SIZE_MAX;

	kernel_hash_probe_u64_(&copy, &key, 1, &slot);
	return slot;
}
KERNEL_SMALL_CALL_ bool kernel_apart_(const void *a, size_t a_bytes, const void *b, size_t b_bytes)
{
	return (uintptr_t)a - (uintptr_t)b + (a_bytes - 1) >= a_bytes + b_bytes - 1;
}

KERNEL_SMALL_CALL_ memory_error_t kernel_hash_probe_u64(const kernel_hash_t *of, const uint64_t *keys, size_t n,
							size_t *slot)
{
	const size_t most = NUMARENA_KERNEL_INLINE / sizeof(uint64_t) / 2, bytes = n * sizeof(*keys);

	if (__builtin_expect(of && n - 1 < most && of->slots - 1 < most && (of->slots & (of->slots - 1)) == 0, 1)) {
		const kernel_hash_t table = *of;
		const size_t taken = table.slots * sizeof(*keys);

		if (__builtin_expect(table.keys && keys && slot && kernel_apart_(table.keys, taken, keys, bytes) &&
					     kernel_apart_(slot, bytes, keys, bytes) &&
					     kernel_apart_(slot, bytes, table.keys, taken),
				     1)) {
			kernel_hash_find_all_(&table, keys, n, slot, kernel_hash_wrap_);
			return MEMORY_ERROR_NONE;
		}
	}
	return kernel_hash_probe_u64_(of, keys, n, slot);
}

NUMARENA_END

#endif
#endif
