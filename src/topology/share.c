/* SPDX-License-Identifier: BSD-3-Clause */
/* The exchange of a discovery between the processes of a job; see share.h. */
#include "topology/share.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "topology/board.h"
#include "topology/rundir.h"
#include "topology/sysfs.h"
#include "topology/xmlfile.h"

#define WAIT_MS	       5000
#define SLEEP_LEAST_NS 100000u
#define SLEEP_MOST_NS  500000u

struct exchange {
	const struct na_topology_source *source;
	struct na_topology_cost *cost;
	struct na_rundir folder;
	int lock;
	char identity[NA_XMLFILE_IDENTITY];
	char name[48];
};

static bool is_shared(const struct na_topology_job *job)
{
	char id[4];

	return job && job->local_size > 1 && na_rundir_job_id(job, id, sizeof(id)) == 0;
}

static int open_exchange(const struct na_topology_job *job, struct exchange *x)
{
	char lock[64];
	int rc = na_rundir_open(job, true, &x->folder);

	if (rc < 0)
		return rc;
	na_xmlfile_identity(x->source->root, x->identity);
	na_format(x->name, sizeof(x->name), NA_RUNDIR_PREFIX "%lx",
		  (unsigned long)na_hash_text(NA_HASH_START, x->identity));
	na_format(lock, sizeof(lock), "%s.lock", x->name);
	x->lock = openat(x->folder.fd, lock, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (x->lock < 0) {
		rc = -errno;
		na_rundir_close(&x->folder);
	}
	return rc;
}

static void close_exchange(struct exchange *x)
{
	close(x->lock);
	na_rundir_close(&x->folder);
}

/* The whole file, for free(). */
static int read_file(int fd, char **data, size_t *size)
{
	struct stat s;
	size_t done = 0;
	char *buffer;

	if (fstat(fd, &s) < 0)
		return -errno;
	if (!S_ISREG(s.st_mode) || s.st_uid != geteuid() || s.st_size <= 0 ||
	    s.st_size > (off_t)(NA_XMLFILE_MOST + NA_XMLFILE_HEADER))
		return -EBADMSG;
	buffer = malloc((size_t)s.st_size);
	if (!buffer)
		return -ENOMEM;
	while (done < (size_t)s.st_size) {
		ssize_t n = read(fd, buffer + done, (size_t)s.st_size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			free(buffer);
			return n < 0 ? -errno : -EBADMSG;
		}
		done += (size_t)n;
	}
	*data = buffer;
	*size = done;
	return 0;
}

static int build_from(const struct exchange *x, const struct na_xmlfile *record, struct na_topology **out)
{
	struct na_topology_source source = {
		.root = x->source->root, .xml = record->xml, .xml_length = record->length, .real = record->real
	};
	struct na_topology_cost cost = { 0 };
	int rc = na_topology_build(&source, out, &cost);

	if (rc < 0)
		return rc;
	x->cost->init_ns += cost.init_ns;
	x->cost->load_ns += cost.load_ns;
	x->cost->xml_bytes = record->length;
	x->cost->origin = NA_TOPOLOGY_READ;
	x->cost->shared = true;
	return 0;
}

/* 0 with the topology, -ENOENT while there is no file yet, others if there is one that cannot be used. */
static int read_shared(const struct exchange *x, struct na_topology **out)
{
	struct na_xmlfile record;
	char *data = NULL;
	size_t size = 0;
	int fd = openat(x->folder.fd, x->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), rc;

	if (fd < 0)
		return -errno;
	rc = read_file(fd, &data, &size);
	close(fd);
	if (rc < 0)
		return rc;
	rc = na_xmlfile_decode(x->identity, data, size, &record);
	if (rc == 0)
		rc = build_from(x, &record, out);
	free(data);
	return rc;
}

/* Under the lock. A file of the same name is left by a dead process that had our number. */
static int write_shared(const struct exchange *x, const struct na_xmlfile *record)
{
	char header[NA_XMLFILE_HEADER], temporary[80];
	size_t length = na_xmlfile_encode(x->identity, record, header);
	int fd, rc;

	na_format(temporary, sizeof(temporary), "%s.%u", x->name, (unsigned int)getpid());
	unlinkat(x->folder.fd, temporary, 0);
	fd = openat(x->folder.fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	rc = na_file_write(fd, header, length);
	if (rc == 0)
		rc = na_file_write(fd, record->xml, record->length);
	if (rc == 0)
		rc = na_file_write(fd, na_xmlfile_trailer, strlen(na_xmlfile_trailer));
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	if (rc == 0 && renameat(x->folder.fd, temporary, x->folder.fd, x->name) < 0)
		rc = -errno;
	if (rc < 0)
		unlinkat(x->folder.fd, temporary, 0);
	return rc;
}

static int export_tree(const struct exchange *x, struct hwloc_topology *tree)
{
	struct na_xmlfile record = { .real = na_topology_is_real(tree, x->source) };
	uint64_t start = na_clock_ns(CLOCK_MONOTONIC);
	char *xml;
	int rc = na_topology_export(tree, &xml, &record.length);

	if (rc < 0)
		return rc;
	record.xml = xml;
	rc = write_shared(x, &record);
	na_topology_free_xml(tree, xml);
	x->cost->write_ns = na_clock_ns(CLOCK_MONOTONIC) - start;
	x->cost->xml_bytes = record.length;
	x->cost->shared = rc == 0;
	return rc;
}

/* Own discovery; left for the others if `share`, whose failure is not ours. */
static int discover(const struct exchange *x, bool share, struct na_topology **out)
{
	struct hwloc_topology *tree;
	int rc = na_topology_load(x->source, &tree, x->cost), shared = 0;

	if (rc < 0)
		return rc;
	x->cost->origin = NA_TOPOLOGY_DISCOVERED;
	if (share)
		shared = export_tree(x, tree);
	if (shared < 0)
		na_log(NA_LOG_INFO, "topology not left in %s: %s", x->folder.path, strerror(-shared));
	rc = na_topology_flatten(tree, x->source, out);
	na_topology_unload(tree);
	return rc;
}

/* With the lock: another may have been done between our last look and now. */
static int look_or_discover(const struct exchange *x, struct na_topology **out)
{
	int rc = read_shared(x, out);

	if (rc == 0)
		return 0;
	if (rc != -ENOENT)
		na_log(NA_LOG_INFO, "topology in %s/%s is of no use (%s): replacing it", x->folder.path, x->name,
		       strerror(-rc));
	return discover(x, true, out);
}

static void sleep_ns(uint64_t ns)
{
	struct timespec t = { .tv_nsec = (long)ns };

	nanosleep(&t, NULL);
}

static int exchange(const struct exchange *x, uint32_t wait_ms, struct na_topology **out)
{
	uint64_t start = na_clock_ns(CLOCK_MONOTONIC),
		 deadline = start + (uint64_t)(wait_ms ? wait_ms : WAIT_MS) * 1000000u;
	uint64_t pause = SLEEP_LEAST_NS;
	int rc;

	for (;;) {
		/* Parsing is no waiting, so the clock is read before it. */
		x->cost->wait_ns = na_clock_ns(CLOCK_MONOTONIC) - start;
		if (read_shared(x, out) == 0)
			return 0;
		if (flock(x->lock, LOCK_EX | LOCK_NB) == 0) {
			x->cost->wait_ns = na_clock_ns(CLOCK_MONOTONIC) - start;
			rc = look_or_discover(x, out);
			flock(x->lock, LOCK_UN);
			return rc;
		}
		if (errno != EWOULDBLOCK && errno != EINTR)
			return discover(x, false, out);
		if (na_clock_ns(CLOCK_MONOTONIC) >= deadline) {
			na_log(NA_LOG_INFO, "waited %llu ms for another process's topology: discovering it here",
			       (unsigned long long)((na_clock_ns(CLOCK_MONOTONIC) - start) / 1000000u));
			return discover(x, false, out);
		}
		sleep_ns(pause);
		pause = pause * 2 < SLEEP_MOST_NS ? pause * 2 : SLEEP_MOST_NS;
	}
}

/* Adds our byte; appending is atomic. Whoever makes the file full, or finds it so, removes everything. */
static void check_in(const struct na_rundir *folder, int local_size)
{
	int fd = openat(folder->fd, NA_RUNDIR_PREFIX "seen", O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC,
			0600);
	struct stat s;

	if (fd < 0)
		return;
	if (na_file_write(fd, "+", 1) == 0 && fstat(fd, &s) == 0 && s.st_size >= local_size)
		na_rundir_remove(folder);
	close(fd);
}

int na_topology_obtain(const struct na_topology_job *job, const struct na_topology_source *source,
		       struct na_topology **out, struct na_topology_cost *cost)
{
	struct exchange x = { .source = source, .cost = cost, .folder.fd = -1, .lock = -1 };
	struct hwloc_topology *started;
	uint64_t start = na_clock_ns(CLOCK_MONOTONIC);
	int rc;

	*cost = (struct na_topology_cost){ 0 };
	rc = na_topology_start(&started, cost); /* held to the end: the loads below find it done */
	if (rc < 0)
		return rc;
	if (is_shared(job) && open_exchange(job, &x) == 0) {
		na_board_open(&x.folder);
		rc = exchange(&x, job->wait_ms, out);
		check_in(&x.folder, job->local_size);
		close_exchange(&x);
	} else {
		rc = discover(&x, false, out);
	}
	na_topology_unload(started);
	cost->total_ns = na_clock_ns(CLOCK_MONOTONIC) - start;
	return rc;
}

void na_topology_check_in(const struct na_topology_job *job)
{
	struct na_rundir folder;

	if (!is_shared(job) || na_rundir_open(job, true, &folder) < 0)
		return;
	na_board_open(&folder);
	check_in(&folder, job->local_size);
	na_rundir_close(&folder);
}

void na_topology_unshare(const struct na_topology_job *job)
{
	struct na_rundir folder;

	if (!is_shared(job) || job->local_rank != 0 || na_rundir_open(job, false, &folder) < 0)
		return;
	na_rundir_remove(&folder);
	na_rundir_close(&folder);
}
