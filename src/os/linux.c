/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The Linux port of os.h. Files of /sys and /proc are read with plain read(2): no stdio, no malloc.
 *
 * mbind and move_pages have no function in libc. libnuma's are a syscall() and nothing else, and its constructor reads
 * /sys in 25 calls (doc/design/startup.md); the first of ours comes within the program's first malloc, where
 * nothing can be loaded. MPI libraries patch neither of the two.
 */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/clock.h"
#include "base/log.h"
#include "os/fault.h"
#include "os/hold.h"
#include "os/memfile.h"
#include "os/perf.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define HUGE_SHIFT 26 /* of mmap's flags: the page's size */
#define MASK_WORDS 16 /* 1024 nodes, the kernel's own limit */

static _Atomic uint64_t calls; /* relaxed: a statistic */
__thread uint32_t na_os_inside;

uint64_t na_os_calls(void)
{
	return atomic_load_explicit(&calls, memory_order_relaxed);
}

void na_os_count_call(void)
{
	atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
}

static int map_flags(void *at, size_t size, int flags, void **out)
{
	int saved = errno, rc = 0;
	void *p;

	flags |= MAP_PRIVATE | MAP_ANONYMOUS | (at ? MAP_FIXED_NOREPLACE : 0);
	na_os_count_call();
	na_os_inside++;
	p = mmap(at, size, PROT_READ | PROT_WRITE, flags, -1, 0);
	na_os_inside--;
	if (p == MAP_FAILED) {
		rc = -errno;
	} else if (at && p != at) { /* kernels before 4.17 take the flag for a hint */
		munmap(p, size);
		rc = -EEXIST;
	} else {
		*out = p;
	}
	errno = saved;
	return rc;
}

static int os_map(void *at, size_t size, void **out)
{
	return map_flags(at, size, MAP_NORESERVE, out);
}

/* Not MAP_NORESERVE: a page that is then missing when it is touched is a SIGBUS. */
static int os_map_hugetlb(void *at, size_t size, size_t page, void **out)
{
	return map_flags(at, size, MAP_HUGETLB | __builtin_ctzl(page) << HUGE_SHIFT, out);
}

/* Around each call: begin() returns errno for finish() to put back. */
static int begin(void)
{
	na_os_inside++;
	return errno;
}

static int finish(int result, int saved)
{
	int rc = result < 0 ? -errno : 0;

	na_os_inside--;
	na_os_count_call();
	errno = saved;
	return rc;
}

static int os_reserve(size_t size, void **out)
{
	int saved = begin();
	void *p = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p != MAP_FAILED)
		*out = p;
	return finish(p == MAP_FAILED ? -1 : 0, saved);
}

static int os_unmap(void *at, size_t size)
{
	int saved = begin();

	return finish(munmap(at, size), saved);
}

static int os_protect(void *at, size_t size, bool open)
{
	int saved = begin();

	return finish(mprotect(at, size, open ? PROT_READ | PROT_WRITE : PROT_NONE), saved);
}

static int os_purge(void *at, size_t size)
{
	int saved = begin();

	return finish(madvise(at, size, MADV_DONTNEED), saved);
}

static int os_advise_huge(void *at, size_t size)
{
	int saved = begin();

	return finish(madvise(at, size, MADV_HUGEPAGE), saved);
}

/* Preferred, not strict: a strict bind to a full node ends in the OOM killer. The kernel reads
 * maxnode - 1 bits, hence + 2. */
static int os_bind(void *at, size_t size, int node)
{
	unsigned long mask[MASK_WORDS] = { 0 };
	int saved;

	if (node < 0 || node >= MASK_WORDS * 64)
		return -EINVAL;
	saved = begin();
	mask[node / 64] = 1UL << (node % 64);
	return finish((int)syscall(SYS_mbind, at, size, MPOL_PREFERRED, mask, (unsigned long)node + 2, 0U), saved);
}

static int os_interleave(void *at, size_t size, const int16_t *nodes, size_t count)
{
	unsigned long mask[MASK_WORDS] = { 0 };
	int saved, most = 0;

	for (size_t i = 0; i < count; i++) {
		if (nodes[i] < 0 || nodes[i] >= MASK_WORDS * 64)
			return -EINVAL;
		mask[nodes[i] / 64] |= 1UL << (nodes[i] % 64);
		most = nodes[i] > most ? nodes[i] : most;
	}
	saved = begin();
	return finish((int)syscall(SYS_mbind, at, size, MPOL_INTERLEAVE, mask, (unsigned long)most + 2, 0U), saved);
}

static int os_advise_ordinary(void *at, size_t size)
{
	int saved = begin();

	return finish(madvise(at, size, MADV_NOHUGEPAGE), saved);
}

static int os_populate(void *at, size_t size)
{
	int saved = begin();

	return finish(madvise(at, size, MADV_POPULATE_WRITE), saved);
}

static int os_remap(void *at, size_t size, size_t grown, void *to)
{
	int saved = begin();
	void *p = to ? mremap(at, size, grown, MREMAP_MAYMOVE | MREMAP_FIXED, to) : mremap(at, size, grown, 0);

	return finish(p == MAP_FAILED ? -1 : 0, saved);
}

static int os_locate(void **pages, int *status, size_t count)
{
	int saved = begin();

	return finish((int)syscall(SYS_move_pages, 0, count, pages, NULL, status, 0), saved);
}

/* MPOL_MF_MOVE: the pages of this process alone, and none that is pinned, so nobody's transfer is disturbed. */
static int os_move(void **pages, const int *nodes, int *status, size_t count)
{
	int saved = begin();

	return finish((int)syscall(SYS_move_pages, 0, count, pages, nodes, status, MPOL_MF_MOVE), saved);
}

static int os_resident(void *at, size_t size, unsigned char *map)
{
	int saved = begin();

	return finish(mincore(at, size, map), saved);
}

static int os_current_node(void)
{
	unsigned int cpu = 0, node = 0;

	if (getcpu(&cpu, &node) < 0)
		return 0;
	return (int)node;
}

static size_t os_cpus(unsigned long *mask, size_t bytes)
{
	int saved = errno;
	size_t n = 0;

	if (sched_getaffinity(0, bytes, (cpu_set_t *)(void *)mask) == 0)
		n = (size_t)CPU_COUNT_S(bytes, (cpu_set_t *)(void *)mask);
	errno = saved;
	return n;
}

/* The first call of a process says that it will make more. An image of the process (fork) has that from its parent. */
static int os_barrier(void)
{
	int saved = errno, rc = (int)syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);

	if (rc < 0 && errno == EPERM && syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0)
		rc = (int)syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
	rc = rc < 0 ? -errno : 0;
	errno = saved;
	return rc;
}

#define MOST_TRIES 192 /* of places of 32 MiB: a process with little address space cannot have taken them all */

static int map_pages(void *at, size_t size, size_t page, void **out)
{
	return page ? na_os.map_hugetlb(at, size, page, out) : na_os.map(at, size, out);
}

/* With hardly more address space than the block itself (`ulimit -v`), or no page to spare (hugetlb): a place that is
 * free and near where the system would put it, since it hands out addresses downwards. */
static int map_exactly(size_t size, size_t alignment, size_t page, void **out)
{
	uintptr_t at;
	void *p = NULL;
	int rc = map_pages(NULL, size, page, &p);

	if (rc < 0)
		return rc;
	at = (uintptr_t)p & ~(alignment - 1);
	if (at == (uintptr_t)p) {
		*out = p;
		return 0;
	}
	na_os.unmap(p, size);
	rc = -EEXIST;
	for (int tries = 0; at && tries < MOST_TRIES && rc == -EEXIST; tries++, at -= alignment)
		rc = map_pages((void *)at, size, page, out);
	return rc == -EEXIST ? -ENOMEM : rc;
}

int na_os_map_hugetlb(size_t size, size_t alignment, size_t page, void **out)
{
	return map_exactly(size, alignment, page, out);
}

int na_os_map_aligned(size_t size, size_t alignment, void **out)
{
	uintptr_t start, aligned;
	size_t total;
	void *p = NULL;

	if (alignment <= NA_PAGE)
		return na_os.map(NULL, size, out);
	if (__builtin_add_overflow(size, alignment - NA_PAGE, &total))
		return -ENOMEM;
	if (na_os.map(NULL, total, &p) < 0)
		return map_exactly(size, alignment, 0, out);
	start = (uintptr_t)p;
	aligned = (start + alignment - 1) & ~(alignment - 1);
	/* What cannot be cut off (the process is at vm.max_map_count) stays: addresses only, never touched. */
	if (aligned > start)
		na_os.unmap(p, aligned - start);
	if (start + total > aligned + size)
		na_os.unmap((void *)(aligned + size), start + total - aligned - size);
	*out = (void *)aligned;
	return 0;
}

static ssize_t read_file(const char *path, char *out, size_t capacity)
{
	int saved = errno, fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0) {
		n = read(fd, out, capacity - 1);
		close(fd);
	}
	out[n > 0 ? n : 0] = '\0';
	errno = saved;
	return n;
}

static uint64_t number_after(const char *text, const char *key)
{
	const char *s = strstr(text, key);
	uint64_t v = 0;

	if (!s)
		return 0;
	for (s += strlen(key); *s == ' ' || *s == '\t'; s++)
		;
	for (; *s >= '0' && *s <= '9'; s++)
		v = v * 10 + (uint64_t)(*s - '0');
	return v;
}

/* A list such as "0-3,8" into a mask. */
static void parse_list(const char *s, uint64_t mask[MASK_WORDS])
{
	while (*s >= '0' && *s <= '9') {
		unsigned int from = 0, to;

		for (; *s >= '0' && *s <= '9'; s++)
			from = from * 10 + (unsigned int)(*s - '0');
		to = from;
		if (*s == '-')
			for (to = 0, s++; *s >= '0' && *s <= '9'; s++)
				to = to * 10 + (unsigned int)(*s - '0');
		for (; from <= to && from < MASK_WORDS * 64; from++)
			mask[from / 64] |= UINT64_C(1) << (from % 64);
		if (*s == ',')
			s++;
	}
}

/* One call where a container does not forbid it and the kernel knows of NUMA; else a file that takes 50 times as long. */
static void read_allowed(uint64_t mask[MASK_WORDS])
{
	char text[4096];
	const char *list;
	int saved = errno;

	if (syscall(SYS_get_mempolicy, NULL, mask, (unsigned long)MASK_WORDS * 64, NULL, MPOL_F_MEMS_ALLOWED) == 0)
		return;
	errno = saved;
	if (read_file("/proc/self/status", text, sizeof(text)) > 0 && (list = strstr(text, "Mems_allowed_list:")))
		parse_list(list + strlen("Mems_allowed_list:") + 1, mask);
	else
		memset(mask, 0xff, MASK_WORDS * sizeof(*mask));
}

static int count_bits(const uint64_t mask[MASK_WORDS], int *last)
{
	int n = 0;

	for (int i = 0; i < MASK_WORDS; i++) {
		if (!mask[i])
			continue;
		*last = i * 64 + 63 - __builtin_clzl(mask[i]);
		n += (int)na_popcount(mask[i]);
	}
	return n;
}

static size_t os_nodes(int *nodes, size_t capacity)
{
	uint64_t memory[MASK_WORDS] = { 0 }, allowed[MASK_WORDS] = { 0 };
	char text[4096];
	size_t n = 0;

	read_allowed(allowed);
	/* One node, the usual case of a workstation: it has memory, or we would not be here. */
	if (count_bits(allowed, &nodes[0]) == 1)
		return 1;
	if (read_file("/sys/devices/system/node/has_memory", text, sizeof(text)) > 0)
		parse_list(text, memory);
	for (int i = 0; i < MASK_WORDS * 64 && n < capacity; i++)
		if ((memory[i / 64] & allowed[i / 64]) >> (i % 64) & 1)
			nodes[n++] = i;
	if (n == 0)
		nodes[n++] = 0;
	return n;
}

static size_t os_online(int *nodes, size_t capacity)
{
	uint64_t online[MASK_WORDS] = { 0 };
	char text[4096];
	size_t n = 0;

	if (read_file("/sys/devices/system/node/online", text, sizeof(text)) > 0)
		parse_list(text, online);
	for (int i = 0; i < MASK_WORDS * 64 && n < capacity; i++)
		if (online[i / 64] >> (i % 64) & 1)
			nodes[n++] = i;
	return n;
}

/* The line has a distance for each online node, in their order. */
static size_t os_nearest(int from, int *nodes, size_t capacity)
{
	unsigned int distance[MASK_WORDS * 64];
	int online[MASK_WORDS * 64];
	char path[80], text[4096];
	const char *s = text;
	size_t count = os_online(online, MASK_WORDS * 64), n = 0;

	na_format(path, sizeof(path), "/sys/devices/system/node/node%d/distance", from);
	if (read_file(path, text, sizeof(text)) <= 0)
		return 0;
	for (size_t i = 0; i < count && n < capacity; i++, n++) {
		unsigned int d = 0;
		size_t at = n;

		while (*s && (*s < '0' || *s > '9'))
			s++;
		for (; *s >= '0' && *s <= '9'; s++)
			d = d * 10 + (unsigned int)(*s - '0');
		for (; at > 0 && distance[at - 1] > d; at--) { /* insertion: few nodes, and ties stay in order */
			distance[at] = distance[at - 1];
			nodes[at] = nodes[at - 1];
		}
		distance[at] = d;
		nodes[at] = online[i];
	}
	return n;
}

struct na_os na_os = {
	.map = os_map,
	.unmap = os_unmap,
	.reserve = os_reserve,
	.protect = os_protect,
	.purge = os_purge,
	.advise_huge = os_advise_huge,
	.map_hugetlb = os_map_hugetlb,
	.bind = os_bind,
	.interleave = os_interleave,
	.advise_ordinary = os_advise_ordinary,
	.populate = os_populate,
	.remap = os_remap,
	.locate = os_locate,
	.move = os_move,
	.resident = os_resident,
	.current_node = os_current_node,
	.cpus = os_cpus,
	.nodes = os_nodes,
	.online = os_online,
	.nearest = os_nearest,
	.counter_open = na_perf_open,
	.counter_read = na_perf_read,
	.counter_close = na_perf_close,
	.threads = na_perf_threads,
	.page_faults = na_perf_page_faults,
	.run_on = na_perf_run_on,
	.fault_open = na_fault_open,
	.fault_watch = na_fault_watch,
	.fault_unwatch = na_fault_unwatch,
	.fault_protect = na_fault_protect,
	.fault_copy = na_fault_copy,
	.fault_zero = na_fault_zero,
	.fault_wake = na_fault_wake,
	.fault_read = na_fault_read,
	.barrier = os_barrier,
	.file_make = na_memfile_make,
	.file_close = na_memfile_close,
	.file_write = na_memfile_write,
	.file_read = na_memfile_read,
	.file_punch = na_memfile_punch,
	.file_map = na_memfile_map,
	.file_unmap = na_memfile_unmap,
	.pipe_make = na_memfile_pipe,
	.hold_open = na_hold_open,
	.hold_begin = na_hold_begin,
	.hold_end = na_hold_end,
	.hold_drop = na_hold_drop,
	.hold_close = na_hold_close,
	.file_switch = na_memfile_switch,
};

static uint64_t node_figure(int node, const char *what)
{
	char path[80], text[2048], key[48];

	na_format(path, sizeof(path), "/sys/devices/system/node/node%d/meminfo", node);
	na_format(key, sizeof(key), "Node %d %s:", node, what);
	if (read_file(path, text, sizeof(text)) <= 0)
		return 0;
	return number_after(text, key) * 1024;
}

uint64_t na_os_node_free(int node)
{
	return node_figure(node, "MemFree") + node_figure(node, "Inactive(file)");
}

uint64_t na_os_node_memory(int node)
{
	return node_figure(node, "MemTotal");
}

/* pthread_atfork() is linked from the C library's static part, so it lies behind all of our code, among what only a report needs, and calling
 * it at every start would bring those pages in. It does just this. */
int na_os_at_fork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
#if defined(__GLIBC__)
	extern int __register_atfork(void (*)(void), void (*)(void), void (*)(void), void *);
	extern void *__dso_handle __attribute__((visibility("hidden")));

	return __register_atfork(prepare, parent, child, __dso_handle);
#else
	return pthread_atfork(prepare, parent, child);
#endif
}

uint64_t na_os_now_ns(void)
{
	return na_clock_ns(CLOCK_MONOTONIC);
}

uint64_t na_os_coarse_ms(void)
{
	return na_clock_ns(CLOCK_MONOTONIC_COARSE) / 1000000;
}
