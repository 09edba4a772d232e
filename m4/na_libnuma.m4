# SPDX-License-Identifier: BSD-3-Clause
AC_DEFUN([NA_LIBNUMA], [
  PKG_CHECK_MODULES([NUMA], [numa >= 2.0.14],, [AC_MSG_ERROR([libnuma 2.0.14 or newer is needed (Debian: libnuma-dev)])])
])
