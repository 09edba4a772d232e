/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Paths of failure, one by one: a scenario runs in a child of its own with the first system call of the os table failing, then with the
 * second, and so on until it makes fewer calls than that. With NTH_ONE that one call fails, with NTH_REST all from it on.
 *
 *	nth_scenario("growth", grow, NULL);
 *
 * The child runs the scenario, checks it, undoes it, then once without a failure, and then again and again with the same call failing: what the
 * process holds and has mapped must not grow any more. A scenario reports what it finds by CHECK; what it could not get
 * it must survive; and something must have said why on standard error. Its blocks are kept in `nth_blocks` by nth_keep(), filled with a pattern; they are checked and freed for it.
 *
 * The os table is swapped while other threads of the heap may run only if the scenario ends them itself before it returns.
 */
#ifndef NA_TESTS_NTH_H
#define NA_TESTS_NTH_H

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/options.h"
#include "heap/heap.h"
#include "heap/snapshot.h"
#include "os/os.h"
#include "support/check.h"
#include "support/child.h"

enum nth_mode { NTH_ONE, NTH_REST };

#define NTH_MOST    600 /* calls of one scenario */
#define NTH_BLOCKS  4096
#define NTH_PASSED  10 /* exit status: fewer calls than that */
#define NTH_REFUSED "an allocation was refused"

static struct na_os nth_real;
static _Atomic long nth_left, nth_made, nth_unmaps_failed;
static _Atomic int nth_mode;
static long nth_stride = 1; /* from the 16th call on; for scenarios that repeat one call over and over */

static int nth_fails(void)
{
	long left = atomic_fetch_sub(&nth_left, 1);

	atomic_fetch_add(&nth_made, 1);
	return nth_mode == NTH_ONE ? left == 1 : left <= 1;
}

#define NTH_WRAP(name, error, parameters, arguments)                                                                   \
	static int nth_##name parameters                                                                               \
	{                                                                                                              \
		return nth_fails() ? (error) : nth_real.name arguments;                                                \
	}
NTH_WRAP(map, -ENOMEM, (void *at, size_t size, void **out), (at, size, out))
NTH_WRAP(purge, -EINVAL, (void *at, size_t size), (at, size))
NTH_WRAP(advise_huge, -EINVAL, (void *at, size_t size), (at, size))
NTH_WRAP(map_hugetlb, -ENOMEM, (void *at, size_t size, size_t page, void **out), (at, size, page, out))
NTH_WRAP(bind, -EPERM, (void *at, size_t size, int node), (at, size, node))
NTH_WRAP(interleave, -EPERM, (void *at, size_t size, const int16_t *nodes, size_t count), (at, size, nodes, count))
NTH_WRAP(advise_ordinary, -EINVAL, (void *at, size_t size), (at, size))
NTH_WRAP(remap, -ENOMEM, (void *at, size_t size, size_t grown, void *to), (at, size, grown, to))
NTH_WRAP(locate, -EPERM, (void **pages, int *status, size_t count), (pages, status, count))
NTH_WRAP(move, -EPERM, (void **pages, const int *nodes, int *status, size_t count), (pages, nodes, status, count))
NTH_WRAP(resident, -ENOMEM, (void *at, size_t size, unsigned char *map), (at, size, map))
NTH_WRAP(file_make, -EMFILE, (const char *name, struct na_memfile *out), (name, out))
NTH_WRAP(file_write, -ENOSPC, (const struct na_memfile *file, const void *from, size_t size, uint64_t at), (file, from, size, at))
NTH_WRAP(file_read, -EIO, (const struct na_memfile *file, void *to, size_t size, uint64_t at), (file, to, size, at))
NTH_WRAP(file_punch, -ENOSPC, (const struct na_memfile *file, uint64_t at, size_t size), (file, at, size))
NTH_WRAP(file_map, -ENOMEM, (const struct na_memfile *file, uint64_t at, size_t size, void **to), (file, at, size, to))
NTH_WRAP(file_switch, -ENOMEM, (const struct na_memfile *file, uint64_t at, size_t size, void *to), (file, at, size, to))
NTH_WRAP(hold_open, -EPERM, (enum na_concurrent way, struct na_hold *out), (way, out))
NTH_WRAP(hold_begin, -EBUSY, (struct na_hold *hold, void *at, size_t size, const void **contents), (hold, at, size, contents))
NTH_WRAP(file_unmap, -ENOMEM, (void *at, size_t size), (at, size))

static int nth_unmap(void *at, size_t size)
{
	if (nth_fails()) {
		atomic_fetch_add(&nth_unmaps_failed, 1);
		return -ENOMEM; /* vm.max_map_count */
	}
	return nth_real.unmap(at, size);
}

static void nth_begin(long n, int mode)
{
	nth_real = na_os;
	nth_left = n;
	nth_made = 0;
	nth_mode = mode;
	na_os.map = nth_map;
	na_os.unmap = nth_unmap;
	na_os.purge = nth_purge;
	na_os.advise_huge = nth_advise_huge;
	na_os.map_hugetlb = nth_map_hugetlb;
	na_os.bind = nth_bind;
	na_os.interleave = nth_interleave;
	na_os.advise_ordinary = nth_advise_ordinary;
	na_os.remap = nth_remap;
	na_os.locate = nth_locate;
	na_os.move = nth_move;
	na_os.resident = nth_resident;
	na_os.file_make = nth_file_make;
	na_os.file_write = nth_file_write;
	na_os.file_read = nth_file_read;
	na_os.file_punch = nth_file_punch;
	na_os.file_map = nth_file_map;
	na_os.file_unmap = nth_file_unmap;
	na_os.file_switch = nth_file_switch;
	na_os.hold_open = nth_hold_open;
	na_os.hold_begin = nth_hold_begin;
}

static long nth_end(void)
{
	na_os = nth_real;
	return nth_made;
}

/* ---- blocks of a scenario ---- */

static struct nth_block {
	void *p;
	size_t size;
} nth_blocks[NTH_BLOCKS];
static size_t nth_count, nth_refused;

/* A block that was got; or, if it is NULL, a failure that must be ENOMEM. Returns p. */
static inline void *nth_keep(void *p, size_t size)
{
	if (!p) {
		CHECK_EQ(errno, ENOMEM);
		nth_refused++;
		return NULL;
	}
	REQUIRE(nth_count < NTH_BLOCKS);
	check_fill(p, 0, size < 20000 ? size : 20000, nth_count);
	if (size > 20000)
		check_fill(p, size - 5000, size, nth_count);
	nth_blocks[nth_count++] = (struct nth_block){ p, size };
	return p;
}

static inline void nth_check_blocks(void)
{
	for (size_t i = 0; i < nth_count; i++) {
		size_t size = nth_blocks[i].size, first = size < 20000 ? size : 20000;

		CHECK_MSG(check_filled(nth_blocks[i].p, 0, first, i) == first, "block %zu of %zu bytes has changed", i,
			  size);
		if (size > 20000)
			CHECK_MSG(check_filled(nth_blocks[i].p, size - 5000, size, i) == size,
				  "the end of block %zu of %zu bytes has changed", i, size);
	}
}

static inline void nth_free_blocks(void)
{
	while (nth_count)
		CHECK_EQ(na_heap_release_checked(nth_blocks[--nth_count].p), 0);
}

/* ---- what the process has ---- */

struct nth_figures {
	uint64_t live, held, reserved, metadata, counted, used;
};

/* Bytes of the pools' bookkeeping that are neither free nor never used. */
static inline uint64_t nth_metadata_used(void)
{
	uint64_t used = 0;

	for (uint32_t i = 0; i < na_pool_count; i++) {
		struct na_arena *arena = &na_pools[i].arena;

		used += arena->mapped - (uint64_t)(arena->end - arena->next);
		for (size_t list = 0; list < NA_ARENA_LISTS; list++)
			for (void *block = arena->free[list]; block; block = *(void **)block)
				used -= (uint64_t)64 << list;
	}
	return used;
}

static inline struct nth_figures nth_figures(void)
{
	struct na_snapshot s;

	na_heap_flush();
	na_heap_flush(); /* what the first could not see: spans that others emptied */
	na_heap_snapshot(&s);
	return (struct nth_figures){
		s.live_bytes,	    s.held_bytes, s.reserved_bytes, s.metadata_bytes, atomic_load(&na_pool_held),
		nth_metadata_used()
	};
}

/* ---- running ---- */

struct nth_run {
	const char *name;
	void (*run)(void);
	void (*undo)(void);
	long n;
	int mode;
};

static inline long nth_once(const struct nth_run *r)
{
	long made;

	nth_begin(r->n, r->mode);
	r->run();
	made = nth_end();
	nth_check_blocks();
	nth_free_blocks();
	if (r->undo)
		r->undo();
	return made;
}

static inline int nth_child(void *argument)
{
	const struct nth_run *r = argument;
	struct nth_run warm = *r;
	struct nth_figures first, last;
	long made;

	check_case = r->name;
	made = nth_once(r);
	nth_figures();
	/* Once without a failure, and all caches and bookkeeping are there; from then on nothing may grow. */
	warm.n = LONG_MAX;
	nth_once(&warm);
	nth_figures();
	nth_once(r);
	first = nth_figures();
	for (int i = 0; i < 2; i++) {
		nth_once(r);
		last = nth_figures();
	}
	CHECK_EQ(last.live, first.live);
	CHECK_EQ(last.held, first.held);
	CHECK_EQ(last.counted, last.held);
	if (!nth_unmaps_failed) { /* what cannot be unmapped stays, as addresses */
		CHECK_MSG(last.reserved <= first.reserved, "%llu bytes reserved, were %llu",
			  (unsigned long long)last.reserved, (unsigned long long)first.reserved);
		CHECK_MSG(last.metadata <= first.metadata, "%llu bytes of bookkeeping, were %llu",
			  (unsigned long long)last.metadata, (unsigned long long)first.metadata);
		CHECK_MSG(last.used <= first.used || last.metadata != first.metadata,
			  "%llu bytes of bookkeeping in use, were %llu", (unsigned long long)last.used,
			  (unsigned long long)first.used);
	}
	/* And it goes on working. */
	for (size_t size = 16; size < (32u << 20); size *= 4)
		REQUIRE(nth_keep(na_heap_allocate(size), size));
	nth_check_blocks();
	nth_free_blocks();
	if (nth_refused)
		fprintf(stderr, "%s\n", NTH_REFUSED);
	return check_failures ? 1 : made < r->n ? NTH_PASSED : 0;
}

static inline void nth_mode_of(struct nth_run *r, int mode)
{
	struct child c;

	r->mode = mode;
	for (r->n = 1; r->n < NTH_MOST * nth_stride; r->n += r->n < 16 ? 1 : nth_stride) {
		char what[160];

		child_run(nth_child, r, &c);
		if (WIFEXITED(c.status) && WEXITSTATUS(c.status) == NTH_PASSED)
			break;
		snprintf(what, sizeof(what), "%s, call %ld%s fails", r->name, r->n,
			 mode == NTH_ONE ? "" : " and all after it");
		if (strstr(c.text, "FAIL")) /* rather than what the heap said before */
			memmove(c.text, strstr(c.text, "FAIL"), strlen(strstr(c.text, "FAIL")) + 1);
		CHILD_GOOD(&c, what);
		CHECK_MSG(!WIFEXITED(c.status) || WEXITSTATUS(c.status) || !strstr(c.text, NTH_REFUSED) ||
				  strstr(c.text, "no memory for"),
			  "%s: nothing says why: %s", what, c.text);
	}
	CHECK_MSG(r->n > 1, "%s makes no system call: nothing was tested", r->name);
	CHECK_MSG(r->n < NTH_MOST * nth_stride, "%s makes too many calls", r->name);
	printf("%s: %ld calls%s\n", r->name, r->n - 1, mode == NTH_ONE ? "" : ", and all after each");
	fflush(stdout);
}

/* The scenario, and what undoes it (NULL: freeing the blocks is all). */
static inline void nth_scenario(const char *name, void (*run)(void), void (*undo)(void))
{
	struct nth_run r = { name, run, undo, 0, 0 };

	nth_mode_of(&r, NTH_ONE);
	nth_mode_of(&r, NTH_REST);
}

#endif
