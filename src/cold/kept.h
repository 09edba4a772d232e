/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is remembered of movable blocks that are in memory: the image from which one came back, so that it may go again without work if it is
 * unchanged; or that it did not shrink, and when to try once more. A table of 4096 places, by handle: who comes later to a place
 * pushes out who was there, so it holds what came back recently, and never grows.
 *
 * Changed is told by a hash of 128 bits over all of the block, at about 10 bytes a ns: a tenth of compressing it. Write protection would tell without
 * reading, at the price of a fault (10 us and more) at the first store after each return, which programs pay and not we.
 *
 * One lock, for some stores; images are dropped without it. Any thread.
 */
#ifndef NA_COLD_KEPT_H
#define NA_COLD_KEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compression/image.h"

/* The image is the table's; what it pushed out is dropped. */
void na_kept_put(uint64_t handle, struct na_image *image);
/* It did not shrink: not before that. */
void na_kept_put_vain(uint64_t handle, uint64_t until_ns);

/* The image, which is the caller's from now on; NULL: none. */
struct na_image *na_kept_take(uint64_t handle);
bool na_kept_is_vain(uint64_t handle, uint64_t now_ns);

/* The block has ended. */
void na_kept_forget(uint64_t handle);

/* All images go: bytes. */
uint64_t na_kept_drop_all(void);

/* Calls `pushed` (may be NULL) for handles whose image was dropped to make place. */
extern void (*na_kept_pushed)(uint64_t handle);

/* Looks at all images, each under the lock; how many are damaged. `tell` gets a sentence for each. */
size_t na_kept_check(void (*tell)(const char *text, void *closure), void *closure);

void na_kept_before_fork(void);
void na_kept_after_fork(bool child);

#endif
