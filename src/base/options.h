/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Settings from the environment. na_options_load() reads NUMARENA_* variables by options.def into
 * one structure, without allocating: it runs inside the first malloc of a process. It keeps going
 * past a wrong value (that field keeps its default) and remembers the first complaint, because
 * malloc cannot refuse; the library's constructor and numarena-run turn the complaint into an
 * error before the program starts.
 *
 * Owner: written once under the caller's once-guard, read-only afterwards, but for the fields that
 * a program's configuration or a level changes, which settings.c writes and slow paths read relaxed.
 */
#ifndef NA_BASE_OPTIONS_H
#define NA_BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum na_option_kind {
	NA_KIND_SIZE,
	NA_KIND_COUNT,
	NA_KIND_RATIO,
	NA_KIND_SWITCH,
	NA_KIND_PAGES,
	NA_KIND_LEVEL,
	NA_KIND_FALLBACK,
	NA_KIND_KERNELS,
	NA_KIND_CONCURRENT,
	NA_KIND_PATH
};

#define NA_TYPE_SIZE	   uint64_t
#define NA_TYPE_COUNT	   uint64_t
#define NA_TYPE_RATIO	   uint64_t
#define NA_TYPE_SWITCH	   uint64_t
#define NA_TYPE_PAGES	   uint64_t
#define NA_TYPE_LEVEL	   uint64_t
#define NA_TYPE_FALLBACK   uint64_t
#define NA_TYPE_KERNELS	   uint64_t
#define NA_TYPE_CONCURRENT uint64_t
#define NA_TYPE_PATH	   const char *

struct na_options {
#define NA_OPTION(id, env, kind, def, least, most, text) NA_TYPE_##kind id;
#include "base/options.def"
#undef NA_OPTION
};

enum na_option_id {
#define NA_OPTION(id, env, kind, def, least, most, text) NA_OPTION_##id,
#include "base/options.def"
#undef NA_OPTION
	NA_OPTION_COUNT_
};

struct na_option_info {
	const char *id;
	const char *env;
	enum na_option_kind kind;
	const char *def; /* as text */
	uint64_t least;
	uint64_t most;
	const char *text;
};

extern struct na_options na_options;
extern const struct na_option_info na_option_table[NA_OPTION_COUNT_];

/* Reads the environment. Returns 0, or -EINVAL with a sentence in complaint (which may be NULL). */
int na_options_load(char *complaint, size_t capacity);

/* A NUMARENA_* variable of the environment that is no setting of ours; NULL if there is none. */
const char *na_options_unknown(void);

/* Whether the environment set the option: it then wins over the program's configuration. */
bool na_option_from_environment(enum na_option_id id);

/* Values of kind PAGES, and their names. */
enum na_pages { NA_PAGES_ORDINARY, NA_PAGES_TRANSPARENT, NA_PAGES_AUTO, NA_PAGES_HUGETLB, NA_PAGES_COUNT_ };
const char *na_pages_name(uint64_t pages);

/* Values of kind LEVEL, and their names. */
enum na_level { NA_LEVEL_NONE, NA_LEVEL_CONSERVATIVE, NA_LEVEL_BALANCED, NA_LEVEL_AGGRESSIVE, NA_LEVEL_COUNT_ };
const char *na_level_name(uint64_t level);

/* Values of kind FALLBACK, as recovery_config_t numbers them, and their names. */
enum na_fallback { NA_FALLBACK_NONE, NA_FALLBACK_SYSTEM, NA_FALLBACK_NODE, NA_FALLBACK_COUNT_ };
const char *na_fallback_name(uint64_t fallback);

/* Values of kind KERNELS, and their names: which loops src/kernels runs. */
enum na_kernels_variant {
	NA_KERNELS_AUTO,
	NA_KERNELS_PORTABLE,
	NA_KERNELS_AVX2,
	NA_KERNELS_AVX512,
	NA_KERNELS_SVE,
	NA_KERNELS_COUNT_
};
const char *na_kernels_name(uint64_t variant);

/* Values of kind CONCURRENT, and their names: how other threads are kept from pages while these are merged, see os/hold.h. */
enum na_concurrent {
	NA_CONCURRENT_OFF,
	NA_CONCURRENT_AUTO,
	NA_CONCURRENT_MOVE,
	NA_CONCURRENT_USERFAULTFD,
	NA_CONCURRENT_MPROTECT,
	NA_CONCURRENT_COUNT_
};
const char *na_concurrent_name(uint64_t way);

/* Parses one value of a kind, as the environment's are; 0 or -EINVAL. */
int na_option_parse(const struct na_option_info *info, const char *text, uint64_t *value);

#endif
