/* SPDX-License-Identifier: BSD-3-Clause */
#include "compression/bits.h"

#include <stdatomic.h>
#include <string.h>

#define GROUP NA_BITS_GROUP
#define ONES  UINT64_C(0x0101010101010101)
#define MORE  255 /* groups of one byte that follow another */
#define RUN   4	  /* groups that are looked at at once where such may go on */

/* The first byte of eight is the lowest, whatever the machine's order. */
static uint64_t eight(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return v;
}

static void put_eight(uint8_t *p, uint64_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	memcpy(p, &v, 8);
}

static unsigned int highest(unsigned int mask)
{
	return 31U - (unsigned int)__builtin_clz(mask);
}

/* ---- plainly ---- */

static uint8_t mask_plain(const uint8_t *p)
{
	uint64_t all = 0, base = p[0] * ONES;

	for (int i = 0; i < GROUP; i += 8)
		all |= eight(p + i) ^ base;
	all |= all >> 32;
	all |= all >> 16;
	return (uint8_t)(all | all >> 8);
}

/* Whether RUN groups are one byte throughout. */
static bool same_plain(const uint8_t *p, uint8_t byte)
{
	uint64_t all = 0;

	for (int i = 0; i < RUN * GROUP; i += 8)
		all |= eight(p + i) ^ byte * ONES;
	return all == 0;
}

/* The multiplication moves the lowest bit of the i-th byte to bit 56 + i, and no two meet. */
static uint8_t *pack_plain(const uint8_t *p, uint8_t mask, uint8_t *to)
{
	uint64_t base = p[0] * ONES;

	*to++ = p[0];
	*to++ = mask;
	for (unsigned int left = mask; left; left &= ~(1U << highest(left)))
		for (int i = 0; i < GROUP; i += 8)
			*to++ = (uint8_t)(((eight(p + i) ^ base) >> highest(left) & ONES) *
						  UINT64_C(0x0102040810204080) >>
					  56);
	return to;
}

static void unpack_plain(const uint8_t *from, size_t length, uint8_t base, uint8_t mask, uint8_t *to)
{
	uint64_t v[GROUP / 8];

	(void)length;
	for (int i = 0; i < GROUP / 8; i++)
		v[i] = base * ONES;
	for (unsigned int left = mask; left; left &= ~(1U << highest(left)))
		for (int i = 0; i < GROUP / 8; i++) {
			uint64_t spread = *from++ * ONES & UINT64_C(0x8040201008040201);

			v[i] ^= ((spread + 0x7f * ONES) >> 7 & ONES) << highest(left);
		}
	for (int i = 0; i < GROUP / 8; i++)
		put_eight(to + (ptrdiff_t)8 * i, v[i]);
}

static void fill_plain(uint8_t *to, uint8_t byte)
{
	memset(to, byte, GROUP);
}

/* ---- with AVX2 ---- */

#if defined(__x86_64__)

#include <immintrin.h>

#define VECTORS	   __attribute__((target("avx2,popcnt")))
#define has_avx2() (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt"))

static inline VECTORS uint8_t mask_avx2(const uint8_t *p)
{
	__m256i base = _mm256_set1_epi8((char)p[0]), all;
	uint64_t v;
	__m128i half;

	all = _mm256_or_si256(_mm256_xor_si256(base, _mm256_loadu_si256((const __m256i *)(const void *)p)),
			      _mm256_xor_si256(base, _mm256_loadu_si256((const __m256i *)(const void *)(p + 32))));
	half = _mm_or_si128(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
	v = (uint64_t)_mm_cvtsi128_si64(_mm_or_si128(half, _mm_unpackhi_epi64(half, half)));
	v |= v >> 32;
	v |= v >> 16;
	return (uint8_t)(v | v >> 8);
}

static inline VECTORS bool same_avx2(const uint8_t *p, uint8_t byte)
{
	__m256i base = _mm256_set1_epi8((char)byte), all = _mm256_setzero_si256();

	for (int i = 0; i < RUN * GROUP; i += 32)
		all = _mm256_or_si256(
			all, _mm256_xor_si256(base, _mm256_loadu_si256((const __m256i *)(const void *)(p + i))));
	return _mm256_testz_si256(all, all);
}

static inline VECTORS void fill_avx2(uint8_t *to, uint8_t byte)
{
	__m256i all = _mm256_set1_epi8((char)byte);

	_mm256_storeu_si256((__m256i *)(void *)to, all);
	_mm256_storeu_si256((__m256i *)(void *)(to + 32), all);
}

static inline VECTORS uint8_t *pack_avx2(const uint8_t *p, uint8_t mask, uint8_t *to)
{
	__m256i base = _mm256_set1_epi8((char)p[0]);
	__m256i a = _mm256_xor_si256(base, _mm256_loadu_si256((const __m256i *)(const void *)p));
	__m256i b = _mm256_xor_si256(base, _mm256_loadu_si256((const __m256i *)(const void *)(p + 32)));

	*to++ = p[0];
	*to++ = mask;
	for (unsigned int left = mask; left; to += 8) {
		unsigned int bit = highest(left);
		__m128i up = _mm_cvtsi32_si128((int)(7 - bit));
		uint32_t word[2];

		word[0] = (uint32_t)_mm256_movemask_epi8(_mm256_sll_epi16(a, up));
		word[1] = (uint32_t)_mm256_movemask_epi8(_mm256_sll_epi16(b, up));
		memcpy(to, word, 8);
		left ^= 1U << bit;
	}
	return to;
}

static inline VECTORS __m256i spread(const uint8_t *from)
{
	const __m256i where = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2,
					       3, 3, 3, 3, 3, 3, 3, 3);
	const __m256i which = _mm256_set1_epi64x((long long)UINT64_C(0x8040201008040201));
	uint32_t word;

	memcpy(&word, from, 4);
	return _mm256_cmpeq_epi8(_mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32((int)word), where), which),
				 which);
}

static inline VECTORS void unpack_avx2(const uint8_t *from, size_t length, uint8_t base, uint8_t mask, uint8_t *to)
{
	__m256i a = _mm256_set1_epi8((char)base), b = a;

	(void)length;
	for (unsigned int left = mask; left; from += 8) {
		unsigned int bit = highest(left);
		__m256i one = _mm256_set1_epi8((char)(1U << bit));

		a = _mm256_xor_si256(a, _mm256_and_si256(one, spread(from)));
		b = _mm256_xor_si256(b, _mm256_and_si256(one, spread(from + 4)));
		left ^= 1U << bit;
	}
	_mm256_storeu_si256((__m256i *)(void *)to, a);
	_mm256_storeu_si256((__m256i *)(void *)(to + 32), b);
}

/* ---- with BMI2: fields ---- */

#define FIELDS	    __attribute__((target("avx2,popcnt,bmi2")))
#define mask_fields mask_avx2
#define same_fields same_avx2
#define fill_fields fill_avx2
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

/* Whether the instructions take a cycle and not a hundred: AMD's have microcode for them up to Zen 2. */
static bool has_fields(void)
{
	return __builtin_cpu_supports("bmi2") && has_avx2() &&
	       (__builtin_cpu_is("intel") ||
		(__builtin_cpu_is("amd") && !__builtin_cpu_is("amdfam17h") && !__builtin_cpu_is("amdfam15h")));
}

/* Writes up to seven bytes more, which are another field's or within NA_BITS_BOUND. */
static inline FIELDS uint8_t *pack_fields(const uint8_t *p, uint8_t mask, uint8_t *to)
{
	uint64_t every = mask * ONES;
	unsigned int each = (unsigned int)__builtin_popcount(mask);

	*to++ = p[0];
	*to++ = mask;
	UNROLL
	for (int i = 0; i < 8; i++, to += each)
		put_eight(to, _pext_u64(eight(p + 8 * i), every));
	return to;
}

static inline FIELDS void unpack_fields(const uint8_t *from, size_t length, uint8_t base, uint8_t mask, uint8_t *to)
{
	uint64_t every = mask * ONES, still = base * ONES & ~every;
	unsigned int each = (unsigned int)__builtin_popcount(mask);
	uint8_t end[GROUP + 8];

	if (__builtin_expect(length < 7 * each + 8, 0)) {
		memcpy(end, from, length);
		from = end;
	}
	UNROLL
	for (int i = 0; i < 8; i++, from += each)
		put_eight(to + (size_t)8 * i, _pdep_u64(eight(from), every) | still);
}

#else

#define VECTORS
#define has_avx2()  0
#define mask_avx2   mask_plain
#define same_avx2   same_plain
#define fill_avx2   fill_plain
#define pack_avx2   pack_plain
#define unpack_avx2 unpack_plain
#define FIELDS
#define has_fields()  0
#define mask_fields   mask_plain
#define same_fields   same_plain
#define fill_fields   fill_plain
#define pack_fields   pack_plain
#define unpack_fields unpack_plain

#endif

/* ---- whole planes: the same loops around either ---- */

/* The last group, filled up. */
static const uint8_t *last(const uint8_t *from, size_t n, uint8_t *filled)
{
	memset(filled, from[0], GROUP);
	memcpy(filled, from, n);
	return filled;
}

#define LOOPS(suffix, attributes)                                                                                      \
	static attributes size_t measure_all_##suffix(const uint8_t *from, size_t n, uint8_t *varies)                  \
	{                                                                                                              \
		uint8_t filled[GROUP], first = n ? from[0] : 0, before = 0;                                            \
		size_t length = 0;                                                                                     \
		unsigned int more = MORE;                                                                              \
                                                                                                                       \
		*varies = 0;                                                                                           \
		for (size_t i = 0; i < n; i += GROUP) {                                                                \
			uint8_t mask;                                                                                  \
                                                                                                                       \
			if (more <= MORE - RUN && n - i >= RUN * GROUP && same_##suffix(from + i, before)) {           \
				more += RUN;                                                                           \
				i += (RUN - 1) * GROUP;                                                                \
				continue;                                                                              \
			}                                                                                              \
			mask = mask_##suffix(n - i < GROUP ? last(from + i, n - i, filled) : from + i);                \
			*varies |= (uint8_t)(mask | (first ^ from[i]));                                                \
			if (mask == 0 && from[i] == before && more < MORE) {                                           \
				more++;                                                                                \
				continue;                                                                              \
			}                                                                                              \
			length += mask ? 2 + 8 * (size_t)__builtin_popcount(mask) : 3;                                 \
			more = mask ? MORE : 0;                                                                        \
			before = from[i];                                                                              \
		}                                                                                                      \
		return length;                                                                                         \
	}                                                                                                              \
	static attributes size_t pack_all_##suffix(const uint8_t *from, size_t n, uint8_t *to)                         \
	{                                                                                                              \
		uint8_t filled[GROUP], full = MORE, *begin = to, *more = &full, before = 0;                            \
                                                                                                                       \
		for (size_t i = 0; i < n; i += GROUP) {                                                                \
			const uint8_t *p;                                                                              \
			uint8_t mask;                                                                                  \
                                                                                                                       \
			if (*more <= MORE - RUN && n - i >= RUN * GROUP && same_##suffix(from + i, before)) {          \
				*more = (uint8_t)(*more + RUN);                                                        \
				i += (RUN - 1) * GROUP;                                                                \
				continue;                                                                              \
			}                                                                                              \
			p = n - i < GROUP ? last(from + i, n - i, filled) : from + i;                                  \
			mask = mask_##suffix(p);                                                                       \
			if (mask == 0 && *p == before && *more < MORE) {                                               \
				++*more;                                                                               \
				continue;                                                                              \
			}                                                                                              \
			before = *p;                                                                                   \
			to = pack_##suffix(p, mask, to);                                                               \
			more = mask ? &full : to;                                                                      \
			if (mask == 0)                                                                                 \
				*to++ = 0;                                                                             \
		}                                                                                                      \
		return (size_t)(to - begin);                                                                           \
	}                                                                                                              \
	static attributes bool read_##suffix(struct na_bits_reader *r, uint8_t *to, size_t n)                          \
	{                                                                                                              \
		const uint8_t *at = r->at;                                                                             \
		uint8_t filled[GROUP];                                                                                 \
		size_t i = 0, bytes;                                                                                   \
                                                                                                                       \
		while (i < n) {                                                                                        \
			if (r->more) {                                                                                 \
				for (; r->more && n - i >= GROUP; r->more--, i += GROUP)                               \
					fill_##suffix(to + i, r->byte);                                                \
				if (r->more && i < n) {                                                                \
					memset(to + i, r->byte, n - i);                                                \
					r->more--;                                                                     \
					break;                                                                         \
				}                                                                                      \
				continue;                                                                              \
			}                                                                                              \
			if (r->end - at < 3)                                                                           \
				return false;                                                                          \
			if (at[1] == 0) { /* so many groups of one byte */                                             \
				r->byte = at[0];                                                                       \
				r->more = at[2] + 1U;                                                                  \
				at += 3;                                                                               \
				continue;                                                                              \
			}                                                                                              \
			bytes = 8 * (size_t)__builtin_popcount(at[1]);                                                 \
			if ((size_t)(r->end - at) - 2 < bytes)                                                         \
				return false;                                                                          \
			unpack_##suffix(at + 2, (size_t)(r->safe - at) - 2, at[0], at[1],                              \
					n - i < GROUP ? filled : to + i);                                              \
			if (n - i < GROUP)                                                                             \
				memcpy(to + i, filled, n - i);                                                         \
			at += 2 + bytes;                                                                               \
			i += GROUP;                                                                                    \
		}                                                                                                      \
		r->at = at;                                                                                            \
		return true;                                                                                           \
	}

LOOPS(plain, )
LOOPS(avx2, VECTORS)
LOOPS(fields, FIELDS)

static bool always(void)
{
	return true;
}

static bool with_avx2(void)
{
	return has_avx2();
}

static bool with_fields(void)
{
	return has_fields();
}

const struct na_bits_way na_bits_ways[NA_BITS_WAYS] = {
	{ with_fields, measure_all_fields, pack_all_fields, read_fields },
	{ with_avx2, measure_all_avx2, pack_all_avx2, read_avx2 },
	{ always, measure_all_plain, pack_all_plain, read_plain },
};

/* relaxed: all threads find the same. */
static const struct na_bits_way *way(void)
{
	static const struct na_bits_way *_Atomic found;
	const struct na_bits_way *w = atomic_load_explicit(&found, memory_order_relaxed);

	if (__builtin_expect(w != NULL, 1))
		return w;
	for (w = na_bits_ways; !w->runs(); w++)
		;
	atomic_store_explicit(&found, w, memory_order_relaxed);
	return w;
}

size_t na_bits_measure(const uint8_t *from, size_t n, uint8_t *varies)
{
	return way()->measure(from, n, varies);
}

size_t na_bits_pack(const uint8_t *from, size_t n, uint8_t *to)
{
	return way()->pack(from, n, to);
}

bool na_bits_read(struct na_bits_reader *r, uint8_t *to, size_t n)
{
	return way()->read(r, to, n);
}

bool na_bits_run(struct na_bits_reader *r, size_t n)
{
	unsigned int groups = (unsigned int)((n + GROUP - 1) / GROUP);

	if (r->more == 0 && r->end - r->at >= 3 && r->at[1] == 0) {
		r->byte = r->at[0];
		r->more = r->at[2] + 1U;
		r->at += 3;
	}
	if (r->more < groups)
		return false;
	r->more -= groups;
	return true;
}
