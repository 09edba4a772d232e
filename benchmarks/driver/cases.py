# SPDX-License-Identifier: BSD-3-Clause
"""The cases: a pattern with its mode and thread count, the start of a process, the example simulation.

A name is PROGRAM[-MODE][@THREADS]. --only selects by the whole name, by PROGRAM-MODE or by PROGRAM.
"""
import os

MORE = "more"  # more threads than there are cores
MOST_THREADS = 256

# Program, mode, threads, threads under --quick, scale under --quick (some 15 ms a run, with the live set of the whole case
# wherever that can be filled in such a time).
PATTERNS = (
    ("pairs", None, (1, 2, MORE), (1, 2), 0.06),
    ("batches", "forward", (1, 2), (1,), 0.07),
    ("batches", "reverse", (1, 2), (1,), 0.07),
    ("batches", "shuffled", (1, 2, MORE), (1, 2), 0.07),
    ("mixed", None, (1, 2, MORE), (1, 2), 0.05),
    ("server", None, (1, 2, MORE), (2, MORE), 0.04),
    ("producer", "pairs", (2, MORE), (2, MORE), 0.06),
    ("producer", "fan-out", (MORE,), (MORE,), 0.06),
    ("producer", "fan-in", (MORE,), (MORE,), 0.06),
    ("bursts", None, (1, 2, MORE), (1,), 0.06),
    ("vectors", None, (1, 2, MORE), (1,), 0.04),
    ("temporaries", None, (1, 2, MORE), (1,), 0.25),
    ("octree", None, (1, 2, MORE), (1, 2), 0.05),
    ("neighbours", None, (1, 2, MORE), (1,), 0.05),
    ("sparse", None, (1, 2, MORE), (1,), 0.08),
    ("containers", None, (1, 2, MORE), (1, 2), 0.06),
    ("threads", None, (1, 2, MORE), (2,), 0.08),
    ("sharing", "active", (2, MORE), (2,), 0.12),
    ("sharing", "passive", (2, MORE), (2,), 0.12),
    ("fragmentation", None, (1, 2, MORE), (1, 2), 0.06),
)


class Case:
    """kind is "pattern" (prints the harness's JSON), "apart" (the same, but not of the means), "start" (a process that does nothing) or "mpi"."""

    def __init__(self, kind, name, program, arguments, ranks=1):
        self.kind = kind
        self.name = name
        self.program = program
        self.arguments = arguments
        self.ranks = ranks

    def command(self):
        return [self.program] + self.arguments

    def selected(self, only):
        words = self.name.split("@")[0]
        return not only or any(each in only for each in (self.name, words, words.split("-")[0]))


def more_threads(cores):
    return min(max(4, 2 * cores), MOST_THREADS)


def patterns(build, cores, quick, chosen, factor):
    """Every pattern's cases; under --quick those that --only names with their full name are there too."""
    for program, mode, all_threads, few_threads, scale in PATTERNS:
        for threads in all_threads:
            count = more_threads(cores) if threads == MORE else threads
            name = program + ("-" + mode if mode else "") + ("@%d" % count if count > 1 else "")
            if quick and threads not in few_threads and name not in chosen:
                continue
            arguments = ["--threads=%d" % count, "--scale=%g" % (scale * factor if quick else 1)]
            if mode:
                arguments.append("--mode=" + mode)
            yield Case("pattern", name, os.path.join(build, "benchmarks", program), arguments)


def every(build, source, cores, quick, chosen=(), factor=1.0):
    """All cases in the order of the table. The simulation takes a second a run: --quick has it only when it is asked for."""
    folder = "doc/examples/lj"
    found = list(patterns(build, cores, quick, chosen, factor))
    found.append(Case("apart", "fields", os.path.join(build, "benchmarks/fields"), ["--scale=%g" % (0.05 * factor if quick else 1)]))
    found.append(Case("start", "start", os.path.join(build, "benchmarks/pair-loop"), ["empty", "1"]))
    if not quick or "lj" in chosen or "lj@2" in chosen:
        found.append(Case("mpi", "lj@2", os.path.join(build, folder, "lj-melt-plain"),
                          [os.path.join(source, folder, "small.in" if quick else "melt.in")], ranks=2))
    return found
