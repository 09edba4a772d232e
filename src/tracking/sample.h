/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sampled allocations with their call stacks: what is live, what was live at the highest sampled peak, and what was ever
 * allocated, by stack; how long sampled blocks lived; how long allocations took. See doc/design/sampling.md for how
 * samples are chosen (cache/traps.h), and why estimates are unbiased.
 *
 * Samples are kept in a table by address, stacks ("sites") once each. One lock for all of it: it is taken once for each sample,
 * once for its free, and by who reads. Memory comes from an arena of its own, never with the lock held;
 * what finds no room (no memory, more than a million live samples, more than 32768 stacks) is counted, in `dropped` or
 * under one site without frames.
 *
 * All calls: any thread, with no lock of the heap held; none allocates from the heap.
 */
#ifndef NA_TRACKING_SAMPLE_H
#define NA_TRACKING_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NA_SAMPLE_FRAMES 48

/* Estimates: each sample stands for 1 / (1 - exp(-size / mean)) blocks of its size. */
struct na_sample_values {
	uint64_t live_blocks, live_bytes;
	uint64_t peak_blocks, peak_bytes; /* at the moment when live bytes of all sites together were most */
	uint64_t total_blocks, total_bytes;
};

struct na_sample_site {
	uintptr_t frames[NA_SAMPLE_FRAMES]; /* return addresses, innermost first, numarena's own left out */
	uint32_t depth;			    /* 0: stacks that found no room, or could not be walked */
	struct na_sample_values values;
};

/* The stacks with the most live bytes, largest first, at most n; how many were copied. Allocates nothing, so that it
 * can be called when there is no memory; a look at each site. */
size_t na_sample_top(struct na_sample_site *out, size_t n);

/* The same by bytes that were live at the highest sampled peak. */
size_t na_sample_top_of_peak(struct na_sample_site *out, size_t n);

/* A frame as "function+0x12 (library.so)", or "library.so+0x1234", or its address; always terminated. Asks the dynamic
 * linker, allocates nothing. */
void na_sample_frame(uintptr_t frame, char *out, size_t capacity);

/* Starts with a mean of bytes a sample, or changes it; 0 stops, and keeps what there is. 0, or -ENOMEM. Loads the unwinder:
 * not inside malloc. */
int na_sample_start(uint64_t mean);
uint64_t na_sample_running(void); /* the mean; 0: off */

/* How many live samples and stacks there may be, for tests of full tables. */
void na_sample_limit(uint64_t samples, uint64_t sites);

struct na_sample_summary {
	uint64_t mean;
	uint64_t taken;	  /* samples so far */
	uint64_t live;	  /* of those, blocks that are live */
	uint64_t dropped; /* for which there was no room */
	uint64_t sites;
	struct na_sample_values values; /* of all sites together */
};
void na_sample_summary(struct na_sample_summary *out);

/* Copies every site, in no order, at most n; how many there are. All as of one moment. */
size_t na_sample_sites(struct na_sample_site *out, size_t n);

/* Lifetimes of samples that were freed: bin k holds those of [2^k, 2^(k+1)) ns, bin 0 also 0. Estimated blocks and bytes. */
#define NA_LIFETIME_BINS 48
struct na_lifetimes {
	uint64_t samples;
	uint64_t blocks[NA_LIFETIME_BINS], bytes[NA_LIFETIME_BINS];
};
void na_sample_lifetimes(struct na_lifetimes *out);

/* Latency of allocations, in ns: quantiles of all, each sample weighted by the blocks that it stands for. */
struct na_latency {
	uint64_t samples;
	double mean, p50, p90, p99, p999, most; /* ns; NaN without samples */
};
void na_sample_latency(struct na_latency *out);

/* The same as the histogram that it comes from, in allocations. For reports that add up those of many processes. */
struct na_histogram;
void na_sample_times(struct na_histogram *out);

/* fork's handlers: the locks. */
void na_sample_before_fork(void);

/* Where what is kept of samples lies, for whoever asks whose a piece of metadata is. */
const struct na_arena *na_sample_arena(void);
void na_sample_after_fork(bool child);

#endif
