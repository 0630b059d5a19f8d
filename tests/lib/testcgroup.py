# SPDX-License-Identifier: LGPL-2.1-or-later
"""Control groups of a test's own: a group in every hierarchy, which the test sees as the root of all.

run_below() makes the groups, runs a program in them, and removes them with all that the program left behind;
mount_own(), called by that program inside its cgroup and mount namespaces, lays its view over /sys/fs/cgroup.
"""
import contextlib
import ctypes
import os
import signal
import subprocess
import time

PREFIX = "kite-test-"
LEAF = "test"  # in a v2 group: where the test's own processes are, because a group that hands out controllers has none


def hierarchies():
    """[(type, mount options that name the hierarchy, mount point, our group in it)]"""
    groups = {}
    with open("/proc/self/cgroup") as f:
        for line in f:
            _, names, path = line.rstrip("\n").split(":", 2)
            for name in names.split(","):
                groups[name] = path
    found = {}
    with open("/proc/self/mounts") as f:
        for line in f:
            _, point, kind, options = line.split()[:4]
            names = [n for n in options.split(",") if n in groups and n]
            if kind == "cgroup2":
                found[("cgroup2", "")] = (point, groups.get("", "/"))
            elif kind == "cgroup" and names:
                found[("cgroup", ",".join(names))] = (point, groups[names[0]])
    return [(kind, names, point, group) for (kind, names), (point, group) in found.items()]


def copy_setting(above, below, name):
    with open("%s/%s" % (above, name)) as f:
        value = f.read()
    with open("%s/%s" % (below, name), "w") as f:
        f.write(value)


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def members(path):
    """Pids in a group and below it."""
    pids = set()
    for folder, _, _ in os.walk(path):
        with contextlib.suppress(OSError):
            with open(folder + "/cgroup.procs") as f:
                pids |= {int(p) for p in f.read().split()}
    return pids


def remove(path):
    """A group, those below it, and the processes in them."""
    end = time.monotonic() + 10
    while os.path.isdir(path) and time.monotonic() < end:
        for pid in members(path):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        for folder, _, _ in os.walk(path, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        if os.path.isdir(path):
            time.sleep(0.02)


def make_all():
    """Our groups; those of tests that were killed are removed on the way."""
    made = []
    for _, names, point, group in hierarchies():
        above = point + group.rstrip("/")
        with contextlib.suppress(OSError):
            for name in os.listdir(above):
                pid = name[len(PREFIX):]
                if name.startswith(PREFIX) and pid.isdigit() and not os.path.exists("/proc/" + pid):
                    remove("%s/%s" % (above, name))
        path = "%s/%s%d" % (above, PREFIX, os.getpid())
        with contextlib.suppress(OSError):
            os.mkdir(path)
            made.append(path)
            if "cpuset" in names.split(","):
                copy_setting(above, path, "cpuset.cpus")
                copy_setting(above, path, "cpuset.mems")
    return made


def run_below(args):
    """Runs a program in groups of its own; its exit status. Where none can be made, in the present ones."""
    made = make_all()

    def enter():
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: it does not outlive us
        for path in made:
            with contextlib.suppress(OSError):
                write(path + "/cgroup.procs", "0")

    try:
        child = subprocess.Popen(args, preexec_fn=enter)
        # unshare(1), which waits for the test outside its PID namespace, leaves the v2 group's top like the test.
        for path in made:
            leaf = "%s/%s/cgroup.procs" % (path, LEAF)
            if os.path.exists(path + "/cgroup.controllers"):
                while child.poll() is None and not os.path.exists(leaf):
                    time.sleep(0.01)
                with contextlib.suppress(OSError):
                    write(leaf, str(child.pid))
        status = child.wait()
    finally:
        for path in made:
            remove(path)
    return status if status >= 0 else 128 - status


def occupied(path):
    """Whether a process is in the group itself; those that this PID namespace does not know count as well."""
    with open(path + "/cgroup.procs") as f:
        return bool(f.read())


def mount_own():
    """Inside: what is mounted shows the own group as the root. A v2 root that may hand out controllers has no
    process in it, so the test moves into a leaf."""
    for kind, names, point, _ in hierarchies():
        # Not over it: the kernel refuses one hierarchy twice on a place.
        mounting = ["mount", "-t", kind, *(["-o", names] if names else []), "kite-test", point]
        for args in ["umount", "--lazy", point], mounting:
            subprocess.run(args, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        if kind == "cgroup2":
            with contextlib.suppress(OSError):
                os.mkdir("%s/%s" % (point, LEAF))
                write("%s/%s/cgroup.procs" % (point, LEAF), "0")
                end = time.monotonic() + 10
                while occupied(point) and time.monotonic() < end:
                    time.sleep(0.01)
