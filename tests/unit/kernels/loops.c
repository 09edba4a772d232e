/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every variant of the dense loops that this processor runs, against the obvious loops, bit by bit: all tail lengths, alignments of
 * elements and of bytes, streaming and ordinary stores, in place. Arrays lie against closed pages, once with their end and
 * once with their start, so that a read beyond either faults; what is around a written array is compared afterwards.
 *
 * With NA_TEST_ALONE, a variant's name, of that alone and without the library: for other architectures (aarch64), and emulated.c.
 */
#include <stdbool.h>
#include <sys/mman.h>

#include "kernels/kernels.h"
#include "support/check.h"

#ifdef NA_TEST_ALONE
#define ALONE__(variant) na_kernels_##variant
#define ALONE_(variant)	 ALONE__(variant)
enum { NA_KERNELS_PORTABLE = 1, NA_KERNELS_COUNT_ };
#define na_kernels_table(variant) (&ALONE_(NA_TEST_ALONE))
#define na_kernels_name(variant)  (ALONE_(NA_TEST_ALONE).name)
#else
#include "base/options.h"
#endif

enum { ROOMS = 3, ROOM = 1 << 20, PAGE = 65536 };
enum loop { COPY, FILL, SCALE, ADD, TRIAD };

static struct {
	char *start;
	size_t length;
} room[ROOMS];
static double scratch[1][ROOM / sizeof(double)];
static bool brief;

/* `bytes` of a room, `off` from its end or its start. */
static void *at(int which, size_t bytes, int end, size_t off)
{
	REQUIRE(bytes + off <= room[which].length);
	return end ? room[which].start + room[which].length - bytes - off : room[which].start + off;
}

/* Marks what is around an array that will be written, and the array. */
static void mark(int which, const void *p, size_t bytes)
{
	char *first = (char *)(uintptr_t)p - 256, *last = (char *)(uintptr_t)p + bytes + 256;

	first = first < room[which].start ? room[which].start : first;
	last = last > room[which].start + room[which].length ? room[which].start + room[which].length : last;
	memset(first, 0x5a, (size_t)(last - first));
}

/* The 256 bytes before and behind, as far as there are such. */
static bool untouched(int which, const void *p, size_t bytes)
{
	const char *first = p, *start = room[which].start, *end = start + room[which].length;

	for (const char *c = first - start < 256 ? start : first - 256; c < first; c++)
		if (*c != 0x5a)
			return false;
	for (const char *c = first + bytes; c < end && c < first + bytes + 256; c++)
		if (*c != 0x5a)
			return false;
	return true;
}

#define PASTE_(a, b) a##_##b
#define PASTE(a, b)  PASTE_(a, b)
#define G(name)	     PASTE(name, M)

#define T    double
#define M    f64
#define NAME "f64"
#include "loops.inc"
#undef T
#undef M
#undef NAME
#define T    float
#define M    f32
#define NAME "f32"
#include "loops.inc"

static void make_rooms(void)
{
	for (int i = 0; i < ROOMS; i++) {
		char *p = mmap(NULL, ROOM + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		REQUIRE(p != MAP_FAILED);
		REQUIRE(mprotect(p + PAGE, ROOM, PROT_READ | PROT_WRITE) == 0);
		room[i].start = p + PAGE;
		room[i].length = ROOM;
	}
}

int main(void)
{
	int ran = 0;

	brief = getenv("NA_TEST_BRIEF") != NULL;
#ifdef NA_TEST_SVE
	CHECK_EQ(na_kernels_sve_bytes(), atoi(getenv("NA_TEST_SVE_BYTES"))); /* the registers that were asked for */
#endif
	make_rooms();
	for (int v = NA_KERNELS_PORTABLE; v < NA_KERNELS_COUNT_; v++) {
		const struct na_kernels *k = na_kernels_table((uint64_t)v);

		if (!k) {
			printf("%s: not on this processor\n", na_kernels_name((uint64_t)v));
			continue;
		}
		check_case = k->name;
		all_f64(k);
		all_f32(k);
		printf("%s: compared\n", k->name);
		ran++;
	}
	CHECK(ran >= 1);
	return check_result();
}
