/* SPDX-License-Identifier: BSD-3-Clause */
#include "os/hugepages.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"
#include "os/limit.h"

/* <linux/fs.h> of Linux 6.7, which the headers that we are built with may be older than. */
struct scan {
	uint64_t size, flags, start, end, walk_end, regions, region_count, max_pages;
	uint64_t inverted, all_of, any_of, returned;
};
struct region {
	uint64_t start, end, categories;
};
#define SCAN	_IOWR('f', 16, struct scan)
#define IS_HUGE (UINT64_C(1) << 3 | UINT64_C(1) << 6) /* and present */

static int scan(int fd, uintptr_t from, uintptr_t to, uint64_t *out)
{
	struct region regions[64];

	while (from < to) {
		struct scan s = { .size = sizeof(s),
				  .start = from,
				  .end = to,
				  .regions = (uintptr_t)regions,
				  .region_count = 64,
				  .all_of = IS_HUGE,
				  .returned = IS_HUGE };
		int n = ioctl(fd, SCAN, &s);

		if (n < 0)
			return -errno;
		for (int i = 0; i < n; i++)
			*out += regions[i].end - regions[i].start;
		if (s.walk_end <= from)
			break;
		from = (uintptr_t)s.walk_end;
	}
	return 0;
}

int na_hugepages_in(uintptr_t base, size_t length, uint64_t *out)
{
	int saved = errno, rc = 0, fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	*out = 0;
	if (fd < 0)
		rc = -errno;
	else
		rc = scan(fd, base, base + length, out);
	if (fd >= 0)
		close(fd);
	errno = saved;
	return rc;
}

/* What a line of smaps says: a new mapping's start, or kB of huge pages in it. */
struct reading {
	uintptr_t start;
	uint64_t bytes;
	void (*found)(uintptr_t start, uint64_t bytes, void *closure);
	void *closure;
};

static uint64_t hexadecimal(const char *s, const char **end)
{
	uint64_t v = 0;

	for (;; s++) {
		if (*s >= '0' && *s <= '9')
			v = v * 16 + (uint64_t)(*s - '0');
		else if (*s >= 'a' && *s <= 'f')
			v = v * 16 + (uint64_t)(*s - 'a') + 10;
		else
			break;
	}
	*end = s;
	return v;
}

static void flush(struct reading *r)
{
	if (r->bytes)
		r->found(r->start, r->bytes, r->closure);
	r->bytes = 0;
}

static void take_line(struct reading *r, const char *line)
{
	static const char *const keys[] = { "AnonHugePages:", "Shared_Hugetlb:", "Private_Hugetlb:" };
	const char *end;
	uint64_t v = hexadecimal(line, &end);

	if (end > line && *end == '-') {
		flush(r);
		r->start = (uintptr_t)v;
		return;
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		size_t length = strlen(keys[i]);

		if (strncmp(line, keys[i], length) != 0)
			continue;
		line += length + strspn(line + length, " ");
		for (v = 0; *line >= '0' && *line <= '9'; line++)
			v = v * 10 + (uint64_t)(*line - '0');
		r->bytes += v * 1024;
		return;
	}
}

int na_hugepages_of_maps(void (*found)(uintptr_t start, uint64_t bytes, void *closure), void *closure)
{
	struct reading r = { 0, 0, found, closure };
	char text[4096], path[4200];
	int saved = errno, rc = 0, fd;
	size_t kept = 0;
	ssize_t n;

	na_format(path, sizeof(path), "%s/proc/self/smaps", na_limits_root);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		rc = -errno;
		errno = saved;
		return rc;
	}
	while ((n = read(fd, text + kept, sizeof(text) - 1 - kept)) > 0) {
		char *line = text, *end;

		text[kept + (size_t)n] = '\0';
		for (; (end = strchr(line, '\n')); line = end + 1) {
			*end = '\0';
			take_line(&r, line);
		}
		kept = strlen(line);
		if (kept + 1 >= sizeof(text)) /* a path of pages' length: nothing that we look for */
			kept = 0;
		memmove(text, line, kept);
	}
	if (n < 0)
		rc = -errno;
	flush(&r);
	close(fd);
	errno = saved;
	return rc;
}

uint64_t na_hugepages_free(size_t page)
{
	char path[120];

	na_format(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%zukB/free_hugepages", page / 1024);
	return na_limits_number(path);
}

const char *na_hugepages_mode(void)
{
	char text[128];

	if (na_limits_text("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof(text)) <= 0)
		return "unavailable";
	return strstr(text, "[always]") ? "always" : strstr(text, "[madvise]") ? "madvise" : "never";
}
