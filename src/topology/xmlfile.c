/* SPDX-License-Identifier: BSD-3-Clause */
/* Header and trailer of a shared topology; see xmlfile.h. */
#include "topology/xmlfile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "topology/source.h"
#include "topology/sysfs.h"

#define FORMAT "numarena-topology 1\n"

const char na_xmlfile_trailer[] = "\nend of numarena-topology\n";

void na_xmlfile_identity(const char *root, char out[NA_XMLFILE_IDENTITY])
{
	char boot[48] = "unknown", *text;

	if (na_sysfs_read(root, "/proc/sys/kernel/random/boot_id", &text) == 0) {
		text[strcspn(text, "\n")] = '\0';
		na_format(boot, sizeof(boot), "%s", text);
		free(text);
	}
	na_format(out, NA_XMLFILE_IDENTITY, FORMAT "boot %s\nmachine %lx\nuser %u\nhwloc %x\n", boot,
		  (unsigned long)na_sysfs_fingerprint(root), (unsigned int)geteuid(), na_topology_hwloc_version());
}

size_t na_xmlfile_encode(const char *identity, const struct na_xmlfile *record, char out[NA_XMLFILE_HEADER])
{
	return na_format(out, NA_XMLFILE_HEADER, "%sreal %u\nlength %zu\nsum %lx\n\n", identity, record->real ? 1u : 0u,
			 record->length, (unsigned long)na_hash(NA_HASH_START, record->xml, record->length));
}

/* The bytes of `text` at the cursor, which moves past them. */
static bool take(const char **cursor, const char *end, const char *text)
{
	size_t length = strlen(text);

	if ((size_t)(end - *cursor) < length || memcmp(*cursor, text, length) != 0)
		return false;
	*cursor += length;
	return true;
}

static bool take_number(const char **cursor, const char *end, const char *name, unsigned int base, uint64_t *out)
{
	static const char digits[] = "0123456789abcdef";
	uint64_t value = 0;
	int length = 0;

	if (!take(cursor, end, name))
		return false;
	for (; *cursor < end && **cursor != '\n'; (*cursor)++, length++) {
		const char *digit = **cursor ? strchr(digits, **cursor) : NULL;

		if (!digit || (unsigned int)(digit - digits) >= base || length == (base == 16 ? 16 : 18))
			return false;
		value = value * base + (uint64_t)(digit - digits);
	}
	*out = value;
	return length > 0 && take(cursor, end, "\n");
}

int na_xmlfile_decode(const char *identity, const char *data, size_t size, struct na_xmlfile *out)
{
	const char *cursor = data, *end = data + size, *xml;
	uint64_t real, length, sum;

	if (!take(&cursor, end, identity)) {
		/* A cut file is a beginning of ours; anything else was written by another. */
		return size < strlen(identity) && memcmp(data, identity, size) == 0 ? -EBADMSG : -ESTALE;
	}
	if (!take_number(&cursor, end, "real ", 10, &real) || real > 1 ||
	    !take_number(&cursor, end, "length ", 10, &length) || !take_number(&cursor, end, "sum ", 16, &sum) ||
	    !take(&cursor, end, "\n"))
		return -EBADMSG;
	if (length == 0 || length > NA_XMLFILE_MOST || (size_t)(end - cursor) != length + strlen(na_xmlfile_trailer))
		return -EBADMSG;
	xml = cursor;
	cursor += length;
	if (!take(&cursor, end, na_xmlfile_trailer) || xml[length - 1] != '\0' ||
	    na_hash(NA_HASH_START, xml, length) != sum)
		return -EBADMSG;
	*out = (struct na_xmlfile){ .real = real, .xml = xml, .length = length };
	return 0;
}
