/* SPDX-License-Identifier: BSD-3-Clause */
/* Life cycle: what the constructor starts, and the one place that wires the layers together. */
#ifndef NA_API_LIFE_H
#define NA_API_LIFE_H

#include <numarena/error.h>
#include <numarena/system.h>
#include <stdbool.h>

/* Starts tracking with what was configured before, or with the defaults. */
memory_error_t na_life_start_monitoring(void);

/* Recovery as it was before the program configured it. */
void na_life_reset_recovery(void);

/* fork's handlers: the locks of api/pool.c and api/tracking.c. */
void na_life_lock_configuration(void);
void na_life_unlock_configuration(bool child);
void na_life_lock_tracking(void);
void na_life_unlock_tracking(bool child);

/* Every file of api/ includes this, and so asks for a symbol of life.c's: in a static link the constructor comes along,
 * whichever calls a program makes. Without it there would be no maintenance, no fork handlers and no report. */
static const char *(*const na_life_anchor)(void)__attribute__((used)) = memory_system_version;

#endif
