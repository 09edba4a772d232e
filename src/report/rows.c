/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MS 1000000

/* Each name once, 10 bytes a number, 3 a bin: no row is longer. */
_Static_assert(NA_ROW_PACKED >= 2 * (NA_RECORD_NAME + 10) + NA_PHASE_NAME + 10 + 10 * (8 + NA_METRIC_COUNT_) +
					15 * NA_ROW_CELLS + 3 * NA_ROW_BINS + 31 * NA_ROW_PAUSES,
	       "room for any row");

/* ---- numbers ---- */

struct writer {
	unsigned char *out;
	size_t n;
};

static void put(struct writer *w, uint64_t v)
{
	for (; v > 0x7f; v >>= 7)
		w->out[w->n++] = (unsigned char)(v | 0x80);
	w->out[w->n++] = (unsigned char)v;
}

/* Small ones of either sign. */
static void put_signed(struct writer *w, int64_t v)
{
	put(w, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

static void put_name(struct writer *w, const char *name, size_t capacity)
{
	size_t n = strnlen(name, capacity - 1);

	put(w, n);
	memcpy(w->out + w->n, name, n);
	w->n += n;
}

struct reader {
	const unsigned char *at, *end;
	bool bad;
};

static uint64_t get(struct reader *r)
{
	uint64_t v = 0;

	for (unsigned int shift = 0; shift < 64 && r->at < r->end; shift += 7) {
		unsigned char byte = *r->at++;

		v |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return v;
	}
	r->bad = true;
	return 0;
}

static int64_t get_signed(struct reader *r)
{
	uint64_t v = get(r);

	return (int64_t)(v >> 1 ^ -(v & 1));
}

static uint64_t get_below(struct reader *r, uint64_t limit)
{
	uint64_t v = get(r);

	r->bad |= v >= limit;
	return r->bad ? 0 : v;
}

static int32_t get_int(struct reader *r)
{
	int64_t v = get_signed(r);

	r->bad |= v < INT32_MIN || v > INT32_MAX;
	return (int32_t)v;
}

/* `out` is all zero. */
static void get_name(struct reader *r, char *out, size_t capacity)
{
	size_t n = (size_t)get_below(r, capacity);

	if (n > (size_t)(r->end - r->at))
		r->bad = true;
	if (r->bad)
		return;
	memcpy(out, r->at, n);
	r->at += n;
}

/* ---- rows ---- */

/* NA_UNKNOWN, the greatest, is 0 when one more. */
static void put_values(struct writer *w, const struct na_row *row)
{
	for (unsigned int i = 0; i < NA_METRIC_COUNT_; i++)
		put(w, row->value[i] + 1);
}

static void put_cells(struct writer *w, const struct na_row *row)
{
	put(w, row->cell_count);
	for (uint32_t i = 0; i < row->cell_count; i++) {
		put_signed(w, row->cells[i].node);
		put(w, row->cells[i].resident);
		put(w, (uint32_t)(row->cells[i].misplaced + 1)); /* UINT32_MAX likewise */
	}
}

static void put_course(struct writer *w, const struct na_row *row)
{
	uint16_t before = 0;

	for (unsigned int i = 0; i < NA_ROW_BINS; before = row->live[i++])
		put_signed(w, (int16_t)(row->live[i] - before));
}

static void put_pauses(struct writer *w, const struct na_row *row)
{
	uint64_t before = 0, ms;

	put(w, row->pause_count);
	for (uint64_t i = 0; i < row->pause_count; before = ms, i++) {
		ms = row->pauses[i].moment_ns / MS;
		put_signed(w, (int64_t)(ms - before));
		put(w, row->pauses[i].ns);
		put(w, row->pauses[i].bytes);
		put(w, row->pauses[i].kind);
	}
}

size_t na_row_pack(const struct na_row *row, unsigned char out[NA_ROW_PACKED])
{
	struct writer w = { out, 0 };

	put_name(&w, row->host, sizeof(row->host));
	put_name(&w, row->program, sizeof(row->program));
	put_name(&w, row->phase, sizeof(row->phase));
	put_signed(&w, row->rank);
	put_signed(&w, row->pid);
	put(&w, row->state);
	put(&w, row->role);
	put(&w, row->update_ms);
	put_values(&w, row);
	put_cells(&w, row);
	put_course(&w, row);
	put_pauses(&w, row);
	return w.n;
}

int na_rows_add(struct na_rows *rows, const struct na_row *row)
{
	if (rows->capacity - rows->length < NA_ROW_PACKED) {
		size_t capacity = rows->capacity + rows->capacity / 2 + 8 * NA_ROW_PACKED;
		unsigned char *grown = realloc(rows->bytes, capacity);

		if (!grown)
			return -ENOMEM;
		rows->bytes = grown;
		rows->capacity = capacity;
	}
	rows->length += na_row_pack(row, rows->bytes + rows->length);
	rows->count++;
	return 0;
}

static void get_cells(struct reader *r, struct na_row *out)
{
	out->cell_count = (uint32_t)get_below(r, NA_ROW_CELLS + 1);
	for (uint32_t i = 0; i < out->cell_count; i++) {
		out->cells[i].node = get_int(r);
		out->cells[i].resident = (uint32_t)get_below(r, UINT64_C(1) << 32);
		out->cells[i].misplaced = (uint32_t)get_below(r, UINT64_C(1) << 32) - 1;
	}
}

static void get_course(struct reader *r, struct na_row *out)
{
	uint16_t before = 0;

	for (unsigned int i = 0; i < NA_ROW_BINS; i++)
		before = out->live[i] = (uint16_t)(before + get_signed(r));
}

static void get_pauses(struct reader *r, struct na_row *out)
{
	uint64_t ms = 0;

	out->pause_count = get_below(r, NA_ROW_PAUSES + 1);
	for (uint64_t i = 0; i < out->pause_count; i++) {
		ms += (uint64_t)get_signed(r);
		out->pauses[i].moment_ns = ms * MS;
		out->pauses[i].ns = get(r);
		out->pauses[i].bytes = get(r);
		out->pauses[i].kind = get_below(r, NA_PAUSE_KINDS);
	}
}

int na_rows_next(const struct na_rows *rows, size_t *at, struct na_row *out)
{
	struct reader r = { rows->bytes + *at, rows->bytes + rows->length, false };

	if (*at >= rows->length)
		return 0;
	memset(out, 0, sizeof(*out));
	get_name(&r, out->host, sizeof(out->host));
	get_name(&r, out->program, sizeof(out->program));
	get_name(&r, out->phase, sizeof(out->phase));
	out->rank = get_int(&r);
	out->pid = get_int(&r);
	out->state = (uint32_t)get_below(&r, NA_RECORD_LOST + 1);
	out->role = (uint32_t)get_below(&r, NA_RECORD_RANK + 1);
	out->update_ms = get(&r);
	for (unsigned int i = 0; i < NA_METRIC_COUNT_; i++)
		out->value[i] = get(&r) - 1;
	get_cells(&r, out);
	get_course(&r, out);
	get_pauses(&r, out);
	if (r.bad)
		return -EINVAL;
	*at = (size_t)(r.at - rows->bytes);
	return 1;
}

int na_rows_check(const struct na_rows *rows)
{
	struct na_row row;
	size_t count = 0, at = 0;
	int rc;

	while ((rc = na_rows_next(rows, &at, &row)) > 0)
		count++;
	return rc < 0 || count != rows->count ? -EINVAL : 0;
}
