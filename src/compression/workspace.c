/* SPDX-License-Identifier: BSD-3-Clause */
#include "compression/workspace.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "os/lock.h"
#include "os/os.h"

#define MOST  8
#define BYTES ((sizeof(struct na_workspace) + NA_PAGE - 1) & ~(NA_PAGE - 1))

static struct {
	struct na_lock lock;
	struct na_workspace
		*_Atomic space; /* release, under the lock; acquire by who holds it: by relaxed loads a hint */
} table[MOST];
static _Atomic uint64_t bytes; /* relaxed: a statistic */

struct na_workspace *na_workspace_make(void)
{
	void *p;

	if (na_os.map(NULL, BYTES, &p) < 0)
		return NULL;
	atomic_fetch_add_explicit(&bytes, BYTES, memory_order_relaxed);
	return p;
}

void na_workspace_drop(struct na_workspace *w)
{
	if (w && na_os.unmap(w, BYTES) == 0)
		atomic_fetch_sub_explicit(&bytes, BYTES, memory_order_relaxed);
}

static struct na_workspace *space_of(int i)
{
	return atomic_load_explicit(&table[i].space, memory_order_acquire);
}

int na_workspace_start(void)
{
	struct na_workspace *w;

	if (space_of(0))
		return 0;
	w = na_workspace_make();
	if (!w)
		return -ENOMEM;
	memset(w->planes, 1, sizeof(w->planes)); /* what a restoration needs */
	memset(w->deltas, 1, NA_PARTS);
	na_lock(&table[0].lock);
	if (!space_of(0)) {
		atomic_store_explicit(&table[0].space, w, memory_order_release);
		w = NULL;
	}
	na_unlock(&table[0].lock);
	na_workspace_drop(w); /* another thread was first */
	return 0;
}

void na_workspace_stop(void)
{
	for (int i = 0; i < MOST; i++) {
		struct na_workspace *w;

		na_lock(&table[i].lock);
		w = atomic_exchange_explicit(&table[i].space, NULL, memory_order_acq_rel);
		na_unlock(&table[i].lock);
		na_workspace_drop(w);
	}
}

/* The caller holds the lock of entry i, which has none: mapping is not done under it. */
static struct na_workspace *fill(int i)
{
	struct na_workspace *w;

	na_unlock(&table[i].lock);
	w = na_workspace_make();
	na_lock(&table[i].lock);
	if (!space_of(i)) {
		atomic_store_explicit(&table[i].space, w, memory_order_release);
	} else {
		na_unlock(&table[i].lock);
		na_workspace_drop(w);
		na_lock(&table[i].lock);
	}
	return space_of(i);
}

struct na_workspace *na_workspace_take(void)
{
	static _Atomic uint32_t turn; /* relaxed: spreads those who wait */
	struct na_workspace *w;

	for (int i = 0; i < MOST; i++) {
		if (!na_trylock(&table[i].lock))
			continue;
		w = space_of(i);
		if (!w && i > 0)
			w = fill(i);
		if (w)
			return w;
		na_unlock(&table[i].lock);
		if (i > 0)
			break; /* no memory for more */
	}
	for (uint32_t i = atomic_fetch_add_explicit(&turn, 1, memory_order_relaxed);; i++) {
		int at = (int)(i % MOST);

		if (!space_of(at)) /* the first has one */
			continue;
		na_lock(&table[at].lock);
		w = space_of(at);
		if (w)
			return w;
		na_unlock(&table[at].lock);
	}
}

void na_workspace_give(struct na_workspace *w)
{
	for (int i = 0; i < MOST; i++)
		if (space_of(i) == w) {
			na_unlock(&table[i].lock);
			return;
		}
}

uint64_t na_workspace_bytes(void)
{
	return atomic_load_explicit(&bytes, memory_order_relaxed);
}

void na_workspace_before_fork(void)
{
	for (int i = 0; i < MOST; i++)
		na_lock(&table[i].lock);
}

void na_workspace_after_fork(bool child)
{
	for (int i = 0; i < MOST; i++)
		if (child)
			na_lock_reset(&table[i].lock);
		else
			na_unlock(&table[i].lock);
}
