/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * FNV-1a over bytes, continued from a hash or from NA_HASH_START: for names of files and folders, keys of small tables, and to
 * tell whether two processes have the same settings. Not for what may be damaged on purpose, and not for much: a byte at a time.
 */
#ifndef NA_BASE_HASH_H
#define NA_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define NA_HASH_START UINT64_C(0xcbf29ce484222325)

static inline uint64_t na_hash(uint64_t hash, const void *data, size_t length)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static inline uint64_t na_hash_text(uint64_t hash, const char *text)
{
	return na_hash(hash, text, strlen(text));
}

#endif
