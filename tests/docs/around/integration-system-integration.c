/* SPDX-License-Identifier: BSD-3-Clause */
/* Monitoring has started. (Compression is answered by one line on standard error in this version.) */
#include <numarena/numarena.h>
#include <stdio.h>
#include <unistd.h>

static int check(void)
{
	void *p;

	if (last_memory_error() != MEMORY_ERROR_NONE) {
		fprintf(stderr, "%s\n", last_memory_error_message());
		return 1;
	}
	for (int i = 0; i < 1000 && get_memory_samples(NULL, 0) == 0; i++)
		usleep(10000);
	if (get_memory_samples(NULL, 0) == 0)
		return 2;
	p = allocate_from_pool(1000);
	return_to_pool(p);
	return !p;
}

int main(void)
{
@BLOCK@
	return check();
}
