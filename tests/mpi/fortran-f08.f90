! SPDX-License-Identifier: BSD-3-Clause
! The Fortran 2008 module, with threads asked for.
program fortran_f08
  use mpi_f08
  implicit none
  integer :: rank, ranks, provided
  double precision, allocatable :: x(:)

  call MPI_Init_thread(MPI_THREAD_FUNNELED, provided)
  call MPI_Comm_rank(MPI_COMM_WORLD, rank)
  call MPI_Comm_size(MPI_COMM_WORLD, ranks)
  allocate (x(1000000))
  x = rank
  print *, "rank", rank, "of", ranks, sum(x)
  deallocate (x)
  call MPI_Finalize()
end program fortran_f08
