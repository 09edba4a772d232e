# SPDX-License-Identifier: BSD-3-Clause
# Compiled against, and loaded when first needed: see doc/design/startup.md.
AC_DEFUN([NA_HWLOC], [
  PKG_CHECK_MODULES([HWLOC], [hwloc >= 2.3],, [AC_MSG_ERROR([hwloc 2.3 or newer is needed (Debian: libhwloc-dev)])])
  NA_SONAME([HWLOC], [libhwloc], [hwloc_get_api_version])
])
