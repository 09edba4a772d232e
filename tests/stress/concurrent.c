/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pages of malloc's blocks are merged while a program runs: four threads allocate, clear, resize, write and free blocks by malloc's functions without ever standing
 * still, hand them on to each other, and remember what each holds, while a fifth makes one pass after the other, some whole, some in slices. System calls
 * write into blocks and read out of them all the time as well (a pipe, a file, process_vm_writev(2), which is what MPI's single copies are); now and then
 * the program forks, and a thread ends and another begins. No byte may change, no call may fail, and pages must really have been merged.
 *
 *	concurrent [thousands of operations [seed [way]]]	(way: as NUMARENA_DEFRAG_CONCURRENT; auto)
 *
 * With `mprotect`, where system calls into blocks may fail, there are none.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <numarena/numarena.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHADOW_NAME "concurrent"
#include "shadow.h"

#if defined(BLOCKS_OF_POOL) || defined(__SANITIZE_ADDRESS__) /* the default pool's calls, where malloc is a sanitizer's */
#define malloc(size)	 allocate_from_pool(size)
#define calloc(n, size)	 memset(allocate_from_pool((n) * (size)), 0, (n) * (size))
#define realloc(p, size) resize_in_pool(p, size)
#define free(p)		 return_to_pool(p)
#endif

#define THREADS 4
#define BLOCKS	16000 /* of a thread */
#define ROUND	20000 /* operations between two handovers */

/* Four sets, each used by one thread at a time. */
static struct set {
	pthread_mutex_t lock;
	struct block block[BLOCKS];
} sets[THREADS];

static uint64_t operations;
static _Atomic uint64_t done, running;
static size_t most_merged, passes;
static bool calls = true;

static void take(struct block *b, uint64_t *state, uint64_t what)
{
	b->words = (uint32_t)(size_of(state) / 8);
	if (what % 3 == 0) {
		b->p = calloc(b->words, 8);
		for (uint32_t i = 0; b->p && i < b->words; i++)
			if (b->p[i])
				fail("a cleared block is not clear", b->p);
	} else {
		b->p = malloc((size_t)b->words * 8);
	}
	if (!b->p)
		fail("no memory", NULL);
	fill(b, what);
}

/* The kernel writes what the block shall hold: read(2) of a pipe or file, or as another process would. */
static void fill_by_kernel(struct block *b, uint64_t seed, int pipes[2])
{
	uint64_t copy[5120 / 8];
	struct block image = { copy, b->words, 0 };
	size_t bytes = (size_t)b->words * 8;
	struct iovec from = { copy, bytes }, to = { b->p, bytes };

	fill(&image, seed);
	if (seed & 1) {
		if (write(pipes[1], copy, bytes) != (ssize_t)bytes || read(pipes[0], b->p, bytes) != (ssize_t)bytes)
			fail("a pipe into a block", b->p);
	} else if (process_vm_writev(getpid(), &from, 1, &to, 1, 0) != (ssize_t)bytes && errno != EPERM && errno != ENOSYS) {
		fail("process_vm_writev into a block", b->p);
	} else if (errno == EPERM || errno == ENOSYS) {
		fill(b, seed);
	}
	b->seed = seed;
	/* And reads it. */
	if (write(pipes[1], b->p, bytes) != (ssize_t)bytes || read(pipes[0], copy, bytes) != (ssize_t)bytes)
		fail("a pipe out of a block", b->p);
	image.seed = seed;
	verify(&image);
}

static void resize(struct block *b, uint64_t *state, uint64_t seed)
{
	uint32_t words = (uint32_t)(size_of(state) / 8), kept = words < b->words ? words : b->words;
	uint64_t *p = realloc(b->p, (size_t)words * 8);

	if (!p)
		fail("no memory", NULL);
	b->p = p;
	b->words = kept;
	verify(b);
	b->words = words;
	fill(b, seed);
}

/* One operation; `grow` of 100 make a block where there is none. */
static void operate(struct block *b, uint64_t *state, uint64_t grow, int pipes[2])
{
	uint64_t what = next(state);

	if (!b->p) {
		if (what % 100 < grow)
			take(b, state, what);
		return;
	}
	verify(b);
	if (what % 100 >= grow) {
		free(b->p);
		b->p = NULL;
	} else if (what % 7 == 0) {
		resize(b, state, what);
	} else if (calls && what % 29 == 0) {
		fill_by_kernel(b, what, pipes);
	} else {
		fill(b, what);
	}
}

/* What lives on is checked by the child, and written over. */
static void fork_once(struct set *s)
{
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		fail("fork", NULL);
	if (pid == 0) {
		for (int i = 0; i < BLOCKS; i++)
			if (s->block[i].p) {
				verify(&s->block[i]);
				fill(&s->block[i], (uint64_t)i);
			}
		for (int i = 0; i < BLOCKS; i++)
			if (s->block[i].p) {
				verify(&s->block[i]);
				if (i % 3 == 0)
					free(s->block[i].p);
			}
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		fail("a child ended badly", NULL);
}

/* A thread lives for some rounds; then another one comes. */
static void *work(void *argument)
{
	uint64_t number = (uint64_t)(uintptr_t)argument, state = base_seed * 77 + number;
	int pipes[2];

	if (pipe(pipes))
		fail("pipe", NULL);
	for (int r = 0; r < 8 && atomic_load(&done) < operations; r++) {
		struct set *s = &sets[(number + (uint64_t)r) % THREADS];
		uint64_t grow = r % 4 < 2 ? 90 : r % 4 == 2 ? 3 : 6; /* sparse in the end, or nothing would be merged */

		pthread_mutex_lock(&s->lock);
		for (int i = 0; i < ROUND; i++)
			operate(&s->block[next(&state) % BLOCKS], &state, grow, pipes);
		if (r == 5 && number % 8 == 3)
			fork_once(s);
		pthread_mutex_unlock(&s->lock);
		atomic_fetch_add(&done, ROUND);
	}
	close(pipes[0]);
	close(pipes[1]);
	return NULL;
}

static void *live(void *argument)
{
	uint64_t number = (uint64_t)(uintptr_t)argument;
	pthread_t thread;

	for (; atomic_load(&done) < operations; number += THREADS) {
		if (pthread_create(&thread, NULL, work, (void *)(uintptr_t)number))
			fail("pthread_create", NULL);
		pthread_join(thread, NULL);
	}
	atomic_fetch_sub(&running, 1);
	return NULL;
}

/* The fifth. */
static void pass_on_and_on(void)
{
	defrag_config_t config = { .strategy = DEFRAG_INCREMENTAL, .slice_time = 300 };
	defrag_stats_t stats;

	start_defragmentation(&config);
	for (; atomic_load(&running); passes++) {
		bool more = true;

		if (passes % 4 == 3) {
			if (trigger_defragmentation() != MEMORY_ERROR_NONE)
				fail("a pass failed", NULL);
		} else {
			for (int i = 0; i < 200 && more; i++)
				if (run_defragmentation_slice(&more) != MEMORY_ERROR_NONE)
					fail("a slice failed", NULL);
		}
		get_defragmentation_statistics(&stats);
		if (stats.merge_addresses > most_merged)
			most_merged = stats.merge_addresses;
#if !defined(__SANITIZE_THREAD__) /* it looks into stacks of threads that run, and sorts out what it finds */
		if (passes % 64 == 63 && validate_memory_blocks() != 0)
			fail("metadata disagree", NULL);
#endif
	}
}

/* Whether the kernel answers page faults for this process, with this feature. */
static bool is_granted(uint64_t feature)
{
	struct uffdio_api api = { .api = UFFD_API, .features = feature };
	int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC), fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	bool granted;

	if (fd < 0 && device >= 0)
		fd = ioctl(device, _IO(0xAA, 0), O_CLOEXEC);
	granted = fd >= 0 && ioctl(fd, UFFDIO_API, &api) == 0;
	if (fd >= 0)
		close(fd);
	if (device >= 0)
		close(device);
	return granted;
}

/* Why this way cannot be had on this machine; NULL: it can, so that a refusal is a fault. */
static const char *not_here(const char *way)
{
	if (forbidden())
		return forbidden();
	if (strcmp(way, "userfaultfd") == 0 && !is_granted(UFFD_FEATURE_PAGEFAULT_FLAG_WP))
		return "the kernel grants no write protection of pages to this process";
	if ((strcmp(way, "auto") == 0 || strcmp(way, "move") == 0) && !is_granted(UINT64_C(1) << 16))
		return "the kernel does not let this process move pages (UFFDIO_MOVE)";
	return NULL;
}

int main(int argc, char **argv)
{
	defrag_stats_t stats;
	pthread_t threads[THREADS];

	operations = (argc > 1 ? strtoull(argv[1], NULL, 10) : 1000) * 1000;
	base_seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	calls = argc < 4 || strcmp(argv[3], "mprotect") != 0;
	if (!getenv("NUMARENA_DEFRAG_CONCURRENT")) { /* read at the start */
		setenv("NUMARENA_DEFRAG_CONCURRENT", argc > 3 ? argv[3] : "auto", 1);
		execv("/proc/self/exe", argv);
		fail("execv", NULL);
	}
	for (int t = 0; t < THREADS; t++)
		pthread_mutex_init(&sets[t].lock, NULL);
	running = THREADS;
	for (intptr_t t = 0; t < THREADS; t++)
		pthread_create(&threads[t], NULL, live, (void *)t);
	pass_on_and_on();
	for (int t = 0; t < THREADS; t++)
		pthread_join(threads[t], NULL);
	get_defragmentation_statistics(&stats);
	for (int t = 0; t < THREADS; t++)
		for (int i = 0; i < BLOCKS; i++)
			if (sets[t].block[i].p) {
				verify(&sets[t].block[i]);
				free(sets[t].block[i].p);
			}
	if (validate_memory_blocks() != 0)
		fail("metadata disagree at the end", NULL);
	stop_defragmentation();
	if (stats.concurrent_refusal[0] && !most_merged) {
		if (!not_here(getenv("NUMARENA_DEFRAG_CONCURRENT")))
			fail(stats.concurrent_refusal, NULL);
		printf("SKIP: %s\n", not_here(getenv("NUMARENA_DEFRAG_CONCURRENT")));
		return 77;
	}
	if (!most_merged && operations >= 1000000)
		fail("no page was merged", NULL);
	printf("%s: %zu KiB shared pages at most, %zu KiB won in %zu passes, %zu units busy\n", stats.concurrent_way,
	       most_merged >> 10, stats.merged_bytes >> 10, passes, stats.concurrent_busy);
	return 0;
}
