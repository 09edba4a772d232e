# SPDX-License-Identifier: BSD-3-Clause
AC_DEFUN([NA_HWLOC], [
  PKG_CHECK_MODULES([HWLOC], [hwloc >= 2.3],, [AC_MSG_ERROR([hwloc 2.3 or newer is needed (Debian: libhwloc-dev)])])
])
