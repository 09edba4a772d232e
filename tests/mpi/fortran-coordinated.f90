! SPDX-License-Identifier: BSD-3-Clause
! Forty collectives that count, from Fortran, with buffers in place, and forty that do not.
program coordinated
  use mpi
  implicit none
  integer :: i, rank, size, error, value

  call MPI_Init(error)
  call MPI_Comm_rank(MPI_COMM_WORLD, rank, error)
  call MPI_Comm_size(MPI_COMM_WORLD, size, error)
  do i = 1, 20
    value = 1
    call MPI_Allreduce(MPI_IN_PLACE, value, 1, MPI_INTEGER, MPI_SUM, MPI_COMM_WORLD, error)
    if (value /= size) call MPI_Abort(MPI_COMM_WORLD, 1, error)
    call MPI_Barrier(MPI_COMM_WORLD, error)
    call MPI_Bcast(value, 1, MPI_INTEGER, 0, MPI_COMM_WORLD, error)
    call MPI_Barrier(MPI_COMM_SELF, error)
  end do
  call MPI_Finalize(error)
end program coordinated
