# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt-dbus, which cockpit-machines drives: methods, properties and signals over D-Bus, on qemu:///system."""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import kitehost
from kitehost import case, domain_xml, wait_for, write

try:
    from gi.repository import Gio, GLib
except ImportError:
    kitehost.skip_all("python3-gi is not installed")

BUS = "unix:path=" + kitehost.WORK + "/bus"
CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>%s</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow eavesdrop="false"/><allow own="*"/></policy></busconfig>""" % BUS
QEMU = "/org/libvirt/QEMU"
UUID = "0b0a0000-0000-4000-a000-000000000001"
DEVICES = """<graphics type='vnc' port='-1'/><video><model type='vga'/></video>
<interface type='user'><model type='virtio'/></interface>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='%s'/><target dev='vda' bus='virtio'/></disk>"""
bus = None
signals = []


def send(path, interface, method, signature="", *args):
    reply = bus.call_sync("org.libvirt", path, interface, method, GLib.Variant("(%s)" % signature, args), None, 0, 60000, None)
    return reply.unpack()


def call(path, method, signature="", *args):
    """A method of org.libvirt.Connect, .Domain, ...: 'Domain.Create'. Its only result, or the tuple of them."""
    values = send(path, "org.libvirt." + method.split(".")[0], method.split(".")[1], signature, *args)
    return values[0] if len(values) == 1 else values


def fails(path, method, signature, *args):
    try:
        call(path, method, signature, *args)
    except GLib.Error as e:
        return e.message
    raise AssertionError("%s%s did not fail" % (method, args))


def properties(path, interface):
    return send(path, "org.freedesktop.DBus.Properties", "GetAll", "s", "org.libvirt." + interface)[0]


def expect(what, *wanted):
    """These signals (name, arguments) arrive in this order; others may be between them. Forgets them."""
    def arrived():
        while GLib.MainContext.default().iteration(False):
            pass
        left = iter(list(signals))
        return all(any(s == w for s in left) for w in wanted)
    try:
        wait_for("signals", arrived, 20, 0.01)
    except AssertionError:
        raise AssertionError("%s: expected %s, got %s" % (what, wanted, signals))
    signals.clear()


def setup():
    global bus
    missing = [p for p in ("libvirt-dbus", "dbus-daemon") if not shutil.which(p)]
    if missing:
        raise kitehost.Skip("not installed: " + ", ".join(missing))
    daemon = kitehost.Daemon(*([] if kitehost.PEER else ["--also", "qemu"])).start()
    daemon.bus = subprocess.Popen(["dbus-daemon", "--nofork", "--config-file", write("bus.conf", CONFIG)],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for("bus", lambda: os.path.exists(kitehost.WORK + "/bus"))
    os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = BUS
    daemon.bridge = subprocess.Popen(["libvirt-dbus", "--system"], stderr=subprocess.DEVNULL)
    bus = Gio.bus_get_sync(Gio.BusType.SYSTEM)

    def up():
        try:
            return properties(QEMU, "Connect")["Version"]
        except GLib.Error:
            return 0
    wait_for("libvirt-dbus", up, 30)
    bus.signal_subscribe("org.libvirt", None, None, None, None, 0,
                         lambda conn, sender, path, interface, name, args: signals.append((name,) + args.unpack()))
    return daemon


def teardown(daemon):
    for process in daemon.bridge, daemon.bus:
        process.kill()
        process.wait()
    daemon.stop()


@case
def connection():
    """what cockpit asks a connection: properties, capabilities, lists, figures of the node"""
    have = properties(QEMU, "Connect")
    assert have["Version"] >= 4002000 and have["Hostname"] and have["Encrypted"] is False, have
    assert "<host>" in call(QEMU, "Connect.GetCapabilities")
    assert "<domainCapabilities>" in call(QEMU, "Connect.GetDomainCapabilities", "ssssu", "", "x86_64", "", "qemu", 0)
    assert "qemu64" in call(QEMU, "Connect.GetCPUModelNames", "su", "x86_64", 0)
    assert call(QEMU, "Connect.NodeGetFreeMemory") > 0
    assert {"total", "free", "buffers", "cached"} == set(call(QEMU, "Connect.NodeGetMemoryStats", "iu", -1, 0))
    assert {"kernel", "user", "idle", "iowait"} <= set(call(QEMU, "Connect.NodeGetCPUStats", "iu", -1, 0))
    assert True in call(QEMU, "Connect.NodeGetCPUMap", "u", 0)
    for kind in ("Domains", "Networks", "Interfaces", "NWFilters", "Secrets", "StoragePools"):
        assert isinstance(call(QEMU, "Connect.List" + kind, "u", 0), list), kind
    assert "no domain" in fails(QEMU, "Connect.DomainLookupByName", "s", "nonesuch")
    assert "no storage pool" in fails(QEMU, "Connect.StoragePoolLookupByName", "s", "nonesuch")
    assert "etwork" in fails(QEMU, "Connect.NetworkLookupByName", "s", "nonesuch")


@case
def life():
    """a domain defined, started, looked at, changed, stopped: each step's signals in libvirt's order"""
    disk, more = kitehost.WORK + "/bus.qcow2", kitehost.WORK + "/more.img"
    kitehost.run("qemu-img", "create", "-q", "-f", "qcow2", disk, "32M")
    kitehost.run("truncate", "-s", "1M", more)
    dom = call(QEMU, "Connect.DomainDefineXML", "s", domain_xml("bus", DEVICES % disk, vcpus=2, uuid=UUID))
    assert dom == QEMU + "/domain/_" + UUID.replace("-", "_")
    expect("define", ("DomainEvent", dom, 0, 0))
    have = properties(dom, "Domain")
    assert have["Active"] is False and have["Persistent"] is True and have["Name"] == "bus" and have["UUID"] == UUID, have
    call(dom, "Domain.Create", "u", 0)
    expect("start", ("DomainEvent", dom, 4, 0), ("DomainEvent", dom, 2, 0))
    assert call(dom, "Domain.GetState", "u", 0) == (1, 1) and properties(dom, "Domain")["Id"] > 0
    call(dom, "Domain.Suspend")
    call(dom, "Domain.Resume")
    expect("suspend, resume", ("DomainEvent", dom, 3, 0), ("DomainEvent", dom, 4, 0))

    figures = call(dom, "Domain.GetStats", "uu", 0, 0)
    assert figures["state.state"] == 1 and figures["block.0.name"] == "vda" and figures["net.count"] == 1, figures
    assert [s[0] for s in call(QEMU, "Connect.GetAllDomainStats", "uu", 0, 0)] == ["bus"]
    assert call(dom, "Domain.GetVcpus", "u", 0) == 2
    assert "total_bytes_sec" in call(dom, "Domain.GetBlockIOTune", "su", "vda", 0)
    assert call(dom, "Domain.GetJobInfo")[0] == 0 and call(dom, "Domain.GetBlockJobInfo", "su", "vda", 0) == (0, 0, 0, 0)
    assert "does not have an active block job" in fails(dom, "Domain.BlockJobAbort", "su", "vda", 0)
    assert call(dom, "Domain.ListDomainSnapshots", "u", 0) == [] and call(dom, "Domain.HasManagedSaveImage", "u", 0) is False
    assert "agent" in fails(dom, "Domain.GetHostname", "u", 0)
    assert call(dom, "Domain.MemoryStats", "u", 0)[6] == 192 * 1024

    call(dom, "Domain.SetMetadata", "isssu", 1, "a title", "", "", 0)
    assert call(dom, "Domain.GetMetadata", "isu", 1, "", 0) == "a title"
    call(dom, "Domain.PinVcpu", "uabu", 0, [True], 0)
    expect("pin", ("Tunable", {"cputune.vcpupin0": "0"}))
    xml = "<disk type='file' device='disk'><source file='%s'/><target dev='vdb' bus='virtio'/></disk>" % more
    call(dom, "Domain.AttachDevice", "su", xml, 1)
    expect("attach", ("DeviceAdded", "virtio-disk1"))
    assert "vdb" in call(dom, "Domain.GetXMLDesc", "u", 0) and "vdb" not in call(dom, "Domain.GetXMLDesc", "u", 2)

    reply, files = bus.call_with_unix_fd_list_sync("org.libvirt", dom, "org.libvirt.Domain", "OpenGraphicsFD",
                                                   GLib.Variant("(uu)", (0, 1)), None, 0, 20000, None, None)
    screen = files.get(reply.unpack()[0])
    assert os.read(screen, 12).startswith(b"RFB 003")
    os.close(screen)

    call(dom, "Domain.Destroy", "u", 0)
    expect("destroy", ("DomainEvent", dom, 5, 1))
    assert "not running" in fails(dom, "Domain.Destroy", "u", 0)
    call(dom, "Domain.Rename", "su", "other", 0)
    expect("rename", ("DomainEvent", dom, 1, 1), ("DomainEvent", dom, 0, 2))
    send(dom, "org.freedesktop.DBus.Properties", "Set", "ssv", "org.libvirt.Domain", "Autostart", GLib.Variant("b", True))
    have = properties(dom, "Domain")
    assert have["Name"] == "other" and have["Autostart"] is True, have
    call(dom, "Domain.Undefine", "u", 0)
    expect("undefine", ("DomainEvent", dom, 1, 0))
    assert "no domain" in fails(dom, "Domain.GetState", "u", 0)


@case
def transient():
    """DomainCreateXML: gone with its end"""
    dom = call(QEMU, "Connect.DomainCreateXML", "su", domain_xml("brief"), 0)
    expect("create", ("DomainEvent", dom, 4, 0), ("DomainEvent", dom, 2, 0))
    assert properties(dom, "Domain")["Persistent"] is False
    call(dom, "Domain.Destroy", "u", 0)
    expect("destroy", ("DomainEvent", dom, 5, 1))
    assert dom not in call(QEMU, "Connect.ListDomains", "u", 0)


@case
def storage():
    """a pool and a volume in it"""
    pool = call(QEMU, "Connect.StoragePoolDefineXML", "su",
                "<pool type='dir'><name>p</name><target><path>%s/pool</path></target></pool>" % kitehost.WORK, 0)
    call(pool, "StoragePool.Build", "u", 0)
    call(pool, "StoragePool.Create", "u", 0)
    expect("pool", ("StoragePoolEvent", pool, 0, 0), ("StoragePoolEvent", pool, 2, 0))
    volume = call(pool, "StoragePool.StorageVolCreateXML", "su", "<volume><name>v</name><capacity>1048576</capacity></volume>", 0)
    assert properties(volume, "StorageVol")["Path"] == kitehost.WORK + "/pool/v"
    assert call(volume, "StorageVol.GetInfo", "u", 0)[1] == 1048576
    assert call(pool, "StoragePool.ListStorageVolumes", "u", 0) == [volume]
    call(volume, "StorageVol.Delete", "u", 0)
    call(pool, "StoragePool.Destroy")
    call(pool, "StoragePool.Undefine")
    expect("pool's end", ("StoragePoolEvent", pool, 3, 0), ("StoragePoolEvent", pool, 1, 0))


@case
def daemon_goes_and_comes(daemon):
    """libvirt-dbus opens its connection again when the daemon is back"""
    daemon.restart()

    def back():
        try:
            return isinstance(call(QEMU, "Connect.ListDomains", "u", 0), list)
        except GLib.Error:
            return False
    wait_for("an answer", back, 20)
    dom = call(QEMU, "Connect.DomainDefineXML", "s", domain_xml("again"))
    expect("define", ("DomainEvent", dom, 0, 0))
    call(dom, "Domain.Undefine", "u", 0)


if __name__ == "__main__":
    kitehost.enter()
    sys.exit(kitehost.main(setup, teardown))
