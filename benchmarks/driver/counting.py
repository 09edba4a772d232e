# SPDX-License-Identifier: BSD-3-Clause
"""Instructions of a pair of malloc and free, counted by valgrind's callgrind over benchmarks/pair-loop.

Two figures of a long run less a short one, so free of the start, and per round of the loop:
  loop   everything in the loop: the two calls and what calls them
  pair   that less the same loop without the calls. It is all that is executed because malloc and free are called: the four
         instructions that pass arguments and call, the jumps of the linkage table (PLT), and all inside the library.
"""
import os
import re
import subprocess
import tempfile

from . import running

SHORT, LONG = 2000, 12000


def total(text):
    match = re.search(r"^(?:summary|totals): (\d+)", text, re.MULTILINE)
    if not match:
        raise running.Failure("callgrind wrote no total")
    return int(match.group(1))


def count(allocator, program, words):
    """Instructions of one run of the loop, which must have used the allocator's library."""
    with tempfile.TemporaryDirectory(prefix="numarena-bench-") as folder:
        out = os.path.join(folder, "callgrind.out")
        environment = running.environment(allocator.variables)
        if allocator.library:
            environment["LD_PRELOAD"] = allocator.library
        done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=" + out, program] + words,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, timeout=300)
        if done.returncode:
            raise running.Failure(running.last_line(done.stderr, "exit status %d" % done.returncode))
        with open(out, encoding="utf-8", errors="replace") as file:
            text = file.read()
    objects = set(re.findall(r"^c?ob=\(\d+\) (/.*)$", text, re.MULTILINE))
    if allocator.library and os.path.realpath(allocator.library) not in {os.path.realpath(each) for each in objects}:
        raise running.Failure("the preload had no effect: no instruction of %s" % allocator.library)
    return total(text)


def per_round(allocator, program, kind, size):
    short, long = (count(allocator, program, [kind, str(rounds), str(size)]) for rounds in (SHORT, LONG))
    return (long - short) / (LONG - SHORT)


def measure(allocator, program, sizes):
    """Size to {"loop", "pair"}; a failure is the allocator's reason."""
    counts = {}
    try:
        empty = per_round(allocator, program, "empty", sizes[0])
        for size in sizes:
            loop = per_round(allocator, program, "pair", size)
            counts[size] = {"loop": loop, "pair": loop - empty}
    except (running.Failure, subprocess.TimeoutExpired) as failure:
        allocator.reason = str(failure)
    return counts
