/* SPDX-License-Identifier: BSD-3-Clause */
#include "compression/lz4_calls.h"

#include <errno.h>
#include <stdatomic.h>

#include "base/library.h"
#include "config.h"

#if NA_HAVE_LZ4

#include <lz4.h>
#include <lz4hc.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define NA_LZ4_CALLS(X)                                                                                                \
	X(sizeofState)                                                                                                 \
	X(sizeofStateHC)                                                                                               \
	X(compress_fast_extState)                                                                                      \
	X(compress_HC_extStateHC)                                                                                      \
	X(decompress_safe)

struct na_lz4 {
#define NA_CALL(name) __typeof__(LZ4_##name) *LZ4_##name;
	NA_LZ4_CALLS(NA_CALL)
#undef NA_CALL
};

#ifdef PIC

static struct na_lz4 lz4;

static int load(void)
{
#define NA_CALL(name) "LZ4_" #name,
	static const char *const names[] = { NA_LZ4_CALLS(NA_CALL) };
#undef NA_CALL
	static struct na_library library = { .soname = NA_LZ4_SONAME,
					     .without = "nothing will be compressed",
					     .names = names,
					     .count = sizeof(names) / sizeof(names[0]),
					     .table = &lz4 };

	_Static_assert(sizeof(lz4) == sizeof(names), "a pointer for each name");
	_Static_assert(sizeof(names) / sizeof(names[0]) <= NA_LIBRARY_CALLS, "room in na_library_load()");
	return na_library_load(&library);
}

#else

#define NA_CALL(name) .LZ4_##name = LZ4_##name,
static struct na_lz4 lz4 = { NA_LZ4_CALLS(NA_CALL) };
#undef NA_CALL

static int load(void)
{
	return 0;
}

#endif

static const char *_Atomic why_not = ""; /* relaxed: static strings */

int na_lz4_load(void)
{
	int rc = load();

	if (rc == 0 && (lz4.LZ4_sizeofState() > NA_LZ4_STATE || lz4.LZ4_sizeofStateHC() > NA_LZ4HC_STATE))
		rc = -ENOENT;
	atomic_store_explicit(&why_not, rc ? NA_LZ4_SONAME " cannot be loaded, or is of another version" : "",
			      memory_order_relaxed);
	return rc;
}

const char *na_lz4_why_not(void)
{
	return atomic_load_explicit(&why_not, memory_order_relaxed);
}

size_t na_lz4_compress(void *state, int high, int speed, const void *from, size_t size, void *to, size_t room)
{
	int n = high ? lz4.LZ4_compress_HC_extStateHC(state, from, to, (int)size, (int)room, high)
		     : lz4.LZ4_compress_fast_extState(state, from, to, (int)size, (int)room, speed);

	return n > 0 ? (size_t)n : 0;
}

int na_lz4_restore(const void *from, size_t length, void *to, size_t size)
{
	return lz4.LZ4_decompress_safe(from, to, (int)length, (int)size) == (int)size ? 0 : -EBADMSG;
}

#if defined(__x86_64__)
uint64_t na_hash(const void *p, size_t size)
{
	uint64_t h = size > 1024 && __builtin_cpu_supports("avx2") ? na_hash_avx2(p, size) : XXH3_64bits(p, size);

	return h ? h : 1;
}
#else
uint64_t na_hash(const void *p, size_t size)
{
	uint64_t h = XXH3_64bits(p, size);

	return h ? h : 1;
}
#endif

struct na_hash128 na_hash128(const void *p, size_t size)
{
	XXH128_hash_t h = XXH3_128bits(p, size);

	return (struct na_hash128){ h.low64, h.high64 };
}

#else

int na_lz4_load(void)
{
	return -ENOSYS;
}

const char *na_lz4_why_not(void)
{
	return NA_LZ4_WHY;
}

size_t na_lz4_compress(void *state, int high, int speed, const void *from, size_t size, void *to, size_t room)
{
	return 0;
}

int na_lz4_restore(const void *from, size_t length, void *to, size_t size)
{
	return -EBADMSG;
}

/* Nothing is ever hashed that anybody compares. */
uint64_t na_hash(const void *p, size_t size)
{
	return 0;
}

struct na_hash128 na_hash128(const void *p, size_t size)
{
	return (struct na_hash128){ 0, 0 };
}

#endif
