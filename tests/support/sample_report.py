#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A report.json of any number of ranks, as a job would leave it, for tests of what shows reports: figures follow from each
other (sums, extremes and quantiles are those of the ranks), the same each time.

    sample_report.py RANKS [RANKS_A_NODE] >report.json
"""
import json
import math
import random
import sys

MIB = 1 << 20
BEGIN = 1764120000000 // 1024 * 1024
METRICS = {
    "live_bytes": "bytes", "peak_bytes": "bytes", "physical_bytes": "bytes", "peak_physical_bytes": "bytes",
    "peak_rss_bytes": "bytes", "swapped_bytes": "bytes", "resident_bytes": "bytes", "misplaced_bytes": "bytes",
    "peak_resident_bytes": "bytes", "peak_misplaced_bytes": "bytes", "huge_bytes": "bytes", "peak_huge_bytes": "bytes",
    "held_bytes": "bytes", "reclaimable_bytes": "bytes", "reserved_bytes": "bytes", "metadata_bytes": "bytes",
    "allocations": "count", "releases": "count", "cached_allocations": "count", "cache_refills": "count",
    "thread_cache_hit_rate": "ratio", "remote_releases": "count", "large_allocations": "count", "large_reused": "count",
    "large_reuse_rate": "ratio", "large_live_bytes": "bytes", "purged_bytes": "bytes", "system_calls": "count",
    "thread_caches": "count", "wall_ns": "ns", "maintenance_ns": "ns", "record_ns": "ns", "finalize_ns": "ns",
    "topology_ns": "ns", "fullest_live_bytes": "bytes", "fullest_held_bytes": "bytes", "fullest_requested_bytes": "bytes",
    "growth_bytes": "bytes", "compressed_bytes": "bytes", "stalled": "ratio", "phase_ns": "ns"}


def power(v):
    return 1 << max(0, math.ceil(math.log2(v))) if v > 1 else 1


class Rank:
    """One process: its history of live bytes in `bins` bins, and its figures."""

    def __init__(self, number, host, bins, rng):
        self.number, self.host, self.pid = number, host, 20000 + number * 7 % 9973
        waves = [0.16 * (0.5 + 0.5 * math.sin(b / max(1, bins - 1) * 60 + number / 300)) for b in range(bins)]
        slow = 1 + 0.04 * math.sin(number / 11) + rng.uniform(-0.02, 0.02)
        self.base = int(900 * MIB * slow) // 16 * 16
        leak = 3.1 if number and number % 97 == 13 else 0
        self.live, self.physical, self.requested, self.compressed, self.misplaced = [], [], [], [], []
        for b in range(bins):
            t = b / max(1, bins - 1)
            ramp = min(1.0, t / 0.12) if t < 0.95 else max(0.15, 1 - (t - 0.95) * 17)
            step = waves[b] if 0.15 < t < 0.95 else 0
            spike = 0.5 if 0.55 < t < 0.58 and number % 5 == 0 else 0
            live = int(self.base * ramp * (0.8 + step + spike + leak * t * 0.3)) // 16 * 16
            self.live.append(live)
            self.physical.append((int(live * 1.09) + 41 * MIB) // 4096 * 4096)
            self.requested.append(int(live * 0.94))
            self.compressed.append(int(live * 0.05) if t > 0.6 else 0)
            self.misplaced.append(int(live * (0.02 + 0.11 * (number % 16 == 3))) // 4096 * 4096)
        peak, end = max(self.live), self.live[-1]
        calls = int(2.1e6 * slow)
        wall = int(bins * 0.256e9) + number % 50 * 1000003
        v = dict.fromkeys(METRICS, 0)
        v.update(live_bytes=end, peak_bytes=peak, physical_bytes=self.physical[-1], peak_physical_bytes=max(self.physical),
                 peak_rss_bytes=max(self.physical) + 9 * MIB, resident_bytes=end // 4096 * 4096,
                 misplaced_bytes=self.misplaced[-1], peak_resident_bytes=peak // 4096 * 4096,
                 peak_misplaced_bytes=max(self.misplaced), huge_bytes=None, peak_huge_bytes=None,
                 held_bytes=(end + 64 * MIB) // 65536 * 65536, reclaimable_bytes=40 * MIB, reserved_bytes=power(peak) * 2,
                 metadata_bytes=3 * MIB + number % 7 * 4096, allocations=calls, releases=calls - 1400 - number % 90,
                 cached_allocations=calls - 9000, cache_refills=31000 + number % 1000, remote_releases=number % 400,
                 large_allocations=9000, large_reused=8700 - number % 50, large_live_bytes=int(end * 0.7), purged_bytes=128 * MIB,
                 system_calls=2100 + number % 300, thread_caches=2, wall_ns=wall, maintenance_ns=41000000 + number % 900 * 10007,
                 record_ns=12000000 + number % 77 * 9001, finalize_ns=3000000 + number % 19 * 70001,
                 topology_ns=12400000 if number % 32 == 0 else 210000, fullest_live_bytes=peak,
                 fullest_held_bytes=(peak + 64 * MIB) // 65536 * 65536, fullest_requested_bytes=max(self.requested),
                 growth_bytes=peak // 2 if leak else 0, compressed_bytes=self.compressed[-1], stalled=0.0, phase_ns=int(wall * 0.7))
        v["thread_cache_hit_rate"] = round(1 - v["cache_refills"] / v["cached_allocations"], 6)
        v["large_reuse_rate"] = round(v["large_reused"] / v["large_allocations"], 6)
        self.values = v


def at(rank, value):
    return {"value": value, "rank": rank.number, "pid": rank.pid, "host": rank.host}


def quantile(rising, q):
    return rising[min(len(rising) - 1, max(0, math.ceil(q * len(rising)) - 1))]


def histogram(values):
    """Eight bins a doubling, as a mergeable sketch has them."""
    bins = {}
    for v in values:
        e = max(0, int(v).bit_length() - 4)
        edge = int(v) >> e << e
        bins[edge] = bins.get(edge, 0) + 1
    return [{"from": k, "ranks": bins[k]} for k in sorted(bins)]


def metric(name, ranks):
    unit = METRICS[name]
    known = [r for r in ranks if r.values[name] is not None]
    if not known:
        return {"unit": unit, "measured_by": 0, "total": None, "mean": None, "imbalance": None, "min": None, "max": None,
                "stddev": None, "quantiles": None, "histogram": []}
    values = [r.values[name] for r in known]
    mean = sum(values) / len(values)
    total = round(mean, 6) if unit == "ratio" else sum(values)
    least = min(known, key=lambda r: (r.values[name], r.number))
    most = max(known, key=lambda r: (r.values[name], -r.number))
    rising = sorted(values)
    return {"unit": unit, "measured_by": len(known), "total": total, "mean": mean,
            "imbalance": most.values[name] / mean - 1 if mean else 0.0,
            "min": at(least, least.values[name]), "max": at(most, most.values[name]),
            "stddev": math.sqrt(sum((v - mean) ** 2 for v in values) / len(values)),
            "quantiles": {"p%d" % p: quantile(rising, p / 100) for p in (5, 25, 50, 75, 95, 99)},
            "histogram": histogram(values) if unit != "ratio" else []}


def series(ranks, bins, width):
    out = {"begin_ms": BEGIN, "bin_ms": width}
    for name in ("live", "physical", "requested", "compressed", "misplaced"):
        out[name + "_bytes"] = [sum(column) for column in zip(*(getattr(r, name) for r in ranks))]
    return out


def peak(s, phase=None):
    top = max(s["live_bytes"])
    return {"live_bytes": top, "moment_ms": s["begin_ms"] + s["live_bytes"].index(top) * s["bin_ms"] + s["bin_ms"] // 2,
            "phase": phase}


def peaks(ranks, s):
    return {"live_peak_of_sums": max(s["live_bytes"]), "live_sum_of_peaks": sum(r.values["peak_bytes"] for r in ranks),
            "physical_peak_of_sums": max(s["physical_bytes"]),
            "physical_sum_of_peaks": sum(r.values["peak_physical_bytes"] for r in ranks), "resolution_ms": s["bin_ms"]}


def fragmentation(ranks):
    held, live, requested = (sum(r.values["fullest_%s_bytes" % n] for r in ranks) for n in ("held", "live", "requested"))
    return {"held_bytes": held, "live_bytes": live, "requested_bytes": requested,
            "external": 1 - live / held if held else 0.0, "internal": 1 - requested / live if live else 0.0}


def share(value, node, nodes):
    """Of a rank's bytes, those on a NUMA node: most on its own."""
    return value * 3 // 4 + value // 4 % nodes if node == 0 else value // 4 // (nodes - 1) if nodes > 1 else 0


def numa(ranks, nodes):
    out = []
    for n in range(nodes):
        parts = [[share(r.values[k] or 0, (n - r.number) % nodes, nodes) // 4096 * 4096 for r in ranks]
                 for k in ("resident_bytes", "misplaced_bytes", "peak_resident_bytes", "peak_misplaced_bytes")]
        sums = [sum(p) for p in parts]
        out.append({"node": n, "memory_bytes": 64 << 30, "held_bytes": sums[0] + MIB,
                    "at_end": {"requested_bytes": int(sums[0] * 1.06), "resident_bytes": sums[0], "misplaced_bytes": sums[1]},
                    "when_fullest": {"requested_bytes": int(sums[2] * 1.06), "resident_bytes": sums[2], "misplaced_bytes": sums[3]}})
    return out


def spread(ranks, of):
    values = [(of(r), r) for r in ranks]
    least, most = min(values, key=lambda x: x[0]), max(values, key=lambda x: x[0])
    total = sum(v for v, _ in values)
    return {"total": total, "mean": total / len(values), "min": at(least[1], least[0]), "max": at(most[1], most[0])}


def phase(name, ranks, portion, left, growing=False):
    leak = max(ranks, key=lambda r: r.values["live_bytes"])
    return {"name": name, "processes": len(ranks), "running": 0, "entered": 200 * len(ranks), "allocations": 9000 * len(ranks),
            "releases": 8900 * len(ranks), "allocated_bytes": 77 * MIB * len(ranks), "released_bytes": 76 * MIB * len(ranks),
            "time_ns": spread(ranks, lambda r: int(r.values["wall_ns"] * portion)),
            "peak_bytes": spread(ranks, lambda r: int(r.values["peak_bytes"] * (0.5 + portion / 2))),
            "left_bytes": spread(ranks, lambda r: left + r.number % 3 * 4096),
            "growth": {"processes": 1, "stretches": 10, "first_bytes": 27 * MIB, "last_bytes": 99 * MIB, "rank": leak.number,
                       "pid": leak.pid, "host": leak.host} if growing else None}


def pool(name, ranks, size):
    return {"name": name, "processes": len(ranks), "pools": 1, "allocations": 400 * len(ranks), "live_bytes": size * len(ranks) // 2,
            "held_bytes": size * len(ranks), "peak_bytes": spread(ranks, lambda r: size + r.number % 5 * 65536)}


def host_of(number, a_node, name):
    return f"{name}{number // a_node:04d}"


def report(count, a_node=32, program="lj-melt", bins=None, width=256, host="node", size=None, numa_nodes=4):
    rng = random.Random(count)
    bins = bins or 240
    ranks = [Rank(i, host_of(i, a_node, host), bins, rng) for i in range(count)]
    s = series(ranks, bins, width)
    hosts = {}
    for r in ranks:
        hosts.setdefault(r.host, []).append(r)
    # 64 bins of ranks at most
    group = max(1, -(-bins // 64))
    group = power(group)
    unit = power(max(r.values["peak_bytes"] for r in ranks) / 4095)
    rows = [{"rank": r.number, "pid": r.pid, "host": r.host,
             "values": [-(-max(r.live[b:b + group]) // unit) for b in range(0, bins, group)]} for r in ranks]
    nodes = []
    for name, members in sorted(hosts.items()):
        ns = series(members, bins, width)
        need = max(r.values["peak_physical_bytes"] for r in members)
        memory = 64 << 30
        top = max(ns["physical_bytes"])
        metrics = {m: dict(metric(m, members), quantiles=None, histogram=None) for m in METRICS}
        nodes.append({"host": name, "processes": len(members), "complete": len(members), "aborted": 0, "memory_bytes": memory,
                      "cgroup_limit_bytes": 56 << 30, "metrics": metrics,
                      "peaks": peaks(members, ns), "numa_nodes": numa(members, numa_nodes), "series": ns, "peak": peak(ns),
                      "headroom": {"limit_bytes": 56 << 30, "limit": "cgroup", "peak_bytes": top, "free_bytes": max(0, (56 << 30) - top),
                                   "more_ranks": max(0, (56 << 30) - top) // need}, "fragmentation": fragmentation(members)})
    physical = max(s["physical_bytes"])
    leaks = [r for r in ranks if r.number and r.number % 97 == 13]
    median = quantile(sorted(r.values["peak_bytes"] for r in ranks), 0.5)
    mad = quantile(sorted(abs(r.values["peak_bytes"] - median) for r in ranks), 0.5)
    outliers = [{"rank": r.number, "pid": r.pid, "host": r.host, "metric": "peak_bytes", "value": r.values["peak_bytes"],
                 "median": median, "times_mad": (r.values["peak_bytes"] - median) / max(1, mad), "kind": "outlier"} for r in leaks[:16]]
    longest = max(ranks, key=lambda r: r.number % 37)
    findings = [{"rule": "rank_imbalance", "value": 0.76, "threshold": 0.25, "cost": 0.4,
                 "bottleneck": "Rank 13 has a peak of 1.66 GiB live, 76% above the mean of 967 MiB: the job is as large as its "
                               "fullest rank.", "recommendation": "Look at what rank 13 keeps; see its phase \"force\"."}] if leaks else []
    matrix = [{"host": r.host, "rank": r.number, "pid": r.pid, "node": n, "resident_bytes": res, "misplaced_bytes": mis}
              for r in ranks for n in range(numa_nodes)
              for res, mis in [tuple(share(r.values[k], (n - r.number) % numa_nodes, numa_nodes) // 4096 * 4096
                                     for k in ("peak_resident_bytes", "peak_misplaced_bytes"))] if res or mis]
    job = {"name": "8812347", "program": program, "status": "complete", "mpi": True, "post_mortem": False,
           "launcher": "Slurm 22.05 with PMIx", "size": size or count, "processes": count, "complete": count, "aborted": 0,
           "missing": 0, "missing_ranks": [], "nodes": len(nodes), "start": "2025-11-26T01:20:00.000Z",
           "end": "2025-11-26T01:21:01.440Z", "wall_ns": max(r.values["wall_ns"] for r in ranks),
           "metrics": {m: metric(m, ranks) for m in METRICS}, "peaks": peaks(ranks, s), "numa_nodes": numa(ranks, numa_nodes),
           "phases": [phase("setup", ranks, 0.08, 24 * MIB), phase("force", ranks, 0.7, 0, bool(leaks)),
                      phase("neighbour list", ranks, 0.17, -4 * MIB)], "other_phases": None,
           "size_classes": [{"block_bytes": b, "allocations": a * count, "allocated_bytes": a * (b or 90000) * count,
                             "live_blocks": 9 * count, "live_bytes": 9 * (b or 90000) * count, "fullest_bytes": 40 * (b or 90000) * count}
                            for b, a in ((16, 9000), (48, 70000), (176, 1200), (4096, 300), (None, 145))],
           "pools": [pool("halo", ranks, 6 * MIB), pool("positions and velocities", ranks, 48 * MIB)], "other_pools": None,
           "threads": {"running": 2 * count, "most_at_once": spread(ranks, lambda r: 2),
                       "busiest": {"thread": 10995, "node": 0, "allocations": 31000, "allocated_bytes": 105 * MIB, "rank": 1 % count,
                                   "pid": ranks[1 % count].pid, "host": ranks[1 % count].host}},
           "allocation_latency": {"sampled_by": count, "samples": 900 * count, "allocations": 2000000 * count, "mean_ns": 48.5,
                                  "p50_ns": 31.0, "p90_ns": 184.0, "p99_ns": 7420.0, "p999_ns": 23600.0,
                                  "max": at(ranks[-1], 67000), "bins": [{"from_ns": b, "allocations": 1000 * count // (i + 1)}
                                                                        for i, b in enumerate((16, 20, 24, 28, 32, 64, 128, 1024, 4096))]},
           "lifetimes": {"samples": 800 * count, "bins": [{"from_ns": 1 << b, "blocks": 500 * count // b, "bytes": 90000 * count // b}
                                                          for b in (10, 11, 14, 20, 24)]},
           "findings": findings, "out_of_memory": {"reports": 0, "files": []},
           "overhead": {"fraction_of_time": 0.0021,
                        **{n: sum(r.values[n] for r in ranks) for n in ("maintenance_ns", "record_ns", "finalize_ns", "topology_ns",
                                                                          "metadata_bytes")},
                        "topology_shared_by": count - len(nodes), "reduce_ns": 1370000,
                        "pauses": {"count": 3 * count, "total_ns": 3 * count * 180000,
                                   "longest": {"ns": 410000, "moment_ms": BEGIN + 9000, "rank": longest.number, "pid": longest.pid,
                                               "host": longest.host}, "estimated_job_ns": 2100000, "together_ns": 500000, "alone": count, "alone_ns": count * 180000,
                                   "collectives": 1200}},
           "series": s, "peak": peak(s, "force"),
           "rank_series": {"begin_ms": BEGIN, "bin_ms": width * group, "quantity": "live_bytes", "unit_bytes": unit, "rows": rows},
           "outliers": outliers, "numa_matrix": matrix, "fragmentation": fragmentation(ranks),
           "rates": {"allocations_per_s": 34000.5 * count, "allocated_bytes_per_s": 1.25e9 * count, "allocator_time_fraction": 0.0123},
           "call_sites": [{"bytes": 610 * MIB * count, "allocations": 14000 * count, "fraction": 0.62, "ranks": count,
                           "frames": ["build_neighbour_list (neighbour.c)", "step (lj.c)", "main (lj.c)"]},
                          {"bytes": 200 * MIB * count, "allocations": 900 * count, "fraction": 0.2, "ranks": count,
                           "frames": ["exchange_halo (halo.c)", "step (lj.c)", "main (lj.c)"]}],
           "memory_request": {"requested_bytes": 56 << 30, "source": "SLURM_MEM_PER_NODE", "sufficient_bytes": physical // len(nodes),
                              "directive": "--mem=%dM" % -(-physical // len(nodes) * 11 // 10 // MIB)}}
    out_ranks = [{"rank": r.number, "pid": r.pid, "host": r.host, "program": program, "role": "rank", "state": "complete",
                  "updated": "2025-11-26T01:21:%02d.%03dZ" % (r.number % 60, r.number * 37 % 1000), "phase": None, "values": r.values,
                  "pauses": [{"moment_ms": BEGIN + (12000, 30000, 34000)[k] + r.number * (1, 1, 7919)[k] % (3, 3, 24000)[k],
                              "ns": 90000 + (r.number * 31 + k * 977) % 320000,
                              "bytes": MIB, "kind": ("window", "call", "alone")[k]} for k in range(3)]} for r in ranks]
    return {"schema": "numarena-report", "schema_version": "1.3", "generator": "numarena 0.1.0", "job": job, "nodes": nodes,
            "nodes_omitted": False, "ranks": out_ranks, "ranks_omitted": False, "notes": []}


if __name__ == "__main__":
    json.dump(report(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 32), sys.stdout, indent=1)
    print()
