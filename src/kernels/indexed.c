/* SPDX-License-Identifier: BSD-3-Clause */
/* Gather and scatter; see indexed.h. */
#include "kernels/indexed.h"

#include "kernels/tune.h"

void begin_kernel_run(kernel_run_t *run, kernel_site_t *site, const void *const *probe)
{
	na_tune_begin(run, site, probe, NA_TUNE_DISTANCE);
}

void begin_kernel_group(kernel_run_t *run, kernel_site_t *site, const void *const *probe)
{
	na_tune_begin(run, site, probe, NA_TUNE_GROUP);
}

void next_kernel_chunk(kernel_run_t *run, size_t position)
{
	na_tune_next(run, position);
}

/* Short calls do without the judging, and what it needs on the stack. */
#define SHORT(n, body)                                                                                                 \
	if ((n) < KERNEL_LEAST) {                                                                                      \
		KERNEL_UNROLL_                                                                                         \
		for (size_t k = 0; k < (n); k++)                                                                       \
			body;                                                                                          \
		return;                                                                                                \
	}

#define GATHER(V, v, I, i)                                                                                             \
	void na_kernel_gather_##v##_##i(V *to, const V *from, const I *index, size_t n)                                \
	{                                                                                                              \
		SHORT(n, to[k] = from[index[k]])                                                                       \
		for_each_prefetched (k, n, &from[index[k]])                                                            \
			to[k] = from[index[k]];                                                                        \
	}
NA_KERNEL_TYPES(GATHER)

#define SCATTER(V, v, I, i)                                                                                            \
	void na_kernel_scatter_##v##_##i(V *to, const I *index, const V *from, size_t n)                               \
	{                                                                                                              \
		SHORT(n, to[index[k]] = from[k])                                                                       \
		for_each_prefetched (k, n, &to[index[k]])                                                              \
			to[index[k]] = from[k];                                                                        \
	}
NA_KERNEL_TYPES(SCATTER)

#define SCATTER_ADD(V, v, I, i)                                                                                        \
	void na_kernel_scatter_add_##v##_##i(V *to, const I *index, const V *from, size_t n)                           \
	{                                                                                                              \
		SHORT(n, to[index[k]] += from[k])                                                                      \
		for_each_prefetched (k, n, &to[index[k]])                                                              \
			to[index[k]] += from[k];                                                                       \
	}
NA_KERNEL_TYPES(SCATTER_ADD)
