# SPDX-License-Identifier: BSD-3-Clause
"""The allocators compared: where their libraries are and which version was found.

An allocator that is not there stays in the list with the reason, so that a table never gets shorter in silence.
"""
import argparse
import os
import re
import shutil
import subprocess

# Name, the library to preload, and libraries that it must find beside itself.
FOREIGN = (
    ("mimalloc", "libmimalloc.so.2", ()),
    ("jemalloc", "libjemalloc.so.2", ()),
    ("tcmalloc", "libtcmalloc_minimal.so.4", ()),
    ("tbbmalloc", "libtbbmalloc_proxy.so.2", ("libtbbmalloc.so.2",)),
)
NAMES = ("numarena", "glibc") + tuple(name for name, _, _ in FOREIGN)

# Settings of the allocators that a user may have in the environment; they act on the runs, so they are recorded.
SETTINGS = ("NUMARENA_", "GLIBC_TUNABLES", "MALLOC_", "MIMALLOC_", "JEMALLOC_", "TCMALLOC_", "TBB_MALLOC_")


class Allocator:
    def __init__(self, name, library=None, version=None, reason=None, variables=None):
        self.name = name
        self.library = library  # None: nothing is preloaded
        self.version = version
        self.reason = reason  # why it is unavailable, or None
        self.variables = variables or {}  # set for its runs alone

    def expected(self, malloc):
        """Whether a program whose malloc comes from this file runs on this allocator."""
        if self.library is None:
            return os.path.basename(os.path.realpath(malloc)).startswith("libc.so")
        return os.path.realpath(malloc) == os.path.realpath(self.library)

    def is_numarena(self):
        """Any build of it, with any settings."""
        return self.library is not None and os.path.basename(self.library).startswith("libnumarena")

    def record(self):
        return {"available": self.reason is None, "library": self.library, "version": self.version,
                "reason": self.reason, "variables": self.variables}


def output_of(*command):
    """First line of a command's output, or None."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    lines = done.stdout.strip().splitlines()
    return lines[0] if done.returncode == 0 and lines else None


def loader_cache():
    """Library name to path, as the dynamic loader knows them; the first of each name is the one it would take."""
    tool = shutil.which("ldconfig", path=os.environ.get("PATH", "") + ":/sbin:/usr/sbin")
    found = {}
    if tool:
        done = subprocess.run([tool, "-p"], capture_output=True, text=True)
        for line in done.stdout.splitlines():
            left, arrow, path = line.partition(" => ")
            if arrow and os.path.exists(path):
                found.setdefault(left.split()[0], path)
    return found


def package_version(path):
    """Package and version that a library's file belongs to, where dpkg knows it; else its real name."""
    for name in (path, os.path.realpath(path)):
        # A merged /usr: the cache says /lib, the package /usr/lib, or the other way round.
        for variant in (name, "/usr" + name, name[4:] if name.startswith("/usr/") else name):
            owner = output_of("dpkg-query", "-S", variant)
            if owner:
                package = owner.rpartition(": ")[0]
                version = output_of("dpkg-query", "-W", "-f=${Version}\n", package)
                return "%s %s" % (package.split(":")[0], version)
    return os.path.basename(os.path.realpath(path))


def numarena(build, source, variables):
    name = "src/interpose/.libs/libnumarena-malloc.so"
    library = os.path.join(build, name)
    version = variables.get("VERSION", "unknown")
    commit = output_of("git", "-C", source, "describe", "--always", "--dirty")
    if commit:
        version += " (%s)" % commit
    if not os.path.exists(library):
        return Allocator("numarena", library, version, "%s is not built" % name)
    return Allocator("numarena", library, version)


def find(build, source, variables):
    """All of NAMES, in that order."""
    cache = loader_cache()
    found = [numarena(build, source, variables),
             Allocator("glibc", None, os.confstr("CS_GNU_LIBC_VERSION"))]
    for name, library, others in FOREIGN:
        missing = [each for each in (library,) + others if each not in cache]
        if missing:
            found.append(Allocator(name, library, None, "%s is not installed" % " and ".join(missing)))
        else:
            found.append(Allocator(name, cache[library], package_version(cache[library])))
    return found


def given(argument):
    """An allocator named on the command line: NAME=LIBRARY[,VARIABLE=VALUE]...; a ValueError says what is wrong with it."""
    name, equals, rest = argument.partition("=")
    library, *words = rest.split(",")
    if not equals or not library or not re.fullmatch(r"[\w.+-]+", name):
        raise ValueError("'%s' is not NAME=LIBRARY[,VARIABLE=VALUE]..." % argument)
    if name in NAMES:
        raise ValueError("'%s': %s is one of the allocators that are always there" % (argument, name))
    if any("=" not in word for word in words):
        raise ValueError("'%s': what follows a comma is VARIABLE=VALUE" % argument)
    if not os.path.isfile(library):
        raise ValueError("'%s': there is no file %s" % (argument, library))
    library = os.path.abspath(library)
    return Allocator(name, library, package_version(library), None, dict(word.split("=", 1) for word in words))


def as_argument(text):
    try:
        return given(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error))


def settings():
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith(SETTINGS)}
