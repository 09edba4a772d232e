/* SPDX-License-Identifier: BSD-3-Clause */
/* numarena/movable.h: errors and figures; the blocks themselves are in movable/. */
#include <numarena/movable.h>

#include <errno.h>

#include "api/error.h"
#include "api/life.h"
#include "heap/pressure.h"
#include "movable/movable.h"

static memory_error_t refuse(memory_handle_t handle, int rc)
{
	char why[200];

	switch (rc) {
	case -EINVAL:
		return na_error(MEMORY_ERROR_CORRUPTION,
				"no movable block has the handle %llx (released, or never given out)",
				(unsigned long long)handle);
	case -EBUSY:
		return na_error(MEMORY_ERROR_BUSY, "the movable block %llx is pinned", (unsigned long long)handle);
	case -EDEADLK:
		return na_error(
			MEMORY_ERROR_BUSY,
			"the movable block %llx: next() of compact_in_order() must not resize or compress blocks",
			(unsigned long long)handle);
	case -EBADMSG:
		return na_error(MEMORY_ERROR_CORRUPTION, "the compressed image of the movable block %llx is damaged",
				(unsigned long long)handle);
	case -ENOMEM:
		na_recovery_why(na_movable_room_of(handle), why, sizeof(why));
		return na_error(MEMORY_ERROR_ALLOCATION, "no memory for the movable block %llx: %s",
				(unsigned long long)handle, why);
	default:
		return na_error(MEMORY_ERROR_PERMISSION,
				"the kernel refuses the barrier that moving needs (membarrier: error %d)", -rc);
	}
}

memory_handle_t allocate_movable(size_t size)
{
	memory_handle_t handle;
	char why[200];

	if (na_movable_allocate(size, &handle) == 0)
		return handle;
	na_recovery_why(na_movable_room(size), why, sizeof(why));
	na_error(MEMORY_ERROR_ALLOCATION, "no memory for a movable block of %zu bytes: %s", size, why);
	errno = ENOMEM;
	return 0;
}

memory_error_t release_movable(memory_handle_t handle)
{
	int rc = na_movable_release(handle);

	return rc < 0 ? refuse(handle, rc) : MEMORY_ERROR_NONE;
}

memory_error_t resize_movable(memory_handle_t handle, size_t size)
{
	int rc = na_movable_resize(handle, size);
	char why[200];

	if (rc == -ENOMEM) {
		na_recovery_why(na_movable_room(size), why, sizeof(why));
		return na_error(MEMORY_ERROR_ALLOCATION, "no memory for the movable block %llx of %zu bytes: %s",
				(unsigned long long)handle, size, why);
	}
	return rc < 0 ? refuse(handle, rc) : MEMORY_ERROR_NONE;
}

size_t movable_size(memory_handle_t handle)
{
	size_t size = na_movable_size_of(handle);

	if (!size)
		refuse(handle, -EINVAL);
	return size;
}

int movable_node(memory_handle_t handle)
{
	int node = na_movable_node_of(handle);

	if (node == -2)
		refuse(handle, -EINVAL);
	return node < 0 ? -1 : node;
}

/* Pins past a thread's slots are counted like shared ones. */
static void refuse_pin(memory_handle_t handle, int rc)
{
	if (rc == -EBUSY)
		na_error(MEMORY_ERROR_BUSY, "the movable block %llx has %d shared pins, the most there can be",
			 (unsigned long long)handle, (int)NA_ABOUT_COUNT_MOST);
	else
		refuse(handle, rc);
}

void *pin_movable(memory_handle_t handle)
{
	void *p = NULL;
	int rc = na_movable_pin(handle, false, &p);

	if (rc < 0)
		refuse_pin(handle, rc);
	return p;
}

void *pin_memory_shared(memory_handle_t handle)
{
	void *p = NULL;
	int rc = na_movable_pin(handle, true, &p);

	if (rc < 0)
		refuse_pin(handle, rc);
	return p;
}

memory_error_t unpin_movable(memory_handle_t handle)
{
	if (na_movable_unpin(handle) == 0)
		return MEMORY_ERROR_NONE;
	return na_error(MEMORY_ERROR_INVALID_ARGUMENT,
			"handle %llx: neither has this thread pinned it, nor is a shared pin held",
			(unsigned long long)handle);
}

memory_error_t compact_in_order(const compaction_order_t *order, compaction_result_t *result)
{
	compaction_result_t out = { 0 };
	memory_handle_t wrong;
	int rc;

	if (!order || !order->next)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "%s is NULL", order ? "order->next" : "order");
	rc = na_movable_order(order, &out, &wrong);
	if (result)
		*result = out;
	if (rc == -EINVAL)
		return na_error(
			MEMORY_ERROR_CORRUPTION,
			"compact_in_order: after %zu blocks next() gave the handle %llx, which no movable block has",
			out.blocks + out.left, (unsigned long long)wrong);
	if (rc == -EDEADLK)
		return na_error(MEMORY_ERROR_BUSY, "compact_in_order: next() of another order must not begin one");
	if (rc == -ENOMEM)
		return na_error(MEMORY_ERROR_ALLOCATION, "compact_in_order: no memory after %zu blocks", out.blocks);
	return rc < 0 ? refuse(0, rc) : MEMORY_ERROR_NONE;
}

memory_handle_t *next_handle_in_array(void *array)
{
	memory_handle_array_t *a = array;

	return a->at < a->count ? &a->handle[a->at++] : NULL;
}

memory_error_t get_movable_statistics(movable_stats_t *stats)
{
	if (!stats)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "stats is NULL");
	na_movable_figures(stats);
	return MEMORY_ERROR_NONE;
}
