# SPDX-License-Identifier: LGPL-2.1-or-later
"""Control groups of running VMs, on both back ends: where they are, limits and figures live and in the definition, pins,
performance counters, what is left when the VM or the daemon ends."""
import contextlib
import glob
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import kitehost
from kitehost import PEER, WORK, Skip, case, domain_xml, fails, virsh, wait_for, write

DRIVER = "qemu" if PEER else "kite"
CGROUP = "/sys/fs/cgroup"
KERNEL = WORK + "/guest.elf"
TUNED = """<iothreads>1</iothreads>
<cputune><shares>2000</shares><period>50000</period><quota>25000</quota><vcpupin vcpu='1' cpuset='0'/>
<emulatorpin cpuset='0'/></cputune>
<blkiotune><device><path>/dev/loop0</path><read_bytes_sec>1000000</read_bytes_sec></device></blkiotune>"""


def setup():
    if not os.path.isdir(CGROUP + "/cpu") or not os.path.isdir(CGROUP + "/memory"):
        raise Skip("no cgroup v1 hierarchies here")
    with contextlib.suppress(OSError):
        os.mkdir(CGROUP + "/cpu/probe")
        os.rmdir(CGROUP + "/cpu/probe")
        guest = os.path.join(kitehost.BUILD, "tests/guest/test-guest.elf")
        if os.path.exists(guest):
            import shutil
            shutil.copy(guest, KERNEL)
        return kitehost.Daemon().start()
    raise Skip("control groups cannot be made here")


def backends():
    """Names of the kinds of VM that can be tried; what they stand for is up to make()."""
    yield "qemu"
    if not PEER and os.path.exists(KERNEL) and os.access("/dev/kvm", os.R_OK | os.W_OK):
        yield "vmm"


def make(name, kind, extra=TUNED, vcpus=2):
    if kind == "vmm":
        text = ("<domain type='kvm'><name>%s</name><memory unit='MiB'>64</memory><vcpu>%d</vcpu>%s"
                "<os><type arch='x86_64' machine='q35'>hvm</type><kernel>%s</kernel><cmdline>spin</cmdline></os>"
                "<features><acpi/><apic/></features><devices><serial type='pty'/></devices></domain>"
                % (name, vcpus, extra, KERNEL))
    else:
        text = domain_xml(name, vcpus=vcpus, memory=64, extra=extra, serial_log=False)
    virsh("define", write(name + ".xml", text))
    virsh("start", name)
    return pid_of(name)


def pid_of(name):
    """Of the process in the domain's memory group."""
    with open(group("memory", name) + "/cgroup.procs") as f:
        pids = f.read().split()
    assert len(pids) == 1, pids
    return int(pids[0])


def group(controller, name, thread=""):
    found = glob.glob("%s/%s/machine/%s-*-%s.libvirt-%s" % (CGROUP, controller, DRIVER, name, DRIVER))
    assert len(found) == 1, (controller, name, found)
    return found[0] + ("/" + thread if thread else "")


def left(name):
    return glob.glob("%s/*/machine/%s-*-%s.libvirt-%s" % (CGROUP, DRIVER, name, DRIVER))


def value(controller, name, key, thread=""):
    with open("%s/%s" % (group(controller, name, thread), key)) as f:
        return f.read().strip()


def live(name):
    return virsh("dumpxml", name)


def config(name):
    return virsh("dumpxml", name, "--inactive")


def sched(name, *args):
    return dict(re.findall(r"^(\w+) *: (\S+)", virsh("schedinfo", name, *args), re.M))


def gone(name):
    virsh("destroy", name)
    assert not left(name), left(name)
    virsh("undefine", name)


@case
def placed():
    """a VM has groups as libvirt makes them; threads are in theirs; limits of the definition are in force"""
    for kind in backends():
        pid = make("a", kind)
        with open("/proc/%d/cgroup" % pid) as f:
            places = dict(line.rstrip().split(":", 2)[1:] for line in f)
        path = "/machine/%s-" % DRIVER
        for controllers, place in places.items():
            names = controllers.split(",")
            if {"memory", "blkio", "freezer", "devices"} & set(names):
                assert place.startswith(path) and place.endswith(".libvirt-" + DRIVER), (controllers, place)
            if {"cpu", "cpuacct", "cpuset"} & set(names):
                assert place.startswith(path) and place.endswith("/emulator"), (controllers, place)
        for thread in "vcpu0", "vcpu1", "iothread1":
            wait_for("a thread in " + thread, lambda: value("cpu", "a", "tasks", thread))
            # KVM makes a thread of its own on a vCPU's first run, where that vCPU is then.
            names = [open("/proc/%d/task/%s/comm" % (pid, t)).read() for t in value("cpu", "a", "tasks", thread).split()]
            assert len([n for n in names if not n.startswith("kvm-")]) == 1, (kind, thread, names)
        assert value("cpu", "a", "cpu.shares") == "2000"
        assert value("cpu", "a", "cpu.cfs_period_us", "vcpu1") == "50000"
        assert value("cpu", "a", "cpu.cfs_quota_us", "vcpu1") == "25000"
        assert value("cpu", "a", "cpu.cfs_quota_us", "emulator") == "-1"
        assert value("cpuset", "a", "cpuset.cpus", "vcpu1") == "0"
        assert value("cpuset", "a", "cpuset.cpus", "emulator") == "0"
        if os.path.exists("/dev/loop0"):
            assert value("blkio", "a", "blkio.throttle.read_bps_device") == "7:0 1000000"
        assert "c 136:* rw" in value("devices", "a", "devices.list") and "a *:*" not in value("devices", "a", "devices.list")
        assert "<partition>/machine</partition>" in live("a") and "partition" not in config("a")
        gone("a")


@case
def scheduler():
    """schedinfo: live, in the definition, out of range; one event tells of it"""
    for kind in backends():
        make("b", kind)
        assert sched("b")["cpu_shares"] == "2000" and sched("b")["vcpu_quota"] == "25000"
        assert sched("b")["emulator_period"] == "100000" and sched("b")["global_quota"] == "-1"
        assert sched("b", "--config")["emulator_period"] == "0"
        watch = subprocess.Popen(["virsh", "-c", kitehost.URI, "event", "--event", "tunable", "--timeout", "60"],
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        time_out = time.monotonic() + 30
        shares = 3000
        # The watcher is ready some time after it was started: tell it until it says what it heard.
        while watch.poll() is None and time.monotonic() < time_out:
            shares += 1
            sched("b", "--live", "--set", "cpu_shares=%d" % shares, "--set", "vcpu_quota=-1")
        text = watch.communicate(timeout=60)[0]
        assert "event 'tunable' for domain 'b'" in text and "cputune.cpu_shares: 3" in text, text
        assert "cputune.vcpu_quota: -1" in text, text
        assert value("cpu", "b", "cpu.shares") == str(shares) and value("cpu", "b", "cpu.cfs_quota_us", "vcpu0") == "-1"
        assert "<shares>%d</shares>" % shares in live("b") and "<shares>2000</shares>" in config("b")
        for name, thread, key in (("global", "", "cpu.cfs_quota_us"), ("emulator", "emulator", "cpu.cfs_quota_us"),
                                  ("iothread", "iothread1", "cpu.cfs_quota_us")):
            sched("b", "--live", "--config", "--set", name + "_quota=30000")
            assert value("cpu", "b", key, thread) == "30000", name
            assert sched("b")[name + "_quota"] == "30000" and sched("b", "--config")[name + "_quota"] == "30000"
        sched("b", "--live", "--set", "emulator_period=200000")
        assert value("cpu", "b", "cpu.cfs_period_us", "emulator") == "200000"
        sched("b", "--live", "--set", "vcpu_quota=0")  # as it is
        assert sched("b")["vcpu_quota"] == "-1"
        fails("schedinfo", "b", "--live", "--set", "cpu_shares=1", contains="shares '1' must be in range [2, 262144]")
        fails("schedinfo", "b", "--live", "--set", "vcpu_period=100",
              contains="value of 'vcpu_period' is out of range [1000, 1000000]")
        fails("schedinfo", "b", "--live", "--set", "iothread_quota=17592186044415",
              contains="Invalid value '17592186044415' for 'cpu.cfs_quota_us': Invalid argument")
        gone("b")


@case
def memory():
    """memtune: limits live and in the definition, in the right order; a limit that memory in use is over"""
    for kind in backends():
        make("c", kind, extra="", vcpus=1)
        assert re.findall(r"unlimited", virsh("memtune", "c")) == ["unlimited"] * 3
        virsh("memtune", "c", "--hard-limit", "300000")
        assert value("memory", "c", "memory.limit_in_bytes") == "307200000"
        virsh("memtune", "c", "--swap-hard-limit", "500000", "--soft-limit", "200000", "--live", "--config")
        assert value("memory", "c", "memory.memsw.limit_in_bytes") == "512000000"
        fails("memtune", "c", "--hard-limit", "-1", contains="memory hard_limit tunable value must be lower than or equal to")
        virsh("memtune", "c", "--hard-limit", "250000", "--swap-hard-limit", "260000", "--live")
        virsh("memtune", "c", "--hard-limit", "400000", "--swap-hard-limit", "400000", "--live")
        assert "<hard_limit unit='KiB'>400000</hard_limit>" in live("c")
        assert "<soft_limit unit='KiB'>200000</soft_limit>" in config("c") and "hard_limit unit='KiB'>4" not in config("c")
        virsh("memtune", "c", "--hard-limit", "-1", "--swap-hard-limit", "-1", "--live")
        assert "unlimited" in virsh("memtune", "c") and "hard_limit" not in live("c")
        if kind == "qemu":
            fails("memtune", "c", "--hard-limit", "1000", "--live", contains="memory.limit_in_bytes': Device or resource busy")
        gone("c")


@case
def block():
    """blkiotune: weight and limits of a device, live and in the definition; what is no device is refused"""
    for kind in backends():
        make("d", kind, extra="", vcpus=1)
        virsh("blkiotune", "d", "--config", "--weight", "300")
        assert "<weight>300</weight>" in config("d") and "<blkiotune>" not in live("d")
        if os.path.exists(group("blkio", "d") + "/blkio.bfq.weight"):
            virsh("blkiotune", "d", "--live", "--weight", "500")
            assert value("blkio", "d", "blkio.bfq.weight") == "500" and "<weight>500</weight>" in live("d")
        if os.path.exists("/dev/loop0"):
            virsh("blkiotune", "d", "--live", "--device-read-bytes-sec", "/dev/loop0,1000000",
                  "--device-write-iops-sec", "/dev/loop0,77")
            assert value("blkio", "d", "blkio.throttle.read_bps_device") == "7:0 1000000"
            assert value("blkio", "d", "blkio.throttle.write_iops_device") == "7:0 77"
            assert "/dev/loop0,1000000" in virsh("blkiotune", "d") and "<write_iops_sec>77" in live("d")
            virsh("blkiotune", "d", "--live", "--device-read-bytes-sec", "/dev/loop0,0", "--device-write-iops-sec",
                  "/dev/loop0,0")
            assert not value("blkio", "d", "blkio.throttle.read_bps_device") and "/dev/loop0" not in live("d")
        fails("blkiotune", "d", "--live", "--device-read-iops-sec", "/dev/nonesuch,1000",
              contains="Path '/dev/nonesuch' is not accessible: No such file or directory")
        fails("blkiotune", "d", "--live", "--device-read-iops-sec", "/dev/null,1000",
              contains="Path '/dev/null' must be a block device")
        gone("d")


@case
def nodes_and_pins():
    """numatune, vcpupin, emulatorpin, iothreadpin: groups and threads follow"""
    for kind in backends():
        pid = make("e", kind, extra="<iothreads>1</iothreads>"
                                    "<numatune><memory mode='restrictive' nodeset='0'/></numatune>")
        virsh("numatune", "e", "--nodeset", "0", "--live")
        assert value("cpuset", "e", "cpuset.mems", "vcpu0") == "0"
        fails("numatune", "e", "--mode", "interleave", "--live", contains="can't change numatune mode for running domain")
        virsh("vcpupin", "e", "0", "0", "--live")
        assert value("cpuset", "e", "cpuset.cpus", "vcpu0") == "0" and "<vcpupin vcpu='0' cpuset='0'/>" in live("e")
        assert "vcpupin" not in config("e")
        tid = wait_for("thread of vcpu0", lambda: value("cpuset", "e", "tasks", "vcpu0"))
        wait_for("its affinity", lambda: os.sched_getaffinity(int(tid.split()[0])) == {0})
        virsh("emulatorpin", "e", "0", "--live", "--config")
        assert value("cpuset", "e", "cpuset.cpus", "emulator") == "0" and os.sched_getaffinity(pid) == {0}
        virsh("iothreadpin", "e", "1", "0", "--live")
        assert value("cpuset", "e", "cpuset.cpus", "iothread1") == "0"
        if kind == "qemu":  # kite-vmm has those it was started with
            virsh("iothreadadd", "e", "5", "--live")
            assert len(value("cpu", "e", "tasks", "iothread5").split()) == 1
            virsh("iothreaddel", "e", "5", "--live")
            assert not os.path.isdir(group("cpu", "e", "iothread5"))
        gone("e")
    for name, extra, text in (("bad1", "<numatune><memory mode='strict' nodeset='60'/></numatune>",
                               "NUMA node 60 is unavailable"),
                              ("bad2", "<cputune><vcpupin vcpu='0' cpuset='900'/></cputune>", "cpuset.cpus"),
                              ("bad3", "<blkiotune><device><path>/dev/nonesuch</path><read_iops_sec>9</read_iops_sec>"
                                       "</device></blkiotune>", "Path '/dev/nonesuch' is not accessible"),
                              ("bad4", "<resource><partition>/nothere</partition></resource>",
                               "Failed to create v1 controller")):
        for kind in backends():
            fails_to_start(name, kind, extra, text)


def fails_to_start(name, kind, extra, text):
    before = set(kitehost.processes(r"qemu-system|kite-vmm"))
    try:
        make(name, kind, extra=extra, vcpus=1)
    except AssertionError as e:
        assert text in str(e), e
    else:
        raise AssertionError("%s starts with %s" % (name, extra))
    assert not left(name) and virsh("domstate", name, "--reason") == "shut off (failed)"
    assert set(kitehost.processes(r"qemu-system|kite-vmm")) <= before
    virsh("undefine", name)


@case
def figures():
    """cpu-stats in total and by CPU, domstats: what the group has counted"""
    for kind in backends():
        make("f", kind, extra="")
        wait_for("time of a vCPU", lambda: re.search(r"vcpu_time +[0-9.]*[1-9]", virsh("cpu-stats", "f")))
        text = virsh("cpu-stats", "f")
        assert re.search(r"CPU0:\s+cpu_time +\S+ seconds\s+vcpu_time +\S+ seconds", text), text
        total = re.search(r"Total:\s+cpu_time +(\S+) seconds\s+user_time +\S+ seconds\s+system_time +\S+ seconds", text)
        assert total and float(total[1]) > 0, text
        stats = virsh("domstats", "f", "--cpu-total")
        time_ns = int(re.search(r"cpu.time=(\d+)", stats)[1])
        assert 0 < time_ns <= int(value("cpuacct", "f", "cpuacct.usage")), stats
        gone("f")


@case
def counters():
    """perf: switched on by the definition and live, read by domstats, refused where the kernel has none"""
    for kind in backends():
        make("g", kind, extra="<perf><event name='page_faults' enabled='yes'/></perf>")
        faults = int(re.search(r"perf.page_faults=(\d+)", virsh("domstats", "g", "--perf"))[1])
        assert faults > 100, faults  # counted from the program's first instruction on
        virsh("perf", "g", "--enable", "task_clock,context_switches", "--live")
        assert "perf.task_clock=" in virsh("domstats", "g", "--perf")
        assert "<event name='task_clock' enabled='yes'/>" in live("g") and "task_clock" not in config("g")
        virsh("perf", "g", "--disable", "task_clock", "--live", "--config")
        assert "perf.task_clock=" not in virsh("domstats", "g", "--perf")
        assert "<event name='task_clock' enabled='no'/>" in config("g")
        fails("perf", "g", "--enable", "cmt", "--live", contains="unable to enable host cpu perf event for cmt")
        gone("g")
    fails_to_start("nocmt", "qemu", "<perf><event name='cmt' enabled='yes'/></perf>",
                   "unable to enable host cpu perf event for cmt")


@case
def found_again(daemon):
    """a daemon that is killed finds the groups again; one that comes too late removes what is left"""
    for kind in backends():
        pid = make("h", kind, extra=TUNED + "<perf><event name='task_clock' enabled='yes'/></perf>")
        daemon.kill9()
        daemon.start()
        # libvirtd answers before it has found its domains again.
        wait_for("the domain", lambda: "cpu_shares     : 2000" in virsh("schedinfo", "h", check=False)[1])
        sched("h", "--live", "--set", "cpu_shares=4000")
        assert value("cpu", "h", "cpu.shares") == "4000"
        assert "perf.task_clock=" in virsh("domstats", "h", "--perf")
        daemon.kill9()
        os.kill(pid, signal.SIGKILL)
        wait_for("end of the VM", lambda: not os.path.exists("/proc/%d/exe" % pid) or
                 open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()[0] == "Z")
        assert left("h")
        daemon.start()
        wait_for("nothing left", lambda: not left("h"))
        assert virsh("domstate", "h") == "shut off"
        virsh("undefine", "h")


@case
def crash_and_many():
    """a VM that is killed leaves no group; twenty that come and go one after another neither"""
    for kind in backends():
        pid = make("i", kind)
        os.kill(pid, signal.SIGKILL)
        wait_for("nothing left", lambda: not left("i") and virsh("domstate", "i") == "shut off")
        for _ in range(10):
            virsh("start", "i")
            virsh("destroy", "i")
        assert not left("i"), left("i")
        virsh("undefine", "i")


@case
def without(daemon):
    """controllers that the configuration leaves out are not used, and VMs start without any"""
    if PEER:
        raise Skip("of virtkited's configuration")
    conf = write("none.conf", "cgroup_controllers = [ ]\n")
    daemon.stop()
    other = kitehost.Daemon("-f", conf).start()
    try:
        for kind in backends():
            text_extra = "<cputune><emulatorpin cpuset='0'/></cputune>"
            try:
                make("j", kind, extra=text_extra, vcpus=1)
            except AssertionError as e:  # make() looks for a group
                assert "memory" in str(e) and "[]" in str(e), e
            assert virsh("domstate", "j") == "running" and not left("j")
            fails("schedinfo", "j", "--live", "--set", "cpu_shares=2048", contains="cgroup CPU controller is not mounted")
            fails("memtune", "j", "--hard-limit", "300000", "--live", contains="cgroup memory controller is not mounted")
            fails("blkiotune", "j", "--weight", "300", "--live", contains="blkio cgroup isn't mounted")
            fails("numatune", "j", "--nodeset", "0", "--live", contains="cgroup cpuset controller is not mounted")
            fails("cpu-stats", "j", contains="cgroup CPUACCT controller is not mounted")
            assert "cpu.time=" in virsh("domstats", "j", "--cpu-total")
            virsh("vcpupin", "j", "0", "0", "--live")
            virsh("destroy", "j")
            virsh("undefine", "j")
    finally:
        other.stop()
        daemon.start()


if __name__ == "__main__":
    kitehost.enter()
    sys.exit(kitehost.main(setup))
