/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The collectives that count (collectives.def), each under both of its names: Open MPI's Fortran bindings call the PMPI_ ones, and so does a
 * profiler between the program and the library, within the call that we have seen already. So the outermost on a thread counts.
 *
 * Cost: with coordination off a load and a jump; on, a thread's depth, a comparison of communicators, an addition. `benchmarks/coordination
 * counting` measures it.
 */
#include "mpi/coordinate.h"

#define EXPORT __attribute__((visibility("default")))

/* Found at the first call: relaxed, for two threads that look at the same time find the same. */
static __attribute__((noinline, cold)) void *find(void *_Atomic *place, const char *name)
{
	void *found = na_mpi_require(name);

	atomic_store_explicit(place, found, memory_order_relaxed);
	return found;
}

#define DEFINE(prefix, name, parameters, arguments)                                                                    \
	EXPORT int prefix##name parameters                                                                             \
	{                                                                                                              \
		static void *_Atomic next;                                                                             \
		void *found = atomic_load_explicit(&next, memory_order_relaxed);                                       \
		int(*call) parameters, rc;                                                                             \
                                                                                                                       \
		if (__builtin_expect(!found, 0))                                                                       \
			found = find(&next, #prefix #name);                                                            \
		*(void **)&call = found;                                                                               \
		if (__builtin_expect(!atomic_load_explicit(&na_coordination_on, memory_order_relaxed), 1))             \
			return call arguments;                                                                         \
		na_coordination_enter(comm);                                                                           \
		rc = call arguments;                                                                                   \
		na_coordination_leave(comm, rc);                                                                       \
		return rc;                                                                                             \
	}

#define NA_COLLECTIVE(name, parameters, arguments)                                                                     \
	DEFINE(MPI_, name, parameters, arguments) DEFINE(PMPI_, name, parameters, arguments)
#include "mpi/collectives.def"
