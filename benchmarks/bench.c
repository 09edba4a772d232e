/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The harness behind bench.h. Its records are static, so that what the allocator holds is the
 * pattern's alone; stdio prints through a buffer on the stack for the same reason.
 *
 * Two barriers bracket the start: after the first all threads exist and have their stacks; the main thread then
 * reads the clock and releases them by the second. The clock stops when the last thread has been joined,
 * because what an allocator does at a thread's end is part of its price.
 */
#include "bench.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

struct bench_options bench = { .threads = 1, .scale = 1.0, .seed = 20240229 };

static const struct bench_pattern *pattern;
static struct bench_thread threads[BENCH_THREADS_MAX];
static pthread_barrier_t start;
static struct {
	const char *name;
	double value;
} notes[8];
static int note_count;

void bench_fail(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", pattern ? pattern->name : "benchmark");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

void bench_note(const char *name, double value)
{
	if (note_count == (int)(sizeof(notes) / sizeof(notes[0])))
		bench_fail("too many notes");
	notes[note_count].name = name;
	notes[note_count++].value = value;
}

long bench_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

void bench_thread_init(struct bench_thread *me, int rank)
{
	memset(me, 0, sizeof(*me));
	me->rank = rank;
	me->random = bench.seed + (uint64_t)rank * 0xd1342543de82ef95u;
}

void bench_thread_merge(struct bench_thread *into, const struct bench_thread *from)
{
	into->checksum += from->checksum;
	into->operations += from->operations;
	into->errors += from->errors;
}

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void usage(FILE *out)
{
	const char *const *mode;

	fprintf(out, "Usage: %s [OPTION]...\n%s\n\n", pattern->name, pattern->about);
	if (pattern->modes) {
		fprintf(out, "  --mode=MODE     one of");
		for (mode = pattern->modes; *mode; mode++)
			fprintf(out, " %s", *mode);
		fprintf(out, "\n");
	}
	fprintf(out,
		"  --threads=N     threads, %d to %d\n"
		"  --scale=X       amount of work; 1 takes some tenths of a second\n"
		"  --seed=N        start of the random numbers\n"
		"  --help          this text\n",
		pattern->least_threads > 1 ? pattern->least_threads : 1, BENCH_THREADS_MAX);
}

static void misuse(const char *argument)
{
	fprintf(stderr, "%s: bad argument '%s'\n", pattern->name, argument);
	usage(stderr);
	exit(2);
}

static double number(const char *argument, const char *text, double least, double most)
{
	char *end;
	double value;

	errno = 0;
	value = strtod(text, &end);
	if (end == text || *end || errno || !(value >= least && value <= most))
		misuse(argument);
	return value;
}

static int mode_of(const char *argument, const char *text)
{
	int i;

	for (i = 0; pattern->modes && pattern->modes[i]; i++)
		if (strcmp(pattern->modes[i], text) == 0)
			return i;
	misuse(argument);
	return -1;
}

static void parse(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0) {
			usage(stdout);
			exit(0);
		} else if (strncmp(argv[i], "--threads=", 10) == 0) {
			bench.threads = (int)number(argv[i], argv[i] + 10, 1, BENCH_THREADS_MAX);
		} else if (strncmp(argv[i], "--scale=", 8) == 0) {
			bench.scale = number(argv[i], argv[i] + 8, 1e-6, 1e6);
		} else if (strncmp(argv[i], "--seed=", 7) == 0) {
			bench.seed = (uint64_t)number(argv[i], argv[i] + 7, 0, 1e15);
		} else if (strncmp(argv[i], "--mode=", 7) == 0) {
			bench.mode = mode_of(argv[i], argv[i] + 7);
		} else {
			misuse(argv[i]);
		}
	}
	if (bench.threads < pattern->least_threads)
		bench.threads = pattern->least_threads;
}

static void *thread_main(void *argument)
{
	pthread_barrier_wait(&start);
	pthread_barrier_wait(&start);
	pattern->work(argument);
	return NULL;
}

static double run(void)
{
	pthread_t ids[BENCH_THREADS_MAX];
	double began;
	int i;

	if (pthread_barrier_init(&start, NULL, (unsigned int)bench.threads))
		bench_fail("cannot make a barrier");
	for (i = 1; i < bench.threads; i++)
		if (pthread_create(&ids[i], NULL, thread_main, &threads[i]))
			bench_fail("cannot start thread %d", i);
	pthread_barrier_wait(&start);
	began = seconds_now();
	pthread_barrier_wait(&start);
	pattern->work(&threads[0]);
	for (i = 1; i < bench.threads; i++)
		pthread_join(ids[i], NULL);
	return seconds_now() - began;
}

/*
 * The file that malloc and free come from, by asking the loader: a preload that was ignored (a wrong path, a wrong
 * architecture) must not pass for the allocator it names.
 */
static const char *malloc_library(void)
{
	Dl_info taken, given;

	if (!dladdr(dlsym(RTLD_DEFAULT, "malloc"), &taken) || !dladdr(dlsym(RTLD_DEFAULT, "free"), &given))
		bench_fail("cannot tell where malloc comes from");
	if (strcmp(taken.dli_fname, given.dli_fname) != 0)
		bench_fail("malloc is of %s, free of %s", taken.dli_fname, given.dli_fname);
	return taken.dli_fname;
}

static void print_string(const char *name, const char *text)
{
	printf("\"%s\": \"", name);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	printf("\", ");
}

static void print(double seconds, long faults)
{
	struct bench_thread *sum = &threads[0];
	int i;

	for (i = 1; i < bench.threads; i++)
		bench_thread_merge(sum, &threads[i]);
	printf("{\"pattern\": \"%s\", ", pattern->name);
	if (pattern->modes)
		print_string("mode", pattern->modes[bench.mode]);
	print_string("malloc", malloc_library());
	printf("\"threads\": %d, \"scale\": %g, \"seconds\": %.9f, \"operations\": %llu, "
	       "\"faults\": %ld, \"checksum\": \"%016llx\", \"errors\": %llu",
	       bench.threads, bench.scale, seconds, (unsigned long long)sum->operations, faults,
	       (unsigned long long)sum->checksum, (unsigned long long)sum->errors);
	for (i = 0; i < note_count; i++)
		printf(", \"%s\": %g", notes[i].name, notes[i].value);
	printf("}\n");
	if (fflush(stdout))
		bench_fail("cannot write the result");
	if (sum->errors)
		bench_fail("%llu blocks did not hold what was written to them", (unsigned long long)sum->errors);
}

int bench_main(int argc, char **argv, const struct bench_pattern *which)
{
	static char buffer[1024];
	double seconds;
	long faults;
	int i;

	pattern = which;
	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
	parse(argc, argv);
	for (i = 0; i < bench.threads; i++)
		bench_thread_init(&threads[i], i);
	if (pattern->prepare)
		pattern->prepare();
	faults = bench_faults();
	seconds = run();
	faults = bench_faults() - faults;
	if (pattern->finish)
		pattern->finish(&threads[0]);
	print(seconds, faults);
	return 0;
}
