/* SPDX-License-Identifier: BSD-3-Clause */
#include "compression/raw.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "base/options.h"
#include "compression/raw_parts.h"
#include "heap/heap.h"
#include "heap/named.h"
#include "os/os.h"
#include "pool/away.h"

#define YIELDS 100 /* until whoever waits for the lock has it */
#define TABLE  (NA_RAW_MOST * sizeof(struct na_raw_block *))

struct na_raw na_raw = { .faults = { -1, -1 } };

void na_raw_lock(void)
{
	na_lock(&na_raw.lock);
	atomic_store_explicit(&na_raw.owner, pthread_self(), memory_order_relaxed);
}

void na_raw_unlock(void)
{
	atomic_store_explicit(&na_raw.owner, 0, memory_order_relaxed);
	na_unlock(&na_raw.lock);
}

void na_raw_let_go(void)
{
	bool wanted = atomic_load_explicit(&na_raw.lock.word, memory_order_relaxed) == 2;

	na_raw_unlock();
	for (int i = 0; wanted && i < YIELDS; i++) {
		sched_yield();
		wanted = atomic_load_explicit(&na_raw.lock.word, memory_order_relaxed) == 0;
	}
}

bool na_raw_runs(void)
{
	return atomic_load_explicit(&na_raw.on, memory_order_relaxed);
}

static uint32_t now_ms(void)
{
	return (uint32_t)na_os_coarse_ms();
}

/* ---- records; under the lock ---- */

size_t na_raw_place(uintptr_t at)
{
	size_t low = 0, high = na_raw.count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct na_raw_block *b = na_raw.blocks[middle];

		if ((uintptr_t)b->base + b->size <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct na_raw_block *na_raw_find(uintptr_t at)
{
	size_t i = na_raw_place(at);

	return i < na_raw.count && (uintptr_t)na_raw.blocks[i]->base <= at ? na_raw.blocks[i] : NULL;
}

static struct na_raw_block *find_block(const void *block)
{
	struct na_raw_block *b = na_raw_find(((uintptr_t)block + NA_PAGE - 1) & ~(NA_PAGE - 1));

	return b && b->block == block ? b : NULL;
}

void na_raw_piece_range(const struct na_raw_block *b, uint32_t i, char **at, size_t *size)
{
	size_t from = (size_t)i * NA_RAW_PIECE;

	*at = b->base + from;
	*size = b->size - from < NA_RAW_PIECE ? b->size - from : NA_RAW_PIECE;
}

static size_t size_of(const void *payload)
{
	struct na_block block;

	return na_heap_find(payload, &block) ? block.size : 0;
}

void na_raw_drop_payload(struct na_raw_piece *piece)
{
	if (!piece->payload)
		return;
	na_image_count(-1, 0, -(int64_t)size_of(piece->payload));
	na_image_give(piece->payload);
	piece->payload = NULL;
}

/* The block's whole pages; false if those are not worth it. */
static bool range_of(const struct na_block *block, char **base, size_t *size)
{
	uintptr_t from = (block->start + NA_PAGE - 1) & ~(NA_PAGE - 1),
		  to = (block->start + block->size) & ~(NA_PAGE - 1);
	size_t least = na_raw.settings.min_size > NA_RAW_GROUP ? na_raw.settings.min_size : NA_RAW_GROUP;
	uint8_t kind = na_span_kind(block->span);

	if ((kind != NA_SPAN_LARGE && kind != NA_SPAN_HUGE) || block->size < least || to < from + NA_PAGE ||
	    na_span_segment(block->span)->hugetlb || (block->pool->named && !na_group_is(na_named_of(block->pool))))
		return false;
	*base = (char *)from;
	*size = to - from;
	return true;
}

/* The block, live as its caller says, gets a record. -ENOTSUP, -ENOMEM, -errno of the watch. */
static int add(const struct na_block *block, bool hinted, struct na_raw_block **out)
{
	struct na_raw_block *b;
	uint32_t pieces, now = now_ms();
	size_t size, at;
	char *base;

	if (!range_of(block, &base, &size))
		return -ENOTSUP;
	if (na_raw.count == NA_RAW_MOST)
		return -ENOMEM;
	pieces = (uint32_t)((size + NA_RAW_PIECE - 1) / NA_RAW_PIECE);
	b = na_image_room(block->pool, sizeof(*b) + pieces * sizeof(b->piece[0]));
	if (!b)
		return -ENOMEM;
	*b = (struct na_raw_block){ .base = base,
				    .size = size,
				    .block = (void *)block->start,
				    .pool = block->pool,
				    .pieces = pieces,
				    .hinted = hinted };
	memset(b->piece, 0, pieces * sizeof(b->piece[0]));
	for (uint32_t i = 0; i < pieces; i++)
		b->piece[i].stamp = now;
	at = na_raw_place((uintptr_t)base);
	memmove(&na_raw.blocks[at + 1], &na_raw.blocks[at], (na_raw.count - at) * sizeof(b));
	na_raw.blocks[at] = b;
	na_raw.count++;
	atomic_fetch_add_explicit(&na_raw.watched, size, memory_order_relaxed);
	atomic_fetch_add_explicit(&na_raw.explicit, !hinted, memory_order_relaxed);
	atomic_fetch_add_explicit(&na_away.blocks, 1, memory_order_release);
	*out = b;
	return 0;
}

/* All of it is back, or its contents are not wanted: the record ends. Whoever waits for one of its pages finds zeros. */
static void end(struct na_raw_block *b)
{
	size_t at = na_raw_place((uintptr_t)b->base);

	memmove(&na_raw.blocks[at], &na_raw.blocks[at + 1], (na_raw.count - at - 1) * sizeof(b));
	na_raw.count--;
	for (uint32_t i = 0; i < b->pieces; i++) {
		struct na_raw_piece *piece = &b->piece[i];
		char *from;
		size_t size;

		na_raw_piece_range(b, i, &from, &size);
		if (piece->state == NA_RAW_LOST)
			na_os.protect(from, size, true);
		if (piece->state != NA_RAW_HERE) {
			atomic_fetch_add_explicit(&na_pool_held, size, memory_order_relaxed);
			atomic_fetch_sub_explicit(&na_away.bytes, size, memory_order_relaxed);
			na_image_count(0, -(int64_t)size, 0);
		}
		na_raw_drop_payload(piece);
	}
	if (b->watched && atomic_load_explicit(&na_raw.on, memory_order_relaxed))
		na_os.fault_unwatch(&na_raw.faults, b->base, b->size);
	atomic_fetch_sub_explicit(&na_raw.watched, b->size, memory_order_relaxed);
	atomic_fetch_sub_explicit(&na_raw.explicit, !b->hinted, memory_order_relaxed);
	atomic_fetch_sub_explicit(&na_away.blocks, 1, memory_order_release);
	na_image_give(b);
}

static int bring_all_back(struct na_raw_block *b)
{
	struct na_workspace *w = na_workspace_take();
	int rc = 0;

	for (uint32_t i = 0; i < b->pieces && rc == 0; i++)
		if (b->piece[i].state != NA_RAW_HERE)
			rc = b->piece[i].state == NA_RAW_LOST ? -EBADMSG : na_raw_bring_back(b, i, w, NULL);
	na_workspace_give(w);
	return rc;
}

/* ---- a piece goes ---- */

static bool all_resident(char *at, size_t size)
{
	unsigned char there[NA_RAW_PIECE / NA_PAGE];

	if (na_os.resident(at, size, there) < 0)
		return false;
	for (size_t i = 0; i < size / NA_PAGE; i++)
		if (!(there[i] & 1))
			return false;
	return true;
}

static bool unchanged(const struct na_raw_piece *piece, const char *at, size_t size)
{
	struct na_hash128 now;

	if (!piece->payload)
		return false;
	now = na_hash128(at, size);
	return now.low == piece->contents.low && now.high == piece->contents.high &&
	       na_piece_check(&piece->code, piece->payload) == 0;
}

static int make_payload(struct na_raw_block *b, struct na_raw_piece *piece, struct na_workspace *w, const char *at,
			size_t size)
{
	const void *payload;
	struct na_code code;

	if (!b->planned || b->plan.before % 16 == 0)
		na_plan_make(w, &b->plan, &na_raw.settings.effort, at, size);
	b->planned = na_plan_promises(&b->plan);
	if (!b->planned)
		return -ENODATA;
	payload = na_piece_compress(w, &b->plan, at, size, &code);
	if ((uint64_t)code.length * NA_IMAGE_GAIN_NUMERATOR > size * NA_IMAGE_GAIN_DENOMINATOR) {
		b->planned = false;
		return -ENODATA;
	}
	na_raw_drop_payload(piece);
	piece->payload = na_image_room(b->pool, code.length);
	if (!piece->payload)
		return -ENOMEM;
	memcpy(piece->payload, payload, code.length);
	piece->code = code;
	piece->contents = na_hash128(at, size);
	na_image_count(1, 0, (int64_t)size_of(piece->payload));
	return 0;
}

/* Not before its first piece goes: fresh pages of what is watched would come by our thread. */
static int watch(struct na_raw_block *b)
{
	int rc = b->watched ? 0 : na_os.fault_watch(&na_raw.faults, b->base, b->size);

	b->watched = rc == 0;
	return rc;
}

/* Writers wait from the protection on until the piece is back; readers go on until its pages go. 0 and the pages went; -EAGAIN: not all are
 * there; -ENODATA: it does not shrink; -ENOMEM; -errno of the kernel. Reading it never faults: all pages are there. */
static int send_away(struct na_raw_block *b, uint32_t i, struct na_workspace *w)
{
	struct na_raw_piece *piece = &b->piece[i];
	uint64_t began = na_os_now_ns();
	bool same;
	size_t size;
	char *at;
	int rc;

	na_raw_piece_range(b, i, &at, &size);
	if (!all_resident(at, size))
		return -EAGAIN;
	rc = watch(b);
	if (rc == 0)
		rc = na_os.fault_protect(&na_raw.faults, at, size, true);
	if (rc < 0)
		return rc;
	same = unchanged(piece, at, size);
	rc = same ? 0 : make_payload(b, piece, w, at, size);
	if (rc == 0)
		rc = na_os.purge(at, size);
	if (rc < 0) {
		na_os.fault_protect(&na_raw.faults, at, size, false);
		na_raw_drop_payload(piece);
		if (rc == -ENODATA)
			na_image_count_vain(size);
		piece->stamp = now_ms();
		piece->returns += piece->returns < NA_RAW_BACKOFF;
		return rc;
	}
	piece->state = NA_RAW_AWAY;
	na_image_count(0, (int64_t)size, 0);
	na_image_count_made(!same, na_os_now_ns() - began);
	na_image_count_unchanged(same);
	atomic_fetch_add_explicit(&na_away.bytes, size, memory_order_relaxed);
	atomic_fetch_sub_explicit(&na_pool_held, size, memory_order_relaxed);
	return 0;
}

/* ---- calls ---- */

/* A block leaves, or changes: pool/away.h. Images are freed with the lock held, and what an MPI library's hook frees is none of ours. */
static void back(void *block, bool contents)
{
	const struct na_segment *segment = na_segment_of(block);
	struct na_hint hint = na_hint_unpack(segment ? na_group_hint(segment->pool) : 0);
	struct na_raw_block *b;

	if (!segment || na_image_owns(segment->pool) ||
	    pthread_equal(atomic_load_explicit(&na_raw.owner, memory_order_relaxed), pthread_self()))
		return;
	if ((hint.lifetime != NA_LIFETIME_LONG || hint.priority != NA_PRIORITY_LOW) &&
	    atomic_load_explicit(&na_raw.explicit, memory_order_relaxed) == 0)
		return;
	na_raw_lock();
	b = find_block(block);
	if (b && contents)
		bring_all_back(b);
	if (b)
		end(b);
	na_raw_unlock();
}

void na_raw_adopt(void *block)
{
	struct na_raw_block *b;
	struct na_block found;

	if (!na_raw_runs() || !na_heap_find(block, &found) || !found.live)
		return;
	na_raw_lock();
	if (na_raw_runs() && !find_block(block))
		add(&found, true, &b); /* or it is not compressed, which is no error */
	na_raw_unlock();
}

static int compress_all(struct na_raw_block *b, uint64_t *bytes)
{
	struct na_workspace *w = na_workspace_take();
	int rc = 0, worst = 0;
	size_t size;
	char *at;

	for (uint32_t i = 0; i < b->pieces && rc != -ENOMEM; i++) {
		if (b->piece[i].state != NA_RAW_HERE)
			continue;
		rc = send_away(b, i, w);
		na_raw_piece_range(b, i, &at, &size);
		*bytes += rc == 0 ? size : 0;
		if (rc < 0 && rc != -EAGAIN) /* what was never touched takes no memory */
			worst = rc;
	}
	na_workspace_give(w);
	return *bytes ? 0 : worst;
}

int na_raw_compress(void *block, uint64_t *bytes)
{
	struct na_raw_block *b;
	struct na_block found;
	int rc = 0;

	*bytes = 0;
	if (!na_heap_find(block, &found) || !found.live || found.start != (uintptr_t)block)
		return -EINVAL;
	if (na_hint_unpack(na_group_hint(found.pool)).no_move)
		return -ENOTSUP;
	na_raw_lock();
	if (!na_raw_runs()) {
		rc = -EPERM;
	} else {
		b = find_block(block);
		if (!b)
			rc = add(&found, false, &b);
		if (rc == 0)
			rc = compress_all(b, bytes);
	}
	na_raw_unlock();
	return rc;
}

int na_raw_touch(void *block)
{
	struct na_raw_block *b;
	struct na_block found;
	int rc = 0;

	if (!na_heap_find(block, &found) || !found.live || found.start != (uintptr_t)block)
		return -EINVAL;
	na_raw_lock();
	b = na_raw_runs() ? find_block(block) : NULL;
	if (b)
		rc = bring_all_back(b);
	na_raw_unlock();
	return rc;
}

/* The next piece from the hand on; false when it has come round. Under the lock. */
static bool turn(struct na_raw_block **b, uint32_t *i)
{
	if (na_raw.hand >= na_raw.count) {
		na_raw.hand = 0;
		na_raw.hand_piece = 0;
		return false;
	}
	*b = na_raw.blocks[na_raw.hand];
	*i = na_raw.hand_piece++;
	if (*i < (*b)->pieces)
		return true;
	na_raw.hand++;
	na_raw.hand_piece = 0;
	return turn(b, i);
}

/* One piece that is `age` old, if need be much younger ones too; 0: none on this round, and the hand stands at the start. */
static uint64_t step(uint32_t age, bool backoff, bool *more)
{
	struct na_workspace *w;
	struct na_raw_block *b;
	uint32_t i, now;
	uint64_t bytes = 0;
	int looked = 0;

	na_raw_lock();
	now = now_ms(); /* under the lock, as stamps are: what came back while we waited for it is not older than time itself */
	w = na_workspace_take();
	*more = na_raw_runs();
	while (*more && bytes == 0 && looked++ < 4096 && (*more = turn(&b, &i))) {
		struct na_raw_piece *piece = &b->piece[i];
		uint64_t wanted = backoff ? (uint64_t)age << piece->returns : age;
		size_t size;
		char *at;

		if (piece->state != NA_RAW_HERE || now - piece->stamp < wanted || !b->hinted)
			continue;
		na_raw_piece_range(b, i, &at, &size);
		if (send_away(b, i, w) == 0)
			bytes = size;
	}
	na_workspace_give(w);
	na_raw_let_go();
	return bytes;
}

uint64_t na_raw_slice(uint64_t now_ns, uint64_t deadline_ns)
{
	uint64_t bytes = 0;
	bool more = na_raw_runs();

	while (more && now_ns < deadline_ns) {
		bytes += step(na_raw.settings.age_ms, true, &more);
		now_ns = na_os_now_ns();
	}
	return bytes;
}

uint64_t na_raw_make_room(uint64_t bytes)
{
	static const uint32_t ages[] = { 1000, 50, 0 };
	uint64_t freed = 0;

	if (!na_raw_runs())
		return 0;
	for (size_t n = 0; n < sizeof(ages) / sizeof(ages[0]) && freed < bytes; n++)
		for (int rounds = 0; rounds < 2 && freed < bytes;) {
			bool more;

			freed += step(ages[n], false, &more);
			rounds += !more;
		}
	return freed;
}

int na_raw_start(const struct na_raw_settings *settings)
{
	void *table;
	int rc;

	if (na_options.harden) /* it looks at canaries under locks that restoring takes */
		return -EOPNOTSUPP;
	na_raw_lock();
	na_raw.settings = *settings;
	na_raw_unlock();
	if (na_raw_runs())
		return 0;
	if (!na_raw.blocks) {
		rc = na_os.map(NULL, TABLE, &table);
		if (rc < 0)
			return rc;
		na_raw.blocks = table;
	}
	na_away.back = back;
	rc = na_raw_open();
	atomic_store_explicit(&na_raw.on, rc == 0, memory_order_relaxed);
	return rc;
}

int na_raw_stop(void)
{
	int rc = 0;

	if (!na_raw_runs())
		return 0;
	na_raw_lock();
	while (na_raw.count && rc == 0) {
		struct na_raw_block *b = na_raw.blocks[na_raw.count - 1];

		rc = bring_all_back(b);
		if (rc == 0 || rc == -EBADMSG) {
			rc = 0;
			end(b);
		}
	}
	if (rc == 0)
		atomic_store_explicit(&na_raw.on, false, memory_order_relaxed);
	na_raw_unlock();
	if (rc == 0)
		na_raw_close();
	return rc;
}

void na_raw_figures(struct na_raw_figures *out)
{
	*out = (struct na_raw_figures){
		.blocks = atomic_load_explicit(&na_away.blocks, memory_order_relaxed),
		.watched = atomic_load_explicit(&na_raw.watched, memory_order_relaxed),
		.away = atomic_load_explicit(&na_away.bytes, memory_order_relaxed),
		.faults = atomic_load_explicit(&na_raw.faults_answered, memory_order_relaxed),
		.waits = atomic_load_explicit(&na_raw.waits, memory_order_relaxed),
	};
}
