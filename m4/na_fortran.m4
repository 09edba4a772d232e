# SPDX-License-Identifier: BSD-3-Clause
# Fortran is only used by tests of the MPI hooks (mpi and mpi_f08 bindings), through the wrappers that lie beside mpicc.
AC_DEFUN([NA_FORTRAN], [
  AC_ARG_VAR([MPIFC], [MPI Fortran compiler wrapper, for tests])
  AC_ARG_VAR([MPIFC2], [the same of the second MPI])
  have_mpifc=no have_mpifc2=no
  AS_IF([test "x$have_mpi" != xno], [NA_MPI_COMPANION([MPIFC], [$MPICC], [mpifort mpif90])])
  AS_IF([test "x$have_mpi2" != xno], [NA_MPI_COMPANION([MPIFC2], [$MPICC2], [mpifort mpif90])])
  AS_IF([test "x$have_mpi" != xno && test -n "$MPIFC"], [have_mpifc=yes])
  AS_IF([test "x$have_mpi2" != xno && test -n "$MPIFC2"], [have_mpifc2=yes])
  AM_CONDITIONAL([HAVE_MPIFC], [test "x$have_mpifc" = xyes])
  AM_CONDITIONAL([HAVE_MPIFC2], [test "x$have_mpifc2" = xyes])
])
