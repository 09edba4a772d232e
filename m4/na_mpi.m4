# SPDX-License-Identifier: BSD-3-Clause
# The MPI layer serves Open MPI and MPICH in one library, and needs no MPI to be compiled (mpi/abi/mpi.h). What is looked for here is what
# examples and tests are built against: the first MPI, which is the user's MPICC or the first wrapper found, and a second of the other family, so that
# the tests run with both. "If found" by default; --with-mpi makes a missing MPI an error, --with-mpi=openmpi,mpich insists on these.

# NA_MPI_TRY(PREFIX, WRAPPER): sets PREFIX[]_CFLAGS, PREFIX[]_LIBS and na_family, which is openmpi, mpich, other or no.
AC_DEFUN([NA_MPI_TRY], [
  $1_CFLAGS=`$2 --showme:compile 2>/dev/null` && $1_LIBS=`$2 --showme:link 2>/dev/null` || {
    $1_CFLAGS=`$2 -compile-info 2>/dev/null | $SED 's/^@<:@^ @:>@* //'`
    $1_LIBS=`$2 -link-info 2>/dev/null | $SED 's/^@<:@^ @:>@* //'`; }
  # MPICH's wrappers give both at once. A library among the compiler's flags would come before ours.
  na_kept=
  for na_flag in $$1_CFLAGS; do
    AS_CASE([$na_flag], [-l*|-L*|-Wl,*], [], [na_kept="$na_kept $na_flag"])
  done
  $1_CFLAGS=$na_kept na_kept=
  for na_flag in $$1_LIBS; do
    AS_CASE([$na_flag], [-I*|-D*], [], [na_kept="$na_kept $na_flag"])
  done
  $1_LIBS=$na_kept
  na_save_CFLAGS=$CFLAGS; na_save_LIBS=$LIBS
  CFLAGS="$CFLAGS $$1_CFLAGS"; LIBS="$$1_LIBS $LIBS"
  AC_MSG_CHECKING([which MPI $2 links programs with])
  na_family=no
  AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <mpi.h>]], [[MPI_Init(0, 0);]])], [
    na_family=other
    AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#include <mpi.h>
#ifndef OPEN_MPI
#error another
#endif]])], [na_family=openmpi])
    AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#include <mpi.h>
#if !defined MPICH_NAME && !defined MPICH_VERSION && !defined I_MPI_VERSION
#error another
#endif]])], [na_family=mpich])
  ])
  AC_MSG_RESULT([$na_family])
  CFLAGS=$na_save_CFLAGS; LIBS=$na_save_LIBS
])

# NA_MPI_COMPANION(VARIABLE, WRAPPER, NAMES...): the first of NAMES that lies beside WRAPPER with its suffix (mpicc.mpich, mpiexec.mpich).
AC_DEFUN([NA_MPI_COMPANION], [
  AS_IF([test -z "$$1"], [
    na_suffix=`AS_ECHO(["$2"]) | $SED 's,.*/mpicc,,'`
    na_folder=`AS_DIRNAME(["$2"])`
    for na_name in $3; do
      AS_IF([test -z "$$1" && test -x "$na_folder/$na_name$na_suffix"], [$1=$na_folder/$na_name$na_suffix])
    done])
])

AC_DEFUN([NA_MPI], [
  AC_ARG_WITH([mpi],
    [AS_HELP_STRING([--with-mpi@<:@=openmpi,mpich@:>@], [build the MPI layer and test it with these (default: those found)])],
    [], [with_mpi=check])
  AC_ARG_VAR([MPICC], [MPI C compiler wrapper whose flags are used])
  AC_ARG_VAR([MPICC2], [wrapper of a second MPI, for tests])
  AC_ARG_VAR([MPIRUN], [launcher of programs that MPICC has linked, for tests])
  AC_ARG_VAR([MPIRUN2], [launcher of programs that MPICC2 has linked, for tests])
  have_mpi=no have_mpi2=no
  AS_CASE([$with_mpi], [yes|no|check|openmpi|mpich|openmpi,mpich|mpich,openmpi], [],
    [AC_MSG_ERROR([--with-mpi=$with_mpi: openmpi, mpich, both with a comma between, or nothing])])
  AS_IF([test "x$with_mpi" != xno], [
    AS_CASE([$MPICC], [/*|""], [], [MPICC=`command -v "$MPICC" || AS_ECHO(["/no/$MPICC"])`])
    AS_CASE([$MPICC2], [/*|""], [], [MPICC2=`command -v "$MPICC2" || AS_ECHO(["/no/$MPICC2"])`])
    AS_CASE([$with_mpi],
      [openmpi*], [AC_PATH_PROGS([MPICC], [mpicc.openmpi mpicc])],
      [mpich*], [AC_PATH_PROGS([MPICC], [mpicc.mpich mpicc])],
      [AC_PATH_PROGS([MPICC], [mpicc mpicc.openmpi mpicc.mpich])])
    AS_IF([test -n "$MPICC"], [NA_MPI_TRY([MPI], [$MPICC]) have_mpi=$na_family])
    AS_CASE([$have_mpi,$with_mpi], [*,openmpi|*,mpich], [],
      [openmpi,*], [AC_PATH_PROGS([MPICC2], [mpicc.mpich])],
      [mpich,*], [AC_PATH_PROGS([MPICC2], [mpicc.openmpi])])
    AS_IF([test -n "$MPICC2"], [NA_MPI_TRY([MPI2], [$MPICC2]) have_mpi2=$na_family])
    AS_IF([test "x$have_mpi" = xno && test "x$with_mpi" != xcheck],
      [AC_MSG_ERROR([--with-mpi was given but no working mpicc was found (Debian: libopenmpi-dev openmpi-bin)])])
    for na_wanted in openmpi mpich; do
      AS_CASE([,$with_mpi,], [*,$na_wanted,*],
        [AS_CASE([,$have_mpi,$have_mpi2,], [*,$na_wanted,*], [],
          [AC_MSG_ERROR([--with-mpi=$with_mpi: no working compiler of $na_wanted was found (name it by MPICC or MPICC2)])])])
    done
    AS_IF([test "x$have_mpi" != xno], [NA_MPI_COMPANION([MPIRUN], [$MPICC], [mpirun mpiexec])])
    AS_IF([test "x$have_mpi2" != xno], [NA_MPI_COMPANION([MPIRUN2], [$MPICC2], [mpirun mpiexec])])
  ])
  AM_CONDITIONAL([HAVE_MPI], [test "x$have_mpi" != xno])
  AM_CONDITIONAL([HAVE_MPI2], [test "x$have_mpi2" != xno])
  AC_SUBST([MPI_CFLAGS])
  AC_SUBST([MPI_LIBS])
  AC_SUBST([MPI2_CFLAGS])
  AC_SUBST([MPI2_LIBS])
  AC_SUBST([MPI_FAMILY], [$have_mpi])
  AC_SUBST([MPI2_FAMILY], [$have_mpi2])
])
