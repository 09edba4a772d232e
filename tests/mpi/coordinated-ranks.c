/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Defragmentation that ranks agree on. Arguments choose what is done:
 *   count N       N of each collective on communicators of all ranks and of others: the report says how many were counted
 *   windows       scattered movable blocks on all ranks come together in windows of the program's collectives
 *   waiting       the same on rank 0 alone, which comes early to each, with no time for windows
 *   call          coordinate_defragmentation(): results, errors, the same everywhere
 *   stopped       rank 0 calls stop_defragmentation(): it takes no part, the others do
 *   threads       two threads with a communicator each, under MPI_THREAD_MULTIPLE
 *   limit MODE    ranks need much memory in turns, and leave it scattered; MODE is coordinated or not. With a limit on the node's memory that
 *                 holds one of them at a time they end well only if the others have given back what they can
 *   pending       MPI_Finalize right after an offer was made
 *   abort         a rank calls MPI_Abort while an offer is under way
 * Prints "coordinated: ok" on rank 0.
 */
#include <errno.h>
#include <numarena/mpi.h>
#include <numarena/numarena.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"

#define BLOCKS 24000
#define BYTES  1024
#define PATIENCE 60 /* seconds: not a measurement, but when to give up */

static int rank, size;
static memory_handle_t handles[BLOCKS];

static void scatter(void)
{
	for (int i = 0; i < BLOCKS; i++) {
		char *p;

		handles[i] = allocate_movable(BYTES);
		p = pin_memory(handles[i]);
		CHECK(p);
		memset(p, i % 251, BYTES);
		unpin_memory(handles[i]);
	}
	for (int i = 0; i < BLOCKS; i++)
		if (i % 8) {
			release_movable(handles[i]);
			handles[i] = 0;
		}
}

static void check_contents(void)
{
	for (int i = 0; i < BLOCKS; i += 8) {
		const char *p = pin_memory(handles[i]);

		for (int b = 0; b < BYTES; b += 127)
			CHECK((unsigned char)p[b] == i % 251);
		unpin_memory(handles[i]);
		release_movable(handles[i]);
	}
}

static defrag_stats_t stats(void)
{
	defrag_stats_t s;

	CHECK(get_defragmentation_statistics(&s) == MEMORY_ERROR_NONE);
	return s;
}

static int sum(int mine)
{
	int all;

	MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
	return all;
}

static void sleep_us(long us)
{
	struct timespec t = { us / 1000000, us % 1000000 * 1000 };

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

/* Only what is left by no rank before all have entered it counts, and only if all ranks are in it. */
static void count(int n)
{
	int *in = calloc((size_t)size, sizeof(int)), *out = calloc((size_t)size, sizeof(int)), one = 1, got;
	MPI_Comm again, turned, half;
	MPI_Request request;

	MPI_Comm_dup(MPI_COMM_WORLD, &again);
	MPI_Comm_split(MPI_COMM_WORLD, 0, -rank, &turned); /* all of them, in another order */
	MPI_Comm_split(MPI_COMM_WORLD, rank % 2, rank, &half);
	for (int i = 0; i < n; i++) {
		MPI_Barrier(MPI_COMM_WORLD);                                              /* counts */
		MPI_Allreduce(&one, &got, 1, MPI_INT, MPI_SUM, again);                    /* counts */
		MPI_Allgather(&one, 1, MPI_INT, out, 1, MPI_INT, turned);                 /* counts */
		PMPI_Alltoall(in, 1, MPI_INT, out, 1, MPI_INT, MPI_COMM_WORLD);           /* counts */
		MPI_Reduce_scatter_block(in, out, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);   /* counts */
		MPI_Bcast(&one, 1, MPI_INT, 0, MPI_COMM_WORLD);
		MPI_Reduce(&one, &got, 1, MPI_INT, MPI_SUM, 0, MPI_COMM_WORLD);
		MPI_Ibarrier(MPI_COMM_WORLD, &request);
		MPI_Wait(&request, MPI_STATUS_IGNORE);
		for (int k = 0; size > 1 && k <= rank % 2; k++) /* one half does more of them */
			MPI_Barrier(half);
		if (size > 1)
			MPI_Barrier(MPI_COMM_SELF);
	}
	for (int i = 0; i < 50; i++) { /* handles come again with other members */
		MPI_Comm c;

		MPI_Comm_split(MPI_COMM_WORLD, i % 2 ? 0 : rank % 2, rank, &c);
		MPI_Barrier(c);
		MPI_Comm_free(&c);
	}
	MPI_Comm_free(&again);
	MPI_Comm_free(&turned);
	MPI_Comm_free(&half);
	free(in);
	free(out);
}

static void until_packed(bool all)
{
	time_t end = time(NULL) + PATIENCE;
	int wanted = all ? size : 1;

	while (sum(stats().won_bytes >= (size_t)8 << 20) < wanted) {
		CHECK(time(NULL) < end);
		sleep_us(300);
	}
}

static void windows(void)
{
	scatter();
	until_packed(true);
	check_contents();
}

static void waiting(void)
{
	time_t end = time(NULL) + PATIENCE;

	if (rank == 0)
		scatter();
	while (sum(rank == 0 && stats().won_bytes >= (size_t)8 << 20) == 0) {
		CHECK(time(NULL) < end);
		if (rank)
			sleep_us(5000);
	}
	if (rank == 0)
		check_contents();
}

static void call(void)
{
	coordination_config_t config = { .window_time = 200000 };
	coordination_result_t r, first;
	defrag_config_t threshold = { .threshold = 0.2, .strategy = DEFRAG_COORDINATED };
	MPI_Comm half;

	CHECK(start_defragmentation(&threshold) == MEMORY_ERROR_NONE);
	scatter();
	CHECK(stats().passes == 0); /* none by itself */
	CHECK(coordinate_defragmentation(MPI_COMM_WORLD, &config, &r) == MEMORY_ERROR_NONE);
	CHECK(r.window_time == 200000 && r.ranks == size && r.won_bytes > 0 && r.time > 0);
	first = r;
	MPI_Bcast(&first, sizeof(first), MPI_BYTE, 0, MPI_COMM_WORLD);
	CHECK(memcmp(&first, &r, sizeof(r)) == 0);
	for (int i = 0; i < 1000 && r.window_time; i++) /* until there is nothing to win */
		CHECK(coordinate_defragmentation(MPI_COMM_WORLD, &config, &r) == MEMORY_ERROR_NONE);
	CHECK(r.window_time == 0 && r.ranks == 0 && r.won_bytes == 0 && r.time == 0 && !r.more);
	CHECK(stats().won_bytes >= (size_t)8 << 20);
	check_contents();
	scatter();
	config.quiescent = true;
	config.ranks_at_once = 1;
	MPI_Comm_split(MPI_COMM_WORLD, rank % 2, rank, &half);
	CHECK(coordinate_defragmentation(half, &config, &r) == MEMORY_ERROR_NONE);
	CHECK(r.ranks == (size + 1 - rank % 2) / 2 && r.won_bytes > (size_t)r.ranks << 23 && !r.more);
	CHECK(coordinate_defragmentation(half, &config, NULL) == MEMORY_ERROR_NONE);
	MPI_Comm_free(&half);
	check_contents();
	config = (coordination_config_t){ .time_share = rank == size - 1 ? 0.7 : 0.1 };
	CHECK(coordinate_defragmentation(MPI_COMM_WORLD, &config, &r) == MEMORY_ERROR_INVALID_ARGUMENT);
	CHECK(strstr(last_memory_error_message(), rank == size - 1 ? "time_share is 700 thousandths" : "another rank"));
	config = (coordination_config_t){ .window_time = rank == size - 1 ? 10000001 : 0 };
	CHECK(coordinate_defragmentation(MPI_COMM_WORLD, &config, &r) == MEMORY_ERROR_INVALID_ARGUMENT);
	config = (coordination_config_t){ .window_time = 100 + (unsigned int)rank };
	CHECK(coordinate_defragmentation(MPI_COMM_WORLD, &config, &r) ==
	      (size > 1 ? MEMORY_ERROR_INVALID_ARGUMENT : MEMORY_ERROR_NONE));
}

static void stopped(void)
{
	time_t end = time(NULL) + PATIENCE;

	scatter();
	if (rank == 0)
		CHECK(stop_defragmentation() == MEMORY_ERROR_NONE);
	while (sum(rank && stats().won_bytes >= (size_t)8 << 20) < size - 1) {
		CHECK(time(NULL) < end);
		sleep_us(300);
	}
	CHECK(rank || stats().moved_blocks == 0);
	check_contents();
}

static void *collectives(void *comm)
{
	int one = 1, all;

	for (int i = 0; i < 3000; i++) {
		MPI_Allreduce(&one, &all, 1, MPI_INT, MPI_SUM, *(MPI_Comm *)comm);
		CHECK(all == size);
	}
	return NULL;
}

static void threads(void)
{
	MPI_Comm comms[2];
	pthread_t other;

	scatter();
	MPI_Comm_dup(MPI_COMM_WORLD, &comms[0]);
	MPI_Comm_dup(MPI_COMM_WORLD, &comms[1]);
	CHECK(pthread_create(&other, NULL, collectives, &comms[1]) == 0);
	collectives(&comms[0]);
	pthread_join(other, NULL);
	MPI_Comm_free(&comms[0]);
	MPI_Comm_free(&comms[1]);
	check_contents();
}

#define TURN_BLOCKS 4096
#define TURN_BYTES  16384

/* 64 MiB in a turn, of which an eighth stays. */
static int take_turn(memory_handle_t *kept)
{
	for (int i = 0; i < TURN_BLOCKS; i++) {
		char *p;

		kept[i] = allocate_movable(TURN_BYTES);
		if (!kept[i])
			return -1;
		p = pin_memory(kept[i]);
		memset(p, rank + 1, TURN_BYTES);
		unpin_memory(kept[i]);
	}
	for (int i = 0; i < TURN_BLOCKS; i++)
		if (i % 8)
			release_movable(kept[i]);
	return 0;
}

static void limit(bool coordinated)
{
	/* The same for both but who says when: by itself, a thread that allocates makes slices. */
	defrag_config_t config = { .threshold = 0.2, .strategy = coordinated ? DEFRAG_COORDINATED : DEFRAG_INCREMENTAL };
	static memory_handle_t kept[TURN_BLOCKS];
	time_t end = time(NULL) + PATIENCE;

	CHECK(start_defragmentation(&config) == MEMORY_ERROR_NONE);
	for (int turn = 0; turn < size; turn++) {
		if (turn == rank)
			CHECK(take_turn(kept) == 0);
		for (int i = 0; i < 100 || (coordinated && sum(stats().winnable_bytes > (size_t)8 << 20)); i++) {
			MPI_Barrier(MPI_COMM_WORLD); /* time steps */
			sleep_us(200);
			CHECK(time(NULL) < end);
		}
	}
	for (int i = 0; i < TURN_BLOCKS; i += 8) {
		const char *p = pin_memory(kept[i]);

		CHECK(p[0] == rank + 1 && p[TURN_BYTES - 1] == rank + 1);
		unpin_memory(kept[i]);
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int provided, status = 0;

	CHECK(coordinate_defragmentation(0, NULL, NULL) == MEMORY_ERROR_INVALID_ARGUMENT); /* before MPI_Init */
	MPI_Init_thread(&argc, &argv, strcmp(what, "threads") ? MPI_THREAD_FUNNELED : MPI_THREAD_MULTIPLE, &provided);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &size);
	if (!strcmp(what, "count"))
		count(atoi(argv[2]));
	else if (!strcmp(what, "windows"))
		windows();
	else if (!strcmp(what, "waiting"))
		waiting();
	else if (!strcmp(what, "call"))
		call();
	else if (!strcmp(what, "stopped"))
		stopped();
	else if (!strcmp(what, "threads") && provided != MPI_THREAD_MULTIPLE)
		status = 77;
	else if (!strcmp(what, "threads"))
		threads();
	else if (!strcmp(what, "limit"))
		limit(!strcmp(argv[2], "coordinated"));
	else if (!strcmp(what, "pending"))
		for (int i = 0; i < atoi(argv[2]); i++)
			MPI_Barrier(MPI_COMM_WORLD);
	else if (!strcmp(what, "abort")) {
		for (int i = 0; i < 18; i++) /* an offer is under way */
			MPI_Barrier(MPI_COMM_WORLD);
		if (rank == size - 1)
			MPI_Abort(MPI_COMM_WORLD, 9);
		MPI_Barrier(MPI_COMM_WORLD);
	} else {
		CHECK(!"an argument that is known");
	}
	MPI_Finalize();
	if (rank == 0)
		puts("coordinated: ok");
	return status;
}
