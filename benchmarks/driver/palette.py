# SPDX-License-Identifier: BSD-3-Clause
"""Colours of the allocators, the same in every chart, and a style that follows the reader's light or dark scheme.

The colours are Okabe and Ito's, told apart by the colour-blind and readable on white and on near-black alike.
"""
COLOURS = {"numarena": ("#000000", "#ffffff"), "glibc": ("#d55e00", "#e8743b"), "mimalloc": ("#0072b2", "#4aa3df"),
           "jemalloc": ("#009e73", "#2fc79a"), "tcmalloc": ("#b8568f", "#de8fbb"), "tbbmalloc": ("#c08000", "#f0b84a")}
FURTHER = (("#6a51a3", "#a99be0"), ("#7f6000", "#d8bd5a"), ("#5b6b7b", "#a7b4c2"), ("#a50f15", "#f0746f"))


def kind(name, number):
    """Class of an allocator's marks; those that have no colour of their own share four by their place in the list."""
    return "a-" + name if name in COLOURS else "f-%d" % (number % len(FURTHER))


def classes():
    yield from (("a-" + name, pair) for name, pair in COLOURS.items())
    yield from (("f-%d" % i, pair) for i, pair in enumerate(FURTHER))


def colours(which):
    return "".join(".dot.%s,.fill.%s{fill:%s}.bar.%s,.curve.%s{stroke:%s}" %
                   (name, name, pair[which], name, name, pair[which]) for name, pair in classes())


def scheme(paper, ink, faint, strong, row):
    return (".paper{fill:%s}.label,.small,.title,.name{fill:%s}.grid{stroke:%s}.base{stroke:%s}.axis{stroke:%s}.row{fill:%s}"
            ".dot{stroke:%s}" % (paper, ink, faint, strong, ink, row, paper))


def style():
    return ("<style>.label,.name{font-size:12px}.small{font-size:11px}.title{font-size:15px;font-weight:bold}"
            ".name{font-weight:bold}.bar{stroke-width:1.5}.curve{fill:none;stroke-width:1.8}.dot{stroke-width:1}"
            ".base{stroke-dasharray:4 3}\n%s%s\n@media(prefers-color-scheme:dark){%s%s}</style>" %
            (scheme("#ffffff", "#222222", "#e2e2e2", "#888888", "#f6f6f6"), colours(0),
             scheme("#16181c", "#e6e6e6", "#33373d", "#8a8f98", "#1d2025"), colours(1)))
