# SPDX-License-Identifier: BSD-3-Clause
"""The chart: for each case one row, for each allocator one mark at its median over numarena's (over glibc's where
numarena was not run), on a logarithmic scale, with the quartiles as a line. Time on the left, memory on the right.

Marks differ in shape as well as in colour, so the chart can be read in print and by the colour-blind.
"""
import math
from xml.sax.saxutils import escape

COLOURS = {"numarena": "#000000", "glibc": "#d55e00", "mimalloc": "#0072b2", "jemalloc": "#009e73",
           "tcmalloc": "#cc79a7", "tbbmalloc": "#e69f00"}
ROW, TOP, LEFT, PANEL, GAP = 22, 92, 170, 420, 40
LEAST, MOST = 1 / 8, 8


def position(value):
    value = min(max(value, LEAST), MOST)
    return PANEL * math.log(value / LEAST) / math.log(MOST / LEAST)


def mark(name, x, y):
    colour = COLOURS[name]
    shapes = {
        "numarena": '<rect x="%.1f" y="%.1f" width="3" height="14" fill="{c}"/>' % (x - 1.5, y - 7),
        "glibc": '<circle cx="%.1f" cy="%.1f" r="4.5" fill="{c}"/>' % (x, y),
        "mimalloc": '<rect x="%.1f" y="%.1f" width="8" height="8" fill="{c}"/>' % (x - 4, y - 4),
        "jemalloc": '<path d="M%.1f %.1f l5 9 h-10 z" fill="{c}"/>' % (x, y - 5),
        "tcmalloc": '<path d="M%.1f %.1f l5 5 l-5 5 l-5 -5 z" fill="{c}"/>' % (x, y - 5),
        "tbbmalloc": '<path d="M%.1f %.1f l9 9 m0 -9 l-9 9" stroke="{c}" stroke-width="2"/>' % (x - 4.5, y - 4.5),
    }
    return shapes[name].replace("{c}", colour)


def text(x, y, words, anchor="start", size=12):
    return '<text x="%.1f" y="%.1f" text-anchor="%s" font-size="%d">%s</text>' % (x, y, anchor, size, escape(words))


def panel(results, names, base, measure, left, title):
    bottom = TOP + ROW * len(results["cases"])
    parts = [text(left + PANEL / 2, TOP - 34, title, "middle", 13)]
    for power in range(-3, 4):
        x = left + position(2.0 ** power)
        parts.append('<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="%s"/>' %
                     (x, TOP - 8, x, bottom, "#888888" if power == 0 else "#dddddd"))
        label = "%g" % 2 ** power if power >= 0 else "1/%d" % 2 ** -power
        parts.append(text(x, TOP - 12, label, "middle", 11))
    for i, case in enumerate(results["cases"]):
        y = TOP + ROW * i + ROW / 2
        reference = case["figures"].get(base, {}).get(measure, {}).get("median")
        # numarena last, so that it lies on top.
        for name in sorted(names, key=lambda each: each == "numarena"):
            if not reference or name not in case["figures"]:
                continue
            figure = case["figures"][name][measure]
            low, high = (left + position(figure[end] / reference) for end in ("low", "high"))
            parts.append('<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>' % (low, y, high, y, COLOURS[name]))
            parts.append(mark(name, left + position(figure["median"] / reference), y))
    return parts


def render(results):
    names = [name for name, allocator in results["allocators"].items() if allocator["available"]]
    base = "numarena" if "numarena" in names else "glibc" if "glibc" in names else names[0]
    width, height = LEFT + 2 * PANEL + GAP + 30, TOP + ROW * len(results["cases"]) + 24
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif">' % (width, height),
             "<!-- SPDX-License-Identifier: BSD-3-Clause -->",
             '<rect width="100%" height="100%" fill="#ffffff"/>',
             text(LEFT, 20, "Time and peak memory relative to %s (left of 1: better than %s), %s" %
                  (base, base, results["date"]), size=14)]
    for i, name in enumerate(names):
        parts += [mark(name, LEFT + 8 + 120 * i, 38), text(LEFT + 20 + 120 * i, 42, name)]
    for i, case in enumerate(results["cases"]):
        if i % 2 == 0:
            parts.append('<rect x="0" y="%d" width="%d" height="%d" fill="#f6f6f6"/>' % (TOP + ROW * i, width, ROW))
        parts.append(text(LEFT - 10, TOP + ROW * i + ROW / 2 + 4, case["name"], "end"))
    parts += panel(results, names, base, "seconds", LEFT, "time")
    parts += panel(results, names, base, "peak_kib", LEFT + PANEL + GAP, "peak physical memory")
    parts.append(text(LEFT, height - 6, "Marks at the edge lie beyond 8 times or an eighth.", size=11))
    return "\n".join(parts + ["</svg>", ""])
