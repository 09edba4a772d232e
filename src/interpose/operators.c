/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * C++'s operators new and delete, under their mangled names, in C: a C++ source would make every preloaded C
 * program load libstdc++. What a failing `new` needs of libstdc++, the new handler and
 * std::bad_alloc, is reached by weak references: in a C++ program they are there. The names are the Itanium C++
 * ABI's for a 64-bit size_t (m = unsigned long); on other data models libstdc++'s own operators, which
 * call malloc, serve as well.
 */
#include <numarena/memory.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "heap/heap.h"

#if UINTPTR_MAX == UINT64_MAX && defined(__LP64__)

#define OPERATOR(name) __asm__(name) __attribute__((visibility("default")))

typedef void (*new_handler)(void);
extern new_handler std_get_new_handler(void) __asm__("_ZSt15get_new_handlerv") __attribute__((weak));
extern void std_throw_bad_alloc(void) __asm__("_ZSt17__throw_bad_allocv") __attribute__((weak, noreturn));

static __attribute__((cold, noinline)) void *fail_or_retry(size_t alignment, size_t size, int may_throw)
{
	void *p;

	for (;;) {
		new_handler handler = std_get_new_handler ? std_get_new_handler() : NULL;

		if (!handler)
			break;
		handler(); /* frees something, throws, or ends the program */
		p = alignment ? allocate_aligned_memory(alignment, size) : allocate_memory(size);
		if (p)
			return p;
	}
	if (!may_throw)
		return NULL;
	if (std_throw_bad_alloc)
		std_throw_bad_alloc();
	static const char message[] =
		"numarena: operator new: out of memory, and no libstdc++ to throw std::bad_alloc\n";
	if (write(STDERR_FILENO, message, sizeof(message) - 1) < 0)
		abort();
	abort();
}

static inline void *plain(size_t size)
{
	void *p = na_heap_allocate(size);

	return __builtin_expect(p != NULL, 1) ? p : fail_or_retry(0, size, 1);
}

static inline void *plain_nothrow(size_t size)
{
	void *p = na_heap_allocate(size);

	return __builtin_expect(p != NULL, 1) ? p : fail_or_retry(0, size, 0);
}

static inline void *aligned(size_t size, size_t alignment)
{
	void *p = allocate_aligned_memory(alignment, size);

	return __builtin_expect(p != NULL, 1) ? p : fail_or_retry(alignment, size, 1);
}

static inline void *aligned_nothrow(size_t size, size_t alignment)
{
	void *p = allocate_aligned_memory(alignment, size);

	return __builtin_expect(p != NULL, 1) ? p : fail_or_retry(alignment, size, 0);
}

/* new, new[]: plain, nothrow, aligned, aligned nothrow. */
#define NEW(id, name, parameters, call)                                                                                \
	void *id parameters OPERATOR(name);                                                                            \
	void *id parameters                                                                                            \
	{                                                                                                              \
		return call;                                                                                           \
	}

NEW(new_plain, "_Znwm", (size_t n), plain(n))
NEW(new_array, "_Znam", (size_t n), plain(n))
NEW(new_nothrow, "_ZnwmRKSt9nothrow_t", (size_t n, const void *tag), ((void)tag, plain_nothrow(n)))
NEW(new_array_nothrow, "_ZnamRKSt9nothrow_t", (size_t n, const void *tag), ((void)tag, plain_nothrow(n)))
NEW(new_aligned, "_ZnwmSt11align_val_t", (size_t n, size_t a), aligned(n, a))
NEW(new_array_aligned, "_ZnamSt11align_val_t", (size_t n, size_t a), aligned(n, a))
NEW(new_aligned_nothrow, "_ZnwmSt11align_val_tRKSt9nothrow_t", (size_t n, size_t a, const void *tag),
    ((void)tag, aligned_nothrow(n, a)))
NEW(new_array_aligned_nothrow, "_ZnamSt11align_val_tRKSt9nothrow_t", (size_t n, size_t a, const void *tag),
    ((void)tag, aligned_nothrow(n, a)))

/* delete, delete[]: plain, sized, nothrow, aligned, and their combinations; the size and the
 * alignment are not needed to find a block. */
#define DELETE(id, name, ...)                                                                                          \
	void id(void *p, ##__VA_ARGS__) OPERATOR(name);                                                                \
	void id(void *p, ##__VA_ARGS__)                                                                                \
	{                                                                                                              \
		na_heap_release(p);                                                                                    \
	}

DELETE(delete_plain, "_ZdlPv")
DELETE(delete_array, "_ZdaPv")
DELETE(delete_sized, "_ZdlPvm", size_t n __attribute__((unused)))
DELETE(delete_array_sized, "_ZdaPvm", size_t n __attribute__((unused)))
DELETE(delete_nothrow, "_ZdlPvRKSt9nothrow_t", const void *tag __attribute__((unused)))
DELETE(delete_array_nothrow, "_ZdaPvRKSt9nothrow_t", const void *tag __attribute__((unused)))
DELETE(delete_aligned, "_ZdlPvSt11align_val_t", size_t a __attribute__((unused)))
DELETE(delete_array_aligned, "_ZdaPvSt11align_val_t", size_t a __attribute__((unused)))
DELETE(delete_sized_aligned, "_ZdlPvmSt11align_val_t", size_t n __attribute__((unused)),
       size_t a __attribute__((unused)))
DELETE(delete_array_sized_aligned, "_ZdaPvmSt11align_val_t", size_t n __attribute__((unused)),
       size_t a __attribute__((unused)))
DELETE(delete_aligned_nothrow, "_ZdlPvSt11align_val_tRKSt9nothrow_t", size_t a __attribute__((unused)),
       const void *tag __attribute__((unused)))
DELETE(delete_array_aligned_nothrow, "_ZdaPvSt11align_val_tRKSt9nothrow_t", size_t a __attribute__((unused)),
       const void *tag __attribute__((unused)))

#endif
