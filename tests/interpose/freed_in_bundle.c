/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Small blocks that are free but set aside for the thread's next allocations: a second free must give nothing out twice.
 * (A free at an offset into the thread's own small block is a documented limit: it frees the block.)
 */
#include "interpose.h"

#include <malloc.h>

static void expect_harmless(int (*function)(void *), size_t size, const char *what)
{
	struct child c;

	child_run(function, &size, &c);
	CHILD_GOOD(&c, what);
	CHECK_MSG(child_lines_with(&c, "numarena: ") >= 1, "%s, size %zu: nothing was reported", what, size);
}

static int count_in(void *const *p, int n, const void *wanted)
{
	int found = 0;

	for (int i = 0; i < n; i++)
		found += p[i] == wanted;
	return found;
}

/* Frees a run of blocks, allocates until one of them comes back (so that the rest of the run is set aside for what
 * comes next), and frees a second one of them again. */
static int again_while_set_aside(void *size)
{
	enum { RUN_LENGTH = 16, N = 9000 };
	static void *p[RUN_LENGTH], *q[N];
	void *victim = NULL;
	int n = 0;

	for (int i = 0; i < RUN_LENGTH; i++)
		p[i] = malloc(*(size_t *)size);
	for (int i = 0; i < RUN_LENGTH; i++)
		free(p[i]);
	while (n < N / 2 && !victim) {
		q[n] = malloc(*(size_t *)size);
		if (count_in(p, RUN_LENGTH, q[n]))
			victim = p[RUN_LENGTH - 1] == q[n] ? p[RUN_LENGTH - 2] : p[RUN_LENGTH - 1];
		n++;
	}
	REQUIRE(victim);
	free(hide(victim));
	for (; n < N; n++)
		q[n] = malloc(*(size_t *)size);
	CHECK_MSG(count_in(q, N, victim) <= 1, "a block of %zu bytes was given out %d times", *(size_t *)size,
		  count_in(q, N, victim));
	return 0;
}

static void a_second_free_while_set_aside(void)
{
	const size_t sizes[] = { 16, 48, 128, 500, 1000, 3000 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		expect_harmless(again_while_set_aside, sizes[i], "a second free while set aside");
}

int main(int argc, char **argv)
{
	(void)argc;
	if (interpose_libc())
		SKIP("glibc aborts on these; there is nothing to compare with");
	interpose_enter(argv);
	RUN(a_second_free_while_set_aside);
	return check_result();
}
