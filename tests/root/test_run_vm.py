#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real QEMU processes under the back end, without the daemon (tests/lib/run_vm): a boot sector that greets on the serial
port boots from a disk on every bus and both machines, and wrong definitions fail with the right words and leave nothing.
TCG only; taps need root and are skipped without."""
import glob
import os
import shutil
import socket
import subprocess
import sys
import tempfile

RUN_VM = os.path.join(os.environ.get("abs_top_builddir", "."), "tests/lib/run_vm")
COUNT = 0


def boot_sector(text):
    """16-bit code that writes text to COM1 and halts; drawn as bytes so that no assembler is needed."""
    code = bytearray.fromhex("fafc31c08ed8be0000ac84c07406ba f803ee ebf5 f4ebfd")
    where = 0x7C00 + len(code)
    code[7:9] = bytes([where & 0xFF, where >> 8])
    code += text.encode() + b"\0"
    return bytes(code) + bytes(510 - len(code)) + b"\x55\xaa"


def domain(name, devices, machine="q35", os_extra="", kind="qemu", extra=""):
    return f"""<domain type='{kind}'><name>{name}</name><memory unit='MiB'>96</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='{machine}'>hvm</type>{os_extra}</os><features><acpi/><apic/></features>{extra}
<devices>{devices}</devices></domain>"""


def disk(path, target, bus, kind="raw", device="disk"):
    return (f"<disk type='file' device='{device}'><driver name='qemu' type='{kind}'/><source file='{path}'/>"
            f"<target dev='{target}' bus='{bus}'/></disk>")


def run(place, xml, *options):
    path = os.path.join(place, "vm.xml")
    with open(path, "w") as out:
        out.write(xml)
    return subprocess.run([RUN_VM, *options, os.path.join(place, "run"), path], capture_output=True, text=True,
                          timeout=120)


def check(what, good, result=None):
    global COUNT
    COUNT += 1
    print(f"{'ok' if good else 'not ok'} {COUNT} - {what}", flush=True)
    if not good and result is not None:
        for line in (result.stdout + result.stderr).splitlines():
            print("#", line)
    return good


def boots(place):
    image = os.path.join(place, "boot.raw")
    with open(image, "wb") as out:
        out.write(boot_sector("KITE-BOOTED\r\n") + bytes(1 << 20))
    floppy = os.path.join(place, "floppy.img")
    with open(floppy, "wb") as out:
        out.write(boot_sector("KITE-BOOTED\r\n").ljust(1474560, b"\0"))
    scsi = "<controller type='scsi' index='0' model='{}'/>"
    serial = "<serial type='pty'/>"
    hd = "<boot dev='hd'/>"
    cases = [
        ("virtio on q35", disk(image, "vda", "virtio"), "q35", hd),
        ("sata on q35", disk(image, "sda", "sata"), "q35", hd),
        ("usb on q35", disk(image, "sda", "usb"), "q35", hd),
        ("virtio-scsi on q35", disk(image, "sda", "scsi") + scsi.format("virtio-scsi"), "q35", hd),
        ("lsilogic on pc", disk(image, "sda", "scsi") + scsi.format("lsilogic"), "pc", hd),
        ("ide on pc", disk(image, "hda", "ide"), "pc", hd),
        ("virtio on pc", disk(image, "vda", "virtio"), "pc", hd),
        ("floppy on pc", disk(floppy, "fda", "fdc", device="floppy"), "pc", "<boot dev='fd'/>"),
    ]
    for name, devices, machine, boot in cases:
        result = run(place, domain("boot", devices + serial, machine, boot), "--until", "KITE-BOOTED", "--seconds", "60",
                     "--reconnect")
        check(f"boots from {name}", result.returncode == 0, result)
    if shutil.which("qemu-img"):
        for kind in ("qcow2", "vmdk", "vdi", "qed"):
            copy = os.path.join(place, "boot." + kind)
            subprocess.run(["qemu-img", "convert", "-O", kind, image, copy], check=True)
            result = run(place, domain("boot", disk(copy, "vda", "virtio", kind) + serial, os_extra=hd), "--until",
                         "KITE-BOOTED", "--seconds", "60")
            check(f"boots from {kind}", result.returncode == 0, result)


def refusals(place):
    busy = socket.socket()
    busy.bind(("127.0.0.1", 0))
    busy.listen()
    port = busy.getsockname()[1]
    cases = [
        ("a missing folder", disk(place + "/no/x.raw", "vda", "virtio"), f"folder '{place}/no'"),
        ("a missing image", disk(place + "/none.raw", "vda", "virtio"), "Cannot access storage file"),
        ("an image of another format", disk(place + "/boot.raw", "vda", "virtio", "qcow2"), "not in qcow2 format"),
        ("an absent bridge", "<interface type='bridge'><source bridge='kite-none'/></interface>", "kite-none"),
        ("an unknown network", "<interface type='network'><source network='n1'/></interface>", "name 'n1'"),
        ("a busy port", f"<graphics type='vnc' port='{port}' autoport='no'/>", "already in use"),
    ]
    for name, devices, words in cases:
        if "port" in name and port < 5900:
            continue
        result = run(place, domain("wrong", devices), "--seconds", "0")
        left = [n for n in os.listdir(os.path.join(place, "run")) if n.endswith(".sock")]
        check(f"refuses {name}", result.returncode == 1 and words in result.stderr and not left, result)
    busy.close()


def linux(place):
    kernels = glob.glob("/boot/vmlinuz-*cloud*")
    if not kernels:
        check("boots Linux # SKIP no cloud kernel in /boot", True)
        return
    xml = domain("linux", "<interface type='user'><model type='virtio'/></interface><serial type='pty'/>",
                 os_extra=f"<kernel>{kernels[0]}</kernel><cmdline>console=ttyS0 panic=-1</cmdline>")
    result = run(place, xml.replace(">96<", ">256<"), "--until", "Kernel panic - not syncing: VFS", "--seconds", "100")
    check("boots Linux as far as a root file system is needed", result.returncode == 0, result)


def taps(place):
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        check("taps # SKIP needs root and /dev/net/tun", True)
        return
    xml = domain("taps", "<interface type='ethernet'><target dev='kitetest0'/><model type='virtio'/>"
                 "<driver queues='2'/></interface>")
    result = run(place, xml, "--seconds", "1")
    check("a tap of two queues", result.returncode == 0 and not os.path.exists("/sys/class/net/kitetest0"), result)


def main():
    if not shutil.which("qemu-system-x86_64"):
        print("1..0 # SKIP qemu-system-x86_64 is not installed")
        return 0
    place = tempfile.mkdtemp(prefix="kite-run-vm-")
    try:
        boots(place)
        refusals(place)
        linux(place)
        taps(place)
    finally:
        shutil.rmtree(place)
    print(f"1..{COUNT}")
    return 0


sys.exit(main())
