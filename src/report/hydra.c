/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/hydra.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

#define MOST_ANCESTORS 8
#define MOST_ARGUMENTS 4096

/* What follows an argument, or NULL. */
static const char *value_of(const char *arguments, size_t length, const char *name)
{
	const char *end = arguments + length;

	for (const char *p = arguments; p < end; p += strlen(p) + 1) {
		const char *value = p + strlen(p) + 1;

		if (strcmp(p, name) == 0 && value < end && *value)
			return value;
	}
	return NULL;
}

int na_hydra_parse(const char *arguments, size_t length, char *job, size_t capacity)
{
	const char *control, *group, *colon, *base;
	char host[64];

	if (length == 0 || arguments[length - 1] != '\0')
		return 0;
	base = strrchr(arguments, '/');
	base = base ? base + 1 : arguments;
	control = value_of(arguments, length, "--control-port");
	group = value_of(arguments, length, "--pgid");
	colon = control ? strrchr(control, ':') : NULL;
	if (!strstr(base, "pmi_proxy") || !group || !colon || colon == control || !colon[1])
		return 0;
	na_format(host, sizeof(host), "%s", control);
	if ((size_t)(colon - control) < sizeof(host))
		host[colon - control] = '\0';
	na_format(job, capacity, "hydra.%s.%s.%s", colon + 1, group, host);
	return 1;
}

static size_t slurp(const char *path, char *text, size_t capacity)
{
	int saved = errno, fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t length = 0;

	while (fd >= 0 && length < capacity - 1) {
		ssize_t n = read(fd, text + length, capacity - 1 - length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		length += (size_t)n;
	}
	if (fd >= 0)
		close(fd);
	text[length] = '\0';
	errno = saved;
	return length;
}

/* 0 if it has none, or cannot be read. */
static long parent_of(long pid)
{
	char path[64], text[1024], *after;

	na_format(path, sizeof(path), "/proc/%ld/stat", pid);
	if (!slurp(path, text, sizeof(text)))
		return 0;
	after = strrchr(text, ')'); /* the program's name may hold anything */
	return after && strlen(after) > 4 ? strtol(after + 4, NULL, 10) : 0;
}

int na_hydra_job(char *job, size_t capacity)
{
	char path[64], arguments[MOST_ARGUMENTS];
	long pid = getppid();

	for (int i = 0; i < MOST_ANCESTORS && pid > 1; i++, pid = parent_of(pid)) {
		size_t length;

		na_format(path, sizeof(path), "/proc/%ld/cmdline", pid);
		length = slurp(path, arguments, sizeof(arguments));
		if (na_hydra_parse(arguments, length, job, capacity))
			return 1;
	}
	return 0;
}
