/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names for the frames of a profile, found when it is written and not before: the objects that the program has loaded,
 * and the function of each address, by the dynamic linker's table, or by the file's own where that has static functions, or
 * a program that exports none.
 *
 * Addresses are those of the calls, one less than what a frame returns to. Memory is mapped, the heap is not used. One
 * thread; not inside malloc.
 */
#ifndef NA_TRACKING_LOCATIONS_H
#define NA_TRACKING_LOCATIONS_H

#include <stddef.h>
#include <stdint.h>

#include "tracking/sample.h"

#define NA_OBJECTS 256 /* with code; later ones' frames have no file */

struct na_object {
	uintptr_t from, to; /* its code */
	uintptr_t base;	    /* what the file's addresses are relative to */
	uint64_t offset;    /* of the code in the file */
	char path[400];
	char build_id[65]; /* in hex; "" if there is none */
};

struct na_location {
	uintptr_t at;
	const char *name; /* NULL: unknown */
	uint32_t object;  /* 1 is the first; 0: none */
};

struct na_locations {
	struct na_location *all; /* ascending, each once */
	size_t count;
	struct na_object *objects;
	size_t object_count;
	size_t bytes; /* mapped, at `all`; objects lie behind */
	struct {
		void *data;
		size_t size;
	} files[NA_OBJECTS]; /* mapped while names point into them */
};

/* 0 or -ENOMEM. */
int na_locations_find(struct na_locations *l, const struct na_sample_site *sites, size_t n);
void na_locations_close(struct na_locations *l);

/* The place in `all` of a frame of one of the sites. */
size_t na_locations_of(const struct na_locations *l, uintptr_t frame);

/* The name, or "object+0x1234"; always terminated. */
void na_location_name(const struct na_locations *l, size_t i, char *out, size_t capacity);

#endif
