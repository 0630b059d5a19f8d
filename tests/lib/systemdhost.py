# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host run by systemd, into which the staged Kite is installed for real and where it runs from its units.

In the lab (run.sh -s) that is the lab's host. Elsewhere it is a container: kitehost's namespaces, where systemd becomes
process 1, with this machine's distribution units and its control groups. Processes of the test stay beside it.
"""
import glob
import os
import re
import shutil
import signal
import sys
import traceback

import kitehost
from kitehost import BUILD, STAGE, WORK, run, wait_for

SERVICE = "virtkited.service"
SOCKETS = ("virtkited.socket", "virtkited-ro.socket")
PATIENCE = int(os.environ.get("LAB_PATIENCE", "600"))  # seconds, for what takes one on an idle machine
INIT = "/lib/systemd/systemd"
# Of the distribution's units, those that do much for nothing here.
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "systemd-masked")) as masked:
    MASKED = masked.read().split()
os.environ["SYSTEMD_BUS_TIMEOUT"] = str(PATIENCE)  # of systemctl and its like


def present():
    return os.path.isdir("/run/systemd/system")


def enter():
    """Afterwards systemd runs this host, and Kite is installed as make install and a package's scripts do it."""
    if not os.path.exists(INIT) or not shutil.which("machinectl"):
        kitehost.skip_all("no systemd here (packages systemd, systemd-container)")
    if not present():
        kitehost.enter()
        become_host()
    else:
        for name in kitehost.OWN_FOLDERS:
            shutil.rmtree(name, ignore_errors=True)
        os.makedirs(WORK, exist_ok=True)
        os.environ["LC_ALL"] = "C.UTF-8"
        if not os.path.exists(STAGE + "/usr/sbin/virtkited"):
            kitehost.skip_all("no staged installation in %s: make stage" % STAGE)
        run("cp", "-a", "--remove-destination", STAGE + "/.", "/", timeout=PATIENCE)
    os.environ.pop("XDG_RUNTIME_DIR", None)
    run("systemd-sysusers", "kite.conf", timeout=PATIENCE)
    run("systemd-tmpfiles", "--create", "kite.conf", timeout=PATIENCE)
    systemctl("daemon-reload")


def make_dev():
    """A /dev of the container's own: systemd puts sockets there."""
    os.makedirs("/tmp/dev")
    run("mount", "-t", "tmpfs", "-o", "mode=755", "dev", "/tmp/dev")
    for name in ("null", "zero", "full", "random", "urandom", "tty", "kvm", "net/tun", "vhost-net"):
        if os.path.exists("/dev/" + name):
            os.makedirs(os.path.dirname("/tmp/dev/" + name), exist_ok=True)
            found = os.stat("/dev/" + name)
            os.mknod("/tmp/dev/" + name, found.st_mode, found.st_rdev)
            os.chmod("/tmp/dev/" + name, 0o666)
    for name in ("pts", "shm"):
        os.makedirs("/tmp/dev/" + name)
    run("mount", "-t", "devpts", "-o", "newinstance,ptmxmode=0666,mode=620,gid=5", "devpts", "/tmp/dev/pts")
    run("mount", "-t", "tmpfs", "-o", "mode=1777", "shm", "/tmp/dev/shm")
    os.symlink("pts/ptmx", "/tmp/dev/ptmx")
    for number, name in enumerate(("fd", "stdin", "stdout", "stderr")):
        os.symlink("/proc/self/fd" + ("/%d" % (number - 1) if number else ""), "/tmp/dev/" + name)
    run("mount", "--rbind", "/tmp/dev", "/dev")


def become_host():
    """This process, the first of its PID namespace, becomes systemd; the test goes on in a child."""
    shutil.rmtree("/etc/systemd/system")
    shutil.rmtree("/etc/systemd/user", ignore_errors=True)
    os.makedirs("/etc/systemd/system")
    for name in MASKED:
        os.symlink("/dev/null", "/etc/systemd/system/" + name)
    for level in "S0123456":
        shutil.rmtree("/etc/rc%s.d" % level, ignore_errors=True)
    with open("/etc/machine-id", "w") as f:
        f.write("0123456789abcdef0123456789abcdef\n")
    with open("/etc/fstab", "w"):
        pass
    with open("/etc/systemd/system/test.target", "w") as f:
        f.write("[Unit]\nRequires=basic.target\nAfter=basic.target\n"
                "Wants=dbus.service systemd-logind.service systemd-user-sessions.service\nAllowIsolate=yes\n")
    with open("/etc/tmpfiles.d/tmp.conf", "w"):
        pass  # Debian empties /tmp at boot, where the copies of /etc and /var are
    make_dev()
    for path in glob.glob("/sys/fs/cgroup/cgroup.procs") + glob.glob("/sys/fs/cgroup/*/cgroup.procs"):
        with open(path, "w") as f:
            f.write("0")  # systemd's root is where it finds itself
    run("mount", "--bind", "/proc/sys", "/proc/sys")
    for path in "/proc/sys", "/sys":
        run("mount", "-o", "remount,bind,ro", path)
    sys.stdout.flush()
    child = os.fork()
    if child:
        null = os.open("/dev/null", os.O_RDWR)
        for fd in 0, 1, 2:
            os.dup2(null, fd)
        os.execve(INIT, [INIT, "--unit=test.target", "--log-target=journal"], {
            "container": "kite-test", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"})
    def failed(*what):
        print("Bail out! " + "".join(traceback.format_exception(*what)).replace("\n", "\n# "))
        leave(1)
    sys.excepthook = failed
    wait_for("systemd", lambda: present() and systemctl("is-system-running", check=False) in
             ("running", "degraded"), PATIENCE, 0.05)


def leave(status):
    """The end of the test: of the container, too."""
    sys.stdout.flush()
    if os.environ.get("KITE_TEST_INSIDE") == "1":
        systemctl("exit", "--force", str(status), check=False)
        signal.pause()
    sys.exit(status)


def systemctl(*args, check=True):
    return run("systemctl", *args, check=check, timeout=PATIENCE).stdout.strip()


def prop(unit, name):
    return systemctl("show", "--value", "-p", name, unit)


def forget_starts():
    """Tests start it more often than systemd puts up with (StartLimitBurst=)."""
    systemctl("reset-failed", *SOCKETS, SERVICE, check=False)


class Unit(kitehost.Daemon):
    """The system daemon as systemd runs it."""

    def start(self, socket=kitehost.SOCKET):
        forget_starts()
        systemctl("start", *SOCKETS, SERVICE)
        return self

    @property
    def pid(self):
        return int(prop(SERVICE, "MainPID"))

    def alive(self):
        return prop(SERVICE, "ActiveState") == "active"

    def log_text(self):
        return run("journalctl", "--no-pager", "-q", "-o", "cat", "-u", SERVICE, timeout=PATIENCE).stdout[-4000:]

    def stop(self, sig=signal.SIGTERM, timeout=PATIENCE):
        systemctl("stop", *SOCKETS, SERVICE)

    def kill9(self):
        """As when it crashes. systemd starts the next one (Restart=on-failure)."""
        before = self.pid
        os.kill(before, signal.SIGKILL)
        wait_for("another daemon", lambda: self.alive() and self.pid not in (0, before), PATIENCE, 0.2)

    def restart(self):
        forget_starts()
        systemctl("restart", SERVICE)
        return self

    def rss_kib(self):
        with open("/proc/%d/smaps_rollup" % self.pid) as f:
            return int(re.search(r"^Pss:\s*(\d+)", f.read(), re.M).group(1))

    def open_fds(self):
        return len(os.listdir("/proc/%d/fd" % self.pid))


def small_guest(name, extra="", vcpus=2, memory=64):
    """A definition of the freestanding guest, which turns round for ever."""
    return """<domain type='kvm'><name>%s</name><memory unit='MiB'>%d</memory><vcpu>%d</vcpu>%s
<os><type arch='x86_64' machine='q35'>hvm</type><kernel>%s/tests/guest/test-guest.elf</kernel><cmdline>spin</cmdline></os>
<features><acpi/><apic/></features><devices><serial type='pty'/></devices></domain>""" % (name, memory, vcpus, extra, BUILD)
