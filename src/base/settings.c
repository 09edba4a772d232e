/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/settings.h"

#include "base/text.h"
#include "config.h"

#define NA_FIELD_SIZE(id)	  &na_options.id
#define NA_FIELD_COUNT(id)	  &na_options.id
#define NA_FIELD_RATIO(id)	  &na_options.id
#define NA_FIELD_SWITCH(id)	  &na_options.id
#define NA_FIELD_PAGES(id)	  &na_options.id
#define NA_FIELD_LEVEL(id)	  &na_options.id
#define NA_FIELD_FALLBACK(id)	  &na_options.id
#define NA_FIELD_KERNELS(id)	  &na_options.id
#define NA_FIELD_CONCURRENT(id)	  &na_options.id
#define NA_FIELD_PATH(id)	  NULL
#define NA_NUMBER_SIZE(def)	  def
#define NA_NUMBER_COUNT(def)	  def
#define NA_NUMBER_RATIO(def)	  def
#define NA_NUMBER_SWITCH(def)	  def
#define NA_NUMBER_PAGES(def)	  def
#define NA_NUMBER_LEVEL(def)	  def
#define NA_NUMBER_FALLBACK(def)	  def
#define NA_NUMBER_KERNELS(def)	  def
#define NA_NUMBER_CONCURRENT(def) def
#define NA_NUMBER_PATH(def)	  0

static struct {
	uint64_t *const field; /* NULL: a path */
	const uint64_t def;
	uint64_t level, program;
	bool by_level, by_program;
} values[NA_OPTION_COUNT_] = {
#define NA_OPTION(id, env, kind, def, least, most, text)                                                               \
	{ NA_FIELD_##kind(id), NA_NUMBER_##kind(def), 0, 0, false, false },
#include "base/options.def"
#undef NA_OPTION
};

const struct na_level_setting na_level_settings[] = {
#define NA_LEVEL_SETTING(family, level, setting, value)                                                                \
	{ NA_OPTION_##family, NA_LEVEL_##level, NA_OPTION_##setting, value },
#include "base/levels.def"
#undef NA_LEVEL_SETTING
};
const size_t na_level_setting_count = sizeof(na_level_settings) / sizeof(na_level_settings[0]);

enum na_setting_source na_setting_source(enum na_option_id id)
{
	if (na_option_from_environment(id))
		return NA_FROM_ENVIRONMENT;
	return values[id].by_program ? NA_FROM_PROGRAM : values[id].by_level ? NA_FROM_LEVEL : NA_FROM_DEFAULT;
}

static void resolve(enum na_option_id id)
{
	uint64_t v = values[id].by_program ? values[id].program
		     : values[id].by_level ? values[id].level
					   : values[id].def;

	/* relaxed: one word, and nothing else goes by it */
	if (values[id].field && !na_option_from_environment(id))
		__atomic_store_n(values[id].field, v, __ATOMIC_RELAXED);
}

void na_setting_put(enum na_option_id id, enum na_setting_source source, uint64_t value)
{
	if (source == NA_FROM_PROGRAM) {
		values[id].program = value;
		values[id].by_program = true;
	} else {
		values[id].level = value;
		values[id].by_level = true;
	}
	resolve(id);
}

void na_setting_drop(enum na_option_id id, enum na_setting_source source)
{
	if (source == NA_FROM_PROGRAM)
		values[id].by_program = false;
	else
		values[id].by_level = false;
	resolve(id);
}

/* One family: what no level of it or another one had set goes first, so that every setting is resolved once to its end. */
static void follow(enum na_option_id family)
{
	uint64_t level = *values[family].field, value;

	for (size_t i = 0; i < na_level_setting_count; i++) {
		const struct na_level_setting *s = &na_level_settings[i];

		if (s->family == family && s->level != level)
			values[s->setting].by_level = false;
	}
	for (size_t i = 0; i < na_level_setting_count; i++) {
		const struct na_level_setting *s = &na_level_settings[i];

		if (s->family != family)
			continue;
		if (s->level == level && na_option_parse(&na_option_table[s->setting], s->value, &value) == 0)
			na_setting_put(s->setting, NA_FROM_LEVEL, value);
		else
			resolve(s->setting);
	}
}

void na_settings_follow_levels(void)
{
	follow(NA_OPTION_optimization);
	follow(NA_OPTION_cache_optimization);
}

void na_settings_reset(void)
{
	for (int i = 0; i < NA_OPTION_COUNT_; i++)
		na_setting_drop((enum na_option_id)i, NA_FROM_PROGRAM);
	na_settings_follow_levels();
}

void na_setting_origin(enum na_option_id id, char *out, size_t capacity)
{
	static const char *const names[] = { "default", "level ", "program", "environment" };
	enum na_setting_source source = na_setting_source(id);
	struct na_text t = na_text_init(out, capacity);

	na_text_add(&t, names[source]);
	for (size_t i = 0; source == NA_FROM_LEVEL && i < na_level_setting_count; i++)
		if (na_level_settings[i].setting == id) {
			na_text_add(&t, na_level_name(*values[na_level_settings[i].family].field));
			break;
		}
}

static void add_ratio(struct na_text *t, uint64_t thousandths)
{
	char digits[4] = { (char)('0' + thousandths / 100 % 10), (char)('0' + thousandths / 10 % 10),
			   (char)('0' + thousandths % 10), '\0' };

	for (int last = 2; last > 0 && digits[last] == '0'; last--)
		digits[last] = '\0';
	na_text_add_number(t, thousandths / 1000);
	if (digits[0] != '0' || digits[1]) {
		na_text_add(t, ".");
		na_text_add(t, digits);
	}
}

#define NA_ADD_SIZE(t, v)	na_text_add_number(t, v)
#define NA_ADD_COUNT(t, v)	na_text_add_number(t, v)
#define NA_ADD_RATIO(t, v)	add_ratio(t, v)
#define NA_ADD_SWITCH(t, v)	na_text_add_number(t, v)
#define NA_ADD_PAGES(t, v)	na_text_add(t, na_pages_name(v))
#define NA_ADD_LEVEL(t, v)	na_text_add(t, na_level_name(v))
#define NA_ADD_FALLBACK(t, v)	na_text_add(t, na_fallback_name(v))
#define NA_ADD_KERNELS(t, v)	na_text_add(t, na_kernels_name(v))
#define NA_ADD_CONCURRENT(t, v) na_text_add(t, na_concurrent_name(v))
#define NA_ADD_PATH(t, v)	na_text_add(t, v)

void na_setting_text(enum na_option_id id, char *out, size_t capacity)
{
	struct na_text t = na_text_init(out, capacity);

	switch (id) {
#define NA_OPTION(id, env, kind, def, least, most, text)                                                               \
	case NA_OPTION_##id:                                                                                           \
		NA_ADD_##kind(&t, __atomic_load_n(&na_options.id, __ATOMIC_RELAXED));                                  \
		break;
#include "base/options.def"
#undef NA_OPTION
	case NA_OPTION_COUNT_:
		break;
	}
}
