/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The indexed cases of benchmarks/kernels. The working set is what the indices reach; a call goes through two million of them at most,
 * so that a round takes some tens of milliseconds. Indices are the same in each process.
 */
#include <numarena/indexed.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"
#include "kernels_plain_indexed.h"

enum { MOST = 2000000, ROW = 16, LIST = 64 };

static uint64_t state;

static uint64_t random_bits(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state >> 11;
}

static size_t below(size_t n)
{
	return (size_t)((unsigned __int128)random_bits() * n >> 53);
}

static size_t calls(size_t elements)
{
	return elements < MOST ? elements : MOST;
}

/* ---- x[index[k]] ---- */

enum { X, INDEX, Y, V };

static int setup_indexed(struct kernel_run *r)
{
	size_t elements = r->size / sizeof(double);
	int32_t *index;

	state = 88172645463325252u;
	r->n = calls(elements);
	r->nx = elements;
	if (!kernel_array_random(r, X, elements) || !(index = kernel_array(r, INDEX, r->n * sizeof(*index))) ||
	    !kernel_array_random(r, V, r->n) || !kernel_array(r, Y, r->n * sizeof(double)))
		return -1;
	for (size_t k = 0; k < r->n; k++)
		index[k] = (int32_t)below(elements);
	r->bytes = (double)r->n * (sizeof(double) + sizeof(int32_t));
	return 0;
}

static int setup_copied(struct kernel_run *r)
{
	int rc = setup_indexed(r);

	r->bytes += (double)r->n * sizeof(double);
	return rc;
}

static double check_result(struct kernel_run *r)
{
	return r->result;
}

static double check_y(struct kernel_run *r)
{
	return kernel_checksum(r->data[Y], r->n);
}

static void work_plain(struct kernel_run *r)
{
	r->result = plain_work(r->data[X], r->data[INDEX], r->n);
}

static void work_ours(struct kernel_run *r)
{
	r->result = ahead_work(r->data[X], r->data[INDEX], r->n);
}

static void gather_plain(struct kernel_run *r)
{
	plain_gather(r->data[Y], r->data[X], r->data[INDEX], r->n);
}

static void gather_ours(struct kernel_run *r)
{
	kernel_gather_f64_i32(r->data[Y], r->data[X], r->data[INDEX], r->n);
}

static void gather_inline(struct kernel_run *r)
{
	ahead_gather(r->data[Y], r->data[X], r->data[INDEX], r->n);
}

static void scatter_plain(struct kernel_run *r)
{
	plain_scatter(r->data[X], r->data[INDEX], r->data[V], r->n);
}

static void scatter_ours(struct kernel_run *r)
{
	kernel_scatter_f64_i32(r->data[X], r->data[INDEX], r->data[V], r->n);
}

static double check_x(struct kernel_run *r)
{
	return kernel_checksum(r->data[X], r->nx);
}

static void add_plain(struct kernel_run *r)
{
	plain_scatter_add(r->data[X], r->data[INDEX], r->data[V], r->n);
}

static void add_ours(struct kernel_run *r)
{
	kernel_scatter_add_f64_i32(r->data[X], r->data[INDEX], r->data[V], r->n);
}

/* It has been added to by both when it is looked at: the sum of what is added is what counts. */
static double check_nothing(struct kernel_run *r)
{
	return 0 * r->result;
}

static int setup_f32(struct kernel_run *r)
{
	size_t elements = r->size / sizeof(float);
	int64_t *index;
	float *x;

	state = 88172645463325252u;
	r->n = calls(elements);
	if (!(x = kernel_array(r, X, elements * sizeof(float))) ||
	    !(index = kernel_array(r, INDEX, r->n * sizeof(*index))) || !kernel_array(r, Y, r->n * sizeof(double)))
		return -1;
	for (size_t k = 0; k < elements; k++)
		x[k] = (float)(k % 1000);
	for (size_t k = 0; k < r->n; k++)
		index[k] = (int64_t)below(elements);
	r->bytes = (double)r->n * (2 * sizeof(float) + sizeof(int64_t));
	return 0;
}

static void f32_plain(struct kernel_run *r)
{
	plain_gather_f32(r->data[Y], r->data[X], r->data[INDEX], r->n);
}

static void f32_ours(struct kernel_run *r)
{
	kernel_gather_f32_i64(r->data[Y], r->data[X], r->data[INDEX], r->n);
}

static int setup_histogram(struct kernel_run *r)
{
	r->nx = r->size / sizeof(size_t);
	r->n = calls(r->nx);
	r->bytes = (double)r->n * (sizeof(double) + 2 * sizeof(size_t));
	return kernel_array(r, X, r->nx * sizeof(size_t)) && kernel_array_random(r, V, r->n) ? 0 : -1;
}

static void histogram_plain(struct kernel_run *r)
{
	plain_histogram(r->data[X], r->nx, r->data[V], r->n);
}

static void histogram_ours(struct kernel_run *r)
{
	kernel_histogram_f64(r->data[X], r->nx, r->data[V], r->n, 0, 1);
}

/* ---- neighbour lists: particles in no order ---- */

enum { START = 3, NEIGHBOURS = 40 };

static int setup_force(struct kernel_run *r)
{
	size_t particles = r->size / (3 * sizeof(double));
	int32_t *start, *list;

	state = 88172645463325252u;
	r->nx = calls(particles * NEIGHBOURS) / NEIGHBOURS;
	if (r->nx == 0 || !kernel_array_random(r, X, 3 * particles) ||
	    !(list = kernel_array(r, INDEX, r->nx * NEIGHBOURS * sizeof(*list))) ||
	    !(start = kernel_array(r, START, (r->nx + 1) * sizeof(*start))) ||
	    !kernel_array(r, Y, 3 * r->nx * sizeof(double)))
		return -1;
	r->n = 3 * r->nx;
	for (size_t i = 0; i <= r->nx; i++)
		start[i] = (int32_t)(i * NEIGHBOURS);
	for (size_t k = 0; k < r->nx * NEIGHBOURS; k++)
		list[k] = (int32_t)below(particles);
	r->bytes = (double)(r->nx * NEIGHBOURS) * (3 * sizeof(double) + sizeof(int32_t));
	return 0;
}

static void force_plain(struct kernel_run *r)
{
	r->result = plain_force(r->data[X], r->data[START], r->data[INDEX], r->nx, r->data[Y]);
}

static void force_ours(struct kernel_run *r)
{
	r->result = ahead_force(r->data[X], r->data[START], r->data[INDEX], r->nx, r->data[Y]);
}

/* ---- sparse matrices: half of the working set is the vector, of which rows go through a part each ---- */

enum { ENTRY = 4 };

static int setup_csr(struct kernel_run *r, size_t window)
{
	size_t columns = r->size / 2 / sizeof(double), rows = r->size / 2 / (ROW * 12);
	int32_t *start, *column;

	state = 88172645463325252u;
	if (rows == 0 || columns < 2 * ROW || !kernel_array_random(r, X, columns) ||
	    !(start = kernel_array(r, START, (rows + 1) * sizeof(*start))) ||
	    !(column = kernel_array(r, INDEX, rows * ROW * sizeof(*column))) ||
	    !kernel_array_random(r, ENTRY, rows * ROW) || !kernel_array(r, Y, rows * sizeof(double)))
		return -1;
	if (window == 0 || window > columns)
		window = columns;
	for (size_t i = 0; i <= rows; i++)
		start[i] = (int32_t)(i * ROW);
	for (size_t i = 0; i < rows; i++)
		for (size_t k = 0; k < ROW; k++) {
			size_t first = (size_t)((double)(columns - window) * (double)i / (double)rows);

			column[i * ROW + k] = (int32_t)(first + (window == ROW ? k : below(window)));
		}
	r->nx = r->n = rows;
	r->bytes = (double)(rows * ROW) * 12 + (double)rows * 12;
	r->operations = 2.0 * (double)(rows * ROW);
	return 0;
}

static int setup_csr_random(struct kernel_run *r)
{
	return setup_csr(r, 0);
}

static int setup_csr_window(struct kernel_run *r)
{
	return setup_csr(r, (size_t)16 << 10); /* 128 KiB */
}

static int setup_csr_wide(struct kernel_run *r)
{
	return setup_csr(r, (size_t)128 << 10); /* 1 MiB */
}

static int setup_csr_banded(struct kernel_run *r)
{
	return setup_csr(r, ROW);
}

static void csr_plain(struct kernel_run *r)
{
	plain_csr(r->data[Y], r->nx, r->data[START], r->data[INDEX], r->data[ENTRY], r->data[X]);
}

static void csr_ours(struct kernel_run *r)
{
	ours_csr(r->data[Y], r->nx, r->data[START], r->data[INDEX], r->data[ENTRY], r->data[X]);
}

/* ---- lists of 64 nodes, and one of all, through memory in random order ---- */

static int setup_lists(struct kernel_run *r)
{
	size_t count = r->size / sizeof(struct node) / LIST * LIST;
	struct node *nodes, **heads;
	uint32_t *order;

	state = 88172645463325252u;
	r->n = count / LIST;
	if (r->n == 0 || !(nodes = kernel_array(r, X, count * sizeof(*nodes))) ||
	    !(heads = kernel_array(r, Y, r->n * sizeof(void *))) ||
	    !(order = kernel_array(r, V, count * sizeof(*order))))
		return -1;
	for (size_t i = 0; i < count; i++)
		order[i] = (uint32_t)i;
	for (size_t i = count - 1; i > 0; i--) {
		size_t other = below(i + 1);
		uint32_t was = order[i];

		order[i] = order[other];
		order[other] = was;
	}
	for (size_t i = 0; i < count; i++) {
		struct node *node = &nodes[order[i]];

		node->value = (double)(i % 7);
		node->next = (i + 1) % LIST ? &nodes[order[i + 1]] : NULL;
		if (i % LIST == 0)
			heads[i / LIST] = node;
	}
	if (r->n > MOST / LIST)
		r->n = MOST / LIST;
	r->bytes = (double)(r->n * LIST * sizeof(struct node));
	return 0;
}

static int setup_list(struct kernel_run *r)
{
	int rc = setup_lists(r);
	struct node **heads = r->data[Y];

	for (size_t i = 0; rc == 0 && i + 1 < r->n; i++) {
		struct node *last = heads[i];

		while (last->next)
			last = last->next;
		last->next = heads[i + 1];
	}
	if (rc == 0)
		kernel_build_jumps(heads[0], offsetof(struct node, next), offsetof(struct node, jump), 0);
	return rc;
}

static void lists_plain(struct kernel_run *r)
{
	r->result = plain_lists(r->data[Y], r->n);
}

static void lists_tuned(struct kernel_run *r)
{
	r->result = ahead_lists(r->data[Y], r->n, 0);
}

static void lists_8(struct kernel_run *r)
{
	r->result = ahead_lists(r->data[Y], r->n, 8);
}

static void lists_16(struct kernel_run *r)
{
	r->result = ahead_lists(r->data[Y], r->n, 16);
}

static void lists_32(struct kernel_run *r)
{
	r->result = ahead_lists(r->data[Y], r->n, 32);
}

static void lists_chains_8(struct kernel_run *r)
{
	r->result = chains_8(r->data[Y], r->n, LIST);
}

static void lists_chains_16(struct kernel_run *r)
{
	r->result = chains_16(r->data[Y], r->n, LIST);
}

static void lists_chains_32(struct kernel_run *r)
{
	r->result = chains_32(r->data[Y], r->n, LIST);
}

static void lists_known(struct kernel_run *r)
{
	r->result = known_nodes(r->data[X], r->data[V], r->n * LIST, 32);
}

static void list_plain(struct kernel_run *r)
{
	r->result = plain_list(*(struct node **)r->data[Y]);
}

static void list_ours(struct kernel_run *r)
{
	r->result = ahead_list(*(struct node **)r->data[Y]);
}

/* ---- hash tables, half full ---- */

static int setup_hash(struct kernel_run *r)
{
	kernel_hash_t table = { .slots = 1 };
	uint64_t *keys;

	state = 88172645463325252u;
	while (table.slots * 2 * sizeof(uint64_t) <= r->size)
		table.slots *= 2;
	r->nx = table.slots;
	r->n = calls(table.slots / 2);
	if (!(table.keys = kernel_array(r, X, table.slots * sizeof(uint64_t))) ||
	    !(keys = kernel_array(r, V, r->n * sizeof(*keys))) || !kernel_array(r, Y, r->n * sizeof(size_t)))
		return -1;
	for (size_t i = 0; i < table.slots / 2; i++) {
		uint64_t key = random_bits() | 1;

		kernel_hash_insert_u64(&table, &key, 1);
		if (i < r->n)
			keys[i] = i % 4 ? key : random_bits() & ~(uint64_t)1; /* one in four is not there */
	}
	for (size_t i = r->n - 1; i > 0; i--) {
		size_t other = below(i + 1);
		uint64_t was = keys[i];

		keys[i] = keys[other];
		keys[other] = was;
	}
	r->bytes = (double)r->n * (2 * sizeof(uint64_t) + sizeof(size_t));
	return 0;
}

static double check_slots(struct kernel_run *r)
{
	const size_t *slot = r->data[Y];
	double sum = 0;

	for (size_t k = 0; k < r->n; k++)
		sum += slot[k] == SIZE_MAX ? 1 : (double)(slot[k] % 1000 * (k % 100));
	return sum;
}

static void probe_plain(struct kernel_run *r)
{
	plain_probe(r->data[X], r->nx, r->data[V], r->n, r->data[Y]);
}

static void probe_ours(struct kernel_run *r)
{
	kernel_hash_t table = { .keys = r->data[X], .slots = r->nx };

	ours_probe(&table, r->data[V], r->n, r->data[Y]);
}

static const struct kernel_case indexed[] = {
	{ "indexed-work", "sum of exp(-sqrt(x[index[k]]))", .goal = 2, .sweep = true, .setup = setup_indexed,
	  .plain = work_plain, .ours = work_ours, .check = check_result },
	{ "neighbour-force", "forces over neighbour lists, with the cutoff's branch", .goal = 2, .sweep = true,
	  .setup = setup_force, .plain = force_plain, .ours = force_ours, .check = check_y },
	{ "gather-f64-i32", "to[k] = from[index[k]]", .goal = 0.97, .sweep = true, .setup = setup_copied,
	  .plain = gather_plain, .ours = gather_ours, .check = check_y },
	{ "gather-inline", "the same, as a loop of the program's", .goal = 0.97, .sweep = true, .setup = setup_copied,
	  .plain = gather_plain, .ours = gather_inline, .check = check_y },
	{ "gather-f32-i64", "the same, of other types", .goal = 0.97, .sweep = true, .setup = setup_f32,
	  .plain = f32_plain, .ours = f32_ours, .check = check_nothing },
	{ "scatter-f64-i32", "to[index[k]] = from[k]", .goal = 0.97, .sweep = true, .setup = setup_copied,
	  .plain = scatter_plain, .ours = scatter_ours, .check = check_x },
	{ "scatter-add-f64-i32", "to[index[k]] += from[k]", .goal = 0.97, .sweep = true, .setup = setup_copied,
	  .plain = add_plain, .ours = add_ours, .check = check_nothing },
	{ "histogram-f64", "counts of values, as many bins as fit", .goal = 0.97, .sweep = true,
	  .setup = setup_histogram, .plain = histogram_plain, .ours = histogram_ours, .check = check_nothing },
	{ "csr-window", "sparse matrix by vector, 16 entries a row within 128 KiB", .goal = 1.7, .sweep = true,
	  .setup = setup_csr_window, .plain = csr_plain, .ours = csr_ours, .check = check_y },
	{ "csr-wide", "the same within 1 MiB", .goal = 1.0, .sweep = true, .setup = setup_csr_wide, .plain = csr_plain,
	  .ours = csr_ours, .check = check_y },
	{ "csr-random", "the same, anywhere", .goal = 1.0, .sweep = true, .setup = setup_csr_random, .plain = csr_plain,
	  .ours = csr_ours, .check = check_y },
	{ "csr-banded", "the same, side by side", .goal = 0.97, .sweep = true, .setup = setup_csr_banded,
	  .plain = csr_plain, .ours = csr_ours, .check = check_y },
	{ "lists-8", "lists of 64 nodes in random order, 8 at once", .goal = 8, .setup = setup_lists,
	  .plain = lists_plain, .ours = lists_8, .check = check_result,
	  .rival = { { "bound: the links alone", lists_chains_8 }, { "bound: addresses known", lists_known } } },
	{ "lists-16", "16 at once", .goal = 14, .setup = setup_lists, .plain = lists_plain, .ours = lists_16,
	  .check = check_result,
	  .rival = { { "bound: the links alone", lists_chains_16 }, { "bound: addresses known", lists_known } } },
	{ "lists-32", "32 at once", .goal = 20, .setup = setup_lists, .plain = lists_plain, .ours = lists_32,
	  .check = check_result,
	  .rival = { { "bound: the links alone", lists_chains_32 }, { "bound: addresses known", lists_known } } },
	{ "lists-tuned", "as many at once as is found to be best", .goal = 0.97, .sweep = true, .setup = setup_lists,
	  .plain = lists_plain, .ours = lists_tuned, .check = check_result },
	{ "list-jumps", "one list with jump pointers", .goal = 10, .setup = setup_list, .plain = list_plain,
	  .ours = list_ours, .check = check_result },
	{ "hash-probes", "probes of a hash table, half full, three of four there", .goal = 1.4, .sweep = true,
	  .setup = setup_hash, .plain = probe_plain, .ours = probe_ours, .check = check_slots },
};

KERNEL_CASES(indexed)

/* BENCH_TUNING=1: what was found out, at the end. */
static __attribute__((destructor)) void print_tuning(void)
{
	kernel_tuning_t all[64];
	size_t n = getenv("BENCH_TUNING") ? get_kernel_tuning(all, 64) : 0;

	for (size_t i = 0; i < n && i < 64; i++)
		printf("%-40s %4zu %s %8.3f ns  gain %.2f  over %zu KiB, retuned %zu\n", all[i].name, all[i].distance,
		       all[i].settled ? "settled" : "open   ", all[i].nanoseconds, all[i].gain, all[i].footprint >> 10,
		       all[i].retuned);
}
