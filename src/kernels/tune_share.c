/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the processes of a node tell each other while they tune; see tune.h. A table on the board that they share (topology/board.h): a loop has
 * the slot of its key, and in it one word that says how far ahead, or who is finding out. Both are numbers that stand for themselves, so that
 * all is relaxed, and nobody ever waits for anybody: a claim that is not renewed for CLAIM_MS is void.
 */
#include <unistd.h>

#include "kernels/tune.h"
#include "topology/topology.h"

#define SLOTS	 (NA_TOPOLOGY_BOARD / sizeof(struct slot))
#define PROBES	 16
#define CLAIM_MS 2000
#define PRESENT	 ((uint64_t)1 << 63)
#define TIME	 ((uint64_t)1 << 40) /* of a claim: milliseconds below, the process above */

struct slot {
	_Atomic uint64_t key;	/* 0: free. By compare-exchange, once */
	_Atomic uint64_t found; /* PRESENT, kind, gain, value */
	_Atomic uint64_t claim; /* 0: nobody */
	uint64_t spare;
};

void *(*na_tune_board)(void) = na_topology_board;
_Atomic uint32_t na_tune_process;
static _Atomic bool left;

static struct slot *slot_of(uint64_t key)
{
	struct slot *slots = atomic_load_explicit(&left, memory_order_relaxed) ? NULL : na_tune_board();

	for (size_t i = 0; slots && i < PROBES; i++) {
		struct slot *slot = &slots[(key / 2 + i) % SLOTS];
		uint64_t there = 0;

		if (atomic_compare_exchange_strong_explicit(&slot->key, &there, key, memory_order_relaxed,
							    memory_order_relaxed) ||
		    there == key)
			return slot;
	}
	return NULL;
}

void na_tune_shared_publish(const struct na_cell *cell, uint32_t value)
{
	struct slot *slot = slot_of(atomic_load_explicit(&cell->key, memory_order_relaxed));
	uint64_t gain = cell->gain < NA_TUNE_MOST_GAIN ? cell->gain : NA_TUNE_MOST_GAIN;

	if (!slot)
		return;
	atomic_store_explicit(&slot->found, PRESENT | (uint64_t)cell->kind << 62 | gain << 16 | (value & 0xffff),
			      memory_order_relaxed);
	atomic_store_explicit(&slot->claim, 0, memory_order_relaxed);
}

/* What another has found; false: nothing, or nothing that can be. */
static bool look(const struct slot *slot, const struct na_cell *cell, struct na_tune_stored *out)
{
	uint64_t found = atomic_load_explicit(&slot->found, memory_order_relaxed);

	out->kind = (enum na_tune_kind)(found >> 62 & 1);
	out->gain = (uint32_t)(found >> 16);
	out->value = (uint32_t)(found & 0xffff);
	return (found & PRESENT) && out->kind == cell->kind && na_tune_possible(out);
}

/* Whether it is for this process to find out: nobody does, or has stopped doing so. */
static bool claim(struct slot *slot)
{
	uint32_t self = atomic_load_explicit(&na_tune_process, memory_order_relaxed);
	uint64_t now = na_tune_clock() / 1000000 % TIME, was = atomic_load_explicit(&slot->claim, memory_order_relaxed);

	if (self == 0) {
		self = (uint32_t)getpid() & 0xffffff;
		atomic_store_explicit(&na_tune_process, self, memory_order_relaxed);
	}
	if (was && was / TIME != self && now - was % TIME + CLAIM_MS < 2 * CLAIM_MS)
		return false;
	return atomic_compare_exchange_strong_explicit(&slot->claim, &was, self * TIME + now, memory_order_relaxed,
						       memory_order_relaxed);
}

void na_tune_shared_leave(void)
{
	atomic_store_explicit(&left, true, memory_order_relaxed);
}

enum na_tune_turn na_tune_shared_turn(const struct na_cell *cell, struct na_tune_stored *out)
{
	struct slot *slot = slot_of(atomic_load_explicit(&cell->key, memory_order_relaxed));

	if (!slot)
		return NA_TUNE_OURS;
	if (look(slot, cell, out))
		return NA_TUNE_FOUND;
	return claim(slot) ? NA_TUNE_OURS : NA_TUNE_THEIRS;
}
