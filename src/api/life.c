/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The library's constructor: settings are complained about before the program starts, fork handlers
 * are set, and the maintenance thread's hook is wired to the layers that want ticks. The first allocation may
 * come long before (from the loader); it boots the pools by itself.
 */
#include "api/life.h"

#include <numarena/system.h>
#include <numarena/tracking.h>
#include <unistd.h>

#include "base/log.h"
#include "base/options.h"
#include "config.h"
#include "heap/heap.h"
#include "heap/hooks.h"
#include "tracking/tracking.h"

static uint32_t tick(uint64_t now_ns)
{
	return na_tracking_tick(now_ns);
}

static __attribute__((constructor)) void start(void)
{
	na_pools_boot();
	if (na_pools_complaint()[0]) {
		na_log(NA_LOG_ERROR, "%s", na_pools_complaint());
		_exit(2);
	}
	if (na_options_unknown())
		na_log(NA_LOG_WARNING, "%s: no such setting, ignored (numarena-run --help lists them)",
		       na_options_unknown());
	na_heap_hooks.tick = tick;
	na_heap_start();
	if (na_options.monitoring)
		na_life_start_monitoring();
}

const char *memory_system_version(void)
{
	return PACKAGE_VERSION;
}
