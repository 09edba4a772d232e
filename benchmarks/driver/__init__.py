# SPDX-License-Identifier: BSD-3-Clause
"""What benchmarks/compare and benchmarks/instructions are made of; standard library only.

allocators  which libraries there are, and their versions
cases       which programs are run, with which arguments
running     one run: start, verify, measure
figures     medians, quartiles, ratios, geometric means
table       the text
chart       the SVG
machine     what the figures were taken on
"""
