/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages into and out of blocks whose pages are merged between the steps. Each of two ranks has a pool of small blocks, sparse in every step in another way; a step
 * sends every living block's number and contents to the other, by eager and by large messages, and checks what comes in; then all requests are complete, and
 * a pass is made. No byte may be lost, whatever a transport remembers of the pages. With libnumarena-malloc, so that a transport's own memory is ours as well.
 *
 *	messages [steps]
 *
 * Prints "merged N bytes" or "not merged: REASON", by rank 0. With NUMARENA_DEFRAG_CONCURRENT the blocks are malloc's, and another thread makes one pass after the
 * other all the time, while messages are under way and the library's own threads run.
 */
#include <mpi.h>
#include <numarena/numarena.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCKS 8000

static const size_t sizes[] = { 64, 256, 1024, 2048, 16384 };
static char *blocks[BLOCKS];
static size_t size_of[BLOCKS];
static int rank;
static bool meanwhile;
static _Atomic bool over;
static _Atomic size_t most_meanwhile;

static void fail(const char *what, int i, int step)
{
	fprintf(stderr, "rank %d: %s, block %d, step %d\n", rank, what, i, step);
	MPI_Abort(MPI_COMM_WORLD, 1);
}

static char byte_of(int from, int i, int step, size_t at)
{
	return (char)((uint32_t)from * 101 + (uint32_t)i * 7 + (uint32_t)step * 31 + (uint32_t)at * 13 + 1);
}

static void fill(int from, int i, int step)
{
	for (size_t at = 0; at < size_of[i]; at++)
		blocks[i][at] = byte_of(from, i, step, at);
}

static void check(int from, int i, int step)
{
	for (size_t at = 0; at < size_of[i]; at++)
		if (blocks[i][at] != byte_of(from, i, step, at))
			fail("a byte is wrong", i, step);
}

/* Both ranks have the same blocks: one in eight of those of before, and some new ones. */
static void churn(memory_pool_t *pool, int step)
{
	for (int i = 0; i < BLOCKS; i++) {
		uint32_t r = ((uint32_t)i * 2654435761u) ^ ((uint32_t)step * 40503u);

		r = (r ^ r >> 15) * 2246822519u;
		if (!blocks[i] && step % 3 == 0) {
			size_of[i] = sizes[i % 16 == 0 ? 4 : i % 4];
			blocks[i] = meanwhile ? malloc(size_of[i]) : allocate_from(pool, size_of[i]);
			if (!blocks[i])
				fail("no memory", i, step);
		} else if (blocks[i] && step % 3 && r >> 29) {
			(meanwhile ? free : return_to_pool)(blocks[i]);
			blocks[i] = NULL;
		}
	}
}

/* Every block goes to the other rank and comes back into the same block of ours, from theirs. */
static void exchange(int step)
{
	static MPI_Request requests[2 * BLOCKS];
	static char *out[BLOCKS];
	int n = 0;

	for (int i = 0; i < BLOCKS; i++) {
		if (!blocks[i])
			continue;
		out[i] = malloc(size_of[i]);
		fill(rank, i, step);
		memcpy(out[i], blocks[i], size_of[i]);
		MPI_Irecv(blocks[i], (int)size_of[i], MPI_CHAR, !rank, i, MPI_COMM_WORLD, &requests[n++]);
		MPI_Isend(out[i], (int)size_of[i], MPI_CHAR, !rank, i, MPI_COMM_WORLD, &requests[n++]);
	}
	MPI_Waitall(n, requests, MPI_STATUSES_IGNORE);
	for (int i = 0; i < BLOCKS; i++)
		if (blocks[i]) {
			check(!rank, i, step);
			free(out[i]);
		}
}

/* The same, from the merged blocks themselves. */
static void send_merged(int step)
{
	static char in[16384];

	for (int i = 0; i < BLOCKS; i++) {
		if (!blocks[i])
			continue;
		MPI_Sendrecv(blocks[i], (int)size_of[i], MPI_CHAR, !rank, i, in, sizeof(in), MPI_CHAR, !rank, i, MPI_COMM_WORLD,
			     MPI_STATUS_IGNORE);
		for (size_t at = 0; at < size_of[i]; at++)
			if (in[at] != byte_of(rank, i, step, at)) /* what they hold is what we sent them */
				fail("a byte of a sent block is wrong", i, step);
	}
}

static void *pass_on_and_on(void *unused)
{
	(void)unused;
	while (!atomic_load(&over)) {
		defrag_stats_t stats;

		trigger_defragmentation();
		get_defragmentation_statistics(&stats);
		if (stats.merge_addresses > atomic_load(&most_meanwhile))
			atomic_store(&most_meanwhile, stats.merge_addresses);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t passes;
	int steps = argc > 1 ? atoi(argv[1]) : 9;
	defrag_config_t config = { .strategy = DEFRAG_COORDINATED };
	defrag_stats_t stats;
	size_t most = 0;
	memory_pool_t *pool;

	meanwhile = getenv("NUMARENA_DEFRAG_CONCURRENT") != NULL;
	if (meanwhile)
		config.strategy = DEFRAG_INCREMENTAL; /* no word of ours that nobody writes */
	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	if (create_memory_pool(&(named_pool_config_t){ .name = "messages", .node = MEMORY_NODE_ANY }, &pool) ||
	    start_defragmentation(&config))
		fail("no pool", 0, 0);
	if (meanwhile && pthread_create(&passes, NULL, pass_on_and_on, NULL))
		fail("no thread", 0, 0);
	for (int step = 0; step < steps; step++) {
		churn(pool, step);
		exchange(step);
		MPI_Barrier(MPI_COMM_WORLD);
		if (!meanwhile)
			trigger_defragmentation();
		MPI_Barrier(MPI_COMM_WORLD);
		for (int i = 0; i < BLOCKS; i++)
			if (blocks[i])
				check(!rank, i, step);
		send_merged(step);
		get_defragmentation_statistics(&stats);
		if (stats.merge_addresses > most)
			most = stats.merge_addresses;
	}
	if (meanwhile) {
		atomic_store(&over, true);
		pthread_join(passes, NULL);
		most = atomic_load(&most_meanwhile);
		memcpy(stats.merge_refusal, stats.concurrent_refusal, sizeof(stats.merge_refusal) - 1);
		stats.merge_refusal[sizeof(stats.merge_refusal) - 1] = '\0';
	}
	if (validate_memory_blocks())
		fail("metadata disagree", 0, steps);
	if (rank == 0 && stats.merge_refusal[0])
		printf("not merged: %s\n", stats.merge_refusal);
	else if (rank == 0)
		printf("merged %zu bytes\n", most);
	MPI_Finalize();
	return 0;
}
