/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How far ahead loops prefetch, and how large a cache line is: two exported words that inline functions of numarena/cache.h read. They
 * follow the settings; the derived distance covers the memory's latency (os/chase.h), which is measured when a program
 * configures caches or numarena-info asks: never in malloc or at the start.
 *
 * na_prefetch_follow() is called under api/'s configuration lock, or at boot. The words are stored and read relaxed.
 */
#ifndef NA_HINTS_PREFETCH_H
#define NA_HINTS_PREFETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern size_t na_prefetch_distance __asm__("numarena_prefetch_distance") __attribute__((visibility("default")));
extern size_t na_cache_line __asm__("numarena_cache_line_size") __attribute__((visibility("default")));

/* Sets both words by the settings in force; asks the processor and measures only if `ask`. */
void na_prefetch_follow(bool ask);

/* The formula: elements of 8 bytes. */
size_t na_prefetch_derive(uint32_t latency_ns, uint64_t reach_percent, size_t line);

#endif
