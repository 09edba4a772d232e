/* SPDX-License-Identifier: BSD-3-Clause */
/* From a folder of records to text and JSON: the schema holds, the text fits a terminal, nothing is lost. */
#include "support/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "records.h"
#include "report/collect.h"
#include "report/place.h"
#include "report/schema.h"

static char folder[64], job_folder[PATH_MAX];

static int enter(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/numarena-test-XXXXXX");
	if (!mkdtemp(folder) || chdir(folder) < 0)
		return -1;
	na_place_job(folder, "4711", job_folder, sizeof(job_folder));
	return na_place_make(job_folder);
}

static int leave(void **state)
{
	char command[200];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return chdir("/") < 0 ? -1 : system(command);
}

static void put(struct na_record *r)
{
	char path[PATH_MAX];
	struct na_record *slots;

	na_place_of_rank(job_folder, r->rank, path, sizeof(path));
	assert_int_equal(na_place_map(path, &slots), 0);
	na_record_store(slots, r);
	na_place_unmap(slots);
}

static void put_ranks(int count, int size)
{
	for (int i = 0; i < count; i++) {
		struct na_record r;

		record_make(&r, i, size, i % 2 ? "beta" : "alpha");
		put(&r);
	}
}

static void hold_against_schema(const char *text, int rc, const char *words)
{
	json_t *schema = json_loads(na_schema_text, 0, NULL), *document = json_loads(text, 0, NULL);
	char complaint[500] = "";

	assert_non_null(schema);
	assert_non_null(document);
	assert_int_equal(na_schema_check(schema, document, complaint, sizeof(complaint)), rc);
	if (words && !strstr(complaint, words))
		fail_msg("'%s' does not say '%s'", complaint, words);
	json_decref(schema);
	json_decref(document);
}

static void fits(const char *text, int most)
{
	int lines = 0;

	for (const char *line = text; *line; lines++) {
		const char *end = strchr(line, '\n');

		assert_non_null(end);
		if (end - line > 100)
			fail_msg("%d columns: %.*s", (int)(end - line), (int)(end - line), line);
		line = end + 1;
	}
	assert_in_range(lines, 10, most);
}

/* Both forms of the text, of which the long one is given back. */
static char *texts_of(const struct na_report *report)
{
	char *text = na_report_text(report), *full = na_report_text_full(report);

	assert_non_null(text);
	assert_non_null(full);
	fits(text, 40);
	fits(full, 100);
	free(text);
	return full;
}

static void whole_job(void **state)
{
	struct na_collection *c;
	struct na_report report;
	char *json, *text;

	(void)state;
	put_ranks(6, 6);
	assert_int_equal(na_collect(job_folder, &c), 0);
	report = na_collect_report(c);
	assert_true(report.mpi);
	assert_int_equal(report.host_count, 2);
	assert_int_equal(report.rows.count, 6);
	assert_int_equal(report.missing_count, 0);
	json = na_report_json(&report);
	text = texts_of(&report);
	hold_against_schema(json, 0, NULL);
	assert_non_null(strstr(text, "6 of 6 ranks on 2 hosts"));
	assert_non_null(strstr(text, "status     complete"));
	assert_non_null(strstr(text, "rank 5, beta"));
	assert_null(strstr(text, "incomplete"));
	free(json);
	free(text);
	na_collect_free(c);
}

static void broken_job(void **state)
{
	struct na_collection *c;
	struct na_report report;
	struct na_record r;
	char path[PATH_MAX], *json, *text;
	int fd;

	(void)state;
	put_ranks(12, 16);
	record_make(&r, 2, 16, "gamma"); /* another host: whether it runs cannot be known here */
	r.state = NA_RECORD_RUNNING;
	r.update_ms -= 4000;
	put(&r);
	record_make(&r, 3, 16, "beta");
	r.state = NA_RECORD_ABORTED;
	r.physical = r.peak_physical = r.pss = NA_UNKNOWN;
	r.heap.nodes[0].misplaced_bytes = NA_UNKNOWN;
	put(&r);
	na_place_of_rank(job_folder, 5, path, sizeof(path));
	assert_int_equal(truncate(path, 1000), 0);
	na_place_of_rank(job_folder, 7, path, sizeof(path));
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "garbage", 7, (off_t)sizeof(r) + 500), 7); /* the slot that holds the only update */
	close(fd);
	assert_int_equal(na_collect(job_folder, &c), 0);
	report = na_collect_report(c);
	report.post_mortem = 1;
	assert_int_equal(c->flawed, 2);
	assert_int_equal(report.missing_count, 6);
	assert_int_equal(report.missing[0], 5);
	assert_int_equal(report.missing[1], 7);
	assert_int_equal(report.missing[2], 12);
	json = na_report_json(&report);
	text = texts_of(&report);
	hold_against_schema(json, 0, NULL);
	assert_non_null(strstr(text, "aborted (from the records)"));
	assert_non_null(strstr(text, "incomplete              rank 2 running")); /* silent for longest */
	assert_non_null(strstr(text, "rank 3 aborted"));
	assert_non_null(strstr(text, "unavailable"));
	assert_non_null(strstr(json, "rank-5.rec"));
	free(json);
	free(text);
	na_collect_free(c);
}

static void nothing_usable(void **state)
{
	struct na_collection *c = NULL;
	char path[PATH_MAX];
	int fd;

	(void)state;
	assert_int_equal(na_collect("/tmp/numarena-no-such-folder", &c), -ENOENT);
	na_collect_free(c);
	na_place_of_rank(job_folder, 0, path, sizeof(path));
	fd = open(path, O_WRONLY | O_CREAT, 0666);
	assert_int_equal(write(fd, "hello", 5), 5);
	close(fd);
	assert_int_equal(na_collect(job_folder, &c), -ENODATA);
	assert_int_equal(c->note_count, 1);
	na_collect_free(c);
}

static void schema_refuses(void **state)
{
	static const struct {
		const char *from, *to, *words;
	} cases[] = { { "\"status\": \"complete\"", "\"status\": \"splendid\"", "/job/status" },
		      { "\"schema_version\": \"1.3\"", "\"schema_version\": \"2.0\"", "schema_version" },
		      { "\"processes\": 6", "\"processes\": -6", "processes" },
		      { "\"processes\": 6", "\"processes\": \"six\"", "processes" },
		      { "\"processes\": 6,", "", "processes" },
		      { "\"left_bytes\": {\n     \"total\": ", "\"left_bytes\": {\n     \"total\": 0.5, \"of\": ", "left_bytes" },
		      { "\"entered\": 60", "\"entered\": -60", "/job/phases/0/entered" },
		      { "\"block_bytes\": 64", "\"block_bytes\": 0", "/job/size_classes/0/block_bytes" },
		      { "\"findings\": [", "\"findings\": [{\"rule\": \"luck\"}, ", "/job/findings/0" },
		      { "\"reports\": 0", "\"reports\": -1", "/job/out_of_memory/reports" },
		      { "\"processes\": 6", "\"surplus\": 1, \"processes\": 6", "surplus" } };
	struct na_collection *c;
	struct na_report report;
	char *json;

	(void)state;
	put_ranks(6, 6);
	assert_int_equal(na_collect(job_folder, &c), 0);
	report = na_collect_report(c);
	json = na_report_json(&report);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *at = strstr(json, cases[i].from), *changed;

		if (!at)
			fail_msg("no %s in the JSON", cases[i].from);
		assert_true(asprintf(&changed, "%.*s%s%s", (int)(at - json), json, cases[i].to, at + strlen(cases[i].from)) > 0);
		hold_against_schema(changed, -EINVAL, cases[i].words);
		free(changed);
	}
	free(json);
	na_collect_free(c);
}

/* ---- every member of a report, damaged in each way ---- */

static json_t *schema, *document;
static int changes;

static void refused(const char *what, const char *key)
{
	char complaint[500] = "";
	int rc = na_schema_check(schema, document, complaint, sizeof(complaint));

	changes++;
	if (rc != -EINVAL)
		fail_msg("%s of %s is accepted", what, key);
	if (!strstr(complaint, key))
		fail_msg("%s of %s: '%s' does not name it", what, key, complaint);
}

/* The member is missing, of another type, and beside one that the schema does not know. */
static void damage_member(json_t *object, const char *member)
{
	json_t *value = json_incref(json_object_get(object, member));
	char key[64];

	snprintf(key, sizeof(key), "%.63s", member); /* which goes with the member */
	json_object_del(object, key);
	refused("absence", key);
	json_object_set_new(object, key, json_is_object(value) ? json_string("wrong") : json_pack("{s:i}", "wrong", 1));
	refused("wrong type", key);
	json_object_set_new(object, key, value);
}

static void damage(json_t *v)
{
	const char *key;
	char keys[80][64];
	json_t *member;
	size_t count = 0;

	if (json_is_array(v) && json_array_size(v)) /* one element stands for all */
		damage(json_array_get(v, 0));
	if (!json_is_object(v))
		return;
	json_object_set_new(v, "surplus", json_integer(1));
	refused("addition", "surplus");
	json_object_del(v, "surplus");
	json_object_foreach(v, key, member)
	{
		if (count < sizeof(keys) / sizeof(keys[0]))
			snprintf(keys[count++], sizeof(keys[0]), "%.63s", key);
	}
	for (size_t i = 0; i < count; i++) { /* each becomes the last */
		if (count > 20 && json_object_get(v, "peak_rss_bytes") && i)
			break; /* one metric stands for all */
		damage(json_object_get(v, keys[i]));
		damage_member(v, keys[i]);
	}
}

static void each_damage_is_refused(void **state)
{
	struct na_collection *c;
	struct na_report report;
	char *json;
	struct na_oom_files oom = { 1, 1, { "oom-1.txt" } };
	struct na_record r;

	(void)state;
	for (int i = 0; i < 6; i++) {
		record_make(&r, i, 6, "alpha");
		if (i == 5)
			r.heap.peak_bytes = UINT64_C(1) << 40; /* an outlier */
		r.breakdown.phases[0].allocated_bytes = 100 << 20;
		r.breakdown.phases[0].growth = (struct na_phase_growth){ 1 << 20, 100 << 20, 10 << 20, 8, 7 };
		r.breakdown.other_pools.pools = 1;
		put(&r);
	}
	assert_int_equal(na_collect(job_folder, &c), 0);
	c->breakdown.other_phases = c->breakdown.phases[0];
	report = na_collect_report(c);
	report.oom = &oom;
	json = na_report_json(&report);
	schema = json_loads(na_schema_text, 0, NULL);
	document = json_loads(json, 0, NULL);
	changes = 0;
	hold_against_schema(json, 0, NULL);
	damage(document);
	assert_true(changes > 500);
	assert_int_equal(na_schema_check(schema, document, json, 100), 0); /* as it was */
	json_decref(schema);
	json_decref(document);
	free(json);
	na_collect_free(c);
}

/* What the breakdown adds: values and places in the JSON, lines in the text. */
static void phases_and_the_rest(void **state)
{
	struct na_collection *c;
	struct na_report report;
	struct na_record r;
	json_t *job, *step;
	char *json, *text;

	(void)state;
	put_ranks(3, 4);
	record_make(&r, 3, 4, "beta");
	record_phase(&r, "L\xc3\xb6sung \xff", 5, 6, 7);
	r.state = NA_RECORD_ABORTED; /* in "step" */
	put(&r);
	assert_int_equal(na_collect(job_folder, &c), 0);
	report = na_collect_report(c);
	json = na_report_json(&report);
	text = texts_of(&report);
	hold_against_schema(json, 0, NULL);
	document = json_loads(json, 0, NULL);
	job = json_object_get(document, "job");
	step = json_array_get(json_object_get(job, "phases"), 1); /* in the order of their beginning */
	assert_string_equal(json_string_value(json_object_get(step, "name")), "step");
	assert_int_equal(json_integer_value(json_object_get(step, "processes")), 4);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(json_object_get(step, "peak_bytes"), "max"), "value")),
			 8 << 20);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(json_object_get(step, "left_bytes"), "max"), "rank")), 3);
	assert_non_null(strstr(json, "L\xc3\xb6sung ?"));
	assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(document, "ranks"), 3), "phase")), "step");
	assert_int_equal(json_array_size(json_object_get(job, "size_classes")), 2);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(job, "lifetimes"), "samples")), 8);
	json_decref(document);
	assert_non_null(strstr(text, "  step                  4      40   2.50 ms   4.00 ms       3  8.00 MiB       3  +4.00 MiB       3 *\n"));
	assert_non_null(strstr(text, "  only 2                1      10   1.00 us   1.00 us       2  1.95 KiB       2    -1000 B       2\n"));
	assert_non_null(strstr(text, "  L?sung ?    "));
	assert_non_null(strstr(text, "    more than 32 KiB         20.0 MiB    10.0 MiB |                         400     100 MiB\n"));
	assert_non_null(strstr(text, "  named pools, peaks      halo 20.0 MiB\n"));
	assert_non_null(strstr(text, "  threads, most at once   4 (rank 0); busiest 1003 (rank 3): 4.00 MiB allocated\n"));
	assert_non_null(strstr(text, "  allocation latency      p50 21 ns, p90 21 ns, p99 21 ns, p99.9 "));
	assert_non_null(strstr(text, "most 4.00 us (rank 3)\n"));
	assert_non_null(strstr(text, "  sampled blocks' lives   half within 2.05 us, 90 % 2.05 us, 99 % 2.15 s; of bytes half 2.15 s\n"));
	assert_non_null(strstr(text, "rank 3 aborted 13:07:48 in step\n"));
	free(json);
	free(text);
	na_collect_free(c);
}

/* Full tables of everything, the widest figures: 100 lines and 100 columns hold. */
static void the_fullest_report_fits(void **state)
{
	struct na_collection *c;
	struct na_report report;
	struct na_oom_files oom;
	char *json, *text, name[64];

	(void)state;
	for (int i = 0; i < 12; i++) {
		struct na_record r;

		snprintf(name, sizeof(name), "a-node-whose-name-is-long-in-rack-%d", i % 6);
		record_make(&r, 10000 + i, 10012, name);
		for (int k = 0; k < 61; k++) {
			snprintf(name, sizeof(name), "phase %d of rank %d, with a long name", k, i);
			record_phase(&r, name, UINT64_C(999000000000), UINT64_C(1023) << 30, 0)->running = 1;
		}
		r.state = NA_RECORD_FINALIZING + (i % 2 ? 0 : 2);
		r.breakdown.phases[1].growth = (struct na_phase_growth){ 1 << 20, 200 << 20, 100 << 20, 16, 15 };
		r.breakdown.phases[1].allocated_bytes = UINT64_C(1023) << 30;
		r.breakdown.pool_count = 16;
		for (int k = 0; k < 16; k++) {
			snprintf(name, sizeof(name), "pool-with-a-long-name-%d", k);
			memcpy(r.breakdown.pools[k].name, name, NA_BREAKDOWN_NAME - 1);
			r.breakdown.pools[k].peak = UINT64_C(1023) << 30;
		}
		r.breakdown.latency.most = UINT64_C(3600000000000);
		r.heap.remote_releases = r.heap.releases = 1000000;
		r.heap.cache_refills = r.heap.class_allocations[0] = 1000000;
		r.heap.purged_bytes = UINT64_C(1) << 50;
		if (i == 5) { /* outliers, whose names, figures and medians are long */
			r.heap.peak_bytes = r.peak_physical = r.heap.large_live_bytes = UINT64_C(1023) << 40;
			r.record_ns = r.topology_ns = UINT64_C(3599000000000);
		}
		put(&r);
		snprintf(name, sizeof(name), "oom-%d.txt", 10000 + i);
		close(open(name, O_CREAT | O_WRONLY, 0666));
	}
	assert_int_equal(na_collect(job_folder, &c), 0);
	report = na_collect_report(c);
	report.post_mortem = 1;
	na_oom_files_find(folder, 0, &oom);
	report.oom = &oom;
	json = na_report_json(&report);
	text = texts_of(&report);
	hold_against_schema(json, 0, NULL);
	assert_non_null(strstr(text, "and 56 more phases: see report.json"));
	assert_non_null(strstr(text, "\n  (others) "));
	assert_non_null(strstr(text, "see oom-10000.txt, oom-10001.txt, oom-10002.txt and 9 more"));
	assert_non_null(strstr(text, "\n  finding: "));
	free(json);
	free(text);
	na_collect_free(c);
}

static json_t *at(json_t *v, const char *path)
{
	char key[64];

	while (*path) {
		size_t n = strcspn(path, "/");

		snprintf(key, sizeof(key), "%.*s", (int)n, path);
		v = json_is_array(v) ? json_array_get(v, (size_t)atoi(key)) : json_object_get(v, key);
		if (!v)
			fail_msg("no %s", path);
		path += n + (path[n] == '/');
	}
	return v;
}

static json_int_t whole(const char *path)
{
	json_t *v = at(document, path);

	if (!json_is_integer(v))
		fail_msg("%s is no integer", path);
	return json_integer_value(v);
}

static double real(const char *path)
{
	json_t *v = at(document, path);

	if (!json_is_number(v))
		fail_msg("%s is no number", path);
	return json_number_value(v);
}

/* What happened when, how it is spread, and what follows for the next job: of six ranks on two hosts, as records.h makes them. */
static void what_a_job_adds(void **state)
{
	struct na_collection *c;
	struct na_report report;
	char *json, *text;
	json_int_t sums = 0;

	(void)state;
	for (int i = 0; i < 6; i++) {
		struct na_record r;

		record_make(&r, i, 6, i % 2 ? "beta" : "alpha");
		memset(r.series.phase, 2, r.series.count); /* "step" */
		r.cgroup_limit = UINT64_C(64) << 20;
		r.request_bytes = UINT64_C(32) << 30;
		r.request_source = NA_REQUESTED_BY_SLURM_NODE;
		r.peak_nodes_live = (uint64_t)(i + 1) << 20;
		r.peak_requested = r.peak_nodes_live * 3 / 4;
		if (i == 4)
			r.heap.peak_bytes = UINT64_C(1) << 30;
		put(&r);
	}
	assert_int_equal(na_collect(job_folder, &c), 0);
	report = na_collect_report(c);
	json = na_report_json(&report);
	text = na_report_text(&report);
	hold_against_schema(json, 0, NULL);
	document = json_loads(json, 0, NULL);
	/* One axis, and the nodes' series add up to the job's. */
	for (size_t i = 0; i < json_array_size(at(document, "job/series/live_bytes")); i++) {
		json_int_t sum = 0, of = json_integer_value(json_array_get(at(document, "job/series/live_bytes"), i));

		for (size_t h = 0; h < 2; h++)
			sum += json_integer_value(json_array_get(at(json_array_get(at(document, "nodes"), h), "series/live_bytes"), i));
		assert_int_equal(sum, of);
		sums += sum;
	}
	assert_true(sums > 0);
	assert_int_equal(whole("nodes/1/series/begin_ms"), whole("job/series/begin_ms"));
	assert_true(json_is_null(at(document, "job/series/compressed_bytes/0")));
	assert_string_equal(json_string_value(at(document, "job/peak/phase")), "step");
	assert_int_equal(whole("job/peak/live_bytes"), whole("job/peaks/live_peak_of_sums"));
	assert_in_range(whole("job/peak/moment_ms"), START_MS, START_MS + 5000);
	/* Rank 2 has its peak at second 2, and was there from the start. */
	assert_int_equal(json_array_size(at(document, "job/rank_series/rows")), 6);
	assert_int_equal(whole("job/rank_series/rows/2/rank"), 2);
	assert_int_equal(whole("job/rank_series/rows/2/values/0") * whole("job/rank_series/unit_bytes"), 3 << 20);
	/* 12 + 8 + 4 MiB, and 24 + 16 + 8 on beta, of 64. */
	assert_int_equal(whole("nodes/0/headroom/free_bytes"), (64 - 4 * (1 + 3 + 5)) << 20);
	assert_int_equal(whole("nodes/1/headroom/free_bytes"), (64 - 4 * (2 + 4 + 6)) << 20);
	assert_int_equal(whole("nodes/0/headroom/more_ranks"), 1);
	assert_string_equal(json_string_value(at(document, "nodes/1/headroom/limit")), "cgroup");
	assert_int_equal(whole("job/memory_request/requested_bytes"), UINT64_C(32) << 30);
	assert_string_equal(json_string_value(at(document, "job/memory_request/source")), "SLURM_MEM_PER_NODE");
	assert_string_equal(json_string_value(at(document, "job/memory_request/directive")), "--mem=53M"); /* 48 and a tenth */
	assert_in_range(whole("job/metrics/live_bytes/quantiles/p50"), 7 << 19, (7 << 19) + (7 << 15)); /* 3.5 MiB, to 6 % */
	assert_true(real("job/metrics/live_bytes/stddev") > 1.7078 * 1048576 && real("job/metrics/live_bytes/stddev") < 1.7079 * 1048576);
	assert_int_equal(json_array_size(at(document, "job/outliers")), 1);
	assert_int_equal(whole("job/outliers/0/rank"), 4);
	assert_string_equal(json_string_value(at(document, "job/outliers/0/metric")), "peak_bytes");
	assert_int_equal(json_array_size(at(document, "job/numa_matrix")), 12);
	assert_int_equal(whole("job/numa_matrix/3/resident_bytes"), 2 << 20);
	assert_int_equal(whole("job/numa_matrix/3/misplaced_bytes"), 4096);
	assert_int_equal(whole("job/fragmentation/held_bytes"), 2 * 21 << 20);
	assert_true(real("job/fragmentation/external") > 0.4999 && real("job/fragmentation/external") < 0.5001);
	assert_true(real("job/fragmentation/internal") > 0.2499 && real("job/fragmentation/internal") < 0.2501);
	assert_true(real("job/rates/allocations_per_s") > 1199 && real("job/rates/allocations_per_s") < 1201);
	assert_string_equal(json_string_value(at(document, "job/call_sites/0/frames/0")), "assemble (solver)");
	assert_int_equal(whole("job/call_sites/0/bytes"), 42 << 20);
	assert_int_equal(whole("job/call_sites/0/ranks"), 6);
	assert_string_equal(json_string_value(at(document, "job/call_sites/1/frames/0")), "only_5 (solver)");
	assert_non_null(strstr(json, "\"over_requested\""));
	/* The same in the text. */
	assert_non_null(strstr(text, " in \"step\", physical 84.0 MiB, in bins of "));
	assert_non_null(strstr(text, "  live over time          |"));
	assert_non_null(strstr(text, "  least room              beta: 16.0 MiB of 64.0 MiB free (cgroup), for 0 more ranks\n"));
	assert_non_null(strstr(text, "  memory request          32.0 GiB a host (SLURM_MEM_PER_NODE); --mem=53M would have sufficed\n"));
	assert_non_null(strstr(text, "  outlier                 rank 4, alpha: peak_bytes 1.00 GiB, median "));
	assert_non_null(strstr(text, "  call site               42.0 MiB (67 %) on 6: assemble (solver) < main (solver)\n"));
	json_decref(document);
	free(json);
	free(text);
	na_collect_free(c);
}

/* Of more hosts than a report may carry, figures for monitoring name those with the least room; what would be a sum of some hosts only is unknown. */
static void more_hosts_than_are_named(void **state)
{
	struct na_collection *c;
	struct na_report report;
	char *text, name[32];
	int named = 0;

	(void)state;
	for (int i = 0; i < 70; i++) {
		struct na_record r;

		snprintf(name, sizeof(name), "host%02d", i);
		record_make(&r, i, 70, name);
		put(&r);
	}
	assert_int_equal(na_collect(job_folder, &c), 0);
	report = na_collect_report(c);
	text = na_report_metrics(&report);
	for (const char *at = text; (at = strstr(at, "\nnumarena_node_processes{")) != NULL; at++)
		named++;
	assert_int_equal(named, NA_JOB_FULLEST);
	assert_non_null(strstr(text, "host=\"host69\"}"));
	assert_null(strstr(text, "host=\"host00\"}"));
	free(text);
	text = na_report_json(&report);
	document = json_loads(text, 0, NULL);
	assert_int_equal(whole("job/numa_nodes/0/memory_bytes"), UINT64_C(70) * 64 << 30);
	json_decref(document);
	free(text);
	report.host_count = NA_JOB_FULLEST; /* as a reduction of so many nodes leaves them */
	text = na_report_json(&report);
	document = json_loads(text, 0, NULL);
	assert_true(json_is_null(at(document, "job/numa_nodes/0/memory_bytes")));
	assert_int_equal(whole("nodes/0/numa_nodes/0/memory_bytes"), UINT64_C(64) << 30);
	json_decref(document);
	free(text);
	na_collect_free(c);
}

static void out_of_memory_reports_of_this_job(void **state)
{
	static const char *const names[] = { "oom-10.txt", "oom-2.txt",	   "oom-alpha-77.txt", "oom-.txt", "oom-3.txt.tmp",
					     "report.txt", "oom-\n4.txt", "oom-5.txt",		"oom-old.txt" };
	struct timespec old[2] = { { .tv_sec = 1000000 }, { .tv_sec = 1000000 } };
	struct na_oom_files oom;
	char name[64];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		close(open(names[i], O_CREAT | O_WRONLY, 0666));
	assert_int_equal(utimensat(AT_FDCWD, "oom-old.txt", old, 0), 0); /* another job's, which went before */
	na_oom_files_find(folder, UINT64_C(2000000000), &oom);
	assert_int_equal(oom.count, 4);
	assert_int_equal(oom.listed, 4);
	assert_string_equal(oom.names[0], "oom-2.txt"); /* by number */
	assert_string_equal(oom.names[1], "oom-5.txt");
	assert_string_equal(oom.names[2], "oom-10.txt");
	assert_string_equal(oom.names[3], "oom-alpha-77.txt");
	for (int i = 100; i < 200; i++) {
		snprintf(name, sizeof(name), "oom-%d.txt", 299 - i);
		close(open(name, O_CREAT | O_WRONLY, 0666));
	}
	na_oom_files_find(folder, UINT64_C(2000000000), &oom);
	assert_int_equal(oom.count, 104);
	assert_int_equal(oom.listed, NA_OOM_LISTED);
	assert_string_equal(oom.names[0], "oom-2.txt");
	assert_string_equal(oom.names[NA_OOM_LISTED - 1], "oom-128.txt");
	na_oom_files_find("/tmp/numarena-no-such-folder", 0, &oom);
	assert_int_equal(oom.count, 0);
}

static int exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static void written_whole_or_elsewhere(void **state)
{
	struct na_collection *c;
	struct na_report report;
	struct na_report_paths paths;
	char complaint[500];

	(void)state;
	put_ranks(2, 2);
	assert_int_equal(na_collect(job_folder, &c), 0);
	report = na_collect_report(c);
	assert_int_equal(na_report_check_path("new/folder", complaint, sizeof(complaint)), 0);
	assert_int_equal(na_report_write(&report, "new/folder", &paths), 0);
	assert_true(exists("new/folder/report.json") && exists("new/folder/report.txt"));
	assert_int_equal(na_report_validate("new/folder/report.json", complaint, sizeof(complaint)), 0);
	/* Again: the same job replaces its report. Another job's, made since ours began, stays. */
	assert_int_equal(na_report_write(&report, "new/folder", &paths), 0);
	assert_false(exists("new/folder/report-4711.json"));
	strcpy(c->job.job, "4712");
	assert_int_equal(na_report_write(&report, "new/folder", &paths), 0);
	assert_true(exists("new/folder/report-4712.json"));
	/* A file in the folder's place: an error at the start, another place at the end. */
	close(open("file", O_CREAT | O_WRONLY, 0666));
	assert_int_equal(na_report_check_path("file", complaint, sizeof(complaint)), -ENOTDIR);
	assert_non_null(strstr(complaint, "file"));
	assert_int_equal(na_report_write(&report, "file", &paths), 1);
	assert_true(exists("numarena-report.4712/report.json"));
	na_collect_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(whole_job, enter, leave),
		cmocka_unit_test_setup_teardown(broken_job, enter, leave),
		cmocka_unit_test_setup_teardown(nothing_usable, enter, leave),
		cmocka_unit_test_setup_teardown(schema_refuses, enter, leave),
		cmocka_unit_test_setup_teardown(each_damage_is_refused, enter, leave),
		cmocka_unit_test_setup_teardown(phases_and_the_rest, enter, leave),
		cmocka_unit_test_setup_teardown(the_fullest_report_fits, enter, leave),
		cmocka_unit_test_setup_teardown(what_a_job_adds, enter, leave),
		cmocka_unit_test_setup_teardown(more_hosts_than_are_named, enter, leave),
		cmocka_unit_test_setup_teardown(out_of_memory_reports_of_this_job, enter, leave),
		cmocka_unit_test_setup_teardown(written_whole_or_elsewhere, enter, leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
