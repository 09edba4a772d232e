/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Holding a JSON document against a JSON Schema: the part of draft 2020-12 that our schema uses, which is type, const,
 * enum, minimum, maximum, properties, required, additionalProperties (false), items, anyOf and $ref to
 * #/$defs. A schema with any other keyword is refused, so that nothing in the contract goes unchecked.
 *
 * In the tools only, not in the core. Allocates; one thread.
 */
#ifndef NA_REPORT_SCHEMA_H
#define NA_REPORT_SCHEMA_H

#include <jansson.h>
#include <stddef.h>

/* 0; -EINVAL: the document breaks the schema; -ENOTSUP: the schema itself is beyond us. The complaint names the
 * place, as "/job/metrics/peak_bytes/total: ...". */
int na_schema_check(json_t *schema, json_t *document, char *complaint, size_t capacity);

/* The schema of report.json, as installed. */
extern const char na_schema_text[];

#endif
