# SPDX-License-Identifier: LGPL-2.1-or-later
"""Domains on kite-vmm whose guest is the freestanding one (tests/guest): what the tests of tests/root/test_vmm*.py share."""
import os
import shutil

import kitehost
from kitehost import virsh, write

VMM = "/usr/libexec/kite-vmm"
KERNEL = kitehost.WORK + "/guest.elf"
ROOT_PORTS = ("<controller type='pci' index='0' model='pcie-root'/>" +
              "<controller type='pci' model='pcie-root-port'/>" * 12)


def setup():
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise kitehost.Skip("no /dev/kvm")
    guest = os.path.join(kitehost.BUILD, "tests/guest/test-guest.elf")
    if not os.path.exists(guest):
        raise kitehost.Skip("no freestanding guest: make tests/guest/test-guest.elf")
    shutil.copy(guest, KERNEL)
    return kitehost.Daemon().start()


def xml(name, test, devices="", memory=64, vcpus=1, emulator="", extra="", machine="q35", kernel=KERNEL, os_extra="",
        memory_xml=""):
    """A definition whose guest runs one test of tests/guest/guest.c; its serial port is copied to a file."""
    memory_xml = memory_xml or "<memory unit='MiB'>%d</memory>" % memory
    vcpus = vcpus if str(vcpus).startswith("<") else "<vcpu>%s</vcpu>" % vcpus
    return f"""<domain type='kvm'><name>{name}</name>{memory_xml}{vcpus}
<os><type arch='x86_64' machine='{machine}'>hvm</type><kernel>{kernel}</kernel><cmdline>{test}</cmdline>{os_extra}</os>
<features><acpi/><apic/></features>{extra}
<devices>{emulator}<serial type='pty'><log file='{kitehost.WORK}/{name}.console'/></serial>{devices}</devices></domain>"""


def define(name, test, **kw):
    virsh("define", write(name + ".xml", xml(name, test, **kw)))


def start(name, test, **kw):
    """Defines and starts it, and waits until the guest runs."""
    define(name, test, **kw)
    virsh("start", name)
    kitehost.wait_console(name, "guest " + test.split()[0])


def state(name):
    return virsh("domstate", name, "--reason")


def run_dir(name):
    return "/run/kite/domains/" + name


def vmm_pids():
    return kitehost.processes(r"^" + VMM)


def gone(name):
    virsh("destroy", name)
    virsh("undefine", name)


def image(name, size="4M", kind="raw"):
    path = "%s/%s" % (kitehost.WORK, name)
    if kind == "raw":
        with open(path, "wb") as f:
            f.truncate(int(size[:-1]) << 20)
    elif shutil.which("qemu-img"):
        kitehost.run("qemu-img", "create", "-q", "-f", kind, path, size)
    else:
        raise kitehost.Skip("no qemu-img")
    return path


def disk(path, target, bus="virtio", kind="raw", device="disk", driver="", extra=""):
    source = "<source file='%s'/>" % path if path else ""
    return ("<disk type='file' device='%s'><driver name='qemu' type='%s'%s/>%s<target dev='%s' bus='%s'/>%s</disk>"
            % (device, kind, driver, source, target, bus, extra))
