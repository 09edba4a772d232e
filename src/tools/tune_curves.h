/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * numarena-info --tune: how fast some loops over far more data than the last-level cache holds are on this machine, by how far they
 * prefetch, or how many lists go at once. The same inline code as programs have. About two seconds, and five times the cache in memory,
 * which is ordinary memory of ordinary pages, touched before.
 */
#ifndef NA_TOOLS_TUNE_CURVES_H
#define NA_TOOLS_TUNE_CURVES_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define NA_CURVES 5
#define NA_POINTS 12

struct na_curve {
	const char *name, *label;
	size_t points;
	uint32_t at[NA_POINTS];	  /* the first is the plain loop: 0, or 1 list */
	double ns[NA_POINTS];	  /* an element, median of rounds */
	double spread[NA_POINTS]; /* of the rounds: (highest - lowest) / median */
};

struct na_curves {
	struct na_curve curve[NA_CURVES];
	size_t bytes, cache; /* ranged over; of the last level */
	uint32_t latency_ns;
	char cpu[256];
};

/* 0, or -ENOMEM. */
int na_curves_measure(struct na_curves *out);

void na_curves_print(const struct na_curves *curves, FILE *out);
void na_curves_svg(const struct na_curves *curves, FILE *out);

#endif
