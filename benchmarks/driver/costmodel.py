# SPDX-License-Identifier: BSD-3-Clause
"""Cost models: measured points of time per operation and of memory per live byte over one quantity, and the simplest formula
that describes them.

Points are medians of interleaved runs of benchmarks/cost. Time is the allocator's own: an operation (a malloc and a free) less the
same loop without the calls. Formulas are fitted by least squares of relative errors, so that small and large values count
alike; of those that describe the points within 10%, the shortest is taken. Where none does, a curve may have several, each for a range.
"""
import json
import math
import statistics

from . import machine, running

TIME, MEMORY = "ns", "bytes_per_live_byte"
LEAST_NS = 0.1  # the difference of two noisy times can be nothing, or less


class Axis:
    """points: x to the arguments of the program; others: whether it is measured for other allocators too."""

    def __init__(self, name, title, program, points, others=True):
        self.name, self.title, self.program, self.points, self.others = name, title, program, points, others


def rounded(*values):
    return [str(int(value)) for value in values]


def axes(quick):
    """Threads over three decades, nodes to the most that the heap knows, live blocks over four decades, sizes over six and a half."""
    work = 100000 if quick else 1000000
    most_live = min(10 ** 7, machine.available_mib() * 2 ** 20 // 4 // 128)
    threads = (1, 8, 64) if quick else (1, 4, 16, 64, 256, 1024)
    nodes = (1, 4, 16) if quick else (1, 2, 4, 8, 16, 32, 64)
    live = [round(10 ** (3 + step / 2)) for step in range(9)]
    live = [each for each in (live[0:5:2] if quick else live) if each <= most_live]
    sizes = [16 * 4 ** step for step in ((0, 2, 4, 6, 8) if quick else range(12))]
    return [
        Axis("threads", "threads, each with 1,000 live blocks of 64 bytes", "cost",
             {each: rounded(each, 1000, 64, max(work, each * 1000)) for each in threads}),
        Axis("nodes", "NUMA nodes (simulated), under 16 threads with 2,000 live blocks of 64 bytes", "cost-nodes",
             {each: rounded(each, 16, 2000, 64, work) for each in nodes}, others=False),
        Axis("live", "live blocks of 64 bytes, one thread", "cost",
             {each: rounded(1, each, 64, min(work, 400000)) for each in live}),
        Axis("size", "bytes of a block, one thread with 64 MiB live (at least 4 blocks, at most 20,000)", "cost",
             {each: rounded(1, max(4, min(20000, 2 ** 26 // each)), each,
                            max(24, min(work // 2, (2 ** 28 if quick else 2 ** 31) // each))) for each in sizes}),
    ]


def once(runner, allocator, program, arguments):
    preload = ["--preload=" + allocator.library] if allocator.library and program != "cost-nodes" else []
    said, _ = runner.single([runner.measure] + preload + [runner.program(program)] + arguments, allocator.variables)
    said = json.loads(said)
    if program != "cost-nodes" and not allocator.expected(said["malloc"]):
        raise running.Failure("the preload had no effect: malloc is of %s" % said["malloc"])
    return {TIME: max(LEAST_NS, said["ns"] - said["control_ns"]), MEMORY: said["held_bytes"] / said["live_bytes"],
            "control_ns": said["control_ns"]}


def measure(runner, found, axis, repeat, progress):
    """Allocator to x to medians; and allocator to x to reason where a point could not be had."""
    samples, missing = {}, {}
    for allocator in found:
        if allocator.reason is not None or not (axis.others or allocator.name == "numarena"):
            reason = allocator.reason or "only numarena's heap can be told of nodes that are not there"
            missing[allocator.name] = {"all": reason}
    usable = [each for each in found if each.name not in missing]
    for repetition in range(repeat):
        progress("%s, repetition %d of %d" % (axis.name, repetition + 1, repeat))
        for x, arguments in axis.points.items():
            for i in range(len(usable)):
                allocator = usable[(i + repetition) % len(usable)]
                if str(x) in missing.get(allocator.name, {}):
                    continue
                try:
                    sample = once(runner, allocator, axis.program, arguments)
                    samples.setdefault(allocator.name, {}).setdefault(x, []).append(sample)
                except running.Failure as failure:
                    missing.setdefault(allocator.name, {})[str(x)] = str(failure)
                    progress("%s, %s at %d: %s" % (allocator.name, axis.name, x, failure))
    points = {name: {x: {key: statistics.median(each[key] for each in values) for key in values[0]}
                     for x, values in sorted(of.items()) if str(x) not in missing.get(name, {})} for name, of in samples.items()}
    return points, missing


# ---- formulas

SIDE = 3  # points that a formula needs
GOOD = 0.10  # relative error of a formula that describes a curve well enough not to look for a longer one

# Name and text of the functions that a formula adds up.
LOG2 = ("log2 x", lambda x: math.log2(x))
LINEAR = ("x", lambda x: x)
ROOT = ("sqrt x", lambda x: math.sqrt(x))
INVERSE = ("/ x", lambda x: 1 / x)
SUMS = ((), (LOG2,), (LINEAR,), (ROOT,), (INVERSE,), (LOG2, LINEAR), (INVERSE, LINEAR), (ROOT, LINEAR))


def solved(matrix, right):
    """Gauss with pivots, for two or three unknowns; None if they are not determined."""
    n = len(right)
    rows = [list(row) + [value] for row, value in zip(matrix, right)]
    for i in range(n):
        pivot = max(range(i, n), key=lambda r: abs(rows[r][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        if abs(rows[i][i]) < 1e-12:
            return None
        for r in range(n):
            if r != i:
                factor = rows[r][i] / rows[i][i]
                rows[r] = [value - factor * other for value, other in zip(rows[r], rows[i])]
    return [rows[i][n] / rows[i][i] for i in range(n)]


def fit_sum(pairs, terms):
    """Coefficients of 1 and the terms, by least squares of (y - model) / y."""
    functions = [lambda x: 1.0] + [function for _, function in terms]
    # Each column scaled to 1, so that "too small a pivot" means something.
    columns = [[function(x) / y for x, y in pairs] for function in functions]
    scales = [math.sqrt(sum(value * value for value in column)) or 1.0 for column in columns]
    columns = [[value / scale for value in column] for column, scale in zip(columns, scales)]
    matrix = [[sum(p * q for p, q in zip(one, other)) for other in columns] for one in columns]
    found = solved(matrix, [sum(column) for column in columns])
    if not found:
        return None
    found = [value / scale for value, scale in zip(found, scales)]
    return found, lambda x: sum(c * function(x) for c, function in zip(found, functions))


def sum_text(coefficients, terms):
    text = "%.3g" % coefficients[0]
    for value, (name, _) in zip(coefficients[1:], terms):
        text += " %s %.3g %s" % ("-" if value < 0 else "+", abs(value), name)
    return text


def fit_power(pairs):
    """a x^b: a straight line of the logarithms."""
    logs = [(math.log(x), math.log(y)) for x, y in pairs]
    mx, my = (statistics.fmean(each[i] for each in logs) for i in (0, 1))
    b = sum((x - mx) * (y - my) for x, y in logs) / sum((x - mx) ** 2 for x, _ in logs)
    a = math.exp(my - b * mx)
    return [a, b], lambda x: a * x ** b


def candidates(pairs):
    """(parameters, text, coefficients, model) of every formula that the points determine with a point to spare."""
    for terms in SUMS:
        found = fit_sum(pairs, terms) if len(pairs) > len(terms) + 1 else None
        # A formula that falls below nothing describes no cost, and one that needs three terms of both signs no program.
        if found and all(found[1](x) > 0 for x, _ in pairs) and (len(terms) < 2 or min(found[0][1:]) >= 0):
            yield len(terms) + 1, sum_text(found[0], terms), found[0], found[1]
    (a, b), model = fit_power(pairs)
    yield 2, "%.3g x^%.2f" % (a, b), [a, b], model


def fit_one(pairs):
    """The formula with the least error among the shortest of which one is good; the best of all if none is good; None for
    less than three points. The error is the mean factor by which formula and points differ, less one."""
    best = None
    for parameters, text, coefficients, model in candidates(pairs) if len(pairs) >= SIDE else ():
        error = math.exp(math.sqrt(statistics.fmean(math.log(model(x) / y) ** 2 for x, y in pairs))) - 1
        rank = (error > GOOD, parameters if error <= GOOD else 0, error)
        if best is None or rank < best[0]:
            best = (rank, {"text": text, "coefficients": coefficients, "relative_error": error, "from": pairs[0][0],
                           "to": pairs[-1][0], "points": len(pairs), "model": model})
    return best and best[1]


def joint_error(parts):
    """Of formulas side by side, as if they were one."""
    squares = sum(part["points"] * math.log(1 + part["relative_error"]) ** 2 for part in parts)
    return math.exp(math.sqrt(squares / sum(part["points"] for part in parts))) - 1


def fit_parts(pairs, deep):
    """One formula; or, where it is not good and two side by side are better by half, as many as that leads to: what happens
    may change its nature on the way (a cache that is full, blocks that are given back to the system)."""
    whole = fit_one(pairs)
    if not whole or whole["relative_error"] <= GOOD or len(pairs) < 2 * SIDE or not deep:
        return [whole] if whole else []
    splits = [[fit_one(pairs[:at]), fit_one(pairs[at:])] for at in range(SIDE, len(pairs) - SIDE + 1)]
    best = min(splits, key=joint_error)
    if joint_error(best) > whole["relative_error"] / 2:
        return [whole]
    at = best[0]["points"]
    return fit_parts(pairs[:at], deep - 1) + fit_parts(pairs[at:], deep - 1)


def fit(points, key):
    """Formulas for one allocator's points, one after another; points at the floor of what can be told apart are left out."""
    return fit_parts([(float(x), point[key]) for x, point in points.items() if point[key] > (LEAST_NS if key == TIME else 0)], 2)
