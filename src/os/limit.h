/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What bounds this process's memory, asked of the system: physical memory, the memory cgroups above us (version 1
 * and 2, all the way up), RLIMIT_AS and RLIMIT_DATA, vm.max_map_count, overcommit, and whether tasks stall for want of
 * memory (PSI). Reads files of /proc and /sys with read(2) into the stack: no allocation, no lock, any
 * thread; keeps errno. What this system does not tell is NA_LIMIT_NONE.
 *
 * Cost: na_limits_memory() 30 to 100 us, growing with the depth of the cgroup; na_limits_stalled() 10 us;
 * na_limits_maps() 1 us a mapping; na_limits_why() all of them at worst, for it runs when an allocation has failed.
 */
#ifndef NA_OS_LIMIT_H
#define NA_OS_LIMIT_H

#include <stddef.h>
#include <stdint.h>

#define NA_LIMIT_NONE UINT64_MAX

/* Put before every path; "" but in tests, which make up a /proc and /sys. Written before threads exist. */
extern const char *na_limits_root;

struct na_limits_memory {
	uint64_t physical; /* bytes of the machine */
	uint64_t group;	   /* hard limit: the least memory.max from our cgroup up */
	uint64_t room;	   /* bytes until the tightest of machine, memory.max and memory.high is full; what the
	                    * kernel would reclaim from files first counts as room */
	uint64_t ceiling;  /* the bound that `room` belongs to */
	int in_group;	   /* whether that is a cgroup's, not the machine's */
	uint64_t used;	   /* charged to our own cgroup; the root has no such figure */
};

void na_limits_memory(struct na_limits_memory *out);

/* Microseconds, since some start, in which tasks of our cgroup (or of the machine, where cgroups do not count
 * them) waited for memory; NA_LIMIT_NONE where the kernel has no PSI. */
uint64_t na_limits_stalled(void);

/* Memory pressure in full: the share of the last ten seconds in which some, or all, tasks of our cgroup (else of the machine) waited for
 * memory, in hundredths of a percent, and the microseconds since some start. Each is NA_LIMIT_NONE where it is unknown. */
struct na_limits_pressure {
	uint64_t some_avg10, full_avg10;
	uint64_t some_us, full_us;
	int of_group; /* a cgroup's, not the machine's */
};

void na_limits_pressure(struct na_limits_pressure *out);

/* Bytes of address space left by RLIMIT_AS and RLIMIT_DATA, the smaller; NA_LIMIT_NONE if neither is set. `bound`
 * (may be NULL) gets the limit itself. */
uint64_t na_limits_address_room(uint64_t *bound);

/* Mappings of this process, and vm.max_map_count. */
uint64_t na_limits_maps(void);
uint64_t na_limits_most_maps(void);

/* Which limit of the system stands against `size` more bytes, as a sentence with the figures, such as "address space: 98 MiB of 100
 * MiB in use (ulimit -v)". Returns a number of the limit, from 0 to NA_LIMIT_KINDS - 1. */
enum na_limit_kind { NA_LIMIT_SPACE, NA_LIMIT_AS, NA_LIMIT_DATA, NA_LIMIT_MAPS, NA_LIMIT_COMMIT, NA_LIMIT_UNKNOWN };
#define NA_LIMIT_KINDS 6
enum na_limit_kind na_limits_why(uint64_t size, char *out, size_t capacity);

/* The number behind a key at the start of one of the text's lines. NA_LIMIT_NONE: there is no such line, or no number in it. */
uint64_t na_limits_line(const char *text, const char *key);
/* A file below na_limits_root: a number at its start, or its text (as read(2) returns). */
uint64_t na_limits_number(const char *path);
long na_limits_text(const char *path, char *out, size_t capacity);

#endif
