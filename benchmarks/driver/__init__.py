# SPDX-License-Identifier: BSD-3-Clause
"""What the scripts of benchmarks/ are made of; standard library only.

allocators  which libraries there are, and their versions
comparison  every case under every allocator, interleaved
goals       what else there is a goal for
counting    instructions
costmodel   points and fitted formulas
curves      their plot
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
