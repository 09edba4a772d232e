/* SPDX-License-Identifier: BSD-3-Clause */
/* The job's runtime folder; see rundir.h. */
#include "topology/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/options.h"
#include "topology/sysfs.h"

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/*
 * A batch job can run several programs, one after the other or at once: only identifiers of one
 * program's start will do. The second name, where there is one, is needed too.
 */
int na_rundir_job_id(const struct na_topology_job *job, char *out, size_t capacity)
{
	static const char *const names[][2] = {
		{ "PMIX_NAMESPACE", NULL },	     /* any launcher with PMIx */
		{ "OMPI_MCA_ess_base_jobid", NULL }, /* Open MPI 4 */
		{ "SLURM_JOB_ID", "SLURM_STEP_ID" }, /* srun with another PMI */
		{ "FLUX_JOB_ID", NULL },
		{ "PALS_APID", NULL }, /* HPE Cray */
	};

	if (job->id && *job->id) {
		na_format(out, capacity, "%s", job->id);
		return 0;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *first = variable(names[i][0]), *second = names[i][1] ? variable(names[i][1]) : "";

		if (!first || !second)
			continue;
		na_format(out, capacity, "%s%s%s", first, *second ? "." : "", second);
		return 0;
	}
	return -ENOENT;
}

/* "numarena-USER-JOB-HASH": the job's name cut and cleaned for people, the hash of all of it for us. */
static void name_folder(const char *id, char *out, size_t capacity)
{
	uint64_t hash = na_hash_text(NA_HASH_START, id);
	char clean[49], *boot;
	size_t n = 0;

	for (; id[n] && n < sizeof(clean) - 1; n++) {
		bool plain =
			(id[n] >= '0' && id[n] <= '9') || ((id[n] | 32) >= 'a' && (id[n] | 32) <= 'z') || id[n] == '.';

		clean[n] = plain ? id[n] : '_';
	}
	clean[n] = '\0';
	if (na_sysfs_read(NULL, "/proc/sys/kernel/random/boot_id", &boot) == 0) {
		hash = na_hash_text(hash, boot);
		free(boot);
	}
	na_format(out, capacity, "numarena-%u-%s-%lx", (unsigned int)geteuid(), clean, (unsigned long)hash);
}

static int check_owner(int fd)
{
	struct stat s;

	if (fstat(fd, &s) < 0)
		return -errno;
	return s.st_uid == geteuid() && (s.st_mode & 077) == 0 ? 0 : -EPERM;
}

/* `made`: it was not there before. */
static int open_checked(const char *path, bool create, int *out, bool *made)
{
	int fd, rc = 0;

	/* A second turn if another process removed the folder between the two calls. */
	for (int turn = 0; turn < 3; turn++) {
		if (create && mkdir(path, 0700) == 0)
			*made = true;
		else if (create && errno != EEXIST)
			return -errno;
		fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0) {
			rc = check_owner(fd);
			if (rc < 0)
				close(fd);
			else
				*out = fd;
			return rc;
		}
		rc = -errno;
		if (rc != -ENOENT || !create)
			break;
	}
	return rc;
}

/* What a killed job has left: a folder serves for the seconds of a job's start, and one that its job still has open does not miss it. */
static void remove_if_old(const char *parent, const char *name)
{
	struct na_rundir folder = { .fd = -1 };
	struct stat s;
	bool made;

	if (na_format(folder.path, sizeof(folder.path), "%s/%s", parent, name) >= sizeof(folder.path) - 1 ||
	    open_checked(folder.path, false, &folder.fd, &made) < 0)
		return;
	if (fstat(folder.fd, &s) == 0 && s.st_mtime + NA_RUNDIR_LIFE_S < time(NULL))
		na_rundir_remove(&folder);
	na_rundir_close(&folder);
}

/* By the one process of a job that has made the job's own folder. */
static void remove_old(const char *parent)
{
	DIR *entries = opendir(parent);
	struct dirent *entry;
	char prefix[32];

	if (!entries)
		return;
	na_format(prefix, sizeof(prefix), "numarena-%u-", (unsigned int)geteuid());
	while ((entry = readdir(entries)))
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
			remove_if_old(parent, entry->d_name);
	closedir(entries);
}

static int open_in(const char *parent, const char *name, bool create, struct na_rundir *out)
{
	struct na_rundir folder = { .fd = -1 };
	bool made = false;
	int rc;

	if (na_format(folder.path, sizeof(folder.path), "%s/%s", parent, name) >= sizeof(folder.path) - 1)
		return -ENAMETOOLONG;
	rc = open_checked(folder.path, create, &folder.fd, &made);
	if (made)
		remove_old(parent);
	if (rc == 0)
		*out = folder;
	return rc;
}

static const char *named_parent(const struct na_topology_job *job)
{
	if (job->folder && *job->folder)
		return job->folder;
	return na_options.runtime_dir && *na_options.runtime_dir ? na_options.runtime_dir : NULL;
}

int na_rundir_open(const struct na_topology_job *job, bool create, struct na_rundir *out)
{
	const char *parents[] = { variable("XDG_RUNTIME_DIR"), "/dev/shm", "/tmp" }, *named = named_parent(job);
	char id[256], name[128];
	int rc = na_rundir_job_id(job, id, sizeof(id));

	if (rc < 0)
		return rc;
	name_folder(id, name, sizeof(name));
	if (named) {
		/* One level, so that a job on many machines need not make it on each first. */
		if (create && mkdir(named, 0700) < 0 && errno != EEXIST)
			rc = -errno;
		else
			rc = open_in(named, name, create, out);
		if (rc < 0 && create)
			na_log(NA_LOG_WARNING,
			       "runtime folder %s cannot be used (%s): each process discovers the topology by itself",
			       named, strerror(-rc));
		return rc;
	}
	rc = -ENOENT;
	for (size_t i = 0; i < sizeof(parents) / sizeof(parents[0]); i++) {
		if (!parents[i] || parents[i][0] != '/')
			continue;
		rc = open_in(parents[i], name, create, out);
		if (rc == 0)
			break;
		na_log(NA_LOG_DEBUG, "no runtime folder in %s: %s", parents[i], strerror(-rc));
	}
	return rc;
}

void na_rundir_remove(const struct na_rundir *folder)
{
	/* A descriptor of its own: fdopendir() takes the one it gets. */
	int fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *entries = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!entries) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(entries)))
		if (strncmp(entry->d_name, NA_RUNDIR_PREFIX, strlen(NA_RUNDIR_PREFIX)) == 0)
			unlinkat(folder->fd, entry->d_name, 0);
	closedir(entries);
	rmdir(folder->path);
}

void na_rundir_close(struct na_rundir *folder)
{
	if (folder->fd >= 0)
		close(folder->fd);
	folder->fd = -1;
}
