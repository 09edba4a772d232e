/* SPDX-License-Identifier: BSD-3-Clause */
/* Figures as sentences quote them, three digits that count, without stdio. Plain functions; the buffer is the caller's, and returned. */
#ifndef NA_ANALYSIS_WORDS_H
#define NA_ANALYSIS_WORDS_H

#include <stdint.h>

#define NA_WORD 32

/* "12.3 MiB". */
const char *na_word_bytes(char out[NA_WORD], uint64_t bytes);

/* "12.3%" of thousandths. */
const char *na_word_percent(char out[NA_WORD], uint64_t thousandths);

/* "2.5" of thousandths. */
const char *na_word_times(char out[NA_WORD], uint64_t thousandths);

/* part / whole in thousandths; 0 of nothing. Never overflows. */
uint64_t na_share(uint64_t part, uint64_t whole);

#endif
