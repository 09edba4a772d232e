/* SPDX-License-Identifier: BSD-3-Clause */
/* Life cycle: what the constructor starts, and the one place that wires the layers together. */
#ifndef NA_API_LIFE_H
#define NA_API_LIFE_H

#include <numarena/error.h>

/* Starts tracking with what was configured before, or with the defaults. */
memory_error_t na_life_start_monitoring(void);

#endif
