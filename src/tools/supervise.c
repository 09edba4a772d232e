/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/supervise.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/options.h"
#include "report/collect.h"
#include "report/jansson_calls.h"
#include "report/finish.h"
#include "report/identity.h"
#include "report/place.h"

#define CANNOT_RUN 126
#define NOT_FOUND  127

#define LAST_TURNS   40
#define LAST_TURN_US 50000

static int become(char **arguments)
{
	int error;

	execvp(arguments[0], arguments);
	error = errno;
	fprintf(stderr, "numarena-run: %s: %s\n", arguments[0], strerror(error));
	return error == ENOENT ? NOT_FOUND : CANNOT_RUN;
}

/* In the child. The job has its name before the program starts, so that we know where its records are. */
static int start(char **arguments, struct na_identity *id, const sigset_t *mask)
{
	char inherit[NA_RECORD_NAME + 16];
	pid_t parent = id->pid;

	id->pid = (int32_t)getpid();
	na_identity_inherit(id, inherit, sizeof(inherit));
	setenv(NA_IDENTITY_VARIABLE, inherit, 1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) /* it died before that took effect */
		_exit(CANNOT_RUN);
	sigprocmask(SIG_SETMASK, mask, NULL);
	return become(arguments);
}

/* Ours goes on to the child; what a terminal sends reaches the child by itself. */
static void pass_on(const siginfo_t *info, pid_t child)
{
	if (info->si_code <= 0)
		kill(child, info->si_signo);
}

/* The status that the child ended with. */
static int wait_for(pid_t child, const sigset_t *signals)
{
	siginfo_t info;
	int status;

	for (;;) {
		if (sigwaitinfo(signals, &info) < 0)
			continue;
		if (info.si_signo != SIGCHLD) {
			pass_on(&info, child);
			continue;
		}
		while (waitpid(child, &status, WNOHANG | WUNTRACED) == child) {
			if (!WIFSTOPPED(status))
				return status;
			kill(getpid(), SIGSTOP); /* back here when somebody continues us */
			kill(child, SIGCONT);
		}
	}
}

/* As na_collect_after(), but ranks whose launcher is gone are given some time to be gone as well: it does not wait for those that it kills. */
static int collect_launched(const char *job_folder, struct na_collection **c)
{
	int rc = na_collect(job_folder, c);

	for (int turn = 0; rc == 0 && (*c)->alive && turn < LAST_TURNS; turn++) {
		na_collect_free(*c);
		*c = NULL;
		usleep(LAST_TURN_US);
		rc = na_collect(job_folder, c);
	}
	return rc;
}

/* The report of one job, from its records. */
static void report_job(const char *folder, const char *job_folder, bool launched, int32_t exited)
{
	struct na_collection *c = NULL;
	struct na_report r;
	int rc = launched ? collect_launched(job_folder, &c) : na_collect_after(job_folder, exited, &c);

	/* A program that ended well without Jansson has written the text; the records wait for numarena-report. */
	if (rc == 0 && (!c->roots_done || na_jansson_load() == 0)) {
		r = na_collect_report(c);
		r.post_mortem = 1;
		if (na_report_publish(&r, folder, -1, na_options.verbose >= 1) >= 0 && c->alive == 0)
			na_place_discard(job_folder);
	}
	na_collect_free(c);
}

static void report_launched(const char *job_folder, void *folder)
{
	report_job(folder, job_folder, true, 0);
}

/* The report, if the program itself came not to make it. */
static void report(const char *folder, const char *job, int32_t exited)
{
	char job_folder[PATH_MAX];
	int launched = 0;

	if (na_place_job(folder, job, job_folder, sizeof(job_folder)) < 0 || access(job_folder, F_OK) < 0)
		return;
	/* Marked: the job that it launched has reported. One that did not live to, is of more interest than its launcher. */
	if (!na_place_is_marked(job_folder))
		launched = na_place_launches(folder, job_folder, report_launched, (void *)(uintptr_t)folder);
	if (na_place_is_marked(job_folder) || launched)
		na_place_discard(job_folder);
	else
		report_job(folder, job_folder, false, exited);
}

/* Ends as the child did. */
static int end_as(int status)
{
	struct rlimit no_core = { 0, 0 };
	sigset_t one;

	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	setrlimit(RLIMIT_CORE, &no_core); /* the child's is the one of interest */
	signal(WTERMSIG(status), SIG_DFL);
	sigemptyset(&one);
	sigaddset(&one, WTERMSIG(status));
	kill(getpid(), WTERMSIG(status));
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	return 128 + WTERMSIG(status);
}

int na_supervise(char **arguments, const char *folder)
{
	static const int stops[] = { SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT };
	struct na_identity id;
	sigset_t signals, before;
	pid_t child;
	int status;

	na_identity_find(&id, na_clock_ms(CLOCK_REALTIME));
	if (id.launched || !*folder)
		return become(arguments);
	sigfillset(&signals);
	for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++)
		sigdelset(&signals, stops[i]);
	sigprocmask(SIG_BLOCK, &signals, &before);
	fflush(NULL);
	child = fork();
	if (child < 0) {
		fprintf(stderr, "numarena-run: no process for %s: %s\n", arguments[0], strerror(errno));
		return CANNOT_RUN;
	}
	if (child == 0)
		_exit(start(arguments, &id, &before));
	signal(SIGTSTP, SIG_IGN); /* the child's stop is ours; see wait_for() */
	signal(SIGTTIN, SIG_IGN);
	signal(SIGTTOU, SIG_IGN);
	status = wait_for(child, &signals);
	report(folder, id.job, WIFEXITED(status) ? (int32_t)child : 0);
	return end_as(status);
}
