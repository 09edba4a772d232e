/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Chance, for sampling: a Poisson process over bytes, of which on average one in `mean` is hit. The gap to the next hit is
 * exponential and has no memory, so it may be drawn anew, or counted down in pieces, whenever it suits.
 *
 * Plain arithmetic, because it runs inside malloc and the core links no libm. The state is the caller's: one thread's,
 * or under its lock.
 */
#ifndef NA_BASE_CHANCE_H
#define NA_BASE_CHANCE_H

#include <stdint.h>

/* Uniform 64 bits; any start will do. */
uint64_t na_chance_next(uint64_t *state);

/* Bytes to the next hit, at least 1. */
int64_t na_chance_gap(uint64_t *state, uint64_t mean);

/* The chance that a block of `size` bytes is hit at least once: 1 - exp(-size / mean). */
double na_chance_of(uint64_t size, uint64_t mean);

#endif
