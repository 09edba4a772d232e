# SPDX-License-Identifier: BSD-3-Clause
# Fortran is only used by tests of the MPI hooks (mpi and mpi_f08 bindings), through the mpif90 wrapper.
AC_DEFUN([NA_FORTRAN], [
  AC_ARG_VAR([MPIFC], [MPI Fortran compiler wrapper, for tests])
  AC_PATH_PROG([MPIFC], [mpif90])
  have_mpifc=no
  AS_IF([test "x$have_mpi" = xyes && test -n "$MPIFC"], [have_mpifc=yes])
  AM_CONDITIONAL([HAVE_MPIFC], [test "x$have_mpifc" = xyes])
])
