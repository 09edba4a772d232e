/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The C library's allocation calls on numarena's heap, under names of their own. libnumarena-malloc
 * puts these behind malloc, free and operator new; a program may call them directly to have
 * numarena for some of its data without interposing anything.
 *
 * Semantics are those of the C function named in each comment, errno included. All are
 * thread-safe; none may be called from a signal handler. Blocks are at least 16-byte aligned and
 * come from the NUMA node that the calling thread runs on.
 */
#ifndef NUMARENA_MEMORY_H
#define NUMARENA_MEMORY_H

#include <numarena/base.h>

NUMARENA_BEGIN

/* free: any block of this library's, or NULL. A pointer that is not ours, or one freed twice, is
 * reported on standard error and left alone. Two mistakes are beyond it: a pointer into the middle of a small block of the calling
 * thread's frees the block, and an address that no process can have (0xdeadbeefdeadbeef) faults. */
void release_memory(void *block) NUMARENA_NOEXCEPT NUMARENA_CALL(release_memory);

/* malloc */
void *allocate_memory(size_t size) NUMARENA_NOEXCEPT NUMARENA_CALL(allocate_memory) NUMARENA_ALLOCATES(1);

/* calloc */
void *allocate_zeroed_memory(size_t count, size_t size) NUMARENA_NOEXCEPT NUMARENA_CALL(allocate_zeroed_memory)
	NUMARENA_ALLOCATES(1, 2);

/* realloc. Blocks of 8 MiB or more move by remapping pages, not by copying. */
void *resize_memory(void *block, size_t size) NUMARENA_NOEXCEPT NUMARENA_CALL(resize_memory)
	__attribute__((warn_unused_result, alloc_size(2)));

/* aligned_alloc; alignment: any power of two up to 1 GiB; size need not be a multiple of it. */
void *allocate_aligned_memory(size_t alignment, size_t size) NUMARENA_NOEXCEPT
	NUMARENA_CALL(allocate_aligned_memory) NUMARENA_ALLOCATES(2);

/* Bytes that the block can hold, at least what was asked for; 0 for NULL and for pointers that
 * are not ours. */
size_t allocation_size(const void *block) NUMARENA_NOEXCEPT NUMARENA_CALL(allocation_size);

/* The NUMA node (the kernel's number) whose pool the block came from; -1 if it is not ours. */
int allocation_node(const void *block) NUMARENA_NOEXCEPT NUMARENA_CALL(allocation_node);

/* Whether the address lies in a live block of this library's: "free it here if ours, else with libc". */
bool in_memory_pool(const void *block) NUMARENA_NOEXCEPT NUMARENA_CALL(in_memory_pool);

NUMARENA_END
#endif
