/* SPDX-License-Identifier: BSD-3-Clause */
/* What raw.c (records, compressing), back.c (the thread that answers faults) and their fork handlers share. See raw.h. */
#ifndef NA_COMPRESSION_RAW_PARTS_H
#define NA_COMPRESSION_RAW_PARTS_H

#include <pthread.h>

#include "compression/raw.h"
#include "os/fault.h"
#include "os/lock.h"

/* LOST: the image was damaged; the pages are closed, so that nobody reads anything else there. */
enum na_raw_state { NA_RAW_HERE, NA_RAW_AWAY, NA_RAW_LOST };

/* Smaller than an image's: who waits for a page waits for its piece. The rest of its group comes after it. */
#define NA_RAW_PIECE ((size_t)8 << 10)
#define NA_RAW_GROUP ((size_t)64 << 10)

#define NA_RAW_BACKOFF 8 /* doublings of the age, at most */

struct na_raw_piece {
	void *payload; /* AWAY: its image; HERE: that of what it was when it came back, or NULL */
	struct na_code code;
	struct na_hash128 contents; /* of the image's original */
	uint32_t stamp;		    /* ms of the coarse clock: it was adopted, came back, or did not shrink */
	uint8_t state;
	uint8_t returns; /* times that it came back, or did not shrink: each doubles the age at which it goes */
};

struct na_raw_block {
	char *base;  /* first whole page */
	size_t size; /* whole pages */
	void *block;
	const struct na_pool *pool;
	struct na_plan plan;
	uint32_t pieces;
	bool hinted, planned, watched;
	struct na_raw_piece piece[];
};

#define NA_RAW_MOST 32768 /* records: each may cost two entries of vm.max_map_count */

struct na_raw {
	struct na_lock lock;	      /* all that follows but what says otherwise */
	_Atomic pthread_t owner;      /* who has the lock; relaxed: compared with oneself alone */
	struct na_raw_block **blocks; /* by address */
	size_t count;
	size_t hand; /* where the next slice begins */
	uint32_t hand_piece;
	struct na_raw_settings settings;
	struct na_faults faults;
	pthread_t thread;
	struct na_workspace *space;				    /* the thread's */
	_Atomic bool on;					    /* relaxed: a hint without the lock */
	_Atomic uint64_t faults_answered, waits, watched, explicit; /* relaxed */
};
extern struct na_raw na_raw;

void na_raw_lock(void);
void na_raw_unlock(void);
/* For who takes it again at once: whoever sleeps for the lock is woken, and would find it taken before he runs. relaxed: a hint. */
void na_raw_let_go(void);

/* Under the lock. */
size_t na_raw_place(uintptr_t at);		/* of the first record that ends behind it: up to na_raw.count */
struct na_raw_block *na_raw_find(uintptr_t at); /* whose pages contain it; NULL */
void na_raw_piece_range(const struct na_raw_block *b, uint32_t i, char **at, size_t *size);
/* Brings a piece back that is away; the page at `first` before the others, if it is not NULL. 0, -EBADMSG, -errno of the kernel. */
int na_raw_bring_back(struct na_raw_block *b, uint32_t i, struct na_workspace *w, const char *first);
void na_raw_drop_payload(struct na_raw_piece *piece);

/* back.c: opens, starts the thread; ends it. Not under the lock. */
int na_raw_open(void);
void na_raw_close(void);

#endif
