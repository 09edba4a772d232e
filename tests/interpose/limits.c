/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Programs at the end of their memory: limits on addresses (RLIMIT_AS, RLIMIT_DATA) and on mappings (vm.max_map_count). Past a
 * limit comes NULL with ENOMEM, never a crash; what was given out before stays good; and what is freed serves again.
 *
 * Limits must be there before the program starts, so the test starts itself again: "fill KIND" prints how many MiB it
 * got. How much a program should get is measured, too: the same program on the C library's malloc.
 */
#include "interpose.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define MIB ((size_t)1 << 20)

struct block {
	struct block *next;
	size_t size;
};

static void *refused_is_enomem(void *p)
{
	if (!p)
		CHECK_EQ(errno, ENOMEM);
	return p;
}

/* Until there is no more; each block is touched and marked. */
static struct block *fill(size_t size, size_t *total)
{
	struct block *list = NULL, *b;

	*total = 0;
	while ((b = refused_is_enomem(malloc(size)))) {
		memset(b, (int)(*total / size), size);
		*b = (struct block){ list, size };
		list = b;
		*total += size;
	}
	return list;
}

static size_t release(struct block *list)
{
	size_t total = 0, wrong = 0;

	for (struct block *next; list; list = next) {
		const unsigned char *bytes = (const unsigned char *)list;

		next = list->next;
		total += list->size;
		for (size_t i = sizeof(*list); i + 1 < list->size; i += 509)
			wrong += bytes[i] != bytes[list->size - 1];
		free(list);
	}
	CHECK_EQ(wrong, 0);
	return total;
}

/* A block that cannot grow is as it was. */
static void resizing_fails_whole(void)
{
	static const size_t sizes[] = { 100, 5000, 100000, 2 * MIB };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		unsigned char *p = malloc(sizes[i]), *q;

		if (!p)
			continue;
		memset(p, 0x5a, sizes[i]);
		q = refused_is_enomem(realloc(p, hide_size(5000 * MIB)));
		CHECK(!q);
		for (size_t b = 0; b < sizes[i]; b += 97)
			CHECK_EQ(p[b], 0x5a);
		free(p);
	}
	CHECK(!refused_is_enomem(calloc(hide_size(SIZE_MAX / 8), 16)));
	CHECK(!refused_is_enomem(aligned_alloc(MIB, hide_size(5000 * MIB))));
	CHECK_EQ(posix_memalign(&(void *){ NULL }, 4096, hide_size(5000 * MIB)), ENOMEM);
}

/* ---- what runs under a limit ---- */

static void *churn(void *seed)
{
	unsigned int state = (unsigned int)(uintptr_t)seed;
	void *p[200] = { 0 };

	for (int i = 0; i < 20000; i++) {
		size_t at = (size_t)rand_r(&state) % 200, size = (size_t)1 << (rand_r(&state) % 22);

		free(p[at]);
		p[at] = refused_is_enomem(malloc(size));
		if (p[at])
			((char *)p[at])[0] = ((char *)p[at])[size - 1] = 1;
	}
	for (size_t i = 0; i < 200; i++)
		free(p[i]);
	return NULL;
}

static int run_threads(void)
{
	pthread_t threads[4];
	int started = 0;
	size_t total;

	for (; started < 4; started++)
		if (pthread_create(&threads[started], NULL, churn, (void *)(uintptr_t)(started + 1)))
			break; /* no room for its stack: then fewer */
	for (int i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	release(fill(MIB, &total));
	printf("%zu\n", total / MIB);
	return check_failures != 0;
}

static int run_limited(const char *what)
{
	size_t size = strtoul(what, NULL, 10), total, more;
	struct block *list;

	if (size == 0)
		return run_threads();
	list = fill(size, &total);
	printf("%zu\n", total / MIB);
	resizing_fails_whole();
	CHECK_EQ(release(list), total);
	/* All that was freed must serve blocks of other sizes, as far as they fit. */
	for (size_t other = 400; other <= total / 4; other *= 40) {
		release(fill(other, &more));
		CHECK_MSG(more * 4 >= total * 2, "blocks of %zu: %zu MiB after %zu MiB of blocks of %zu", other,
			  more / MIB, total / MIB, size);
	}
	fflush(stdout);
	return check_failures != 0;
}

/* ---- starting it ---- */

struct run {
	int which; /* RLIMIT_ */
	size_t mib;
	const char *what;
	int libc;
	int result; /* pipe */
};

static int start(void *argument)
{
	struct run *r = argument;
	struct rlimit limit = { r->mib * MIB, r->mib * MIB };
	char *argv[] = { (char *)"limits", (char *)"fill", (char *)(uintptr_t)r->what, NULL };

	setenv("NA_TEST_LIBC", r->libc ? "1" : "0", 1);
	unsetenv("NA_TEST_ENTERED");
	if (!r->libc)
		setenv("LD_PRELOAD", interpose_library(), 1);
	REQUIRE(dup2(r->result, STDOUT_FILENO) >= 0);
	REQUIRE(setrlimit((__rlimit_resource_t)r->which, &limit) == 0);
	execv("/proc/self/exe", argv);
	REQUIRE(!"exec");
	return 1;
}

static long run(int which, size_t mib, const char *what, int libc)
{
	struct run r = { which, mib, what, libc, -1 };
	char text[64] = "", about[128];
	struct child c;
	int pipes[2];

	REQUIRE(pipe(pipes) == 0);
	r.result = pipes[1];
	child_run(start, &r, &c);
	close(pipes[1]);
	snprintf(about, sizeof(about), "%s, %zu MiB, blocks of %s, %s", which == RLIMIT_AS ? "addresses" : "data", mib,
		 what, libc ? "libc's malloc" : "ours");
	CHILD_GOOD(&c, about);
	if (read(pipes[0], text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(pipes[0]);
	if (!libc)
		CHECK_MSG(child_lines_with(&c, "no memory for") <= 3, "%s: one line for each limit: %s", about, c.text);
	return strtol(text, NULL, 10);
}

static void programs_get_what_their_limit_allows(void)
{
	static const char *const sizes[] = { "64", "1000", "30000", "3000000" };
	static const int limits[] = { RLIMIT_AS, RLIMIT_DATA };
	static const size_t mib[] = { 100, 200, 1000 };

	for (size_t l = 0; l < 2; l++)
		for (size_t m = 0; m < 3; m++)
			for (size_t s = 0; s < 4; s++) {
				if (mib[m] == 1000 && s + 2 * l != 2)
					continue; /* once, for it takes seconds */
				long ours = run(limits[l], mib[m], sizes[s], 0), libc = run(limits[l], mib[m], sizes[s], 1);

				CHECK_MSG(ours * 100 >= libc * 80 && libc > 0,
					  "limit %zu MiB, blocks of %s: %ld MiB, the C library's malloc %ld MiB", mib[m],
					  sizes[s], ours, libc);
			}
}

static void threads_at_the_limit_fail_one_by_one(void)
{
	CHECK(run(RLIMIT_AS, 150, "threads", 0) > 50);
	CHECK(run(RLIMIT_DATA, 150, "threads", 0) > 50);
}

/* ---- mappings ---- */

#define MOST_PAGES ((size_t)1 << 20)

static int exhaust_mappings(void *unused)
{
	char *area = mmap(NULL, MOST_PAGES * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	void *before[24], *p[24 * 8];
	size_t used = 0, good = 0;

	(void)unused;
	REQUIRE(area != MAP_FAILED);
	for (size_t i = 0; i < 24; i++) {
		before[i] = malloc((size_t)16 << i);
		REQUIRE(before[i]);
		memset(before[i], 1, (size_t)16 << i);
	}
	/* Every second page its own protection: a mapping each, until the kernel allows no more. */
	while (used < MOST_PAGES && mprotect(area + used * 4096, 4096, PROT_READ) == 0)
		used += 2;
	if (used >= MOST_PAGES)
		return 77;
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < 24 * 8; i++) {
			size_t size = (size_t)16 << (i % 24);

			p[i] = refused_is_enomem(malloc(size));
			if (p[i])
				memset(p[i], 2, size);
			good += p[i] != NULL;
		}
		for (size_t i = 0; i < 24; i++) {
			void *q = refused_is_enomem(realloc(before[i], (size_t)40 << i));

			before[i] = q ? q : before[i];
			CHECK_EQ(((char *)before[i])[0], 1);
		}
		for (size_t i = 0; i < 24 * 8; i++)
			free(p[i]);
		malloc_trim(0);
	}
	CHECK(good > 24); /* what was there before serves */
	munmap(area, MOST_PAGES * 4096);
	for (size_t i = 0; i < 24; i++) {
		free(before[i]);
		before[i] = malloc((size_t)16 << i);
		CHECK(before[i] != NULL);
		free(before[i]);
	}
	return 0;
}

static void mappings_run_out_and_come_back(void)
{
	struct child c;

	child_run(exhaust_mappings, NULL, &c);
	if (WIFEXITED(c.status) && WEXITSTATUS(c.status) == 77)
		return; /* vm.max_map_count is past what this tries */
	CHILD_GOOD(&c, "no mapping left");
}

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "fill") == 0) {
		check_case = "fill";
		check_watchdog(100);
		if (!interpose_libc())
			REQUIRE(interpose_active());
		return run_limited(argv[2]);
	}
	interpose_enter(argv);
	if (interpose_libc())
		SKIP("limits are compared with the C library's malloc");
	RUN(mappings_run_out_and_come_back);
	RUN(programs_get_what_their_limit_allows);
	RUN(threads_at_the_limit_fail_one_by_one);
	return check_result();
}
