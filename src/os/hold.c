/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See hold.h. Raw system calls: the C library's functions may be another library's, which would run while threads wait, and may be points of
 * cancellation.
 *
 * userfaultfd: nobody reads messages. A thread that faults in a registered range is queued before it lets go of the lock of the address space; mapping
 * something else there takes that lock for writing, so whoever is to wait is queued by then, and UFFDIO_WAKE on the addresses, which needs no mapping of
 * ours there any more, lets all of them retry: they find the new mapping. The kernel itself wakes nobody when a mapping is replaced.
 */
#include "os/hold.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/fault.h"
#include "os/hold_signal.h"
#include "os/os.h"

/* Since Linux 6.8; older headers do not have it. */
struct move {
	uint64_t dst, src, len, mode;
	int64_t moved;
};
#define MOVE	     _IOWR(UFFDIO, 0x05, struct move)
#define MOVE_FEATURE ((uint64_t)1 << 16)
#define HIGH	     200  /* programs that use descriptors by fixed numbers use lower ones */
#define TRIES	     1000 /* where the kernel says that something moves just now */

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
	if (ioctl(fd, UFFDIO_API, &api) < 0)
		rc = errno == EINVAL ? -ENOSYS : -errno;
	if (rc < 0)
		close(fd);
	else
		*out = fd;
	return rc;
}

static int watch(const struct na_hold *h, void *at, size_t size, uint64_t mode)
{
	struct uffdio_register r = { .range = { (uintptr_t)at, size }, .mode = mode };

	return ioctl(h->fd, UFFDIO_REGISTER, &r) < 0 ? -errno : 0;
}

/* Who waits there is woken as well. */
static void unwatch(const struct na_hold *h)
{
	struct uffdio_range range = { (uintptr_t)h->at, h->size };

	ioctl(h->fd, UFFDIO_UNREGISTER, &range);
}

static int open_aside(struct na_hold *h)
{
	void *p = mmap(NULL, NA_HOLD_MOST, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int rc;

	if (p == MAP_FAILED)
		return -errno;
	madvise(p, NA_HOLD_MOST, MADV_NOHUGEPAGE);
	madvise(p, NA_HOLD_MOST, MADV_DONTFORK);
	rc = watch(h, p, NA_HOLD_MOST, UFFDIO_REGISTER_MODE_MISSING);
	if (rc < 0)
		munmap(p, NA_HOLD_MOST);
	else
		h->aside = p;
	return rc;
}

int na_hold_open(enum na_concurrent way, struct na_hold *out)
{
	struct na_hold h = { .way = way, .fd = -1 };
	int saved = errno, rc;

	na_os_inside++;
	if (way == NA_CONCURRENT_MPROTECT)
		rc = na_hold_catch();
	else
		rc = open_faults(way == NA_CONCURRENT_MOVE ? MOVE_FEATURE : UFFD_FEATURE_PAGEFAULT_FLAG_WP, &h.fd);
	if (rc == 0 && way == NA_CONCURRENT_MOVE) {
		rc = open_aside(&h);
		if (rc < 0)
			close(h.fd);
	}
	if (rc == 0)
		*out = h;
	na_os_inside--;
	errno = saved;
	return rc;
}

/* A program that has closed it may have a file of its own under that number. */
static bool is_ours(int fd)
{
	struct uffdio_range page = { (uintptr_t)&na_os & ~(uintptr_t)(NA_PAGE - 1), NA_PAGE };

	return fd >= 0 && ioctl(fd, UFFDIO_WAKE, &page) == 0;
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

/* ---- move ---- */

/* As far as *done; nobody is woken by it. Pages that were never touched become zeros there. */
static int take_away(const struct na_hold *h, size_t *done)
{
	size_t most = h->size;

	for (int tries = 0; *done < h->size;) {
		size_t length = h->size - *done < most ? h->size - *done : most;
		struct move m = { (uintptr_t)h->aside + *done, (uintptr_t)h->at + *done, length, 0, 0 };
		struct uffdio_zeropage z = { .range = { m.dst, NA_PAGE } };

		if (ioctl(h->fd, MOVE, &m) == 0)
			*done += length;
		else if (m.moved > 0)
			*done += (size_t)m.moved;
		else if (errno == EINVAL &&
			 length > NA_PAGE) /* neighbours in different mappings: no call goes over both */
			most = NA_PAGE;
		else if (errno == ENOENT && (ioctl(h->fd, UFFDIO_ZEROPAGE, &z) == 0 || errno == EEXIST))
			*done += NA_PAGE;
		else if (errno != EAGAIN || ++tries > TRIES)
			return -errno;
	}
	return 0;
}

/* It must not fail: nobody else has the contents. A page that does not move is copied, as soon as there is memory. */
static void bring_back(const struct na_hold *h, size_t size)
{
	for (size_t done = 0; done < size;) {
		struct move m = { (uintptr_t)h->at + done, (uintptr_t)h->aside + done, size - done, 0, 0 };
		struct uffdio_copy c = { .dst = m.dst, .src = m.src, .len = NA_PAGE };

		if (ioctl(h->fd, MOVE, &m) == 0)
			return;
		if (m.moved > 0)
			done += (size_t)m.moved;
		else if (errno != EAGAIN && (ioctl(h->fd, UFFDIO_COPY, &c) == 0 || errno == EEXIST))
			done += NA_PAGE;
		else
			sched_yield();
	}
}

static void drop_aside(const struct na_hold *h)
{
	syscall(SYS_madvise, h->aside, h->size, MADV_DONTNEED);
}

static int begin_move(struct na_hold *h, const void **contents)
{
	size_t done = 0;
	int rc = watch(h, h->at, h->size, UFFDIO_REGISTER_MODE_MISSING);

	if (rc < 0)
		return rc;
	rc = take_away(h, &done);
	*contents = h->aside;
	if (rc == 0)
		return 0;
	bring_back(h, done);
	unwatch(h);
	drop_aside(h);
	return rc;
}

/* ---- userfaultfd ---- */

static int set_protection(const struct na_hold *h, bool on)
{
	struct uffdio_writeprotect w = { .range = { (uintptr_t)h->at, h->size },
					 .mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0 };
	int rc;

	do
		rc = ioctl(h->fd, UFFDIO_WRITEPROTECT, &w);
	while (rc < 0 && errno == EAGAIN);
	return rc < 0 ? -errno : 0;
}

/* A page that is not there would not be protected. */
static int begin_protect(struct na_hold *h, const void **contents)
{
	int rc = watch(h, h->at, h->size, UFFDIO_REGISTER_MODE_WP);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < h->size; i += NA_PAGE)
		(void)*(volatile const char *)(h->at + i);
	rc = set_protection(h, true);
	*contents = h->at;
	if (rc < 0) {
		set_protection(h, false);
		unwatch(h);
	}
	return rc;
}

static void wake(const struct na_hold *h)
{
	struct uffdio_range range = { (uintptr_t)h->at, h->size };

	ioctl(h->fd, UFFDIO_WAKE, &range);
}

/* ---- mprotect ---- */

static int set_access(const struct na_hold *h, int access)
{
	return syscall(SYS_mprotect, h->at, h->size, access) < 0 ? -errno : 0;
}

static int begin_read_only(struct na_hold *h, const void **contents)
{
	int rc;

	*contents = h->at;
	na_hold_announce((uintptr_t)h->at, h->size);
	rc = set_access(h, PROT_READ);
	if (rc < 0)
		na_hold_over();
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
		rc = begin_move(hold, contents);
	else if (hold->way == NA_CONCURRENT_USERFAULTFD)
		rc = begin_protect(hold, contents);
	else
		rc = begin_read_only(hold, contents);
	if (rc < 0)
		mask(hold->signals, NULL);
	errno = saved;
	return rc;
}

void na_hold_end(struct na_hold *hold, bool replaced)
{
	int saved = errno;

	switch (hold->way) {
	case NA_CONCURRENT_MOVE:
		if (replaced) {
			wake(hold);
		} else {
			bring_back(hold, hold->size);
			unwatch(hold);
		}
		drop_aside(hold);
		break;
	case NA_CONCURRENT_USERFAULTFD:
		if (replaced) {
			wake(hold);
		} else {
			set_protection(hold, false);
			unwatch(hold);
		}
		break;
	default:
		if (!replaced)
			set_access(hold, PROT_READ | PROT_WRITE);
		na_hold_over();
		break;
	}
	mask(hold->signals, NULL);
	errno = saved;
}
