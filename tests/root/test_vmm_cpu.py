#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Processors of domains on kite-vmm: what becomes of <cpu> at a start, what the guest finds in CPUID."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import kitehost
from kitehost import case, console_text, fails, virsh, wait_console
from vmmguest import VMM, define, gone, setup, start


def cpu_of(*dumpxml):
    found = re.search(r"(?s)<cpu(?: [^>]*)?/>|<cpu(?: [^>]*)?>.*?</cpu>", virsh("dumpxml", *dumpxml))
    return re.sub(r">\s+<", "><", found.group(0)) if found else ""


def policies(cpu):
    return {name: policy for policy, name in re.findall(r"<feature policy='(\w+)' name='([^']+)'/>", cpu)}


def cpuid(name):
    """{leaf: [eax, ebx, ecx, edx]} as the guest read them."""
    wait_console(name, "told")
    rows = [row.split()[1:] for row in console_text(name).splitlines() if row.startswith("cpuid ")]
    return {int(row[0], 16): [int(x, 16) for x in row[1:]] for row in rows}


def promised():
    caps = virsh("domcapabilities", "--emulatorbin", VMM, "--virttype", "kvm")
    return re.sub(r">\s+<", "><", re.search(r"(?s)<mode name='host-model' supported='yes'>(.*?)</mode>", caps).group(1)).strip()


@case
def host_model(daemon):
    """host-model is spelled out as domain capabilities promise, stays so over a restart, and the guest has it"""
    want = policies(promised())
    start("hm", "cpuid", extra="<cpu mode='host-model'/>")
    live = cpu_of("hm")
    assert live.startswith("<cpu mode='custom' match='exact' check='full'><model fallback='forbid'>"), live
    got = policies(live)
    # what keeps a guest from migrating it is not given, as by QEMU
    assert {n: p for n, p in want.items() if n not in ("invtsc", "xsaves")} == got, (want, got)
    assert cpu_of("hm", "--inactive") == "<cpu mode='host-model' check='partial'/>"
    leaves = cpuid("hm")
    assert leaves[1][2] & 1 << 31 and bool(leaves[7][1] & 2) == (got.get("tsc_adjust") == "require"), (leaves, got)
    assert not leaves[0x80000007][3] & 1 << 8, leaves
    daemon.restart()
    assert cpu_of("hm") == live
    gone("hm")
    start("hm", "cpuid", extra="<cpu mode='host-model'><feature policy='disable' name='x2apic'/></cpu>")
    assert policies(cpu_of("hm"))["x2apic"] == "disable" and not cpuid("hm")[1][2] & 1 << 21
    gone("hm")


@case
def like_qemu():
    """it is the host-model that QEMU with KVM has here"""
    if not os.path.exists("/usr/bin/qemu-system-x86_64"):
        raise kitehost.Skip("no QEMU")
    caps = virsh("domcapabilities", "--virttype", "kvm", "--emulatorbin", "/usr/bin/qemu-system-x86_64")
    mode = re.search(r"(?s)<mode name='host-model' supported='yes'>(.*?)</mode>", caps)
    if not mode:
        raise kitehost.Skip("no KVM for QEMU")
    # Newer ones give a guest these two whatever KVM says of them.
    its, ours = (re.sub(r"<feature policy='require' name='(erms|fsrm)'/>", "", re.sub(r">\s+<", "><", text)).strip()
                 for text in (mode.group(1), promised()))
    assert its == ours, (its, ours)


@case
def named_model(daemon):
    """a named model: what the host lacks is shown as switched off; features beyond it are given if there are any"""
    start("named", "cpuid", extra="<cpu check='none'><model>kvm64</model><feature name='tsc_adjust'/>"
                                  "<feature name='avx512-4fmaps'/><feature policy='disable' name='clflush'/></cpu>")
    live = cpu_of("named")
    got = policies(live)
    assert "check='full'" in live and got["hypervisor"] == got["x2apic"] == "require", live
    assert got["avx512-4fmaps"] == "disable" and got["clflush"] == "disable", live
    leaves = cpuid("named")
    assert not leaves[7][3] & 1 << 3, leaves
    assert leaves[7][1] & 2 or got["tsc_adjust"] == "disable", (leaves, live)
    assert leaves[1][0] == 0xf61, leaves  # family 15, model 6, stepping 1
    daemon.restart()
    assert cpu_of("named") == live
    assert "check='none'" in cpu_of("named", "--migratable")
    gone("named")


@case
def refused():
    """what cannot be had is refused as check= and policy= say, and nothing is left"""
    for cpu, why in (
            ("<cpu check='partial'><model>kvm64</model><feature name='avx512-4fmaps'/></cpu>",
             "Host CPU does not provide required features: "),
            ("<cpu check='full'><model>kvm64</model></cpu>", "guest CPU doesn't match specification: extra features: "),
            ("<cpu check='partial'><model>kvm64</model><feature policy='forbid' name='hypervisor'/></cpu>",
             "Host CPU provides forbidden feature 'hypervisor'"),
            ("<cpu check='none'><model>kvm64</model><feature name='nonsense'/></cpu>", "unknown CPU feature: nonsense")):
        before = kitehost.processes(r"^" + VMM)
        define("bad", "cpuid", extra=cpu)
        fails("start", "bad", contains=why)
        assert virsh("domstate", "bad") == "shut off" and kitehost.processes(r"^" + VMM) == before
        virsh("undefine", "bad")


if __name__ == "__main__":
    kitehost.enter()
    sys.exit(kitehost.main(setup))
