/* SPDX-License-Identifier: BSD-3-Clause */
#include "mpi/session.h"

#include "config.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mpi/agree.h"
#include "mpi/coordinate.h"
#include "mpi/launcher.h"
#include "mpi/message.h"
#include "mpi/reduce.h"
#include "mpi/trace.h"
#include "report/finish.h"
#include "report/lower.h"
#include "report/process.h"
#include "report/window.h"

static struct {
	MPI_Comm comm;		  /* ours; valid if `on` */
	bool on;		  /* all ranks take part */
	bool report;		  /* is wanted */
	bool coordinated, traced; /* as settings of all ranks */
	bool claimed;
	bool spawned; /* by MPI_Comm_spawn: another job than its parent's, and another report */
	int rank, size;
	struct na_launcher launcher;
	char name[160]; /* of MPI library and launcher, for the report */
} session = { .launcher = { .node = -1, .local_rank = -1, .local_size = -1 } };

int64_t na_session_node(void)
{
	return session.launcher.node;
}

/* Differences shall show, nothing more. */
static uint64_t configuration(void)
{
	uint64_t versions = NA_HASH_START ^ NA_RECORD_VERSION ^ ((uint64_t)NA_JOB_VERSION << 32) ^
			    ((uint64_t)NA_JOB_BREAKDOWN_VERSION << 48);

	return na_hash_text(na_hash_text(versions, PACKAGE_VERSION), na_process_folder());
}

/* A program that links this library wants the report, whether or not a folder was named. */
static bool wants_report(void)
{
	char complaint[512];

	if (na_process_folder()[0])
		return true;
	if (getenv("NUMARENA_REPORT"))
		return false;
	if (na_process_start(NULL, NULL, complaint, sizeof(complaint)) < 0)
		na_message("%s; ranks that are killed will not be in the report", complaint);
	return true;
}

/* "Open MPI v4.1.4, package: ..." and "MPICH Version:\t4.0.2\nMPICH Release date:..." to their beginnings. */
static void name_library(void)
{
	char version[MPI_MAX_LIBRARY_VERSION_STRING] = "", *tab;
	int length = 0;

	if (na_mpi.Get_library_version(version, &length) != MPI_SUCCESS)
		return;
	version[strcspn(version, ",\n")] = '\0';
	while ((tab = strstr(version, " Version:")) != NULL)
		memmove(tab, tab + 9, strlen(tab + 9) + 1);
	while ((tab = strchr(version, '\t')) != NULL)
		*tab = ' ';
	snprintf(session.name, sizeof(session.name), "%.100s%s", version,
		 getenv("OMPI_COMM_WORLD_RANK")		       ? " under mpirun"
		 : strncmp(na_process_job(), "hydra.", 6) == 0 ? " under mpiexec"
		 : getenv("SLURM_STEP_ID")		       ? " under srun"
		 : getenv("PMIX_RANK") || getenv("PMI_RANK")   ? " under a PMI launcher"
							       : ", started alone");
}

/* The one reduction that tells, where the ranks could not be asked; see agree.h. */
static bool compare_configurations(char *why, size_t capacity)
{
	struct na_window_settings s;
	uint64_t mine[5] = { configuration(), ~configuration() }, all[5];

	na_window_settings(&s);
	mine[2] = s.on;
	mine[3] = !s.on;
	mine[4] = !s.trace;
	if (na_mpi.Allreduce(mine, all, 5, na_mpi.u64, na_mpi.max, session.comm) != MPI_SUCCESS || all[0] != ~all[1]) {
		snprintf(why, capacity, "ranks have different versions or report folders");
		return false;
	}
	session.coordinated = all[2] && !all[3];
	session.traced = !all[4];
	if (all[2] && all[3] && session.rank == 0)
		na_message("NUMARENA_COORDINATION is on for some ranks and off for others: no coordinated "
			   "defragmentation");
	return true;
}

static bool open_communicator(char *why, size_t capacity)
{
	if (na_mpi.Comm_dup(na_mpi.world, &session.comm) != MPI_SUCCESS ||
	    na_mpi.Comm_set_errhandler(session.comm, na_mpi.errors_return) != MPI_SUCCESS) {
		snprintf(why, capacity, "the world communicator cannot be duplicated");
		return false;
	}
	return true;
}

/* All take rank 0's name for the job: without a launcher's each would make up its own. */
static void claim(bool together)
{
	char job[NA_RECORD_NAME] = "", below[NA_RECORD_NAME + 16];
	struct na_claim c = { .rank = session.rank,
			      .size = session.size,
			      .local_rank = (int32_t)session.launcher.local_rank,
			      .local_size = (int32_t)session.launcher.local_size };

	if (together) {
		snprintf(job, sizeof(job), "%s", na_process_job());
		if (na_mpi.Bcast(job, sizeof(job), na_mpi.byte, 0, session.comm) == MPI_SUCCESS && job[0])
			c.job = job;
	}
	if (session.spawned) {
		snprintf(below, sizeof(below), "spawned-%s", c.job ? c.job : na_process_job());
		c.below = below;
	}
	na_process_claim(&c);
	session.claimed = true;
}

/* A program that links this library alone keeps the C library's malloc, and reads of few blocks. */
static bool malloc_is_ours(void)
{
	void *address = dlsym(RTLD_DEFAULT, "malloc");
	Dl_info info;

	return address && dladdr(address, &info) && info.dli_fname && strstr(info.dli_fname, "libnumarena-malloc");
}

static void publish(struct na_reduction *all, uint64_t begin)
{
	struct na_report report = na_reduction_report(all);
	const char *notes[2];

	report.launcher = session.name[0] ? session.name : NULL;
	report.reduce_ns = na_clock_ns(CLOCK_MONOTONIC) - begin;
	report.notes = notes;
	if (session.spawned)
		notes[report.note_count++] = "started by MPI_Comm_spawn: the report of who did is in the folder above";
	if (!malloc_is_ours())
		notes[report.note_count++] =
			"malloc was not numarena's: blocks are those of its own calls (numarena-run has both)";
	if (na_report_publish(&report, na_process_folder(), -1, na_message_wanted()) >= 0)
		na_process_discard();
}

static void report_at_end(void)
{
	struct na_record record;
	struct na_reduction all;
	uint64_t begin;
	int error, rc;

	na_process_final(&record);
	record.state = NA_RECORD_COMPLETE; /* as it will be once the report is there */
	if (session.traced)
		na_trace_write(session.comm, session.rank, record.start_ms * 1000000);
	begin = na_clock_ns(CLOCK_MONOTONIC);
	rc = na_reduce(session.comm, session.launcher.node, &record, true, &all, &error);
	if (rc == 0 && session.rank == 0)
		publish(&all, begin);
	else if (rc < 0 && session.rank == 0)
		na_message(
			"the ranks' figures cannot be reduced (%s, MPI error %d): numarena-report %s makes the report",
			strerror(-rc), error, na_process_folder());
	if (rc == 0) {
		na_process_state(NA_RECORD_COMPLETE);
		na_reduction_free(&all);
	}
}

/* At the start of MPI_Finalize. */
static int at_finalize(MPI_Comm comm, int key, void *value, void *extra)
{
	(void)comm;
	(void)key;
	(void)value;
	(void)extra;
	na_process_on_abort(NULL);
	if (!session.on)
		return MPI_SUCCESS;
	session.on = false;
	na_coordination_stop(session.comm);
	if (session.report)
		report_at_end();
	na_mpi.Comm_free(&session.comm);
	na_process_unshare_topology();
	return MPI_SUCCESS;
}

static bool hook_finalize(void)
{
	int key;

	return na_mpi.Comm_create_keyval(na_mpi_no_copy, at_finalize, &key, NULL) == MPI_SUCCESS &&
	       na_mpi.Comm_set_attr(na_mpi.self, key, &session) == MPI_SUCCESS;
}

static bool join(bool want, char *why, size_t capacity)
{
	bool together = true;

	if (session.size > 1 && !session.launcher.words && na_mpi.numbered) {
		snprintf(why, capacity, "this launcher gives no means to ask which ranks run with libnumarena-mpi");
		return false;
	}
	if (session.size > 1 && session.launcher.words)
		together = na_agree(session.rank, session.size, want, configuration(), why, capacity);
	if (!want || !together)
		return false;
	return open_communicator(why, capacity) && compare_configurations(why, capacity) && hook_finalize();
}

/* For abort_operation(): what a rank's MPI_Abort does, with the status of abort(). It comes back where MPI is finalized already. */
static void abort_job(void)
{
	int finalized = 1;

	if (na_mpi.Finalized(&finalized) != MPI_SUCCESS || finalized)
		return;
	na_session_abort();
	na_mpi.Abort(na_mpi.world, 134);
}

static bool was_spawned(void)
{
	MPI_Comm parent = NULL; /* MPI fills the half that it uses */

	return na_mpi.Comm_get_parent(&parent) == MPI_SUCCESS && parent != na_mpi.comm_null;
}

static void coordinate(const struct na_window_settings *s)
{
	const struct na_schedule_rules rules = {
		.share = s->share, .window_ns = s->window_ns, .tokens = s->tokens, .usual = s->usual_tokens
	};

	if (session.on && session.coordinated)
		na_coordination_start(session.comm, session.launcher.node, &rules);
}

void na_session_start(void)
{
	struct na_window_settings settings;
	char why[256] = "";
	bool want;

	if (na_mpi.Comm_rank(na_mpi.world, &session.rank) != MPI_SUCCESS ||
	    na_mpi.Comm_size(na_mpi.world, &session.size) != MPI_SUCCESS)
		return;
	na_process_on_abort(abort_job);
	session.spawned = was_spawned();
	na_launcher_open(&session.launcher, session.rank, session.size, session.spawned);
	na_window_settings(&settings);
	session.report = wants_report();
	want = session.report || settings.on;
	session.on = join(want, why, sizeof(why));
	na_launcher_close();
	if (!want)
		return;
	if (session.report) {
		name_library();
		claim(session.on);
	}
	if (!session.on && why[0] && !session.report)
		na_message("no coordinated defragmentation: %s", why);
	else if (!session.on && why[0])
		na_message(
			"no report at the end: %s. Afterwards numarena-report %s makes one of the ranks that take part",
			why, na_process_folder());
	if (session.launcher.local_size > 1 && session.launcher.local_rank >= 0)
		na_process_share_topology((int)session.launcher.local_rank, (int)session.launcher.local_size);
	coordinate(&settings);
}

static _Atomic int open_sessions; /* relaxed: a count that each reader has brought about itself */

void na_session_opened(void)
{
	if (atomic_fetch_add_explicit(&open_sessions, 1, memory_order_relaxed) == 0 && !session.claimed &&
	    wants_report())
		na_process_session(1);
}

void na_session_closed(void)
{
	if (atomic_fetch_sub_explicit(&open_sessions, 1, memory_order_relaxed) == 1)
		na_process_session(0);
}

bool na_session_has_world(void)
{
	int initialized = 0, finalized = 0;

	return na_mpi.Initialized(&initialized) == MPI_SUCCESS && initialized &&
	       na_mpi.Finalized(&finalized) == MPI_SUCCESS && !finalized;
}

bool na_session_available(void)
{
	return na_session_has_world() || atomic_load_explicit(&open_sessions, memory_order_relaxed) > 0;
}

void na_session_abort(void)
{
	struct na_record record;

	if (!session.claimed)
		return;
	na_process_final(&record);
	na_process_state(NA_RECORD_ABORTED);
	na_message("rank %d called MPI_Abort: numarena-report %s makes the report of what is known", session.rank,
		   na_process_folder());
}
