# SPDX-License-Identifier: BSD-3-Clause
"""What the figures were taken on, and with which compiler: a number without them is worth little."""
import os
import platform
import re

from .allocators import output_of


def first(path, pattern):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            match = re.search(pattern, file.read(), re.MULTILINE)
    except OSError:
        return None
    return match.group(1).strip() if match else None


def cores():
    return len(os.sched_getaffinity(0))


def make_variables(build):
    """The variables of the build's Makefile that bear on speed or name the version."""
    found = {}
    for name in ("VERSION", "CC", "CXX", "CFLAGS", "CXXFLAGS"):
        value = first(os.path.join(build, "Makefile"), r"^%s = (.*)$" % name)
        if value is not None:
            found[name] = value
    return found


def nodes():
    try:
        return sum(1 for name in os.listdir("/sys/devices/system/node") if re.fullmatch(r"node\d+", name))
    except OSError:
        return None


def describe(variables):
    memory = first("/proc/meminfo", r"^MemTotal:\s*(\d+) kB")
    release = first("/etc/os-release", r'^PRETTY_NAME="?([^"\n]*)')
    return {
        "processor": first("/proc/cpuinfo", r"^model name\s*: (.*)$") or platform.machine(),
        "cores": cores(),
        "memory_mib": int(memory) // 1024 if memory else None,
        "numa_nodes": nodes(),
        "kernel": platform.release(),
        "system": release,
        "huge_pages": first("/sys/kernel/mm/transparent_hugepage/enabled", r"\[(\w+)\]"),
        "load_before": os.getloadavg()[0],
        "compiler": output_of(*(variables.get("CC", "cc").split() + ["--version"])),
        "flags": variables.get("CFLAGS"),
        "mpi": output_of("mpirun", "--version"),
        "python": platform.python_version(),
    }


def available_mib():
    """What can still be allocated: of the machine, or of the control group where that is less."""
    found = [int(first("/proc/meminfo", r"^MemAvailable:\s*(\d+) kB") or 1 << 20) // 1024]
    for limit, used in (("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),):
        most, now = first(limit, r"^(\d+)$"), first(used, r"^(\d+)$")
        if most and now:
            found.append((int(most) - int(now)) >> 20)
    return max(0, min(found))
