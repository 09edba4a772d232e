/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Adaptive mesh refinement: an octree whose leaves hold a patch of 4 x 4 x 4 cells with five variables follows a
 * spherical front that moves through the box. In each step leaves at the front are refined (eight children, eight patches) and nodes
 * that it has left are coarsened, so nodes of 96 bytes and patches of 2.5 KiB live and die in spatial order, mixed with others that
 * stay. Each thread has a tree of its own, with a front of its own radius: load is uneven, as it is between ranks.
 */
#include "bench.h"

#include <math.h>

enum { CELLS = 4 * 4 * 4 * 5, DEEPEST = 5 };

struct node {
	struct node *children[8];
	double *patch; /* NULL unless this is a leaf */
	float x, y, z;
	int level;
};

struct front {
	double x, y, z, radius;
};

static struct node *new_node(struct bench_thread *me, double x, double y, double z, int level, double value)
{
	struct node *node = calloc(1, sizeof(*node));
	int i;

	if (!node)
		bench_fail("no memory for a node");
	node->patch = malloc(CELLS * sizeof(double));
	if (!node->patch)
		bench_fail("no memory for a patch");
	me->operations += 2;
	node->x = (float)x;
	node->y = (float)y;
	node->z = (float)z;
	node->level = level;
	for (i = 0; i < CELLS; i++)
		node->patch[i] = value;
	return node;
}

/* Whether the front passes through this node's cube, or close by. */
static int at_front(const struct node *node, const struct front *front)
{
	double half = 0.9 / (1 << node->level);
	double dx = node->x - front->x, dy = node->y - front->y, dz = node->z - front->z;

	return fabs(sqrt(dx * dx + dy * dy + dz * dz) - front->radius) < half;
}

static void refine(struct bench_thread *me, struct node *node)
{
	double step = 0.25 / (1 << node->level);
	int i;

	for (i = 0; i < 8; i++)
		node->children[i] = new_node(me, node->x + (i & 1 ? step : -step), node->y + (i & 2 ? step : -step),
					     node->z + (i & 4 ? step : -step), node->level + 1, node->patch[i]);
	free(node->patch);
	node->patch = NULL;
}

static double destroy(struct node *node)
{
	double value = 0;
	int i;

	if (node->patch)
		value = node->patch[CELLS - 1];
	else
		for (i = 0; i < 8; i++)
			value += destroy(node->children[i]) / 8;
	free(node->patch);
	free(node);
	return value;
}

/* Conserves: a coarse patch holds the mean of its children, so every cell keeps the value that the root began with. */
static void coarsen(struct bench_thread *me, struct node *node)
{
	double value = 0;
	int i;

	for (i = 0; i < 8; i++) {
		value += destroy(node->children[i]) / 8;
		node->children[i] = NULL;
	}
	node->patch = malloc(CELLS * sizeof(double));
	if (!node->patch)
		bench_fail("no memory for a patch");
	me->operations++;
	for (i = 0; i < CELLS; i++)
		node->patch[i] = value;
}

static void adapt(struct bench_thread *me, struct node *node, const struct front *front)
{
	int near = at_front(node, front), i;

	if (node->patch) {
		me->errors += node->patch[0] != 1.0 || node->patch[CELLS - 1] != 1.0;
		me->checksum += (uint64_t)node->level;
		if (!near || node->level == DEEPEST)
			return;
		refine(me, node);
	} else if (!near && node->level > 0) {
		coarsen(me, node);
		return;
	}
	for (i = 0; i < 8; i++)
		adapt(me, node->children[i], front);
}

static void work(struct bench_thread *me)
{
	struct front front = { .radius = 0.30 + 0.02 * (me->rank % 4) };
	long steps = bench_scaled(1200, 4), step;
	struct node *root = new_node(me, 0.5, 0.5, 0.5, 0, 1.0);

	for (step = 0; step < steps; step++) {
		front.x = 0.1 + 0.016 * (double)(step % 50);
		front.y = 0.4 + 0.01 * (double)(me->rank % 16);
		front.z = 0.5;
		adapt(me, root, &front);
	}
	me->errors += destroy(root) != 1.0;
}

static const struct bench_pattern pattern = {
	.name = "octree",
	.about = "An adaptive octree with a patch of cells in each leaf, refined and coarsened along a moving front.",
	.work = work,
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, &pattern);
}
