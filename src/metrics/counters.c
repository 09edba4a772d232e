/* SPDX-License-Identifier: BSD-3-Clause */
#include "metrics/counters.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>

#include "os/lock.h"
#include "os/os.h"

#define MOST_TRIES 8

/* Opens the second with the first, or alone where they cannot be on the processor together. */
static int open_pair(const struct na_counters_event event[2], int thread, int fd[2])
{
	int rc = na_os.counter_open(event[0].type, event[0].config, thread, -1, &fd[0]);

	if (rc < 0)
		return rc;
	rc = na_os.counter_open(event[1].type, event[1].config, thread, fd[0], &fd[1]);
	if (rc == -EINVAL)
		rc = na_os.counter_open(event[1].type, event[1].config, thread, -1, &fd[1]);
	if (rc < 0)
		na_os.counter_close(fd[0]);
	return rc;
}

static int open_all(struct na_counters *c, const struct na_counters_event event[2], const int *threads, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int rc = open_pair(event, threads[i], c->fd[c->threads]);

		if (rc == -ESRCH) /* it has ended since */
			continue;
		if (rc < 0)
			return rc;
		c->threads++;
	}
	return 0;
}

static int list_threads(int *threads, size_t *count)
{
	int rc = na_os.threads(threads, NA_COUNTERS_THREADS, count);

	return rc < 0 ? rc : *count > NA_COUNTERS_THREADS ? -EUSERS : 0;
}

/* How many of `after` are not in `before`. Both are lists of the kernel's, mostly in the same order. */
static uint32_t count_new(const int *before, size_t old, const int *after, size_t count)
{
	uint32_t fresh = 0;
	size_t at = 0;

	for (size_t i = 0; i < count; i++) {
		size_t tries = 0;

		while (tries < old && before[(at + tries) % old] != after[i])
			tries++;
		fresh += tries == old;
		at += tries == old ? 0 : tries + 1;
	}
	return fresh;
}

int na_counters_open(struct na_counters *c, const struct na_counters_event event[2])
{
	int before[NA_COUNTERS_THREADS], after[NA_COUNTERS_THREADS];
	size_t old, count;

	c->threads = c->missed = 0;
	for (int tries = 1;; tries++) {
		int rc = list_threads(before, &old);

		if (rc == 0)
			rc = open_all(c, event, before, old);
		if (rc == 0)
			rc = list_threads(after, &count);
		if (rc < 0) {
			na_counters_close(c);
			return rc;
		}
		c->missed = count_new(before, old, after, count);
		if (c->missed == 0 || tries == MOST_TRIES)
			return 0;
		na_counters_close(c);
	}
}

/* What it would have come to, had it been on the processor all the time. */
static uint64_t scaled(const struct na_counter_value *v)
{
	if (v->running_ns == 0 || v->running_ns >= v->enabled_ns)
		return v->value;
	return (uint64_t)((__uint128_t)v->value * v->enabled_ns / v->running_ns);
}

int na_counters_sum(const struct na_counters *c, struct na_counters_sum *out)
{
	struct na_counters_sum sum = { .threads = c->threads, .missed = c->missed };

	for (uint32_t i = 0; i < c->threads; i++)
		for (int k = 0; k < 2; k++) {
			struct na_counter_value v;
			int rc = na_os.counter_read(c->fd[i][k], &v);

			if (rc < 0)
				return rc;
			sum.value[k] += scaled(&v);
			sum.enabled_ns += k == 0 ? v.enabled_ns : 0;
			sum.running_ns += k == 0 ? v.running_ns : 0;
		}
	*out = sum;
	return 0;
}

void na_counters_close(struct na_counters *c)
{
	for (uint32_t i = c->threads; i-- > 0;) { /* members of a group before its leader */
		na_os.counter_close(c->fd[i][1]);
		na_os.counter_close(c->fd[i][0]);
	}
	c->threads = c->missed = 0;
}

/* ---- the process's ---- */

static const struct na_counters_event last_cache[2] = {
	{ PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_REFERENCES },
	{ PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES },
};

static struct na_lock lock;
static struct na_counters process; /* under lock, as the rest */
static bool counting;
static int failure; /* of the last start; 0 if it was not tried, or succeeded */

static int start(void)
{
	if (counting)
		return 0;
	failure = na_counters_open(&process, last_cache);
	counting = failure == 0;
	return failure;
}

int na_counters_start(void)
{
	int rc;

	na_lock(&lock);
	rc = start();
	na_unlock(&lock);
	return rc;
}

static void stop(void)
{
	if (counting)
		na_counters_close(&process);
	counting = false;
	failure = 0;
}

void na_counters_stop(void)
{
	na_lock(&lock);
	stop();
	na_unlock(&lock);
}

int na_counters_figures(struct na_counters_sum *out)
{
	int rc;

	na_lock(&lock);
	rc = failure ? failure : start();
	if (rc == 0)
		rc = na_counters_sum(&process, out);
	na_unlock(&lock);
	return rc;
}

const char *na_counters_why(int error)
{
	switch (-error) {
	case EACCES:
	case EPERM:
		return "the kernel refuses its counters (perf_event_open): kernel.perf_event_paranoid must be 2 or "
		       "less, "
		       "or a container forbids the call";
	case ENOENT:
	case EOPNOTSUPP:
	case ENODEV:
	case ENXIO:
		return "the processor's cache counters are not supported here (virtual machines often have none)";
	case ENOSYS:
		return "the kernel has no perf events";
	case EMFILE:
	case ENFILE:
		return "too few file descriptors: each thread needs two (ulimit -n)";
	case EUSERS:
		return "the process has more than 1024 threads";
	case EBUSY:
		return "another profiler has the processor's counters";
	case EBADF:
		return "the program has closed the counters' file descriptors";
	default:
		return "the kernel's counters failed (perf_event_open)";
	}
}

void na_counters_before_fork(void)
{
	na_lock(&lock);
}

/* The child's descriptors lead to the parent's counters. */
void na_counters_after_fork(bool child)
{
	if (!child) {
		na_unlock(&lock);
		return;
	}
	stop();
	na_lock_reset(&lock);
}
