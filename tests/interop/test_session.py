# SPDX-License-Identifier: LGPL-2.1-or-later
"""An ordinary user's own daemon: started by the unmodified client, found by the plain name, ended when nobody needs it."""
import os
import pwd
import shutil
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import kitehost
from kitehost import WORK, case, domain_xml, wait_for, write

USER = "games"
HOME = WORK + "/home"
RUN = WORK + "/home-run"
SOCKET = RUN + "/libvirt/virtkited-sock"
AS_USER = ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", "env", "-u", "XDG_CONFIG_HOME", "HOME=" + HOME,
           "XDG_RUNTIME_DIR=" + RUN]


def setup():
    os.chmod(WORK, 0o755)
    ids = pwd.getpwnam(USER)
    for folder in (HOME, RUN):
        os.makedirs(folder, mode=0o700)
        os.chown(folder, ids.pw_uid, ids.pw_gid)


def mine(*args, uri="kite:///session", check=True):
    done = kitehost.run(*AS_USER, "virsh", "-q", "-c", uri, *args, check=check)
    return done.stdout.strip() if check else (done.returncode, done.stdout.strip())


def daemons():
    return kitehost.processes(r"^\S*virtkited")


def end():
    for pid in daemons():
        os.kill(pid, signal.SIGTERM)
    wait_for("the daemon's end", lambda: not daemons(), 20)


@case
def started_by_the_client():
    """kite:///session?mode=direct starts virtkited with libvirt's time-out; a VM of the user's own runs under it"""
    assert not daemons()
    assert mine("uri", uri="kite:///session?mode=direct") == "kite:///session?mode=direct"
    pids = daemons()
    assert len(pids) == 1, pids
    with open("/proc/%d/cmdline" % pids[0]) as f:
        assert "--timeout=120" in f.read()
    assert os.stat("/proc/%d" % pids[0]).st_uid == pwd.getpwnam(USER).pw_uid
    path = write("own.xml", domain_xml("own", memory=32, serial_log=False))
    os.chmod(path, 0o644)
    mine("define", path)
    mine("start", "own")
    assert mine("domstate", "own") == "running"
    assert os.path.exists(HOME + "/.config/kite/domains/own.xml"), os.listdir(HOME + "/.config")
    mine("destroy", "own")
    end()


@case
def plain_name_where_a_socket_is():
    """with the socket there (a running daemon's, or systemd's) the plain name works without any setting"""
    mine("list", uri="kite:///session?mode=direct")
    assert os.path.exists(SOCKET)
    assert mine("list", "--all", "--name") == "own"
    end()
    assert not os.path.exists(SOCKET)


@case
def plain_name_by_configuration():
    """remote_mode = "direct" in the user's libvirt.conf makes the plain name start the daemon"""
    folder = HOME + "/.config/libvirt"
    os.makedirs(folder, exist_ok=True)
    with open(folder + "/libvirt.conf", "w") as f:
        f.write('remote_mode = "direct"\n')
    shutil.chown(folder, USER, USER)
    shutil.chown(folder + "/libvirt.conf", USER, USER)
    assert mine("list", "--all", "--name") == "own"
    assert len(daemons()) == 1
    end()
    os.unlink(folder + "/libvirt.conf")


@case
def ends_when_nobody_needs_it():
    """--timeout: with a client or a running VM it stays; without both it ends and its socket goes"""
    kitehost.run(*AS_USER, "virtkited", "--session", "--daemon", "--timeout", "1")
    wait_for("socket", lambda: os.path.exists(SOCKET), 10)
    mine("start", "own")
    pid = daemons()[0]
    begin = kitehost.time.monotonic()
    while kitehost.time.monotonic() < begin + 2.5:  # well beyond the time-out
        assert mine("domstate", "own") == "running"
    assert daemons() == [pid]
    mine("destroy", "own")
    wait_for("its end", lambda: not daemons(), 20)
    assert not os.path.exists(SOCKET)


if __name__ == "__main__":
    kitehost.enter()
    sys.exit(kitehost.main(setup))
