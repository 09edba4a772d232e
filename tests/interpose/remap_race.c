/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A huge block moves by mremap, which frees its old place at once; another thread that maps just then is given that very
 * place by the kernel. The metadata of the one must not be cleared for the other. This program's own mremap()
 * holds the window open: it lets the other thread allocate before it returns.
 */
#include "interpose.h"

#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define MIB ((size_t)1 << 20)

static sem_t go, done;
static volatile int armed, opened; /* else the compiler takes it that realloc cannot read them */
static unsigned char *other;

void *mremap(void *old, size_t old_size, size_t size, int flags, ...)
{
	va_list args;
	void *to, *p;

	va_start(args, flags);
	to = va_arg(args, void *);
	va_end(args);
	p = (void *)syscall(SYS_mremap, old, old_size, size, flags, to);
	if (armed && p != MAP_FAILED && p != old) {
		armed = 0;
		opened++;
		sem_post(&go);
		sem_wait(&done);
	}
	return p;
}

static void *helper(void *size)
{
	free(malloc(10)); /* its cache, so that nothing else is mapped in the window */
	sem_post(&done);
	sem_wait(&go);
	other = malloc((size_t)(uintptr_t)size);
	sem_post(&done);
	return NULL;
}

static void grow_while_another_allocates(size_t start, size_t grown, size_t theirs)
{
	unsigned char *wall = malloc(34 * MIB), *p = malloc(start); /* the wall lies above: no growing in place */
	pthread_t t;

	check_fill(p, 0, 10000, start);
	other = NULL;
	REQUIRE(pthread_create(&t, NULL, helper, (void *)(uintptr_t)theirs) == 0);
	sem_wait(&done);
	armed = 1;
	p = realloc(p, grown);
	if (armed) { /* it grew in place or was copied: no window */
		armed = 0;
		sem_post(&go);
	}
	REQUIRE(p);
	pthread_join(t, NULL);
	REQUIRE(other);
	CHECK_EQ(check_filled(p, 0, 10000, start), 10000);
	memset(p + grown - 100, 1, 100);
	CHECK_MSG(malloc_usable_size(p) >= grown, "the block that moved has %zu usable bytes", malloc_usable_size(p));
	CHECK_MSG(malloc_usable_size(other) >= theirs, "the other thread's block of %zu has %zu usable bytes", theirs,
		  malloc_usable_size(other));
	memset(other, 1, theirs);
	other = realloc(other, theirs + 30 * MIB);
	CHECK(other != NULL);
	CHECK(other == NULL || (other[0] == 1 && other[theirs - 1] == 1));
	free(other);
	free(p);
	free(wall);
	malloc_trim(0);
}

static void the_old_place_is_another_threads_at_once(void)
{
	for (size_t start = 10; start <= 100; start += 30)
		for (size_t theirs = 10; theirs <= 70; theirs += 20)
			grow_while_another_allocates(start * MIB, (start + 100) * MIB, theirs * MIB);
}

int main(int argc, char **argv)
{
	(void)argc;
	interpose_enter(argv);
	sem_init(&go, 0, 0);
	sem_init(&done, 0, 0);
	RUN(the_old_place_is_another_threads_at_once);
	if (interpose_active() && !opened)
		check_fail(__FILE__, __LINE__, "no block ever moved by this program's mremap: nothing was tested");
	return check_result();
}
