/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/chance.h"

#include <string.h>

/* splitmix64 */
uint64_t na_chance_next(uint64_t *state)
{
	uint64_t v = *state += UINT64_C(0x9e3779b97f4a7c15);

	v = (v ^ (v >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	v = (v ^ (v >> 27)) * UINT64_C(0x94d049bb133111eb);
	return v ^ (v >> 31);
}

/* Natural logarithm of a normal number: by its exponent, and atanh of the rest, whose series is good to 1e-13 there. */
static double logarithm(double v)
{
	double m, s, q, sum = 0;
	uint64_t bits;
	int exponent;

	memcpy(&bits, &v, sizeof(bits));
	exponent = (int)(bits >> 52) - 1023;
	bits = (bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1023) << 52;
	memcpy(&m, &bits, sizeof(m));
	if (m > 1.4142135623730951) {
		m /= 2;
		exponent++;
	}
	s = (m - 1) / (m + 1);
	q = s * s;
	for (int k = 15; k >= 1; k -= 2)
		sum = sum * q + 1.0 / k;
	return 2 * s * sum + exponent * 0.69314718055994531;
}

int64_t na_chance_gap(uint64_t *state, uint64_t mean)
{
	double u = (double)((na_chance_next(state) >> 11) + 1) * 0x1p-53; /* (0, 1] */
	double gap = -logarithm(u) * (double)mean;

	return gap < 0x1p62 ? (int64_t)gap + 1 : INT64_C(1) << 62;
}

double na_chance_of(uint64_t size, uint64_t mean)
{
	double x = (double)size / (double)mean, hit;
	int doublings = 0;

	if (x > 40)
		return 1;
	for (; x > 0.0625; x /= 2)
		doublings++;
	/* 1 - exp(-x) by its series, and then 1 - exp(-2x) = (1 - exp(-x)) (1 + exp(-x)): nothing cancels. */
	hit = x * (1 - x / 2 * (1 - x / 3 * (1 - x / 4 * (1 - x / 5 * (1 - x / 6 * (1 - x / 7))))));
	for (; doublings; doublings--)
		hit *= 2 - hit;
	return hit;
}
