# SPDX-License-Identifier: LGPL-2.1-or-later
"""The host's side of domains under kite-vmm: statistics, isolation, full disks, crashes, the choice of the back end."""
import json
import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import kitehost
from kitehost import WORK, case, console_text, events, fails, virsh, wait_console, wait_for, write
from vmmguest import KERNEL, ROOT_PORTS, VMM, define, disk, gone, image, setup, start, state, vmm_pids, xml


def figures(text):
    return dict(line.strip().split("=", 1) for line in text.splitlines() if "=" in line)


@case
def statistics():
    """figures of every kind agree with what the VM's monitor says, also for images below; they cost a stuck VM nothing"""
    base = image("base.qcow2", "8M", "qcow2")
    kitehost.run("qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", WORK + "/top.qcow2")
    raw = image("raw.img", "4M")
    define("stat", "disk", devices=disk(raw, "vda") + disk(WORK + "/top.qcow2", "vdb", kind="qcow2"),
           extra="<on_poweroff>preserve</on_poweroff>", machine="pc")
    virsh("start", "stat", "--paused")
    before = figures(virsh("domstats", "stat"))
    assert before["block.0.wr.reqs"] == "0" and before["block.0.capacity"] == "4194304", before
    virsh("resume", "stat")
    wait_console("stat", "disk beyond")
    answer = json.loads(virsh("qemu-monitor-command", "stat", '{"execute": "query-blockstats"}'))["return"]
    told = next(e for e in answer if "virtio-disk0" in e["qdev"])["stats"]
    now = figures(virsh("domstats", "stat", "--backing"))
    for ours, theirs in (("rd.reqs", "rd_operations"), ("wr.bytes", "wr_bytes"), ("fl.reqs", "flush_operations"),
                         ("wr.times", "wr_total_time_ns")):
        assert now["block.0." + ours] == str(told[theirs]), (ours, now, told)
    assert int(now["block.0.wr.bytes"]) == 65536 and now["block.0.allocation"] == str(8 * 512 + 65536), now
    assert now["block.count"] == "3" and now["block.2.capacity"] == "8388608" and now["block.2.path"] == base, now
    assert now["block.1.backingIndex"] != now["block.2.backingIndex"]
    assert re.search(r"wr_bytes 65536", virsh("domblkstat", "stat", "vda")), virsh("domblkstat", "stat", "vda")
    info = virsh("domblkinfo", "stat", "vda")
    assert re.search(r"Allocation: +%d\n" % (8 * 512 + 65536), info), info
    assert "Physical:       4194304" in info or re.search(r"Physical: +\d+", info)
    assert int(now["cpu.time"]) > 0 and int(now["vcpu.0.time"]) > 0, now
    gone("stat")
    start("stat", "spin", devices=disk(raw, "vda"))
    pid = vmm_pids()[0]
    first = int(figures(virsh("domstats", "stat"))["vcpu.0.time"])
    wait_for("more time", lambda: int(figures(virsh("domstats", "stat"))["vcpu.0.time"]) > first)
    os.kill(pid, signal.SIGSTOP)
    virsh("domstats", "stat")  # what only the monitor knows is given up here, once
    best = min(timed(lambda: virsh("domstats", "stat", "--block", "--balloon", "--vcpu", "--cpu-total")) for _ in range(3))
    plain = min(timed(lambda: virsh("domstate", "stat")) for _ in range(3))
    assert best < plain + 0.15, (best, plain)
    assert "capacity" in virsh("domstats", "stat", "--block") and "actual" in virsh("dommemstat", "stat")
    os.kill(pid, signal.SIGCONT)
    gone("stat")


def status(pid):
    with open("/proc/%d/status" % pid) as f:
        return dict(re.findall(r"^(\w+):\t(.*)$", f.read(), re.M))


@case
def isolation(daemon):
    """each VM has a user and group of its own, kept apart over a restart of the daemon; no rights, no files, filters"""
    start("one", "spin")
    start("two", "spin")
    pids = vmm_pids()
    found = [status(pid) for pid in pids]
    for pid, s in zip(pids, found):
        ids = {int(i) for i in (s["Uid"] + "\t" + s["Gid"]).split("\t")}
        assert len(ids) == 1 and 2080374784 <= ids.pop() <= 2080440319, s
        assert s["Groups"].strip() == "" and s["NoNewPrivs"] == "1" and s["Seccomp"] == "2", s
        assert {int(s[c], 16) for c in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}, s
        assert os.listdir("/proc/%d/root/" % pid) == [], os.listdir("/proc/%d/root/" % pid)
        assert os.readlink("/proc/%d/ns/mnt" % pid) != os.readlink("/proc/self/ns/mnt")
    assert found[0]["Uid"] != found[1]["Uid"]
    daemon.kill9()
    daemon.start()
    start("three", "spin")
    new = status((set(vmm_pids()) - set(pids)).pop())["Uid"]
    assert new not in (found[0]["Uid"], found[1]["Uid"]), (new, found)
    for name in ("one", "two", "three"):
        gone(name)
    # A page that the VM cuts harms nobody: the daemon copies, it does not map.
    start("one", "spin", devices=disk(image("cut.raw"), "vda"))
    os.truncate("/run/kite/domains/one/stats", 10)
    assert "block.0.wr.reqs" in virsh("domstats", "one")
    assert "actual" in virsh("dommemstat", "one")
    gone("one")


def timed(what):
    begin = time.monotonic()
    what()
    return time.monotonic() - begin


if __name__ == "__main__":
    kitehost.enter()
    sys.exit(kitehost.main(setup))
