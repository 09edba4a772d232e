/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Raw blocks when the kernel refuses: each call of the os table that compression makes fails in turn, and all from it on. Whatever fails, the
 * block's bytes are what they were, and nothing is left over.
 */
#include <errno.h>

#include "base/options.h"
#include "cold/cold.h"
#include "compression/raw.h"
#include "heap/groups.h"
#include "heap/heap.h"
#include "os/fault.h"
#include "os/os.h"
#include "support/check.h"
#include "support/contents.h"

#define MIB ((size_t)1 << 20)

static struct na_os real;
static _Atomic long left;
static _Atomic bool rest;
static _Atomic long made;

static bool fails(void)
{
	long n = atomic_fetch_sub(&left, 1);

	atomic_fetch_add(&made, 1);
	return rest ? n <= 1 : n == 1;
}

/* What brings pages back is not among them: the kernel has no way to refuse that but for want of memory, and who waits would wait for ever. */
static int refuse_open(struct na_faults *out)
{
	return fails() ? -EPERM : real.fault_open(out);
}

static int refuse_watch(const struct na_faults *f, void *at, size_t size)
{
	return fails() ? -ENOMEM : real.fault_watch(f, at, size);
}

static int refuse_protect(const struct na_faults *f, void *at, size_t size, bool on)
{
	return on && fails() ? -ENOENT : real.fault_protect(f, at, size, on);
}

static int refuse_purge(void *at, size_t size)
{
	return fails() ? -EINVAL : real.purge(at, size);
}

static int refuse_resident(void *at, size_t size, unsigned char *map)
{
	return fails() ? -ENOMEM : real.resident(at, size, map);
}

static int refuse_map(void *at, size_t size, void **out)
{
	return fails() ? -ENOMEM : real.map(at, size, out);
}

static void install(long nth, bool all)
{
	real = na_os;
	left = nth;
	rest = all;
	made = 0;
	na_os.fault_open = refuse_open;
	na_os.fault_watch = refuse_watch;
	na_os.fault_protect = refuse_protect;
	na_os.purge = refuse_purge;
	na_os.resident = refuse_resident;
	na_os.map = refuse_map;
}

static long once(long nth, bool all)
{
	static const struct na_cold_settings settings = { .effort = { .speed = 1, .filters = 0x1f }, .min_size = 4096, .age_ms = 3600000, .cache = true };
	struct na_hint hint = { .lifetime = NA_LIFETIME_LONG, .priority = NA_PRIORITY_LOW };
	static uint8_t wanted[MIB];
	struct na_image_figures f;
	uint64_t bytes;
	uint8_t *p;

	p = na_group_allocate(na_group_of(na_pool_here(), na_hint_pack(hint)), 16, MIB);
	REQUIRE(p);
	contents_fill(wanted, MIB, CONTENTS_INTEGERS, 1);
	memcpy(p, wanted, MIB);
	install(nth, all);
	if (na_cold_start(&settings) == 0) {
		na_raw_adopt(p);
		na_raw_compress(p, &bytes);
		CHECK(memcmp(p, wanted, MIB) == 0);
		na_raw_compress(p, &bytes);
		na_raw_touch(p);
		na_raw_make_room(MIB);
	}
	na_os = real;
	CHECK(memcmp(p, wanted, MIB) == 0);
	CHECK_EQ(na_cold_stop(), 0);
	CHECK(memcmp(p, wanted, MIB) == 0);
	CHECK_EQ(na_heap_release_checked(p), 0);
	na_image_figures(&f);
	CHECK_EQ(f.images, 0);
	CHECK_EQ(f.original, 0);
	CHECK_EQ(f.compressed, 0);
	CHECK_EQ(f.damaged, 0);
	return made;
}

int main(void)
{
	struct na_faults probe;

	check_watchdog(240);
	na_pools_boot();
	na_options.background = 0;
	na_options.verbose = 0;
	if (na_os.fault_open(&probe) < 0)
		SKIP("the kernel does not let us answer page faults");
	na_fault_close(&probe);
	for (int all = 0; all < 2; all++) {
		long n = 1;

		while (once(n, all) >= n && n < 2000)
			n++;
		CHECK(n > 10 && n < 2000);
		printf("%ld calls%s\n", n - 1, all ? ", and all after each" : "");
	}
	return check_result();
}
