# SPDX-License-Identifier: LGPL-2.1-or-later
"""What must hold when things go wrong: stuck and killed processes, full disks, rubbish on the socket, wrong input."""
import contextlib
import json
import os
import random
import resource
import shutil
import signal
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import kitehost
from kitehost import case, domain_xml, fails, virsh, wait_console, wait_for, write


def setup():
    return kitehost.Daemon().start()


def start_guest(name, **kw):
    write(name + ".xml", domain_xml(name, kernel=kitehost.linux_guest(), cmdline="kite.quiet", **kw))
    virsh("define", "%s/%s.xml" % (kitehost.WORK, name))
    virsh("start", name)
    wait_console(name, "KITE-GUEST-UP")
    return kitehost.processes("guest=%s,|guest=%s " % (name, name))[0]


def timed(*args, **kw):
    begin = time.monotonic()
    result = virsh(*args, **kw)
    return time.monotonic() - begin, result


@case
def stopped_process():
    """a VM under SIGSTOP delays no read about itself and no call about another; destroy ends it"""
    pid = start_guest("stuck")
    start_guest("other")
    os.kill(pid, signal.SIGSTOP)
    # Somebody is stuck in a call about it, on purpose.
    import subprocess
    waiter = subprocess.Popen(["virsh", "-c", kitehost.URI, "suspend", "stuck"], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    wait_for("suspend to be stuck", lambda: not virsh("domcontrol", "stuck").startswith("ok"))
    for args in (("domstate", "stuck"), ("dominfo", "stuck"), ("dumpxml", "stuck"), ("list", "--all"),
                 ("domstats", "stuck"), ("domstats",), ("dommemstat", "stuck"), ("vcpuinfo", "stuck"),
                 ("suspend", "other"), ("resume", "other"), ("domstats", "other")):
        took, _ = timed(*args)
        assert took < 3, "virsh %s took %.1f s" % (args, took)
    took, _ = timed("destroy", "stuck")
    assert took < 5, took
    assert virsh("domstate", "stuck") == "shut off"
    waiter.wait(20)
    wait_for("end of the process", lambda: not os.path.exists("/proc/%d" % pid) or
             open("/proc/%d/stat" % pid).read().split()[2] == "Z", 5)
    virsh("start", "stuck")
    virsh("destroy", "stuck")
    virsh("destroy", "other")


@case
def daemon_killed(daemon):
    """kill -9 of the daemon: guests run on, are found again, events and states are right"""
    virsh("start", "other")
    ident = virsh("domid", "other")
    virsh("suspend", "other")
    virsh("start", "stuck")
    stuck = kitehost.processes("guest=stuck")[0]
    xml = virsh("dumpxml", "other")
    daemon.kill9()
    assert kitehost.processes("guest=other")
    os.kill(stuck, signal.SIGKILL)
    wait_for("end of the process", lambda: not kitehost.processes("guest=stuck"))
    daemon.start()
    wait_for("reconnect", lambda: virsh("domstate", "other") == "paused")
    assert virsh("domid", "other") == ident
    assert virsh("dumpxml", "other") == xml
    wait_for("death noticed", lambda: virsh("domstate", "stuck") == "shut off")
    virsh("resume", "other")
    assert virsh("domstate", "other") == "running"
    virsh("domstats", "other")
    assert json.loads(virsh("qemu-monitor-command", "other", '{"execute":"query-status"}'))["return"]["running"]
    virsh("destroy", "other")
    assert os.listdir("/run/kite/domains") == [], os.listdir("/run/kite/domains")


@case
def qemu_killed():
    """a crash of QEMU is reported, with its last words, and leaves nothing"""
    virsh("start", "other")
    pid = kitehost.processes("guest=other")[0]
    os.kill(pid, signal.SIGSEGV)
    wait_for("crash noticed", lambda: virsh("domstate", "other", "--reason") == "shut off (crashed)", 10)
    assert os.listdir("/run/kite/domains") == []


@case
def bad_start_is_told():
    """a start that fails names object, step and cause; nothing stays behind"""
    disk = "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/nowhere/x.qcow2'/><target dev='vda'/></disk>"
    write("bad.xml", domain_xml("bad", disk))
    virsh("define", kitehost.WORK + "/bad.xml")
    text = fails("start", "bad", contains="/nowhere")
    assert "No such file" in text, text
    assert virsh("domstate", "bad") == "shut off"
    assert os.listdir("/run/kite/domains") == []
    virsh("undefine", "bad")


@case
def busy_vnc_port():
    """a VNC port that is taken is an error that names it"""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 5977))
        s.listen()
        write("vnc.xml", domain_xml("vnc", "<graphics type='vnc' port='5977' listen='127.0.0.1'/>"))
        virsh("define", kitehost.WORK + "/vnc.xml")
        fails("start", "vnc", contains="5977")
        virsh("undefine", "vnc")


@case
def wrong_definitions():
    """wrong XML, duplicates, unknown network: libvirt's codes in words, no residue"""
    before = sorted(os.listdir("/etc/kite/domains"))
    fails("define", write("w1.xml", "<domain type='qemu'><name>w</name>"), contains="tag domain")
    fails("define", write("w2.xml", "<network><name>w</name></network>"))
    fails("define", write("w3.xml", domain_xml("w").replace("machine='q35'", "machine='no-such-machine'")))
    fails("define", write("w4.xml", domain_xml("w", "<disk type='file' device='disk'><source file='/x'/></disk>")))
    fails("define", write("w5.xml", domain_xml("a/b")), contains="/")
    # same name with another uuid; same uuid with another name
    virsh("define", write("d1.xml", domain_xml("dup", uuid="11111111-1111-4111-8111-111111111111")))
    fails("define", write("d2.xml", domain_xml("dup", uuid="21111111-1111-4111-8111-111111111111")),
          contains="already exists with uuid")
    fails("define", write("d3.xml", domain_xml("dup2", uuid="11111111-1111-4111-8111-111111111111")),
          contains="is already defined with uuid")
    virsh("undefine", "dup")
    write("net.xml", domain_xml("w", "<interface type='network'><source network='nonesuch'/></interface>"))
    status, text = virsh("create", kitehost.WORK + "/net.xml", check=False)
    assert status == 1 and "nonesuch" in text, text
    assert sorted(os.listdir("/etc/kite/domains")) == before
    assert "w" not in virsh("list", "--all", "--name").split()


@case
def full_disk():
    """a full disk in the middle of define loses no definition"""
    virsh("define", write("keep.xml", domain_xml("keep", extra="<description>old</description>")))
    saved = kitehost.WORK + "/saved"
    shutil.copytree("/etc/kite", saved, symlinks=True, dirs_exist_ok=True)
    kitehost.run("mount", "-t", "tmpfs", "-o", "size=256k", "small", "/etc/kite/domains")
    try:
        shutil.copytree(saved + "/domains", "/etc/kite/domains", symlinks=True, dirs_exist_ok=True)
        with contextlib.suppress(OSError), open("/etc/kite/domains/filler", "wb") as f:
            try:
                while True:
                    f.write(b"x" * 4096)
                    f.flush()
            except OSError:
                pass
        with open("/etc/kite/domains/keep.xml") as f:
            old = f.read()
        text = fails("define", write("keep2.xml", domain_xml("keep", extra="<description>new</description>", uuid=virsh("domuuid", "keep"))))
        assert "No space left" in text, text
        with open("/etc/kite/domains/keep.xml") as f:
            assert f.read() == old
        assert virsh("desc", "keep") == "old"
        fails("define", write("fresh.xml", domain_xml("fresh")), contains="No space left")
        assert "fresh" not in virsh("list", "--all", "--name").split()
        assert not [n for n in os.listdir("/etc/kite/domains") if "tmp" in n], os.listdir("/etc/kite/domains")
    finally:
        kitehost.run("umount", "/etc/kite/domains")
    virsh("undefine", "keep")


def fill(folder):
    with contextlib.suppress(OSError), open(folder + "/filler", "wb", buffering=0) as f:
        for size in (4096, 512, 1):
            with contextlib.suppress(OSError):
                while f.write(b"x" * size):
                    pass
    return folder + "/filler"


@case
def full_disk_for_other_changes():
    """a full disk in the middle of metadata, rename, attach and setmem: an error that says so, the old definition in force"""
    virsh("define", write("keep.xml", domain_xml("keep", extra="<description>old</description>")))
    saved = kitehost.WORK + "/saved-too"
    shutil.copytree("/etc/kite/domains", saved, symlinks=True)
    kitehost.run("mount", "-t", "tmpfs", "-o", "size=256k", "small", "/etc/kite/domains")
    try:
        shutil.copytree(saved, "/etc/kite/domains", symlinks=True, dirs_exist_ok=True)
        fill("/etc/kite/domains")
        before = virsh("dumpxml", "keep", "--inactive")
        for args in (("desc", "keep", "--config", "new words"), ("metadata", "keep", "http://x", "--key", "k", "--set", "<a/>", "--config"),
                     ("domrename", "keep", "kept"), ("setmem", "keep", "64M", "--config"), ("vcpupin", "keep", "0", "0", "--config"),
                     ("attach-interface", "keep", "bridge", "br9", "--config"), ("set-lifecycle-action", "keep", "crash", "restart", "--config")):
            text = fails(*args)
            assert "No space left" in text, (args, text)
            assert virsh("dumpxml", "keep", "--inactive") == before, args
        assert virsh("domstate", "keep") == "shut off"
        virsh("start", "keep", "--paused")
        fails("desc", "keep", "--live", "--config", "both", contains="No space left")
        assert virsh("dumpxml", "keep", "--inactive") == before
        virsh("destroy", "keep")
        os.unlink("/etc/kite/domains/filler")
        virsh("desc", "keep", "--config", "new words")
        assert virsh("desc", "keep") == "new words"
    finally:
        kitehost.run("umount", "/etc/kite/domains")
    virsh("undefine", "keep")


@case
def full_run_folder(daemon):
    """no room for the state of a running VM: it goes on, its state is right after kill -9 all the same; a start says why not"""
    daemon.stop()
    kitehost.run("mount", "-t", "tmpfs", "-o", "size=512k,mode=755", "small", "/run/kite/domains")
    try:
        daemon.start()
        for name in ("first", "second"):
            virsh("define", write(name + ".xml", domain_xml(name)))
        virsh("start", "first")
        filler = fill("/run/kite/domains")
        virsh("suspend", "first")
        assert virsh("domstate", "first") == "paused"
        status, text = virsh("start", "second", check=False)
        assert status == 1 and "No space left" in text, text
        assert virsh("domstate", "second") == "shut off" and not kitehost.processes("guest=second")
        daemon.kill9()
        os.unlink(filler)
        daemon.start()
        wait_for("reconnect", lambda: virsh("domstate", "first") == "paused")
        virsh("resume", "first")
        for name in ("first", "second"):
            virsh("destroy", name, check=False)
            virsh("undefine", name)
        assert not kitehost.processes("guest=(first|second)")
        assert os.listdir("/run/kite/domains") == []
    finally:
        daemon.stop()
        kitehost.run("umount", "--lazy", "/run/kite/domains")
        daemon.start()


@case
def damaged_status_file(daemon):
    """a running VM whose status file was damaged is not managed, and no second one is started on its disks"""
    virsh("define", write("lost.xml", domain_xml("lost")))
    virsh("start", "lost")
    pid = kitehost.processes("guest=lost,")[0]
    daemon.kill9()
    with open("/run/kite/domains/lost/status.xml", "w") as f:
        f.write("<domstatus")
    daemon.start()
    assert virsh("domstate", "lost") == "shut off"
    fails("start", "lost", contains=["'lost' runs already", "process %d" % pid, "status.xml"])
    assert kitehost.processes("guest=lost,") == [pid]
    os.kill(pid, signal.SIGKILL)
    wait_for("start", lambda: virsh("start", "lost", check=False)[0] == 0)
    virsh("destroy", "lost")
    virsh("undefine", "lost")


@case
def clients_and_guests_when_killed(daemon):
    """kill -9 with 1,000 clients and several guests, some stopped: the next daemon has them all; nothing leaks, three times over"""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(limit[1], 4096), limit[1]))
    names = ["crowd%d" % i for i in range(6)]
    for name in names:
        virsh("define", write(name + ".xml", domain_xml(name, memory=32)))
        virsh("start", name)
    fds = []
    for _ in range(3):
        stuck = kitehost.processes("guest=crowd0")[0]
        os.kill(stuck, signal.SIGSTOP)
        clients = []
        for _ in range(1000):
            s = socket.socket(socket.AF_UNIX)
            s.connect(kitehost.SOCKET)
            s.sendall(struct.pack(">IIIIIII", 28, 0x20008086, 1, 66, 0, 1, 0))  # authentication list
            clients.append(s)
        daemon.kill9()
        os.kill(stuck, signal.SIGCONT)
        for s in clients:
            s.close()
        daemon.start()
        wait_for("all of them", lambda: sorted(virsh("list", "--name").split()) == names)
        wait_for("their monitors", lambda: all(virsh("qemu-monitor-command", n, '{"execute":"query-status"}', check=False)[0] == 0
                                               for n in names), 30)
        fds.append(daemon.open_fds())
    assert max(fds) - min(fds) <= 3, fds
    virsh("suspend", "crowd0")
    for name in names:
        virsh("destroy", name)
        virsh("undefine", name)
    wait_for("their descriptors to be closed", lambda: daemon.open_fds() < fds[0], 10)
    assert os.listdir("/run/kite/domains") == [] and not kitehost.processes("guest=crowd")


@case
def every_restart_finds_every_definition(daemon):
    """150 times kill -9 and start: no definition is ever left out (they are read by several threads at once)"""
    names = ["again%d" % i for i in range(12)]
    for name in names:
        virsh("define", write(name + ".xml", domain_xml(name, memory=32)))
    before = virsh("list", "--all", "--name").split()
    for _ in range(150):
        daemon.kill9()
        daemon.start()
        assert sorted(virsh("list", "--all", "--name").split()) == sorted(before), daemon.log_text()[-2000:]
    for name in names:
        virsh("undefine", name)


@case
def rubbish_on_the_socket(daemon):
    """clients that send rubbish lose their connection and nothing else"""
    dice = random.Random(7)
    fds = None
    for turn in range(300):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect("/run/libvirt/virtkited-sock")
            kind = turn % 5
            if kind == 0:
                data = dice.randbytes(dice.randint(1, 200))
            elif kind == 1:
                data = struct.pack(">I", 0xffffffff)
            elif kind == 2:
                data = struct.pack(">IIIIIII", 28, 0x20008086, 1, dice.randint(0, 500), dice.randint(0, 9), turn, dice.randint(0, 9))
            elif kind == 3:
                body = dice.randbytes(dice.randint(0, 100))
                data = struct.pack(">IIIIIII", 28 + len(body), 0x20008086, 1, dice.randint(0, 470), 0, turn, 0) + body
            else:
                data = struct.pack(">I", 28)
            s.settimeout(0.05)
            try:
                s.sendall(data)
                s.recv(4096)
            except OSError:
                pass
        if turn == 50:
            fds = daemon.open_fds()
    assert daemon.alive()
    virsh("list", "--all")
    wait_for("descriptors to be closed", lambda: daemon.open_fds() <= fds + 3, 5)


@case
def read_only_socket():
    """the read-only socket reads and changes nothing"""
    virsh("define", write("ro.xml", domain_xml("ro", "<graphics type='vnc' passwd='geheim'/>")))
    assert "ro" in virsh("-r", "list", "--all", "--name").split()
    virsh("-r", "dumpxml", "ro")
    assert "geheim" in virsh("dumpxml", "--security-info", "ro")
    assert "geheim" not in virsh("dumpxml", "ro")
    for args in (("start", "ro"), ("undefine", "ro"), ("dumpxml", "--security-info", "ro"), ("autostart", "ro"),
                 ("define", kitehost.WORK + "/ro.xml")):
        text = fails("-r", *args)
        assert "read only" in text or "forbidden" in text, text
    virsh("undefine", "ro")


@case
def clean_stop(daemon):
    """SIGTERM leaves VMs running, removes the sockets; the next start finds the VMs, a stopped one when it goes on"""
    virsh("start", "other")
    ident = virsh("domid", "other")
    assert daemon.stop() == 0
    process = kitehost.processes("guest=other")[0]
    assert not os.path.exists("/run/libvirt/virtkited-sock")
    os.kill(process, signal.SIGSTOP)
    with contextlib.ExitStack() as stack, contextlib.suppress(BlockingIOError):
        while True:  # until its monitor's queue is full, as earlier attempts leave it
            waiting = socket.socket(socket.AF_UNIX)
            stack.enter_context(waiting)
            waiting.setblocking(False)
            waiting.connect("/run/kite/domains/other/monitor.sock")
    daemon.start()
    wait_for("an attempt", lambda: "trying on" in daemon.log_text())
    assert virsh("domid", "other") == ident and virsh("domstate", "other") == "running"
    os.kill(process, signal.SIGCONT)
    virsh("suspend", "other")
    assert virsh("domid", "other") == ident
    virsh("destroy", "other")
    for name in ("other", "stuck"):
        virsh("undefine", name)


@case
def no_zombies(daemon):
    """no dead child is left unreaped"""
    zombies = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = open("/proc/%s/stat" % entry).read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if fields[0] == "Z" and int(fields[1]) == daemon.process.pid:
                zombies.append(entry)
    assert not zombies, zombies


if __name__ == "__main__":
    kitehost.enter()
    sys.exit(kitehost.main(setup))
