/* SPDX-License-Identifier: BSD-3-Clause */
/* The calls of numarena/mpi.h, but coordinate_defragmentation() (defragment.c). */
#include "mpi/calls.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <numarena/mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/message.h"
#include "mpi/reduce.h"
#include "report/finish.h"
#include "report/folder.h"
#include "report/process.h"
#include "mpi/session.h"

/* The table is there if MPI was initialised through our hooks; a program that links this library behind the MPI
 * library has bypassed them. */
memory_error_t na_ready(const char *call)
{
	int initialized = 0;
	const char *what = "";

	if (!na_mpi.Initialized && na_mpi_load(&what) < 0)
		return na_core_error(MEMORY_ERROR_UNSUPPORTED, "%s: the MPI library lacks %s", call, what);
	if (na_session_available())
		return MEMORY_ERROR_NONE;
	na_mpi.Initialized(&initialized);
	return na_core_error(MEMORY_ERROR_INVALID_ARGUMENT, "%s: MPI is not %s", call,
			     initialized ? "available any more after MPI_Finalize" : "initialised");
}

memory_error_t na_common(MPI_Comm comm, memory_error_t mine)
{
	uint64_t own = mine, worst = MEMORY_ERROR_IO;

	if (na_mpi.Allreduce(&own, &worst, 1, na_mpi.u64, na_mpi.max, comm) != MPI_SUCCESS)
		return na_core_error(MEMORY_ERROR_IO, "communication over the communicator failed");
	if (worst != own)
		return na_core_error((memory_error_t)worst, "another rank reports: %s",
				     memory_error_string((memory_error_t)worst));
	return mine;
}

static memory_error_t reduce(MPI_Comm comm, bool breakdown, struct na_reduction *all)
{
	struct na_record record;
	int error, rc;

	na_process_measure(&record);
	/* No report is made, so that nobody has claimed it; of sessions the launcher may have told no rank. */
	if (record.rank < 0)
		na_mpi.Comm_rank(na_session_has_world() ? na_mpi.world : comm, &record.rank);
	rc = na_reduce(comm, na_session_node(), &record, breakdown, all, &error);
	if (rc == -ENOMEM)
		return na_core_error(MEMORY_ERROR_ALLOCATION, "no memory to reduce the ranks' figures");
	if (rc < 0)
		return na_core_error(MEMORY_ERROR_IO, "the ranks' figures cannot be reduced: MPI error %d", error);
	return MEMORY_ERROR_NONE;
}

static size_t figure(uint64_t v)
{
	return v == NA_UNKNOWN ? MEMORY_METRIC_UNAVAILABLE : (size_t)v;
}

static memory_job_metric_t metric(const struct na_job *j, enum na_metric_id id)
{
	const struct na_spread *m = &j->metrics[id];
	memory_job_metric_t out = { .total = figure(na_job_sum(j, id)),
				    .minimum = MEMORY_METRIC_UNAVAILABLE,
				    .maximum = MEMORY_METRIC_UNAVAILABLE,
				    .mean = na_spread_mean(m),
				    .imbalance = na_metric_imbalance(m),
				    .minimum_rank = -1,
				    .maximum_rank = -1 };

	if (m->known == 0)
		return out;
	out.minimum = figure(m->least);
	out.maximum = figure(m->most);
	out.minimum_rank = m->least_at.rank;
	out.maximum_rank = m->most_at.rank;
	memcpy(out.minimum_host, m->least_at.host, sizeof(out.minimum_host));
	memcpy(out.maximum_host, m->most_at.host, sizeof(out.maximum_host));
	return out;
}

static double ratio(uint64_t part, uint64_t whole)
{
	return part == NA_UNKNOWN || whole == NA_UNKNOWN || whole == 0 ? NAN : (double)part / (double)whole;
}

static void fill(memory_job_metrics_t *out, const struct na_job *j, int nodes)
{
	memset(out, 0, sizeof(*out));
	out->ranks = (int)j->processes;
	out->nodes = nodes;
	out->live = metric(j, NA_METRIC_live_bytes);
	out->peak = metric(j, NA_METRIC_peak_bytes);
	out->physical = metric(j, NA_METRIC_physical_bytes);
	out->peak_physical = metric(j, NA_METRIC_peak_physical_bytes);
	out->resident = metric(j, NA_METRIC_resident_bytes);
	out->misplaced = metric(j, NA_METRIC_misplaced_bytes);
	out->allocations = metric(j, NA_METRIC_allocations);
	out->releases = metric(j, NA_METRIC_releases);
	out->peak_of_sums =
		na_process_folder()[0] ? figure(na_series_peak_live(&j->series)) : MEMORY_METRIC_UNAVAILABLE;
	out->cache_hit_rate =
		1 - ratio(na_job_sum(j, NA_METRIC_cache_refills), na_job_sum(j, NA_METRIC_cached_allocations));
	out->large_reuse_rate =
		ratio(na_job_sum(j, NA_METRIC_large_reused), na_job_sum(j, NA_METRIC_large_allocations));
}

memory_error_t aggregate_memory_metrics(MPI_Comm comm, memory_job_metrics_t *metrics)
{
	struct na_reduction all;
	memory_job_metrics_t result;
	memory_error_t error = na_ready("aggregate_memory_metrics");

	if (error)
		return error;
	if (!metrics)
		error = na_core_error(MEMORY_ERROR_INVALID_ARGUMENT, "metrics: is NULL");
	error = na_common(comm, error);
	if (error)
		return error;
	error = reduce(comm, false, &all);
	if (error)
		return error;
	if (all.job)
		fill(&result, all.job, all.nodes);
	na_reduction_free(&all);
	if (na_mpi.Bcast(&result, sizeof(result), na_mpi.byte, 0, comm) != MPI_SUCCESS)
		return na_core_error(MEMORY_ERROR_IO, "communication over the communicator failed");
	*metrics = result;
	return MEMORY_ERROR_NONE;
}

/* 0, or the error of a name that stands for none. */
static memory_error_t find_folder(const memory_report_config_t *config, char folder[PATH_MAX])
{
	const char *named = config ? config->folder : NULL;
	char complaint[PATH_MAX + 128];

	if (!named && na_process_folder()[0]) { /* found already */
		snprintf(folder, PATH_MAX, "%s", na_process_folder());
		return MEMORY_ERROR_NONE;
	}
	if (na_folder_find(named, folder, PATH_MAX, complaint, sizeof(complaint)) < 0)
		return na_core_error(MEMORY_ERROR_INVALID_ARGUMENT, "folder: %s", complaint);
	return MEMORY_ERROR_NONE;
}

/* On rank 0. */
static memory_error_t write_report(const struct na_reduction *all, const char *folder, bool print)
{
	struct na_report report = na_reduction_report(all);
	int rc;

	rc = na_report_publish(&report, folder, -1, print);
	if (rc == 0)
		return MEMORY_ERROR_NONE;
	return na_core_error(MEMORY_ERROR_IO, "folder: %s cannot be written; the report is %s", folder,
			     rc > 0 ? "beside it, see standard error" : "on standard error");
}

memory_error_t write_job_memory_report(MPI_Comm comm, const memory_report_config_t *config)
{
	char folder[PATH_MAX] = "";
	struct na_reduction all;
	memory_error_t error = na_ready("write_job_memory_report");

	if (error)
		return error;
	if (config && config->folder && !*config->folder)
		error = na_core_error(MEMORY_ERROR_INVALID_ARGUMENT, "folder: is empty");
	else
		error = find_folder(config, folder);
	error = na_common(comm, error);
	if (error)
		return error;
	error = reduce(comm, true, &all);
	if (error)
		return error;
	if (all.job)
		error = write_report(&all, folder, config ? config->print : na_message_wanted());
	na_reduction_free(&all);
	return na_common(comm, error);
}
