! SPDX-License-Identifier: BSD-3-Clause
! The older Fortran module: its bindings call PMPI_Init.
program fortran_mpi
  use mpi
  implicit none
  integer :: rank, ranks, ierr
  double precision, allocatable :: x(:)

  call MPI_Init(ierr)
  call MPI_Comm_rank(MPI_COMM_WORLD, rank, ierr)
  call MPI_Comm_size(MPI_COMM_WORLD, ranks, ierr)
  allocate (x(1000000))
  x = rank
  print *, "rank", rank, "of", ranks, sum(x)
  deallocate (x)
  call MPI_Finalize(ierr)
end program fortran_mpi
