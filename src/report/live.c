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
#define MINE	  1024	     /* ranks of this node at most */
#define FOREIGN	  (1u << 20) /* of other nodes, that are remembered */
#define LOOKS	  256	     /* at ranks that may be of this node, a tick */

/* The maintenance thread's, and after its end the exiting thread's; but for `pattern`, which is constant from the start. */
static struct {
	char pattern[PATH_MAX];
	uint64_t again_ns;
	bool complained, written;
	char path[PATH_MAX];
	char searched[PATH_MAX];	/* the job's folder that the following are of */
	int32_t mine[MINE];		/* ranks of this node */
	uint32_t mine_count, steps;	/* steps: how far the search has come */
	uint64_t foreign[FOREIGN / 64]; /* ranks of other nodes: pages that only jobs of that many touch */
	struct na_job sum;
	struct na_record slots[2], record;
	char names[8192];
	char page[PAGE_ROOM];
} live;

/* "%n" is the job's name, so that two jobs of a node do not share a file. -ENAMETOOLONG. */
static int name_file(const char *pattern, const char *job)
{
	const char *mark = strstr(pattern, "%n");
	size_t n;

	if (!pattern[0])
		return -ENAMETOOLONG;
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

/* Those that are no record of this host, not whole, or of a process that is no more, are left out. */
static void add_record(int folder, const char *name, const struct na_live_of *of)
{
	struct na_record_flaw flaw;
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	if (fd < 0)
		return;
	n = pread(fd, live.slots, sizeof(live.slots), 0);
	close(fd);
	if (n > 0 && na_record_load(live.slots, (size_t)n, &live.record, &flaw) == 0 &&
	    strncmp(live.record.host, of->host, NA_RECORD_NAME) == 0 && live.record.state <= NA_RECORD_FINALIZING &&
	    !na_record_is_lost(&live.record))
		na_job_add(&live.sum, &live.record);
}

/* ---- ranks: those of this node are found once ---- */

static void name_rank(char out[32], int32_t rank)
{
	na_format(out, 32, "rank-%d%s", rank, NA_RECORD_SUFFIX);
}

static bool is_known(int32_t rank)
{
	if ((uint32_t)rank < FOREIGN && live.foreign[rank / 64] >> (rank % 64) & 1)
		return true;
	for (uint32_t i = 0; i < live.mine_count; i++)
		if (live.mine[i] == rank)
			return true;
	return false;
}

/* One that has not written its record yet is looked at again. */
static void look_at(int folder, int32_t rank, const struct na_live_of *of)
{
	char name[32], host[NA_RECORD_NAME];

	name_rank(name, rank);
	if (na_record_host(folder, name, host) < 0)
		return;
	if (strncmp(host, of->host, sizeof(host)) == 0)
		live.mine[live.mine_count++] = rank;
	else if ((uint32_t)rank < FOREIGN)
		live.foreign[rank / 64] |= UINT64_C(1) << (rank % 64);
}

/* From our own rank on, which is the lowest of the node, for launchers fill a node before the next; LOOKS at a time, until as many are found as the
 * node has, and then never again. */
static void search(int folder, const struct na_live_of *of)
{
	uint32_t most = of->local_size > 0 && of->local_size < MINE ? (uint32_t)of->local_size : MINE;

	if (strcmp(live.searched, of->job_folder) != 0) {
		memcpy(live.searched, of->job_folder, sizeof(live.searched));
		memset(live.foreign, 0, sizeof(live.foreign));
		live.mine_count = live.steps = 0;
	}
	for (int32_t looks = 0, turns = 0; looks < LOOKS && turns < of->size && live.mine_count < most; turns++) {
		int32_t rank = (int32_t)(((int64_t)of->rank + live.steps) % of->size);

		live.steps = (live.steps + 1) % (uint32_t)of->size;
		if (is_known(rank))
			continue;
		look_at(folder, rank, of);
		looks++;
	}
}

static void add_ranks(int folder, const struct na_live_of *of)
{
	char name[32];

	search(folder, of);
	for (uint32_t i = 0; i < live.mine_count; i++) {
		name_rank(name, live.mine[i]);
		add_record(folder, name, of);
	}
}

/* ---- processes without MPI ---- */

/* A directory's entry as the kernel has it. */
struct entry {
	uint64_t inode;
	int64_t next;
	unsigned short length;
	unsigned char type;
	char name[];
};

static int add_processes(int folder, const struct na_live_of *of)
{
	ssize_t n;

	while ((n = getdents64(folder, live.names, sizeof(live.names))) > 0)
		for (ssize_t at = 0; at < n;) {
			const struct entry *e = (const struct entry *)(const void *)(live.names + at);

			if (na_place_is_of_process(e->name, of->host))
				add_record(folder, e->name, of);
			at += e->length;
		}
	return n < 0 ? -EIO : 0;
}

static int add_folder(const struct na_live_of *of)
{
	int folder = open(of->job_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

	if (folder < 0)
		return -errno;
	na_job_init(&live.sum);
	if (of->rank >= 0)
		add_ranks(folder, of);
	else
		rc = add_processes(folder, of);
	close(folder);
	return rc;
}

static int write_page(const struct na_live_of *of)
{
	size_t length;
	int rc = name_file(live.pattern, of->job);

	if (rc == 0)
		rc = add_folder(of);
	if (rc < 0)
		return rc;
	if (!live.sum.processes)
		return 0;
	length = na_openmetrics_node(&live.sum, live.page, sizeof(live.page));
	if (length >= sizeof(live.page))
		return -EFBIG;
	rc = na_file_replace(live.path, live.page, length, 0644, false);
	live.written |= rc == 0;
	return rc;
}

void na_live_begin(void)
{
	if (na_options.metrics_file[0] &&
	    na_file_absolute(na_options.metrics_file, live.pattern, sizeof(live.pattern)) < 0)
		live.pattern[0] = '\0'; /* which the first tick says */
}

uint32_t na_live_tick(const struct na_live_of *of, uint64_t now_ns)
{
	uint64_t begin = na_os_now_ns(), cost;
	int rc, saved = errno;

	if (now_ns >= live.again_ns) {
		rc = write_page(of);
		if (rc < 0 && !live.complained) {
			na_log(NA_LOG_WARNING, "NUMARENA_METRICS_FILE: %s cannot be written: %s", live.pattern,
			       strerrordesc_np(-rc));
			live.complained = true;
		}
		cost = na_os_now_ns() - begin;
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
