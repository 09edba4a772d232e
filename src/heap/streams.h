/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Size classes of what the C library allocates for a stdio stream. A forked child writes to the lock of each open stream, before any handler of ours can run, and on a
 * merged page it would write to its parent's: so these classes are left out of the concurrent mode. They are found by opening streams and looking where they lie, for
 * sizes differ from library to library. What popen(3) allocates has no class here: one cannot be opened without a process.
 */
#ifndef NA_HEAP_STREAMS_H
#define NA_HEAP_STREAMS_H

#include <stdbool.h>

/* From the library's constructor, if the mode is asked for: it allocates. */
void na_streams_look(void);
/* Whether blocks of the class may be streams. Any thread. */
bool na_streams_in(unsigned int cls);

#endif
