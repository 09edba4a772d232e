/* SPDX-License-Identifier: BSD-3-Clause */
/* Timing for benchmarks/kernels: plain, ours and rivals in turns, each round in another order; medians and quartiles of their times and
 * of the ratios within rounds, whose runs met the machine in the same state. Also the peak that shares are of. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "kernels.h"
#include "kernels_plain.h"

enum { MOST_ROUNDS = 101, RUNNERS = KERNEL_RIVALS + 2, PAGE = 4096, LINE = 64, HUGE_PAGE = 2 << 20 };

struct runners {
	void (*run[RUNNERS])(struct kernel_run *);
	double times[RUNNERS][MOST_ROUNDS];
	int count;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void *kernel_array(struct kernel_run *run, int slot, size_t bytes)
{
	size_t length = (bytes + 2 * HUGE_PAGE) & ~(size_t)(HUGE_PAGE - 1);
	size_t whole = length + HUGE_PAGE;
	char *base = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *p;
	size_t off;

	if (base == MAP_FAILED)
		return NULL;
	off = (size_t)(-(uintptr_t)base & (HUGE_PAGE - 1));
	if (off)
		munmap(base, off);
	p = base + off;
	if (whole - off > length)
		munmap(p + length, whole - off - length);
	madvise(p, length, kernel_settings.huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	memset(p, 0, bytes + (size_t)slot * 5 * LINE);
	run->data[slot] = p + (size_t)slot * 5 * LINE;
	run->lengths[slot] = length;
	return run->data[slot];
}

double *kernel_array_random(struct kernel_run *run, int slot, size_t count)
{
	double *a = kernel_array(run, slot, count * sizeof(double));
	uint64_t x = 0x9e3779b97f4a7c15 + (uint64_t)slot;

	for (size_t i = 0; a && i < count; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		a[i] = (double)(x >> 11) * 0x1p-53;
	}
	return a;
}

double kernel_checksum(const double *a, size_t n)
{
	double s = 0;

	for (size_t i = 0; i < n; i++)
		s += a[i] * (double)(i % 7 + 1);
	return s;
}

static void release(struct kernel_run *run)
{
	for (int i = 0; i < KERNEL_SLOTS; i++)
		if (run->lengths[i])
			munmap((void *)((uintptr_t)run->data[i] & ~(uintptr_t)(HUGE_PAGE - 1)), run->lengths[i]);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static struct kernel_spread spread(const double *values, int n)
{
	double sorted[MOST_ROUNDS];

	memcpy(sorted, values, (size_t)n * sizeof(double));
	qsort(sorted, (size_t)n, sizeof(double), by_value);
	return (struct kernel_spread){ .median = n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2,
				       .low = sorted[n / 4],
				       .high = sorted[n - 1 - n / 4] };
}

static struct kernel_spread spread_ratio(const double *a, const double *b, int n)
{
	double ratios[MOST_ROUNDS];

	for (int i = 0; i < n; i++)
		ratios[i] = a[i] / b[i];
	return spread(ratios, n);
}

static double time_calls(void (*f)(struct kernel_run *), struct kernel_run *run, size_t calls)
{
	double start = now();

	for (size_t i = 0; i < calls; i++)
		f(run);
	return (now() - start) / (double)calls;
}

static size_t calls_a_sample(void (*f)(struct kernel_run *), struct kernel_run *run)
{
	size_t calls = 1;

	f(run);
	while (time_calls(f, run, calls) * (double)calls < kernel_settings.sample && calls < (size_t)1 << 30)
		calls *= 2;
	return calls;
}

static void run_rounds(struct runners *r, struct kernel_run *run, size_t calls)
{
	for (int round = 0; round < kernel_settings.rounds; round++)
		for (int k = 0; k < r->count; k++) {
			int place = (round / 2 + k) % r->count, which = round % 2 ? r->count - 1 - place : place;

			/* What the one before has left in the caches is not this one's merit: once without the clock,
			 * where that is not as long as the sample itself. */
			if (calls > 1)
				r->run[which](run);
			r->times[which][round] = time_calls(r->run[which], run, calls);
		}
}

static bool differ(const struct kernel_case *c, struct kernel_run *run, const struct runners *r)
{
	double first, other;

	if (!c->check)
		return false;
	run->result = 0;
	r->run[0](run);
	first = c->check(run);
	for (int k = 1; k < r->count; k++) {
		run->result = 0;
		r->run[k](run);
		other = c->check(run);
		if (!(fabs(other - first) <= 1e-9 * fabs(first)))
			return true;
	}
	return false;
}

void kernel_measure(const struct kernel_case *c, size_t size, struct kernel_figures *out)
{
	static struct runners r;
	struct kernel_run run = { .size = size };
	int rounds = kernel_settings.rounds;

	*out = (struct kernel_figures){ .of = c, .size = size, .best_rival = -1 };
	r.run[0] = c->plain;
	r.run[1] = c->ours;
	for (r.count = 2; r.count < RUNNERS && c->rival[r.count - 2].run; r.count++)
		r.run[r.count] = c->rival[r.count - 2].run;
	if (c->setup(&run) < 0) {
		out->absent = true;
		release(&run);
		return;
	}
	out->wrong = differ(c, &run, &r);
	run_rounds(&r, &run, calls_a_sample(c->plain, &run));
	out->bytes = run.bytes;
	out->operations = run.operations;
	out->plain = spread(r.times[0], rounds);
	out->ours = spread(r.times[1], rounds);
	out->ratio = spread_ratio(r.times[0], r.times[1], rounds);
	for (int k = 2; k < r.count; k++) {
		out->rival[k - 2] = spread(r.times[k], rounds);
		out->rival_ratio[k - 2] = spread_ratio(r.times[k], r.times[1], rounds);
		if (out->best_rival < 0 || out->rival[k - 2].median < out->rival[out->best_rival].median)
			out->best_rival = k - 2;
	}
	release(&run);
}

/* The best of several simple loops: none of ours, and none that a kernel of ours is compared with. */
void kernel_measure_peak(size_t size, struct kernel_peak *out)
{
	static const struct {
		const char *name;
		int arrays;
		void (*loop)(double *, const double *, const double *, size_t);
	} loops[] = { { "read", 1, peak_read }, { "fill", 1, peak_fill }, { "copy", 2, peak_copy }, { "triad", 3, peak_triad } };
	struct kernel_run run = { .size = size };
	size_t n = size / sizeof(double) / 3;
	double *a[3];

	*out = (struct kernel_peak){ .loop = "none" };
	for (int i = 0; i < 3; i++)
		if (!(a[i] = kernel_array(&run, i, n * sizeof(double))))
			return;
	for (int round = 0; round < kernel_settings.rounds; round++) {
		for (size_t i = 0; i < sizeof(loops) / sizeof(loops[0]); i++) {
			double start = now(), rate;

			loops[i].loop(a[0], a[1], a[2], n);
			rate = (double)(n * sizeof(double)) * loops[i].arrays / (now() - start);
			if (rate > out->bandwidth) {
				out->bandwidth = rate;
				out->loop = loops[i].name;
			}
		}
		double start = now(), done = peak_operations(a[0]), rate = done / (now() - start);

		out->operations = rate > out->operations ? rate : out->operations;
	}
	release(&run);
}
