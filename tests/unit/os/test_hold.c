/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pages that are held (os/hold.h) when the system refuses a call: whatever fails, and however often, contents are there again, nobody waits for ever, and nothing
 * is tried for ever. syscall(), by which hold.c speaks with the system, is this program's: a test has the calls that it names fail.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/hold.h"
#include "os/memfile.h"
#include "os/os.h"
#include "support/check.h"
#include "support/child.h"

#define HELD  (4 * NA_PAGE)
#define NEVER 1000000
#define MOVE  0xc028aa05UL /* UFFDIO_MOVE; older headers do not have it */

static struct na_hold hold;
static char *page;

/* ---- calls that fail ---- */

/* Of this thread only. Calls of the kind are counted from 0: those of [from, from + times) fail. A half one is done as far as its first page and fails
 * then. */
struct refusal {
	unsigned long what; /* request of an ioctl, or number of a system call; 0: none */
	int from, times, error;
	bool half;
	bool back; /* UFFDIO_MOVE: only to the page's place */
	int seen;
};
static __thread struct refusal refusals[3];
static void (*in_the_middle)(void);

static struct refusal *refused(unsigned long what, bool back)
{
	for (size_t i = 0; i < 3; i++) {
		struct refusal *r = &refusals[i];

		if (r->what != what || (r->back && !back))
			continue;
		r->seen++;
		if (r->seen > r->from && r->seen <= r->from + r->times)
			return r;
	}
	return NULL;
}

static int fail_with(int error)
{
	if (in_the_middle)
		in_the_middle();
	errno = error;
	return -1;
}

static long (*real)(long, ...);

static void find_real(void)
{
	if (!real)
		real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
}

/* By which hold.c speaks with the system, ioctl(2) as well. */
static const struct refusal *refused_control(int fd, unsigned long request, void *argument)
{
	const struct refusal *r = refused(request, request == MOVE && *(uint64_t *)argument == (uintptr_t)page);
	struct uffdio_register half;

	if (r && r->half) {
		memcpy(&half, argument, _IOC_SIZE(request)); /* all of them begin with the range */
		half.range.len = NA_PAGE;
		real(SYS_ioctl, fd, request, &half);
	}
	return r;
}

long syscall(long number, ...)
{
	const struct refusal *r;
	va_list args;
	long a[6] = { 0 };

	find_real();
	va_start(args, number);
	for (int i = 0; i < (number == SYS_mmap || number == SYS_futex ? 6 : 5); i++) /* a sixth would lie in memory */
		a[i] = va_arg(args, long);
	va_end(args);
	r = number == SYS_ioctl ? refused_control((int)a[0], (unsigned long)a[1], (void *)a[2]) :
				  refused((unsigned long)number, false);
	if (!r)
		return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (r->half && number == SYS_mmap) /* before 6.12: what was there is gone */
		munmap((void *)a[0], (size_t)a[1]);
	else if (r->half && number != SYS_ioctl)
		real(number, a[0], NA_PAGE, a[2]);
	return fail_with(r->error);
}

/* A library's own functions of these names, as tools for input and output preload: they would wait for who waits for us. */
static _Atomic int wrapped;

int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *argument;

	va_start(args, request);
	argument = va_arg(args, void *);
	va_end(args);
	find_real();
	atomic_fetch_add(&wrapped, 1);
	return (int)real(SYS_ioctl, fd, request, argument);
}

ssize_t pwrite(int fd, const void *from, size_t size, off_t at)
{
	find_real();
	atomic_fetch_add(&wrapped, 1);
	return (ssize_t)real(SYS_pwrite64, fd, from, size, at);
}

int fstat(int fd, struct stat *out)
{
	find_real();
	atomic_fetch_add(&wrapped, 1);
	return (int)real(SYS_newfstatat, fd, "", out, AT_EMPTY_PATH);
}

static struct refusal *refuse(int i, unsigned long what, int from, int times, int error)
{
	refusals[i] = (struct refusal){ what, from, times, error, false, false, 0 };
	return &refusals[i];
}

static void refuse_nothing(void)
{
	memset(refusals, 0, sizeof(refusals));
	in_the_middle = NULL;
}

/* ---- who waits ---- */

static _Atomic int stage;

static void *write_there(void *unused)
{
	(void)unused;
	while (atomic_load(&stage) == 0)
		sched_yield();
	atomic_store(&stage, 2);
	((volatile char *)page)[5] = 'w';
	atomic_store(&stage, 3);
	return NULL;
}

/* It writes to `page` when it is let come. */
static pthread_t writer(void)
{
	pthread_t thread;

	atomic_store(&stage, 0);
	REQUIRE(pthread_create(&thread, NULL, write_there, NULL) == 0);
	return thread;
}

static void let_it_come(void)
{
	atomic_store(&stage, 1);
	while (atomic_load(&stage) < 2)
		sched_yield();
	usleep(5000);
}

/* Two mappings, of different sort: the first page is one of its own. */
static void two_mappings(void)
{
	page = mmap(NULL, HELD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(page != MAP_FAILED);
	REQUIRE(madvise(page, NA_PAGE, MADV_DONTDUMP) == 0);
	memset(page, 'a', HELD);
}

/* All is as it was, and nothing of ours is left on it: pages that go come again by themselves. */
static void check_untouched(char first)
{
	CHECK(page[5] == first);
	for (size_t i = 0; i < HELD; i++)
		CHECK(i == 5 || page[i] == 'a');
	memset(page, 'z', HELD);
	CHECK_EQ(madvise(page, HELD, MADV_DONTNEED), 0);
	for (size_t i = 0; i < HELD; i += NA_PAGE)
		CHECK(page[i] == 0);
	memset(page, 'z', HELD);
	munmap(page, HELD);
}

static bool without_holes; /* as on machines that have no write protection of userfaultfd */

static bool can(enum na_concurrent way)
{
	bool less = without_holes && way == NA_CONCURRENT_MOVE;
	int rc;

	if (less)
		refuse(0, UFFDIO_REGISTER, 0, 1, EINVAL);
	rc = na_hold_open(way, &hold);
	refuse_nothing();
	CHECK(rc < 0 || !less || !hold.holes);
	if (rc < 0) {
		fprintf(stderr, "SKIP: %s is not to be had here\n", na_concurrent_name(way));
		return false;
	}
	return true;
}

/* ---- cases ---- */

/* Of two mappings the second cannot be registered, for it would be one mapping more. */
static int half_registered(void *argument)
{
	const void *contents;

	if (!can(*(enum na_concurrent *)argument))
		return 0;
	two_mappings();
	refuse(0, UFFDIO_REGISTER, 0, 1, ENOMEM)->half = true;
	CHECK_EQ(na_hold_begin(&hold, page, HELD, &contents), -ENOMEM);
	refuse_nothing();
	check_untouched('a');
	na_hold_close(&hold);
	return check_failures != 0;
}

/* Watched by somebody else, who goes on to be told. */
static int anothers(void *argument)
{
	struct na_hold other;
	const void *contents;

	if (!can(*(enum na_concurrent *)argument))
		return 0;
	REQUIRE(na_hold_open(NA_CONCURRENT_USERFAULTFD, &other) == 0);
	two_mappings();
	CHECK_EQ(na_hold_begin(&other, page, HELD, &contents), 0);
	refuse(0, UFFDIO_UNREGISTER, NEVER, 0, 0);
	CHECK_EQ(na_hold_begin(&hold, page, HELD, &contents), -EBUSY);
	CHECK_EQ(refusals[0].seen, 0); /* which older kernels take for the other's */
	refuse_nothing();
	na_hold_end(&other, 0);
	check_untouched('a');
	na_hold_close(&other);
	na_hold_close(&hold);
	return check_failures != 0;
}

/* Nothing is brought back as it should be: by moving (of the kernel's own reasons, and for there is nothing mapped any more), and by copying either. */
static void not_back(int error, int copy_error, int times, bool hole)
{
	const void *contents;
	pthread_t thread;

	two_mappings();
	thread = writer();
	CHECK_EQ(na_hold_begin(&hold, page, HELD, &contents), 0);
	let_it_come();
	CHECK_EQ(atomic_load(&stage), 2);
	if (hole)
		munmap(page, HELD);
	refuse(0, MOVE, 0, times, error)->back = true;
	if (copy_error)
		refuse(1, UFFDIO_COPY, 0, times, copy_error);
	na_hold_end(&hold, 0);
	CHECK_MSG(refusals[0].seen < 10000, "tried %d times", refusals[0].seen);
	refuse_nothing();
	pthread_join(thread, NULL);
	check_untouched('w');
	/* And it can be used again. */
	two_mappings();
	CHECK_EQ(na_hold_begin(&hold, page, HELD, &contents), 0);
	CHECK(((const char *)contents)[HELD - 1] == 'a');
	na_hold_end(&hold, 0);
	check_untouched('a');
}

static int back_fails(void *unused)
{
	static const int errors[] = { EAGAIN, EBUSY, ENOSPC, ENOMEM, ENOENT, EINVAL };

	(void)unused;
	if (!can(NA_CONCURRENT_MOVE))
		return 0;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		not_back(errors[i], 0, 1, false);
		not_back(errors[i], 0, NEVER, false);
		not_back(errors[i], EAGAIN, NEVER, false);
		not_back(errors[i], ENOMEM, NEVER, false);
		not_back(errors[i], ENOMEM, 2, false);
	}
	not_back(0, 0, 0, true);
	na_hold_close(&hold);
	return check_failures != 0;
}

/* The third page is pinned, and what was taken until then does not move back. */
static int half_taken(void *unused)
{
	const void *contents;

	(void)unused;
	if (!can(NA_CONCURRENT_MOVE))
		return 0;
	for (int copies = 0; copies < 2; copies++) {
		two_mappings();
		refuse(0, MOVE, 3, NEVER, EBUSY);
		if (!copies)
			refuse(1, UFFDIO_COPY, 0, NEVER, ENOMEM);
		CHECK_EQ(na_hold_begin(&hold, page, HELD, &contents), -EBUSY);
		refuse_nothing();
		check_untouched('a');
	}
	na_hold_close(&hold);
	return check_failures != 0;
}

/* Not registered any more, whatever the kernel says: else a page that goes and comes again would be waited for. */
static int not_unregistered(void *argument)
{
	enum na_concurrent way = *(enum na_concurrent *)argument;
	const void *contents;

	for (int round = 0; round < 3; round++) {
		if (!can(way))
			return 0;
		two_mappings();
		CHECK_EQ(na_hold_begin(&hold, page, HELD, &contents), 0);
		refuse(0, UFFDIO_UNREGISTER, 0, round ? NEVER : 1, round == 2 ? EINVAL : ENOMEM);
		na_hold_end(&hold, 0);
		CHECK_MSG(refusals[0].seen < 10000, "tried %d times", refusals[0].seen);
		refuse_nothing();
		check_untouched('a');
		na_hold_close(&hold);
	}
	return check_failures != 0;
}

static int not_protected(void *argument)
{
	const int error = *(int *)argument;
	const void *contents;

	if (!can(NA_CONCURRENT_USERFAULTFD))
		return 0;
	two_mappings();
	refuse(0, UFFDIO_WRITEPROTECT, 0, NEVER, error)->half = true;
	CHECK_EQ(na_hold_begin(&hold, page, HELD, &contents), -error);
	CHECK_MSG(refusals[0].seen < 10000, "tried %d times", refusals[0].seen);
	refuse_nothing();
	check_untouched('a');
	na_hold_close(&hold);
	return check_failures != 0;
}

/* Of two mappings the first is read-only already when the second is refused, and a thread waits there. */
static int half_read_only(void *unused)
{
	const void *contents;
	pthread_t thread;

	(void)unused;
	REQUIRE(can(NA_CONCURRENT_MPROTECT));
	two_mappings();
	thread = writer();
	refuse(0, SYS_mprotect, 0, 1, ENOMEM)->half = true;
	in_the_middle = let_it_come;
	CHECK_EQ(na_hold_begin(&hold, page, HELD, &contents), -ENOMEM);
	refuse_nothing();
	pthread_join(thread, NULL);
	check_untouched('w');
	na_hold_close(&hold);
	return check_failures != 0;
}

static int stays_read_only(void *argument)
{
	const void *contents;
	pthread_t thread;

	REQUIRE(can(NA_CONCURRENT_MPROTECT));
	two_mappings();
	thread = writer();
	CHECK_EQ(na_hold_begin(&hold, page, HELD, &contents), 0);
	let_it_come();
	refuse(0, SYS_mprotect, 0, *(int *)argument, ENOMEM)->half = true;
	na_hold_end(&hold, 0);
	refuse_nothing();
	pthread_join(thread, NULL);
	check_untouched('w');
	na_hold_close(&hold);
	return check_failures != 0;
}

static void take_the_place(void)
{
	if (!refusals[1].seen) /* when it was looked whether nothing is there */
		return;
	REQUIRE(mmap(page, HELD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == page);
	page[0] = 't';
}

/* Kernels before 6.12 unmap what is there, and fail then: what was to be mapped is tried again, or nothing would be there. */
static int switch_leaves_a_hole(void *unused)
{
	struct na_memfile file;

	(void)unused;
	two_mappings();
	REQUIRE(na_memfile_make("held", &file) == 0);
	CHECK_EQ(na_memfile_write(&file, page, HELD, 0), 0);
	refuse(0, SYS_mmap, 0, 3, ENOMEM); /* nothing is gone: the caller's to know */
	CHECK_EQ(na_memfile_switch(&file, 0, HELD, page), -ENOMEM);
	CHECK_EQ(refusals[0].seen, 1);
	refuse(0, SYS_mmap, 0, 3, ENOMEM)->half = true;
	CHECK_EQ(na_memfile_switch(&file, 0, HELD, page), 0);
	refuse_nothing();
	for (size_t i = 0; i < HELD; i++)
		CHECK(page[i] == 'a');
	/* Another thread is given the place meanwhile: that is not mapped over. */
	refuse(0, SYS_mmap, 0, 1, ENOMEM)->half = true;
	refuse(1, SYS_sched_yield, 0, 1, EAGAIN);
	in_the_middle = take_the_place;
	CHECK_EQ(na_memfile_switch(&file, 0, HELD, page), -EEXIST);
	refuse_nothing();
	CHECK(page[0] == 't' && page[1] == 0);
	na_memfile_close(&file);
	munmap(page, HELD);
	return check_failures != 0;
}

/* The second of two mappings to come is refused: what is replaced already stays so, the rest is as it was. */
static int partly_replaced(void *argument)
{
	struct na_memfile file;
	const void *contents;
	pthread_t thread;

	if (!can(*(enum na_concurrent *)argument))
		return 0;
	REQUIRE(na_memfile_make("held", &file) == 0);
	for (size_t replaced = NA_PAGE; replaced < HELD; replaced += NA_PAGE) {
		two_mappings();
		thread = writer();
		CHECK_EQ(na_hold_begin(&hold, page, HELD, &contents), 0);
		let_it_come();
		atomic_store(&wrapped, 0);
		CHECK_EQ(na_memfile_write(&file, contents, replaced, 0), 0);
		CHECK_EQ(na_memfile_switch(&file, 0, replaced, page), 0);
		na_hold_end(&hold, replaced);
		CHECK_EQ(atomic_load(&wrapped), 0);
		pthread_join(thread, NULL);
		CHECK(page[5] == 'w');
		for (size_t i = 6; i < HELD; i++)
			CHECK(page[i] == 'a');
		memset(page, 'z', HELD);
		CHECK_EQ(madvise(page + replaced, HELD - replaced, MADV_DONTNEED), 0);
		CHECK(page[replaced - 1] == 'z' && page[replaced] == 0 && page[HELD - 1] == 0);
		munmap(page, HELD);
		CHECK_EQ(na_memfile_punch(&file, 0, HELD), 0);
	}
	na_hold_drop(&hold);
	na_hold_close(&hold);
	na_memfile_close(&file);
	return check_failures != 0;
}

/* Nothing can be done, by any means: the process ends, and says why, rather than go on with other contents or wait for ever. */
static int hopeless(void *unused)
{
	const struct rlimit none = { 0, 0 };
	const void *contents;

	(void)unused;
	if (!can(NA_CONCURRENT_MOVE))
		return 77;
	setrlimit(RLIMIT_CORE, &none);
	two_mappings();
	CHECK_EQ(na_hold_begin(&hold, page, HELD, &contents), 0);
	refuse(0, MOVE, 0, NEVER, ENOMEM);
	refuse(1, UFFDIO_COPY, 0, NEVER, ENOMEM);
	refuse(2, SYS_mremap, 0, NEVER, ENOMEM);
	na_hold_end(&hold, 0);
	return 0;
}

static void good(const char *what, int (*run)(void *), void *argument)
{
	struct child c;

	child_run(run, argument, &c);
	CHILD_GOOD(&c, what);
}

static void calls_fail(void)
{
	enum na_concurrent ways[] = { NA_CONCURRENT_MOVE, NA_CONCURRENT_USERFAULTFD, NA_CONCURRENT_MPROTECT };
	int errors[] = { EAGAIN, ENOMEM }, few[] = { 1, 50 };

	for (size_t i = 0; i < 2; i++) {
		good("half registered", half_registered, &ways[i]);
		good("another's", anothers, &ways[i]);
		good("not unregistered", not_unregistered, &ways[i]);
		good("not protected", not_protected, &errors[i]);
		good("stays read-only", stays_read_only, &few[i]);
	}
	for (size_t i = 1; i < 3; i++)
		good("partly replaced", partly_replaced, &ways[i]);
	for (int less = 0; less < 2; less++) {
		without_holes = less;
		good("not brought back", back_fails, NULL);
		good("half taken", half_taken, NULL);
		good("partly replaced by moving", partly_replaced, &ways[0]);
	}
	good("half read-only", half_read_only, NULL);
	good("a switch leaves a hole", switch_leaves_a_hole, NULL);
}

static void what_cannot_be_brought_back(void)
{
	struct child c;

	child_run(hopeless, NULL, &c);
	if (WIFEXITED(c.status) && WEXITSTATUS(c.status) == 77)
		return;
	CHECK_MSG(WIFSIGNALED(c.status) && WTERMSIG(c.status) == SIGABRT, "status %d", c.status);
	CHECK_MSG(strstr(c.text, "cannot be given back") != NULL, "\"%s\" does not say why", c.text);
}

int main(void)
{
	check_watchdog(120);
	RUN(calls_fail);
	RUN(what_cannot_be_brought_back);
	return check_result();
}
