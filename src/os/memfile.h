/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory files: memory without a name in any folder, of which several address ranges can map the same page. The calls are entries of the
 * table in os.h; none may be made with a lock of ours held but one that is taken around such calls alone.
 *
 * A program may close descriptors that it did not open (daemons do), and another file may get the number: each call that uses the
 * descriptor looks first whether it is still our file (-ESTALE if not), so that nothing is ever mapped from, or written to, another's.
 */
#ifndef NA_OS_MEMFILE_H
#define NA_OS_MEMFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct na_memfile {
	int fd;
	uint64_t device, inode;
};

int na_memfile_make(const char *name, struct na_memfile *out);
/* A pipe, by which one process tells another one: the reading end first. Kept like a file. */
int na_memfile_pipe(struct na_memfile *ends);
/* One byte into it; until there is one, or nobody is left who could write one. */
void na_memfile_tell(const struct na_memfile *end);
void na_memfile_wait(const struct na_memfile *end);
/* Whether the descriptor is still what it was. */
bool na_memfile_is_ours(const struct na_memfile *file);
int na_memfile_close(const struct na_memfile *file);
/* Gives the file memory and contents at the offset. */
int na_memfile_write(const struct na_memfile *file, const void *from, size_t size, uint64_t at);
/* All of it must be there. */
int na_memfile_read(const struct na_memfile *file, void *to, size_t size, uint64_t at);
/* Its memory there goes back; it reads as zero then. */
int na_memfile_punch(const struct na_memfile *file, uint64_t at, size_t size);
/* A range of the file, shared, in place of whatever pages are at `to`; on failure these are as they were, if the file is still ours and the range right: kernels
 * before 6.12 have taken them away when it is a mapping too many. At a place of the system's choice if
 * *to is NULL. */
int na_memfile_map(const struct na_memfile *file, uint64_t at, size_t size, void **to);
/* The same at a place where no thread may write just now (hold.h): a raw system call, so that nobody's hook runs. It is tried again where
 * a kernel has left a hole; -EEXIST: another thread's mapping is there by now, so that nothing can come back. */
int na_memfile_switch(const struct na_memfile *file, uint64_t at, size_t size, void *to);
/* Whether no page is mapped there, as a failed switch leaves it before 6.12. Raw, too. */
bool na_memfile_hole(void *at);
/* New private zeroed memory in place of whatever is there. On failure that is as it was, or on kernels before 6.12, which check what may be committed
 * after they have unmapped, gone: not to be called where memory is not overcommitted. */
int na_memfile_unmap(void *at, size_t size);

/* The largest size that a file of this process may have (RLIMIT_FSIZE); writing past it would be a signal. */
uint64_t na_memfile_most(void);

#endif
