/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program with functions of its own by our names, that does not include our headers: it links beside us, its
 * functions are its own, and ours are found under numarena_ names, as Fortran and dlsym find them.
 */
#include <dlfcn.h>

#include "support/check.h"

static int own_calls;

#define OWN(name)                                                                                                      \
	int name(void);                                                                                                \
	int name(void)                                                                                                 \
	{                                                                                                              \
		return ++own_calls;                                                                                    \
	}

OWN(allocate_from_pool)
OWN(return_to_pool)
OWN(flush_memory_pools)
OWN(initialize_memory_pool)
OWN(initialize_memory_system)
OWN(get_memory_statistics)
OWN(last_memory_error)
OWN(retry_allocation)
OWN(cleanup_memory_resources)
OWN(release_memory)

extern void *numarena_allocate_from_pool(size_t);
extern void numarena_return_to_pool(void *);

int main(void)
{
	static const char *const ours[] = { "allocate_from_pool",    "return_to_pool",	      "create_memory_pool",
					    "get_memory_statistics", "start_memory_tracking", "last_memory_error" };
	void *p = numarena_allocate_from_pool(100);
	char name[64];
	size_t (*allocation_size)(const void *);

	check_watchdog(20);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		snprintf(name, sizeof(name), "numarena_%s", ours[i]);
		CHECK_MSG(dlsym(RTLD_DEFAULT, name) != NULL, "no symbol %s", name);
	}
	CHECK(p != NULL);
	*(void **)&allocation_size = dlsym(RTLD_DEFAULT, "numarena_allocation_size");
	REQUIRE(allocation_size);
	CHECK(allocation_size(p) >= 100);
	CHECK(own_calls == 0); /* ours call ours */
	numarena_return_to_pool(p);
	CHECK(own_calls == 0);
	CHECK_EQ(allocate_from_pool() + return_to_pool() + flush_memory_pools() + initialize_memory_pool() +
			 initialize_memory_system() + get_memory_statistics() + last_memory_error() +
			 retry_allocation() + cleanup_memory_resources() + release_memory(),
		 55);
	CHECK(dlsym(RTLD_DEFAULT, "na_heap_allocate_slow") == NULL); /* internals stay inside */
	return check_result();
}
