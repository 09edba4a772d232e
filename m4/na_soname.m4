# SPDX-License-Identifier: BSD-3-Clause
# NA_SONAME(PREFIX, LIBRARY, FUNCTION): the name by which programs linked with PREFIX_LIBS find LIBRARY at run time, as
# NA_PREFIX_SONAME, for na_library_load(). The linker knows it, so ask for what it recorded.
AC_DEFUN([NA_SONAME], [
  AC_CHECK_TOOL([OBJDUMP], [objdump], [false])
  AC_MSG_CHECKING([for the run-time name of $2])
  na_save_LIBS=$LIBS
  LIBS="$$1_LIBS $LIBS"
  na_soname=
  AC_LINK_IFELSE([AC_LANG_PROGRAM([[char $3(void);]], [[return $3();]])],
    [na_soname=`$OBJDUMP -p conftest$EXEEXT 2>/dev/null | $SED -n 's/^ *NEEDED  *\($2\.so.*\)$/\1/p'`])
  LIBS=$na_save_LIBS
  AC_MSG_RESULT([${na_soname:-none}])
  AS_IF([test -z "$na_soname" && test "x$enable_shared" = xyes],
    [AC_MSG_ERROR([shared libraries load $2 at run time, and it was not found as one; with --disable-shared it is linked])])
  AC_DEFINE_UNQUOTED([NA_$1_SONAME], ["$na_soname"], [what the loader knows $2 by])
])

# Libraries that shared objects load and others link: NA_LATER_LIBS is empty or all of them.
AC_DEFUN([NA_LATER], [
  AC_SEARCH_LIBS([dlopen], [dl])
  NA_LATER_LIBS=
  AS_IF([test "x$enable_shared" != xyes], [NA_LATER_LIBS="$HWLOC_LIBS $JANSSON_LIBS $LZ4_LIBS"])
  AC_SUBST([NA_LATER_LIBS])
])
