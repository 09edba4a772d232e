/* SPDX-License-Identifier: BSD-3-Clause */
/* What blocks of simulations hold, made up, for tests and benchmarks of compression: the same bytes each time. */
#ifndef NA_TESTS_CONTENTS_H
#define NA_TESTS_CONTENTS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum contents {
	CONTENTS_DOUBLES,  /* of full mantissa, as a turbulent field: a smooth part and a tenth of noise */
	CONTENTS_SMOOTH,   /* of full mantissa, without the noise */
	CONTENTS_FLOATS,   /* doubles that were floats */
	CONTENTS_INTEGERS, /* doubles that are small whole numbers */
	CONTENTS_RAMP,	   /* 32-bit indices, one after the other */
	CONTENTS_COLUMNS,  /* 64-bit indices that rise by 1 to 8: a sparse matrix's */
	CONTENTS_SPARSE,   /* nine of ten pages are zero, the rest as DOUBLES */
	CONTENTS_TEXT,
	CONTENTS_FAR,	 /* random bytes that come again 20000 bytes further on: no filter sees it, plain LZ4 does */
	CONTENTS_RANDOM, /* nothing helps */
	CONTENTS_KINDS
};

static const char *const contents_names[CONTENTS_KINDS] = { "full-mantissa doubles", "smooth doubles", "float-representable doubles",
							    "integers as doubles",   "index ramps",    "column indices",
							    "sparse field",	     "text",	       "far repeats",
							    "random bytes" };

static inline uint64_t contents_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static inline double contents_double(int kind, size_t i, uint64_t *state)
{
	uint64_t random = contents_next(state);
	double noise = (double)(random >> 11) / 9007199254740992.0, smooth;

	if (kind == CONTENTS_INTEGERS)
		return (double)(random % 1000);
	smooth = 300 + 20 * sin((double)i * 1e-3) + 5 * cos((double)i * 7.3e-3);
	switch (kind) {
	case CONTENTS_SMOOTH:
		return smooth;
	case CONTENTS_FLOATS:
		return (double)(float)(smooth + 2 * noise);
	case CONTENTS_SPARSE:
		return i / 512 % 10 == 3 ? smooth * noise : 0;
	default:
		return smooth * (1 + 0.1 * noise);
	}
}

static inline void contents_fill(void *block, size_t size, int kind, uint64_t seed)
{
	static const char words[] = "the field of a cell lies beside its neighbour and each step of the solver reads both of them "
				    "once more before it writes what comes of it to the other copy; ";
	uint64_t state = seed * 1000003 + (uint64_t)kind, sum = 0;
	uint8_t *p = block;

	for (size_t at = 0, i = 0; at < size; i++) {
		union {
			double d;
			uint32_t half;
			uint64_t whole;
		} v;
		size_t width = 8;

		switch (kind) {
		case CONTENTS_RAMP:
			v.half = (uint32_t)(seed * 1000 + i);
			width = 4;
			break;
		case CONTENTS_COLUMNS:
			v.whole = sum += 1 + contents_next(&state) % 8;
			break;
		case CONTENTS_TEXT:
			for (size_t c = 0; c < 8; c++)
				((char *)&v)[c] = words[(i * 8 + c + sum) % (sizeof(words) - 1)];
			if (i % 5 == 4)
				sum += contents_next(&state) % 40;
			break;
		case CONTENTS_FAR:
			v.whole = contents_next(&state);
			if (at >= 20000)
				memcpy(&v, p + at - 20000, size - at < 8 ? size - at : 8);
			break;
		case CONTENTS_RANDOM:
			v.whole = contents_next(&state);
			break;
		default:
			v.d = contents_double(kind, i, &state);
		}
		if (width > size - at)
			width = size - at;
		memcpy(p + at, &v, width);
		at += width;
	}
}

#endif
