/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames whose pages lie on another node than their pool's: the kernel moved them, or the node was full when they were written. A page that is mapped more than once is
 * moved by MPOL_MF_MOVE_ALL alone, which takes CAP_SYS_NICE. So the contents are written to another place in the file, whose policy chooses the node, and all units are
 * mapped there: as two frames become one. Whole passes of merging at rest only, on machines of several nodes. Under na_merging_lock; the class's spans are claimed.
 *
 * A page that nobody has touched through its host's addresses is not looked at.
 *
 * Where the node still has no room, the first frame that does not come home ends it for this pass.
 *
 * Cost: a page is asked about in 0.2 us; a frame that moves is a write and a mapping for each of its units.
 */
#include <errno.h>
#include <string.h>

#include "cache/pairing.h"
#include "os/os.h"
#include "pool/frames.h"
#include "pool/nodes.h"

#define CHUNK 512 /* pages a call */

struct chunk {
	void *pages[CHUNK];
	int status[CHUNK];
	struct na_frame *frame[CHUNK]; /* of each page */
	size_t count;
	bool full; /* the node: no more are tried */
};

static void compose(struct na_pack *w, const struct na_frame *frame)
{
	memset(w->page, 0, w->unit_bytes);
	for (const struct na_unit *u = frame->units; u; u = u->next)
		na_pair_copy(w, w->page, u->of->span, u->index, na_pair_unit_at(w, u));
}

static int move_home(struct na_pack *w, struct na_frame *from)
{
	struct na_frame *to = na_pair_make_frame(w);
	int rc;

	if (!to)
		return -ENOMEM;
	compose(w, from);
	rc = na_frames_write(w->c->pool, w->page, w->unit_bytes, &to->at);
	if (rc < 0) {
		na_arena_give(&w->c->pool->arena, to, sizeof(*to));
		return rc;
	}
	na_merge_count(&na_merge_figures.frame_bytes, w->unit_bytes);
	rc = na_runs_move_frame(w, to, from);
	if (!to->mapped)
		na_merge_end_frame(w->c, to);
	return rc;
}

static bool is_home(const struct na_pack *w, const void *page)
{
	void *pages[1] = { (void *)(uintptr_t)page };
	int status = -1;

	(void)*(volatile const char *)page;
	return na_os.locate(pages, &status, 1) == 0 && status == w->c->pool->node;
}

static int look(struct na_pack *w, struct chunk *chunk)
{
	size_t per = w->unit_bytes / NA_PAGE;
	int rc = chunk->count ? na_os.locate(chunk->pages, chunk->status, chunk->count) : 0;

	if (rc < 0) /* where the kernel does not tell there is nothing to be done */
		chunk->full = true;
	for (size_t i = 0; i < chunk->count && !chunk->full; i += per) {
		struct na_frame *frame = chunk->frame[i];
		bool away = false;

		for (size_t k = i; k < i + per; k++)
			away |= chunk->status[k] >= 0 && chunk->status[k] != w->c->pool->node;
		if (!away || !na_pair_has_mappings(w, 2 * (uint64_t)frame->count))
			continue;
		rc = move_home(w, frame);
		if (rc < 0)
			return rc;
		chunk->full = !is_home(w, chunk->pages[i]);
	}
	chunk->count = 0;
	return 0;
}

static void add(const struct na_pack *w, struct chunk *chunk, const struct na_unit *host)
{
	char *at = na_pair_unit_at(w, host);

	for (uint32_t done = 0; done < w->unit_bytes; done += NA_PAGE) {
		chunk->frame[chunk->count] = host->frame;
		chunk->pages[chunk->count++] = at + done;
	}
}

int na_rehome(struct na_pack *w)
{
	struct chunk chunk;
	int rc = 0;

	chunk.count = 0;
	chunk.full = na_pool_count < 2 || w->unit_bytes > CHUNK * NA_PAGE;
	for (uint32_t i = 0; i < w->span_count && !chunk.full && rc == 0; i++) {
		const struct na_merge *m = na_span_merge(w->spans[i]);

		for (uint32_t k = 0; m && m->per == w->per && k < w->units && rc == 0; k++) {
			const struct na_unit *u = &m->unit[k];

			if (!u->frame || u->frame->host != u || u->frame->empty ||
			    na_pair_is_lost(w, w->spans[i], k, u->frame))
				continue;
			if (chunk.count + w->unit_bytes / NA_PAGE > CHUNK)
				rc = look(w, &chunk);
			/* Whoever was host of it may be host of another frame now. */
			if (rc == 0 && u->frame->host == u)
				add(w, &chunk, u);
		}
	}
	return rc == 0 && !chunk.full ? look(w, &chunk) : rc;
}
