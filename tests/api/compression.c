/* SPDX-License-Identifier: BSD-3-Clause */
/* Compression as programs see it: movable blocks, raw blocks that come back by themselves, settings, figures. Parts that need the kernel to let
 * us answer page faults are left out where it does not, and say so. */
#include <fcntl.h>
#include <math.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "api/api.h"
#include "support/contents.h"

#define BYTES ((size_t)3 * MIB + 12345)

static const memory_hints_t cold = { .lifetime = LIFETIME_LONG, .priority = PRIORITY_LOW };

static compression_stats_t stats(void)
{
	compression_stats_t s;

	memset(&s, 0xff, sizeof(s));
	GOOD(get_compression_statistics(&s));
	return s;
}

static bool transparent(void)
{
	const char *why;
	memory_metrics_t m;

	GOOD(get_memory_metrics(&m));
	why = memory_metric_unavailable_reason("transparently_compressed_bytes");
	if (why && *why) {
		fprintf(stderr, "%s: left out: %s\n", check_case, why);
		CHECK_EQ(m.transparently_compressed_bytes, MEMORY_METRIC_UNAVAILABLE);
		return false;
	}
	return true;
}

/* Never by itself: `age` is an hour. */
static void begin(bool cache)
{
	compression_config_t config = { .algorithm = COMPRESSION_LZ4,
					.level = COMPRESSION_BALANCED,
					.enable_cache = cache,
					.cold_after = 3600000 };

	GOOD(initialize_memory_compression(&config));
}

static uint8_t *expected(int kind, uint64_t seed, size_t size)
{
	uint8_t *p = malloc(size);

	REQUIRE(p);
	contents_fill(p, size, kind, seed);
	return p;
}

static size_t resident(const void *block, size_t size)
{
	uintptr_t from = (uintptr_t)block & ~(uintptr_t)4095, to = ((uintptr_t)block + size + 4095) & ~(uintptr_t)4095;
	unsigned char *map = malloc((to - from) / 4096);
	size_t n = 0;

	REQUIRE(map && mincore((void *)from, to - from, map) == 0);
	for (size_t i = 0; i < (to - from) / 4096; i++)
		n += map[i] & 1;
	free(map);
	return n * 4096;
}

static void the_documented_block_works(void)
{
	compression_config_t config = {
		.algorithm = COMPRESSION_LZ4, .level = COMPRESSION_AGGRESSIVE, .min_size = 4096, .enable_cache = true
	};

	GOOD(initialize_memory_compression(&config));
	GOOD(initialize_memory_compression(&config));
	GOOD(initialize_memory_compression(NULL));
	GOOD(cleanup_compression());
	GOOD(cleanup_compression());
}

static void wrong_fields_are_named(void)
{
	compression_config_t c = { .algorithm = (compression_algorithm_t)7 };

	ERROR(initialize_memory_compression(&c), MEMORY_ERROR_INVALID_ARGUMENT, "algorithm", "7");
	c = (compression_config_t){ .algorithm = COMPRESSION_LZ4, .level = (compression_level_t)-1 };
	ERROR(initialize_memory_compression(&c), MEMORY_ERROR_INVALID_ARGUMENT, "level", "-1");
	c = (compression_config_t){ .algorithm = COMPRESSION_LZ4, .min_size = 1023 };
	ERROR(initialize_memory_compression(&c), MEMORY_ERROR_INVALID_ARGUMENT, "min_size", "1023");
	c = (compression_config_t){ .algorithm = COMPRESSION_LZ4, .cold_after = 9 };
	ERROR(initialize_memory_compression(&c), MEMORY_ERROR_INVALID_ARGUMENT, "cold_after", "9");
	ERROR(get_compression_statistics(NULL), MEMORY_ERROR_INVALID_ARGUMENT, "stats");
	ERROR(compress_memory(hide(&c)), MEMORY_ERROR_UNSUPPORTED, "off");
	ERROR(compress_movable(1), MEMORY_ERROR_UNSUPPORTED, "off");
	begin(true);
	ERROR(compress_movable(12345), MEMORY_ERROR_INVALID_ARGUMENT, "not live");
	GOOD(cleanup_compression());
	c = (compression_config_t){ .algorithm = COMPRESSION_NONE };
	GOOD(initialize_memory_compression(&c));
	ERROR(compress_movable(12345), MEMORY_ERROR_UNSUPPORTED, "off");
}

static void movable_blocks_come_back_by_pins(void)
{
	static const size_t sizes[] = { 4096, 30000, 65536, 65537, BYTES };
	begin(false);
	for (size_t n = 0; n < 5; n++)
		for (int kind = CONTENTS_FLOATS; kind <= CONTENTS_SPARSE; kind++) {
			uint8_t *wanted = expected(kind, n, sizes[n]), *p;
			memory_handle_t h = allocate_movable(sizes[n]);
			compression_stats_t before = stats(), after;

			REQUIRE(h && (p = pin_memory(h)));
			memcpy(p, wanted, sizes[n]);
			ERROR(compress_movable(h), MEMORY_ERROR_BUSY, "pinned");
			unpin_memory(h);
			GOOD(compress_movable(h));
			GOOD(compress_movable(h)); /* it is */
			after = stats();
			CHECK_EQ(after.original_bytes, before.original_bytes + sizes[n]);
			CHECK(after.compressed_bytes > before.compressed_bytes);
			CHECK(after.ratio > 1.33);
			CHECK_EQ(movable_node(h), -1);
			CHECK_EQ(movable_size(h), sizes[n]);
			REQUIRE((p = pin_memory(h)));
			CHECK(memcmp(p, wanted, sizes[n]) == 0);
			unpin_memory(h);
			CHECK_EQ(stats().original_bytes, before.original_bytes);
			GOOD(compress_movable(h));
			GOOD(release_movable(h)); /* as an image */
			CHECK_EQ(stats().original_bytes, before.original_bytes);
			CHECK_EQ(stats().images, before.images);
			free(wanted);
		}
	GOOD(cleanup_compression());
	CHECK_EQ(stats().compressed_bytes, 0);
}

static void what_is_unchanged_goes_again_without_work(void)
{
	uint8_t *wanted = expected(CONTENTS_FLOATS, 1, BYTES), *p;
	memory_handle_t h = allocate_movable(BYTES);
	compression_stats_t s;

	begin(true);
	REQUIRE(h && (p = pin_memory(h)));
	memcpy(p, wanted, BYTES);
	unpin_memory(h);
	GOOD(compress_movable(h));
	for (int i = 0; i < 3; i++) {
		s = stats();
		REQUIRE((p = pin_memory(h)));
		CHECK(memcmp(p, wanted, BYTES) == 0);
		unpin_memory(h);
		GOOD(compress_movable(h));
		CHECK_EQ(stats().pieces_compressed, s.pieces_compressed);
		CHECK_EQ(stats().pieces_unchanged, s.pieces_unchanged + (BYTES + 65535) / 65536);
	}
	REQUIRE((p = pin_memory(h)));
	p[BYTES - 1] ^= 1;
	unpin_memory(h);
	s = stats();
	GOOD(compress_movable(h));
	CHECK(stats().pieces_compressed > s.pieces_compressed);
	REQUIRE((p = pin_memory(h)));
	p[BYTES - 1] ^= 1;
	CHECK(memcmp(p, wanted, BYTES) == 0);
	unpin_memory(h);
	GOOD(release_movable(h)); /* and what was kept of it */
	CHECK_EQ(stats().images, 0);
	CHECK_EQ(stats().compressed_bytes, 0);
	CHECK(isnan(stats().ratio));
	GOOD(cleanup_compression());
	free(wanted);
}

static void what_does_not_shrink_stays(void)
{
	memory_handle_t h = allocate_movable(BYTES);
	compression_stats_t s;
	uint8_t *p;

	begin(true);
	s = stats();
	REQUIRE(h && (p = pin_memory(h)));
	contents_fill(p, BYTES, CONTENTS_RANDOM, 1);
	unpin_memory(h);
	ERROR(compress_movable(h), MEMORY_ERROR_UNSUPPORTED, "shrink");
	CHECK_EQ(stats().incompressible, s.incompressible + 1);
	CHECK_EQ(stats().incompressible_bytes, s.incompressible_bytes + BYTES);
	CHECK(movable_node(h) >= 0);
	GOOD(release_movable(h));
	GOOD(cleanup_compression());
}

static void cold_ones_go_by_themselves(void)
{
	compression_config_t config = { .algorithm = COMPRESSION_LZ4, .level = COMPRESSION_FAST, .cold_after = 40 };
	uint8_t *wanted = expected(CONTENTS_INTEGERS, 1, BYTES), *p;
	memory_handle_t h[20], held = allocate_movable(BYTES);

	REQUIRE((p = pin_memory(held)));
	memcpy(p, wanted, BYTES);
	for (int i = 0; i < 20; i++) {
		REQUIRE((h[i] = allocate_movable(BYTES)) && (p = pin_memory(h[i])));
		memcpy(p, wanted, BYTES);
		unpin_memory(h[i]);
	}
	GOOD(initialize_memory_compression(&config));
	EVENTUALLY(stats().original_bytes >= 20 * BYTES);
	CHECK(movable_node(held) >= 0);
	for (int i = 0; i < 20; i++) {
		REQUIRE((p = pin_memory(h[i])));
		CHECK(memcmp(p, wanted, BYTES) == 0);
		unpin_memory(h[i]);
		GOOD(release_movable(h[i]));
	}
	unpin_memory(held);
	GOOD(release_movable(held));
	GOOD(cleanup_compression());
	free(wanted);
}

/* An age is three steps, and an hour by the clock. */
static void by_phases_those_go_that_no_step_pins(void)
{
	compression_config_t config = {
		.algorithm = COMPRESSION_LZ4, .level = COMPRESSION_FAST, .cold_after = 3600000, .cold_after_phases = 3
	};
	uint8_t *wanted = expected(CONTENTS_INTEGERS, 1, BYTES), *p;
	memory_handle_t used = allocate_movable(BYTES), unused = allocate_movable(BYTES);

	REQUIRE(used && unused && (p = pin_memory(unused)));
	memcpy(p, wanted, BYTES);
	unpin_memory(unused);
	REQUIRE((p = pin_memory(used)));
	memcpy(p, wanted, BYTES);
	unpin_memory(used);
	GOOD(initialize_memory_compression(&config));
	GOOD(begin_memory_phase("whole"));
	for (int i = 0; i < 60; i++) { /* within another: they do not count */
		GOOD(begin_memory_phase("inner"));
		GOOD(end_memory_phase());
		usleep(5000);
	}
	CHECK_EQ(stats().original_bytes, 0);
	GOOD(end_memory_phase());
	for (int step = 0; step < 2000 && movable_node(unused) >= 0; step++) {
		GOOD(begin_memory_phase("step"));
		for (int i = 0; i < 10; i++) { /* in each phase a few times, or a slow machine's tick comes between */
			REQUIRE(pin_memory(used));
			usleep(1000);
			unpin_memory(used);
		}
		GOOD(end_memory_phase());
	}
	CHECK_EQ(movable_node(unused), -1);
	CHECK(movable_node(used) >= 0); /* each phase has pinned it */
	REQUIRE((p = pin_memory(unused)));
	CHECK(memcmp(p, wanted, BYTES) == 0);
	unpin_memory(unused);
	GOOD(release_movable(used));
	GOOD(release_movable(unused));
	config.cold_after_phases = 201;
	ERROR(initialize_memory_compression(&config), MEMORY_ERROR_INVALID_ARGUMENT, "cold_after_phases", "201");
	GOOD(cleanup_compression());
	free(wanted);
}

static uint8_t *cold_block(const uint8_t *wanted, size_t size)
{
	uint8_t *p = optimized_allocate(size, &cold);

	REQUIRE(p);
	memcpy(p, wanted, size);
	return p;
}

static void raw_blocks_come_back_by_themselves(void)
{
	uint8_t *wanted = expected(CONTENTS_FLOATS, 3, BYTES), *p;

	for (int cache = 0; cache < 2; cache++) {
		begin(cache);
		if (!transparent())
			break;
		p = cold_block(wanted, BYTES);
		CHECK(resident(p, BYTES) >= BYTES);
		for (int round = 0; round < 3; round++) {
			compression_stats_t s = stats();

			GOOD(compress_memory(p));
			CHECK_MSG(resident(p, BYTES) <= 4 * 4096, "%zu bytes are resident", resident(p, BYTES));
			CHECK(stats().transparent_bytes > BYTES - 2 * 4096);
			CHECK_EQ(p[BYTES / 2], wanted[BYTES / 2]); /* a load */
			EVENTUALLY(resident(p, BYTES) >= 65536); /* the page that was asked for comes first */
			CHECK(stats().faults > 0);
			CHECK_MSG(resident(p, BYTES) >= 65536 && resident(p, BYTES) <= 65536 + 5 * 4096,
				  "%zu bytes are resident after a load", resident(p, BYTES));
			p[100000] ^= 1; /* a store */
			wanted[100000] ^= 1;
			CHECK(memcmp(p, wanted, BYTES) == 0);
			EVENTUALLY(stats().transparent_bytes == 0);
			GOOD(compress_memory(p));
			GOOD(touch_memory(p));
			CHECK_EQ(stats().transparent_bytes, 0);
			CHECK(resident(p, BYTES) >= BYTES);
			CHECK(memcmp(p, wanted, BYTES) == 0);
			if (cache && round)
				CHECK(stats().pieces_unchanged > s.pieces_unchanged);
		}
		GOOD(compress_memory(p));
		GOOD(cleanup_compression()); /* brings it back */
		CHECK(resident(p, BYTES) >= BYTES);
		CHECK(memcmp(p, wanted, BYTES) == 0);
		CHECK_EQ(stats().compressed_bytes, 0);
		return_to_pool(p);
	}
	GOOD(cleanup_compression());
	free(wanted);
}

/* read(2), write(2) and another process's copy find what is there. */
static void system_calls_work_on_them(void)
{
	uint8_t *wanted = expected(CONTENTS_INTEGERS, 3, BYTES), *copy = malloc(BYTES), *p;
	char name[] = "/tmp/numarena-compression-XXXXXX";
	struct iovec to = { copy, BYTES }, from;
	int fd = mkstemp(name);

	REQUIRE(fd >= 0 && copy);
	unlink(name);
	begin(true);
	if (transparent()) {
		p = cold_block(wanted, BYTES);
		GOOD(compress_memory(p));
		CHECK_EQ(write(fd, p, BYTES), (ssize_t)BYTES);
		CHECK_EQ(pread(fd, copy, BYTES, 0), (ssize_t)BYTES);
		CHECK(memcmp(copy, wanted, BYTES) == 0);
		contents_fill(wanted, BYTES, CONTENTS_FLOATS, 9);
		CHECK_EQ(pwrite(fd, wanted, BYTES, 0), (ssize_t)BYTES);
		GOOD(compress_memory(p));
		CHECK_EQ(pread(fd, p, BYTES, 0), (ssize_t)BYTES);
		CHECK(memcmp(p, wanted, BYTES) == 0);
		GOOD(compress_memory(p));
		memset(copy, 0, BYTES);
		from = (struct iovec){ p, BYTES };
		CHECK_EQ(process_vm_readv(getpid(), &to, 1, &from, 1, 0), (ssize_t)BYTES);
		CHECK(memcmp(copy, wanted, BYTES) == 0);
		return_to_pool(p);
	}
	close(fd);
	GOOD(cleanup_compression());
	free(copy);
	free(wanted);
}

static void blocks_end_and_grow_while_away(void)
{
	uint8_t *wanted = expected(CONTENTS_FLOATS, 4, 20 * MIB), *p;

	begin(true);
	if (transparent())
		for (size_t size = 100000; size <= 20 * MIB; size *= 3) {
			size_t compressed = stats().compressed_bytes;

			p = cold_block(wanted, size);
			GOOD(compress_memory(p));
			return_to_pool(p);
			CHECK_EQ(stats().transparent_bytes, 0);
			CHECK_EQ(stats().compressed_bytes, compressed);
			p = allocate_zeroed_from_pool(size); /* such a place again, perhaps */
			REQUIRE(p);
			for (size_t i = 0; i < size; i += 511)
				REQUIRE(p[i] == 0);
			return_to_pool(p);
			p = cold_block(wanted, size / 2);
			if (size / 2 >= 65536)
				GOOD(compress_memory(p));
			REQUIRE((p = resize_in_pool(p, size)));
			CHECK(memcmp(p, wanted, size / 2) == 0);
			return_to_pool(p);
		}
	CHECK_EQ(validate_memory_blocks(), 0);
	GOOD(cleanup_compression());
	CHECK_EQ(validate_memory_blocks(), 0);
	free(wanted);
}

static void what_may_not_be_compressed_is_not(void)
{
	memory_hints_t fixed = { .lifetime = LIFETIME_LONG, .priority = PRIORITY_LOW, .no_move = true };
	named_pool_config_t named = { .name = "mine", .node = MEMORY_NODE_ANY };
	uint8_t *p = optimized_allocate(MIB, &fixed), *small = allocate_from_pool(1000), *other;
	memory_pool_t *pool;

	begin(true);
	if (transparent()) {
		GOOD(create_memory_pool(&named, &pool));
		REQUIRE((other = allocate_from(pool, MIB)));
		memset(p, 1, MIB);
		memset(other, 1, MIB);
		ERROR(compress_memory(p), MEMORY_ERROR_INVALID_ARGUMENT, "no_move");
		ERROR(compress_memory(small), MEMORY_ERROR_INVALID_ARGUMENT, "64 KiB");
		ERROR(compress_memory(other), MEMORY_ERROR_INVALID_ARGUMENT, "named");
		ERROR(compress_memory(p + 4096), MEMORY_ERROR_INVALID_ARGUMENT, "not live");
		ERROR(touch_memory(p + 4096), MEMORY_ERROR_INVALID_ARGUMENT, "not live");
		return_to_pool(other);
		GOOD(destroy_memory_pool(pool));
		other = cold_block(p, MIB);
		contents_fill(other, allocation_size(other), CONTENTS_RANDOM, 1);
		ERROR(compress_memory(other), MEMORY_ERROR_UNSUPPORTED, "shrink");
		return_to_pool(other);
	}
	return_to_pool(p);
	return_to_pool(small);
	GOOD(cleanup_compression());
}

/* ---- threads ---- */

enum { THREADS = 4 };

static struct {
	uint64_t *block;
	size_t count;
	_Atomic bool stop;
	_Atomic uint64_t rounds;
} shared;

/* Each has every fourth element for its own, and counts in it. */
static void *count_up(void *argument)
{
	size_t me = (size_t)(uintptr_t)argument, n = shared.count / THREADS;
	uint64_t *mine = calloc(n, sizeof(*mine)), state = me + 1;

	REQUIRE(mine);
	for (size_t i = 0; i < n; i++)
		mine[i] = shared.block[i * THREADS + me];
	while (!atomic_load(&shared.stop)) {
		for (int i = 0; i < 200; i++) {
			size_t at = contents_next(&state) % n;

			if (shared.block[at * THREADS + me] != mine[at])
				check_fail(__FILE__, __LINE__, "element %zu of thread %zu has changed", at, me);
			shared.block[at * THREADS + me] = mine[at] = mine[at] + 1;
		}
		atomic_fetch_add(&shared.rounds, 1);
	}
	for (size_t i = 0; i < n; i++)
		if (shared.block[i * THREADS + me] != mine[i])
			check_fail(__FILE__, __LINE__, "in the end element %zu of thread %zu is another", i, me);
	free(mine);
	return NULL;
}

static void threads_write_while_it_goes_and_comes(void)
{
	size_t size = 4 * MIB;
	pthread_t threads[THREADS];
	int rounds = api_brief() ? 3 : 60;

	begin(true);
	if (transparent()) {
		shared.block = optimized_allocate(size, &cold);
		shared.count = size / 8;
		REQUIRE(shared.block);
		contents_fill(shared.block, size, CONTENTS_COLUMNS, 1);
		for (size_t i = 0; i < THREADS; i++)
			REQUIRE(pthread_create(&threads[i], NULL, count_up, (void *)(uintptr_t)i) == 0);
		for (int i = 0; i < rounds; i++) {
			uint64_t before = atomic_load(&shared.rounds);

			compress_memory(shared.block); /* what was pinned down by writes does not matter */
			EVENTUALLY(atomic_load(&shared.rounds) > before + THREADS);
		}
		atomic_store(&shared.stop, true);
		for (size_t i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		CHECK(stats().faults > 0);
		return_to_pool(shared.block);
	}
	GOOD(cleanup_compression());
}

static void a_forked_child_has_its_own(void)
{
	uint8_t *wanted = expected(CONTENTS_FLOATS, 5, BYTES), *p, *q;
	int status;

	begin(true);
	if (transparent()) {
		memory_handle_t h = allocate_movable(BYTES);

		REQUIRE(h && (q = pin_memory(h)));
		memcpy(q, wanted, BYTES);
		unpin_memory(h);
		GOOD(compress_movable(h));
		p = cold_block(wanted, BYTES);
		GOOD(compress_memory(p));
		for (int round = 0; round < 2; round++) {
			pid_t child = fork();

			REQUIRE(child >= 0);
			if (child == 0) {
				check_watchdog(60);
				CHECK(p[5000] == wanted[5000]);
				memset(p + 200000, 7, 100000);
				CHECK(p[BYTES - 1] == wanted[BYTES - 1]);
				CHECK((q = pin_memory(h)) && memcmp(q, wanted, BYTES) == 0);
				unpin_memory(h);
				compress_memory(p);
				CHECK(p[250000] == 7 && p[5000] == wanted[5000]);
				return_to_pool(p);
				_exit(check_result());
			}
			REQUIRE(waitpid(child, &status, 0) == child);
			CHECK_EQ(status, 0);
		}
		CHECK(memcmp(p, wanted, BYTES) == 0);
		CHECK((q = pin_memory(h)) && memcmp(q, wanted, BYTES) == 0);
		unpin_memory(h);
		GOOD(release_movable(h));
		return_to_pool(p);
	}
	GOOD(cleanup_compression());
	free(wanted);
}

static void systems_switch_turns_it_on(void)
{
	memory_system_config_t config = { .enable_compression = true };
	memory_handle_t h = allocate_movable(BYTES);
	uint8_t *p = pin_memory(h);

	memset(p, 1, BYTES);
	unpin_memory(h);
	GOOD(initialize_memory_system(&config));
	GOOD(compress_movable(h));
	GOOD(cleanup_memory_resources());
	ERROR(compress_movable(h), MEMORY_ERROR_UNSUPPORTED, "off");
	CHECK((p = pin_memory(h)) && p[BYTES - 1] == 1);
	unpin_memory(h);
	GOOD(release_movable(h));
}

int main(void)
{
	check_watchdog(240);
	if (initialize_memory_compression(NULL) == MEMORY_ERROR_UNSUPPORTED) {
		CHECK(strstr(last_memory_error_message(), "no compression: "));
		CHECK(strlen(last_memory_error_message()) > 25);
		GOOD(cleanup_compression());
		printf("%s\n", last_memory_error_message());
		return check_result();
	}
	GOOD(cleanup_compression());
	RUN(the_documented_block_works);
	RUN(wrong_fields_are_named);
	RUN(movable_blocks_come_back_by_pins);
	RUN(what_is_unchanged_goes_again_without_work);
	RUN(what_does_not_shrink_stays);
	RUN(cold_ones_go_by_themselves);
	RUN(by_phases_those_go_that_no_step_pins);
	RUN(raw_blocks_come_back_by_themselves);
	RUN(system_calls_work_on_them);
	RUN(blocks_end_and_grow_while_away);
	RUN(what_may_not_be_compressed_is_not);
	RUN(threads_write_while_it_goes_and_comes);
	RUN(a_forked_child_has_its_own);
	RUN(systems_switch_turns_it_on);
	return check_result();
}
