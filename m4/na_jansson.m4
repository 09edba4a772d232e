# SPDX-License-Identifier: BSD-3-Clause
# Compiled against, and loaded when first needed (linked into the tools that read reports): see doc/design/startup.md.
AC_DEFUN([NA_JANSSON], [
  PKG_CHECK_MODULES([JANSSON], [jansson >= 2.13],, [AC_MSG_ERROR([Jansson 2.13 or newer is needed for the JSON report (Debian: libjansson-dev)])])
  NA_SONAME([JANSSON], [libjansson], [json_object])
])
