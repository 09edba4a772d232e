/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Optimization levels: settings by the dozen. And what is set, by whom.
 */
#ifndef NUMARENA_OPTIMIZATION_H
#define NUMARENA_OPTIMIZATION_H

#include <stdbool.h>
#include <stddef.h>

#include <numarena/base.h>
#include <numarena/error.h>

NUMARENA_BEGIN

/* Each is a list of settings, which numarena-info --levels prints. What the environment or the program has set goes before a level. */
typedef enum optimization_level {
	OPT_NONE,	  /* sets nothing */
	OPT_CONSERVATIVE, /* hugepages auto: transparent huge pages in blocks above 8 MiB */
	OPT_BALANCED,	  /* hugepages 1: transparent huge pages in all that the pools map */
	OPT_AGGRESSIVE /* the same, and memory goes back in units of 2 MiB (block_size), after 30 s (decay_ms): faster, for more memory */
} optimization_level_t;

typedef struct optimization_config {
	bool enable_pooling; /* this thread's part of the pools, now rather than at its first allocation. false changes nothing: the
				  * pools are the heap */
	bool enable_prefetch;	 /* as in cache_config_t; true measures the memory's latency if that is to be done */
	bool enable_compression; /* as initialize_memory_compression(NULL), unless it runs; its error is the call's */
	optimization_level_t optimization_level;
} optimization_config_t;

/* NULL: pooling, prefetching and OPT_BALANCED. Repeated with equal values it does nothing, with others it takes effect at
 * once, for memory that is mapped from then on. Thread-safe. MEMORY_ERROR_INVALID_ARGUMENT: the level is none of these, nothing
 * changed; MEMORY_ERROR_ALLOCATION: no memory for the first pool. */
memory_error_t initialize_memory_optimization(const optimization_config_t *config)
	NUMARENA_CALL(initialize_memory_optimization);

typedef struct memory_setting {
	const char *name; /* of the environment variable; static */
	char value[128];  /* in force, as the variable would have it; cut if longer */
	char source[32];  /* "environment", "program", "level balanced" and the like, "default" */
} memory_setting_t;

/* All settings, up to `capacity` of them; returns how many there are. Thread-safe. */
size_t get_memory_settings(memory_setting_t *settings, size_t capacity) NUMARENA_CALL(get_memory_settings);

NUMARENA_END

#endif
