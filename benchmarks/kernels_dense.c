/* SPDX-License-Identifier: BSD-3-Clause */
/* The dense cases of benchmarks/kernels. Arrays are in slots 0 (written), 1, 2 (read); of structures, in slot 11, and their fields in 0 to 6. */
#include <numarena/kernels.h>

#include "kernels.h"
#include "kernels_plain.h"

#define A ((double *)r->data[0])
#define B ((double *)r->data[1])
#define C ((double *)r->data[2])

static double check_array(struct kernel_run *r)
{
	return kernel_checksum(A, r->n);
}

static double check_result(struct kernel_run *r)
{
	return r->result;
}

static int setup_arrays(struct kernel_run *r, int arrays, double operations)
{
	r->n = r->size / sizeof(double) / (size_t)arrays;
	r->bytes = (double)(r->n * sizeof(double)) * arrays;
	r->operations = operations * (double)r->n;
	for (int i = 0; i < arrays; i++)
		if (!kernel_array_random(r, i, r->n))
			return -1;
	return 0;
}

static int setup_fill(struct kernel_run *r)
{
	return setup_arrays(r, 1, 0);
}

static int setup_copy(struct kernel_run *r)
{
	return setup_arrays(r, 2, 0);
}

static int setup_scale(struct kernel_run *r)
{
	return setup_arrays(r, 2, 1);
}

static int setup_add(struct kernel_run *r)
{
	return setup_arrays(r, 3, 1);
}

static int setup_triad(struct kernel_run *r)
{
	return setup_arrays(r, 3, 2);
}

static int setup_sum(struct kernel_run *r)
{
	return setup_arrays(r, 1, 1);
}

static int setup_dot(struct kernel_run *r)
{
	return setup_arrays(r, 2, 2);
}

/* A call of the plain loop and one of ours. */
#define PAIR(name, plain, ours)                                                                                        \
	static void name##_plain(struct kernel_run *r)                                                                 \
	{                                                                                                              \
		plain;                                                                                                 \
	}                                                                                                              \
	static void name##_ours(struct kernel_run *r)                                                                  \
	{                                                                                                              \
		ours;                                                                                                  \
	}

PAIR(copy, plain_copy(A, B, r->n), ours_copy(A, B, r->n))
PAIR(fill, plain_fill(A, 1.5, r->n), ours_fill(A, 1.5, r->n))
PAIR(scale, plain_scale(A, B, 3, r->n), ours_scale(A, B, 3, r->n))
PAIR(add, plain_add(A, B, C, r->n), ours_add(A, B, C, r->n))
PAIR(triad, plain_triad(A, B, C, 3, r->n), ours_triad(A, B, C, 3, r->n))
PAIR(sum, r->result = plain_sum(A, r->n), r->result = kernel_sum_f64(A, r->n))
PAIR(dot, r->result = plain_dot(A, B, r->n), r->result = kernel_dot_f64(A, B, r->n))

static void triad_stream(struct kernel_run *r)
{
	stream_triad(A, B, C, 3, r->n);
}

static void triad_streaming(struct kernel_run *r)
{
	stream_triad_streaming(A, B, C, 3, r->n);
}

static void triad_prefetching(struct kernel_run *r)
{
	stream_triad_prefetching(A, B, C, 3, r->n);
}

/* Floats of a value that both kinds of rounding agree on. */
static int setup_floats(struct kernel_run *r, int arrays, double operations)
{
	r->n = r->size / sizeof(float) / (size_t)arrays;
	r->bytes = (double)(r->n * sizeof(float)) * arrays;
	r->operations = operations * (double)r->n;
	for (int i = 0; i < arrays; i++) {
		float *a = kernel_array(r, i, r->n * sizeof(float));

		for (size_t k = 0; a && k < r->n; k++)
			a[k] = (float)(k % 1000);
		if (!a)
			return -1;
	}
	return 0;
}

static int setup_triad_f32(struct kernel_run *r)
{
	return setup_floats(r, 3, 2);
}

static int setup_sum_f32(struct kernel_run *r)
{
	return setup_floats(r, 1, 1);
}

static double check_floats(struct kernel_run *r)
{
	const float *a = r->data[0];
	double s = 0;

	for (size_t i = 0; i < r->n; i++)
		s += (double)a[i] * (double)(i % 7 + 1);
	return s;
}

PAIR(triad_f32, plain_triad_f32(r->data[0], r->data[1], r->data[2], 3, r->n),
     ours_triad_f32(r->data[0], r->data[1], r->data[2], 3, r->n))
PAIR(sum_f32, r->result = plain_sum_f32(r->data[0], r->n), r->result = kernel_sum_f32(r->data[0], r->n))

/* A cube, or nearly: rows of whole lines, as codes have them. */
static int setup_stencil(struct kernel_run *r)
{
	size_t points = r->size / sizeof(double) / 2, side = 3;

	while ((side + 1) * (side + 1) * (side + 1) <= points)
		side++;
	r->nx = r->ny = r->nz = side;
	r->n = side * side * side;
	r->bytes = 2 * (double)(r->n * sizeof(double));
	r->operations = 13 * (double)((side - 2) * (side - 2) * (side - 2));
	return kernel_array_random(r, 0, r->n) && kernel_array_random(r, 1, r->n) ? 0 : -1;
}

static const double weights[7] = { 0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1 };

PAIR(stencil, plain_stencil7(A, B, r->nx, r->ny, r->nz, weights),
     ours_stencil7(A, B, r->nx, r->ny, r->nz, weights))

static int setup_fields(struct kernel_run *r, size_t fields)
{
	r->n = r->size / sizeof(double) / 2 / fields;
	r->bytes = 2 * (double)(r->n * fields * sizeof(double));
	for (size_t f = 0; f < fields; f++)
		if (!kernel_array_random(r, (int)f, r->n))
			return -1;
	return kernel_array_random(r, 11, r->n * fields) ? 0 : -1;
}

static int setup_fields3(struct kernel_run *r)
{
	return setup_fields(r, 3);
}

static int setup_fields7(struct kernel_run *r)
{
	return setup_fields(r, 7);
}

static double check_split(struct kernel_run *r)
{
	return kernel_checksum(A, r->n) + kernel_checksum(C, r->n) + (r->data[6] ? kernel_checksum(r->data[6], r->n) : 0);
}

static double check_join(struct kernel_run *r)
{
	return kernel_checksum(r->data[11], r->n * 7);
}

#define SOA ((double *const *)r->data)
PAIR(split3, plain_split3(SOA, r->data[11], r->n), ours_split3(SOA, r->data[11], r->n))
PAIR(split7, plain_split7(SOA, r->data[11], r->n), ours_split7(SOA, r->data[11], r->n))
PAIR(join7, plain_join7(r->data[11], SOA, r->n), ours_join7(r->data[11], SOA, r->n))

static int setup_process(struct kernel_run *r)
{
	r->n = r->size / sizeof(double);
	r->bytes = (double)(2 * r->n * sizeof(double));
	r->operations = 2 * (double)r->n;
	return kernel_array_random(r, 0, r->n + 1024) ? 0 : -1;
}

void process_elsewhere(double *element)
{
	*element = *element * 0.999 + 0.001;
}

void process_longer(double *element)
{
	double v = *element;

	for (int k = 0; k < 4; k++)
		v = v * v * 0.5 + 0.25;
	*element = v > 0.9 ? v - 0.5 : v + 0.01;
}

PAIR(elsewhere, plain_process_elsewhere(A, r->n), documented_process_elsewhere(A, r->n))
PAIR(longer, plain_process_longer(A, r->n), documented_process_longer(A, r->n))
PAIR(exp, plain_process_exp(A, r->n), documented_process_exp(A, r->n))
PAIR(branching, plain_process_branching(A, r->n), documented_process_branching(A, r->n))
PAIR(linear, plain_process_linear(A, r->n), documented_process_linear(A, r->n))

#define BOTH(name) .plain = name##_plain, .ours = name##_ours

static const struct kernel_case dense[] = {
	{ .name = "copy", .what = "a = b", .goal = 1.4, .sweep = true, .setup = setup_copy, BOTH(copy), .check = check_array },
	{ .name = "fill", .what = "a = 1.5", .sweep = true, .setup = setup_fill, BOTH(fill), .check = check_array },
	{ .name = "scale", .what = "a = 3 b", .sweep = true, .setup = setup_scale, BOTH(scale), .check = check_array },
	{ .name = "add", .what = "a = b + c", .sweep = true, .setup = setup_add, BOTH(add), .check = check_array },
	{ .name = "triad",
	  .what = "a = b + 3 c",
	  .goal = 1.4,
	  .rivals = 0.98,
	  .sweep = true,
	  .setup = setup_triad,
	  BOTH(triad),
	  .check = check_array,
	  .rival = { { "STREAM", triad_stream },
		     { "STREAM, streaming", triad_streaming },
		     { "STREAM, prefetching", triad_prefetching } } },
	{ .name = "triad-f32", .what = "of floats", .sweep = true, .setup = setup_triad_f32, BOTH(triad_f32), .check = check_floats },
	{ .name = "sum", .what = "of a", .sweep = true, .setup = setup_sum, BOTH(sum), .check = check_result },
	{ .name = "sum-f32", .what = "of floats, in double", .sweep = true, .setup = setup_sum_f32, BOTH(sum_f32), .check = check_result },
	{ .name = "dot", .what = "of a and b", .sweep = true, .setup = setup_dot, BOTH(dot), .check = check_result },
	{ .name = "stencil7", .what = "7 points, a cube", .sweep = true, .setup = setup_stencil, BOTH(stencil), .check = check_array },
	{ .name = "aos-to-soa-3", .what = "structures of 3 doubles", .sweep = true, .setup = setup_fields3, BOTH(split3), .check = check_split },
	{ .name = "aos-to-soa-7",
	  .what = "structures of 7 doubles",
	  .goal = 1.3,
	  .sweep = true,
	  .setup = setup_fields7,
	  BOTH(split7),
	  .check = check_split },
	{ .name = "soa-to-aos-7", .what = "and back", .sweep = true, .setup = setup_fields7, BOTH(join7), .check = check_join },
	{ .name = "documented-loop",
	  .what = "the documentation's loop with its prefetch against that without, data in the cache",
	  .goal = 0.98,
	  .size = 256 << 10,
	  .setup = setup_process,
	  BOTH(elsewhere) },
	{ .name = "documented-loop-longer",
	  .what = "the same, with a function of twenty instructions",
	  .goal = 0.98,
	  .size = 256 << 10,
	  .setup = setup_process,
	  BOTH(longer) },
	{ .name = "documented-loop-exp",
	  .what = "the same, with an exponential inlined",
	  .goal = 0.98,
	  .size = 256 << 10,
	  .setup = setup_process,
	  BOTH(exp) },
	{ .name = "documented-loop-inlined",
	  .what = "the same, with some dependent operations and a branch inlined",
	  .goal = 0.98,
	  .size = 256 << 10,
	  .setup = setup_process,
	  BOTH(branching) },
	{ .name = "documented-loop-linear",
	  .what = "the same, with what compilers make vector code of, unless they find a prefetch",
	  .size = 256 << 10,
	  .setup = setup_process,
	  BOTH(linear) },
};

KERNEL_CASES(dense)
