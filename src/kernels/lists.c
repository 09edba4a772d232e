/* SPDX-License-Identifier: BSD-3-Clause */
/* Linked lists: many at once, and one with jump pointers. */
#include "kernels/indexed.h"

#define DISTANCE 32
#define FARTHEST 256

struct walk {
	size_t next;
	void (*visit)(void *node, size_t list, void *context);
	void *context;
};

static inline void *step(void *node, size_t list, void *closure)
{
	const struct walk *walk = closure;
	void *after = *kernel_link_(node, walk->next);

	walk->visit(node, list, walk->context);
	return after;
}

void na_kernel_walk_lists(void *const *heads, size_t lists, size_t next, void (*visit)(void *, size_t, void *),
			  void *context)
{
	struct walk walk = { next, visit, context };

	walk_paths(heads, lists, 0, step, &walk);
}

/* The last nodes, which have none so far ahead, jump to themselves: to prefetch from NULL is to walk the page table for nothing. */
void na_kernel_build_jumps(void *head, size_t next, size_t jump, size_t distance)
{
	void *behind[FARTHEST], *at = head;
	size_t count = 0;

	distance = distance ? distance : DISTANCE;
	for (; at; at = *kernel_link_(at, next), count++) {
		if (count >= distance)
			*kernel_link_(behind[count % distance], jump) = at;
		behind[count % distance] = at;
	}
	for (size_t i = 0; i < (count < distance ? count : distance); i++)
		*kernel_link_(behind[i], jump) = behind[i];
}
