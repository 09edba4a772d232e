/* SPDX-License-Identifier: BSD-3-Clause */
#include "topology/board.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "topology/topology.h"

/* Release once it is mapped, acquire by who uses it. */
static _Atomic(void *) board;

void na_board_open(const struct na_rundir *folder)
{
	int fd, rc = 0;
	struct stat s;
	void *p;

	if (atomic_load_explicit(&board, memory_order_relaxed))
		return;
	fd = openat(folder->fd, NA_RUNDIR_PREFIX "board.shared", O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return;
	/* With its pages: on a file system that is full a store to one that is missing would be a SIGBUS. */
	if (fstat(fd, &s) < 0 || !S_ISREG(s.st_mode) || s.st_uid != geteuid() || s.st_size > NA_TOPOLOGY_BOARD)
		rc = EBADF;
	if (rc == 0)
		rc = posix_fallocate(fd, 0, NA_TOPOLOGY_BOARD);
	p = rc == 0 ? mmap(NULL, NA_TOPOLOGY_BOARD, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
	close(fd);
	if (p == MAP_FAILED)
		na_log(NA_LOG_DEBUG, "no board in %s: %s", folder->path, strerror(rc ? rc : errno));
	else
		atomic_store_explicit(&board, p, memory_order_release);
}

void *na_topology_board(void)
{
	return atomic_load_explicit(&board, memory_order_acquire);
}
