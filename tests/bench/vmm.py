#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""kite-vmm beside QEMU's microvm and q35 on the same freestanding PVH guest and /dev/kvm, in one run, turn by turn.

usage: vmm.py KITE_VMM GUEST FLOOR [RUNS [SCALE]]

Figures: from spawn to the guest's first byte on the serial port (median and best of RUNS), and the process's PSS beyond
guest RAM while the guest runs (128 MiB, 1 vCPU). "raw KVM" is the least there can be: kvm_floor.c. "exits" is spawn to the end of a guest that powers off at once: kite-vmm
only, as QEMU's machines have no ACPI register where the guest looks. Then what goes through serial port, disk and tap in a
second, both with io_uring, beside microvm with PCI. Prints tables; asserts nothing.
"""
import os
import re
import select
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

vmm, guest, floor = sys.argv[1:4]
runs = int(sys.argv[4]) if len(sys.argv) > 4 else 21
scale = int(sys.argv[5]) if len(sys.argv) > 5 else 1 # of the throughput, 0: none
memory = 128
QEMU = "qemu-system-x86_64"


def qemu(machine, *more):
    return [QEMU, "-M", machine, "-accel", "kvm", "-cpu", "host", "-m", str(memory), "-nodefaults", "-no-user-config",
            "-display", "none", "-no-reboot", "-serial", "stdio", "-kernel", guest, "-append", "spin", *more]


def kite(*more):
    return [vmm, "--kernel", guest, "--cmdline", "spin", "--memory", str(memory), "--no-balloon", *more]


machines = {
    "raw KVM": [floor],
    "kite-vmm": kite(),
    "kite-vmm, rng off": kite("--no-rng"),
    "qemu microvm": qemu("microvm,acpi=on,isa-serial=on,rtc=on"),
    "qemu q35": qemu("q35"),
}


def first_byte(argv, look=False):
    """Milliseconds to the first byte, and KiB of PSS beyond guest RAM when asked for."""
    begin = time.perf_counter()
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        if not select.select([process.stdout], [], [], 30)[0] or not os.read(process.stdout.fileno(), 1):
            raise RuntimeError(process.stderr.read().decode(errors="replace").strip() or "the guest says nothing")
        ms = (time.perf_counter() - begin) * 1e3
        return ms, pss_beyond_ram(process.pid) if look else None
    finally:
        process.kill()
        process.communicate()


def pss_beyond_ram(pid):
    total, ram = 0, False
    with open(f"/proc/{pid}/smaps", encoding="ascii", errors="replace") as f:
        for row in f:
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", row):
                low, high = (int(x, 16) for x in row.split()[0].split("-"))
                ram = high - low >= memory << 20
            elif row.startswith("Pss:") and not ram:
                total += int(row.split()[1])
    return total


# --- throughput: one guest on both, tests/guest/bench.h -----------------------------------------------------------

def worked(pid):
    """Nanoseconds that the threads of a VMM have run, but for the vCPU's: the guest polls."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/comm", encoding="ascii", errors="replace") as f:
                if f.read().startswith("CPU "):
                    continue
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
                total += int(f.read().split()[0])
        except OSError:
            pass # it has ended
    return total


def timed(argv, during=None):
    """Seconds between the guest's "go" and "done", and of CPU that the VMM took meanwhile."""
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    text, start = b"", None
    try:
        while select.select([process.stdout], [], [], 120)[0]:
            data = os.read(process.stdout.fileno(), 4096)
            now = time.perf_counter()
            text += data
            if start is None and b"go\n" in text:
                start, before = now, worked(process.pid)
                if during:
                    during(text)
            if b"done\n" in text:
                return now - start, (worked(process.pid) - before) / 1e9
            if not data:
                break
        raise RuntimeError("the guest said " + repr(text[-200:]))
    finally:
        process.kill()
        process.communicate()


def kite_device(test, disk=None, net=None):
    return [vmm, "--kernel", guest, "--cmdline", test, "--memory", "32", "--no-balloon", "--no-rng",
            *(["--disk", disk] if disk else []), *(["--net", "tap:" + net] if net else [])]


def qemu_device(test, disk=None, net=None):
    argv = [QEMU, "-M", "microvm,pcie=on,isa-serial=on", "-accel", "kvm", "-cpu", "host", "-m", "32", "-nodefaults",
            "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio", "-kernel", guest, "-append", test,
            "-name", "bench,debug-threads=on"]
    if disk:
        argv += ["-blockdev", f"driver={'host_device' if disk.startswith('/dev/') else 'file'},filename={disk.split(',')[0]},node-name=f,aio=io_uring"
                 f",cache.direct={'on' if ',direct' in disk else 'off'}",
                 "-blockdev", f"driver={'qcow2' if '.qcow2' in disk else 'raw'},file=f,node-name=d",
                 "-device", "virtio-blk-pci,disable-legacy=on,drive=d"]
    if net:
        argv += ["-netdev", f"tap,id=n,ifname={net},script=no,downscript=no", "-device", "virtio-net-pci,disable-legacy=on,netdev=n"]
    return argv


def compare(what, count, test, during=None, rounds=5, **parts):
    """One line: how many a second, how many times QEMU's; CPU of the VMM for one, in µs, and how many times ours QEMU takes."""
    figures = {}
    turns = [("kite-vmm", kite_device), ("qemu", qemu_device)]
    for _ in range(rounds):
        for name, make in turns:
            try:
                seconds, cpu = timed(make(test, **parts), during)
                figures.setdefault(name, []).append((count / seconds, cpu / count * 1e6))
            except (OSError, RuntimeError) as e:
                print(f"# {what}: {name}: {str(e)[:300]}")
                return
            finally:
                stop_senders()
        turns.reverse()
    (ours, our_cpu), (theirs, their_cpu) = ([statistics.median(v) for v in zip(*figures[n])] for n in ("kite-vmm", "qemu"))
    print(f"{what:36} {ours:10.0f} {theirs:10.0f} {ours / theirs:7.2f} {our_cpu:9.1f} {their_cpu:9.1f} "
          f"{their_cpu / max(our_cpu, 0.01):7.2f}", flush=True)


def flood(interface, size):
    """Sends frames to the guest until the peer is gone: a child of ours."""
    def begin(text):
        packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        packets.bind((interface, 0))
        frame = b"\x52\x54\x00\x12\x34\x56" * 2 + b"\x88\xb5" + bytes(size - 14)
        pid = os.fork()
        if pid == 0:
            try:
                end = time.monotonic() + 30
                while time.monotonic() < end:
                    try:
                        packets.send(frame)
                    except OSError:
                        pass
            finally:
                os._exit(0)
        senders.append(pid)
    return begin


senders = []


def stop_senders():
    while senders:
        pid = senders.pop()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def ram_disk(image):
    """A loop device on a copy in memory, so that O_DIRECT measures no disk of the host's; None where there can be none."""
    copy = f"/dev/shm/kite-bench-{os.getpid()}.img"
    try:
        shutil.copy(image, copy)
        return subprocess.run(["losetup", "-f", "--show", copy], check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    finally:
        if os.path.exists(copy):
            os.unlink(copy) # the device holds it


def throughput(scale):
    print(f"\n{'in one second; CPU of one, µs':36} {'kite-vmm':>10} {'qemu':>10} {'times':>7} {'kite-vmm':>9} {'qemu':>9} {'times':>7}")
    with tempfile.TemporaryDirectory() as folder:
        raw, top, base = (os.path.join(folder, n) for n in ("raw.img", "top.qcow2", "base.qcow2"))
        with open(raw, "wb") as f:
            f.write(os.urandom(1 << 20) * 64)
        compare("exits: port", 100000 * scale, f"bench exits p {100000 * scale}")
        compare("exits: register", 100000 * scale, f"bench exits m {100000 * scale}", disk=raw)
        ram = ram_disk(raw)
        images = [("raw", raw), (f"{'RAM disk' if ram else 'raw'}, O_DIRECT", (ram or raw) + ",direct")]
        if subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, base], check=False).returncode == 0:
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", top], check=True)
            images += [("qcow2", base), ("qcow2 over qcow2", top)]
        for name, image in images:
            for op in "rw":
                if op == "w" and image == top:
                    continue
                for depth, count in (1, 8000 * scale), (32, 40000 * scale):
                    compare(f"{name}: 4 KiB random {'read' if op == 'r' else 'write'}, depth {depth}", count,
                            f"bench blk {op} r {depth} 4096 {count}", disk=image)
                compare(f"{name}: 64 KiB {'read' if op == 'r' else 'write'}, depth 4", 4096 * scale,
                        f"bench blk {op} s 4 65536 {4096 * scale}", disk=image)
        if ram:
            subprocess.run(["losetup", "-d", ram], check=False)
    try:
        subprocess.run(["ip", "tuntap", "add", "kitebench", "mode", "tap", "vnet_hdr"], check=True, capture_output=True)
        subprocess.run(["ip", "link", "set", "kitebench", "up"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        print("# no tap: network not measured")
        return
    try:
        for size in 60, 1514:
            compare(f"tap: packets of {size} bytes out", 800000 * scale, f"bench net t {size} {800000 * scale}", net="kitebench")
            compare(f"tap: packets of {size} bytes in", 150000 * scale, f"bench net r {size} {150000 * scale}",
                    during=flood("kitebench", size), net="kitebench")
    finally:
        stop_senders()
        subprocess.run(["ip", "link", "del", "kitebench"], check=False)


def main():
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        print("vmm.py: no /dev/kvm that can be used: nothing measured")
        return
    times = {name: [] for name in machines}
    space = {}
    for name, argv in list(machines.items()):
        try:
            space[name] = first_byte(argv, look=True)[1]
        except (OSError, RuntimeError) as e:
            print(f"# {name}: not measured: {str(e)[:200]}")
            del machines[name], times[name]
    for i in range(runs):
        for name, argv in machines.items():
            if name == "qemu q35" and i >= 3:
                continue # seconds each
            times[name].append(first_byte(argv)[0])
    ends = []
    for _ in range(runs):
        begin = time.perf_counter()
        subprocess.run([a if a != "spin" else "hello" for a in kite()], stdin=subprocess.DEVNULL, capture_output=True, check=False)
        ends.append((time.perf_counter() - begin) * 1e3)
    base = statistics.median(times["kite-vmm"])
    print(f"{'spawn to first serial byte':28} {'median':>10} {'best':>10} {'times':>7} {'PSS beyond RAM':>16}")
    for name, values in times.items():
        print(f"{name:28} {statistics.median(values):7.1f} ms {min(values):7.1f} ms {statistics.median(values) / base:7.1f} "
              f"{space[name]:12} KiB")
    print(f"{'kite-vmm, exits':28} {statistics.median(ends):7.1f} ms {min(ends):7.1f} ms")
    if scale > 0:
        throughput(scale)


main()
