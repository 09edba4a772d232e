/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file that is written once, from front to back, without stdio: it may be the last thing that a process does. The first
 * error sticks, further writes do nothing, and closing then removes what there is: half a profile is none. One thread.
 */
#ifndef NA_TRACKING_WRITER_H
#define NA_TRACKING_WRITER_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

struct na_writer {
	int fd;
	int error; /* 0 or -errno */
	const char *path;
	size_t used;
	char data[8192];
};

static inline int na_writer_open(struct na_writer *w, const char *path)
{
	w->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	w->error = w->fd < 0 ? -errno : 0;
	w->path = path;
	w->used = 0;
	return w->error;
}

static inline void na_writer_flush(struct na_writer *w)
{
	for (size_t done = 0; done < w->used && !w->error;) {
		ssize_t n = write(w->fd, w->data + done, w->used - done);

		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR)
			w->error = -errno;
	}
	w->used = 0;
}

static inline void na_writer_put(struct na_writer *w, const void *data, size_t length)
{
	const char *from = data;

	while (length) {
		size_t room = sizeof(w->data) - w->used, n = length < room ? length : room;

		memcpy(w->data + w->used, from, n);
		w->used += n;
		from += n;
		length -= n;
		if (w->used == sizeof(w->data))
			na_writer_flush(w);
	}
}

static inline void na_writer_text(struct na_writer *w, const char *text)
{
	na_writer_put(w, text, strlen(text));
}

/* 0 or -errno. */
static inline int na_writer_close(struct na_writer *w)
{
	na_writer_flush(w);
	if (close(w->fd) < 0 && !w->error)
		w->error = -errno;
	if (w->error)
		unlink(w->path);
	return w->error;
}

#endif
