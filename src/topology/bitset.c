/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's list format; see bitset.h. */
#include "topology/bitset.h"

#include <errno.h>

static int read_number(const char **cursor, unsigned int *out)
{
	const char *s = *cursor;
	unsigned int v = 0;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	for (; *s >= '0' && *s <= '9'; s++) {
		v = v * 10 + (unsigned int)(*s - '0');
		if (v >= NA_BITSET_MOST)
			return -EINVAL;
	}
	*cursor = s;
	*out = v;
	return 0;
}

int na_bitset_read_list(const char *text, unsigned long *mask, size_t slots, int *highest)
{
	unsigned int first, last;
	int most = -1;

	while (*text == ' ' || *text == '\t')
		text++;
	while (*text && *text != '\n') {
		if (read_number(&text, &first) < 0)
			return -EINVAL;
		last = first;
		if (*text == '-') {
			text++;
			if (read_number(&text, &last) < 0 || last < first)
				return -EINVAL;
		}
		for (unsigned int n = first; n <= last; n++)
			na_bitset_add(mask, slots, n);
		if ((int)last > most)
			most = (int)last;
		if (*text == ',')
			text++;
		else if (*text && *text != '\n')
			return -EINVAL;
	}
	*highest = most;
	return 0;
}
