# SPDX-License-Identifier: LGPL-2.1-or-later
"""Unmodified virsh: the everyday commands about host, capabilities and domains, and what other drivers answer."""
import difflib
import os
import re
import sys
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import kitehost
from kitehost import case, domain_xml, fails, virsh, wait_console, wait_for, write


def setup():
    daemon = kitehost.Daemon().start()
    return daemon


@case
def connection():
    """version, uri, hostname, type and alive"""
    assert virsh("uri") == kitehost.URI
    assert virsh("hostname")
    assert "hypervisor: QEMU" in virsh("version")
    assert virsh("-r", "uri") == kitehost.URI
    assert kitehost.PEER or virsh("uri", uri="qemu:///system?socket=/run/libvirt/virtkited-sock").startswith("qemu:///system")
    fails("list", uri=kitehost.URI.replace("system", "nonsense"))


@case
def host():
    """node information"""
    info = virsh("nodeinfo")
    assert "CPU model:           x86_64" in info
    assert int(re.search(r"CPU\(s\): +(\d+)", info).group(1)) == os.cpu_count()
    assert "user:" in virsh("nodecpustats") and "total" in virsh("nodememstats")
    assert "CPUs present:" in virsh("nodecpumap")
    assert "KiB" in virsh("freecell") or "kB" in virsh("freecell")
    virsh("freepages", "--all")
    assert int(virsh("maxvcpus", "--type", "kvm")) >= 16
    virsh("sysinfo", check=False)
    virsh("node-memory-tune")


@case
def capabilities():
    """capabilities and domain capabilities are what clients need, and validate"""
    caps = ET.fromstring(virsh("capabilities"))
    assert caps.find("host/cpu/arch").text == "x86_64"
    assert caps.find("host/topology/cells/cell/cpus/cpu").get("siblings")
    arch = [a for a in caps.findall("guest/arch") if a.get("name") == "x86_64"][0]
    assert "qemu" in [d.get("type") for d in arch.findall("domain")]
    assert {"pc", "q35"} <= {m.text for m in arch.findall("machine")}
    domcaps = ET.fromstring(virsh("domcapabilities", "--arch", "x86_64", "--virttype", "qemu"))
    assert "virtio" in [v.text for v in domcaps.findall("devices/disk/enum[@name='bus']/value")]
    for machine in ("pc", "q35"):
        assert ET.fromstring(virsh("domcapabilities", "--machine", machine, "--virttype", "qemu")).find("machine") is not None
    for name, text in (("capability", virsh("capabilities")), ("domaincaps", virsh("domcapabilities", "--virttype", "qemu"))):
        schema = "/usr/share/libvirt/schemas/%s.rng" % name
        if os.path.exists(schema):
            path = write(name + ".xml", text)
            kitehost.run("xmllint", "--noout", "--relaxng", schema, path)
    assert "qemu64" in virsh("cpu-models", "x86_64")


@case
def other_drivers():
    """network, storage, node device, interface, secret and filter calls: empty lists, right errors"""
    for args in (("net-list", "--all"), ("pool-list", "--all"), ("iface-list", "--all"),
                 ("secret-list",), ("nwfilter-list",), ("nwfilter-binding-list",)):
        virsh(*args)
    virsh("nodedev-list")
    fails("net-info", "nonesuch", contains="Network not found")
    fails("pool-info", "nonesuch", contains="Storage pool not found")
    fails("vol-info", "/nonesuch")
    fails("nodedev-dumpxml", "nonesuch", contains="ode device not found")
    fails("secret-dumpxml", "00000000-0000-4000-8000-000000000000", contains="Secret not found")
    fails("nwfilter-dumpxml", "nonesuch", contains="filter not found")


@case
def definition_round_trip():
    """what dumpxml gives can be defined again and stays the same; the live XML too"""
    kernel = kitehost.linux_guest()
    devices = """
    <interface type='user'><model type='virtio'/></interface>
    <disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <graphics type='vnc' port='-1' listen='127.0.0.1'/><video><model type='vga'/></video>
    <input type='tablet' bus='usb'/><rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    <watchdog model='i6300esb' action='reset'/><panic model='isa'/>"""
    virsh("define", write("rt.xml", domain_xml("rt", devices, kernel=kernel)))
    # libvirt puts controllers that it added into another order the second time; after that it must be stable.
    virsh("define", write("rt1.xml", virsh("dumpxml", "rt")))
    first = virsh("dumpxml", "rt")
    virsh("define", write("rt2.xml", first))
    again = virsh("dumpxml", "rt")
    assert again == first, "\n".join(difflib.unified_diff(first.splitlines(), again.splitlines(), lineterm=""))
    schema = "/usr/share/libvirt/schemas/domain.rng"
    if os.path.exists(schema):
        kitehost.run("xmllint", "--noout", "--relaxng", schema, write("rt.xml", first))
    virsh("define", "--validate", kitehost.WORK + "/rt2.xml")
    virsh("start", "rt")
    live = virsh("dumpxml", "rt")
    if os.path.exists(schema):
        kitehost.run("xmllint", "--noout", "--relaxng", schema, write("rt-live.xml", live))
    root = ET.fromstring(live)
    assert int(root.find("devices/graphics").get("port")) >= 5900
    assert root.find("devices/serial/source").get("path").startswith("/dev/pts/")
    assert root.find("devices/serial/alias").get("name") == "serial0"
    assert virsh("vncdisplay", "rt").startswith("127.0.0.1:")
    assert virsh("ttyconsole", "rt").startswith("/dev/pts/")
    virsh("define", write("rt3.xml", live))
    # What a run adds and stays true of the definition: its CPU spelled out, its place among control groups.
    first, kept = (re.sub(r"  <(cpu|resource)\b.*?</\1>\n", "", xml, flags=re.S)
                   for xml in (first, virsh("dumpxml", "--inactive", "rt")))
    assert kitehost.PEER or kept == first, "\n".join(difflib.unified_diff(first.splitlines(), kept.splitlines(), lineterm=""))
    virsh("dumpxml", "--migratable", "rt")
    virsh("dumpxml", "--update-cpu", "rt")


@case
def running_guest():
    """read commands about a running guest"""
    wait_console("rt", "KITE-GUEST-UP")
    info = virsh("dominfo", "rt")
    assert "State:          running" in info and "OS Type:        hvm" in info
    assert "CPU time" in virsh("vcpuinfo", "rt")
    assert virsh("vcpucount", "rt", "--maximum", "--live") == "1"
    if not kitehost.PEER:  # libvirtd wants a cgroup for it
        virsh("cpu-stats", "rt", "--total")
    assert "actual" in virsh("dommemstat", "rt")
    assert "sda" in virsh("domblklist", "rt")
    virsh("domiflist", "rt")
    assert virsh("domcontrol", "rt").startswith("ok")
    assert "None" in virsh("domjobinfo", "rt")
    assert "No errors" in virsh("domblkerror", "rt")
    assert "status" in virsh("qemu-monitor-command", "rt", "--pretty", '{"execute":"query-status"}')
    assert "VM status: running" in virsh("qemu-monitor-command", "rt", "--hmp", "info status")
    stats = virsh("domstats", "rt", "--raw")
    for key in ("state.state=1", "cpu.time", "balloon.current", "vcpu.0.state", "net.count=1", "block.count=1"):
        assert key in stats, (key, stats)
    virsh("domstats", "--list-active", "--enforce", "--state", "--vcpu")
    virsh("domstats", "--list-active", "--nowait", "--backing", "--block", "--iothread", "--dirtyrate", "--perf")
    assert "rd_bytes" in virsh("domblkstat", "rt")
    fails("domblkinfo", "rt", "sda", contains=["disk 'sda' does not currently have a source assigned"])
    assert "0" in virsh("vcpupin", "rt") and "cpu_time" not in virsh("emulatorpin", "rt")
    fails("domblkstat", "rt", "nix", contains=["invalid path: nix"])
    fails("domifstat", "rt", "nix", contains=["'nix' is not a known interface"])
    fails("blkdeviotune", "rt", "nix", contains=["disk 'nix' not found in domain"])
    fails("blkdeviotune", "rt", "sda", contains=["inserted entry was not in expected format"])
    assert "total_bytes_sec" in virsh("blkdeviotune", "rt", "sda", "--config") and "numa_mode" in virsh("numatune", "rt")
    virsh("dommemstat", "rt", "--period", "3", "--live", "--config")
    assert "<stats period='3'/>" in virsh("dumpxml", "rt") and "<stats period='3'/>" in virsh("dumpxml", "--inactive", "rt")
    virsh("screenshot", "rt", kitehost.WORK + "/shot.ppm")
    with open(kitehost.WORK + "/shot.ppm", "rb") as f:
        assert f.read(2) in (b"P6", b"\x89P")
    virsh("send-key", "rt", "KEY_LEFTCTRL", "KEY_C")
    virsh("send-key", "rt", "--codeset", "xt", "30")
    virsh("inject-nmi", "rt")


@case
def media_change():
    """cdrom: insert, change and eject"""
    for n in (1, 2):
        path = kitehost.WORK + "/cd%d" % n
        os.makedirs(path, exist_ok=True)
        kitehost.run("xorriso", "-as", "mkisofs", "-quiet", "-V", "CD%d" % n, "-o", path + ".iso", path)
    virsh("change-media", "rt", "sda", kitehost.WORK + "/cd1.iso", "--insert", "--live")
    assert "cd1.iso" in virsh("domblklist", "rt")
    virsh("change-media", "rt", "sda", kitehost.WORK + "/cd2.iso", "--update", "--live", "--config")
    assert "cd2.iso" in virsh("domblklist", "rt") and "cd2.iso" in virsh("domblklist", "rt", "--inactive")
    virsh("change-media", "rt", "sda", "--eject", "--live")
    assert "iso" not in virsh("domblklist", "rt")


@case
def console_by_stream():
    """virsh console talks to the guest's shell"""
    import pexpect_lite
    with pexpect_lite.Terminal(["virsh", "-c", kitehost.URI, "console", "rt"]) as t:
        t.expect("Escape character", 10)
        t.ask("\n", "#", 20)
        t.send("echo $((6*7))-answer\n")
        t.expect("42-answer", 20)
        t.send("\x1d")
        t.wait(10)
    # A second console is refused while one is open, unless forced.
    with pexpect_lite.Terminal(["virsh", "-c", kitehost.URI, "console", "rt"]) as t:
        t.expect("Escape character", 10)
        t.ask("\n", "#", 20)
        status, text = virsh("console", "rt", check=False)
        assert status == 1, text
        t.send("\x1d")
        t.wait(10)


@case
def events():
    """virsh event sees the life of a domain in order"""
    with kitehost.events(None, probe="rt") as log:
        virsh("define", write("ev.xml", domain_xml("ev")))
        virsh("start", "ev")
        virsh("suspend", "ev")
        virsh("resume", "ev")
        virsh("destroy", "ev")
        virsh("undefine", "ev")
        log.wait("Undefined Removed")
        got = re.findall(r"event 'lifecycle' for domain '?ev'?: (.*)", log.text())
    want = ["Defined Added", "Resumed Unpaused", "Started Booted", "Suspended Paused", "Resumed Unpaused",
            "Stopped Destroyed", "Undefined Removed"]
    assert [e for e in got if not e.startswith("Shutdown")] == want, got


@case
def messages(daemon):
    """what makes a run hard to support is told while it lasts, over a restart of the daemon too"""
    xml = domain_xml("odd", machine="pc", serial_log=False).replace("<domain ", "<domain xmlns:qemu='http://libvirt.org/"
                                                                    "schemas/domain/qemu/1.0' ")
    xml = xml.replace("</domain>", "<qemu:commandline><qemu:env name='ODD' value='1'/></qemu:commandline></domain>")
    old = ET.fromstring(virsh("capabilities")).find("guest/arch[@name='x86_64']/machine[@deprecated='yes']")
    if old is not None:
        xml = xml.replace("machine='pc'", "machine='%s'" % old.text)
    virsh("define", write("odd.xml", xml))
    assert "tainted" not in virsh("dominfo", "odd")
    virsh("start", "odd", "--paused")
    for again in (True, False):
        told = virsh("dominfo", "odd")
        assert "tainted: custom configuration parameters specified" in told, told
        assert old is None or "deprecated configuration: machine type '%s'" % old.text in told, told
        assert ("tainted: use of deprecated configuration settings" in told) == (old is not None), told
        if again:
            daemon.restart()
    virsh("destroy", "odd")
    assert "tainted" not in virsh("dominfo", "odd")
    virsh("undefine", "odd")


@case
def done_with_it():
    """destroy --graceful and undefine leave no domain"""
    virsh("destroy", "rt", "--graceful")
    virsh("undefine", "rt", "--nvram")
    assert virsh("list", "--all", "--name") == ""


if __name__ == "__main__":
    kitehost.enter()
    sys.exit(kitehost.main(setup))
