/* SPDX-License-Identifier: BSD-3-Clause */
/* The record on disk: a kill at any byte of an update leaves a good slot; what is damaged is refused with a reason. */
#include "support/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "records.h"
#include "report/place.h"

static struct na_record slots[2], r, got;
static struct na_record_flaw flaw;

static void load_gives(int rc, const char *words)
{
	assert_int_equal(na_record_load(slots, sizeof(slots), &got, &flaw), rc);
	if (words)
		assert_non_null(strstr(flaw.text, words));
	else
		assert_string_equal(flaw.text, "");
}

static void the_newer_slot_counts(void **state)
{
	(void)state;
	memset(slots, 0, sizeof(slots));
	load_gives(-ENODATA, "never written");
	record_make(&r, 0, 1, "alpha");
	for (uint64_t i = 1; i < 20; i++) {
		r.heap.allocations = i;
		na_record_store(slots, &r);
		load_gives(0, NULL);
		assert_int_equal(got.heap.allocations, i);
		assert_int_equal(got.sequence, i);
	}
}

/* Every prefix of an update, as a kill would leave it. */
static void a_torn_update_leaves_the_last_one(void **state)
{
	static struct na_record before[2], after[2];
	int different = 0;

	(void)state;
	memset(slots, 0, sizeof(slots));
	record_make(&r, 0, 1, "alpha");
	r.heap.allocations = 1;
	na_record_store(slots, &r);
	r.heap.allocations = 2;
	na_record_store(slots, &r);
	memcpy(before, slots, sizeof(slots));
	r.heap.allocations = 3;
	na_record_store(slots, &r);
	memcpy(after, slots, sizeof(slots));
	memcpy(slots, before, sizeof(slots));
	for (size_t cut = 0; cut < sizeof(slots); cut++) {
		char *byte = (char *)slots + cut;

		if (*byte == ((char *)after)[cut])
			continue; /* the same as before */
		*byte = ((char *)after)[cut];
		load_gives(0, NULL);
		assert_true(got.heap.allocations == 2 || got.heap.allocations == 3);
		different++;
	}
	assert_true(different > 8); /* sequence, checksum, and the figure */
	assert_int_equal(got.heap.allocations, 3);
}

static void damage_is_refused(void **state)
{
	static const struct {
		size_t at;
		const char *words;
	} cases[] = { { offsetof(struct na_record, magic), "not a record" },
		      { offsetof(struct na_record, version), "version" },
		      { offsetof(struct na_record, heap), "checksum" },
		      { sizeof(struct na_record) - 1, "checksum" } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(slots, 0, sizeof(slots));
		record_make(&r, 0, 1, "alpha");
		na_record_store(slots, &r);
		na_record_store(slots, &r);
		((unsigned char *)&slots[0])[cases[i].at] ^= 0x10;
		load_gives(0, NULL); /* the other slot */
		((unsigned char *)&slots[1])[cases[i].at] ^= 0x10;
		load_gives(cases[i].at == offsetof(struct na_record, version) ? -EPROTO : -EINVAL, cases[i].words);
	}
}

/* A record of the last version: it has no breakdown, and its length is another. */
static void the_last_version_is_refused(void **state)
{
	(void)state;
	memset(slots, 0, sizeof(slots));
	record_make(&r, 0, 1, "alpha");
	na_record_store(slots, &r);
	na_record_store(slots, &r);
	for (int i = 0; i < 2; i++) {
		slots[i].version = 2;
		slots[i].bytes = 14896;
	}
	load_gives(-EPROTO, "a record of version 2 and 14896 bytes; this numarena-report reads version 4 of ");
}

/* What is as it was is not written again, so that it need not go to the file system: a write would fault. */
static void unchanged_pages_are_left_alone(void **state)
{
	size_t length = 2 * sizeof(r) + 8192;
	struct na_record *mapped = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uintptr_t within[2];

	(void)state;
	assert_true(mapped != MAP_FAILED);
	record_make(&r, 0, 1, "alpha");
	na_record_store(mapped, &r);
	na_record_store(mapped, &r);
	for (int i = 0; i < 2; i++) { /* a page that has nothing but phases */
		within[i] = ((uintptr_t)mapped[i].breakdown.phases + 4095) & ~(uintptr_t)4095;
		assert_true(within[i] + 4096 <= (uintptr_t)&mapped[i].breakdown.phases[NA_BREAKDOWN_PHASES]);
		assert_int_equal(mprotect((void *)within[i], 4096, PROT_READ), 0);
	}
	r.heap.allocations = 77;
	na_record_store(mapped, &r);
	na_record_store(mapped, &r);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(mapped[i].heap.allocations, 77);
		assert_int_equal(mprotect((void *)within[i], 4096, PROT_READ | PROT_WRITE), 0);
	}
	memset(r.breakdown.phases, 'p', sizeof(r.breakdown.phases)); /* and what has changed is written */
	na_record_store(mapped, &r);
	assert_memory_equal(&mapped[1], &r, sizeof(r));
	munmap(mapped, length);
}

/* A correct checksum over fields that lead outside our tables. */
static void wrong_fields_are_refused(void **state)
{
	(void)state;
	for (int i = 0; i < 12; i++) {
		memset(slots, 0, sizeof(slots));
		record_make(&r, 0, 1, "alpha");
		switch (i) {
		case 0:
			r.heap.node_count = NA_MAX_NODES + 1;
			break;
		case 1:
			r.heap.class_count = NA_MAX_CLASSES + 1;
			break;
		case 2:
			memset(r.host, 'x', sizeof(r.host));
			break;
		case 3:
			r.state = NA_RECORD_LOST; /* never on disk */
			break;
		case 4:
			r.role = 3;
			break;
		case 5:
			r.rank = -5;
			break;
		case 6:
			r.breakdown.phase_count = NA_BREAKDOWN_PHASES + 1;
			break;
		case 7:
			memset(r.breakdown.phases[1].name, 'x', NA_PHASE_NAME);
			break;
		case 8:
			r.breakdown.pool_count = NA_BREAKDOWN_POOLS + 1;
			break;
		case 9:
			r.breakdown.innermost = r.breakdown.phase_count + 1;
			break;
		case 10:
			r.breakdown.classes[5].size = 1234;
			break;
		default:
			r.series.count = NA_SERIES_BINS + 1;
		}
		na_record_store(slots, &r);
		load_gives(-EINVAL, "contradict");
	}
}

static void truncated_files(void **state)
{
	char folder[] = "/tmp/numarena-test-XXXXXX", path[200];
	struct na_record *mapped;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/rank-0.rec", folder);
	assert_int_equal(na_record_read(path, &got, &flaw), -ENOENT);
	assert_int_equal(na_place_map(path, &mapped), 0);
	assert_int_equal(na_record_read(path, &got, &flaw), -ENODATA);
	record_make(&r, 0, 1, "alpha");
	na_record_store(mapped, &r); /* the second slot */
	na_record_store(mapped, &r);
	assert_int_equal(na_record_read(path, &got, &flaw), 0);
	na_place_unmap(mapped);
	for (off_t length = 2 * (off_t)sizeof(r) - 1; length > 0; length -= 3001) {
		int rc;

		assert_int_equal(truncate(path, length), 0);
		rc = na_record_read(path, &got, &flaw);
		assert_int_equal(rc, length >= (off_t)sizeof(r) ? 0 : -EINVAL);
		if (rc)
			assert_non_null(strstr(flaw.text, "truncated"));
	}
	unlink(path);
	rmdir(folder);
}

static void places(void **state)
{
	char out[PATH_MAX], small[20], folder[] = "/tmp/numarena-test-XXXXXX", deep[200];
	struct na_record *mapped;

	(void)state;
	assert_int_equal(na_place_job("/r", "4711", out, sizeof(out)), 0);
	assert_string_equal(out, "/r/.numarena/4711");
	assert_int_equal(na_place_of_rank(out, 12, out + 100, sizeof(out) - 100), 0);
	assert_string_equal(out + 100, "/r/.numarena/4711/rank-12.rec");
	assert_int_equal(na_place_job("/a/long/folder", "4711", small, sizeof(small)), -ENAMETOOLONG);
	assert_true(na_place_is_record("rank-3.rec") && na_place_is_record("pid-h-1.rec"));
	assert_false(na_place_is_record("lock") || na_place_is_record("rank-3.rec.tmp") || na_place_is_record("x.rec"));
	assert_non_null(mkdtemp(folder));
	snprintf(deep, sizeof(deep), "%s/a/b/c", folder);
	assert_int_equal(na_place_make(deep), 0);
	assert_int_equal(na_place_make(deep), 0);
	snprintf(deep, sizeof(deep), "%s/a/b/c/rank-0.rec", folder);
	assert_int_equal(na_place_map(deep, &mapped), 0);
	na_place_unmap(mapped);
	assert_int_equal(na_place_make(deep), -ENOTDIR); /* a file is in the way */
	snprintf(deep, sizeof(deep), "%s/a/b/c", folder);
	assert_int_equal(na_place_count_ranks(deep), 1);
	assert_false(na_place_is_marked(deep));
	na_place_mark(deep);
	assert_true(na_place_is_marked(deep));
	na_place_discard(deep); /* and its parent, which is empty then */
	snprintf(deep, sizeof(deep), "%s/a", folder);
	assert_int_equal(rmdir(deep), 0);
	assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_newer_slot_counts),
		cmocka_unit_test(a_torn_update_leaves_the_last_one),
		cmocka_unit_test(damage_is_refused),
		cmocka_unit_test(the_last_version_is_refused),
		cmocka_unit_test(unchanged_pages_are_left_alone),
		cmocka_unit_test(wrong_fields_are_refused),
		cmocka_unit_test(truncated_files),
		cmocka_unit_test(places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
