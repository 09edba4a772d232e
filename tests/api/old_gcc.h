/* SPDX-License-Identifier: BSD-3-Clause */
/* Before all else: the headers as GCC before 12 sees them, which has no __builtin_shufflevector. A system's header, as that is warned of elsewhere. */
#pragma GCC system_header
#undef __has_builtin
