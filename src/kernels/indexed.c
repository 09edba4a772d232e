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

/* Nobody waits for a store, so nothing is won by fetching ahead where the caches are near. The plain loop is the fastest one there, if it does not cross a line of
 * code (then it takes four times as long): the only loop of its function, or GCC would not align it. */
#define SCATTER_LEAST ((size_t)1 << 20)

#define SCATTER(V, v, I, i)                                                                                            \
	static __attribute__((noinline)) void scatter_plain_##v##_##i(V *to, const I *index, const V *from, size_t n)  \
	{                                                                                                              \
		for (size_t k = 0; k < n; k++)                                                                         \
			to[index[k]] = from[k];                                                                        \
	}                                                                                                              \
	static __attribute__((noinline)) void judged_kernel_scatter_##v##_##i(V *to, const I *index, const V *from,    \
									      size_t n)                                \
	{                                                                                                              \
		for_each_prefetched (k, n, &to[index[k]])                                                              \
			to[index[k]] = from[k];                                                                        \
	}                                                                                                              \
	void na_kernel_scatter_##v##_##i(V *to, const I *index, const V *from, size_t n)                               \
	{                                                                                                              \
		if (n < SCATTER_LEAST)                                                                                 \
			scatter_plain_##v##_##i(to, index, from, n);                                                   \
		else                                                                                                   \
			judged_kernel_scatter_##v##_##i(to, index, from, n);                                           \
	}
#undef KERNEL_NAME
#define KERNEL_NAME (__func__ + 7) /* without judged_ */
NA_KERNEL_TYPES(SCATTER)
#undef KERNEL_NAME
#define KERNEL_NAME (__func__ + 3)

#define SCATTER_ADD(V, v, I, i)                                                                                        \
	void na_kernel_scatter_add_##v##_##i(V *to, const I *index, const V *from, size_t n)                           \
	{                                                                                                              \
		SHORT(n, to[index[k]] += from[k])                                                                      \
		for_each_prefetched (k, n, &to[index[k]])                                                              \
			to[index[k]] += from[k];                                                                       \
	}
NA_KERNEL_TYPES(SCATTER_ADD)
