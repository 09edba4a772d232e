/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pages are held by moving them away (UFFDIO_MOVE), to `aside`, where only this thread looks. See hold.h.
 *
 * They must come back if they are not replaced, for nobody else has their contents. In this order, each page by the first way that works: they are moved;
 * copied (the kernel moves no page that somebody has pinned meanwhile); or the mapping `aside` itself goes to where they were, with all that is in it, which takes
 * no memory: kernels before 6.12 can leave a hole where they could not map something else. A hole is taken possession of first, for another thread may be
 * about to be given these addresses. Other threads see either nothing, and
 * wait, or the contents. Pages that came back by the last way have the process's policy of memory, and are never huge.
 *
 * What was replaced stays in `aside`, which is used from its start to its end, and goes back at once, 64 pages a call: each call interrupts all processors that run
 * threads of ours. Pages that were never touched are left out where missing pages of `aside` read as zero: it has to be registered, but for what does not matter
 * to the kernel, so it is for write protection, which nobody asks for, where the machine has that.
 */
#include "os/hold_move.h"

#include <errno.h>
#include <linux/userfaultfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/memfile.h"
#include "os/os.h"

/* Since Linux 6.8; older headers do not have it. */
struct move {
	uint64_t dst, src, len, mode;
	int64_t moved;
};
#define MOVE  _IOWR(UFFDIO, 0x05, struct move)
#define HOLES ((uint64_t)1 << 1) /* UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES */
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

int na_hold_move_open(struct na_hold *h)
{
	void *p = mmap(NULL, NA_HOLD_MOST, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int rc;

	if (p == MAP_FAILED)
		return -errno;
	madvise(p, NA_HOLD_MOST, MADV_NOHUGEPAGE);
	madvise(p, NA_HOLD_MOST, MADV_DONTFORK);
	h->used = 0;
	rc = na_hold_watch(h, p, NA_HOLD_MOST, UFFDIO_REGISTER_MODE_WP);
	h->holes = rc == 0;
	if (rc < 0)
		rc = na_hold_watch(h, p, NA_HOLD_MOST, UFFDIO_REGISTER_MODE_MISSING);
	if (rc < 0)
		munmap(p, NA_HOLD_MOST);
	else
		h->aside = p;
	return rc;
}

static struct move moving(const struct na_hold *h, const char *to, const char *from, size_t size)
{
	return (struct move){ (uintptr_t)to, (uintptr_t)from, size, h->holes ? HOLES : 0, 0 };
}

/* As far as *done; nobody is woken by it. Pages that were never touched become zeros there. */
static int take_away(const struct na_hold *h, size_t *done)
{
	size_t most = h->size;

	for (int tries = 0; *done < h->size;) {
		size_t length = h->size - *done < most ? h->size - *done : most;
		struct move m = moving(h, h->aside + h->used + *done, h->at + *done, length);
		struct uffdio_zeropage z = { .range = { m.dst, NA_PAGE } };

		if (na_hold_control(h->fd, MOVE, &m) == 0)
			*done += length;
		else if (m.moved > 0)
			*done += (size_t)m.moved;
		else if (errno == EINVAL &&
			 length > NA_PAGE) /* neighbours in different mappings: no call goes over both */
			most = NA_PAGE;
		else if (errno == ENOENT && (na_hold_control(h->fd, UFFDIO_ZEROPAGE, &z) == 0 || errno == EEXIST))
			*done += NA_PAGE;
		else if (errno != EAGAIN || !na_hold_again(&tries))
			return -errno;
	}
	return 0;
}

/* Nothing is mapped there any more, and was reserved for us now; or something is; or, false, that is another thread's by now, or nothing can be had. */
static bool is_mine(char *to, size_t size)
{
	long at;

	if (!na_memfile_hole(to))
		return true;
	at = syscall(SYS_mmap, to, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE,
		     -1, 0);
	return at == (long)(uintptr_t)to;
}

/* All pages from `done` on at once, as a mapping. */
static bool bring_mapping(const struct na_hold *h, size_t done, size_t size)
{
	char *to = h->at + done;

	if (!is_mine(to, size - done))
		return false;
	if (syscall(SYS_mremap, h->aside + h->used + done, size - done, size - done,
		    MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to) != (long)(uintptr_t)to)
		return false;
	syscall(SYS_madvise, to, size - done, MADV_DOFORK);
	na_hold_wake(h);
	return true;
}

/* From `done` to `size`. */
static void bring_back(const struct na_hold *h, size_t done, size_t size)
{
	for (int tries = 0; done < size;) {
		struct move m = moving(h, h->at + done, h->aside + h->used + done, size - done);
		struct uffdio_copy c = { .dst = m.dst, .src = m.src, .len = NA_PAGE };

		if (na_hold_control(h->fd, MOVE, &m) == 0)
			return;
		if (m.moved > 0)
			done += (size_t)m.moved;
		else if (errno == EAGAIN && na_hold_again(&tries))
			continue;
		else if (na_hold_control(h->fd, UFFDIO_COPY, &c) == 0 || errno == EEXIST)
			done += NA_PAGE;
		else if (bring_mapping(h, done, size))
			return;
		else if (!na_hold_again(&tries))
			na_hold_give_up("userfaultfd");
	}
}

void na_hold_move_drop(struct na_hold *h)
{
	if (h->used)
		syscall(SYS_madvise, h->aside, h->used, MADV_DONTNEED);
	h->used = 0;
}

int na_hold_move_begin(struct na_hold *h, const void **contents)
{
	size_t done = 0;
	int rc;

	if (h->used + h->size > NA_HOLD_MOST)
		na_hold_move_drop(h);
	rc = na_hold_watch(h, h->at, h->size, UFFDIO_REGISTER_MODE_MISSING);
	if (rc < 0)
		return rc;
	rc = take_away(h, &done);
	*contents = h->aside + h->used;
	if (rc == 0)
		return 0;
	bring_back(h, 0, done);
	na_hold_unwatch(h, 0);
	h->used += h->size;
	return rc;
}

void na_hold_move_end(struct na_hold *h, size_t replaced)
{
	if (replaced < h->size) {
		bring_back(h, replaced, h->size);
		na_hold_unwatch(h, replaced);
	} else {
		na_hold_wake(h);
	}
	h->used += h->size;
}
