/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/schema.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "report/report.h"

#define DEPTH 64

struct check {
	json_t *root;
	char *complaint;
	size_t capacity;
	const char *keys[DEPTH]; /* the place: member names, or NULL for an array's element */
	size_t indices[DEPTH];
	size_t depth;
};

static int apply(struct check *c, json_t *schema, json_t *v);

static int fail(struct check *c, int rc, const char *what, json_t *of)
{
	char *shown = of ? json_dumps(of, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
	size_t n = 0;

	for (size_t i = 0; i < c->depth && n < c->capacity; i++) {
		size_t room = c->capacity - n;
		int w = c->keys[i] ? snprintf(c->complaint + n, room, "/%s", c->keys[i])
				   : snprintf(c->complaint + n, room, "/%zu", c->indices[i]);

		n += w > 0 ? (size_t)w : 0;
	}
	if (n < c->capacity)
		snprintf(c->complaint + n, c->capacity - n, "%s: %s%.120s", c->depth ? "" : "/", what,
			 shown ? shown : "");
	free(shown);
	return rc;
}

static int enter(struct check *c, const char *key, size_t index, json_t *schema, json_t *v)
{
	int rc;

	if (c->depth == DEPTH)
		return fail(c, -EINVAL, "nested too deeply", NULL);
	c->keys[c->depth] = key;
	c->indices[c->depth++] = index;
	rc = apply(c, schema, v);
	c->depth--;
	return rc;
}

static int has_type(const char *type, json_t *v)
{
	static const struct {
		const char *name;
		json_type type;
	} table[] = { { "object", JSON_OBJECT },
		      { "array", JSON_ARRAY },
		      { "string", JSON_STRING },
		      { "integer", JSON_INTEGER },
		      { "null", JSON_NULL } };

	if (strcmp(type, "boolean") == 0)
		return json_is_boolean(v);
	if (strcmp(type, "number") == 0)
		return json_is_number(v);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(type, table[i].name) == 0)
			return json_typeof(v) == table[i].type;
	return 0;
}

static int check_type(struct check *c, json_t *type, json_t *v)
{
	size_t i;
	json_t *one;

	if (json_is_string(type))
		return has_type(json_string_value(type), v) ? 0 : fail(c, -EINVAL, "must be of type ", type);
	json_array_foreach(type, i, one) if (json_is_string(one) && has_type(json_string_value(one), v)) return 0;
	return fail(c, -EINVAL, "must be of one of the types ", type);
}

static int check_enum(struct check *c, json_t *allowed, json_t *v)
{
	size_t i;
	json_t *one;

	json_array_foreach(allowed, i, one) if (json_equal(one, v)) return 0;
	return fail(c, -EINVAL, "must be one of ", allowed);
}

static int check_properties(struct check *c, json_t *properties, json_t *v)
{
	const char *key;
	json_t *schema, *member;
	int rc;

	if (!json_is_object(v))
		return 0;
	json_object_foreach(properties, key, schema)
	{
		member = json_object_get(v, key);
		rc = member ? enter(c, key, 0, schema, member) : 0;
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int check_required(struct check *c, json_t *required, json_t *v)
{
	size_t i;
	json_t *name;

	if (!json_is_object(v))
		return 0;
	json_array_foreach(required, i, name) if (!json_object_get(v, json_string_value(name))) return fail(
		c, -EINVAL, "lacks the member ", name);
	return 0;
}

static int check_additional(struct check *c, json_t *schema, json_t *v)
{
	json_t *properties = json_object_get(schema, "properties"), *member;
	const char *key;
	char what[160];

	if (!json_is_object(v) || !json_is_false(json_object_get(schema, "additionalProperties")))
		return 0;
	json_object_foreach(v, key, member) if (!json_object_get(properties, key))
	{
		snprintf(what, sizeof(what), "has a member that the schema does not know: \"%.100s\"", key);
		return fail(c, -EINVAL, what, NULL);
	}
	return 0;
}

static int check_items(struct check *c, json_t *schema, json_t *v)
{
	size_t i;
	json_t *one;
	int rc;

	json_array_foreach(v, i, one)
	{ /* nothing, if v is no array */
		rc = enter(c, NULL, i, schema, one);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int check_any(struct check *c, json_t *schemas, json_t *v)
{
	size_t i;
	json_t *one;
	int rc = -EINVAL;

	json_array_foreach(schemas, i, one)
	{
		rc = apply(c, one, v);
		if (rc == 0 || rc == -ENOTSUP)
			return rc;
	}
	return rc;
}

static int check_ref(struct check *c, json_t *ref, json_t *v)
{
	static const char prefix[] = "#/$defs/";
	const char *name = json_string_value(ref);
	json_t *target = NULL;

	if (name && strncmp(name, prefix, sizeof(prefix) - 1) == 0)
		target = json_object_get(json_object_get(c->root, "$defs"), name + sizeof(prefix) - 1);
	if (!target)
		return fail(c, -ENOTSUP, "the schema refers to what it does not define: ", ref);
	return apply(c, target, v);
}

static int check_keyword(struct check *c, json_t *schema, const char *key, json_t *arg, json_t *v)
{
	static const char *const notes[] = { "$schema", "$id", "title", "description", "$defs" };

	if (strcmp(key, "type") == 0)
		return check_type(c, arg, v);
	if (strcmp(key, "const") == 0)
		return json_equal(arg, v) ? 0 : fail(c, -EINVAL, "must be ", arg);
	if (strcmp(key, "enum") == 0)
		return check_enum(c, arg, v);
	if (strcmp(key, "minimum") == 0)
		return json_is_number(v) && json_number_value(v) < json_number_value(arg)
			       ? fail(c, -EINVAL, "must be at least ", arg)
			       : 0;
	if (strcmp(key, "maximum") == 0)
		return json_is_number(v) && json_number_value(v) > json_number_value(arg)
			       ? fail(c, -EINVAL, "must be at most ", arg)
			       : 0;
	if (strcmp(key, "properties") == 0)
		return check_properties(c, arg, v);
	if (strcmp(key, "required") == 0)
		return check_required(c, arg, v);
	if (strcmp(key, "additionalProperties") == 0 && json_is_boolean(arg))
		return check_additional(c, schema, v);
	if (strcmp(key, "items") == 0)
		return check_items(c, arg, v);
	if (strcmp(key, "anyOf") == 0)
		return check_any(c, arg, v);
	if (strcmp(key, "$ref") == 0)
		return check_ref(c, arg, v);
	for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++)
		if (strcmp(key, notes[i]) == 0)
			return 0;
	return fail(c, -ENOTSUP,
		    "the schema has a keyword that cannot be checked here: ", json_object_get(schema, key));
}

static int apply(struct check *c, json_t *schema, json_t *v)
{
	const char *key;
	json_t *arg;
	int rc;

	if (!json_is_object(schema))
		return fail(c, -ENOTSUP, "the schema is not an object here: ", schema);
	json_object_foreach(schema, key, arg)
	{
		rc = check_keyword(c, schema, key, arg, v);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int na_schema_check(json_t *schema, json_t *document, char *complaint, size_t capacity)
{
	struct check c = { .root = schema, .complaint = complaint, .capacity = capacity };

	return apply(&c, schema, document);
}

int na_report_validate(const char *path, char *complaint, size_t capacity)
{
	char where[400];
	json_error_t error;
	json_t *schema = json_loads(na_schema_text, 0, &error), *document;
	int rc;

	if (!schema) {
		snprintf(complaint, capacity, "the schema itself: line %d: %s", error.line, error.text);
		return -ENOTSUP;
	}
	document = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	if (!document) {
		if (error.line > 0)
			snprintf(complaint, capacity, "%s: line %d: %s", path, error.line, error.text);
		else
			snprintf(complaint, capacity, "%s", error.text); /* "unable to open PATH: why" */
		json_decref(schema);
		return -EINVAL;
	}
	rc = na_schema_check(schema, document, where, sizeof(where));
	if (rc < 0)
		snprintf(complaint, capacity, "%s: at %s", path, where);
	json_decref(document);
	json_decref(schema);
	return rc;
}
