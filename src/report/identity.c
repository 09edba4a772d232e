/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/identity.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/log.h"
#include "report/hydra.h"

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* A whole number from the first of the variables that holds one, else -1. */
static int32_t number(const char *const *names)
{
	for (; *names; names++) {
		const char *text = variable(*names);
		char *end;
		long v;

		if (!text)
			continue;
		errno = 0;
		v = strtol(text, &end, 10);
		if (errno == 0 && *end == '\0' && v >= 0 && v <= INT32_MAX)
			return (int32_t)v;
	}
	return -1;
}

uint64_t na_identity_number(const char *name)
{
	const char *text = variable(name);
	unsigned long long v;
	char *end;

	if (!text || *text < '0' || *text > '9')
		return UINT64_MAX;
	errno = 0;
	v = strtoull(text, &end, 10);
	return errno || *end ? UINT64_MAX : v;
}

static void clean(char *name)
{
	for (; *name; name++) {
		int plain = (*name >= '0' && *name <= '9') || (*name >= 'a' && *name <= 'z') ||
			    (*name >= 'A' && *name <= 'Z') || *name == '.' || *name == '-' || *name == '_';

		if (!plain)
			*name = '_';
	}
}

/* Only names of one program's start will do: a batch job may start several. */
int na_identity_launcher(char *job, size_t capacity)
{
	static const char *const names[][2] = {
		{ "PMIX_NAMESPACE", NULL },	     /* any launcher with PMIx */
		{ "OMPI_MCA_ess_base_jobid", NULL }, /* Open MPI 4 */
		{ "SLURM_JOB_ID", "SLURM_STEP_ID" }, /* srun with another PMI */
		{ "FLUX_JOB_ID", NULL },
		{ "PALS_APID", NULL }, /* HPE Cray */
		{ "PMI_JOBID", NULL }, /* some of MPICH's relatives */
	};

	job[0] = '\0';
	/* First, since within a Slurm allocation the proxies, but not that of mpiexec's own node, are tasks of a step, and hand its
	 * variables on. */
	if (variable("PMI_RANK") && (variable("PMI_FD") || variable("PMI_PORT")) && na_hydra_job(job, capacity)) {
		clean(job);
		return 1;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *first = variable(names[i][0]), *second = names[i][1] ? variable(names[i][1]) : "";

		if (!first || !second)
			continue;
		na_format(job, capacity, "%s%s%s", first, *second ? "." : "", second);
		clean(job);
		return 1;
	}
	return 0;
}

static void find_program(char out[NA_RECORD_NAME])
{
	char path[1024];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	const char *slash, *base = program_invocation_short_name;

	if (n > 0) {
		path[n] = '\0';
		slash = strrchr(path, '/');
		base = slash ? slash + 1 : path;
	}
	na_format(out, NA_RECORD_NAME, "%s", base);
}

/* 1 if the variable was well formed. */
static int inherited(int32_t *pid, char *job, size_t capacity)
{
	const char *text = variable(NA_IDENTITY_VARIABLE);
	char *colon;
	long v;

	if (!text)
		return 0;
	errno = 0;
	v = strtol(text, &colon, 10);
	if (errno || *colon != ':' || colon[1] == '\0' || v <= 0 || v > INT32_MAX)
		return 0;
	*pid = (int32_t)v;
	na_format(job, capacity, "%s", colon + 1);
	clean(job);
	return 1;
}

static void make_up(struct na_identity *id, uint64_t start_ms)
{
	char host[24];

	na_format(host, sizeof(host), "%s", id->host); /* cut: the numbers must fit behind it */
	na_format(id->job, sizeof(id->job), "%s.%d.%lu", host, id->pid, (unsigned long)(start_ms / 1000));
}

void na_identity_find(struct na_identity *id, uint64_t start_ms)
{
	/* PMI first: where mpiexec runs within an allocation, Slurm's task is Hydra's proxy. */
	static const char *const ranks[] = {
		"PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID", "FLUX_TASK_RANK", "PALS_RANKID", NULL
	};
	static const char *const sizes[] = { "PMI_SIZE",
					     "OMPI_COMM_WORLD_SIZE",
					     "SLURM_STEP_NUM_TASKS",
					     "SLURM_NTASKS",
					     "FLUX_JOB_SIZE",
					     "PALS_SIZE",
					     NULL };
	static const char *const locals[] = { "MPI_LOCALRANKID", "OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID",
					      "PALS_LOCAL_RANKID", NULL };
	static const char *const here[] = { "MPI_LOCALNRANKS", "OMPI_COMM_WORLD_LOCAL_SIZE", "PALS_LOCAL_SIZE", NULL };
	char job[NA_RECORD_NAME];
	struct utsname u;
	int32_t pid = 0;
	int has;

	memset(id, 0, sizeof(*id));
	id->pid = (int32_t)getpid();
	na_format(id->host, sizeof(id->host), "%s", uname(&u) == 0 ? u.nodename : "unknown");
	clean(id->host);
	find_program(id->program);
	has = inherited(&pid, job, sizeof(job));
	id->launched = na_identity_launcher(id->job, sizeof(id->job));
	if (!id->launched) {
		if (has)
			na_format(id->job, sizeof(id->job), "%s", job);
		else
			make_up(id, start_ms);
	}
	if (has && strcmp(job, id->job) != 0)
		memcpy(id->parent, job, sizeof(id->parent));
	id->root = !has || pid == id->pid || strcmp(job, id->job) != 0;
	id->rank = id->root && id->launched ? number(ranks) : -1;
	id->size = id->launched ? number(sizes) : 1;
	if (id->size < 0)
		id->size = 0;
	id->local_rank = id->launched ? number(locals) : 0;
	id->local_size = id->launched ? number(here) : 1;
}

void na_identity_inherit(const struct na_identity *id, char *out, size_t capacity)
{
	na_format(out, capacity, "%d:%s", id->pid, id->job);
}
