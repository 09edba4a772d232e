# SPDX-License-Identifier: BSD-3-Clause
# PMIx gives the MPI layer job, node and locality. Include paths come from pkg-config alone:
# Open MPI's private tree also has a pmix.h, of another version.
AC_DEFUN([NA_PMIX], [
  AC_ARG_WITH([pmix],
    [AS_HELP_STRING([--with-pmix], [use PMIx in the MPI layer (default: if found)])],
    [], [with_pmix=check])
  have_pmix=no
  AS_IF([test "x$with_pmix" != xno && test "x$have_mpi" != xno],
    [PKG_CHECK_MODULES([PMIX], [pmix >= 3], [have_pmix=yes], [have_pmix=no])])
  AS_IF([test "x$have_pmix" = xno && test "x$with_pmix" = xyes],
    [AC_MSG_ERROR([--with-pmix was given but pkg-config does not know pmix (Debian: libpmix-dev)])])
  NA_HAVE_PMIX=0
  AS_IF([test "x$have_pmix" = xyes], [NA_HAVE_PMIX=1])
  AC_DEFINE_UNQUOTED([NA_HAVE_PMIX], [$NA_HAVE_PMIX], [1 if PMIx is used])
])
