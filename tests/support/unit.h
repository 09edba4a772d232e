/* SPDX-License-Identifier: BSD-3-Clause */
/* What every cmocka test includes, in the order that cmocka wants. */
#ifndef NA_TESTS_UNIT_H
#define NA_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
