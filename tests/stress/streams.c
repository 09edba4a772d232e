/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Open streams and fork, in the concurrent mode. A child of fork resets the locks of all open streams, before any handler runs: were one on a merged page, the parent's would
 * be reset, under the thread that holds it. Here a hundred streams of each kind lie among blocks of their size, sparsely; three threads lock them and look whether they are alone
 * with it, and whether what they have by a key is still there; pages are merged, and the program forks all the time. Other blocks hold what was written, in the parent and in each child.
 *
 *	streams [forks [seed]]
 */
#include <malloc.h>
#include <numarena/numarena.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHADOW_NAME "streams"
#include "shadow.h"

#define STREAMS 300
#define AMONG	16 /* blocks of a stream's size between two */
#define BLOCKS	20000

static struct stream {
	FILE *file;
	char *text;
	size_t size;
	_Atomic int inside;
} streams[STREAMS];
static struct block blocks[BLOCKS];
static _Atomic bool over;
static _Atomic uint64_t entered;

static FILE *open_one(int i)
{
	cookie_io_functions_t none = { 0 };

	if (i % 3 == 0)
		return fopen("/dev/null", "w");
	if (i % 3 == 1)
		return open_memstream(&streams[i].text, &streams[i].size);
	return fopencookie(NULL, "w", none);
}

/* Among blocks of the same size most of which go again: so their class would be worth merging. */
static void open_all(void)
{
	static void *among[STREAMS * AMONG];

	for (int i = 0; i < STREAMS; i++) {
		streams[i].file = open_one(i);
		if (!streams[i].file)
			fail("no stream", NULL);
		for (int k = 0; k < AMONG; k++)
			among[i * AMONG + k] = malloc(malloc_usable_size(streams[i].file));
	}
	for (int i = 0; i < STREAMS * AMONG; i++)
		free(among[i]);
}

static void make_blocks(void)
{
	uint64_t state = base_seed;

	for (int i = 0; i < BLOCKS; i++) {
		blocks[i].words = 16 + (uint32_t)size_of(&state) % 32;
		blocks[i].p = malloc(blocks[i].words * 8);
		if (!blocks[i].p)
			fail("no memory", NULL);
	}
	for (int i = 0; i < BLOCKS; i++) {
		if (next(&state) % 10) {
			free(blocks[i].p);
			blocks[i].p = NULL;
		} else {
			fill(&blocks[i], (uint64_t)i + base_seed);
		}
	}
}

static void verify_all(void)
{
	for (int i = 0; i < BLOCKS; i++)
		if (blocks[i].p)
			verify(&blocks[i]);
}

/* Keys from 32 on are in a block of 512 bytes, of the thread that sets the first of them; here among others most of which go again. (With glibc 2.36 a stream of
 * open_memstream() is of that class too, so either would leave it out.) */
#define KEYS 36

static pthread_key_t keys[KEYS];

static void set_key(void *value)
{
	static __thread void *among[AMONG * 16];

	for (int i = 0; i < AMONG * 16; i++) {
		among[i] = malloc(512);
		if (i == AMONG * 8 && pthread_setspecific(keys[KEYS - 1], value))
			fail("pthread_setspecific", NULL);
	}
	for (int i = 0; i < AMONG * 16; i++)
		if (i % 16 != 3)
			free(among[i]);
}

static void *use(void *argument)
{
	uint64_t state = (uint64_t)(uintptr_t)argument;

	set_key(argument);

	while (!atomic_load(&over)) {
		struct stream *s = &streams[atomic_load(&entered) / 32 % STREAMS]; /* threads meet, at each in turn */

		if (pthread_getspecific(keys[KEYS - 1]) != argument)
			fail("what a thread has by a key is gone", NULL);
		flockfile(s->file);
		if (atomic_fetch_add(&s->inside, 1) != 0)
			fail("two threads hold the lock of one stream", s->file);
		putc_unlocked('x', s->file);
		for (uint64_t i = next(&state) % 8; i; i--)
			sched_yield();
		atomic_fetch_sub(&s->inside, 1);
		funlockfile(s->file);
		atomic_fetch_add(&entered, 1);
	}
	return NULL;
}

static void fork_once(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		fail("fork", NULL);
	if (pid == 0) {
		verify_all();
		for (int i = 0; i < BLOCKS; i++)
			if (blocks[i].p)
				fill(&blocks[i], 7);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		fail("a child ended badly", NULL);
	verify_all();
}

int main(int argc, char **argv)
{
	int forks = argc > 1 ? atoi(argv[1]) : 60;
	defrag_stats_t stats;
	pthread_t threads[3];

	base_seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	if (!getenv("NUMARENA_DEFRAG_CONCURRENT")) { /* read at the start */
		setenv("NUMARENA_DEFRAG_CONCURRENT", "auto", 1);
		execv("/proc/self/exe", argv);
		fail("execv", NULL);
	}
	for (int i = 0; i < KEYS; i++)
		if (pthread_key_create(&keys[i], NULL))
			fail("pthread_key_create", NULL);
	alarm(120); /* a lock that was reset may never be free again */
	open_all();
	make_blocks();
	free_unused_memory();
	start_defragmentation(NULL);
	for (intptr_t t = 0; t < 3; t++)
		if (pthread_create(&threads[t], NULL, use, (void *)(t + 1)))
			fail("pthread_create", NULL);
	for (int i = 0; i < forks; i++) {
		if (i % 10 == 0)
			trigger_defragmentation();
		fork_once();
	}
	atomic_store(&over, true);
	for (int t = 0; t < 3; t++)
		pthread_join(threads[t], NULL);
	get_defragmentation_statistics(&stats);
	if (!stats.merge_addresses && (forbidden() || stats.concurrent_refusal[0])) {
		printf("SKIP: %s\n", forbidden() ? forbidden() : stats.concurrent_refusal);
		return 77;
	}
	if (!stats.merge_addresses)
		fail("no page was merged", NULL);
	printf("%zu KiB of addresses merged, %d forks, %llu times in a stream\n", stats.merge_addresses >> 10, forks, (unsigned long long)atomic_load(&entered));
	return 0;
}
