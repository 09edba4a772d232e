/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of benchmarks/kernels share. A file of cases fills an array of struct kernel_case and names it in KERNEL_CASES: that
 * is all it takes. Its plain loops are in a file of their own, kernels_plain_*.c, which is compiled with -O3 -march=native and without
 * the project's headers' inlines, as a user would write and compile them.
 *
 * setup() gets the bytes of the working set in run->size, allocates with kernel_array() and says what one call moves. plain(), ours()
 * and rivals then run in turns on the same arrays; check(), where there is one, is called after each once and must come to
 * the same. The harness frees the arrays. One thread.
 */
#ifndef BENCH_KERNELS_H
#define BENCH_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { KERNEL_SLOTS = 12, KERNEL_RIVALS = 6 };

struct kernel_run {
	size_t size;	   /* bytes of the working set, as asked for */
	size_t n;	   /* elements; setup's and the loops' own business, as is all below */
	size_t nx, ny, nz; /* of a grid */
	double bytes;	   /* that one call moves, counted as STREAM does: each array read or written once */
	double operations; /* of one call, on floating-point numbers; 0: none */
	double result;	   /* of sums, so that they are not optimised away */
	void *data[KERNEL_SLOTS];
	size_t lengths[KERNEL_SLOTS]; /* kernel_array()'s */
};

struct kernel_rival {
	const char *name;
	void (*run)(struct kernel_run *);
};

struct kernel_case {
	const char *name, *what;
	double goal;   /* plain time / our time at the size of the run; 0: none */
	double rivals; /* goal of the best rival's time / ours; 0: none */
	size_t size;   /* bytes of the working set where it is not the run's, for what is about caches */
	bool sweep;    /* takes part in --sweep */
	int (*setup)(struct kernel_run *); /* 0, or -1: cannot be had here */
	void (*plain)(struct kernel_run *);
	void (*ours)(struct kernel_run *);
	double (*check)(struct kernel_run *);
	struct kernel_rival rival[KERNEL_RIVALS]; /* ends with a NULL */
};

void kernel_cases_add(const struct kernel_case *cases, size_t count);

#define KERNEL_CASES(array)                                                    \
	static __attribute__((constructor)) void add_##array(void)             \
	{                                                                      \
		kernel_cases_add(array, sizeof(array) / sizeof((array)[0]));   \
	}

/* Memory of the run in a slot, zeroed, touched, at the start of a cache line `slot` lines into a page: arrays that all begin with a page
 * would meet in few sets of the caches. NULL without memory. --huge: on transparent huge pages. */
void *kernel_array(struct kernel_run *run, int slot, size_t bytes);

/* An array of random numbers in [0, 1), the same in each process. */
double *kernel_array_random(struct kernel_run *run, int slot, size_t count);

/* The sum of an array, weighted so that a permutation is noticed. */
double kernel_checksum(const double *a, size_t n);

/* The harness's own. */
struct kernel_settings {
	size_t size;
	size_t cache; /* bytes of the last level */
	int rounds;
	double sample; /* seconds that a sample lasts at least */
	bool huge;
	bool quick;
};
extern struct kernel_settings kernel_settings;

struct kernel_spread {
	double median, low, high; /* quartiles */
};

struct kernel_figures {
	const struct kernel_case *of;
	size_t size;
	double bytes, operations;
	struct kernel_spread plain, ours, ratio; /* seconds a call; plain over ours, within each round */
	struct kernel_spread rival[KERNEL_RIVALS];
	struct kernel_spread rival_ratio[KERNEL_RIVALS]; /* rival over ours */
	int best_rival;				       /* -1: none */
	bool wrong;				       /* check() disagrees */
	bool absent;				       /* setup() says so */
};

struct kernel_peak {
	double bandwidth;  /* bytes a second: the best of the loops in kernels_peak.c at the run's size */
	const char *loop;  /* which that was */
	double operations; /* a second: fused multiply-adds in registers */
};

void kernel_measure(const struct kernel_case *c, size_t size, struct kernel_figures *out);
void kernel_measure_peak(size_t size, struct kernel_peak *out);

void kernel_write_json(FILE *out, const struct kernel_peak *peak, const struct kernel_figures *all, size_t count,
		       const struct kernel_figures *swept, size_t swept_count);
void kernel_write_svg(FILE *out, const struct kernel_peak *peak, const struct kernel_figures *all, size_t count);

#endif
