/* SPDX-License-Identifier: BSD-3-Clause */
#include "tracking/profile.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "os/os.h"
#include "tracking/locations.h"
#include "tracking/sample.h"
#include "tracking/writer.h"

/* A snapshot of all sites, with names. */
struct profile {
	struct na_sample_site *sites;
	size_t count, bytes;
	struct na_locations places;
};

/* More may come while we ask: those are of another time. */
static int open_profile(struct profile *p)
{
	size_t room = na_sample_sites(NULL, 0);
	void *memory;
	int rc;

	p->bytes = (room * sizeof(*p->sites) + NA_PAGE) & ~(NA_PAGE - 1);
	rc = na_os.map(NULL, p->bytes, &memory);
	if (rc < 0)
		return rc;
	p->sites = memory;
	p->count = na_sample_sites(p->sites, room);
	if (p->count > room)
		p->count = room;
	rc = na_locations_find(&p->places, p->sites, p->count);
	if (rc < 0)
		na_os.unmap(p->sites, p->bytes);
	return rc;
}

static void close_profile(struct profile *p)
{
	na_locations_close(&p->places);
	na_os.unmap(p->sites, p->bytes);
}

/* ---- folded stacks ---- */

static uint64_t bytes_in(const struct na_sample_values *v, enum na_profile_view view)
{
	return view == NA_PROFILE_LIVE ? v->live_bytes : view == NA_PROFILE_PEAK ? v->peak_bytes : v->total_bytes;
}

/* A semicolon ends a frame, and the last blank the stack. */
static void put_frame(struct na_writer *w, const struct profile *p, uintptr_t frame)
{
	char name[1024];

	na_location_name(&p->places, na_locations_of(&p->places, frame), name, sizeof(name));
	for (char *c = name; *c; c++)
		if (*c == ';' || *c == ' ' || *c == '\n')
			*c = '_';
	na_writer_text(w, name);
}

static void put_folded(struct na_writer *w, const struct profile *p, enum na_profile_view view)
{
	char number[32];

	for (size_t i = 0; i < p->count; i++) {
		const struct na_sample_site *s = &p->sites[i];
		uint64_t bytes = bytes_in(&s->values, view);

		if (!bytes)
			continue;
		if (!s->depth)
			na_writer_text(w, "[no_stack]");
		for (uint32_t k = s->depth; k-- > 0;) {
			put_frame(w, p, s->frames[k]);
			if (k)
				na_writer_put(w, ";", 1);
		}
		na_format(number, sizeof(number), " %llu\n", (unsigned long long)bytes);
		na_writer_text(w, number);
	}
}

/* ---- pprof ----
 * Messages and their fields' numbers are those of pprof's proto/profile.proto. Parts of a message may come in any order, so a
 * string goes out when it is first needed. */

enum { VARINT = 0, BYTES = 2 };
enum {
	P_SAMPLE_TYPE = 1,
	P_SAMPLE,
	P_MAPPING,
	P_LOCATION,
	P_FUNCTION,
	P_STRING,
	P_TIME = 9,
	P_PERIOD_TYPE = 11,
	P_PERIOD,
	P_DEFAULT = 14
};

/* A message within the profile; the largest is a sample of 48 frames. */
struct message {
	size_t used;
	unsigned char data[1024];
};

static void varint(struct message *m, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		m->data[m->used++] = (unsigned char)(v | 0x80);
	m->data[m->used++] = (unsigned char)v;
}

static void field(struct message *m, unsigned int number, uint64_t v)
{
	varint(m, number << 3 | VARINT);
	varint(m, v);
}

static void nest(struct message *m, unsigned int number, const struct message *inner)
{
	varint(m, number << 3 | BYTES);
	varint(m, inner->used);
	memcpy(m->data + m->used, inner->data, inner->used);
	m->used += inner->used;
}

static void put_bytes(struct na_writer *w, unsigned int number, const void *data, size_t length)
{
	struct message head = { 0 };

	varint(&head, number << 3 | BYTES);
	varint(&head, length);
	na_writer_put(w, head.data, head.used);
	na_writer_put(w, data, length);
}

static void put_message(struct na_writer *w, unsigned int number, const struct message *m)
{
	put_bytes(w, number, m->data, m->used);
}

static void put_number(struct na_writer *w, unsigned int number, uint64_t v)
{
	struct message m = { 0 };

	field(&m, number, v);
	na_writer_put(w, m.data, m.used);
}

/* The next place in the table of strings is *strings. */
static uint64_t put_string(struct na_writer *w, uint64_t *strings, const char *s)
{
	put_bytes(w, P_STRING, s, strlen(s));
	return (*strings)++;
}

static void put_value_type(struct na_writer *w, unsigned int number, uint64_t type, uint64_t unit)
{
	struct message m = { 0 };

	field(&m, 1, type);
	field(&m, 2, unit);
	put_message(w, number, &m);
}

static void put_types(struct na_writer *w, uint64_t *strings, enum na_profile_view view)
{
	static const char *const names[] = { "alloc_objects", "alloc_space",  "inuse_objects",
					     "inuse_space",   "peak_objects", "peak_space" };
	static const unsigned int defaults[] = { [NA_PROFILE_LIVE] = 3, [NA_PROFILE_PEAK] = 5, [NA_PROFILE_TOTAL] = 1 };
	uint64_t count, bytes, type[6];

	put_string(w, strings, ""); /* as the format wants it */
	count = put_string(w, strings, "count");
	bytes = put_string(w, strings, "bytes");
	for (size_t i = 0; i < 6; i++) {
		type[i] = put_string(w, strings, names[i]);
		put_value_type(w, P_SAMPLE_TYPE, type[i], i % 2 ? bytes : count);
	}
	put_value_type(w, P_PERIOD_TYPE, put_string(w, strings, "space"), bytes);
	put_number(w, P_DEFAULT, type[defaults[view]]);
}

static void put_objects(struct na_writer *w, uint64_t *strings, const struct na_locations *l)
{
	for (size_t i = 0; i < l->object_count; i++) {
		const struct na_object *o = &l->objects[i];
		struct message m = { 0 };

		field(&m, 1, i + 1);
		field(&m, 2, o->from);
		field(&m, 3, o->to);
		field(&m, 4, o->offset);
		field(&m, 5, put_string(w, strings, o->path));
		if (o->build_id[0])
			field(&m, 6, put_string(w, strings, o->build_id));
		put_message(w, P_MAPPING, &m);
	}
}

/* With a function of its own, numbered alike: pprof joins those of one name. */
static void put_location(struct na_writer *w, uint64_t *strings, uint64_t id, const struct na_location *at,
			 const char *name)
{
	struct message m = { 0 }, line = { 0 }, function = { 0 };
	uint64_t string;

	field(&m, 1, id);
	if (at && at->object)
		field(&m, 2, at->object);
	if (at)
		field(&m, 3, at->at);
	if (name) {
		string = put_string(w, strings, name);
		field(&function, 1, id);
		field(&function, 2, string);
		field(&function, 3, string);
		put_message(w, P_FUNCTION, &function);
		field(&line, 1, id);
		nest(&m, 4, &line);
	}
	put_message(w, P_LOCATION, &m);
}

static void put_sample(struct na_writer *w, const struct profile *p, const struct na_sample_site *s)
{
	struct message m = { 0 }, ids = { 0 }, values = { 0 };

	for (uint32_t k = 0; k < s->depth; k++)
		varint(&ids, na_locations_of(&p->places, s->frames[k]) + 1);
	if (!s->depth)
		varint(&ids, p->places.count + 1);
	varint(&values, s->values.total_blocks);
	varint(&values, s->values.total_bytes);
	varint(&values, s->values.live_blocks);
	varint(&values, s->values.live_bytes);
	varint(&values, s->values.peak_blocks);
	varint(&values, s->values.peak_bytes);
	nest(&m, 1, &ids);
	nest(&m, 2, &values);
	put_message(w, P_SAMPLE, &m);
}

static void put_pprof(struct na_writer *w, const struct profile *p, enum na_profile_view view)
{
	const struct na_locations *l = &p->places;
	struct na_sample_summary summary;
	uint64_t strings = 0;

	put_types(w, &strings, view);
	put_objects(w, &strings, l);
	for (size_t i = 0; i < l->count; i++)
		put_location(w, &strings, i + 1, &l->all[i], l->all[i].name);
	put_location(w, &strings, l->count + 1, NULL, "[no stack]");
	for (size_t i = 0; i < p->count; i++)
		put_sample(w, p, &p->sites[i]);
	na_sample_summary(&summary);
	put_number(w, P_PERIOD, summary.mean);
	put_number(w, P_TIME, na_clock_ns(CLOCK_REALTIME));
}

static int write_profile(const char *path, const struct profile *p, enum na_profile_view view,
			 enum na_profile_format format)
{
	struct na_writer w;
	int rc = na_writer_open(&w, path);

	if (rc < 0)
		return rc;
	if (format == NA_PROFILE_FOLDED)
		put_folded(&w, p, view);
	else
		put_pprof(&w, p, view);
	return na_writer_close(&w);
}

int na_profile_write(const char *path, enum na_profile_view view, enum na_profile_format format)
{
	struct profile p;
	int rc = open_profile(&p);

	if (rc < 0)
		return rc;
	rc = write_profile(path, &p, view, format);
	close_profile(&p);
	return rc;
}

int na_profile_write_all(const char *prefix, int pid, char *path, size_t capacity)
{
	static const char *const views[] = { "live", "peak", "allocations" };
	struct profile p;
	int rc;

	na_format(path, capacity, "%s.%d.pb", prefix, pid);
	rc = open_profile(&p);
	if (rc < 0)
		return rc;
	rc = write_profile(path, &p, NA_PROFILE_LIVE, NA_PROFILE_PPROF);
	for (int view = 0; rc == 0 && view < NA_PROFILE_VIEWS_; view++) {
		na_format(path, capacity, "%s.%d.%s.folded", prefix, pid, views[view]);
		rc = write_profile(path, &p, (enum na_profile_view)view, NA_PROFILE_FOLDED);
	}
	close_profile(&p);
	return rc;
}
