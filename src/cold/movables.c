/* SPDX-License-Identifier: BSD-3-Clause */
#include "cold/movables.h"

#include <errno.h>

#include "cold/kept.h"
#include "movable/movable.h"
#include "os/os.h"

#define BATCH	      16  /* blocks for a barrier */
#define LOOK	      512 /* entries at a time */
#define VAIN_AGES     8	  /* a block that did not shrink is left alone for so many ages */
#define NS_OF_AGE(ms) ((uint64_t)(ms)*1000000)

static struct na_cold_settings settings; /* words that are read relaxed: a slice goes by the old or the new */
static uint64_t cursor;			 /* the mover's lock */
#define PACE_LEAST 64			 /* or it could not rise again */
static uint64_t pace = 1024;		 /* the mover's lock: ns a KiB takes, a running mean */

static size_t least_size(void)
{
	return __atomic_load_n(&settings.min_size, __ATOMIC_RELAXED);
}

static bool cached(void)
{
	return __atomic_load_n(&settings.cache, __ATOMIC_RELAXED);
}

/* On the thread that pins. */
static int restore(memory_handle_t handle, uint64_t image, void *to, size_t size)
{
	struct na_image *from = (struct na_image *)image;
	int rc = from->size == size ? na_image_restore(from, to) : -EBADMSG;

	if (rc < 0)
		return rc;
	if (cached())
		na_kept_put(handle, from);
	else
		na_image_drop(from);
	return 0;
}

static bool whole(memory_handle_t handle, uint64_t image, size_t size)
{
	const struct na_image *from = (const struct na_image *)image;
	struct na_block b;

	(void)handle;
	/* The entry itself may be what is damaged: is there an image at all? */
	if (!na_heap_find(from, &b) || !b.live || b.start != (uintptr_t)from || !na_image_owns(b.pool) ||
	    b.size < sizeof(*from))
		return false;
	return na_image_check(from) == 0 && from->size == size;
}

static void discard(memory_handle_t handle, uint64_t image, size_t size)
{
	(void)handle;
	(void)size;
	na_image_drop((struct na_image *)image);
}

static void forget(memory_handle_t handle)
{
	na_kept_forget(handle);
}

static void pushed(uint64_t handle)
{
	na_movable_note(handle, false);
}

void na_cold_movables_start(const struct na_cold_settings *wanted)
{
	settings = *wanted;
	na_kept_pushed = pushed;
	na_movable_hooks = (struct na_movable_hooks){ restore, whole, discard, forget };
}

static bool go_on(void *block)
{
	return na_movable_breathe(block);
}

/* The image from which it came back, if it is unchanged since; else a new one. Large blocks with breath: -EAGAIN, somebody wanted it meanwhile. */
static int image_of(struct na_movable_block *b, bool may_breathe, struct na_image **out)
{
	const struct na_breath at_parts = { go_on, b }, *breath = may_breathe ? &at_parts : NULL;
	struct na_image *image = na_kept_take(b->handle);
	int rc = image ? na_image_is_of(image, b->at, b->size, breath) : 0;

	/* What it is kept as must not have been damaged meanwhile: the block's bytes are about to go. */
	if (rc == 1 && na_image_check(image) == 0) {
		na_image_count_unchanged(image->pieces);
		*out = image;
		return 0;
	}
	na_image_drop(image);
	if (rc < 0)
		return rc;
	rc = na_image_make(na_segment_of(b->at)->pool, b->at, b->size, &settings.effort, breath, out);
	if (rc == -ENODATA)
		na_kept_put_vain(b->handle, na_os_now_ns() + VAIN_AGES * NS_OF_AGE(settings.age_ms));
	return rc;
}

/* One that was taken, and may have been lost while another had breath. Under the mover's lock. */
static int compress(struct na_movable_block *b, bool breath)
{
	struct na_image *image;
	int rc = na_movable_is_taken(b) ? image_of(b, breath, &image) : -EAGAIN;

	if (rc < 0) {
		na_movable_give_back(b);
		return rc;
	}
	rc = na_movable_publish_image(b, (uint64_t)image, cached());
	if (rc < 0)
		na_image_drop(image);
	return rc;
}

/* Blocks that are taken at once, for one barrier; `from`: the cursor before each. */
struct batch {
	struct na_movable_block blocks[BATCH];
	uint64_t from[BATCH], tried; /* bytes */
	size_t n;
};

/* Those that probably end in time, the first in any case; the others are given back, and are next. */
static uint64_t compress_taken(struct batch *t, uint64_t until_ns, bool breath, bool *round)
{
	uint64_t bytes = 0;
	bool over = false;
	int rc = 0;

	t->tried = 0;
	if (t->n == 0 || na_movable_take(t->blocks, t->n) <= 0)
		return 0;
	for (size_t i = 0; i < t->n; i++) {
		if (!over && t->tried && na_os_now_ns() + t->blocks[i].size * pace / 1024 > until_ns) {
			over = true;
			cursor = t->from[i];
			*round = false;
		}
		if (!t->blocks[i].at)
			continue;
		if (over || rc == -ENOMEM) {
			na_movable_give_back(&t->blocks[i]);
			continue;
		}
		rc = compress(&t->blocks[i], breath);
		bytes += rc == 0 ? t->blocks[i].size : 0;
		t->tried += t->blocks[i].size;
	}
	return bytes;
}

/* Cold blocks, from the cursor on, that will probably be compressed in so many ns; at least one. */
static void gather(struct batch *t, uint8_t age, uint64_t ns, bool *round)
{
	uint64_t now = na_os_now_ns(), bytes = 0;

	for (t->n = 0; t->n < BATCH;) {
		struct na_movable_block *next = &t->blocks[t->n];
		int rc;

		t->from[t->n] = cursor;
		rc = na_movable_next_cold(&cursor, LOOK, age, least_size(), next);
		*round = rc == -ENOENT;
		if (rc <= 0)
			break;
		if (na_kept_is_vain(next->handle, now))
			continue;
		bytes += next->size;
		if (t->n && bytes * pace / 1024 > ns) {
			cursor = t->from[t->n];
			break;
		}
		t->n++;
	}
}

/* One in which the thread was kept waiting does not count for all that it took. */
static void learn(uint64_t sample)
{
	uint64_t most = 4 * pace;

	pace += (sample < most ? sample : most) / 8 - pace / 8;
	pace = pace < PACE_LEAST ? PACE_LEAST : pace;
}

/* The mover's lock is held for a slice at a time, or, of a large block, until it breathes. */
uint64_t na_cold_movables_slice(uint8_t age, uint64_t deadline_ns, bool breath, bool *round)
{
	uint64_t bytes = 0, began = na_os_now_ns(), now;
	struct batch t;

	*round = !na_movable_has_begun(); /* over nothing */
	for (; !*round && began < deadline_ns; began = now) {
		uint64_t hold = deadline_ns - began < NA_IMAGE_SLICE_NS ? deadline_ns - began : NA_IMAGE_SLICE_NS;

		if (!na_movable_trylock())
			break;
		gather(&t, age, hold, round);
		bytes += compress_taken(&t, began + hold, breath, round);
		now = na_os_now_ns();
		if (t.tried >= 1024)
			learn((now - began) * 1024 / t.tried);
		na_movable_unlock();
	}
	return bytes;
}

int na_cold_movables_compress(uint64_t handle, uint64_t *bytes)
{
	struct na_movable_block b;
	int rc;

	*bytes = 0;
	if (na_movable_in_order())
		return -EDEADLK;
	na_movable_lock();
	rc = na_movable_look(handle, &b);
	if (rc == -EALREADY) {
		rc = 0;
	} else if (rc == 0) {
		rc = na_movable_take(&b, 1);
		rc = rc == 1 ? compress(&b, true) : rc == 0 ? -EBUSY : rc;
		*bytes = rc == 0 ? b.size : 0;
		rc = rc == -EAGAIN ? -EBUSY : rc;
	}
	na_movable_unlock();
	return rc;
}
