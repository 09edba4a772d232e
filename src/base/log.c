/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/options.h"
#include "base/text.h"

static _Atomic int log_rank = -1; /* relaxed: a label only */

void na_log_set_rank(int rank)
{
	atomic_store_explicit(&log_rank, rank, memory_order_relaxed);
}

static void add_signed(struct na_text *t, long long v)
{
	if (v < 0)
		na_text_add(t, "-");
	na_text_add_number(t, v < 0 ? 0 - (unsigned long long)v : (unsigned long long)v);
}

static unsigned long long take_unsigned(va_list *args, int longs, int is_size)
{
	if (is_size)
		return va_arg(*args, size_t);
	if (longs == 2)
		return va_arg(*args, unsigned long long);
	if (longs == 1)
		return va_arg(*args, unsigned long);
	return va_arg(*args, unsigned int);
}

static long long take_signed(va_list *args, int longs, int is_size)
{
	if (longs == 2)
		return va_arg(*args, long long);
	if (longs == 1 || is_size)
		return va_arg(*args, long);
	return va_arg(*args, int);
}

size_t na_vformat(char *out, size_t capacity, const char *format, va_list given)
{
	struct na_text t = na_text_init(out, capacity);
	va_list args;

	va_copy(args, given);
	for (const char *f = format; *f; f++) {
		int longs = 0, is_size = 0;
		char one[2] = { *f, '\0' };

		if (*f != '%') {
			na_text_add(&t, one);
			continue;
		}
		for (f++; *f == 'l' || *f == 'z'; f++) {
			longs += *f == 'l';
			is_size |= *f == 'z';
		}
		switch (*f) {
		case 's': {
			const char *s = va_arg(args, const char *);

			na_text_add(&t, s ? s : "(null)");
			break;
		}
		case 'd':
			add_signed(&t, take_signed(&args, longs, is_size));
			break;
		case 'u':
			na_text_add_number(&t, take_unsigned(&args, longs, is_size));
			break;
		case 'x':
			na_text_add_base(&t, take_unsigned(&args, longs, is_size), 16);
			break;
		case 'p':
			na_text_add_pointer(&t, va_arg(args, void *));
			break;
		case '%':
			na_text_add(&t, "%");
			break;
		default: /* a conversion this does not know: a bug of ours that a test finds */
			na_text_add(&t, "%?");
			va_end(args);
			return t.length;
		}
	}
	va_end(args);
	return t.length;
}

size_t na_format(char *out, size_t capacity, const char *format, ...)
{
	va_list args;
	size_t n;

	va_start(args, format);
	n = na_vformat(out, capacity, format, args);
	va_end(args);
	return n;
}

void na_log(enum na_log_level level, const char *format, ...)
{
	char line[1024], body[900];
	int rank = atomic_load_explicit(&log_rank, memory_order_relaxed);
	int saved = errno;
	size_t n;
	va_list args;

	if ((uint64_t)level > na_options.verbose)
		return;
	va_start(args, format);
	na_vformat(body, sizeof(body), format, args);
	va_end(args);
	if (rank >= 0)
		n = na_format(line, sizeof(line), "numarena: rank %d: %s\n", rank, body);
	else
		n = na_format(line, sizeof(line), "numarena: %s\n", body);
	for (size_t done = 0; done < n;) {
		ssize_t w = write(STDERR_FILENO, line + done, n - done);

		if (w == 0 || (w < 0 && errno != EINTR))
			break;
		done += w > 0 ? (size_t)w : 0;
	}
	errno = saved;
}
