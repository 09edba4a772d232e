/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Building a sentence in a fixed buffer without stdio, locale or allocation, for messages from
 * inside malloc. Too long a sentence is cut; the buffer always ends in NUL. One thread a buffer.
 */
#ifndef NA_BASE_TEXT_H
#define NA_BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct na_text {
	char *data;
	size_t capacity;
	size_t length;
};

static inline struct na_text na_text_init(char *data, size_t capacity)
{
	if (capacity)
		data[0] = '\0';
	return (struct na_text){ data, capacity, 0 };
}

static inline void na_text_add(struct na_text *t, const char *s)
{
	while (*s && t->length + 1 < t->capacity)
		t->data[t->length++] = *s++;
	if (t->capacity)
		t->data[t->length] = '\0';
}

static inline void na_text_add_base(struct na_text *t, uint64_t v, unsigned int base)
{
	char digits[24];
	size_t i = sizeof(digits);

	digits[--i] = '\0';
	do
		digits[--i] = "0123456789abcdef"[v % base];
	while ((v /= base) != 0);
	na_text_add(t, digits + i);
}

static inline void na_text_add_number(struct na_text *t, uint64_t v)
{
	na_text_add_base(t, v, 10);
}

static inline void na_text_add_pointer(struct na_text *t, const void *p)
{
	na_text_add(t, "0x");
	na_text_add_base(t, (uintptr_t)p, 16);
}

#endif
