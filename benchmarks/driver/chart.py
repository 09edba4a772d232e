# SPDX-License-Identifier: BSD-3-Clause
"""The chart: for each case one row, for each allocator one mark at its median over numarena's (over glibc's where
numarena was not run), on a logarithmic scale, with the quartiles as a line. Time on the left, memory on the right.

Marks differ in shape as well as in colour, so the chart can be read in print and by the colour-blind.
"""
import math
from xml.sax.saxutils import escape

from . import palette

ROW, TOP, LEFT, PANEL, GAP = 22, 92, 170, 420, 40
LEAST, MOST = 1 / 8, 8


def position(value):
    value = min(max(value, LEAST), MOST)
    return PANEL * math.log(value / LEAST) / math.log(MOST / LEAST)


def mark(name, number, x, y):
    shapes = {
        "numarena": '<rect class="{c}" x="%.1f" y="%.1f" width="3" height="14"/>' % (x - 1.5, y - 7),
        "glibc": '<circle class="{c}" cx="%.1f" cy="%.1f" r="4.5"/>' % (x, y),
        "mimalloc": '<rect class="{c}" x="%.1f" y="%.1f" width="8" height="8"/>' % (x - 4, y - 4),
        "jemalloc": '<path class="{c}" d="M%.1f %.1f l5 9 h-10 z"/>' % (x, y - 5),
        "tcmalloc": '<path class="{c}" d="M%.1f %.1f l5 5 l-5 5 l-5 -5 z"/>' % (x, y - 5),
        "tbbmalloc": '<path class="{c}" d="M%.1f %.1f l5 -9 h-10 z"/>' % (x, y + 5),
    }
    further = '<rect class="{c}" x="%.1f" y="%.1f" width="11" height="4"/>' % (x - 5.5, y - 2)
    return shapes.get(name, further).replace("{c}", "dot " + palette.kind(name, number))


def text(x, y, words, anchor="start", size=12):
    return '<text class="label" x="%.1f" y="%.1f" text-anchor="%s" style="font-size:%dpx">%s</text>' % (x, y, anchor, size, escape(words))


def panel(results, names, base, measure, left, title):
    bottom = TOP + ROW * len(results["cases"])
    parts = [text(left + PANEL / 2, TOP - 34, title, "middle", 13)]
    for power in range(-3, 4):
        x = left + position(2.0 ** power)
        parts.append('<line class="%s" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>' %
                     ("axis" if power == 0 else "grid", x, TOP - 8, x, bottom))
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
            parts.append('<line class="bar %s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>' %
                         (palette.kind(name, names.index(name)), low, y, high, y))
            parts.append(mark(name, names.index(name), left + position(figure["median"] / reference), y))
    return parts


def render(results):
    names = [name for name, allocator in results["allocators"].items() if allocator["available"]]
    base = "numarena" if "numarena" in names else "glibc" if "glibc" in names else names[0]
    width, height = LEFT + 2 * PANEL + GAP + 30, TOP + ROW * len(results["cases"]) + 24
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif">' % (width, height),
             "<!-- SPDX-License-Identifier: BSD-3-Clause -->",
             palette.style(), '<rect class="paper" width="100%" height="100%"/>',
             text(LEFT, 20, "Time and peak memory relative to %s (left of 1: better than %s), %s" %
                  (base, base, results["date"]), size=14)]
    for i, name in enumerate(names):
        parts += [mark(name, i, LEFT + 8 + 120 * i, 38), text(LEFT + 20 + 120 * i, 42, name)]
    for i, case in enumerate(results["cases"]):
        if i % 2 == 0:
            parts.append('<rect class="row" x="0" y="%d" width="%d" height="%d"/>' % (TOP + ROW * i, width, ROW))
        parts.append(text(LEFT - 10, TOP + ROW * i + ROW / 2 + 4, case["name"], "end"))
    parts += panel(results, names, base, "seconds", LEFT, "time")
    parts += panel(results, names, base, "peak_kib", LEFT + PANEL + GAP, "peak physical memory")
    parts.append(text(LEFT, height - 6, "Marks at the edge lie beyond 8 times or an eighth.", size=11))
    return "\n".join(parts + ["</svg>", ""])
