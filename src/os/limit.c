/* SPDX-License-Identifier: BSD-3-Clause */
#include "os/limit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "os/os.h"

const char *na_limits_root = "";

long na_limits_text(const char *path, char *out, size_t capacity)
{
	char full[4400];
	int saved = errno, fd;
	ssize_t n = -1;

	na_format(full, sizeof(full), "%s%s", na_limits_root, path);
	fd = open(full, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, out, capacity - 1);
		close(fd);
	}
	out[n > 0 ? n : 0] = '\0';
	errno = saved;
	return n;
}

/* The number at s, or NA_LIMIT_NONE ("max", say). */
static uint64_t number_at(const char *s)
{
	uint64_t v = 0;

	while (*s == ' ' || *s == '\t')
		s++;
	if (*s < '0' || *s > '9')
		return NA_LIMIT_NONE;
	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return NA_LIMIT_NONE;
	return v;
}

uint64_t na_limits_line(const char *text, const char *key)
{
	size_t length = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, length) == 0)
			return number_at(line + length);
	}
	return NA_LIMIT_NONE;
}

uint64_t na_limits_number(const char *path)
{
	char text[64];

	return na_limits_text(path, text, sizeof(text)) > 0 ? number_at(text) : NA_LIMIT_NONE;
}

/* Files of a memory cgroup, by version. */
struct names {
	const char *root, *max, *high, *used, *reclaimable;
};

static const struct names version1 = { "/sys/fs/cgroup/memory", "memory.limit_in_bytes", NULL, "memory.usage_in_bytes",
				       "total_inactive_file " };
static const struct names version2 = { "/sys/fs/cgroup", "memory.max", "memory.high", "memory.current",
				       "inactive_file " };

/* Whether a line's list of controllers, up to ':', has "memory". */
static bool has_memory(const char *list)
{
	for (;;) {
		size_t length = strcspn(list, ",:\n");

		if (length == 6 && memcmp(list, "memory", 6) == 0)
			return true;
		if (list[length] != ',')
			return false;
		list += length + 1;
	}
}

/* The path of our memory cgroup below its mount; NULL without one. A version 1 hierarchy, if there is one for memory,
 * is the one that counts, whatever the unified one beside it says. Cuts `text`. */
static const struct names *find_group(char *text, const char **path)
{
	const struct names *found = NULL;
	char *next;

	for (char *line = text; line && *line; line = next) {
		char *list = strchr(line, ':'), *at;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		at = list ? strchr(list + 1, ':') : NULL;
		if (!at)
			continue;
		if (has_memory(list + 1)) {
			*path = at + 1;
			return &version1;
		}
		if (at == list + 1) {
			*path = at + 1;
			found = &version2;
		}
	}
	return found;
}

static uint64_t group_number(const struct names *n, const char *path, const char *file)
{
	char full[4300];

	if (!file)
		return NA_LIMIT_NONE;
	na_format(full, sizeof(full), "%s%s/%s", n->root, path, file);
	return na_limits_number(full);
}

/* One cgroup of the chain into the figures. */
static void look_at_group(const struct names *n, const char *path, struct na_limits_memory *out)
{
	uint64_t max = group_number(n, path, n->max), high = group_number(n, path, n->high), used, files, room;
	uint64_t bound;
	char full[4300], text[4096];

	if (max >> 62) /* version 1 writes its "none" as a number */
		max = NA_LIMIT_NONE;
	if (max < out->group)
		out->group = max;
	bound = max < high ? max : high;
	if (bound >= out->physical)
		return;
	used = group_number(n, path, n->used);
	if (used == NA_LIMIT_NONE)
		return;
	if (used > bound / 2) { /* else it is far from full, whatever the files in it */
		na_format(full, sizeof(full), "%s%s/memory.stat", n->root, path);
		files = na_limits_text(full, text, sizeof(text)) > 0 ? na_limits_line(text, n->reclaimable) : 0;
		used -= files < used ? files : 0;
	}
	room = used < bound ? bound - used : 0;
	if (room < out->room) {
		out->room = room;
		out->ceiling = bound;
		out->in_group = 1;
	}
}

void na_limits_memory(struct na_limits_memory *out)
{
	char text[4096], path[4096], file[4300];
	const struct names *names;
	const char *own;
	uint64_t v;

	*out = (struct na_limits_memory){
		NA_LIMIT_NONE, NA_LIMIT_NONE, NA_LIMIT_NONE, NA_LIMIT_NONE, 0, NA_LIMIT_NONE
	};
	if (na_limits_text("/proc/meminfo", text, sizeof(text)) > 0) {
		v = na_limits_line(text, "MemTotal:");
		if (v != NA_LIMIT_NONE)
			out->physical = out->ceiling = v * 1024;
		v = na_limits_line(text, "MemAvailable:");
		if (v != NA_LIMIT_NONE)
			out->room = v * 1024;
	}
	if (na_limits_text("/proc/self/cgroup", text, sizeof(text)) <= 0)
		return;
	names = find_group(text, &own);
	if (!names)
		return;
	na_format(path, sizeof(path), "%s", own);
	/* A container without a cgroup namespace is told a path that it does not see: its own group is the mount's root. */
	na_format(file, sizeof(file), "%s%s/memory.stat", names->root, path);
	if (na_limits_text(file, text, sizeof(text)) < 0)
		path[0] = '\0';
	out->used = group_number(names, path, names->used);
	for (size_t length = strlen(path);;) {
		while (length && path[length - 1] == '/')
			path[--length] = '\0';
		look_at_group(names, path, out);
		if (!length)
			return;
		while (length && path[length - 1] != '/')
			path[--length] = '\0';
	}
}

uint64_t na_os_memory_limit(void)
{
	struct na_limits_memory m;

	na_limits_memory(&m);
	return m.group < m.physical ? m.group : m.physical;
}

/* The text of our cgroup's pressure, else the machine's. Whether it is the cgroup's; *length as of read(2). */
static bool read_pressure(char *text, size_t capacity, long *length)
{
	const struct names *names;
	const char *own;
	char file[4300];

	*length = -1;
	if (na_limits_text("/proc/self/cgroup", text, capacity) > 0 && (names = find_group(text, &own)) &&
	    names == &version2) {
		na_format(file, sizeof(file), "%s%s/memory.pressure", names->root, own[1] ? own : "");
		*length = na_limits_text(file, text, capacity);
	}
	if (*length > 0)
		return true;
	*length = na_limits_text("/proc/pressure/memory", text, capacity);
	return false;
}

/* "12.34" as 1234. */
static uint64_t hundredths_at(const char *s)
{
	uint64_t v = number_at(s);
	unsigned int scale = 10;

	if (v > UINT64_MAX / 100)
		return NA_LIMIT_NONE;
	v *= 100;
	s += strspn(s, "0123456789");
	for (s += *s == '.'; *s >= '0' && *s <= '9' && scale; s++, scale /= 10)
		v += (uint64_t)(*s - '0') * scale;
	return v;
}

/* A line "some avg10=0.00 avg60=0.00 avg300=0.00 total=1234". */
static void read_pressure_line(const char *text, const char *kind, uint64_t *avg10, uint64_t *total)
{
	const char *line = strstr(text, kind), *end, *average, *sum;

	if (!line || (line > text && line[-1] != '\n'))
		return;
	end = line + strcspn(line, "\n");
	average = strstr(line, " avg10=");
	sum = strstr(line, " total=");
	if (average && average < end)
		*avg10 = hundredths_at(average + 7);
	if (sum && sum < end)
		*total = number_at(sum + 7);
}

void na_limits_pressure(struct na_limits_pressure *out)
{
	char text[4096];
	long n;

	*out = (struct na_limits_pressure){ NA_LIMIT_NONE, NA_LIMIT_NONE, NA_LIMIT_NONE, NA_LIMIT_NONE, 0 };
	out->of_group = read_pressure(text, sizeof(text), &n);
	if (n <= 0)
		return;
	read_pressure_line(text, "some ", &out->some_avg10, &out->some_us);
	read_pressure_line(text, "full ", &out->full_avg10, &out->full_us);
}

uint64_t na_limits_stalled(void)
{
	struct na_limits_pressure p;

	na_limits_pressure(&p);
	return p.some_us;
}

static uint64_t soft_limit(int which)
{
	struct rlimit r;
	int saved = errno, rc = getrlimit(which, &r);

	errno = saved;
	return rc < 0 || r.rlim_cur == RLIM_INFINITY ? NA_LIMIT_NONE : (uint64_t)r.rlim_cur;
}

/* What RLIMIT_AS counts, and what RLIMIT_DATA (nearly: with the stack). */
static void used_address(uint64_t *all, uint64_t *data)
{
	char text[256];
	const char *s = text;

	*all = *data = 0;
	if (na_limits_text("/proc/self/statm", text, sizeof(text)) <= 0)
		return;
	*all = number_at(s) * NA_PAGE;
	for (int field = 0; field < 5 && s; field++) {
		s = strchr(s, ' ');
		s += s != NULL;
	}
	*data = s ? number_at(s) * NA_PAGE : 0;
}

uint64_t na_limits_address_room(uint64_t *bound)
{
	uint64_t as = soft_limit(RLIMIT_AS), data = soft_limit(RLIMIT_DATA), all, private, least;

	if (bound)
		*bound = as < data ? as : data;
	if (as == NA_LIMIT_NONE && data == NA_LIMIT_NONE)
		return NA_LIMIT_NONE;
	used_address(&all, &private);
	least = as == NA_LIMIT_NONE ? NA_LIMIT_NONE : as > all ? as - all : 0;
	if (data != NA_LIMIT_NONE && (data > private ? data - private : 0) < least)
		least = data > private ? data - private : 0;
	return least;
}

uint64_t na_limits_maps(void)
{
	char text[4096], path[4200];
	int saved = errno, fd;
	uint64_t lines = 0;
	ssize_t n;

	na_format(path, sizeof(path), "%s/proc/self/maps", na_limits_root);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		errno = saved;
		return NA_LIMIT_NONE;
	}
	while ((n = read(fd, text, sizeof(text))) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += text[i] == '\n';
	close(fd);
	errno = saved;
	return lines;
}

uint64_t na_limits_most_maps(void)
{
	return na_limits_number("/proc/sys/vm/max_map_count");
}

static unsigned long long mib(uint64_t bytes)
{
	return (unsigned long long)(bytes >> 20);
}

/* Overcommit mode 2 alone holds a reservation against a limit. */
static bool commit_is_full(uint64_t size, char *out, size_t capacity)
{
	char text[4096];
	uint64_t limit, used;

	if (na_limits_number("/proc/sys/vm/overcommit_memory") != 2 ||
	    na_limits_text("/proc/meminfo", text, sizeof(text)) <= 0)
		return false;
	limit = na_limits_line(text, "CommitLimit:");
	used = na_limits_line(text, "Committed_AS:");
	if (limit == NA_LIMIT_NONE || used == NA_LIMIT_NONE || used * 1024 + size <= limit * 1024)
		return false;
	na_format(out, capacity,
		  "the machine's commit limit: %llu MiB of %llu MiB are promised (vm.overcommit_memory 2)",
		  mib(used * 1024), mib(limit * 1024));
	return true;
}

enum na_limit_kind na_limits_why(uint64_t size, char *out, size_t capacity)
{
	/* A block's mapping is rounded up and brings its bookkeeping. */
	uint64_t as = soft_limit(RLIMIT_AS), data = soft_limit(RLIMIT_DATA), all, private, more, maps, most;

	if (size >> 46) {
		na_format(out, capacity, "more than the address space has");
		return NA_LIMIT_SPACE;
	}
	more = size + ((uint64_t)4 << 20);
	used_address(&all, &private);
	if (as != NA_LIMIT_NONE && all + more > as) {
		na_format(out, capacity, "address space: %llu MiB of %llu MiB are in use (ulimit -v)", mib(all),
			  mib(as));
		return NA_LIMIT_AS;
	}
	if (data != NA_LIMIT_NONE && private + more > data) {
		na_format(out, capacity, "private memory: %llu MiB of %llu MiB are in use (ulimit -d)", mib(private),
			  mib(data));
		return NA_LIMIT_DATA;
	}
	maps = na_limits_maps();
	most = na_limits_most_maps();
	if (maps != NA_LIMIT_NONE && most != NA_LIMIT_NONE && maps + 8 > most) {
		na_format(out, capacity, "mappings: %llu of %llu are in use (vm.max_map_count)",
			  (unsigned long long)maps, (unsigned long long)most);
		return NA_LIMIT_MAPS;
	}
	if (commit_is_full(more, out, capacity))
		return NA_LIMIT_COMMIT;
	na_format(out, capacity, "the system gives no more");
	return NA_LIMIT_UNKNOWN;
}
