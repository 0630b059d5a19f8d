# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many clients at once do everything to the same few domains, and some are killed in the middle.

What they are answered does not matter; that the daemon lives, answers, keeps no descriptor and ends cleanly does. Most of
the worth of it is in a daemon built with a sanitizer: tests/run-all runs it so, and HACKING.md says how by hand.
KITE_STRESS_SECONDS (default 5), KITE_STRESS_SEED.
"""
import os
import random
import signal
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import kitehost
import vmmguest
from kitehost import case, domain_xml, virsh, wait_for

SECONDS = float(os.environ.get("KITE_STRESS_SECONDS", "5"))
SEED = int(os.environ.get("KITE_STRESS_SEED", "0")) or int(time.time())
CLIENTS = 16
NAMES = ["s%d" % i for i in range(6)]
DISK = "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='%s/disk-%s'/><target dev='vd%s' bus='virtio'/><shareable/></disk>"
NIC = "<interface type='user'><mac address='52:54:00:00:00:%02x'/><model type='virtio'/></interface>"


def definition(name, dice):
    if name in NAMES[:4]:
        return vmmguest.xml(name, dice.choice(["obey", "obey", "button", "rng"]), memory=32, devices=vmmguest.ROOT_PORTS +
                            "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>",
                            extra=dice.choice(["", "<description>%d</description>" % dice.randrange(99)]))
    return domain_xml(name, memory=32, devices="<graphics type='vnc' port='-1' autoport='yes'/>")


class Client:
    """One connection; each op_ is a thing to do with it, chosen by dice. Most fail most of the time."""

    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.conn = None
        self.ops = [getattr(self, n) for n in sorted(dir(self)) if n.startswith("op_")]

    def step(self):
        import libvirt
        try:
            if self.conn is None:
                self.conn = libvirt.open(kitehost.URI)
                self.callbacks = []
            self.dice.choice(self.ops)()
        except (libvirt.libvirtError, OSError):
            if self.conn is not None and not self.conn.isAlive():
                self.conn = None

    def dom(self):
        return self.conn.lookupByName(self.dice.choice(NAMES))

    def affect(self):
        return self.dice.choice([0, 1, 2, 3])

    def op_define(self):
        self.conn.defineXML(definition(self.dice.choice(NAMES), self.dice))

    op_define_more = op_define

    def op_undefine(self):
        self.dom().undefine()

    def op_start(self):
        self.dom().createWithFlags(self.dice.choice([0, 0, 1, 2]))

    op_start_more = op_start

    def op_create(self):
        self.conn.createXML(definition(self.dice.choice(NAMES), self.dice), 0)

    def op_destroy(self):
        self.dom().destroy()

    def op_shutdown(self):
        self.dom().shutdown()

    def op_reset(self):
        self.dom().reset()

    def op_pause(self):
        dom = self.dom()
        dom.suspend()
        dom.resume()

    def op_read(self):
        import libvirt
        dom = self.dom()
        for read in (lambda: dom.XMLDesc(self.affect()), dom.info, dom.state, dom.maxMemory, dom.memoryStats, dom.vcpus,
                     lambda: dom.getCPUStats(True), lambda: dom.blockStats("vdb"), lambda: dom.metadata(0, None),
                     dom.schedulerParameters, lambda: dom.interfaceAddresses(0), dom.jobStats, dom.controlInfo,
                     dom.memoryParameters, dom.vcpuPinInfo, dom.diskErrors, dom.messages, dom.ioThreadInfo, dom.guestVcpus):
            try:
                read()
            except libvirt.libvirtError:
                pass

    def op_stats(self):
        self.conn.getAllDomainStats(0, self.dice.choice([0, 1 << 29]))

    def op_lists(self):
        self.conn.listAllDomains()
        self.conn.listDomainsID()
        self.conn.listAllStoragePools()

    def op_host(self):
        self.conn.getCapabilities()
        self.conn.getDomainCapabilities(None, None, None, self.dice.choice(["kvm", "qemu"]))
        self.conn.getCPUStats(-1)

    def op_listen(self):
        dom = self.dom() if self.dice.random() < 0.3 else None
        self.callbacks.append(self.conn.domainEventRegisterAny(dom, self.dice.choice([0, 1, 5, 8, 17, 19, 23]),
                                                               lambda *args: None, None))

    def op_listen_no_more(self):
        if self.callbacks:
            self.conn.domainEventDeregisterAny(self.callbacks.pop())

    def op_console(self):
        stream = self.conn.newStream(1)
        self.dom().openConsole(None, stream, 1)
        stream.send(b"hello\n")
        self.dice.choice([stream.abort, stream.finish, lambda: stream.recv(10)])()

    def op_screenshot(self):
        stream = self.conn.newStream()
        self.dom().screenshot(stream, 0)
        stream.recvAll(lambda s, data, opaque: len(data), None)

    def op_rename(self):
        dom = self.dom()
        name = dom.name()
        dom.rename(name + "x")
        dom.rename(name)

    def op_metadata(self):
        self.dom().setMetadata(2, "<a n='%d'/>" % self.dice.randrange(999), "k", "http://k.test", self.affect())

    def op_attach(self):
        letter = self.dice.choice("bcd")
        self.dom().attachDeviceFlags(DISK % (kitehost.WORK, letter, letter), self.affect())

    op_attach_more = op_attach

    def op_detach(self):
        letter = self.dice.choice("bcd")
        self.dom().detachDeviceFlags(DISK % (kitehost.WORK, letter, letter), self.affect())

    def op_nic(self):
        self.dom().attachDeviceFlags(NIC % self.dice.randrange(4), self.affect())

    def op_no_nic(self):
        self.dom().detachDeviceFlags(NIC % self.dice.randrange(4), self.affect())

    def op_memory(self):
        self.dom().setMemoryFlags(self.dice.randrange(8192, 40000), self.affect())

    def op_vcpus(self):
        self.dom().setVcpusFlags(self.dice.randrange(1, 3), self.affect())

    def op_autostart(self):
        self.dom().setAutostart(self.dice.randrange(2))

    def op_pin(self):
        self.dom().pinVcpuFlags(0, (True,), self.affect())

    def op_pool(self):
        name = "p%d" % self.dice.randrange(2)
        os.makedirs("%s/%s" % (kitehost.WORK, name), exist_ok=True)
        if self.dice.random() < 0.3:
            self.conn.storagePoolDefineXML("<pool type='dir'><name>%s</name><target><path>%s/%s</path></target></pool>"
                                           % (name, kitehost.WORK, name))
        pool = self.conn.storagePoolLookupByName(name)
        self.dice.choice([pool.create, pool.refresh, pool.XMLDesc, pool.destroy, pool.undefine, lambda: self.volume(pool)])()

    def volume(self, pool):
        volume = pool.createXML("<volume><name>v%d</name><capacity>65536</capacity><target><format type='%s'/></target></volume>"
                                % (self.dice.randrange(3), self.dice.choice(["raw", "qcow2"])))
        stream = self.conn.newStream()
        if self.dice.random() < 0.5:
            volume.upload(stream, 0, 60000)
            stream.send(b"x" * 60000)
            stream.finish()
        else:
            volume.download(stream, 0, 0)
            stream.recv(1000)
            stream.abort()
        volume.info()
        volume.delete()

    def op_leave(self):
        self.conn.close()
        self.conn = None

    def op_cut(self):
        """The socket is cut under calls."""
        calls = threading.Thread(target=self.quietly)
        calls.start()
        for fd in map(int, os.listdir("/proc/self/fd")):
            try:
                if fd > 2 and os.readlink("/proc/self/fd/%d" % fd).startswith("socket:"):
                    with socket.socket(fileno=os.dup(fd)) as s:
                        s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        calls.join()
        self.conn = None

    def quietly(self):
        import libvirt
        try:
            self.op_read()
            self.op_start()
        except libvirt.libvirtError:
            pass

    def op_raw(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(kitehost.SOCKET)
            s.sendall(struct.pack(">IIIIIII", 28, 0x20008086, 1, 66, 0, 1, 0) * self.dice.randrange(1, 50))


def client(seed, until):
    import libvirt
    libvirt.registerErrorHandler(lambda *args: None, None)
    libvirt.virEventRegisterDefaultImpl()

    def events():
        while True:
            libvirt.virEventRunDefaultImpl()
    threading.Thread(target=events, daemon=True).start()
    one = Client(seed)
    while time.monotonic() < until:
        one.step()


def crowd():
    """Keeps CLIENTS processes busy; one of them is killed twice a second."""
    dice = random.Random(SEED)
    until = time.monotonic() + SECONDS
    pids = []
    while time.monotonic() < until:
        while len(pids) < CLIENTS:
            seed = dice.random()
            pid = os.fork()
            if pid == 0:
                try:
                    client(seed, until)
                finally:
                    os._exit(0)
            pids.append(pid)
        time.sleep(0.5)
        victim = pids.pop(dice.randrange(len(pids)))
        os.kill(victim, signal.SIGKILL)
        os.waitpid(victim, 0)
    # What waits for a modify lock does so for 30 s at most.
    wait_for("end of all clients", lambda: not pids or (os.waitpid(pids[-1], os.WNOHANG)[0] and pids.pop() and False), 120)


@case
def everything_at_once(daemon):
    """16 clients do everything to six domains at once, some are killed: the daemon lives, leaks no descriptor and ends cleanly"""
    import libvirt
    print("# KITE_STRESS_SEED=%d" % SEED, flush=True)
    virsh("capabilities")
    before = daemon.open_fds()
    for letter in "bcd":
        with open("%s/disk-%s" % (kitehost.WORK, letter), "wb") as f:
            f.truncate(1 << 20)
    crowd()
    assert daemon.alive(), daemon.log_text()
    conn = libvirt.open(kitehost.URI)
    libvirt.registerErrorHandler(lambda *args: None, None)
    for dom in conn.listAllDomains(1):
        try:
            dom.destroy()
        except libvirt.libvirtError as e:
            assert e.get_error_code() in (libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_DOMAIN), e
    for dom in conn.listAllDomains():
        dom.undefine()
    assert conn.listAllDomains() == []
    conn.close()
    assert os.listdir("/run/kite/domains") == [] and not kitehost.processes("guest=s|kite-vmm")
    # What it keeps: two idle kite-probes, its network namespace, a connection of ours that Python has not let go of.
    wait_for("descriptors to be closed (%d at first)" % before, lambda: daemon.open_fds() <= before + 4, 20)
    status = daemon.stop(timeout=60)
    assert status == 0, "exit status %d: %s" % (status, daemon.log_text())
    with open(daemon.log_path, errors="replace") as f:
        bad = [line for line in f if "Sanitizer" in line or "runtime error" in line or "CRITICAL" in line]
    assert not bad, bad[:5]


if __name__ == "__main__":
    kitehost.enter()
    sys.exit(kitehost.main(vmmguest.setup))
