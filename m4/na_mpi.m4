# SPDX-License-Identifier: BSD-3-Clause
# The MPI layer: "if found" by default; --with-mpi makes a missing MPI an error; MPICC=... picks one.
AC_DEFUN([NA_MPI], [
  AC_ARG_WITH([mpi],
    [AS_HELP_STRING([--with-mpi], [build the MPI layer (default: if mpicc is found)])],
    [], [with_mpi=check])
  AC_ARG_VAR([MPICC], [MPI C compiler wrapper whose flags are used])
  have_mpi=no
  AS_IF([test "x$with_mpi" != xno], [
    AC_PATH_PROG([MPICC], [mpicc])
    AS_IF([test -n "$MPICC"], [
      MPI_CFLAGS=`$MPICC --showme:compile 2>/dev/null` && MPI_LIBS=`$MPICC --showme:link 2>/dev/null` || {
        MPI_CFLAGS=`$MPICC -compile-info 2>/dev/null | $SED 's/^@<:@^ @:>@* //'`
        MPI_LIBS=`$MPICC -link-info 2>/dev/null | $SED 's/^@<:@^ @:>@* //'`; }
      na_save_CFLAGS=$CFLAGS; na_save_LIBS=$LIBS
      CFLAGS="$CFLAGS $MPI_CFLAGS"; LIBS="$MPI_LIBS $LIBS"
      AC_MSG_CHECKING([whether MPI programs link])
      AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <mpi.h>]], [[MPI_Init(0, 0);]])], [have_mpi=yes])
      AC_MSG_RESULT([$have_mpi])
      CFLAGS=$na_save_CFLAGS; LIBS=$na_save_LIBS])
    AS_IF([test "x$have_mpi" = xno && test "x$with_mpi" != xcheck],
      [AC_MSG_ERROR([--with-mpi was given but no working mpicc was found (Debian: libopenmpi-dev openmpi-bin)])])
  ])
  AM_CONDITIONAL([HAVE_MPI], [test "x$have_mpi" = xyes])
  AC_SUBST([MPI_CFLAGS])
  AC_SUBST([MPI_LIBS])
])
