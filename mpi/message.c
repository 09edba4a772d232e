/* SPDX-License-Identifier: BSD-3-Clause */
#include "mpi/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "report/process.h"

bool na_message_wanted(void)
{
	return na_options.verbose >= 1;
}

void na_message(const char *format, ...)
{
	char line[1024] = "numarena: ";
	size_t length = strlen(line);
	va_list args;
	int n;

	if (!na_message_wanted())
		return;
	va_start(args, format);
	n = vsnprintf(line + length, sizeof(line) - length - 1, format, args);
	va_end(args);
	if (n > 0)
		length += (size_t)n < sizeof(line) - length - 1 ? (size_t)n : sizeof(line) - length - 2;
	line[length++] = '\n';
	if (write(STDERR_FILENO, line, length) < 0)
		return; /* nobody listens */
}
