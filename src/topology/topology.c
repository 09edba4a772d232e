/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one snapshot of the process: found lazily, published once. See topology.h.
 *
 * Locking: discovery_lock covers a discovery from its start to the publication; it is never held while anything
 * of the heap is, and the heap never asks for the topology, so the mallocs inside hwloc cannot meet it.
 * Readers touch `published` alone.
 */
#include "topology/topology.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "os/os.h"
#include "topology/share.h"

static _Atomic(const struct na_topology *) published; /* release: once; acquire: any thread */
static pthread_mutex_t discovery_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static _Atomic pid_t discoverer;     /* relaxed: only its own thread can find its number here */
static int failure;		     /* under discovery_lock: the error that stays */
static struct na_topology_cost cost; /* written before the release store, read after its acquire */
static bool fork_holds;		     /* under discovery_lock: taken by before_fork() */

static void before_fork(void)
{
	/* A fork from within a discovery, such as a plugin's: the lock is ours already. */
	if (atomic_load_explicit(&discoverer, memory_order_relaxed) == gettid())
		return;
	pthread_mutex_lock(&discovery_lock);
	fork_holds = true;
}

static void after_fork(void)
{
	if (!fork_holds)
		return;
	fork_holds = false;
	pthread_mutex_unlock(&discovery_lock);
}

/*
 * Handlers that prepare a fork run last registered first. Ours waits for a discovery, which may
 * allocate, so it must run before the allocator's takes its locks: be sure that the allocator came first.
 */
static void watch_forks(void)
{
	void *volatile block = malloc(1);

	free(block);
	if (na_os_at_fork(before_fork, after_fork, after_fork) != 0)
		na_log(NA_LOG_WARNING,
		       "no fork handler for the topology: a fork during its discovery can hang the child");
}

/* Everything of one discovery; under discovery_lock. */
static int discover(const struct na_topology_job *job)
{
	const char *root = getenv("HWLOC_FSROOT");
	struct na_topology_source source = { .root = root && *root ? root : NULL };
	struct na_topology_cost spent;
	struct na_topology *found;
	int rc = na_topology_obtain(job, &source, &found, &spent);

	if (rc < 0)
		return rc;
	cost = spent;
	atomic_store_explicit(&published, found, memory_order_release);
	na_log(NA_LOG_DEBUG, "topology: %u nodes, %u CPUs, %s in %llu us", found->node_count, found->cpu_count,
	       cost.origin == NA_TOPOLOGY_READ ? "read" : "discovered", (unsigned long long)cost.total_ns / 1000);
	return 0;
}

static int discover_once(const struct na_topology_job *job, bool *here)
{
	int rc;

	if (atomic_load_explicit(&discoverer, memory_order_relaxed) == gettid())
		return -EDEADLK;
	pthread_once(&fork_once, watch_forks);
	pthread_mutex_lock(&discovery_lock);
	rc = failure;
	if (rc == 0 && !atomic_load_explicit(&published, memory_order_relaxed)) {
		atomic_store_explicit(&discoverer, gettid(), memory_order_relaxed);
		rc = discover(job);
		atomic_store_explicit(&discoverer, 0, memory_order_relaxed);
		failure = rc == -ENOMEM ? 0 : rc;
		*here = true;
	}
	pthread_mutex_unlock(&discovery_lock);
	return rc;
}

int na_topology_get(const struct na_topology **out)
{
	const struct na_topology *t = atomic_load_explicit(&published, memory_order_acquire);
	bool here;
	int rc;

	if (!t) {
		rc = discover_once(NULL, &here);
		if (rc < 0)
			return rc;
		t = atomic_load_explicit(&published, memory_order_acquire);
	}
	*out = t;
	return 0;
}

int na_topology_share(const struct na_topology_job *job, struct na_topology_cost *spent)
{
	bool here = false;
	int rc = 0;

	if (!atomic_load_explicit(&published, memory_order_acquire))
		rc = discover_once(job, &here);
	if (!here)
		na_topology_check_in(job);
	if (rc == 0 && spent)
		*spent = cost;
	return rc;
}

const struct na_topology_cost *na_topology_cost(void)
{
	return &cost;
}
