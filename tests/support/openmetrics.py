# SPDX-License-Identifier: BSD-3-Clause
"""A strict reader of the OpenMetrics text format: whatever the format forbids is an AssertionError that quotes the line."""
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(r"(%s)(?:\{(%s(?:,%s)*)?\})? (\S+)\Z" % (NAME, LABEL, LABEL))
PART = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?|NaN|Inf)\Z")
SUFFIXES = {"gauge": ("",), "counter": ("_total",), "info": ("_info",)}


def check(condition, what, line):
    if not condition:
        raise AssertionError("%s: %r" % (what, line))


def read(text):
    """{(sample's name, frozenset of labels): value}, of a whole exposition."""
    check(text.endswith("# EOF\n"), "does not end in # EOF", text[-80:])
    samples, families, current = {}, {}, None
    for line in text[:-len("# EOF\n")].split("\n")[:-1]:
        if line.startswith("#"):
            word = re.match(r"# (TYPE|UNIT|HELP) (%s) (.*)\Z" % NAME, line)
            check(word, "neither TYPE, UNIT nor HELP", line)
            kind, name, rest = word.groups()
            if name != current:
                check(name not in families, "a family that comes twice, or in pieces", line)
                families[name] = {"samples": 0}
                current = name
            family = families[name]
            check(kind not in family and not family["samples"], "twice, or behind samples", line)
            family[kind] = rest
            if kind == "TYPE":
                check(rest in SUFFIXES, "a type that is not used here", line)
            if kind == "UNIT":
                check(name.endswith("_" + rest), "the name does not end in its unit", line)
            if kind == "HELP":
                check(not re.search(r"\\[^\\n]", rest) and rest, "help that is empty or escaped wrongly", line)
            continue
        match = SAMPLE.match(line)
        check(match, "no sample", line)
        name, labels, value = match.groups()
        check(NUMBER.match(value), "no number", line)
        check(current is not None and "TYPE" in families[current], "a sample before its TYPE", line)
        check(any(name == current + s for s in SUFFIXES[families[current]["TYPE"]]), "a sample of another family", line)
        families[current]["samples"] += 1
        parts = PART.findall(labels or "")
        check(len({k for k, _ in parts}) == len(parts), "a label twice", line)
        key = (name, frozenset(parts))
        check(key not in samples, "a sample twice", line)
        samples[key] = float(value)
        if families[current]["TYPE"] == "counter":
            check(samples[key] >= 0, "a counter below 0", line)
        if families[current]["TYPE"] == "info":
            check(samples[key] == 1, "info that is not 1", line)
    return samples


def value(samples, name, **labels):
    """The one sample of a name that has these labels among its own."""
    found = [v for (n, parts), v in samples.items() if n == name and set(labels.items()) <= parts]
    check(len(found) == 1, "%d samples, not one" % len(found), (name, labels))
    return found[0]
