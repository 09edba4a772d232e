# SPDX-License-Identifier: BSD-3-Clause
"""Slurm on the three hosts of hosts.py: munged, slurmctld on the first host and a slurmd on each, all in a folder of their own."""
import ctypes
import os
import signal
import subprocess
import sys
import time

import hosts
import product
from product import run

PROGRAMS = {"munged": "munge", "slurmctld": "slurmctld", "slurmd": "slurmd", "srun": "slurm-client", "sbatch": "slurm-client"}
PR_SET_CHILD_SUBREAPER = 36
CONFIGURATION = """
ClusterName=numarena
SlurmctldHost=h1({first})
AuthType=auth/munge
AuthInfo=socket={at}/munge.socket
CryptoType=crypto/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={at}/state
SlurmdSpoolDir={at}/%n/spool
SlurmctldPidFile={at}/slurmctld.pid
SlurmdPidFile={at}/%n/slurmd.pid
SlurmctldLogFile={at}/slurmctld.log
SlurmdLogFile={at}/%n/slurmd.log
TmpFS={at}/%n/tmp
MpiDefault=pmix
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_interval=1
SlurmdParameters=config_overrides
ReturnToService=2
SwitchType=switch/none
KillWait=1
MpiParams=ports=12000-12999
{nodes}
PartitionName=all Nodes=h1,h2,h3 Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:8
"""


def need(required):
    hosts.need(required)
    for program, package in PROGRAMS.items():
        why = product.missing(program, f" (Debian: {package})")
        if why:
            print(("FAIL: " if required else "SKIP: ") + why)
            sys.exit(1 if required else 77)


class Slurm:
    def __init__(self, folder):
        self.at, self.daemons = folder, []
        self.names = os.path.join(folder, "hosts")
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)  # what daemons leave behind becomes ours to end

    def start(self):
        os.makedirs(os.path.join(self.at, "state"))
        for host in hosts.HOSTS:
            os.makedirs(os.path.join(self.at, host, "spool"))
            os.makedirs(os.path.join(self.at, host, "tmp"))
        hosts.write_names(self.names)
        nodes = "\n".join(f"NodeName={h} NodeHostname={h} NodeAddr={hosts.address(i)} CPUs=8 State=UNKNOWN"
                          for i, h in enumerate(hosts.HOSTS, 1))
        self.write("slurm.conf", CONFIGURATION.format(at=self.at, first=hosts.address(1), nodes=nodes))
        self.write("cgroup.conf", "CgroupPlugin=cgroup/v1\nIgnoreSystemd=yes\n")
        self.write("munge.key", os.urandom(64).hex())
        os.chmod(os.path.join(self.at, "munge.key"), 0o400)
        # Forced, since folders of tests may be writable by others.
        self.daemon(["munged", "--foreground", "--force", f"--socket={self.at}/munge.socket", f"--key-file={self.at}/munge.key",
                     f"--pid-file={self.at}/munge.pid", f"--log-file={self.at}/munge.log", f"--seed-file={self.at}/munge.seed"])
        self.wait(lambda: os.path.exists(f"{self.at}/munge.socket"), "munged")
        self.daemon(hosts.on("h1", self.names, f"exec slurmctld -D -i -f {self.at}/slurm.conf"))
        for host in hosts.HOSTS:
            self.daemon(hosts.on(host, self.names, f"exec slurmd -D -N {host} -f {self.at}/slurm.conf"))
        self.wait(self.ready, "three idle hosts")

    def write(self, name, text):
        with open(os.path.join(self.at, name), "w") as f:
            f.write(text)

    def daemon(self, command):
        with open(os.path.join(self.at, "daemons.log"), "a") as log:
            self.daemons.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment(),
                                                 start_new_session=True, cwd=self.at))

    def environment(self):
        return product.environment(SLURM_CONF=f"{self.at}/slurm.conf")

    def ready(self):
        done = self.run("sinfo", "-h", "-t", "idle", "-o", "%D")
        return done.status == 0 and done.out.strip() == "3"

    def wait(self, condition, what, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"Slurm: no {what} after {seconds} s\n{self.logs()}")
            time.sleep(0.1)

    def logs(self):
        text = ""
        for folder, _, names in os.walk(self.at):
            for name in names:
                if name.endswith(".log"):
                    text += f"== {name}\n" + "".join(product.read(os.path.join(folder, name)).splitlines(True)[-15:])
        return text

    def run(self, *command, **changes):
        """On the first host, in the current folder."""
        words = " ".join("'" + str(c).replace("'", "'\\''") + "'" for c in command)
        return run(*hosts.on("h1", self.names, "exec " + words), SLURM_CONF=f"{self.at}/slurm.conf",
                   OMPI_MCA_btl="self,tcp", OMPI_MCA_pml="ob1", OMPI_MCA_btl_tcp_if_include="eth0", **changes)

    def stop(self):
        self.run("scancel", "--signal=KILL", "--user=root")
        for daemon in reversed(self.daemons):
            daemon.terminate()
        for daemon in self.daemons:
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for pid in descendants():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        while True:
            try:
                if os.waitpid(-1, 0)[0] <= 0:
                    break
            except ChildProcessError:
                break


def descendants():
    children, found = {}, []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                stat = product.read(f"/proc/{name}/stat")
            except OSError:
                continue
            children.setdefault(int(stat.rsplit(")", 1)[1].split()[1]), []).append(int(name))
    todo = [os.getpid()]
    while todo:
        mine = children.get(todo.pop(), [])
        found += mine
        todo += mine
    return found
