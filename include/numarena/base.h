/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What every public header shares: the attributes of declarations.
 *
 * NUMARENA_CALL(name) labels a declaration: `allocate_from_pool` is what a program writes,
 * `numarena_allocate_from_pool` is what the linker, Fortran and dlsym see. A program that has
 * its own function of the same name and does not include our header links beside us.
 */
#ifndef NUMARENA_BASE_H
#define NUMARENA_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define NUMARENA_BEGIN extern "C" {
#define NUMARENA_END }
#define NUMARENA_NOEXCEPT noexcept
#else
#define NUMARENA_BEGIN
#define NUMARENA_END
#define NUMARENA_NOEXCEPT
#endif

#define NUMARENA_CALL(name) __asm__("numarena_" #name) __attribute__((visibility("default")))
#define NUMARENA_DATA(name) NUMARENA_CALL(name) /* the same of a variable */
/* A second name of a call, `numarena_far_...`: for functions that a header compiles into the program and that go on to the library. By the
 * first name clang takes them for recursive. Programs do not call it. */
#define NUMARENA_FAR(name) __asm__("numarena_far_" #name) __attribute__((visibility("default")))
#define NUMARENA_ALLOCATES(...) __attribute__((malloc, warn_unused_result, alloc_size(__VA_ARGS__)))

/* A count that could not be measured; a ratio or time that could not be is NaN. */
#define MEMORY_METRIC_UNAVAILABLE SIZE_MAX

#endif
