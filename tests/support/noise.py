# SPDX-License-Identifier: BSD-3-Clause
"""A trace of pauses as LogGOPSim's --noise-trace takes it, read more strictly than the simulator does, and what it would inject."""
import re


def parse(text):
    """[(start, length)], or an AssertionError that names the line."""
    lines = []
    if not text or text.endswith("\n"):
        raise AssertionError("empty, or a newline at the end: the simulator would read its last line twice")
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > 1023:
            raise AssertionError("line %d: longer than the simulator's buffer" % number)
        if line.startswith("#"):
            continue
        if not re.fullmatch(r"(0|[1-9][0-9]*)\t(0|[1-9][0-9]*)", line):
            raise AssertionError("line %d: %r is no start, tab, and length" % (number, line))
        start, length = map(int, line.split("\t"))
        if max(start, length) >= 1 << 53:
            raise AssertionError("line %d: more than a double holds" % number)
        if lines and (start <= lines[-1][0] or start < sum(lines[-1])):
            raise AssertionError("line %d: begins before the last one ended" % number)
        lines.append((start, length))
    if text.split("\n")[-1].startswith("#") or len(lines) < 2 or lines[0] != (0, 0) or lines[-1][1] != 0:
        raise AssertionError("there is a line for the beginning and one for the end, and neither has a length")
    return lines


def injected(lines, start, end):
    """Nanoseconds that an operation from start to end is held up: by the rules of the simulator, its wrapping around and its disregard of
    the first line included."""
    span, length = lines[-1][0], end - start
    at = start % (span - length)
    pos, noise = 0, 0
    if at > lines[0][0]:
        pos = max(i for i, (first, _) in enumerate(lines) if first <= at)
        noise += max(0, sum(lines[pos]) - at)
    end = at + length
    while end > lines[pos + 1][0]:
        pos += 1
        noise += lines[pos][1]
        if pos == len(lines) - 1:
            end -= span
            pos = 0
    return noise
