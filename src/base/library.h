/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Third-party libraries that most processes never use: loaded at the first need, so that preloading numarena costs a
 * shell or a compiler nothing of them (doc/design/startup.md).
 *
 * A library's user lists the functions that it calls, once, in a macro: the table of pointers is typed by the library's
 * own header, filled by na_library_load() in objects for a shared library (libtool defines PIC for those), and by the linker
 * otherwise, because a static program may be unable to load anything. See topology/hwloc_calls.h for one.
 *
 * Who may call na_library_load(): any thread that holds no lock of the heap and is not inside malloc or free: the loader
 * allocates, takes its own lock, and runs the constructors of what it loads. Any number of times and at once; a
 * failure is said once and stays. Nothing is ever unloaded.
 */
#ifndef NA_BASE_LIBRARY_H
#define NA_BASE_LIBRARY_H

#include <stdatomic.h>
#include <stddef.h>

#define NA_LIBRARY_CALLS 40 /* at most, of one library */

struct na_library {
	const char *soname;
	const char *without; /* what the process has to do without, for the message */
	const char *const *names;
	size_t count;
	void *table;	   /* count pointers to functions */
	_Atomic int state; /* library.c's; READY is stored with release and read with acquire */
};

/* 0, or -ENOENT if it or one of its functions is missing. */
int na_library_load(struct na_library *library);

#endif
