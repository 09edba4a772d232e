/* SPDX-License-Identifier: BSD-3-Clause */
/* Parsing of the option table; see options.h. Uses no stdio and no locale: it runs before both. */
#include "base/options.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "config.h"

struct na_options na_options = {
#define NA_OPTION(id, env, kind, def, least, most, text) .id = def,
#include "base/options.def"
#undef NA_OPTION
};

#define NA_TEXT_SIZE(def)	#def
#define NA_TEXT_COUNT(def)	#def
#define NA_TEXT_RATIO(def)	#def
#define NA_TEXT_SWITCH(def)	#def
#define NA_TEXT_PAGES(def)	#def
#define NA_TEXT_LEVEL(def)	#def
#define NA_TEXT_FALLBACK(def)	"none" /* the one that is 0 */
#define NA_TEXT_KERNELS(def)	"auto" /* likewise */
#define NA_TEXT_CONCURRENT(def) "off"
#define NA_TEXT_PATH(def)	def

const struct na_option_info na_option_table[NA_OPTION_COUNT_] = {
#define NA_OPTION(id, env, kind, def, least, most, text)                                                               \
	{ #id, env, NA_KIND_##kind, NA_TEXT_##kind(def), least, most, text },
#include "base/options.def"
#undef NA_OPTION
};

static bool from_environment[NA_OPTION_COUNT_];
static const char *unknown;

const char *na_options_unknown(void)
{
	return unknown;
}

bool na_option_from_environment(enum na_option_id id)
{
	return from_environment[id];
}

static int parse_number(const char **cursor, uint64_t *value)
{
	const char *s = *cursor;
	uint64_t v = 0;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return -EINVAL;
	*cursor = s;
	*value = v;
	return 0;
}

static int parse_size(const char *text, uint64_t *value)
{
	static const char units[] = "KMGT";
	uint64_t v;

	if (parse_number(&text, &v) < 0)
		return -EINVAL;
	if (*text) {
		char upper = *text >= 'a' ? (char)(*text - 32) : *text;
		const char *unit = strchr(units, upper);

		if (!unit || (text[1] && strcmp(text + 1, "iB") != 0 && strcmp(text + 1, "B") != 0))
			return -EINVAL;
		if (__builtin_mul_overflow(v, UINT64_C(1) << (10 * (unit - units + 1)), &v))
			return -EINVAL;
	}
	*value = v;
	return 0;
}

/* Thousandths from a decimal fraction; digits past the third are cut. */
static int parse_ratio(const char *text, uint64_t *value)
{
	uint64_t v = 0;
	unsigned int scale = 100;
	bool beyond = false; /* what is left over is more than nothing */

	if (*text != '.' && parse_number(&text, &v) < 0)
		return -EINVAL;
	if (v > 1000000)
		return -EINVAL;
	v *= 1000;
	if (*text == '.') {
		text++;
		if (*text < '0' || *text > '9')
			return -EINVAL;
		for (; *text >= '0' && *text <= '9'; text++, scale /= 10) {
			v += (uint64_t)(*text - '0') * scale;
			beyond |= !scale && *text != '0';
		}
	}
	if (*text)
		return -EINVAL;
	*value = v + (beyond && v >= 1000); /* 1.0001 is more than 1; 0.0001 is nothing */
	return 0;
}

static int parse_switch(const char *text, uint64_t *value)
{
	static const char *const words[] = { "0", "1", "off", "on", "no", "yes", "false", "true" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(text, words[i]) == 0) {
			*value = i & 1;
			return 0;
		}
	return -EINVAL;
}

const char *na_pages_name(uint64_t pages)
{
	static const char *const names[NA_PAGES_COUNT_] = { "0", "1", "auto", "hugetlb" };

	return pages < NA_PAGES_COUNT_ ? names[pages] : "?";
}

static int parse_pages(const char *text, uint64_t *value)
{
	for (uint64_t i = NA_PAGES_AUTO; i < NA_PAGES_COUNT_; i++)
		if (strcmp(text, na_pages_name(i)) == 0) {
			*value = i;
			return 0;
		}
	if (strcmp(text, "thp") == 0)
		text = "1";
	return parse_switch(text, value);
}

const char *na_level_name(uint64_t level)
{
	static const char *const names[NA_LEVEL_COUNT_] = { "none", "conservative", "balanced", "aggressive" };

	return level < NA_LEVEL_COUNT_ ? names[level] : "?";
}

static int parse_level(const char *text, uint64_t *value)
{
	for (uint64_t i = 0; i < NA_LEVEL_COUNT_; i++)
		if (strcmp(text, na_level_name(i)) == 0) {
			*value = i;
			return 0;
		}
	return parse_number(&text, value) < 0 || *text ? -EINVAL : 0;
}

const char *na_fallback_name(uint64_t fallback)
{
	static const char *const names[NA_FALLBACK_COUNT_] = { "none", "system", "node" };

	return fallback < NA_FALLBACK_COUNT_ ? names[fallback] : "?";
}

static int parse_fallback(const char *text, uint64_t *value)
{
	for (uint64_t i = 0; i < NA_FALLBACK_COUNT_; i++)
		if (strcmp(text, na_fallback_name(i)) == 0) {
			*value = i;
			return 0;
		}
	return -EINVAL;
}

const char *na_kernels_name(uint64_t variant)
{
	static const char *const names[NA_KERNELS_COUNT_] = { "auto", "portable", "avx2", "avx512", "sve" };

	return variant < NA_KERNELS_COUNT_ ? names[variant] : "?";
}

static int parse_kernels(const char *text, uint64_t *value)
{
	for (uint64_t i = 0; i < NA_KERNELS_COUNT_; i++)
		if (strcmp(text, na_kernels_name(i)) == 0) {
			*value = i;
			return 0;
		}
	return -EINVAL;
}

const char *na_concurrent_name(uint64_t way)
{
	static const char *const names[NA_CONCURRENT_COUNT_] = { "off", "auto", "move", "userfaultfd", "mprotect" };

	return way < NA_CONCURRENT_COUNT_ ? names[way] : "?";
}

static int parse_concurrent(const char *text, uint64_t *value)
{
	for (uint64_t i = 0; i < NA_CONCURRENT_COUNT_; i++)
		if (strcmp(text, na_concurrent_name(i)) == 0) {
			*value = i;
			return 0;
		}
	return -EINVAL;
}

int na_option_parse(const struct na_option_info *info, const char *text, uint64_t *value)
{
	uint64_t v = 0;
	int rc = -EINVAL;

	switch (info->kind) {
	case NA_KIND_SIZE:
		rc = parse_size(text, &v);
		break;
	case NA_KIND_COUNT:
		rc = parse_number(&text, &v);
		if (rc == 0 && *text)
			rc = -EINVAL;
		break;
	case NA_KIND_RATIO:
		rc = parse_ratio(text, &v);
		break;
	case NA_KIND_SWITCH:
		rc = parse_switch(text, &v);
		break;
	case NA_KIND_PAGES:
		rc = parse_pages(text, &v);
		break;
	case NA_KIND_LEVEL:
		rc = parse_level(text, &v);
		break;
	case NA_KIND_FALLBACK:
		rc = parse_fallback(text, &v);
		break;
	case NA_KIND_KERNELS:
		rc = parse_kernels(text, &v);
		break;
	case NA_KIND_CONCURRENT:
		rc = parse_concurrent(text, &v);
		break;
	case NA_KIND_PATH:
		return 0;
	}
	if (rc < 0 || v < info->least || v > info->most)
		return -EINVAL;
	*value = v;
	return 0;
}

static bool needs_power_of_two(enum na_option_id id)
{
	return id == NA_OPTION_block_size || id == NA_OPTION_alignment || id == NA_OPTION_cache_line_size;
}

static bool suits(enum na_option_id id, uint64_t v)
{
	if (id == NA_OPTION_cache_line_size && v && v < 16)
		return false;
	return !needs_power_of_two(id) || (v & (v - 1)) == 0;
}

static void *field(enum na_option_id id)
{
	switch (id) {
#define NA_OPTION(id, env, kind, def, least, most, text)                                                               \
	case NA_OPTION_##id:                                                                                           \
		return &na_options.id;
#include "base/options.def"
#undef NA_OPTION
	case NA_OPTION_COUNT_:
		break;
	}
	return NULL;
}

static void complain(char *out, size_t capacity, const struct na_option_info *info, const char *text)
{
	struct na_text t = na_text_init(out, capacity);

	na_text_add(&t, info->env);
	na_text_add(&t, "=");
	na_text_add(&t, text);
	na_text_add(&t, ": ");
	switch (info->kind) {
	case NA_KIND_SWITCH:
		na_text_add(&t, "must be 0 or 1 (or off/on, no/yes, false/true)");
		break;
	case NA_KIND_PAGES:
		na_text_add(&t, "must be 0 or 1 (or off/on, no/yes, false/true, thp), auto, or hugetlb");
		break;
	case NA_KIND_LEVEL:
		na_text_add(&t, "must be none, conservative, balanced or aggressive (or 0 to 3)");
		break;
	case NA_KIND_FALLBACK:
		na_text_add(&t, "must be none, system or node");
		break;
	case NA_KIND_KERNELS:
		na_text_add(&t, "must be auto, portable, avx2, avx512 or sve");
		break;
	case NA_KIND_CONCURRENT:
		na_text_add(&t, "must be off, auto, move, userfaultfd or mprotect");
		break;
	case NA_KIND_RATIO:
		na_text_add(&t, "must be a fraction above 0, up to 1");
		break;
	default:
		na_text_add(&t, "must be from ");
		na_text_add_number(&t, info->least);
		na_text_add(&t, " to ");
		na_text_add_number(&t, info->most);
		if (info->kind == NA_KIND_SIZE)
			na_text_add(&t, ", with K, M, G or T for powers of 1024");
		if (needs_power_of_two((enum na_option_id)(info - na_option_table)))
			na_text_add(&t, info == &na_option_table[NA_OPTION_cache_line_size]
						? ", and a power of two from 16"
						: ", and a power of two");
	}
}

static bool known_variable(const char *name, size_t length)
{
	for (size_t i = 0; i < NA_OPTION_COUNT_; i++)
		if (strlen(na_option_table[i].env) == length && memcmp(na_option_table[i].env, name, length) == 0)
			return true;
	return false;
}

int na_options_load(char *complaint, size_t capacity)
{
	int rc = 0;

	if (!environ)
		return 0;
	for (char **e = environ; *e; e++) {
		const char *equals = strchr(*e, '=');
		size_t length = equals ? (size_t)(equals - *e) : 0;

		if (length < 9 || memcmp(*e, "NUMARENA_", 9) != 0)
			continue;
		if (!known_variable(*e, length)) {
			unknown = *e;
			continue;
		}
		for (size_t i = 0; i < NA_OPTION_COUNT_; i++) {
			const struct na_option_info *info = &na_option_table[i];
			uint64_t v = 0;

			if (strlen(info->env) != length || memcmp(info->env, *e, length) != 0)
				continue;
			if (na_option_parse(info, equals + 1, &v) < 0 || !suits((enum na_option_id)i, v)) {
				if (rc == 0 && complaint)
					complain(complaint, capacity, info, equals + 1);
				rc = -EINVAL;
				continue;
			}
			if (info->kind == NA_KIND_PATH)
				*(const char **)field((enum na_option_id)i) = equals + 1;
			else
				*(uint64_t *)field((enum na_option_id)i) = v;
			from_environment[i] = true;
		}
	}
	return rc;
}
