/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/paused.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/options.h"
#include "os/lock.h"

struct moment {
	uint64_t at_ns, ns;
};

/* Under the lock. The trace is a mebibyte of zeroes that only a process with a trace touches. */
static struct na_lock lock;
static struct na_pauses pauses;
static struct moment trace[NA_PAUSED_TRACE];
static uint64_t traced;

void na_paused(uint32_t kind, uint64_t ns, uint64_t bytes)
{
	uint64_t now = na_clock_ns(CLOCK_REALTIME);
	struct na_pause p = { .moment_ns = now > ns ? now - ns : 0, .ns = ns, .bytes = bytes, .kind = kind };

	na_lock(&lock);
	na_pauses_add(&pauses, &p);
	if (na_options.pause_trace && kind != NA_PAUSE_WAITING && traced < NA_PAUSED_TRACE)
		trace[traced++] = (struct moment){ p.moment_ns, p.ns };
	na_unlock(&lock);
}

void na_paused_alone(uint64_t ns, uint64_t bytes)
{
	na_paused(NA_PAUSE_ALONE, ns, bytes);
}

void na_paused_copy(struct na_pauses *out)
{
	na_lock(&lock);
	*out = pauses;
	na_unlock(&lock);
}

void na_paused_collectives(uint64_t count)
{
	na_lock(&lock);
	pauses.collectives = count;
	na_unlock(&lock);
}

uint64_t na_paused_total(int alone)
{
	uint64_t ns;

	na_lock(&lock);
	ns = pauses.kind_ns[NA_PAUSE_WINDOW] + pauses.kind_ns[NA_PAUSE_CALL] +
	     (alone ? pauses.kind_ns[NA_PAUSE_ALONE] : 0);
	na_unlock(&lock);
	return ns;
}

static uint64_t since(uint64_t at_ns, uint64_t begin_ns)
{
	return at_ns > begin_ns ? at_ns - begin_ns : 0;
}

/* What is written to a file by the kilobyte. */
struct buffer {
	int fd, rc;
	size_t length;
	char text[16384];
};

static void flush(struct buffer *b)
{
	if (b->rc == 0)
		b->rc = na_file_write(b->fd, b->text, b->length);
	b->length = 0;
}

static void __attribute__((format(printf, 2, 3))) add(struct buffer *b, const char *format, ...)
{
	va_list args;

	if (sizeof(b->text) - b->length < 160) /* no line is longer */
		flush(b);
	va_start(args, format);
	b->length += na_vformat(b->text + b->length, sizeof(b->text) - b->length, format, args);
	va_end(args);
}

/*
 * The first `count` moments change no more: they may be read without the lock. What LogGOPSim's reader and its search through the trace
 * (Noise.hpp) ask for: starts that rise, for the search is binary; no newline at the end, or it takes what it read last once more; the last line's
 * start is the length, after which the trace begins again; and what the first line says is never injected into an operation that begins before
 * it. So a line of nothing comes first, and pauses that the clock's adjustments have laid over each other follow each other.
 */
static int write_trace(int fd, uint64_t count, int rank, uint64_t begin_ns, uint64_t end_ns)
{
	struct buffer b = { .fd = fd };
	uint64_t free_ns = 1, end = since(end_ns, begin_ns);

	add(&b,
	    "# numarena: pauses of rank %d; start and length in nanoseconds\n"
	    "# the first line is the beginning, the last one the end\n0\t0\n",
	    rank);
	for (uint64_t i = 0; b.rc == 0 && i < count; i++) {
		uint64_t at = since(trace[i].at_ns, begin_ns);

		at = at > free_ns ? at : free_ns;
		free_ns = at + trace[i].ns + !trace[i].ns;
		add(&b, "%llu\t%llu\n", (unsigned long long)at, (unsigned long long)trace[i].ns);
	}
	add(&b, "%llu\t0", (unsigned long long)(end > free_ns ? end : free_ns));
	flush(&b);
	return b.rc;
}

int na_paused_trace(const char *path, int rank, uint64_t begin_ns, uint64_t end_ns)
{
	uint64_t count;
	int fd, rc;

	na_lock(&lock);
	count = traced;
	na_unlock(&lock);
	if (!count)
		return -ENODATA;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	rc = write_trace(fd, count, rank, begin_ns, end_ns);
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	if (rc < 0)
		unlink(path);
	return rc;
}

/* In the child: what its parent lived through is not its own. */
void na_paused_forked(void)
{
	na_lock_reset(&lock);
	pauses = (struct na_pauses){ 0 };
	traced = 0;
}
