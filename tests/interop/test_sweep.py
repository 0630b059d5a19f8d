# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every call of python3-libvirt and every virsh command, on running, paused, shut off and transient domains, with
good, bad and unknown arguments: virtkited must answer as libvirtd does, which runs beside it in the same host.

Compared are: success or libvirt's error code, the shape of what comes back, and the state left behind; for virsh the
exit status and what is printed, without numbers that cannot be the same. A difference that is meant stands in
EXCUSED with its reason. KITE_TEST_SWEEP=verbose prints every difference with both texts.
"""
import concurrent.futures
import contextlib
import glob
import os
import re
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../lib"))
import kitehost
import sweep_calls
from kitehost import WORK, case, wait_for, write

try:
    import libvirt
except ImportError:
    kitehost.skip_all("python3-libvirt is not installed")
if not os.path.exists("/usr/sbin/libvirtd"):
    kitehost.skip_all("libvirtd is not installed: nothing to compare with")

libvirt.registerErrorHandler(lambda *_: None, None)
VERBOSE = os.environ.get("KITE_TEST_SWEEP") == "verbose"
TRACE = open(os.environ["KITE_TEST_SWEEP_TRACE"], "w") if "KITE_TEST_SWEEP_TRACE" in os.environ else None
NAMES = ("running", "paused", "off", "transient")
HANDS = concurrent.futures.ThreadPoolExecutor(2)


class Side:
    """One of the two daemons and its domains, which are the same but for the folder of their files."""

    def __init__(self, name):
        self.name = name
        self.uri = {"kite": "kite:///system", "libvirtd": "qemu:///system"}[name]
        self.folder = "%s/%s" % (WORK, name)
        os.makedirs(self.folder)
        if name == "libvirtd":
            kitehost.prepare_libvirtd()
            with open("/etc/libvirt/qemu.conf", "a") as f:  # ports of its own: the two daemons start VMs at the same time
                f.write("remote_display_port_min = 6500\nremote_display_port_max = 6900\n")
            self.daemon = kitehost.Daemon(binary="/usr/sbin/libvirtd")
            self.daemon.log_path = WORK + "/libvirtd.log"
            self.socket = "/run/libvirt/libvirt-sock"
        else:
            self.daemon = kitehost.Daemon()
            self.socket = kitehost.SOCKET
        self.daemon.start(self.socket)
        self.connect()

    def connect(self):
        self.conn = libvirt.open(self.uri)
        self.ro = libvirt.openReadOnly(self.uri)

    def recover(self):
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.daemon.process.wait(3)
            print("# %s ended with %d: %s" % (self.name, self.daemon.process.returncode,
                                              self.daemon.log_text()[-600:].replace("\n", "\n# ")), flush=True)
            if TRACE:
                for core in glob.glob("/tmp/core.*"):
                    TRACE.write(kitehost.run("gdb", "-batch", "-ex", "bt 14", self.daemon.args[0], core, check=False).stdout[-3000:])
                    os.unlink(core)
            self.daemon.start(self.socket)
        self.connect()

    def disk(self, domain, what):
        path = "%s/%s-%s" % (self.folder, domain, what)
        if not os.path.exists(path):
            kitehost.run("qemu-img", "create", "-q", "-f", "qcow2", path, "16M")
        return path

    def xml(self, domain):
        return sweep_calls.domain(domain, self.disk(domain, "root.qcow2"), self.disk(domain, "data.qcow2"))

    def reset(self, name):
        """The domain as its name says, whatever the call before did to it."""
        want = {"running": (1, 1), "paused": (3, 1), "off": (5, 1), "transient": (1, 0)}[name]
        try:
            dom = self.conn.lookupByName(name)
            if (dom.state()[0], dom.isPersistent()) == want:
                return dom
            if dom.isActive():
                dom.destroy()
            if want[1] == 0 and dom.isPersistent():
                dom.undefineFlags(sweep_calls.UNDEFINE_ALL)
        except libvirt.libvirtError as e:
            if e.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                raise
        if name == "transient":
            return self.conn.createXML(self.xml(name))
        dom = self.conn.defineXML(self.xml(name))
        if dom.hasManagedSaveImage():
            dom.managedSaveRemove()
        if name == "running":
            dom.create()
        elif name == "paused":
            dom.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
        return dom

    def forget(self, name):
        try:
            dom = self.conn.lookupByName(name)
        except libvirt.libvirtError:
            return
        try:
            if dom.isActive():
                dom.destroy()
            dom.undefineFlags(sweep_calls.UNDEFINE_ALL)
        except libvirt.libvirtError:
            pass


def shape(value, depth=0):
    """What a result is made of, without figures that differ from call to call."""
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, dict):
        return "{%s}" % ", ".join("%s: %s" % (k, shape(v, depth + 1)) for k, v in sorted(value.items(), key=str))
    if isinstance(value, (list, tuple)):
        parts = [shape(v, depth + 1) for v in value]
        if len(parts) > 4 and len(set(parts)) == 1:
            return "[%s ...]" % parts[0]
        return "[%s]" % ", ".join(parts)
    return type(value).__name__


def outcome(function, args):
    try:
        value = function(*args)
    except libvirt.libvirtError as e:
        return "error %s" % e.get_error_code(), str(e)
    except (TypeError, ValueError, OverflowError, LookupError) as e:
        return "client: " + type(e).__name__, str(e)
    return "ok " + shape(value), repr(value)[:300]


def call(side, target, method, args):
    """(what is compared, what is shown)"""
    if target == "conn":
        object = side.conn
    elif target == "ro-conn":
        object = side.ro
    elif target.startswith("ro-"):
        side.reset(target[3:])
        object = side.ro.lookupByName(target[3:])
    else:
        object = side.reset(target)
    place = sweep_calls.Place(side, target.split("-")[-1])
    made = [a(place) if callable(a) else a for a in args]
    result = outcome(getattr(object, method), made)
    state = ""
    if target in NAMES:
        try:
            dom = side.conn.lookupByName(target)
            state = " -> state %s persistent %d" % (dom.state()[0], dom.isPersistent())
        except libvirt.libvirtError as e:
            state = " -> error %d" % e.get_error_code()
    for name in sweep_calls.LEFT_BEHIND.get(method, ()):
        side.forget(name)
    if not (side.conn.isAlive() and side.ro.isAlive()):  # the call before or this one; never to be excused
        state += ", CONNECTION LOST"
        side.recover()
    return result[0] + state, result[1]


class Comparison:
    """Collects the calls whose two answers differ without an excuse."""

    def __init__(self):
        self.count, self.bad = 0, []

    def add(self, label, kite, peer, kite_words, peer_words):
        self.count += 1
        if kite == peer:
            return
        answers = "%s || %s" % (kite, peer)
        reason = next((why for pattern, kind, why in sweep_calls.EXCUSED
                       if re.search(pattern, label) and re.search(kind, answers, re.S)), None)
        line = "%s\n    kite:     %s | %s\n    libvirtd: %s | %s" % (label, kite, kite_words, peer, peer_words)
        if VERBOSE:
            print("# %s%s" % (line.replace("\n", "\n# "), "\n#    excused: " + reason if reason else ""), flush=True)
        if not reason:
            self.bad.append(line)

    def end(self):
        print("# %d calls compared, %d differ without excuse" % (self.count, len(self.bad)), flush=True)
        assert not self.bad, "\n".join(self.bad)


def on_both(sides, function, *args):
    """function(side, *args) of the two sides at once: what each of the daemons waits for, the other does not."""
    return [done.result() for done in [HANDS.submit(function, sides[name], *args) for name in ("kite", "libvirtd")]]


def both(sides, target, method, args):
    if TRACE:
        print("# %s.%s%s" % (target, method, args), file=TRACE, flush=True)
    (kite, kite_words), (peer, peer_words) = on_both(sides, call, target, method, args)
    return "%s.%s(%s)" % (target, method, ", ".join(sweep_calls.label(a) for a in args)), kite, peer, kite_words, peer_words


def wanted(label):
    only = os.environ.get("KITE_TEST_SWEEP_ONLY")
    return not only or re.search(only, label)


def setup():
    libvirt.virEventRegisterDefaultImpl()

    def loop():
        while True:
            libvirt.virEventRunDefaultImpl()
    threading.Thread(target=loop, daemon=True).start()
    sides = {name: Side(name) for name in ("kite", "libvirtd")}
    on_both(sides, lambda side: [side.reset(name) for name in NAMES])
    return sides


def teardown(sides):
    for side in sides.values():
        for name in NAMES:
            side.forget(name)
        side.daemon.stop()


@case
def nothing_is_forgotten():
    """the tables name every method of python3-libvirt's virConnect and virDomain and every virsh command about them"""
    for table, kind in ((sweep_calls.CONNECT, libvirt.virConnect), (sweep_calls.DOMAIN, libvirt.virDomain)):
        known = {row[0] for row in table} | sweep_calls.NOT_CALLED
        missing = {n for n in vars(kind) if not n.startswith("_") and callable(getattr(kind, n))} - known
        assert not missing, missing
    listed = set(re.findall(r"^    (\S+)", kitehost.run("virsh", "help").stdout, re.M))
    missing = listed - {line.split()[0] for line in sweep_calls.VIRSH} - sweep_calls.VIRSH_NOT_CALLED
    assert not missing, missing


@case
def connections(sides):
    """virConnect, read-write and read-only"""
    found = Comparison()
    for method, *args in sweep_calls.CONNECT:
        for target in ("conn", "ro-conn"):
            if wanted("%s.%s" % (target, method)):
                found.add(*both(sides, target, method, args))
    found.end()


@case
def domains(sides):
    """virDomain in four states and over the read-only socket"""
    found = Comparison()
    for method, *args in sweep_calls.DOMAIN:
        for target in NAMES + ("ro-running",):
            if wanted("%s.%s" % (target, method)):
                found.add(*both(sides, target, method, args))
    found.end()


@case
def unknown_flags(sides):
    """a flag that does not exist is refused as libvirt refuses it"""
    found = Comparison()
    for table, targets in ((sweep_calls.CONNECT, ("conn",)), (sweep_calls.DOMAIN, ("running", "off"))):
        for method, *args in sweep_calls.with_unknown_flag(table):
            for target in targets:
                if wanted("%s.%s" % (target, method)):
                    found.add(*both(sides, target, method, args))
    found.end()


def printed(side, line, name):
    """What virsh prints. Its commands with a progress display (save, dump) may wait for ever, to be quit by a thread that has
    done so before: when the daemon answers at once and the machine is busy. Such a one is given another chance."""
    if name:
        side.reset(name)
    place = sweep_calls.Place(side, name)
    words = ["virsh", "-c", side.uri] + [place.fill(w) for w in line.split()]
    for last in False, False, True:
        try:
            done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, timeout=60 if last else 15)
            break
        except subprocess.TimeoutExpired:
            print("# %s: no end of: virsh %s" % (side.name, line), flush=True)
            if last or line.split()[0] not in ("save", "dump"):
                raise
    for left in sweep_calls.LEFT_BEHIND.get(line.split()[0], ()):
        side.forget(left)
    return "%d %s" % (done.returncode, sweep_calls.without_figures(done.stdout, side)), done.stdout.strip()[:600]


@case
def virsh_commands(sides):
    """every virsh command about domains and hosts with its flags"""
    found = Comparison()
    for line in sweep_calls.VIRSH:
        for name in NAMES if "DOM" in line.split() else ("",):
            label = "virsh " + line.replace("DOM", name)
            if not wanted(label):
                continue
            (kite, kite_words), (peer, peer_words) = on_both(sides, printed, line, name)
            found.add(label, kite, peer, kite_words, peer_words)
    found.end()


if __name__ == "__main__":
    kitehost.enter(pid=False)  # libvirtd does not get along with a process namespace
    sys.exit(kitehost.main(setup, teardown))
