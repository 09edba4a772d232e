# SPDX-License-Identifier: BSD-3-Clause
"""What benchmarks/compare and benchmarks/instructions are made of; standard library only.

allocators  which libraries there are, and their versions
cases       which programs are run, with which arguments
running     one run: start, verify, measure
figures     medians, quartiles, ratios, geometric means
table       the text
plane       the plot of time against memory
chart       the chart of all cases
palette     the colours of both
build       where the build is, and that it is complete
machine     what the figures were taken on
"""
