# SPDX-License-Identifier: LGPL-2.1-or-later
"""Storage pools of type dir and their volumes: virsh's pool-* and vol-* commands, events, restarts. Runs against
libvirt's own daemon too (KITE_TEST_PEER=libvirtd)."""
import json
import os
import select
import subprocess
import sys
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import kitehost
from kitehost import WORK, case, virsh, wait_for, write

SCHEMAS = "/usr/share/libvirt/schemas/"
daemon = None


def setup():
    global daemon
    daemon = kitehost.Daemon().start()
    return daemon


def fails(*args, contains=""):
    done = kitehost.run("virsh", "-q", "-c", kitehost.URI, *args, check=False)
    assert done.returncode != 0, "%s succeeded: %s" % (" ".join(args), done.stdout)
    assert contains in done.stdout, "%s: %s" % (" ".join(args), done.stdout)


def folder(name):
    path = WORK + "/pools/" + name
    os.makedirs(path, exist_ok=True)
    return path


def started(name):
    path = folder(name)
    virsh("pool-create-as", name, "dir", "--target", path)
    return path


def validate(xml, schema):
    if os.path.exists(SCHEMAS + schema):
        kitehost.run("xmllint", "--noout", "--relaxng", SCHEMAS + schema, write("validate.xml", xml))
    return ET.fromstring(xml)


def image_info(path):
    return json.loads(kitehost.run("qemu-img", "info", "--output=json", path).stdout)


def pools(*args):
    return virsh("pool-list", "--name", *args).split()


def volumes(pool):
    return [line.split()[0] for line in virsh("vol-list", pool).splitlines() if "/" in line]


@case
def life():
    """define, build, start, autostart, stop, delete, undefine"""
    path = WORK + "/pools/deep/life"
    virsh("pool-define-as", "life", "dir", "--target", path)
    assert "life" in pools("--inactive") and "life" not in pools()
    assert "life" in pools("--all", "--persistent", "--type", "dir") and "life" not in pools("--all", "--transient")
    assert "life" not in pools("--all", "--type", "logical")
    fails("pool-start", "life", contains="cannot open directory '%s'" % path)
    fails("vol-list", "life", contains="storage pool 'life' is not active")
    fails("pool-destroy", "life", contains="storage pool 'life' is not active")
    virsh("pool-build", "life")
    assert os.stat(path).st_mode & 0o777 == 0o711
    virsh("pool-start", "life")
    fails("pool-start", "life", contains="storage pool 'life' is already active")
    fails("pool-undefine", "life", contains="storage pool 'life' is still active")
    fails("pool-delete", "life", contains="storage pool 'life' is still active")
    virsh("pool-autostart", "life")
    assert "life" in pools("--autostart")
    info = virsh("pool-info", "life")
    assert "running" in info and "Capacity:" in info and info.count("yes") == 2, info
    virsh("pool-autostart", "life", "--disable")
    assert "life" in pools("--no-autostart")
    uuid = virsh("pool-uuid", "life").strip()
    assert virsh("pool-name", uuid).strip() == "life"
    virsh("pool-refresh", "life")
    virsh("pool-destroy", "life")
    virsh("pool-delete", "life")
    assert not os.path.exists(path)
    virsh("pool-undefine", "life")
    fails("pool-info", "life", contains="Storage pool not found")


@case
def documents():
    """what pool-dumpxml gives is valid and can be defined again"""
    path = started("documents")
    root = validate(virsh("pool-dumpxml", "documents"), "storagepool.rng")
    assert root.findtext("target/path") == path
    assert int(root.findtext("capacity")) == int(root.findtext("allocation")) + int(root.findtext("available"))
    virsh("pool-define", write("documents.xml", virsh("pool-dumpxml", "documents")))
    virsh("pool-define", "--validate", write("documents.xml", virsh("pool-dumpxml", "--inactive", "documents")))
    assert "documents" in pools("--persistent")
    virsh("pool-destroy", "documents")
    virsh("pool-undefine", "documents")
    for bad, text in (("<pool type='dir'><name>x</name></pool>", "missing storage pool target path"),
                      ("<pool type='dir'><target><path>/x</path></target></pool>", "missing pool source name element"),
                      ("<pool type='dir'><name>a/b</name><target><path>/x</path></target></pool>", "cannot contain '/'"),
                      ("<pool type='dir'><name>x</name><uuid>7</uuid><target><path>/x</path></target></pool>", "malformed uuid"),
                      ("<pool><name>x</name></pool>", "type")):
        fails("pool-define", write("bad.xml", bad), contains=text)


@case
def unique():
    """names, uuids and target folders belong to one pool"""
    path = started("unique")
    uuid = virsh("pool-uuid", "unique").strip()
    xml = "<pool type='dir'><name>%s</name><uuid>%s</uuid><target><path>%s</path></target></pool>"
    other = "11111111-2222-4333-8444-555555555555"
    fails("pool-define", write("u.xml", xml % ("unique", other, path)), contains="already exists with uuid")
    fails("pool-define", write("u.xml", xml % ("second", uuid, "/elsewhere")), contains="already defined with uuid")
    fails("pool-define", write("u.xml", xml % ("second", other, path + "//")), contains="Storage source conflict with pool: 'unique'")
    fails("pool-create", write("u.xml", xml % ("unique", uuid, path)), contains="already active as 'unique'")
    virsh("pool-destroy", "unique")
    fails("pool-info", "unique", contains="Storage pool not found")


@case
def raw_volumes():
    """raw volumes: sparse, allocated, resized, wiped, deleted"""
    path = started("raw")
    virsh("vol-create-as", "raw", "sparse.img", "10M", "--allocation", "0")
    st = os.stat(path + "/sparse.img")
    assert st.st_size == 10 << 20 and st.st_blocks == 0 and st.st_mode & 0o777 == 0o600
    virsh("vol-create-as", "raw", "full.img", "2M")
    assert os.stat(path + "/full.img").st_blocks * 512 >= 2 << 20
    fails("vol-create-as", "raw", "full.img", "2M", contains="full.img")
    open(path + "/stranger", "w").close()
    fails("vol-create-as", "raw", "stranger", "2M", contains="already exists")
    fails("vol-create-as", "raw", "a/b", "2M", contains="cannot contain '/'")
    assert volumes("raw") == ["full.img", "sparse.img"]
    virsh("pool-refresh", "raw")
    assert sorted(volumes("raw")) == ["full.img", "sparse.img", "stranger"]
    virsh("vol-resize", "sparse.img", "20M", "--pool", "raw")
    assert os.stat(path + "/sparse.img").st_size == 20 << 20
    virsh("vol-resize", "sparse.img", "1M", "--delta", "--pool", "raw")
    assert os.stat(path + "/sparse.img").st_size == 21 << 20
    fails("vol-resize", "sparse.img", "1M", "--pool", "raw", contains="shrink")
    virsh("vol-resize", "sparse.img", "1M", "--shrink", "--pool", "raw")
    with open(path + "/full.img", "r+b") as f:
        f.write(b"secret")
    virsh("vol-wipe", "full.img", "--pool", "raw")
    assert open(path + "/full.img", "rb").read() == bytes(2 << 20)
    root = validate(virsh("vol-dumpxml", "full.img", "--pool", "raw"), "storagevol.rng")
    assert root.get("type") == "file" and root.find("target/format").get("type") == "raw"
    assert root.findtext("key") == root.findtext("target/path") == path + "/full.img"
    assert int(root.findtext("capacity")) == int(root.findtext("physical")) == 2 << 20
    assert virsh("vol-path", "full.img", "--pool", "raw").strip() == path + "/full.img"
    assert virsh("vol-name", path + "/full.img").strip() == "full.img"
    assert virsh("vol-key", path + "//full.img").strip() == path + "/full.img"
    assert virsh("vol-pool", path + "/full.img").strip() == "raw"
    virsh("vol-delete", "full.img", "--pool", "raw")
    virsh("vol-delete", path + "/sparse.img")
    assert os.listdir(path) == ["stranger"]
    fails("vol-info", "full.img", "--pool", "raw", contains="Storage volume not found")
    virsh("pool-destroy", "raw")


@case
def qcow2_volumes():
    """qcow2 volumes agree with qemu-img: sizes, backing files, preallocation, resize"""
    path = started("qcow2")
    virsh("vol-create-as", "qcow2", "base.qcow2", "32M", "--format", "qcow2")
    info = image_info(path + "/base.qcow2")
    assert info["format"] == "qcow2" and info["virtual-size"] == 32 << 20
    assert info["format-specific"]["data"]["compat"] == "0.10"
    virsh("vol-create-as", "qcow2", "top.qcow2", "48M", "--format", "qcow2", "--backing-vol", "base.qcow2",
          "--backing-vol-format", "qcow2")
    info = image_info(path + "/top.qcow2")
    assert info["virtual-size"] == 48 << 20 and info["backing-filename"] == path + "/base.qcow2"
    assert info["backing-filename-format"] == "qcow2"
    root = validate(virsh("vol-dumpxml", "top.qcow2", "--pool", "qcow2"), "storagevol.rng")
    assert root.findtext("backingStore/path") == path + "/base.qcow2"
    assert root.find("backingStore/format").get("type") == "qcow2"
    virsh("vol-create-as", "qcow2", "meta.qcow2", "16M", "--format", "qcow2", "--prealloc-metadata", "--allocation", "0")
    kitehost.run("qemu-img", "check", "-q", path + "/meta.qcow2")
    virsh("vol-resize", "base.qcow2", "64M", "--pool", "qcow2")
    assert image_info(path + "/base.qcow2")["virtual-size"] == 64 << 20
    xml = """<volume><name>new.qcow2</name><capacity unit='MiB'>8</capacity><target><format type='qcow2'/><compat>1.1</compat>
<clusterSize unit='KiB'>128</clusterSize><features><lazy_refcounts/></features><permissions><mode>0644</mode></permissions>
</target></volume>"""
    virsh("vol-create", "qcow2", write("v.xml", xml))
    info = image_info(path + "/new.qcow2")
    assert info["cluster-size"] == 128 << 10 and info["format-specific"]["data"]["lazy-refcounts"], info
    assert os.stat(path + "/new.qcow2").st_mode & 0o777 == 0o644
    virsh("pool-refresh", "qcow2")
    root = validate(virsh("vol-dumpxml", "new.qcow2", "--pool", "qcow2"), "storagevol.rng")
    assert root.findtext("target/compat") == "1.1" and root.find("target/features/lazy_refcounts") is not None
    assert int(root.findtext("capacity")) == 8 << 20
    fails("vol-create-as", "qcow2", "bad", "1M", "--format", "nonesuch", contains="unknown volume format type")
    fails("vol-create-as", "qcow2", "bad", "1M", "--format", "qcow2", "--backing-vol", "/nonesuch")
    assert not os.path.exists(path + "/bad")
    virsh("pool-destroy", "qcow2")


@case
def clones():
    """vol-clone and vol-create-from between formats keep the contents"""
    path = started("clones")
    data = os.urandom(300000)
    with open(path + "/source.img", "wb") as f:
        f.seek(1 << 20)
        f.write(data)
        f.truncate(4 << 20)
    virsh("pool-refresh", "clones")
    virsh("vol-clone", "source.img", "copy.img", "--pool", "clones")
    assert open(path + "/copy.img", "rb").read() == open(path + "/source.img", "rb").read()
    xml = "<volume><name>%s</name><capacity>0</capacity><allocation>0</allocation><target><format type='%s'/></target></volume>"
    virsh("vol-create-from", "clones", write("q.xml", xml % ("copy.qcow2", "qcow2")), "source.img", "--inputpool", "clones")
    kitehost.run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", path + "/source.img", path + "/copy.qcow2")
    kitehost.run("qemu-img", "check", "-q", path + "/copy.qcow2")
    virsh("vol-create-from", "clones", write("r.xml", xml % ("back.img", "raw")), "copy.qcow2", "--inputpool", "clones")
    assert open(path + "/back.img", "rb").read() == open(path + "/source.img", "rb").read()
    assert os.stat(path + "/back.img").st_blocks * 512 < 2 << 20
    fails("vol-clone", "source.img", "copy.img", "--pool", "clones", contains="copy.img")
    virsh("pool-destroy", "clones")


@case
def streams():
    """vol-upload and vol-download, whole, in part, and sparse"""
    path = started("streams")
    data = os.urandom(3 << 20)
    with open(WORK + "/up", "wb") as f:
        f.write(data)
    virsh("vol-create-as", "streams", "v.img", "4M")
    virsh("vol-upload", "v.img", WORK + "/up", "--pool", "streams", "--offset", "4096")
    assert open(path + "/v.img", "rb").read()[4096:4096 + len(data)] == data
    virsh("vol-download", "v.img", WORK + "/down", "--pool", "streams", "--offset", "4096", "--length", "1000000")
    assert open(WORK + "/down", "rb").read() == data[:1000000]
    with open(WORK + "/sparse", "wb") as f:
        f.write(b"x" * 65536)
        f.truncate(32 << 20)
    virsh("vol-create-as", "streams", "s.img", "32M", "--allocation", "0")
    virsh("vol-upload", "s.img", WORK + "/sparse", "--pool", "streams", "--sparse")
    assert open(path + "/s.img", "rb").read() == open(WORK + "/sparse", "rb").read()
    assert os.stat(path + "/s.img").st_blocks * 512 < 1 << 20
    virsh("vol-download", "s.img", WORK + "/back", "--pool", "streams", "--sparse")
    assert open(WORK + "/back", "rb").read() == open(WORK + "/sparse", "rb").read()
    # A new format is seen without being told, once the upload is over.
    kitehost.run("qemu-img", "create", "-q", "-f", "qcow2", WORK + "/up.qcow2", "77M")
    virsh("vol-create-as", "streams", "q.img", "1M")
    virsh("vol-upload", "q.img", WORK + "/up.qcow2", "--pool", "streams")
    wait_for("new format", lambda: "type='qcow2'" in virsh("vol-dumpxml", "q.img", "--pool", "streams"))
    assert "77.00 MiB" in virsh("vol-info", "q.img", "--pool", "streams")
    virsh("pool-destroy", "streams")


@case
def events():
    """life cycle and refresh of pools are heard"""
    path = folder("events")
    listeners = [subprocess.Popen(["virsh", "-c", kitehost.URI, "pool-event", "--event", event, "--loop"],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, bufsize=0)
                 for event in ("lifecycle", "refresh")]

    def listening():
        """They listen when each has heard something."""
        virsh("pool-create-as", "events", "dir", "--target", path)
        virsh("pool-refresh", "events")
        virsh("pool-destroy", "events")
        return len(select.select([one.stdout for one in listeners], [], [], 0.1)[0]) == 2

    def lines(one, last):
        """Up to the line with that word; virsh writes a line at once, so that no buffer hides one from select()."""
        seen = []
        while not seen or last not in seen[-1]:
            assert select.select([one.stdout], [], [], 10)[0], seen
            seen.append(b"".join(iter(lambda: one.stdout.read(1), b"\n")).decode())
        return [line for line in seen if "heard" in line]

    try:
        wait_for("first events", listening)
        virsh("pool-define-as", "heard", "dir", "--target", path)
        for step in ("build", "start", "refresh", "destroy", "delete", "undefine"):
            virsh("pool-" + step, "heard")
        life = " ".join(lines(listeners[0], "Undefined"))
        places = [life.find(word) for word in ("Defined", "Created", "Started", "Stopped", "Deleted", "Undefined")]
        assert -1 not in places and places == sorted(places), life
        assert len(lines(listeners[1], "heard")) == 1
    finally:
        for one in listeners:
            one.kill()
            one.wait()


@case
def restart():
    """active pools stay active over a restart of the daemon; autostart starts; definitions stay"""
    for name in ("transient", "kept", "auto", "off"):
        folder(name)
    virsh("pool-create-as", "transient", "dir", "--target", folder("transient"))
    for name in ("kept", "auto"):
        virsh("pool-define-as", name, "dir", "--target", folder(name))
    virsh("pool-define-as", "off", "dir", "--target", WORK + "/pools/absent")
    virsh("pool-start", "kept")
    virsh("pool-autostart", "auto")
    virsh("vol-create-as", "kept", "v.img", "1M")
    daemon.stop()
    daemon.start()
    assert {"transient", "kept", "auto"} <= set(pools()) and "off" in pools("--inactive")
    assert volumes("kept") == ["v.img"]
    assert "transient" in pools("--transient")
    for name in ("transient", "kept", "auto"):
        virsh("pool-destroy", name)
    for name in ("kept", "auto", "off"):
        virsh("pool-undefine", name)
    assert not {"transient", "kept", "auto", "off"} & set(pools("--all"))


@case
def thousands():
    """a folder of thousands of files: listed, and others do not wait for its refresh"""
    path = folder("many")
    for i in range(3000):
        with open("%s/%04d.img" % (path, i), "wb") as f:
            f.truncate(4096)
    virsh("pool-create-as", "many", "dir", "--target", path)
    virsh("pool-refresh", "many")
    assert len(virsh("vol-list", "many").splitlines()) >= 3000
    virsh("pool-destroy", "many")


@case
def refusals():
    """what is not there is said; a read-only connection changes nothing"""
    path = started("ro")
    fails("vol-info", "/nonesuch", contains="nonesuch")
    fails("pool-dumpxml", "nonesuch", contains="Storage pool not found")
    fails("find-storage-pool-sources-as", "dir")
    virsh("pool-capabilities")
    for args in (("pool-destroy", "ro"), ("vol-create-as", "ro", "x", "1M"), ("pool-refresh", "ro"), ("pool-autostart", "ro"),
                 ("pool-define-as", "x", "dir", "--target", "/x")):
        done = kitehost.run("virsh", "-r", "-c", kitehost.URI, *args, check=False)
        assert done.returncode != 0 and "read only" in done.stdout, done.stdout
    assert "ro" in kitehost.run("virsh", "-r", "-c", kitehost.URI, "pool-list").stdout
    os.rmdir(path)
    fails("pool-refresh", "ro", contains="cannot open directory")
    fails("pool-info", "ro", contains="Storage pool not found")


if __name__ == "__main__":
    kitehost.enter()
    sys.exit(kitehost.main(setup))
