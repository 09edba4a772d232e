# SPDX-License-Identifier: BSD-3-Clause
"""The plot of time against memory: one point an allocator, both as geometric means over the patterns relative to numarena
(to glibc where numarena was not run). Lower left is better. Bars are the spread of the means.

Colours follow the reader's light or dark scheme; points are named beside them, so that nothing hangs on a colour.
"""
import math
from xml.sax.saxutils import escape

from . import palette

WIDTH, HEIGHT = 720, 520
LEFT, RIGHT, TOP, BOTTOM = 80, 130, 60, 64
STEPS = (0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 6.0, 8.0, 16.0)


class Axis:
    """A logarithmic axis over the values with some room beside, from pixel `first` to pixel `last`."""

    def __init__(self, values, first, last):
        low, high = min(values + [0.93]), max(values + [1.07])
        room = 0.08 * math.log(high / low)
        self.low, self.high = math.log(low) - room, math.log(high) + room
        self.first, self.last = first, last

    def at(self, value):
        return self.first + (self.last - self.first) * (math.log(value) - self.low) / (self.high - self.low)

    def ticks(self, apart):
        """Round values that lie `apart` pixels or more from one another; 1 always."""
        found = [1.0]
        for value in sorted(STEPS, key=lambda step: (abs(math.log2(step) - round(math.log2(step))) > 1e-9, step * 10 % 5 > 1e-9, step)):
            inside = self.low <= math.log(value) <= self.high
            if inside and all(abs(self.at(value) - self.at(other)) >= apart for other in found):
                found.append(value)
        return sorted(found)


def text(x, y, words, anchor="start", kind="label", extra=""):
    return '<text class="%s" x="%.1f" y="%.1f" text-anchor="%s"%s>%s</text>' % (kind, x, y, anchor, extra, escape(words))


def line(x1, y1, x2, y2, kind):
    return '<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>' % (kind, x1, y1, x2, y2)


def points(results):
    """Name to (time, memory, spread of time, spread of memory), and what they are relative to."""
    means = results["geometric_means"]
    for base in ("numarena", "glibc"):
        found = {name: (entry["seconds"]["to_" + base], entry["peak_kib"]["to_" + base],
                        entry["seconds"]["spread_to_numarena"] or 0, entry["peak_kib"]["spread_to_numarena"] or 0)
                 for name, entry in means.items() if entry["seconds"]["to_" + base]}
        if found:
            return found, base
    return {}, "numarena"


def frame(across, up, base, results):
    x0, x1, y0, y1 = LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM, TOP
    parts = [text(x0, 24, "Time against memory, geometric means over %d cases" %
                  sum(case["kind"] == "pattern" for case in results["cases"]), kind="title"),
             text(x0, 43, "%s; %s, %d cores; medians of %d runs%s" %
                  (results["date"], results["machine"]["processor"], results["machine"]["cores"],
                   results["options"]["repeat"], ", --quick" if results["options"]["quick"] else ""), kind="small")]
    for value in across.ticks(44):
        parts += [line(across.at(value), y0, across.at(value), y1, "base" if value == 1 else "grid"),
                  text(across.at(value), y0 + 18, "%g" % value, "middle")]
    for value in up.ticks(26):
        parts += [line(x0, up.at(value), x1, up.at(value), "base" if value == 1 else "grid"),
                  text(x0 - 8, up.at(value) + 4, "%g" % value, "end")]
    middle = (y0 + y1) / 2
    parts += [line(x0, y0, x1, y0, "axis"), line(x0, y0, x0, y1, "axis"),
              text((x0 + x1) / 2, HEIGHT - 20, "time, relative to %s (left is faster)" % base, "middle"),
              text(22, middle, "peak physical memory, relative to %s (down is less)" % base, "middle",
                   extra=' transform="rotate(-90 22 %.1f)"' % middle)]
    return parts


def label_places(marks):
    """A label's height for each point: its own, moved down where it would cover another's."""
    places = {}
    for name, (x, y) in sorted(marks.items(), key=lambda mark: mark[1][1]):
        for other, place in places.items():
            if abs(marks[other][0] - x) < 90 and abs(place - y) < 15:
                y = place + 15
        places[name] = y
    return places


def render(results):
    found, base = points(results)
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif">' %
             (WIDTH, HEIGHT, WIDTH, HEIGHT), "<!-- SPDX-License-Identifier: BSD-3-Clause -->", palette.style(),
             '<rect class="paper" width="100%" height="100%"/>']
    if not found:
        return "\n".join(parts + [text(LEFT, TOP, "neither numarena nor glibc ran a pattern: nothing to relate to"), "</svg>", ""])
    across = Axis([each[0] for each in found.values()], LEFT, WIDTH - RIGHT)
    up = Axis([each[1] for each in found.values()], HEIGHT - BOTTOM, TOP)
    parts += frame(across, up, base, results)
    marks = {name: (across.at(each[0]), up.at(each[1])) for name, each in found.items()}
    places = label_places(marks)
    for i, (name, (time, memory, time_spread, memory_spread)) in enumerate(found.items()):
        x, y = marks[name]
        kind = palette.kind(name, i)
        parts += [line(across.at(time / (1 + time_spread)), y, across.at(time * (1 + time_spread)), y, "bar " + kind),
                  line(x, up.at(memory / (1 + memory_spread)), x, up.at(memory * (1 + memory_spread)), "bar " + kind),
                  '<circle class="dot %s" cx="%.1f" cy="%.1f" r="6"><title>%s: time %.3f, memory %.3f</title></circle>' %
                  (kind, x, y, escape(name), time, memory),
                  text(x + 8, places[name] - 7, name, kind="name")]
    return "\n".join(parts + ["</svg>", ""])
