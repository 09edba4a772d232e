# SPDX-License-Identifier: BSD-3-Clause
# Switches of our own, and the compiler flags that follow from them.
AC_DEFUN([NA_OPTIONS], [
  AC_ARG_ENABLE([werror],
    [AS_HELP_STRING([--enable-werror], [treat compiler warnings as errors])],
    [], [enable_werror=no])
  AC_ARG_ENABLE([checks],
    [AS_HELP_STRING([--enable-checks], [run every structure's invariant check on each transition (slow)])],
    [], [enable_checks=no])
  AC_ARG_ENABLE([hardening],
    [AS_HELP_STRING([--enable-hardening], [hardened mode by default (NUMARENA_HARDEN=0 turns it off)])],
    [], [enable_hardening=no])
  NA_HARDENED=0
  AS_IF([test "x$enable_hardening" = xyes], [NA_HARDENED=1])
  AC_DEFINE_UNQUOTED([NA_HARDENED], [$NA_HARDENED], [1 if the hardened mode is the default])
  AC_SUBST([NA_HARDENED])
  AC_ARG_ENABLE([sanitizers],
    [AS_HELP_STRING([--enable-sanitizers], [build with AddressSanitizer and UndefinedBehaviorSanitizer])],
    [], [enable_sanitizers=no])

  NA_WARN="-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wno-unused-parameter"
  NA_CXXWARN="-Wall -Wextra -Wshadow"
  AS_IF([test "x$enable_werror" = xyes], [
    NA_WARN="$NA_WARN -Werror"
    NA_CXXWARN="$NA_CXXWARN -Werror"])
  NA_CHECKS=0
  AS_IF([test "x$enable_checks" = xyes], [NA_CHECKS=1])
  AC_DEFINE_UNQUOTED([NA_CHECKS], [$NA_CHECKS], [1 to run invariant checks on every transition])
  NA_SANITIZE=
  NA_DEFS=-Wl,-z,defs # a forgotten symbol is found by the linker and not by a user; sanitizers leave theirs open
  NA_SANITIZERS=0
  AS_IF([test "x$enable_sanitizers" = xyes], [
    NA_SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
    NA_DEFS=
    NA_SANITIZERS=1])
  AC_DEFINE_UNQUOTED([NA_SANITIZERS], [$NA_SANITIZERS], [1 in a sanitizer build])
  AM_CONDITIONAL([SANITIZERS], [test "x$enable_sanitizers" = xyes])
  AC_MSG_CHECKING([whether $CC links with ThreadSanitizer])
  na_save_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS -fsanitize=thread"
  AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [na_tsan=yes], [na_tsan=no])
  CFLAGS=$na_save_CFLAGS
  AC_MSG_RESULT([$na_tsan])
  AM_CONDITIONAL([HAVE_TSAN], [test "x$na_tsan" = xyes])
  AC_SUBST([NA_WARN])
  AC_SUBST([NA_CXXWARN])
  AC_SUBST([NA_SANITIZE])
  AC_SUBST([NA_DEFS])
])
