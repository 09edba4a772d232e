/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which pages the pools' memory gets: ordinary, transparent huge, or hugetlb. See doc/design/limits.md for what each costs.
 *
 * hugetlb pages are for mappings of their own alone (blocks above NA_RUN_MAX): they go back by unmapping. After
 * MADV_DONTNEED not every kernel restores the reservation, so that the next touch may be a SIGBUS: such a
 * mapping is never purged in part, nor grown.
 */
#include "base/log.h"
#include "base/options.h"
#include "os/os.h"
#include "pool/pool.h"

#define TWO_MIB	  ((size_t)2 << 20)
#define ONE_GIB	  ((size_t)1 << 30)
#define MANY_MAPS 4096 /* mappings of a pool from which on none is cut in two by advice for a part of it */

static _Atomic bool no_gigantic; /* the last try found none of 1 GiB */

static uint64_t wanted(void)
{
	return __atomic_load_n(&na_options.hugepages, __ATOMIC_RELAXED);
}

bool na_pages_whole(void)
{
	return wanted() == NA_PAGES_HUGETLB;
}

size_t na_pages_round(size_t length)
{
	size_t rounded;

	if (wanted() != NA_PAGES_HUGETLB || length < ONE_GIB ||
	    atomic_load_explicit(&no_gigantic, memory_order_relaxed))
		return length;
	rounded = (length + ONE_GIB - 1) & ~(ONE_GIB - 1);
	return rounded - length <= length / 8 ? rounded : length;
}

int na_pages_map(size_t length, size_t alignment, void **out)
{
	static _Atomic bool told;
	int rc = -1;

	if (wanted() != NA_PAGES_HUGETLB || length % TWO_MIB)
		return -1;
	if (alignment < NA_SEGMENT)
		alignment = NA_SEGMENT;
	if (length % ONE_GIB == 0) {
		rc = na_os_map_hugetlb(length, alignment > ONE_GIB ? alignment : ONE_GIB, ONE_GIB, out);
		atomic_store_explicit(&no_gigantic, rc < 0, memory_order_relaxed);
	}
	if (rc < 0)
		rc = na_os_map_hugetlb(length, alignment, TWO_MIB, out);
	if (rc == 0 && !na_map_covers((uintptr_t)*out, length)) {
		na_os.unmap(*out, length);
		rc = -1;
	}
	if (rc < 0 && !atomic_exchange_explicit(&told, true, memory_order_relaxed))
		na_log(NA_LOG_WARNING,
		       "no hugetlb pages for %zu MiB (error %d): transparent ones are asked for instead "
		       "(vm.nr_hugepages says how many are reserved)",
		       length >> 20, -rc);
	return rc;
}

void na_pages_advise_segment(void *base, size_t length)
{
	if (wanted() == NA_PAGES_TRANSPARENT)
		na_os.advise_huge(base, length);
}

void na_pages_advise_block(const struct na_pool *pool, void *base, size_t length, size_t mapped)
{
	if (wanted() == NA_PAGES_TRANSPARENT)
		na_os.advise_huge(base, mapped);
	else if (wanted() != NA_PAGES_ORDINARY && length > NA_RUN_MAX)
		na_os.advise_huge(base, atomic_load_explicit(&pool->huge_count, memory_order_relaxed) < MANY_MAPS
						? length & ~(TWO_MIB - 1)
						: mapped);
}
