/* SPDX-License-Identifier: BSD-3-Clause */
/* The bound, the alignment and monitoring are in force afterwards; freed memory goes back without decay. */
#include <errno.h>
#include <numarena/numarena.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

static int check(void)
{
	size_t beyond = (size_t)9 << 30;
	char *p = allocate_from_pool(1), *q = allocate_from_pool(100);

	if (last_memory_error() != MEMORY_ERROR_NONE) {
		fprintf(stderr, "%s\n", last_memory_error_message());
		return 1;
	}
	if (!p || !q || (uintptr_t)p % 64 || (uintptr_t)q % 64)
		return 2;
	return_to_pool(p);
	return_to_pool(q);
	errno = 0;
	p = allocate_from_pool(beyond);
	if (p || errno != ENOMEM || last_memory_error() != MEMORY_ERROR_ALLOCATION)
		return 3;
	for (int i = 0; i < 1000 && get_memory_samples(NULL, 0) == 0; i++)
		usleep(10000);
	if (get_memory_samples(NULL, 0) == 0)
		return 4;
	return 0;
}

int main(void)
{
@BLOCK@
	return check();
}
