/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Analysis of real programs: for each rule a workload that it must find and its like that it must not, each in a process of its own
 * because the figures are since the start. Thresholds' edges, several nodes, cgroups and pressure are in tests/unit/analysis.
 */
#include "api/api.h"

static analysis_result_t result;

static const memory_finding_t *finding(memory_finding_kind_t kind)
{
	const memory_finding_t *found = NULL;

	memset(&result, 0x5a, sizeof(result));
	GOOD(analyze_memory_system(&result));
	REQUIRE(result.finding_count <= MEMORY_FINDINGS_MAX);
	if (result.finding_count == 0)
		CHECK(strcmp(result.bottlenecks, "none") == 0 && strcmp(result.recommendations, "none") == 0);
	for (size_t i = 0; i < result.finding_count; i++) {
		const memory_finding_t *f = &result.findings[i];

		CHECK(strstr(result.bottlenecks, f->bottleneck) && strstr(result.recommendations, f->recommendation));
		CHECK(f->value >= f->threshold && f->cost > 0.0);
		CHECK(strpbrk(f->bottleneck, "0123456789") && strpbrk(f->recommendation, "0123456789"));
		CHECK(i == 0 || f->cost <= result.findings[i - 1].cost);
		found = f->kind == kind ? f : found;
	}
	return found;
}

static void must(int found, memory_finding_kind_t kind, const char *word)
{
	const memory_finding_t *f = finding(kind);

	CHECK_MSG(!f == !found, "%s: %s; %s", found ? "not found" : "found", f ? f->bottleneck : "", result.bottlenecks);
	if (f)
		CHECK_MSG(strstr(f->bottleneck, word) != NULL, "no \"%s\" in %s", word, f->bottleneck);
}

/* ---- workloads; `bad` is whether to do it wrongly ---- */

static void fragmentation(int bad)
{
	enum { N = 40000 };
	static void *p[N];

	for (int i = 0; i < N; i++)
		memset(p[i] = allocate_from_pool(1024), 1, 1024);
	for (int i = 0; i < N; i++)
		if (bad && i % 16)
			return_to_pool(p[i]);
	must(bad, MEMORY_FINDING_FRAGMENTATION, "fragmentation");
}

static void *blocks[100000];
static pthread_barrier_t barrier;

static void *give_back(void *size)
{
	for (int round = 0; round < 2; round++) {
		pthread_barrier_wait(&barrier);
		if (size)
			for (int i = 0; i < 100000; i++)
				return_to_pool(blocks[i]);
		pthread_barrier_wait(&barrier);
	}
	pthread_barrier_wait(&barrier); /* it is still there when the analysis is made */
	return NULL;
}

/* Blocks of 32 bytes go to another thread: found. Of 64 bytes, or freed where they were allocated: not. */
static void hand_over(size_t size, int other, int found)
{
	pthread_t t;

	pthread_barrier_init(&barrier, NULL, 2);
	REQUIRE(pthread_create(&t, NULL, give_back, other ? &barrier : NULL) == 0);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 100000; i++)
			REQUIRE((blocks[i] = allocate_memory(size)));
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		for (int i = 0; i < 100000 && !other; i++)
			return_to_pool(blocks[i]);
	}
	must(found, MEMORY_FINDING_FALSE_SHARING, "suspected");
	pthread_barrier_wait(&barrier);
	pthread_join(t, NULL);
}

static void false_sharing(int bad)
{
	hand_over(32, bad, bad);
}

static void handed_over_on_lines_of_their_own(int bad)
{
	(void)bad;
	hand_over(64, 1, 0);
}

/* Many of the largest cached blocks at once, or small ones one by one. */
static void thread_cache(int bad)
{
	void *p[64];

	for (int i = 0; i < 2000; i++)
		for (int k = 0; k < 2; k++)
			for (int j = 0; j < 64; j++) {
				if (k == 0)
					REQUIRE((p[j] = allocate_memory(bad ? 20000 : 100)));
				else
					return_to_pool(p[j]);
			}
	must(bad, MEMORY_FINDING_THREAD_CACHE, "Thread caches serve only");
}

static void churn(int bad)
{
	for (int i = 0; i < 100; i++) {
		char *p = allocate_from_pool(3 * MIB);

		memset(p, 1, 100000);
		return_to_pool(p);
		if (bad)
			flush_memory_pools();
	}
	must(bad, MEMORY_FINDING_CHURN, "took fresh pages");
}

static void limit(int bad)
{
	REQUIRE(allocate_from_pool((bad ? 95 : 60) * MIB));
	must(bad, MEMORY_FINDING_LIMIT, "the pools may hold");
}

/* A step of the program is a sample of tracking's. */
static void growth(int bad)
{
	void *field = allocate_from_pool(64 * MIB), *temporary = NULL;
	size_t seen;

	GOOD(start_memory_tracking(&(tracking_config_t){ .track_usage = true, .sampling_interval = 5 }));
	seen = get_memory_samples(NULL, 0);
	for (int i = 0; i < 40; i++) {
		return_to_pool(temporary);
		temporary = allocate_from_pool(MIB * (size_t)(i % 5 + 1));
		if (bad)
			REQUIRE(allocate_from_pool(2 * MIB));
		EVENTUALLY(get_memory_samples(NULL, 0) > seen);
		seen = get_memory_samples(NULL, 0);
	}
	GOOD(stop_memory_monitoring());
	must(bad, MEMORY_FINDING_GROWTH, "grew in each of 8");
	return_to_pool(field);
}

/* The same without tracking, told by phases: of two that come by turns, the one that leaves blocks behind is named. */
static void growth_by_phase(int bad)
{
	void *field = allocate_from_pool(64 * MIB);

	for (int step = 0; step < 40; step++) {
		void *work;

		GOOD(begin_memory_phase("solve"));
		work = allocate_from_pool(MIB * (size_t)(step % 5 + 1));
		GOOD(begin_memory_phase("refine"));
		if (bad)
			REQUIRE(allocate_from_pool(2 * MIB));
		return_to_pool(work);
		GOOD(end_memory_phase());
		GOOD(end_memory_phase());
	}
	must(bad, MEMORY_FINDING_GROWTH, "ends of phase");
	return_to_pool(field);
}

/* What "step" leaks is live in "sort" as well, which frees all that it takes; and what is leaked beside phases is none's. */
static void growth_told_apart(int bad)
{
	for (int i = 0; i < 40; i++) {
		GOOD(begin_memory_phase("step"));
		GOOD(begin_memory_phase("sort"));
		return_to_pool(allocate_from_pool(MIB * (size_t)(i % 5 + 1)));
		GOOD(end_memory_phase());
		if (bad)
			REQUIRE(allocate_from_pool(2 * MIB));
		GOOD(end_memory_phase());
		if (!bad)
			REQUIRE(allocate_from_pool(2 * MIB));
	}
	must(bad, MEMORY_FINDING_GROWTH, "ends of phase \"step\"");
}

static void huge_pages(int bad)
{
	size_t bytes = 300 * MIB;
	memory_metrics_t m;
	char *p = allocate_from_pool(bytes);

	REQUIRE(p);
	memset(p, 1, bytes);
	GOOD(get_memory_metrics(&m));
	if (isnan(m.huge_page_coverage) || (m.huge_page_coverage < 0.5) != bad)
		return; /* the kernel does not tell, or does as it likes */
	must(bad, MEMORY_FINDING_HUGE_PAGES, "huge pages");
}

static void nothing_wrong(int bad)
{
	void *p[1000];

	(void)bad;
	for (int i = 0; i < 1000; i++)
		memset(p[i] = allocate_from_pool(1000), 1, 1000);
	must(0, MEMORY_FINDING_GROWTH, "");
	for (size_t i = 0; i < result.finding_count; i++) /* whatever else goes on on this machine */
		CHECK(result.findings[i].kind == MEMORY_FINDING_LIMIT || result.findings[i].kind == MEMORY_FINDING_STALLS);
	for (int i = 0; i < 1000; i++)
		return_to_pool(p[i]);
}

static void what_is_asked_for_wrongly(int bad)
{
	(void)bad;
	ERROR(analyze_memory_system(NULL), MEMORY_ERROR_INVALID_ARGUMENT, "result", "NULL");
}

static const char *const decay[] = { "NUMARENA_DECAY_MS=3600000", NULL }, *const small[] = { "NUMARENA_TOTAL_SIZE=100M", NULL },
		  *const ordinary[] = { "NUMARENA_HUGEPAGES=0", NULL }, *const huge[] = { "NUMARENA_HUGEPAGES=1", NULL };

static const struct {
	const char *name;
	void (*run)(int bad);
	int bad;
	const char *const *settings;
} workloads[] = {
	{ "nothing wrong", nothing_wrong, 0, decay },
	{ "wrong argument", what_is_asked_for_wrongly, 0, decay },
	{ "sparse blocks", fragmentation, 1, decay },
	{ "dense blocks", fragmentation, 0, decay },
	{ "small blocks to another thread", false_sharing, 1, decay },
	{ "small blocks to the same thread", false_sharing, 0, decay },
	{ "whole lines to another thread", handed_over_on_lines_of_their_own, 0, decay },
	{ "many blocks of 20000 bytes", thread_cache, 1, decay },
	{ "many blocks of 100 bytes", thread_cache, 0, decay },
	{ "large blocks, flushed", churn, 1, decay },
	{ "large blocks, reused", churn, 0, decay },
	{ "95 of 100 MiB", limit, 1, small },
	{ "60 of 100 MiB", limit, 0, small },
	{ "a leak", growth, 1, decay },
	{ "temporaries", growth, 0, decay },
	{ "a leak in a phase", growth_by_phase, 1, decay },
	{ "phases without", growth_by_phase, 0, decay },
	{ "a leak around a phase without", growth_told_apart, 1, decay },
	{ "a leak beside phases", growth_told_apart, 0, decay },
	{ "ordinary pages", huge_pages, 1, ordinary },
	{ "huge pages", huge_pages, 0, huge },
};

int main(int argc, char **argv)
{
	struct child c;

	for (size_t i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++) {
		if (argc > 1 && strcmp(argv[1], workloads[i].name) == 0) {
			check_watchdog(120);
			check_case = workloads[i].name;
			workloads[i].run(workloads[i].bad);
			return check_result();
		}
		if (argc > 1 || (api_brief() && workloads[i].run != nothing_wrong && workloads[i].run != churn))
			continue; /* under Valgrind: the rest takes too long, and is the same code */
		api_again(workloads[i].name, workloads[i].settings, &c);
		CHILD_GOOD(&c, workloads[i].name);
	}
	return argc > 1 ? 2 : check_result();
}
