/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/record.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "analysis/analysis.h"
#include "base/log.h"

#define PAGE 4096

void na_record_init(struct na_record *r)
{
	memset(r, 0, sizeof(*r));
	r->magic = NA_RECORD_MAGIC;
	r->version = NA_RECORD_VERSION;
	r->bytes = sizeof(*r);
	r->rank = -1;
	r->local_rank = -1;
	r->state = NA_RECORD_RUNNING;
	r->rss = r->peak_rss = r->pss = r->physical = r->peak_physical = r->swapped = NA_UNKNOWN;
	r->requested = r->peak_requested = r->compressed = r->stalled = r->request_bytes = NA_UNKNOWN;
	memset(r->node_cpus, 0xff, sizeof(r->node_cpus));
	r->host_memory = r->cgroup_limit = NA_UNKNOWN;
	r->topology_ns = NA_UNKNOWN;
	na_series_init(&r->series);
}

/* By words, multiply and rotate: every bit of the input reaches every bit of the sum, 2 us for a record. */
static uint64_t checksum(const struct na_record *r)
{
	const unsigned char *bytes = (const unsigned char *)r;
	uint64_t sum = UINT64_C(0x9e3779b97f4a7c15);

	for (size_t at = 0; at < sizeof(*r); at += 8) {
		uint64_t word;

		if (at == offsetof(struct na_record, checksum))
			continue;
		memcpy(&word, bytes + at, 8);
		sum = (sum ^ word) * UINT64_C(0xff51afd7ed558ccd);
		sum ^= sum >> 32;
	}
	return sum;
}

/* Slots begin at a page's start or, the second one, anywhere within. */
static void copy_changes(struct na_record *slot, const struct na_record *r)
{
	char *to = (char *)slot;
	const char *from = (const char *)r;

	for (size_t at = 0, n; at < sizeof(*r); at += n) {
		size_t page = PAGE - (uintptr_t)(to + at) % PAGE;

		n = sizeof(*r) - at < page ? sizeof(*r) - at : page;
		if (memcmp(to + at, from + at, n) != 0)
			memcpy(to + at, from + at, n);
	}
}

/* No order among the stores is needed: whatever mixture of old and new bytes a kill leaves, the checksum, which
 * covers all of them and the sequence number, does not fit. */
void na_record_store(struct na_record slots[2], struct na_record *r)
{
	r->sequence++;
	r->checksum = checksum(r);
	copy_changes(&slots[r->sequence & 1], r);
	__atomic_signal_fence(
		__ATOMIC_RELEASE); /* in the file before what the caller does next: a kill may come anywhere */
}

static int terminated(const char *name)
{
	return memchr(name, '\0', NA_RECORD_NAME) != NULL;
}

/* What a correct checksum does not promise: a record of a buggy or hostile writer must not make us read
 * outside our tables. */
static int check_fields(const struct na_record *r)
{
	if (!terminated(r->job) || !terminated(r->host) || !terminated(r->program))
		return -EINVAL;
	if (r->heap.node_count > NA_MAX_NODES || r->heap.class_count > NA_MAX_CLASSES ||
	    r->peak_node_count > NA_MAX_NODES)
		return -EINVAL;
	if (r->state < NA_RECORD_RUNNING || r->state > NA_RECORD_EXITED || r->role > NA_RECORD_RANK)
		return -EINVAL;
	if (r->rank < -1 || r->size < 0 || (r->role == NA_RECORD_RANK && r->rank < 0))
		return -EINVAL;
	if (r->request_source > NA_REQUESTED_BY_SLURM_NODE)
		return -EINVAL;
	return na_series_check(&r->series) < 0 ? -EINVAL : na_breakdown_check(&r->breakdown);
}

/* In place: three records would be much for the stack of whichever thread ends the process. */
static int check_slot(const unsigned char *bytes, size_t length, struct na_record_flaw *flaw)
{
	const struct na_record *r = (const struct na_record *)bytes;
	uint64_t magic;
	uint32_t version, size;

	if (length < 16)
		goto truncated;
	memcpy(&magic, bytes, 8);
	memcpy(&version, bytes + offsetof(struct na_record, version), 4);
	memcpy(&size, bytes + offsetof(struct na_record, bytes), 4);
	if (magic == 0 && version == 0) {
		na_format(flaw->text, sizeof(flaw->text), "opened but never written");
		return -ENODATA;
	}
	if (magic != NA_RECORD_MAGIC) {
		na_format(flaw->text, sizeof(flaw->text), "not a record of numarena");
		return -EINVAL;
	}
	if (version != NA_RECORD_VERSION || size != sizeof(*r)) {
		na_format(flaw->text, sizeof(flaw->text),
			  "a record of version %u and %u bytes; this numarena-report reads version %u of %zu bytes",
			  version, size, NA_RECORD_VERSION, sizeof(*r));
		return -EPROTO;
	}
	if (length < sizeof(*r))
		goto truncated;
	if (r->checksum != checksum(r)) {
		na_format(flaw->text, sizeof(flaw->text), "damaged: the checksum does not match");
		return -EINVAL;
	}
	if (check_fields(r) < 0) {
		na_format(flaw->text, sizeof(flaw->text), "damaged: its fields contradict each other");
		return -EINVAL;
	}
	return 0;
truncated:
	na_format(flaw->text, sizeof(flaw->text), "truncated: %zu bytes of %zu", length, sizeof(*r));
	return -EINVAL;
}

int na_record_load(const void *slots, size_t length, struct na_record *out, struct na_record_flaw *flaw)
{
	const struct na_record *slot = slots, *best = NULL;
	struct na_record_flaw other;
	int first_rc, second_rc;

	first_rc = check_slot(slots, length < sizeof(*slot) ? length : sizeof(*slot), flaw);
	if (first_rc == 0)
		best = &slot[0];
	if (length > sizeof(*slot)) {
		second_rc = check_slot((const unsigned char *)&slot[1], length - sizeof(*slot), &other);
		if (second_rc == 0 && (!best || slot[1].sequence > slot[0].sequence)) {
			best = &slot[1];
		} else if (first_rc == -ENODATA && second_rc < 0) { /* the second slot is the first to be written */
			first_rc = second_rc;
			*flaw = other;
		}
	}
	if (!best)
		return first_rc;
	*out = *best;
	flaw->text[0] = '\0';
	return 0;
}

static int load_file(int fd, unsigned char *slots, struct na_record *out, struct na_record_flaw *flaw)
{
	size_t length = 0;
	int rc;

	while (length < 2 * sizeof(*out)) {
		ssize_t n = read(fd, slots + length, 2 * sizeof(*out) - length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			rc = -errno;
			na_format(flaw->text, sizeof(flaw->text), "cannot be read: %s", strerror(errno));
			return rc;
		}
		if (n == 0)
			break;
		length += (size_t)n;
	}
	return na_record_load(slots, length, out, flaw);
}

static int read_once(const char *path, struct na_record *out, struct na_record_flaw *flaw)
{
	static const struct timespec pause = { .tv_nsec = 2000000 };
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), rc;
	unsigned char *slots;

	if (fd < 0) {
		rc = -errno;
		na_format(flaw->text, sizeof(flaw->text), "cannot be opened: %s", strerror(errno));
		return rc;
	}
	slots = malloc(2 * sizeof(*out));
	if (slots) {
		rc = load_file(fd, slots, out, flaw);
	} else {
		rc = -ENOMEM;
		na_format(flaw->text, sizeof(flaw->text), "cannot be read: no memory");
	}
	free(slots);
	close(fd);
	if (rc == -EINVAL)
		nanosleep(&pause, NULL);
	return rc;
}

/* One slot is always whole, but a reader that is slower than two updates may meet both in change. */
int na_record_read(const char *path, struct na_record *out, struct na_record_flaw *flaw)
{
	int rc = -EINVAL;

	for (int turn = 0; turn < 3 && rc == -EINVAL; turn++)
		rc = read_once(path, out, flaw);
	return rc;
}

#define HEAD (offsetof(struct na_record, state) + sizeof(uint32_t))

/* The first bytes of a slot: whether they are there, and those of a record of this version. */
static bool read_head(int fd, int slot, unsigned char bytes[HEAD])
{
	uint64_t magic;
	uint32_t version;

	if (pread(fd, bytes, HEAD, slot * (off_t)sizeof(struct na_record)) != (ssize_t)HEAD)
		return false;
	memcpy(&magic, bytes, sizeof(magic));
	memcpy(&version, bytes + offsetof(struct na_record, version), sizeof(version));
	return magic == NA_RECORD_MAGIC && version == NA_RECORD_VERSION;
}

int na_record_host(int folder, const char *name, char host[NA_RECORD_NAME])
{
	unsigned char bytes[HEAD];
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), rc = -ENODATA;

	if (fd < 0)
		return -errno;
	for (int slot = 0; slot < 2 && rc < 0; slot++) { /* the second one is the first to be written */
		if (!read_head(fd, slot, bytes))
			continue;
		memcpy(host, bytes + offsetof(struct na_record, host), NA_RECORD_NAME);
		if (host[0] && terminated(host))
			rc = 0;
	}
	close(fd);
	return rc;
}

bool na_record_has_state(int folder, const char *name, uint32_t state)
{
	unsigned char bytes[HEAD];
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool has = false;

	for (int slot = 0; fd >= 0 && slot < 2 && !has; slot++)
		has = read_head(fd, slot, bytes) &&
		      memcmp(bytes + offsetof(struct na_record, state), &state, sizeof(state)) == 0;
	if (fd >= 0)
		close(fd);
	return has;
}

int na_record_is_lost(const struct na_record *r)
{
	return (r->state == NA_RECORD_RUNNING || r->state == NA_RECORD_FINALIZING) && kill(r->pid, 0) < 0 &&
	       errno == ESRCH;
}

int na_record_is_whole(uint32_t state, uint32_t role)
{
	return state == NA_RECORD_COMPLETE || state == NA_RECORD_FINALIZING ||
	       (state == NA_RECORD_EXITED && role != NA_RECORD_RANK);
}

const char *na_record_state_name(uint32_t state)
{
	switch (state) {
	case NA_RECORD_RUNNING:
		return "running";
	case NA_RECORD_FINALIZING:
		return "finalizing";
	case NA_RECORD_COMPLETE:
		return "complete";
	case NA_RECORD_ABORTED:
		return "aborted";
	case NA_RECORD_EXITED:
		return "exited";
	case NA_RECORD_LOST:
		return "lost";
	}
	return "unknown";
}

uint64_t na_record_cached_allocations(const struct na_record *r)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < r->heap.class_count; i++)
		sum += r->heap.class_allocations[i];
	return sum;
}

uint64_t na_record_hit_rate(const struct na_record *r)
{
	uint64_t cached = na_record_cached_allocations(r), refills = r->heap.cache_refills;

	if (cached == 0)
		return NA_UNKNOWN;
	if (refills > cached)
		refills = cached;
	return 1000000 - (uint64_t)((double)refills / (double)cached * 1e6 + 0.5);
}

static uint64_t sum_nodes(const struct na_node_figures *nodes, uint32_t count, int asked, size_t field)
{
	uint64_t sum = 0;

	if (!asked)
		return NA_UNKNOWN;
	for (uint32_t i = 0; i < count; i++) {
		uint64_t v = *(const uint64_t *)((const char *)&nodes[i] + field);

		if (v == NA_UNKNOWN)
			return NA_UNKNOWN;
		sum += v;
	}
	return sum;
}

uint64_t na_record_reuse_rate(const struct na_record *r)
{
	if (r->heap.large_allocations == 0)
		return NA_UNKNOWN;
	return (uint64_t)((double)r->heap.large_reused / (double)r->heap.large_allocations * 1e6 + 0.5);
}

#define RESIDENT   offsetof(struct na_node_figures, resident_bytes)
#define MISPLACED  offsetof(struct na_node_figures, misplaced_bytes)
#define HELD	   offsetof(struct na_node_figures, held_bytes)
#define HUGE_PAGES offsetof(struct na_node_figures, huge_bytes)

uint64_t na_record_resident(const struct na_record *r)
{
	return sum_nodes(r->heap.nodes, r->heap.node_count, r->residency_ms != 0, RESIDENT);
}

uint64_t na_record_misplaced(const struct na_record *r)
{
	return sum_nodes(r->heap.nodes, r->heap.node_count, r->residency_ms != 0, MISPLACED);
}

uint64_t na_record_peak_resident(const struct na_record *r)
{
	return sum_nodes(r->peak_nodes, r->peak_node_count, r->peak_nodes_ms != 0, RESIDENT);
}

uint64_t na_record_peak_misplaced(const struct na_record *r)
{
	return sum_nodes(r->peak_nodes, r->peak_node_count, r->peak_nodes_ms != 0, MISPLACED);
}

uint64_t na_record_huge(const struct na_record *r)
{
	return sum_nodes(r->heap.nodes, r->heap.node_count, r->residency_ms != 0, HUGE_PAGES);
}

uint64_t na_record_peak_huge(const struct na_record *r)
{
	return sum_nodes(r->peak_nodes, r->peak_node_count, r->peak_nodes_ms != 0, HUGE_PAGES);
}

uint64_t na_record_fullest_held(const struct na_record *r)
{
	return sum_nodes(r->peak_nodes, r->peak_node_count, r->peak_nodes_ms != 0, HELD);
}

uint64_t na_record_fullest_live(const struct na_record *r)
{
	return r->peak_nodes_ms ? r->peak_nodes_live : NA_UNKNOWN;
}

uint64_t na_record_fullest_requested(const struct na_record *r)
{
	return r->peak_nodes_ms ? r->peak_requested : NA_UNKNOWN;
}

uint64_t na_record_growth(const struct na_record *r)
{
	struct na_analysis_growth g;

	na_analysis_growth(r->series.value[NA_SERIES_LIVE], r->series.count, "", &g);
	if (g.points == 0)
		return NA_UNKNOWN;
	if (g.rises + 1 != g.points || g.last <= g.first)
		return 0;
	/* Who has filled his fields and then stays as he is does not grow. */
	return g.last_step >= (g.last - g.first) / (g.points - 1) / 4 ? g.last - g.first : 0;
}

uint64_t na_record_longest_phase(const struct na_record *r)
{
	uint64_t longest = NA_UNKNOWN;

	for (uint32_t i = 0; i < r->breakdown.phase_count; i++)
		if (longest == NA_UNKNOWN || r->breakdown.phases[i].ns > longest)
			longest = r->breakdown.phases[i].ns;
	return longest;
}
