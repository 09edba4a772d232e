/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <string.h>

#include "report/units.h"
#include "tools/report_commands.h"

json_t *na_report_at(json_t *tree, const char *path)
{
	while (tree && *path) {
		size_t n = strcspn(path, "/");
		char key[64];

		if (n >= sizeof(key))
			return NULL;
		memcpy(key, path, n);
		key[n] = '\0';
		tree = json_object_get(tree, key); /* NULL of what is no object */
		path += n + (path[n] == '/');
	}
	return tree;
}

double na_report_number(json_t *tree, const char *path)
{
	json_t *v = na_report_at(tree, path);

	return json_is_number(v) ? json_number_value(v) : NAN;
}

const char *na_report_text_at(json_t *tree, const char *path)
{
	const char *text = json_string_value(na_report_at(tree, path));

	return text ? text : "";
}

enum na_unit na_report_unit(const char *name)
{
	if (strcmp(name, "bytes") == 0)
		return NA_UNIT_BYTES;
	if (strcmp(name, "ns") == 0)
		return NA_UNIT_NS;
	return strcmp(name, "ratio") == 0 ? NA_UNIT_PPM : NA_UNIT_COUNT;
}

void na_report_print(char *out, size_t capacity, double value, enum na_unit unit)
{
	double of = fabs(value);

	if (!isfinite(value)) {
		snprintf(out, capacity, "unavailable");
		return;
	}
	if (value < 0 && capacity > 1) {
		*out++ = '-';
		capacity--;
	}
	if (unit == NA_UNIT_PPM)
		snprintf(out, capacity, "%.2f %%", of * 100);
	else if (of >= 0x1p63)
		snprintf(out, capacity, "%.3g", of);
	else
		na_units_print(out, capacity, (uint64_t)llround(of), unit);
}
