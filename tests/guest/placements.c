/* SPDX-License-Identifier: BSD-3-Clause */
/* Where placed blocks lie, asked of the kernel, in the guest of five nodes: 0 to 3 with a CPU each, 4 larger, without one, and
 * faster than all others from node 0 alone. "hints": what hints make of it; "hints slow": where node 4 is slower. "narrow": in a process that started on CPUs 1 and 2; "wide": in the guest of 72 nodes. */
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

/* Bytes in huge pages of the mapping that p is in. */
static uint64_t huge_bytes(const void *p)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long long from, to, kilobytes = 0;
	bool here = false;
	char line[512];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%llx-%llx ", &from, &to) == 2)
			here = (uintptr_t)p >= from && (uintptr_t)p < to;
		else if (here && sscanf(line, "AnonHugePages: %llu", &kilobytes) == 1)
			break;
	if (f)
		fclose(f);
	return kilobytes * 1024;
}

/* Only who asks for them shall have any. */
static void huge_pages_on_request(void)
{
	FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "w");

	if (!f || fputs("madvise", f) < 0 || fclose(f) != 0) {
		printf("not ok: transparent huge pages cannot be set\n");
		exit(1);
	}
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
			if (!p || !all_on(counts, (node + 2) % 5) || !report_agrees(p, counts, 0) ||
			    (huge && sizes[s] > 2 << 20 && huge_bytes(p) < sizes[s] / 2)) {
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

/* A block of a node, as it grows and shrinks, on a thread of another. */
static void resized(void)
{
	static const size_t sizes[] = { 100, 20000, 60000, 3000000, 24000000, 1000000, 40000, 50 };
	uint64_t counts[NODES], seen[NODES] = { 0 };
	char *p = NULL;

	guest_run_on(0);
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		p = s ? resize_memory(p, sizes[s])
		      : place((memory_placement_config_t){ .placement = PLACEMENT_NODE, .node = 2 }, sizes[s], counts);
		if (!p)
			break;
		memset(p, 1, sizes[s]);
		guest_count(p, sizes[s], seen);
	}
	say(p && all_on(seen, 2), "node, resized", "", seen);
	release_memory(p);
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
	good &= p && (huge ? huge_bytes(p) >= size / 2 : huge_bytes(p) == 0);
	say(good && counts[4] == 0 && report_agrees(p, counts, 0), "interleaved", huge ? ", huge pages" : "", counts);
	for (int factor = 4; factor > 0; factor /= 4) { /* to twice the size, then to half of it */
		p = resize_memory(p, size / 2 * factor);
		memset(counts, 0, sizeof(counts));
		memset(p, 1, size / 2 * factor);
		guest_count(p, size / 2 * factor, counts);
		say(counts[0] == share * factor / 2 && counts[3] == share * factor / 2, "interleaved, resized", "",
		    counts);
	}
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
	say(p && wrong == 0 && report_agrees(p, counts, 0) && (huge ? huge_bytes(p) > 0 : huge_bytes(p) == 0),
	    "partitioned in 8", huge ? ", huge pages" : "", counts);
	release_memory(p);
}

/* Each part of an array, as a thread that is pinned where the block's part lies would take it: all of its pages are on that thread's node. */
static void sliced(size_t parts, size_t element, bool huge)
{
	size_t size = 24 << 20, n = size / element, next = 0;
	uint64_t counts[NODES], wrong = 0, parts_off = 0;
	char detail[80];
	char *p = place((memory_placement_config_t){ .placement = PLACEMENT_PARTITIONED, .parts = CPUS, .huge_pages = huge },
			size, counts);

	for (size_t part = 0; p && part < parts; part++) {
		memory_range_t r;
		bool good = partition_range(p, n, element, part, parts, &r) == MEMORY_ERROR_NONE && r.first == next;

		guest_run_on((int)(part * CPUS / parts));
		/* An element that lies on the cut, and those up to the next line, are of the part before. */
		for (size_t at = (r.first * element + PAGE - 1) / PAGE * PAGE; at + PAGE <= (r.first + r.count) * element; at += PAGE)
			wrong += guest_node_of(p + at) != guest_node_here();
		next = r.first + r.count;
		good = good && r.count && (uintptr_t)(p + r.first * element) % 64 == 0 &&
		       r.node == guest_node_here();
		parts_off += !good;
	}
	snprintf(detail, sizeof(detail), " %zu of elements of %zu bytes%s", parts, element, huge ? ", huge pages" : "");
	say(p && wrong == 0 && parts_off == 0 && next == n, "parts for threads:", detail, counts);
	release_memory(p);
}

static void tiers(void)
{
	static const int fastest[CPUS] = { 4, 1, 2, 3 };
	uint64_t counts[NODES];
	char *p;

	for (int cpu = 0; cpu < CPUS; cpu++) {
		guest_run_on(cpu);
		p = place((memory_placement_config_t){ .placement = PLACEMENT_BANDWIDTH }, 2000000, counts);
		say(p && all_on(counts, fastest[cpu]), "bandwidth", "", counts);
		release_memory(p);
		p = place((memory_placement_config_t){ .placement = PLACEMENT_CAPACITY }, 2000000, counts);
		say(p && all_on(counts, LARGEST), "capacity", "", counts);
		release_memory(p);
	}
}

static char *hinted(memory_hints_t h, size_t size, uint64_t counts[NODES])
{
	char *p = optimized_allocate(size, &h);

	memset(counts, 0, NODES * sizeof(*counts));
	if (p) {
		memset(p, 1, size);
		guest_count(p, size, counts);
	}
	return p;
}

static bool kept(const void *p, memory_hints_t wanted, memory_placement_t placement, int node)
{
	memory_hints_t h;

	return allocation_hints(p, &h) == MEMORY_ERROR_NONE && h.priority == wanted.priority &&
	       h.lifetime == wanted.lifetime && h.access_pattern == wanted.access_pattern && h.placement == placement &&
	       h.node == node;
}

/* High priority is on the node of most bandwidth. Low is on the node without a CPU if that is slow; else there is no such tier. */
static void priorities(size_t size, bool four_is_slow)
{
	const int fastest[CPUS] = { four_is_slow ? 0 : 4, 1, 2, 3 };
	memory_hints_t high = { .priority = PRIORITY_HIGH, .lifetime = LIFETIME_LONG }, low = { .priority = PRIORITY_LOW },
		       brief = { .lifetime = LIFETIME_SHORT };
	uint64_t counts[NODES];
	char *p;

	for (int cpu = 0; cpu < CPUS; cpu++) {
		int slow = four_is_slow ? 4 : cpu;

		guest_run_on(cpu);
		p = hinted(high, size, counts);
		say(p && all_on(counts, fastest[cpu]) && kept(p, high, PLACEMENT_NODE, fastest[cpu]), "high priority", "",
		    counts);
		guest_run_on((cpu + 1) % CPUS); /* and there it stays when it grows, wherever the thread is */
		p = resize_memory(p, size * 3);
		memset(counts, 0, sizeof(counts));
		if (p) {
			memset(p, 1, size * 3);
			guest_count(p, size * 3, counts);
		}
		say(p && all_on(counts, fastest[cpu]) && kept(p, high, PLACEMENT_NODE, fastest[cpu]),
		    "high priority, resized", "", counts);
		release_memory(p);
		guest_run_on(cpu);
		p = hinted(low, size, counts);
		say(p && all_on(counts, slow) && kept(p, low, PLACEMENT_NODE, slow), "low priority", "", counts);
		release_memory(p);
		p = hinted(brief, size, counts);
		say(p && all_on(counts, cpu) && kept(p, brief, PLACEMENT_NODE, cpu), "a lifetime alone: local", "", counts);
		release_memory(p);
	}
}

static void read_mostly(void)
{
	memory_hints_t h = { .access_pattern = ACCESS_READ_MOSTLY };
	size_t size = (size_t)8 << 20;
	uint64_t counts[NODES];
	char *p;

	guest_run_on(2);
	p = hinted(h, size, counts);
	say(p && counts[0] == size / PAGE / CPUS && counts[3] == counts[0] && counts[4] == 0 && huge_bytes(p) == 0 &&
		    kept(p, h, PLACEMENT_INTERLEAVE, -1),
	    "read mostly: spread", "", counts);
	release_memory(p);
	p = hinted(h, 3000, counts);
	say(p && all_on(counts, 2), "read mostly, small: local", "", counts);
	p = resize_memory(p, size);
	memset(counts, 0, sizeof(counts));
	memset(p, 1, size);
	guest_count(p, size, counts);
	say(counts[0] == size / PAGE / CPUS && kept(p, h, PLACEMENT_INTERLEAVE, -1), "read mostly, grown: spread", "",
	    counts);
	release_memory(p);
	h.placement = PLACEMENT_NODE; /* what the program says goes first */
	h.node = 3;
	p = hinted(h, size, counts);
	say(p && all_on(counts, 3), "read mostly, on a node", "", counts);
	release_memory(p);
	h = (memory_hints_t){ .access_pattern = ACCESS_SEQUENTIAL, .lifetime = LIFETIME_PERMANENT };
	p = hinted(h, size, counts);
	say(p && all_on(counts, 2) && huge_bytes(p) >= size / 2, "sequential: huge pages, local", "", counts);
	release_memory(p);
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
	child = hog(2, 24 << 20);
	p = allocate_placed(64 << 20, &c);
	memset(counts, 0, sizeof(counts));
	say(!p && errno == ENOMEM && strstr(last_memory_error_message(), "node 2"), "strict, without room", "", counts);
	c.strict = false;
	p = place(c, 64 << 20, counts);
	/* 0 is the nearest of 2. */
	say(p && counts[0] > counts[1] + counts[3] + counts[4] && report_agrees(p, counts, counts[0] + counts[1] + counts[3] + counts[4]),
	    "a full node spills to the nearest", "", counts);
	release_memory(p);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	/* What is kept of the block that was spilled must not do for a strict one. */
	c.strict = true;
	p = place(c, 64 << 20, counts);
	say(p && all_on(counts, 2), "strict, when there is room again", "", counts);
	release_memory(p);
}

/* A process that started on CPUs 1 and 2, and whose first thread was then pinned, as OpenMP does. */
static void narrow(char **argv)
{
	memory_placement_config_t c = { .placement = PLACEMENT_PARTITIONED };
	uint64_t counts[NODES];
	cpu_set_t two;
	char *p;

	if (!argv[2]) {
		CPU_ZERO(&two);
		CPU_SET(1, &two);
		CPU_SET(2, &two);
		if (sched_setaffinity(0, sizeof(two), &two) == 0)
			execl("/proc/self/exe", argv[0], argv[1], "again", NULL);
		exit(1);
	}
	release_memory(allocate_placed(100, NULL));
	guest_run_on(1);
	p = place(c, 8 << 20, counts);
	say(p && counts[1] == 1024 && counts[2] == 1024 && guest_node_of(p) == 1 && guest_node_of(p + (4 << 20)) == 2 &&
		    report_agrees(p, counts, 0),
	    "partitioned, of a process on CPUs 1 and 2", "", counts);
	release_memory(p);
}

/* Node 66 has memory, but no pool of ours. */
static void wide(void)
{
	memory_placement_config_t c = { .placement = PLACEMENT_NODE, .node = 66, .strict = true };
	memory_placement_report_t r;
	uint64_t counts[NODES];
	char *p = place(c, 1 << 20, counts);

	say(p && all_on(counts, 66) && get_memory_placement(p, &r) == MEMORY_ERROR_NONE && r.node == 66 &&
		    r.other_bytes == 1 << 20 && r.misplaced_bytes == 0,
	    "a node without a pool", "", counts);
	release_memory(p);
	p = place(c, 100, counts);
	say(!p && errno == EINVAL && strstr(last_memory_error_message(), "node 66 is beyond"), "and its small blocks",
	    "", counts);
	c.node = 71;
	p = place(c, 1 << 20, counts);
	say(!p && errno == EINVAL && strstr(last_memory_error_message(), "node 71"), "a node without memory", "",
	    counts);
}

int main(int argc, char **argv)
{
	huge_pages_on_request();
	if (argc > 1) {
		if (strcmp(argv[1], "narrow") == 0) {
			narrow(argv);
		} else if (strcmp(argv[1], "hints") == 0) {
			priorities(2000, argv[2]);
			priorities(300000, argv[2]);
			priorities(3000000, argv[2]);
			priorities(12000000, argv[2]);
			read_mostly();
		} else {
			wide();
		}
		return bad;
	}
	on_one_node(false);
	on_one_node(true);
	resized();
	interleaved(false);
	interleaved(true);
	partitioned(false);
	partitioned(true);
	sliced(CPUS, sizeof(double), false);
	sliced(2 * CPUS, sizeof(double), false);
	sliced(CPUS, 24, false);
	sliced(CPUS, sizeof(double), true);
	tiers();
	full();
	return bad;
}
