# SPDX-License-Identifier: BSD-3-Clause
"""What benchmarks/goals measures besides the comparison: each function gives values for every allocator, and a verdict on
numarena's. A value that cannot be had is a string with the reason, never a number.

A row: {"name", "what", "goal", "unit", "values": {allocator: number or reason}, "met": true, false or None, "details"}.
"""
import json
import os
import shutil
import statistics
import subprocess
import time

from . import cases, counting, figures, running

PAIR_INSTRUCTIONS, FLAT, HELD_PERCENT, START_MS, TRACKING, STACKS, TIME, BEHIND, TO_GLIBC = 40, 1.15, 5, 1.0, 1.02, 1.05, 0.90, 1.10, 1.15
HELD_SECONDS = 10
# numarena with settings of its own, over numarena as it is.
OURS = {"tracking": ("suite time with tracking on, over off", TRACKING),
        "stacks": ("suite time with tracking and sampled call stacks on, over off", STACKS)}
TEAMS = (1, 2, 4, 8)


def row(name, what, goal, unit, values, met, details=None):
    ours = values.get("numarena")
    return {"name": name, "what": what, "goal": goal, "unit": unit, "values": values,
            "met": bool(met(ours)) if isinstance(ours, (int, float)) else None, "details": details or {}}


def guarded(found, measure):
    """Values of an allocator each; a failure is the reason."""
    values = {}
    for allocator in found:
        try:
            values[allocator.name] = measure(allocator) if allocator.reason is None else "unavailable: %s" % allocator.reason
        except (running.Failure, subprocess.SubprocessError, OSError) as failure:
            values[allocator.name] = "unavailable: %s" % failure
    return values


# ---- of a comparison

def behind_best(results):
    """The case where numarena is furthest behind the best other, and by how much."""
    worst = ("", 0.0, "")
    for case in results["cases"]:
        others = {name: figure["seconds"]["median"] for name, figure in case["figures"].items() if name != "numarena" and name not in OURS}
        if case["kind"] == "pattern" and "numarena" in case["figures"] and others:
            best = min(others, key=others.get)
            worst = max(worst, (case["name"], case["figures"]["numarena"]["seconds"]["median"] / others[best], best),
                        key=lambda each: each[1])
    return worst


def of_comparison(results):
    means = {key: {name: value for name, value in results["geomean"][key].items() if value is not None} for key in ("time", "memory")}
    times, memories = ({name: value for name, value in means[key].items() if name not in OURS} for key in ("time", "memory"))
    foreign = [value for name, value in times.items() if name != "numarena"]
    rows = []
    if foreign:
        case, ratio, best = behind_best(results)
        rows.append(row("time", "geometric mean time of the suite, relative to numarena", "best other at least %.2f" % (1 / TIME),
                        "ratio", times, lambda ours: min(foreign) >= ours / TIME))
        rows.append(row("behind", "time of numarena over the best other's, in its worst case", "at most %.2f" % BEHIND, "ratio",
                        {"numarena": ratio}, lambda ours: ours <= BEHIND, {"case": case, "best": best}))
        bounds = {name: 1 / TO_GLIBC if name == "glibc" else 1 for name in memories if name != "numarena"}
        rows.append(row("memory", "geometric mean peak physical memory of the suite, relative to numarena",
                        "each other above 1; glibc at least %.2f" % (1 / TO_GLIBC), "ratio", memories,
                        lambda ours: all(memories[name] > bound for name, bound in bounds.items())))
    for name, (what, most) in OURS.items():
        if name in means["time"]:
            rows.append(row(name, what, "at most %.2f" % most, "ratio", {"numarena": means["time"][name]},
                            lambda ours, most=most: ours <= most,
                            {"spread": results["geometric_means"][name]["seconds"]["spread_to_numarena"]}))
    return rows


# ---- instructions

def instructions(found, build):
    if not shutil.which("valgrind"):
        values = {each.name: "unavailable: there is no valgrind" for each in found}
        return [row("instructions", "instructions of malloc + free, 64 bytes", "at most %d" % PAIR_INSTRUCTIONS, "", values, bool)]
    counts = {each.name: counting.measure(each, os.path.join(build, "benchmarks/pair-loop"), [64])
              for each in found if each.reason is None}
    values = {each.name: counts[each.name][64]["pair"] if each.reason is None else "unavailable: %s" % each.reason for each in found}
    return [row("instructions", "instructions of malloc + free, 64 bytes, one thread (callgrind)", "at most %d" % PAIR_INSTRUCTIONS,
                "", values, lambda ours: ours <= PAIR_INSTRUCTIONS,
                {"loop": {name: each[64]["loop"] for name, each in counts.items() if each}})]


# ---- page faults of large temporaries

def faults(found, build, runner):
    """Of arrays of the same sizes in each step, faults; of sizes that drift, the faults beyond those of pages that no step had touched."""
    rows = []
    for threads in (1, 2):
        def late(allocator, mode):
            case = cases.Case("pattern", "temporaries", os.path.join(build, "benchmarks/temporaries"),
                              ["--threads=%d" % threads, "--scale=0.5", "--mode=" + mode])
            program = runner.run(case, allocator)["program"]
            return (program["late_faults"] - program["fresh_pages"]) / (8 - 2)  # eight steps
        told = "page faults in a step of large temporaries after the second, %d thread%s" % (threads, "" if threads == 1 else "s")
        rows.append(row("faults@%d" % threads, told, "none", "a step", guarded(found, lambda each: late(each, "steady")),
                        lambda ours: ours == 0, {"drifting": guarded(found, lambda each: late(each, "drifting"))}))
    return rows


# ---- cost over threads

def scaling(found, build, runner, repeat, scale):
    """Medians of interleaved runs. The value is the largest cost over that of one thread; "control" the same without an allocator."""
    samples = {}
    broken = {each.name: "unavailable: %s" % each.reason for each in found if each.reason is not None}
    for repetition in range(repeat):
        for threads in TEAMS:
            for i in range(len(found)):
                allocator = found[(i + repetition) % len(found)]
                for mode in ("malloc", "control"):
                    if allocator.name in broken or (mode == "control" and allocator.library):
                        continue
                    case = cases.Case("pattern", "scaling", os.path.join(build, "benchmarks/scaling"),
                                      ["--threads=%d" % threads, "--mode=" + mode, "--scale=%g" % scale])
                    try:
                        cost = runner.run(case, allocator)["program"]["cpu_ns"]
                    except running.Failure as failure:
                        broken[allocator.name] = "unavailable: %s" % failure
                        continue
                    name = allocator.name if mode == "malloc" else "control"
                    samples.setdefault(name, {}).setdefault(threads, []).append(cost)
    medians = {name: {threads: statistics.median(values) for threads, values in each.items()} for name, each in samples.items()}
    values = {each.name: broken.get(each.name) or max(medians[each.name].values()) / medians[each.name][1] for each in found}
    control = medians.get("control")
    return [row("scaling", "processor time of an operation on 2, 4 or 8 threads, at most, over that on one", "at most %.2f" % FLAT,
                "ratio", values, lambda ours: ours <= FLAT,
                {"cpu_ns": medians, "control_ratio": max(control.values()) / control[1] if control else None})]


# ---- memory held after a burst

def physical(pid):
    """Pss of a process in bytes."""
    with open("/proc/%d/smaps_rollup" % pid, encoding="ascii") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    raise running.Failure("there is no Pss in smaps_rollup")


class Burst:
    """One process of benchmarks/held, at one of its stages."""

    def __init__(self, program, kind, mib, allocator):
        variables = dict(allocator.variables)
        if allocator.library:
            variables["LD_PRELOAD"] = allocator.library
        self.allocator, self.bytes, self.held = allocator, mib << 20, {}
        self.process = subprocess.Popen([program, kind, str(mib)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, env=running.environment(variables))
        self.reach("ready")
        self.before = physical(self.process.pid)

    def reach(self, stage):
        line = self.process.stdout.readline().decode().strip()
        if line != stage:
            raise running.Failure("held ended before '%s'" % stage)

    def go_on(self, stage):
        self.process.stdin.write(b".")
        self.process.stdin.flush()
        self.reach(stage)

    def burst(self):
        self.go_on("burst")
        self.peak = physical(self.process.pid) - self.before
        self.go_on("freed")
        self.freed = time.monotonic()

    def percent(self):
        return max(0.0, 100.0 * (physical(self.process.pid) - self.before) / self.bytes)

    def look(self, after):
        time.sleep(max(0.0, self.freed + after - time.monotonic()))
        self.held[after] = self.percent()

    def end(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


KINDS = ("small", "medium", "large", "mixed", "threads", "ended")


def held(found, build, mib, seconds=HELD_SECONDS):
    """Bursts one after another, then all wait together: what is held after 0, 1 and `seconds` seconds without a call."""
    program = os.path.join(build, "benchmarks/held")
    started, values, curves = [], {kind: {} for kind in KINDS}, {kind: {} for kind in KINDS}
    try:
        for kind in KINDS:
            for allocator in found:
                try:
                    if allocator.reason is not None:
                        raise running.Failure(allocator.reason)
                    each = Burst(program, kind, mib, allocator)
                    started.append((kind, each))
                    each.burst()
                    each.look(0)
                except (running.Failure, OSError) as failure:
                    values[kind][allocator.name] = "unavailable: %s" % failure
        for kind, each in started:
            if each.allocator.name not in values[kind]:
                each.look(seconds)
                values[kind][each.allocator.name] = each.held[seconds]
                curves[kind][each.allocator.name] = dict(each.held, peak=100.0 * each.peak / each.bytes)
    finally:
        for _, each in started:
            each.end()
    return [row("held-" + kind, "held %g s after a burst of %d MiB (%s) was freed, no calls in between" % (seconds, mib, kind),
                "under %d%%" % HELD_PERCENT, "%", values[kind], lambda ours: ours < HELD_PERCENT,
                {"percent_after_seconds": curves[kind]}) for kind in KINDS]


# ---- start-up

def start(found, build, rounds):
    """Medians of the difference to the run without a preload in the same round."""
    usable = [each for each in found if each.reason is None and each.library]
    plain = shutil.which("true")
    command = [os.path.join(build, "benchmarks/spawn"), str(rounds), plain or "/bin/true", "-"] + [each.library for each in usable]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=running.environment(), timeout=600)
    values = {each.name: "unavailable: %s" % each.reason for each in found if each.reason is not None}
    spreads = {}
    if done.returncode:
        values.update({each.name: "unavailable: %s" % running.last_line(done.stderr, "spawn failed") for each in usable})
    else:
        base, *others = json.loads(done.stdout)
        for allocator, times in zip(usable, others):
            added = figures.summary([(time - none) / 1000 for time, none in zip(times, base)])
            values[allocator.name] = added["median"]
            spreads[allocator.name] = added
        values["glibc"] = 0.0
        spreads["none"] = figures.summary([each / 1000 for each in base])
    return [row("start", "what the preload adds to `true`, median of %d runs" % rounds, "at most %g ms" % START_MS, "ms",
                values, lambda ours: ours <= START_MS, {"added_ms": spreads})]
