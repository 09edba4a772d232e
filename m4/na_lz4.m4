# SPDX-License-Identifier: BSD-3-Clause
# Compression of cold memory: liblz4, loaded when compression is first initialised, and xxHash, of which the header alone is used.
AC_DEFUN([NA_LZ4], [
  AC_ARG_WITH([lz4],
    [AS_HELP_STRING([--with-lz4], [compress cold memory with LZ4; needs liblz4 and xxHash (default: if found)])],
    [], [with_lz4=check])
  have_lz4=no
  na_lz4_missing=
  AS_IF([test "x$with_lz4" != xno], [
    PKG_CHECK_MODULES([LZ4], [liblz4 >= 1.9], [], [na_lz4_missing="liblz4 1.9 or newer (Debian: liblz4-dev)"])
    PKG_CHECK_MODULES([XXHASH], [libxxhash >= 0.8], [],
      [na_lz4_missing="${na_lz4_missing:+$na_lz4_missing and }xxHash 0.8 or newer (Debian: libxxhash-dev)"])
    AS_IF([test -z "$na_lz4_missing"], [have_lz4=yes])
  ])
  AS_IF([test "x$have_lz4" = xno && test "x$with_lz4" != xno && test "x$with_lz4" != xcheck],
    [AC_MSG_ERROR([--with-lz4 was given and there is no $na_lz4_missing])])
  NA_HAVE_LZ4=0
  NA_LZ4_MODULE=
  na_lz4_why="it was built --without-lz4"
  AS_IF([test -n "$na_lz4_missing"], [na_lz4_why="it was built without $na_lz4_missing"])
  AS_IF([test "x$have_lz4" = xyes], [
    NA_HAVE_LZ4=1
    NA_LZ4_MODULE=liblz4
    NA_SONAME([LZ4], [liblz4], [LZ4_versionNumber])
  ], [
    LZ4_CFLAGS= LZ4_LIBS= XXHASH_CFLAGS=
  ])
  AC_DEFINE_UNQUOTED([NA_HAVE_LZ4], [$NA_HAVE_LZ4], [1 if there is compression])
  AC_DEFINE_UNQUOTED([NA_LZ4_WHY], ["$na_lz4_why"], [why there is no compression])
  AM_CONDITIONAL([HAVE_LZ4], [test "x$have_lz4" = xyes])
  AC_SUBST([NA_LZ4_MODULE])
  AC_SUBST([LZ4_CFLAGS])
  AC_SUBST([LZ4_LIBS])
  AC_SUBST([XXHASH_CFLAGS])
])
