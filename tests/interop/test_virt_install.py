# SPDX-License-Identifier: LGPL-2.1-or-later
"""virt-install: --import, direct kernel boot, --cdrom on a small ISO, --print-xml; what it made runs and is listed."""
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import kitehost
from kitehost import case, virsh, wait_console, wait_for


def setup():
    if not shutil.which("virt-install"):
        kitehost.skip_all("virt-install is not installed")
    return kitehost.Daemon().start()


def virt_install(*args, timeout=120):
    return kitehost.run("virt-install", "--connect", kitehost.URI, "--virt-type", "qemu", "--memory", "256",
                        "--osinfo", "detect=on,require=off", "--network", "none", *args, timeout=timeout).stdout


def serial(name):
    return "file,path=%s/%s.console" % (kitehost.WORK, name)


@case
def direct_kernel():
    """--boot kernel=,initrd= boots Linux"""
    kernel, initrd = kitehost.linux_guest()
    virt_install("--name", "direct", "--disk", "none", "--graphics", "none", "--console", "none", "--serial", serial("direct"),
                 "--boot", "kernel=%s,initrd=%s,kernel_args=console=ttyS0 quiet kite.quiet" % (kernel, initrd),
                 "--noautoconsole", "--import")
    wait_console("direct", "KITE-GUEST-UP")
    assert virsh("domstate", "direct") == "running"
    assert "direct" in virsh("list", "--all", "--persistent", "--name").split()
    virsh("destroy", "direct")
    virsh("undefine", "direct")


@case
def import_disk():
    """--import of a qcow2 with graphics"""
    disk = kitehost.WORK + "/import.qcow2"
    kitehost.run("qemu-img", "create", "-q", "-f", "qcow2", disk, "64M")
    virt_install("--name", "imported", "--disk", "path=%s,format=qcow2,bus=virtio" % disk, "--import", "--graphics", "vnc",
                 "--noautoconsole")
    assert virsh("domstate", "imported") == "running"
    assert virsh("vncdisplay", "imported")
    virsh("destroy", "imported")
    virsh("undefine", "imported")


@case
def cdrom():
    """--cdrom on an ISO made here: the firmware starts its boot sector"""
    folder = kitehost.WORK + "/iso"
    os.makedirs(folder, exist_ok=True)
    # A boot sector that writes to COM1: mov dx,0x3f8; mov si,text; loop lodsb/out; then cli/hlt.
    text = b"KITE-CD-BOOT\r\n"
    start = bytes([0x31, 0xC0, 0x8E, 0xD8, 0xBA, 0xF8, 0x03, 0xBE, 0x16, 0x7C, 0xAC, 0x84, 0xC0, 0x74, 0x03, 0xEE,
                   0xEB, 0xF8, 0xFA, 0xF4, 0xEB, 0xFC])
    with open(folder + "/boot.bin", "wb") as f:
        f.write((start + text + b"\0").ljust(2048, b"\0"))
    iso = kitehost.WORK + "/cd.iso"
    kitehost.run("xorriso", "-as", "mkisofs", "-quiet", "-b", "boot.bin", "-no-emul-boot", "-boot-load-size", "4",
                 "-o", iso, folder)
    disk = kitehost.WORK + "/cd.qcow2"
    kitehost.run("qemu-img", "create", "-q", "-f", "qcow2", disk, "64M")
    virt_install("--name", "cd", "--disk", "path=%s,format=qcow2" % disk, "--cdrom", iso, "--graphics", "none", "--console", "none",
                 "--serial", serial("cd"), "--noautoconsole", "--wait", "0")
    wait_console("cd", "KITE-CD-BOOT", 60)
    virsh("destroy", "cd")
    xml = virsh("dumpxml", "--inactive", "cd")
    assert "cd.iso" not in xml or "device='cdrom'" in xml
    virsh("undefine", "cd")


@case
def print_xml():
    """--print-xml for several machines is accepted by define --validate"""
    for number, extra in enumerate(((), ("--machine", "q35", "--boot", "menu=on", "--cpu", "host-model"),
                                    ("--machine", "pc", "--vcpus", "4,sockets=1,cores=2,threads=2", "--sound", "ich9"))):
        xml = virt_install("--name", "print%d" % number, "--disk", "none", "--import", "--graphics", "vnc", "--print-xml", *extra)
        xml = xml[xml.index("<domain"):]
        virsh("define", "--validate", kitehost.write("print.xml", xml))
        virsh("undefine", "print%d" % number)


if __name__ == "__main__":
    kitehost.enter()
    sys.exit(kitehost.main(setup))
