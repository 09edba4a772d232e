/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tuned distances outlive the process: a text file in the user's cache folder,
 *
 *     $XDG_CACHE_HOME/numarena/tuning-HASH   (else ~/.cache/numarena), HASH of the processor's model
 *
 *     numarena tuning 1
 *     cpu GenuineIntel 6 106 6 Intel(R) Xeon(R) Platinum 8360Y CPU @ 2.40GHz
 *     KEY KIND FOOTPRINT VALUE GAIN NAME
 *     end ENTRIES HASH
 *
 * A file that is cut off, changed by hand, of another version or another processor is ignored, and a line says so. It is replaced
 * by rename, so readers see one or the other. What it says is in force at once, and watched as what was measured here.
 *
 * Processes of a node share by it: who meets a loop for the first time looks whether the file has become another, once a second at
 * most. Who writes: a process without a job; of a job rank 0, and where the folder lies on this node's own disk, local rank 0. A
 * thousand nodes do not write into one home. When: from the maintenance thread's tick, and at the end of the process.
 *
 * Off with NUMARENA_TUNING_CACHE=0. A folder that cannot be read or written is no error: one line of information.
 * Look is called from loops, with no lock held; it opens and reads a file, and allocates nothing.
 */
#ifndef NA_KERNELS_TUNE_FILE_H
#define NA_KERNELS_TUNE_FILE_H

#include <stddef.h>
#include <stdint.h>

/* Takes over what the file says, if it has not been read, or has changed and a second is over. */
void na_tune_file_look(void);

/* A cell has settled. */
void na_tune_file_changed(void);

/* Writes if there is something new and it is a second since; milliseconds until it wants to be called again. */
uint32_t na_tune_file_tick(uint64_t now_ns);

/* Writes what is new. */
void na_tune_file_flush(void);

/* After a fork in the child, or for tests: as if nothing had been read or written. */
void na_tune_file_forget(void);
void na_tune_file_after_fork(void);

/* The file's path, 0, or -ENOENT: no home, or switched off. */
int na_tune_file_path(char *out, size_t capacity);

/* The processor's model as the file has it. */
void na_tune_cpu(char *out, size_t capacity);

#endif
