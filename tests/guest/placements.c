/* SPDX-License-Identifier: BSD-3-Clause */
/* Where placed blocks lie, asked of the kernel, in the guest of five nodes: 0 to 3 with a CPU each, 4 larger, slow, and without. */
#include <numarena/numarena.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "guest.h"

enum { CPUS = 4, LARGEST = 4, BIND = 2 };

static int bad;

static void say(bool good, const char *what, const char *detail, const uint64_t counts[NODES])
{
	printf("%s %s%s: pages on nodes 0 to 4:", good ? "ok" : "not ok", what, detail);
	for (int n = 0; n < 5; n++)
		printf(" %llu", (unsigned long long)counts[n]);
	printf("%s%s\n", good ? "" : "; ", good ? "" : last_memory_error_message());
	bad |= !good;
}

static char *place(memory_placement_config_t c, size_t size, uint64_t counts[NODES])
{
	char *p = allocate_placed(size, &c);

	memset(counts, 0, NODES * sizeof(*counts));
	if (p) {
		memset(p, 1, size);
		guest_count(p, size, counts);
	}
	return p;
}

static bool all_on(const uint64_t counts[NODES], int node)
{
	for (int n = 0; n < NODES; n++)
		if (n != node && counts[n])
			return false;
	return counts[node] != 0;
}

static bool report_agrees(const void *p, const uint64_t counts[NODES], uint64_t misplaced)
{
	memory_placement_report_t r;

	if (get_memory_placement(p, &r) != MEMORY_ERROR_NONE || r.misplaced_bytes != misplaced * PAGE)
		return false;
	for (int n = 0; n < 64; n++)
		if (r.node_bytes[n] < counts[n] * PAGE) /* the block may be larger than asked for */
			return false;
	return true;
}

static void on_one_node(bool huge)
{
	static const size_t sizes[] = { 100, 5000, 100000, 3000000, 24000000 };
	uint64_t counts[NODES];
	char detail[80];
	char *p;

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		for (int node = 0; node < 5; node++) {
			guest_run_on(node % CPUS);
			p = place((memory_placement_config_t){ .placement = PLACEMENT_NODE,
							       .node = (node + 2) % 5,
							       .huge_pages = huge },
				  sizes[s], counts);
			if (!p || !all_on(counts, (node + 2) % 5) || !report_agrees(p, counts, 0)) {
				snprintf(detail, sizeof(detail), " %d, %zu bytes%s", (node + 2) % 5, sizes[s],
					 huge ? ", huge" : "");
				say(false, "node", detail, counts);
			}
			release_memory(p);
			p = place((memory_placement_config_t){ .placement = PLACEMENT_LOCAL }, sizes[s], counts);
			if (!p || !all_on(counts, node % CPUS))
				say(false, "local", "", counts);
			release_memory(p);
		}
	}
	say(!bad, "local and node", huge ? ", huge pages" : "", counts);
}

static void interleaved(bool huge)
{
	size_t size = (size_t)32 << 20, share = size / PAGE / CPUS;
	uint64_t counts[NODES], small[NODES] = { 0 };
	bool good = true;
	char *p = place((memory_placement_config_t){ .placement = PLACEMENT_INTERLEAVE, .huge_pages = huge }, size,
			counts);

	for (int n = 0; n < CPUS; n++)
		good &= counts[n] == share;
	for (size_t page = 1; p && !huge && page < 64; page++) /* page by page, not in clumps */
		good &= guest_node_of(p + page * PAGE) != guest_node_of(p + (page - 1) * PAGE);
	say(p && good && counts[4] == 0 && report_agrees(p, counts, 0), "interleaved", huge ? ", huge pages" : "",
	    counts);
	p = resize_memory(p, size * 2);
	memset(counts, 0, sizeof(counts));
	memset(p, 1, size * 2);
	guest_count(p, size * 2, counts);
	say(counts[0] == 2 * share && counts[3] == 2 * share, "interleaved, resized", "", counts);
	release_memory(p);
	for (int i = 0; i < 100; i++) {
		p = place((memory_placement_config_t){ .placement = PLACEMENT_INTERLEAVE }, 8192, counts);
		small[guest_node_of(p)]++;
	}
	say(small[0] == 25 && small[4] == 0, "interleaved, small: blocks in turn", "", small);
}

static void partitioned(bool huge)
{
	size_t size = ((size_t)24 << 20) + 5 * PAGE, unit = huge ? (size_t)2 << 20 : PAGE,
	       units = (size + unit - 1) / unit;
	uint64_t counts[NODES], wrong = 0;
	char *p =
		place((memory_placement_config_t){ .placement = PLACEMENT_PARTITIONED, .parts = 8, .huge_pages = huge },
		      size, counts);

	for (size_t part = 0; p && part < 8; part++) /* the documented formula */
		for (size_t u = units * part / 8; u < units * (part + 1) / 8; u++)
			for (size_t at = u * unit; at < (u + 1) * unit && at < size; at += PAGE)
				wrong += guest_node_of(p + at) != (int)(part * CPUS / 8);
	say(p && wrong == 0 && report_agrees(p, counts, 0), "partitioned in 8", huge ? ", huge pages" : "", counts);
	release_memory(p);
}

static void tiers(void)
{
	uint64_t counts[NODES];
	char *p;

	for (int cpu = 0; cpu < CPUS; cpu++) {
		guest_run_on(cpu);
		p = place((memory_placement_config_t){ .placement = PLACEMENT_BANDWIDTH }, 2000000, counts);
		say(p && all_on(counts, cpu), "bandwidth", "", counts);
		release_memory(p);
		p = place((memory_placement_config_t){ .placement = PLACEMENT_CAPACITY }, 2000000, counts);
		say(p && all_on(counts, LARGEST), "capacity", "", counts);
		release_memory(p);
	}
}

/* Takes the node's memory but for `leave`, and holds it. */
static pid_t hog(int node, uint64_t leave)
{
	int ready[2];
	char byte;
	pid_t child;

	if (pipe(ready))
		exit(1);
	child = fork();
	if (child == 0) {
		unsigned long mask[16] = { 1ul << node };

		while (guest_meminfo(node, "MemFree") > leave) {
			char *p = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

			syscall(SYS_mbind, p, 4 << 20, BIND, mask, 1024ul, 0);
			memset(p, 1, 4 << 20);
		}
		if (write(ready[1], "r", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		exit(1);
	return child;
}

static void full(void)
{
	memory_placement_config_t c = { .placement = PLACEMENT_NODE, .node = 2, .strict = true };
	uint64_t counts[NODES];
	pid_t child;
	char *p;

	guest_run_on(3);
	p = place(c, 10000000, counts);
	say(p && all_on(counts, 2), "strict, with room", "", counts);
	release_memory(p);
	flush_memory_pools();
	child = hog(2, 24 << 20);
	p = allocate_placed(64 << 20, &c);
	memset(counts, 0, sizeof(counts));
	say(!p && errno == ENOMEM && strstr(last_memory_error_message(), "node 2"), "strict, without room", "", counts);
	c.strict = false;
	p = place(c, 64 << 20, counts);
	/* 0 is the nearest of 2. */
	say(p && counts[0] > counts[1] + counts[3] + counts[4] && report_agrees(p, counts, 64 * 256 - counts[2]),
	    "a full node spills to the nearest", "", counts);
	release_memory(p);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

int main(void)
{
	on_one_node(false);
	on_one_node(true);
	interleaved(false);
	interleaved(true);
	partitioned(false);
	partitioned(true);
	tiers();
	full();
	return bad;
}
