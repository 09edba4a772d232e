/* SPDX-License-Identifier: BSD-3-Clause */
#include "mpi/agree.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mpi/launcher.h"

#define FAN_OUT	    64
#define PATIENCE_MS 10000
#define FOREVER_MS  UINT32_MAX
#define WORD	    200

#define HELLO	"numarena.hello"
#define READY	"numarena.ready"
#define VERDICT "numarena.verdict"

/* Levels of the tree below a rank. */
static uint32_t height(int rank, int size)
{
	uint32_t levels = 0;

	for (int64_t child = rank; (child = child * FAN_OUT + 1) < size;)
		levels++;
	return levels;
}

static void refuse(char *word, const char *why)
{
	snprintf(word, WORD, "no %s", why);
}

/* What this rank says of itself and everything below it. */
static void judge(char *word, int rank, int size, bool want, uint64_t hash)
{
	uint32_t patience = PATIENCE_MS * height(rank, size); /* a child may be waiting for its own */
	char why[WORD / 2], heard[WORD], mine[WORD];

	snprintf(mine, sizeof(mine), "yes %016" PRIx64, hash);
	snprintf(word, WORD, "%s", mine);
	if (!want) {
		snprintf(why, sizeof(why), "rank %d was told to make none", rank);
		refuse(word, why);
		return;
	}
	for (int64_t child = (int64_t)rank * FAN_OUT + 1; child <= (int64_t)rank * FAN_OUT + FAN_OUT && child < size;
	     child++) {
		if (na_launcher_hear((int)child, READY, heard, sizeof(heard), patience) < 0) {
			snprintf(why, sizeof(why), "rank %d runs without libnumarena-mpi", (int)child);
			refuse(word, why);
			return;
		}
		if (strcmp(heard, mine) == 0)
			continue;
		if (strncmp(heard, "no ", 3) == 0) {
			snprintf(word, WORD, "%s", heard);
		} else {
			snprintf(why, sizeof(why), "rank %d has another version or report folder", (int)child);
			refuse(word, why);
		}
		return;
	}
}

bool na_agree(int rank, int size, bool want, uint64_t hash, char *why, unsigned long capacity)
{
	char word[WORD], verdict[WORD];
	int rc;

	if (rank == 0 && na_launcher_say(HELLO, "hello") < 0) {
		snprintf(why, capacity, "the launcher takes no words");
		return false;
	}
	rc = rank == 0 ? 0 : na_launcher_hear(0, HELLO, word, sizeof(word), PATIENCE_MS);
	if (rc < 0) {
		snprintf(why, capacity,
			 rc == -EIO ? "the launcher takes no words" : "rank 0 runs without libnumarena-mpi");
		return false;
	}
	judge(word, rank, size, want, hash);
	if (na_launcher_say(rank == 0 ? VERDICT : READY, word) < 0) {
		snprintf(why, capacity, "the launcher takes no words");
		return false;
	}
	if (rank == 0)
		memcpy(verdict, word, sizeof(verdict));
	else
		while (na_launcher_hear(0, VERDICT, verdict, sizeof(verdict), FOREVER_MS) < 0)
			;
	if (strncmp(verdict, "no ", 3) != 0)
		return true;
	snprintf(why, capacity, "%s", verdict + 3);
	return false;
}
