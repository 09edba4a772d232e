# SPDX-License-Identifier: BSD-3-Clause
"""One run of a case under an allocator: started through benchmarks/measure, verified, measured.

A run counts only if the program ended well, held its own checks, and provably ran on the allocator it is listed
under; otherwise it raises Failure with the reason. Nothing is retried.
"""
import json
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import time

STARTS = 10  # processes for one sample of "start"


class Failure(Exception):
    pass


def environment(variables=None):
    clean = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    clean.update(variables or {})
    if os.geteuid() == 0:
        # Open MPI refuses root, which is what containers run as.
        clean.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    return clean


def shown(path, *folders):
    """A path as results show it: within the build or the source, not where those happen to lie."""
    for folder in folders:
        if path.startswith(folder + os.sep):
            return os.path.relpath(path, folder)
    return path


def last_line(text, fallback):
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else fallback


def stop(process):
    """mpirun ends its ranks when it is asked to; what does not listen is killed with its group."""
    for number, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, None)):
        try:
            os.killpg(process.pid, number)
            return process.communicate(timeout=patience)
        except ProcessLookupError:
            return process.communicate()
        except subprocess.TimeoutExpired:
            continue


def check(measured, err):
    if measured["signal"]:
        raise Failure("killed by signal %d" % measured["signal"])
    if measured["status"]:
        raise Failure("exit status %d: %s" % (measured["status"], last_line(err, "no message")))


class Runner:
    def __init__(self, build, timeout):
        self.build = build
        self.measure = os.path.join(build, "benchmarks/measure")
        self.timeout = timeout

    def program(self, name):
        return os.path.join(self.build, "benchmarks", name)

    def execute(self, command, variables):
        """Standard output, standard error and exit status of a command that ends in time."""
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True, env=environment(variables), start_new_session=True)
        try:
            out, err = process.communicate(timeout=self.timeout)
        except subprocess.TimeoutExpired:
            stop(process)
            raise Failure("no end after %g s" % self.timeout)
        except BaseException:
            stop(process)
            raise
        return out, err, process.returncode

    def single(self, command, variables):
        """Output of a program and measure's line on it, which comes last."""
        out, err, status = self.execute(command, variables)
        said, _, line = out.rstrip("\n").rpartition("\n")
        try:
            measured = json.loads(line)
        except ValueError:
            raise Failure(last_line(err, "exit status %d" % status))
        check(measured, err)
        return said, measured

    def ranked(self, command, variables, ranks):
        """Output of an MPI program, seconds, and measure's line of every rank."""
        with tempfile.TemporaryDirectory(prefix="numarena-bench-") as folder:
            place = command.index(self.measure) + 1
            began = time.monotonic()
            out, err, status = self.execute(command[:place] + ["--output=" + folder] + command[place:], variables)
            wall = time.monotonic() - began
            measured = []
            for name in sorted(os.listdir(folder)):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    measured.append(json.load(file))
        for each in measured:
            check(each, err)
        if status or len(measured) != ranks:
            raise Failure(last_line(err, "exit status %d, %d of %d ranks measured" % (status, len(measured), ranks)))
        return out, wall, measured

    def wrapped(self, case, allocator, *options):
        preload = ["--preload=" + allocator.library] if allocator.library else []
        return [self.measure] + list(options) + preload + case.command()

    def run(self, case, allocator):
        """One sample: {"seconds", "peak_kib", "result", ...}."""
        for program in (self.measure, case.program):
            if not os.access(program, os.X_OK):
                raise Failure("%s is not built" % shown(program, self.build))
        return {"pattern": self.pattern, "apart": self.pattern, "start": self.start, "mpi": self.mpi}[case.kind](case, allocator)

    def pattern(self, case, allocator):
        out, measured = self.single(self.wrapped(case, allocator), allocator.variables)
        try:
            said = json.loads(out)
        except ValueError:
            raise Failure("printed no result: %s" % last_line(out, "nothing at all"))
        if not allocator.expected(said["malloc"]):
            raise Failure("the preload had no effect: malloc is of %s" % said["malloc"])
        said["malloc"] = shown(said["malloc"], self.build)
        return {"seconds": said["seconds"], "peak_kib": measured["peak_kib"], "result": said["checksum"],
                "program": said, "process": measured}

    def start(self, case, allocator):
        """Too short to be looked at while it runs: the probe has shown that this library loads."""
        runs = [self.single(self.wrapped(case, allocator), allocator.variables)[1] for _ in range(STARTS)]
        walls, peaks = [run["wall"] for run in runs], [run["peak_kib"] for run in runs]
        return {"seconds": statistics.median(walls), "peak_kib": statistics.median(peaks), "result": None,
                "walls": walls, "peaks_kib": peaks}

    def mpi(self, case, allocator):
        """Seconds of the slower rank, without mpirun's own start; peaks of all ranks added."""
        mpirun = shutil.which("mpirun")
        if not mpirun:
            raise Failure("there is no mpirun")
        command = [mpirun, "--oversubscribe", "-n", str(case.ranks)] + self.wrapped(case, allocator, "--verify")
        out, wall, ranks = self.ranked(command, allocator.variables, case.ranks)
        if allocator.library and not all(rank["preloaded"] for rank in ranks):
            raise Failure("the preload had no effect: %s is not in a rank's maps" %
                          shown(allocator.library, self.build))
        return {"seconds": max(rank["wall"] for rank in ranks), "peak_kib": sum(rank["peak_kib"] for rank in ranks),
                "result": out, "wall_mpirun": wall, "ranks": ranks}
