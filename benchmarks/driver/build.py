# SPDX-License-Identifier: BSD-3-Clause
"""The build to measure: where it is, and that all which is run of it is there."""
import glob
import os
import shutil
import subprocess
import sys

LIBRARY = "src/interpose/.libs/libnumarena-malloc.so"


class Missing(Exception):
    """Says what to do."""


def candidates(source):
    """This folder, the source's own (a build inside the tree), and folders below either that are named like builds."""
    for folder in (os.getcwd(), source):
        yield folder
        for pattern in ("build*", "_build*"):
            yield from sorted(glob.glob(os.path.join(glob.escape(folder), pattern)))


def is_ours(folder):
    return os.path.exists(os.path.join(folder, "Makefile")) and os.path.isdir(os.path.join(folder, "src/interpose"))


def find(source):
    """The folder of a build whose library is there, else of one that is configured at least."""
    found = list(candidates(source))
    for folder in found:
        if os.path.exists(os.path.join(folder, LIBRARY)):
            return folder
    for folder in found:
        if is_ours(folder):
            return folder
    raise Missing("there is no build of numarena in this folder, in %s, or in a folder build* of either; make one "
                  "(autoreconf -i in a clone, then ./configure && make) or name its folder: --build=DIR" % source)


def programs(build, source, wanted):
    """Has make build the programs in `wanted` (paths), and the library, where any is missing and there is a Makefile."""
    missing = [path for path in wanted + [os.path.join(build, LIBRARY)] if not os.path.exists(path)]
    if not missing or not is_ours(build):
        return
    if not shutil.which("make"):
        raise Missing("%s is not built, and there is no make" % missing[0])
    print("building what is missing in %s (%s, ...)" % (build, os.path.relpath(missing[0], build)), file=sys.stderr, flush=True)
    command = ["make", "-C", build, "-j%d" % len(os.sched_getaffinity(0)), "bench-programs", "src/interpose/libnumarena-malloc.la"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise Missing("%s failed:\n%s" % (" ".join(command), "\n".join(done.stdout.splitlines()[-15:])))
