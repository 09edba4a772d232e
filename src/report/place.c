/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

#define MARK	 "reported"
#define LAUNCHED "launched-"

int na_place_make(const char *path)
{
	char part[PATH_MAX];
	size_t length = strlen(path);
	struct stat s;

	if (length == 0)
		return -ENOENT;
	if (length >= sizeof(part))
		return -ENAMETOOLONG;
	memcpy(part, path, length + 1);
	for (char *slash = part + 1; (slash = strchr(slash, '/')) != NULL; *slash++ = '/') {
		*slash = '\0';
		if (mkdir(part, 0777) < 0 && errno != EEXIST && stat(part, &s) < 0)
			return -errno;
	}
	if (mkdir(path, 0777) < 0) {
		if (errno != EEXIST && errno != EROFS && errno != EACCES)
			return -errno;
		if (stat(path, &s) < 0)
			return -errno;
		if (!S_ISDIR(s.st_mode))
			return -ENOTDIR;
	}
	return 0;
}

static int joined(size_t wanted, size_t capacity)
{
	return wanted + 1 < capacity ? 0 : -ENAMETOOLONG;
}

int na_place_job(const char *folder, const char *job, char *out, size_t capacity)
{
	return joined(na_format(out, capacity, "%s/%s/%s", folder, NA_RECORD_FOLDER, job), capacity);
}

int na_place_of_process(const char *job_folder, const char *host, int32_t pid, char *out, size_t capacity)
{
	return joined(na_format(out, capacity, "%s/pid-%s-%d%s", job_folder, host, pid, NA_RECORD_SUFFIX), capacity);
}

int na_place_of_rank(const char *job_folder, int32_t rank, char *out, size_t capacity)
{
	return joined(na_format(out, capacity, "%s/rank-%d%s", job_folder, rank, NA_RECORD_SUFFIX), capacity);
}

int na_place_map(const char *path, struct na_record **slots)
{
	size_t size = 2 * sizeof(struct na_record);
	int fd, rc;
	void *p;

	/* A file of a former process of this name is replaced, not emptied: somebody may be reading it. */
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
	if (fd < 0)
		return -errno;
	rc = -posix_fallocate(fd, 0, (off_t)size);
	if (rc < 0)
		goto remove_file;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		rc = -errno;
		goto remove_file;
	}
	close(fd);
	madvise(p, size, MADV_DONTFORK);
	*slots = p;
	return 0;
remove_file:
	close(fd);
	unlink(path);
	return rc;
}

void na_place_unmap(struct na_record *slots)
{
	munmap(slots, 2 * sizeof(*slots));
}

int na_place_is_record(const char *name)
{
	size_t length = strlen(name), suffix = strlen(NA_RECORD_SUFFIX);

	return length > suffix && strcmp(name + length - suffix, NA_RECORD_SUFFIX) == 0 &&
	       (strncmp(name, "rank-", 5) == 0 || strncmp(name, "pid-", 4) == 0);
}

int na_place_is_of_process(const char *name, const char *host)
{
	size_t length = strlen(host);

	if (!na_place_is_record(name) || strncmp(name, "pid-", 4) != 0 || strncmp(name + 4, host, length) != 0 ||
	    name[4 + length] != '-')
		return 0;
	name += 4 + length + 1; /* of host "a" that of "a-1" is none */
	return strspn(name, "0123456789") == strlen(name) - strlen(NA_RECORD_SUFFIX);
}

void na_place_discard(const char *job_folder)
{
	char parent[PATH_MAX], *slash;
	DIR *d = opendir(job_folder);
	struct dirent *e;

	if (!d)
		return;
	while ((e = readdir(d)) != NULL)
		if (na_place_is_record(e->d_name) || strcmp(e->d_name, "lock") == 0 || strcmp(e->d_name, MARK) == 0 ||
		    strncmp(e->d_name, LAUNCHED, strlen(LAUNCHED)) == 0)
			unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
	rmdir(job_folder);
	na_format(parent, sizeof(parent), "%s", job_folder);
	slash = strrchr(parent, '/');
	if (slash) {
		*slash = '\0';
		rmdir(parent);
	}
}

static void touch(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);

	if (fd >= 0)
		close(fd);
}

void na_place_note_launch(const char *job_folder, const char *launched)
{
	char path[PATH_MAX];

	if (joined(na_format(path, sizeof(path), "%s/" LAUNCHED "%s", job_folder, launched), sizeof(path)) == 0)
		touch(path);
}

static int mark_path(const char *job_folder, char out[PATH_MAX])
{
	return joined(na_format(out, PATH_MAX, "%s/%s", job_folder, MARK), PATH_MAX);
}

void na_place_mark(const char *job_folder)
{
	char path[PATH_MAX];

	if (mark_path(job_folder, path) == 0)
		touch(path);
}

int na_place_is_marked(const char *job_folder)
{
	char path[PATH_MAX];

	return mark_path(job_folder, path) == 0 && access(path, F_OK) == 0;
}

int na_place_count_ranks(const char *job_folder)
{
	DIR *d = opendir(job_folder);
	struct dirent *e;
	int count = 0;

	if (!d)
		return -errno;
	while ((e = readdir(d)) != NULL)
		count += na_place_is_record(e->d_name) && strncmp(e->d_name, "rank-", 5) == 0;
	closedir(d);
	return count;
}

int na_place_launches(const char *folder, const char *job_folder, void (*visit)(const char *launched, void *with),
		      void *with)
{
	DIR *d = opendir(job_folder);
	char launched[PATH_MAX];
	struct dirent *e;
	int count = 0;

	while (d && (e = readdir(d)) != NULL) {
		if (strncmp(e->d_name, LAUNCHED, strlen(LAUNCHED)) != 0 ||
		    na_place_job(folder, e->d_name + strlen(LAUNCHED), launched, sizeof(launched)) < 0 ||
		    na_place_count_ranks(launched) <= 0)
			continue;
		if (visit)
			visit(launched, with);
		count++;
	}
	if (d)
		closedir(d);
	return count;
}
