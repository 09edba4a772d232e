/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What it saves a job that one process a machine discovers the topology and the others read its XML.
 *
 * The processes are children that start at one gate, as ranks do after MPI_Init. In each round they run twice,
 * each discovering by itself and sharing, in alternating order, so that whatever else the machine does meets both.
 * Figures are medians over the rounds:
 *
 *     sum            milliseconds that the processes spent, added up
 *     critical path  of the slowest process: what the job waits for
 *     CPU            processor time of all of them
 *
 * Two machines (this one; a made-up larger one, whose /sys is a folder, read at the speed of files) times two
 * kinds of process: "cold" starts hwloc first, which loads its plugins; "warm" finds it started,
 * as after the MPI_Init of an MPI library that uses hwloc.
 */
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measures.h"
#include "support/machine.h"
#include "topology/share.h"

#define MOST_PROCESSES 64
#define MOST_ROUNDS 1001

struct process {
	struct na_topology_cost cost;
	double cpu_ms;
	int rc;
};

struct gate {
	_Atomic int waiting;
	struct process processes[MOST_PROCESSES];
};

enum figure { SUM, CRITICAL, CPU, OF_DISCOVERER, OF_READER, WAITING, FIGURES };

struct series {
	double values[FIGURES][MOST_ROUNDS];
	int count[FIGURES];
	int discovered; /* over all rounds */
	int read;
};

static int processes = 8, rounds = 21;
static struct gate *gate;

static void stop(const char *what)
{
	fprintf(stderr, "topology: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double cpu_ms(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

static void run_process(int rank, const struct na_topology_job *job, const struct na_topology_source *source)
{
	struct process *p = &gate->processes[rank];
	struct na_topology *t;
	double before;

	atomic_fetch_add(&gate->waiting, 1);
	while (atomic_load(&gate->waiting) < processes)
		sched_yield();
	before = cpu_ms();
	p->rc = na_topology_obtain(job, source, &t, &p->cost);
	p->cpu_ms = cpu_ms() - before;
	_exit(0);
}

static void add(struct series *s, enum figure figure, double ms)
{
	s->values[figure][s->count[figure]++] = ms;
}

static void account(struct series *s)
{
	double sum = 0, most = 0, cpu = 0, discoverer = 0, reader = 0, waiting = 0;
	int discovered = 0, read = 0;

	for (int i = 0; i < processes; i++) {
		const struct process *p = &gate->processes[i];
		double ms = (double)p->cost.total_ns / 1e6, own = ms - (double)p->cost.wait_ns / 1e6;

		if (p->rc < 0) {
			errno = -p->rc;
			stop("a process got no topology");
		}
		sum += ms;
		most = ms > most ? ms : most;
		cpu += p->cpu_ms;
		if (p->cost.origin == NA_TOPOLOGY_READ) {
			reader += own;
			waiting += (double)p->cost.wait_ns / 1e6;
			read++;
		} else {
			discoverer += own;
			discovered++;
		}
	}
	add(s, SUM, sum);
	add(s, CRITICAL, most);
	add(s, CPU, cpu);
	if (discovered)
		add(s, OF_DISCOVERER, discoverer / discovered);
	if (read) {
		add(s, OF_READER, reader / read);
		add(s, WAITING, waiting / read);
	}
	s->discovered += discovered;
	s->read += read;
}

static void run_once(const struct na_topology_job *job, const struct na_topology_source *source, struct series *s)
{
	pid_t children[MOST_PROCESSES];
	int status;

	memset(gate, 0, sizeof(*gate));
	for (int i = 0; i < processes; i++) {
		children[i] = fork();
		if (children[i] < 0)
			stop("fork");
		if (children[i] == 0)
			run_process(i, job, source);
	}
	for (int i = 0; i < processes; i++)
		if (waitpid(children[i], &status, 0) < 0 || status != 0)
			stop("a process died");
	account(s);
}

static double median(struct series *s, enum figure figure)
{
	int n = s->count[figure];

	if (n == 0)
		return 0;
	qsort(s->values[figure], (size_t)n, sizeof(double), ascending);
	return n % 2 ? s->values[figure][n / 2] : (s->values[figure][n / 2 - 1] + s->values[figure][n / 2]) / 2;
}

static void print_row(const char *name, struct series *s)
{
	printf("  %-22s %9.2f %14.2f %9.2f %12.2f", name, median(s, SUM), median(s, CRITICAL), median(s, CPU),
	       median(s, OF_DISCOVERER));
	if (s->read)
		printf(" %9.2f %9.2f", median(s, OF_READER), median(s, WAITING));
	else
		printf(" %9s %9s", "-", "-");
	printf("  %d discovered, %d read\n", s->discovered, s->read);
}

static void measure(const char *title, const char *folder, const struct na_topology_source *source)
{
	struct na_topology_job job = { .folder = folder, .id = "benchmark", .local_size = processes };
	struct series *alone = calloc(2, sizeof(*alone)), *shared = alone + 1;

	if (!alone)
		stop("memory");
	for (int round = 0; round < rounds; round++) {
		if (round % 2)
			run_once(&job, source, shared);
		run_once(NULL, source, alone);
		if (round % 2 == 0)
			run_once(&job, source, shared);
	}
	printf("%s\n  %-22s %9s %14s %9s %12s %9s %9s\n", title, "", "sum", "critical path", "CPU", "discovering",
	       "reading", "waiting");
	print_row("each discovers", alone);
	print_row("one does, others read", shared);
	printf("  %-22s %9.2f %14.2f %9.2f\n\n", "saved", median(alone, SUM) - median(shared, SUM),
	       median(alone, CRITICAL) - median(shared, CRITICAL), median(alone, CPU) - median(shared, CPU));
	free(alone);
}

/* Eight packages of 32 CPUs. */
static void make_large(char root[PATH_MAX])
{
	static struct test_node nodes[8];
	static int distances[64];
	struct test_machine large = { .nodes = nodes, .node_count = 8, .distances = distances, .possible = "0-7\n" };

	for (int i = 0; i < 8; i++) {
		nodes[i] = (struct test_node){ .os_index = i, .first_cpu = i * 32, .cpus = 32, .megabytes = 65536 };
		for (int j = 0; j < 8; j++)
			distances[i * 8 + j] = i == j ? 10 : i / 4 == j / 4 ? 12 : 32;
	}
	test_machine_make(&large, root);
}

static void measure_both(const char *kind, const char *folder, const char *root)
{
	struct na_topology_source here = { 0 }, large = { .root = root };
	char title[160];

	snprintf(title, sizeof(title), "this machine, %s", kind);
	measure(title, folder, &here);
	setenv("HWLOC_FSROOT", root, 1);
	snprintf(title, sizeof(title), "8 nodes, 256 CPUs (made up), %s", kind);
	measure(title, folder, &large);
	unsetenv("HWLOC_FSROOT");
}

static int number(const char *text, int most)
{
	char *end;
	long v = strtol(text, &end, 10);

	if (end == text || *end || v < 1 || v > most) {
		fprintf(stderr, "topology: \"%s\": must be a number from 1 to %d\n", text, most);
		exit(2);
	}
	return (int)v;
}

static void parse(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--processes=", 12) == 0) {
			processes = number(argv[i] + 12, MOST_PROCESSES);
		} else if (strncmp(argv[i], "--rounds=", 9) == 0) {
			rounds = number(argv[i] + 9, MOST_ROUNDS);
		} else {
			bool help = strcmp(argv[i], "--help") == 0;

			fprintf(help ? stdout : stderr, "usage: topology [--processes=8] [--rounds=21]\n");
			exit(help ? 0 : 2);
		}
	}
}

int main(int argc, char **argv)
{
	static const struct na_topology_source small = { .synthetic = "pu:1" };
	struct na_topology_cost cost = { 0 };
	struct hwloc_topology *started;
	char root[PATH_MAX], folder[PATH_MAX];

	parse(argc, argv);
	gate = mmap(NULL, sizeof(*gate), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (gate == MAP_FAILED)
		stop("shared memory");
	setvbuf(stdout, NULL, _IOLBF, 0);
	make_large(root);
	test_folder_make(folder);
	printf("%d processes on %ld CPUs, medians of %d rounds, milliseconds; discovering, reading: of one process\n\n",
	       processes, sysconf(_SC_NPROCESSORS_ONLN), rounds);
	measure_both("cold (hwloc not started)", folder, root);
	if (na_topology_load(&small, &started, &cost) < 0)
		stop("hwloc");
	measure_both("warm (hwloc started, as by MPI)", folder, root);
	na_topology_unload(started);
	if (test_folder_count(folder) != 0)
		fprintf(stderr, "topology: files were left in %s\n", folder);
	test_folder_remove(folder);
	test_folder_remove(root);
	return 0;
}
