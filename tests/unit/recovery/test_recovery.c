/* SPDX-License-Identifier: BSD-3-Clause */
/* Recovery from below, on a made-up machine of three nodes: other nodes' memory, pages that are moved home, hooks within system calls,
 * and what the report before failing gets from upper layers. */
#include <errno.h>
#include <fcntl.h>
#include <numarena/numarena.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/options.h"
#include "heap/heap.h"
#include "heap/homing.h"
#include "heap/hooks.h"
#include "heap/pressure.h"
#include "heap/request.h"
#include "os/os.h"
#include "recovery/climb.h"
#include "support/check.h"
#include "support/child.h"

#define MIB ((size_t)1 << 20)

static int node_here, purge_error;
static int (*real_purge)(void *at, size_t size);

static size_t three_nodes(int *nodes, size_t capacity)
{
	REQUIRE(capacity >= 3);
	for (int i = 0; i < 3; i++)
		nodes[i] = i;
	return 3;
}

static size_t as_numbered(int from, int *nodes, size_t capacity)
{
	size_t n = 0;

	for (int i = 0; i < 3 && n < capacity; i++)
		nodes[n++] = (from + 3 - i) % 3; /* 0: 0, 2, 1 */
	return n;
}

static int on_node_here(void)
{
	return node_here;
}

static int bind_nowhere(void *at, size_t size, int node)
{
	(void)at;
	(void)size;
	(void)node;
	return 0;
}

static int purge_unless_locked(void *at, size_t size)
{
	return purge_error ? purge_error : real_purge(at, size);
}

/* ---- where pages lie: all on node 0, until they are moved ---- */

static struct {
	void *page;
	int node;
} moved[4096];
static size_t moved_count;
static int move_error, pinned_every = 0;

static int locate(void **pages, int *status, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		unsigned char there = 0;

		status[i] = mincore(pages[i], NA_PAGE, &there) == 0 && (there & 1) ? 0 : -ENOENT;
		for (size_t k = 0; k < moved_count; k++)
			if (moved[k].page == pages[i])
				status[i] = moved[k].node;
	}
	return 0;
}

static int move(void **pages, const int *nodes, int *status, size_t count)
{
	if (move_error)
		return move_error;
	for (size_t i = 0; i < count; i++) {
		if (pinned_every && (uintptr_t)pages[i] / NA_PAGE % (uintptr_t)pinned_every == 0) {
			status[i] = -EBUSY;
			continue;
		}
		REQUIRE(moved_count < 4096);
		moved[moved_count].page = pages[i];
		moved[moved_count++].node = nodes[i];
		status[i] = nodes[i];
	}
	return 0;
}

static __attribute__((constructor(101))) void on_three_nodes(void)
{
	real_purge = na_os.purge;
	na_os.nodes = na_os.online = three_nodes;
	na_os.nearest = as_numbered;
	na_os.current_node = on_node_here;
	na_os.bind = bind_nowhere;
	na_os.locate = locate;
	na_os.move = move;
	na_os.purge = purge_unless_locked;
}

static void on(recovery_fallback_t fallback)
{
	recovery_config_t config = { .max_retries = 2, .retry_delay = 1, .fallback_strategy = fallback };

	CHECK_EQ(initialize_memory_recovery(&config), MEMORY_ERROR_NONE);
}

/* From now on the limit is the test's; what it was. */
static uint64_t own_limit(void)
{
	na_pressure_follow(false);
	return atomic_load(&na_pool_limit);
}

static memory_recovery_stats_t figures(void)
{
	memory_recovery_stats_t stats;

	CHECK_EQ(get_memory_recovery_statistics(&stats), MEMORY_ERROR_NONE);
	return stats;
}

/* Memory that is kept and cannot go back (the program has locked it, mlockall) serves the other node's threads, if they may take it. */
static void other_nodes_serve_what_they_keep(void)
{
	uint64_t limit = own_limit();
	void *p, *small;

	node_here = 2;
	p = na_heap_allocate(6 * MIB);
	na_heap_release(p);
	node_here = 0;
	p = na_heap_allocate(100); /* this thread's cache of node 0 */
	purge_error = -EINVAL;
	atomic_store(&na_pool_limit, na_pool_counted());
	CHECK(!na_heap_allocate(5 * MIB));
	on(FALLBACK_NONE);
	CHECK(!na_heap_allocate(5 * MIB));
	on(FALLBACK_OTHER_NODE);
	memory_recovery_stats_t before = figures();
	void *q = na_heap_allocate(5 * MIB);

	CHECK(q != NULL);
	CHECK_EQ(allocation_node(q), 2);
	CHECK_EQ(figures().by_other_node - before.by_other_node, 1);
	small = na_heap_allocate_aligned(4096, 20000, true);
	CHECK(small && allocation_node(small) == 2 && ((uintptr_t)small & 4095) == 0);
	for (int i = 0; small && i < 20000; i++)
		CHECK_EQ(((char *)small)[i], 0);
	CHECK(!na_heap_allocate(5 * MIB)); /* nobody has any more */
	na_heap_release(small);
	na_heap_release(q);
	na_heap_release(p);
	atomic_store(&na_pool_limit, limit);
	purge_error = 0;
	CHECK_EQ(cleanup_memory_resources(), MEMORY_ERROR_NONE);
}

static void pages_are_moved_home(void)
{
	struct na_homing done;
	char *p, *q;

	node_here = 1;
	p = na_heap_allocate(MIB);
	q = na_heap_allocate(12 * MIB);
	memset(p, 1, MIB);
	memset(q, 2, MIB);
	CHECK_EQ(na_homing_run(&done), 0);
	CHECK(done.moved >= 2 * MIB && done.moved < 3 * MIB);
	CHECK_EQ(done.refused, 0);
	for (size_t i = 0; i < moved_count; i++)
		CHECK_EQ(moved[i].node, 1);
	CHECK_EQ(na_homing_run(&done), 0);
	CHECK_EQ(done.moved, 0);
	pinned_every = 4; /* a device has them */
	memset(q + MIB, 2, MIB);
	CHECK_EQ(na_homing_run(&done), 0);
	CHECK_EQ(done.refused, MIB / 4);
	CHECK_EQ(done.moved, MIB / 4 * 3);
	move_error = -EPERM;
	CHECK_EQ(trigger_defragmentation(), MEMORY_ERROR_PERMISSION);
	CHECK(strstr(last_memory_error_message(), "move_pages") != NULL);
	move_error = 0;
	pinned_every = 0;
	CHECK_EQ(trigger_defragmentation(), MEMORY_ERROR_NONE);
	CHECK(p[5] == 1 && q[5] == 2);
	na_heap_release(p);
	na_heap_release(q);
	node_here = 0;
}

/* ---- within a system call of ours, as an MPI library's hook runs ---- */

static int hook_armed, handler_calls;
static void *from_hook;

int munmap(void *at, size_t size)
{
	if (hook_armed) {
		hook_armed = 0;
		errno = 0;
		from_hook = na_heap_allocate(60 * MIB);
		CHECK(from_hook || errno == ENOMEM);
		na_heap_release(from_hook); /* and frees rubbish, too */
	}
	return (int)syscall(SYS_munmap, at, size);
}

static void count_calls(memory_error_t error)
{
	(void)error;
	handler_calls++;
}

static void a_hook_neither_waits_nor_calls_the_program(void)
{
	uint64_t limit = own_limit();
	memory_recovery_stats_t before;

	na_heap_flush();
	na_heap_release(na_heap_allocate(12 * MIB));
	on(FALLBACK_NONE);
	set_memory_error_handler(count_calls);
	atomic_store(&na_pool_limit, na_pool_counted() + 40 * MIB);
	before = figures();
	hook_armed = 1;
	na_heap_flush(); /* unmaps what was kept; there the hook asks for too much */
	CHECK_EQ(hook_armed, 0);
	CHECK(!from_hook);
	CHECK_EQ(figures().retries, before.retries);
	CHECK_EQ(handler_calls, 0);
	CHECK_EQ(na_os_inside, 0);
	CHECK(!na_heap_allocate(60 * MIB)); /* outside, both happen but the waiting, which cannot help past the limit */
	CHECK_EQ(handler_calls, 1);
	set_memory_error_handler(NULL);
	atomic_store(&na_pool_limit, limit);
	CHECK_EQ(cleanup_memory_resources(), MEMORY_ERROR_NONE);
}

/* ---- rungs that are hooks, and the report's ---- */

static void *compressible;
static int compressions, compactions;

static uint64_t compress(uint64_t bytes)
{
	CHECK(bytes > 0);
	compressions++;
	na_heap_release(compressible);
	compressible = NULL;
	return 4096;
}

static uint64_t compact(void)
{
	compactions++;
	return 0;
}

static void compression_comes_before_defragmentation(void)
{
	uint64_t limit = own_limit();
	memory_recovery_stats_t before = figures();
	void *p;

	compressible = na_heap_allocate(5 * MIB);
	na_heap_hooks.compress = compress;
	na_heap_hooks.compact = compact;
	na_heap_flush();
	atomic_store(&na_pool_limit, na_pool_counted() + MIB);
	p = na_heap_allocate(4 * MIB); /* recovery is off: what is cold makes room all the same, where it is compressed at all */
	CHECK(p != NULL);
	CHECK_EQ(compressions, 1);
	CHECK_EQ(figures().by_compression, before.by_compression);
	na_heap_release(p);
	compressible = na_heap_allocate(5 * MIB);
	CHECK(compressible != NULL);
	na_heap_flush();
	compressions = 0;
	on(FALLBACK_NONE);
	p = na_heap_allocate(4 * MIB);
	CHECK(p != NULL);
	CHECK_EQ(compressions, 1);
	CHECK_EQ(compactions, 0);
	CHECK_EQ(figures().by_compression - before.by_compression, 1);
	CHECK(!na_heap_allocate(4 * MIB));
	CHECK_EQ(compactions, 3); /* once, and after each of two delays */
	na_heap_hooks.compress = NULL;
	na_heap_hooks.compact = NULL;
	na_heap_release(p);
	atomic_store(&na_pool_limit, limit);
	CHECK_EQ(cleanup_memory_resources(), MEMORY_ERROR_NONE);
}

static char report_path[] = "oom-test-XXXXXX";

static int report_file(void)
{
	return open(report_path, O_WRONLY | O_APPEND | O_CLOEXEC);
}

static void describe(void (*line)(const char *text, void *closure), void *closure)
{
	line("phase \"assemble\": live 12345", closure);
}

static int run_out(void *unused)
{
	(void)unused;
	na_heap_hooks.report_file = report_file;
	na_heap_hooks.describe = describe;
	atomic_store(&na_pool_limit, na_pool_counted() + MIB);
	CHECK(!na_heap_allocate(4 * MIB));
	return 0;
}

static void the_report_has_what_upper_layers_know_and_goes_to_a_file(void)
{
	struct child c;
	char text[8192] = "";
	int fd = mkstemp(report_path);
	ssize_t n;

	REQUIRE(fd >= 0);
	child_run(run_out, NULL, &c);
	CHILD_GOOD(&c, "running out");
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	unlink(report_path);
	REQUIRE(n > 0);
	CHECK_MSG(strncmp(text, "out of memory: 4194304 bytes on node 0: ", 40) == 0, "the file: %s", text);
	CHECK_MSG(strstr(text, "\nnode 2: live ") && strstr(text, "\nphase \"assemble\": live 12345\n"), "the file: %s",
		  text);
	CHECK_MSG(strstr(c.text, "who holds what") && strstr(c.text, "phase \"assemble\""), "standard error: %s",
		  c.text);
}

int main(void)
{
	check_watchdog(120);
	na_options.background = 0;
	na_options.verbose = 1;
	REQUIRE(na_pool_count == 3);
	RUN(the_report_has_what_upper_layers_know_and_goes_to_a_file);
	RUN(other_nodes_serve_what_they_keep);
	RUN(pages_are_moved_home);
	RUN(a_hook_neither_waits_nor_calls_the_program);
	RUN(compression_comes_before_defragmentation);
	return check_result();
}
