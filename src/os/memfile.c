/* SPDX-License-Identifier: BSD-3-Clause */
/* See memfile.h. */
#include "os/memfile.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/os.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x8U
#endif

#define TRIES 1000
#define HIGH  200 /* programs that use descriptors by fixed numbers use lower ones */

static int begin(void)
{
	na_os_count_call();
	na_os_inside++;
	return errno;
}

static int finish(int rc, int saved)
{
	na_os_inside--;
	errno = saved;
	return rc;
}

static int look(const struct na_memfile *file)
{
	struct stat s;

	/* Raw, as in transfer(): they are called while pages are held, when a library's function of that name might wait for who waits for them. */
	if (syscall(SYS_newfstatat, file->fd, "", &s, AT_EMPTY_PATH) < 0)
		return -ESTALE;
	return s.st_dev == file->device && s.st_ino == file->inode ? 0 : -ESTALE;
}

/* Out of the way of the program's, and known again. The descriptor is closed on failure. */
static int keep(int fd, struct na_memfile *out)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH), rc;
	struct stat s;

	if (high >= 0) {
		close(fd);
		fd = high;
	}
	if (fstat(fd, &s) < 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	*out = (struct na_memfile){ fd, s.st_dev, s.st_ino };
	return 0;
}

int na_memfile_make(const char *name, struct na_memfile *out)
{
	int saved = begin(), fd = memfd_create(name, MFD_CLOEXEC | MFD_NOEXEC_SEAL);

	/* Before 6.3 the flag is unknown; where vm.memfd_noexec is 2 a file without it is refused. */
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC);
	return finish(fd < 0 ? -errno : keep(fd, out), saved);
}

int na_memfile_pipe(struct na_memfile *ends)
{
	int saved = begin(), fd[2], rc;

	if (pipe2(fd, O_CLOEXEC) < 0)
		return finish(-errno, saved);
	rc = keep(fd[0], &ends[0]);
	if (rc < 0) {
		close(fd[1]);
		return finish(rc, saved);
	}
	rc = keep(fd[1], &ends[1]);
	if (rc < 0)
		close(ends[0].fd);
	return finish(rc, saved);
}

bool na_memfile_is_ours(const struct na_memfile *file)
{
	int saved = errno, rc = look(file);

	errno = saved;
	return rc == 0;
}

void na_memfile_tell(const struct na_memfile *end)
{
	int saved = errno;

	while (look(end) == 0 && write(end->fd, "", 1) < 0 && errno == EINTR)
		;
	errno = saved;
}

void na_memfile_wait(const struct na_memfile *end)
{
	int saved = errno;
	char byte;

	while (look(end) == 0 && read(end->fd, &byte, 1) < 0 && errno == EINTR)
		;
	errno = saved;
}

int na_memfile_close(const struct na_memfile *file)
{
	int saved = begin(), rc = look(file);

	if (rc == 0 && close(file->fd) < 0)
		rc = -errno;
	return finish(rc, saved);
}

/* Raw: see look(). */
static int transfer(long call, const struct na_memfile *file, char *bytes, size_t size, uint64_t at)
{
	int saved = begin(), rc = look(file);

	while (rc == 0 && size) {
		ssize_t n = syscall(call, file->fd, bytes, size, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			rc = n < 0 ? -errno : call == SYS_pread64 ? -EIO : -ENOSPC;
			break;
		}
		bytes += n;
		at += (uint64_t)n;
		size -= (size_t)n;
	}
	return finish(rc, saved);
}

int na_memfile_write(const struct na_memfile *file, const void *from, size_t size, uint64_t at)
{
	return transfer(SYS_pwrite64, file, (char *)(uintptr_t)from, size, at);
}

int na_memfile_read(const struct na_memfile *file, void *to, size_t size, uint64_t at)
{
	return transfer(SYS_pread64, file, to, size, at);
}

int na_memfile_punch(const struct na_memfile *file, uint64_t at, size_t size)
{
	int saved = begin(), rc = look(file);

	if (rc == 0 && fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)size) < 0)
		rc = -errno;
	return finish(rc, saved);
}

int na_memfile_map(const struct na_memfile *file, uint64_t at, size_t size, void **to)
{
	int saved = begin(), rc = look(file);
	void *p;

	if (rc < 0)
		return finish(rc, saved);
	p = mmap(*to, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | (*to ? MAP_FIXED : 0), file->fd,
		 (off_t)at);
	if (p == MAP_FAILED)
		rc = -errno;
	else
		*to = p;
	return finish(rc, saved);
}

bool na_memfile_hole(void *at)
{
	unsigned char there;

	return syscall(SYS_mincore, at, NA_PAGE, &there) < 0 && errno == ENOMEM;
}

int na_memfile_switch(const struct na_memfile *file, uint64_t at, size_t size, void *to)
{
	int saved = errno, rc = look(file);

	na_os_count_call();
	for (int tries = 0; rc == 0 && tries < TRIES; tries++) {
		int fixed = tries ? MAP_FIXED_NOREPLACE
				  : MAP_FIXED; /* what was ours is gone: another thread's may be there by now */

		if (syscall(SYS_mmap, to, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | fixed, file->fd,
			    (off_t)at) == (long)(uintptr_t)to)
			break;
		rc = -errno;
		if (na_memfile_hole(to) &&
		    tries + 1 < TRIES) { /* kernels before 6.12: it must be this, for the other is gone */
			rc = 0;
			syscall(SYS_sched_yield);
		}
	}
	errno = saved;
	return rc;
}

int na_memfile_unmap(void *at, size_t size)
{
	int saved = begin();
	void *p =
		mmap(at, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);

	return finish(p == MAP_FAILED ? -errno : 0, saved);
}

uint64_t na_memfile_most(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_FSIZE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
}
