/* SPDX-License-Identifier: BSD-3-Clause */
#include "analysis/words.h"

#include "base/log.h"

const char *na_word_bytes(char out[NA_WORD], uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	unsigned int unit = 0;
	uint64_t tenths, rest = bytes;

	while (rest >= 1024) {
		rest >>= 10;
		unit++;
	}
	if (unit == 0) {
		na_format(out, NA_WORD, "%u B", (unsigned int)bytes);
		return out;
	}
	tenths = (uint64_t)(((__uint128_t)bytes * 10 + (UINT64_C(1) << (10 * unit)) / 2) >> (10 * unit));
	if (tenths >= 1000)
		na_format(out, NA_WORD, "%u %s", (unsigned int)((tenths + 5) / 10), units[unit]);
	else
		na_format(out, NA_WORD, "%u.%u %s", (unsigned int)(tenths / 10), (unsigned int)(tenths % 10),
			  units[unit]);
	return out;
}

static const char *tenths(char out[NA_WORD], uint64_t v, const char *unit)
{
	na_format(out, NA_WORD, "%llu.%u%s", (unsigned long long)(v / 10), (unsigned int)(v % 10), unit);
	return out;
}

const char *na_word_percent(char out[NA_WORD], uint64_t thousandths)
{
	return tenths(out, thousandths, "%");
}

const char *na_word_times(char out[NA_WORD], uint64_t thousandths)
{
	return tenths(out, thousandths / 100, "");
}

uint64_t na_share(uint64_t part, uint64_t whole)
{
	return whole ? (uint64_t)((__uint128_t)part * 1000 / whole) : 0;
}
