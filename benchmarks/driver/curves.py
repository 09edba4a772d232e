# SPDX-License-Identifier: BSD-3-Clause
"""The plot of the cost models: a column for each quantity, time above and memory below, points as measured and the fitted
formula as a line through them. All scales are logarithmic."""
import math
from xml.sax.saxutils import escape

from . import costmodel, palette

WIDE, HIGH, LEFT, TOP, GAP_X, GAP_Y = 300, 240, 70, 78, 62, 62
TITLES = {costmodel.TIME: "ns an operation (malloc + free)", costmodel.MEMORY: "bytes held for a live byte"}


def text(x, y, words, anchor="start", kind="small", extra=""):
    return '<text class="%s" x="%.1f" y="%.1f" text-anchor="%s"%s>%s</text>' % (kind, x, y, anchor, extra, escape(words))


class Scale:
    def __init__(self, low, high, first, last):
        room = 0.04 * math.log(high / low) if high > low else 0.1
        self.low, self.high, self.first, self.last = math.log(low) - room, math.log(high) + room, first, last

    def at(self, value):
        return self.first + (self.last - self.first) * (math.log(value) - self.low) / (self.high - self.low)

    def ticks(self, base):
        """Powers of the base; of ten, with 2 and 5 between them where there is room; at most about eight."""
        first, last = (math.ceil(self.low / math.log(base) - 1e-9), math.floor(self.high / math.log(base) + 1e-9))
        step = max(1, (last - first + 7) // 8)
        found = [float(base) ** power for power in range(first, last + 1, step)]
        if base == 10 and last - first < 3:
            found = [digit * 10.0 ** power for power in range(first - 1, last + 2) for digit in (1, 2, 5)]
        if base == 10 and last - first < 1:
            found = [digit * 10.0 ** power for power in range(first - 2, last + 2) for digit in (1, 1.2, 1.5, 2, 3, 5, 7)]
        return [value for value in found if self.low <= math.log(value) <= self.high]


def bytes_label(value):
    for unit, size in (("M", 2 ** 20), ("K", 2 ** 10)):
        if value >= size:
            return "%g%s" % (value / size, unit)
    return "%g" % value


def count_label(value):
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size and value % size == 0:
            return "%g%s" % (value / size, unit)
    return "%g" % value if value >= 100 else "%.3g" % value


def drawn(names, record, key, across, up):
    parts = []
    for i, name in enumerate(names):
        points, kind = record["points"].get(name, {}), palette.kind(name, i)
        for model in record["fits"].get(name, {}).get(key, ()):
            first, last = math.log(model["from"]), math.log(model["to"])
            line = [math.exp(first + (last - first) * step / 60) for step in range(61)]
            line = [x for x in line if model["model"](x) > 0]
            parts.append('<polyline class="curve %s" points="%s"/>' %
                         (kind, " ".join("%.1f,%.1f" % (across.at(x), up.at(model["model"](x))) for x in line)))
        for x, point in points.items():
            parts.append('<circle class="dot %s" cx="%.1f" cy="%.1f" r="3.4"><title>%s at %g: %.4g</title></circle>' %
                         (kind, across.at(x), up.at(point[key]), escape(name), x, point[key]))
    return parts


def panel(names, axis, record, key, bounds, left, top):
    bottom, right = top + HIGH, left + WIDE
    parts = []
    if not record["points"]:
        return [text(left + WIDE / 2, top + HIGH / 2, "not available", "middle")]
    xs = [x for points in record["points"].values() for x in points]
    across, up = Scale(min(xs), max(xs), left, right), Scale(*bounds, bottom, top)
    decimal = axis.name == "live"
    for x in across.ticks(10 if decimal else 4):
        parts += ['<line class="grid" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>' % (across.at(x), top, across.at(x), bottom),
                  text(across.at(x), bottom + 16, (bytes_label if axis.name == "size" else count_label)(x), "middle")]
    for y in up.ticks(10):
        parts += ['<line class="%s" x1="%d" y1="%.1f" x2="%d" y2="%.1f"/>' %
                  ("base" if key == costmodel.MEMORY and y == 1 else "grid", left, up.at(y), right, up.at(y)),
                  text(left - 6, up.at(y) + 4, count_label(y), "end")]
    parts += ['<path class="axis" fill="none" d="M%d %d V%d H%d"/>' % (left, top, bottom, right)]
    return parts + drawn(names, record, key, across, up)


def bounds_of(records, key):
    """One scale for a row of panels, so that they can be compared."""
    values = [point[key] for record in records for points in record["points"].values() for point in points.values()]
    return (min(values), max(values)) if values else (1, 10)


def caption(title):
    """Two lines where one is too long for a panel."""
    head, comma, tail = title.partition(", ")
    return [head + comma, tail] if tail else [head]


def render(axes, records, names, date, processor):
    width = LEFT + len(axes) * WIDE + (len(axes) - 1) * GAP_X + 30
    height = TOP + 2 * HIGH + GAP_Y + 60
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif">' %
             (width, height, width, height), "<!-- SPDX-License-Identifier: BSD-3-Clause -->", palette.style(),
             '<rect class="paper" width="100%" height="100%"/>',
             text(LEFT, 24, "Time and memory, measured (points) and modelled (lines)", kind="title"),
             text(LEFT + 560, 24, "%s; %s" % (date, processor))]
    for i, name in enumerate(names):
        x = LEFT + 110 * i
        parts += ['<circle class="dot %s" cx="%d" cy="46" r="5"/>' % (palette.kind(name, i), x + 6), text(x + 16, 50, name, kind="name")]
    for column, (axis, record) in enumerate(zip(axes, records)):
        left = LEFT + column * (WIDE + GAP_X)
        for number, key in enumerate((costmodel.TIME, costmodel.MEMORY)):
            # Blocks of megabytes cost thousands of times what small ones do: that panel has a scale of its own.
            alike = [record] if axis.name == "size" else [each for of, each in zip(axes, records) if of.name != "size"]
            top = TOP + number * (HIGH + GAP_Y)
            parts += panel(names, axis, record, key, bounds_of(alike, key), left, top)
            if column == 0:
                middle = top + HIGH / 2
                parts.append(text(20, middle, TITLES[key], "middle", "label", ' transform="rotate(-90 20 %.1f)"' % middle))
        for i, line in enumerate(caption(axis.title)):
            parts.append(text(left + WIDE / 2, TOP + 2 * HIGH + GAP_Y + 34 + 14 * i, line, "middle"))
    return "\n".join(parts + ["</svg>", ""])
