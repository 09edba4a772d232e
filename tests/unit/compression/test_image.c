/* SPDX-License-Identifier: BSD-3-Clause */
#include "compression/image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"
#include "heap/heap.h"
#include "heap/snapshot.h"
#include "support/contents.h"
#include "support/faulty_os.h"
#include "support/unit.h"

static const struct na_effort balanced = { .speed = 1, .filters = 0x1f };

static int begin(void **state)
{
	(void)state;
	na_pools_boot();
	na_options.verbose = 0;
	na_options.background = 0;
	return na_lz4_load() || na_workspace_start();
}

static struct na_image_figures figures(void)
{
	struct na_image_figures f;

	na_image_figures(&f);
	return f;
}

static uint64_t live(void)
{
	struct na_snapshot s;

	na_heap_snapshot(&s);
	return s.live_bytes;
}

static struct na_image *image_of(const void *block, size_t size)
{
	struct na_image *image = NULL;

	assert_int_equal(na_image_make(na_pool_here(), block, size, &balanced, NULL, &image), 0);
	return image;
}

static void blocks_of_all_sizes_come_back(void **state)
{
	static const size_t sizes[] = { 4096, 5000, 65536, 65537, 200000, 1 << 20, (5 << 20) + 13 };
	size_t most = (5 << 20) + 13;
	uint8_t *block = malloc(most), *back = malloc(most);
	uint64_t before = live();

	(void)state;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
		for (int kind = CONTENTS_FLOATS; kind <= CONTENTS_SPARSE; kind++) {
			size_t size = sizes[s];
			struct na_image *image;

			contents_fill(block, size, kind, s);
			image = image_of(block, size);
			assert_true(live() >= before + size / 1000);
			assert_true(image->bytes * 4 <= size * 3);
			assert_int_equal(figures().images, 1);
			assert_int_equal(figures().original, size);
			assert_int_equal(figures().compressed, image->bytes);
			assert_int_equal(na_image_check(image), 0);
			memset(back, 0, size);
			assert_int_equal(na_image_restore(image, back), 0);
			assert_memory_equal(back, block, size);
			for (uint32_t i = 0; i < image->pieces; i += 3) {
				size_t at = i * NA_PIECE, n = size - at < NA_PIECE ? size - at : NA_PIECE;

				memset(back, 0, NA_PIECE);
				assert_int_equal(na_image_restore_piece(image, i, back), 0);
				assert_memory_equal(back, block + at, n);
			}
			assert_true(na_image_is_of(image, block, size, NULL));
			block[size - 1] ^= 1;
			assert_false(na_image_is_of(image, block, size, NULL));
			assert_true(na_image_drop(image) > 0);
			assert_int_equal(live(), before);
		}
	free(block);
	free(back);
}

static void what_does_not_shrink_is_left_alone(void **state)
{
	size_t size = 1 << 20;
	uint8_t *block = malloc(size);
	struct na_image *image = NULL;
	uint64_t before = live(), vain = figures().incompressible;

	(void)state;
	for (int kind = 0; kind < CONTENTS_KINDS; kind++) {
		if (kind != CONTENTS_RANDOM && kind != CONTENTS_DOUBLES)
			continue;
		contents_fill(block, size, kind, 1);
		assert_int_equal(na_image_make(na_pool_here(), block, size, &balanced, NULL, &image), -ENODATA);
		assert_int_equal(figures().incompressible, ++vain);
		assert_int_equal(live(), before);
	}
	/* The sample, of the block's start, quarters and end, promises what the block does not keep. */
	contents_fill(block, size, CONTENTS_RANDOM, 1);
	for (size_t i = 0; i < 4; i++)
		memset(block + ((size - 1024) / 3 & ~(size_t)63) * i, 0, 1024);
	assert_int_equal(na_image_make(na_pool_here(), block, size, &balanced, NULL, &image), -ENODATA);
	assert_int_equal(live(), before);
	free(block);
}

/* Each byte of the header, the table and the payloads, all that an image is made of. */
static void every_flipped_byte_is_found(void **state)
{
	size_t size = 150000, head;
	uint8_t *block = malloc(size), *back = malloc(size);
	uint64_t damaged = figures().damaged;
	struct na_image *image;

	(void)state;
	contents_fill(block, size, CONTENTS_INTEGERS, 1);
	image = image_of(block, size);
	head = sizeof(*image) + image->pieces * sizeof(image->piece[0]);
	for (size_t i = 0; i < head; i++) {
		uint8_t *at = (uint8_t *)image + i, was = *at;

		if (i >= offsetof(struct na_image, reported) && i < offsetof(struct na_image, piece))
			continue; /* a note, that nothing rests on */
		*at ^= (uint8_t)(1 << i % 8);
		assert_int_equal(na_image_check(image), -EBADMSG);
		assert_int_equal(na_image_restore(image, back), -EBADMSG);
		assert_int_equal(na_image_drop(image), 0);
		assert_false(na_image_is_of(image, block, size, NULL));
		*at = was;
	}
	for (uint32_t p = 0; p < image->pieces; p++)
		for (size_t i = 0; i < image->piece[p].code.length; i++) {
			uint8_t *at = (uint8_t *)image->piece[p].payload + i, was = *at;

			*at ^= (uint8_t)(1 << i % 8);
			assert_int_equal(na_image_restore_piece(image, p, back), -EBADMSG);
			if (i % 64 == 0)
				assert_int_equal(na_image_check(image), -EBADMSG);
			*at = was;
		}
	assert_int_equal(figures().damaged, damaged + 1); /* said once */
	assert_int_equal(na_image_restore(image, back), 0);
	assert_memory_equal(block, back, size);
	na_image_drop(image);
	free(block);
	free(back);
}

static void without_memory_nothing_is_left_over(void **state)
{
	size_t size = 40 << 20;
	uint8_t *block = malloc(size);
	struct na_image *image = NULL;
	uint64_t before = live();
	long calls = 1;

	(void)state;
	contents_fill(block, size, CONTENTS_FLOATS, 1);
	for (long n = 1; n <= calls; n++) {
		int rc;

		na_heap_flush();
		na_named_release(); /* segments of before */
		na_faulty_os_install(n);
		rc = na_image_make(na_pool_here(), block, size, &balanced, NULL, &image);
		calls = na_faulty_os_remove();
		if (rc == 0)
			na_image_drop(image);
		else
			assert_int_equal(rc, -ENOMEM);
		assert_int_equal(live(), before);
	}
	assert_true(calls > 0);
	free(block);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_of_all_sizes_come_back),
		cmocka_unit_test(what_does_not_shrink_is_left_alone),
		cmocka_unit_test(every_flipped_byte_is_found),
		cmocka_unit_test(without_memory_nothing_is_left_over),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
