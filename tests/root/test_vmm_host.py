# SPDX-License-Identifier: LGPL-2.1-or-later
"""The host's side of domains under kite-vmm: statistics, isolation, full disks, crashes, the choice of the back end."""
import json
import os
import re
import shutil
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
        for kind in ("ipc", "net", "uts"):
            assert os.readlink("/proc/%d/ns/%s" % (pid, kind)) != os.readlink("/proc/self/ns/" + kind), kind
        with open("/proc/%d/net/unix" % pid) as f:
            assert len(f.readlines()) == 1 # its heading
    assert found[0]["Uid"] != found[1]["Uid"]
    daemon.kill9()
    daemon.start()
    start("three", "spin")
    third = (set(vmm_pids()) - set(pids)).pop()
    new = status(third)["Uid"]
    assert new not in (found[0]["Uid"], found[1]["Uid"]), (new, found)
    os.kill(third, signal.SIGSYS) # what a filter does
    wait_for("end", lambda: virsh("domstate", "three", "--reason") == "shut off (crashed)")
    for log in (open("/var/log/kite/three.log").read(), daemon.log_text()):
        assert re.search(r"system call \w+ \(\d+\) is not allowed in this thread", log), log[-500:]
    virsh("undefine", "three")
    for name in ("one", "two"):
        gone(name)
    # A page that the VM cuts harms nobody: the daemon copies, it does not map.
    start("one", "spin", devices=disk(image("cut.raw"), "vda"))
    os.truncate("/run/kite/domains/one/stats", 10)
    assert "block.0.wr.reqs" in virsh("domstats", "one")
    assert "actual" in virsh("dommemstat", "one")
    gone("one")


@case
def choice():
    """capabilities offer the choice of the two; the definition shows what was chosen, dominfo why it was QEMU"""
    if not shutil.which("qemu-system-x86_64"):
        raise kitehost.Skip("no QEMU to choose")
    caps = virsh("capabilities")
    assert re.search(r"<domain type='kvm'>\s*<emulator>/usr/libexec/kite-emulator</emulator>", caps), caps
    assert os.path.realpath("/usr/libexec/kite-emulator") == VMM
    text = virsh("domcapabilities", "--emulatorbin", "/usr/libexec/kite-emulator", "--virttype", "kvm")
    assert "<path>/usr/libexec/kite-emulator</path>" in text and "<value>vnc</value>" in text
    either = "<emulator>/usr/libexec/kite-emulator</emulator>"
    define("which", "spin", emulator=either)
    assert "<emulator>%s</emulator>" % VMM in virsh("dumpxml", "which")
    assert "Messages:" not in virsh("dominfo", "which")
    virsh("undefine", "which")
    define("which", "spin", emulator=either, devices="<graphics type='vnc'/>")
    assert "qemu-system-x86_64</emulator>" in virsh("dumpxml", "which")
    assert "runs on QEMU: kite-vmm does not support <graphics>" in virsh("dominfo", "which"), virsh("dominfo", "which")
    virsh("undefine", "which")
    # who names QEMU gets it, and there is nothing to say about it
    define("which", "spin", emulator="<emulator>/usr/bin/qemu-system-x86_64</emulator>")
    assert "qemu-system-x86_64</emulator>" in virsh("dumpxml", "which")
    assert "Messages:" not in virsh("dominfo", "which")
    virsh("undefine", "which")
    fails("define", write("which.xml", xml("which", "spin", emulator="<emulator>%s</emulator>" % VMM,
                                           devices="<graphics type='vnc'/>")), contains="without <emulator> Kite chooses")


@case
def virt_install():
    """virt-install as it is: a kernel and no screen go to kite-vmm, a screen goes to QEMU"""
    if not shutil.which("virt-install") or not shutil.which("qemu-system-x86_64"):
        raise kitehost.Skip("no virt-install or no QEMU")
    image("vi.raw")
    args = ["virt-install", "--connect", kitehost.URI, "--name", "vi", "--memory", "64", "--vcpus", "2", "--virt-type", "kvm",
            "--osinfo", "generic", "--disk", WORK + "/vi.raw,bus=virtio,format=raw", "--network", "none", "--noautoconsole",
            "--boot", "kernel=%s,kernel_args=button" % KERNEL, "--import"]
    out = kitehost.run(*args, "--graphics", "none", timeout=120).stdout
    live = virsh("dumpxml", "vi")
    assert "<emulator>%s</emulator>" % VMM in live, (out, live, virsh("dominfo", "vi"))
    assert state("vi").startswith("running")
    virsh("shutdown", "vi")
    wait_for("end", lambda: state("vi").startswith("shut off"))
    virsh("undefine", "vi")
    kitehost.run(*args, "--graphics", "vnc", "--noreboot", "--print-xml", timeout=120)


@case
def as_nova_writes_it():
    """a definition with everything that Nova puts into one whose image has a kernel, on a host without consoles by VNC"""
    base = image("nova.qcow2", "8M", "qcow2")
    text = f"""<domain type='kvm'><uuid>3e4ad9e5-0b5b-4a6a-9a9a-0f1e2d3c4b5a</uuid><name>instance-00000001</name>
<memory>65536</memory><vcpu>1</vcpu>
<metadata><nova:instance xmlns:nova="http://openstack.org/xmlns/libvirt/nova/1.1"><nova:name>a</nova:name></nova:instance></metadata>
<sysinfo type='smbios'><system><entry name='manufacturer'>OpenStack Foundation</entry><entry name='product'>OpenStack Nova</entry>
<entry name='version'>26.2.2</entry><entry name='serial'>3e4ad9e5-0b5b-4a6a-9a9a-0f1e2d3c4b5a</entry>
<entry name='uuid'>3e4ad9e5-0b5b-4a6a-9a9a-0f1e2d3c4b5a</entry><entry name='family'>Virtual Machine</entry></system></sysinfo>
<os><type machine='q35'>hvm</type><kernel>{KERNEL}</kernel><cmdline>spin</cmdline><boot dev='hd'/><smbios mode='sysinfo'/></os>
<features><acpi/><apic/><vmcoreinfo state='off'/></features><cputune><shares>1024</shares></cputune>
<clock offset='utc'><timer name='pit' tickpolicy='delay'/><timer name='rtc' tickpolicy='catchup'/><timer name='hpet' present='no'/></clock>
<cpu mode='host-passthrough'><topology sockets='1' cores='1' threads='1'/></cpu>
<devices><disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none'/><source file='{base}'/>
<target bus='virtio' dev='vda'/><serial>7f3b2c4e</serial></disk>
<interface type='ethernet'><mac address='fa:16:3e:11:22:33'/><model type='virtio'/><driver name='qemu' rx_queue_size='512'/>
<mtu size='1450'/><target dev='tapnova0'/></interface>
<serial type='pty'><log file='{WORK}/nova.console' append='off'/></serial>
<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
<controller type='usb' index='0'/><memballoon model='virtio'><stats period='10'/></memballoon></devices></domain>"""
    virsh("define", write("nova.xml", text))
    assert "<emulator>%s</emulator>" % VMM in virsh("dumpxml", "instance-00000001"), virsh("dominfo", "instance-00000001")
    virsh("start", "instance-00000001")
    with open(WORK + "/nova.console") as f:
        wait_for("guest", lambda: f.seek(0) == 0 and "guest spin" in f.read())
    assert "1450" in kitehost.run("ip", "link", "show", "tapnova0").stdout
    assert "rx_bytes" in virsh("domifstat", "instance-00000001", "tapnova0")
    virsh("destroy", "instance-00000001")
    virsh("undefine", "instance-00000001")


@case
def disk_full():
    """a disk image that finds no room: paused with its reason and event, resumed when there is room"""
    small = WORK + "/small"
    os.makedirs(small)
    kitehost.run("mount", "-t", "tmpfs", "-o", "size=1m", "small", small)
    with open(small + "/full.raw", "wb") as f:
        f.truncate(4 << 20)
    define("full", "fill", devices=disk(small + "/full.raw", "vda", driver=" error_policy='enospace'"), machine="pc",
           extra="<on_poweroff>preserve</on_poweroff>")
    with events("full") as log:
        virsh("start", "full")
        wait_for("pause", lambda: state("full") == "paused (I/O error)")
        log.wait("io-error")
        assert re.search(r"io-error.*vda|io-error.*full.raw", log.text()), log.text()
        assert "nospace" in log.text() or "enospc" in log.text().lower(), log.text()
        assert "no space" in virsh("domblkerror", "full"), virsh("domblkerror", "full")
        log.wait("Suspended")
        # still full: it stops again
        virsh("resume", "full")
        wait_for("pause again", lambda: state("full") == "paused (I/O error)")
        kitehost.run("mount", "-o", "remount,size=8m", small)
        virsh("resume", "full")
        wait_console("full", "filled")
    assert "fill failed 00000000" in console_text("full"), console_text("full")
    with open(small + "/full.raw", "rb") as f:
        assert f.read(65536) == bytes((i * 7 + 1) & 255 for i in range(65536))
    virsh("destroy", "full", check=False)
    virsh("undefine", "full")
    kitehost.run("umount", small)


@case
def watchdog(daemon):
    """the watchdog does what the definition says, with its event; it is there after a restart of the daemon"""
    for action, expected in (("pause", "paused (watchdog)"), ("poweroff", "shut off")):
        define("wd", "watchdog", devices="<watchdog model='i6300esb' action='%s'/>" % action, machine="pc")
        assert VMM in virsh("dumpxml", "wd"), virsh("dominfo", "wd")
        virsh("start", "wd", "--paused")
        with events("wd") as log:
            virsh("resume", "wd")
            wait_for(expected, lambda: state("wd").startswith(expected))
            log.wait("watchdog")
        if action == "pause":
            daemon.restart()
            assert state("wd").startswith("paused"), state("wd")
            virsh("destroy", "wd")
        virsh("undefine", "wd")


@case
def tuning():
    """limits of a disk, a disk that grows, the period of memory statistics, link state: set live, read back"""
    image("grow.raw", "1M")
    start("tune", "spin", devices=disk(WORK + "/grow.raw", "vda"))
    virsh("blkdeviotune", "tune", "vda", "--total-iops-sec", "100", "--write-bytes-sec", "1000000", "--live")
    out = virsh("blkdeviotune", "tune", "vda", "--live")
    assert re.search(r"total_iops_sec *: 100\b", out) and re.search(r"write_bytes_sec *: 1000000\b", out), out
    virsh("blkdeviotune", "tune", "vda", "--total-iops-sec", "0", "--write-bytes-sec", "0", "--live")
    virsh("blockresize", "tune", "vda", "3M")
    assert "Capacity:       3145728" in virsh("domblkinfo", "tune", "vda")
    assert os.path.getsize(WORK + "/grow.raw") == 3 << 20
    virsh("dommemstat", "tune", "--period", "7", "--live")
    assert "<stats period='7'/>" in virsh("dumpxml", "tune")
    fails("blockresize", "tune", "vdz", "3M")
    assert json.loads(virsh("qemu-monitor-command", "tune", '{"execute": "query-status"}'))["return"]["status"] == "running"
    assert state("tune").startswith("running")
    gone("tune")


@case
def numa():
    """memory comes from the nodes that numatune names; a node that is not there is named"""
    start("numa", "spin", extra="<numatune><memory mode='strict' nodeset='0'/></numatune>")
    # by its control group where there is one, else by a policy of its own
    with open("/proc/%d/numa_maps" % vmm_pids()[0]) as f:
        assert " bind:0 " in f.read() or status(vmm_pids()[0])["Mems_allowed_list"] == "0"
    assert "strict" in virsh("numatune", "numa")
    gone("numa")
    define("numa", "spin", extra="<numatune><memory mode='strict' nodeset='900'/></numatune>")
    fails("start", "numa", contains="NUMA node 900 is unavailable")
    virsh("undefine", "numa")


@case
def locked():
    """locked memory is in RAM before the guest runs, and stays there"""
    define("lock", "spin", extra="<memoryBacking><locked/></memoryBacking>")
    assert VMM in virsh("dumpxml", "lock"), virsh("dominfo", "lock")
    code, text = virsh("start", "lock", check=False)
    if code:
        assert "cannot lock 64 MiB of guest memory" in text, text
        virsh("undefine", "lock")
        raise kitehost.Skip("this host does not let root lock memory")
    assert int(status(vmm_pids()[0])["VmLck"].split()[0]) >= 64 << 10, status(vmm_pids()[0])
    gone("lock")


@case
def last_words(daemon):
    """a VMM that dies says why in the log, and the domain is crashed"""
    start("die", "spin")
    pid = vmm_pids()[0]
    with events("die") as log:
        os.kill(pid, signal.SIGSEGV)
        wait_for("end", lambda: state("die") == "shut off (crashed)")
        log.wait("Stopped Failed")
    assert "kite-vmm" in open("/var/log/kite/die.log").read()
    virsh("undefine", "die")


def timed(what):
    begin = time.monotonic()
    what()
    return time.monotonic() - begin


if __name__ == "__main__":
    kitehost.enter()
    sys.exit(kitehost.main(setup))
