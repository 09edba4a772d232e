/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/process.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/options.h"
#include "heap/heap.h"
#include "os/hugepages.h"
#include "os/limit.h"
#include "os/lock.h"
#include "os/os.h"
#include "pool/nodes.h"
#include "report/finish.h"
#include "report/folder.h"
#include "report/gather.h"
#include "report/identity.h"
#include "report/live.h"
#include "report/paused.h"
#include "report/place.h"
#include "report/procfs.h"
#include "topology/topology.h"

/* Asking the kernel about every page is rationed: again after 200 times as long as it took, or 50 times if
 * the process has grown by an eighth. So it stays below 2 % of a core however large the process is. */
#define HEAVY_REST	 200
#define HEAVY_REST_GROWN 50
#define STALLS_EVERY	 32 /* updates */

#define ROOM_AT_THE_END ((uint64_t)8 << 20)

/* Everything under `lock` but `folder` and `id.job`, which are constant once na_process_started is set. */
static struct {
	struct na_lock lock;
	bool claimed;
	enum { NO_SESSION, IN_SESSION, AFTER_SESSION } session; /* claimed for it */
	bool measured_last; /* final figures are in: ticks change nothing any more */
	bool forked;	    /* a child that has no record of its own yet */
	struct na_process_source source;
	struct na_identity id;
	char folder[PATH_MAX]; /* that was asked for */
	char below[PATH_MAX];  /* a folder in it; "": none */
	_Atomic(const char *)
		place; /* the one of them that is in use; NULL: the first. Release when `below` is filled, acquire */
	char job_folder[PATH_MAX];
	char path[PATH_MAX];
	struct na_record *slots;
	struct na_record record;
	struct na_snapshot snapshot;
	uint64_t start_ns;
	uint64_t shared_excess; /* Rss - Pss when both were last read */
	uint64_t heavy_again_ns, heavy_grown_ns, heavy_live;
	struct stat error_stat;
	int error_stream;	    /* standard error as it was at the start, plus 1; 0: none */
	int32_t ranks_here;	    /* of the job, as claimed; 0 or less: not known */
	int local_rank, local_size; /* as given to the topology; 0, 0: not yet */
} self;				    /* all zero: 120 KiB that a process without a report never touches */

_Atomic bool na_process_started;

static void keep_fullest(struct na_record *r, uint64_t now_ms)
{
	if (r->peak_nodes_ms && r->heap.live_bytes < r->peak_nodes_live)
		return;
	memcpy(r->peak_nodes, r->heap.nodes, sizeof(r->peak_nodes));
	r->peak_node_count = r->heap.node_count;
	r->peak_nodes_ms = now_ms;
	r->peak_requested = r->requested;
	r->peak_nodes_live = r->heap.live_bytes;
}

/* The nodes' resident bytes stay those of the last time that the kernel was asked. */
static void take_light(struct na_record *r)
{
	self.source.snapshot(&self.snapshot);
	for (uint32_t i = 0; i < self.snapshot.node_count && i < NA_MAX_NODES; i++) {
		bool same = i < r->heap.node_count && r->heap.nodes[i].node == self.snapshot.nodes[i].node;

		if (!same)
			continue;
		self.snapshot.nodes[i].resident_bytes = r->heap.nodes[i].resident_bytes;
		self.snapshot.nodes[i].misplaced_bytes = r->heap.nodes[i].misplaced_bytes;
		self.snapshot.nodes[i].huge_bytes = r->heap.nodes[i].huge_bytes;
	}
	r->heap = self.snapshot;
}

static void take_heavy(struct na_record *r, uint64_t now_ms)
{
	uint64_t begin = na_os_now_ns(), cost;

	self.source.residency(&self.snapshot);
	r->heap = self.snapshot;
	r->residency_ms = now_ms;
	keep_fullest(r, now_ms);
	r->pss = na_procfs_pss();
	self.shared_excess = r->pss != NA_UNKNOWN && r->rss != NA_UNKNOWN && r->rss > r->pss ? r->rss - r->pss : 0;
	if (self.source.sites)
		self.source.sites(&r->breakdown);
	cost = na_os_now_ns() - begin;
	self.heavy_again_ns = begin + HEAVY_REST * cost;
	self.heavy_grown_ns = begin + HEAVY_REST_GROWN * cost;
	self.heavy_live = r->heap.live_bytes;
}

static void take_nodes(struct na_record *r)
{
	for (uint32_t i = 0; i < r->heap.node_count && i < NA_MAX_NODES; i++) {
		if (r->node_memory[i])
			continue;
		r->node_memory[i] = na_os_node_memory(r->heap.nodes[i].node);
		r->node_cpus[i] = na_procfs_node_cpus(r->heap.nodes[i].node, na_pools_cpu);
	}
}

/* What the kernel averages over ten seconds need not be asked ten times a second. */
static void take_stalls(struct na_record *r)
{
	struct na_limits_pressure p;

	na_limits_pressure(&p);
	if (p.some_avg10 != NA_LIMIT_NONE && (r->stalled == NA_UNKNOWN || p.some_avg10 * 100 > r->stalled))
		r->stalled = p.some_avg10 * 100;
}

/* One moment's values for the series. */
static void add_moment(struct na_record *r, uint64_t now_ms)
{
	const uint64_t now[NA_QUANTITIES] = {
		[NA_SERIES_LIVE] = r->heap.live_bytes,		[NA_SERIES_PHYSICAL] = r->physical,
		[NA_SERIES_REQUESTED] = r->requested,		[NA_SERIES_COMPRESSED] = r->compressed,
		[NA_SERIES_MISPLACED] = na_record_misplaced(r),
	};

	na_series_add_all(&r->series, now_ms, now, (unsigned int)r->breakdown.innermost);
}

/* All figures into the record and the record into its file. */
static void measure(bool heavy)
{
	struct na_record *r = &self.record;
	uint64_t begin = na_os_now_ns(), now_ms = na_clock_ms(CLOCK_REALTIME), before_ms = r->update_ms,
		 before_peak = r->heap.peak_bytes;
	struct na_procfs p;

	na_procfs_memory(&p);
	r->rss = p.rss;
	r->peak_rss = p.peak_rss;
	r->swapped = p.swapped;
	take_light(r);
	r->requested = r->compressed = NA_UNKNOWN;
	if (self.source.amounts)
		self.source.amounts(&r->requested, &r->compressed);
	if (heavy || r->updates % STALLS_EVERY == 0)
		take_stalls(r);
	if (heavy || begin >= self.heavy_again_ns ||
	    (begin >= self.heavy_grown_ns && r->heap.live_bytes > self.heavy_live + self.heavy_live / 8))
		take_heavy(r, now_ms);
	take_nodes(r);
	if (self.source.breakdown)
		self.source.breakdown(&r->breakdown, &self.snapshot);
	na_paused_copy(&r->pauses);
	r->physical = r->rss == NA_UNKNOWN ? NA_UNKNOWN : r->rss > self.shared_excess ? r->rss - self.shared_excess : 0;
	if (r->physical != NA_UNKNOWN && (r->peak_physical == NA_UNKNOWN || r->physical > r->peak_physical))
		r->peak_physical = r->physical;
	add_moment(r, now_ms);
	if (r->heap.peak_bytes > before_peak) /* it came at some moment since the last update */
		na_series_raise(&r->series, before_ms ? before_ms : r->start_ms, now_ms, r->heap.peak_bytes);
	r->update_ms = now_ms;
	r->wall_ns = begin - self.start_ns;
	r->updates++;
	r->record_ns += na_os_now_ns() - begin;
	if (self.slots)
		na_record_store(self.slots, r);
}

/* What the batch system was asked for on this host: Slurm says it in MiB. A limit of the cgroup says it where nobody else does. */
static void describe_request(struct na_record *r)
{
	uint64_t node = na_identity_number("SLURM_MEM_PER_NODE"), cpu = na_identity_number("SLURM_MEM_PER_CPU"),
		 cpus = na_identity_number("SLURM_CPUS_ON_NODE");

	if (node != NA_UNKNOWN && node && node < UINT64_MAX >> 20) {
		r->request_bytes = node << 20;
		r->request_source = NA_REQUESTED_BY_SLURM_NODE;
	} else if (cpu != NA_UNKNOWN && cpus != NA_UNKNOWN && cpu < UINT32_MAX && cpus < UINT32_MAX &&
		   cpu * cpus != 0) {
		r->request_bytes = (cpu * cpus) << 20;
		r->request_source = NA_REQUESTED_BY_SLURM_CPU;
	} else if (r->cgroup_limit != NA_UNKNOWN) {
		r->request_bytes = r->cgroup_limit;
		r->request_source = NA_REQUESTED_BY_CGROUP;
	}
}

static void describe_huge_pages(struct na_record *r)
{
	const char *mode = na_hugepages_mode();
	bool asked = __atomic_load_n(&na_options.hugepages, __ATOMIC_RELAXED) != NA_PAGES_ORDINARY;

	r->huge_pages = asked ? NA_HUGE_ASKED : 0;
	if (strcmp(mode, "unavailable") != 0)
		r->huge_pages |= NA_HUGE_KNOWN;
	if (strcmp(mode, "always") == 0 || strcmp(mode, "madvise") == 0)
		r->huge_pages |= NA_HUGE_POSSIBLE;
}

static void describe_host(struct na_record *r)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	uint64_t limit = na_os_memory_limit();

	if (pages > 0 && size > 0)
		r->host_memory = (uint64_t)pages * (uint64_t)size;
	/* The limit is the smaller of the two, so it tells of a cgroup only when it is below. */
	r->cgroup_limit = limit && r->host_memory != NA_UNKNOWN && limit < r->host_memory ? limit : NA_UNKNOWN;
	describe_request(r);
	describe_huge_pages(r);
}

static void fill_identity(void)
{
	struct na_record *r = &self.record;

	na_record_init(r);
	memcpy(r->job, self.id.job, sizeof(r->job));
	memcpy(r->host, self.id.host, sizeof(r->host));
	memcpy(r->program, self.id.program, sizeof(r->program));
	r->rank = self.id.rank;
	r->size = self.id.size;
	r->local_rank = self.id.local_rank;
	r->pid = self.id.pid;
	r->parent = (int32_t)getppid();
	r->role = self.id.root ? NA_RECORD_ROOT : NA_RECORD_PROCESS;
	r->start_ms = na_clock_ms(CLOCK_REALTIME);
	self.start_ns = na_os_now_ns();
	self.heavy_again_ns = self.heavy_grown_ns = 0;
	describe_host(r);
}

static const char *folder_in_use(void)
{
	const char *place = atomic_load_explicit(&self.place, memory_order_acquire);

	return place ? place : self.folder;
}

static int open_record(void)
{
	int rc = na_place_job(folder_in_use(), self.id.job, self.job_folder, sizeof(self.job_folder));

	if (rc == 0)
		rc = na_place_of_process(self.job_folder, self.id.host, self.id.pid, self.path, sizeof(self.path));
	/* A process of the job that ends just now may remove the folder between the two. */
	for (int turn = 0; rc == 0 && turn < 3; turn++) {
		rc = na_place_make(self.job_folder);
		if (rc == 0)
			rc = na_place_map(self.path, &self.slots);
		if (rc != -ENOENT)
			break;
		rc = turn < 2 ? 0 : rc;
	}
	return rc;
}

/* Programs may close standard error before destructors run (coreutils do), so a root keeps its own. High up, where it
 * is in nobody's way. */
static void keep_error_stream(void)
{
	if (self.id.root)
		self.error_stream = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 240) + 1;
	if (self.error_stream)
		fstat(self.error_stream - 1, &self.error_stat);
}

/* The program may have closed it with all others, and opened something of its own under that number. */
static int kept_error_stream(void)
{
	struct stat s;

	if (!self.error_stream || fstat(self.error_stream - 1, &s) < 0)
		return -1;
	return s.st_dev == self.error_stat.st_dev && s.st_ino == self.error_stat.st_ino ? self.error_stream - 1 : -1;
}

/* Under the lock. */
static void introduce(const struct na_process_source *source)
{
	static const struct na_process_source heap = { na_heap_snapshot, na_heap_residency, na_gather,
						       na_gather_amounts, na_gather_sites };

	if (self.source.snapshot)
		return;
	self.source = source ? *source : heap;
	na_identity_find(&self.id, na_clock_ms(CLOCK_REALTIME));
	fill_identity();
}

int na_process_start(const char *folder, const struct na_process_source *source, char *complaint, size_t capacity)
{
	char inherit[NA_RECORD_NAME + 16], found[PATH_MAX];
	int rc;

	if (atomic_load_explicit(&na_process_started, memory_order_acquire))
		return 0;
	na_lock(&self.lock);
	introduce(source);
	rc = na_folder_find(folder, found, sizeof(found), complaint, capacity);
	if (rc == 0) {
		rc = na_file_absolute(found, self.folder, sizeof(self.folder));
		if (rc == 0)
			rc = open_record();
		if (rc == 0) {
			keep_error_stream();
			measure(false);
		} else {
			na_format(complaint, capacity, "report folder %s: %s", found, strerrordesc_np(-rc));
		}
	}
	atomic_store_explicit(&na_process_started, true, memory_order_release); /* pairs with the acquires of it */
	na_unlock(&self.lock);
	if (self.id.root) { /* without the lock: it allocates */
		na_identity_inherit(&self.id, inherit, sizeof(inherit));
		setenv(NA_IDENTITY_VARIABLE, inherit, 1);
	}
	if (!source) {
		na_os_at_fork(NULL, NULL, na_process_forked);
		na_maintenance_start();
	}
	return rc;
}

int na_process_is_root(void)
{
	return self.id.root;
}

/* In a child. The mapping is not inherited; nothing of the parent's may be written. */
static void forget(void)
{
	self.slots = NULL;
	self.forked = true;
	self.claimed = self.measured_last = false;
	self.session = NO_SESSION;
	if (self.error_stream)
		close(self.error_stream - 1);
	self.error_stream = 0;
	na_live_forget();
}

/* A forked child that lives long enough to tick opens a record of its own. */
static void open_after_fork(void)
{
	self.forked = false;
	na_identity_find(&self.id, na_clock_ms(CLOCK_REALTIME));
	self.id.root = 0;
	self.id.rank = -1;
	fill_identity();
	if (open_record() < 0)
		self.slots = NULL;
}

/* Under the lock: what the file of live figures needs, if it falls to this process. */
static bool is_reporter(struct na_live_of *of)
{
	bool first =
		self.record.role == NA_RECORD_RANK ? self.record.local_rank == 0 : self.id.root && !self.id.launched;

	if (!na_options.metrics_file[0] || !self.slots || self.measured_last || !first)
		return false;
	memcpy(of->job_folder, self.job_folder, sizeof(of->job_folder));
	memcpy(of->job, self.record.job, sizeof(of->job));
	memcpy(of->host, self.record.host, sizeof(of->host));
	of->rank = self.record.role == NA_RECORD_RANK ? self.record.rank : -1;
	of->size = self.record.size;
	of->local_size = self.ranks_here;
	return true;
}

uint32_t na_process_tick(uint64_t now_ns)
{
	uint32_t again = (uint32_t)na_options.sampling_interval, live;
	struct na_live_of of;
	bool reports;

	if (!atomic_load_explicit(&na_process_started, memory_order_acquire))
		return UINT32_MAX;
	if (!na_trylock(&self.lock)) /* a call of the MPI layer measures just now */
		return (uint32_t)na_options.sampling_interval;
	if (self.id.pid != getpid() && !self.forked) /* a child that no fork handler told (_Fork, clone) */
		forget();
	if (self.forked)
		open_after_fork();
	if (!self.measured_last)
		measure(false);
	reports = is_reporter(&of);
	na_unlock(&self.lock);
	if (reports) { /* without the lock: it may take a while */
		live = na_live_tick(&of, now_ns);
		again = live < again ? live : again;
	}
	return again;
}

void na_process_forked(void)
{
	na_lock_reset(&self.lock);
	forget();
}

static struct na_topology_job topology_job(void)
{
	return (struct na_topology_job){ .id = self.id.job,
					 .local_rank = self.local_rank,
					 .local_size = self.local_size };
}

int na_process_share_topology(int local_rank, int local_size)
{
	struct na_topology_job with;
	struct na_topology_cost cost;
	int rc;

	self.local_rank = local_rank;
	self.local_size = local_size;
	with = topology_job();
	rc = na_topology_share(&with, &cost); /* without the lock: it waits, and allocates */
	if (rc < 0)
		return rc;
	na_lock(&self.lock);
	self.record.topology_ns = cost.total_ns;
	self.record.topology_shared = cost.origin == NA_TOPOLOGY_READ;
	na_unlock(&self.lock);
	return 0;
}

void na_process_unshare_topology(void)
{
	struct na_topology_job with = topology_job();

	if (self.local_size)
		na_topology_unshare(&with);
}

void na_process_quiet(int quiet)
{
	if (quiet)
		na_maintenance_pause();
	else
		na_maintenance_resume();
}

const struct na_options *na_process_options(void)
{
	na_pools_boot(); /* which has read the environment, if nothing else has yet */
	return &na_options;
}

const char *na_process_folder(void)
{
	return atomic_load_explicit(&na_process_started, memory_order_acquire) ? folder_in_use() : "";
}

const char *na_process_job(void)
{
	return self.id.job;
}

/* A new name for the record, now that the rank is certain. */
static int rename_record(void)
{
	char path[PATH_MAX];
	int rc;

	if (!self.slots)
		return -ENOENT;
	rc = na_place_of_rank(self.job_folder, self.record.rank, path, sizeof(path));
	if (rc < 0)
		return rc;
	if (rename(self.path, path) < 0)
		return -errno;
	memcpy(self.path, path, sizeof(self.path));
	return 0;
}

/* The record under another job's name or in another folder: what its ranks agreed on is not what the environment said. */
static int move_record(const struct na_claim *claim)
{
	char old[PATH_MAX], old_folder[PATH_MAX], *slash;

	memcpy(old, self.path, sizeof(old));
	memcpy(old_folder, self.job_folder, sizeof(old_folder));
	if (claim->job) {
		na_format(self.id.job, sizeof(self.id.job), "%s", claim->job);
		memcpy(self.record.job, self.id.job, sizeof(self.record.job));
	}
	na_place_unmap(self.slots);
	self.slots = NULL;
	unlink(old);
	if (rmdir(old_folder) == 0 && (slash = strrchr(old_folder, '/'))) { /* neither, if there are others in it */
		*slash = '\0';
		rmdir(old_folder);
	}
	return open_record();
}

/* One more place, if the name of it fits. */
static bool go_below(const char *below)
{
	if (!below || !self.folder[0] ||
	    na_format(self.below, sizeof(self.below), "%s/%s", self.folder, below) + 1 >= sizeof(self.below))
		return false;
	atomic_store_explicit(&self.place, self.below, memory_order_release);
	return true;
}

/* For the run around the launcher, should this job not live to report. */
static void note_launch(const struct na_claim *claim)
{
	char run[PATH_MAX];

	if (claim->rank == 0 && !claim->below && self.id.parent[0] && self.slots &&
	    na_place_job(self.folder, self.id.parent, run, sizeof(run)) == 0)
		na_place_note_launch(run, self.id.job);
}

/* Under the lock. */
static int claim_as(const struct na_claim *claim)
{
	bool moved;
	int rc;

	introduce(NULL);
	self.claimed = true;
	na_log_set_rank(claim->rank);
	self.record.rank = claim->rank;
	self.record.size = claim->size;
	self.record.local_rank = claim->local_rank;
	self.ranks_here = claim->local_size;
	self.record.role = NA_RECORD_RANK;
	moved = go_below(claim->below);
	moved |= claim->job && strcmp(claim->job, self.id.job) != 0;
	if (moved && self.slots) {
		rc = move_record(claim);
		if (rc < 0)
			return rc;
	}
	note_launch(claim);
	rc = rename_record();
	measure(false);
	return rc;
}

int na_process_claim(const struct na_claim *claim)
{
	int rc;

	na_lock(&self.lock);
	self.session = NO_SESSION;
	rc = claim_as(claim);
	na_unlock(&self.lock);
	return rc;
}

void na_process_session(int open)
{
	na_lock(&self.lock);
	if (open && !self.claimed && self.slots && self.id.root && self.id.rank >= 0 && self.id.size > self.id.rank) {
		const struct na_claim c = { .rank = self.id.rank,
					    .size = self.id.size,
					    .local_rank = self.id.local_rank,
					    .local_size = self.id.local_size > 0 ? self.id.local_size : 0 };
		int rc = claim_as(&c);

		if (rc == 0)
			self.session = IN_SESSION;
		else
			na_log(NA_LOG_ERROR,
			       "rank %d has no record in %s (error %d): the job's report has to be made by "
			       "numarena-report",
			       c.rank, self.job_folder, -rc);
	} else if (self.session != NO_SESSION) {
		self.session = open ? IN_SESSION : AFTER_SESSION;
	}
	na_unlock(&self.lock);
}

/* Under the lock. */
static void measure_last(uint32_t state)
{
	uint64_t begin = na_os_now_ns();

	self.measured_last = true;
	measure(true);
	self.record.state = state;
	self.record.finalize_ns = na_os_now_ns() - begin;
	if (self.slots)
		na_record_store(self.slots, &self.record);
}

void na_process_measure(struct na_record *out)
{
	na_lock(&self.lock);
	introduce(NULL);
	measure(true);
	*out = self.record;
	na_unlock(&self.lock);
}

/* The program's own limit was for the program. MPI's messages and the report come on top, or a rank that has come to its limit
 * could not take part in the reduction, and some MPI libraries then wait for ever. */
static void make_room(void)
{
	uint64_t limit = na_pool_ask_limit();

	if (limit < UINT64_MAX - ROOM_AT_THE_END)
		atomic_compare_exchange_strong_explicit(&na_pool_limit, &limit, limit + ROOM_AT_THE_END,
							memory_order_relaxed, memory_order_relaxed);
}

void na_process_final(struct na_record *out)
{
	make_room();
	na_lock(&self.lock);
	introduce(NULL);
	measure_last(NA_RECORD_FINALIZING);
	*out = self.record;
	na_unlock(&self.lock);
}

void na_process_state(enum na_record_state state)
{
	na_lock(&self.lock);
	self.record.state = state;
	if (self.slots)
		na_record_store(self.slots, &self.record);
	na_unlock(&self.lock);
}

static _Atomic(void (*)(void)) abort_hook; /* release, acquire: what the MPI layer prepared for it */

void na_process_on_abort(void (*abort_job)(void))
{
	atomic_store_explicit(&abort_hook, abort_job, memory_order_release);
}

void na_process_abort(void)
{
	void (*abort_job)(void) = atomic_exchange_explicit(&abort_hook, NULL, memory_order_acq_rel);

	if (abort_job) /* once: should it come back, or here again, the process ends alone */
		abort_job();
	if (atomic_load_explicit(&na_process_started, memory_order_acquire)) {
		na_lock(&self.lock);
		if (self.slots && self.id.pid == getpid())
			measure_last(NA_RECORD_ABORTED);
		na_unlock(&self.lock);
	}
	abort();
}

int na_process_oom_file(void)
{
	static _Atomic bool begun; /* relaxed: one thread reports at a time */
	bool again = atomic_load_explicit(&begun, memory_order_relaxed);
	char path[PATH_MAX];
	int fd;

	if (!na_process_folder()[0])
		return -ENOENT;
	/* A word that changes once, in MPI_Init; this may be a thread that holds the lock. */
	if (__atomic_load_n(&self.record.rank, __ATOMIC_RELAXED) >= 0)
		na_format(path, sizeof(path), "%s/oom-%d.txt", folder_in_use(), self.record.rank);
	else
		na_format(path, sizeof(path), "%s/oom-%s-%d.txt", folder_in_use(), self.id.host, getpid());
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | (again ? O_APPEND : O_TRUNC), 0666);
	if (fd < 0)
		return -errno;
	atomic_store_explicit(&begun, true, memory_order_relaxed);
	return fd;
}

void na_process_discard(void)
{
	char launcher[PATH_MAX];

	if (self.id.parent[0] && na_place_job(self.folder, self.id.parent, launcher, sizeof(launcher)) == 0)
		na_place_mark(launcher);
	if (self.slots)
		na_place_discard(self.job_folder);
}

/* 1 if the record's file is still the one we made: else somebody has reported it already. */
static int still_there(void)
{
	struct stat s;

	return stat(self.path, &s) == 0 && s.st_size == (off_t)(2 * sizeof(struct na_record));
}

void na_process_finish(void)
{
	bool report = false, last = false, mine;

	if (!atomic_load_explicit(&na_process_started, memory_order_acquire))
		return;
	na_lock(&self.lock);
	if (self.slots && self.id.pid == getpid()) {
		if (!self.claimed) {
			measure_last(NA_RECORD_COMPLETE);
			report = self.id.root && still_there();
		} else if (self.record.state == NA_RECORD_RUNNING) {
			last = self.session == AFTER_SESSION && still_there();
			measure_last(last ? NA_RECORD_COMPLETE : NA_RECORD_EXITED);
		}
	}
	mine = self.id.pid == getpid();
	na_unlock(&self.lock);
	if (mine && na_options.metrics_file[0]) {
		na_maintenance_pause(); /* waits for a tick that is just writing it */
		na_live_end();
		na_maintenance_resume();
	}
	if (report) /* without the lock: it allocates, and ticks may come in */
		na_finish_tree(self.folder, self.job_folder, &self.id, kept_error_stream());
	if (!last)
		return;
	if (self.slots) /* other nodes are to see that it is complete, on network file systems as well */
		msync(self.slots, 2 * sizeof(*self.slots), MS_SYNC);
	if (na_finish_sessions(self.folder, self.job_folder, self.record.rank, self.record.size, kept_error_stream()))
		na_process_discard();
}
