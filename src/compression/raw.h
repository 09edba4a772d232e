/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Transparent compression of raw blocks: their pages go, and come back when somebody touches them, by a load, a store or a system call.
 * doc/design/compression.md has the states and why they are sound; in short:
 *
 *  - A block that may be compressed (large, hinted LIFETIME_LONG and PRIORITY_LOW, or asked for by compress_memory()) has a record with
 *    a word on each piece of 8 KiB. Its range is watched through userfaultfd.
 *  - Away: the piece is write-protected, so that writers wait; compressed; its pages are dropped. Who touches it waits for
 *  - back: a thread of ours, which restores the whole piece, the page that was asked for first, and then the other pieces of its 64 KiB.
 *
 * One lock for all of it, held for one piece at a time (0.2 ms to compress, 20 us to restore), also over the system calls that take
 * pages away: no thread that frees takes it unless the block may be one of these. It is outside of all locks of the heap, and of a workspace's. The
 * thread that answers faults never calls malloc, and never touches memory that is watched.
 *
 * Any thread may call what is here, holding no lock.
 */
#ifndef NA_COMPRESSION_RAW_H
#define NA_COMPRESSION_RAW_H

#include "compression/image.h"

struct na_raw_settings {
	struct na_effort effort;
	size_t min_size;
	uint32_t age_ms; /* since it was allocated, or came back */
	bool cache;	 /* keep the image of what came back, so that it may go again without work if it is unchanged */
};

/* 0; -errno of the kernel's refusal, or of the thread. Repeated: takes over the settings. */
int na_raw_start(const struct na_raw_settings *settings);
/* Everything comes back. 0; -ENOMEM: some could not, and all goes on. */
int na_raw_stop(void);
bool na_raw_runs(void);

/* A block from now on may be compressed when it has aged; the calling thread just got it. Those that are too small, or of hugetlb pages, are passed by. */
void na_raw_adopt(void *block);

/* Now: 0 and the bytes whose pages went; -EINVAL: not a live block; -ENOTSUP: too small, of a named pool or of hugetlb pages;
 * -EPERM: not granted by the kernel; -ENODATA: it does not shrink; -ENOMEM. */
int na_raw_compress(void *block, uint64_t *bytes);
/* All pages of it are back on return. 0; -EINVAL; -EBADMSG: some is lost. */
int na_raw_touch(void *block);

/* Compresses what has aged, until the deadline. Bytes that went. */
uint64_t na_raw_slice(uint64_t now_ns, uint64_t deadline_ns);
/* Compresses the oldest until so many bytes went, or nothing is left. */
uint64_t na_raw_make_room(uint64_t bytes);

/* Looks at the images of all blocks, 64 pieces at a time under the lock; how many pieces' are damaged. `tell` gets a sentence for each. */
size_t na_raw_check(void (*tell)(const char *text, void *closure), void *closure);

struct na_raw_figures {
	uint64_t blocks, watched; /* records, and their bytes */
	uint64_t away;		  /* bytes */
	uint64_t faults, waits;	  /* answered; of those, for a piece that was there again (another thread was first) */
};
void na_raw_figures(struct na_raw_figures *out);

void na_raw_before_fork(void);
void na_raw_after_fork(bool child);

#endif
