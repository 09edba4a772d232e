/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A workload that shifts, as adaptive refinement and load balancing make it: half an hour of it in some seconds. Patches are refined and coarsened
 * as a front moves through the domain: what lives grows to PEAK at two fifths of the time and falls to an eighth of that, in waves; every
 * 20th step a tenth of all patches goes to other processes and others come instead; their sizes shift from phase to phase of the eight,
 * from 128 bytes to 32 KiB; one block in twenty is of the coarse level and lives to the end. Each step works on what is hot: a block in four, read and written.
 *
 *	shift WAY [STEPS [PEAK [SEED]]]		(200 steps, 96 MiB, seed 1)
 *
 *	raw		malloc and free, of whichever allocator is preloaded
 *	concurrent	the same of numarena, with NUMARENA_DEFRAG_CONCURRENT: four passes of defragmentation on the way merge their pages
 *	movable		numarena's movable blocks, pinned while they are worked on
 *	defragment	the same, with up to 20 slices of defragmentation (200 us) after each step
 *	compress	the same, and what is cold is kept compressed
 *
 * All blocks carry their number and are looked at whenever they are worked on and when they end. Physical memory is Pss less what it was before; time is the
 * processor's, of all threads. JSON on the last line: a sample for each fiftieth of the time.
 */
#include <dlfcn.h>
#include <math.h>
#include <numarena/numarena.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "physical.h"

#define SAMPLES 50
#define PHASES	8
#define PASSES	4 /* of merging, in all: each is 0.1 s, where all takes one */
#define SLICES	20		  /* after a step, at most: one takes 4 seconds where it is not compressed in time */
#define MOST	(1 << 20) /* blocks */

struct block {
	memory_handle_t handle;
	double *at;
	uint32_t size, number;
	uint16_t step; /* in which it was made */
	bool lasting;
};

static struct block *blocks;
static size_t count, live, operations, lost;
static bool movable;
static uint64_t random_state;
static double series[SAMPLES + 1][2];

static uint64_t next(void)
{
	uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static double processor(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double *hold(const struct block *b)
{
	double *p = movable ? pin_memory(b->handle) : b->at;

	if (!p) {
		fprintf(stderr, "shift: block %u is lost: %s\n", b->number, last_memory_error_message());
		exit(1);
	}
	lost += ((uint32_t *)p)[0] != b->number || ((uint32_t *)p)[1] != b->size;
	return p;
}

static void let_go(const struct block *b)
{
	if (movable)
		unpin_memory(b->handle);
}

/* Sizes centre on one that doubles and halves from phase to phase, and spread by a factor of four. */
static uint32_t size_now(int step, int steps)
{
	int phase = step * PHASES / steps;
	uint32_t centre = 256U << (phase * 3 % 7);
	uint32_t size = (centre / 2 + (uint32_t)(next() % (centre * 3 / 2))) & ~7U;

	return size < 128 ? 128 : size > 32768 ? 32768 : size;
}

/* A field as a solver leaves it: smooth, of single precision. */
static void make(int step, int steps)
{
	static uint32_t number;
	struct block *b = &blocks[count];
	double *p;

	if (count == MOST)
		return;
	*b = (struct block){ .size = size_now(step, steps), .number = ++number, .step = (uint16_t)step, .lasting = next() % 20 == 0 };
	if (movable)
		b->handle = allocate_movable(b->size);
	else
		b->at = malloc(b->size);
	p = movable ? pin_memory(b->handle) : b->at;
	if (!p) {
		fprintf(stderr, "shift: no memory\n");
		exit(1);
	}
	for (uint32_t i = 1; i < b->size / 8; i++)
		p[i] = (double)(float)(300 + 0.01 * i + b->number % 100);
	((uint32_t *)p)[0] = b->number;
	((uint32_t *)p)[1] = b->size;
	let_go(b);
	count++;
	live += b->size;
	operations++;
}

static void end(size_t i)
{
	struct block *b = &blocks[i];

	hold(b);
	let_go(b);
	if (movable)
		release_movable(b->handle);
	else
		free(b->at);
	live -= b->size;
	operations++;
	*b = blocks[--count];
}

static void end_some(size_t goal)
{
	for (size_t tries = 0; live > goal && tries < 2 * count; tries++) {
		size_t i = next() % count;

		if (!blocks[i].lasting)
			end(i);
	}
}

/* What is hot: the front's, a block in four. */
static void work(int step)
{
	for (size_t i = 0; i < count; i++) {
		struct block *b = &blocks[i];
		double *p;

		if (b->number % 4 != (uint32_t)step % 4 || (b->lasting && step - b->step > 20))
			continue;
		p = hold(b);
		for (uint32_t k = 1; k < b->size / 8; k++)
			p[k] += 1;
		let_go(b);
		operations++;
	}
}

static void run_step(int step, int steps, size_t peak)
{
	double t = (double)step / steps, goal = t < 0.4 ? t / 0.4 : 1 - (t - 0.4) / 0.6 * 0.875;

	goal *= (double)peak * (0.9 + 0.1 * sin(t * 40));
	end_some(live - live / (step % 20 == 19 ? 10 : 100)); /* coarsened, or sent away */
	end_some((size_t)goal);
	while ((double)live < goal && count < MOST)
		make(step, steps);
	work(step);
}

static void start(const char *way)
{
	compression_config_t compression = { .algorithm = COMPRESSION_LZ4, .level = COMPRESSION_BALANCED, .min_size = 1024, .cold_after = 300 };
	defrag_config_t defragmentation = { .threshold = 0.4 };

	if (strcmp(way, "raw") == 0)
		return;
	movable = strcmp(way, "concurrent") != 0;
	if (strcmp(way, "movable") && start_defragmentation(&defragmentation))
		exit(1);
	if (strcmp(way, "compress") == 0 && initialize_memory_compression(&compression)) {
		fprintf(stderr, "shift: %s\n", last_memory_error_message());
		exit(77);
	}
}

int main(int argc, char **argv)
{
	const char *way = argc > 1 ? argv[1] : "";
	int steps = argc > 2 ? atoi(argv[2]) : 200, sample = 0, passes = 0;
	Dl_info from;
	size_t peak = (argc > 3 ? strtoul(argv[3], NULL, 0) : 96) << 20;
	bool slices = strcmp(way, "defragment") == 0 || strcmp(way, "compress") == 0, concurrent = strcmp(way, "concurrent") == 0;
	double before, began, took, most = 0;
	movable_stats_t moved;

	if ((!slices && !concurrent && strcmp(way, "raw") && strcmp(way, "movable")) || steps < SAMPLES || steps > 60000 || !peak) {
		fprintf(stderr, "usage: shift raw|concurrent|movable|defragment|compress [STEPS (50 to 60000) [PEAK in MiB [SEED]]]\n");
		return 2;
	}
	random_state = argc > 4 ? strtoull(argv[4], NULL, 0) : 1;
	blocks = calloc(MOST, sizeof(*blocks));
	memset(blocks, 1, MOST * sizeof(*blocks));
	start(way);
	before = (double)physical();
	began = processor();
	for (int step = 0; step < steps; step++) {
		bool more = true;

		run_step(step, steps, peak);
		for (int n = 0; slices && more && n < SLICES; n++)
			run_defragmentation_slice(&more);
		if (concurrent && (step + 1) * PASSES / steps > passes) {
			passes++;
			trigger_defragmentation();
		}
		if ((step + 1) * SAMPLES / steps > sample) {
			double now = processor(); /* looking costs time that is not the workload's */

			sample = (step + 1) * SAMPLES / steps;
			series[sample][0] = (double)physical() - before;
			series[sample][1] = (double)live;
			most = series[sample][0] > most ? series[sample][0] : most;
			began += processor() - now;
		}
	}
	took = processor() - began;
	if (concurrent) {
		defrag_stats_t stats;

		get_defragmentation_statistics(&stats);
		if (!stats.merge_addresses) {
			fprintf(stderr, "shift: nothing is merged: %s\n", stats.concurrent_refusal);
			return 77;
		}
	}
	if (lost)
		fprintf(stderr, "shift: %zu blocks are not what was written\n", lost);
	if (!dladdr(dlsym(RTLD_DEFAULT, "malloc"), &from)) {
		fprintf(stderr, "shift: cannot tell where malloc comes from\n");
		return 1;
	}
	get_movable_statistics(&moved);
	printf("{\"way\":\"%s\",\"malloc\":\"%s\",\"steps\":%d,\"operations\":%zu,\"seconds\":%.4f,\"lost\":%zu,\"blocks\":%zu,\"live\":%zu,\"end\":%.0f,\"peak\":%.0f,\"moves\":%zu,\"moved\":%zu,\"moving\":%.4f,\"series\":[",
	       way, from.dli_fname, steps, operations, took, lost, count, live, series[SAMPLES][0], most, moved.moves, moved.moved_bytes,
	       (double)moved.move_time / 1e6);
	for (int i = 0; i <= SAMPLES; i++)
		printf("%s[%.0f,%.0f]", i ? "," : "", series[i][0], series[i][1]);
	printf("]}\n");
	return lost != 0;
}
