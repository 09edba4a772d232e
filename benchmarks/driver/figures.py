# SPDX-License-Identifier: BSD-3-Clause
"""From samples to figures: medians and quartiles of a case, ratios of medians, geometric means over cases.

Medians, because a disturbed run is only ever slower; quartiles, because a difference inside them is none.
"""
import math
import statistics

MEASURES = ("seconds", "peak_kib")
LARGE_KIB = 8 * 1024  # below it a peak is mostly the program's and the libraries' own pages


def summary(values):
    low, median, high = (statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3)
    return {"median": median, "low": low, "high": high, "least": min(values), "most": max(values), "samples": len(values)}


def paired(case, name, base, measure):
    """Ratios of the runs of one repetition, which met the machine in the same state: their spread is the ratio's."""
    return [ours[measure] / theirs[measure] for ours, theirs in zip(case["samples"][name], case["samples"][base])
            if theirs[measure]]


def summarize(case):
    """Adds "figures" to a case's record: allocator to measure to summary and ratios."""
    figures = {}
    for name, samples in case["samples"].items():
        if samples and name not in case["unavailable"]:
            figures[name] = {measure: summary([sample[measure] for sample in samples]) for measure in MEASURES}
    for name, entry in figures.items():
        for measure in MEASURES:
            for base in ("numarena", "glibc"):
                other = figures[base][measure]["median"] if base in figures else 0
                entry[measure]["to_" + base] = entry[measure]["median"] / other if other else None
                entry[measure]["spread_to_" + base] = spread(paired(case, name, base, measure)) if other else None
    case["figures"] = figures


def spread(values):
    """Half the distance of the quartiles over the median; None for a single value."""
    if len(values) < 2:
        return None
    found = summary(values)
    return (found["high"] - found["low"]) / 2 / found["median"]


def geometric(values):
    return math.exp(sum(math.log(value) for value in values) / len(values)) if values else None


def ratios(cases, name, measure, base, only_large=False):
    found = []
    for case in cases:
        figures = case["figures"]
        if name not in figures or base not in figures:
            continue
        if only_large and min(entry["peak_kib"]["median"] for entry in figures.values()) < LARGE_KIB:
            continue
        found.append(figures[name][measure]["to_" + base])
    return found


def mean_spread(cases, name, measure, base):
    """Spread of the mean: that of the means of the single repetitions."""
    usable = [case for case in cases if name in case["figures"] and base in case["figures"]]
    columns = zip(*[paired(case, name, base, measure) for case in usable])
    return spread([geometric(column) for column in columns])


def means(cases, names):
    """Geometric means over the patterns; "peak_kib_large" leaves out the cases whose smallest peak is below 8 MiB."""
    patterns = [case for case in cases if case["kind"] == "pattern"]
    found = {}
    for name in names:
        found[name] = {}
        for key, measure, large in (("seconds", "seconds", False), ("peak_kib", "peak_kib", False),
                                    ("peak_kib_large", "peak_kib", True)):
            found[name][key] = {}
            for base in ("numarena", "glibc"):
                values = ratios(patterns, name, measure, base, large)
                found[name][key]["to_" + base] = geometric(values)
                found[name][key]["cases"] = len(values)
            found[name][key]["spread_to_numarena"] = mean_spread(patterns, name, measure, "numarena")
    return found


def losses(cases, measure, names):
    """Cases where the best of `names` beats numarena by more than 2% and outside both quartile ranges."""
    found = []
    for case in cases:
        figures = case["figures"]
        others = {name: entry[measure] for name, entry in figures.items() if name in names}
        if "numarena" not in figures or not others:
            continue
        best = min(others, key=lambda name: others[name]["median"])
        ours = figures["numarena"][measure]
        ratio = ours["median"] / others[best]["median"] if others[best]["median"] else 1
        if ratio > 1.02 and ours["low"] > others[best]["high"]:
            found.append({"case": case["name"], "best": best, "ratio": ratio,
                          "to_glibc": ours["to_glibc"]})
    return sorted(found, key=lambda loss: -loss["ratio"])
