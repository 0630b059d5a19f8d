#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""CPU models and vCPUs as clients see them: what becomes of <cpu> at a start, what the CPU calls answer, and processors
in and out of a running Linux. KITE_TEST_PEER=libvirtd gives the same answers."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.environ.get("abs_top_srcdir", "."), "tests", "lib"))
from kitehost import *  # noqa: E402,F403

enter()


def xml(name, cpu, vcpu="<vcpu>1</vcpu>"):
    return ("<domain type='qemu'><name>%s</name><memory unit='MiB'>32</memory>%s<os><type arch='x86_64' machine='q35'>hvm"
            "</type></os>%s<devices><emulator>/usr/bin/qemu-system-x86_64</emulator></devices></domain>" % (name, vcpu, cpu))


def cpu_of(*dumpxml):
    found = re.search(r"(?s)<cpu(?: [^>]*)?/>|<cpu(?: [^>]*)?>.*?</cpu>", virsh("dumpxml", *dumpxml))
    return re.sub(r">\s+<", "><", found.group(0)) if found else ""


def vcpus_of(*dumpxml):
    return re.findall(r"<vcpu id='(\d+)' enabled='(yes|no)' hotpluggable='(yes|no)'(?: order='(\d+)')?/>",
                      virsh("dumpxml", *dumpxml))


def run_with(name, cpu):
    virsh("define", write(name + ".xml", xml(name, cpu)))
    virsh("start", name)


def end(name):
    virsh("destroy", name, check=False)
    virsh("undefine", name)


@case
def host_model(daemon):
    """host-model is spelled out while it runs, and stays so over a restart; domain capabilities say the same"""
    run_with("hm", "<cpu mode='host-model'/>")
    live = cpu_of("hm")
    assert live.startswith("<cpu mode='custom' match='exact' check='full'><model fallback='forbid'>"), live
    promised = re.search(r"(?s)<mode name='host-model' supported='yes'>(.*?)</mode>",
                         virsh("domcapabilities", "--virttype", "qemu", "--machine", "q35")).group(1)
    assert live == "<cpu mode='custom' match='exact' check='full'>%s</cpu>" % re.sub(r">\s+<", "><", promised.strip())
    model = re.search(r"<model[^>]*>(.*?)</model>", live).group(1)
    pid, = processes("guest=hm,")
    with open("/proc/%d/cmdline" % pid) as f:
        words = f.read().split("\0")
    assert words[words.index("-cpu") + 1].startswith(model + ","), words
    assert cpu_of("hm", "--inactive") == "<cpu mode='host-model' check='partial'/>"
    updated = cpu_of("hm", "--inactive", "--update-cpu")
    assert updated.startswith("<cpu mode='custom' match='exact' check='partial'><model fallback='allow'>" + model), updated
    daemon.restart()
    assert cpu_of("hm") == live
    end("hm")


@case
def named_model(daemon):
    """a named model: the live definition says what QEMU really gave, --migratable what was asked for"""
    run_with("named", "<cpu check='none'><model>Skylake-Server</model></cpu>")
    live = cpu_of("named")
    assert "check='full'" in live and "<feature policy='require' name='hypervisor'/>" in live, live
    assert "<feature policy='disable' name='avx512f'/>" in live, live
    asked = "<cpu mode='custom' match='exact' check='none'><model fallback='forbid'>Skylake-Server</model></cpu>"
    assert cpu_of("named", "--migratable") == asked
    daemon.restart()
    assert cpu_of("named") == live and cpu_of("named", "--migratable") == asked
    end("named")


@case
def refused(daemon):
    """what cannot be had is refused as check= and policy= say"""
    cases = [
        ("<cpu check='partial'><model>Skylake-Server</model></cpu>", "Host CPU does not provide required features: "),
        ("<cpu check='full'><model>Nehalem</model></cpu>", "guest CPU doesn't match specification: extra features: hyper"),
        ("<cpu check='partial'><model>qemu64</model><feature policy='forbid' name='ss'/></cpu>", "forbidden feature"),
        ("<cpu match='strict' check='partial'><model>Conroe</model></cpu>", "does not strictly match guest CPU"),
        ("<cpu check='none'><model fallback='forbid'>cpu64-rhel6</model></cpu>", "is not supported by hypervisor"),
        ("<cpu check='none'><model>qemu64</model><feature name='nonsense'/></cpu>", "unknown CPU feature: nonsense"),
        ("<cpu mode='host-passthrough'/>", "CPU mode 'host-passthrough' for x86_64 qemu domain on x86_64 host"),
    ]
    for cpu, why in cases:
        virsh("define", write("bad.xml", xml("bad", cpu)))
        fails("start", "bad", contains=why)
        virsh("undefine", "bad")


@case
def questions(daemon):
    """cpu-models, cpu-compare, cpu-baseline and their hypervisor kind"""
    assert "Skylake-Server" in virsh("cpu-models", "x86_64").split() and "POWER9" in virsh("cpu-models", "ppc64").split()
    fails("cpu-models", "bogus", contains="cannot find architecture bogus")
    virsh("hypervisor-cpu-compare", "--virttype", "qemu",
          write("a.xml", "<cpu match='exact'><model>Nehalem</model></cpu>"), "--error")
    fails("hypervisor-cpu-compare", "--virttype", "qemu", "--error",  # TCG has had x2apic since QEMU 9
          write("b.xml", "<cpu match='exact'><model>Haswell</model></cpu>"),
          contains=["Host CPU does not provide required features: pcid, ", "tsc-deadline, hle, invpcid, rtm"])
    caps = write("caps.xml", virsh("domcapabilities", "--virttype", "qemu"))
    assert "identical" in virsh("hypervisor-cpu-compare", "--virttype", "qemu", caps)
    one = write("c.xml", "<cpu><arch>x86_64</arch><model>Nehalem</model><feature name='aes'/></cpu>")
    base = re.sub(r">\s+<", "><", virsh("cpu-baseline", one))
    assert base == ("<cpu mode='custom' match='exact'><model fallback='forbid'>Nehalem</model>"
                    "<feature policy='require' name='aes'/></cpu>"), base
    fails("cpu-baseline", write("d.xml", "<cpu match='exact'><model>Nehalem</model></cpu>"),
          contains="Missing CPU architecture")


@case
def order(daemon):
    """<vcpus>: in the order that is asked for, and in the one they came to be"""
    virsh("define", write("order.xml", xml("order", "", "<vcpu current='3'>4</vcpu><vcpus>"
                                           "<vcpu id='0' enabled='yes' hotpluggable='no' order='1'/>"
                                           "<vcpu id='1' enabled='yes' hotpluggable='yes' order='3'/>"
                                           "<vcpu id='2' enabled='yes' hotpluggable='yes' order='2'/>"
                                           "<vcpu id='3' enabled='no' hotpluggable='yes'/></vcpus>")))
    virsh("start", "order")
    want = [("0", "yes", "no", "1"), ("1", "yes", "yes", "3"), ("2", "yes", "yes", "2"), ("3", "no", "yes", "")]
    assert vcpus_of("order") == want, vcpus_of("order")
    virsh("setvcpu", "order", "3", "--enable", "--live")
    assert vcpus_of("order")[3] == ("3", "yes", "yes", "4"), vcpus_of("order")
    fails("setvcpu", "order", "3", "--enable", "--live", contains="vcpu '3' is already in requested state")
    fails("setvcpu", "order", "0", "--disable", "--live", contains="vcpu '0' can't be unplugged")
    fails("setvcpu", "order", "9", "--enable", "--live", contains="vcpu 9 is not present in live config")
    end("order")


def agent_counts(name):
    """vCPUs as the guest agent sees them: (those there are, those online)."""
    rows = dict(re.findall(r"^(\w+)\s*: (\S*)$", virsh("guestvcpus", name), re.M))
    return rows["vcpus"], rows["online"]


TIMED_OUT = "vcpu unplug request timed out. Unplug result must be manually inspected in the domain"


def take_out(name, left, *command):
    """Linux lets go of a vCPU. QEMU 7.2 with TCG keeps the object and never says DEVICE_DELETED for it: then the call ends
    with libvirt's error, and whether it went only the guest tells."""
    status, text = virsh(*command, check=False, timeout=120)
    assert status == 0 or TIMED_OUT in text, text
    if status == 0:
        assert virsh("vcpucount", name, "--live") == str(left)
    wait_for("Linux without it", lambda: agent_counts(name)[0] == ("0-%d" % (left - 1) if left > 1 else "0"), 60)


@case
def linux(daemon):
    """a running Linux: vCPUs plugged, switched on and off by its agent, and taken out again"""
    agent = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
    fails("guestvcpus", "nobody", contains="failed to get domain")
    definition = domain_xml("lin", agent, kernel=linux_guest(agent=True), memory=320)
    virsh("create", write("lin.xml", definition.replace("<vcpu>1</vcpu>", "<vcpu current='1'>3</vcpu>")))
    wait_console("lin", "KITE-AGENT-UP", 180)
    wait_for("agent", lambda: virsh("qemu-agent-command", "lin", '{"execute":"guest-ping"}', check=False)[0] == 0, 60)
    assert agent_counts("lin") == ("0", "0"), virsh("guestvcpus", "lin")
    fails("setvcpus", "lin", "2", "--guest", contains="requested vcpu count is greater than the count of enabled vcpus "
                                                      "in the domain: 2 > 1")
    virsh("setvcpus", "lin", "3", "--live")
    assert virsh("vcpucount", "lin", "--live") == "3"
    wait_for("Linux sees them", lambda: agent_counts("lin")[0] == "0-2", 60)
    virsh("setvcpus", "lin", "3", "--guest")
    assert agent_counts("lin") == ("0-2", "0-2"), virsh("guestvcpus", "lin")
    assert virsh("vcpucount", "lin", "--guest") == "3"
    virsh("guestvcpus", "lin", "--cpulist", "2", "--disable")
    assert agent_counts("lin") == ("0-2", "0-1"), virsh("guestvcpus", "lin")
    fails("guestvcpus", "lin", "--cpulist", "0", "--disable", contains="vCPU '0' is not offlinable")
    fails("guestvcpus", "lin", "--cpulist", "7", "--enable", contains="guest is missing vCPUs '7'")
    virsh("setvcpus", "lin", "1", "--guest")
    assert virsh("vcpucount", "lin", "--guest") == "1" and virsh("vcpucount", "lin", "--live") == "3"
    take_out("lin", 2, "setvcpu", "lin", "2", "--disable", "--live")
    virsh("suspend", "lin")
    with events("lin") as log:
        fails("setvcpu", "lin", "1", "--disable", "--live", contains=TIMED_OUT)
        assert vcpus_of("lin")[1][1] == "yes" and "device-remov" not in log.text(), log.text()
    virsh("resume", "lin")
    wait_for("Linux without it", lambda: agent_counts("lin")[0] == "0", 60)
    if not PEER:  # which gives the domain up: its vCPUs no longer agree
        daemon.restart()
    assert virsh("domstate", "lin") == "running"
    virsh("destroy", "lin")


if __name__ == "__main__":
    sys.exit(main(setup=lambda: Daemon().start()))
