# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host of the tests' own: real clients and a real virtkited, in private mount, network and IPC namespaces.

A test script calls kitehost.enter() first. It re-executes itself below unshare; inside, /usr carries the
staged installation (overlay), /etc and /var are copy-on-write and without what an installed Kite keeps there,
/run is empty, and the network has only lo.
Control groups are below one of the test's own (testcgroup.py).
So plain `virsh -c kite:///system` works, and nothing of it is seen on the machine itself. Needs root.

Tests are functions under @case; main() runs them in order and prints TAP. What a case leaves running is ended.
"""
import contextlib
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback

import otherqemu
import testcgroup

BUILD = os.environ.get("abs_top_builddir", os.getcwd())
SOURCE = os.environ.get("abs_top_srcdir", os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
STAGE = os.environ.get("KITE_TEST_STAGE", os.path.join(BUILD, "stage"))
GUEST = os.environ.get("KITE_TEST_GUEST", os.path.join(BUILD, "test-guest"))
# KITE_TEST_PEER=libvirtd runs a test against libvirt's own daemon: does the test expect what libvirt does?
PEER = os.environ.get("KITE_TEST_PEER")
URI = "qemu:///system" if PEER else "kite:///system"
SOCKET = "/run/libvirt/libvirt-sock" if PEER else "/run/libvirt/virtkited-sock"
# KITE_TEST_QEMU=PROGRAM or FOLDER: another QEMU than this machine's (otherqemu.py).
QEMU = os.environ.get("KITE_TEST_QEMU")
WORK = "/tmp/kite-test"  # inside the namespace: a tmpfs of the test's own
# How many times the usual seconds everything may take: the lab is emulated.
PATIENCE = float(os.environ.get("KITE_TEST_PATIENCE", "1"))
OWN_FOLDERS = ("/etc/kite", "/var/lib/kite", "/var/log/kite", "/var/cache/kite")

# What make check sets to find our own faults: for the daemon, not for clients and helpers, which have theirs.
STRICT = ("G_DEBUG", "G_SLICE", "MALLOC_PERTURB_")
_strict = {}
_cases = []


def skip_all(why):
    print("1..0 # SKIP " + why)
    sys.exit(0)


def enter(net=True, pid=True):
    """Re-execute below private namespaces; returns inside them. SKIPs without root or namespaces."""
    if os.environ.get("KITE_TEST_INSIDE") != "1":
        if os.geteuid() != 0:
            skip_all("needs root")
        if not os.path.exists(os.path.join(STAGE, "usr/sbin/virtkited")):
            skip_all("no staged installation in %s: make stage" % STAGE)
        # With processes of its own, whose first one is the test: when it ends, by whatever cause, all of them end.
        args = ["unshare", "--mount", "--ipc", "--propagation", "private"]
        args += ["--pid", "--fork", "--kill-child", "--mount-proc"] if pid and not PEER else []
        args += ["--net"] if net else []
        args += ["--cgroup"]
        probe = subprocess.run(args + ["true"], stderr=subprocess.PIPE, text=True)
        if probe.returncode:
            skip_all("namespaces are not allowed here: " + probe.stderr.strip())
        os.environ["KITE_TEST_INSIDE"] = "1"
        os.environ["KITE_TEST_OUTER_NET"] = os.readlink("/proc/self/ns/net")
        os.environ["KITE_TEST_STARTED"] = repr(time.time())
        sys.exit(testcgroup.run_below(args + [sys.executable] + sys.argv))
    for name in STRICT:
        if name in os.environ:
            _strict[name] = os.environ.pop(name)
    top = "/tmp"
    testcgroup.mount_own()
    run("mount", "-t", "tmpfs", "-o", "mode=1777,size=4g", "kite-test", top)
    for name in ("etc", "var"):
        os.makedirs("%s/.cow/%s/up" % (top, name))
        os.makedirs("%s/.cow/%s/work" % (top, name))
        run("mount", "-t", "overlay", "-o", "lowerdir=/%s,upperdir=%s/.cow/%s/up,workdir=%s/.cow/%s/work"
            % (name, top, name, top, name), "overlay", "/" + name)
    run("mount", "-t", "overlay", "-o", "lowerdir=%s/usr:/usr" % STAGE, "overlay", "/usr")
    if QEMU:
        otherqemu.install(QEMU, top + "/.qemu")
    # A Kite that is installed on this machine has definitions and images of its own: not the test's business.
    for name in OWN_FOLDERS:
        shutil.rmtree(name, ignore_errors=True)
    etc = STAGE + "/etc/kite"
    if os.path.isdir(etc):
        shutil.copytree(etc, "/etc/kite", dirs_exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", "mode=755", "kite-run", "/run")
    os.makedirs("/run/lock", mode=0o1777)
    os.makedirs(WORK, exist_ok=True)
    if net:
        run("ip", "link", "set", "lo", "up")
    if PEER:
        prepare_libvirtd()
    os.environ["HOME"] = WORK
    os.environ["XDG_RUNTIME_DIR"] = WORK + "/xdg-run"
    os.makedirs(os.environ["XDG_RUNTIME_DIR"], mode=0o700, exist_ok=True)
    os.environ["LC_ALL"] = "C.UTF-8"


def prepare_libvirtd():
    """Lets libvirt's own daemon run in the private host: no separate log daemon, no other user."""
    os.makedirs("/etc/libvirt", exist_ok=True)
    with open("/etc/libvirt/qemu.conf", "a") as f:
        f.write('\nstdio_handler = "file"\nsecurity_driver = "none"\nuser = "root"\ngroup = "root"\n'
                'clear_emulator_capabilities = 0\n')
    with open("/etc/libvirt/libvirtd.conf", "a") as f:
        f.write('\nauth_unix_rw = "none"\nauth_unix_ro = "none"\n')


def run(*args, check=True, timeout=60, **kw):
    kw.setdefault("stdout", subprocess.PIPE)
    kw.setdefault("stderr", subprocess.STDOUT)
    kw.setdefault("stdin", subprocess.DEVNULL)
    done = subprocess.run(list(args), text=True, timeout=timeout * PATIENCE, **kw)
    if check and done.returncode:
        raise AssertionError("%s: exit status %d\n%s" % (" ".join(args), done.returncode, done.stdout))
    return done


def wait_for(what, condition, timeout=30, every=0.05):
    """The condition's first true value; AssertionError naming what when time is up."""
    end = time.monotonic() + timeout * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("no %s within %g s" % (what, timeout))
        time.sleep(every)


def linux_guest(agent=False):
    """(kernel, initrd) of a real Linux, made once and cached. Returns None and prints why where it can't be had."""
    args = ["bash", SOURCE + "/tests/lib/mkguest.sh", GUEST] + (["--agent"] if agent else [])
    done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise Skip("no Linux guest can be made here: " + done.stdout.strip().splitlines()[-1])
    return GUEST + "/vmlinuz", GUEST + ("/initrd-agent" if agent else "/initrd")


class Skip(Exception):
    pass


class Daemon:
    """A virtkited of the test's own."""

    def __init__(self, *args, binary="/usr/sbin/" + (PEER or "virtkited"), user_env=None):
        self.args = [binary] + list(args)
        self.env = dict(os.environ, **({} if PEER else _strict), **(user_env or {}))
        self.process = None
        self.log_path = WORK + "/virtkited.log"

    def start(self, socket=SOCKET):
        self.log = open(self.log_path, "ab")
        self.process = subprocess.Popen(self.args, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        env=self.env, cwd=WORK)
        wait_for("socket " + socket, lambda: self.process.poll() is not None or self.answers(socket), 60, 0.005)
        if self.process.poll() is not None:
            raise AssertionError("virtkited ended with %d:\n%s" % (self.process.returncode, self.log_text()))
        return self

    @staticmethod
    def answers(path):
        import socket as sockets
        with sockets.socket(sockets.AF_UNIX) as s:
            try:
                s.connect(path)
            except OSError:
                return False
        return True

    def log_text(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()[-4000:]

    def stop(self, sig=signal.SIGTERM, timeout=15):
        if self.process and self.process.poll() is None:
            self.process.send_signal(sig)
            self.process.wait(timeout * PATIENCE)
        return self.process.returncode if self.process else None

    def kill9(self):
        self.stop(signal.SIGKILL)

    def restart(self):
        self.stop()
        return self.start()

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def rss_kib(self):
        with open("/proc/%d/smaps_rollup" % self.process.pid) as f:
            return int(re.search(r"^Pss:\s*(\d+)", f.read(), re.M).group(1))

    def open_fds(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))


def virsh(*args, uri=URI, check=True, timeout=60, input=None):
    """Runs virsh; returns its output, stripped. With check=False: (status, output)."""
    if input is not None:
        done = subprocess.run(["virsh", "-q", "-c", uri] + list(args), input=input, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=timeout * PATIENCE)
        if check and done.returncode:
            raise AssertionError("virsh %s: %s" % (args, done.stdout))
    else:
        done = run("virsh", "-q", "-c", uri, *args, check=check, timeout=timeout)
    return done.stdout.strip() if check else (done.returncode, done.stdout.strip())


def fails(*args, contains="", **kw):
    """virsh must fail with status 1 and a text that contains what is given. Returns the text."""
    status, text = virsh(*args, check=False, **kw)
    assert status == 1, "virsh %s: exit status %d, expected 1: %s" % (" ".join(args), status, text)
    for part in [contains] if isinstance(contains, str) else contains:
        assert part in text, "virsh %s: %r is not in %r" % (" ".join(args), part, text)
    return text


def write(name, text):
    path = os.path.join(WORK, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)
    return path


def domain_xml(name, devices="", kernel=None, cmdline="", memory=192, vcpus=1, kind="qemu", machine="q35",
               extra="", uuid=None, os_extra="", serial_log=True):
    """A definition as people write it. kernel: what linux_guest() gave."""
    boot = ""
    if kernel:
        boot = ("<kernel>%s</kernel><initrd>%s</initrd><cmdline>console=ttyS0 panic=-1 quiet %s</cmdline>"
                % (kernel[0], kernel[1], cmdline))
    log = "<log file='%s/%s.console'/>" % (WORK, name) if serial_log else ""
    return """<domain type='%s'>
  <name>%s</name>%s
  <memory unit='MiB'>%d</memory>
  <vcpu>%d</vcpu>
  <os><type arch='x86_64' machine='%s'>hvm</type>%s%s</os>
  <features><acpi/><apic/></features>
  %s
  <devices>
    <serial type='pty'>%s</serial>
    %s
  </devices>
</domain>
""" % (kind, name, "<uuid>%s</uuid>" % uuid if uuid else "", memory, vcpus, machine, boot, os_extra, extra, log, devices)


def console_text(name):
    try:
        with open("%s/%s.console" % (WORK, name), errors="replace") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def wait_console(name, text, timeout=60):
    try:
        return wait_for("%r on the console of %s" % (text, name), lambda: text in console_text(name), timeout)
    except AssertionError as e:
        raise AssertionError("%s; console so far:\n%s" % (e, console_text(name)[-1500:]))


@contextlib.contextmanager
def events(name, probe=None):
    """Collects virsh's event lines about a domain while the block runs; use .wait(text). name None: about all
    domains; then probe is one that exists."""
    path = "%s/%s.events" % (WORK, name or "all")
    probe = probe or name
    with open(path, "w") as out:
        process = subprocess.Popen(["stdbuf", "-oL", "virsh", "-q", "-c", URI, "event"] + ([name] if name else []) +
                                   ["--all", "--loop", "--timeout", "120"], stdout=out, stderr=subprocess.STDOUT)

    class Log:
        @staticmethod
        def text():
            with open(path) as f:
                return f.read()

        @staticmethod
        def wait(part, timeout=20):
            wait_for("event %r (got %r)" % (part, Log.text()), lambda: part in Log.text(), timeout)
    try:
        # A change that is certain to be told shows that the subscription stands.
        def subscribed():
            virsh("metadata", probe, "--uri", "http://kite.test/probe", "--key", "probe", "--set", "<x/>", "--current")
            return "metadata-change" in Log.text()
        wait_for("subscription", subscribed, 10, 0.2)
        yield Log
    finally:
        process.kill()
        process.wait()


def processes(pattern):
    """Pids whose command line matches, of this test's namespaces only (kite-vmm leaves all but that of control groups)."""
    found = []
    kinds = ("mnt", "net", "cgroup")
    ours = {os.readlink("/proc/self/ns/" + kind) for kind in kinds} - {os.environ.get("KITE_TEST_OUTER_NET")}
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            with open(path, "rb") as f:
                line = f.read().replace(b"\0", b" ").decode(errors="replace")
            if line and re.search(pattern, line):
                folder = os.path.dirname(path) + "/ns/"
                if {os.readlink(folder + kind) for kind in kinds} & ours:
                    found.append(int(path.split("/")[2]))
    return [p for p in found if p != os.getpid()]


def open_files(pid):
    """What the descriptors of a process lead to."""
    found = []
    for path in glob.glob("/proc/%d/fd/*" % pid):
        with contextlib.suppress(OSError):  # closed meanwhile
            found.append(os.readlink(path))
    return found


def case(function):
    _cases.append(function)
    return function


def cleanup_processes():
    if os.environ.get("KITE_TEST_INSIDE") != "1":
        return  # not in namespaces of our own: they are somebody else's
    for pid in processes(r"qemu-system|kite-vmm|virtkited|passt|dnsmasq|virsh"):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def main(setup=None, teardown=None):
    """Runs the cases (those whose name is in KITE_TEST_ONLY, if set) and prints TAP."""
    only = os.environ.get("KITE_TEST_ONLY", "").replace(",", " ").split()
    chosen = [c for c in _cases if not only or c.__name__ in only]
    print("1..%d" % len(chosen), flush=True)
    failed = 0
    state = None
    try:
        state = setup() if setup else None
    except Skip as e:
        for number, function in enumerate(chosen, 1):
            print("ok %d - %s # SKIP %s" % (number, function.__name__, e))
        return 0
    except Exception as e:
        print("not ok 1 - the host of the test is set up\n# %s" % str(e).replace("\n", "\n# "))
        cleanup_processes()
        return 1
    for number, function in enumerate(chosen, 1):
        name = (function.__doc__ or function.__name__).strip().splitlines()[0]
        start = time.monotonic()
        try:
            function(state) if function.__code__.co_argcount else function()
            print("ok %d - %s (%.1f s)" % (number, name, time.monotonic() - start), flush=True)
        except Skip as e:
            print("ok %d - %s # SKIP %s" % (number, name, e), flush=True)
        except Exception as e:
            failed += 1
            print("not ok %d - %s" % (number, name), flush=True)
            text = "".join(traceback.format_exception(type(e), e, e.__traceback__)[-3:])
            print("# " + text.replace("\n", "\n# "), flush=True)
            if isinstance(state, Daemon):
                print("# virtkited %s; log: %s" % ("runs" if state.alive() else "is DEAD",
                                                  state.log_text()[-1500:].replace("\n", "\n# ")), flush=True)
    with contextlib.suppress(Exception):
        if teardown:
            teardown(state)
        elif isinstance(state, Daemon):
            state.stop()
    cleanup_processes()
    return 1 if failed else 0
