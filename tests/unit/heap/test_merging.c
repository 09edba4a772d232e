/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pages of sparse spans that are merged: what is given out and given back afterwards, fork, the end of pools, when it must not be done, how many mappings it
 * takes, and each of its system calls failing in turn. tests/stress/merging does it at random.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "cache/pairing.h"
#include "heap/groups.h"
#include "heap/merging.h"
#include "heap/named.h"
#include "os/limit.h"
#include "os/memfile.h"
#include "pool/lost.h"
#include "recovery/defragment.h"
#include "report/procfs.h"
#include "scattered.h"

static struct na_named *pool;

static struct na_named *make_pool(void)
{
	struct na_named *n = NULL;

	if (na_named_create("merged", -1, 0, 16, &n) < 0)
		return NULL;
	na_merging_allow(n);
	return n;
}

static struct na_named *taken_from;

static unsigned char *take_block(size_t size)
{
	return na_named_allocate(taken_from, size);
}

static void give_block(void *p)
{
	CHECK_EQ(na_heap_release_checked(p), 0);
}

static void scatter(struct na_named *n, size_t wanted, size_t size, uint64_t keep)
{
	taken_from = n;
	scatter_blocks(wanted, size, keep);
}

static struct na_merging merge(void)
{
	struct na_merging m;

	na_defrag_start(NA_DEFRAG_COORDINATED, false, false);
	na_defrag_pass();
	na_merging_figures(&m);
	return m;
}

/* ---- what is given out, and comes back ---- */

/* All spans are retired then, on frames without a host, and not restored yet. The fast path's own way into the heap, which checks nothing before. */
static void freed_twice_when_nothing_lives(void)
{
	uint64_t before = na_misuse.double_frees + na_misuse.invalid_frees;
	void *gone = NULL;

	for (size_t i = 0; i < count; i++)
		gone = blocks[i] ? blocks[i] : gone;
	free_blocks();
	na_heap_release(gone);
	CHECK_EQ(na_misuse.double_frees + na_misuse.invalid_frees, before + 1);
}

/* What the memory files really have. */
static uint64_t file_bytes(void)
{
	uint64_t bytes = 0;

	for (int fd = 0; fd < 1024; fd++) {
		char path[32], to[64] = "";
		struct stat s;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (readlink(path, to, sizeof(to) - 1) > 0 && strncmp(to, "/memfd:numarena", 15) == 0 && fstat(fd, &s) == 0)
			bytes += (uint64_t)s.st_blocks * 512;
	}
	return bytes;
}

/* Where shared memory comes 2 MiB at a time, files have more than was written. */
static bool files_are_of_small_pages(void)
{
	char text[128] = "";
	int fd = open("/sys/kernel/mm/transparent_hugepage/shmem_enabled", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		CHECK(read(fd, text, sizeof(text) - 1) >= 0);
		close(fd);
	}
	return !strstr(text, "[always]") && !strstr(text, "[force]");
}

#if defined(__SANITIZE_ADDRESS__) /* whose shadow memory grows with what is looked at */
#define SHADOWED true
#else
#define SHADOWED false
#endif

/* Physical memory without pages of programs and libraries: more of them come in with each function that runs for the first time. */
static uint64_t memory_bytes(void)
{
	char text[4096];
	int fd = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	REQUIRE(fd >= 0);
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	REQUIRE(n > 0);
	text[n] = '\0';
	REQUIRE(strstr(text, "Pss_Anon:") && strstr(text, "Pss_Shmem:"));
	return na_procfs_find(text, "Pss_Anon") + na_procfs_find(text, "Pss_Shmem");
}

static int lives_on(void *argument)
{
	size_t size = *(size_t *)argument;
	static unsigned char *more[MOST / 2];
	struct na_merging m;
	uint64_t before, after, held;
	size_t n;

	pool = make_pool();
	scatter(pool, (size_t)12 * 1024 * 1024 / size < MOST ? (size_t)12 * 1024 * 1024 / size : MOST, size, 8);
	before = memory_bytes();
	m = merge();
	CHECK_MSG(m.off == NA_MERGING_ON, "%s", m.why);
	CHECK(m.mapped_bytes > m.frame_bytes);
	CHECK_MSG(file_bytes() > 0 && (file_bytes() <= m.frame_bytes || !files_are_of_small_pages()), "%llu bytes in the file, for %llu of frames", (unsigned long long)file_bytes(),
		  (unsigned long long)m.frame_bytes);
	after = memory_bytes();
	CHECK_MSG(SHADOWED || after * 10 < before * 9, "%llu bytes before, %llu after", (unsigned long long)before,
		  (unsigned long long)after);
	check_blocks();
	validate();
	/* Slots that are free in all spans of a page: no two blocks lie on one place of it. */
	held = pool->pool.used_slices;
	for (n = 0; n < count / 96; n++) {
		more[n] = na_named_allocate(pool, size);
		REQUIRE(more[n]);
		check_fill(more[n], 0, size, n + 1000000);
	}
	CHECK_EQ(pool->pool.used_slices, held); /* there was room */
	check_blocks();
	for (size_t i = 0; i < n; i++)
		CHECK_EQ(check_filled(more[i], 0, size, i + 1000000), size);
	validate();
	/* Once more, merged with merged. */
	merge();
	check_blocks();
	for (size_t i = 0; i < n; i++)
		CHECK_EQ(check_filled(more[i], 0, size, i + 1000000), size);
	/* A block that is freed twice is told, wherever it lay. */
	CHECK_EQ(na_heap_release_checked(more[0]), 0);
	CHECK(na_heap_release_checked(more[0]) != 0);
	for (size_t i = 1; i < n; i++)
		CHECK_EQ(na_heap_release_checked(more[i]), 0);
	check_blocks();
	validate();
	freed_twice_when_nothing_lives();
	na_merging_restore();
	na_merging_figures(&m);
	CHECK_EQ(m.mapped_bytes, 0);
	CHECK_EQ(m.frame_bytes, 0);
	CHECK_EQ(m.mappings, 0);
	CHECK(m.restored > 0);
	validate();
	/* What was shared is private, and zero or not, nobody else's. */
	scatter(pool, 20000, size, 1);
	check_blocks();
	free_blocks();
	na_named_destroy(pool);
	return check_failures != 0;
}

/* In a child of its own. */
static void of_size(int (*run)(void *), const char *of, size_t *size)
{
	struct child c;
	char what[60];

	snprintf(what, sizeof(what), "%s of %zu bytes", of, *size);
	child_run(run, size, &c);
	CHILD_GOOD(&c, what);
}

static void blocks_live_on(void)
{
	static size_t sizes[] = { 16, 48, 64, 112, 256, 1024, 1536 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		/* Both ways, whichever this machine would choose. */
		na_staging = i % 2 ? NA_STAGING_NEVER : NA_STAGING_ALWAYS;
		of_size(lives_on, "blocks", &sizes[i]);
	}
	na_staging = NA_STAGING_AUTO;
}

/* ---- the order in which slots are given out ---- */

/* The first of every eight blocks lives on. */
static struct na_merging siblings(size_t size, bool armed)
{
	struct na_merging m;

	na_defrag_start(armed ? NA_DEFRAG_COORDINATED : NA_DEFRAG_OFF, false, false);
	pool = make_pool();
	taken_from = pool;
	scatter_blocks(40000, size, 1);
	for (size_t i = 0; i < count; i++)
		if (i % 8) {
			give_block(blocks[i]);
			blocks[i] = NULL;
		}
	m = merge();
	CHECK_MSG(m.off == NA_MERGING_ON, "%s", m.why);
	check_blocks();
	validate();
	free_blocks();
	na_named_destroy(pool);
	return m;
}

static int lives_on_by_place(void *argument)
{
	size_t size = *(size_t *)argument, bytes = 40000 * size;
	struct na_merging m = siblings(size, false);

	/* All units have the same slots taken, if a span has as many slots as so many whole families. */
	CHECK_MSG(size & (size - 1) || m.mapped_bytes - m.frame_bytes < bytes / 16, "%llu bytes were won where all slots collide",
		  (unsigned long long)(m.mapped_bytes - m.frame_bytes));
	m = siblings(size, true);
	CHECK_MSG(m.mapped_bytes - m.frame_bytes > bytes / 2, "of %zu bytes %llu were won, on %llu",
		  bytes, (unsigned long long)(m.mapped_bytes - m.frame_bytes), (unsigned long long)m.frame_bytes);
	return check_failures != 0;
}

static void survivors_by_place(void)
{
	static size_t sizes[] = { 16, 48, 64, 80, 192, 256, 512 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		of_size(lives_on_by_place, "siblings", &sizes[i]);
}

/* How often a block lies below the one before. */
static size_t steps_back(struct na_named *n, size_t size, size_t wanted)
{
	size_t back = 0;
	uintptr_t before = 0;

	taken_from = n;
	scatter_blocks(wanted, size, 1);
	for (size_t i = 0; i < count; i++) {
		back += (uintptr_t)blocks[i] < before;
		before = (uintptr_t)blocks[i];
	}
	free_blocks();
	return back;
}

/* How many pages the blocks lie on: all in one segment. */
static size_t pages_of(size_t wanted)
{
	static bool seen[NA_SEGMENT / NA_PAGE];
	size_t pages = 0;

	memset(seen, 0, sizeof(seen));
	for (size_t i = 0; i < wanted; i++) {
		size_t page = (uintptr_t)blocks[i] % NA_SEGMENT / NA_PAGE;

		pages += !seen[page];
		seen[page] = true;
	}
	return pages;
}

/* A small pool lies where it always did, a larger one on a page more at most. */
static void pages_touched(void)
{
	pool = make_pool();
	na_defrag_start(NA_DEFRAG_COORDINATED, false, false);
	taken_from = pool;
	scatter_blocks(900, 64, 1);
	for (size_t i = 1; i < count; i++)
		CHECK_EQ((uintptr_t)blocks[i], (uintptr_t)blocks[i - 1] + 64);
	free_blocks();
	na_named_destroy(pool);
	for (size_t wanted = 2000; wanted < 20000; wanted += 1777) {
		pool = make_pool();
		taken_from = pool;
		scatter_blocks(wanted, 64, 1);
		CHECK(pages_of(wanted) <= (wanted + 63) / 64 + 1);
		validate();
		free_blocks();
		na_named_destroy(pool);
	}
}

static void who_is_turned(void)
{
	struct na_named *fixed = na_group_of(&na_pools[0], na_hint_pack((struct na_hint){ .no_move = true })), *own;
	struct na_named *loose = na_group_of(&na_pools[0], na_hint_pack((struct na_hint){ .lifetime = NA_LIFETIME_LONG }));

	REQUIRE(fixed && loose && na_named_create("own", -1, 0, 16, &own) == 0);
	na_defrag_start(NA_DEFRAG_COORDINATED, false, false);
	/* Spans of a fresh pool follow each other: in each but the first there is one step back. */
	CHECK_EQ(steps_back(fixed, 64, 10240), 0);
	CHECK_EQ(steps_back(own, 64, 10240), 0);
	CHECK(steps_back(loose, 64, 10240) > 5);
	na_defrag_stop();
	pool = make_pool();
	CHECK_EQ(steps_back(pool, 64, 10240), 0);
	/* What was begun one way goes on the other: in the middle of a unit. */
	taken_from = pool;
	scatter_blocks(1000, 48, 1);
	na_defrag_start(NA_DEFRAG_COORDINATED, false, false);
	for (size_t i = 1000; i < 9000; i++) {
		blocks[i] = take_block(48);
		REQUIRE(blocks[i]);
		check_fill(blocks[i], 0, 48, i);
		if (i == 5000)
			na_defrag_stop();
	}
	count = 9000;
	validate();
	check_blocks();
	free_blocks();
	validate();
	na_named_destroy(pool);
	na_named_destroy(own);
}

/* ---- slices ---- */

/* Between slices blocks come and go, so that spans of the plan empty, fill up and are used for others. */
static void churn(int round)
{
	for (size_t i = (size_t)round % 7; i < count; i += 97)
		if (blocks[i]) {
			CHECK_EQ(na_heap_release_checked(blocks[i]), 0);
			blocks[i] = NULL;
		} else {
			blocks[i] = na_named_allocate(pool, size_of_blocks);
			REQUIRE(blocks[i]);
			check_fill(blocks[i], 0, size_of_blocks, i);
		}
}

static bool slice_of(uint64_t most, uint64_t us, uint64_t *moved)
{
	struct na_move_budget budget = { most, most };

	return na_merging_slice(na_os_now_ns() + us * 1000, &budget, moved);
}

static bool slice(uint64_t most, uint64_t *moved)
{
	return slice_of(most, 10000, moved);
}

struct sliced {
	size_t size;
	uint64_t most, unit; /* bytes */
	uint64_t us;	     /* 0: all are too late */
};

static int in_slices(void *argument)
{
	const struct sliced *s = argument;
	uint64_t slices = 0, moved = 0, most = s->most > s->unit ? s->most : s->unit; /* a unit is not cut */
	struct na_move_budget budget = { most, most };
	struct na_merging m;
	bool more = true;

	pool = make_pool();
	scatter(pool, 40000, s->size, 8);
	na_defrag_start(NA_DEFRAG_COORDINATED, false, false);
	/* No time: nothing is begun. */
	CHECK(na_merging_slice(na_os_now_ns(), &budget, &moved));
	na_merging_figures(&m);
	CHECK_EQ(m.mapped_bytes, 0);
	for (; more && slices < 20000; slices++) {
		uint64_t before = m.mapped_bytes;

		more = slice_of(s->most, s->us, &moved);
		na_merging_figures(&m);
		CHECK_MSG(m.mapped_bytes <= before + most, "%llu bytes", (unsigned long long)(m.mapped_bytes - before));
		if (slices % 4 == 1)
			churn((int)slices);
		if (slices % 16 == 3)
			validate();
	}
	CHECK_MSG(!more && slices > 10, "%llu slices", (unsigned long long)slices);
	CHECK_MSG(m.off == NA_MERGING_ON, "%s", m.why);
	CHECK_MSG(m.mapped_bytes > m.frame_bytes, "%llu on %llu", (unsigned long long)m.mapped_bytes,
		  (unsigned long long)m.frame_bytes);
	CHECK(moved > 0);
	check_blocks();
	validate();
	/* A plan is under way when the pool is emptied, when less may be moved than it was made for, and when a whole pass is made. */
	slice(16 * NA_PAGE, &moved);
	slice(NA_PAGE, &moved);
	merge();
	check_blocks();
	free_blocks();
	na_named_destroy(pool);
	pool = make_pool();
	scatter(pool, 40000, s->size, 8); /* or more, whose frames are composed elsewhere */
	slice(NA_PAGE, &moved);
	slice(NA_PAGE, &moved);
	slice((uint64_t)1 << 20, &moved);
	check_blocks();
	validate();
	slice(16 * NA_PAGE, &moved);
	merge();
	check_blocks();
	slice(4 * NA_PAGE, &moved);
	na_named_reset(pool);
	count = 0;
	scatter(pool, 20000, 256, 8);
	slice(64 * NA_PAGE, &moved);
	check_blocks();
	validate();
	na_named_destroy(pool);
	pool = make_pool();
	scatter(pool, 20000, 256, 8);
	slice(64 * NA_PAGE, &moved);
	check_blocks();
	validate();
	free_blocks();
	na_named_destroy(pool);
	return check_failures != 0;
}

static void slices(void)
{
	static struct sliced how[] = { { 64, 16 * NA_PAGE, NA_PAGE, 10000 },	 { 256, 16 * NA_PAGE, NA_PAGE, 10000 }, { 48, 16 * NA_PAGE, 3 * NA_PAGE, 10000 }, { 64, NA_PAGE, NA_PAGE, 10000 },
				       { 48, NA_PAGE, 3 * NA_PAGE, 10000 }, { 64, 16 * NA_PAGE, NA_PAGE, 0 },	{ 48, NA_PAGE, 3 * NA_PAGE, 0 } };

	for (size_t i = 0; i < sizeof(how) / sizeof(how[0]); i++) {
		struct child c;
		char what[80];

		snprintf(what, sizeof(what), "slices of %zu pages and %zu us, blocks of %zu bytes", (size_t)(how[i].most / NA_PAGE), (size_t)how[i].us, how[i].size);
		child_run(in_slices, &how[i], &c);
		CHILD_GOOD(&c, what);
	}
}

/* ---- the end of pools ---- */

static void a_pool_ends(void)
{
	struct na_merging m;

	pool = make_pool();
	scatter(pool, 40000, 256, 8);
	m = merge();
	CHECK(m.frame_bytes > 0);
	na_named_reset(pool);
	na_merging_figures(&m);
	CHECK_EQ(m.frame_bytes, 0);
	validate();
	scatter(pool, 40000, 256, 8);
	check_blocks();
	m = merge();
	CHECK(m.frame_bytes > 0);
	check_blocks();
	na_named_destroy(pool);
	na_merging_figures(&m);
	CHECK_EQ(m.frame_bytes, 0);
	CHECK_EQ(m.mapped_bytes, 0);
	CHECK_EQ(m.mappings, 0);
	validate();
	count = 0;
}

/* ---- what statistics and validation say ---- */

static uint64_t resident(void)
{
	struct na_snapshot s;
	uint64_t sum = 0;

	na_heap_residency(&s);
	for (uint32_t i = 0; i < s.node_count; i++)
		sum += s.nodes[i].resident_bytes;
	return sum;
}

static void resident_bytes_are_physical(void)
{
	uint64_t before, after;
	struct na_merging m;

	pool = make_pool();
	scatter(pool, 40000, 256, 8);
	before = resident();
	m = merge();
	after = resident();
	CHECK_MSG(after + (m.mapped_bytes - m.frame_bytes) * 9 / 10 < before, "%llu bytes resident, were %llu, and %llu are shared",
		  (unsigned long long)after, (unsigned long long)before,
		  (unsigned long long)(m.mapped_bytes - m.frame_bytes));
	CHECK(after > m.frame_bytes);
	free_blocks();
	na_named_destroy(pool);
}

static size_t faults(void)
{
	char first[160];
	size_t found = 0;

	CHECK_EQ(na_integrity_validate(&found, first), 0);
	return found;
}

static void damage_is_found(void)
{
	struct na_integrity result;
	struct na_merge *m;
	struct na_unit *u = NULL;

	pool = make_pool();
	scatter(pool, 40000, 256, 8);
	CHECK(merge().frame_bytes > 0);
	m = pool->cache.merged;
	REQUIRE(m);
	m->live++;
	CHECK(faults() > 0);
	CHECK_EQ(na_integrity_repair(&result), 0);
	CHECK(result.found > 0 && result.left == 0);
	CHECK_EQ(faults(), 0);
	/* A slot that another span's block lies under is free by the bitmap. */
	for (; m && !u; m = m->next)
		for (uint32_t i = 0; i < m->units && !u; i++)
			if (m->unit[i].frame && m->unit[i].frame->host != &m->unit[i])
				u = &m->unit[i];
	REQUIRE(u);
	m = u->of;
	na_span_free(m->span, u->index * m->per / 64, UINT64_C(1) << u->index * m->per % 64);
	m->span->used--;
	CHECK(faults() > 0);
	CHECK_EQ(na_integrity_repair(&result), 0);
	CHECK_EQ(result.left, 0);
	/* A word of the span that leads nowhere. */
	atomic_store(&m->span->merge, (struct na_merge *)((uintptr_t)m ^ 0x10000));
	CHECK(faults() > 0);
	CHECK_EQ(na_integrity_repair(&result), 0);
	CHECK_EQ(result.left, 0);
	CHECK(m->span->merge == m);
	CHECK_EQ(faults(), 0);
	check_blocks();
	free_blocks();
	na_named_destroy(pool);
}

/* ---- pages that the machine has lost ---- */

/* Of a frame that two units share: neither is a slot on it given out, whoever is its host, nor is the frame merged again. */
static void lost_pages(void)
{
	static void *more[MOST];
	struct na_frame *frame = NULL;
	uintptr_t page[2];
	uint32_t shared;
	size_t n = 0;

	pool = make_pool();
	scatter(pool, 40000, 256, 8);
	CHECK(merge().frame_bytes > 0);
	for (struct na_merge *m = pool->cache.merged; m && !frame; m = m->next)
		for (uint32_t i = 0; i < m->units && !frame; i++)
			if (m->unit[i].frame && m->unit[i].frame->units != m->unit[i].frame->host)
				frame = m->unit[i].frame;
	REQUIRE(frame);
	shared = frame->count;
	/* The one that gives nothing out, and the host: a page is noted where a thread met it. */
	page[0] = frame->units->of->span->base + (uintptr_t)frame->units->index * frame->bytes;
	page[1] = frame->host->of->span->base + (uintptr_t)frame->host->index * frame->bytes;
	CHECK(na_lost_note(page[0], NA_PAGE));
	na_cache_settle_lost();
	CHECK_EQ(faults(), 0);
	for (; n < 12000; n++) {
		uintptr_t at;

		more[n] = na_named_allocate(pool, 256);
		REQUIRE(more[n]);
		at = (uintptr_t)more[n] & ~(NA_PAGE - 1);
		CHECK(at != page[0] && at != page[1]);
	}
	CHECK_EQ(faults(), 0);
	merge();
	CHECK_EQ(frame->count, shared); /* left alone */
	CHECK_EQ(faults(), 0);
	check_blocks();
	for (size_t i = 0; i < n; i++)
		CHECK_EQ(na_heap_release_checked(more[i]), 0);
	free_blocks();
	na_merging_restore();
	CHECK_EQ(faults(), 0);
	atomic_store(&na_lost.page[0], 0);
	na_named_destroy(pool);
}

/* ---- fork ---- */

static void fork_keeps_them_apart(void)
{
	int pipes[2], status, failed = check_failures;
	char byte = 0;

	pool = make_pool();
	scatter(pool, 40000, 64, 8);
	CHECK(merge().frame_bytes > 0);
	for (int i = 0; i < 3; i++) {
		pid_t pid;

		REQUIRE(pipe(pipes) == 0);
		pid = fork();
		REQUIRE(pid >= 0);
		if (pid == 0) {
			size_t faults = 0;
			char first[160];

			close(pipes[1]);
			if (read(pipes[0], &byte, 1) != 1) /* the parent has written to all of its own meanwhile */
				_exit(9);
			check_blocks();
			for (size_t k = 0; k < count; k++)
				if (blocks[k])
					memset(blocks[k], 0x77, size_of_blocks);
			na_integrity_validate(&faults, first);
			CHECK_MSG(faults == 0, "%zu faults: %s", faults, first);
			/* The child has memory of its own, and merges it as well. */
			if (merge().frame_bytes == 0)
				_exit(8);
			for (size_t k = 0; k < count; k++)
				if (blocks[k] && (blocks[k][0] != 0x77 || blocks[k][size_of_blocks - 1] != 0x77))
					_exit(7);
			_exit(check_failures > failed || faults ? 6 : 0);
		}
		close(pipes[0]);
		for (size_t k = 0; k < count; k++)
			if (blocks[k])
				memset(blocks[k], 0x33, size_of_blocks);
		REQUIRE(write(pipes[1], &byte, 1) == 1);
		close(pipes[1]);
		REQUIRE(waitpid(pid, &status, 0) == pid);
		CHECK_EQ(status, 0);
		for (size_t k = 0; k < count; k++)
			if (blocks[k]) {
				CHECK(blocks[k][0] == 0x33 && blocks[k][size_of_blocks - 1] == 0x33);
				check_fill(blocks[k], 0, size_of_blocks, k);
			}
	}
	validate();
	free_blocks();
	na_named_destroy(pool);
}

/* No descriptor is left for fork's pipe: the one that is kept is used, and made anew. */
static int full_table(void *unused)
{
	struct rlimit limit;
	int status, fd[2], first;

	(void)unused;
	pool = make_pool();
	scatter(pool, 40000, 64, 8);
	CHECK(merge().frame_bytes > 0);
	REQUIRE(pipe(fd) == 0);
	first = dup(0);
	REQUIRE(first >= 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = 512;
	REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	while (dup(0) >= 0)
		;
	for (int i = 0; i < 3; i++) {
		pid_t pid = fork();

		REQUIRE(pid >= 0);
		if (pid == 0) {
			char byte;

			if (read(fd[0], &byte, 1) != 1)
				_exit(9);
			check_blocks();
			_exit(check_failures != 0);
		}
		for (size_t k = 0; k < count; k++)
			if (blocks[k])
				memset(blocks[k], 0x33, size_of_blocks);
		REQUIRE(write(fd[1], "", 1) == 1);
		REQUIRE(waitpid(pid, &status, 0) == pid);
		CHECK_EQ(status, 0);
		for (size_t k = 0; k < count; k++)
			if (blocks[k])
				check_fill(blocks[k], 0, size_of_blocks, k);
	}
	return check_failures != 0;
}

static void fork_without_descriptors(void)
{
	struct child c;

	child_run(full_table, NULL, &c);
	CHILD_GOOD(&c, "a fork without descriptors");
	CHECK_MSG(!strstr(c.text, "no pipe"), "%s", c.text);
}

/* ---- when it must not be done ---- */

static char root[] = "/tmp/numarena-merging-XXXXXX";

static void put_file(const char *path, const char *text)
{
	char full[200];
	int fd;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *c = strchr(full + sizeof(root), '/'); c; c = strchr(c + 1, '/')) {
		*c = '\0';
		mkdir(full, 0700);
		*c = '/';
	}
	fd = open(full, O_CREAT | O_TRUNC | O_WRONLY, 0600);
	REQUIRE(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void refused(enum na_merging_off off, const char *why)
{
	struct na_merging m = merge();

	CHECK_EQ(m.off, off);
	CHECK_MSG(strstr(m.why, why) != NULL, "\"%s\" does not say \"%s\"", m.why, why);
	CHECK_EQ(m.frame_bytes, 0);
}

/* As of a user in 600 groups, whose line comes first. */
static void put_many_groups(const char *rest)
{
	static char text[16384];
	size_t n = (size_t)snprintf(text, sizeof(text), "Name:\ttest\nGroups:\t");

	for (int i = 0; i < 600; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%d ", 1000000000 + i);
	snprintf(text + n, sizeof(text) - n, "\n%s", rest);
	put_file("/proc/self/status", text);
}

static void pinned_or_locked_memory(void)
{
	REQUIRE(mkdtemp(root));
	put_file("/proc/sys/vm/max_map_count", "65530\n");
	pool = make_pool();
	scatter(pool, 20000, 256, 8);
	na_limits_root = root;
	refused(NA_MERGING_PINNED, "/proc/self/status");
	put_file("/proc/self/status", "Name:\ttest\nx VmLck:\t       0 kB\n");
	refused(NA_MERGING_PINNED, "no VmPin");
	put_file("/proc/self/status", "Name:\ttest\nVmLck:\t       0 kB\nVmPin:\t     128 kB\nVmRSS:\t 1 kB\n");
	refused(NA_MERGING_PINNED, "128 KiB");
	put_file("/proc/self/status", "Name:\ttest\nVmLck:\t      64 kB\nVmPin:\t       0 kB\n");
	refused(NA_MERGING_LOCKED, "64 KiB");
	put_many_groups("VmLck:\t       0 kB\nVmPin:\t      16 kB\n");
	refused(NA_MERGING_PINNED, "16 KiB");
	put_many_groups("VmLck:\t       0 kB\nVmPin:\t       0 kB\n");
	put_file("/proc/sys/vm/overcommit_memory", "2\n");
	refused(NA_MERGING_MAPPINGS, "vm.overcommit_memory");
	put_file("/proc/sys/vm/overcommit_memory", "0\n");
	put_file("/proc/sys/vm/max_map_count", "300\n");
	refused(NA_MERGING_MAPPINGS, "300");
	put_file("/proc/sys/vm/max_map_count", "65530\n");
	CHECK(merge().frame_bytes > 0);
	na_limits_root = "";
	check_blocks();
	free_blocks();
	na_named_destroy(pool);
}

static int a_library(void *unused)
{
	char path[200], command[4400];
	Dl_info libc;
	void *library;

	(void)unused;
	/* The mathematical library, which lies beside this process's own C library, under another name. */
	REQUIRE(dladdr((void *)(uintptr_t)strtoull, &libc) && strrchr(libc.dli_fname, '/'));
	snprintf(path, sizeof(path), "%s/libuct_ib.so.0", root);
	snprintf(command, sizeof(command), "cp '%.*s/libm.so.6' %s", (int)(strrchr(libc.dli_fname, '/') - libc.dli_fname),
		 libc.dli_fname, path);
	REQUIRE(system(command) == 0);
	pool = make_pool();
	scatter(pool, 20000, 256, 8);
	library = dlopen(path, RTLD_NOW);
	unlink(path);
	REQUIRE(library);
	unsetenv("UCX_TLS");
	refused(NA_MERGING_REGISTERED, "libuct_ib");
	setenv("UCX_TLS", "rc,tcp", 1);
	refused(NA_MERGING_REGISTERED, "libuct_ib");
	setenv("UCX_TLS", "self,posix,sysv,tcp", 1);
	CHECK(merge().frame_bytes > 0);
	check_blocks();
	return check_failures != 0;
}

static void a_registration_cache(void)
{
	struct child c;
	char command[100];

	child_run(a_library, NULL, &c);
	CHILD_GOOD(&c, "a library with a registration cache");
	snprintf(command, sizeof(command), "rm -r %s", root);
	CHECK_EQ(system(command), 0);
}

static void blocks_that_may_not_move(void)
{
	struct na_named *fixed = na_group_of(&na_pools[0], na_hint_pack((struct na_hint){ .no_move = true })), *own, *loose;

	REQUIRE(na_named_create("fixed", -1, 0, 16, &own) == 0);
	REQUIRE(fixed);
	scatter(fixed, 20000, 256, 8);
	CHECK_EQ(merge().frame_bytes, 0);
	check_blocks();
	free_blocks();
	scatter(own, 20000, 256, 8);
	CHECK_EQ(merge().frame_bytes, 0);
	free_blocks();
	na_named_destroy(own);
	loose = na_group_of(&na_pools[0], na_hint_pack((struct na_hint){ .lifetime = NA_LIFETIME_LONG }));
	REQUIRE(loose);
	scatter(loose, 20000, 256, 8);
	CHECK(merge().frame_bytes > 0);
	check_blocks();
	validate();
	free_blocks();
	na_merging_restore();
}

/* A daemon closes all that it did not open. */
static int closed(void *unused)
{
	struct na_merging m;

	(void)unused;
	pool = make_pool();
	scatter(pool, 20000, 256, 8);
	CHECK(merge().frame_bytes > 0);
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
	for (int i = 0; i < 300; i++) /* and another file has the number */
		CHECK(open("/dev/null", O_RDWR) >= 0);
	check_blocks();
	for (size_t i = 0; i < count; i += 2)
		if (blocks[i]) {
			CHECK_EQ(na_heap_release_checked(blocks[i]), 0);
			blocks[i] = NULL;
		}
	check_blocks();
	free_blocks();
	scatter(pool, 20000, 1024, 8);
	m = merge();
	CHECK(m.off == NA_MERGING_REFUSED);
	check_blocks();
	free_blocks();
	na_merging_restore();
	na_merging_figures(&m);
	CHECK_EQ(m.mapped_bytes, 0);
	return check_failures != 0;
}

static void a_closed_descriptor(void)
{
	struct child c;

	child_run(closed, NULL, &c);
	CHILD_GOOD(&c, "a closed descriptor");
}

/* ---- mappings ---- */

static void few_mappings(void)
{
	char limited[] = "/tmp/numarena-merging-XXXXXX", command[100];
	uint64_t before;
	struct na_merging m;

	REQUIRE(mkdtemp(limited));
	strcpy(root, limited);
	put_file("/proc/sys/vm/max_map_count", "3000\n");
	put_file("/proc/self/status", "VmLck:\t       0 kB\nVmPin:\t       0 kB\n");
	pool = make_pool();
	scatter(pool, 60000, 256, 16);
	before = na_limits_maps();
	na_limits_root = root;
	m = merge();
	na_limits_root = "";
	CHECK_EQ(m.most_mappings, 1000);
	CHECK(m.grain > 1);
	CHECK(m.frame_bytes > 0);
	CHECK_MSG(na_limits_maps() <= before + m.mappings + 8, "%llu mappings, were %llu, and it counts %llu",
		  (unsigned long long)na_limits_maps(), (unsigned long long)before, (unsigned long long)m.mappings);
	CHECK(m.mappings <= 1000);
	check_blocks();
	validate();
	free_blocks();
	na_named_destroy(pool);
	CHECK(na_limits_maps() <= before + 8);
	snprintf(command, sizeof(command), "rm -r %s", root);
	CHECK_EQ(system(command), 0);
}

/* ---- failures ---- */

static struct na_named *failing;

static void merging(void)
{
	failing = make_pool();
	if (!failing)
		return;
	for (size_t i = 0; i < 500; i++) {
		size_t size = i < 200 ? 1024 : 256;
		void *p = na_named_allocate(failing, size);

		if (!p)
			continue;
		if (i % 5 == 0)
			nth_keep(p, size);
		else
			blocks[count++] = p;
	}
	while (count)
		CHECK_EQ(na_heap_release_checked(blocks[--count]), 0);
	merge();
	nth_check_blocks();
	merge(); /* what failed is done now, or fails again */
	nth_check_blocks();
	na_merging_restore();
	for (size_t i = 0; i < 60; i++)
		nth_keep(na_named_try(failing, 16, 256), 256);
}

static void no_pool(void)
{
	na_defrag_stop();
	if (failing)
		na_named_destroy(failing);
	failing = NULL;
}

int main(void)
{
	check_watchdog(300);
	na_pools_boot();
	na_heap_start();
	RUN(blocks_live_on);
	RUN(survivors_by_place);
	RUN(pages_touched);
	RUN(who_is_turned);
	RUN(slices);
	RUN(a_pool_ends);
	RUN(resident_bytes_are_physical);
	RUN(damage_is_found);
	RUN(lost_pages);
	RUN(fork_keeps_them_apart);
	RUN(fork_without_descriptors);
	RUN(pinned_or_locked_memory);
	RUN(a_registration_cache);
	RUN(blocks_that_may_not_move);
	RUN(a_closed_descriptor);
	RUN(few_mappings);
	na_staging = NA_STAGING_NEVER;
	nth_scenario("merging", merging, no_pool);
	na_staging = NA_STAGING_ALWAYS;
	nth_scenario("merging by way of the file", merging, no_pool);
	return check_result();
}
