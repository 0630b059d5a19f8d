# SPDX-License-Identifier: LGPL-2.1-or-later
"""Devices of domains under kite-vmm: what may stand in a definition, what can be plugged, changed and taken out."""
import glob
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import kitehost
from kitehost import WORK, case, console_text, events, fails, virsh, wait_console, wait_for, write
from vmmguest import ROOT_PORTS, VMM, define, disk, gone, image, setup, start, state, vmm_pids, xml

SCSI = "<controller type='scsi' index='0' model='virtio-scsi'/>"


def images(pid):
    """Images that the process has open."""
    links = [os.readlink("/proc/%d/fd/%s" % (pid, f)) for f in os.listdir("/proc/%d/fd" % pid)]
    return sorted({os.path.basename(link) for link in links if link.endswith(".iso")})


@case
def scsi():
    """SCSI disks and a CD-ROM: sizes, statistics, read-only, plug and unplug; the controller comes with the first disk"""
    one, two, iso = image("one.raw"), image("two.qcow2", "8M", "qcow2"), image("one.iso", "2M")
    start("scsi", "obey", devices=ROOT_PORTS + SCSI + disk(one, "sda", "scsi", extra="<serial>S1</serial><vendor>ACME</vendor>"
                                                             "<product>Disk</product><wwn>5000c50015ea71aa</wwn>")
          + disk(iso, "sdb", "scsi", device="cdrom", extra="<readonly/>"))
    live = virsh("dumpxml", "scsi")
    assert VMM in live and "<serial>S1</serial>" in live, live
    assert "Capacity:       4194304" in virsh("domblkinfo", "scsi", "sda")
    assert "Capacity:       2097152" in virsh("domblkinfo", "scsi", "sdb")
    assert "rd_req" in virsh("domblkstat", "scsi", "sda")
    with events("scsi") as log:
        virsh("attach-disk", "scsi", two, "sdc", "--targetbus", "scsi", "--subdriver", "qcow2", "--live")
        log.wait("device-added")
        assert "Capacity:       8388608" in virsh("domblkinfo", "scsi", "sdc")
        virsh("detach-disk", "scsi", "sdc", "--live")
        log.wait("device-removed")
    assert "sdc" not in virsh("domblklist", "scsi")
    fails("attach-disk", "scsi", two, "sdd", "--targetbus", "sata", "--live", contains="cannot be hotplugged")
    virsh("blockresize", "scsi", "sda", "6M")
    assert "Capacity:       6291456" in virsh("domblkinfo", "scsi", "sda")
    gone("scsi")
    # without a controller in the definition: plugged first
    start("scsi", "obey", devices=ROOT_PORTS)
    virsh("attach-device", "scsi", write("sd.xml", disk(two, "sda", "scsi", "qcow2")), "--live", check=False)
    fails("attach-device", "scsi", write("c.xml", "<controller type='scsi' index='0' model='lsilogic'/>"), "--live")
    assert state("scsi").startswith("running")
    gone("scsi")


@case
def media():
    """media come and go: change-media in its forms, update-device, an image that is missing or in use, the tray"""
    first, second = image("first.iso", "1M"), image("second.iso", "3M")
    start("cd", "spin", devices=SCSI + disk(first, "sda", "scsi", device="cdrom") + disk(None, "sdb", "scsi", device="cdrom"))
    pid = vmm_pids()[0]
    assert images(pid) == ["first.iso"]
    with events("cd") as log:
        virsh("change-media", "cd", "sda", "--eject", "--live")
        log.wait("tray-change")
    assert "first.iso" not in virsh("domblklist", "cd")
    assert images(pid) == []
    fails("change-media", "cd", "sda", "--eject", "--live", contains="doesn't have media")
    virsh("change-media", "cd", "sda", second, "--insert", "--live")
    assert "Capacity:       3145728" in virsh("domblkinfo", "cd", "sda"), virsh("domblkinfo", "cd", "sda")
    virsh("change-media", "cd", "sda", first, "--update", "--live")
    assert "Capacity:       1048576" in virsh("domblkinfo", "cd", "sda")
    fails("change-media", "cd", "sda", WORK + "/missing.iso", "--update", "--live", contains="missing.iso")
    assert "first.iso" in virsh("domblklist", "cd")
    virsh("update-device", "cd", write("cd.xml", disk(second, "sdb", "scsi", device="cdrom")), "--live")
    assert "second.iso" in virsh("domblklist", "cd")
    assert "Capacity:       3145728" in virsh("domblkinfo", "cd", "sdb")
    assert images(pid) == ["first.iso", "second.iso"]
    assert state("cd").startswith("running")
    gone("cd")


@case
def throttle_group():
    """disks of one group have their limits in common: from the start, after a change of one, plugged in with several queues"""
    tune = "<iotune><total_iops_sec>500</total_iops_sec><group_name>both</group_name></iotune>"
    paths = [image("tg%d.raw" % i, "1M") for i in range(3)]
    start("tg", "spin", devices=ROOT_PORTS + disk(paths[0], "vda", extra=tune) + disk(paths[1], "vdb", extra=tune))
    assert VMM in virsh("dumpxml", "tg")

    def groups():
        answer = json.loads(virsh("qemu-monitor-command", "tg", '{"execute":"query-block"}'))["return"]
        return [(b["inserted"].get("group"), b["inserted"]["iops"]) for b in answer]

    assert groups() == [("both", 500)] * 2, groups()
    virsh("blkdeviotune", "tg", "vdb", "--total-iops-sec", "800", "--group-name", "both", "--live")
    assert groups() == [("both", 800)] * 2, groups()
    shown = virsh("blkdeviotune", "tg", "vda")
    assert re.search(r"total_iops_sec *: 800", shown) and re.search(r"group_name *: both", shown), shown
    virsh("attach-device", "tg", write("tg.xml", disk(paths[2], "vdc", driver=" queues='2'",
                                                              extra=tune.replace("500", "800"))), "--live")
    names = [open(p, encoding="ascii").read() for p in glob.glob("/proc/%d/task/*/comm" % vmm_pids()[0])]
    assert os.cpu_count() == 1 or "IO helper0\n" in names, names
    assert groups() == [("both", 800)] * 3, groups()
    virsh("blkdeviotune", "tg", "vdc", "--total-iops-sec", "100", "--group-name", "alone", "--live")
    assert groups() == [("both", 800)] * 2 + [("alone", 100)], groups()
    gone("tg")


@case
def memory_growth(daemon):
    """virtio-mem: described, changed while it runs, plugged; the balloon beside it"""
    extra = "<cpu mode='host-passthrough'><numa><cell id='0' cpus='0' memory='64' unit='MiB'/></numa></cpu>"
    mem = ("<memory model='virtio-mem'><target><size unit='MiB'>%d</size><node>0</node><block unit='MiB'>2</block>"
           "<requested unit='MiB'>%d</requested></target></memory>")
    start("mem", "spin", extra=extra, devices=ROOT_PORTS + mem % (256, 0),
          memory_xml="<maxMemory slots='4' unit='MiB'>1024</maxMemory><memory unit='MiB'>320</memory>")
    live = virsh("dumpxml", "mem")
    assert VMM in live, live
    assert re.search(r"<requested unit='KiB'>0</requested>", live), live
    virsh("update-memory-device", "mem", "--requested-size", "64MiB", "--live")
    assert "<requested unit='KiB'>65536</requested>" in virsh("dumpxml", "mem")
    fails("update-memory-device", "mem", "--requested-size", "65537KiB", "--live", contains="requested")
    virsh("attach-device", "mem", write("mem.xml", mem % (128, 128)), "--live")
    live = virsh("dumpxml", "mem")
    assert live.count("<memory model='virtio-mem'>") == 2 and "<memory unit='KiB'>458752</memory>" in live, live
    fails("attach-device", "mem", write("dimm.xml", "<memory model='dimm'><target><size unit='MiB'>128</size><node>0</node>"
                                        "</target></memory>"), "--live", contains="dimm")
    fails("attach-device", "mem", write("mem2.xml", mem % (1024, 0)), "--live")
    virsh("setmem", "mem", "48M", "--live")
    assert "actual" in virsh("dommemstat", "mem")
    daemon.restart()
    assert virsh("dumpxml", "mem").count("<memory model='virtio-mem'>") == 2
    gone("mem")


@case
def vcpus():
    """vCPUs that are off at first: plugged and taken out by number and one by one; kept over a restart of the daemon"""
    start("cpus", "obey", vcpus="<vcpu current='1'>4</vcpu>", devices=ROOT_PORTS)
    assert VMM in virsh("dumpxml", "cpus")
    assert virsh("vcpucount", "cpus", "--live") == "1" and virsh("vcpucount", "cpus", "--maximum", "--live") == "4"
    virsh("setvcpus", "cpus", "3", "--live")
    wait_console("cpus", "inserted cpu 02")
    assert virsh("vcpucount", "cpus", "--live") == "3"
    assert len(virsh("vcpuinfo", "cpus").split("VCPU:")) == 4
    virsh("setvcpu", "cpus", "3", "--enable", "--live")
    assert virsh("vcpucount", "cpus", "--live") == "4"
    virsh("setvcpus", "cpus", "2", "--live")
    wait_for("2 vCPUs", lambda: virsh("vcpucount", "cpus", "--live") == "2")
    assert "let go cpu" in console_text("cpus")
    gone("cpus")
    start("cpus", "keep", vcpus="<vcpu current='1'>2</vcpu>")
    wait_console("cpus", "obeying")
    virsh("setvcpus", "cpus", "2", "--live")
    wait_console("cpus", "inserted cpu 01")
    with events("cpus") as log:
        fails("setvcpus", "cpus", "1", "--live", contains="unplug of device was rejected by the guest")
        log.wait("device-removal-failed")
    assert "kept cpu 01" in console_text("cpus") and virsh("vcpucount", "cpus", "--live") == "2"
    gone("cpus")
    vcpus = ("<vcpu current='2'>3</vcpu><vcpus><vcpu id='0' enabled='yes' hotpluggable='no'/>"
             "<vcpu id='1' enabled='no' hotpluggable='yes'/><vcpu id='2' enabled='yes' hotpluggable='yes'/></vcpus>")
    start("cpus", "spin", vcpus=vcpus)
    assert virsh("vcpucount", "cpus", "--live") == "2"
    assert "<vcpu id='2' enabled='yes' hotpluggable='yes'" in virsh("dumpxml", "cpus")
    gone("cpus")


@case
def smbios():
    """sysinfo as Nova writes it"""
    text = ("<sysinfo type='smbios'><system><entry name='manufacturer'>OpenStack Foundation</entry><entry name='product'>"
            "OpenStack Nova</entry><entry name='family'>Virtual Machine</entry></system></sysinfo>")
    define("smb", "smbios", os_extra="<smbios mode='sysinfo'/>", extra=text)
    assert VMM in virsh("dumpxml", "smb")
    virsh("start", "smb")
    wait_console("smb", "OpenStack Nova")
    assert "OpenStack Foundation" in console_text("smb")
    wait_for("end", lambda: state("smb").startswith("shut off"))
    virsh("undefine", "smb")


@case
def plug_and_unplug():
    """each kind of device: the event when it is in, when the guest lets go, and nothing behind it is left"""
    kitehost.run("ip", "link", "add", "br7", "type", "bridge")
    kitehost.run("ip", "link", "set", "br7", "up")
    parts = {
        "disk": disk(image("hot.raw"), "vdb"),
        "interface": "<interface type='bridge'><mac address='52:54:00:aa:bb:cc'/><source bridge='br7'/>"
                     "<model type='virtio'/><driver name='qemu' queues='2'/></interface>",
        "rng": "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>",
        "channel": "<channel type='unix'><target type='virtio' name='org.test.x'/></channel>",
    }
    start("hot", "obey", devices=ROOT_PORTS + "<controller type='virtio-serial' index='0'/>")
    pid = vmm_pids()[0]
    fds = sorted(os.readlink("/proc/%d/fd/%s" % (pid, f)) for f in os.listdir("/proc/%d/fd" % pid))
    with events("hot") as log:
        for name, text in parts.items():
            path = write(name + ".xml", text)
            virsh("attach-device", "hot", path, "--live")
            wait_for("added " + name, lambda: log.text().count("device-added") >= list(parts).index(name) + 1)
        live = virsh("dumpxml", "hot")
        assert "org.test.x" in live and "hot.raw" in live and "52:54:00:aa:bb:cc" in live
        tap = re.search(r"vnet\d+", live).group(0)
        assert "master br7" in kitehost.run("ip", "link", "show", tap).stdout
        virsh("domif-setlink", "hot", tap, "down")
        assert "down" in virsh("domif-getlink", "hot", tap)
        virsh("domif-setlink", "hot", tap, "up")
        for name in parts:
            virsh("detach-device", "hot", WORK + "/" + name + ".xml", "--live")
            wait_for("removed " + name, lambda: log.text().count("device-removed") >= list(parts).index(name) + 1)
    live = virsh("dumpxml", "hot")
    assert "org.test.x" not in live and "hot.raw" not in live and "52:54:00:aa:bb:cc" not in live
    wait_for("end of the tap", lambda: kitehost.run("ip", "link", "show", tap, check=False).returncode)
    after = sorted(os.readlink("/proc/%d/fd/%s" % (pid, f)) for f in os.listdir("/proc/%d/fd" % pid))
    assert len(after) == len(fds), (fds, after)
    gone("hot")


@case
def unplug_refused():
    """a guest that does not answer keeps its device; the domain goes on"""
    start("deaf", "spin", devices=ROOT_PORTS)
    path = write("deaf-disk.xml", disk(image("deaf.raw"), "vdb"))
    virsh("attach-device", "deaf", path, "--live")
    virsh("detach-device", "deaf", path, "--live", check=False)
    assert "deaf.raw" in virsh("domblklist", "deaf")
    assert state("deaf").startswith("running")
    # what stands on the root bus itself cannot be taken out
    gone("deaf")


@case
def character_devices():
    """serial ports, consoles and channels over pty, unix socket, tcp, file and null, with a log"""
    import socket
    devices = f"""<serial type='unix'><source mode='bind' path='{WORK}/s1.sock'/></serial>
<serial type='tcp'><source mode='bind' host='127.0.0.1' service='5577'/><protocol type='raw'/></serial>
<serial type='file'><source path='{WORK}/s3.out'/></serial>
<console type='pty'><target type='serial' port='0'/></console>
<console type='file'><source path='{WORK}/c1.out'/><target type='virtio' port='1'/></console>
<console type='null'><target type='virtio' port='2'/></console>
<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
<channel type='pty'><target type='virtio' name='org.test.pty'/></channel>
<channel type='file'><source path='{WORK}/ch.out'/><target type='virtio' name='org.test.file'/></channel>"""
    start("chr", "spin", devices=devices)
    live = virsh("dumpxml", "chr")
    assert VMM in live
    assert re.search(r"<channel type='pty'>\s*<source path='/dev/pts/\d+'/>", live), live
    assert re.search(r"name='org.qemu.guest_agent.0' state='disconnected'", live), live
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(WORK + "/s1.sock")
    socket.create_connection(("127.0.0.1", 5577)).close()
    assert os.path.exists(WORK + "/s3.out") and os.path.exists(WORK + "/c1.out") and os.path.exists(WORK + "/ch.out")
    fails("qemu-agent-command", "chr", '{"execute":"guest-ping"}', contains="agent")
    gone("chr")
    assert not os.path.exists(WORK + "/s1.sock")


@case
def refused_by_name():
    """what kite-vmm lacks is named when it is asked for"""
    path = write("no.xml", xml("no", "spin", devices="<disk type='file' device='disk'><source file='/x'/><target dev='sda' "
                               "bus='sata'/></disk>", emulator="<emulator>%s</emulator>" % VMM))
    fails("define", path, contains=["kite-vmm does not support", "sata"])
    start("no", "spin")
    fails("screenshot", "no", WORK + "/shot", contains="no screens")
    fails("vncdisplay", "no")
    fails("attach-device", "no", write("tpm.xml", "<tpm model='tpm-tis'><backend type='emulator'/></tpm>"), "--live")
    gone("no")


if __name__ == "__main__":
    kitehost.enter()
    sys.exit(kitehost.main(setup))
