/* SPDX-License-Identifier: BSD-3-Clause */
/* What all tools say alike: --version, errors, and the list of settings from options.def. */
#ifndef NA_TOOLS_USAGE_H
#define NA_TOOLS_USAGE_H

#include <stdio.h>

#define NA_EXIT_USAGE 2

/* "tool (numarena) 0.1.0" and the license, on standard output. */
void na_usage_version(const char *tool);

/* One setting a paragraph: name, default, meaning. */
void na_usage_settings(FILE *out);

/* "tool: message" and a pointer to --help on standard error; returns NA_EXIT_USAGE. */
int na_usage_error(const char *tool, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Flushes standard output: 0, or 1 with a message if not all of it could be written. */
int na_usage_flush(const char *tool);

#endif
