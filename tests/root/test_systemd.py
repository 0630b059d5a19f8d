# SPDX-License-Identifier: LGPL-2.1-or-later
"""Kite on a host run by systemd: its units, socket activation, VMs in scopes, the daemon of a user, polkit, the journal.

In check-root systemd is process 1 of a container (systemdhost.py) on this machine's control groups; in the lab
(test_stack.sh) that of the lab's host, on cgroup v2 and KVM.
"""
import glob
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import systemdhost as host
import kitehost
from kitehost import WORK, Skip, case, run, virsh, wait_for, write
from systemdhost import PATIENCE, SERVICE, SOCKETS, prop, systemctl

USERS = {"kitefriend": "libvirt", "kiteother": "nogroup"}


def setup():
    if not os.path.exists("/dev/kvm"):
        raise Skip("no /dev/kvm")
    return host.Unit()


def as_user(user, *args, uri=kitehost.URI):
    """(status, text) of virsh run by another user."""
    uid = int(run("id", "-u", user).stdout)
    done = run("setpriv", "--reuid", user, "--regid", "nogroup", "--init-groups", "env", "HOME=/tmp/" + user,
               "XDG_RUNTIME_DIR=/run/user/%d" % uid, "virsh", "-q", "-c", uri, *args, check=False, timeout=PATIENCE)
    return done.returncode, done.stdout.strip()


def v(*args):
    return virsh(*args, timeout=PATIENCE)


def vmm_pid(name, folder="/run/kite"):
    with open("%s/domains/%s/status.xml" % (folder, name)) as f:
        return int(re.search(r"pid='(\d+)'", f.read()).group(1))


def scope_of(name):
    with open("/proc/%d/cgroup" % vmm_pid(name)) as f:
        return re.search(r"/machine\.slice/([^/\n]*\.scope)", f.read()).group(1)


def alive(pid):
    with open("/proc/%d/stat" % pid) as f:
        return f.read().rsplit(")", 1)[1].split()[0] != "Z"


def start(name, **kw):
    v("define", write("a.xml", host.small_guest(name, **kw)))
    v("start", name)
    return vmm_pid(name)


@case
def activation():
    """systemctl enable --now of the socket: the first virsh starts the daemon, by both sockets"""
    systemctl("enable", "--now", *SOCKETS)
    assert prop(SERVICE, "ActiveState") == "inactive"
    assert v("-r", "list", "--all", "--name") == ""
    assert prop(SERVICE, "ActiveState") == "active"
    assert prop(SERVICE, "Type") == "notify"
    assert v("list", "--all", "--name") == ""
    first = prop(SERVICE, "MainPID")
    systemctl("reload", SERVICE)
    assert v("list", "--all", "--name") == "" and prop(SERVICE, "MainPID") == first


@case
def scope(daemon):
    """a VM is a machine of machined's, in a scope of machine.slice, with the names libvirt would give them"""
    pid = start("web_1.a-b")
    assert scope_of("web_1.a-b") == r"machine-kite\x2d1\x2dweb1.a\x2db.scope", scope_of("web_1.a-b")
    line = run("machinectl", "list", "--no-legend", "--no-pager", timeout=PATIENCE).stdout.split()
    assert line[:3] == ["kite-1-web1.a-b", "vm", "libvirt-kite"], line
    shown = run("machinectl", "show", "kite-1-web1.a-b", timeout=PATIENCE).stdout
    assert "Leader=%d\n" % pid in shown and "Id=" + v("domuuid", "web_1.a-b").replace("-", "") in shown, shown
    unit = scope_of("web_1.a-b")
    assert prop(unit, "Slice") == "machine.slice" and prop(unit, "ActiveState") == "active"
    assert "<partition>/machine</partition>" in v("dumpxml", "web_1.a-b")


@case
def limits():
    """shares are the unit's, as systemd must know of them; other limits the kernel's"""
    unit = scope_of("web_1.a-b")
    if v("schedinfo", "web_1.a-b").find("cpu_shares") < 0:
        raise Skip("no cpu controller here")
    v("schedinfo", "web_1.a-b", "--live", "cpu_shares=300")
    assert "cpu_shares     : 300" in v("schedinfo", "web_1.a-b")
    v2 = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
    assert prop(unit, "CPUWeight" if v2 else "CPUShares") == "300"
    before = v("schedinfo", "web_1.a-b")
    assert re.search(r"vcpu_quota +: (-1|17592186044415)\nemulator_period: 100000", before), before
    v("schedinfo", "web_1.a-b", "--live", "vcpu_quota=50000", "emulator_quota=70000", "global_quota=90000")
    after = v("schedinfo", "web_1.a-b")
    for text in "vcpu_quota     : 50000", "emulator_quota : 70000", "global_quota   : 90000":
        assert text in after, after
    v("memtune", "web_1.a-b", "--live", "--hard-limit", "2097152")
    assert "hard_limit     : 2097152" in v("memtune", "web_1.a-b")
    v("vcpupin", "web_1.a-b", "1", "0", "--live")
    v("emulatorpin", "web_1.a-b", "0", "--live")
    assert re.search(r"1 +0$", v("vcpupin", "web_1.a-b"), re.M), v("vcpupin", "web_1.a-b")
    # Each thread of it is in the group that its limits are in.
    groups = {}
    for path in glob.glob("/proc/%d/task/*" % vmm_pid("web_1.a-b")):
        with open(path + "/cgroup") as f:
            place = re.search(r"^(?:0:|\d+:(?:[a-z,]*,)?cpu(?:,[a-z,]*)?):.*\.scope(/.*)$", f.read(), re.M)
        with open(path + "/comm") as f:
            groups[f.read().strip()] = place.group(1)
    assert {"/libvirt/vcpu0", "/libvirt/vcpu1", "/libvirt/emulator"} <= set(groups.values()), groups


@case
def restarts(daemon):
    """systemctl restart and stop leave VMs running, kill -9 too; the next daemon finds them again"""
    pid, unit = vmm_pid("web_1.a-b"), scope_of("web_1.a-b")

    def found():
        assert alive(pid) and vmm_pid("web_1.a-b") == pid and scope_of("web_1.a-b") == unit
        assert v("domstate", "web_1.a-b") == "running"
        v("suspend", "web_1.a-b")
        v("resume", "web_1.a-b")
        assert "cpu_shares     : 300" in v("schedinfo", "web_1.a-b") or not os.path.exists("/sys/fs/cgroup/cpu")
    daemon.restart()
    found()
    systemctl("stop", *SOCKETS, SERVICE)
    assert alive(pid) and not os.path.exists(kitehost.SOCKET)
    systemctl("start", SOCKETS[0])
    found()
    daemon.kill9()
    found()


@case
def ends(daemon):
    """destroy: neither scope nor machine is left; a VM that dies by itself leaves none either; QEMU's VMs are no other"""
    unit = scope_of("web_1.a-b")
    v("destroy", "web_1.a-b")
    v("undefine", "web_1.a-b")

    def gone(unit):
        wait_for("end of " + unit, lambda: prop(unit, "LoadState") == "not-found" or
                 prop(unit, "ActiveState") == "inactive", PATIENCE, 0.1)
        assert not run("machinectl", "list", "--no-legend", "--no-pager", timeout=PATIENCE).stdout.strip()
        assert not glob.glob("/sys/fs/cgroup/**/machine.slice/*.scope", recursive=True)
    gone(unit)
    pid = start("b")
    unit = scope_of("b")
    os.kill(pid, 9)
    wait_for("end of b", lambda: v("domstate", "b") == "shut off", PATIENCE, 0.1)
    gone(unit)
    v("undefine", "b")
    v("define", write("q.xml", kitehost.domain_xml("q", memory=64, serial_log=False)))
    v("start", "q")
    unit = scope_of("q")
    daemon.restart()
    assert v("domstate", "q") == "running"
    v("destroy", "q")
    gone(unit)
    v("undefine", "q")


@case
def idle(daemon):
    """without clients and VMs the daemon ends by itself, and the next client starts it again"""
    os.makedirs("/etc/default", exist_ok=True)
    with open("/etc/default/virtkited", "w") as f:
        f.write('VIRTKITED_ARGS="--timeout 1"\n')
    daemon.restart()
    wait_for("its end", lambda: prop(SERVICE, "ActiveState") == "inactive", PATIENCE, 0.1)
    assert prop(SERVICE, "Result") == "success" and prop(SOCKETS[0], "ActiveState") == "active"
    assert v("list", "--all", "--name") == ""
    os.unlink("/etc/default/virtkited")
    daemon.restart()


@case
def polkit():
    """polkit as installed: root and the group libvirt manage, others may only read"""
    for user, group in USERS.items():
        run("groupadd", "-f", group)
        run("useradd", "-m", "-d", "/tmp/" + user, "-G", group, user)
    assert as_user("kitefriend", "list", "--all", "--name") == (0, "")
    status, text = as_user("kiteother", "list", "--all", "--name")
    assert status == 1 and "org.libvirt.unix.manage" in text, text
    assert as_user("kiteother", "-r", "list", "--all", "--name") == (0, "")


@case
def session():
    """the user's own daemon by the user's systemd, with lingering; it may end without its VM"""
    user = "kitefriend"
    run("loginctl", "enable-linger", user, timeout=PATIENCE)
    uid = int(run("id", "-u", user).stdout)
    wait_for("the user's systemd", lambda: os.path.exists("/run/user/%d/systemd/private" % uid), PATIENCE, 0.1)

    def of_user(*args):
        return run("systemctl", "--user", "--machine", user + "@", *args, timeout=PATIENCE).stdout.strip()
    of_user("enable", "--now", "virtkited.socket")
    uri = "kite:///session?mode=direct"
    assert as_user(user, "list", "--all", "--name", uri=uri) == (0, "")
    assert of_user("is-active", "virtkited.service") == "active"
    path = "/tmp/%s/s.xml" % user
    with open(path, "w") as f:
        f.write(host.small_guest("s").replace(kitehost.BUILD + "/tests/guest", "/tmp/" + user))
    run("cp", kitehost.BUILD + "/tests/guest/test-guest.elf", "/tmp/" + user)
    os.chmod("/dev/kvm", 0o666)
    status, text = as_user(user, "create", path, uri=uri)
    assert status == 0, text
    pid = vmm_pid("s", "/run/user/%d/kite" % uid)
    of_user("restart", "virtkited.service")
    assert alive(pid) and as_user(user, "domstate", "s", uri=uri) == (0, "running")
    status, text = as_user(user, "destroy", "s", uri=uri)
    assert status == 0, text


@case
def journal(daemon):
    """what the daemon has to say is in the journal, under its unit, with priority and source; no unit has failed"""
    with open("/etc/kite/virtkited.conf", "a") as f:
        f.write("\nlog_level = 1\n")
    daemon.start()  # where all is slow it has been idle for long enough to end
    systemctl("reload", SERVICE)
    v("define", write("j.xml", host.small_guest("journal-case")))

    def entries():
        v("domstate", "journal-case")
        run("journalctl", "--sync", timeout=PATIENCE)
        return run("journalctl", "--no-pager", "-q", "-u", SERVICE, "-p", "info..debug", "-o", "verbose", timeout=PATIENCE).stdout
    text = wait_for("an entry", entries, PATIENCE, 0.2)
    for field in "PRIORITY=7", "SYSLOG_IDENTIFIER=virtkited", "KITE_SOURCE=rpc":
        assert field in text, text[-3000:]
    failed = systemctl("--failed", "--no-legend", "--plain")
    assert not failed, failed


host.enter()
host.leave(kitehost.main(setup))
