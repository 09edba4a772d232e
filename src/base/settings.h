/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who has set an option. Each may have a value from the environment, one from the program, one from an optimization level,
 * and has its default: the first of these that there is is in force, in na_options. Taking one away brings back the next.
 *
 * Writers: boot (the one thread that does it), then api/ under its configuration lock. Fields of na_options are single words,
 * stored relaxed here and loaded relaxed by slow paths. No allocation. PATH options are the environment's alone.
 */
#ifndef NA_BASE_SETTINGS_H
#define NA_BASE_SETTINGS_H

#include "base/options.h"

enum na_setting_source { NA_FROM_DEFAULT, NA_FROM_LEVEL, NA_FROM_PROGRAM, NA_FROM_ENVIRONMENT };

/* Gives the option a value from a level or from the program; it is in force unless somebody who goes before has one. */
void na_setting_put(enum na_option_id id, enum na_setting_source source, uint64_t value);
void na_setting_drop(enum na_option_id id, enum na_setting_source source);

/* Whose value is in force. */
enum na_setting_source na_setting_source(enum na_option_id id);

/* Sets what the levels say that `optimization` and `cache_optimization` are at now, and takes back what they said before. */
void na_settings_follow_levels(void);

/* Everything that the program has set is taken back; levels are the environment's again. */
void na_settings_reset(void);

/* The lists of the levels, in the order of levels.def. */
struct na_level_setting {
	enum na_option_id family;
	enum na_level level;
	enum na_option_id setting;
	const char *value;
};
extern const struct na_level_setting na_level_settings[];
extern const size_t na_level_setting_count;

/* Whose value is in force, in words: "environment", "program", "level balanced" and the like, "default". */
void na_setting_origin(enum na_option_id id, char *out, size_t capacity);

/* The value in force as the environment would have it, in out. */
void na_setting_text(enum na_option_id id, char *out, size_t capacity);

#endif
