/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file in which one process leaves its discovery for the others:
 *
 *     numarena-topology 1          format
 *     boot, machine, user, hwloc   the identity: readers need every line equal to their own
 *     real, length, sum            of the XML: whether it is of this machine, bytes, FNV-1a
 *     (empty line)
 *     XML and its NUL
 *     trailer
 *
 * The identity keeps out files of another boot, of other online CPUs or nodes, other HWLOC_* variables,
 * another user, another hwloc. What a process may use is no part of it: the XML is of the whole machine. The
 * lengths, the sum and the trailer keep out a file that was cut, or written by a process that died.
 * Private to topology/ and its tests. No state; nothing allocates but na_xmlfile_identity() for a moment.
 */
#ifndef NA_TOPOLOGY_XMLFILE_H
#define NA_TOPOLOGY_XMLFILE_H

#include <stdbool.h>
#include <stddef.h>

#define NA_XMLFILE_IDENTITY 256
#define NA_XMLFILE_HEADER   (NA_XMLFILE_IDENTITY + 128)
#define NA_XMLFILE_MOST	    (64u << 20) /* bytes; the XML of a machine with 1024 CPUs has about 1 MiB */

struct na_xmlfile {
	bool real;
	const char *xml; /* within the buffer given to na_xmlfile_decode() */
	size_t length;	 /* its NUL included */
};

extern const char na_xmlfile_trailer[];

/* The identity of what this process would write. */
void na_xmlfile_identity(const char *root, char out[NA_XMLFILE_IDENTITY]);

/* The header that goes before the XML; returns its length. */
size_t na_xmlfile_encode(const char *identity, const struct na_xmlfile *record, char out[NA_XMLFILE_HEADER]);

/* Checks a whole file. 0; -ESTALE: another identity; -EBADMSG: damaged or cut. */
int na_xmlfile_decode(const char *identity, const char *data, size_t size, struct na_xmlfile *out);

#endif
