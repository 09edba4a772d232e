/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Profiles on disk, of what sample.h holds: pprof's (profile.proto, not compressed, which pprof reads as well), with all
 * six values of each stack; and folded stacks, a line each, outermost frame first, of one value, for flame graphs.
 * Any thread, not inside malloc. Memory is mapped, the heap is not used.
 */
#ifndef NA_TRACKING_PROFILE_H
#define NA_TRACKING_PROFILE_H

#include <stddef.h>

enum na_profile_view { NA_PROFILE_LIVE, NA_PROFILE_PEAK, NA_PROFILE_TOTAL, NA_PROFILE_VIEWS_ };
enum na_profile_format { NA_PROFILE_PPROF, NA_PROFILE_FOLDED, NA_PROFILE_FORMATS_ };

/* 0 or -errno: of the file, or -ENOMEM. On an error there is no file. */
int na_profile_write(const char *path, enum na_profile_view view, enum na_profile_format format);

/* PREFIX.PID.pb and PREFIX.PID.VIEW.folded; 0, or -errno and the path that it belongs to. */
int na_profile_write_all(const char *prefix, int pid, char *path, size_t capacity);

#endif
