# SPDX-License-Identifier: LGPL-2.1-or-later
"""Backing chains of running guests: what the XML shows, figures of each layer, chains that are broken."""
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import kitehost
from kitehost import WORK, Skip, case, domain_xml, fails, virsh, wait_for, write

BINDING = """
import libvirt, sys
conn = libvirt.open(%r)
dom = conn.lookupByName(sys.argv[1])
""" % kitehost.URI


# Writes beyond the threshold of the top image and prints the events that this made.
WATCH_THRESHOLD = """
import libvirt_qemu
libvirt.virEventRegisterDefaultImpl()
seen = []
conn = libvirt.open(conn.getURI())
dom = conn.lookupByName(sys.argv[1])
conn.domainEventRegisterAny(dom, libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_THRESHOLD,
                            lambda c, d, dev, path, threshold, excess, o: seen.append((dev, threshold)), None)
libvirt.virEventAddTimeout(100, lambda timer, o: None, None)
said = libvirt_qemu.qemuMonitorCommand(dom, 'qemu-io -d /machine/peripheral/virtio-disk0/virtio-backend "write 0 64k"', 1)
for i in range(100):
    if len(seen) < 2:
        libvirt.virEventRunDefaultImpl()
print(sorted(seen) or said)
"""


def setup():
    for name in ("base.raw", "plain.raw", "medium.raw"):
        image(name, kind="raw")
    image("middle.qcow2", "base.raw", "raw")
    image("top.qcow2", WORK + "/middle.qcow2", "qcow2")
    image("top2.qcow2", "middle.qcow2", "qcow2")
    image("base2.qcow2")
    image("late.qcow2", "base2.qcow2", "qcow2")
    image("orphan.qcow2", "gone.raw", "raw")
    return kitehost.Daemon().start()


def python(name, text, check=True):
    return kitehost.run("/usr/bin/python3", "-c", BINDING + text, name, check=check).stdout.strip()


def image(name, backing=None, backing_format=None, kind="qcow2", size="8M"):
    path = "%s/%s" % (WORK, name)
    if kind == "raw":
        kitehost.run("qemu-img", "create", "-q", "-f", "raw", path, size)
        return path
    args = ["qemu-img", "create", "-q", "-f", kind, path, size]
    kitehost.run(*args)
    if backing:
        kitehost.run("qemu-img", "rebase", "-u", "-f", kind, "-b", backing, "-F", backing_format or "raw", path)
        if backing_format is None:
            drop_backing_format(path)
    return path


def drop_backing_format(path):
    """Older tools did not write it: the header extension becomes one that nobody knows."""
    with open(path, "r+b") as f:
        head = f.read(65536)
        at = head.index(b"\xe2\x79\x2a\xca")
        f.seek(at)
        f.write(b"\x12\x34\x56\x78")


def disk(path, target="vda", kind="qcow2", bus="virtio", device="disk", extra=""):
    source = "<source file='%s'/>" % path if path else ""
    return ("<disk type='file' device='%s'><driver name='qemu' type='%s'/>%s%s<target dev='%s' bus='%s'/></disk>"
            % (device, kind, source, extra, target, bus))


def define(name, *disks, **kw):
    virsh("define", write(name + ".xml", domain_xml(name, "".join(disks), **kw)))


def shown(name, target, *flags):
    """Source and chain of a disk, as the XML has them, without the space between elements."""
    xml = virsh("dumpxml", name, *flags)
    for found in re.findall(r"<disk .*?</disk>", xml, re.S):
        if "<target dev='%s'" % target in found:
            found = re.sub(r">\s+<", "><", found)
            return re.search(r"(<source.*?)<target", found, re.S).group(1).replace(WORK, "W")
    raise AssertionError("no disk %s in %s" % (target, xml))


CHAIN = ("<source file='W/top.qcow2' index='2'/>"
         "<backingStore type='file' index='3'><format type='qcow2'/><source file='W/middle.qcow2'/>"
         "<backingStore type='file' index='4'><format type='raw'/><source file='W/base.raw'/>"
         "<backingStore/></backingStore></backingStore>")


@case
def live_xml(daemon):
    """the live XML has every layer, numbered; the inactive one has what was written; a restart forgets nothing"""
    define("chain", disk(WORK + "/top.qcow2"), disk(WORK + "/plain.raw", "vdb", "raw"))
    virsh("start", "chain", "--paused")
    assert shown("chain", "vda") == CHAIN, shown("chain", "vda")
    assert shown("chain", "vdb") == "<source file='W/plain.raw' index='1'/><backingStore/>", shown("chain", "vdb")
    assert shown("chain", "vda", "--inactive") == "<source file='W/top.qcow2'/>"
    nodes = virsh("qemu-monitor-command", "chain", '{"execute":"query-named-block-nodes","arguments":{"flat":true}}')
    for node in ("libvirt-%d-format" % i for i in range(1, 5)):
        assert '"%s"' % node in nodes, nodes
    daemon.restart()
    wait_for("chain is found again", lambda: "paused" in virsh("domstate", "chain"))
    assert shown("chain", "vda") == CHAIN, shown("chain", "vda")
    assert shown("chain", "vda", "--inactive") == "<source file='W/top.qcow2'/>"


@case
def transient():
    """of a transient guest too, the inactive XML has only what was written"""
    write("trans.xml", domain_xml("trans", disk(WORK + "/top2.qcow2")))
    virsh("create", WORK + "/trans.xml", "--paused")
    assert "index='3'" in shown("trans", "vda")
    assert re.fullmatch("<source file='W/top2.qcow2'( index='1')?/>", shown("trans", "vda", "--inactive")), \
        shown("trans", "vda", "--inactive")
    virsh("destroy", "trans")


@case
def figures():
    """domblkinfo, domblkstat, domstats --backing: each layer on its own"""
    text = virsh("domstats", "chain", "--block", "--backing")
    figures = dict(line.strip().split("=", 1) for line in text.splitlines() if "=" in line)
    assert figures["block.count"] == "4", text
    layers = [(figures["block.%d.name" % i], os.path.basename(figures["block.%d.path" % i]),
               figures.get("block.%d.backingIndex" % i)) for i in range(4)]
    assert layers == [("vda", "top.qcow2", "2"), ("vda", "middle.qcow2", "3"), ("vda", "base.raw", "4"),
                      ("vdb", "plain.raw", "1")], layers
    for i in range(4):
        assert figures["block.%d.capacity" % i] == str(8 << 20), text
        assert "block.%d.physical" % i in figures and "block.%d.allocation" % i in figures, text
    assert "block.0.rd.reqs" in figures
    text = virsh("domstats", "chain", "--block")
    assert "block.count=2" in text and "base.raw" not in text, text
    assert re.search(r"Capacity:\s+8388608", virsh("domblkinfo", "chain", "vda"))
    assert "vda rd_req" in virsh("domblkstat", "chain", "vda")
    virsh("domblkerror", "chain")


@case
def thresholds():
    """a write threshold may name a layer; its statistics show it; the event says which"""
    virsh("domblkthreshold", "chain", "vda", "4096")
    virsh("domblkthreshold", "chain", "vda[3]", "8192")
    text = virsh("domstats", "chain", "--block", "--backing")
    assert "block.0.threshold=4096" in text and "block.1.threshold=8192" in text, text
    fails("domblkthreshold", "chain", "vda[9]", "1", contains="failed to find disk 'vda[9]'")
    fails("domblkthreshold", "chain", "nonesuch", "1", contains="failed to find disk 'nonesuch'")
    text = python("chain", WATCH_THRESHOLD)
    assert text == "[('vda', 4096), ('vda[2]', 4096)]", text


@case
def resize_and_peek():
    """blockresize of a chain's top; peeking at raw disks"""
    virsh("blockresize", "chain", "vda", "16M")
    assert re.search(r"Capacity:\s+16777216", virsh("domblkinfo", "chain", "vda"))
    assert "virtual size: 16 MiB" in kitehost.run("qemu-img", "info", "-U", WORK + "/top.qcow2").stdout
    fails("blockresize", "chain", "vdx", "16M", contains="vdx")
    assert python("chain", "print(dom.blockPeek('vdb', 0, 4))") == repr(b"\0\0\0\0")
    text = python("chain", "dom.blockPeek('vda', 0, 4)", check=False)
    assert "peeking is only supported for disk with 'raw' format not 'qcow2'" in text, text


@case
def hot_plug():
    """a disk and a medium that come later bring their chains"""
    ports = "<controller type='pci' index='0' model='pcie-root'/>" + "<controller type='pci' model='pcie-root-port'/>" * 6
    define("plug", disk(None, "sda", "raw", "sata", "cdrom"), ports)
    virsh("start", "plug", "--paused")
    virsh("attach-device", "plug", write("late.xml", disk(WORK + "/late.qcow2", "vdb")))
    assert re.fullmatch(r"<source file='W/late.qcow2' index='\d+'/><backingStore type='file' index='\d+'>"
                        r"<format type='qcow2'/><source file='W/base2.qcow2'/><backingStore/></backingStore>",
                        shown("plug", "vdb")), shown("plug", "vdb")
    virsh("change-media", "plug", "sda", WORK + "/medium.raw", "--insert")
    assert re.fullmatch(r"<source file='W/medium.raw' index='\d+'/><backingStore/>", shown("plug", "sda")), \
        shown("plug", "sda")
    fails("attach-device", "plug", write("orphan.xml", disk(WORK + "/orphan.qcow2", "vdc")),
          contains="Cannot access backing file '%s/gone.raw'" % WORK)
    virsh("destroy", "plug")


@case
def broken_chains():
    """missing layers, loops, formats that nobody wrote: refused before anything runs, by libvirt's words"""
    image("loop1.qcow2", "base.raw", "raw")
    image("loop2.qcow2", "loop1.qcow2", "qcow2")
    kitehost.run("qemu-img", "rebase", "-u", "-b", "loop2.qcow2", "-F", "qcow2", WORK + "/loop1.qcow2")
    image("guess.qcow2", "base2.qcow2")
    image("deep.qcow2", "late.qcow2")
    image("json.qcow2", 'json:{"driver":"qcow2","file":{"driver":"file","filename":"/x"}}', "qcow2")
    cases = [
        ("orphan.qcow2", ["Cannot access backing file '%s/gone.raw' of storage file '%s/orphan.qcow2'" % (WORK, WORK),
                          "No such file or directory"]),
        ("loop1.qcow2", ["is self-referential or too deeply nested"]),
        ("deep.qcow2", ["format of backing image 'late.qcow2' of image '%s/deep.qcow2' was not specified in the image "
                        "metadata" % WORK]),
        ("json.qcow2", ["missing parser implementation for JSON backing volume driver 'qcow2'"]),
        ("medium.raw", ["not in qcow2 format"]),
        ("nowhere.qcow2", ["Cannot access storage file '%s/nowhere.qcow2'" % WORK]),
    ]
    for name, words in cases:
        if name != cases[0][0]:
            virsh("undefine", "bad")
        define("bad", disk("%s/%s" % (WORK, name)))
        fails("start", "bad", contains=words)
        assert virsh("domstate", "bad") == "shut off"
    virsh("undefine", "bad")
    define("bad", disk(WORK + "/guess.qcow2"))
    virsh("start", "bad", "--paused")
    assert "<format type='qcow2'/><source file='W/base2.qcow2'/>" in shown("bad", "vda"), shown("bad", "vda")
    virsh("destroy", "bad")


@case
def written_chain():
    """a chain that the definition gives is the one that counts, also against the header"""
    given = ("<backingStore type='file'><format type='raw'/><source file='%s/plain2.raw'/><backingStore/></backingStore>"
             % WORK)
    image("plain2.raw", kind="raw")
    image("own.qcow2", "base2.qcow2", "qcow2")
    define("given", disk(WORK + "/own.qcow2", extra=given))
    virsh("start", "given", "--paused")
    assert shown("given", "vda") == (
        "<source file='W/own.qcow2' index='1'/><backingStore type='file' index='2'><format type='raw'/>"
        "<source file='W/plain2.raw'/><backingStore/></backingStore>"), shown("given", "vda")
    assert "W/plain2.raw" in shown("given", "vda", "--inactive")
    virsh("destroy", "given")


@case
def other_formats():
    """qed, qcow and vmdk images over others"""
    for kind, found in (("qed", "raw"), ("qcow", "raw"), ("vmdk", "vmdk")):
        base, top = "%s/%s-base" % (WORK, kind), "%s/%s-top" % (WORK, kind)
        kitehost.run("qemu-img", "create", "-q", "-f", found, base, "8M")
        kitehost.run("qemu-img", "create", "-q", "-f", kind, "-b", base, "-F", found, top)
        define(kind, disk(top, kind=kind))
        virsh("start", kind, "--paused")
        assert ("<format type='%s'/><source file='W/%s-base'/>" % (found, kind)) in shown(kind, "vda"), shown(kind, "vda")
        virsh("destroy", kind)


@case
def many_layers():
    """a chain of 30 images starts"""
    image("l0.qcow2")
    for i in range(1, 30):
        image("l%d.qcow2" % i, "l%d.qcow2" % (i - 1), "qcow2")
    define("deep", disk(WORK + "/l29.qcow2"))
    virsh("start", "deep", "--paused")
    assert "index='30'" in shown("deep", "vda")
    virsh("destroy", "deep")


@case
def kite_vmm(daemon):
    """the same under kite-vmm: XML, figures, resize, a chain that comes later, one with a vmdk below, what it cannot read"""
    guest = os.path.join(kitehost.BUILD, "tests/guest/test-guest.elf")
    if kitehost.PEER or not os.access("/dev/kvm", os.R_OK | os.W_OK) or not os.path.exists(guest):
        raise Skip("needs /dev/kvm and tests/guest/test-guest.elf")
    image("k-base.raw", kind="raw")
    image("k-middle.qcow2", "k-base.raw", "raw")
    image("k-top.qcow2", "k-middle.qcow2", "qcow2")
    ports = "<controller type='pci' index='0' model='pcie-root'/>" + "<controller type='pci' model='pcie-root-port'/>" * 8
    define("kvm", ports, disk(WORK + "/k-top.qcow2"), kind="kvm", memory=64,
           os_extra="<kernel>%s</kernel>" % guest)
    assert "kite-vmm" in virsh("dumpxml", "kvm")
    virsh("start", "kvm", "--paused")
    expected = CHAIN.replace("'4'", "'3'").replace("index='3'><format type='qcow2'", "index='2'><format type='qcow2'") \
        .replace("top.qcow2' index='2'", "top.qcow2' index='1'").replace("W/", "W/k-")
    assert shown("kvm", "vda") == expected, shown("kvm", "vda")
    daemon.restart()
    wait_for("the guest again", lambda: "paused" in virsh("domstate", "kvm"))
    assert shown("kvm", "vda") == expected, shown("kvm", "vda")
    text = virsh("domstats", "kvm", "--block", "--backing")
    assert "block.count=3" in text and text.count(".capacity=8388608") == 3, text
    assert text.count(".physical=") == 3, text
    virsh("blockresize", "kvm", "vda", "16M")
    assert re.search(r"Capacity:\s+16777216", virsh("domblkinfo", "kvm", "vda"))
    image("k-late.qcow2", "k-base.raw", "raw")
    virsh("attach-device", "kvm", write("late.xml", disk(WORK + "/k-late.qcow2", "vdb")))
    assert "<source file='W/k-base.raw'/><backingStore/>" in shown("kvm", "vdb"), shown("kvm", "vdb")
    virsh("destroy", "kvm")
    kitehost.run("qemu-img", "create", "-q", "-f", "vmdk", WORK + "/k.vmdk", "8M")
    image("k-top.qcow2", "k.vmdk", "vmdk")
    virsh("start", "kvm", "--paused")  # qemu-storage-daemon reads what is neither raw nor qcow2
    assert "<format type='vmdk'/><source file='W/k.vmdk'/>" in shown("kvm", "vda"), shown("kvm", "vda")
    virsh("destroy", "kvm")
    image("k-top.qcow2", "k-middle.qcow2")
    fails("start", "kvm", contains="was not specified in the image metadata")


@case
def dead_file_server():
    """a file whose server does not answer holds up nobody else, and its own guest only for a while"""
    if kitehost.PEER:
        raise Skip("libvirtd waits")
    dead = image("dead.raw", kind="raw")
    served = image("served.raw", kind="raw")
    server = subprocess.Popen(["qemu-storage-daemon", "--blockdev", "file,node-name=f,filename=" + served, "--export",
                               "fuse,id=e,node-name=f,writable=on,mountpoint=" + dead],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        wait_for("mount", lambda: server.poll() is not None or "dead.raw" in open("/proc/mounts").read(), 20)
        if server.poll() is not None:
            raise Skip("no FUSE here: %s" % server.stdout.read().decode())
        define("hung", disk(dead, kind="raw"))
        define("other", disk(image("other.qcow2")))
        server.send_signal(signal.SIGSTOP)
        start = subprocess.Popen(["virsh", "-c", kitehost.URI, "start", "hung"], stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True)
        began = time.monotonic()
        virsh("start", "other", "--paused")
        assert "block.count=1" in virsh("domstats", "other", "--block")
        text = virsh("domstats", "--block")
        assert "Domain: 'hung'" in text and "Domain: 'other'" in text, text
        assert virsh("domstate", "other") == "paused"
        virsh("destroy", "other")
        assert start.poll() is None or time.monotonic() - began > 4, start.stdout.read()
        text = start.communicate(timeout=60)[0]
        assert start.returncode == 1 and "its file system does not answer" in text, text
        fails("domblkinfo", "hung", "vda", contains="timed out")
        server.send_signal(signal.SIGCONT)
        wait_for("the file again", lambda: virsh("start", "hung", "--paused", check=False)[0] == 0)
        virsh("destroy", "hung")
    finally:
        server.send_signal(signal.SIGCONT)
        server.terminate()
        server.wait(20)


@case
def helper_at_work(daemon):
    """headers are read by a process without a user, capabilities or files, which ends when nobody asks"""
    if kitehost.PEER:
        raise Skip("libvirtd reads them itself")
    daemon.restart()
    define("probed", disk(WORK + "/top2.qcow2"))
    virsh("start", "probed", "--paused")
    pids = kitehost.processes("kite-probe")
    assert 1 <= len(pids) <= 2, pids
    with open("/proc/%d/status" % pids[0]) as f:
        status = f.read()
    assert re.search(r"^Uid:\s+65534\s+65534", status, re.M) and re.search(r"^CapEff:\s+0+$", status, re.M), status
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.M) and re.search(r"^Seccomp:\s+2$", status, re.M), status
    virsh("destroy", "probed")
    os.kill(pids[0], 9)
    virsh("start", "probed", "--paused")
    virsh("destroy", "probed")
    daemon.restart()
    wait_for("no helper without a daemon", lambda: not kitehost.processes("kite-probe"))


if __name__ == "__main__":
    kitehost.enter()
    sys.exit(kitehost.main(setup))
