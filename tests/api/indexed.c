/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * numarena/indexed.h: every kernel against a simple loop, on all tail lengths and alignments, with closed pages at both ends of every
 * array, plain and with several distances; the macros do what a for loop does; what is wrong is refused.
 */
#include <numarena/numarena.h>

#include <math.h>
#include <sys/mman.h>

#include "api.h"

enum { GUARD = 4096, LONG = KERNEL_LEAST + 21 };

static const size_t distances[] = { 0, 1, 7, 8, 64, 1000, 65536 };

static void set_distance(size_t d)
{
	cache_config_t config = { .enable_prefetch = d != 0, .prefetch_distance = d };

	CHECK_EQ(initialize_cache_system(&config), MEMORY_ERROR_NONE);
}

/* An array of its own between closed pages: against the end, or `shift` bytes behind the beginning, where that is what is asked for. */
struct fenced {
	char *map;
	size_t bytes, room;
};

static void *fenced_make(struct fenced *f, size_t bytes, bool at_end, size_t shift)
{
	f->bytes = bytes;
	f->room = (bytes + shift + GUARD - 1) / GUARD * GUARD;
	f->map = mmap(NULL, f->room + 2 * GUARD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(f->map != MAP_FAILED);
	REQUIRE(mprotect(f->map, GUARD, PROT_NONE) == 0);
	REQUIRE(mprotect(f->map + GUARD + f->room, GUARD, PROT_NONE) == 0);
	return f->map + GUARD + (at_end ? f->room - bytes : shift);
}

static void fenced_end(struct fenced *f)
{
	munmap(f->map, f->room + 2 * GUARD);
}

static uint64_t seed;

/* One call of each kernel of a type on arrays of n and m elements. */
#define EXERCISE(V, v, I, i)                                                                                            \
	static void exercise_##v##_##i(size_t n, size_t m, bool at_end)                                                 \
	{                                                                                                               \
		struct fenced fx, fi, fy, fs;                                                                           \
		V *x = fenced_make(&fx, m * sizeof(V), at_end, sizeof(V));                                              \
		I *index = fenced_make(&fi, n * sizeof(I), at_end, sizeof(I));                                          \
		V *y = fenced_make(&fy, n * sizeof(V), at_end, 3 * sizeof(V));                                          \
		V *want = malloc((m + n) * sizeof(V));                                                                  \
		size_t rows = n / 5 + 1;                                                                                \
		I *start = fenced_make(&fs, (rows + 1) * sizeof(I), at_end, sizeof(I));                                 \
                                                                                                                        \
		for (size_t k = 0; k < m; k++)                                                                          \
			x[k] = (V)(k % 1000);                                                                           \
		for (size_t k = 0; k < n; k++)                                                                          \
			index[k] = (I)(check_random(&seed) % m);                                                        \
		CHECK_EQ(kernel_gather_##v##_##i(y, x, index, n), MEMORY_ERROR_NONE);                                   \
		for (size_t k = 0; k < n; k++)                                                                          \
			CHECK(y[k] == x[index[k]]);                                                                     \
		memcpy(want, x, m * sizeof(V));                                                                         \
		for (size_t k = 0; k < n; k++)                                                                          \
			y[k] = (V)(k % 7);                                                                              \
		for (size_t k = 0; k < n; k++)                                                                          \
			want[index[k]] += y[k];                                                                         \
		CHECK_EQ(kernel_scatter_add_##v##_##i(x, index, y, n), MEMORY_ERROR_NONE);                              \
		CHECK(memcmp(want, x, m * sizeof(V)) == 0);                                                             \
		for (size_t k = 0; k < n; k++)                                                                          \
			want[index[k]] = y[k];                                                                          \
		CHECK_EQ(kernel_scatter_##v##_##i(x, index, y, n), MEMORY_ERROR_NONE);                                  \
		CHECK(memcmp(want, x, m * sizeof(V)) == 0);                                                             \
		/* Rows of 0 to 9 entries, the last as long as what is left. Small whole numbers: sums are exact. */    \
		start[0] = 0;                                                                                           \
		for (size_t r = 0; r < rows; r++) {                                                                     \
			size_t length = check_random(&seed) % 10, left = n - (size_t)start[r];                          \
                                                                                                                        \
			start[r + 1] = (I)((size_t)start[r] + (length > left || r == rows - 1 ? left : length));        \
		}                                                                                                       \
		for (size_t k = 0; k < m; k++)                                                                          \
			x[k] = (V)(k % 17);                                                                             \
		CHECK_EQ(kernel_csr_##v##_##i(want, rows, start, index, y, x), MEMORY_ERROR_NONE);                      \
		for (size_t r = 0; r < rows; r++) {                                                                     \
			V sum = 0;                                                                                      \
                                                                                                                        \
			for (I k = start[r]; k < start[r + 1]; k++)                                                     \
				sum += y[k] * x[index[k]];                                                              \
			CHECK(sum == want[r]);                                                                          \
		}                                                                                                       \
		free(want);                                                                                             \
		fenced_end(&fx);                                                                                        \
		fenced_end(&fi);                                                                                        \
		fenced_end(&fy);                                                                                        \
		fenced_end(&fs);                                                                                        \
	}
EXERCISE(double, f64, int32_t, i32)
EXERCISE(double, f64, int64_t, i64)
EXERCISE(float, f32, int32_t, i32)
EXERCISE(float, f32, int64_t, i64)

static void exercise(size_t n, size_t m, bool at_end)
{
	exercise_f64_i32(n, m, at_end);
	exercise_f64_i64(n, m, at_end);
	exercise_f32_i32(n, m, at_end);
	exercise_f32_i64(n, m, at_end);
}

static void all_lengths_within_their_arrays(void)
{
	for (size_t d = 0; d < sizeof(distances) / sizeof(distances[0]); d++) {
		set_distance(distances[d]);
		for (size_t n = 1; n <= (d ? 9 : 70); n++) {
			exercise(n, 1, true);
			exercise(n, 100, n % 2);
		}
		for (size_t n = LONG - 20; n <= LONG; n += api_brief() ? 10 : 1) {
			exercise(n, 200000, true);
			exercise(n, 77777, false);
		}
	}
	set_distance(0);
}

/* From a million elements on a scatter fetches ahead, too. */
static void long_ones_within_their_arrays(void)
{
	size_t n = ((size_t)1 << 20) + 3;

	for (size_t d = api_brief() ? 1 : 0; d < (api_brief() ? 2 : sizeof(distances) / sizeof(distances[0])); d++) {
		set_distance(distances[d]);
		exercise_f64_i32(n, 70001, true);
		exercise_f32_i64(n - 4, n, d % 2);
	}
	set_distance(7);
	exercise_f64_i64(n, 70001, true);
	exercise_f32_i32(n, 70001, true);
	set_distance(0);
}

/* While the tuner goes through its distances as well: many calls, so that all its phases come by. */
static void the_same_while_it_is_tuned(void)
{
	cache_config_t config = { .enable_prefetch = true };

	CHECK_EQ(initialize_cache_system(&config), MEMORY_ERROR_NONE);
	for (int round = 0; round < (api_brief() ? 2 : 12); round++)
		exercise(5 * LONG, 1000000, true);
	exercise_f64_i32((size_t)1 << 20, 1000000, false);
	CHECK(get_kernel_tuning(NULL, 0) > 0);
}

static void histograms(void)
{
	size_t counts[10], want[10], all = 0;
	struct fenced f;

	for (size_t n = 1; n < LONG; n = n < 20 ? n + 1 : n * 3) {
		double *value = fenced_make(&f, n * sizeof(double), true, 0);

		memset(counts, 0, sizeof(counts));
		memset(want, 0, sizeof(want));
		for (size_t k = 0; k < n; k++) {
			value[k] = k % 11 == 10 ? NAN : (double)(check_random(&seed) % 14000) / 1000 - 2;
			if (value[k] >= 0 && value[k] < 10)
				want[(size_t)value[k]]++;
		}
		CHECK_EQ(kernel_histogram_f64(counts, 10, value, n, 0, 10), MEMORY_ERROR_NONE);
		CHECK(memcmp(counts, want, sizeof(want)) == 0);
		fenced_end(&f);
	}
	for (size_t n = LONG; n < LONG + 9; n++) {
		float *value = fenced_make(&f, n * sizeof(float), true, 0);
		int32_t *small = malloc(n * sizeof(*small));
		int64_t *large = malloc(n * sizeof(*large));

		memset(counts, 0, sizeof(counts));
		for (size_t k = 0; k < n; k++) {
			value[k] = (float)(k % 10) + 0.5f;
			small[k] = (int32_t)(k % 13) - 2;
			large[k] = k % 5 ? (int64_t)(k % 10) : INT64_MIN;
		}
		for (size_t d = 0; d < 3; d++) {
			set_distance(distances[d * 2]);
			memset(counts, 0, sizeof(counts));
			CHECK_EQ(kernel_histogram_f32(counts, 10, value, n, 0, 10), MEMORY_ERROR_NONE);
			CHECK_EQ(counts[3], n / 10 + (n % 10 > 3));
			CHECK_EQ(kernel_histogram_i32(counts, 10, small, n), MEMORY_ERROR_NONE);
			CHECK_EQ(kernel_histogram_i64(counts, 10, large, n), MEMORY_ERROR_NONE);
			all = 0;
			for (int b = 0; b < 10; b++)
				all += counts[b];
			for (size_t k = 0; k < n; k++)
				all -= 1 + (small[k] >= 0 && small[k] < 10) + (large[k] >= 0);
			CHECK_EQ(all, 0);
		}
		free(small);
		free(large);
		fenced_end(&f);
	}
	set_distance(0);
}

/* ---- the macros are for loops ---- */

static void they_are_loops(void)
{
	static int32_t index[3 * LONG];
	static double x[3 * LONG];
	size_t count = 3 * LONG, seen = 0, last = 0;

	for (size_t k = 0; k < count; k++) {
		index[k] = (int32_t)((k * 7919) % count);
		x[k] = 1;
	}
	for (size_t d = 0; d < sizeof(distances) / sizeof(distances[0]); d++) {
		set_distance(distances[d]);
		for (size_t n = 0; n <= count; n = n < 40 ? n + 1 : n + 4001) {
			double sum = 0;

			last = 0;
			for_each_prefetched (k, n, &x[index[k]]) {
				if (k % 3 == 1)
					continue;
				CHECK(k == last);
				last = k % 3 == 2 ? k + 1 : k + 2;
				sum += x[index[k]];
			}
			CHECK_EQ(sum, n - (n + 1) / 3);
			seen = 0;
			for_each_prefetched_in (k, n / 3, n, &x[index[k]]) {
				if (k == n / 2)
					break;
				seen++;
			}
			CHECK_EQ(seen, n / 2 - n / 3);
		}
	}
	set_distance(0);
}

static size_t found_at(const double *x, const int32_t *index, size_t n, double wanted)
{
	for_each_prefetched (k, n, &x[index[k]])
		if (x[index[k]] == wanted)
			return k;
	return SIZE_MAX;
}

static void they_nest_and_can_be_left(void)
{
	static int32_t index[2 * LONG];
	static double x[2 * LONG];
	size_t inner = 0, rows_seen = 0;

	for (size_t k = 0; k < 2 * LONG; k++) {
		index[k] = (int32_t)(2 * LONG - 1 - k);
		x[k] = (double)k;
	}
	for (size_t d = 0; d < 4; d++) {
		set_distance(distances[d]);
		CHECK_EQ(found_at(x, index, 2 * LONG, 5), 2 * LONG - 6);
		CHECK_EQ(found_at(x, index, 2 * LONG, -5), SIZE_MAX);
		inner = rows_seen = 0;
		for_each_prefetched (k, 30, &x[index[k]])
			for_each_prefetched (j, k, &x[index[j]])
				inner += x[index[j]] > 0;
		CHECK_EQ(inner, 30 * 29 / 2);
		/* Rows of growing length; each left where half of it is done. */
		inner = 0;
		with_prefetched_rows (rows, k, 0, 2 * LONG, &x[index[k]])
			for (size_t r = 0; (r + 1) * (r + 2) / 2 <= 2 * LONG; r++) {
				size_t first = r * (r + 1) / 2;

				rows_seen++;
				for_each_in_row (rows, k, first, first + r + 1, &x[index[k]]) {
					if (k - first > r / 2)
						break;
					CHECK(x[index[k]] == (double)(2 * LONG - 1 - k));
					inner++;
				}
			}
		CHECK_EQ(rows_seen, (size_t)((sqrt(8.0 * 2 * LONG + 1) - 1) / 2));
		for (size_t r = 0; r < rows_seen; r++)
			inner -= r / 2 + 1;
		CHECK_EQ(inner, 0);
	}
	set_distance(0);
}

struct wide {
	double part[30];
};

static void strides_and_wide_elements(void)
{
	static struct wide data[3000];
	double sum = 0;

	for (size_t i = 0; i < 3000; i++)
		for (int p = 0; p < 30; p++)
			data[i].part[p] = (double)i;
	set_distance(16);
	for_each_prefetched (k, 30000, &data[k * 7 % 3000])
		sum += data[k * 7 % 3000].part[29];
	CHECK(sum == 10.0 * 2999 * 3000 / 2);
	set_distance(0);
}

/* ---- lists ---- */

struct node {
	double value;
	struct node *jump, *next;
	struct node *left, *right;
};

struct seen {
	size_t last[200], count, wrong;
};

static void note(void *node, size_t list, void *context)
{
	struct seen *seen = context;
	size_t value = (size_t)((struct node *)node)->value;

	seen->wrong += value / 1000 != list || (value % 1000 != 0 && seen->last[list] + 1 != value);
	seen->last[list] = value;
	seen->count++;
	memset(node, 0xa5, sizeof(struct node)); /* it may be ended: its link was read before */
}

static void *take_step(void *node, size_t path, void *context)
{
	struct seen *seen = context;
	struct node *at = node;

	seen->count++;
	seen->last[path] = (size_t)at->value;
	return path % 2 ? at->left : at->right;
}

static void lists_in_their_order(void)
{
	struct node *heads[200];
	struct seen seen;

	for (size_t lists = 0; lists <= 200; lists += lists < 40 ? 1 : 53) {
		size_t total = 0;
		struct node *all = calloc(200 * 100, sizeof(*all));

		memset(&seen, 0, sizeof(seen));
		for (size_t l = 0; l < lists; l++) {
			size_t length = check_random(&seed) % 60 * (l % 5 != 0);

			heads[l] = NULL;
			for (size_t i = length; i-- > 0;) {
				struct node *node = &all[l + 200 * i];

				node->value = (double)(l * 1000 + i);
				node->next = heads[l];
				heads[l] = node;
			}
			total += length;
		}
		CHECK_EQ(kernel_walk_lists((void *const *)heads, lists, offsetof(struct node, next), note, &seen),
			 MEMORY_ERROR_NONE);
		CHECK_EQ(seen.count, total);
		CHECK_EQ(seen.wrong, 0);
		free(all);
	}
}

static void paths_through_a_tree(void)
{
	static struct node tree[1023];
	void *start[100];
	struct seen seen;

	for (size_t i = 0; i < 1023; i++)
		tree[i] = (struct node){ .value = (double)i,
					 .left = 2 * i + 1 < 1023 ? &tree[2 * i + 1] : NULL,
					 .right = 2 * i + 2 < 1023 ? &tree[2 * i + 2] : NULL };
	for (size_t at_once = 0; at_once <= 40; at_once++) {
		memset(&seen, 0, sizeof(seen));
		for (size_t p = 0; p < 100; p++)
			start[p] = p % 10 == 3 ? NULL : &tree[0];
		walk_paths(start, 100, at_once, take_step, &seen);
		CHECK_EQ(seen.count, 90 * 10);
		CHECK_EQ(seen.last[0], 1022);
		CHECK_EQ(seen.last[1], 511);
		CHECK_EQ(seen.last[3], 0);
	}
}

/* A few lists, of which one has nothing: those that lie near each other are not judged, those that do not are. */
static void few_paths(void)
{
	static struct node far[2][4096], near[8];
	void *start[5];
	struct seen seen;

	for (int apart = 0; apart < 2; apart++) {
		memset(&seen, 0, sizeof(seen));
		for (size_t p = 0; p < 5; p++)
			start[p] = p == 2 ? NULL : apart ? &far[p % 2][p * 100] : &near[p];
		walk_paths(start, 5, 0, take_step, &seen);
		CHECK_EQ(seen.count, 4);
		walk_paths(start, 0, 0, take_step, &seen);
		CHECK_EQ(seen.count, 4);
	}
}

static void add(void *node, void *sum)
{
	struct node *at = node;

	*(double *)sum = *(double *)sum * 1.0000001 + at->value; /* order counts */
}

static void one_list_with_jumps(void)
{
	static struct node all[2000];
	static const size_t ahead[] = { 0, 1, 5, 256 };

	for (size_t n = 0; n <= 2000; n = n < 70 ? n + 1 : n * 3)
		for (size_t d = 0; d < 4; d++) {
			double sum = 0, want = 0;

			for (size_t i = 0; i < n; i++) {
				all[i].value = (double)i;
				all[i].jump = NULL;
				all[i].next = i + 1 < n ? &all[i + 1] : NULL;
				want = want * 1.0000001 + (double)i;
			}
			CHECK_EQ(kernel_build_jumps(n ? all : NULL, offsetof(struct node, next),
						    offsetof(struct node, jump), ahead[d]),
				 MEMORY_ERROR_NONE);
			for (size_t i = 0, far = ahead[d] ? ahead[d] : 32; i < n; i++)
				CHECK(all[i].jump == &all[i + far < n ? i + far : i]);
			walk_jumps(n ? all : NULL, offsetof(struct node, next), offsetof(struct node, jump), add, &sum);
			CHECK(sum == want);
		}
}

/* ---- hash tables ---- */

static void keys_are_found_where_they_are(void)
{
	enum { SLOTS = 1 << 15, KEYS = 20000 };
	static uint64_t slots[SLOTS], keys[KEYS + 5000];
	static size_t where[KEYS + 5000];
	kernel_hash_t table = { .keys = slots, .empty = 7, .slots = SLOTS };
	uint64_t few[8] = { 0 }, own[9] = { 1, 2, 3, 4, 5, 6, 8, 9, 10 };
	kernel_hash_t small = { .keys = few, .empty = 0, .slots = 8 };
	size_t at[9];

	for (size_t i = 0; i < SLOTS; i++)
		slots[i] = 7;
	for (size_t i = 0; i < KEYS + 5000; i++)
		keys[i] = i * 64 + 11 * (i >= KEYS);
	CHECK_EQ(kernel_hash_insert_u64(&table, keys, KEYS), MEMORY_ERROR_NONE);
	CHECK_EQ(kernel_hash_insert_u64(&table, keys, KEYS), MEMORY_ERROR_NONE); /* they are there */
	for (size_t d = 0; d < 5; d++) {
		set_distance(distances[d]);
		CHECK_EQ(kernel_hash_probe_u64(&table, keys, KEYS + 5000, where), MEMORY_ERROR_NONE);
		for (size_t i = 0; i < KEYS + 5000; i++)
			CHECK(i < KEYS ? where[i] < SLOTS && slots[where[i]] == keys[i] : where[i] == SIZE_MAX);
	}
	set_distance(0);
	CHECK_EQ(kernel_hash_probe_u64(&table, &table.empty, 1, at), MEMORY_ERROR_NONE);
	CHECK(at[0] == SIZE_MAX);
	/* Full to the last slot: nothing searches for ever. */
	CHECK_EQ(kernel_hash_insert_u64(&small, own, 8), MEMORY_ERROR_NONE);
	CHECK_EQ(kernel_hash_probe_u64(&small, own, 9, at), MEMORY_ERROR_NONE);
	CHECK(at[7] < 8 && at[8] == SIZE_MAX);
	ERROR(kernel_hash_insert_u64(&small, own, 9), MEMORY_ERROR_INVALID_ARGUMENT, "keys[8] has no place");
	few[0] = 0;
	CHECK_EQ(kernel_hash_insert_u64(&small, own, 0), MEMORY_ERROR_NONE);
}

/* ---- what is wrong ---- */

static void what_is_wrong_is_refused(void)
{
	double x[10] = { 0 }, y[10] = { 0 };
	int32_t index[10] = { 0 }, start[3] = { 0, 2, 1 };
	uint64_t keys[8] = { 1, 2, 3 };
	size_t counts[4], slot[8];
	kernel_hash_t table = { .keys = keys, .slots = 7 };
	void *heads[2] = { NULL, NULL };

	CHECK_EQ(kernel_gather_f64_i32(NULL, NULL, NULL, 0), MEMORY_ERROR_NONE);
	CHECK_EQ(kernel_csr_f64_i32(NULL, 0, NULL, NULL, NULL, NULL), MEMORY_ERROR_NONE);
	CHECK_EQ(kernel_walk_lists(heads, 2, 0, note, NULL), MEMORY_ERROR_NONE);
	ERROR(kernel_gather_f64_i32(NULL, x, index, 1), MEMORY_ERROR_INVALID_ARGUMENT, "to is NULL");
	ERROR(kernel_gather_f64_i32(y, NULL, index, 1), MEMORY_ERROR_INVALID_ARGUMENT, "from is NULL");
	ERROR(kernel_gather_f64_i32(y, x, NULL, 1), MEMORY_ERROR_INVALID_ARGUMENT, "index is NULL");
	ERROR(kernel_gather_f64_i32((double *)(void *)index, x, index + 2, 4), MEMORY_ERROR_INVALID_ARGUMENT,
	      "to overlaps index");
	ERROR(kernel_gather_f64_i64(y, x, (int64_t *)keys, SIZE_MAX), MEMORY_ERROR_INVALID_ARGUMENT, "n is 18446744073709551615");
	ERROR(kernel_scatter_f64_i64(y, (int64_t *)keys, x, SIZE_MAX / 8), MEMORY_ERROR_INVALID_ARGUMENT, "n is 2305843009213693951");
	ERROR(kernel_csr_f64_i64(y, (size_t)1 << 60, (int64_t *)keys, (int64_t *)keys, x, x), MEMORY_ERROR_INVALID_ARGUMENT, "rows is 1152921504606846976");
	ERROR(kernel_histogram_i32(counts, (size_t)1 << 61, index, 1), MEMORY_ERROR_INVALID_ARGUMENT, "bins is 2305843009213693952");
	ERROR(kernel_histogram_i32(counts, 4, index, SIZE_MAX), MEMORY_ERROR_INVALID_ARGUMENT, "n is 18446744073709551615");
	ERROR(kernel_scatter_f64_i32(y, NULL, x, 1), MEMORY_ERROR_INVALID_ARGUMENT, "index is NULL");
	ERROR(kernel_scatter_add_f64_i32(y, index, NULL, 1), MEMORY_ERROR_INVALID_ARGUMENT, "from is NULL");
	ERROR(kernel_csr_f64_i32(y, 2, NULL, index, x, x), MEMORY_ERROR_INVALID_ARGUMENT, "start is NULL");
	ERROR(kernel_csr_f64_i32(y, 1, start, NULL, x, x), MEMORY_ERROR_INVALID_ARGUMENT, "column is NULL");
	ERROR(kernel_csr_f64_i32(y, 1, start + 1, index, x, x), MEMORY_ERROR_INVALID_ARGUMENT, "start goes from 2 to 1");
	ERROR(kernel_csr_f64_i32(x, 1, start, index, y, x), MEMORY_ERROR_INVALID_ARGUMENT, "y overlaps x");
	ERROR(kernel_histogram_f64(counts, 4, x, 1, 1, 1), MEMORY_ERROR_INVALID_ARGUMENT, "low is not below high");
	ERROR(kernel_histogram_f64(counts, 4, x, 1, 0, INFINITY), MEMORY_ERROR_INVALID_ARGUMENT, "not finite");
	ERROR(kernel_histogram_i32(NULL, 4, index, 1), MEMORY_ERROR_INVALID_ARGUMENT, "counts is NULL");
	ERROR(kernel_hash_probe_u64(&table, keys, 1, slot), MEMORY_ERROR_INVALID_ARGUMENT, "slots is 7");
	table.slots = 8;
	ERROR(kernel_hash_probe_u64(&table, keys, 1, slot), MEMORY_ERROR_INVALID_ARGUMENT, "keys overlaps");
	ERROR(kernel_hash_probe_u64(NULL, keys, 1, slot), MEMORY_ERROR_INVALID_ARGUMENT, "table is NULL");
	ERROR(kernel_walk_lists(NULL, 1, 0, note, NULL), MEMORY_ERROR_INVALID_ARGUMENT, "heads is NULL");
	ERROR(kernel_walk_lists(heads, 2, 0, NULL, NULL), MEMORY_ERROR_INVALID_ARGUMENT, "visit is NULL");
	ERROR(kernel_build_jumps(NULL, 8, 12, 0), MEMORY_ERROR_INVALID_ARGUMENT, "jump is 12");
	ERROR(kernel_build_jumps(NULL, 8, 16, 257), MEMORY_ERROR_INVALID_ARGUMENT, "distance is 257");
}

static void what_was_tuned_is_told_and_forgotten(void)
{
	kernel_tuning_t all[200];
	size_t n = get_kernel_tuning(all, 200), here = 0, scattered = 0;

	CHECK(n > 0 && n <= 200);
	for (size_t i = 0; i < n; i++) {
		CHECK(all[i].name[0] && all[i].footprint >= 256 << 10);
		CHECK(!all[i].settled || all[i].distance <= 1024);
		here += strncmp(all[i].name, "kernel_gather_f64_i32", 21) == 0;
		scattered += strncmp(all[i].name, "kernel_scatter_f64_i32", 22) == 0;
	}
	CHECK(here > 0 && scattered > 0);
	reset_kernel_tuning();
	CHECK_EQ(get_kernel_tuning(all, 200), 0);
}

int main(void)
{
	check_watchdog(240);
	RUN(all_lengths_within_their_arrays);
	RUN(long_ones_within_their_arrays);
	RUN(histograms);
	RUN(they_are_loops);
	RUN(they_nest_and_can_be_left);
	RUN(strides_and_wide_elements);
	RUN(lists_in_their_order);
	RUN(paths_through_a_tree);
	RUN(few_paths);
	RUN(one_list_with_jumps);
	RUN(keys_are_found_where_they_are);
	RUN(what_is_wrong_is_refused);
	RUN(the_same_while_it_is_tuned);
	RUN(what_was_tuned_is_told_and_forgotten);
	return check_result();
}
