/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/jansson_calls.h"

#include "base/library.h"
#include "config.h"

#ifdef PIC

struct na_jansson na_jansson;

int na_jansson_load(void)
{
#define NA_CALL(name) "json_" #name,
	static const char *const names[] = { NA_JANSSON_CALLS(NA_CALL) };
#undef NA_CALL
	static struct na_library library = { .soname = NA_JANSSON_SONAME,
					     .without = "of the report there is no report.json, only report.txt",
					     .names = names,
					     .count = sizeof(names) / sizeof(names[0]),
					     .table = &na_jansson };

	_Static_assert(sizeof(na_jansson) == sizeof(names), "a pointer for each name");
	_Static_assert(sizeof(names) / sizeof(names[0]) <= NA_LIBRARY_CALLS, "room in na_library_load()");
	return na_library_load(&library);
}

#else

#define NA_CALL(name) .json_##name = json_##name,
struct na_jansson na_jansson = { NA_JANSSON_CALLS(NA_CALL) };
#undef NA_CALL

int na_jansson_load(void)
{
	return 0;
}

#endif

json_t *na_jansson_boolean(bool value)
{
	return value ? na_jansson.json_true() : na_jansson.json_false();
}

void na_jansson_drop(json_t *tree)
{
	if (tree)
		na_jansson.json_delete(tree);
}
