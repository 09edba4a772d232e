/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See hold.h. Raw system calls: the C library's functions may be another library's, which would run while threads wait, and may be points of
 * cancellation.
 *
 * userfaultfd: nobody reads messages. A thread that faults in a registered range is queued before it lets go of the lock of the address space; mapping
 * something else there takes that lock for writing, so whoever is to wait is queued by then, and UFFDIO_WAKE on the addresses, which needs no mapping of
 * ours there any more, lets all of them retry: they find the new mapping. The kernel itself wakes nobody when a mapping is replaced.
 *
 * What undoes a hold must not fail. It is tried again, a thousand times at most, then done in another way (hold_move.c); if there is none left the process ends with
 * a message: never with other contents, nor with threads that wait for ever.
 */
#include "os/hold.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "os/fault.h"
#include "os/hold_move.h"
#include "os/hold_signal.h"
#include "os/os.h"

#define HIGH 200 /* programs that use descriptors by fixed numbers use lower ones */

/* ---- open and close ---- */

static int open_faults(uint64_t feature, int *out)
{
	struct uffdio_api api = { .api = UFFD_API, .features = feature };
	int fd = na_fault_descriptor(), high, rc = 0;

	if (fd < 0)
		return fd;
	high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH);
	if (high >= 0) {
		close(fd);
		fd = high;
	}
	if (na_hold_control(fd, UFFDIO_API, &api) < 0)
		rc = errno == EINVAL ? -ENOSYS : -errno;
	if (rc < 0)
		close(fd);
	else
		*out = fd;
	return rc;
}

/* A program that has closed it may have a file of its own under that number. */
static bool is_ours(int fd)
{
	struct uffdio_range page = { (uintptr_t)&na_os & ~(uintptr_t)(NA_PAGE - 1), NA_PAGE };

	return fd >= 0 && na_hold_control(fd, UFFDIO_WAKE, &page) == 0;
}

int na_hold_watch(const struct na_hold *h, void *at, size_t size, uint64_t mode)
{
	struct uffdio_register r = { .range = { (uintptr_t)at, size }, .mode = mode };
	struct uffdio_range range = r.range;
	int rc = na_hold_control(h->fd, UFFDIO_REGISTER, &r) < 0 ? -errno : 0;

	/* Of several mappings the first may be registered already; of other failures nothing is, or (-EBUSY) by somebody else. */
	if (rc == -ENOMEM)
		na_hold_control(h->fd, UFFDIO_UNREGISTER, &range);
	return rc;
}

void na_hold_wake(const struct na_hold *h)
{
	struct uffdio_range range = { (uintptr_t)h->at, h->size };

	na_hold_control(h->fd, UFFDIO_WAKE, &range);
}

/* And who waits there tries again: the kernel wakes those of missing pages only. What stayed registered would be waited for, once its memory has gone back:
 * so rather nothing is registered any more, and the next pass opens another descriptor. */
void na_hold_unwatch(struct na_hold *h, size_t from)
{
	struct uffdio_range range = { (uintptr_t)h->at + from, h->size - from };
	int tries = 0;

	while (na_hold_control(h->fd, UFFDIO_UNREGISTER, &range) < 0)
		if ((errno != ENOMEM && errno != EAGAIN) || !na_hold_again(&tries)) {
			if (is_ours(h->fd))
				syscall(SYS_close, h->fd);
			h->fd = -1;
			return; /* which has woken everybody */
		}
	na_hold_wake(h);
}

bool na_hold_again(int *tries)
{
	static const struct timespec moment = { 0, 50 * 1000 };

	if (++*tries > NA_HOLD_TRIES)
		return false;
	if (*tries <= NA_HOLD_TRIES / 2)
		syscall(SYS_sched_yield);
	else
		syscall(SYS_nanosleep, &moment, NULL);
	return true;
}

void na_hold_give_up(const char *why)
{
	struct sigaction end = { .sa_handler = SIG_DFL };

	sigaction(SIGABRT, &end, NULL); /* a handler of the program's might wait for what is held */
	na_log(NA_LOG_ERROR,
	       "pages that were taken to be merged cannot be given back (%s: error %d): the process ends here", why,
	       errno);
	abort();
}

int na_hold_open(enum na_concurrent way, struct na_hold *out)
{
	struct na_hold h = { .way = way, .fd = -1 };
	int saved = errno, rc;

	na_os_inside++;
	if (way == NA_CONCURRENT_MPROTECT)
		rc = na_hold_catch();
	else
		rc = open_faults(way == NA_CONCURRENT_MOVE ? NA_HOLD_MOVE_FEATURE : UFFD_FEATURE_PAGEFAULT_FLAG_WP,
				 &h.fd);
	if (rc == 0 && way == NA_CONCURRENT_MOVE) {
		rc = na_hold_move_open(&h);
		if (rc < 0)
			close(h.fd);
	}
	if (rc == 0)
		*out = h;
	na_os_inside--;
	errno = saved;
	return rc;
}

void na_hold_close(struct na_hold *hold)
{
	int saved = errno;

	na_os_inside++;
	if (hold->aside)
		munmap(hold->aside, NA_HOLD_MOST);
	if (is_ours(hold->fd))
		close(hold->fd);
	*hold = (struct na_hold){ .fd = -1 };
	na_os_inside--;
	errno = saved;
}

/* ---- userfaultfd ---- */

static int set_protection(const struct na_hold *h)
{
	struct uffdio_writeprotect w = { .range = { (uintptr_t)h->at, h->size }, .mode = UFFDIO_WRITEPROTECT_MODE_WP };
	int rc, tries = 0;

	do
		rc = na_hold_control(h->fd, UFFDIO_WRITEPROTECT, &w);
	while (rc < 0 && errno == EAGAIN && na_hold_again(&tries));
	return rc < 0 ? -errno : 0;
}

/* A page that is not there would not be protected. */
static int begin_protect(struct na_hold *h, const void **contents)
{
	int rc = na_hold_watch(h, h->at, h->size, UFFDIO_REGISTER_MODE_WP);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < h->size; i += NA_PAGE)
		(void)*(volatile const char *)(h->at + i);
	rc = set_protection(h);
	*contents = h->at;
	if (rc < 0)
		na_hold_unwatch(h, 0); /* and what protection there is */
	return rc;
}

/* ---- mprotect ---- */

static int set_access(const struct na_hold *h, size_t from, int access)
{
	return syscall(SYS_mprotect, h->at + from, h->size - from, access) < 0 ? -errno : 0;
}

/* It must not fail: threads wait, and would try again and again. All that was read-only is a mapping of its own, or several: the kernel has nothing to
 * split, and so nothing to refuse for long. */
static void let_write(const struct na_hold *h, size_t from)
{
	int tries = 0;

	while (set_access(h, from, PROT_READ | PROT_WRITE) < 0)
		if (!na_hold_again(&tries))
			na_hold_give_up("mprotect");
	na_hold_over();
}

/* Of several mappings the first may be read-only when the second is refused. */
static int begin_read_only(const struct na_hold *h, const void **contents)
{
	int rc;

	*contents = h->at;
	na_hold_announce((uintptr_t)h->at, h->size);
	rc = set_access(h, 0, PROT_READ);
	if (rc < 0)
		let_write(h, 0);
	return rc;
}

/* ---- all of them ---- */

/* The C library's function leaves out what it uses itself. */
static void mask(uint64_t to, uint64_t *before)
{
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &to, before, sizeof(to));
}

int na_hold_begin(struct na_hold *hold, void *at, size_t size, const void **contents)
{
	int saved = errno, rc;

	hold->at = at;
	hold->size = size;
	mask(UINT64_MAX, &hold->signals);
	if (hold->way == NA_CONCURRENT_MOVE)
		rc = na_hold_move_begin(hold, contents);
	else if (hold->way == NA_CONCURRENT_USERFAULTFD)
		rc = begin_protect(hold, contents);
	else
		rc = begin_read_only(hold, contents);
	if (rc < 0)
		mask(hold->signals, NULL);
	errno = saved;
	return rc;
}

void na_hold_end(struct na_hold *hold, size_t replaced)
{
	int saved = errno;

	switch (hold->way) {
	case NA_CONCURRENT_MOVE:
		na_hold_move_end(hold, replaced);
		break;
	case NA_CONCURRENT_USERFAULTFD:
		if (replaced < hold->size)
			na_hold_unwatch(hold, replaced);
		else
			na_hold_wake(hold);
		break;
	default:
		if (replaced < hold->size)
			let_write(hold, replaced);
		else
			na_hold_over();
		break;
	}
	mask(hold->signals, NULL);
	errno = saved;
}

void na_hold_drop(struct na_hold *hold)
{
	int saved = errno;

	if (hold->aside)
		na_hold_move_drop(hold);
	errno = saved;
}
