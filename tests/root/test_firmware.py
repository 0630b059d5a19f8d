#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What stands beside a VM: UEFI chosen by the daemon and its variables, an emulated TPM, a folder served by virtiofsd."""
import os
import shutil
import sys

sys.path.insert(0, os.environ["abs_top_srcdir"] + "/tests/lib")
import kitehost  # noqa: E402
from kitehost import (PEER, WORK, Daemon, Skip, case, domain_xml, fails, processes, virsh, wait_for,  # noqa: E402
                      write)

DATA = "/var/lib/libvirt" if PEER else "/var/lib/kite"
NVRAM = DATA + ("/qemu/nvram" if PEER else "/nvram")
UUID = "7f1c8f4a-3b06-4f0b-9a61-0a3c2d5e7b11"
TPM = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'%s/></tpm>"

def uefi(name="uefi", devices="", firmware="efi", inner="", uuid=None):
    xml = domain_xml(name, "<emulator>/usr/bin/qemu-system-x86_64</emulator>" + devices, uuid=uuid, os_extra=inner)
    return write(name + ".xml", xml.replace("<os>", "<os firmware='%s'>" % firmware if firmware else "<os>"))


def need(*paths):
    for path in paths:
        if not (os.path.exists(path) if path[0] == "/" else shutil.which(path)):
            raise Skip("%s is not installed" % path)


def state():
    return os.path.isdir("%s/swtpm/%s" % (DATA, UUID))


@case
def firmware_is_chosen():
    """firmware='efi': the first image that fits, its variables, undefine with and without them"""
    need("/usr/share/qemu/firmware/60-edk2-x86_64.json")
    virsh("define", uefi())
    assert "<os firmware='efi'>" in virsh("dumpxml", "uefi")
    virsh("start", "uefi")
    live = virsh("dumpxml", "uefi")
    assert "<os>" in live and "<smm state='on'/>" in live, live
    assert "secure='yes' type='pflash'>/usr/share/OVMF/" in live, live
    assert ">%s/uefi_VARS.fd</nvram>" % NVRAM in live, live
    assert "<os firmware='efi'>" in virsh("dumpxml", "--inactive", "uefi")
    assert os.stat(NVRAM + "/uefi_VARS.fd").st_size > 65536
    virsh("destroy", "uefi")
    fails("undefine", "uefi", contains="cannot undefine domain with nvram")
    virsh("undefine", "--keep-nvram", "uefi")
    assert os.path.exists(NVRAM + "/uefi_VARS.fd")
    virsh("define", uefi())
    virsh("undefine", "--nvram", "uefi")
    assert not os.path.exists(NVRAM + "/uefi_VARS.fd")


@case
def firmware_by_features():
    """features, --reset-nvram, what is refused, no image"""
    need("/usr/share/qemu/firmware/60-edk2-x86_64.json")
    plain = "<firmware><feature enabled='no' name='secure-boot'/></firmware>"
    virsh("define", uefi(inner=plain))
    virsh("start", "uefi")
    live = virsh("dumpxml", "uefi")
    assert "secure='yes'" not in live and "<smm" not in live, live
    with open(NVRAM + "/uefi_VARS.fd", "r+b") as f:
        f.write(b"spoilt")
    virsh("destroy", "uefi")
    virsh("start", "--reset-nvram", "uefi")
    with open(NVRAM + "/uefi_VARS.fd", "rb") as f:
        assert f.read(6) != b"spoilt"
    virsh("destroy", "uefi")
    virsh("undefine", "--nvram", "uefi")
    both = "<firmware><feature enabled='no' name='secure-boot'/><feature enabled='yes' name='enrolled-keys'/></firmware>"
    fails("define", uefi(inner=both), contains="enrolled-keys")
    fails("define", uefi(inner="<loader readonly='yes'/>"), contains="readonly")
    fails("define", uefi(inner=plain, firmware=None), contains="autoselection")
    shutil.rmtree("/usr/share/qemu/firmware", ignore_errors=True)  # of this test's own /usr
    os.makedirs("/etc/qemu/firmware", exist_ok=True)
    for name in ("40-edk2-x86_64-secure-enrolled.json", "50-edk2-x86_64-secure.json", "60-edk2-x86_64.json"):
        open("/etc/qemu/firmware/" + name, "w").close()
    virsh("define", uefi())
    fails("start", "uefi", contains="Unable to find any firmware to satisfy 'efi'")
    virsh("undefine", "uefi")


@case
def tpm_lives_and_goes(daemon):
    """an emulated TPM: its program lives as long as the VM, its state until undefine"""
    need("swtpm", "swtpm_setup")
    virsh("define", uefi("tpm", TPM % "", firmware=None, uuid=UUID))
    virsh("start", "tpm")
    assert state()
    assert "<alias name='tpm0'/>" in virsh("dumpxml", "tpm")
    assert len(processes("swtpm socket")) >= 1
    daemon.restart()
    wait_for("running domain", lambda: "running" in virsh("domstate", "tpm"))
    virsh("destroy", "tpm")
    assert state()
    virsh("start", "tpm")
    virsh("destroy", "tpm")
    if not PEER:  # in that host others may have one
        wait_for("end of swtpm", lambda: not processes("swtpm socket"))
    virsh("undefine", "tpm")
    assert not state()


@case
def tpm_state_stays():
    """persistent_state, a transient domain's state, an encrypted one"""
    need("swtpm", "swtpm_setup")
    kept = uefi("tpm", TPM % " persistent_state='yes'", firmware=None, uuid=UUID)
    virsh("define", kept)
    virsh("start", "tpm")
    virsh("destroy", "tpm")
    virsh("undefine", "tpm")
    assert state()
    virsh("create", kept)
    virsh("destroy", "tpm")
    assert state()
    virsh("define", kept)
    virsh("undefine", "--tpm", "tpm")
    assert not state()
    virsh("create", uefi("tpm", TPM % "", firmware=None, uuid=UUID))
    assert state()
    virsh("destroy", "tpm")
    assert not state()
    secret = TPM.replace("/></tpm>", "><encryption secret='%s'/></backend></tpm>" % UUID) % ""
    virsh("define", uefi("tpm", secret, firmware=None, uuid=UUID))
    fails("start", "tpm", contains="no secret with matching uuid")
    assert not state()
    virsh("undefine", "tpm")


@case
def folder_of_the_host():
    """virtiofs: served as long as the VM runs"""
    need("/usr/lib/qemu/virtiofsd")
    device = ("<filesystem type='mount'><driver type='virtiofs'/><binary><sandbox mode='chroot'/></binary>"
              "<source dir='%s'/><target dir='share'/></filesystem>")
    shared = "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>"
    path = uefi("folder", device % WORK, firmware=None)
    with open(path) as f:
        text = f.read()
    fails("define", path, contains="shared memory")
    virsh("define", write("folder.xml", text.replace("<vcpu>", shared + "<vcpu>")))
    virsh("start", "folder")
    assert processes("virtiofsd")
    assert "<alias name='fs0'/>" in virsh("dumpxml", "folder")
    virsh("destroy", "folder")
    wait_for("end of virtiofsd", lambda: not processes("virtiofsd"))
    virsh("undefine", "folder")
    virsh("define", write("folder.xml", text.replace("<vcpu>", shared + "<vcpu>").replace(WORK + "'/><target", "/nowhere'/><target")))
    fails("start", "folder", contains="/nowhere")
    virsh("undefine", "folder")


if __name__ == "__main__":
    kitehost.enter()
    sys.exit(kitehost.main(lambda: Daemon().start()))
