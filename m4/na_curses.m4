# SPDX-License-Identifier: BSD-3-Clause
# numarena-top's live view: curses with wide characters. Without it the tool prints plain text only.
AC_DEFUN([NA_CURSES], [
  AC_ARG_WITH([curses],
    [AS_HELP_STRING([--with-curses], [numarena-top in the terminal; needs ncurses (default: if found)])],
    [], [with_curses=check])
  have_curses=no
  AS_IF([test "x$with_curses" != xno], [PKG_CHECK_MODULES([CURSES], [ncursesw >= 6], [have_curses=yes], [have_curses=no])])
  AS_IF([test "x$have_curses" = xno && test "x$with_curses" = xyes],
    [AC_MSG_ERROR([--with-curses was given and there is no ncursesw 6 or newer (Debian: libncurses-dev)])])
  NA_HAVE_CURSES=0
  AS_IF([test "x$have_curses" = xyes], [NA_HAVE_CURSES=1], [CURSES_CFLAGS= CURSES_LIBS=])
  AC_DEFINE_UNQUOTED([NA_HAVE_CURSES], [$NA_HAVE_CURSES], [1 if numarena-top has a live view])
  AC_DEFINE([NA_CURSES_WHY], ["ncurses (Debian: libncurses-dev)"], [what is missing if it has not])
  AC_SUBST([CURSES_CFLAGS])
  AC_SUBST([CURSES_LIBS])
])
