# SPDX-License-Identifier: LGPL-2.1-or-later
"""The life of domains under kite-vmm, through plain virsh, with freestanding guests (tests/guest) on /dev/kvm."""
import os
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import kitehost
from kitehost import case, console_text, fails, virsh, wait_console, wait_for, write
from vmmguest import KERNEL, VMM, define, gone, run_dir, setup, state, vmm_pids, xml


@case
def chosen_when_defined():
    """kite-vmm is chosen for what it supports and shown as <emulator>; for the rest QEMU is"""
    define("a", "spin")
    assert "<emulator>%s</emulator>" % VMM in virsh("dumpxml", "a"), virsh("dumpxml", "a")
    virsh("undefine", "a")
    define("a", "spin", machine="pc")
    assert "<emulator>%s</emulator>" % VMM in virsh("dumpxml", "a")
    assert "machine='pc-i440fx-" in virsh("dumpxml", "a")
    virsh("undefine", "a")
    if shutil.which("qemu-system-x86_64"):
        define("a", "spin", devices="<graphics type='vnc'/>")
        assert "qemu-system-x86_64</emulator>" in virsh("dumpxml", "a")
        virsh("undefine", "a")
        define("a", "spin", emulator="<emulator>/usr/bin/qemu-system-x86_64</emulator>")
        assert "qemu-system-x86_64</emulator>" in virsh("dumpxml", "a")
        virsh("undefine", "a")
    path = write("a.xml", xml("a", "spin", devices="<graphics type='vnc'/>",
                              emulator="<emulator>%s</emulator>" % VMM))
    fails("define", path, contains="kite-vmm does not support <graphics>")


@case
def life():
    """start, console, suspend, resume, reset, destroy"""
    define("life", "button", vcpus=2)
    virsh("start", "life")
    assert state("life") == "running (booted)"
    assert len(vmm_pids()) == 1
    wait_console("life", "guest button")
    fails("start", "life", contains="already")
    virsh("suspend", "life")
    assert state("life") == "paused (user)"
    virsh("resume", "life")
    assert state("life") == "running (unpaused)"
    virsh("reset", "life")
    wait_for("second boot", lambda: console_text("life").count("guest button") > 1)
    assert "/dev/pts/" in virsh("ttyconsole", "life")
    info = virsh("dominfo", "life")
    assert re.search(r"CPU\(s\):\s+2\b", info), info
    assert len(virsh("vcpuinfo", "life").split("VCPU:")) == 3, virsh("vcpuinfo", "life")
    virsh("domstats", "life")
    virsh("destroy", "life")
    assert state("life") == "shut off (destroyed)"
    wait_for("end of the process", lambda: not vmm_pids())
    assert not os.path.exists(run_dir("life"))


@case
def dirty_rate():
    """domdirtyrate-calc by samples and by KVM's log; no dirty ring"""
    define("dirty", "spin")
    virsh("start", "dirty")
    for mode in "page-sampling", "dirty-bitmap":
        virsh("domdirtyrate-calc", "dirty", "--seconds", "1", "--mode", mode)
        wait_for("result", lambda: "calc_status=2" in virsh("domstats", "dirty", "--dirtyrate"), 30)
        told = virsh("domstats", "dirty", "--dirtyrate")
        assert "calc_mode=" + mode in told and "calc_period=1" in told and "megabytes_per_second=" in told, told
    fails("domdirtyrate-calc", "dirty", "--mode", "dirty-ring", contains="requires dirty-ring feature enabled")
    gone("dirty")


@case
def shut_down():
    """shutdown presses the power button; the guest ends by itself, and the events say so"""
    virsh("start", "life")
    wait_console("life", "guest button")
    with kitehost.events("life") as log:
        virsh("shutdown", "life", "--mode", "acpi")
        wait_for("end", lambda: state("life").startswith("shut off"))
        assert state("life") == "shut off (shutdown)", state("life")
        log.wait("Shutdown")
        log.wait("Stopped")


@case
def console_stream():
    """console data goes both ways over a stream"""
    virsh("undefine", "life")
    define("con", "spin")
    virsh("start", "con", "--paused")
    assert state("con") == "paused (starting up)" or state("con") == "paused (user)", state("con")
    import pty
    master, slave = pty.openpty()
    p = subprocess.Popen(["virsh", "-q", "-c", kitehost.URI, "console", "con"], stdin=slave, stdout=slave,
                         stderr=subprocess.STDOUT, close_fds=True)
    os.close(slave)
    os.set_blocking(master, False)
    text = b""

    def more():
        nonlocal text
        try:
            text += os.read(master, 4096)
        except OSError:
            pass
        return b"guest spin" in text

    try:
        virsh("resume", "con")
        # Output before somebody is seen to read the pty is lost, as with QEMU: the guest speaks again.
        wait_for("console output", lambda: more() or virsh("reset", "con"), 20, 0.5)
    finally:
        p.kill()
        p.wait()
        os.close(master)
    gone("con")


@case
def capabilities():
    """capabilities name kite-vmm for type kvm; domain capabilities say what it has"""
    caps = virsh("capabilities")
    assert "<emulator>%s</emulator>" % VMM in caps, caps
    text = virsh("domcapabilities", "--emulatorbin", VMM, "--virttype", "kvm")
    for part in ("<path>%s</path>" % VMM, "<domain>kvm</domain>", "<value>virtio</value>", "<graphics supported='no'"):
        assert part in text, text
    fails("domcapabilities", "--emulatorbin", VMM, "--virttype", "qemu", contains="virttype")
    with open(kitehost.WORK + "/caps.xml", "w") as f:
        f.write(text)
    if os.path.exists("/usr/share/libvirt/schemas/domaincaps.rng"):
        kitehost.run("xmllint", "--noout", "--relaxng", "/usr/share/libvirt/schemas/domaincaps.rng", kitehost.WORK + "/caps.xml")
        with open(kitehost.WORK + "/caps.xml", "w") as f:
            f.write(caps)
        kitehost.run("xmllint", "--noout", "--relaxng", "/usr/share/libvirt/schemas/capability.rng", kitehost.WORK + "/caps.xml")


@case
def disks_and_nets():
    """disks with a backing chain, a tap on a bridge, channels: opened by the daemon, counted and cleaned up"""
    work = kitehost.WORK
    for args in (["create", "-q", "-f", "raw", work + "/base.raw", "8M"],
                 ["create", "-q", "-f", "qcow2", "-b", "base.raw", "-F", "raw", work + "/mid.qcow2"],
                 ["create", "-q", "-f", "qcow2", "-b", work + "/mid.qcow2", "-F", "qcow2", work + "/top.qcow2"],
                 ["create", "-q", "-f", "raw", work + "/plain.raw", "4M"]):
        if not shutil.which("qemu-img"):
            raise kitehost.Skip("no qemu-img")
        kitehost.run("qemu-img", *args)
    kitehost.run("ip", "link", "add", "br0", "type", "bridge")
    kitehost.run("ip", "link", "set", "br0", "up")
    devices = f"""
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{work}/top.qcow2'/><target dev='vda' bus='virtio'/></disk>
<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{work}/plain.raw'/><target dev='vdb' bus='virtio'/><readonly/></disk>
<interface type='bridge'><mac address='52:54:00:11:22:33'/><source bridge='br0'/><model type='virtio'/></interface>
<console type='pty'><target type='virtio'/></console>"""
    define("dev", "spin", devices=devices)
    assert VMM in virsh("dumpxml", "dev")
    virsh("start", "dev")
    live = virsh("dumpxml", "dev")
    assert live.count("<backingStore type='file'") == 2, live
    assert "<target dev='vnet" in live, live
    assert "Capacity:       8388608" in virsh("domblkinfo", "dev", "vda"), virsh("domblkinfo", "dev", "vda")
    assert "vda" in virsh("domblklist", "dev")
    assert "rd_req" in virsh("domblkstat", "dev", "vda")
    tap = re.search(r"vnet\d+", live).group(0)
    assert "rx_bytes" in virsh("domifstat", "dev", tap)
    assert "master br0" in kitehost.run("ip", "link", "show", tap).stdout
    assert "actual 65536" in virsh("dommemstat", "dev"), virsh("dommemstat", "dev")
    stats = virsh("domstats", "dev")
    for key in ("block.0.rd.reqs=", "net.0.rx.bytes=", "vcpu.0.state=", "balloon.current="):
        assert key in stats, stats
    fails("start", "dev", contains="already")
    other = xml("dev2", "spin", devices=devices.split("<interface")[0])
    virsh("define", write("dev2.xml", other))
    text = fails("start", "dev2")
    assert "another process uses the image" in text, text
    virsh("undefine", "dev2")
    virsh("destroy", "dev")
    wait_for("end of the tap", lambda: kitehost.run("ip", "link", "show", tap, check=False).returncode != 0)
    virsh("undefine", "dev")
    define("dev", "spin", devices=devices.replace("top.qcow2", "none.qcow2"))
    fails("start", "dev", contains=["none.qcow2", "No such file"])
    virsh("undefine", "dev")
    kitehost.run("qemu-img", "check", "-q", work + "/top.qcow2")


@case
def hot_plug():
    """disks, interfaces and channels are plugged into a running guest; what fails leaves nothing behind"""
    work = kitehost.WORK
    kitehost.run("truncate", "-s", "4M", work + "/hot.raw")
    ports = "<controller type='pci' index='0' model='pcie-root'/>" + "<controller type='pci' model='pcie-root-port'/>" * 12
    define("hot", "spin", devices=ports)
    virsh("start", "hot")
    pid = vmm_pids()[0]
    fds = len(os.listdir("/proc/%d/fd" % pid))
    virsh("attach-disk", "hot", work + "/hot.raw", "vdb", "--targetbus", "virtio", "--live")
    assert work + "/hot.raw" in virsh("domblklist", "hot")
    assert "Capacity:       4194304" in virsh("domblkinfo", "hot", "vdb"), virsh("domblkinfo", "hot", "vdb")
    assert len(os.listdir("/proc/%d/fd" % pid)) > fds
    fds = len(os.listdir("/proc/%d/fd" % pid))
    fails("attach-disk", "hot", work + "/nothing.raw", "vdc", "--targetbus", "virtio", "--live", contains="nothing.raw")
    fails("attach-disk", "hot", work + "/hot.raw", "vdc", "--targetbus", "virtio", "--live")
    fails("attach-disk", "hot", work + "/base.raw", "sda", "--targetbus", "usb", "--live", contains="not support")
    assert len(os.listdir("/proc/%d/fd" % pid)) == fds
    virsh("attach-interface", "hot", "ethernet", "none", "--model", "virtio", "--live", "--mac", "52:54:00:99:88:77",
          "--target", "hot0", check=False)
    channel = write("channel.xml", "<channel type='unix'><target type='virtio' name='org.test.hot'/></channel>")
    virsh("attach-device", "hot", channel, "--live")
    live = virsh("dumpxml", "hot")
    assert "org.test.hot" in live and "hot.raw" in live
    assert state("hot").startswith("running")
    gone("hot")


@case
def guest_ends():
    """a guest that panics, powers off or reboots is seen and treated as the definition says"""
    define("off", "hello")
    virsh("start", "off")
    wait_for("end", lambda: state("off") == "shut off (shutdown)")
    virsh("undefine", "off")
    define("pan", "panic", devices="<panic model='isa'/>", extra="<on_crash>preserve</on_crash>")
    virsh("start", "pan")
    wait_for("crash", lambda: state("pan") == "crashed (panicked)")
    gone("pan")
    define("reb", "reset", extra="<on_reboot>destroy</on_reboot>")
    virsh("start", "reb")
    wait_for("end", lambda: state("reb").startswith("shut off"))
    assert "second life" not in console_text("reb")
    virsh("undefine", "reb")


@case
def errors_are_clear():
    """a missing or wrong kernel: what, where, and no residue"""
    before = sorted(os.listdir("/run/kite/domains")) if os.path.isdir("/run/kite/domains") else []
    define("bad", "spin", kernel="/nowhere/kernel")
    fails("start", "bad", contains=["kernel", "/nowhere/kernel"])
    virsh("undefine", "bad")
    define("bad", "spin", kernel=kitehost.WORK + "/fifo")
    os.mkfifo(kitehost.WORK + "/fifo")
    fails("start", "bad", contains="it is a pipe")
    virsh("undefine", "bad")
    define("bad", "spin", kernel=write("nokernel", "this is no kernel\n" * 100))
    text = fails("start", "bad")
    assert "kernel" in text, text
    virsh("undefine", "bad")
    assert not vmm_pids()
    assert (sorted(os.listdir("/run/kite/domains")) if os.path.isdir("/run/kite/domains") else []) == before


@case
def unknown_commands():
    """what kite-vmm does not have is refused as unsupported"""
    define("less", "spin")
    virsh("start", "less")
    fails("screenshot", "less", kitehost.WORK + "/shot", contains="no screens")
    fails("qemu-monitor-command", "less", "--hmp", "info version", contains="human-monitor-command")
    text = virsh("qemu-monitor-command", "less", '{"execute": "query-vnc"}')
    assert "CommandNotFound" in text, text
    assert state("less").startswith("running")
    gone("less")


@case
def daemon_killed(daemon):
    """kill -9 of the daemon: the guest runs on, is found again, and everything still works"""
    define("keep", "button", vcpus=2)
    virsh("start", "keep")
    wait_console("keep", "guest button")
    pids, ident, xml_before = vmm_pids(), virsh("domid", "keep"), virsh("dumpxml", "keep")
    daemon.kill9()
    assert vmm_pids() == pids
    daemon.start()
    assert state("keep") == "running (booted)", state("keep")
    assert virsh("domid", "keep") == ident
    assert virsh("dumpxml", "keep") == xml_before
    virsh("suspend", "keep")
    daemon.kill9()
    daemon.start()
    assert state("keep") == "paused (user)", state("keep")
    virsh("resume", "keep")
    virsh("shutdown", "keep")
    wait_for("end", lambda: state("keep") == "shut off (shutdown)")
    assert not vmm_pids()
    # a guest that ends while nobody looks
    virsh("start", "keep")
    pid = vmm_pids()[0]
    daemon.kill9()
    os.kill(pid, signal.SIGKILL)
    daemon.start()
    wait_for("end", lambda: state("keep").startswith("shut off"))
    assert not os.path.exists(run_dir("keep"))
    virsh("undefine", "keep")


@case
def vmm_killed():
    """a VMM that is killed or stands still harms nobody else"""
    define("v1", "spin")
    define("v2", "spin")
    virsh("start", "v1")
    first = vmm_pids()[0]
    virsh("start", "v2")
    os.kill(first, signal.SIGSTOP)
    start = time.monotonic()
    assert state("v1").startswith("running")
    assert state("v2").startswith("running")
    virsh("list")
    assert time.monotonic() - start < 2
    start = time.monotonic()
    virsh("destroy", "v1")
    assert time.monotonic() - start < 2
    os.kill(vmm_pids()[0], signal.SIGKILL)
    wait_for("end", lambda: state("v2") == "shut off (crashed)")
    virsh("undefine", "v1")
    virsh("undefine", "v2")


@case
def session():
    """an ordinary user with access to /dev/kvm runs domains of his own"""
    info = os.stat("/dev/kvm")
    home = kitehost.WORK + "/home"
    run = home + "/run"
    for folder in (home, run, run + "/libvirt"):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        os.chown(folder, 65534, 65534)
    os.chmod(kitehost.WORK, 0o755)
    os.chmod(KERNEL, 0o644)
    env = dict(os.environ, HOME=home, XDG_RUNTIME_DIR=run, XDG_CONFIG_HOME=home + "/config", XDG_CACHE_HOME=home + "/cache",
               XDG_DATA_HOME=home + "/data")
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--groups=%d" % info.st_gid, "--inh-caps=-all"]
    if subprocess.run(user + ["test", "-w", "/dev/kvm"]).returncode:
        raise kitehost.Skip("/dev/kvm is for root only")
    daemon = subprocess.Popen(user + ["/usr/sbin/virtkited", "--timeout=60"], env=env, stdin=subprocess.DEVNULL)

    def sh(*args):
        return kitehost.run(*user, "virsh", "-q", "-c", "kite:///session", *args, env=env).stdout.strip()

    try:
        wait_for("session socket", lambda: os.path.exists(run + "/libvirt/virtkited-sock"), 20)
        text = xml("mine", "button").replace(kitehost.WORK + "/mine.console", home + "/mine.console")
        path = write("mine.xml", text)
        os.chmod(path, 0o644)
        sh("define", path)
        assert VMM in sh("dumpxml", "mine")
        sh("start", "mine")
        pid = vmm_pids()[0]
        assert os.stat("/proc/%d" % pid).st_uid in (0, 65534)
        with open("/proc/%d/status" % pid) as f:
            status = f.read()
        assert re.search(r"^Uid:\t65534\t65534\t65534\t65534$", status, re.M), status
        assert re.search(r"^CapEff:\t0+$", status, re.M) and re.search(r"^NoNewPrivs:\t1$", status, re.M), status
        assert re.search(r"^Seccomp:\t2$", status, re.M), status
        if subprocess.run(user + ["unshare", "-Unm", "true"], stderr=subprocess.DEVNULL).returncode == 0:
            assert os.listdir("/proc/%d/root" % pid) == []
            assert os.readlink("/proc/%d/ns/net" % pid) != os.readlink("/proc/self/ns/net")

        def greeted():
            return os.path.exists(home + "/mine.console") and "guest button" in open(home + "/mine.console").read()

        wait_for("guest", greeted)
        sh("shutdown", "mine")
        wait_for("end", lambda: sh("domstate", "mine") == "shut off")
        sh("undefine", "mine")
    finally:
        daemon.terminate()
        daemon.wait(10)


@case
def nothing_left(daemon):
    """after all that no descriptor, process or file is left"""
    assert not vmm_pids()
    assert not os.listdir("/run/kite/domains")
    fds = kitehost.open_files(daemon.process.pid)
    assert not [f for f in fds if "/dev/kvm" in f or "ptmx" in f or "guest.elf" in f], fds


if __name__ == "__main__":
    kitehost.enter()
    sys.exit(kitehost.main(setup))
