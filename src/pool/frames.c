/* SPDX-License-Identifier: BSD-3-Clause */
#include "pool/frames.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "os/memfile.h"
#include "os/os.h"
#include "pool/nodes.h"

#define BIND_STEP ((uint64_t)64 << 20) /* of the file, that gets its policy at once */

struct file {
	struct na_memfile os;
	bool open;
	uint64_t next;	/* where nothing was given out yet */
	uint64_t bound; /* up to where the policy is set */
};

static struct file files[NA_MAX_POOLS];

static struct file *file_of(const struct na_pool *pool)
{
	for (uint32_t i = 0; i < na_pool_count; i++)
		if (na_pools[i].node == pool->node)
			return &files[i];
	return &files[0];
}

/* A file's policy is set through a mapping of it, and stays when that is gone. Without addresses for one, pages go where they are first written, and
 * the statistics of misplaced pages tell. */
static void bind_next(const struct na_pool *pool, struct file *f)
{
	void *window = NULL;

	if (na_os.file_map(&f->os, f->bound, BIND_STEP, &window) == 0) {
		na_pool_bind(pool, window, BIND_STEP);
		na_os.unmap(window, BIND_STEP);
	}
	f->bound += BIND_STEP;
}

static int open_file(const struct na_pool *pool, struct file *f)
{
	char name[32];
	int rc;

	if (f->open)
		return 0;
	na_format(name, sizeof(name), "numarena:node%d", pool->node);
	rc = na_os.file_make(name, &f->os);
	f->open = rc == 0;
	return rc;
}

int na_frames_ready(const struct na_pool *pool, size_t bytes)
{
	struct file *f = file_of(pool);
	int rc = open_file(pool, f);

	if (rc < 0)
		return rc;
	if (f->next + bytes > na_memfile_most())
		return -EFBIG;
	while (pool->bound && f->bound < f->next + bytes)
		bind_next(pool, f);
	return 0;
}

int na_frames_write(const struct na_pool *pool, const void *contents, size_t bytes, uint64_t *at)
{
	struct file *f = file_of(pool);
	int rc = na_frames_ready(pool, bytes);

	if (rc < 0)
		return rc;
	rc = na_os.file_write(&f->os, contents, bytes, f->next);
	if (rc < 0) {
		na_os.file_punch(&f->os, f->next, bytes);
		return rc;
	}
	*at = f->next;
	f->next += bytes;
	return 0;
}

int na_frames_read(const struct na_pool *pool, void *to, size_t bytes, uint64_t at)
{
	return na_os.file_read(&file_of(pool)->os, to, bytes, at);
}

int na_frames_map(const struct na_pool *pool, uint64_t at, size_t bytes, void *to)
{
	return na_os.file_map(&file_of(pool)->os, at, bytes, &to);
}

int na_frames_switch(const struct na_pool *pool, uint64_t at, size_t bytes, void *to)
{
	return na_os.file_switch(&file_of(pool)->os, at, bytes, to);
}

int na_frames_punch(const struct na_pool *pool, uint64_t at, size_t bytes)
{
	return na_os.file_punch(&file_of(pool)->os, at, bytes);
}

int na_frames_unmap(const struct na_pool *pool, void *at, size_t bytes)
{
	int rc = na_os.file_unmap(at, bytes);

	if (rc == 0) {
		na_pool_bind(pool, at, bytes);
		na_pages_advise_segment(at, bytes);
	}
	return rc;
}

void na_frames_forget(void)
{
	for (uint32_t i = 0; i < NA_MAX_POOLS; i++)
		if (files[i].open)
			na_os.file_close(&files[i].os);
	memset(files, 0, sizeof(files));
}
