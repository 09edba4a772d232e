/* SPDX-License-Identifier: BSD-3-Clause */
#include "compression/bits.h"
#include "compression/piece.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/contents.h"
#include "support/unit.h"

#define ALL  0x1f
#define MOST 5000 /* elements: more than are worked on at a time */

static const struct na_effort fast = { .speed = 4, .filters = ALL }, balanced = { .speed = 1, .filters = ALL },
			      high = { .speed = 1, .high = 4, .filters = ALL };
static struct na_workspace *w;

static int begin(void **state)
{
	(void)state;
	if (na_lz4_load() < 0 || na_workspace_start() < 0)
		return -1;
	w = na_workspace_make();
	return w ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	na_workspace_drop(w);
	na_workspace_stop();
	assert_int_equal(na_workspace_bytes(), 0);
	return 0;
}

/* Block by block, as a piece is decoded. */
static void join_deltas(uint8_t *const *planes, size_t n, unsigned int width, const uint8_t *starts, bool plain, uint8_t *to)
{
	size_t block = NA_DELTAS_BLOCK / width;

	for (size_t i = 0; i < n; i += block, starts += NA_BLOCK_STARTS) {
		size_t count = n - i < block ? n - i : block;
		const uint8_t *parts[NA_PLANES];

		for (unsigned int k = 0; k < width; k++)
			parts[k] = planes[k] + i;
		if (plain)
			na_planes_join_deltas_plain(parts, count, i == 0, width, to + i * width);
		else
			na_planes_join_deltas(parts, count, i == 0, width, starts, to + i * width);
	}
}

/* In two parts, of which the first has whole groups. */
static void join_curves(uint8_t *const *planes, size_t n, bool plain, uint8_t *to)
{
	size_t first = n / NA_PLANES_GROUP / 2 * NA_PLANES_GROUP;
	const uint8_t *parts[NA_PLANES];

	for (unsigned int k = 0; k < 8; k++)
		parts[k] = planes[k] + first;
	(plain ? na_planes_join_curves_plain : na_planes_join_curves)((const uint8_t *const *)planes, first, true, to);
	(plain ? na_planes_join_curves_plain : na_planes_join_curves)(parts, n - first, first == 0, to + 8 * first);
}

static void curves_are_the_same_by_vectors_and_plainly(void **state)
{
	static uint8_t from[8 * MOST + 1], one[8 * MOST], other[8 * MOST], back[8 * MOST + 1];
	uint64_t seed = 11;

	(void)state;
	for (size_t i = 0; i < sizeof(from); i++)
		from[i] = (uint8_t)contents_next(&seed);
	for (size_t n = 0; n <= MOST; n += n < 300 ? 1 : 97) {
		uint8_t *a[8], *b[8];

		for (unsigned int k = 0; k < 8; k++) {
			a[k] = one + k * n;
			b[k] = other + k * n;
		}
		na_planes_split_curves(from + 1, n, a);
		na_planes_split_curves_plain(from + 1, n, b);
		assert_memory_equal(one, other, n * 8);
		for (int plain = 0; plain < 2; plain++) {
			memset(back, 0, sizeof(back));
			join_curves(a, n, plain, back + 1);
			assert_memory_equal(back + 1, from + 1, n * 8);
		}
	}
}

static void planes_are_the_same_by_vectors_and_plainly(void **state)
{
	static uint8_t from[8 * MOST + 1], one[8 * MOST], other[8 * MOST], back[8 * MOST + 1];
	uint64_t seed = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(from); i++)
		from[i] = (uint8_t)contents_next(&seed);
	for (unsigned int width = 2; width <= 8; width *= 2)
		for (size_t n = 0; n <= MOST; n += n < 300 ? 1 : 97) {
			uint8_t *a[8], *b[8];

			for (unsigned int k = 0; k < width; k++) {
				a[k] = one + k * n;
				b[k] = other + k * n;
			}
			na_planes_split(from + 1, n, width, a); /* not aligned */
			na_planes_split_plain(from + 1, 0, n, width, b);
			assert_memory_equal(one, other, n * width);
			na_planes_join((const uint8_t *const *)a, n, width, back + 1);
			assert_memory_equal(back + 1, from + 1, n * width);
			memset(back, 0, sizeof(back));
			na_planes_join_plain((const uint8_t *const *)a, 0, n, width, back + 1);
			assert_memory_equal(back + 1, from + 1, n * width);
			if (width > 2) {
				uint8_t begins[NA_STARTS(MOST, 8)], others[sizeof(begins)];

				na_planes_split_deltas(from + 1, n, width, a, begins);
				na_planes_split_deltas_plain(from + 1, n, width, b, others);
				assert_memory_equal(one, other, n * width);
				assert_memory_equal(begins, others, NA_STARTS(n, width));
				memset(back, 0, sizeof(back));
				join_deltas(a, n, width, begins, false, back + 1);
				assert_memory_equal(back + 1, from + 1, n * width);
				memset(back, 0, sizeof(back));
				join_deltas(a, n, width, begins, true, back + 1);
				assert_memory_equal(back + 1, from + 1, n * width);
			}
		}
}

/* Part by part: true if all of it fits, and nothing is left. */
static bool unpacked(const struct na_bits_way *way, const uint8_t *from, size_t length, uint8_t *to, size_t n, uint64_t *seed)
{
	struct na_bits_reader r = { .at = from, .end = from + length, .safe = from + length };

	for (size_t i = 0, part; i < n; i += part) {
		part = NA_BITS_GROUP * (1 + contents_next(seed) % 20);
		part = part < n - i ? part : n - i;
		if (na_bits_run(&r, part))
			memset(to + i, r.byte, part);
		else if (!way->read(&r, to + i, part))
			return false;
	}
	return r.at == r.end && r.more == 0;
}

/* Of n bytes, by one way: back to what they were, and never beyond what it was given. */
static void pack_and_unpack(const struct na_bits_way *way, const uint8_t *from, size_t n, size_t expected)
{
	uint8_t *packed = malloc(NA_BITS_BOUND(n)), *to = malloc(n), *copy, varies;
	size_t length = way->pack(from, n, packed);
	uint64_t seed = n;

	assert_true(length <= NA_BITS_BOUND(n));
	assert_int_equal(length, expected);
	assert_int_equal(way->measure(from, n, &varies), length);
	copy = malloc(length);
	memcpy(copy, packed, length);
	memset(to, 0x55, n);
	assert_true(unpacked(way, copy, length, to, n, &seed));
	assert_memory_equal(to, from, n);
	free(copy);
	copy = malloc(length);
	memcpy(copy, packed, length - 1);
	assert_false(unpacked(way, copy, length - 1, to, n, &seed));
	free(copy);
	free(to);
	free(packed);
}

static void bits_are_packed_alike_in_all_ways(void **state)
{
	static uint8_t from[NA_PIECE];
	uint64_t seed = 4;
	uint8_t varies;

	(void)state;
	for (int round = 0; round < 600; round++) {
		size_t n = round < 300 ? (size_t)round + 1 : 1 + contents_next(&seed) % sizeof(from);
		uint8_t mask = (uint8_t)contents_next(&seed);

		for (size_t i = 0; i < n; i++) /* runs of one byte, and some bits of noise */
			from[i] = i / (round % 4 ? 700 : 15000) % 3 ? 7 : (uint8_t)(contents_next(&seed) & mask);
		for (int i = 0; i < NA_BITS_WAYS; i++)
			if (na_bits_ways[i].runs())
				pack_and_unpack(&na_bits_ways[i], from, n, na_bits_measure(from, n, &varies));
	}
	assert_true(na_bits_ways[NA_BITS_WAYS - 1].runs());
}

static void packed_bits_leave_out_what_does_not_vary(void **state)
{
	static uint8_t from[8192], to[NA_BITS_BOUND(sizeof(from))];
	uint64_t seed = 9;
	uint8_t varies;

	(void)state;
	memset(from, 0x3f, sizeof(from));
	assert_int_equal(na_bits_measure(from, sizeof(from), &varies), 3);
	assert_int_equal(varies, 0);
	for (size_t i = 0; i < sizeof(from); i++) /* signs */
		from[i] = 0x3f | (contents_next(&seed) & 1 ? 0x80 : 0);
	assert_int_equal(na_bits_measure(from, sizeof(from), &varies), sizeof(from) / 64 * (2 + 8));
	assert_int_equal(varies, 0x80);
	assert_int_equal(na_bits_pack(from, sizeof(from), to), sizeof(from) / 64 * (2 + 8));
}

/* Payload and piece in memory of just their size, so that the sanitizers see each byte beyond. */
static int restored(const struct na_code *code, const void *payload, size_t size, const void *expected)
{
	uint8_t *copy = malloc(code->length + !code->length), *to = malloc(code->original + !code->original);
	int rc;

	memcpy(copy, payload, code->length);
	rc = na_piece_restore(w, code, copy, to);
	if (rc == 0) {
		assert_int_equal(code->original, size);
		assert_memory_equal(to, expected, size);
	}
	free(copy);
	free(to);
	return rc;
}

static void every_filter_gives_back_what_it_got(void **state)
{
	static const size_t sizes[] = { 1, 3, 7, 8, 9, 31, 64, 100, 1000, 4096, 4099, 65535, 65536 };
	static uint8_t from[NA_PIECE];

	(void)state;
	for (int kind = 0; kind < CONTENTS_KINDS; kind++)
		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
			for (unsigned int filter = 0; filter < NA_FILTERS; filter++) {
				struct na_plan plan = { .effort = filter % 2 ? balanced : kind % 2 ? fast : high,
							.filter = (uint8_t)filter,
							.second = (uint8_t)filter };
				struct na_code code;
				const void *payload;

				contents_fill(from, sizes[s], kind, s);
				for (int again = 0; again < 3; again++) { /* the plan has learnt */
					payload = na_piece_compress(w, &plan, from, sizes[s], &code);
					assert_true(code.length <= sizes[s]);
					assert_int_equal(restored(&code, payload, sizes[s], from), 0);
				}
			}
}

static size_t compressed(const struct na_effort *effort, const uint8_t *block, size_t size, bool *promises)
{
	struct na_plan plan;
	struct na_code code;
	size_t sum = 0;

	na_plan_make(w, &plan, effort, block, size);
	*promises = na_plan_promises(&plan);
	for (size_t at = 0; at < size; at += NA_PIECE) {
		na_piece_compress(w, &plan, block + at, NA_PIECE, &code);
		sum += code.length;
	}
	return sum;
}

/* The goals in ratios; never worse than plain LZ4. */
static void the_plan_beats_plain_lz4(void **state)
{
	static const double least[CONTENTS_KINDS] = {
		[CONTENTS_DOUBLES] = 1.2, [CONTENTS_SMOOTH] = 1.7, [CONTENTS_FLOATS] = 1.7, [CONTENTS_INTEGERS] = 1.5, [CONTENTS_RAMP] = 10
	};
	static const struct na_effort plain = { .speed = 1, .filters = 1 };
	const size_t size = 1 << 20;
	uint8_t *block = malloc(size);

	(void)state;
	for (int kind = 0; kind < CONTENTS_KINDS; kind++) {
		size_t without, with;
		bool promises;

		contents_fill(block, size, kind, 7);
		without = compressed(&plain, block, size, &promises);
		with = compressed(&balanced, block, size, &promises);
		printf("%-28s %6.2f without, %6.2f with a filter: %.2f times\n", contents_names[kind], (double)size / (double)without,
		       (double)size / (double)with, (double)without / (double)with);
		assert_true((double)without >= (double)with * 0.995);
		if (least[kind] > 0)
			assert_true((double)without >= (double)with * least[kind]);
		if ((double)size >= (double)with * 1.4 && kind != CONTENTS_FAR) /* which a sample cannot tell */
			assert_true(promises);
		if (kind == CONTENTS_RANDOM)
			assert_false(promises);
	}
	free(block);
}

static void every_flipped_bit_is_found(void **state)
{
	static uint8_t from[4096], damaged[4096 + NA_SLACK];

	(void)state;
	for (int kind = 0; kind < CONTENTS_KINDS; kind++) {
		struct na_code code;
		struct na_plan plan;
		const void *payload;

		contents_fill(from, sizeof(from), kind, 3);
		na_plan_make(w, &plan, &balanced, from, sizeof(from));
		payload = na_piece_compress(w, &plan, from, sizeof(from), &code);
		memcpy(damaged, payload, code.length);
		for (size_t i = 0; i < code.length; i++)
			for (int bit = 0; bit < 8; bit++) {
				damaged[i] ^= (uint8_t)(1 << bit);
				assert_int_equal(restored(&code, damaged, sizeof(from), from), -EBADMSG);
				damaged[i] ^= (uint8_t)(1 << bit);
			}
		for (size_t i = 0; i < sizeof(code); i++)
			for (int bit = 0; bit < 8; bit++) {
				((uint8_t *)&code)[i] ^= (uint8_t)(1 << bit);
				assert_int_equal(na_piece_check(&code, damaged), -EBADMSG);
				((uint8_t *)&code)[i] ^= (uint8_t)(1 << bit);
			}
		assert_int_equal(restored(&code, damaged, sizeof(from), from), 0);
	}
}

/* Beneath the checksums: a code and a payload that fit no longer are refused or give something, but touch nothing else. */
static int decoded(const struct na_code *code, const uint8_t *payload)
{
	uint8_t *copy = malloc(code->length + !code->length), *to = malloc(code->original + !code->original);
	int rc;

	memcpy(copy, payload, code->length);
	rc = na_piece_decode(w, code, copy, to);
	free(copy);
	free(to);
	return rc;
}

static void truncated_payloads_are_refused_whatever_the_checksum_says(void **state)
{
	static uint8_t from[2048], payload[2048 + NA_SLACK];

	(void)state;
	for (int kind = 0; kind < CONTENTS_KINDS; kind++) {
		struct na_code code;
		struct na_plan plan;
		uint32_t length;

		contents_fill(from, sizeof(from), kind, 3);
		na_plan_make(w, &plan, &balanced, from, sizeof(from));
		memcpy(payload, na_piece_compress(w, &plan, from, sizeof(from), &code), sizeof(from));
		length = code.length;
		for (code.length = 0; code.length < length; code.length++) {
			assert_int_equal(decoded(&code, payload), -EBADMSG);
			assert_int_equal(na_piece_check(&code, payload), -EBADMSG);
		}
		code.length = length + 1;
		assert_int_equal(decoded(&code, payload), -EBADMSG);
	}
}

static void fuzzed_payloads_touch_nothing_else(void **state)
{
	static uint8_t from[NA_PIECE], payload[NA_PIECE + NA_SLACK];
	int rounds = getenv("NA_TEST_FUZZ") ? atoi(getenv("NA_TEST_FUZZ")) : 20000;
	uint64_t seed = 12345;

	(void)state;
	for (int round = 0; round < rounds; round++) {
		size_t size = 1 + contents_next(&seed) % (round % 16 ? 3000 : NA_PIECE); /* the largest have several blocks */
		struct na_plan plan = { .effort = balanced };
		struct na_code code;

		plan.filter = plan.second = (uint8_t)(contents_next(&seed) % NA_FILTERS);
		contents_fill(from, size, (int)(contents_next(&seed) % CONTENTS_KINDS), contents_next(&seed));
		memcpy(payload, na_piece_compress(w, &plan, from, size, &code), size);
		for (uint64_t n = 1 + contents_next(&seed) % 8; n; n--)
			payload[contents_next(&seed) % code.length] = (uint8_t)contents_next(&seed);
		if (contents_next(&seed) % 4 == 0)
			code.length = (uint32_t)(contents_next(&seed) % (code.length + 1));
		if (contents_next(&seed) % 4 == 0) /* the table of lengths, which most of all must not be believed */
			payload[contents_next(&seed) % 16] = (uint8_t)contents_next(&seed);
		if (contents_next(&seed) % 4 == 0)
			code.modes = (uint16_t)contents_next(&seed);
		if (contents_next(&seed) % 4 == 0)
			code.filter = (uint8_t)(contents_next(&seed) % (NA_FILTERS + 1));
		if (contents_next(&seed) % 4 == 0)
			code.original = (uint32_t)(contents_next(&seed) % 5000);
		if (contents_next(&seed) % 64 == 0)
			code.original = (uint32_t)(NA_PIECE + contents_next(&seed) % 5000);
		if (code.original <= NA_PIECE)
			decoded(&code, payload);
		else
			assert_int_equal(na_piece_decode(w, &code, payload, NULL), -EBADMSG);
	}
}

/* Planes whose parts of 16 KiB are one byte, another one, mixed from that byte on, and that byte again: what is not written again must be it. */
static void parts_of_one_byte_are_told_from_one_another(void **state)
{
	static uint64_t from[NA_PIECE / 8];
	static uint8_t payload[NA_PIECE + NA_SLACK];
	const size_t part = NA_DELTAS_BLOCK / 8;
	struct na_plan plan = { .effort = balanced, .filter = NA_FILTER_PLANES8, .second = NA_FILTER_PLANES8 };
	struct na_code code;
	uint64_t seed = 5;
	unsigned int length;

	(void)state;
	for (size_t i = 0; i < NA_PIECE / 8; i++)
		from[i] = (i < part ? 1 : i / part == 2 && i % part >= 64 ? contents_next(&seed) % 8 : 2) *
			  UINT64_C(0x0101010101010101);
	memcpy(payload, na_piece_compress(w, &plan, from, NA_PIECE, &code), NA_PIECE);
	assert_int_equal(code.modes, 0xaaaa); /* NA_PLANE_BITS, all */
	assert_int_equal(restored(&code, payload, NA_PIECE, from), 0);
	/* A run that is longer than the plane; a plane that is longer than what it stands for. */
	length = payload[14] | (unsigned int)payload[15] << 8;
	payload[code.length - 1]++;
	assert_int_equal(decoded(&code, payload), -EBADMSG);
	payload[code.length - 1]--;
	memcpy(payload + code.length, "\2\0\0", 3);
	payload[14] = (uint8_t)(length + 3);
	payload[15] = (uint8_t)((length + 3) >> 8);
	code.length += 3;
	assert_int_equal(decoded(&code, payload), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(curves_are_the_same_by_vectors_and_plainly),
		cmocka_unit_test(planes_are_the_same_by_vectors_and_plainly),
		cmocka_unit_test(bits_are_packed_alike_in_all_ways),
		cmocka_unit_test(packed_bits_leave_out_what_does_not_vary),
		cmocka_unit_test(every_filter_gives_back_what_it_got),
		cmocka_unit_test(the_plan_beats_plain_lz4),
		cmocka_unit_test(every_flipped_bit_is_found),
		cmocka_unit_test(truncated_payloads_are_refused_whatever_the_checksum_says),
		cmocka_unit_test(fuzzed_payloads_touch_nothing_else),
		cmocka_unit_test(parts_of_one_byte_are_told_from_one_another),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
