/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/finish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/options.h"
#include "report/collect.h"
#include "report/place.h"

int na_report_publish(const struct na_report *of, const char *folder, int stream, int print)
{
	struct na_report with = *of, *report = &with;
	struct na_report_paths paths;
	struct na_oom_files oom;
	int fd = stream >= 0 ? stream : STDERR_FILENO, rc;
	char line[PATH_MAX + 64], *text;

	na_oom_files_find(folder, report->job->start_ms, &oom);
	report->oom = &oom;
	if (print) {
		text = na_report_text(report);
		if (text)
			na_file_write(fd, text, strlen(text));
		free(text);
	}
	rc = na_report_write(report, folder, &paths);
	if (print && paths.text[0]) {
		na_format(line, sizeof(line), "numarena: report: %s\n", paths.json[0] ? paths.json : paths.text);
		na_file_write(fd, line, strlen(line));
	}
	return rc;
}

/* Roots of one job (a launcher without MPI) take turns, so that exactly the last finds all others complete. */
static int take_turn(const char *job_folder)
{
	char path[PATH_MAX];
	int fd;

	if (na_format(path, sizeof(path), "%s/lock", job_folder) + 1 >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR)
			break; /* a file system without locks: at worst two roots write the same report */
	return fd;
}

/* Restores descriptor 2 for messages of na_report_write(), if the program has closed it. */
static void mend_standard_error(int stream)
{
	if (stream >= 0 && fcntl(STDERR_FILENO, F_GETFD) < 0 && errno == EBADF)
		dup2(stream, STDERR_FILENO);
}

void na_finish_tree(const char *folder, const char *job_folder, const struct na_identity *id, int stream)
{
	struct na_collection *c = NULL;
	struct na_report report;
	int turn;

	if (na_place_count_ranks(job_folder) != 0) /* the MPI layer's, or post-mortem's, or gone */
		return;
	if (na_place_is_marked(job_folder)) { /* the job that it launched has reported */
		na_place_discard(job_folder);
		return;
	}
	/* Of a job that it launched and that could not report, the records are of more interest: numarena-run reports them, or numarena-report. */
	if (na_place_launches(folder, job_folder, NULL, NULL) > 0)
		return;
	mend_standard_error(stream);
	turn = take_turn(job_folder);
	if (na_collect(job_folder, &c) < 0)
		goto out;
	if (c->mpi || (id->size > 1 && c->roots_done < (size_t)id->size))
		goto out;
	report = na_collect_report(c);
	if (na_report_publish(&report, folder, stream, na_options.verbose >= 1) == 0)
		na_place_discard(job_folder);
out:
	if (turn >= 0)
		close(turn);
	na_collect_free(c);
}

/* Whether all ranks are at their end, by a cheap look that ends at the first that is not: most ranks that end find one soon. */
static bool all_complete(const char *job_folder, int32_t rank, int32_t size)
{
	int folder = open(job_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool all = folder >= 0;
	char name[32];

	for (int64_t i = 1; all && i < size; i++) {
		na_format(name, sizeof(name), "rank-%d%s", (int)((rank + i) % size), NA_RECORD_SUFFIX);
		all = na_record_has_state(folder, name, NA_RECORD_COMPLETE);
	}
	if (folder >= 0)
		close(folder);
	return all;
}

bool na_finish_sessions(const char *folder, const char *job_folder, int32_t rank, int32_t size, int stream)
{
	struct na_collection *c = NULL;
	struct na_report report;
	bool done = false;
	int turn;

	if (!all_complete(job_folder, rank, size))
		return false;
	mend_standard_error(stream);
	turn = take_turn(job_folder);
	if (na_collect(job_folder, &c) == 0 && c->mpi && c->missing_count == 0 && c->job.processes == (uint64_t)size &&
	    c->job.complete == c->job.processes) {
		na_collect_note(c, "MPI sessions: put together from the ranks' records, by the last one to end");
		report = na_collect_report(c);
		done = na_report_publish(&report, folder, stream, na_options.verbose >= 1) == 0;
		if (done) /* before another has its turn */
			na_place_discard(job_folder);
	}
	if (turn >= 0)
		close(turn);
	na_collect_free(c);
	return done;
}
