/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The thread that answers page faults in watched ranges, and what fork does to it.
 *
 * A child has the images and the pages that are missing, but neither the watch nor the thread: it gets both anew, in the
 * handler that runs before anything else of the child's; where the kernel does not let it, all comes back at once.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/log.h"
#include "compression/raw_parts.h"
#include "heap/pressure.h"
#include "os/os.h"
#include "pool/away.h"
#include "pool/pool.h"

#define STACK_BYTES ((size_t)128 << 10)
#define BATCH	    16
#define ROOM	    (4 * NA_RAW_GROUP)

static uint32_t now_ms(void)
{
	return (uint32_t)na_os_coarse_ms();
}

/* What cannot be had back must not be read either. */
static int lose(struct na_raw_block *b, uint32_t i, char *at, size_t size)
{
	b->piece[i].state = NA_RAW_LOST;
	na_image_report(b->block, b->size);
	na_os.protect(at, size, false);
	na_os.fault_wake(&na_raw.faults, at, size);
	return -EBADMSG;
}

static int fill(char *at, size_t size, const uint8_t *from, const char *first)
{
	int rc = 0;

	if (first)
		rc = na_os.fault_copy(&na_raw.faults, (void *)(uintptr_t)first, from + (first - at), NA_PAGE);
	return rc ? rc : na_os.fault_copy(&na_raw.faults, at, from, size); /* passes by the one that is there */
}

int na_raw_bring_back(struct na_raw_block *b, uint32_t i, struct na_workspace *w, const char *first)
{
	struct na_raw_piece *piece = &b->piece[i];
	uint64_t began = na_os_now_ns();
	char *at;
	size_t size;
	int rc;

	na_raw_piece_range(b, i, &at, &size);
	if (piece->code.original != size || na_piece_restore(w, &piece->code, piece->payload, w->piece) < 0)
		return lose(b, i, at, size);
	rc = fill(at, size, w->piece, first);
	if (rc < 0)
		return rc;
	na_image_count_restored(1, na_os_now_ns() - began);
	na_image_count(0, -(int64_t)size, 0);
	piece->state = NA_RAW_HERE;
	piece->stamp = now_ms();
	piece->returns += piece->returns < NA_RAW_BACKOFF;
	atomic_fetch_add_explicit(&na_pool_held, size, memory_order_relaxed);
	atomic_fetch_sub_explicit(&na_away.bytes, size, memory_order_relaxed);
	if (!na_raw.settings.cache)
		na_raw_drop_payload(piece);
	return 0;
}

/* A page that is not there, of a piece that never went: it was never touched. */
static void give_zeros(char *page)
{
	if (na_os.fault_zero(&na_raw.faults, page, NA_PAGE) == -EEXIST) {
		na_os.fault_wake(&na_raw.faults, page, NA_PAGE);
		atomic_fetch_add_explicit(&na_raw.waits, 1, memory_order_relaxed);
	}
}

/* Who asked runs already; the others of its group are probably next. What they meet is theirs to tell. */
static void bring_neighbours_back(struct na_raw_block *b, uint32_t asked)
{
	uint32_t each = NA_RAW_GROUP / NA_RAW_PIECE, first = asked / each * each;

	for (uint32_t i = first; i < first + each && i < b->pieces; i++)
		if (b->piece[i].state == NA_RAW_AWAY && na_raw_bring_back(b, i, na_raw.space, NULL) < 0)
			return;
}

static void answer(const struct na_fault *fault)
{
	char *page = (char *)fault->at, *at;
	struct na_raw_block *b;
	uint32_t i;
	size_t size;
	int rc = 0;

	na_raw_lock();
	b = na_raw_find(fault->at);
	i = b ? (uint32_t)((size_t)(page - b->base) / NA_RAW_PIECE) : 0;
	if (!b || b->piece[i].state == NA_RAW_LOST) {
		na_os.fault_wake(&na_raw.faults, page, NA_PAGE);
	} else if (b->piece[i].state == NA_RAW_AWAY) {
		rc = na_raw_bring_back(b, i, na_raw.space, page);
		if (rc == 0)
			bring_neighbours_back(b, i);
	} else if (fault->protected) {
		na_raw_piece_range(b, i, &at, &size);
		na_os.fault_protect(&na_raw.faults, at, size, false);
	} else {
		give_zeros(page);
	}
	atomic_fetch_add_explicit(&na_raw.faults_answered, 1, memory_order_relaxed);
	na_raw_unlock();
	if (rc < 0 && rc != -EBADMSG) { /* no memory, for now: whoever waits asks again, after we have made some */
		na_raw_make_room(ROOM);
		na_os.fault_wake(&na_raw.faults, page, NA_PAGE);
	}
}

/* Past a cgroup's limit comes the OOM killer and no error, so others go first. */
static void keep_room(size_t faults)
{
	uint64_t more = faults * NA_RAW_GROUP, counted = na_pool_counted(), limit = na_pool_ask_limit();

	na_pressure_check(more);
	if (na_pressure_high() || (limit > 2 * ROOM && counted + more > limit - 2 * ROOM))
		na_raw_make_room(2 * more);
}

static void *serve(void *unused)
{
	struct na_fault faults[BATCH];
	int n;

	(void)unused;
	while ((n = na_os.fault_read(&na_raw.faults, faults, BATCH)) != -ECANCELED) {
		if (n > 0)
			keep_room((size_t)n);
		for (int i = 0; i < n; i++)
			answer(&faults[i]);
	}
	na_cache_leave();
	return NULL;
}

static int start_thread(void)
{
	sigset_t every, before;
	pthread_attr_t attributes;
	int rc;

	sigfillset(&every);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	pthread_sigmask(SIG_BLOCK, &every, &before);
	rc = pthread_create(&na_raw.thread, &attributes, serve, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	if (rc == 0)
		pthread_setname_np(na_raw.thread, "numarena-faults");
	return -rc;
}

int na_raw_open(void)
{
	int rc;

	if (!na_raw.space)
		na_raw.space = na_workspace_make();
	if (!na_raw.space)
		return -ENOMEM;
	memset(na_raw.space->planes, 1, sizeof(na_raw.space->planes)); /* there before memory is short */
	memset(na_raw.space->deltas, 1, NA_PARTS);
	memset(na_raw.space->piece, 1, sizeof(na_raw.space->piece));
	rc = na_os.fault_open(&na_raw.faults);
	if (rc < 0)
		return rc;
	rc = start_thread();
	if (rc < 0)
		na_fault_close(&na_raw.faults);
	return rc;
}

void na_raw_close(void)
{
	na_fault_stop(&na_raw.faults);
	pthread_join(na_raw.thread, NULL);
	na_fault_close(&na_raw.faults);
	na_workspace_drop(na_raw.space);
	na_raw.space = NULL;
}

void na_raw_before_fork(void)
{
	na_raw_lock();
}

/* The child's only thread: pages are written as any others. */
static void copy_back(struct na_raw_block *b, struct na_workspace *w)
{
	for (uint32_t i = 0; i < b->pieces; i++) {
		struct na_raw_piece *piece = &b->piece[i];
		char *at;
		size_t size;

		if (piece->state != NA_RAW_AWAY)
			continue;
		na_raw_piece_range(b, i, &at, &size);
		if (piece->code.original != size || na_piece_restore(w, &piece->code, piece->payload, at) < 0) {
			piece->state = NA_RAW_LOST;
			na_image_report(b->block, b->size);
			na_os.protect(at, size, false);
			continue;
		}
		piece->state = NA_RAW_HERE;
		na_image_count(0, -(int64_t)size, 0);
		atomic_fetch_add_explicit(&na_pool_held, size, memory_order_relaxed);
		atomic_fetch_sub_explicit(&na_away.bytes, size, memory_order_relaxed);
	}
}

static int watch_again(void)
{
	int rc = na_os.fault_open(&na_raw.faults);

	for (size_t n = 0; rc == 0 && n < na_raw.count; n++)
		if (na_raw.blocks[n]->watched)
			rc = na_os.fault_watch(&na_raw.faults, na_raw.blocks[n]->base, na_raw.blocks[n]->size);
	return rc ? rc : start_thread();
}

static void go_on_in_child(void)
{
	struct na_faults parents = na_raw.faults;
	int rc;

	na_fault_close(&parents);
	rc = watch_again();
	if (rc == 0)
		return;
	na_log(NA_LOG_INFO, "a forked child cannot answer page faults (error %d): what was compressed comes back", -rc);
	if (na_raw.faults.fd != parents.fd && na_raw.faults.fd >= 0)
		na_fault_close(&na_raw.faults); /* and with it the watch */
	atomic_store_explicit(&na_raw.on, false, memory_order_relaxed);
	for (size_t n = 0; n < na_raw.count; n++)
		copy_back(na_raw.blocks[n], na_raw.space);
}

void na_raw_after_fork(bool child)
{
	if (!child) {
		na_raw_unlock();
		return;
	}
	na_lock_reset(&na_raw.lock);
	if (atomic_load_explicit(&na_raw.on, memory_order_relaxed))
		go_on_in_child();
}
