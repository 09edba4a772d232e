/* SPDX-License-Identifier: BSD-3-Clause */
#include "metrics/latency.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "os/limit.h"
#include "os/lock.h"
#include "os/os.h"
#include "metrics/ticks.h"
#include "pool/nodes.h"
#include "topology/topology.h"

#define STRIDE	    256 /* two lines, which processors like to fetch together, and two more */
#define BYTES	    ((size_t)8 << 20)
#define BYTES_MANY  ((size_t)2 << 20)
#define MANY_NODES  8
#define TWO_MIB	    ((size_t)2 << 20)
#define PARTS	    8
#define SPARE	    16 /* as much memory as we take must be free this many times */
#define SAMPLE_STEP 8  /* pages; of these the node is asked */
#define KEEP_NS	    UINT64_C(10000000000)

static size_t chain_bytes(void)
{
	return na_pool_count > MANY_NODES ? BYTES_MANY : BYTES;
}

static bool is_room(const struct na_pool *pool, size_t bytes)
{
	struct na_limits_memory m;
	uint64_t on_node;

	na_limits_memory(&m);
	on_node = na_os_node_free(pool->node);
	return (m.room == NA_LIMIT_NONE || m.room >= bytes * SPARE) && (on_node == 0 || on_node >= bytes * SPARE / 4);
}

/* xorshift64*: what is wanted is an order that no prefetcher follows. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717);
}

static void **link_at(char *base, size_t i)
{
	return (void **)(void *)(base + i * STRIDE);
}

/* One cycle through all: each is swapped with one before it. */
static void build_chain(char *base, size_t count)
{
	uint64_t random = UINT64_C(0x9e3779b97f4a7c15);

	for (size_t i = 0; i < count; i++)
		*link_at(base, i) = link_at(base, i);
	for (size_t i = count - 1; i > 0; i--) {
		size_t other = next_random(&random) % i;
		void *p = *link_at(base, i);

		*link_at(base, i) = *link_at(base, other);
		*link_at(base, other) = p;
	}
}

static void write_out(char *base, size_t count)
{
#if defined(__x86_64__)
	for (size_t i = 0; i < count; i++)
		__builtin_ia32_clflush(link_at(base, i));
	__builtin_ia32_mfence();
#else
	(void)base;
	(void)count;
#endif
}

static uint64_t walk(void ***at, size_t steps)
{
	uint64_t from = na_os_ticks();
	void **p = *at;

	for (size_t i = 0; i < steps; i++)
		p = *p;
	__asm__ volatile("" : "+r"(p)); /* the loads are not for nothing */
	*at = p;
	return na_os_ticks() - from;
}

static uint64_t time_chain(char *base, size_t count)
{
	uint64_t part[PARTS];
	void **at = link_at(base, 0);

	for (int i = 0; i < PARTS; i++) {
		uint64_t ticks = walk(&at, count / PARTS);
		int k = i;

		for (; k > 0 && part[k - 1] > ticks; k--)
			part[k] = part[k - 1];
		part[k] = ticks;
	}
	return na_ticks_to_ps((part[PARTS / 2 - 1] + part[PARTS / 2]) / 2) / (count / PARTS);
}

/* Whether most of the pages came to lie where they should. */
static int look_where(const struct na_pool *pool, char *base, size_t bytes)
{
	enum { MOST = BYTES / NA_PAGE / SAMPLE_STEP };
	void *pages[MOST];
	int status[MOST], rc;
	size_t n = 0, there = 0;

	if (na_pool_count == 1)
		return 0;
	for (size_t at = 0; at < bytes && n < MOST; at += SAMPLE_STEP * NA_PAGE)
		pages[n++] = base + at;
	rc = na_os.locate(pages, status, n);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < n; i++)
		there += status[i] == pool->node;
	return there * 10 >= n * 9 ? 0 : -EXDEV;
}

int na_latency_measure(const struct na_pool *pool, uint64_t *out)
{
	size_t bytes = chain_bytes(), count = bytes / STRIDE;
	void *base = NULL;
	int rc;

	if (!is_room(pool, bytes))
		return -ENOMEM;
	rc = na_os_map_aligned(bytes, TWO_MIB, &base);
	if (rc < 0)
		return -ENOMEM;
	na_pool_bind(pool, base, bytes);
	na_pages_advise_segment(base, bytes);
	build_chain(base, count);
	rc = look_where(pool, base, bytes);
	if (rc == 0) {
		write_out(base, count);
		*out = time_chain(base, count);
	}
	na_os.unmap(base, bytes);
	return rc;
}

const char *na_latency_why(int error)
{
	switch (-error) {
	case ENOMEM:
		return "too little memory is free to measure the access latency in";
	case EXDEV:
		return "the pages to measure on came to lie on another node: it is full, or binding is forbidden";
	default:
		return "the kernel does not tell where pages lie (move_pages), so no latency can be ascribed to a node";
	}
}

/* ---- of this process, kept for a while ---- */

static struct na_lock lock;
static uint64_t kept_ps, kept_until_ns; /* under lock; 0: nothing kept */

static int weigh_nodes(const struct na_snapshot *s, uint64_t *out)
{
	__uint128_t sum = 0;
	uint64_t all = 0, ps;
	int rc;

	for (uint32_t i = 0; i < s->node_count; i++) {
		const struct na_pool *pool = na_pool_of_node(s->nodes[i].node);
		uint64_t weight = s->nodes[i].resident_bytes;

		if (!pool || weight == 0 || weight == NA_UNKNOWN)
			continue;
		rc = na_latency_measure(pool, &ps);
		if (rc < 0)
			return rc;
		sum += (__uint128_t)ps * weight;
		all += weight;
	}
	if (all == 0)
		return na_latency_measure(na_pool_here(), out);
	*out = (uint64_t)(sum / all);
	return 0;
}

/* Two that ask at once both measure: the lock is not held over it. */
int na_latency_here(const struct na_snapshot *s, uint64_t *out)
{
	uint64_t now = na_os_now_ns(), ps = 0;
	int rc;

	na_lock(&lock);
	if (kept_until_ns > now)
		ps = kept_ps;
	na_unlock(&lock);
	if (ps) {
		*out = ps;
		return 0;
	}
	rc = weigh_nodes(s, &ps);
	if (rc < 0)
		return rc;
	na_lock(&lock);
	kept_ps = ps;
	kept_until_ns = na_os_now_ns() + KEEP_NS;
	na_unlock(&lock);
	*out = ps;
	return 0;
}

void na_latency_before_fork(void)
{
	na_lock(&lock);
}

void na_latency_after_fork(bool child)
{
	if (child)
		na_lock_reset(&lock);
	else
		na_unlock(&lock);
}

/* ---- from every node to every node ---- */

#define MOST_CPUS 8192

struct row {
	struct na_latency_matrix *matrix;
	uint32_t at;
	unsigned long cpus[MOST_CPUS / (8 * sizeof(unsigned long))];
	bool pinned;
};

/* The node's CPUs that this process may use, as a mask; false without any. */
static bool usable_cpus(const struct na_topology *t, const struct na_topology_node *node, struct row *row)
{
	size_t words = (t->cpu_slots + 8 * sizeof(long) - 1) / (8 * sizeof(long));
	bool any = false;

	for (size_t i = 0; i < words && i < sizeof(row->cpus) / sizeof(row->cpus[0]); i++) {
		row->cpus[i] = node->cpus[i] & t->allowed_cpus[i];
		any |= row->cpus[i] != 0;
	}
	return any;
}

static void *measure_row(void *argument)
{
	struct row *row = argument;
	struct na_latency_matrix *m = row->matrix;
	int rc = row->pinned ? na_os.run_on(row->cpus, sizeof(row->cpus)) : 0;

	for (uint32_t i = 0; i < m->to_count; i++) {
		m->error[row->at][i] = rc < 0 ? rc : na_latency_measure(&na_pools[i], &m->ps[row->at][i]);
		if (m->error[row->at][i] < 0)
			m->ps[row->at][i] = NA_LATENCY_FAILED;
	}
	return NULL;
}

static int add_row(struct na_latency_matrix *m, struct row *row, int32_t node)
{
	pthread_t thread;
	int rc;

	row->matrix = m;
	row->at = m->from_count;
	row->pinned = node >= 0;
	m->from[m->from_count++] = node;
	rc = pthread_create(&thread, NULL, measure_row, row);
	if (rc)
		return -rc;
	pthread_join(thread, NULL);
	return 0;
}

int na_latency_measure_all(struct na_latency_matrix *out)
{
	const struct na_topology *t = NULL;
	struct row row;
	int rc = 0;

	na_pools_boot();
	memset(out, 0, sizeof(*out));
	out->to_count = na_pool_count;
	for (uint32_t i = 0; i < na_pool_count; i++)
		out->to[i] = na_pools[i].node;
	if (na_topology_get(&t) < 0 || !t->real) /* its numbers mean nothing to this kernel */
		t = NULL;
	for (uint32_t i = 0; t && i < t->node_count && out->from_count < NA_MAX_NODES && rc == 0; i++) {
		memset(&row, 0, sizeof(row));
		if (usable_cpus(t, &t->nodes[i], &row))
			rc = add_row(out, &row, t->nodes[i].os_index);
	}
	memset(&row, 0, sizeof(row));
	return rc || out->from_count ? rc : add_row(out, &row, -1);
}
