/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/pack.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SHORT  4  /* lists of fewer stay as they are */
#define BASE36 16 /* digits of 2^63, a sign and a zero */

static int put_list(FILE *out, json_t *const *v, size_t n);

/* Within text only: JSON itself has none of these. */
static void put_escaped(FILE *out, const char *text)
{
	for (; *text; text++)
		if (*text == '<' || *text == '>' || *text == '&')
			fprintf(out, "\\u%04x", *text);
		else
			fputc(*text, out);
}

static int put_scalar(FILE *out, json_t *v)
{
	char *text =
		na_jansson.json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(9));

	if (!text)
		return -ENOMEM;
	put_escaped(out, text);
	free(text);
	return 0;
}

static int put_key(FILE *out, const char *key)
{
	json_t *name = na_jansson.json_string(key);
	int rc = name ? put_scalar(out, name) : -ENOMEM;

	na_jansson_drop(name);
	fputc(':', out);
	return rc;
}

static int put_object(FILE *out, json_t *v)
{
	const char *separator = "";
	int rc = 0;

	fputc('{', out);
	for (void *i = na_jansson.json_object_iter(v); rc == 0 && i; i = na_jansson.json_object_iter_next(v, i)) {
		fputs(separator, out);
		separator = ",";
		rc = put_key(out, na_jansson.json_object_iter_key(i));
		if (rc == 0)
			rc = na_page_pack(out, na_jansson.json_object_iter_value(i));
	}
	fputc('}', out);
	return rc;
}

int na_page_pack(FILE *out, json_t *v)
{
	size_t n = json_is_array(v) ? na_jansson.json_array_size(v) : 0;
	json_t **items;
	int rc;

	if (json_is_object(v))
		return put_object(out, v);
	if (!json_is_array(v))
		return put_scalar(out, v);
	items = malloc((n ? n : 1) * sizeof(json_t *));
	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		items[i] = na_jansson.json_array_get(v, i);
	rc = put_list(out, items, n);
	free(items);
	return rc;
}

static bool all_are(json_t *const *v, size_t n, json_type type, bool or_null)
{
	for (size_t i = 0; i < n; i++)
		if (json_typeof(v[i]) != type && !(or_null && json_is_null(v[i])))
			return false;
	return true;
}

static bool is_same(json_t *a, json_t *b)
{
	if (json_typeof(a) != json_typeof(b))
		return false;
	switch (json_typeof(a)) {
	case JSON_INTEGER:
		return na_jansson.json_integer_value(a) == na_jansson.json_integer_value(b);
	case JSON_STRING:
		return strcmp(na_jansson.json_string_value(a), na_jansson.json_string_value(b)) == 0;
	case JSON_NULL:
	case JSON_TRUE:
	case JSON_FALSE:
		return true;
	default:
		return false;
	}
}

static bool all_the_same(json_t *const *v, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (!is_same(v[0], v[i]))
			return false;
	return is_same(v[0], v[0]);
}

static bool same_members(json_t *const *v, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		if (na_jansson.json_object_size(v[i]) != na_jansson.json_object_size(v[0]))
			return false;
		for (void *m = na_jansson.json_object_iter(v[0]); m; m = na_jansson.json_object_iter_next(v[0], m))
			if (!na_jansson.json_object_get(v[i], na_jansson.json_object_iter_key(m)))
				return false;
	}
	return na_jansson.json_object_size(v[0]) > 0;
}

static int put_plain(FILE *out, json_t *const *v, size_t n)
{
	int rc = 0;

	fputc('[', out);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		if (i)
			fputc(',', out);
		rc = na_page_pack(out, v[i]);
	}
	fputc(']', out);
	return rc;
}

static int put_table(FILE *out, json_t *const *v, size_t n)
{
	json_t **column = malloc(n * sizeof(json_t *));
	const char *separator = "";
	int rc = 0;

	if (!column)
		return -ENOMEM;
	fprintf(out, "{\"$t\":%zu,\"k\":{", n);
	for (void *m = na_jansson.json_object_iter(v[0]); rc == 0 && m; m = na_jansson.json_object_iter_next(v[0], m)) {
		const char *key = na_jansson.json_object_iter_key(m);

		for (size_t i = 0; i < n; i++)
			column[i] = na_jansson.json_object_get(v[i], key);
		fputs(separator, out);
		separator = ",";
		rc = put_key(out, key);
		if (rc == 0)
			rc = put_list(out, column, n);
	}
	fputs("}}", out);
	free(column);
	return rc;
}

/* Into the end of `buffer`; where it begins. */
static const char *base36(char buffer[BASE36], int64_t v)
{
	uint64_t rest = v < 0 ? -(uint64_t)v : (uint64_t)v;
	char *p = buffer + BASE36 - 1;

	*p = '\0';
	do {
		*--p = "0123456789abcdefghijklmnopqrstuvwxyz"[rest % 36];
		rest /= 36;
	} while (rest);
	if (v < 0)
		*--p = '-';
	return p;
}

/* Writes them, or only counts the characters (out NULL). */
static size_t put_numbers(FILE *out, json_t *const *v, size_t n, int64_t unit, bool differences)
{
	char buffer[BASE36];
	int64_t before = 0;
	size_t length = 0;

	for (size_t i = 0; i < n; i++) {
		const char *word = "~";

		if (!json_is_null(v[i])) {
			int64_t now = na_jansson.json_integer_value(v[i]) / unit;

			word = base36(buffer, differences ? now - before : now);
			before = now;
		}
		length += strlen(word) + 1;
		if (out)
			fprintf(out, "%s%s", i ? " " : "", word);
	}
	return length;
}

/* The greatest power of two that divides all of them. */
static int64_t unit_of(json_t *const *v, size_t n)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < n; i++)
		if (!json_is_null(v[i]))
			bits |= (uint64_t)na_jansson.json_integer_value(v[i]);
	bits &= -bits;
	return bits && bits < INT64_MAX ? (int64_t)bits : 1;
}

static int put_integers(FILE *out, json_t *const *v, size_t n)
{
	int64_t unit = unit_of(v, n);
	bool differences = put_numbers(NULL, v, n, unit, true) < put_numbers(NULL, v, n, unit, false);

	fputs(differences ? "{\"$d\":\"" : "{\"$n\":\"", out);
	put_numbers(out, v, n, unit, differences);
	if (unit > 1)
		fprintf(out, "\",\"u\":%" PRId64 "}", unit);
	else
		fputs("\"}", out);
	return 0;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Each text of v once, rising; how many. */
static size_t different(const char **texts, json_t *const *v, size_t n)
{
	size_t count = 0, kept = 0;

	for (size_t i = 0; i < n; i++)
		if (!json_is_null(v[i]))
			texts[count++] = na_jansson.json_string_value(v[i]);
	if (count)
		qsort(texts, count, sizeof(*texts), compare_texts);
	for (size_t i = 0; i < count; i++)
		if (kept == 0 || strcmp(texts[kept - 1], texts[i]) != 0)
			texts[kept++] = texts[i];
	return kept;
}

static int put_texts(FILE *out, json_t *const *v, size_t n)
{
	const char **texts = malloc(n * sizeof(*texts)), *text;
	json_t *list = na_jansson.json_array(), *places = na_jansson.json_array();
	int rc = texts && list && places ? 0 : -ENOMEM;
	size_t kept = rc == 0 ? different(texts, v, n) : 0;

	if (rc == 0 && kept > n / 2) { /* nothing gained */
		rc = put_plain(out, v, n);
		goto out;
	}
	for (size_t i = 0; rc == 0 && i < kept; i++)
		rc = na_jansson.json_array_append_new(list, na_jansson.json_string(texts[i])) < 0 ? -ENOMEM : 0;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		json_t *place = na_jansson.json_null();

		if (!json_is_null(v[i])) {
			text = na_jansson.json_string_value(v[i]);
			place = na_jansson.json_integer(
				(const char **)bsearch(&text, texts, kept, sizeof(*texts), compare_texts) - texts);
		}
		rc = na_jansson.json_array_append_new(places, place) < 0 ? -ENOMEM : 0;
	}
	if (rc == 0) {
		fputs("{\"$s\":", out);
		rc = put_scalar(out, list);
	}
	if (rc == 0) {
		fputs(",\"i\":", out);
		rc = na_page_pack(out, places);
		fputc('}', out);
	}
out:
	na_jansson_drop(list);
	na_jansson_drop(places);
	free(texts);
	return rc;
}

static int put_list(FILE *out, json_t *const *v, size_t n)
{
	int rc;

	if (n < SHORT)
		return put_plain(out, v, n);
	if (all_the_same(v, n)) {
		fputs("{\"$k\":", out);
		rc = put_scalar(out, v[0]);
		fprintf(out, ",\"n\":%zu}", n);
		return rc;
	}
	if (all_are(v, n, JSON_INTEGER, true))
		return put_integers(out, v, n);
	if (all_are(v, n, JSON_STRING, true))
		return put_texts(out, v, n);
	if (all_are(v, n, JSON_OBJECT, false) && same_members(v, n))
		return put_table(out, v, n);
	return put_plain(out, v, n);
}
