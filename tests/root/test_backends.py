# SPDX-License-Identifier: LGPL-2.1-or-later
"""Devices that firmware can use, used by it: every disk bus read, every character back end written, every card model
sending; what happens to guests while no daemon looks; helper programs that die.

The guest is a boot sector: SeaBIOS loads it, it reads the disk's second sector through the firmware and sends it to
the first serial port some eighteen times a second. No kernel of any distribution has drivers for all of these.
"""
import contextlib
import os
import re
import signal
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import kitehost
from kitehost import WORK, case, domain_xml, virsh, wait_console, wait_for, write

BOOT_SECTOR = bytes.fromhex("31c0 8ed8 8ec0"   # ds = es = 0
                            "bb007e b80102 b90200 b600 cd13"  # int 13h: one sector, the second one, to 0x7e00
                            "720e"             # not read: wait for ever
                            "be007e"           # again: from the text's beginning
                            "ac 84c0 7406"     # until its NUL
                            "baf803 ee ebf5"   # to COM1
                            "f4 ebef")         # until the next tick, and again


def boot_disk(name, text):
    path = "%s/%s.boot" % (WORK, name)
    with open(path, "wb") as f:
        f.write(BOOT_SECTOR.ljust(510, b"\0") + b"\x55\xaa" + text.encode().ljust(512, b"\0"))
        f.truncate(1 << 20)
    return path


def machine(name, devices, kind="q35", boot="hd", log=False):
    xml = domain_xml(name, devices, memory=32, machine=kind, os_extra="<boot dev='%s'/>" % boot, serial_log=log)
    return write(name + ".xml", xml if log else xml.replace("<serial type='pty'></serial>", ""))


def disk(name, bus, target, text):
    return ("<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='%s'/>"
            "<target dev='%s' bus='%s'/></disk>" % (boot_disk(name, text), target, bus))


def setup():
    return kitehost.Daemon().start()


@case
def disk_buses():
    """firmware boots from and reads a disk on virtio, SCSI, SATA, USB and IDE"""
    buses = [("q35", "virtio", "vda", ""), ("q35", "scsi", "sda", "<controller type='scsi' model='virtio-scsi'/>"),
             ("q35", "sata", "sda", ""), ("q35", "usb", "sda", "<controller type='usb' model='qemu-xhci'/>"),
             ("pc", "ide", "hda", ""), ("pc", "virtio", "vda", ""), ("pc", "usb", "sda", ""),
             ("pc", "scsi", "sda", "<controller type='scsi' model='lsilogic'/>")]
    for kind, bus, target, controller in buses:
        name = "%s-%s" % (kind, bus)
        virsh("create", machine(name, disk(name, bus, target, "read by %s\n" % name) + controller, kind, log=True))
    for kind, bus, _, _ in buses:
        name = "%s-%s" % (kind, bus)
        wait_console(name, "read by " + name, 90)
        if bus != "usb":
            figures = virsh("domblkstat", name)
            assert int(re.search(r"rd_req (\d+)", figures).group(1)) > 0, figures
        virsh("destroy", name)


def connected(family, address):
    """The first text line that comes out of a listening back end."""
    with socket.socket(family) as s:
        s.settimeout(30)
        s.connect(address)
        data = b""
        while data.count(b"\n") < 3:
            piece = s.recv(4096)
            assert piece, "the back end closed the connection"
            data += piece
    return data.decode(errors="replace")


@case
def character_back_ends():
    """a serial port on file, unix, tcp (raw, telnet, connecting), udp, pipe, null and dev back ends, with and without log"""
    os.mkfifo(WORK + "/ends.pipe.in")
    os.mkfifo(WORK + "/ends.pipe.out")
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 5811))
    server = socket.create_server(("127.0.0.1", 5812))
    unix_server = socket.socket(socket.AF_UNIX)
    unix_server.bind(WORK + "/ends.server")
    unix_server.listen()
    pty, slave = os.openpty()
    ends = {
        "file": "<serial type='file'><source path='%s/ends.file'/>%%s</serial>" % WORK,
        "unix": "<serial type='unix'><source mode='bind' path='%s/ends.sock'/>%%s</serial>" % WORK,
        "unixc": "<serial type='unix'><source mode='connect' path='%s/ends.server'/>%%s</serial>" % WORK,
        "tcp": "<serial type='tcp'><source mode='bind' host='127.0.0.1' service='5813'/><protocol type='raw'/>%s</serial>",
        "telnet": "<serial type='tcp'><source mode='bind' host='127.0.0.1' service='5814'/><protocol type='telnet'/>%s</serial>",
        "tcpc": "<serial type='tcp'><source mode='connect' host='127.0.0.1' service='5812'/><protocol type='raw'/>%s</serial>",
        "udp": "<serial type='udp'><source mode='bind' host='127.0.0.1' service='5815'/>"
               "<source mode='connect' host='127.0.0.1' service='5811'/>%s</serial>",
        "null": "<serial type='null'>%s</serial>",
        "pipe": "<serial type='pipe'><source path='%s/ends.pipe'/>%%s</serial>" % WORK,
        "dev": "<serial type='dev'><source path='%s'/>%%s</serial>" % os.ttyname(slave),
    }
    for name, end in ends.items():
        log = "<log file='%s/%s.log' append='off'/>" % (WORK, name) if name in ("unix", "tcp", "null", "file", "pipe") else ""
        target = "<target type='isa-serial' port='0'/>"
        device = (end % (log + target)) + disk(name, "virtio", "vda", "word of %s\n" % name)
        virsh("create", machine(name, device))

    def said(name, text):
        assert "word of %s\n" % name in text.replace("\r", ""), (name, text)
    try:
        for name in ("null", "file", "unix", "tcp", "pipe"):
            wait_for("log of " + name, lambda: "word of %s\n" % name in read(WORK + "/%s.log" % name), 60)
        wait_for("file", lambda: "word of file\n" in read(WORK + "/ends.file"), 60)
        said("unix", connected(socket.AF_UNIX, WORK + "/ends.sock"))
        said("unix", connected(socket.AF_UNIX, WORK + "/ends.sock"))  # and once more: it listens again
        said("tcp", connected(socket.AF_INET, ("127.0.0.1", 5813)))
        said("telnet", connected(socket.AF_INET, ("127.0.0.1", 5814)))
        for name, listener in (("tcpc", server), ("unixc", unix_server)):
            peer, _ = listener.accept()
            peer.settimeout(30)
            wait_for("words of " + name, lambda: ("word of %s" % name).encode() in peer.recv(4096), 30)
            peer.close()
        udp.settimeout(30)
        said("udp", "".join(udp.recv(4096).decode() for _ in range(60)))
        with open(WORK + "/ends.pipe.out", "rb") as f:
            said("pipe", f.read(200).decode())
        said("dev", "".join(os.read(pty, 4096).decode(errors="replace") for _ in range(20)))
        # What the XML says of them is what was asked for, and a new daemon says the same.
        assert "service='5813'" in virsh("dumpxml", "tcp") and "ends.sock" in virsh("dumpxml", "unix")
    finally:
        for name in ends:
            virsh("destroy", name, check=False)
        for s in (udp, server, unix_server):
            s.close()
        os.close(pty)
        os.close(slave)


def read(path):
    try:
        with open(path, errors="replace") as f:
            return f.read()
    except FileNotFoundError:
        return ""


@contextlib.contextmanager
def wire(name):
    """A packet socket that sees what goes over an interface."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as s:
        s.bind((name, 0))
        s.settimeout(1)
        yield s


def dhcp_from(s, mac):
    wanted = bytes.fromhex(mac.replace(":", ""))
    with contextlib.suppress(socket.timeout):
        frame = s.recv(65536)
        return frame[6:12] == wanted and frame[12:14] == b"\x08\x00"
    return False


@case
def card_models():
    """e1000e, rtl8139, e1000 and multiqueue virtio cards send through bridge and ethernet interfaces"""
    if kitehost.run("ip", "link", "add", "kcards", "type", "bridge", check=False).returncode:
        raise kitehost.Skip("no bridges here")
    kitehost.run("ip", "link", "set", "kcards", "up")
    kitehost.run("ip", "tuntap", "add", "kown0", "mode", "tap", "multi_queue")
    bridge = "<interface type='bridge'><source bridge='kcards'/>%s</interface>"
    cards = {
        "e1000e": bridge % "<mac address='52:54:00:0c:00:01'/><model type='e1000e'/><rom enabled='yes'/>",
        "rtl8139": bridge % "<mac address='52:54:00:0c:00:02'/><model type='rtl8139'/>",
        "e1000": bridge % "<mac address='52:54:00:0c:00:03'/><model type='e1000'/>",
        "virtio": bridge % "<mac address='52:54:00:0c:00:04'/><model type='virtio'/><driver name='qemu' queues='2'/>",
        "single": bridge % "<mac address='52:54:00:0c:00:05'/><model type='virtio'/><target dev='kone'/><mtu size='1400'/>",
        "ether": "<interface type='ethernet'><mac address='52:54:00:0c:00:06'/><target dev='kether'/><model type='virtio'/></interface>",
        "own": "<interface type='ethernet'><mac address='52:54:00:0c:00:07'/><target dev='kown0' managed='no'/>"
               "<model type='virtio'/><driver name='qemu' queues='2'/></interface>",
    }
    for number, (name, card) in enumerate(cards.items(), 1):
        virsh("create", machine(name, card, "pc" if name in ("rtl8139", "e1000") else "q35", boot="network"))
        xml = virsh("dumpxml", name)
        tap = re.search(r"<target dev='(\w+)'", xml).group(1)
        link = kitehost.run("ip", "link", "show", "dev", tap).stdout
        if name == "own":
            kitehost.run("ip", "link", "set", "kown0", "up")
        with wire(tap) as s:
            wait_for("a packet of " + name, lambda: dhcp_from(s, "52:54:00:0c:00:%02x" % number), 60, 0)
        figures = virsh("domifstat", name, tap)
        assert int(re.search(r"rx_packets (\d+)|tx_packets (\d+)", figures).group(1) or 1) >= 0, figures
        assert name != "single" or "mtu 1400" in link, link
        virsh("destroy", name)
        there = kitehost.run("ip", "link", "show", "dev", tap, check=False).returncode == 0
        assert there == (name == "own"), tap
    if os.path.exists("/dev/vhost-net"):
        virsh("create", machine("vhost", bridge % "<model type='virtio'/><driver name='vhost'/>", boot="network"))
        assert any("vhost" in file for pid in kitehost.processes("guest=vhost") for file in kitehost.open_files(pid))
        virsh("destroy", "vhost")


def linux(name, devices="", **kw):
    write(name + ".xml", domain_xml(name, devices, kernel=kitehost.linux_guest(), **kw))
    virsh("define", "%s/%s.xml" % (WORK, name))
    virsh("start", name)
    wait_console(name, "KITE-GUEST-UP")


def say(name, words):
    """Types a line on the guest's console, once the shell there has asked for one."""
    wait_console(name, "/ # ")
    fd = os.open(virsh("ttyconsole", name), os.O_RDWR | os.O_NOCTTY)
    os.write(fd, words.encode() + b"\n")
    wait_console(name, words[:30], 20)  # its echo: QEMU has taken it
    os.close(fd)


@case
def while_no_daemon_looks(daemon):
    """a device given back and a power-off while the daemon is dead are noticed by the next one"""
    ports = "<controller type='pci' model='pcie-root'/>" + "<controller type='pci' model='pcie-root-port'/>" * 4
    kitehost.run("truncate", "-s", "1M", WORK + "/gone.img")
    linux("gone", ports + "<disk type='file' device='disk'><source file='%s/gone.img'/><target dev='vdb'/></disk>" % WORK)
    alias = re.search(r"<target dev='vdb'.*?<alias name='([^']+)'", virsh("dumpxml", "gone"), re.S).group(1)
    pid = kitehost.processes("guest=gone")[0]
    say("gone", "while [ -e /sys/block/vda ]; do usleep 20000; done; echo DISK-IS-$((40+2))")
    # Its processor stands still while the request is made, so that the answer comes when nobody listens.
    virsh("suspend", "gone")
    virsh("detach-device-alias", "gone", alias, "--live")
    assert "vdb" in virsh("dumpxml", "gone")
    virsh("resume", "gone")
    daemon.kill9()
    wait_console("gone", "DISK-IS-42", 30)
    daemon.start()
    wait_for("the disk's end", lambda: "vdb" not in virsh("dumpxml", "gone"), 15)
    assert virsh("domstate", "gone") == "running"
    say("gone", "sleep 1; poweroff -f")
    daemon.kill9()
    wait_for("the guest's end", lambda: "Power down" in kitehost.console_text("gone") or not os.path.exists("/proc/%d" % pid) or
             "System halted" in kitehost.console_text("gone"), 30)
    daemon.start()
    wait_for("its end noticed", lambda: virsh("domstate", "gone") == "shut off", 15)
    assert kitehost.PEER or os.listdir("/run/kite/domains") == []
    virsh("undefine", "gone")


@case
def user_network_helper_dies():
    """kill -9 of passt (or what serves <interface type='user'>): the guest and its daemon go on; destroy leaves nothing"""
    # passt wants a way out of the host.
    for words in ("link add out type bridge", "addr add 192.0.2.2/24 dev out", "link set out up", "route add default via 192.0.2.1"):
        if kitehost.run("ip", *words.split(), check=False).returncode:
            raise kitehost.Skip("no interfaces here")
    virsh("create", machine("helped", "<interface type='user'>%s<model type='virtio'/></interface>"
                            % ("" if kitehost.PEER else "<backend type='passt'/>") + disk("helped", "virtio", "vda", "going on\n"), log=True))
    wait_console("helped", "going on")
    helpers = kitehost.processes(r"^\S*passt")
    if not helpers and not kitehost.PEER:
        raise kitehost.Skip("passt is not installed")
    for pid in helpers:
        os.kill(pid, signal.SIGKILL)
    wait_for("the helper's end", lambda: not kitehost.processes(r"^\S*passt"), 10)
    assert virsh("domstate", "helped") == "running"
    length = len(kitehost.console_text("helped"))
    wait_for("its next words", lambda: len(kitehost.console_text("helped")) > length, 20)
    virsh("domstats", "helped")
    virsh("dumpxml", "helped")
    virsh("destroy", "helped")
    assert "helped" not in virsh("list", "--all", "--name").split()
    assert not kitehost.processes(r"^\S*passt|guest=helped")


if __name__ == "__main__":
    kitehost.enter()
    sys.exit(kitehost.main(setup))
