/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames: pages of a node's memory file, which merged spans share (cache/merge.h). A node has one file, made at the first merge, whose memory is
 * bound to the node by a policy of the file's own: it survives every remapping.
 *
 * Places in the file are given out once, from its start on, in the order in which they are asked for, so that frames taken one after the other are
 * neighbours; what is given back is a hole, which costs nothing. A file has 2^51 pages.
 *
 * One caller at a time (who holds na_merging_lock of heap/merging.h); no other lock of the heap held.
 */
#ifndef NA_POOL_FRAMES_H
#define NA_POOL_FRAMES_H

#include <stddef.h>
#include <stdint.h>

#include "pool/pool.h"

/* Where `bytes` (of whole pages) with these contents are now: in the file of the pool's node, *at. 0 or -errno. */
int na_frames_write(const struct na_pool *pool, const void *contents, size_t bytes, uint64_t *at);
/* So that the next na_frames_write() of so many bytes makes no call but to write. 0 or -errno. */
int na_frames_ready(const struct na_pool *pool, size_t bytes);
/* What is there. 0 or -errno. */
int na_frames_read(const struct na_pool *pool, void *to, size_t bytes, uint64_t at);
/* That part of the file in place of the pages at `to`; on failure these are as they were. */
int na_frames_map(const struct na_pool *pool, uint64_t at, size_t bytes, void *to);
/* The same where no thread may write just now: os/hold.h. */
int na_frames_switch(const struct na_pool *pool, uint64_t at, size_t bytes, void *to);
/* The memory goes back. Nobody maps it any more, or who does shall find zeros. */
int na_frames_punch(const struct na_pool *pool, uint64_t at, size_t bytes);
/* Private zeroed memory of the pool's node in place of the pages at `at`. */
int na_frames_unmap(const struct na_pool *pool, void *at, size_t bytes);
/* In a forked child: the parent's files are none of ours. */
void na_frames_forget(void);

#endif
