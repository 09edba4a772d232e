/* SPDX-License-Identifier: BSD-3-Clause */
#include "compression/image.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "cache/cache.h"
#include "heap/heap.h"
#include "heap/named.h"
#include "os/os.h"

#define MAGIC	    UINT64_C(0x6e616d6967653031)
#define SURE	    4 /* pieces after which a block that does not shrink is given up */
#define POOL_NAME   "compressed"
#define PART_PIECES (NA_IMAGE_PART / NA_PIECE)

/* release: once each; acquire: any thread. Never ended, as the groups. */
static struct na_named *_Atomic pools[NA_MAX_POOLS];

static _Atomic uint64_t images, original, compressed, made, restored, unchanged, vain, vain_size, compress_ns,
	restore_ns, damaged; /* relaxed: statistics */

static void count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint64_t read_counter(_Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

/* Pools that are not a node's (named ones, groups) have their images with their node's. */
static struct na_named *pool_of(const struct na_pool *home)
{
	const struct na_pool *node = home->named ? na_pool_of_node(home->node) : home;
	struct na_named *_Atomic *place, *n, *none = NULL;

	if (!node)
		node = &na_pools[0];
	place = &pools[node - na_pools];
	n = atomic_load_explicit(place, memory_order_acquire);
	if (n)
		return n;
	if (na_named_make(POOL_NAME, node, 0, 16, 1, 0, &n) < 0)
		return NULL;
	if (!atomic_compare_exchange_strong_explicit(place, &none, n, memory_order_acq_rel, memory_order_acquire)) {
		na_named_destroy(n); /* another thread was first */
		n = none;
	}
	return n;
}

void *na_image_room(const struct na_pool *home, size_t bytes)
{
	struct na_named *pool = pool_of(home);

	return pool ? na_named_try(pool, 16, bytes) : NULL;
}

bool na_image_owns(const struct na_pool *pool)
{
	for (uint32_t i = 0; i < na_pool_count; i++) {
		const struct na_named *n = atomic_load_explicit(&pools[i], memory_order_acquire);

		if (n && &n->pool == pool)
			return true;
	}
	return false;
}

void na_image_give(void *payload)
{
	na_heap_release_checked(payload);
}

static size_t bytes_of(const void *payload)
{
	struct na_block block;

	return na_heap_find(payload, &block) ? block.size : 0;
}

static size_t header_size(uint32_t pieces)
{
	return sizeof(struct na_image) + pieces * sizeof(struct na_image_piece);
}

static uint64_t seal_of(const struct na_image *image)
{
	uint64_t head = na_hash(image, offsetof(struct na_image, seal)),
		 table = na_hash(image->piece, image->pieces * sizeof(struct na_image_piece));

	return head ^ (table << 1 | table >> 63);
}

/* The number of pieces is looked at first: the seal is over so many. */
static bool header_is_whole(const struct na_image *image)
{
	return image->magic == MAGIC && image->pieces == (image->size + NA_PIECE - 1) / NA_PIECE &&
	       header_size(image->pieces) <= bytes_of(image) && image->seal == seal_of(image);
}

static size_t piece_size(const struct na_image *image, uint32_t i)
{
	size_t at = (size_t)i * NA_PIECE;

	return image->size - at < NA_PIECE ? image->size - at : NA_PIECE;
}

static uint64_t free_all(struct na_image *image)
{
	uint64_t bytes = image->bytes;

	for (uint32_t i = 0; i < image->pieces; i++)
		if (image->piece[i].payload)
			na_image_give(image->piece[i].payload);
	na_image_give(image);
	return bytes;
}

static bool shrinks(uint64_t bytes, uint64_t from)
{
	return bytes * NA_IMAGE_GAIN_NUMERATOR <= from * NA_IMAGE_GAIN_DENOMINATOR;
}

/* The hash of all parts up to one, from that of all before it. */
static struct na_hash128 hash_on(struct na_hash128 before, const char *part, size_t size)
{
	struct na_hash128 both[2] = { before, na_hash128(part, size) };

	return na_hash128(both, sizeof(both));
}

static bool may_go_on(const struct na_breath *breath)
{
	return !breath || breath->go_on(breath->closure);
}

static int add_piece(struct na_workspace *w, const struct na_pool *home, struct na_plan *plan, struct na_image *image,
		     uint32_t i, const char *block)
{
	struct na_image_piece *piece = &image->piece[i];
	const void *payload =
		na_piece_compress(w, plan, block + (size_t)i * NA_PIECE, piece_size(image, i), &piece->code);

	piece->payload = na_image_room(home, piece->code.length);
	if (!piece->payload)
		return -ENOMEM;
	memcpy(piece->payload, payload, piece->code.length);
	image->bytes += bytes_of(piece->payload);
	return 0;
}

/* How long it has gone on, and what a piece takes (a running mean). */
struct pace {
	uint64_t since, last, piece;
};

static bool another_fits(struct pace *p)
{
	uint64_t now = na_os_now_ns(), took = now - p->last;

	p->piece = p->piece ? (3 * p->piece + took) / 4 : took;
	p->last = now;
	return now - p->since + p->piece <= NA_IMAGE_SLICE_NS;
}

/* A workspace's lock comes after all that who is asked may take. */
static int rest(struct na_workspace **w, const struct na_breath *breath, struct pace *p)
{
	bool on;

	na_workspace_give(*w);
	on = may_go_on(breath);
	*w = na_workspace_take();
	p->since = p->last = na_os_now_ns();
	return on ? 0 : -EAGAIN;
}

/* The hash goes on when the part, or the block, is at its end. */
static void hash_part(struct na_image *image, const char *block, uint32_t i, uint64_t so_far)
{
	size_t at = (size_t)(i / PART_PIECES) * NA_IMAGE_PART;

	if ((i + 1) % PART_PIECES == 0 || i + 1 == image->pieces)
		image->contents = hash_on(image->contents, block + at, so_far - at);
}

static int add_pieces(struct na_workspace **w, const struct na_pool *home, struct na_plan *plan, struct na_image *image,
		      const char *block, const struct na_breath *breath, struct pace *pace)
{
	uint64_t length = header_size(image->pieces);
	int rc;

	for (uint32_t i = 0; i < image->pieces; i++) {
		uint64_t so_far = (uint64_t)i * NA_PIECE + piece_size(image, i);

		rc = i && breath && !another_fits(pace) ? rest(w, breath, pace) : 0;
		if (rc == 0)
			rc = add_piece(*w, home, plan, image, i, block);
		if (rc < 0)
			return rc;
		hash_part(image, block, i, so_far);
		length += image->piece[i].code.length;
		/* Not worth going on; in the end, not worth keeping. */
		if ((i < SURE && i + 1 < image->pieces && length * 10 > so_far * 9) ||
		    ((i + 1) % SURE == 0 && i >= SURE && !shrinks(length * 7 / 8, so_far)))
			return -ENODATA;
	}
	return shrinks(length, image->size) && shrinks(image->bytes, image->size) ? 0 : -ENODATA;
}

static int make(struct na_workspace **w, const struct na_pool *home, const void *block, size_t size,
		const struct na_effort *effort, const struct na_breath *breath, uint64_t began, struct na_image **out)
{
	struct pace pace = { .since = began, .last = began };
	uint32_t pieces = (uint32_t)((size + NA_PIECE - 1) / NA_PIECE);
	struct na_image *image;
	struct na_plan plan;
	int rc;

	na_plan_make(*w, &plan, effort, block, size);
	if (!na_plan_promises(&plan))
		return -ENODATA;
	image = na_image_room(home, header_size(pieces));
	if (!image)
		return -ENOMEM;
	memset(image, 0, header_size(pieces));
	*image = (struct na_image){ .magic = MAGIC, .size = size, .pieces = pieces, .bytes = bytes_of(image) };
	rc = add_pieces(w, home, &plan, image, block, breath, &pace);
	if (rc < 0) {
		free_all(image);
		return rc;
	}
	image->seal = seal_of(image);
	*out = image;
	return 0;
}

int na_image_make(const struct na_pool *home, const void *block, size_t size, const struct na_effort *effort,
		  const struct na_breath *breath, struct na_image **out)
{
	uint64_t began = na_os_now_ns();
	struct na_workspace *w;
	int rc;

	if (size == 0 || size >> 46)
		return -ENODATA;
	w = na_workspace_take();
	rc = make(&w, home, block, size, effort, breath, began, out);
	na_workspace_give(w);
	na_image_count_made(rc ? 0 : (*out)->pieces, na_os_now_ns() - began);
	if (rc == -ENODATA)
		na_image_count_vain(size);
	if (rc == 0)
		na_image_count(1, (int64_t)size, (int64_t)(*out)->bytes);
	return rc;
}

void na_image_report(const void *of, size_t size)
{
	count(&damaged, 1);
	na_log(NA_LOG_ERROR, "the compressed image of a block of %zu bytes is damaged (%p): its contents are lost",
	       size, of);
	na_cache_note_corruption();
}

static int damage(struct na_image *image)
{
	if (!__atomic_exchange_n(&image->reported, 1, __ATOMIC_RELAXED))
		na_image_report(image, image->size);
	return -EBADMSG;
}

static int restore_piece(struct na_workspace *w, const struct na_image *image, uint32_t i, void *to)
{
	const struct na_image_piece *piece = &image->piece[i];

	if (!piece->payload || piece->code.original != piece_size(image, i) ||
	    piece->code.length > bytes_of(piece->payload))
		return -EBADMSG;
	return na_piece_restore(w, &piece->code, piece->payload, to);
}

static int restore(struct na_image *image, uint32_t from, uint32_t count_, char *to)
{
	uint64_t began = na_os_now_ns();
	struct na_workspace *w;
	int rc = 0;

	if (!header_is_whole(image) || from + count_ > image->pieces)
		return damage(image);
	w = na_workspace_take();
	for (uint32_t i = 0; rc == 0 && i < count_; i++)
		rc = restore_piece(w, image, from + i, to + (size_t)i * NA_PIECE);
	na_workspace_give(w);
	na_image_count_restored(rc ? 0 : count_, na_os_now_ns() - began);
	return rc ? damage(image) : 0;
}

int na_image_restore(struct na_image *image, void *to)
{
	return restore(image, 0, image->pieces, to);
}

int na_image_restore_piece(struct na_image *image, uint32_t i, void *to)
{
	return restore(image, i, 1, to);
}

int na_image_is_of(const struct na_image *image, const void *block, size_t size, const struct na_breath *breath)
{
	struct na_hash128 now = { 0, 0 };

	if (!header_is_whole(image) || image->size != size)
		return 0;
	for (size_t at = 0; at < size; at += NA_IMAGE_PART) {
		if (at && !may_go_on(breath))
			return -EAGAIN;
		now = hash_on(now, (const char *)block + at, size - at < NA_IMAGE_PART ? size - at : NA_IMAGE_PART);
	}
	return now.low == image->contents.low && now.high == image->contents.high;
}

int na_image_check(const struct na_image *image)
{
	if (!header_is_whole(image))
		return -EBADMSG;
	for (uint32_t i = 0; i < image->pieces; i++) {
		const struct na_image_piece *piece = &image->piece[i];

		if (!piece->payload || piece->code.length > bytes_of(piece->payload) ||
		    na_piece_check(&piece->code, piece->payload) < 0)
			return -EBADMSG;
	}
	return 0;
}

uint64_t na_image_drop(struct na_image *image)
{
	if (!image)
		return 0;
	if (!header_is_whole(image)) {
		damage(image);
		return 0;
	}
	na_image_count(-1, -(int64_t)image->size, -(int64_t)image->bytes);
	return free_all(image);
}

void na_image_count(int64_t images_, int64_t original_, int64_t compressed_)
{
	count(&images, (uint64_t)images_);
	count(&original, (uint64_t)original_);
	count(&compressed, (uint64_t)compressed_);
}

void na_image_count_made(uint64_t pieces, uint64_t ns)
{
	count(&made, pieces);
	count(&compress_ns, ns);
}

void na_image_count_restored(uint64_t pieces, uint64_t ns)
{
	count(&restored, pieces);
	count(&restore_ns, ns);
}

void na_image_count_unchanged(uint64_t pieces)
{
	count(&unchanged, pieces);
}

void na_image_count_vain(uint64_t size)
{
	count(&vain, 1);
	count(&vain_size, size);
}

void na_image_figures(struct na_image_figures *out)
{
	*out = (struct na_image_figures){
		.images = read_counter(&images),
		.original = read_counter(&original),
		.compressed = read_counter(&compressed),
		.made = read_counter(&made),
		.restored = read_counter(&restored),
		.dropped_unchanged = read_counter(&unchanged),
		.incompressible = read_counter(&vain),
		.incompressible_size = read_counter(&vain_size),
		.compress_ns = read_counter(&compress_ns),
		.restore_ns = read_counter(&restore_ns),
		.damaged = read_counter(&damaged),
	};
}
