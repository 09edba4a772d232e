/* SPDX-License-Identifier: BSD-3-Clause */
#include "compression/piece.h"

#include <errno.h>
#include <string.h>

#include "compression/bits.h"

#define LENGTH 2 /* bytes in front of an LZ4 block */

#define APART	192 /* bytes between planes, which would be in the same few sets of a cache otherwise */
#define LOOKS	8   /* at groups of a plane that tell whether it is noise */
#define RELEARN 16  /* pieces after which LZ4 is tried on a further plane that was not for it */

/* What LZ4 may leave of a plane: half of what takes no search, for it is slowest where it finds little. The high effort takes all it can get. */
static size_t room_for_lz4(const struct na_effort *effort, size_t n, size_t otherwise)
{
	size_t room = otherwise < n - n / 16 ? otherwise : n - n / 16;

	if (!effort->high)
		room /= 2;
	return room > LENGTH ? room - LENGTH : 0;
}

static size_t lz4(struct na_workspace *w, const struct na_effort *effort, const uint8_t *plane, size_t n, uint8_t *to,
		  size_t room)
{
	return room ? na_lz4_compress(effort->high ? w->high : w->state, effort->high, effort->speed, plane, n, to,
				      room)
		    : 0;
}

/* Whether in groups from all over the plane every bit varies: then it is left as it is, unlooked at. */
static bool is_full(const uint8_t *plane, size_t n)
{
	size_t gap = n / LOOKS;
	uint8_t varies = 0xff;

	if (gap < 2 * NA_BITS_GROUP)
		return false;
	for (size_t i = 0; i < LOOKS && varies == 0xff; i++)
		na_bits_measure(plane + i * gap, NA_BITS_GROUP, &varies);
	return varies == 0xff;
}

/* A plane's bytes, to `to`; what saves less than a sixteenth is not worth its restoration. `whole`: there are no planes, and LZ4 comes
 * first, for by itself it must never be better. */
static size_t encode_plane(struct na_workspace *w, const struct na_effort *effort, const uint8_t *plane, size_t n,
			   bool raw, bool whole, uint8_t *to, enum na_plane_mode *mode)
{
	size_t most = n - n / 16, bits = SIZE_MAX, length = 0;

	if (whole && !raw)
		length = lz4(w, effort, plane, n, to + LENGTH, most > LENGTH ? most - LENGTH : 0);
	if (!length && !is_full(plane, n))
		bits = na_bits_pack(plane, n, to);
	if (!length && !whole && !raw) {
		length = lz4(w, effort, plane, n, w->deltas, room_for_lz4(effort, n, bits));
		memcpy(to + LENGTH, w->deltas, length);
	}
	if (length) {
		*mode = NA_PLANE_LZ4;
		to[0] = (uint8_t)length;
		to[1] = (uint8_t)(length >> 8);
		return length + LENGTH;
	}
	if (n && bits <= most) {
		*mode = NA_PLANE_BITS;
		return bits;
	}
	*mode = NA_PLANE_RAW;
	memcpy(to, plane, n);
	return n;
}

size_t na_piece_encode(struct na_workspace *w, const struct na_effort *effort, enum na_filter filter, uint8_t raw,
		       const void *from, size_t size, uint8_t *to, uint16_t *modes)
{
	unsigned int width = na_filter_width(filter);
	size_t n = size / width, tail = size % width, at = 0;
	uint8_t *planes[NA_PLANES] = { 0 };
	enum na_plane_mode mode;

	*modes = 0;
	if (width == 1) {
		at = encode_plane(w, effort, from, size, raw & 1, true, to, &mode);
		*modes = (uint16_t)mode;
		return at;
	}
	for (unsigned int k = 0; k < width; k++)
		planes[k] = w->planes + k * (n + APART);
	if (na_filter_is_delta(filter)) {
		na_planes_split_deltas(from, n, width, planes, to);
		at = NA_STARTS(n, width);
	} else {
		na_planes_split(from, n, width, planes);
	}
	for (unsigned int k = 0; k < width; k++) {
		at += encode_plane(w, effort, planes[k], n, raw >> k & 1, false, to + at, &mode);
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
		raw |= (uint8_t)((modes >> (2 * k) & 3) != NA_PLANE_LZ4) << k;
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
	if (++plan->before % RELEARN == 0)
		plan->raw &= (uint8_t) ~(1U << (plan->before / RELEARN % NA_PLANES));
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
	case NA_PLANE_LZ4:
		length = left >= LENGTH ? p[0] | (size_t)p[1] << 8 : 0;
		if (length == 0 || left - LENGTH < length || na_lz4_restore(p + LENGTH, length, at, n) < 0)
			return NULL;
		*from = p + LENGTH + length;
		return at;
	case NA_PLANE_BITS:
		length = n ? na_bits_unpack(p, left, at, n) : 0;
		*from = p + length;
		return length ? at : NULL;
	default:
		return NULL;
	}
}

int na_piece_decode(struct na_workspace *w, const struct na_code *code, const void *payload, void *to)
{
	const uint8_t *at = payload, *end = at + code->length, *starts = at, *planes[NA_PLANES], *only;
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
	if (na_filter_is_delta(code->filter)) {
		at += NA_STARTS(n, width);
		if (code->length < NA_STARTS(n, width))
			return -EBADMSG;
	}
	for (unsigned int k = 0; k < width; k++) {
		planes[k] = decode_plane(code->modes >> (2 * k) & 3, &at, end, n, w->planes + k * (n + APART));
		if (!planes[k])
			return -EBADMSG;
	}
	if ((size_t)(end - at) != tail)
		return -EBADMSG;
	if (na_filter_is_delta(code->filter))
		na_planes_join_deltas(planes, n, width, starts, to);
	else
		na_planes_join(planes, n, width, to);
	memcpy((uint8_t *)to + n * width, at, tail);
	return 0;
}

int na_piece_restore(struct na_workspace *w, const struct na_code *code, const void *payload, void *to)
{
	int rc = na_piece_check(code, payload);

	return rc ? rc : na_piece_decode(w, code, payload, to);
}
