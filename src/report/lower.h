/* SPDX-License-Identifier: BSD-3-Clause */
/* What the MPI layer, which sees only report/ of the core, uses of lower layers: headers that are all of themselves, with nothing to link. */
#ifndef NA_REPORT_LOWER_H
#define NA_REPORT_LOWER_H

#include "base/clock.h"
#include "base/hash.h"

#endif
