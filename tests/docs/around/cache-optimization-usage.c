/* SPDX-License-Identifier: BSD-3-Clause */
/* Every element is processed once, in an array from the pool, whose blocks start on a line. */
#include <numarena/numarena.h>

static size_t processed;

static void process_element(double *element)
{
	*element += 1.0;
	processed++;
}

@BLOCK@

int main(void)
{
	double *data = allocate_zeroed_from_pool(1000 * sizeof(*data));
	int wrong = 0;

	if (!data)
		return 1;
	process_data_optimized(data, 1000);
	for (int i = 0; i < 1000; i++)
		wrong |= data[i] != 1.0;
	return_to_pool(data);
	return wrong || processed != 1000;
}
