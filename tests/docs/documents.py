# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of the documentation share: the fenced blocks of the Markdown files, an installed
copy of the library to compile against, and one way to report.

A Stage is `make install` of this build into a temporary folder (under a lock of the build folder:
libtool links again while it installs, and two installs at once would write the same file). It is
found as a user would find it: through pkg-config, PATH and MANPATH.
"""
import fcntl
import glob
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile

SOURCE = os.path.abspath(os.environ.get("srcdir", "."))
BUILD = os.path.abspath(os.environ.get("top_builddir", "."))
SECONDS = 300  # for a program that hangs, not a measure of speed


def skip(why):
    print("SKIP:", why)
    sys.exit(77)


class Report:
    """Collects failures, so that one run shows them all."""

    def __init__(self):
        self.failures = 0

    def ok(self, what):
        print("ok:", what, flush=True)

    def fail(self, what, detail=""):
        self.failures += 1
        print("FAIL:", what, flush=True)
        for line in detail.rstrip().splitlines():
            print("    " + line, flush=True)

    def done(self):
        print("%d failed" % self.failures if self.failures else "all passed")
        sys.exit(1 if self.failures else 0)


class Block:
    def __init__(self, path, section, language, line, text, mark):
        self.path, self.section, self.language = path, section, language
        self.line, self.text, self.mark = line, text, mark

    def where(self):
        return "%s:%d (%s)" % (self.path, self.line, self.section or "top")


def markdown_files(*, guides_only=False):
    """README and everything under doc/, relative to the source folder."""
    files = ["README.md"] + sorted(glob.glob("doc/**/*.md", root_dir=SOURCE, recursive=True))
    if guides_only:
        files = [f for f in files if not f.startswith("doc/design/")]
    return files


def read(path):
    with open(os.path.join(SOURCE, path), encoding="utf-8") as f:
        return f.read()


def blocks(path):
    """The fenced blocks of a file. `section` is the headings below the title, joined by " / "; `mark` is an
    HTML comment directly above the fence."""
    found, headings, mark, fence = [], [], "", None
    for number, line in enumerate(read(path).splitlines(), 1):
        if fence is not None:
            if line.strip() == "```":
                found.append(Block(path, " / ".join(h for h in headings[1:] if h), fence, start, "\n".join(body) + "\n", mark))
                fence, mark = None, ""
            else:
                body.append(line)
            continue
        opening = re.match(r"\s*```(\w*)", line)
        heading = re.match(r"(#+)\s+(.*)", line)
        comment = re.match(r"<!--\s*(.*?)\s*-->\s*$", line)
        if opening:
            fence, start, body = opening.group(1), number, []
        elif heading:
            level = len(heading.group(1))
            headings[level - 1:] = [heading.group(2).strip()]
            mark = ""
        elif comment:
            mark = comment.group(1)
        elif line.strip():
            mark = ""
    if fence is not None:
        sys.exit("%s:%d: block without an end" % (path, start))
    return found


def manual_pages():
    return sorted(glob.glob("doc/man/*.[137]", root_dir=SOURCE))


def manual_examples(path):
    """The section EXAMPLES of a manual page: (programs, commands, lines that the programs print), the macros taken off."""
    found = re.search(r"^\.Sh EXAMPLES\n(.*?)(?=^\.Sh |\Z)", read(path), re.M | re.S)
    programs, commands, prints, inside = [], [], [], False
    for line in found.group(1).splitlines() if found else []:
        line = line.replace("\\e", "\\").replace("\\-", "-")
        if line.startswith(".Bd -literal"):
            programs.append("")
            inside = True
        elif line == ".Ed":
            inside = False
        elif inside:
            programs[-1] += line + "\n"
        elif line.startswith(".Dl $ "):
            commands.append(line[len(".Dl $ "):])
        elif line.startswith(".Dl "):
            prints.append(line[len(".Dl "):])
    return programs, commands, prints


def configured(*names):
    """Values that configure found, as @NAME@ would give them."""
    out = subprocess.run(["./config.status", "--file=-"], cwd=BUILD, text=True, check=True, capture_output=True,
                         input="".join("@%s@\n" % n for n in names)).stdout
    lines = [l for l in out.splitlines() if not l.startswith("config.status:")]
    return ["" if l == "@%s@" % n else l for n, l in zip(names, lines)]


class Stage:
    """This build, installed. Use as a context manager: it leaves nothing behind."""

    def __enter__(self):
        self.root = os.path.realpath(tempfile.mkdtemp(prefix="numarena-docs."))
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        try:
            self._install()
        except BaseException:
            shutil.rmtree(self.root, ignore_errors=True)
            raise
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.root, ignore_errors=True)

    def _name_mpi(self, folder):
        """`mpirun` and `mpicc` are those that this build's programs are of, whatever else has these names here."""
        for name, path in zip(("mpicc", "mpirun"), configured("MPICC", "MPIRUN")):
            if path and shutil.which(name) != path:
                with open(os.path.join(folder, name), "w") as f:
                    f.write('#!/bin/sh\nexec "%s" "$@"\n' % path)
                os.chmod(os.path.join(folder, name), 0o755)

    def _install(self):
        clean = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "DESTDIR", "TESTS")}
        self.destination = os.path.join(self.root, "installed")
        with open(os.path.join(BUILD, "config.status")) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            made = subprocess.run(["make", "install", "DESTDIR=" + self.destination], cwd=BUILD, env=clean, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if made.returncode:
            sys.exit("make install failed:\n" + made.stdout[-4000:])
        self.cc, cflags, sanitize, self.prefix = configured("CC", "CFLAGS", "NA_SANITIZE", "prefix")
        self.sanitized = bool(sanitize)
        self.flags = shlex.split(cflags) + shlex.split(sanitize)
        pc = self._one("numarena.pc")
        libraries = os.path.dirname(os.path.dirname(pc))
        self._name_mpi(os.path.dirname(libraries) + "/bin")
        self.environment = dict(clean, LC_ALL="C")
        self.environment.update(
            PKG_CONFIG_PATH=os.path.dirname(pc),
            PKG_CONFIG_SYSROOT_DIR=self.destination,
            LD_LIBRARY_PATH=libraries + ":" + clean.get("LD_LIBRARY_PATH", ""),
            LIBRARY_PATH=libraries,
            PATH=os.path.dirname(libraries) + "/bin:" + clean["PATH"],
            OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
            OMPI_MCA_rmaps_base_oversubscribe="1", OMPI_MCA_btl_vader_single_copy_mechanism="none")
        for name in list(self.environment):
            if name.startswith("NUMARENA_"):
                del self.environment[name]
        self.libraries = libraries

    def _one(self, name):
        found = glob.glob(os.path.join(self.destination, "**", name), recursive=True)
        if len(found) != 1:
            sys.exit("installed %d files called %s, not 1" % (len(found), name))
        return found[0]

    def has(self, name):
        return bool(glob.glob(os.path.join(self.destination, "**", name), recursive=True))

    def pkg_config(self, *arguments):
        out = subprocess.run(["pkg-config", *arguments], env=self.environment, text=True, capture_output=True)
        if out.returncode:
            sys.exit("pkg-config %s: %s" % (" ".join(arguments), out.stderr))
        return shlex.split(out.stdout)

    def compile(self, text, name, *, mpi=False, extra=()):
        """Compiles and links text as a program; (path or None, the compiler's words)."""
        source, program = (os.path.join(self.root, name + s) for s in (".c", ""))
        with open(source, "w", encoding="utf-8") as f:
            f.write(text)
        cflags = self.pkg_config("--cflags", "numarena")
        libs = self.pkg_config("--libs", "numarena-mpi" if mpi else "numarena")
        compiler = shlex.split(self.cc)
        if mpi:
            more = configured("MPI_CFLAGS", "MPI_LIBS")
            cflags += shlex.split(more[0])
            libs += shlex.split(more[1])
        command = [*compiler, "-std=gnu11", *self.flags, "-Wall", "-Wextra", "-Werror", *extra, *cflags, source, "-o", program,
                   *libs, "-lpthread"]
        out = subprocess.run(command, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return (program if out.returncode == 0 else None), out.stdout

    def run(self, command, *, cwd=None, environment=None):
        """Runs a command with what is installed; (status, stdout, stderr). Ends its whole session when it hangs."""
        p = subprocess.Popen(command, cwd=cwd or self.root, env=dict(self.environment, **(environment or {})), text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                             start_new_session=True, errors="replace")
        try:
            out, err = p.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            out, err = p.communicate()
            return "still running after %d s" % SECONDS, out, err
        return p.returncode, out, err


def leaky():
    """The environment of a program that may leave blocks: what the caller has set for AddressSanitizer stays."""
    return {"ASAN_OPTIONS": ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "detect_leaks=0"]))}
