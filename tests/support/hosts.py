# SPDX-License-Identifier: BSD-3-Clause
"""Three hosts on this machine: network namespaces on one bridge, which is in a namespace as well, so that nothing of it is visible outside."""
import os
import sys

import product
from product import run

TAG = f"na{os.getpid() % 100000}"
HOSTS = ["h1", "h2", "h3"]


def address(number):
    return f"10.77.0.{number}"


def need(required=False):
    """Ends the script where no namespaces can be had: as a skipped test, or as a failed one where that is not allowed."""
    why = None
    if os.geteuid() != 0:
        why = "only root may make network namespaces"
    for program in ("ip", "unshare", "nsenter"):
        why = why or product.missing(program)
    if not why:
        probe = run("ip", "netns", "add", TAG + "probe")
        run("ip", "netns", "del", TAG + "probe")
        if probe.status:
            why = "no network namespaces here: " + probe.err.strip()
    if why:
        print(("FAIL: " if required else "SKIP: ") + why)
        sys.exit(1 if required else 77)


def up():
    run("ip", "netns", "add", TAG + "sw").expect()
    run("ip", "netns", "exec", TAG + "sw", "ip", "link", "add", "br0", "type", "bridge").expect()
    run("ip", "netns", "exec", TAG + "sw", "ip", "link", "set", "br0", "up").expect()
    for number, host in enumerate(HOSTS, 1):
        inside = ["ip", "netns", "exec", TAG + host]
        run("ip", "netns", "add", TAG + host).expect()
        run("ip", "-n", TAG + host, "link", "add", "eth0", "type", "veth", "peer", "name", "v" + host, "netns", TAG + "sw").expect()
        run("ip", "-n", TAG + "sw", "link", "set", "v" + host, "master", "br0", "up").expect()
        run(*inside, "ip", "addr", "add", f"{address(number)}/24", "dev", "eth0").expect()
        run(*inside, "ip", "link", "set", "eth0", "up").expect()
        run(*inside, "ip", "link", "set", "lo", "up").expect()


def down():
    for name in HOSTS + ["sw"]:
        run("ip", "netns", "del", TAG + name)


def write_names(path):
    """What /etc/hosts is on them."""
    with open(path, "w") as f:
        f.write("127.0.0.1 localhost\n" + "".join(f"{address(i)} {h}\n" for i, h in enumerate(HOSTS, 1)))


def on(host, names, command):
    """The arguments that run a shell command on a host. `names`: the file of write_names()."""
    return ["nsenter", f"--net=/var/run/netns/{TAG}{host}", "unshare", "--uts", "--mount", "sh", "-c",
            f"hostname {host} && mount --bind {names} /etc/hosts && {command}"]
