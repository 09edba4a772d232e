/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loops over data that lie all over memory: say what the body will touch, and it is on its way before the body comes.
 *
 *     for_each_prefetched (k, n, &x[index[k]])
 *             sum += sqrt(x[index[k]]);
 *
 * is  for (size_t k = 0; k < n; k++)  with a prefetch of the address at a distance that is measured on this very loop: a few
 * chunks of its first large calls run with none and with several distances, and one is kept only if it gains more than 3 %. Where
 * prefetching does not pay, what runs is the plain loop. The rows of a matrix, or of a neighbour list, are
 *
 *     with_prefetched_rows (list, k, start[0], start[count], &x[neighbour[k]])
 *             for (size_t i = 0; i < count; i++)
 *                     for_each_in_row (list, k, start[i], start[i + 1], &x[neighbour[k]])
 *                             force(i, neighbour[k]);
 *
 * The address is an expression of k and has a pointer's type; sizeof what it points to says how many lines to fetch. It is
 * evaluated for places ahead of k as well, each below n (or the rows' last): what it reads there (index[k]) must be readable; no place
 * from n on is ever read, so arrays need no padding. It must have no side effects. `continue` goes on to the next k, `break` leaves the loop,
 * `return` leaves the function. Loops nest if their variables have different names. C11 with GNU extensions, and C++.
 *
 * What steers it: enable_prefetch (off: plain loops), prefetch_distance (set: that distance, in elements of the loop, and no
 * measuring), optimization_level (where the search begins), and hints: data in a block of ACCESS_SEQUENTIAL are not prefetched.
 * Loops shorter than KERNEL_LEAST, or over less than 256 KiB, are plain. The order of the elements never changes.
 * All may be used from any number of threads at once.
 */
#ifndef NUMARENA_INDEXED_H
#define NUMARENA_INDEXED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <numarena/base.h>
#include <numarena/error.h>

NUMARENA_BEGIN

#define KERNEL_LEAST  8192 /* elements: shorter loops are plain */
#define KERNEL_PROBES 32   /* addresses that a loop is judged by, in pairs of neighbours */
#define KERNEL_BLOCK  8	   /* elements that are prefetched at a time, then worked on */

/* One loop of the program. Make one by KERNEL_SITE; the name is what reports and the file of tuned distances call it. */
typedef struct numarena_kernel_site {
	const char *name;
	uint64_t mark; /* numarena's */
} kernel_site_t;

/* A loop that runs, or a part of it: elements [from, until) go with `distance` (0: plain; of lists: how many at once). The rest is
 * numarena's. */
typedef struct numarena_kernel_run {
	size_t from, until;
	size_t distance;
	size_t count;
	void *cell;
	uint64_t began;
	size_t chunk, seen;
	uint32_t ticket, stage;
} kernel_run_t;

#define KERNEL_TEXT_(x) #x
#define KERNEL_TEXT(x)	KERNEL_TEXT_(x)
#ifndef KERNEL_NAME /* may be another constant, of the loop that follows */
#define KERNEL_NAME __FILE__ ":" KERNEL_TEXT(__LINE__)
#endif
#define KERNEL_SITE                                                                                                    \
	__extension__({                                                                                                \
		static kernel_site_t site_ = { KERNEL_NAME, 0 };                                                       \
		&site_;                                                                                                \
	})

/* What the macros call, at the start of a large loop and at the end of each chunk; at most a lock that is only tried, no allocation.
 * `probe` are KERNEL_PROBES addresses that the loop will touch. Chunks end at `position`. */
void begin_kernel_run(kernel_run_t *run, kernel_site_t *site, const void *const *probe) NUMARENA_CALL(begin_kernel_run);
void begin_kernel_group(kernel_run_t *run, kernel_site_t *site, const void *const *probe)
	NUMARENA_CALL(begin_kernel_group);
void next_kernel_chunk(kernel_run_t *run, size_t position) NUMARENA_CALL(next_kernel_chunk);

/* What has been found out about a loop. One loop has several entries if it ran over unlike data. */
typedef struct kernel_tuning {
	char name[64];	    /* FILE:LINE, or the kernel's; cut from the left if longer */
	size_t distance;    /* elements ahead, or lists at once; 0: plain */
	bool settled;	    /* false: still measuring */
	bool stored;	    /* found by another process: from the file, or from a rank on this node */
	double nanoseconds; /* an element, as chosen; NaN: not known */
	double gain;	    /* over the plain loop: 1.5 is 1.5 times as fast; NaN: not known */
	size_t footprint;   /* bytes that the loop ranges over, a power of two, judged by samples */
	size_t retuned;	    /* how often it was found to have drifted */
} kernel_tuning_t;

/* Up to `capacity` of them; returns how many there are. Thread-safe. */
size_t get_kernel_tuning(kernel_tuning_t *tuning, size_t capacity) NUMARENA_CALL(get_kernel_tuning);

/* Forgets all that was measured; loops that run are not disturbed. The file of tuned distances stays: what it says at present is not taken again,
 * what another process writes later is. From then on nothing is shared with other ranks on this node. */
void reset_kernel_tuning(void) NUMARENA_CALL(reset_kernel_tuning);

/*
 * Kernels. Data and indices may lie at any address that suits their type; no byte outside of the arrays is read or written. Indices
 * are not checked: they are below the length of what they point into, and not negative, but in histograms, which leave out what
 * is in no bin. All go through the elements in rising order, so that of two values for one place the later stays.
 *
 * MEMORY_ERROR_INVALID_ARGUMENT: an array is NULL although there are elements, n is more than an address space holds, or a result
 * that is written in order overlaps the indices or what is read in order; last_memory_error_message() names it, nothing was done.
 * What is read or written by index must not overlap the result or the source: that cannot be checked here.
 */
/* to[k] = from[index[k]] */
memory_error_t kernel_gather_f64_i32(double *to, const double *from, const int32_t *index, size_t n)
	NUMARENA_CALL(kernel_gather_f64_i32);
memory_error_t kernel_gather_f64_i64(double *to, const double *from, const int64_t *index, size_t n)
	NUMARENA_CALL(kernel_gather_f64_i64);
memory_error_t kernel_gather_f32_i32(float *to, const float *from, const int32_t *index, size_t n)
	NUMARENA_CALL(kernel_gather_f32_i32);
memory_error_t kernel_gather_f32_i64(float *to, const float *from, const int64_t *index, size_t n)
	NUMARENA_CALL(kernel_gather_f32_i64);

/* to[index[k]] = from[k] */
memory_error_t kernel_scatter_f64_i32(double *to, const int32_t *index, const double *from, size_t n)
	NUMARENA_CALL(kernel_scatter_f64_i32);
memory_error_t kernel_scatter_f64_i64(double *to, const int64_t *index, const double *from, size_t n)
	NUMARENA_CALL(kernel_scatter_f64_i64);
memory_error_t kernel_scatter_f32_i32(float *to, const int32_t *index, const float *from, size_t n)
	NUMARENA_CALL(kernel_scatter_f32_i32);
memory_error_t kernel_scatter_f32_i64(float *to, const int64_t *index, const float *from, size_t n)
	NUMARENA_CALL(kernel_scatter_f32_i64);

/* to[index[k]] += from[k] */
memory_error_t kernel_scatter_add_f64_i32(double *to, const int32_t *index, const double *from, size_t n)
	NUMARENA_CALL(kernel_scatter_add_f64_i32);
memory_error_t kernel_scatter_add_f64_i64(double *to, const int64_t *index, const double *from, size_t n)
	NUMARENA_CALL(kernel_scatter_add_f64_i64);
memory_error_t kernel_scatter_add_f32_i32(float *to, const int32_t *index, const float *from, size_t n)
	NUMARENA_CALL(kernel_scatter_add_f32_i32);
memory_error_t kernel_scatter_add_f32_i64(float *to, const int64_t *index, const float *from, size_t n)
	NUMARENA_CALL(kernel_scatter_add_f32_i64);

/* y = A x, A in compressed rows: row r has the entries from start[r] up to start[r + 1], each a column and a value. A row is summed in
 * four parts, entries k, k + 4, k + 8 ... in each: not bit by bit what a plain loop gives, but the same every time. */
memory_error_t kernel_csr_f64_i32(double *y, size_t rows, const int32_t *start, const int32_t *column,
				  const double *entry, const double *x) NUMARENA_CALL(kernel_csr_f64_i32);
memory_error_t kernel_csr_f64_i64(double *y, size_t rows, const int64_t *start, const int64_t *column,
				  const double *entry, const double *x) NUMARENA_CALL(kernel_csr_f64_i64);
memory_error_t kernel_csr_f32_i32(float *y, size_t rows, const int32_t *start, const int32_t *column,
				  const float *entry, const float *x) NUMARENA_CALL(kernel_csr_f32_i32);
memory_error_t kernel_csr_f32_i64(float *y, size_t rows, const int64_t *start, const int64_t *column,
				  const float *entry, const float *x) NUMARENA_CALL(kernel_csr_f32_i64);

/* counts[bin[k]]++ for bins from 0 up to `bins`; others are left out. */
memory_error_t kernel_histogram_i32(size_t *counts, size_t bins, const int32_t *bin, size_t n)
	NUMARENA_CALL(kernel_histogram_i32);
memory_error_t kernel_histogram_i64(size_t *counts, size_t bins, const int64_t *bin, size_t n)
	NUMARENA_CALL(kernel_histogram_i64);

/* The same of values: bin (value - low) / (high - low) * bins, for low <= value < high. MEMORY_ERROR_INVALID_ARGUMENT also unless
 * low < high, both finite. */
memory_error_t kernel_histogram_f64(size_t *counts, size_t bins, const double *value, size_t n, double low, double high)
	NUMARENA_CALL(kernel_histogram_f64);
memory_error_t kernel_histogram_f32(size_t *counts, size_t bins, const float *value, size_t n, float low, float high)
	NUMARENA_CALL(kernel_histogram_f32);

/* A set of keys in open addressing, each at the first free slot from kernel_hash_slot() on. The program owns the memory. */
typedef struct kernel_hash {
	uint64_t *keys; /* of `slots` each */
	uint64_t empty; /* the key that stands for none */
	size_t slots;	/* a power of two, more than there are keys */
} kernel_hash_t;

/* Puts keys in that are not there yet; the table was filled with `empty` before the first. MEMORY_ERROR_INVALID_ARGUMENT: slots is no
 * power of two, a key is `empty`, or the table has become full: what came before it is in. */
memory_error_t kernel_hash_insert_u64(const kernel_hash_t *table, const uint64_t *keys, size_t n)
	NUMARENA_CALL(kernel_hash_insert_u64);

/* slot[k]: where keys[k] is, or SIZE_MAX. */
memory_error_t kernel_hash_probe_u64(const kernel_hash_t *table, const uint64_t *keys, size_t n, size_t *slot)
	NUMARENA_CALL(kernel_hash_probe_u64);

/* For each node of each list: visit(node, list, context), each list in its order, many of them in turn, so that one's misses are
 * hidden behind the others'. A node's link to the next is a pointer at byte `next` of it; NULL ends the list, also at its head. The
 * node may be freed or changed by visit: its link has been read before. With walk_paths() below, the callback is inlined. */
memory_error_t kernel_walk_lists(void *const *heads, size_t lists, size_t next,
				 void (*visit)(void *node, size_t list, void *context), void *context)
	NUMARENA_CALL(kernel_walk_lists);

/* One list: each node gets, at byte `jump`, the address of the one `distance` after it (near the end, its own), for walk_jumps().
 * distance 0: 32. Once, and again when the list has changed. MEMORY_ERROR_INVALID_ARGUMENT: next and jump overlap, or distance is above
 * 256. */
memory_error_t kernel_build_jumps(void *head, size_t next, size_t jump, size_t distance)
	NUMARENA_CALL(kernel_build_jumps);

NUMARENA_END

/* ---- what the macros are made of ---- */

#define KERNEL_INLINE_ static __attribute__((always_inline, unused)) inline

KERNEL_INLINE_ kernel_run_t kernel_plain_(size_t first, size_t last)
{
	kernel_run_t run;

	run.from = first;
	run.until = last;
	run.distance = 0;
	run.count = last;
	run.cell = NULL;
	run.seen = first;
	return run;
}

/* Pairs of neighbours, spread over [first, last). */
KERNEL_INLINE_ size_t kernel_place_(size_t i, size_t first, size_t last)
{
	return first + (last - first) / (KERNEL_PROBES / 2) * (i / 2) + i % 2;
}

KERNEL_INLINE_ void kernel_fetch_(const volatile void *p, size_t bytes)
{
	const char *at = (const char *)p;

	__builtin_prefetch(at, 0, 3);
	/* More than a line; or of a size that makes it lie across two at times. */
	for (size_t next = 64; next < bytes && next < 512; next += 64)
		__builtin_prefetch(at + next, 0, 3);
	if (bytes > 8 && (bytes & (bytes - 1)) != 0)
		__builtin_prefetch(at + bytes - 1, 0, 3);
}

/* `last` is short of the chunk's end if the loop was left. */
KERNEL_INLINE_ void kernel_next_(kernel_run_t *run, size_t last)
{
	if (last != run->until)
		run->from = run->count;
	else if (run->cell)
		next_kernel_chunk(run, last);
	else
		run->from = last;
}

/* The distance in force for a row. */
KERNEL_INLINE_ size_t kernel_at_(kernel_run_t *run, size_t first, size_t last)
{
	if (__builtin_expect(first >= run->until && run->cell != NULL, 0))
		next_kernel_chunk(run, first);
	run->seen = last;
	return run->distance;
}

KERNEL_INLINE_ kernel_run_t *kernel_close_(kernel_run_t *run)
{
	if (run->cell)
		next_kernel_chunk(run, run->seen);
	return NULL;
}

#define KERNEL_OPEN_(k, first, last, address)                                                                          \
	__extension__({                                                                                                \
		kernel_run_t run_ = kernel_plain_(first, last);                                                        \
		if (run_.count >= KERNEL_LEAST + run_.from) {                                                          \
			const void *probe_[KERNEL_PROBES];                                                             \
			for (size_t i_ = 0; i_ < KERNEL_PROBES; i_++) {                                                \
				const size_t k = kernel_place_(i_, run_.from, run_.count);                             \
				probe_[i_] = (const void *)(address);                                                  \
			}                                                                                              \
			begin_kernel_run(&run_, KERNEL_SITE, probe_);                                                  \
		}                                                                                                      \
		run_;                                                                                                  \
	})

/* The end of the next block: all there is if nothing is prefetched, else some elements, whose like `d` ahead are asked for now. */
#define KERNEL_STEP_(k, address, at, end, d, n)                                                                        \
	__extension__({                                                                                                \
		size_t stop_ = end;                                                                                    \
		if (d) {                                                                                               \
			size_t to_;                                                                                    \
			stop_ = end - at > KERNEL_BLOCK ? at + KERNEL_BLOCK : end;                                     \
			to_ = stop_ + d < n ? stop_ + d : n;                                                           \
			for (size_t k = at + d; k < to_; k++)                                                          \
				kernel_fetch_(address, sizeof(*(address)));                                            \
		}                                                                                                      \
		stop_;                                                                                                 \
	})

/* A loop of a few instructions may otherwise come to lie among so many branches that each round costs some cycles more. */
#if defined(__GNUC__) && !defined(__clang__)
#define KERNEL_UNROLL_ _Pragma("GCC unroll 4")
#else
#define KERNEL_UNROLL_
#endif

/* kernel_last_ follows k: after the innermost loop it is short of the block's end if that was left by break, and so are all around it. */
#define KERNEL_BLOCKS_(k, address, last, ahead, n)                                                                     \
	for (size_t kernel_at_##k = kernel_last_##k, kernel_end_##k = (last), kernel_d_##k = (ahead),                  \
		    kernel_n_##k = (n), kernel_stop_##k = kernel_at_##k;                                               \
	     kernel_at_##k == kernel_stop_##k && kernel_at_##k < kernel_end_##k &&                                     \
	     (kernel_stop_##k = KERNEL_STEP_(k, address, kernel_at_##k, kernel_end_##k, kernel_d_##k, kernel_n_##k),   \
	     1);                                                                                                       \
	     kernel_at_##k = kernel_last_##k)                                                                          \
		KERNEL_UNROLL_                                                                                         \
	for (size_t k = kernel_at_##k; k < kernel_stop_##k; kernel_last_##k = ++k)

/* ---- the interface ---- */

/* for (size_t k = first; k < last; k++), with the address fetched ahead. */
#define for_each_prefetched_in(k, first, last, address)                                                                \
	for (size_t kernel_last_##k = (first), kernel_once_##k = 1; kernel_once_##k; kernel_once_##k = 0)              \
		for (kernel_run_t kernel_run_##k = KERNEL_OPEN_(k, kernel_last_##k, last, address);                    \
		     kernel_run_##k.from < kernel_run_##k.count; kernel_next_(&kernel_run_##k, kernel_last_##k))       \
	KERNEL_BLOCKS_(k, address, kernel_run_##k.until, kernel_run_##k.distance, kernel_run_##k.count)

/* for (size_t k = 0; k < n; k++). */
#define for_each_prefetched(k, n, address) for_each_prefetched_in (k, 0, n, address)

/* Declares `rows`, for the loops over rows in the statement that follows: rows that lie one behind the other in [first, last). */
#define with_prefetched_rows(rows, k, first, last, address)                                                            \
	for (kernel_run_t rows = KERNEL_OPEN_(k, first, last, address), *kernel_once_##rows = &rows;                   \
	     kernel_once_##rows; kernel_once_##rows = kernel_close_(&rows))

/* for (size_t k = first; k < last; k++), a row of these. Rows come in rising order. */
#define for_each_in_row(rows, k, first, last, address)                                                                 \
	for (size_t kernel_last_##k = (size_t)(first), kernel_row_##k = (size_t)(last), kernel_once_##k = 1;           \
	     kernel_once_##k; kernel_once_##k = 0)                                                                     \
	KERNEL_BLOCKS_(k, address, kernel_row_##k, kernel_at_(&(rows), kernel_last_##k, kernel_row_##k), (rows).count)

/* Where a key's search begins. */
extern __attribute__((gnu_inline, always_inline)) inline size_t kernel_hash_first_(size_t slots, uint64_t key)
{
	uint64_t mixed = (key ^ key >> 32) * 0x9e3779b97f4a7c15u;

	return (size_t)(mixed ^ mixed >> 32) & (slots - 1);
}
static inline size_t kernel_hash_slot(const kernel_hash_t *table, uint64_t key)
{
	return kernel_hash_first_(table->slots, key);
}

KERNEL_INLINE_ void **kernel_link_(void *node, size_t offset)
{
	return (void **)(void *)((char *)node + offset);
}

#define KERNEL_AT_ONCE 32 /* paths, at most */

/* One node of each path in turn; step gives the next node of a path, or NULL at its end. */
KERNEL_INLINE_ void kernel_paths_(void *const *start, size_t first, size_t last, size_t at_once,
				  void *(*step)(void *node, size_t path, void *context), void *context)
{
	void *node[KERNEL_AT_ONCE];
	size_t path[KERNEL_AT_ONCE], lanes = 0, next = first;

	if (at_once < 2) {
		for (; first < last; first++)
			for (void *at = start[first]; at;)
				at = step(at, first, context);
		return;
	}
	for (; lanes < at_once && next < last; next++) {
		if (!start[next])
			continue;
		kernel_fetch_(start[next], 1);
		node[lanes] = start[next];
		path[lanes++] = next;
	}
	while (lanes)
		for (size_t i = 0; i < lanes;) {
			void *after = step(node[i], path[i], context);

			/* The next path takes the place of one that has ended; without any, the last of those under way does, and its
			 * turn. */
			while (__builtin_expect(!after && next < last, 0)) {
				path[i] = next;
				after = start[next++];
			}
			if (__builtin_expect(after != NULL, 1)) {
				__builtin_prefetch(after, 0, 3);
				node[i++] = after;
				continue;
			}
			lanes--;
			node[i] = node[lanes];
			path[i] = path[lanes];
		}
}

/* Few that begin near each other are not worth judging. Left early, so that it is no loop of vectors for two lists. */
KERNEL_INLINE_ int kernel_near_(void *const *start, size_t paths)
{
	uintptr_t low = UINTPTR_MAX, high = 0;

	if (paths >= KERNEL_PROBES)
		return 0;
	for (size_t i = 0; i < paths; i++) {
		uintptr_t at = (uintptr_t)start[i];

		if (!at)
			continue;
		low = at < low ? at : low;
		high = at > high ? at : high;
		if (high - low >= 65536)
			return 0;
	}
	return 1;
}

/* With no cell there is one chunk, and nothing of the run is kept while it is walked. */
KERNEL_INLINE_ void kernel_walk_(kernel_site_t *site, void *const *start, size_t paths, size_t at_once,
				 void *(*step)(void *node, size_t path, void *context), void *context)
{
	kernel_run_t run;
	size_t from = 0, until = paths, distance = at_once ? at_once : 1;
	int watched = 0;

	if (!at_once && paths > 1 && !kernel_near_(start, paths)) {
		const void *probe[KERNEL_PROBES];

		for (size_t i = 0, next = 0; i < KERNEL_PROBES; i++, next = next + 1 < paths ? next + 1 : 0)
			probe[i] = start[paths < KERNEL_PROBES ? next : kernel_place_(i, 0, paths)];
		run = kernel_plain_(0, paths);
		run.distance = 1;
		begin_kernel_group(&run, site, probe);
		until = run.until;
		distance = run.distance;
		watched = run.cell != NULL;
	}
	for (;;) {
		kernel_paths_(start, from, until, distance < KERNEL_AT_ONCE ? distance : KERNEL_AT_ONCE, step, context);
		if (__builtin_expect(!watched, 1))
			return;
		kernel_next_(&run, until);
		from = run.from;
		if (from >= paths)
			return;
		until = run.until;
		distance = run.distance;
	}
}

/* Many paths through lists or trees at once, from start[p] (NULL: none) on. step(node, path, context) does what is to be done at a node
 * and returns the next, or NULL. Each path in its order, the paths in turn. at_once: how many, up to KERNEL_AT_ONCE; 0: as measured. */
#define walk_paths(start, paths, at_once, step, context) kernel_walk_(KERNEL_SITE, start, paths, at_once, step, context)

/* One list that has jump pointers. What is `distance` ahead is fetched; order, and what visit may do, as in a plain loop, but for the
 * nodes that lie up to `distance` ahead, which must not be freed. */
KERNEL_INLINE_ void walk_jumps(void *head, size_t next, size_t jump, void (*visit)(void *node, void *context),
			       void *context)
{
	while (head) {
		void *after = *kernel_link_(head, next);

		__builtin_prefetch(*kernel_link_(head, jump), 0, 3);
		visit(head, context);
		head = after;
	}
}

#include <numarena/indexed_small.h>

#endif
