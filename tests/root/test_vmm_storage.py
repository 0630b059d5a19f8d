# SPDX-License-Identifier: LGPL-2.1-or-later
"""Disks of kite-vmm that qemu-storage-daemon or an NBD server has: other formats, other places."""
import glob
import os
import re
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import kitehost
from kitehost import WORK, case, console_text, events, fails, run, virsh, wait_console, wait_for, write
from vmmguest import ROOT_PORTS, VMM, define, disk, gone, image, run_dir, start, state, vmm_pids, xml
import vmmguest

SCSI = "<controller type='scsi' index='0' model='virtio-scsi'/>"
NAME = "qemu-storage-daemon"
PROGRAM = "/usr/bin/" + NAME
PATTERN = bytes((i * 7 + (i >> 8)) & 255 for i in range(65536))


def servers():
    """Their process ids; they have namespaces of their own, those who watch them have not and end when they do."""
    pids = [int(open(path).read().split()[0]) for path in glob.glob(run_dir("*") + "/storage-*.pid")]
    names = (NAME, "/ld-linux-x86-64.so.2") if kitehost.QEMU else NAME  # otherqemu.py starts it by its loader
    found = [pid for pid in pids if os.path.exists("/proc/%d/exe" % pid) and os.readlink("/proc/%d/exe" % pid).endswith(names)]
    assert len(found) <= len(kitehost.processes("kite-confine "))
    return found


def none_left():
    wait_for("end of the servers", lambda: not servers() and not kitehost.processes("kite-confine "))


def uid(pid):
    with open("/proc/%d/status" % pid) as f:
        return next(line.split()[1:] for line in f if line.startswith("Uid:"))


def network_disk(target, export, socket="", extra=""):
    host = "<host transport='unix' socket='%s'/>" % socket if socket else "<host name='127.0.0.1' port='10809'/>"
    return ("<disk type='network' device='disk'><driver name='qemu' type='raw'%s/><source protocol='nbd' name='%s'>%s</source>"
            "<target dev='%s' bus='virtio'/></disk>" % (extra, export, host, target))


@case
def formats():
    """a guest writes, flushes and reads disks in other formats; the bytes are in the images, which are whole"""
    for kind, driver in (("vmdk", " cache='writethrough' detect_zeroes='on'"),
                         ("vdi", " cache='none' io='native' discard='unmap'")):
        path = image("a." + kind, "4M", kind)
        define("f", "disk", machine="pc",
               devices=disk(path, "vda", kind=kind, driver=driver, extra="<serial>kite-serial</serial>"))
        assert VMM in virsh("dumpxml", "f"), kind
        virsh("start", "f")
        for words in ("disk sectors 00002000", "disk written", "disk flushed", "disk read", "disk differences 00000000",
                      "disk serial kite-serial", "disk beyond 01"):
            wait_console("f", words)
        wait_for("power-off", lambda: state("f").startswith("shut off"))
        assert not servers(), "a domain is off when its images are closed"
        run("qemu-img", "convert", "-f", kind, "-O", "raw", path, path + ".raw")
        with open(path + ".raw", "rb") as f:
            assert f.read(4096 + 65536)[4096:] == PATTERN, kind
        run("qemu-img", "check", "-q", "-f", kind, path)
        os.unlink(WORK + "/f.console")
        virsh("undefine", "f")
    none_left()


@case
def life(daemon):
    """one confined server a disk, as the VM's user, in its group; plugged and taken out; found by the next daemon"""
    one, two, iso = image("one.vmdk", "4M", "vmdk"), image("two.vdi", "8M", "vdi"), image("three.vmdk", "2M", "vmdk")
    start("live", "spin", devices=ROOT_PORTS + SCSI + disk(one, "vda", kind="vmdk")
          + disk(None, "sdb", "scsi", device="cdrom"))
    (vm,), (server,) = vmm_pids(), servers()
    assert uid(server) == uid(vm) and uid(vm)[0] != "0", (uid(server), uid(vm))
    with open("/proc/%d/status" % server) as f:
        status = f.read()
    assert re.search(r"^NoNewPrivs:\t1$", status, re.M) and re.search(r"^Seccomp:\t2$", status, re.M), status
    root = "/proc/%d/root" % server
    assert os.listdir(root + WORK) == ["one.vmdk"], os.listdir(root + WORK)
    assert not os.path.exists(root + "/etc/passwd") and not os.path.exists(root + "/proc/self")
    with open("/proc/%d/cgroup" % server) as theirs, open("/proc/%d/cgroup" % vm) as ours:
        assert theirs.read() == ours.read()
    assert "Capacity:       4194304" in virsh("domblkinfo", "live", "vda"), virsh("domblkinfo", "live", "vda")
    assert "rd_req" in virsh("domblkstat", "live", "vda")
    define("other", "spin", devices=disk(one, "vda", kind="vmdk"))
    fails("start", "other", contains="lock")
    assert servers() == [server]
    virsh("undefine", "other")
    with events("live") as log:
        virsh("attach-disk", "live", two, "sda", "--targetbus", "scsi", "--subdriver", "vdi", "--live")
        log.wait("device-added")
    assert len(servers()) == 2 and "Capacity:       8388608" in virsh("domblkinfo", "live", "sda")
    fails("attach-disk", "live", WORK + "/none.vdi", "sdc", "--targetbus", "scsi", "--subdriver", "vdi", "--live", contains="none.vdi")
    fails("attach-disk", "live", one, "sdc", "--targetbus", "scsi", "--subdriver", "vmdk", "--live", contains="lock")
    assert len(servers()) == 2
    virsh("update-device", "live", write("cd.xml", disk(iso, "sdb", "scsi", "vmdk", device="cdrom")), "--live")
    assert len(servers()) == 3 and "Capacity:       2097152" in virsh("domblkinfo", "live", "sdb")
    daemon.kill9()
    daemon.start()
    assert len(servers()) == 3
    assert "Capacity:       8388608" in virsh("domblkinfo", "live", "sda")
    virsh("change-media", "live", "sdb", "--eject", "--live")
    assert len(servers()) == 2, "the medium is closed when it is out"
    virsh("detach-disk", "live", "sda", "--live")
    wait_for("the disk's server to end", lambda: servers() == [server])
    run("qemu-img", "check", "-q", "-f", "vdi", two)
    virsh("destroy", "live")
    assert not servers()
    run("qemu-img", "check", "-q", "-f", "vmdk", one)
    # a VM that ends while no daemon is there to see it
    virsh("start", "live")
    (vm,) = vmm_pids()
    daemon.kill9()
    os.kill(vm, signal.SIGKILL)
    none_left()
    daemon.start()
    wait_for("end", lambda: state("live").startswith("shut off"))
    virsh("undefine", "live")


@case
def failures():
    """an image that is none; a server that dies: the guest is paused, there is another, it goes on; one that hangs"""
    bad = write("bad.vmdk", "this is no image\n" * 100)
    define("bad", "spin", devices=disk(bad, "vda", kind="vmdk"))
    text = fails("start", "bad")
    assert "vda" in text and "VMDK" in text, text
    assert not servers() and not vmm_pids() and not os.path.exists(run_dir("bad"))
    virsh("undefine", "bad")
    path = image("dies.vmdk", "64M", "vmdk")
    start("dies", "fill", machine="pc", devices=disk(path, "vda", kind="vmdk", driver=" error_policy='stop'"),
          extra="<on_poweroff>preserve</on_poweroff>")
    (server,) = servers()
    with events("dies") as log:
        os.kill(server, signal.SIGKILL)
        log.wait("io-error")
    wait_for("pause", lambda: state("dies") == "paused (I/O error)")
    assert "its server is gone" in open("/var/log/kite/dies.log").read()
    # another one is started; what failed is tried again
    wait_for("another server", lambda: servers() and servers() != [server])
    virsh("resume", "dies")
    wait_console("dies", "filled")
    assert "fill failed 00000000" in console_text("dies"), console_text("dies")
    virsh("destroy", "dies")
    virsh("start", "dies")
    os.kill(servers()[0], signal.SIGSTOP)
    virsh("destroy", "dies")
    assert not servers(), "one that hangs is killed"
    virsh("undefine", "dies")
    none_left()


@case
def choice():
    """without qemu-storage-daemon such a domain is QEMU's, and says why; with kite-vmm asked for it is an error"""
    path = image("x.vmdk", "4M", "vmdk")
    run("mount", "--bind", "/dev/null", PROGRAM)
    try:
        define("x", "spin", devices=disk(path, "vda", kind="vmdk"))
        assert "qemu-system" in virsh("dumpxml", "x")
        assert "qemu-storage-daemon" in virsh("dominfo", "x"), virsh("dominfo", "x")
        virsh("undefine", "x")
        fails("define", write("y.xml", xml("y", "spin", devices=disk(path, "vda", kind="vmdk"),
                                           emulator="<emulator>%s</emulator>" % VMM)), contains="qemu-storage-daemon")
        # what only the image tells, when it is started
        top = WORK + "/top.qcow2"
        run("qemu-img", "create", "-q", "-f", "qcow2", "-b", path, "-F", "vmdk", top)
        define("x", "spin", devices=disk(top, "vda", kind="qcow2"))
        fails("start", "x", contains="qemu-storage-daemon")
    finally:
        run("umount", PROGRAM)
    virsh("start", "x")
    live = virsh("dumpxml", "x")
    assert "<format type='vmdk'/>" in live and len(servers()) == 1, live
    gone("x")


@case
def nbd():
    """a disk on an NBD server: kite-vmm speaks with it itself; a refusal is told; the server goes away and comes back"""
    if not shutil.which("qemu-nbd"):
        raise kitehost.Skip("no qemu-nbd")
    path, sock = image("n.raw", "4M"), WORK + "/nbd.sock"

    def serve():
        process = subprocess.Popen(["qemu-nbd", "-f", "raw", "-x", "data", "-t", "-e", "4", "-k", sock, path])
        wait_for("the server", lambda: os.path.exists(sock))
        return process

    server = serve()
    try:
        define("n", "disk", machine="pc", devices=network_disk("vda", "data", sock, " discard='unmap'"))
        assert VMM in virsh("dumpxml", "n")
        virsh("start", "n")
        for words in ("disk written", "disk flushed", "disk differences 00000000"):
            wait_console("n", words)
        wait_for("power-off", lambda: state("n").startswith("shut off"))
        with open(path, "rb") as f:
            assert f.read(4096 + 65536)[4096:] == PATTERN
        virsh("undefine", "n")
        define("n", "spin", devices=network_disk("vda", "nothing", sock))
        fails("start", "n", contains="nothing")
        virsh("undefine", "n")
        # the server goes away and comes back
        define("n", "fill", machine="pc", devices=network_disk("vda", "data", sock, " error_policy='stop'"),
               extra="<on_poweroff>preserve</on_poweroff>")
        virsh("start", "n", "--paused")
        assert "Capacity:       4194304" in virsh("domblkinfo", "n", "vda"), virsh("domblkinfo", "n", "vda")
        assert not servers()
        server.terminate()
        server.wait()
        virsh("resume", "n")
        wait_for("pause", lambda: state("n") == "paused (I/O error)")
        server = serve()
        virsh("resume", "n")
        wait_console("n", "filled")
        assert "fill failed 00000000" in console_text("n"), console_text("n")
        gone("n")
    finally:
        server.terminate()
        server.wait()
    define("n", "spin", devices=network_disk("vda", "data"))
    fails("start", "n", contains="127.0.0.1")
    virsh("undefine", "n")


def setup():
    if not os.path.exists(PROGRAM):
        raise kitehost.Skip("no qemu-storage-daemon")
    return vmmguest.setup()


if __name__ == "__main__":
    kitehost.enter()
    sys.exit(kitehost.main(setup))
