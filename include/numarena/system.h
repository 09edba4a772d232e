/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The system as a whole: bring it up with four switches, take it down in any order.
 */
#ifndef NUMARENA_SYSTEM_H
#define NUMARENA_SYSTEM_H

#include <numarena/base.h>
#include <numarena/compression.h> /* cleanup_compression() */
#include <numarena/error.h>

NUMARENA_BEGIN

typedef struct memory_system_config {
	bool enable_pooling;      /* the default pool, with defaults or what was configured before */
	bool enable_compression;  /* compression of cold memory (compression.h), with defaults or what was configured before */
	bool enable_monitoring;   /* tracking, with defaults or what was configured before */
	bool enable_optimization; /* OPT_BALANCED (optimization.h), unless the program has chosen a level before */
} memory_system_config_t;

/* Brings up the parts that the switches name; NULL: pooling and monitoring. All or nothing: if one
 * fails, the ones that this call started are stopped again, and its error is returned. Repeating
 * it is harmless. Thread-safe. */
memory_error_t initialize_memory_system(const memory_system_config_t *config) NUMARENA_CALL(initialize_memory_system);

/* Stops helper threads, returns caches and free memory, and resets the configuration to its
 * defaults. Live blocks stay valid until freed, and the heap goes on working. In any order, and
 * twice. Thread-safe. */
memory_error_t cleanup_memory_resources(void) NUMARENA_CALL(cleanup_memory_resources);

/* The library's version, such as "0.1.0"; static storage. */
const char *memory_system_version(void) NUMARENA_CALL(memory_system_version);

NUMARENA_END
#endif
