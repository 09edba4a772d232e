/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Neighbour lists that grow: a particle code keeps a list of neighbours for each particle and rebuilds them every few steps; as
 * matter clusters the lists grow, faster on some ranks than on others, and particles move from one rank to the next with their
 * lists. Lists grow by realloc in steps of a quarter, between rebuilds a large array of forces is allocated and freed, and a
 * hundredth of the particles leaves in each step (its list is freed, a newcomer's allocated at its present size). Matter clusters
 * four times, each time from the beginning.
 */
#include "bench.h"

enum { PARTICLES = 20000, ROUNDS = 4 };

struct list {
	int *ids;
	int length, capacity;
};

static void fill(struct bench_thread *me, struct list *list, int particle, int length)
{
	int i;

	if (length > list->capacity) {
		int capacity = length + length / 4;
		int *ids = realloc(list->ids, (size_t)capacity * sizeof(*ids));

		if (!ids)
			bench_fail("realloc to %d neighbours failed", capacity);
		list->ids = ids;
		list->capacity = capacity;
		me->operations++;
	}
	for (i = 0; i < length; i++)
		list->ids[i] = particle + i;
	list->length = length;
}

static void empty(struct bench_thread *me, struct list *list, int particle)
{
	int i, differ = 0;

	for (i = 0; i < list->length; i++)
		differ |= list->ids[i] ^ (particle + i);
	me->errors += differ != 0;
	me->checksum += (uint64_t)list->length;
	free(list->ids);
	*list = (struct list){ 0 };
}

static double forces(struct bench_thread *me, const struct list *lists, int particles)
{
	double *force = malloc(3 * sizeof(*force) * (size_t)particles), sum = 0;
	int i;

	if (!force)
		bench_fail("no memory for forces");
	me->operations++;
	for (i = 0; i < particles; i++) {
		force[3 * i] = lists[i].ids[lists[i].length - 1];
		force[3 * i + 1] = force[3 * i + 2] = lists[i].ids[0];
	}
	for (i = 0; i < 3 * particles; i++)
		sum += force[i];
	free(force);
	return sum;
}

static void rebuild(struct bench_thread *me, struct list *lists, int particles, int length)
{
	uint64_t bits;
	int i;

	for (i = 0; i < particles; i++) {
		bits = bench_random(me);
		if (bits % 100 == 0)
			empty(me, &lists[i], i);
		fill(me, &lists[i], i, length + (int)((bits >> 32) % 16) + (i % 32 == 0 ? 2 * length : 0));
	}
}

static void work(struct bench_thread *me)
{
	int particles = bench.scale < 0.02 ? PARTICLES / 10 : PARTICLES;
	struct list *lists = calloc((size_t)particles, sizeof(*lists));
	long steps = bench_scaled(80, 4), step, round;
	int i, length;

	if (!lists)
		bench_fail("no memory for lists");
	for (round = 0; round < ROUNDS; round++) {
		for (step = 0; step < steps; step++) {
			/* From 20 neighbours to 60 or more, by rank; a few dense places have three times that. */
			length = 20 + (int)((40 + 10 * (me->rank % 4)) * step / steps);
			rebuild(me, lists, particles, length);
			me->checksum += (uint64_t)forces(me, lists, particles);
		}
		for (i = 0; i < particles; i++)
			empty(me, &lists[i], i);
	}
	free(lists);
}

static const struct bench_pattern pattern = {
	.name = "neighbours",
	.about = "One neighbour list a particle, growing by realloc as matter clusters.",
	.work = work,
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, &pattern);
}
