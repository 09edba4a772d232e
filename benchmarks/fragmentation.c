/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A long run whose size mix shifts: phases of a simulation, or the months of a service. The live bytes stay at 32 MiB (divided by
 * the threads), but from phase to phase the typical size moves between 48 bytes and 6 KiB, and a tenth of each
 * phase's blocks stays for ever. What is left of the old sizes' memory cannot be used for the new one: peak physical
 * memory over 32 MiB is this benchmark's result, time comes second.
 */
#include "bench.h"

enum { PHASES = 8, SLOTS = 1 << 20 };

struct live {
	void **blocks;
	size_t count, kept, bytes;
};

static size_t phase_size(struct bench_thread *me, int phase)
{
	static const size_t typical[PHASES] = { 48, 400, 120, 3000, 64, 1500, 6000, 200 };
	size_t size = typical[phase];

	/* Between half the typical size and one and a half of it. */
	return (size / 2 + bench_below(me, size)) | 16;
}

static void drop(struct bench_thread *me, struct live *live)
{
	size_t i = live->kept + bench_below(me, live->count - live->kept);

	live->bytes -= bench_size(live->blocks[i]);
	bench_give(me, live->blocks[i]);
	live->blocks[i] = live->blocks[--live->count];
}

static void work(struct bench_thread *me)
{
	/* Half the work and less of it lives on less memory, not on fewer phases: the shifts are what is measured. */
	double share = bench.scale < 0.5 ? bench.scale * 2 : 1;
	size_t budget = (size_t)((double)((size_t)32 << 20) * share) / (size_t)bench.threads;
	struct live live = { .blocks = malloc(SLOTS * sizeof(void *)) };
	long turnover = bench_scaled(2, 1);
	size_t turned, size;
	int phase;

	if (!live.blocks)
		bench_fail("no memory for the table");
	if (budget < 65536)
		budget = 65536;
	for (phase = 0; phase < PHASES; phase++) {
		for (turned = 0; turned < budget * (size_t)turnover;) {
			size = phase_size(me, phase);
			while (live.bytes + size > budget)
				drop(me, &live);
			live.blocks[live.count++] = bench_take(me, size);
			live.bytes += size;
			turned += size;
		}
		/* The first of the droppable ones stay for ever; they are in random order. */
		live.kept += (live.count - live.kept) / 10;
	}
	while (live.count)
		bench_give(me, live.blocks[--live.count]);
	free(live.blocks);
}

static const struct bench_pattern pattern = {
	.name = "fragmentation",
	.about = "Live bytes stay at 32 MiB while the typical size shifts from phase to phase.",
	.work = work,
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, &pattern);
}
