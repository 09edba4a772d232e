/* SPDX-License-Identifier: BSD-3-Clause */
#include "cold/kept.h"

#include "base/log.h"
#include "os/lock.h"

#define PLACES 4096

static struct place {
	uint64_t handle;	/* 0: nobody */
	struct na_image *image; /* NULL: it did not shrink */
	uint64_t until_ns;
} table[PLACES]; /* under the lock; pages of what is not used are never touched */
static struct na_lock lock;

void (*na_kept_pushed)(uint64_t handle);

static struct place *place_of(uint64_t handle)
{
	return &table[(handle >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 52];
}

static void put(struct place what)
{
	struct place *place = place_of(what.handle), before;

	na_lock(&lock);
	before = *place;
	*place = what;
	na_unlock(&lock);
	if (before.handle && before.image && before.handle != what.handle && na_kept_pushed)
		na_kept_pushed(before.handle);
	na_image_drop(before.handle ? before.image : NULL);
}

void na_kept_put(uint64_t handle, struct na_image *image)
{
	put((struct place){ handle, image, 0 });
}

void na_kept_put_vain(uint64_t handle, uint64_t until_ns)
{
	put((struct place){ handle, NULL, until_ns });
}

/* Whoever is there for that handle leaves. */
static struct place take(uint64_t handle, bool image_only)
{
	struct place *place = place_of(handle), found = { 0 };

	na_lock(&lock);
	if (place->handle == handle && (place->image || !image_only)) {
		found = *place;
		*place = (struct place){ 0 };
	}
	na_unlock(&lock);
	return found;
}

struct na_image *na_kept_take(uint64_t handle)
{
	return take(handle, true).image;
}

bool na_kept_is_vain(uint64_t handle, uint64_t now_ns)
{
	struct place *place = place_of(handle);
	bool vain;

	na_lock(&lock);
	vain = place->handle == handle && !place->image && now_ns < place->until_ns;
	na_unlock(&lock);
	return vain;
}

void na_kept_forget(uint64_t handle)
{
	na_image_drop(take(handle, false).image);
}

uint64_t na_kept_drop_all(void)
{
	uint64_t bytes = 0;

	for (int i = 0; i < PLACES; i++) {
		struct place found = { 0 };

		if (!__atomic_load_n(&table[i].image, __ATOMIC_RELAXED)) /* most: not worth the lock */
			continue;
		na_lock(&lock);
		if (table[i].image) {
			found = table[i];
			table[i] = (struct place){ 0 };
		}
		na_unlock(&lock);
		if (found.handle && na_kept_pushed)
			na_kept_pushed(found.handle);
		bytes += na_image_drop(found.image);
	}
	return bytes;
}

size_t na_kept_check(void (*tell)(const char *text, void *closure), void *closure)
{
	size_t faults = 0;
	char text[160];

	for (int i = 0; i < PLACES; i++) {
		uint64_t handle = 0;

		if (!__atomic_load_n(&table[i].image, __ATOMIC_RELAXED))
			continue;
		na_lock(&lock);
		if (table[i].image && na_image_check(table[i].image) < 0)
			handle = table[i].handle;
		na_unlock(&lock);
		if (!handle)
			continue;
		faults++;
		na_format(text, sizeof(text),
			  "compressed image that is kept of the movable block %llx, which is in memory: damaged",
			  (unsigned long long)handle);
		if (tell)
			tell(text, closure);
	}
	return faults;
}

void na_kept_before_fork(void)
{
	na_lock(&lock);
}

void na_kept_after_fork(bool child)
{
	if (child)
		na_lock_reset(&lock);
	else
		na_unlock(&lock);
}
