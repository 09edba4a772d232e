/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/live.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/options.h"
#include "os/os.h"
#include "report/openmetrics.h"
#include "report/place.h"

#define REST_NS	  1000000000u
#define REST	  200
#define PAGE_ROOM (64 * 1024)

/* The maintenance thread's, and after its end the exiting thread's. */
static struct {
	uint64_t again_ns;
	bool complained, written;
	char path[PATH_MAX];
	struct na_job ranks, others; /* of this host: if there are ranks, only these count */
	struct na_record slots[2], record;
	char names[8192];
	char page[PAGE_ROOM];
} live;

/* "%n" is the job's name, so that two jobs of a node do not share a file. -ENAMETOOLONG. */
static int name_file(const char *pattern, const char *job)
{
	const char *mark = strstr(pattern, "%n");
	size_t n;

	if (mark) {
		char before[PATH_MAX];

		na_format(before,
			  (size_t)(mark - pattern) + 1 < sizeof(before) ? (size_t)(mark - pattern) + 1 : sizeof(before),
			  "%s", pattern);
		n = na_format(live.path, sizeof(live.path), "%s%s%s", before, job, mark + 2);
	} else {
		n = na_format(live.path, sizeof(live.path), "%s", pattern);
	}
	return n + 1 < sizeof(live.path) ? 0 : -ENAMETOOLONG;
}

/* Those that are no record of this job and host, or not whole, are left out. */
static void add_record(int folder, const char *name, const struct na_live_of *of)
{
	struct na_record_flaw flaw;
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	if (fd < 0)
		return;
	n = pread(fd, live.slots, sizeof(live.slots), 0);
	close(fd);
	if (n <= 0 || na_record_load(live.slots, (size_t)n, &live.record, &flaw) < 0 ||
	    strncmp(live.record.host, of->host, NA_RECORD_NAME) != 0)
		return;
	na_job_add(live.record.role == NA_RECORD_RANK ? &live.ranks : &live.others, &live.record);
}

/* A directory's entry as the kernel has it. */
struct entry {
	uint64_t inode;
	int64_t next;
	unsigned short length;
	unsigned char type;
	char name[];
};

static int add_folder(const struct na_live_of *of)
{
	int folder = open(of->job_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ssize_t n;

	if (folder < 0)
		return -errno;
	na_job_init(&live.ranks);
	na_job_init(&live.others);
	while ((n = getdents64(folder, live.names, sizeof(live.names))) > 0)
		for (ssize_t at = 0; at < n;) {
			const struct entry *e = (const struct entry *)(const void *)(live.names + at);

			if (na_place_is_record(e->name))
				add_record(folder, e->name, of);
			at += e->length;
		}
	close(folder);
	return n < 0 ? -EIO : 0;
}

static int write_page(const struct na_live_of *of)
{
	const struct na_job *j;
	size_t length;
	int rc = name_file(na_options.metrics_file, of->job);

	if (rc == 0)
		rc = add_folder(of);
	if (rc < 0)
		return rc;
	j = live.ranks.processes ? &live.ranks : &live.others;
	if (!j->processes)
		return 0;
	length = na_openmetrics_node(j, live.page, sizeof(live.page));
	if (length >= sizeof(live.page))
		return -EFBIG;
	rc = na_file_replace(live.path, live.page, length, 0644, false);
	live.written |= rc == 0;
	return rc;
}

uint32_t na_live_tick(const struct na_live_of *of, uint64_t now_ns)
{
	uint64_t cost;
	int rc, saved = errno;

	if (now_ns >= live.again_ns) {
		rc = write_page(of);
		if (rc < 0 && !live.complained) {
			na_log(NA_LOG_WARNING, "NUMARENA_METRICS_FILE: %s cannot be written: %s",
			       na_options.metrics_file, strerrordesc_np(-rc));
			live.complained = true;
		}
		cost = na_os_now_ns() - now_ns;
		live.again_ns = now_ns + (cost * REST > REST_NS ? cost * REST : REST_NS);
	}
	errno = saved;
	return (uint32_t)((live.again_ns - now_ns) / 1000000 + 1);
}

void na_live_end(void)
{
	if (live.written)
		unlink(live.path);
	live.written = false;
}

void na_live_forget(void)
{
	live.written = false;
}
