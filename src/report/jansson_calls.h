/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Jansson's functions as the report's writer calls them: na_jansson.NAME for json_NAME, after na_jansson_load()
 * returned 0. Of a job's processes one writes, so the others need not load it; see base/library.h.
 *
 * Jansson's inline functions (json_decref, json_object_set) call Jansson directly and cannot be used here. A function that is
 * missing from the list shows as an undefined symbol when a library or tool is linked. The reader of reports, schema.c,
 * is of the tools alone, which link Jansson.
 */
#ifndef NA_REPORT_JANSSON_CALLS_H
#define NA_REPORT_JANSSON_CALLS_H

#include <jansson.h>
#include <stdbool.h>

#define NA_JANSSON_CALLS(X)                                                                                            \
	X(array)                                                                                                       \
	X(array_append_new)                                                                                            \
	X(array_get)                                                                                                   \
	X(array_size)                                                                                                  \
	X(delete)                                                                                                      \
	X(dumps)                                                                                                       \
	X(false)                                                                                                       \
	X(integer)                                                                                                     \
	X(integer_value)                                                                                               \
	X(load_file)                                                                                                   \
	X(loads)                                                                                                       \
	X(null)                                                                                                        \
	X(object)                                                                                                      \
	X(object_del)                                                                                                  \
	X(object_get)                                                                                                  \
	X(object_iter)                                                                                                 \
	X(object_iter_key)                                                                                             \
	X(object_iter_next)                                                                                            \
	X(object_iter_value)                                                                                           \
	X(object_set_new)                                                                                              \
	X(object_size)                                                                                                 \
	X(real)                                                                                                        \
	X(string)                                                                                                      \
	X(string_value)                                                                                                \
	X(true)

/* Some of Jansson's names, less "json_", are keywords or macros. */
struct na_jansson {
#define NA_CALL(name) __typeof__(json_##name) *json_##name;
	NA_JANSSON_CALLS(NA_CALL)
#undef NA_CALL
};

extern struct na_jansson na_jansson;

/* 0, or -ENOENT if Jansson is not there, which a message says once. */
int na_jansson_load(void);

json_t *na_jansson_boolean(bool value);

/* Frees a whole tree, which is the caller's alone; NULL is none. */
void na_jansson_drop(json_t *tree);

#endif
