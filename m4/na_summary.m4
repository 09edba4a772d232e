# SPDX-License-Identifier: BSD-3-Clause
AC_DEFUN([NA_SUMMARY], [
  AS_IF([test "x$have_mpi" = xno], [na_layer=no], [na_layer="for Open MPI and MPICH"])
  AC_MSG_NOTICE([
  numarena $PACKAGE_VERSION
    prefix                $prefix
    compiler              $CC $CFLAGS
    hwloc                 $HWLOC_LIBS
    Jansson               $JANSSON_LIBS
    compression (LZ4)     $have_lz4
    MPI layer             $na_layer
    tested with MPI       $have_mpi ${MPICC:+($MPICC)}
    and with              $have_mpi2 ${MPICC2:+($MPICC2)}
    PMIx                  $have_pmix
    numarena-top (curses) $have_curses
    unit tests (cmocka)   $have_cmocka
    Fortran tests         $have_mpifc, $have_mpifc2
    checks, sanitizers    $enable_checks, $enable_sanitizers])
])
