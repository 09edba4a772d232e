/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fast paths: no lock, no system call, no indirect call; 13 instructions to allocate and 18 to free on x86-64.
 * Counters are plain words of the owner's, whose readers are relaxed: they want a recent value, not a moment.
 */
#ifndef NA_CACHE_FAST_H
#define NA_CACHE_FAST_H

#include "base/bits.h"
#include "cache/cache.h"

#define na_likely(x)   __builtin_expect(!!(x), 1)
#define na_unlikely(x) __builtin_expect(!!(x), 0)

/* What free leaves in the second word of a block, and malloc clears. Sign-extended from 32 bits, to be an immediate operand;
 * as a double a NaN that no arithmetic yields, as a pointer no user's. */
#define NA_FREED_MARK ((uint64_t)(int64_t)INT32_C(-1513508425))

typedef uint64_t __attribute__((may_alias)) na_word;

static inline na_entry *na_bin_at(struct na_bin *bin, size_t index)
{
	return (na_entry *)bin + index;
}

static inline na_word *na_mark_of(void *p)
{
	return (na_word *)p + 1;
}

/* Where malloc takes blocks of a size up to NA_DIRECT_MAX from. */
static inline struct na_bin *na_cache_direct(struct na_cache *c, size_t size)
{
	return na_cache_bin(c, c->direct[size]);
}

/* Only the owner writes the word, so one plain instruction will do; ThreadSanitizer is shown what it means. */
static inline void na_bin_add(struct na_bin *bin, uint64_t n)
{
#if defined(__SANITIZE_THREAD__)
	__atomic_store_n(&bin->word, bin->word + n, __ATOMIC_RELAXED);
#else
	bin->word += n;
#endif
}

/* The topmost block of the stack, or NULL. */
static inline void *na_bin_pop(struct na_bin *bin)
{
	void *p = *na_bin_at(bin, bin->top);

#if defined(__x86_64__)
	__asm__("" : "+a"(p)); /* where malloc returns it: else it may be moved there */
#endif
	if (na_likely(p != NULL)) {
		na_bin_add(bin, NA_BIN_POP);
		*na_mark_of(p) = 0;
	}
	return p;
}

/* The caller has seen `top`, that there is room, and that p has no mark. */
static inline void na_bin_push(struct na_bin *bin, size_t top, void *p)
{
	*na_mark_of(p) = NA_FREED_MARK;
	*na_bin_at(bin, top + 1) = p;
	na_bin_add(bin, 1);
}

#endif
