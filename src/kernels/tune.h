/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tuning on the real call. A cell is what is known of one loop over one kind of data: the loop's name, how far its data range, how
 * they are spread, on which pages. There is a fixed table of cells; what does not fit runs plain.
 *
 *   PLAIN    three chunks without prefetching give the time an element takes; latency / that is the first distance
 *   TRY      {none, half, one, two, four times} it (of lists: 1, 8, 16, 32 at once), five rounds of a chunk each, in turn
 *   SETTLED  the one of the best median, if that is more than 3 % better than none and it won four rounds of five. If the
 *            farthest is best, TRY again from there. Afterwards one chunk of a run is timed: six in a row that are off by 30 %
 *            begin anew, after twice as many runs each time. One run in sixteen compares a chunk without and a chunk with
 *            prefetching (the best there was, if none is in force): what loses four of five begins anew.
 *
 * Who may touch what: `key` is claimed by compare-exchange and never changes but by na_tune_reset(); `settled` is what runs read;
 * all else of a cell is under its lock, which is only ever tried: a chunk whose lock is taken is not counted. Locks are held for a few
 * hundred instructions, over no call of the system. Nothing allocates. Any thread, outside of malloc and free.
 *
 * Cost of a run: judging by 32 addresses and finding the cell, about 100 ns, once for 4096 elements or more; 25 ns and a tried lock a
 * chunk, of which a settled run has at most three.
 */
#ifndef NA_KERNELS_TUNE_H
#define NA_KERNELS_TUNE_H

#include <numarena/indexed.h>
#include <stdatomic.h>

#include "os/lock.h"

#define NA_TUNE_CELLS	  512
#define NA_TUNE_STORED	  256 /* of them, at most, from the file: loops that are new shall find room */
#define NA_TUNE_VARIANTS  5
#define NA_TUNE_ROUNDS	  5
#define NA_TUNE_FARTHEST  1024 /* elements */
#define NA_TUNE_WIDEST	  32   /* lists at once */
#define NA_TUNE_MOST_GAIN 1000000
#define NA_TUNE_GAIN	  103 /* percent of the plain loop's speed that a variant must exceed */
#define NA_TUNE_NAME	  64

enum na_tune_phase { NA_TUNE_PLAIN, NA_TUNE_TRY, NA_TUNE_SETTLED };
enum na_tune_kind { NA_TUNE_DISTANCE, NA_TUNE_GROUP };

struct na_cell {
	_Atomic uint64_t key; /* 0: free; na_tune_find()'s exchange releases nothing: what follows is under the lock */
	_Atomic uint32_t settled; /* the value in force + 1; 0: not settled. Relaxed: a number that stands for itself */
	_Atomic uint32_t briefs;  /* settled runs of a chunk or two; relaxed, may lose some */
	struct na_lock lock;
	/* Under the lock. */
	enum na_tune_kind kind;
	enum na_tune_phase phase;
	uint32_t epoch; /* of tunings: what was drawn before does not count */
	uint32_t next;	/* the slot that is handed out next */
	uint32_t moved; /* how often the search went on from its farthest */
	uint32_t value[NA_TUNE_VARIANTS];
	uint32_t ps[NA_TUNE_VARIANTS][NA_TUNE_ROUNDS]; /* an element; 0: not there yet */
	uint32_t chosen_ps;			       /* as measured by TRY; 0: from the file */
	uint32_t gain;				       /* percent; 0: not known */
	uint32_t usual_ps;			       /* running mean of settled runs; 0: none yet */
	uint32_t runs, strikes, retuned;
	uint32_t rival; /* the best that prefetches; 0: not known */
	uint32_t duel_plain_ps, duels, lost;
	uint32_t footprint; /* log2 */
	bool stored;
	char name[NA_TUNE_NAME];
};

/* What a loop's addresses tell, by samples. */
struct na_tune_judged {
	uint32_t footprint; /* log2 of the bytes between the lowest and the highest, rounded up */
	uint32_t spread;    /* of neighbours: 0 within a line, to 5 beyond 16 MiB */
	uint32_t pages;	    /* 0 not ours, 1 ordinary, 2 huge */
	bool sequential;    /* of a block with that hint */
};

void na_tune_judge(const void *const *probe, struct na_tune_judged *out);

/* The table: one cell a key. find makes one if there is room; NULL if not, or somebody else is making one. */
struct na_cell *na_tune_find(uint64_t key, const char *name, const struct na_tune_judged *what, enum na_tune_kind kind);
struct na_cell *na_tune_cell(size_t i);
bool na_tune_known(uint64_t key);

/* A value from elsewhere, in force until it is found wanting. */
struct na_tune_stored {
	uint64_t key;
	enum na_tune_kind kind;
	uint32_t footprint, value, gain;
};

/* Whether a value that was found elsewhere can be: a file may be damaged, and so may what processes share. */
static inline bool na_tune_possible(const struct na_tune_stored *s)
{
	return s->gain <= NA_TUNE_MOST_GAIN &&
	       (s->kind == NA_TUNE_GROUP ? s->value > 0 && s->value <= NA_TUNE_WIDEST : s->value <= NA_TUNE_FARTHEST);
}

/* What was found elsewhere is in force. Under the cell's lock. */
void na_tune_take(struct na_cell *cell, const struct na_tune_stored *stored);

/* false if the table is full, or the key there already. */
bool na_tune_adopt(const struct na_tune_stored *stored, const char *name);

/*
 * The processes of a job on this node find out once. Who meets a loop first claims it and renews that with each run; the others run it plain
 * until it has told, or has not renewed its claim for two seconds. What has drifted is found out anew by each for itself. Under the cell's lock.
 */
enum na_tune_turn { NA_TUNE_OURS, NA_TUNE_THEIRS, NA_TUNE_FOUND };
enum na_tune_turn na_tune_shared_turn(const struct na_cell *cell, struct na_tune_stored *out);
void na_tune_shared_publish(const struct na_cell *cell, uint32_t value);
void na_tune_shared_leave(void); /* from now on this process is alone */

/* The board, or NULL; and who this process is, 0 until it has asked. Tests replace both. */
extern void *(*na_tune_board)(void);
extern _Atomic uint32_t na_tune_process;

/* What the clock is: tests replace it. Nanoseconds. */
extern uint64_t (*na_tune_clock)(void);

/* Whether a loop has ever had a cell: until then there is nothing to do at exit, in a tick, in a forked child. Relaxed: who forks or exits
 * after its own loop sees it. */
extern _Atomic bool na_tune_begun;

/* Calls tune_file.c when a loop is met for the first time, and when one has settled. */
void na_tune_begin(kernel_run_t *run, kernel_site_t *site, const void *const *probe, enum na_tune_kind kind);
void na_tune_next(kernel_run_t *run, size_t position);

void na_tune_reset(void);
void na_tune_after_fork(void); /* in the child, where nobody else is left */

#endif
