/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Compression of cold memory, with LZ4 behind a filter that lays the bytes of floating-point and index fields out so that they compress.
 *
 *     compression_config_t config = { .algorithm = COMPRESSION_LZ4, .level = COMPRESSION_BALANCED };
 *     initialize_memory_compression(&config);
 *
 * What is compressed: movable blocks (movable.h) that were not pinned for a while, and large blocks of optimized_allocate() with
 * LIFETIME_LONG and PRIORITY_LOW. The latter come back by themselves when they are touched, by a load or by a system call; that takes the right to
 * answer page faults (userfaultfd), which containers often do not grant: initialize_memory_compression() says so. Near a memory limit both
 * are compressed whatever their age.
 *
 * What does not shrink to three quarters is left alone: full-precision turbulent fields among others. All calls are thread-safe.
 */
#ifndef NUMARENA_COMPRESSION_H
#define NUMARENA_COMPRESSION_H

#include <stdbool.h>
#include <stddef.h>

#include <numarena/base.h>
#include <numarena/error.h>
#include <numarena/movable.h>

NUMARENA_BEGIN

typedef enum compression_algorithm {
	COMPRESSION_NONE,  /* nothing is compressed from now on */
	COMPRESSION_LZ4,
	COMPRESSION_LZ4HC  /* a tenth to a quarter smaller, up to ten times slower to compress, as fast to restore */
} compression_algorithm_t;

typedef enum compression_level {
	COMPRESSION_FAST,      /* LZ4's acceleration 4; byte planes, no differences */
	COMPRESSION_BALANCED,  /* LZ4 as it is; all filters. LZ4HC: level 6 */
	COMPRESSION_AGGRESSIVE /* LZ4HC: level 4 for COMPRESSION_LZ4, level 10 for COMPRESSION_LZ4HC */
} compression_level_t;

typedef struct compression_config {
	compression_algorithm_t algorithm;
	compression_level_t level;
	size_t min_size;   /* bytes; smaller blocks are left alone: from 1024 on; 0: 4096. Of raw blocks none below 64 KiB is
	                    * compressed in any case */
	bool enable_cache; /* keep the image of what came back: if it is unchanged it goes again without work */
	unsigned int cold_after; /* ms without a pin; raw blocks: since they were allocated, or came back. 10 to 3600000; 0: 10000 */
	unsigned int cold_after_phases; /* movable blocks by this instead: without a pin while so many phases ended, of those that are within
	                                 * no other (end_memory_phase()), as time steps. Up to 200; 0: by time */
} compression_config_t;

/* Turns compression on, or changes it. NULL: LZ4, balanced, with the cache. MEMORY_ERROR_INVALID_ARGUMENT: a field is out of range, named in
 * the message, nothing changed. MEMORY_ERROR_UNSUPPORTED: this build or machine has no LZ4, as the message says.
 * MEMORY_ERROR_ALLOCATION: no memory for its buffers (1.4 MiB). That raw blocks cannot be had is no error: a line on standard error says why, and so
 * does memory_metric_unavailable_reason("transparently_compressed_bytes"). */
memory_error_t initialize_memory_compression(const compression_config_t *config)
	NUMARENA_CALL(initialize_memory_compression);

/* Ends compression: raw blocks come back, movable ones stay compressed until they are pinned or released. Safe in any order, twice, and when
 * none was started. MEMORY_ERROR_ALLOCATION: there is no memory for all that is compressed; those blocks still come back when they are touched. */
memory_error_t cleanup_compression(void) NUMARENA_CALL(cleanup_compression);

/* Compresses a raw block now: one of at least 64 KiB (and min_size), of the default pool or with hints. Its pointer stays valid, and touching
 * it brings it back. The caller sees to it that no device has it registered. MEMORY_ERROR_INVALID_ARGUMENT: not a live block, too small, of
 * a named pool, or no_move. MEMORY_ERROR_UNSUPPORTED: compression is off, or the kernel does not let us, or nothing of it shrinks, as the message
 * says; MEMORY_ERROR_ALLOCATION. */
memory_error_t compress_memory(void *block) NUMARENA_CALL(compress_memory);

/* All of a raw block is in memory on return: before a loop that shall not wait page by page. MEMORY_ERROR_CORRUPTION: an image was damaged. */
memory_error_t touch_memory(void *block) NUMARENA_CALL(touch_memory);

/* Compresses a movable block now; pinning it brings it back. MEMORY_ERROR_BUSY: it is pinned. Otherwise as compress_memory(). */
memory_error_t compress_movable(memory_handle_t handle) NUMARENA_CALL(compress_movable);

typedef struct compression_stats {
	size_t original_bytes;	     /* of what is compressed now, */
	size_t compressed_bytes;     /* and what its images take, kept ones (enable_cache) included */
	double ratio;		     /* the one by the other; NaN if nothing is compressed */
	size_t transparent_bytes;    /* of original_bytes, in raw blocks */
	size_t images;		     /* movable blocks and pieces of raw ones, with those that are kept */
	size_t pieces_compressed;    /* of 64 KiB, of raw blocks of 8 KiB, since the start; */
	size_t pieces_restored;
	size_t pieces_unchanged;     /* went again without work */
	double compress_seconds;     /* of all threads, tries in vain included */
	double restore_seconds;
	size_t incompressible;	     /* times that a block or a piece did not shrink */
	size_t incompressible_bytes;
	size_t faults;		     /* of pages, answered */
	size_t damaged;		     /* images whose checksum did not fit */
} compression_stats_t;

/* MEMORY_ERROR_INVALID_ARGUMENT if stats is NULL. */
memory_error_t get_compression_statistics(compression_stats_t *stats) NUMARENA_CALL(get_compression_statistics);

NUMARENA_END

#endif
