/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A JSON document as text of a third to a fifth of the size, losing nothing, for the page that carries it: a list of 4,096 ranks says the
 * names of 34 figures once, and not 4,096 times. What a list of at least four becomes, recursively:
 *
 *   objects with the same members   {"$t": how many, "k": {member: list of its values, ...}}
 *   one value over and over         {"$k": value, "n": how many}
 *   whole numbers (and null)        {"$n": "1k ~ -3", "u": unit}: base 36, times the unit, a power of two; ~ is null
 *   the same, near each other       {"$d": ...}: likewise, each less the one before that is not null
 *   text (and null)                 {"$s": [each text once], "i": list of their places}, if that is shorter
 *   anything else                   itself
 *
 * No member's name begins with "$", which the schema sees to. All text is ASCII and has no <, > or &, so it may stand within HTML's
 * script element. unpack() in page/format.js is the inverse. Allocates; needs na_jansson.
 */
#ifndef NA_REPORT_PACK_H
#define NA_REPORT_PACK_H

#include <stdio.h>

#include "report/jansson_calls.h"

/* 0, or -ENOMEM. Errors of the stream are the caller's to see. */
int na_page_pack(FILE *out, json_t *value);

#endif
