/* SPDX-License-Identifier: BSD-3-Clause */
#include "compression/piece.h"

#include <errno.h>
#include <string.h>

#define LENGTH 2 /* bytes in front of an LZ4 block */

#define RELEARN 16 /* pieces after which planes that were raw are tried again */

static bool is_constant(const uint8_t *p, size_t n)
{
	return n > 1 && p[0] == p[n - 1] && p[0] == p[n / 2] && memcmp(p, p + 1, n - 1) == 0;
}

/* A plane's bytes, to `to`; an LZ4 block that saves less than a sixteenth is not worth its restoration. */
static size_t encode_plane(struct na_workspace *w, const struct na_effort *effort, const uint8_t *plane, size_t n,
			   bool raw, uint8_t *to, enum na_plane_mode *mode)
{
	size_t room = n - n / 16, length = 0;

	if (is_constant(plane, n)) {
		*mode = NA_PLANE_CONST;
		to[0] = plane[0];
		return 1;
	}
	if (!raw && room > LENGTH)
		length = na_lz4_compress(effort->high ? w->high : w->state, effort->high, effort->speed, plane, n,
					 to + LENGTH, room - LENGTH);
	if (length == 0) {
		*mode = NA_PLANE_RAW;
		memcpy(to, plane, n);
		return n;
	}
	*mode = NA_PLANE_LZ4;
	to[0] = (uint8_t)length;
	to[1] = (uint8_t)(length >> 8);
	return length + LENGTH;
}

size_t na_piece_encode(struct na_workspace *w, const struct na_effort *effort, enum na_filter filter, uint8_t raw,
		       const void *from, size_t size, uint8_t *to, uint16_t *modes)
{
	unsigned int width = na_filter_width(filter);
	size_t n = size / width, tail = size % width, at = 0;
	const void *elements = from;
	uint8_t *planes[NA_PLANES];
	enum na_plane_mode mode;

	*modes = 0;
	if (width == 1) {
		at = encode_plane(w, effort, from, size, raw & 1, to, &mode);
		*modes = (uint16_t)mode;
		return at;
	}
	if (na_filter_is_delta(filter)) {
		na_deltas_make(from, n, width, w->deltas);
		elements = w->deltas;
	}
	for (unsigned int k = 0; k < width; k++)
		planes[k] = w->planes + k * n;
	na_planes_split(elements, n, width, planes);
	for (unsigned int k = 0; k < width; k++) {
		at += encode_plane(w, effort, planes[k], n, raw >> k & 1, to + at, &mode);
		*modes |= (uint16_t)((unsigned int)mode << (2 * k));
	}
	memcpy(to + at, (const uint8_t *)from + size - tail, tail);
	return at + tail;
}

static uint64_t seal_of(const struct na_code *code)
{
	return na_hash(code, offsetof(struct na_code, seal));
}

static uint8_t raw_planes(uint16_t modes, unsigned int width)
{
	uint8_t raw = 0;

	for (unsigned int k = 0; k < width; k++)
		raw |= (uint8_t)((modes >> (2 * k) & 3) == NA_PLANE_RAW) << k;
	return raw;
}

/* Runs the plan's filter; where it is not sure, on a block's first piece, the runner-up as well. */
static const uint8_t *run_filters(struct na_workspace *w, struct na_plan *plan, const void *from, size_t size,
				  struct na_code *code)
{
	size_t length = na_piece_encode(w, &plan->effort, plan->filter, plan->raw, from, size, w->out[0], &code->modes);
	const uint8_t *best = w->out[0];

	if (plan->second != plan->filter) {
		uint16_t modes;
		size_t other = na_piece_encode(w, &plan->effort, plan->second, 0, from, size, w->out[1], &modes);

		if (other < length) {
			best = w->out[1];
			length = other;
			code->modes = modes;
			plan->filter = plan->second;
		}
		plan->second = plan->filter;
	}
	code->filter = plan->filter;
	code->length = (uint32_t)length;
	return best;
}

const void *na_piece_compress(struct na_workspace *w, struct na_plan *plan, const void *from, size_t size,
			      struct na_code *code)
{
	const uint8_t *payload;

	memset(code, 0, sizeof(*code));
	code->original = (uint32_t)size;
	if (plan->before++ % RELEARN == 0)
		plan->raw = 0;
	payload = run_filters(w, plan, from, size, code);
	plan->raw = raw_planes(code->modes, na_filter_width(plan->filter));
	if (code->length >= size) {
		code->filter = NA_FILTER_NONE;
		code->modes = NA_PLANE_RAW;
		code->length = (uint32_t)size;
		payload = from;
	}
	code->checksum = na_hash(payload, code->length);
	code->seal = seal_of(code);
	return payload;
}

bool na_code_is_whole(const struct na_code *code)
{
	return code->seal == seal_of(code);
}

int na_piece_check(const struct na_code *code, const void *payload)
{
	return na_code_is_whole(code) && na_hash(payload, code->length) == code->checksum ? 0 : -EBADMSG;
}

/* The plane's bytes: in the payload, or made at `at`. Moves *from on. NULL: it does not fit. */
static const uint8_t *decode_plane(unsigned int mode, const uint8_t **from, const uint8_t *end, size_t n, uint8_t *at)
{
	const uint8_t *p = *from;
	size_t left = (size_t)(end - p), length;

	switch (mode) {
	case NA_PLANE_RAW:
		if (left < n)
			return NULL;
		*from = p + n;
		return p;
	case NA_PLANE_CONST:
		if (left < 1)
			return NULL;
		memset(at, p[0], n);
		*from = p + 1;
		return at;
	case NA_PLANE_LZ4:
		length = left >= LENGTH ? p[0] | (size_t)p[1] << 8 : 0;
		if (length == 0 || left - LENGTH < length || na_lz4_restore(p + LENGTH, length, at, n) < 0)
			return NULL;
		*from = p + LENGTH + length;
		return at;
	default:
		return NULL;
	}
}

int na_piece_decode(struct na_workspace *w, const struct na_code *code, const void *payload, void *to)
{
	const uint8_t *at = payload, *end = at + code->length, *planes[NA_PLANES], *only;
	unsigned int width;
	size_t n, tail;

	if (code->filter >= NA_FILTERS || code->original > NA_PIECE)
		return -EBADMSG;
	width = na_filter_width(code->filter);
	n = code->original / width;
	tail = code->original % width;
	if (width == 1) {
		only = decode_plane(code->modes & 3, &at, end, n, to);
		if (!only || at != end)
			return -EBADMSG;
		if (only != to)
			memcpy(to, only, n);
		return 0;
	}
	for (unsigned int k = 0; k < width; k++) {
		planes[k] = decode_plane(code->modes >> (2 * k) & 3, &at, end, n, w->planes + k * n);
		if (!planes[k])
			return -EBADMSG;
	}
	if ((size_t)(end - at) != tail)
		return -EBADMSG;
	na_planes_join(planes, n, width, to);
	if (na_filter_is_delta(code->filter))
		na_deltas_undo(to, n, width);
	memcpy((uint8_t *)to + n * width, at, tail);
	return 0;
}

int na_piece_restore(struct na_workspace *w, const struct na_code *code, const void *payload, void *to)
{
	int rc = na_piece_check(code, payload);

	return rc ? rc : na_piece_decode(w, code, payload, to);
}
