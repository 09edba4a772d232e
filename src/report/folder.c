/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/folder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define DEFAULT_FOLDER "numarena-report"

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static const char *first_of(const char *const *names)
{
	for (; *names; names++)
		if (variable(*names))
			return variable(*names);
	return NULL;
}

static const char *job(void)
{
	static const char *const names[] = { "SLURM_JOB_ID", "PBS_JOBID",    "LSB_JOBID",
					     "FLUX_JOB_ID",  "COBALT_JOBID", NULL };
	const char *id = first_of(names);

	if (!id && variable("SGE_TASK_ID")) /* or JOB_ID is somebody else's */
		id = variable("JOB_ID");
	return id;
}

static const char *array(void)
{
	return variable("SLURM_ARRAY_JOB_ID") ? variable("SLURM_ARRAY_JOB_ID") : job();
}

static const char *task(void)
{
	static const char *const names[] = { "SLURM_ARRAY_TASK_ID", "PBS_ARRAY_INDEX", "PBS_ARRAYID", NULL };
	const char *lsf = variable("LSB_JOBINDEX"), *sge = variable("SGE_TASK_ID");

	if (first_of(names))
		return first_of(names);
	if (lsf && strcmp(lsf, "0") != 0)
		return lsf;
	return sge && strcmp(sge, "undefined") != 0 ? sge : NULL;
}

static const char *step(void)
{
	return variable("SLURM_STEP_ID");
}

/* A text that is put together; too long a one shows at its end. */
struct path {
	char *text;
	size_t length, capacity;
};

static void add(struct path *p, char c)
{
	if (p->length < p->capacity)
		p->text[p->length] = c;
	p->length++;
}

static void add_text(struct path *p, const char *text)
{
	for (; *text; text++)
		add(p, *text);
}

/* An id of the batch system's, fit for the name of a file. */
static void add_id(struct path *p, const char *id)
{
	for (id = id ? id : "0"; *id; id++) {
		int plain = (*id >= '0' && *id <= '9') || (*id >= 'a' && *id <= 'z') || (*id >= 'A' && *id <= 'Z') ||
			    *id == '.' || *id == '-' || *id == '_';

		add(p, plain ? *id : '_');
	}
}

/* As Slurm writes them: 1234_7 in an array, 1234 else. */
static void add_job(struct path *p)
{
	add(p, '/');
	if (!task()) {
		add_id(p, job());
		return;
	}
	add_id(p, array());
	add(p, '_');
	add_id(p, task());
}

static void add_default(struct path *p)
{
	add_text(p, DEFAULT_FOLDER);
	if (!job())
		return;
	add_job(p);
	if (!step())
		return;
	add(p, '.');
	add_id(p, step());
}

/* 0, or the letter that is none. */
static int add_pattern(struct path *p, const char *name)
{
	for (; *name; name++) {
		if (*name != '%') {
			add(p, *name);
			continue;
		}
		switch (*++name) {
		case 'j':
			add_id(p, job());
			break;
		case 'A':
			add_id(p, array());
			break;
		case 'a':
			add_id(p, task());
			break;
		case 's':
			add_id(p, step());
			break;
		case '%':
			add(p, '%');
			break;
		default:
			return *name ? *name : '%';
		}
	}
	return 0;
}

int na_folder_find(const char *name, char *out, size_t capacity, char *complaint, size_t room)
{
	const char *found = variable(NA_FOLDER_VARIABLE);
	struct path p = { out, 0, capacity };
	char letter[2] = "";
	int wrong = 0;

	if (!name) {
		add_default(&p);
	} else if (found && strcmp(found, name) == 0) {
		add_text(&p, name);
	} else if (strchr(name, '%')) {
		wrong = add_pattern(&p, name);
	} else {
		add_text(&p, name);
		if (task())
			add_job(&p);
	}
	add(&p, '\0');
	if (wrong) {
		letter[0] = (char)wrong;
		na_format(complaint, room,
			  "report folder %s: %%%s is not known; %%j, %%A, %%a, %%s are, and %%%% for a per cent sign",
			  name, letter);
		return -EINVAL;
	}
	if (p.length <= capacity)
		return 0;
	na_format(complaint, room, "report folder %s: its name is too long", name ? name : DEFAULT_FOLDER);
	return -ENAMETOOLONG;
}
