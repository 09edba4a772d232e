/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * compressing [--quick]: what compression costs and wins, against liblz4 on the same data and the same core. Prints a JSON object; the script
 * `compression` makes tables and pictures of it.
 *
 * engine: for each kind of contents (tests/support/contents.h) a block of 4 MiB, in pieces of 64 KiB by liblz4 alone (LZ4_compress_fast and
 * LZ4_decompress_safe) and by ours, plan, planes and checksums included; what alternates is timed in turn, medians over rounds. "early": what it
 * takes to see that a block will not shrink, of what compressing it would take.
 *
 * pins: a movable block of 64 KiB that is an image is pinned; one that is in memory, with compression on and its image kept, and with compression off.
 *
 * faults: a load from a page of a raw block that is away (64 KiB are restored), in turn with one from a page that a bare userfaultfd thread copies,
 * and nothing else; both in full mode. Left out, with the reason, where the kernel does not grant that.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <lz4.h>
#include <numarena/numarena.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cold/movables.h"
#include "compression/image.h"
#include "compression/raw.h"
#include "heap/heap.h"
#include "measures.h"
#include "os/os.h"
#include "support/contents.h"

#define BLOCK  ((size_t)4 << 20)
#define PIECES (BLOCK / NA_PIECE)
#define MOST   101

static const struct na_effort effort = { .speed = 1, .filters = 0x1f };
static struct na_workspace *w;
static uint8_t *block, *packed, *back;
static struct na_code codes[PIECES];
static int lengths[PIECES];
static int rounds = 15;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double median(double *values, int n)
{
	qsort(values, (size_t)n, sizeof(*values), ascending);
	return values[n / 2];
}

static uint8_t *room(size_t i)
{
	return packed + i * (NA_PIECE + 1024);
}

static size_t raw_compress(void)
{
	size_t sum = 0;

	for (size_t i = 0; i < PIECES; i++) {
		lengths[i] = LZ4_compress_default((char *)block + i * NA_PIECE, (char *)room(i), NA_PIECE, NA_PIECE + 1024);
		sum += (size_t)lengths[i];
	}
	return sum;
}

static void raw_restore(void)
{
	for (size_t i = 0; i < PIECES; i++)
		if (LZ4_decompress_safe((char *)room(i), (char *)back + i * NA_PIECE, lengths[i], NA_PIECE) != NA_PIECE)
			abort();
}

static size_t our_compress(bool *promises)
{
	struct na_plan plan;
	size_t sum = 0;

	na_plan_make(w, &plan, &effort, block, BLOCK);
	*promises = na_plan_promises(&plan);
	for (size_t i = 0; i < PIECES; i++) {
		const void *payload = na_piece_compress(w, &plan, block + i * NA_PIECE, NA_PIECE, &codes[i]);

		memcpy(room(i), payload, codes[i].length);
		sum += codes[i].length;
	}
	return sum;
}

static void our_restore(void)
{
	for (size_t i = 0; i < PIECES; i++)
		if (na_piece_restore(w, &codes[i], room(i), back + i * NA_PIECE) < 0)
			abort();
}

static void engine(int kind, int last)
{
	double raw_c[MOST], raw_r[MOST], our_c[MOST], our_r[MOST], probe[MOST], t;
	size_t raw = 0, ours = 0;
	bool promises = false;

	contents_fill(block, BLOCK, kind, 5);
	for (int i = -1; i < rounds; i++) { /* the first warms up */
		int r = i < 0 ? 0 : i;
		struct na_plan plan;

		t = now();
		raw = raw_compress();
		raw_c[r] = now() - t;
		t = now();
		raw_restore();
		raw_r[r] = now() - t;
		t = now();
		ours = our_compress(&promises);
		our_c[r] = now() - t;
		memset(back, 0, BLOCK);
		t = now();
		our_restore();
		our_r[r] = now() - t;
		if (memcmp(back, block, BLOCK))
			abort();
		t = now();
		na_plan_make(w, &plan, &effort, block, BLOCK);
		probe[r] = now() - t;
	}
	printf("  {\"contents\": \"%s\", \"filter\": %d, \"kept\": %s, \"ratio_lz4\": %.3f, \"ratio\": %.3f, \"gain\": %.3f,\n"
	       "   \"compress_lz4_mb_s\": %.0f, \"compress_mb_s\": %.0f, \"compress_speed\": %.3f,\n"
	       "   \"restore_lz4_mb_s\": %.0f, \"restore_mb_s\": %.0f, \"restore_speed\": %.3f, \"piece_restore_us\": %.2f,\n"
	       "   \"plan_us\": %.2f, \"plan_share_4m\": %.4f, \"plan_share_1m\": %.4f}%s\n",
	       contents_names[kind], codes[PIECES / 2].filter, promises && ours * 4 <= BLOCK * 3 ? "true" : "false",
	       (double)BLOCK / (double)raw, (double)BLOCK / (double)ours, (double)raw / (double)ours,
	       BLOCK * 1e3 / median(raw_c, rounds), BLOCK * 1e3 / median(our_c, rounds), median(raw_c, rounds) / median(our_c, rounds),
	       BLOCK * 1e3 / median(raw_r, rounds), BLOCK * 1e3 / median(our_r, rounds), median(raw_r, rounds) / median(our_r, rounds),
	       median(our_r, rounds) / PIECES / 1e3, median(probe, rounds) / 1e3, median(probe, rounds) / median(our_c, rounds),
	       median(probe, rounds) * 4 / median(our_c, rounds), last ? "" : ",");
	fflush(stdout);
}

/* ---- pins ---- */

#define PINS 500

static double pin_ns(memory_handle_t h)
{
	double t = now();

	for (int i = 0; i < 1000000; i++) {
		__asm__ volatile("" : : "r"(pin_memory(h)) : "memory");
		unpin_memory(h);
	}
	return (now() - t) / 1e6;
}

static void pins(void)
{
	compression_config_t config = { .algorithm = COMPRESSION_LZ4, .level = COMPRESSION_BALANCED, .enable_cache = true, .cold_after = 3600000 };
	static const int kinds[] = { CONTENTS_SMOOTH, CONTENTS_FLOATS, CONTENTS_INTEGERS, CONTENTS_RAMP, CONTENTS_COLUMNS };
	double us[PINS], off[MOST], on[MOST];
	memory_handle_t h = allocate_movable(NA_PIECE);

	for (int i = 0; i < rounds; i++)
		off[i] = pin_ns(h);
	initialize_memory_compression(&config);
	printf("\"pins\": {\"restore_us\": {");
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		for (int i = 0; i < PINS; i++) {
			void *p = pin_memory(h);

			contents_fill(p, NA_PIECE, kinds[k], (uint64_t)(i % 4));
			unpin_memory(h);
			if (compress_movable(h))
				abort();
			us[i] = now();
			p = pin_memory(h);
			us[i] = (now() - us[i]) / 1e3;
			unpin_memory(h);
		}
		printf("%s\"%s\": %.2f", k ? ", " : "", contents_names[kinds[k]], median(us, PINS));
	}
	for (int i = 0; i < rounds; i++)
		on[i] = pin_ns(h);
	printf("}, \"cached_ns\": %.3f, \"off_ns\": %.3f},\n", median(on, rounds), median(off, rounds));
	release_movable(h);
}

/* ---- slices ---- */

/* For which somebody else may have to wait: wall time, and the thread's own, of which other programs take nothing. */
#define SLICES 20000
static struct slices {
	double wall[SLICES], own[SLICES], began, own_began;
	int n;
} slices;

static double own(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void slice_begins(void)
{
	slices.own_began = own();
	slices.began = now();
}

static void slice_ends(void)
{
	double wall = now() - slices.began;

	if (slices.n == SLICES)
		return;
	slices.own[slices.n] = own() - slices.own_began;
	slices.wall[slices.n++] = wall;
}

static bool next_slice(void *unused)
{
	(void)unused;
	slice_ends();
	slice_begins();
	return true;
}

static void print_slices(const char *name, const char *end)
{
	int n = slices.n;
	double wall = median(slices.wall, n), ours = median(slices.own, n);

	printf("\"%s\": {\"count\": %d, \"wall_us\": {\"median\": %.1f, \"p99\": %.1f, \"most\": %.1f}, "
	       "\"own_us\": {\"median\": %.1f, \"p99\": %.1f, \"most\": %.1f}}%s",
	       name, n, wall / 1e3, slices.wall[n * 99 / 100] / 1e3, slices.wall[n - 1] / 1e3, ours / 1e3, slices.own[n * 99 / 100] / 1e3,
	       slices.own[n - 1] / 1e3, end);
	slices.n = 0;
}

/* What repeats is compressed by LZ4, at a quarter of the others' speed: all kinds count the same. */
static void small_blocks(void)
{
	enum { COUNT = 3000 };
	static memory_handle_t handles[COUNT];
	uint64_t seed = 1;
	bool round;

	for (int i = 0; i < COUNT; i++) {
		size_t size = 4096 << contents_next(&seed) % 5;

		handles[i] = allocate_movable(size);
		contents_fill(pin_memory(handles[i]), size, i % CONTENTS_KINDS, (uint64_t)i);
		unpin_memory(handles[i]);
	}
	for (int turns = 0; turns < 2; turns++)
		do {
			slice_begins();
			na_cold_movables_slice(0, na_os_now_ns() + NA_IMAGE_SLICE_NS, true, &round);
			slice_ends();
		} while (!round);
	print_slices("small_blocks", ", ");
	for (int i = 0; i < COUNT; i++)
		release_movable(handles[i]);
}

static void parts_of_large_blocks(void)
{
	const struct na_breath breath = { next_slice, NULL };
	memory_hints_t plain = { 0 };
	void *p = optimized_allocate(BLOCK, &plain);

	for (int i = 0; i < rounds; i++)
		for (int kind = 0; kind < CONTENTS_KINDS; kind++) {
			struct na_image *image = NULL;

			contents_fill(p, BLOCK, kind, (uint64_t)i);
			slice_begins();
			if (na_image_make(na_segment_of(p)->pool, p, BLOCK, &effort, &breath, &image) == 0) {
				slice_ends();
				na_image_drop(image);
			}
		}
	print_slices("parts_of_large_blocks", ", ");
	return_to_pool(p);
}

/* By themselves, or the maintenance thread would take some of them, and the lock. */
static void raw_blocks(void)
{
	const struct na_raw_settings settings = { .effort = effort, .age_ms = 1 };
	compression_config_t config = { .algorithm = COMPRESSION_LZ4, .level = COMPRESSION_BALANCED, .enable_cache = true, .cold_after = 3600000 };
	memory_hints_t cold = { .lifetime = LIFETIME_LONG, .priority = PRIORITY_LOW };
	bool granted = na_cold_stop() == 0 && na_raw_start(&settings) == 0;
	void *p = optimized_allocate(BLOCK, &cold);
	uint64_t bytes;

	contents_fill(p, BLOCK, CONTENTS_FLOATS, 1);
	for (int i = 0; granted && i < rounds; i++) {
		touch_memory(p);
		usleep(20000);
		do {
			slice_begins();
			bytes = na_raw_slice(na_os_now_ns(), na_os_now_ns() + NA_IMAGE_SLICE_NS);
			slice_ends();
		} while (bytes);
		slices.n--;
	}
	if (slices.n > 0)
		print_slices("raw_blocks", "},\n");
	else
		printf("\"raw_blocks\": {\"unavailable\": \"the kernel does not let us answer page faults\"}},\n");
	return_to_pool(p);
	na_raw_stop();
	initialize_memory_compression(&config);
}

static void measure_slices(void)
{
	printf("\"slices\": {\"budget_us\": %d, ", NA_IMAGE_SLICE_NS / 1000);
	small_blocks();
	parts_of_large_blocks();
	raw_blocks();
}

/* ---- faults ---- */

static struct {
	int fd;
	uint8_t page[4096];
} bare;

static void *serve_bare(void *unused)
{
	struct pollfd polled = { .fd = bare.fd, .events = POLLIN };
	struct uffd_msg message;

	(void)unused;
	for (;;) {
		struct uffdio_copy copy = { .src = (uintptr_t)bare.page, .len = 4096 };

		if (poll(&polled, 1, -1) < 0 || read(bare.fd, &message, sizeof(message)) != sizeof(message))
			continue;
		copy.dst = message.arg.pagefault.address & ~UINT64_C(4095);
		ioctl(bare.fd, UFFDIO_COPY, &copy);
	}
	return NULL;
}

static const char *open_bare(uint8_t *at, size_t size)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register watch = { .range = { (uintptr_t)at, size }, .mode = UFFDIO_REGISTER_MODE_MISSING };
	pthread_t thread;

	bare.fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (bare.fd < 0 || ioctl(bare.fd, UFFDIO_API, &api) < 0 || ioctl(bare.fd, UFFDIO_REGISTER, &watch) < 0)
		return "no userfaultfd here";
	return pthread_create(&thread, NULL, serve_bare, NULL) ? "no thread" : NULL;
}

static double touch_us(volatile const uint8_t *p)
{
	double t = now();

	(void)*p;
	return (now() - t) / 1e3;
}

/* The next load must not meet the thread that still copies the last one's neighbours. */
static void rest(void)
{
	usleep(200);
}

static void faults(void)
{
	static const int kinds[] = { CONTENTS_SMOOTH, CONTENTS_FLOATS, CONTENTS_INTEGERS, CONTENTS_RAMP, CONTENTS_COLUMNS };
	memory_hints_t cold = { .lifetime = LIFETIME_LONG, .priority = PRIORITY_LOW };
	uint8_t *p = optimized_allocate(BLOCK, &cold), *q = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	double ours[PIECES * 8], plain[PIECES * 8]; /* of the rounds behind the first */
	const char *why = open_bare(q, BLOCK);
	memory_metrics_t m;

	get_memory_metrics(&m);
	if (!why && m.transparently_compressed_bytes == MEMORY_METRIC_UNAVAILABLE)
		why = memory_metric_unavailable_reason("transparently_compressed_bytes");
	if (why) {
		printf("\"faults\": {\"unavailable\": \"%s\"}}\n", why);
		return;
	}
	printf("\"faults\": {");
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		int n = 0;

		/* The first round is not counted: the threads that answer find their processors in it (seen: 50 us more). */
		for (int round = 0; round < (rounds > 3 ? 9 : 2); round++) {
			if (round == 1)
				n = 0;
			contents_fill(p, BLOCK, kinds[k], (uint64_t)round);
			if (compress_memory(p))
				abort();
			madvise(q, BLOCK, MADV_DONTNEED);
			for (size_t i = 0; i + 1 < PIECES; i++, n++) {
				plain[n] = touch_us(q + i * NA_PIECE + 4096 * (i % 16));
				rest();
				ours[n] = touch_us(p + i * NA_PIECE + 8192 + 4096 * (i % 13));
				rest();
			}
		}
		{
			double a = median(ours, n), b = median(plain, n);

			printf("%s\"%s\": {\"us\": %.2f, \"bare_us\": %.2f, \"times\": %.3f}", k ? ", " : "", contents_names[kinds[k]], a, b,
			       a / b);
		}
	}
	printf("}}\n");
	return_to_pool(p);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--quick") == 0)
		rounds = 3;
	block = malloc(BLOCK);
	back = malloc(BLOCK);
	packed = malloc(PIECES * (NA_PIECE + 1024));
	if (!block || !back || !packed || na_lz4_load() < 0 || na_workspace_start() < 0 || !(w = na_workspace_make())) {
		fprintf(stderr, "compressing: %s\n", na_lz4_why_not());
		return 77;
	}
	printf("{\"engine\": [\n");
	for (int kind = 0; kind < CONTENTS_KINDS; kind++)
		engine(kind, kind == CONTENTS_KINDS - 1);
	printf("],\n");
	pins();
	measure_slices();
	faults();
	return 0;
}
