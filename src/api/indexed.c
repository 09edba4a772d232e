/* SPDX-License-Identifier: BSD-3-Clause */
/* numarena/indexed.h: the arguments of kernels are looked at here, and what was tuned is told. */
#define NUMARENA_KERNEL_INLINE 0 /* here are the calls themselves */
#include "kernels/indexed.h"

#include <math.h>
#include <string.h>

#include "api/error.h"
#include "api/far.h"
#include "api/life.h"
#include "kernels/tune.h"

#define MOST_DISTANCE 256

static bool overlap(const void *a, size_t a_bytes, const void *b, size_t b_bytes)
{
	uintptr_t x = (uintptr_t)a, y = (uintptr_t)b;

	return a_bytes && b_bytes && x < y + b_bytes && y < x + a_bytes;
}

static memory_error_t missing(const char *kernel, const char *array, size_t n)
{
	return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "%s: %s is NULL: must be an array, as there are %zu elements",
			kernel, array, n);
}

/* Of elements of at most 8 bytes. */
static memory_error_t too_many(const char *kernel, const char *what, size_t n)
{
	return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "%s: %s is %zu: no address space holds so many", kernel, what,
			n);
}
#define MOST_ELEMENTS ((size_t)PTRDIFF_MAX / 8)

static memory_error_t overlapping(const char *kernel, const char *result, const char *array)
{
	return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "%s: %s overlaps %s: must be apart from it", kernel, result,
			array);
}

/* An array of the call: what is read in order, or the result, has its size; what is indexed has none that is known. */
struct array {
	const char *name;
	const void *at;
	size_t each;
};

/* `result` goes by n as well if it has a size. */
static memory_error_t check(const char *kernel, size_t n, struct array result, const struct array *arrays, size_t count)
{
	if (n == 0)
		return MEMORY_ERROR_NONE;
	if (!result.at)
		return missing(kernel, result.name, n);
	if (n > MOST_ELEMENTS)
		return too_many(kernel, "n", n);
	for (size_t i = 0; i < count; i++) {
		if (!arrays[i].at)
			return missing(kernel, arrays[i].name, n);
		if (overlap(result.at, n * result.each, arrays[i].at, n * arrays[i].each))
			return overlapping(kernel, result.name, arrays[i].name);
	}
	return MEMORY_ERROR_NONE;
}

/* One element stands for what is indexed: as much as is known of where it lies. */
#define INDEXED(V, v, I, i)                                                                                            \
	memory_error_t kernel_gather_##v##_##i(V *to, const V *from, const I *index, size_t n)                         \
	{                                                                                                              \
		const struct array arrays[] = { { "index", index, sizeof(I) }, { "from", from, 0 } };                  \
		memory_error_t error =                                                                                 \
			check("kernel_gather_" #v "_" #i, n, (struct array){ "to", to, sizeof(V) }, arrays, 2);        \
                                                                                                                       \
		if (!error)                                                                                            \
			na_kernel_gather_##v##_##i(to, from, index, n);                                                \
		return error;                                                                                          \
	}                                                                                                              \
	memory_error_t kernel_scatter_##v##_##i(V *to, const I *index, const V *from, size_t n)                        \
	{                                                                                                              \
		const struct array arrays[] = { { "index", index, sizeof(I) }, { "from", from, sizeof(V) } };          \
		memory_error_t error =                                                                                 \
			check("kernel_scatter_" #v "_" #i, n, (struct array){ "to", to, 0 }, arrays, 2);               \
                                                                                                                       \
		if (!error)                                                                                            \
			na_kernel_scatter_##v##_##i(to, index, from, n);                                               \
		return error;                                                                                          \
	}                                                                                                              \
	memory_error_t kernel_scatter_add_##v##_##i(V *to, const I *index, const V *from, size_t n)                    \
	{                                                                                                              \
		const struct array arrays[] = { { "index", index, sizeof(I) }, { "from", from, sizeof(V) } };          \
		memory_error_t error =                                                                                 \
			check("kernel_scatter_add_" #v "_" #i, n, (struct array){ "to", to, 0 }, arrays, 2);           \
                                                                                                                       \
		if (!error)                                                                                            \
			na_kernel_scatter_add_##v##_##i(to, index, from, n);                                           \
		return error;                                                                                          \
	}
NA_KERNEL_TYPES(INDEXED)

/* ---- sparse matrices ---- */

#define CSR(V, v, I, i)                                                                                                \
	memory_error_t kernel_csr_##v##_##i(V *y, size_t rows, const I *start, const I *column, const V *entry,        \
					    const V *x)                                                                \
	{                                                                                                              \
		static const char kernel[] = "kernel_csr_" #v "_" #i;                                                  \
		size_t entries;                                                                                        \
                                                                                                                       \
		if (rows == 0)                                                                                         \
			return MEMORY_ERROR_NONE;                                                                      \
		if (!y || !start)                                                                                      \
			return missing(kernel, y ? "start" : "y", rows);                                               \
		if (rows >= MOST_ELEMENTS)                                                                             \
			return too_many(kernel, "rows", rows);                                                         \
		if (start[0] < 0 || start[rows] < start[0])                                                            \
			return na_error(MEMORY_ERROR_INVALID_ARGUMENT,                                                 \
					"%s: start goes from %lld to %lld: must not be negative, nor fall", kernel,    \
					(long long)start[0], (long long)start[rows]);                                  \
		entries = (size_t)(start[rows] - start[0]);                                                            \
		if (entries && (!column || !entry || !x))                                                              \
			return missing(kernel, !column ? "column" : !entry ? "entry" : "x", entries);                  \
		if (overlap(y, rows * sizeof(V), start, (rows + 1) * sizeof(I)))                                       \
			return overlapping(kernel, "y", "start");                                                      \
		if (entries && overlap(y, rows * sizeof(V), column + start[0], entries * sizeof(I)))                   \
			return overlapping(kernel, "y", "column");                                                     \
		if (entries && overlap(y, rows * sizeof(V), entry + start[0], entries * sizeof(V)))                    \
			return overlapping(kernel, "y", "entry");                                                      \
		if (entries && y == x)                                                                                 \
			return overlapping(kernel, "y", "x");                                                          \
		na_kernel_csr_##v##_##i(y, rows, start, column, entry, x);                                             \
		return MEMORY_ERROR_NONE;                                                                              \
	}
NA_KERNEL_TYPES(CSR)
NA_FAR(kernel_csr_f64_i32)
NA_FAR(kernel_csr_f64_i64)
NA_FAR(kernel_csr_f32_i32)
NA_FAR(kernel_csr_f32_i64)

/* ---- histograms ---- */

static memory_error_t check_bins(const char *kernel, size_t *counts, size_t bins, const struct array *values, size_t n)
{
	if (n == 0)
		return MEMORY_ERROR_NONE;
	if (!values->at || (bins && !counts))
		return missing(kernel, values->at ? "counts" : values->name, values->at ? bins : n);
	if (n > MOST_ELEMENTS || bins > MOST_ELEMENTS)
		return n > MOST_ELEMENTS ? too_many(kernel, "n", n) : too_many(kernel, "bins", bins);
	if (overlap(counts, bins * sizeof(*counts), values->at, n * values->each))
		return overlapping(kernel, "counts", values->name);
	return MEMORY_ERROR_NONE;
}

#define OF_BINS(I, i)                                                                                                  \
	memory_error_t kernel_histogram_##i(size_t *counts, size_t bins, const I *bin, size_t n)                       \
	{                                                                                                              \
		const struct array values = { "bin", bin, sizeof(I) };                                                 \
		memory_error_t error = check_bins("kernel_histogram_" #i, counts, bins, &values, n);                   \
                                                                                                                       \
		if (!error && n && bins)                                                                               \
			na_kernel_histogram_##i(counts, bins, bin, n);                                                 \
		return error;                                                                                          \
	}
OF_BINS(int32_t, i32)
OF_BINS(int64_t, i64)

#define OF_VALUES(V, v)                                                                                                \
	memory_error_t kernel_histogram_##v(size_t *counts, size_t bins, const V *value, size_t n, V low, V high)      \
	{                                                                                                              \
		const struct array values = { "value", value, sizeof(V) };                                             \
		memory_error_t error = check_bins("kernel_histogram_" #v, counts, bins, &values, n);                   \
                                                                                                                       \
		if (error)                                                                                             \
			return error;                                                                                  \
		if (!(low < high) || !isfinite(high - low))                                                            \
			return na_error(MEMORY_ERROR_INVALID_ARGUMENT,                                                 \
					"kernel_histogram_" #v ": low is not below high, or one is not finite");       \
		if (n && bins)                                                                                         \
			na_kernel_histogram_##v(counts, bins, value, n, low, high);                                    \
		return MEMORY_ERROR_NONE;                                                                              \
	}
OF_VALUES(double, f64)
OF_VALUES(float, f32)

/* ---- hash tables ---- */

static memory_error_t check_table(const char *kernel, const kernel_hash_t *table, const uint64_t *keys, size_t n)
{
	if (!table || !table->keys)
		return missing(kernel, table ? "table->keys" : "table", n);
	if (table->slots == 0 || (table->slots & (table->slots - 1)))
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "%s: slots is %zu: must be a power of two", kernel,
				table->slots);
	if (n && !keys)
		return missing(kernel, "keys", n);
	if (n > MOST_ELEMENTS || table->slots > MOST_ELEMENTS)
		return n > MOST_ELEMENTS ? too_many(kernel, "n", n) : too_many(kernel, "slots", table->slots);
	if (overlap(table->keys, table->slots * sizeof(*keys), keys, n * sizeof(*keys)))
		return overlapping(kernel, "keys", "table->keys");
	return MEMORY_ERROR_NONE;
}

memory_error_t kernel_hash_insert_u64(const kernel_hash_t *table, const uint64_t *keys, size_t n)
{
	memory_error_t error = check_table("kernel_hash_insert_u64", table, keys, n);
	size_t done;

	if (error)
		return error;
	done = na_kernel_hash_insert(table, keys, n);
	if (done == n)
		return MEMORY_ERROR_NONE;
	return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "kernel_hash_insert_u64: keys[%zu] %s", done,
			keys[done] == table->empty ? "is table->empty, which stands for no key"
						   : "has no place: slots must be more than there are keys");
}

memory_error_t kernel_hash_probe_u64(const kernel_hash_t *table, const uint64_t *keys, size_t n, size_t *slot)
{
	static const char kernel[] = "kernel_hash_probe_u64";
	memory_error_t error = check_table(kernel, table, keys, n);

	if (error || n == 0)
		return error;
	if (!slot)
		return missing(kernel, "slot", n);
	if (overlap(slot, n * sizeof(*slot), keys, n * sizeof(*keys)))
		return overlapping(kernel, "slot", "keys");
	if (overlap(slot, n * sizeof(*slot), table->keys, table->slots * sizeof(*keys)))
		return overlapping(kernel, "slot", "table->keys");
	na_kernel_hash_probe(table, keys, n, slot);
	return MEMORY_ERROR_NONE;
}
NA_FAR(kernel_hash_probe_u64)

/* ---- lists ---- */

memory_error_t kernel_walk_lists(void *const *heads, size_t lists, size_t next,
				 void (*visit)(void *node, size_t list, void *context), void *context)
{
	if (lists && !heads)
		return missing("kernel_walk_lists", "heads", lists);
	if (!visit)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "kernel_walk_lists: visit is NULL: must be a function");
	na_kernel_walk_lists(heads, lists, next, visit, context);
	return MEMORY_ERROR_NONE;
}

memory_error_t kernel_build_jumps(void *head, size_t next, size_t jump, size_t distance)
{
	if ((next > jump ? next - jump : jump - next) < sizeof(void *))
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT,
				"kernel_build_jumps: jump is %zu: must be at least 8 bytes from next, which is %zu",
				jump, next);
	if (distance > MOST_DISTANCE)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT,
				"kernel_build_jumps: distance is %zu: must be up to %d, or 0", distance, MOST_DISTANCE);
	na_kernel_build_jumps(head, next, jump, distance);
	return MEMORY_ERROR_NONE;
}

/* ---- what was tuned ---- */

static void copy_cell(struct na_cell *cell, kernel_tuning_t *out)
{
	uint32_t value = atomic_load_explicit(&cell->settled, memory_order_relaxed), ps;

	na_lock(&cell->lock);
	ps = cell->usual_ps ? cell->usual_ps : cell->chosen_ps;
	*out = (kernel_tuning_t){ .distance = value ? value - 1 : 0,
				  .settled = value != 0,
				  .stored = cell->stored,
				  .nanoseconds = value && ps ? ps / 1000.0 : NAN,
				  .gain = value && cell->gain ? cell->gain / 100.0 : NAN,
				  .footprint = (size_t)1 << cell->footprint,
				  .retuned = cell->retuned };
	memcpy(out->name, cell->name, sizeof(out->name));
	na_unlock(&cell->lock);
}

size_t get_kernel_tuning(kernel_tuning_t *tuning, size_t capacity)
{
	size_t count = 0;

	for (size_t i = 0; i < NA_TUNE_CELLS; i++) {
		struct na_cell *cell = na_tune_cell(i);

		if (!cell)
			continue;
		if (tuning && count < capacity)
			copy_cell(cell, &tuning[count]);
		count++;
	}
	return count;
}

void reset_kernel_tuning(void)
{
	na_tune_shared_leave();
	na_tune_reset();
}
