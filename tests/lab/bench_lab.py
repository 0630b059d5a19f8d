# SPDX-License-Identifier: LGPL-2.1-or-later
"""make bench-lab: runs inside the lab (run.sh -r). The same unmodified Debian kernel and initramfs under kite-vmm, kvmtool
(KITE_BENCH_KVMTOOL or lkvm on the path), QEMU microvm and q35, turn by turn in one run: spawn to the kernel's first byte on
the serial port, spawn to user space, PSS beyond guest RAM then. And virtkited with kite-vmm beside libvirtd with QEMU: the
same definition through python3-libvirt. Prints tables; asserts nothing.
"""
import os
import re
import select
import shutil
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../bench"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import bench
import kitehost

RUNS = int(os.environ.get("LAB_RUNS", "5"))
MEMORY = 256
KERNEL, INITRD = "/lab/vmlinuz", "/lab/inner.img"
QUIET = "console=ttyS0 panic=-1 quiet lab=shell"
EARLY = "console=ttyS0 earlyprintk=ttyS0 panic=-1 lab=shell"


def qemu(machine, words):
    return ["qemu-system-x86_64", "-M", machine, "-accel", "kvm", "-cpu", "host", "-m", str(MEMORY), "-nodefaults",
            "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio", "-kernel", KERNEL, "-initrd", INITRD,
            "-append", words]


def machines(words):
    yield "kite-vmm", ["/lab/kite-vmm", "--kernel", KERNEL, "--initrd", INITRD, "--cmdline", words, "--memory", str(MEMORY),
                       "--console", "stdio"]
    kvmtool = os.environ.get("KITE_BENCH_KVMTOOL") or shutil.which("lkvm")
    if kvmtool:
        yield "kvmtool", [kvmtool, "run", "--kernel", KERNEL, "--initrd", INITRD, "--params", words, "--mem", str(MEMORY),
                          "--cpus", "1", "--console", "serial", "--network", "mode=none", "--rng"]
    else:
        print("# kvmtool: not here (KITE_BENCH_KVMTOOL)")
    yield "QEMU microvm", qemu("microvm,acpi=on,isa-serial=on,rtc=on", words)
    yield "QEMU q35", qemu("q35", words)


def pss_beyond_ram(pid):
    total, ram = 0, False
    with open("/proc/%d/smaps" % pid, encoding="ascii", errors="replace") as f:
        for row in f:
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", row):
                low, high = (int(x, 16) for x in row.split()[0].split("-"))
                ram = high - low >= (MEMORY - 16) << 20
            elif row.startswith("Pss:") and not ram:
                total += int(row.split()[1])
    return total


def until(argv, pattern):
    """(ms from spawn until the pattern is on the serial port, KiB beyond guest RAM then)."""
    begin = time.perf_counter()
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    text = b""
    try:
        while pattern not in text:
            left = 300 - (time.perf_counter() - begin)
            if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
                raise RuntimeError("nothing in 300 s: " + text[-300:].decode(errors="replace"))
            got = os.read(process.stdout.fileno(), 65536)
            if not got:
                raise RuntimeError("it ended: " + text[-300:].decode(errors="replace"))
            text += got
        return (time.perf_counter() - begin) * 1e3, pss_beyond_ram(process.pid)
    finally:
        process.kill()
        process.communicate()


def by_hand():
    first, up, space = {}, {}, {}
    for _ in range(RUNS):
        for (name, early), (_, quiet) in zip(machines(EARLY), machines(QUIET)):
            try:
                first.setdefault(name, []).append(until(early, b"Linux version")[0])
                ms, kib = until(quiet, b"INNER-UP")
                up.setdefault(name, []).append(ms)
                space.setdefault(name, []).append(kib)
            except (OSError, RuntimeError) as e:
                print("# %s: %s" % (name, str(e)[:400]))
    print("| machine | first line of the kernel, ms | user space, ms (best) | PSS beyond guest RAM, MiB |")
    print("| --- | --: | --: | --: |")
    for name in up:
        print("| %s | %.0f | %.0f (%.0f) | %.1f |" % (name, statistics.median(first[name]), statistics.median(up[name]),
                                                    min(up[name]), statistics.median(space[name]) / 1024))
    sys.stdout.flush()


XML = """<domain type='kvm'><name>%s</name><memory unit='MiB'>256</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type><kernel>/lab/vmlinuz</kernel><initrd>/lab/inner.img</initrd>
<cmdline>console=ttyS0 panic=-1 quiet lab=shell</cmdline></os><features><acpi/><apic/></features>
<devices>%s<console type='pty'/><memballoon model='virtio'/></devices></domain>"""


def through(daemon, libvirt, emulator):
    daemon.start()
    conn = libvirt.open(daemon.uri)
    dom = conn.defineXML(XML % ("bench", emulator))
    times = {"start call, ms": [], "destroy call, ms": [], "list, ms": [], "statistics of the running one, ms": []}
    for number in range(RUNS):
        for key, call in (("start call, ms", dom.create), ("list, ms", conn.listAllDomains),
                          ("statistics of the running one, ms", lambda: conn.domainListGetStats([dom])),
                          ("destroy call, ms", dom.destroy)):
            begin = time.perf_counter()
            call()
            times[key].append((time.perf_counter() - begin) * 1e3)
    dom.undefine()
    conn.close()
    daemon.stop()
    return {key: statistics.median(values[1:] or values) for key, values in times.items()}


def libvirtd():
    """Without a /dev of QEMU's own: the lab's devpts cannot be moved there."""
    daemon = bench.Libvirtd()
    with open("/etc/libvirt/qemu.conf", "a", encoding="utf-8") as f:
        f.write("namespaces = []\n")
    return daemon


def main():
    import libvirt
    libvirt.registerErrorHandler(lambda *_: None, None)
    kitehost.enter(pid=False)
    by_hand()
    ours = through(bench.Kite(), libvirt, "")
    theirs = through(libvirtd(), libvirt, "<emulator>/usr/bin/qemu-system-x86_64</emulator>") \
        if shutil.which("libvirtd") else {}
    print("| through the daemon | virtkited, kite-vmm | libvirtd, QEMU | times |\n| --- | --: | --: | --: |")
    for key, value in ours.items():
        print("| %s | %.1f | %.1f | %.1f |" % (key, value, theirs.get(key, 0), theirs.get(key, 0) / value))
    kitehost.cleanup_processes()


main()
