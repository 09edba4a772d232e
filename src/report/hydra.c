/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/hydra.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
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

/* 0 if it has none, or cannot be read. */
static long parent_of(long pid)
{
	char path[64], text[1024], *after;

	na_format(path, sizeof(path), "/proc/%ld/stat", pid);
	if (na_file_read(path, text, sizeof(text)) <= 0)
		return 0;
	after = strrchr(text, ')'); /* the program's name may hold anything */
	return after && strlen(after) > 4 ? strtol(after + 4, NULL, 10) : 0;
}

int na_hydra_job(char *job, size_t capacity)
{
	char path[64], arguments[MOST_ARGUMENTS];
	int saved = errno, found = 0;
	long pid = getppid();

	for (int i = 0; i < MOST_ANCESTORS && pid > 1 && !found; i++, pid = parent_of(pid)) {
		int length;

		na_format(path, sizeof(path), "/proc/%ld/cmdline", pid);
		length = na_file_read(path, arguments, sizeof(arguments));
		found = length > 0 && na_hydra_parse(arguments, (size_t)length, job, capacity);
	}
	errno = saved;
	return found;
}
