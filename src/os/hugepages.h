/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which resident memory lies in huge pages, transparent or hugetlb, asked of the kernel: by PAGEMAP_SCAN (Linux 6.7 and later) for
 * a range, else by /proc/self/smaps for all mappings. No allocation; any thread; keeps errno.
 */
#ifndef NA_OS_HUGEPAGES_H
#define NA_OS_HUGEPAGES_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the range in huge pages, in *out. -errno where the kernel cannot tell (-ENOTTY before 6.7). */
int na_hugepages_in(uintptr_t base, size_t length, uint64_t *out);

/* Calls `found` for each mapping with huge pages, with their bytes. 0 or -errno. Time grows with the process: smaps walks all
 * its page tables. */
int na_hugepages_of_maps(void (*found)(uintptr_t start, uint64_t bytes, void *closure), void *closure);

/* Huge pages of 2 MiB and 1 GiB that the machine has reserved and not given out; UINT64_MAX where it has no such size. */
uint64_t na_hugepages_free(size_t page);

/* The kernel's mode of transparent huge pages, "always", "madvise" or "never"; "unavailable" without them. */
const char *na_hugepages_mode(void);

#endif
