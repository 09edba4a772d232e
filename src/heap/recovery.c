/* SPDX-License-Identifier: BSD-3-Clause */
/* Making room when an allocation has failed, and saying why there was none; see pressure.h. */
#include <errno.h>

#include "base/log.h"
#include "base/options.h"
#include "heap/heap.h"
#include "heap/hooks.h"
#include "heap/pressure.h"
#include "os/limit.h"
#include "os/os.h"

static uint64_t held(void)
{
	return na_pool_counted();
}

uint64_t na_recovery_try(uint64_t size)
{
	int saved = errno;
	uint64_t bytes;

	if (size >> 46) /* no room would do */
		return 0;
	bytes = na_heap_flush();
	for (uint32_t i = 0; i < na_pool_count; i++)
		bytes += na_pool_release(&na_pools[i]);
	bytes += na_named_release();
	/* With recovery on this is a rung of its own ladder, after purging has not helped. */
	if (na_heap_hooks.compress && !na_os_inside && !__atomic_load_n(&na_options.recovery, __ATOMIC_RELAXED))
		bytes += na_heap_hooks.compress(size + NA_SEGMENT / 8);
	errno = saved;
	return bytes;
}

int na_recovery_why(uint64_t size, char *out, size_t capacity)
{
	uint64_t limit = na_pool_ask_limit(), now = held();
	struct na_limits_memory m;
	bool by_group;

	if (!(size >> 46) && now + size > limit) {
		na_limits_memory(&m);
		by_group = na_pressure_follows() && limit <= m.group && m.group <= m.physical;
		na_format(out, capacity, "%llu held of %llu allowed (%s)", (unsigned long long)now,
			  (unsigned long long)limit,
			  by_group		? "the cgroup's memory limit, less what others of the group use"
			  : limit == m.physical ? "the machine's memory"
						: "total_size");
		return NA_LIMIT_KINDS + by_group;
	}
	return (int)na_limits_why(size, out, capacity);
}

void na_recovery_failed(uint64_t size)
{
	static _Atomic bool said[NA_WHY_KINDS];
	static _Atomic uint32_t failures;
	uint32_t n = atomic_fetch_add_explicit(&failures, 1, memory_order_relaxed);
	char why[200];
	int kind;

	_Static_assert(NA_LIMIT_KINDS + 2 <= NA_WHY_KINDS,
		       "the pool's and the cgroup's limits come after the system's");
	/* An absurd size is the program's own affair; and to ask costs up to 50 ms (/proc/self/maps), so one that
	 * lives at its limit asks ever more seldom. */
	if (size >> 46 || (n & (n + 1)) != 0)
		return;
	kind = na_recovery_why(size, why, sizeof(why));
	if (!atomic_exchange_explicit(&said[kind], true, memory_order_relaxed))
		na_log(NA_LOG_WARNING, "no memory for %llu bytes, after all that was free went back: %s",
		       (unsigned long long)size, why);
}
