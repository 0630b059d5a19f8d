# SPDX-License-Identifier: LGPL-2.1-or-later
"""What can be done to a running or shut off guest: devices in and out, media, memory, CPUs, limits, keys, pictures."""
import difflib
import os
import re
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import kitehost
from kitehost import PEER, WORK, case, domain_xml, events, fails, virsh, wait_console, wait_for, write


ROOT_PORTS = "<controller type='pci' index='0' model='pcie-root'/>" + "<controller type='pci' model='pcie-root-port'/>" * 12


def setup():
    os.mkdir(WORK + "/bin")
    os.environ["PATH"] = WORK + "/bin:" + os.environ["PATH"]
    return kitehost.Daemon().start()


def image(name, size="16M", kind="raw"):
    path = "%s/%s" % (WORK, name)
    kitehost.run("qemu-img", "create", "-q", "-f", kind, path, size)
    return path


def disk_xml(path, target, bus="virtio", kind="raw", extra="", device="disk"):
    source = "<source file='%s'/>" % path if path else ""
    return ("<disk type='file' device='%s'><driver name='qemu' type='%s'/>%s<target dev='%s' bus='%s'/>%s</disk>"
            % (device, kind, source, target, bus, extra))


def define(name, devices="", **kw):
    virsh("define", write(name + ".xml", domain_xml(name, devices, **kw)))


def start_linux(name, devices="", cmdline="kite.quiet", **kw):
    define(name, devices, kernel=kitehost.linux_guest(), cmdline=cmdline, **kw)
    virsh("start", name)
    wait_console(name, "KITE-GUEST-UP")


@case
def picture_of_the_screen():
    """screenshot: a picture with its type; errors for screens that are not there"""
    define("screen", "<video><model type='vga'/></video><graphics type='vnc' port='-1'/>")
    fails("screenshot", "screen", WORK + "/none.png", contains="domain is not running")
    virsh("start", "screen", "--paused")
    virsh("screenshot", "screen", WORK + "/screen.png")
    with open(WORK + "/screen.png", "rb") as f:
        assert f.read(8) == b"\x89PNG\r\n\x1a\n"
    fails("screenshot", "screen", WORK + "/none.png", "--screen", "7", contains="no such screen ID")
    virsh("destroy", "screen")
    define("blind")
    virsh("start", "blind", "--paused")
    fails("screenshot", "blind", WORK + "/none.png", contains="no screens to take screenshot from")
    virsh("destroy", "blind")


@case
def keys():
    """send-key in several codesets; a key that a set does not have"""
    virsh("start", "screen", "--paused")
    virsh("send-key", "screen", "KEY_LEFTCTRL", "KEY_LEFTALT", "KEY_DELETE")
    for codeset, code in (("linux", "30"), ("xt", "30"), ("atset1", "30"), ("atset2", "28"), ("atset3", "28"),
                          ("os_x", "0"), ("xt_kbd", "30"), ("usb", "4"), ("win32", "65"), ("rfb", "30")):
        virsh("send-key", "screen", "--codeset", codeset, code)
    virsh("send-key", "screen", "--holdtime", "20", "KEY_A")
    fails("send-key", "screen", "--codeset", "usb", "65000",
          contains="cannot translate keycode 65000 of usb codeset to qnum keycode")
    virsh("destroy", "screen")


@case
def display_descriptor():
    """a display opened through the daemon speaks VNC, at once when authentication is skipped"""
    program = ("import libvirt, os, socket, sys\n"
               "dom = libvirt.open('%s').lookupByName('screen')\n"
               "for how in ('fd', 'own'):\n"
               "    if how == 'fd':\n"
               "        s = socket.socket(fileno=dom.openGraphicsFD(0, libvirt.VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH))\n"
               "    else:\n"
               "        s, peer = socket.socketpair(); dom.openGraphics(0, peer.fileno(), 0); peer.close()\n"
               "    s.settimeout(10)\n"
               "    assert s.recv(12).startswith(b'RFB 003.'), how\n"
               "try:\n"
               "    dom.openGraphicsFD(4, 0)\n"
               "except libvirt.libvirtError as e:\n"
               "    assert e.get_error_code() == libvirt.VIR_ERR_INTERNAL_ERROR, e\n"
               "else:\n"
               "    sys.exit('index 4 was opened')\n" % kitehost.URI)
    virsh("start", "screen")
    kitehost.run("/usr/bin/python3", "-c", program)
    virsh("destroy", "screen")


def aliases(xml):
    return re.findall(r"<alias name='([^']*)'/>", xml)


def same(before, after, what):
    if before != after:
        raise AssertionError("%s:\n%s" % (what, "\n".join(difflib.unified_diff(before.split("\n"), after.split("\n"), "before",
                                                                              "after", "", "", 0))))


def live(name):
    return virsh("dumpxml", name)


def config(name):
    return virsh("dumpxml", name, "--inactive")


@case
def config_devices():
    """devices of every kind go into a definition and out again; the XML is what it was"""
    a, b, c = image("a.img"), image("b.img"), image("c.img")
    define("conf", disk_xml(a, "vda") + "<controller type='scsi' model='virtio-scsi'/><controller type='virtio-serial'/>"
           "<interface type='user'><model type='virtio'/></interface>")
    devices = {
        "disk": disk_xml(b, "vdb"),
        "scsi": disk_xml(b, "sda", "scsi"),
        "sata": disk_xml(b, "sdb", "sata"),
        "net": "<interface type='user'><mac address='52:54:00:aa:bb:01'/><model type='virtio'/></interface>",
        "channel": "<channel type='unix'><target type='virtio' name='org.kite.test.0'/></channel>",
        "serial": "<serial type='pty'><target port='1'/></serial>",
        "rng": "<rng model='virtio'><backend model='random'>/dev/random</backend></rng>",
        "input": "<input type='tablet' bus='virtio'/>",
        "sound": "<sound model='ich6'/>",
        "watchdog": "<watchdog model='i6300esb' action='reset'/>",
        "fs": "<filesystem type='mount'><source dir='/tmp'/><target dir='tmp'/></filesystem>",
        "vsock": "<vsock model='virtio'><cid auto='no' address='7'/></vsock>",
        "controller": "<controller type='scsi' index='3' model='virtio-scsi'/>",
    }
    before = config("conf")
    for name, xml in devices.items():
        path = write("dev.xml", xml)
        virsh("attach-device", "conf", path, "--config")
        between = config("conf")
        assert between != before, name
        virsh("detach-device", "conf", path, "--config")
        after = config("conf")
        # Root ports that were needed stay, as libvirt leaves them.
        trim = lambda text: re.sub(r"(?s)\s*<controller type='pci'[^>]*?(/>|>.*?</controller>)", "", text)
        same(trim(before), trim(after), name)
        before = after
    fails("attach-device", "conf", write("dev.xml", disk_xml(c, "vda")), "--config", contains="target vda already exists")
    fails("detach-device", "conf", write("dev.xml", disk_xml(c, "vdq")), "--config", contains="no target device vdq")
    fails("detach-device", "conf", write("dev.xml", devices["net"]), "--config",
          contains="matching MAC address '52:54:00:aa:bb:01'")
    fails("attach-device", "conf", write("dev.xml", "<memballoon model='virtio'/>"), "--config",
          contains="persistent attach of device 'memballoon' is not supported")
    fails("attach-device", "conf", write("dev.xml", devices["net"]), contains="domain is not running")
    virsh("update-device", "conf", write("dev.xml", disk_xml(c, "vda")), "--config")
    assert c in config("conf")
    fails("update-device", "conf", write("dev.xml", devices["rng"]), "--config",
          contains="persistent update of device 'rng' is not supported")


@case
def hot_plug():
    """disks, cards, rng and channels go into a running Linux and out of it; events tell; the XML is what it was"""
    a, b = image("hot-a.img", "32M"), image("hot-b.qcow2", "32M", "qcow2")
    start_linux("hot", "<controller type='virtio-serial'/><controller type='scsi' model='virtio-scsi'/>" + ROOT_PORTS, memory=256)
    devices = [
        ("virtio", disk_xml(a, "vdb")),
        ("qcow2", disk_xml(b, "vdc", kind="qcow2")),
        ("user net", "<interface type='user'><mac address='52:54:00:aa:bb:02'/><model type='virtio'/></interface>"),
        ("rng", "<rng model='virtio'><backend model='random'>/dev/random</backend></rng>"),
        ("channel", "<channel type='unix'><target type='virtio' name='org.kite.test.0'/></channel>"),
    ]
    with events("hot") as log:
        before = live("hot")
        for name, xml in devices:
            path = write("dev.xml", xml)
            virsh("attach-device", "hot", path, "--live")
            alias, = set(aliases(live("hot"))) - set(aliases(before))
            log.wait("'device-added' for domain 'hot': " + alias)
            if kitehost.PEER and name == "channel":  # libvirtd wants the path that it has chosen
                virsh("detach-device-alias", "hot", alias, "--live")
            else:
                virsh("detach-device", "hot", path, "--live")
            wait_for("end of " + name, lambda: alias not in aliases(live("hot")), 15)
            same(before, live("hot"), name)
            log.wait("'device-removed' for domain 'hot': " + alias)
        virsh("attach-device", "hot", write("dev.xml", disk_xml(a, "sda", "scsi")), "--live")
        assert "<alias name='scsi0-0-0-0'/>" in live("hot")
        virsh("detach-disk", "hot", "sda", "--live")
        same(before, live("hot"), "scsi")
    # twice the same, and both sides at once
    virsh("attach-disk", "hot", a, "vdb", "--live", "--config", "--driver", "qemu", "--subdriver", "raw")
    fails("attach-disk", "hot", b, "vdb", "--live", contains="target 'vdb' duplicated for disk sources")
    assert a in config("hot") and a in live("hot")
    fails("attach-device", "hot", write("dev.xml", disk_xml(b, "hda", "sata")), "--live", contains="cannot be hotplugged")
    fails("attach-device", "hot", write("dev.xml", disk_xml(WORK + "/nothere.img", "vdd")), "--live", contains="nothere.img")
    assert "vdd" not in live("hot")
    virsh("detach-disk", "hot", "vdb", "--live", "--config")
    wait_for("end of vdb", lambda: a not in live("hot"), 15)
    assert a not in config("hot")
    fails("detach-disk", "hot", "vdb", "--live")
    fails("attach-device", "hot", write("dev.xml", "<sound model='ich6'/>"), "--live",
          contains="live attach of device 'sound' is not supported")
    fails("detach-device", "hot", write("dev.xml", devices[2][1]), "--live", contains="no device found at address")
    # a full reconnect with what was plugged
    virsh("attach-interface", "hot", "user", "default", "--model", "virtio", "--mac", "52:54:00:aa:bb:03", "--live",
          check=False)
    virsh("destroy", "hot")


@case
def bridges_and_links():
    """a card on a bridge is plugged, moved to another bridge, and its link taken down"""
    for name in ("kbr0", "kbr1"):
        if kitehost.run("ip", "link", "add", name, "type", "bridge", check=False).returncode:
            raise kitehost.Skip("no bridges here")
        kitehost.run("ip", "link", "set", name, "up")
    define("links", ROOT_PORTS)
    virsh("start", "links")
    card = "<interface type='bridge'><mac address='52:54:00:aa:bb:04'/><source bridge='%s'/>%s<model type='virtio'/></interface>"
    virsh("attach-device", "links", write("dev.xml", card % ("kbr0", "")), "--live")
    tap = re.search(r"<target dev='(\w+)'/>", live("links")).group(1)
    port = lambda: re.search(r"master (\w+)", kitehost.run("ip", "-o", "link", "show", "dev", tap).stdout).group(1)
    assert port() == "kbr0"
    virsh("update-device", "links", write("dev.xml", card % ("kbr1", "")), "--live")
    assert port() == "kbr1" and "kbr1" in live("links")
    fails("update-device", "links", write("dev.xml", card % ("nobridge", "")), "--live")
    assert port() == "kbr1"
    virsh("domif-setlink", "links", tap, "down")
    assert virsh("domif-getlink", "links", tap).endswith("down")
    virsh("domif-setlink", "links", tap, "up")
    fails("update-device", "links", write("dev.xml", (card % ("kbr1", "")).replace("'virtio'", "'e1000'")), "--live",
          contains="cannot modify network device model from virtio to e1000")
    virsh("destroy", "links")
    assert kitehost.run("ip", "link", "show", "dev", tap, check=False).returncode


@case
def media():
    """the CD is changed, ejected and put in again; a bad medium leaves the old one in"""
    one, two = image("one.iso", "1M"), image("two.iso", "2M")
    define("cd", disk_xml(one, "sda", "sata", device="cdrom", extra="<readonly/>"))
    virsh("start", "cd")
    with events("cd") as log:
        virsh("change-media", "cd", "sda", two, "--live")
        assert two in live("cd") and one in config("cd")
        log.wait("opened")
        log.wait("closed")
        fails("change-media", "cd", "sda", WORK + "/nothere.iso", "--live", contains="nothere.iso")
        assert two in live("cd")
        virsh("change-media", "cd", "sda", "--eject", "--live")
        assert two not in live("cd") and "<source file" not in live("cd")
        virsh("change-media", "cd", "sda", one, "--insert", "--live", "--force")
        assert one in live("cd")
    hard = image("hard.img")
    fails("update-device", "cd", write("dev.xml", disk_xml(hard, "sda", "sata")), "--live",
          contains="cannot modify field 'device' of the disk")
    virsh("destroy", "cd")


@case
def display_password():
    """a display's password is changed while it runs; its port is not"""
    define("pass", "<graphics type='vnc' port='-1' passwd='old'/><video><model type='vga'/></video>")
    virsh("start", "pass")
    virsh("update-device", "pass", write("dev.xml", "<graphics type='vnc' port='-1' listen='127.0.0.1' passwd='new' connected='keep'/>"), "--live")
    assert "passwd='new'" in virsh("dumpxml", "pass", "--security-info")
    fails("update-device", "pass", write("dev.xml", "<graphics type='vnc' port='5999' listen='127.0.0.1' passwd='new'/>"), "--live",
          contains="cannot change port settings on vnc graphics")
    virsh("destroy", "pass")


@case
def open_vswitch():
    """a port of an Open vSwitch bridge with VLANs is made and removed; ovs-vsctl is one that only notes what it is told"""
    noted = WORK + "/ovs.log"
    with open(WORK + "/bin/ovs-vsctl", "w") as f:
        f.write('#!/bin/sh\necho "$@" >>%s\ncase "$*" in *refused*) echo no such bridge >&2; exit 1;; esac\n' % noted)
        os.fchmod(f.fileno(), 0o755)
    def told():
        with open(noted) as f:
            lines = f.read().replace('"', "").splitlines()
        os.unlink(noted)
        return lines
    uuid, port = "5ab1ab1a-0000-4000-8000-000000000001", "5ab1ab1a-0000-4000-8000-000000000002"
    card = ("<interface type='bridge'><mac address='52:54:00:00:77:%s'/><source bridge='%s'/><target dev='%s'/>"
            "<vlan%s</vlan><virtualport type='openvswitch'><parameters interfaceid='" + port + "'/></virtualport></interface>")
    for bridge in "br-int", "refused":
        kitehost.run("ip", "link", "add", bridge, "type", "bridge")
    trunk = " trunk='yes'><tag id='42' nativeMode='untagged'/><tag id='47'/>"
    virsh("create", write("ovs.xml", domain_xml("ovs", ROOT_PORTS + card % ("01", "br-int", "ovs0", trunk), memory=64, uuid=uuid,
                                                serial_log=False)))
    def ids(name, mac):
        return " ".join("-- set Interface %s external-ids:%s" % (name, pair) for pair in (
            "attached-mac=52:54:00:00:77:" + mac, "iface-id=" + port, "vm-id=" + uuid, "iface-status=active"))
    made = told()
    assert made == ["--timeout=5 -- --may-exist add-port br-int ovs0 vlan_mode=native-untagged tag=42 trunk=42,47 "
                    + ids("ovs0", "01")], made
    plug = write("ovs-card.xml", card % ("02", "br-int", "ovs1", "><tag id='7'/>"))
    virsh("attach-device", "ovs", plug, "--live")
    made = told()
    assert made == ["--timeout=5 -- --may-exist add-port br-int ovs1 tag=7 " + ids("ovs1", "02")], made
    fails("attach-device", "ovs", write("bad.xml", card % ("03", "refused", "ovs2", "><tag id='7'/>")), "--live",
          contains="Unable to add")
    told()
    virsh("destroy", "ovs")
    gone = wait_for("removal", lambda: os.path.exists(noted) and told())
    assert {"--timeout=5 -- --if-exists del-port ovs0", "--timeout=5 -- --if-exists del-port ovs1"} <= set(gone), gone


@case
def dirty_rate():
    """domdirtyrate-calc in all modes and what domstats makes of it"""
    virsh("create", write("dirty.xml", domain_xml("dirty", memory=256, serial_log=False)))
    def told():
        return dict(line.strip().split("=", 1) for line in virsh("domstats", "dirty", "--dirtyrate").splitlines()[1:])
    assert told() == {"dirtyrate.calc_status": "0", "dirtyrate.calc_start_time": "0", "dirtyrate.calc_period": "0",
                      "dirtyrate.calc_mode": "page-sampling"}, told()
    for seconds in "0", "61":
        fails("domdirtyrate-calc", "dirty", "--seconds", seconds, contains="please choose value within [1, 60]")
    fails("domdirtyrate-calc", "dirty", "--mode", "dirty-ring",
          contains="dirty-ring calculation mode requires dirty-ring feature enabled")
    virsh("domdirtyrate-calc", "dirty", "--seconds", "1", "--mode", "page-sampling")
    wait_for("result", lambda: told()["dirtyrate.calc_status"] == "2", 30)
    found = told()
    assert (found["dirtyrate.calc_mode"], found["dirtyrate.calc_period"]) == ("page-sampling", "1"), found
    assert int(found["dirtyrate.calc_start_time"]) > 0 and int(found["dirtyrate.megabytes_per_second"]) >= 0, found
    if not PEER:  # kills QEMU 7.2
        fails("domdirtyrate-calc", "dirty", "--mode", "dirty-bitmap", contains="dirty-bitmap calculation mode requires KVM")
    virsh("destroy", "dirty")


def io_threads(name, *options):
    """CPUs that virsh iothreadinfo tells, by number."""
    return dict(re.findall(r"^ *([0-9]+) +(\S+)$", virsh("iothreadinfo", name, *options), re.M))


@case
def memory_and_processors():
    """setmem, setmaxmem, setvcpus, setvcpu: definition and running Linux; pins; I/O threads"""
    start_linux("size", vcpus=1, memory=256, extra="")
    fails("setmem", "size", "512M", "--live", contains="cannot set memory higher than max memory")
    with events("size") as log:
        virsh("setmem", "size", "200M", "--live", "--config")
        wait_for("balloon", lambda: "<currentMemory unit='KiB'>204800" in live("size"), 20)
        log.wait("balloon-change")
        virsh("vcpupin", "size", "0", "0", "--live", "--config")
        log.wait("cputune.vcpupin0")
    assert "<currentMemory unit='KiB'>204800" in config("size")
    assert "<vcpupin vcpu='0' cpuset='0'/>" in live("size") and "<vcpupin vcpu='0' cpuset='0'/>" in config("size")
    virsh("emulatorpin", "size", "0", "--live")
    assert "<emulatorpin cpuset='0'/>" in live("size") and "<emulatorpin" not in config("size")
    fails("setmaxmem", "size", "512M", "--live", contains="cannot resize the maximum memory on an active domain")
    virsh("setmaxmem", "size", "512M", "--config")
    assert "<memory unit='KiB'>524288" in config("size") and "<memory unit='KiB'>262144" in live("size")
    fails("setvcpus", "size", "2", "--live", contains="requested vcpus is greater than max allowable")
    virsh("setvcpus", "size", "3", "--maximum", "--config")
    virsh("setvcpus", "size", "2", "--config")
    assert ">3</vcpu>" in config("size") and "current='2'" in config("size")
    virsh("iothreadadd", "size", "7", "--live", "--config")
    assert "<iothread id='7'" in live("size") and re.search(r"^ *7 ", virsh("iothreadinfo", "size"), re.M)
    fails("iothreadadd", "size", "7", "--live", contains="an IOThread is already using iothread_id '7'")
    virsh("iothreadset", "size", "7", "--poll-max-ns", "1000", "--live")
    virsh("iothreadadd", "size", "9", "--live")
    everywhere = virsh("emulatorpin", "size", "--config").split()[-1]  # of the others nothing is said
    assert io_threads("size") == {"7": everywhere, "9": everywhere}, io_threads("size")
    virsh("iothreaddel", "size", "7", "--live", "--config")
    assert io_threads("size") == {"9": everywhere} and io_threads("size", "--config") == {}
    assert "iothread.count=1" in virsh("domstats", "size", "--iothread")
    fails("iothreaddel", "size", "7", "--live", contains="cannot find IOThread '7'")
    virsh("iothreaddel", "size", "9", "--live")
    assert io_threads("size") == {} and "iothread." not in virsh("domstats", "size", "--iothread")
    virsh("emulatorpin", "size", "0", "--config")
    virsh("destroy", "size")
    virsh("start", "size")
    assert re.search(r"CPU Affinity: +%s$" % ("y" * os.cpu_count()), virsh("vcpuinfo", "size"), re.M)
    assert virsh("vcpucount", "size", "--live", "--active") == "2"
    virsh("setvcpus", "size", "3", "--live")
    assert virsh("vcpucount", "size", "--live", "--active") == "3"
    virsh("destroy", "size")


@case
def limits():
    """tuning of CPU, memory, block I/O, NUMA: kept in the definition; limits of a disk and a card while it runs"""
    a = image("limits.img")
    define("limits", disk_xml(a, "vda"))
    virsh("schedinfo", "limits", "--config", "--set", "cpu_shares=2048", "--set", "vcpu_period=50000")
    assert "<shares>2048</shares>" in config("limits") and "<period>50000</period>" in config("limits")
    fails("schedinfo", "limits", "--config", "--set", "vcpu_period=5", contains="out of range")
    virsh("memtune", "limits", "--hard-limit", "1G", "--config")
    assert "<hard_limit unit='KiB'>1048576" in config("limits")
    virsh("blkiotune", "limits", "--weight", "200", "--device-read-bytes-sec", "/dev/sda,1000", "--config")
    assert "<weight>200</weight>" in config("limits") and "/dev/sda" in config("limits")
    virsh("blkiotune", "limits", "--device-read-bytes-sec", "/dev/sda,0", "--config")
    assert "/dev/sda" not in config("limits")
    virsh("numatune", "limits", "--mode", "preferred", "--nodeset", "0", "--config")
    assert "<memory mode='preferred' nodeset='0'/>" in config("limits")
    virsh("numatune", "limits", "--mode", "strict", "--nodeset", "0", "--config")
    virsh("memtune", "limits", "--hard-limit", "-1", "--config")
    virsh("schedinfo", "limits", "--config", "--set", "cpu_shares=0", "--set", "vcpu_period=0")
    virsh("numatune", "limits", "--mode", "strict", "--nodeset", "0", "--config")
    virsh("define", write("limits.xml", domain_xml("limits", disk_xml(a, "vda"),
                                                   uuid=virsh("domuuid", "limits"))))
    virsh("start", "limits", "--paused")
    with events("limits") as log:
        virsh("blkdeviotune", "limits", "vda", "--total-bytes-sec", "1000000", "--live", "--config")
        log.wait("blkdeviotune.total_bytes_sec: 1000000")
    assert "<total_bytes_sec>1000000" in live("limits") and "<total_bytes_sec>1000000" in config("limits")
    assert "1000000" in virsh("qemu-monitor-command", "limits", '{"execute":"query-block"}')
    fails("blkdeviotune", "limits", "vda", "--total-bytes-sec", "1", "--read-bytes-sec", "1", "--live",
          contains="cannot be set at the same time")
    virsh("blkdeviotune", "limits", "vda", "--total-bytes-sec", "0", "--live", "--config")
    assert "total_bytes_sec" not in live("limits") and "total_bytes_sec" not in config("limits")
    virsh("blockresize", "limits", "vda", "32M")
    assert os.path.getsize(a) == 32 << 20
    fails("blockresize", "limits", "vdx", "32M", contains="was not found in the domain config")
    virsh("domblkthreshold", "limits", "vda", "1000")
    virsh("destroy", "limits")


@case
def core_file():
    """a core of the guest's memory is a file that readelf knows; --crash ends the guest"""
    define("core", memory=64)
    virsh("start", "core")
    virsh("dump", "core", WORK + "/core.1", "--memory-only", "--live")
    with open(WORK + "/core.1", "rb") as f:
        assert f.read(4) == b"\x7fELF"
    assert virsh("domstate", "core") == "running"
    fails("dump", "core", WORK + "/nowhere/core", "--memory-only", contains="nowhere")
    assert virsh("domstate", "core") == "running"
    virsh("dump", "core", WORK + "/core.2", "--memory-only", "--crash")
    assert virsh("domstate", "core", "--reason") == "shut off (crashed)"


@case
def room_for_more():
    """a definition that names no machine has room for disks to be plugged, as with libvirt's default machine"""
    virsh("define", write("room.xml", "<domain type='qemu'><name>room</name><memory unit='MiB'>64</memory><os><type>hvm</type></os>"
                          "<devices/></domain>"))
    virsh("start", "room", "--paused")
    for target in ("vda", "vdb", "vdc"):
        virsh("attach-disk", "room", image("room-%s.img" % target), target, "--persistent")
    assert virsh("domblklist", "room").count("room-vd") == 3
    virsh("destroy", "room")
    virsh("undefine", "room")


if __name__ == "__main__":
    kitehost.enter()
    sys.exit(kitehost.main(setup))
