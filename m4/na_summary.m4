# SPDX-License-Identifier: BSD-3-Clause
AC_DEFUN([NA_SUMMARY], [
  AC_MSG_NOTICE([
  numarena $PACKAGE_VERSION
    prefix                $prefix
    compiler              $CC $CFLAGS
    hwloc                 $HWLOC_LIBS
    Jansson               $JANSSON_LIBS
    compression (LZ4)     $have_lz4
    MPI layer             $have_mpi ${MPICC:+($MPICC)}
    PMIx                  $have_pmix
    unit tests (cmocka)   $have_cmocka
    Fortran tests         $have_mpifc
    checks, sanitizers    $enable_checks, $enable_sanitizers])
])
