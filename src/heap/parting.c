/* SPDX-License-Identifier: BSD-3-Clause */
/* See parting.h. */
#include "heap/parting.h"

#include <stdlib.h>

#include "base/log.h"
#include "cache/merge.h"
#include "heap/concurrent.h"
#include "heap/heap.h"
#include "heap/merging.h"
#include "heap/named.h"
#include "os/memfile.h"
#include "os/os.h"
#include "pool/frames.h"

struct ends {
	struct na_memfile end[2];
	bool open;
};

/* Under na_merging_lock. */
static struct ends gate;  /* of the fork under way */
static struct ends spare; /* for one when there are no descriptors */

static bool merged(void)
{
	return __atomic_load_n(&na_merge_figures.mapped_bytes, __ATOMIC_RELAXED) != 0;
}

static void close_end(const struct ends *e, int i)
{
	if (e->open)
		na_os.file_close(&e->end[i]);
}

static bool is_ours(const struct ends *e)
{
	return e->open && na_memfile_is_ours(&e->end[0]) && na_memfile_is_ours(&e->end[1]);
}

int na_parting_prepare(void)
{
	int rc = 0;

	if (!is_ours(&spare)) {
		rc = na_os.pipe_make(spare.end);
		spare.open = rc == 0;
	}
	return rc;
}

void na_parting_before_fork(void)
{
	int rc;

	na_lock(&na_merging_lock);
	gate.open = false;
	if (!merged())
		return;
	rc = na_os.pipe_make(gate.end);
	gate.open = rc == 0;
	if (gate.open)
		return;
	if (is_ours(&spare)) {
		gate = spare;
		spare.open = false;
		return;
	}
	na_log(NA_LOG_WARNING,
	       "fork: no pipe (error %d), and the one kept for it was closed: the child may see what this process "
	       "writes "
	       "to merged memory before its own copies are made",
	       -rc);
}

static void wait_for_child(void)
{
	close_end(&gate, 1);
	if (gate.open)
		na_memfile_wait(&gate.end[0]);
	close_end(&gate, 0);
	gate.open = false;
	if (merged())
		na_parting_prepare(); /* the spare one's numbers are free again; if not, the next pass or fork asks again */
}

/* There are no other threads, and no locks held. */
static void part_cache(struct na_cache *c)
{
	int rc = c ? na_merge_part(c) : 0;

	if (rc == 0)
		return;
	/* It would write into the parent's memory. */
	na_log(NA_LOG_ERROR, "fork: no memory for the child's copies of merged pages (error %d): the child ends here",
	       -rc);
	abort();
}

static uint64_t part_pool(struct na_pool *pool, void *unused)
{
	struct na_named *n = na_named_of(pool);

	(void)unused;
	for (uint32_t i = 0; i < n->caches; i++)
		part_cache(na_named_cache(n, i));
	return 0;
}

static void part_all(void)
{
	na_named_each(part_pool, NULL);
	for (struct na_cache *c = na_cache_first(); c; c = c->next_all)
		part_cache(c);
}

void na_parting_after_fork(bool child)
{
	if (!child) {
		wait_for_child();
		na_unlock(&na_merging_lock);
		return;
	}
	na_lock_reset(&na_merging_lock);
	/* The parent's, and while we have its writing end the parent would not hear of another child's end. */
	close_end(&spare, 0);
	close_end(&spare, 1);
	spare.open = false;
	if (merged())
		part_all();
	na_frames_forget();
	na_concurrent_forget();
	/* A byte, for a process that was cloned without handlers may have the writing end as well; while ours can read it, it is no signal if the
	 * parent is gone. */
	if (gate.open)
		na_memfile_tell(&gate.end[1]);
	close_end(&gate, 0);
	close_end(&gate, 1);
	gate.open = false;
}
