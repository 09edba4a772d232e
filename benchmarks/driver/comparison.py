# SPDX-License-Identifier: BSD-3-Clause
"""A comparison: every case under every allocator, interleaved, and all that is derived from it.

In each repetition, every case is run under one allocator after another, and the order is rotated from one repetition and case to
the next, and turned round in every second repetition, so that whatever drifts on the machine (frequency, neighbours, caches) meets all of them alike.
"""
import datetime
import json
import os
import re
import sys
import time

from . import allocators, cases, figures, machine, running

# --quick: ends within 50 s. No repetition begins that could not end before; 5 s are left for a machine that slows down.
# An idle machine has time for more than the five of the other runs, a busy one for fewer.
QUICK_SECONDS = 45
QUICK_REPEAT = 9
QUICK_ALLOCATORS = 6  # what the quick scales are made for; more allocators get less work each


def prepare(options, source):
    """Fills in what follows from --quick and --only; options.extra are allocators besides those of options.allocators."""
    options.repeat = options.repeat or (QUICK_REPEAT if options.quick else 5)
    factor = min(1.0, QUICK_ALLOCATORS / (len(options.allocators) + len(options.extra)))
    every = cases.every(options.build or "", source, machine.cores(), options.quick, options.only, factor)
    options.cases = [case for case in every if case.selected(options.only)]


def programs(options):
    """Paths of all that a comparison runs."""
    return [case.program for case in options.cases] + [os.path.join(options.build, "benchmarks", name)
                                                       for name in ("measure", "pairs")]


def progress(text):
    print(text, file=sys.stderr, flush=True)


def probe(runner, folder, found):
    """One tiny run: does the library load at all, and is malloc then really its own?"""
    case = cases.Case("pattern", "probe", os.path.join(folder, "benchmarks/pairs"), ["--scale=0.001"])
    for allocator in found:
        if allocator.reason is None:
            try:
                runner.run(case, allocator)
            except running.Failure as failure:
                allocator.reason = str(failure)
        if allocator.reason is not None:
            progress("%s is unavailable: %s" % (allocator.name, allocator.reason))


def rotated(items, by, backwards):
    by %= len(items)
    turned = items[by:] + items[:by]
    return turned[::-1] if backwards else turned


def sample(runner, case, allocator, record):
    if allocator.name in record["unavailable"]:
        return
    try:
        result = runner.run(case, allocator)
    except running.Failure as failure:
        record["unavailable"][allocator.name] = str(failure)
        progress("%s under %s: %s" % (case.name, allocator.name, failure))
        return
    # The same seed must give the same sums, and the same simulation the same table, under every allocator.
    computed = result.pop("result")
    if record["result"] is None:
        record["result"] = computed
    elif computed != record["result"]:
        record["unavailable"][allocator.name] = "computed something else than the first run of this case"
        progress("%s under %s: %s" % (case.name, allocator.name, record["unavailable"][allocator.name]))
    record["samples"][allocator.name].append(result)


def fits(options, began, longest):
    """Whether another repetition as long as the longest so far ends in time."""
    return not options.quick or time.monotonic() + longest < began + QUICK_SECONDS


def run_all(runner, options, source, found, began):
    available = [allocator for allocator in found if allocator.reason is None]
    records = [{"name": case.name, "kind": case.kind, "command": [running.shown(word, options.build, source)
                                                             for word in case.command()],
                "result": None, "samples": {each.name: [] for each in available}, "unavailable": {}}
               for case in options.cases]
    longest = 0
    for repetition in range(options.repeat):
        if repetition and not fits(options, began, longest):
            progress("--quick: there is no time for more")
            break
        progress("repetition %d of %s%d" % (repetition + 1, "up to " if options.quick else "", options.repeat))
        start = time.monotonic()
        for i, (case, record) in enumerate(zip(options.cases, records)):
            for allocator in rotated(available, repetition + i, repetition % 2) if available else ():
                sample(runner, case, allocator, record)
        longest = max(longest, time.monotonic() - start)
    for record in records:
        figures.summarize(record)
    return records


def recorded(allocator, folder):
    record = allocator.record()
    record["library"] = record["library"] and running.shown(record["library"], folder)
    return record


def as_text(results):
    """JSON with a line for each innermost object or list, so that files can be compared and read."""
    text = json.dumps(results, indent=1)
    for innermost in (r"\[[^][{}\"]*\]", r"\{[^{}]*\}"):
        text = re.sub(innermost, lambda match: re.sub(r"\n\s*", " ", match.group(0)), text)
    return text + "\n"


def compare(options, source, found, began):
    """The results, as they go into a file. found: the allocators; those that do not work get their reason."""
    description = machine.describe(machine.make_variables(options.build))
    runner = running.Runner(options.build, options.timeout)
    probe(runner, options.build, found)
    records = run_all(runner, options, source, found, began)
    description["load_after"] = os.getloadavg()[0]
    usable = [allocator.name for allocator in found if allocator.reason is None]
    others = [allocator.name for allocator in found if not allocator.is_numarena()]
    means = figures.means(records, usable)
    return {
        "format": "numarena-bench", "format_version": 2,
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": description, "settings": allocators.settings(),
        "options": {"repeat": max((len(each) for record in records for each in record["samples"].values()), default=0),
                    "quick": options.quick, "only": options.only},
        "allocators": {allocator.name: recorded(allocator, options.build) for allocator in found},
        # Ratios to numarena: above 1 is slower, or more memory, than numarena.
        "geomean": {"time": {name: means[name]["seconds"]["to_numarena"] for name in usable},
                    "memory": {name: means[name]["peak_kib"]["to_numarena"] for name in usable}},
        "geometric_means": means,
        "losses": {measure: figures.losses(records, measure, others) for measure in figures.MEASURES},
        "cases": records,
    }
