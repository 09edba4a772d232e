/* SPDX-License-Identifier: BSD-3-Clause */
/* The dense cases of benchmarks/kernels. */
#include "kernels.h"
#include "kernels_plain.h"

static double check_first(struct kernel_run *r)
{
	return 0 * r->result;
}

static int setup_process(struct kernel_run *r)
{
	r->n = r->size / sizeof(double);
	r->bytes = (double)(2 * r->n * sizeof(double));
	r->operations = 2 * (double)r->n;
	return kernel_array_random(r, 0, r->n + 1024) ? 0 : -1;
}

static void process_plain(struct kernel_run *r)
{
	plain_process(r->data[0], r->n);
}

static void process_documented(struct kernel_run *r)
{
	plain_process_documented(r->data[0], r->n);
}

static const struct kernel_case dense[] = {
	{ .name = "documented-loop",
	  .what = "the documentation's loop with its prefetch against that without, data in the cache",
	  .goal = 0.98,
	  .size = 256 << 10,
	  .setup = setup_process,
	  .plain = process_plain,
	  .ours = process_documented,
	  .check = check_first },
};

KERNEL_CASES(dense)
