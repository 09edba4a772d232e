/* SPDX-License-Identifier: BSD-3-Clause */
#include "os/perf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Threads of this process are followed, processes that it forks are not: a bit of the word behind read_format that headers before Linux
 * 5.13 do not name. */
#define INHERIT_THREAD (UINT64_C(1) << 35)

static int open_one(const struct perf_event_attr *attr, int thread, int group)
{
	return (int)syscall(SYS_perf_event_open, attr, thread, -1, group, PERF_FLAG_FD_CLOEXEC);
}

static void follow_threads_only(struct perf_event_attr *attr)
{
	char *word = (char *)attr + offsetof(struct perf_event_attr, read_format) + sizeof(attr->read_format);
	uint64_t bits;

	memcpy(&bits, word, sizeof(bits));
	bits |= INHERIT_THREAD;
	memcpy(word, &bits, sizeof(bits));
}

int na_perf_open(uint32_t type, uint64_t config, int thread, int group, int *out)
{
	struct perf_event_attr attr = {
		.type = type,
		.size = sizeof(attr),
		.config = config,
		.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
		.inherit = 1,
		.exclude_kernel = 1, /* what perf_event_paranoid 2, the usual value, allows */
		.exclude_hv = 1,
	};
	struct perf_event_attr newer = attr;
	int saved = errno, fd, rc;

	follow_threads_only(&newer);
	fd = open_one(&newer, thread, group);
	if (fd < 0 && (errno == EINVAL || errno == E2BIG)) /* before 5.13: forked processes are counted as well */
		fd = open_one(&attr, thread, group);
	rc = fd < 0 ? -errno : 0;
	errno = saved;
	if (rc == 0)
		*out = fd;
	return rc;
}

static int is_counter(int fd)
{
	uint64_t id;

	return ioctl(fd, PERF_EVENT_IOC_ID, &id) == 0;
}

int na_perf_read(int counter, struct na_counter_value *out)
{
	uint64_t words[3];
	int saved = errno, rc = 0;
	ssize_t n;

	if (!is_counter(counter)) {
		rc = -EBADF;
	} else {
		n = read(counter, words, sizeof(words));
		rc = n < 0 ? -errno : n != sizeof(words) ? -EIO : 0;
	}
	errno = saved;
	if (rc == 0)
		*out = (struct na_counter_value){ words[0], words[1], words[2] };
	return rc;
}

int na_perf_close(int counter)
{
	int saved = errno, rc = is_counter(counter) ? 0 : -EBADF;

	if (rc == 0)
		close(counter);
	errno = saved;
	return rc;
}

/* A name of /proc/self/task, all digits; -1 for others. */
static int number_of(const char *name)
{
	int v = 0;

	for (; *name >= '0' && *name <= '9'; name++)
		v = v * 10 + (*name - '0');
	return *name || v == 0 ? -1 : v;
}

int na_perf_threads(int *ids, size_t capacity, size_t *count)
{
	char buffer[8192] __attribute__((aligned(8)));
	int saved = errno, rc = 0, fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t found = 0;
	ssize_t n = 0;

	if (fd < 0) {
		rc = -errno;
		errno = saved;
		return rc;
	}
	while ((n = getdents64(fd, buffer, sizeof(buffer))) > 0) {
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *entry = (const struct dirent64 *)(const void *)(buffer + at);
			int id = number_of(entry->d_name);

			if (id > 0 && found < capacity)
				ids[found] = id;
			found += id > 0;
			at += entry->d_reclen;
		}
	}
	rc = n < 0 ? -errno : 0;
	close(fd);
	errno = saved;
	if (rc == 0)
		*count = found;
	return rc;
}

int na_perf_page_faults(uint64_t *minor, uint64_t *major)
{
	struct rusage u;
	int saved = errno, rc = getrusage(RUSAGE_SELF, &u) < 0 ? -errno : 0;

	errno = saved;
	if (rc == 0) {
		*minor = (uint64_t)u.ru_minflt;
		*major = (uint64_t)u.ru_majflt;
	}
	return rc;
}

int na_perf_run_on(const unsigned long *mask, size_t bytes)
{
	int saved = errno, rc = sched_setaffinity(0, bytes, (const cpu_set_t *)(const void *)mask) < 0 ? -errno : 0;

	errno = saved;
	return rc;
}
