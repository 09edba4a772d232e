/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The calls of numarena/mpi.h, on as many ranks as there are: figures are right, the same everywhere, and so are
 * errors. First argument: a folder for reports; second: a file in whose place no folder can be.
 */
#include <math.h>
#include <numarena/mpi.h>
#include <numarena/numarena.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static int rank, size;

static void same_everywhere(const memory_job_metrics_t *m)
{
	memory_job_metrics_t first = *m;

	MPI_Bcast(&first, sizeof(first), MPI_BYTE, 0, MPI_COMM_WORLD);
	CHECK(memcmp(&first, m, sizeof(first)) == 0);
}

static void figures(void)
{
	size_t mine = (size_t)(rank + 1) << 20, all = (size_t)size * ((size_t)size + 1) / 2 << 20;
	memory_job_metrics_t before, with, after;
	size_t rest;
	char *block;

	CHECK(aggregate_memory_metrics(MPI_COMM_WORLD, &before) == MEMORY_ERROR_NONE); /* MPI takes its buffers */
	CHECK(aggregate_memory_metrics(MPI_COMM_WORLD, &before) == MEMORY_ERROR_NONE);
	same_everywhere(&before);
	CHECK(before.ranks == size && before.nodes == 1);
	block = allocate_from_pool(mine);
	CHECK(block);
	memset(block, 1, mine);
	CHECK(aggregate_memory_metrics(MPI_COMM_WORLD, &with) == MEMORY_ERROR_NONE);
	same_everywhere(&with);
	rest = before.live.maximum - before.live.minimum + 65536; /* MPI's own */
	CHECK(with.live.total >= before.live.total + all && with.live.total <= before.live.total + all + (all / 2));
	CHECK(with.live.maximum_rank == size - 1);
	CHECK(with.live.maximum - with.live.minimum + rest >= (size_t)(size - 1) << 20);
	CHECK(fabs(with.live.mean * size - (double)with.live.total) < 1);
	CHECK(size == 1 || with.live.imbalance > 0);
	CHECK(with.live.maximum_host[0] && with.allocations.total > before.allocations.total);
	CHECK(with.resident.total >= all || with.resident.total == MEMORY_METRIC_UNAVAILABLE);
	CHECK(with.peak.total >= with.live.total);
	CHECK(isnan(with.cache_hit_rate) || (with.cache_hit_rate >= 0 && with.cache_hit_rate <= 1));
	return_to_pool(block);
	CHECK(aggregate_memory_metrics(MPI_COMM_WORLD, &after) == MEMORY_ERROR_NONE);
	CHECK(after.live.total < with.live.total && after.peak.total >= with.peak.total);
}

static void halves(void)
{
	memory_job_metrics_t m;
	MPI_Comm half;
	int ranks;

	MPI_Comm_split(MPI_COMM_WORLD, rank % 2, -rank, &half);
	MPI_Comm_size(half, &ranks);
	CHECK(aggregate_memory_metrics(half, &m) == MEMORY_ERROR_NONE);
	CHECK(m.ranks == ranks && m.live.maximum_rank % 2 == rank % 2);
	MPI_Comm_free(&half);
}

static void misuse(void)
{
	memory_job_metrics_t m;

	/* One rank's mistake is an error on all. */
	CHECK(aggregate_memory_metrics(MPI_COMM_WORLD, rank == size - 1 ? NULL : &m) == MEMORY_ERROR_INVALID_ARGUMENT);
	CHECK(strstr(last_memory_error_message(), rank == size - 1 ? "metrics" : "another rank"));
	CHECK(last_memory_error() == MEMORY_ERROR_INVALID_ARGUMENT);
}

static void reports(const char *folder, const char *file)
{
	memory_report_config_t config = { .folder = folder, .print = false };

	CHECK(write_job_memory_report(MPI_COMM_WORLD, &config) == MEMORY_ERROR_NONE);
	config.folder = "";
	CHECK(write_job_memory_report(MPI_COMM_WORLD, &config) == MEMORY_ERROR_INVALID_ARGUMENT);
	config.folder = file;
	CHECK(write_job_memory_report(MPI_COMM_WORLD, &config) == MEMORY_ERROR_IO);
}

int main(int argc, char **argv)
{
	memory_job_metrics_t m;

	CHECK(argc == 3);
	CHECK(aggregate_memory_metrics(0, &m) == MEMORY_ERROR_INVALID_ARGUMENT); /* before MPI_Init */
	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &size);
	figures();
	halves();
	misuse();
	reports(argv[1], argv[2]);
	MPI_Finalize();
	CHECK(aggregate_memory_metrics(0, &m) == MEMORY_ERROR_INVALID_ARGUMENT);
	if (rank == 0)
		puts("calls: ok");
	return 0;
}
