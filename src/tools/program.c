/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int runnable(const char *path)
{
	struct stat s;

	if (stat(path, &s) < 0)
		return -errno;
	if (!S_ISREG(s.st_mode) || access(path, X_OK) < 0)
		return -EACCES;
	return 0;
}

int na_program_find(const char *name, char path[PATH_MAX])
{
	const char *list = getenv("PATH");
	int result = -ENOENT;

	if (!*name)
		return -ENOENT;
	if (strchr(name, '/'))
		return snprintf(path, PATH_MAX, "%s", name) < PATH_MAX ? runnable(path) : -ENAMETOOLONG;
	for (list = list ? list : "/usr/local/bin:/usr/bin:/bin"; *list;) {
		size_t length = strcspn(list, ":");
		int n = snprintf(path, PATH_MAX, "%.*s/%s", length ? (int)length : 1, length ? list : ".", name);
		int rc = n < PATH_MAX ? runnable(path) : -ENAMETOOLONG;

		if (rc == 0)
			return 0;
		if (rc == -EACCES)
			result = rc;
		list += length + (list[length] == ':');
	}
	return result;
}

/* 1 or 0; -1 if it is no 64-bit ELF file of ours to judge. */
static int has_interpreter(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), result = -1;
	Elf64_Ehdr head;

	if (fd < 0)
		return -1;
	if (pread(fd, &head, sizeof(head), 0) == sizeof(head) && memcmp(head.e_ident, ELFMAG, SELFMAG) == 0 &&
	    head.e_ident[EI_CLASS] == ELFCLASS64 && head.e_phentsize == sizeof(Elf64_Phdr)) {
		result = 0;
		for (unsigned int i = 0; i < head.e_phnum && result == 0; i++) {
			Elf64_Phdr part;

			if (pread(fd, &part, sizeof(part), (off_t)(head.e_phoff + i * sizeof(part))) != sizeof(part))
				result = -1;
			else if (part.p_type == PT_INTERP)
				result = 1;
		}
	}
	close(fd);
	return result;
}

int na_program_escapes(const char *path, char *reason, size_t capacity)
{
	struct stat s;

	if (stat(path, &s) == 0 && (s.st_mode & (S_ISUID | S_ISGID)) &&
	    (s.st_uid != geteuid() || geteuid() != getuid())) {
		snprintf(reason, capacity, "it is set-user-ID or set-group-ID");
		return 1;
	}
	if (has_interpreter(path) == 0) {
		snprintf(reason, capacity, "it is linked statically");
		return 1;
	}
	return 0;
}
