/* SPDX-License-Identifier: BSD-3-Clause */
#include "mpi/names.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mpi/table.h"
#include "report/lower.h"

#define NAME	  64   /* PMI's limit of a key */
#define LEAST_US  2000 /* between look-ups of one word */
#define US_A_RANK 50
#define DOUBT_MS  200 /* without a word: does this launcher know names at all? */

static struct {
	bool open;
	bool known; /* a name of ours was taken: this launcher knows names */
	uint64_t job;
	int rank;
	useconds_t rest_us;
	MPI_Errhandler world, self;
} names;

bool na_names_open(const char *job, int rank, int size)
{
	if (!na_mpi.numbered)
		return false;
	names.job = na_hash_text(NA_HASH_START, job);
	names.rank = rank;
	names.known = false;
	names.rest_us = (useconds_t)(LEAST_US + US_A_RANK * (int64_t)size);
	names.world = names.self = NULL; /* MPI fills the half that it uses */
	if (na_mpi.Comm_get_errhandler(na_mpi.world, &names.world) != MPI_SUCCESS ||
	    na_mpi.Comm_get_errhandler(na_mpi.self, &names.self) != MPI_SUCCESS)
		return false;
	names.open = na_mpi.Comm_set_errhandler(na_mpi.world, na_mpi.errors_return) == MPI_SUCCESS &&
		     na_mpi.Comm_set_errhandler(na_mpi.self, na_mpi.errors_return) == MPI_SUCCESS;
	return names.open;
}

void na_names_close(void)
{
	if (!names.open)
		return;
	names.open = false;
	na_mpi.Comm_set_errhandler(na_mpi.world, names.world);
	na_mpi.Comm_set_errhandler(na_mpi.self, names.self);
}

static void name_of(char out[NAME], int rank, const char *key)
{
	snprintf(out, NAME, "%s.%016" PRIx64 ".%d", key, names.job, rank);
}

/* PMI's lines are cut at spaces. */
static void exchange(char *word, char from, char to)
{
	for (; *word; word++)
		if (*word == from)
			*word = to;
}

int na_names_say(const char *key, const char *word)
{
	char name[NAME], port[MPI_MAX_PORT_NAME];

	if (!names.open)
		return -EIO;
	name_of(name, names.rank, key);
	snprintf(port, 256, "%s", word); /* MPICH takes no longer one */
	exchange(port, ' ', '+');
	if (na_mpi.Publish_name(name, na_mpi.info_null, port) != MPI_SUCCESS) /* or it has been published already */
		return -EIO;
	names.known = true;
	return 0;
}

int na_names_hear(int rank, const char *key, char *word, size_t capacity, uint32_t patience_ms)
{
	uint64_t begin = na_clock_ms(CLOCK_MONOTONIC), end = begin + patience_ms;
	char name[NAME], port[MPI_MAX_PORT_NAME] = "";

	if (!names.open)
		return -EIO;
	name_of(name, rank, key);
	do {
		if (na_mpi.Lookup_name(name, na_mpi.info_null, port) == MPI_SUCCESS) {
			exchange(port, '+', ' ');
			snprintf(word, capacity, "%s", port);
			return 0;
		}
		if (!names.known && na_clock_ms(CLOCK_MONOTONIC) > begin + DOUBT_MS &&
		    na_names_say("numarena.probe", "probe") < 0)
			return -EIO;
		usleep(names.rest_us);
	} while (na_clock_ms(CLOCK_MONOTONIC) < end);
	return -ETIMEDOUT;
}
