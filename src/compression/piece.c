/* SPDX-License-Identifier: BSD-3-Clause */
#include "compression/piece.h"

#include <errno.h>
#include <string.h>

#include "compression/bits.h"

#define LENGTH 2 /* bytes, of a plane's length, in front of all planes */

#define APART	192 /* bytes between planes, which would be in the same few sets of a cache otherwise */
#define LOOKS	8   /* at groups of a plane that tell whether it is noise */
#define RELEARN 16  /* pieces after which LZ4 is tried on a further plane that was not for it */

/* What LZ4 may leave of a plane: half of what takes no search, for it is slowest where it finds little. The high effort takes all it can get. */
static size_t room_for_lz4(const struct na_effort *effort, size_t n, size_t otherwise)
{
	size_t room = otherwise < n - n / 16 ? otherwise : n - n / 16;

	if (!effort->high)
		room /= 2;
	return room;
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
		length = lz4(w, effort, plane, n, to, most);
	if (!length && !is_full(plane, n))
		bits = na_bits_pack(plane, n, to);
	if (!length && !whole && !raw) {
		length = lz4(w, effort, plane, n, w->deltas, room_for_lz4(effort, n, bits));
		memcpy(to, w->deltas, length);
	}
	if (length) {
		*mode = NA_PLANE_LZ4;
		return length;
	}
	if (n && bits <= most) {
		*mode = NA_PLANE_BITS;
		return bits;
	}
	*mode = NA_PLANE_RAW;
	memcpy(to, plane, n);
	return n;
}

void na_filter_split(enum na_filter filter, const void *from, size_t n, uint8_t *const *planes, uint8_t *starts)
{
	if (na_filter_is_delta(filter))
		na_planes_split_deltas(from, n, na_filter_width(filter), planes, starts);
	else if (filter == NA_FILTER_CURVES8)
		na_planes_split_curves(from, n, planes);
	else
		na_planes_split(from, n, na_filter_width(filter), planes);
}

size_t na_piece_encode(struct na_workspace *w, const struct na_effort *effort, enum na_filter filter, uint8_t raw,
		       const void *from, size_t size, uint8_t *to, uint16_t *modes)
{
	unsigned int width = na_filter_width(filter);
	size_t n = size / width, tail = size % width, at = LENGTH * width, length;
	uint8_t *planes[NA_PLANES] = { 0 };
	enum na_plane_mode mode;

	*modes = 0;
	if (width == 1) {
		length = encode_plane(w, effort, from, size, raw & 1, true, to, &mode);
		*modes = (uint16_t)mode;
		return length;
	}
	for (unsigned int k = 0; k < width; k++)
		planes[k] = w->planes + k * (n + APART);
	na_filter_split(filter, from, n, planes, to + at);
	if (na_filter_is_delta(filter))
		at += NA_STARTS(n, width);
	for (unsigned int k = 0; k < width; k++) {
		length = encode_plane(w, effort, planes[k], n, raw >> k & 1, false, to + at, &mode);
		to[LENGTH * k] = (uint8_t)length;
		to[LENGTH * k + 1] = (uint8_t)(length >> 8);
		at += length;
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

/* A plane that is read part by part: RAW where it lies, LZ4 where it was restored to, BITS by its reader. */
struct plane {
	const uint8_t *at;
	struct na_bits_reader bits;
	size_t same; /* so many bytes of its room are bits.byte, from the part before */
	bool packed;
};

/* Of `length` bytes at `from`; `room`, n bytes, is for what LZ4 makes of it. false: it does not fit. */
static bool open_plane(struct plane *p, unsigned int mode, const uint8_t *from, size_t length, const uint8_t *end,
		       size_t n, uint8_t *room)
{
	*p = (struct plane){ .at = from, .packed = mode == NA_PLANE_BITS };
	switch (mode) {
	case NA_PLANE_RAW:
		return length == n;
	case NA_PLANE_LZ4:
		p->at = room;
		return n && length && na_lz4_restore(from, length, room, n) == 0;
	case NA_PLANE_BITS:
		p->bits = (struct na_bits_reader){ .at = from, .end = from + length, .safe = end };
		return n;
	default:
		return false;
	}
}

/* Its next n bytes: where they lie, or at `room`; NULL: they do not fit. */
static inline const uint8_t *next_of(struct plane *p, size_t n, uint8_t *room)
{
	const uint8_t *at = p->at;

	if (!p->packed) {
		p->at += n;
		return at;
	}
	if (!na_bits_run(&p->bits, n)) {
		p->same = 0;
		return na_bits_read(&p->bits, room, n) ? room : NULL;
	}
	if (p->same < n || room[0] != p->bits.byte)
		memset(room, p->bits.byte, n);
	p->same = n;
	return room;
}

static bool is_through(const struct plane *p)
{
	return !p->packed || (p->bits.at == p->bits.end && p->bits.more == 0);
}

/* All planes, behind the table of their lengths; what is left of the payload is the tail. */
static bool open_planes(struct na_workspace *w, const struct na_code *code, const uint8_t *table, const uint8_t *at,
			const uint8_t *end, struct plane *planes)
{
	unsigned int width = na_filter_width(code->filter);
	size_t n = code->original / width, length;

	for (unsigned int k = 0; k < width; k++, at += length) {
		length = table[LENGTH * k] | (size_t)table[LENGTH * k + 1] << 8;
		if ((size_t)(end - at) < length || !open_plane(&planes[k], code->modes >> (2 * k) & 3, at, length, end,
							       n, w->planes + k * (n + APART)))
			return false;
	}
	return (size_t)(end - at) == code->original % width;
}

/* What is unpacked, put together and written is in the first-level cache from one to the other. */
static bool join_planes(struct na_workspace *w, const struct na_code *code, const uint8_t *starts, struct plane *planes,
			uint8_t *to)
{
	_Static_assert(NA_DELTAS_BLOCK + NA_PLANES * APART <= NA_PARTS, "room for parts");
	unsigned int width = na_filter_width(code->filter);
	size_t n = code->original / width, most = NA_DELTAS_BLOCK / width, count;
	const uint8_t *parts[NA_PLANES];

	for (size_t i = 0; i < n; i += count) {
		count = n - i < most ? n - i : most;
		for (unsigned int k = 0; k < width; k++) {
			parts[k] = next_of(&planes[k], count, w->deltas + k * (most + APART));
			if (!parts[k])
				return false;
		}
		if (na_filter_is_delta(code->filter))
			na_planes_join_deltas(parts, count, i == 0, width, starts, to);
		else if (code->filter == NA_FILTER_CURVES8)
			na_planes_join_curves(parts, count, i == 0, to);
		else
			na_planes_join(parts, count, width, to);
		starts += NA_BLOCK_STARTS;
		to += count * width;
	}
	for (unsigned int k = 0; k < width; k++)
		if (!is_through(&planes[k]))
			return false;
	return true;
}

static int decode_whole(const struct na_code *code, const uint8_t *from, uint8_t *to)
{
	struct plane p;
	const uint8_t *at, *end = from + code->length;

	if (!open_plane(&p, code->modes & 3, from, code->length, end, code->original, to))
		return -EBADMSG;
	at = next_of(&p, code->original, to);
	if (!at || !is_through(&p))
		return -EBADMSG;
	if (at != to)
		memcpy(to, at, code->original);
	return 0;
}

int na_piece_decode(struct na_workspace *w, const struct na_code *code, const void *payload, void *to)
{
	const uint8_t *table = payload, *end = table + code->length, *starts;
	struct plane planes[NA_PLANES];
	size_t n, tail, head;
	unsigned int width;

	if (code->filter >= NA_FILTERS || code->original > NA_PIECE)
		return -EBADMSG;
	width = na_filter_width(code->filter);
	if (width == 1)
		return decode_whole(code, payload, to);
	n = code->original / width;
	tail = code->original % width;
	starts = table + (size_t)LENGTH * width;
	head = LENGTH * width + (na_filter_is_delta(code->filter) ? NA_STARTS(n, width) : 0);
	if (code->length < head || !open_planes(w, code, table, table + head, end, planes) ||
	    !join_planes(w, code, starts, planes, to))
		return -EBADMSG;
	memcpy((uint8_t *)to + n * width, end - tail, tail);
	return 0;
}

int na_piece_restore(struct na_workspace *w, const struct na_code *code, const void *payload, void *to)
{
	int rc = na_piece_check(code, payload);

	return rc ? rc : na_piece_decode(w, code, payload, to);
}
