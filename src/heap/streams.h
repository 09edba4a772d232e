/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Size classes of what the C library writes to in a forked child before any handler of ours can run: on a merged page it would write to its parent's, so they are left out of the
 * concurrent mode. It resets the lock of each open stream, and sets to zero what other threads have by keys from 32 on (pthread_setspecific(3); 32 keys are a block of
 * 512 bytes). Streams are found by opening some and looking where they lie, for sizes differ from library to library; what cannot be opened is taken for any that
 * they may have. What popen(3) allocates has no class here: one cannot be opened without a process.
 */
#ifndef NA_HEAP_STREAMS_H
#define NA_HEAP_STREAMS_H

#include <stdbool.h>

/* From the library's constructor, if the mode is asked for: it allocates. */
void na_streams_look(void);
/* Whether blocks of the class may be streams. Any thread. */
bool na_streams_in(unsigned int cls);

#endif
