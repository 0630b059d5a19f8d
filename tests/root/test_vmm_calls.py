# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls that work with QEMU work with kite-vmm: iothreads, dumps, what happened while no daemon ran, a VM that stands still."""
import json
import os
import re
import signal
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import kitehost
from kitehost import WORK, case, events, fails, virsh, wait_console, wait_for, write
from vmmguest import ROOT_PORTS, define, disk, gone, image, run_dir, setup, start, state, vmm_pids


@case
def iothreads():
    """iothreads are added, pinned, tuned, used by a disk and removed while the guest runs"""
    start("io", "obey", devices=ROOT_PORTS, extra="<iothreads>1</iothreads>")
    virsh("iothreadadd", "io", "5", "--live")
    virsh("iothreadpin", "io", "5", "0", "--live")
    assert re.search(r"\b5 +0$", virsh("iothreadinfo", "io"), re.M), virsh("iothreadinfo", "io")
    comms = [open("/proc/%d/task/%s/comm" % (vmm_pids()[0], t)).read().strip()
             for t in os.listdir("/proc/%d/task" % vmm_pids()[0])]
    assert "IO iothread5" in comms, comms
    virsh("iothreadset", "io", "5", "--poll-max-ns", "20000", "--poll-grow", "3", "--poll-shrink", "2", "--live")
    stats = virsh("domstats", "io", "--iothread")
    for line in ("iothread.count=2", "iothread.5.poll-max-ns=20000", "iothread.5.poll-grow=3", "iothread.5.poll-shrink=2"):
        assert line in stats, stats
    path = write("io.xml", disk(image("io.raw"), "vdb", driver=" iothread='5'"))
    virsh("attach-device", "io", path, "--live")
    fails("iothreaddel", "io", "5", "--live", contains="it is being used by disk 'vdb'")
    virsh("detach-device", "io", path, "--live")
    wait_for("end of the disk", lambda: "vdb" not in virsh("domblklist", "io"))
    mapped = ("<disk type='file' device='disk'><driver name='qemu' type='raw' queues='2'><iothreads>%s</iothreads></driver>"
              "<source file='%s/io.raw'/><target dev='vdb' bus='virtio'/></disk>" %
              ("<iothread id='5'><queue id='1'/></iothread><iothread id='1'><queue id='0'/></iothread>", WORK))
    path = write("io.xml", mapped)
    virsh("attach-device", "io", path, "--live")
    assert re.search(r"<iothread id='5'>\s*<queue id='1'/>", virsh("dumpxml", "io")), virsh("dumpxml", "io")
    fails("iothreaddel", "io", "5", "--live", contains="it is being used by disk 'vdb'")
    virsh("detach-device", "io", path, "--live")
    wait_for("end of the disk", lambda: "vdb" not in virsh("domblklist", "io"))
    qemu = kitehost.domain_xml("io-qemu", extra="<iothreads>5</iothreads>", devices=mapped)
    if "iothread-vq-mapping" in kitehost.run("qemu-system-x86_64", "-device", "virtio-blk-pci,help").stdout:
        virsh("define", write("io.xml", qemu))
        virsh("undefine", "io-qemu")
    else:
        fails("define", write("io.xml", qemu), contains=["unsupported configuration: <driver><iothreads> of disk 'vdb'", "9.0"])
    virsh("iothreaddel", "io", "5", "--live")
    fails("iothreadadd", "io", "1", "--live", contains="already using iothread_id '1'")
    assert "iothread.count=1" in virsh("domstats", "io", "--iothread")
    assert state("io").startswith("running")
    gone("io")


def core_parts(path):
    """(program headers as (type, offset, address, length), names of the notes)"""
    with open(path, "rb") as f:
        head = f.read(64)
        assert head[:4] == b"\x7fELF" and struct.unpack_from("<HH", head, 16) == (4, 62), head
        parts = []
        for _ in range(struct.unpack_from("<H", head, 56)[0]):
            kind, _, offset, _, address, length, _, _ = struct.unpack("<IIQQQQQQ", f.read(56))
            parts.append((kind, offset, address, length))
        f.seek(parts[0][1])
        notes, names = f.read(parts[0][3]), []
        while notes:
            name, size, _ = struct.unpack_from("<III", notes)
            names.append(notes[12:12 + name - 1].decode())
            notes = notes[12 + (name + 3) // 4 * 4 + (size + 3) // 4 * 4:]
    return parts, names


@case
def dump():
    """dumps of memory: an ELF core with each processor's state, kdump; the guest is paused meanwhile, or crashes after"""
    start("dump", "obey", vcpus=2)
    virsh("dump", "dump", WORK + "/core", "--memory-only")
    parts, names = core_parts(WORK + "/core")
    assert names == ["CORE", "CORE", "QEMU", "QEMU"], names
    assert [(p[0], p[2], p[3]) for p in parts[1:]] == [(1, 0, 64 << 20)], parts
    with open(WORK + "/core", "rb") as f:
        f.seek(parts[1][1] + 0x100000)
        loaded = f.read(32 << 20)
    assert b"obeying" in loaded, "the guest's program is not in the core"
    assert state("dump").startswith("running")
    virsh("suspend", "dump")
    virsh("dump", "dump", WORK + "/kdump", "--memory-only", "--format", "kdump-zlib")
    with open(WORK + "/kdump", "rb") as f:
        assert f.read(12) == b"makedumpfile"
    assert os.path.getsize(WORK + "/kdump") < 4 << 20
    assert state("dump") == "paused (user)", state("dump")
    virsh("resume", "dump")
    fails("dump", "dump", WORK + "/lzo", "--memory-only", "--format", "kdump-lzo", contains="kdump-lzo is not available")
    assert not os.path.exists(WORK + "/lzo") and state("dump").startswith("running")
    fails("dump", "dump", "/dev/full", "--memory-only", contains="No space left")
    assert state("dump").startswith("running")
    virsh("dump", "dump", WORK + "/live", "--memory-only", "--live")
    virsh("dump", "dump", WORK + "/crash", "--memory-only", "--crash")
    assert core_parts(WORK + "/crash")[1] == names
    assert state("dump") == "shut off (crashed)", state("dump")
    virsh("undefine", "dump")


@case
def write_threshold():
    """a write beyond a threshold is told, once; until then the threshold stands in the statistics"""
    kitehost.run("qemu-img", "create", "-q", "-f", "qcow2", WORK + "/thin.qcow2", "8M")
    define("thin", "disk", devices=disk(WORK + "/thin.qcow2", "vda", kind="qcow2"), machine="pc",
           extra="<on_poweroff>preserve</on_poweroff>")
    virsh("start", "thin", "--paused")
    virsh("domblkthreshold", "thin", "vda", "200K")
    assert "block.0.threshold=204800" in virsh("domstats", "thin", "--block"), virsh("domstats", "thin", "--block")
    with events("thin") as log:
        virsh("resume", "thin")
        wait_console("thin", "disk beyond")
        log.wait("block-threshold")
        found = re.search(r"block-threshold.*", log.text()).group(0)
        assert "thin.qcow2" in found and "204800" in found, found
    assert len(re.findall(r"block-threshold.* vda\(", log.text())) == 1, log.text()  # and vda[1], as libvirt names it too
    stats = virsh("domstats", "thin", "--block")
    assert "threshold" not in stats, stats
    exceeded = int(re.search(r"vda\(.*\) 204800 (\d+)", log.text()).group(1))
    assert int(re.search(r"block.0.allocation=(\d+)", stats).group(1)) >= 204800 + exceeded, stats
    fails("domblkthreshold", "thin", "vdz", "1M", contains="vdz")
    gone("thin")


class Monitor:
    """A VM's monitor, when no daemon has it."""

    def __init__(self, name):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60 * kitehost.PATIENCE)
        self.socket.connect(run_dir(name) + "/monitor.sock")
        self.lines = self.socket.makefile()
        self.call("qmp_capabilities")

    def call(self, command, **arguments):
        self.socket.sendall(json.dumps({"execute": command, "arguments": arguments, "id": 1}).encode() + b"\n")
        for line in self.lines:
            if '"id"' in line:
                assert "error" not in line, line
                return

    def close(self):
        self.lines.close()
        self.socket.close()

    def wait(self, event):
        for line in self.lines:
            if '"%s"' % event in line:
                return


@case
def given_back_meanwhile(daemon):
    """a device that the guest gives back while no daemon runs is gone for the next one"""
    start("back", "obey", devices=ROOT_PORTS)
    path = write("back.xml", disk(image("back.raw"), "vdb"))
    virsh("attach-device", "back", path, "--live")
    virsh("attach-device", "back", write("stay.xml", disk(image("stay.raw"), "vdc")), "--live")
    alias = re.search(r"vdb.*?<alias name='([^']+)'", virsh("dumpxml", "back"), re.S).group(1)
    daemon.kill9()
    monitor = Monitor("back")
    monitor.call("device_del", id=alias)
    monitor.wait("DEVICE_DELETED")
    monitor.close()
    daemon.start()
    wait_for("the daemon to notice", lambda: "vdb" not in virsh("domblklist", "back"))
    assert "vdc" in virsh("domblklist", "back")
    virsh("attach-device", "back", path, "--live")
    gone("back")


def unread(pid):
    """Bytes that wait at the VM's monitor."""
    inodes = {os.readlink("/proc/%d/fd/%s" % (pid, fd)).strip("socket:[]") for fd in os.listdir("/proc/%d/fd" % pid)}
    out = kitehost.run("ss", "-x", "-a", "-e", "-n").stdout
    return sum(int(line.split()[2]) for line in out.splitlines()[1:] if line.split()[5] in inodes)


@case
def stands_still(daemon):
    """what reads tell of a VM that stands still asks its monitor nothing, from the first time on"""
    start("still", "spin", devices=disk(image("still.raw"), "vda") + "<memballoon model='virtio'><stats period='5'/></memballoon>",
          extra="<iothreads>2</iothreads>")
    pid = vmm_pids()[0]
    os.kill(pid, signal.SIGSTOP)
    try:
        before = unread(pid)
        assert "iothread.2.poll-max-ns=0" in virsh("domstats", "still")
        assert virsh("domblkerror", "still") == "No errors found"
        assert len(virsh("iothreadinfo", "still").splitlines()) == 2
        assert "block.0.capacity" in virsh("domstats", "still", "--backing")
        assert "actual" in virsh("dommemstat", "still") and "Capacity" in virsh("domblkinfo", "still", "vda")
        virsh("domblkstat", "still", "vda")
        virsh("dominfo", "still")
        assert unread(pid) == before, (before, unread(pid))
    finally:
        os.kill(pid, signal.SIGCONT)
    gone("still")


@case
def refused():
    """what there cannot be is said to be missing: a keyboard, a screen, sleep"""
    start("less", "spin")
    fails("send-key", "less", "KEY_A", contains="no keyboard")
    fails("screenshot", "less", WORK + "/shot", contains="no screens")
    fails("dompmwakeup", "less", contains="no sleep")
    fails("qemu-monitor-command", "less", "--hmp", "info status", contains="only QMP")
    fails("domdisplay", "less", contains="No graphical display")
    fails("domxml-to-native", "qemu-argv", "--domain", "less", contains="kite-vmm")
    virsh("inject-nmi", "less")
    assert state("less").startswith("running")
    gone("less")


if __name__ == "__main__":
    kitehost.enter()
    sys.exit(kitehost.main(setup))
