/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Routing: which path a request takes. Small blocks (up to 32 KiB) come from the thread's cache,
 * larger ones from the pool of the thread's node. Everything else here finds out about a pointer.
 * All calls are thread-safe; none may be made from a signal handler.
 */
#ifndef NA_HEAP_HEAP_H
#define NA_HEAP_HEAP_H

#include "cache/fast.h"

/* The slow halves; tail-called, so that their return address is the program's. Exported for libnumarena-malloc. */
void *na_heap_allocate_slow(size_t size) __asm__("numarena_internal_allocate_slow")
	__attribute__((visibility("default")));
void na_heap_release_slow(void *p) __asm__("numarena_internal_release_slow") __attribute__((visibility("default")));
void na_heap_release_marked(void *p) __asm__("numarena_internal_release_marked") __attribute__((visibility("default")));

/* A block of at least `size` bytes, 16-byte aligned; NULL with ENOMEM. */
static inline void *na_heap_allocate(size_t size)
{
	if (na_likely(size <= NA_DIRECT_MAX)) {
		void *p = na_bin_pop(na_cache_direct(na_cache_current, size));

		if (na_likely(p != NULL))
			return p;
	}
	return na_heap_allocate_slow(size);
}

static inline void na_heap_release(void *p)
{
	struct na_bin *bin = na_cache_bin(na_cache_current, na_id_of(p));
	size_t top = bin->top;

	if (na_unlikely(top >= bin->limit))
		na_heap_release_slow(p);
	else if (na_unlikely(*na_mark_of(p) == NA_FREED_MARK))
		na_heap_release_marked(p);
	else
		na_bin_push(bin, top, p);
}

/* Counts a block that came from no stack, and samples it perhaps; `began` is na_sample_clock() of before. No lock is held. */
void na_heap_took(void *p, size_t size, uint64_t began);
/* The class of small blocks that serves a request; -1: it is for a block with pages of its own. */
int na_heap_class(size_t alignment, size_t size);

void *na_heap_allocate_aligned(size_t alignment, size_t size, bool zero);
void *na_heap_allocate_zeroed(size_t size);
void *na_heap_resize(void *p, size_t size);

/* As na_heap_release, but checks more than the fast path does, and tells: 0, or -EINVAL if p is
 * not a live block, in which case nothing was done. */
int na_heap_release_checked(void *p);

/* What lies at an address. Sizes and nodes of blocks that are live and stay so during the call. */
struct na_block {
	struct na_span *span;
	struct na_pool *pool;
	uintptr_t start;
	size_t size;
	bool live;
};

/* The block that contains p; false if p is in no segment of ours. `live` is exact for blocks that the
 * calling thread may free. */
bool na_heap_find(const void *p, struct na_block *out);

/* A block of the same named pool as one of `old` bytes that is resized; NULL with ENOMEM. */
void *na_heap_another(const struct na_pool *pool, size_t old, size_t size);

/* Named pools. */
struct na_named;
int na_named_create(const char *name, int node, uint64_t limit, size_t alignment, struct na_named **out);
/* One whose memory na_pool_limit does not count. */
int na_named_create_beyond(const char *name, struct na_named **out);
void *na_named_allocate(struct na_named *named, size_t size);
/* With more than the pool's own alignment, a power of two. */
void *na_named_allocate_aligned(struct na_named *named, size_t alignment, size_t size);
/* One attempt, that makes no room and says nothing. */
void *na_named_try(struct na_named *named, size_t alignment, size_t size);
void na_named_grew(struct na_named *named); /* a large block of it was resized */
void na_named_reset(struct na_named *named);
void na_named_destroy(struct na_named *named);
struct na_named *na_named_of(const struct na_pool *pool);
bool na_named_guarded(const struct na_named *named);
bool na_named_valid(const struct na_named *named);
const char *na_named_name(const struct na_named *named);

/* Calls `work` for each named pool with no lock held, and adds up what it returns: the pool cannot go meanwhile. */
uint64_t na_named_each(uint64_t (*work)(struct na_pool *, void *), void *closure);

/* Free memory of all named pools: what is kept, and addresses of empty segments. As na_pool_purge and na_pool_release. */
uint64_t na_named_purge(bool all);
uint64_t na_named_release(void);
/* A named pool's own limit (0: none) and what counts against it. */
uint64_t na_named_limit(const struct na_named *named, uint64_t *used);
/* Whether that limit stands against so many more bytes. */
bool na_named_is_full(const struct na_named *named, uint64_t size);

struct na_named_figures {
	uint64_t live, peak, held, allocations, releases;
	int node;
	char name[32];
};
void na_named_figures(struct na_named *named, struct na_named_figures *out);

/* All named pools, latest first, under their list's lock; before them, as NULL, all that are no more. */
void na_named_visit(void (*visit)(const struct na_named *, const struct na_named_figures *, void *), void *closure);
/* Adds their small blocks to figures of NA_CLASSES classes, and how many large ones are live to the one after. */
struct na_class_figures;
void na_named_classes(struct na_class_figures *out);
/* Adds their allocations to those of their node's pool. */
void na_named_nodes(uint64_t *allocations);

/* Adds named pools to a snapshot's totals. */
struct na_snapshot;
void na_named_snapshot(struct na_snapshot *out);

/* fork's handlers: all locks of named pools. */
void na_named_before_fork(void);
void na_named_after_fork(bool child);

/* Calls `locate` for each named pool, with the figures of its node. */
struct na_node_figures;
void na_named_residency(struct na_snapshot *out, bool *nodes_known,
			void (*locate)(struct na_pool *, struct na_node_figures *, bool *));

/* Returns this thread's cache and all free memory; bytes given back. */
uint64_t na_heap_flush(void);

/* Called once by the library's constructor; before it, no helper thread is started. */
void na_heap_start(void);

/* The maintenance thread: starts when the process holds enough or when asked to, stops on request. */
void na_maintenance_consider(void);
int na_maintenance_start(void);
void na_maintenance_stop(void);

/* Pausing returns when it is at rest, and nests. libnumarena exports the pair for the MPI layer, which wants a
 * quiet process in MPI_Init and MPI_Finalize. */
void na_maintenance_pause(void);
void na_maintenance_resume(void);

void na_maintenance_poke(void); /* look again for work: the hook's interval has changed */
uint64_t na_maintenance_ns(void);

#endif
