/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What it is worth to lay blocks out in the order in which they are walked. Three structures whose nodes were allocated in another order
 * than they are walked in, as they are after some hours of insertions:
 *
 *	list		a linked list; each node has the handle of the next
 *	octree		eight children a node, walked depth first
 *	particles	blocks of one particle each, visited along a Morton curve through space
 *
 * Walked by handles: scattered, after compact_in_order() that leaves the handles as they are, and after one that renews them too; and the same
 * structure of malloc's blocks and pointers, scattered, as what a program without movable blocks has.
 *
 *	order STRUCTURE [NODES [BYTES [ROUNDS]]]	(4000000 nodes of 64 bytes, 3 rounds)
 *
 * Nanoseconds a node, the best of the rounds (the first touches; others of this machine disturb), and the time of compacting. JSON on the last
 * line. A sum over all nodes must come out the same each time.
 */
#include <numarena/numarena.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct node {
	uint64_t value;
	memory_handle_t next[]; /* one, or eight, or none */
};

struct plain {
	uint64_t value;
	struct plain *next[];
};

static size_t count = 4000000, bytes = 64;
static int rounds = 3, fan;
static memory_handle_t root, *sorted; /* of particles: in the curve's order */
static struct plain *plain_root, **plain_sorted;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static uint64_t random_word(void)
{
	static uint64_t state = 42;
	uint64_t z = (state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void *need(void *p)
{
	if (!p) {
		fprintf(stderr, "order: no memory: %s\n", last_memory_error_message());
		exit(1);
	}
	return p;
}

/* Which block, in the order of allocation, is the ith of the walk. */
static uint32_t *shuffled(void)
{
	uint32_t *at = need(malloc(count * sizeof(*at)));

	for (size_t i = 0; i < count; i++)
		at[i] = (uint32_t)i;
	for (size_t i = count; i > 1; i--) {
		size_t j = random_word() % i;
		uint32_t swap = at[i - 1];

		at[i - 1] = at[j];
		at[j] = swap;
	}
	return at;
}

/* ---- the structures; node i of the walk, its links to nodes that come later ---- */

/* Depth first: node i's children are the roots of equal parts of what is below it. */
static size_t link_of(size_t i, size_t below, int k)
{
	return i + 1 + (below + (size_t)fan - 1) / (size_t)fan * (size_t)k;
}

static void link_tree(memory_handle_t *handle, struct plain **block, size_t i, size_t below)
{
	size_t part = fan ? (below + (size_t)fan - 1) / (size_t)fan : 0;
	struct node *n = need(pin_memory(handle[i]));

	n->value = block[i]->value = i;
	for (int k = 0; k < fan; k++) {
		size_t child = link_of(i, below, k), rest = part * (size_t)k < below ? below - part * (size_t)k : 0;
		size_t size = rest < part ? rest : part;

		n->next[k] = size ? handle[child] : 0;
		block[i]->next[k] = size ? block[child] : NULL;
		if (size && fan > 1)
			link_tree(handle, block, child, size - 1);
	}
	unpin_memory(handle[i]);
}

static void build(const char *structure)
{
	memory_handle_t *handle = need(malloc(count * sizeof(*handle)));
	struct plain **block = need(malloc(count * sizeof(*block)));
	uint32_t *at = shuffled();

	for (size_t i = 0; i < count; i++) {
		handle[at[i]] = allocate_movable(bytes);
		block[at[i]] = need(calloc(1, bytes));
		memset(need(pin_memory(handle[at[i]])), 0, bytes);
		unpin_memory(handle[at[i]]);
	}
	if (fan == 1)
		for (size_t i = 0; i < count; i++)
			link_tree(handle, block, i, count - 1 - i);
	else if (fan)
		link_tree(handle, block, 0, count - 1);
	else
		for (size_t i = 0; i < count; i++)
			link_tree(handle, block, i, 0);
	root = handle[0];
	plain_root = block[0];
	free(at);
	if (strcmp(structure, "particles") == 0) {
		sorted = handle;
		plain_sorted = block;
	} else {
		free(handle);
		free(block);
	}
}

/* ---- walks ---- */

static uint64_t walk_list(void)
{
	uint64_t sum = 0, i = 0;

	for (memory_handle_t h = root; h;) {
		struct node *n = pin_memory(h);
		memory_handle_t next = n->next[0];

		sum += n->value * ++i;
		unpin_memory(h);
		h = next;
	}
	return sum;
}

static uint64_t walk_tree(memory_handle_t h, uint64_t *i)
{
	struct node *n = pin_memory(h);
	uint64_t sum = n->value * ++*i;

	for (int k = 0; k < 8 && n->next[k]; k++)
		sum += walk_tree(n->next[k], i);
	unpin_memory(h);
	return sum;
}

static uint64_t walk_particles(void)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++) {
		struct node *n = pin_memory(sorted[i]);

		sum += n->value * (i + 1);
		unpin_memory(sorted[i]);
	}
	return sum;
}

static uint64_t walk(void)
{
	uint64_t i = 0;

	return fan == 1 ? walk_list() : fan ? walk_tree(root, &i) : walk_particles();
}

static uint64_t plain_tree(const struct plain *n, uint64_t *i)
{
	uint64_t sum = n->value * ++*i;

	for (int k = 0; k < 8 && n->next[k]; k++)
		sum += plain_tree(n->next[k], i);
	return sum;
}

static uint64_t plain_walk(void)
{
	uint64_t sum = 0, i = 0;

	if (fan > 1)
		return plain_tree(plain_root, &i);
	if (fan)
		for (const struct plain *n = plain_root; n; n = n->next[0])
			sum += n->value * ++i;
	else
		for (; i < count; i++)
			sum += plain_sorted[i]->value * (i + 1);
	return sum;
}

static double timed(uint64_t (*what)(void), uint64_t *sum)
{
	double best = 1e300;

	for (int r = 0; r < rounds; r++) {
		double begin = now(), took;
		uint64_t s = what();

		took = now() - begin;
		best = took < best ? took : best;
		if (*sum && s != *sum) {
			fprintf(stderr, "order: the walk's sum is %llu, and was %llu\n", (unsigned long long)s,
				(unsigned long long)*sum);
			exit(1);
		}
		*sum = s;
	}
	return best / (double)count;
}

/* ---- the order, as a program gives it: a stack of pinned nodes, or a place in an array ---- */

struct visit {
	memory_handle_t path[64];
	struct node *node[64];
	int child[64], depth;
	size_t at;
	memory_handle_t *next; /* what was given last */
};

/* The node that was named last has moved: it is pinned now, for its links. */
static void descend(struct visit *v)
{
	v->path[v->depth] = *v->next;
	v->node[v->depth] = pin_memory(*v->next);
	v->child[v->depth++] = 0;
}

static memory_handle_t *next_of_list(void *closure)
{
	struct visit *v = closure;

	if (!v->next)
		return v->next = &root;
	if (v->depth)
		unpin_memory(v->path[0]);
	v->depth = 0;
	descend(v);
	v->next = &v->node[0]->next[0];
	if (*v->next)
		return v->next;
	unpin_memory(v->path[0]);
	return NULL;
}

static memory_handle_t *next_of_tree(void *closure)
{
	struct visit *v = closure;

	if (!v->next)
		return v->next = &root;
	descend(v);
	while (v->depth) {
		int top = v->depth - 1;

		if (v->child[top] < 8 && v->node[top]->next[v->child[top]])
			return v->next = &v->node[top]->next[v->child[top]++];
		unpin_memory(v->path[top]);
		v->depth--;
	}
	return NULL;
}

static memory_handle_t *next_of_particles(void *closure)
{
	struct visit *v = closure;

	return v->at < count ? &sorted[v->at++] : NULL;
}

static double compact(bool renew)
{
	struct visit v = { .depth = 0 };
	compaction_order_t order = { .next = fan == 1 ? next_of_list : fan ? next_of_tree : next_of_particles,
				 .closure = &v,
				 .renew_handles = renew };
	compaction_result_t done;
	double begin = now();

	if (compact_in_order(&order, &done) || done.left || done.blocks != count) {
		fprintf(stderr, "order: %zu blocks laid out, %zu left: %s\n", done.blocks, done.left,
			last_memory_error_message());
		exit(1);
	}
	return (now() - begin) / (double)count;
}

int main(int argc, char **argv)
{
	const char *structure = argc > 1 ? argv[1] : "list";
	double pointers, scattered, ordered, renewed, first, second;
	uint64_t sum = 0, plain_sum = 0;

	count = argc > 2 ? strtoul(argv[2], NULL, 0) : count;
	bytes = argc > 3 ? strtoul(argv[3], NULL, 0) : bytes;
	rounds = argc > 4 ? atoi(argv[4]) : rounds;
	fan = strcmp(structure, "list") == 0 ? 1 : strcmp(structure, "octree") == 0 ? 8 : 0;
	if (fan == 8 && bytes < 72)
		bytes = 72;
	if ((!fan && strcmp(structure, "particles")) || count < 2 || bytes < 16 || rounds < 1) {
		fprintf(stderr, "usage: order list|octree|particles [NODES [BYTES [ROUNDS]]]\n");
		return 2;
	}
	build(structure);
	pointers = timed(plain_walk, &plain_sum);
	scattered = timed(walk, &sum);
	first = compact(false);
	ordered = timed(walk, &sum);
	second = compact(true);
	renewed = timed(walk, &sum);
	if (sum != plain_sum)
		return 1;
	printf("%s, %zu nodes of %zu bytes, nanoseconds a node:\n", structure, count, bytes);
	printf("  pointers, scattered      %8.1f\n", pointers);
	printf("  handles, scattered       %8.1f\n", scattered);
	printf("  in order                 %8.1f   %5.1f x faster   (laid out in %.0f)\n", ordered, scattered / ordered,
	       first);
	printf("  in order, new handles    %8.1f   %5.1f x faster   (laid out in %.0f)\n", renewed, scattered / renewed,
	       second);
	printf("{\"pattern\":\"order\",\"structure\":\"%s\",\"nodes\":%zu,\"bytes\":%zu,\"pointers_ns\":%.2f,"
	       "\"scattered_ns\":%.2f,\"ordered_ns\":%.2f,\"renewed_ns\":%.2f,\"compact_ns\":%.1f,\"renew_ns\":%.1f}\n",
	       structure, count, bytes, pointers, scattered, ordered, renewed, first, second);
	return 0;
}
