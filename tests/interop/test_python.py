# SPDX-License-Identifier: LGPL-2.1-or-later
"""python3-libvirt: events of all kinds, streams, error codes, statistics, autodestroy, pipelining from threads."""
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import kitehost
from kitehost import case, domain_xml, wait_for

try:
    import libvirt
except ImportError:
    kitehost.skip_all("python3-libvirt is not installed")

libvirt.registerErrorHandler(lambda *_: None, None)


def code(function, *args):
    """The libvirt error number that a call fails with."""
    try:
        function(*args)
    except libvirt.libvirtError as e:
        code.said = (e.get_error_domain(), e.get_error_message())
        return e.get_error_code()
    raise AssertionError("%s%s did not fail" % (function.__name__, args))


def setup():
    libvirt.virEventRegisterDefaultImpl()

    def loop():
        while True:
            libvirt.virEventRunDefaultImpl()
    threading.Thread(target=loop, daemon=True).start()
    return kitehost.Daemon().start()


@case
def connection():
    """versions, type, features of the connection"""
    conn = libvirt.open(kitehost.URI)
    assert conn.getType() == "QEMU"
    assert conn.getVersion() >= 4002000
    assert conn.getLibVersion() >= 8000000
    assert conn.getURI() == kitehost.URI
    assert conn.isAlive() and conn.isSecure() == 1 and conn.isEncrypted() == 0
    assert conn.setKeepAlive(1, 3) in (0, 1)
    assert conn.getInfo()[0] == "x86_64"
    assert conn.getMaxVcpus("qemu") >= 1
    assert conn.getCPUModelNames("x86_64")
    assert conn.getFreeMemory() > 0 and conn.getCellsFreeMemory(0, 1)
    assert conn.getSecurityModel() == ["none", "0"], conn.getSecurityModel()
    try:
        assert conn.getSysinfo().startswith("<sysinfo")
    except libvirt.libvirtError as e:  # a host without SMBIOS
        assert e.get_error_code() == libvirt.VIR_ERR_CONFIG_UNSUPPORTED, e
    assert conn.listAllNetworks() == [] and conn.listAllStoragePools() == []
    assert conn.numOfNetworks() == 0 and conn.listNetworks() == [] and conn.listDefinedNetworks() == []
    conn.close()


@case
def error_codes():
    """the numbers that programs decide by"""
    conn = libvirt.open(kitehost.URI)
    assert code(conn.lookupByName, "nonesuch") == libvirt.VIR_ERR_NO_DOMAIN
    assert code(conn.lookupByID, 4711) == libvirt.VIR_ERR_NO_DOMAIN
    assert code(conn.lookupByUUIDString, "00000000-0000-4000-8000-000000000000") == libvirt.VIR_ERR_NO_DOMAIN
    assert code(conn.networkLookupByName, "x") == libvirt.VIR_ERR_NO_NETWORK
    assert code(conn.storagePoolLookupByName, "x") == libvirt.VIR_ERR_NO_STORAGE_POOL
    assert code(conn.storageVolLookupByPath, "/x") == libvirt.VIR_ERR_NO_STORAGE_VOL
    assert code(conn.nodeDeviceLookupByName, "x") == libvirt.VIR_ERR_NO_NODE_DEVICE
    assert code(conn.interfaceLookupByName, "x") == libvirt.VIR_ERR_NO_INTERFACE
    assert code(conn.secretLookupByUUIDString, "00000000-0000-4000-8000-000000000000") == libvirt.VIR_ERR_NO_SECRET
    assert code(conn.nwfilterLookupByName, "x") == libvirt.VIR_ERR_NO_NWFILTER
    assert code(conn.defineXML, "<domain") in (libvirt.VIR_ERR_XML_DETAIL, libvirt.VIR_ERR_XML_ERROR)
    assert code(conn.defineXML, "<domain type='qemu'/>") == libvirt.VIR_ERR_NO_NAME
    dom = conn.defineXML(domain_xml("codes"))
    assert dom.ID() == -1 and not dom.isActive() and dom.isPersistent() == 1
    # Who speaks, and libvirt's way to put it: of what all drivers share it is not the hypervisor.
    assert code(conn.defineXML, "<network/>") == libvirt.VIR_ERR_XML_ERROR and code.said[0] == libvirt.VIR_FROM_XML
    assert code(dom.jobInfo) == libvirt.VIR_ERR_OPERATION_INVALID and code.said[0] == libvirt.VIR_FROM_DOMAIN
    assert code(dom.rename, "codes") == libvirt.VIR_ERR_OPERATION_INVALID and code.said[0] == libvirt.VIR_FROM_DOMAIN
    assert code(dom.XMLDesc, 1 << 20) == libvirt.VIR_ERR_INVALID_ARG and code.said[1].startswith("unsupported flags (")
    for call in (dom.destroy, dom.suspend, dom.resume, dom.shutdown, dom.reboot, dom.reset, dom.memoryStats):
        assert code(call) == libvirt.VIR_ERR_OPERATION_INVALID, call
    dom.create()
    assert dom.ID() > 0
    assert code(dom.create) == libvirt.VIR_ERR_OPERATION_INVALID
    assert code(dom.reset, 4) == libvirt.VIR_ERR_INVALID_ARG
    assert code(dom.fsFreeze) in (libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED, libvirt.VIR_ERR_AGENT_UNRESPONSIVE,
                                  libvirt.VIR_ERR_CONFIG_UNSUPPORTED)
    ident = dom.ID()
    dom.destroy()
    dom.create()
    assert dom.ID() > ident
    dom.destroy()
    dom.undefine()
    assert code(dom.create) == libvirt.VIR_ERR_NO_DOMAIN
    transient = conn.createXML(domain_xml("tr"))
    assert code(transient.create) == libvirt.VIR_ERR_OPERATION_INVALID  # it has no definition to start from
    assert code(transient.setAutostart, 1) == libvirt.VIR_ERR_OPERATION_INVALID
    assert code(transient.undefine) == libvirt.VIR_ERR_OPERATION_INVALID
    transient.destroy()
    conn.close()


@case
def events_of_calls():
    """life cycle events arrive in libvirt's order, both ways of registering"""
    conn = libvirt.open(kitehost.URI)
    got, old = [], []
    conn.domainEventRegister(lambda c, d, event, detail, opaque: old.append((event, detail)), None)
    ident = conn.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                        lambda c, d, event, detail, opaque: got.append((event, detail)), None)
    meta = []
    conn.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE,
                                lambda c, d, kind, uri, opaque: meta.append((kind, uri)), None)
    dom = conn.defineXML(domain_xml("ev"))
    dom.create()
    dom.suspend()
    dom.resume()
    dom.setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, "t", None, None, 0)
    dom.destroy()
    dom.undefine()
    want = [(0, 0), (4, 0), (2, 0), (3, 0), (4, 0), (5, 1), (1, 0)]
    wait_for("events", lambda: (1, 0) in got and (1, 0) in old, 5)
    # libvirtd lets SHUTDOWN of the process's last moment through, or not.
    assert [e for e in got if e[0] != libvirt.VIR_DOMAIN_EVENT_SHUTDOWN] == want, got
    assert [e for e in old if e[0] != libvirt.VIR_DOMAIN_EVENT_SHUTDOWN] == want, old
    assert meta == [(libvirt.VIR_DOMAIN_METADATA_TITLE, None)], meta
    conn.domainEventDeregisterAny(ident)
    conn.close()


@case
def autodestroy():
    """a domain started with AUTODESTROY ends with its client's connection"""
    conn = libvirt.open(kitehost.URI)
    other = libvirt.open(kitehost.URI)
    conn.createXML(domain_xml("auto"), libvirt.VIR_DOMAIN_START_AUTODESTROY)
    assert other.lookupByName("auto").isActive()
    conn.close()
    wait_for("its end", lambda: other.numOfDomains() == 0, 10)
    other.close()


@case
def guest_that_works():
    """block, interface, memory and vCPU figures, console stream, agent, statistics of all domains"""
    kernel = kitehost.linux_guest(agent=True)
    disk = kitehost.WORK + "/py.qcow2"
    kitehost.run("qemu-img", "create", "-q", "-f", "qcow2", disk, "32M")
    xml = domain_xml("work", """<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
      <interface type='user'><mac address='52:54:00:11:22:33'/><model type='virtio'/></interface>
      <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='%s'/><target dev='vda' bus='virtio'/></disk>
      """ % disk, kernel=kernel, memory=320, vcpus=2, cmdline="kite.net=dhcp")
    conn = libvirt.open(kitehost.URI)
    lifecycle = []
    conn.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE,
                                lambda c, d, state, reason, opaque: lifecycle.append((state, reason)), None)
    dom = conn.createXML(xml)
    kitehost.wait_console("work", "KITE-AGENT-UP")
    # The start says that none is there yet, the channel when one is.
    wait_for("agent events", lambda: lifecycle == [(2, 1), (1, 2)], 10)
    info = dom.info()
    assert info[0] == libvirt.VIR_DOMAIN_RUNNING and info[3] == 2 and info[4] > 0
    assert len(dom.vcpus()[0]) == 2
    assert dom.memoryStats()["actual"] == 320 * 1024
    assert dom.blockInfo("vda")[0] == 32 << 20
    assert dom.blockStats("vda")[0] >= 0
    assert "rd_operations" in dom.blockStatsFlags("vda")
    addresses = dom.interfaceAddresses(libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT)
    assert any(a["hwaddr"] == "52:54:00:11:22:33" and a["addrs"][0]["addr"] == "10.0.2.15" for a in addresses.values()), addresses
    assert dom.getTime()["seconds"] > 0
    dom.setTime({"seconds": int(time.time()), "nseconds": 0})
    assert dom.hostname(libvirt.VIR_DOMAIN_GET_HOSTNAME_AGENT)
    assert dom.fsFreeze() >= 0
    dom.fsThaw()
    dom.fsInfo()
    guest = dom.guestInfo(0)
    assert "hostname" in guest, guest
    records = conn.getAllDomainStats(0)
    assert [r[0].name() for r in records] == ["work"]
    figures = records[0][1]
    assert figures["state.state"] == 1 and figures["vcpu.current"] == 2 and figures["block.0.name"] == "vda"
    for group in (1, 2, 4, 8, 16, 32):
        assert conn.getAllDomainStats(group), group
    stream = conn.newStream(0)
    dom.openConsole(None, stream, 0)
    stream.send(b"\necho $((40+2))-py\n")
    text = b""
    while b"42-py" not in text:
        piece = stream.recv(4096)
        assert piece, text
        text += piece
    stream.abort()
    shot = conn.newStream(0)
    fails = None
    try:
        dom.screenshot(shot, 0)
    except libvirt.libvirtError as e:
        fails = e
    assert fails is not None  # it has no video device
    dom.destroy()
    conn.close()


@case
def many_threads():
    """calls of eight threads over one connection"""
    conn = libvirt.open(kitehost.URI)
    doms = [conn.defineXML(domain_xml("thread%d" % i)) for i in range(8)]
    problems = []

    def work(dom):
        try:
            for _ in range(200):
                assert dom.name() in dom.XMLDesc(0)
                dom.info()
                dom.isActive()
        except Exception as e:
            problems.append(e)
    threads = [threading.Thread(target=work, args=(d,)) for d in doms]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert not problems, problems
    for d in doms:
        d.undefine()
    conn.close()


@case
def close_callback(daemon):
    """the close callback fires when the daemon goes away"""
    conn = libvirt.open(kitehost.URI)
    reasons = []
    conn.registerCloseCallback(lambda c, reason, opaque: reasons.append(reason), None)
    conn.setKeepAlive(5, 3)
    daemon.restart()
    wait_for("callback", lambda: reasons, 5)
    assert reasons[0] in (libvirt.VIR_CONNECT_CLOSE_REASON_EOF, libvirt.VIR_CONNECT_CLOSE_REASON_ERROR), reasons


if __name__ == "__main__":
    kitehost.enter()
    sys.exit(kitehost.main(setup))
