/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Validation and repair, as a whole: surveys until what is found stays the same, and tells. Any thread, no lock of the heap held, not from
 * the maintenance thread (which is paused). One at a time: others wait.
 */
#ifndef NA_HARDEN_INTEGRITY_H
#define NA_HARDEN_INTEGRITY_H

#include <stdbool.h>
#include <stddef.h>

struct na_integrity {
	size_t found, left, rebuilt, barred, barred_bytes, lost, lost_bytes;
	char first[160];
};

/* Faults in *found, the first as a sentence. 0, or -ENOMEM: nothing was looked at. */
int na_integrity_validate(size_t *found, char first[160]);

/* 0 and what was done, -ENOMEM. */
int na_integrity_repair(struct na_integrity *out);

/* Of the last repair. */
void na_integrity_last(struct na_integrity *out);

/* The lock of this module, outermost of all. */
void na_integrity_before_fork(void);
void na_integrity_after_fork(bool child);

#endif
