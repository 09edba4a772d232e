/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines of the report's text that names and figures have made too long go on below. */
#include <stdlib.h>
#include <string.h>

#include "report/text_parts.h"

#define COLUMNS 100
#define INDENT	26 /* of what a line goes on with: where figures begin */

/* Behind which of its first `room` columns a line is cut: its last space behind a comma or semicolon, if that leaves no short line, else its last
 * space that leaves something on either side, else where it must. */
static size_t place_to_fold(const char *line, size_t room)
{
	for (size_t i = room; i > room / 2; i--)
		if (line[i] == ' ' && (line[i - 1] == ',' || line[i - 1] == ';'))
			return i;
	for (size_t i = room; i > INDENT + 1; i--)
		if (line[i] == ' ')
			return i;
	return room;
}

static void fold_line(FILE *f, const char *line, size_t length)
{
	size_t n;

	for (size_t room = COLUMNS; length > room; line += n, length -= n, room = COLUMNS - INDENT) {
		n = place_to_fold(line, room);
		fprintf(f, "%.*s\n%*s", (int)n, line, INDENT, "");
		n += line[n] == ' ';
	}
	fwrite(line, 1, length, f);
}

char *na_text_folded(char *text)
{
	char *folded = NULL;
	size_t size;
	FILE *f = open_memstream(&folded, &size);

	for (const char *line = text; f && *line;) {
		size_t n = strcspn(line, "\n");

		fold_line(f, line, n);
		line += n;
		if (*line) {
			fputc('\n', f);
			line++;
		}
	}
	free(text);
	if (f && fclose(f) == 0)
		return folded;
	free(folded);
	return NULL;
}
