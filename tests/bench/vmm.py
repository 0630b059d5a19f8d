#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""kite-vmm beside QEMU's microvm and q35 on the same freestanding PVH guest and /dev/kvm, in one run, turn by turn.

usage: vmm.py KITE_VMM GUEST [RUNS]

Figures: from spawn to the guest's first byte on the serial port (median and best of RUNS), and the process's PSS beyond
guest RAM while the guest runs (128 MiB, 1 vCPU). "exits" is spawn to the end of a guest that powers off at once: kite-vmm
only, as QEMU's machines have no ACPI register where the guest looks. Prints a table; asserts nothing.
"""
import os
import re
import select
import statistics
import subprocess
import sys
import time

vmm, guest = sys.argv[1], sys.argv[2]
runs = int(sys.argv[3]) if len(sys.argv) > 3 else 21
memory = 128
QEMU = "qemu-system-x86_64"


def qemu(machine, *more):
    return [QEMU, "-M", machine, "-accel", "kvm", "-cpu", "host", "-m", str(memory), "-nodefaults", "-no-user-config",
            "-display", "none", "-no-reboot", "-serial", "stdio", "-kernel", guest, "-append", "spin", *more]


def kite(*more):
    return [vmm, "--kernel", guest, "--cmdline", "spin", "--memory", str(memory), "--no-balloon", *more]


machines = {
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
    for _ in range(runs):
        for name, argv in machines.items():
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


main()
