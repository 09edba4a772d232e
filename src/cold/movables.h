/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Movable blocks that are cold become images (compression/image.h), and come back when they are pinned. The contract of movable/movable.h: taken
 * blocks are read under the mover's lock; a pin meanwhile makes the publishing fail, and the image is dropped.
 */
#ifndef NA_COLD_MOVABLES_H
#define NA_COLD_MOVABLES_H

#include "cold/cold.h"

/* Hooks into movable/. The settings may be replaced; before the first slice. */
void na_cold_movables_start(const struct na_cold_settings *settings);

/* A part of the table, until the deadline: bytes of blocks that became images. `age`: epochs. Nothing if a mover is at it. *round: the table's end was
 * reached. `breath`: who waits for the mover's lock gets it between two parts of a large block; not where the caller may be restoring one. */
uint64_t na_cold_movables_slice(uint8_t age, uint64_t deadline_ns, bool breath, bool *round);

/* One block now. 0 and *bytes; -EINVAL, -EBUSY (pinned), -ENODATA, -ENOMEM, -errno of the kernel's barrier. */
int na_cold_movables_compress(uint64_t handle, uint64_t *bytes);

#endif
