# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of the built product share: where its parts are, running programs under it, reading reports.

A test script defines functions named test_*, and ends with product.main(globals()). Each gets a fresh folder that is
its current one and is removed afterwards. raise product.Skip(why) skips one function; product.need() the whole script.
"""
import atexit
import inspect
import json
import os
import shutil
import subprocess
import sys
import tempfile
import traceback

TOP = os.path.abspath(os.environ.get("top_srcdir", "."))
BUILD = os.path.abspath(os.environ.get("top_builddir", "."))
RUN = os.path.join(BUILD, "src/tools/numarena-run")
REPORT = os.path.join(BUILD, "src/tools/numarena-report")
INFO = os.path.join(BUILD, "src/tools/numarena-info")
MALLOC = os.path.join(BUILD, "src/interpose/.libs/libnumarena-malloc.so")
MPI = os.path.join(BUILD, "mpi/.libs/libnumarena-mpi.so")
# Which MPI a test is for: the first that configure found, or, with NA_TEST_MPI=second, the other one.
SECOND = os.environ.get("NA_TEST_MPI") == "second"
FAMILY, _, LAUNCHER = (os.environ.get("NA_MPI2", "mpich:mpiexec.mpich") if SECOND
                       else os.environ.get("NA_MPI", "openmpi:mpirun")).partition(":")
MPIRUN = [LAUNCHER, "--oversubscribe"] if FAMILY == "openmpi" else [LAUNCHER]


# What killed jobs leave of shared memory, ours and MPI's, goes with the test.
SHARED = tempfile.mkdtemp(prefix="numarena-shared-")
atexit.register(shutil.rmtree, SHARED, ignore_errors=True)


class Skip(Exception):
    pass


class Result:
    def __init__(self, command, done):
        self.command, self.status = command, done.returncode
        self.out, self.err = done.stdout, done.stderr

    def expect(self, status=0):
        if self.status != status:
            raise AssertionError(f"{' '.join(self.command)}: status {self.status}, not {status}\n{self.out}\n{self.err}")
        return self


def environment(**changes):
    """The environment without settings of ours; None removes a variable."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("NUMARENA_", "_NUMARENA", "OMPI_", "SLURM_", "PMIX_", "PMI_", "LD_PRELOAD"))}
    if os.geteuid() == 0:
        env["OMPI_ALLOW_RUN_AS_ROOT"] = env["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1"
    # Local jobs only: no network is looked at, no user's session is written to.
    env["OMPI_MCA_btl_vader_single_copy_mechanism"] = "none"
    env["XDG_RUNTIME_DIR"] = SHARED  # where there is none, as on hosts with a /tmp of their own, numarena looks elsewhere
    for key, value in changes.items():
        if value is None:
            env.pop(key, None)
        else:
            env[key] = value
    return env


def run(*command, timeout=120, cwd=None, **changes):
    """Runs a command with these changes to the environment. Output as text; a hang is a failure."""
    command = [str(c) for c in command]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, cwd=cwd,
                          env=environment(**changes), errors="replace")
    return Result(command, done)


def ranks(count, *command, **options):
    """The command on so many ranks."""
    return run(*MPIRUN, "-n", count, *command, **{"OMPI_MCA_btl_vader_backing_directory": SHARED, **options})


MPI_PROGRAMS = "tests/mpi/second/" if SECOND else "tests/mpi/"  # linked with the MPI of the test


def mpi_program(name):
    return built(MPI_PROGRAMS + name)


def mpi_wrapper(name):
    """The same as libtool's wrapper, which finds libraries of ours that the program is linked with."""
    return os.path.join(BUILD, MPI_PROGRAMS + name)


def built(path):
    """The program that libtool's wrapper script in the build tree stands for."""
    folder, name = os.path.split(os.path.join(BUILD, path))
    real = os.path.join(folder, ".libs", name)
    return real if os.path.exists(real) else os.path.join(folder, name)


def load(folder, name="report.json"):
    """A report, held against the schema on the way."""
    path = os.path.join(folder, name)
    run(REPORT, "--check", path).expect(0)
    with open(path) as f:
        return json.load(f)


def read(path):
    with open(path, errors="replace") as f:
        return f.read()


def missing(program, why=""):
    """None, or a sentence that says what is missing. Daemons are where only root looks."""
    if shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
        return None
    return f"{program} is not installed{why}"


def need(program, why=""):
    sentence = missing(program, why)
    if sentence:
        print("SKIP: " + sentence)
        sys.exit(77)


def equal(got, wanted, what=""):
    if got != wanted:
        raise AssertionError(f"{what}: {got!r}, not {wanted!r}")


def contains(text, part):
    if part not in text:
        raise AssertionError(f"{part!r} is not in:\n{text}")


def main(names):
    tests = [(n, f) for n, f in names.items() if n.startswith("test_") and inspect.isfunction(f)]
    wanted = sys.argv[1:]
    failed = skipped = 0
    for name, test in tests:
        if wanted and name not in wanted:
            continue
        folder = tempfile.mkdtemp(prefix="numarena-test-")
        before = os.getcwd()
        os.chdir(folder)
        try:
            test()
            print(f"ok: {name}")
        except Skip as why:
            skipped += 1
            print(f"skipped: {name}: {why}")
        except (AssertionError, subprocess.TimeoutExpired, OSError, KeyError, ValueError) as error:
            failed += 1
            print(f"FAIL: {name}: {error}")
            traceback.print_exc(file=sys.stdout)
        finally:
            os.chdir(before)
            shutil.rmtree(folder, ignore_errors=True)
        sys.stdout.flush()
    print(f"{len(tests)} functions, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 77 if skipped and skipped == len(tests) else 0)
