# SPDX-License-Identifier: BSD-3-Clause
"""The cases: a pattern with its mode and thread count, the start of a process, the example simulation.

A name is PROGRAM[-MODE][@THREADS]. --only selects by the whole name or by the program.
"""
import os

QUICK_SCALE = 0.02

# Program, mode, threads: a number, or "all" for as many as there are cores (at least 2), "more" for at least 4.
PATTERNS = (
    ("pairs", None, 1),
    ("pairs", None, "all"),
    ("batches", "forward", 1),
    ("batches", "reverse", 1),
    ("batches", "shuffled", 1),
    ("mixed", None, 1),
    ("mixed", None, "all"),
    ("server", None, "all"),
    ("producer", "pairs", "all"),
    ("producer", "fan-out", "more"),
    ("producer", "fan-in", "more"),
    ("bursts", None, 1),
    ("vectors", None, 1),
    ("temporaries", None, 1),
    ("temporaries", None, "all"),
    ("octree", None, 1),
    ("octree", None, "all"),
    ("neighbours", None, 1),
    ("sparse", None, 1),
    ("sparse", None, "all"),
    ("containers", None, 1),
    ("containers", None, "all"),
    ("threads", None, "all"),
    ("sharing", "active", "all"),
    ("sharing", "passive", "all"),
    ("fragmentation", None, 1),
    ("fragmentation", None, "all"),
)


class Case:
    """kind is "pattern" (prints the harness's JSON), "start" (a process that does nothing) or "mpi"."""

    def __init__(self, kind, name, program, arguments, ranks=1):
        self.kind = kind
        self.name = name
        self.program = program
        self.arguments = arguments
        self.ranks = ranks

    def command(self):
        return [self.program] + self.arguments

    def selected(self, only):
        return not only or self.name in only or self.name.split("@")[0].split("-")[0] in only


def thread_count(threads, cores):
    return {"all": max(2, cores), "more": max(4, cores)}.get(threads, threads)


def patterns(build, cores, scale):
    for program, mode, threads in PATTERNS:
        threads = thread_count(threads, cores)
        name = program + ("-" + mode if mode else "") + ("@%d" % threads if threads > 1 else "")
        arguments = ["--threads=%d" % threads, "--scale=%g" % scale]
        if mode:
            arguments.append("--mode=" + mode)
        yield Case("pattern", name, os.path.join(build, "benchmarks", program), arguments)


def every(build, source, cores, quick):
    """All cases in the order of the table."""
    folder = "doc/examples/lj"
    found = list(patterns(build, cores, QUICK_SCALE if quick else 1.0))
    found.append(Case("start", "start", os.path.join(build, "benchmarks/pair-loop"), ["empty", "1"]))
    found.append(Case("mpi", "lj@2", os.path.join(build, folder, "lj-melt-plain"),
                      [os.path.join(source, folder, "small.in" if quick else "melt.in")], ranks=2))
    return found
