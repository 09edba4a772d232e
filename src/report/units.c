/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/units.h"

#include <stdio.h>
#include <time.h>

/* Three digits that count: 1.23, 12.3, 123, and 1023 of a KiB. */
static void print_scaled(char *out, size_t capacity, double v, const char *unit)
{
	int decimals = v < 9.995 ? 2 : v < 99.95 ? 1 : 0;

	snprintf(out, capacity, "%.*f %s", decimals, v, unit);
}

static void print_steps(char *out, size_t capacity, uint64_t value, double step, const char *const *units, size_t count)
{
	double v = (double)value;
	size_t i = 0;

	while (v >= step - 0.5 && i + 1 < count) {
		v /= step;
		i++;
	}
	if (i == 0)
		snprintf(out, capacity, "%llu%s%s", (unsigned long long)value, units[0][0] ? " " : "", units[0]);
	else
		print_scaled(out, capacity, v, units[i]);
}

void na_units_print(char *out, size_t capacity, uint64_t value, enum na_unit unit)
{
	static const char *const bytes[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	static const char *const counts[] = { "", "k", "M", "G", "T", "P", "E" };
	static const char *const times[] = { "ns", "us", "ms" };

	if (value == NA_UNKNOWN) {
		snprintf(out, capacity, "unavailable");
		return;
	}
	switch (unit) {
	case NA_UNIT_BYTES:
		print_steps(out, capacity, value, 1024, bytes, 7);
		break;
	case NA_UNIT_COUNT:
		print_steps(out, capacity, value, 1000, counts, 7);
		break;
	case NA_UNIT_NS:
		if (value < 999500000)
			print_steps(out, capacity, value, 1000, times, 3);
		else
			print_scaled(out, capacity, (double)value / 1e9, "s");
		break;
	case NA_UNIT_PPM:
		snprintf(out, capacity, "%.2f %%", (double)value / 1e4);
		break;
	}
}

void na_units_date(char *out, size_t capacity, uint64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm t;

	if (ms == 0 || ms == UINT64_MAX || !gmtime_r(&seconds, &t) ||
	    strftime(out, capacity, "%Y-%m-%d %H:%M:%S UTC", &t) == 0)
		snprintf(out, capacity, "unknown");
}
