/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads that each work on their own slice, on memory of their own node. Three arrays are laid over the nodes in as many parts as there are
 * threads; each thread asks once which elements are its own, touches them first, and runs a kernel over them in every step.
 *
 *     cc -O2 -fopenmp slices.c -o slices $(pkg-config --cflags --libs numarena)
 *     OMP_PROC_BIND=close OMP_PLACES=cores ./slices
 */
#include <numarena/numarena.h>
#include <omp.h>
#include <stdio.h>

static double *laid_for(size_t n, size_t threads)
{
	memory_placement_config_t parts = { .placement = PLACEMENT_PARTITIONED, .parts = threads };

	return allocate_placed(n * sizeof(double), &parts);
}

int main(void)
{
	size_t n = 3000000, threads = (size_t)omp_get_max_threads();
	double *a = laid_for(n, threads), *b = laid_for(n, threads), *c = laid_for(n, threads);
	double sum = 0;
	int failed = 0;

	if (!a || !b || !c) {
		fprintf(stderr, "slices: %s\n", last_memory_error_message());
		return 1;
	}
#pragma omp parallel reduction(+ : sum, failed)
	{
		memory_range_t mine;
		size_t me = (size_t)omp_get_thread_num(), all = (size_t)omp_get_num_threads();

		failed = partition_range(a, n, sizeof(*a), me, all, &mine) != MEMORY_ERROR_NONE;
		if (!failed) {
			double *x = a + mine.first, *y = b + mine.first, *z = c + mine.first;

			kernel_fill(y, 1.0, mine.count);
			kernel_fill(z, 2.0, mine.count);
			for (int step = 0; step < 10; step++) {
				kernel_triad(x, y, z, 0.25, mine.count); /* x = y + z / 4 */
				kernel_copy(y, x, mine.count);
			}
			sum = kernel_sum(x, mine.count);
		}
	}
	if (failed)
		fprintf(stderr, "slices: %s\n", last_memory_error_message());
	printf("%zu threads, sum %g\n", threads, sum);
	release_memory(a);
	release_memory(b);
	release_memory(c);
	return failed || sum != 6.0 * (double)n;
}
