/* SPDX-License-Identifier: BSD-3-Clause */
#include "mpi/launcher.h"

#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mpi/names.h"
#include "report/identity.h"
#include "report/lower.h"

/* Without PMIx. */
static int64_t variable(const char *const *names)
{
	for (; *names; names++) {
		const char *text = getenv(*names);
		char *end;
		long v = text ? strtol(text, &end, 10) : -1;

		if (text && *text && *end == '\0' && v >= 0)
			return v;
	}
	return -1;
}

static void open_without_pmix(struct na_launcher *out, int rank, int size, bool spawned)
{
	static const char *const ranks[] = { "MPI_LOCALRANKID", "MV2_COMM_WORLD_LOCAL_RANK",
					     "OMPI_COMM_WORLD_LOCAL_RANK", "PALS_LOCAL_RANKID", NULL };
	static const char *const sizes[] = { "MPI_LOCALNRANKS", "MV2_COMM_WORLD_LOCAL_SIZE",
					     "OMPI_COMM_WORLD_LOCAL_SIZE", "PALS_LOCAL_SIZE", NULL };
	char job[NA_RECORD_NAME];

	out->local_rank = variable(ranks);
	out->local_size = variable(sizes);
	/* Spawned ones need a name that their parents do not have. */
	if (size > 1 && (na_identity_launcher(job, sizeof(job)) || !spawned))
		out->words = na_names_open(job, rank, size);
}

#if NA_HAVE_PMIX
#include <pmix.h>

#define AGAIN_US 2000  /* between looks for a word that is not there yet */
#define MOST_MS	 60000 /* that one get may take */

static struct {
	bool open;
	pmix_proc_t me;
	__typeof__(&PMIx_Init) init;
	__typeof__(&PMIx_Finalize) finalize;
	__typeof__(&PMIx_Get) get;
	__typeof__(&PMIx_Put) put;
	__typeof__(&PMIx_Commit) commit;
} pmix;

static bool load(void)
{
	void *library = dlopen("libpmix.so.2", RTLD_LAZY | RTLD_NOLOAD);

	if (!library)
		return false;
	*(void **)&pmix.init = dlsym(library, "PMIx_Init");
	*(void **)&pmix.finalize = dlsym(library, "PMIx_Finalize");
	*(void **)&pmix.get = dlsym(library, "PMIx_Get");
	*(void **)&pmix.put = dlsym(library, "PMIx_Put");
	*(void **)&pmix.commit = dlsym(library, "PMIx_Commit");
	return pmix.init && pmix.finalize && pmix.get && pmix.put && pmix.commit;
}

/* Values come from the library's malloc, which is this process's. */
static void release(pmix_value_t *value)
{
	if (value->type == PMIX_STRING)
		free(value->data.string);
	free(value);
}

static int64_t whole(const pmix_value_t *v)
{
	switch (v->type) {
	case PMIX_UINT16:
		return v->data.uint16;
	case PMIX_UINT32:
		return v->data.uint32;
	case PMIX_UINT64:
		return v->data.uint64 <= INT64_MAX ? (int64_t)v->data.uint64 : -1;
	case PMIX_INT:
		return v->data.integer;
	case PMIX_INT32:
		return v->data.int32;
	case PMIX_INT64:
		return v->data.int64;
	case PMIX_PROC_RANK:
		return v->data.rank;
	default:
		return -1;
	}
}

/* A fact the launcher gave at the start; rank PMIX_RANK_WILDCARD: of the job. */
static int fact(pmix_rank_t rank, const char *key, int64_t *number, char *text, size_t capacity)
{
	bool here = true;
	pmix_value_t *value = NULL;
	pmix_proc_t who = pmix.me;
	pmix_info_t optional;
	int rc = -ENOENT;

	memset(&optional, 0, sizeof(optional));
	snprintf(optional.key, sizeof(optional.key), "%s", PMIX_OPTIONAL);
	optional.value.type = PMIX_BOOL;
	optional.value.data.flag = here;
	who.rank = rank;
	if (pmix.get(&who, key, &optional, 1, &value) != PMIX_SUCCESS || !value)
		return -ENOENT;
	if (text && value->type == PMIX_STRING && value->data.string) {
		snprintf(text, capacity, "%s", value->data.string);
		rc = 0;
	} else if (number && whole(value) >= 0) {
		*number = whole(value);
		rc = 0;
	}
	release(value);
	return rc;
}

void na_launcher_open(struct na_launcher *out, int rank, int size, bool spawned)
{
	memset(out, 0, sizeof(*out));
	out->node = out->local_rank = out->local_size = -1;
	if (!load() || pmix.init(&pmix.me, NULL, 0) != PMIX_SUCCESS) {
		open_without_pmix(out, rank, size, spawned);
		return;
	}
	pmix.open = true;
	out->words = true;
	snprintf(out->job, sizeof(out->job), "%.63s", pmix.me.nspace);
	fact(pmix.me.rank, PMIX_NODEID, &out->node, NULL, 0);
	fact(pmix.me.rank, PMIX_LOCAL_RANK, &out->local_rank, NULL, 0);
	fact(PMIX_RANK_WILDCARD, PMIX_LOCAL_SIZE, &out->local_size, NULL, 0);
	fact(pmix.me.rank, PMIX_LOCALITY_STRING, NULL, out->locality, sizeof(out->locality));
}

void na_launcher_close(void)
{
	if (pmix.open)
		pmix.finalize(NULL, 0);
	pmix.open = false;
	na_names_close();
}

int na_launcher_say(const char *key, const char *word)
{
	pmix_value_t value;
	char copy[256];

	if (!pmix.open)
		return na_names_say(key, word);
	snprintf(copy, sizeof(copy), "%s", word);
	memset(&value, 0, sizeof(value));
	value.type = PMIX_STRING;
	value.data.string = copy;
	if (pmix.put(PMIX_GLOBAL, key, &value) != PMIX_SUCCESS || pmix.commit() != PMIX_SUCCESS)
		return -EIO;
	return 0;
}

/* A get that comes before the word either waits at the server, up to the time given, or says at once
 * that nothing is there (depending on what the server has heard of the other): so it is asked again. */
int na_launcher_hear(int rank, const char *key, char *word, size_t capacity, uint32_t patience_ms)
{
	uint64_t end = na_clock_ms(CLOCK_MONOTONIC) + patience_ms, now;
	pmix_proc_t who = pmix.me;

	if (!pmix.open)
		return na_names_hear(rank, key, word, capacity, patience_ms);
	who.rank = (pmix_rank_t)rank;
	while ((now = na_clock_ms(CLOCK_MONOTONIC)) < end) {
		pmix_value_t *value = NULL;
		pmix_info_t limit;
		int found;

		memset(&limit, 0, sizeof(limit));
		snprintf(limit.key, sizeof(limit.key), "%s", PMIX_TIMEOUT);
		limit.value.type = PMIX_INT;
		limit.value.data.integer = (int)((end - now < MOST_MS ? end - now + 999 : MOST_MS) / 1000);
		found = pmix.get(&who, key, &limit, 1, &value) == PMIX_SUCCESS && value;
		if (found && value->type == PMIX_STRING && value->data.string) {
			snprintf(word, capacity, "%s", value->data.string);
			release(value);
			return 0;
		}
		if (found)
			release(value);
		usleep(AGAIN_US);
	}
	return -ETIMEDOUT;
}

#else /* !NA_HAVE_PMIX */

void na_launcher_open(struct na_launcher *out, int rank, int size, bool spawned)
{
	memset(out, 0, sizeof(*out));
	out->node = -1;
	open_without_pmix(out, rank, size, spawned);
}

void na_launcher_close(void)
{
	na_names_close();
}

int na_launcher_say(const char *key, const char *word)
{
	return na_names_say(key, word);
}

int na_launcher_hear(int rank, const char *key, char *word, size_t capacity, uint32_t patience_ms)
{
	return na_names_hear(rank, key, word, capacity, patience_ms);
}
#endif
