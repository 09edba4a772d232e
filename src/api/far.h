/* SPDX-License-Identifier: BSD-3-Clause */
/* The second name of a call that a public header compiles into programs, in part; see NUMARENA_FAR. Behind the definition, in its file. */
#ifndef NA_API_FAR_H
#define NA_API_FAR_H

#include <numarena/base.h>

#define NA_FAR(name) extern __typeof__(name) name##_ NUMARENA_FAR(name) __attribute__((alias("numarena_" #name)));

#endif
