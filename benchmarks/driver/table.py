# SPDX-License-Identifier: BSD-3-Clause
"""The text: what was measured on, medians with their spread, ratios, means, losses, and what is missing."""

UNITS = {"seconds": ("Time, seconds", 1.0, "%.4f"), "peak_kib": ("Peak physical memory, MiB", 1024.0, "%.1f")}


def align(rows):
    """First column left, the others right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join([row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])])
            for row in rows]


def median(case, name, measure):
    if name in case["unavailable"]:
        return "unavailable"
    if name not in case["figures"]:
        return "-"
    figure = case["figures"][name][measure]
    _, unit, form = UNITS[measure]
    if figure["samples"] == 1:
        return form % (figure["median"] / unit)
    spread = (figure["high"] - figure["low"]) / 2 / figure["median"] if figure["median"] else 0
    return (form + " ±%2.0f%%") % (figure["median"] / unit, 100 * spread)


def ratio(value, spread=None):
    if value is None:
        return "-"
    return "%.2f" % value if spread is None else "%.2f ±%2.0f%%" % (value, 100 * spread)


def ratio_rows(results, names, measure, base):
    """To numarena with the spread; to glibc without, for whoever thinks in that measure."""
    rows = [["case"] + names]
    for case in results["cases"]:
        row = [case["name"]]
        for name in names:
            figure = case["figures"].get(name, {}).get(measure, {})
            row.append(ratio(figure.get("to_" + base), figure.get("spread_to_" + base)
                             if base == "numarena" and name != base else None))
        rows.append(row)
    means = results["geometric_means"]
    keys = [("geometric mean of the patterns", measure)]
    if measure == "peak_kib":
        keys.append(("... of 8 MiB and more", "peak_kib_large"))
    for title, key in keys:
        rows.append([title] + [ratio(means[name][key]["to_" + base], means[name][key]["spread_to_numarena"]
                                     if key == measure and base == "numarena" and name != base else None)
                               for name in names])
    return rows


def heading(results):
    machine = results["machine"]
    lines = ["%s, %d cores, %s MiB, %s NUMA nodes; %s, Linux %s, huge pages: %s" %
             (machine["processor"], machine["cores"], machine["memory_mib"], machine["numa_nodes"], machine["system"],
              machine["kernel"], machine["huge_pages"]),
             "%s; %s; %s" % (machine["compiler"], machine["flags"], machine["mpi"] or "no MPI"),
             "%s, %d runs each, interleaved; load before and after: %.2f, %.2f" %
             (results["date"], results["options"]["repeat"], machine["load_before"], machine["load_after"])]
    for name, allocator in results["allocators"].items():
        words = [allocator["version"] if allocator["available"] else "UNAVAILABLE: %s" % allocator["reason"]]
        words += ["%s=%s" % variable for variable in allocator["variables"].items()]
        lines.append("  %-10s %s" % (name, " ".join(words)))
    for name, value in results["settings"].items():
        lines.append("  in the environment: %s=%s" % (name, value))
    if results["options"]["quick"]:
        lines.append("  --quick: short runs, fewer thread counts; a first impression")
    return lines


def missing(results):
    return ["  %s, %s: %s" % (case["name"], name, reason) for case in results["cases"]
            for name, reason in case["unavailable"].items()]


def lost(results, measure):
    rows = [["case", "best", "numarena to it", "numarena to glibc"]]
    rows += [[loss["case"], loss["best"], ratio(loss["ratio"]), ratio(loss["to_glibc"])]
             for loss in results["losses"][measure]]
    return align(rows) if len(rows) > 1 else ["none"]


def render(results):
    names = [name for name, allocator in results["allocators"].items() if allocator["available"]]
    parts = ["\n".join(heading(results))]
    for measure, (title, _, _) in UNITS.items():
        rows = [["case"] + names] + [[case["name"]] + [median(case, name, measure) for name in names]
                                     for case in results["cases"]]
        parts.append("\n".join([title + ": median and half the distance of the quartiles", ""] + align(rows)))
        for base in ("numarena", "glibc"):
            if base in names:
                parts.append("\n".join(["%s: ratio to %s (above 1: worse than %s)%s" %
                                            (title.split(",")[0], base, base, ", with its spread" if base == "numarena" else ""),
                                        ""] + align(ratio_rows(results, names, measure, base))))
    if "numarena" in names:
        for measure, (title, _, _) in UNITS.items():
            parts.append("\n".join(["%s: where another is better than numarena by 2%% and beyond the quartiles" %
                                    title.split(",")[0], ""] + lost(results, measure)))
    if missing(results):
        parts.append("\n".join(["Unavailable:"] + missing(results)))
    return "\n\n".join(parts) + "\n"
