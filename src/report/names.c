/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/names.h"

#include <string.h>

#include "base/log.h"

/* Bytes of the character at s, of which `left` are there; 0: it is none (RFC 3629). */
static size_t character(const unsigned char *s, size_t left)
{
	static const struct {
		unsigned char low, high, least; /* first bytes, and the least second one: no longer than need be */
		unsigned char most;		/* second byte: no surrogates, nothing past U+10FFFF */
	} forms[] = { { 0xc2, 0xdf, 0x80, 0xbf }, { 0xe0, 0xe0, 0xa0, 0xbf }, { 0xe1, 0xec, 0x80, 0xbf },
		      { 0xed, 0xed, 0x80, 0x9f }, { 0xee, 0xef, 0x80, 0xbf }, { 0xf0, 0xf0, 0x90, 0xbf },
		      { 0xf1, 0xf3, 0x80, 0xbf }, { 0xf4, 0xf4, 0x80, 0x8f } };
	size_t length = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

	if (s[0] < 0x80)
		return s[0] >= 0x20 && s[0] != 0x7f;
	if (length > left)
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (s[0] >= forms[i].low && s[0] <= forms[i].high)
			return s[1] >= forms[i].least && s[1] <= forms[i].most ? length : 0;
	return 0;
}

static void clean(char *out, const char *name, size_t capacity, int ascii)
{
	size_t length = strnlen(name, capacity - 1), n = 0;

	memset(out, 0, capacity);
	for (size_t at = 0, bytes; at < length; at += bytes ? bytes : 1) {
		bytes = character((const unsigned char *)name + at, length - at);
		if (bytes == 0 || (ascii && bytes > 1)) {
			out[n++] = '?';
			continue;
		}
		memcpy(out + n, name + at, bytes);
		n += bytes;
	}
}

void na_name_clean(char *out, const char *name, size_t capacity)
{
	clean(out, name, capacity, 0);
}

void na_name_ascii(char *out, const char *name, size_t capacity)
{
	clean(out, name, capacity, 1);
}

const char *na_name_where(char *out, size_t capacity, const struct na_where *at)
{
	if (at->rank >= 0)
		na_format(out, capacity, "rank %d, %s", at->rank, at->host);
	else
		na_format(out, capacity, "pid %d, %s", at->pid, at->host);
	return out;
}
