# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many running VMs at once: KITE_BENCH_VMS (1000) of them on kite-vmm, with the freestanding guest at rest in hlt.

What one more VM costs (start call, memory beyond what the guest touched), what the calls cost that walk over all of them, and
whether a stuck one delays any. The peer is libvirtd with the same guests on QEMU q35, KITE_BENCH_PEER_VMS (10) of them,
as each is some ten times heavier; figures that grow with the number say for how many they are. Prints a table; asserts nothing.
Needs root, /dev/kvm, python3-libvirt. Each VM has a qcow2 disk and a tap on a bridge, as a real one does.
"""
import os
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import kitehost
import vmmguest
from bench import Kite, Libvirtd, median_of

VMS = int(os.environ.get("KITE_BENCH_VMS", "1000"))
PEER_VMS = int(os.environ.get("KITE_BENCH_PEER_VMS", "10"))
MEMORY_MIB = 64


def xml(n):
    path = "%s/disk%d.qcow2" % (kitehost.WORK, n)
    subprocess.run(["cp", "--sparse=always", kitehost.WORK + "/base.qcow2", path], check=True)
    devices = (vmmguest.disk(path, "vda", kind="qcow2") +
               "<interface type='bridge'><source bridge='br0'/><model type='virtio'/></interface><memballoon model='virtio'/>")
    return vmmguest.xml("vm%04d" % n, "button", devices=devices, memory=MEMORY_MIB)


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def children(pattern):
    return kitehost.processes(pattern)


def beyond_guest_kib(pids):
    """PSS of the processes without what lies in guest RAM (the one mapping of that size)."""
    total = 0
    for pid in pids:
        with open("/proc/%d/smaps" % pid) as f:
            size = 0
            for line in f:
                word = line.split()
                if word[0] == "Size:":
                    size = int(word[1])
                elif word[0] == "Pss:" and size < MEMORY_MIB << 9:  # a split half of guest RAM still counts as guest
                    total += int(word[1])
    return total / max(1, len(pids))


def with_one_stopped(pid, conn, patience=5):
    """Milliseconds, or infinite when the answer has not come within patience (it then comes once the process goes on)."""
    took = []
    os.kill(pid, signal.SIGSTOP)
    ask = threading.Thread(target=lambda: took.append(median_of(1, conn.getAllDomainStats)))
    ask.start()
    ask.join(patience)
    result = took[0] if took else float("inf")
    os.kill(pid, signal.SIGCONT)
    ask.join()
    return result


def measure(daemon, libvirt, count, pattern):
    figures = {}
    daemon.start()
    conn = libvirt.open(daemon.uri)
    empty = daemon.pss_kib()
    doms = [conn.defineXML(xml(n)) for n in range(count)]
    starts = []
    begin = time.perf_counter()
    for dom in doms:
        one = time.perf_counter()
        dom.create()
        starts.append((time.perf_counter() - one) * 1e3)
    figures["VMs running"] = count
    figures["start call, median, ms"] = percentile(starts, 0.5)
    figures["start call, the last tenth, median, ms"] = percentile(starts[-max(1, count // 10):], 0.5)
    figures["start call, slowest, ms"] = max(starts)
    figures["all started in, s"] = time.perf_counter() - begin
    pids = children(pattern)
    figures["processes seen"] = len(pids)
    figures["PSS a VM beyond guest RAM, KiB"] = beyond_guest_kib(pids[:100])
    figures["PSS of the daemon a VM, KiB"] = (daemon.pss_kib() - empty) / count
    figures["list, ms"] = median_of(5, conn.listAllDomains)
    figures["statistics of all, ms"] = median_of(5, conn.getAllDomainStats)
    figures["statistics of all, µs a VM"] = figures["statistics of all, ms"] * 1e3 / count
    figures["state of one, µs"] = median_of(200, doms[count // 2].state, 1e6)
    figures["statistics of all with one stopped process, ms"] = with_one_stopped(pids[0], conn)
    destroys = []
    for dom in doms:
        one = time.perf_counter()
        dom.destroy()
        destroys.append((time.perf_counter() - one) * 1e3)
    figures["destroy call, median, ms"] = percentile(destroys, 0.5)
    figures["destroy call, slowest, ms"] = max(destroys)
    figures["processes left"] = len(children(pattern))
    for dom in doms:
        dom.undefine()
    conn.close()
    daemon.stop()
    return figures


def shown(value):
    return "no answer in 5 s" if value == float("inf") else "%.4g" % value


def main():
    import libvirt
    libvirt.registerErrorHandler(lambda *_: None, None)
    kitehost.enter(pid=False)
    vmmguest.setup().stop()
    kitehost.run("qemu-img", "create", "-q", "-f", "qcow2", kitehost.WORK + "/base.qcow2", "1G")
    kitehost.run("ip", "link", "add", "br0", "type", "bridge")
    kitehost.run("ip", "link", "set", "br0", "up")
    columns = [("Kite", measure(Kite(), libvirt, VMS, r"^" + vmmguest.VMM))]
    kitehost.cleanup_processes()
    if PEER_VMS and os.path.exists("/usr/sbin/libvirtd"):
        columns.append(("libvirtd", measure(Libvirtd(), libvirt, PEER_VMS, r"^/usr/bin/qemu-system")))
    kitehost.cleanup_processes()
    print("| what | " + " | ".join(name for name, _ in columns) + " |")
    print("| --- |" + " --: |" * len(columns))
    for key in columns[0][1]:
        print("| %s | %s |" % (key, " | ".join(shown(figures[key]) for _, figures in columns)))


if __name__ == "__main__":
    main()
