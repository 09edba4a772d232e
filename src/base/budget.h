/* SPDX-License-Identifier: BSD-3-Clause */
/* How many bytes a slice of defragmentation may move, of whatever kind. One thread's. */
#ifndef NA_BASE_BUDGET_H
#define NA_BASE_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

/* Bytes that a slice may move (max_move_size), and those that are left of them in this one. */
struct na_move_budget {
	uint64_t most, left;
};

/* Whether so much may be moved now. What is larger than a whole budget is moved by itself, or it would never be. */
static inline bool na_budget_has(const struct na_move_budget *b, uint64_t bytes)
{
	return bytes <= b->left || b->left == b->most;
}

static inline void na_budget_spend(struct na_move_budget *b, uint64_t bytes)
{
	b->left -= bytes < b->left ? bytes : b->left;
}

#endif
