/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pages of malloc's blocks that are merged while threads run: each way of keeping them away, what waits for what, what is left alone, fork, and each system call
 * failing in turn. tests/stress/concurrent does it at random.
 */
#include <fcntl.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>

#include "cache/merge.h"
#include "cache/turns.h"
#include "heap/concurrent.h"
#include "heap/merging.h"
#include "os/hold.h"
#include "os/limit.h"
#include "os/memfile.h"
#include "scattered.h"

static unsigned char *take_block(size_t size)
{
	return na_heap_allocate(size);
}

static void give_block(void *p)
{
	na_heap_release(p);
}

static void scatter(size_t wanted, size_t size, uint64_t keep)
{
	scatter_blocks(wanted, size, keep);
	na_heap_flush(); /* what the stacks have keeps places */
}

static struct na_merging merge(void)
{
	struct na_merging m;
	bool more;

	na_concurrent_run(0, NULL, true, &more);
	CHECK(!more);
	na_merging_figures(&m);
	return m;
}

static bool can(enum na_concurrent way)
{
	struct na_hold hold;

	if (na_hold_open(way, &hold) < 0) {
		fprintf(stderr, "SKIP: %s is not to be had here\n", na_concurrent_name(way));
		return false;
	}
	na_hold_close(&hold);
	na_options.defrag_concurrent = way;
	return true;
}

/* In a child of its own, by the best way that there is. */
static void by_any_way(int (*run)(void *), void *argument, const char *what)
{
	struct child c;

	if (!can(NA_CONCURRENT_MOVE) && !can(NA_CONCURRENT_MPROTECT))
		return;
	child_run(run, argument, &c);
	CHILD_GOOD(&c, what);
}

/* ---- what is given out, and comes back ---- */

static int lives_on(void *argument)
{
	size_t size = *(size_t *)argument, n;
	static unsigned char *more[MOST / 2];
	struct na_concurrent_figures f;
	struct na_merging m;

	scatter((size_t)12 * 1024 * 1024 / size < MOST ? (size_t)12 * 1024 * 1024 / size : MOST, size, 8);
	m = merge();
	na_concurrent_figures(&f);
	CHECK_MSG(f.why[0] == '\0', "%s", f.why);
	CHECK_MSG(m.frame_bytes && m.mapped_bytes >= m.frame_bytes / 2 * 3, "%llu bytes of addresses on %llu", (unsigned long long)m.mapped_bytes,
		  (unsigned long long)m.frame_bytes);
	check_blocks();
	validate();
	for (n = 0; n < count / 32; n++) {
		more[n] = na_heap_allocate(size);
		REQUIRE(more[n]);
		check_fill(more[n], 0, size, n + 1000000);
	}
	check_blocks();
	for (size_t i = 0; i < n; i++)
		CHECK_EQ(check_filled(more[i], 0, size, i + 1000000), size);
	validate();
	na_heap_flush();
	merge();
	check_blocks();
	validate();
	CHECK_EQ(na_heap_release_checked(more[0]), 0);
	CHECK(na_heap_release_checked(more[0]) != 0);
	for (size_t i = 1; i < n; i++)
		na_heap_release(more[i]);
	check_blocks();
	free_blocks();
	na_heap_flush();
	na_merging_restore();
	na_merging_figures(&m);
	CHECK_EQ(m.mapped_bytes, 0);
	CHECK_EQ(m.frame_bytes, 0);
	CHECK_EQ(m.mappings, 0);
	CHECK(m.restored > 0);
	validate();
	scatter(20000, size, 1);
	check_blocks();
	free_blocks();
	return check_failures != 0;
}

static void blocks_live_on(void)
{
	static size_t sizes[] = { 16, 48, 64, 112, 256, 1536 };

	for (enum na_concurrent way = NA_CONCURRENT_MOVE; way < NA_CONCURRENT_COUNT_; way++)
		for (size_t i = 0; can(way) && i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			struct child c;
			char what[60];

			snprintf(what, sizeof(what), "blocks of %zu bytes, %s", sizes[i], na_concurrent_name(way));
			child_run(lives_on, &sizes[i], &c);
			CHILD_GOOD(&c, what);
		}
}

/* ---- threads come and go ---- */

static void *allocate_in_thread(void *unused)
{
	(void)unused;
	scatter(40000, 256, 8);
	return NULL;
}

static void *free_in_thread(void *unused)
{
	(void)unused;
	for (size_t i = 0; i < count; i += 2) {
		if (blocks[i])
			na_heap_release(blocks[i]);
		blocks[i] = NULL;
	}
	return NULL;
}

static void in_thread(void *(*function)(void *))
{
	pthread_t thread;

	REQUIRE(pthread_create(&thread, NULL, function, NULL) == 0);
	pthread_join(thread, NULL);
}

/* Blocks of a thread that has ended, freed by another one; and what empties is retired by whoever collects it. */
static int of_ended_threads(void *unused)
{
	struct na_merging m;

	(void)unused;
	in_thread(allocate_in_thread);
	m = merge();
	CHECK(m.frame_bytes > 0);
	check_blocks();
	in_thread(free_in_thread);
	check_blocks();
	validate();
	merge();
	check_blocks();
	validate();
	free_blocks();
	in_thread(free_in_thread);
	na_heap_flush();
	for (int i = 0; i < 3; i++) {
		na_cache_tend();
		merge();
	}
	na_merging_figures(&m);
	CHECK_EQ(m.mapped_bytes, 0);
	CHECK_EQ(m.frame_bytes, 0);
	validate();
	return check_failures != 0;
}

static void threads_end(void)
{
	by_any_way(of_ended_threads, NULL, "blocks of threads that have ended");
}

/* ---- spans that are turned: slots before the first one are put off until the span is carved to its end ---- */

#define BATCH 37 /* no span's end */

static size_t put_off; /* blocks that were freed in such a span meanwhile */

static bool is_turned(const void *p)
{
	const struct na_span *span = na_span_of(p);

	return na_turn_bits(atomic_load(&span->cache), span) != 0;
}

static void *free_newest_in_thread(void *unused)
{
	(void)unused;
	for (size_t i = count > 3 * BATCH ? count - 3 * BATCH : 0; i < count; i++) {
		if (!blocks[i] || random_next() % 3)
			continue;
		put_off += is_turned(blocks[i]);
		na_heap_release(blocks[i]);
		blocks[i] = NULL;
	}
	return NULL;
}

/* What another thread frees there comes back once, and what is put off is given out once. */
static int freed_in_turned(void *argument)
{
	size_t size = *(size_t *)argument;

	size_of_blocks = size;
	for (int step = 0; count + BATCH <= 40000; step++) {
		for (int k = 0; k < BATCH; k++) {
			blocks[count] = na_heap_allocate(size);
			REQUIRE(blocks[count]);
			check_fill(blocks[count], 0, size, count);
			count++;
		}
		in_thread(free_newest_in_thread);
		if (step % 64 == 0) {
			check_blocks();
			validate();
		}
	}
	CHECK_MSG(put_off > 100, "%zu blocks", put_off);
	check_blocks();
	validate();
	na_heap_flush();
	merge();
	check_blocks();
	free_blocks();
	na_heap_flush();
	validate();
	return check_failures != 0;
}

static void freed_from_outside_where_spans_are_turned(void)
{
	static size_t sizes[] = { 16, 48, 64, 256 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char what[60];

		snprintf(what, sizeof(what), "turned spans of %zu bytes", sizes[i]);
		by_any_way(freed_in_turned, &sizes[i], what);
	}
}

/* ---- neighbours ---- */

static size_t longest;
static bool every_eighth_is_pinned;

static int begin_looking_on(struct na_hold *h, void *at, size_t size, const void **contents)
{
	longest = size > longest ? size : longest;
	for (size_t i = 0; every_eighth_is_pinned && i < size; i += NA_PAGE)
		if (((uintptr_t)at + i) / NA_PAGE % 8 == 0)
			return -EBUSY;
	return na_hold_begin(h, at, size, contents);
}

/* They are held together, and one that is pinned leaves the others to be merged. */
static int come_together(void *unused)
{
	struct na_concurrent_figures f;
	uint64_t all, most;

	(void)unused;
	na_os.hold_begin = begin_looking_on;
	scatter(40000, 64, 8);
	all = merge().mapped_bytes;
	CHECK_MSG(longest >= 4 * NA_PAGE && longest <= 64 << 10, "%zu bytes at most", longest);
	na_concurrent_figures(&f);
	CHECK_EQ(f.busy, 0);
	check_blocks();
	free_blocks();
	na_heap_flush();
	na_merging_restore();
	every_eighth_is_pinned = true;
	scatter(40000, 64, 8);
	most = merge().mapped_bytes;
	CHECK_MSG(most >= all / 4 * 3 && most < all, "%llu bytes of addresses of %llu", (unsigned long long)most, (unsigned long long)all);
	na_concurrent_figures(&f);
	CHECK_MSG(f.busy >= 40000 * 64 / NA_PAGE / 8 / 2 && f.busy <= 40000 * 64 / NA_PAGE / 8 * 2, "%llu were pinned", (unsigned long long)f.busy);
	check_blocks();
	validate();
	free_blocks();
	return check_failures != 0;
}

static void neighbours_come_together(void)
{
	by_any_way(come_together, NULL, "neighbours");
}

/* ---- who comes to a page that is held ---- */

#define HELD (4 * NA_PAGE)

static struct na_hold hold;
static char *page;
static int pipes[2];
static _Atomic int came, held;

/* Threads are there before: they would inherit that signals are blocked. */
static void wait_until_held(void)
{
	while (!atomic_load(&held))
		sched_yield();
	atomic_store(&came, 1);
}

static void *write_there(void *unused)
{
	(void)unused;
	wait_until_held();
	((volatile char *)page)[NA_PAGE + 5] = 'w';
	atomic_store(&came, 2);
	return NULL;
}

static void *read_into(void *unused)
{
	(void)unused;
	wait_until_held();
	CHECK_EQ(read(pipes[0], page + NA_PAGE + 5, 1), 1); /* no EFAULT */
	atomic_store(&came, 2);
	return NULL;
}

static void *written_by_another(void *unused)
{
	struct iovec from = { (char[]){ 'w' }, 1 }, to = { page + NA_PAGE + 5, 1 };

	(void)unused;
	wait_until_held();
	CHECK_EQ(process_vm_writev(getpid(), &from, 1, &to, 1, 0), 1);
	atomic_store(&came, 2);
	return NULL;
}

/* A thread that comes while it is held is not through before the end, and its write is where the addresses lead then. */
static void comes(void *(*how)(void *), bool replace)
{
	struct na_memfile file;
	const void *contents = NULL;
	pthread_t thread;

	page = mmap(NULL, HELD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(page != MAP_FAILED);
	memset(page, 'a', HELD - NA_PAGE); /* the last one was never touched */
	REQUIRE(na_memfile_make("held", &file) == 0);
	atomic_store(&came, 0);
	atomic_store(&held, 0);
	REQUIRE(pthread_create(&thread, NULL, how, NULL) == 0);
	CHECK_EQ(na_hold_begin(&hold, page, HELD, &contents), 0);
	atomic_store(&held, 1);
	while (!atomic_load(&came))
		sched_yield();
	usleep(20000);
	CHECK_EQ(atomic_load(&came), 1);
	CHECK(memcmp(contents, "aaaa", 4) == 0 && ((const char *)contents)[NA_PAGE + 5] == 'a' && ((const char *)contents)[HELD - 1] == 0);
	if (replace) {
		CHECK_EQ(na_memfile_write(&file, contents, HELD, 0), 0);
		CHECK_EQ(na_memfile_switch(&file, 0, HELD, page), 0);
	}
	na_hold_end(&hold, replace ? HELD : 0);
	pthread_join(thread, NULL);
	CHECK(page[0] == 'a' && page[NA_PAGE + 5] == 'w' && page[NA_PAGE + 6] == 'a' && page[HELD - 1] == 0);
	memset(page, 'z', HELD); /* nothing waits any more */
	munmap(page, HELD);
	na_memfile_close(&file);
}

static int who_comes_waits(void *argument)
{
	enum na_concurrent way = *(enum na_concurrent *)argument;
	void *(*how[])(void *) = { write_there, read_into, written_by_another };

	REQUIRE(na_hold_open(way, &hold) == 0 && pipe(pipes) == 0);
	for (size_t i = 0; i < (way == NA_CONCURRENT_MPROTECT ? 1 : 3); i++)
		for (int replace = 0; replace < 2; replace++) {
			CHECK_EQ(write(pipes[1], "w", 1), 1);
			comes(how[i], replace);
			if (how[i] != read_into)
				CHECK_EQ(read(pipes[0], &(char){ 0 }, 1), 1);
		}
	na_hold_close(&hold);
	return check_failures != 0;
}

static void pages_are_held(void)
{
	for (enum na_concurrent way = NA_CONCURRENT_MOVE; way < NA_CONCURRENT_COUNT_; way++) {
		struct child c;

		if (!can(way))
			continue;
		child_run(who_comes_waits, &way, &c);
		CHILD_GOOD(&c, na_concurrent_name(way));
	}
}

/* ---- pinned pages ---- */

/* -1: there is no io_uring here. */
static int pin(void *at, size_t size)
{
	struct io_uring_params parameters = { 0 };
	int ring = (int)syscall(SYS_io_uring_setup, 4, &parameters);
	struct iovec vector = { at, size };

	if (ring < 0)
		return -1;
	if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &vector, 1) == 0)
		return ring;
	close(ring);
	return -1;
}

static void pinned_pages_stay(void)
{
	char *p = mmap(NULL, HELD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const void *contents;
	int ring;

	if (!can(NA_CONCURRENT_MOVE))
		return;
	REQUIRE(p != MAP_FAILED && na_hold_open(NA_CONCURRENT_MOVE, &hold) == 0);
	memset(p, 'p', HELD);
	ring = pin(p + 2 * NA_PAGE, NA_PAGE);
	if (ring < 0) {
		fprintf(stderr, "SKIP: no buffers can be registered with io_uring\n");
	} else {
		CHECK_EQ(na_hold_begin(&hold, p, HELD, &contents), -EBUSY);
		for (size_t i = 0; i < HELD; i++)
			CHECK(p[i] == 'p');
		memset(p, 'q', HELD);
		close(ring);
	}
	for (int i = 0; i < 100 && na_hold_begin(&hold, p, HELD, &contents) == -EBUSY; i++)
		usleep(20000); /* the ring lets go in its own time */
	na_hold_end(&hold, 0);
	CHECK(p[0] == (ring < 0 ? 'p' : 'q') && p[HELD - 1] == p[0]);
	na_hold_close(&hold);
	munmap(p, HELD);
}

/* ---- SIGSEGV is the program's ---- */

static volatile sig_atomic_t programs, later;
static char *forbidden;

static void programs_handler(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	programs += info->si_addr == forbidden;
	mprotect(forbidden, NA_PAGE, PROT_READ | PROT_WRITE);
}

static struct sigaction chained;

static void later_handler(int number, siginfo_t *info, void *context)
{
	later++;
	chained.sa_sigaction(number, info, context);
}

static void install(void (*handler)(int, siginfo_t *, void *), struct sigaction *before)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &action, before);
}

static void fault(void)
{
	mprotect(forbidden, NA_PAGE, PROT_READ);
	*(volatile char *)forbidden = 1;
}

static int chains(void *unused)
{
	(void)unused;
	forbidden = mmap(NULL, NA_PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(forbidden != MAP_FAILED);
	install(programs_handler, NULL);
	REQUIRE(na_hold_open(NA_CONCURRENT_MPROTECT, &hold) == 0 && pipe(pipes) == 0);
	fault();
	CHECK_EQ(programs, 1);
	comes(write_there, true);
	CHECK_EQ(programs, 1);
	fault();
	CHECK_EQ(programs, 2);
	/* One that is installed later, and calls ours: ours comes before it again. */
	install(later_handler, &chained);
	REQUIRE(na_hold_open(NA_CONCURRENT_MPROTECT, &hold) == 0);
	comes(write_there, true);
	CHECK_EQ(later, 0);
	return check_failures != 0;
}

__attribute__((unused)) static int ends_as_it_would(void *unused)
{
	(void)unused;
	signal(SIGSEGV, SIG_DFL);
	REQUIRE(na_hold_open(NA_CONCURRENT_MPROTECT, &hold) == 0);
	forbidden = mmap(NULL, NA_PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*(volatile char *)forbidden = 1;
	return 0;
}

static void faults_are_the_programs(void)
{
	struct child c;

	child_run(chains, NULL, &c);
	CHILD_GOOD(&c, "handlers of SIGSEGV");
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* which has handlers of its own */
	child_run(ends_as_it_would, NULL, &c);
	CHECK_MSG(WIFSIGNALED(c.status) && WTERMSIG(c.status) == SIGSEGV, "status %d", c.status);
#endif
}

/* ---- a pass on a stack that is a block ---- */

static ucontext_t outside, inside;

static void on_a_block(void)
{
	CHECK(merge().frame_bytes > 0);
}

/* The other blocks of the stack's class are merged, its own span is not. */
__attribute__((unused)) static int on_own_stack(void *unused)
{
	enum { STACK = 14336 }; /* two in a unit of seven pages: others of the class do merge */
	unsigned char *stacks[40];

	(void)unused;
	for (size_t i = 0; i < 40; i++)
		stacks[i] = na_heap_allocate(STACK);
	for (size_t i = 0; i < 40; i++)
		if (i % 5)
			na_heap_release(stacks[i]);
		else
			memset(stacks[i], (int)i, STACK);
	scatter(40000, 256, 8);
	getcontext(&inside);
	inside.uc_stack.ss_sp = stacks[5];
	inside.uc_stack.ss_size = STACK;
	inside.uc_link = &outside;
	makecontext(&inside, on_a_block, 0);
	swapcontext(&outside, &inside);
	check_blocks();
	for (size_t i = 0; i < 40; i += 5)
		if (i != 5)
			CHECK(stacks[i][0] == i && stacks[i][STACK - 1] == i);
	validate();
	return check_failures != 0;
}

static void own_stack(void)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	for (enum na_concurrent way = NA_CONCURRENT_MOVE; way < NA_CONCURRENT_COUNT_; way++) {
		struct child c;

		if (!can(way))
			continue;
		child_run(on_own_stack, NULL, &c);
		CHILD_GOOD(&c, "a pass on a stack that is a block");
	}
#endif
}

/* ---- fork ---- */

static int keeps_apart(void *unused)
{
	int status, gate[2];
	char byte = 0;
	pid_t pid;

	(void)unused;
	scatter(40000, 64, 8);
	CHECK(merge().frame_bytes > 0);
	REQUIRE(pipe(gate) == 0);
	pid = fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		close(gate[1]);
		if (read(gate[0], &byte, 1) != 1)
			_exit(9);
		check_blocks();
		for (size_t k = 0; k < count; k++)
			if (blocks[k])
				memset(blocks[k], 0x77, size_of_blocks);
		validate();
		if (merge().frame_bytes == 0) /* by a hold of its own */
			_exit(8);
		for (size_t k = 0; k < count; k++)
			if (blocks[k] && (blocks[k][0] != 0x77 || blocks[k][size_of_blocks - 1] != 0x77))
				_exit(7);
		_exit(check_failures ? 6 : 0);
	}
	for (size_t k = 0; k < count; k++)
		if (blocks[k])
			memset(blocks[k], 0x33, size_of_blocks);
	REQUIRE(write(gate[1], &byte, 1) == 1);
	REQUIRE(waitpid(pid, &status, 0) == pid);
	CHECK_EQ(status, 0);
	for (size_t k = 0; k < count; k++)
		CHECK(!blocks[k] || (blocks[k][0] == 0x33 && blocks[k][size_of_blocks - 1] == 0x33));
	merge();
	validate();
	free_blocks();
	return check_failures != 0;
}

static void fork_keeps_them_apart(void)
{
	for (enum na_concurrent way = NA_CONCURRENT_MOVE; way < NA_CONCURRENT_COUNT_; way++) {
		struct child c;

		if (!can(way))
			continue;
		child_run(keeps_apart, NULL, &c);
		CHILD_GOOD(&c, "fork");
	}
}

/* ---- when not ---- */

static void refused(const char *why)
{
	struct na_concurrent_figures f;

	CHECK_EQ(merge().frame_bytes, 0);
	na_concurrent_figures(&f);
	CHECK_MSG(strstr(f.why, why) != NULL, "\"%s\" does not say \"%s\"", f.why, why);
}

static int not_granted(enum na_concurrent way, struct na_hold *out)
{
	(void)out;
	return way == NA_CONCURRENT_MOVE ? -ENOSYS : -EPERM;
}

static int when_not(void *unused)
{
	char root[] = "/tmp/numarena-concurrent-XXXXXX", path[100];
	FILE *f;

	(void)unused;
	scatter(20000, 256, 8);
	na_options.defrag_concurrent = NA_CONCURRENT_OFF;
	CHECK_EQ(merge().frame_bytes, 0);
	CHECK_EQ(na_concurrent_winnable(), 0);
	na_options.defrag_concurrent = NA_CONCURRENT_AUTO;
	CHECK(na_concurrent_winnable() > 0);
	na_options.harden = 1;
	refused("hardened");
	na_options.harden = 0;
	na_os.hold_open = not_granted;
	refused("move is not in this kernel"); /* and the next best is not taken without being asked for */
	na_options.defrag_concurrent = NA_CONCURRENT_USERFAULTFD;
	refused("vm.unprivileged_userfaultfd");
	na_os.hold_open = na_hold_open;
	na_options.defrag_concurrent = NA_CONCURRENT_MPROTECT;
	REQUIRE(mkdtemp(root));
	na_limits_root = root;
	refused("VmPin");
	snprintf(path, sizeof(path), "%s/proc", root);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/proc/self", root);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/proc/self/status", root);
	f = fopen(path, "w");
	REQUIRE(f);
	fprintf(f, "Name:\ttest\nVmLck:\t       0 kB\nVmPin:\t      64 kB\n");
	fclose(f);
	refused("64 KiB of this process are pinned");
	unlink(path);
	snprintf(path, sizeof(path), "%s/proc/self", root);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/proc", root);
	rmdir(path);
	rmdir(root);
	na_limits_root = "";
	CHECK(merge().frame_bytes > 0);
	check_blocks();
	return check_failures != 0;
}

static void when_it_must_not_be_done(void)
{
	struct child c;

	child_run(when_not, NULL, &c);
	CHILD_GOOD(&c, "when it must not be done");
}

static int closed(void *unused)
{
	(void)unused;
	scatter(20000, 256, 8);
	CHECK(merge().frame_bytes > 0);
	check_blocks();
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
	scatter(20000, 512, 8);
	merge();
	check_blocks();
	merge();
	check_blocks();
	validate();
	return check_failures != 0;
}

static void a_closed_descriptor(void)
{
	struct child c;

	if (!can(NA_CONCURRENT_MOVE))
		return;
	child_run(closed, NULL, &c);
	CHILD_GOOD(&c, "a closed descriptor");
}

/* ---- slices ---- */

static int sliced(void *argument)
{
	uint64_t most = *(uint64_t *)argument, least = 2 * NA_PAGE; /* a frame is not begun for one unit */
	struct na_merging m;
	bool more = true;
	int n;

	scatter(60000, 64, 8);
	na_merging_figures(&m);
	for (n = 0; more && n < 100000; n++) {
		struct na_move_budget budget = { most, most };
		uint64_t before = m.mapped_bytes;

		na_concurrent_run(na_os_now_ns() + 200000, &budget, false, &more);
		na_merging_figures(&m);
		CHECK_MSG(m.mapped_bytes <= before + (most > least ? most : least), "%llu bytes", (unsigned long long)(m.mapped_bytes - before));
	}
	CHECK(!more);
	/* One pass does what a whole one does, which puts 3.8 MB on frames. */
	CHECK_MSG(m.mapped_bytes >= 60000 * 64 / 5 * 4 && m.mapped_bytes > 3 * m.frame_bytes, "%llu on %llu", (unsigned long long)m.mapped_bytes, (unsigned long long)m.frame_bytes);
	check_blocks();
	validate();
	/* Nothing is left of the budget: nothing is done. */
	free_blocks();
	scatter(60000, 256, 8);
	na_merging_figures(&m);
	most = m.mapped_bytes;
	na_concurrent_run(na_os_now_ns() + 200000, &(struct na_move_budget){ 4 * NA_PAGE, 0 }, false, &more);
	na_merging_figures(&m);
	CHECK(more && m.mapped_bytes == most);
	return check_failures != 0;
}

static void slices(void)
{
	static uint64_t most[] = { 1 << 20, 7 * NA_PAGE, NA_PAGE };

	for (size_t i = 0; i < sizeof(most) / sizeof(most[0]); i++) {
		char what[60];

		snprintf(what, sizeof(what), "slices of %llu bytes", (unsigned long long)most[i]);
		by_any_way(sliced, &most[i], what);
	}
}

/* ---- failures ---- */

static void merging(void)
{
	for (size_t i = 0; i < 1000; i++) {
		size_t size = i < 400 ? 1024 : 256;
		void *p = na_heap_allocate(size);

		if (!p)
			continue;
		if (i % 5 == 0)
			nth_keep(p, size);
		else
			blocks[count++] = p;
	}
	while (count)
		na_heap_release(blocks[--count]);
	na_heap_flush();
	merge();
	nth_check_blocks();
	merge(); /* what failed is done now, or fails again */
	nth_check_blocks();
	na_merging_restore();
}

static void done(void)
{
	na_merging_restore();
}

int main(void)
{
	check_watchdog(300);
	na_pools_boot();
	na_heap_start();
	RUN(blocks_live_on);
	RUN(threads_end);
	RUN(freed_from_outside_where_spans_are_turned);
	RUN(neighbours_come_together);
	RUN(pages_are_held);
	RUN(pinned_pages_stay);
	RUN(faults_are_the_programs);
	RUN(own_stack);
	RUN(fork_keeps_them_apart);
	RUN(when_it_must_not_be_done);
	RUN(a_closed_descriptor);
	RUN(slices);
	nth_stride = 5;
	if (can(NA_CONCURRENT_MOVE))
		nth_scenario("move", merging, done);
	if (can(NA_CONCURRENT_MPROTECT))
		nth_scenario("mprotect", merging, done);
	return check_result();
}
