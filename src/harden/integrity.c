/* SPDX-License-Identifier: BSD-3-Clause */
#include "harden/integrity.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "cold/cold.h"
#include "harden/survey.h"
#include "movable/movable.h"

#define LOOKS  5 /* a fault is what every one of these sees; what a thread had in hand is gone by the next */
#define ROUNDS 6 /* of a repair: what one round mends may uncover more */
#define SCALES 3 /* how often scratch memory is doubled */

static struct na_lock lock;
static struct na_integrity last; /* under the lock */
static struct na_survey survey;	 /* under the lock */

static int open_survey(void)
{
	int rc;

	na_cache_settle_lost();
	rc = na_survey_open(&survey, 1);

	for (uint32_t scale = 2; rc == 0 && scale <= 1u << SCALES; scale *= 2) {
		na_survey_run(&survey, false);
		if (!survey.cramped)
			return 0;
		na_survey_close(&survey);
		rc = na_survey_open(&survey, scale);
	}
	return rc;
}

/* The least number of faults that any look saw; the survey has the sentences of the last. */
static size_t look(void)
{
	const struct timespec pause = { .tv_nsec = 3000000 };
	size_t least = SIZE_MAX;

	for (int i = 0; i < LOOKS && least; i++) {
		if (i)
			nanosleep(&pause, NULL);
		na_survey_run(&survey, false);
		if (survey.faults < least)
			least = survey.faults;
	}
	return least;
}

static void tell(size_t faults)
{
	for (size_t i = 0; i < faults && i < NA_SURVEY_TEXTS; i++)
		na_log(NA_LOG_ERROR, "heap: %s", survey.text[i]);
	if (faults > NA_SURVEY_TEXTS)
		na_log(NA_LOG_ERROR, "heap: and %zu faults more", faults - NA_SURVEY_TEXTS);
}

struct telling {
	size_t told;
	char first[160];
};

static void tell_movable(const char *text, void *closure)
{
	struct telling *t = closure;

	if (t->told == 0)
		na_format(t->first, sizeof(t->first), "%s", text);
	if (t->told++ < NA_SURVEY_TEXTS)
		na_log(NA_LOG_ERROR, "heap: %s", text);
}

/* Movable blocks and images have checks of their own, which take locks that come before the survey's. */
static size_t check_movable(size_t before, char first[160])
{
	struct telling t = { 0 };
	size_t faults = na_movable_check(tell_movable, &t) + na_cold_check(tell_movable, &t);

	if (faults && !before)
		memcpy(first, t.first, sizeof(t.first));
	return faults;
}

int na_integrity_validate(size_t *found, char first[160])
{
	int saved = errno, rc;

	na_pools_boot();
	na_lock(&lock);
	rc = open_survey();
	if (rc == 0) {
		*found = look();
		tell(*found);
		first[0] = '\0';
		if (*found)
			memcpy(first, survey.text[0], 160);
		na_survey_close(&survey);
		*found += check_movable(*found, first);
	}
	na_unlock(&lock);
	errno = saved;
	return rc;
}

static void mend(void)
{
	for (int i = 0; i < ROUNDS && last.left; i++) {
		na_survey_run(&survey, true);
		last.rebuilt += survey.rebuilt;
		last.barred += survey.barred;
		last.barred_bytes += survey.barred_bytes;
		last.lost += survey.lost;
		last.lost_bytes += survey.lost_bytes;
		last.left = look();
	}
}

int na_integrity_repair(struct na_integrity *out)
{
	int saved = errno, rc;
	size_t movable;

	na_pools_boot();
	na_lock(&lock);
	rc = open_survey();
	if (rc == 0) {
		memset(&last, 0, sizeof(last));
		last.found = last.left = look();
		if (last.found) {
			memcpy(last.first, survey.text[0], sizeof(last.first));
			tell(last.found);
			mend();
			na_log(last.left ? NA_LOG_ERROR : NA_LOG_WARNING,
			       "heap: %zu faults, %zu pieces of metadata rebuilt, %zu blocks (%zu bytes) withdrawn "
			       "from use, %zu faults left",
			       last.found, last.rebuilt, last.barred, last.barred_bytes, last.left);
		}
		na_survey_close(&survey);
		/* Of movable blocks and images nothing is mended: what disagrees is told, and left. */
		movable = check_movable(last.found, last.first);
		last.found += movable;
		last.left += movable;
		*out = last;
	}
	na_unlock(&lock);
	errno = saved;
	return rc;
}

void na_integrity_last(struct na_integrity *out)
{
	na_lock(&lock);
	*out = last;
	na_unlock(&lock);
}

void na_integrity_before_fork(void)
{
	na_lock(&lock);
}

void na_integrity_after_fork(bool child)
{
	if (child)
		na_lock_reset(&lock);
	else
		na_unlock(&lock);
}
