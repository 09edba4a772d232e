/* SPDX-License-Identifier: BSD-3-Clause */
/* numarena/hints.h. */
#include "hints/hints.h"

#include <errno.h>
#include <numarena/hints.h>

#include "api/error.h"
#include "api/life.h"

#define MAX_ALIGNMENT ((size_t)1 << 30)
#define MAX_PARTS     ((size_t)1 << 16)

_Static_assert((int)ACCESS_READ_MOSTLY == (int)NA_ACCESS_READ_MOSTLY &&
		       (int)LIFETIME_PERMANENT == (int)NA_LIFETIME_PERMANENT &&
		       (int)PRIORITY_HIGH == (int)NA_PRIORITY_HIGH && (int)PLACEMENT_CAPACITY == (int)NA_CAPACITY,
	       "the public enumerators have the internal ones' order");

static memory_error_t refuse(const char *field, long long value, const char *must)
{
	return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "%s is %lld: must be %s", field, value, must);
}

static memory_error_t validate(const memory_hints_t *h)
{
	if ((unsigned int)h->access_pattern > ACCESS_READ_MOSTLY)
		return refuse("access_pattern", (int)h->access_pattern, "one of ACCESS_DEFAULT to ACCESS_READ_MOSTLY");
	if ((unsigned int)h->lifetime > LIFETIME_PERMANENT)
		return refuse("lifetime", (int)h->lifetime, "one of LIFETIME_MEDIUM to LIFETIME_PERMANENT");
	if ((unsigned int)h->priority > PRIORITY_HIGH)
		return refuse("priority", (int)h->priority, "one of PRIORITY_NORMAL, _LOW and _HIGH");
	if ((unsigned int)h->placement > PLACEMENT_CAPACITY)
		return refuse("placement", (int)h->placement, "one of PLACEMENT_LOCAL to PLACEMENT_CAPACITY");
	if (h->placement == PLACEMENT_NODE && h->node < 0)
		return refuse("node", h->node, "a node's number");
	if (h->parts > MAX_PARTS)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "parts is %zu: must be up to 65536", h->parts);
	if (h->alignment > MAX_ALIGNMENT || (h->alignment & (h->alignment - 1)))
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT,
				"alignment is %zu: must be a power of two up to 1 GiB, or 0", h->alignment);
	return MEMORY_ERROR_NONE;
}

void *optimized_allocate(size_t size, const memory_hints_t *hints)
{
	static const memory_hints_t none;
	struct na_hints wanted;
	char why[200];
	void *p;
	int rc;

	if (!hints)
		hints = &none;
	if (validate(hints)) {
		errno = EINVAL;
		return NULL;
	}
	wanted = (struct na_hints){ .hint = { .access = (enum na_access)hints->access_pattern,
					      .lifetime = (enum na_lifetime)hints->lifetime,
					      .priority = (enum na_priority)hints->priority,
					      .no_move = hints->no_move },
				    .placement = (enum na_placed)hints->placement,
				    .node = hints->node,
				    .parts = (uint32_t)hints->parts,
				    .alignment = hints->alignment };
	rc = na_hints_allocate(size, &wanted, &p, why);
	if (rc == 0) {
		na_life_adopt(p,
			      hints->lifetime == LIFETIME_LONG && hints->priority == PRIORITY_LOW && !hints->no_move);
		return p;
	}
	na_error(rc == -EINVAL ? MEMORY_ERROR_INVALID_ARGUMENT : MEMORY_ERROR_ALLOCATION, "optimized_allocate(%zu): %s",
		 size, why);
	errno = -rc;
	return NULL;
}

memory_error_t allocation_hints(const void *block, memory_hints_t *hints)
{
	struct na_hints found;

	if (!hints)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "hints is NULL");
	if (na_hints_of(block, &found) < 0)
		return na_error(MEMORY_ERROR_INVALID_ARGUMENT, "pointer %p is not a live block of numarena's", block);
	*hints = (memory_hints_t){ .access_pattern = (memory_access_t)found.hint.access,
				   .lifetime = (memory_lifetime_t)found.hint.lifetime,
				   .priority = (memory_priority_t)found.hint.priority,
				   .placement = (memory_placement_t)found.placement,
				   .node = found.node,
				   .parts = found.parts,
				   .no_move = found.hint.no_move };
	return MEMORY_ERROR_NONE;
}
