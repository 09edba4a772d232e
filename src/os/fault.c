/* SPDX-License-Identifier: BSD-3-Clause */
#include "os/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif

#define NEEDED_IOCTLS                                                                                                  \
	((uint64_t)1 << _UFFDIO_COPY | (uint64_t)1 << _UFFDIO_ZEROPAGE | (uint64_t)1 << _UFFDIO_WAKE |                 \
	 (uint64_t)1 << _UFFDIO_WRITEPROTECT)

/* The call answers EPERM where only user mode's faults may be had; the device, if there is one, goes by its own rights. */
int na_fault_descriptor(void)
{
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK), device, rc;

	if (fd >= 0)
		return fd;
	rc = -errno;
	device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	if (device < 0)
		return rc;
	fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
	rc = -errno;
	close(device);
	return fd >= 0 ? fd : rc;
}

int na_fault_open(struct na_faults *out)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP };
	int saved = errno, fd = na_fault_descriptor(), stop, rc = 0;

	if (fd < 0) {
		errno = saved;
		return fd;
	}
	stop = eventfd(0, EFD_CLOEXEC);
	if (stop < 0 || ioctl(fd, UFFDIO_API, &api) < 0)
		rc = -errno;
	if (rc < 0) {
		close(fd);
		if (stop >= 0)
			close(stop);
	} else {
		*out = (struct na_faults){ fd, stop };
	}
	errno = saved;
	return rc;
}

void na_fault_close(struct na_faults *faults)
{
	int saved = errno;

	close(faults->fd);
	close(faults->stop);
	*faults = (struct na_faults){ -1, -1 };
	errno = saved;
}

static int result(int value, int saved)
{
	int rc = value < 0 ? -errno : 0;

	errno = saved;
	return rc;
}

static struct uffdio_range range_of(const void *at, size_t size)
{
	return (struct uffdio_range){ (uintptr_t)at, size };
}

int na_fault_watch(const struct na_faults *faults, void *at, size_t size)
{
	struct uffdio_register r = { .range = range_of(at, size),
				     .mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP };
	int saved = errno, rc = result(ioctl(faults->fd, UFFDIO_REGISTER, &r), saved);

	if (rc == 0 && (r.ioctls & NEEDED_IOCTLS) != NEEDED_IOCTLS) {
		na_fault_unwatch(faults, at, size);
		rc = -ENOSYS;
	}
	return rc;
}

int na_fault_unwatch(const struct na_faults *faults, void *at, size_t size)
{
	struct uffdio_range range = range_of(at, size);
	int saved = errno;

	return result(ioctl(faults->fd, UFFDIO_UNREGISTER, &range), saved);
}

int na_fault_protect(const struct na_faults *faults, void *at, size_t size, bool on)
{
	struct uffdio_writeprotect w = { .range = range_of(at, size), .mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0 };
	int saved = errno, rc;

	do
		rc = ioctl(faults->fd, UFFDIO_WRITEPROTECT, &w);
	while (rc < 0 && errno == EAGAIN);
	return result(rc, saved);
}

/* Page by page where some are there already: those stay. */
int na_fault_copy(const struct na_faults *faults, void *to, const void *from, size_t size)
{
	int saved = errno, rc = 0;
	size_t done = 0;

	while (done < size) {
		struct uffdio_copy c = { .dst = (uintptr_t)to + done,
					 .src = (uintptr_t)from + done,
					 .len = size - done };

		if (ioctl(faults->fd, UFFDIO_COPY, &c) == 0)
			break;
		if (c.copy > 0)
			done += (size_t)c.copy;
		else if (errno == EEXIST)
			done += 4096;
		else if (errno != EAGAIN) {
			rc = -errno;
			break;
		}
	}
	errno = saved;
	return rc;
}

int na_fault_zero(const struct na_faults *faults, void *at, size_t size)
{
	struct uffdio_zeropage z = { .range = range_of(at, size) };
	int saved = errno, rc;

	do
		rc = ioctl(faults->fd, UFFDIO_ZEROPAGE, &z);
	while (rc < 0 && errno == EAGAIN);
	return result(rc, saved);
}

int na_fault_wake(const struct na_faults *faults, void *at, size_t size)
{
	struct uffdio_range range = range_of(at, size);
	int saved = errno;

	return result(ioctl(faults->fd, UFFDIO_WAKE, &range), saved);
}

/* The kernel gives 0 messages where what asked was served meanwhile, and that is all right. */
int na_fault_read(const struct na_faults *faults, struct na_fault *out, size_t capacity)
{
	struct uffd_msg messages[16];
	struct pollfd polled[2] = { { .fd = faults->fd, .events = POLLIN }, { .fd = faults->stop, .events = POLLIN } };
	int saved = errno, n = 0;
	ssize_t got;

	if (capacity > sizeof(messages) / sizeof(messages[0]))
		capacity = sizeof(messages) / sizeof(messages[0]);
	if (poll(polled, 2, -1) < 0 && errno != EINTR)
		n = -errno;
	else if (polled[1].revents)
		n = -ECANCELED;
	if (n == 0 && polled[0].revents) {
		got = read(faults->fd, messages, capacity * sizeof(messages[0]));
		for (size_t i = 0; got > 0 && i < (size_t)got / sizeof(messages[0]); i++)
			if (messages[i].event == UFFD_EVENT_PAGEFAULT)
				out[n++] = (struct na_fault){
					(uintptr_t)messages[i].arg.pagefault.address & ~(uintptr_t)4095,
					(messages[i].arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP) != 0
				};
	}
	errno = saved;
	return n;
}

int na_fault_stop(const struct na_faults *faults)
{
	uint64_t one = 1;
	int saved = errno;

	return result(write(faults->stop, &one, sizeof(one)) == sizeof(one) ? 0 : -1, saved);
}
