/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/kernels.h"

#include "base/log.h"
#include "base/options.h"
#include "pool/nodes.h"
#include "topology/topology.h"

#define ASSUMED_CACHE ((size_t)32 << 20) /* of a machine that does not tell */

_Atomic(const struct na_kernels *) na_kernels_chosen;
_Atomic size_t na_kernels_stream_bytes;

static _Atomic bool asked; /* relaxed: two threads that both ask find the same */

#ifdef __x86_64__
const struct na_kernels *na_kernels_table(uint64_t variant)
{
	__builtin_cpu_init();
	switch (variant) {
	case NA_KERNELS_AUTO:
		return __builtin_cpu_supports("avx512f") ? &na_kernels_avx512
		       : __builtin_cpu_supports("avx2")	 ? &na_kernels_avx2
							 : &na_kernels_portable;
	case NA_KERNELS_PORTABLE:
		return &na_kernels_portable;
	case NA_KERNELS_AVX2:
		return __builtin_cpu_supports("avx2") ? &na_kernels_avx2 : NULL;
	case NA_KERNELS_AVX512:
		return __builtin_cpu_supports("avx512f") ? &na_kernels_avx512 : NULL;
	default:
		return NULL;
	}
}
#elif defined(NA_KERNELS_HAVE_SVE)
#include <sys/auxv.h>

#define HWCAP_SVE_ (1ul << 22)

const struct na_kernels *na_kernels_table(uint64_t variant)
{
	bool sve = getauxval(AT_HWCAP) & HWCAP_SVE_;

	switch (variant) {
	case NA_KERNELS_AUTO:
		return sve && na_kernels_sve_bytes() > 16 ? &na_kernels_sve : &na_kernels_portable;
	case NA_KERNELS_PORTABLE:
		return &na_kernels_portable;
	case NA_KERNELS_SVE:
		return sve ? &na_kernels_sve : NULL;
	default:
		return NULL;
	}
}
#else
const struct na_kernels *na_kernels_table(uint64_t variant)
{
	return variant == NA_KERNELS_AUTO || variant == NA_KERNELS_PORTABLE ? &na_kernels_portable : NULL;
}
#endif

/* From now on small calls find the table. Another thread may have been faster, and the tuner since. */
static void open_gate(void)
{
	size_t closed = 0,
	       least = na_options.kernel_stream ? (size_t)na_options.kernel_stream : NA_KERNELS_STREAM_LEAST;

	if (na_options.kernel_stream)
		atomic_store_explicit(&asked, true, memory_order_relaxed);
	atomic_compare_exchange_strong_explicit(&na_kernels_stream_bytes, &closed, least, memory_order_release,
						memory_order_relaxed);
}

const struct na_kernels *na_kernels_choose(void)
{
	static _Atomic bool told;
	const struct na_kernels *k;

	na_pools_boot();
	k = na_kernels_table(na_options.kernels);
	if (!k) {
		k = na_kernels_table(NA_KERNELS_AUTO);
		if (!atomic_exchange_explicit(&told, true, memory_order_relaxed))
			na_log(NA_LOG_WARNING, "NUMARENA_KERNELS=%s: this processor cannot; %s is used",
			       na_kernels_name(na_options.kernels), k->name);
	}
	atomic_store_explicit(&na_kernels_chosen, k, memory_order_relaxed);
	open_gate();
	return k;
}

static uint32_t count_cpus(const struct na_topology *t)
{
	uint32_t n = 0;

	for (uint32_t cpu = 0; cpu < t->cpu_slots; cpu++)
		n += t->allowed_cpus[cpu / (8 * sizeof(long))] >> cpu % (8 * sizeof(long)) & 1;
	return n;
}

/* The part of one last-level cache that this process has: all of it if it may run on all of its CPUs. */
static size_t cache_share(void)
{
	const struct na_topology *t;
	const struct na_topology_cache *last;
	uint32_t cpus;

	if (na_topology_get(&t) < 0 || t->cache_count == 0)
		return ASSUMED_CACHE;
	last = &t->caches[t->cache_count - 1];
	cpus = count_cpus(t);
	if (last->least == 0 || last->sharing == 0)
		return ASSUMED_CACHE;
	if (cpus == 0 || cpus > last->sharing)
		cpus = last->sharing;
	return (size_t)(last->least / last->sharing * cpus);
}

size_t na_kernels_stream_threshold(void)
{
	na_kernels();
	if (!atomic_load_explicit(&asked, memory_order_relaxed)) {
		size_t share = cache_share(), bytes = share < NA_KERNELS_STREAM_LEAST ? NA_KERNELS_STREAM_LEAST : share;

		atomic_store_explicit(&na_kernels_stream_bytes, bytes, memory_order_relaxed);
		atomic_store_explicit(&asked, true, memory_order_relaxed);
	}
	return atomic_load_explicit(&na_kernels_stream_bytes, memory_order_relaxed);
}

bool na_kernels_stream(size_t bytes)
{
	na_kernels();
	return bytes >= atomic_load_explicit(&na_kernels_stream_bytes, memory_order_relaxed) &&
	       bytes >= na_kernels_stream_threshold();
}
