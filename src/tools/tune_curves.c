/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/tune_curves.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <numarena/indexed.h>

#include "base/chance.h"
#include "kernels/tune_file.h"
#include "os/chase.h"
#include "os/os.h"
#include "topology/topology.h"

#define ELEMENTS 300000 /* a call goes through: some milliseconds */
#define ROUNDS	 5
#define LIST	 64 /* nodes */
#define TIMES	 4  /* the last-level cache */

struct node {
	struct node *next;
	double value;
	char rest[48];
};

static struct data {
	double *x, *y;
	int32_t *index;
	struct node *nodes;
	void **heads;
	size_t elements, n, lists;
	double sum; /* so that loops are not for nothing */
} data;

/* The loops of numarena/indexed.h at a distance that is given, not tuned. */
#define AT_DISTANCE(k, n, d, address)                                                                                  \
	for (size_t kernel_last_##k = 0, kernel_once_##k = 1; kernel_once_##k; kernel_once_##k = 0)                    \
	KERNEL_BLOCKS_(k, address, n, d, n)

static void work(uint32_t d)
{
	double sum = 0;

	AT_DISTANCE(k, data.n, d, &data.x[data.index[k]])
	sum += sqrt(data.x[data.index[k]]) / (1 + data.x[data.index[k]] * data.x[data.index[k]]);
	data.sum += sum;
}

static void branch(uint32_t d)
{
	double sum = 0;

	AT_DISTANCE(k, data.n, d, &data.x[data.index[k]])
	{
		double x = data.x[data.index[k]];

		if (x < 0.4)
			continue;
		x = 1 / (x * x);
		sum += x * x * x * (x - 0.5);
	}
	data.sum += sum;
}

static void gather(uint32_t d)
{
	AT_DISTANCE(k, data.n, d, &data.x[data.index[k]])
	data.y[k] = data.x[data.index[k]];
}

static void scatter_add(uint32_t d)
{
	AT_DISTANCE(k, data.n, d, &data.x[data.index[k]])
	data.x[data.index[k]] += 1e-9;
}

static inline void *step(void *node, size_t list, void *sum)
{
	struct node *at = node;

	(void)list;
	*(double *)sum += at->value;
	return at->next;
}

static void lists(uint32_t at_once)
{
	double sum = 0;

	kernel_paths_(data.heads, 0, data.lists, at_once, step, &sum);
	data.sum += sum;
}

static const struct {
	const char *name, *label;
	void (*run)(uint32_t);
	bool of_lists;
} loops[NA_CURVES] = {
	{ "work", "gather and a root", work, false },  { "branch", "gather with a branch", branch, false },
	{ "gather", "gather", gather, false },	       { "scatter-add", "scatter-add", scatter_add, false },
	{ "lists", "lists of 64 nodes", lists, true },
};

/* ---- what they go over ---- */

static size_t below(size_t n)
{
	static uint64_t state = 1;

	return (size_t)((unsigned __int128)na_chance_next(&state) * n >> 64);
}

static void link_lists(void)
{
	size_t count = data.lists * LIST;
	uint32_t *order = (uint32_t *)(void *)data.x; /* filled later */

	for (size_t i = 0; i < count; i++)
		order[i] = (uint32_t)i;
	for (size_t i = count - 1; i > 0; i--) {
		size_t other = below(i + 1);
		uint32_t was = order[i];

		order[i] = order[other];
		order[other] = was;
	}
	for (size_t i = 0; i < count; i++) {
		struct node *node = &data.nodes[order[i]];

		node->value = 1;
		node->next = (i + 1) % LIST ? &data.nodes[order[i + 1]] : NULL;
		if (i % LIST == 0)
			data.heads[i / LIST] = node;
	}
}

static int make_data(size_t bytes)
{
	data.elements = bytes / sizeof(double);
	data.n = ELEMENTS;
	data.lists = bytes / sizeof(struct node) / LIST;
	data.x = malloc(bytes);
	data.y = calloc(data.n, sizeof(double));
	data.index = malloc(data.n * sizeof(*data.index));
	data.nodes = aligned_alloc(sizeof(struct node), data.lists * LIST * sizeof(struct node));
	data.heads = malloc(data.lists * sizeof(void *));
	if (!data.x || !data.y || !data.index || !data.nodes || !data.heads)
		return -ENOMEM;
	link_lists();
	for (size_t i = 0; i < data.elements; i++)
		data.x[i] = (double)below(1 << 20) / (1 << 20);
	for (size_t k = 0; k < data.n; k++)
		data.index[k] = (int32_t)below(data.elements);
	if (data.lists > ELEMENTS / LIST)
		data.lists = ELEMENTS / LIST;
	return 0;
}

static void free_data(void)
{
	free(data.x);
	free(data.y);
	free(data.index);
	free(data.nodes);
	free(data.heads);
}

/* ---- measuring ---- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* All points in turn, round after round, so that what disturbs the machine for a while disturbs all of them. */
static void measure(size_t which, struct na_curve *curve)
{
	double took[NA_POINTS][ROUNDS];
	size_t elements = loops[which].of_lists ? data.lists * LIST : data.n;

	curve->name = loops[which].name;
	curve->label = loops[which].label;
	curve->points = 0;
	for (uint32_t d = loops[which].of_lists; curve->points < NA_POINTS && d <= (loops[which].of_lists ? 32u : 512u);
	     d = d ? 2 * d : 1)
		curve->at[curve->points++] = d;
	loops[which].run(curve->at[0]);
	for (int r = 0; r < ROUNDS; r++)
		for (size_t p = 0; p < curve->points; p++) {
			uint64_t from = na_os_now_ns();

			loops[which].run(curve->at[p]);
			took[p][r] = (double)(na_os_now_ns() - from) / (double)elements;
		}
	for (size_t p = 0; p < curve->points; p++) {
		qsort(took[p], ROUNDS, sizeof(double), by_value);
		curve->ns[p] = took[p][ROUNDS / 2];
		curve->spread[p] = (took[p][ROUNDS - 1] - took[p][0]) / took[p][ROUNDS / 2];
	}
}

/* As the topology has it: what libc asks the processor for may be that of all its parts together. */
static size_t last_cache(void)
{
	const struct na_topology *t;
	uint64_t bytes = 0;

	if (na_topology_get(&t) == 0)
		for (uint32_t i = 0; i < t->cache_count; i++)
			bytes = t->caches[i].most > bytes ? t->caches[i].most : bytes;
	return bytes ? (size_t)bytes : (size_t)32 << 20;
}

/* Not more than 1 GiB: machines whose sockets share hundreds of MiB of cache give a core a part of it. */
int na_curves_measure(struct na_curves *out)
{
	size_t most = (size_t)1 << 30;
	bool measured;
	int rc;

	memset(out, 0, sizeof(*out));
	out->cache = last_cache();
	out->bytes = TIMES * out->cache < most ? TIMES * out->cache : most;
	na_chase_measure();
	out->latency_ns = na_chase_latency(&measured);
	na_tune_cpu(out->cpu, sizeof(out->cpu));
	rc = make_data(out->bytes);
	for (size_t i = 0; rc == 0 && i < NA_CURVES; i++)
		measure(i, &out->curve[i]);
	free_data();
	return rc;
}

void na_curves_print(const struct na_curves *curves, FILE *out)
{
	fprintf(out,
		"prefetching on this machine: loops over %zu MiB at random (last-level cache %zu MiB, memory latency "
		"%u ns)\n",
		curves->bytes >> 20, curves->cache >> 20, (unsigned int)curves->latency_ns);
	fprintf(out, "nanoseconds an element, times as fast as the plain loop, spread of %d rounds; * is the best\n",
		ROUNDS);
	for (size_t c = 0; c < NA_CURVES; c++) {
		const struct na_curve *curve = &curves->curve[c];
		size_t best = 0;

		for (size_t p = 0; p < curve->points; p++)
			best = curve->ns[p] < curve->ns[best] ? p : best;
		fprintf(out, "  %s, by %s\n", curve->label, curve->at[0] ? "lists at once" : "elements ahead");
		for (size_t p = 0; p < curve->points; p++)
			fprintf(out, "    %5u %s %8.2f ns %6.2f x  +-%.0f %%\n", (unsigned int)curve->at[p],
				p == best ? "*" : " ", curve->ns[p], curve->ns[0] / curve->ns[p],
				50 * curve->spread[p]);
	}
}
