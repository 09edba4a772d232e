/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/usage.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/options.h"
#include "config.h"

#define WIDTH 92

void na_usage_version(const char *tool)
{
	printf("%s (numarena) %s\nLicense: BSD-3-Clause\n", tool, PACKAGE_VERSION);
}

/* Words of `text`, indented, broken before WIDTH columns. */
static void wrap(FILE *out, const char *text)
{
	size_t column = 0;

	while (*text) {
		size_t word = strcspn(text, " ");

		if (column && column + 1 + word > WIDTH - 6) {
			fputc('\n', out);
			column = 0;
		}
		column += (size_t)fprintf(out, "%s%.*s", column ? " " : "      ", (int)word, text) - (column ? 0 : 6);
		text += word + (text[word] == ' ');
	}
	fputc('\n', out);
}

void na_usage_settings(FILE *out)
{
	static const char *const kinds[] = {
		"bytes, also with K, M, G or T", "a whole number", "a fraction",	   "0 or 1",
		"0, 1, auto or hugetlb",	 "a level",	   "none, system or node", "a path"
	};

	fputs("Settings, from the environment:\n", out);
	for (int i = 0; i < NA_OPTION_COUNT_; i++) {
		const struct na_option_info *o = &na_option_table[i];

		if (o->kind == NA_KIND_RATIO)
			fprintf(out, "  %s (%s; default 0.%s)\n", o->env, kinds[o->kind], o->def);
		else if (*o->def && strcmp(o->def, "\"\"") != 0)
			fprintf(out, "  %s (%s; default %s)\n", o->env, kinds[o->kind], o->def);
		else
			fprintf(out, "  %s (%s)\n", o->env, kinds[o->kind]);
		wrap(out, o->text);
	}
}

int na_usage_error(const char *tool, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", tool);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\nTry '%s --help'.\n", tool);
	return NA_EXIT_USAGE;
}

int na_usage_flush(const char *tool)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	fprintf(stderr, "%s: standard output: %s\n", tool, strerror(errno));
	return 1;
}
