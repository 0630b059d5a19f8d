# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtkited beside libvirtd, in one run, on the same XML, by the same client. Prints a table; asserts nothing.

Both daemons get fresh private folders, the same 1,000 definitions and the same guests (QEMU, TCG), one after the
other. Figures are medians; ratio > 1 means Kite is ahead. Needs root, python3-libvirt, libvirt-daemon-system.
"""
import os
import re
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import kitehost
from kitehost import domain_xml, wait_for

DEFINITIONS = int(os.environ.get("KITE_BENCH_DEFINITIONS", "1000"))


def median_of(times, function, unit=1e3):
    values = []
    for _ in range(times):
        begin = time.perf_counter()
        function()
        values.append((time.perf_counter() - begin) * unit)
    return statistics.median(values)


class Libvirtd:
    sock = "/run/libvirt/libvirt-sock"
    uri = "qemu:///system"

    def __init__(self):
        kitehost.prepare_libvirtd()

    def start(self):
        self.log = open(kitehost.WORK + "/libvirtd.log", "ab")
        self.process = subprocess.Popen(["/usr/sbin/libvirtd"], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        wait_for("libvirtd", lambda: kitehost.Daemon.answers(self.sock), 60, 0.002)
        return self

    def stop(self):
        self.process.terminate()
        self.process.wait(30)

    def pss_kib(self):
        return pss(self.process.pid)


class Kite(kitehost.Daemon):
    sock = "/run/libvirt/virtkited-sock"
    uri = kitehost.URI

    def pss_kib(self):
        return pss(self.process.pid)


def pss(pid):
    with open("/proc/%d/smaps_rollup" % pid) as f:
        return int(re.search(r"^Pss:\s*(\d+)", f.read(), re.M).group(1))


def xdr_string(text):
    data = text.encode()
    return struct.pack(">I", len(data)) + data + b"\0" * (-len(data) % 4)


def call(proc, serial, body=b""):
    return struct.pack(">IIIIIII", 28 + len(body), 0x20008086, 1, proc, 0, serial, 0) + body


def pipelined(path, uri, count=50000):
    """Small calls (CONNECT_GET_LIB_VERSION) a second, written without waiting on one connection."""
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)

    def exchange(message):
        s.sendall(message)
        head = s.recv(4, socket.MSG_WAITALL)
        return s.recv(struct.unpack(">I", head)[0] - 4, socket.MSG_WAITALL)
    exchange(call(66, 1))
    exchange(call(1, 2, struct.pack(">I", 1) + xdr_string(uri) + struct.pack(">I", 0)))
    batch = b"".join(call(157, 3 + i) for i in range(count))
    sender = threading.Thread(target=lambda: s.sendall(batch))
    want = count * 36  # length, header of 24, one hyper
    got = 0
    begin = time.perf_counter()
    sender.start()
    buffer = bytearray(1 << 20)
    while got < want:
        n = s.recv_into(buffer)
        if n == 0:
            raise AssertionError("connection lost after %d of %d bytes" % (got, want))
        got += n
    took = time.perf_counter() - begin
    sender.join()
    s.close()
    return count / took


def measure(daemon, libvirt):
    figures = {}
    begin = time.perf_counter()
    daemon.start()
    first = libvirt.open(daemon.uri)
    first.getLibVersion()
    figures["daemon start to first answer, ms"] = (time.perf_counter() - begin) * 1e3
    conn = first
    figures["connect and disconnect, ms"] = median_of(50, lambda: libvirt.open(daemon.uri).close())
    figures["small call, µs"] = median_of(2000, conn.getLibVersion, 1e6)
    figures["pipelined small calls, 1/s"] = pipelined(daemon.sock, daemon.uri)
    figures["PSS of the empty daemon, KiB"] = daemon.pss_kib()

    xmls = [domain_xml("bench%04d" % i, "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/nowhere/%d'/>"
                       "<target dev='vda' bus='virtio'/></disk><graphics type='vnc'/><video><model type='vga'/></video>" % i, serial_log=False)
            for i in range(DEFINITIONS)]
    begin = time.perf_counter()
    doms = [conn.defineXML(x) for x in xmls]
    figures["define, µs each"] = (time.perf_counter() - begin) / DEFINITIONS * 1e6
    figures["list %d domains, ms" % DEFINITIONS] = median_of(200, conn.listAllDomains)
    figures["look-up by name, µs"] = median_of(500, lambda: conn.lookupByName("bench0500"), 1e6)
    figures["dumpxml, µs"] = median_of(500, lambda: doms[7].XMLDesc(0), 1e6)
    figures["dominfo, µs"] = median_of(500, doms[7].info, 1e6)
    figures["statistics of %d domains, ms" % DEFINITIONS] = median_of(30, conn.getAllDomainStats)
    figures["PSS with %d definitions, KiB" % DEFINITIONS] = daemon.pss_kib()

    guest = conn.defineXML(domain_xml("runner", "<graphics type='vnc'/>", serial_log=False))
    starts, destroys, answers = [], [], []
    for _ in range(7):
        begin = time.perf_counter()
        guest.create()
        starts.append((time.perf_counter() - begin) * 1e3)
        begin = time.perf_counter()
        guest.info()
        guest.memoryStats()
        answers.append((time.perf_counter() - begin) * 1e3)
        begin = time.perf_counter()
        guest.destroy()
        destroys.append((time.perf_counter() - begin) * 1e3)
    figures["start call (QEMU, TCG), ms"] = statistics.median(starts)
    figures["destroy call, ms"] = statistics.median(destroys)
    guest.create()
    figures["statistics of all, one running, ms"] = median_of(30, conn.getAllDomainStats)
    guest.destroy()
    guest.undefine()
    begin = time.perf_counter()
    for d in doms:
        d.undefine()
    figures["undefine, µs each"] = (time.perf_counter() - begin) / DEFINITIONS * 1e6
    conn.close()
    daemon.stop()
    return figures


HIGHER_IS_BETTER = ("1/s",)


def main():
    import libvirt
    libvirt.registerErrorHandler(lambda *_: None, None)
    kitehost.enter(pid=False)  # libvirtd does not get along with a process namespace
    ours = measure(Kite(), libvirt)
    kitehost.cleanup_processes()
    theirs = None
    if shutil.which("libvirtd"):
        theirs = measure(Libvirtd(), libvirt)
    else:
        print("libvirtd is not installed: no peer in this run")
    print("| what | Kite | libvirtd | Kite is ahead by |")
    print("| --- | --: | --: | --: |")
    for key, value in ours.items():
        peer = theirs[key] if theirs else None
        if peer is None:
            print("| %s | %.4g | - | - |" % (key, value))
            continue
        ratio = value / peer if key.endswith(HIGHER_IS_BETTER) else peer / value
        print("| %s | %s | %s | %.1f × |" % (key, format(value, ",.1f") if value < 1e4 else format(value, ",.0f"),
                                           format(peer, ",.1f") if peer < 1e4 else format(peer, ",.0f"), ratio))
    kitehost.cleanup_processes()


if __name__ == "__main__":
    main()
