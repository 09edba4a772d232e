# SPDX-License-Identifier: BSD-3-Clause
# Unit tests need cmocka; without it the library builds and make check skips them, saying so.
AC_DEFUN([NA_CMOCKA], [
  PKG_CHECK_MODULES([CMOCKA], [cmocka >= 1.1], [have_cmocka=yes], [have_cmocka=no])
  AM_CONDITIONAL([HAVE_CMOCKA], [test "x$have_cmocka" = xyes])
])
