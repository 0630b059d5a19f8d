# SPDX-License-Identifier: LGPL-2.1-or-later
"""The life of real Linux guests under TCG, through plain virsh."""
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import kitehost
from kitehost import case, domain_xml, fails, virsh, wait_console, wait_for, write

UUID = "8d1ce5b6-5b1f-4c1e-9f6e-0123456789ab"
AGENT = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
QUIET = "kite.quiet"


def setup():
    return kitehost.Daemon().start()


@case
def define_and_look_up():
    """a definition is found by name, uuid and in lists, and survives a restart of the daemon"""
    path = write("life.xml", domain_xml("life", kernel=kitehost.linux_guest(), uuid=UUID, cmdline=QUIET))
    virsh("define", path)
    assert virsh("domuuid", "life") == UUID
    assert virsh("domname", UUID) == "life"
    assert virsh("domid", "life") == "-"
    assert virsh("domstate", "life", "--reason") == "shut off (unknown)", virsh("domstate", "life", "--reason")
    assert virsh("list", "--all", "--name") == "life"
    assert virsh("list", "--name") == ""
    assert kitehost.PEER or os.path.exists("/etc/kite/domains/life.xml")


@case
def definition_outlives_daemon(daemon):
    """after a restart of the daemon the definition is the same"""
    before = virsh("dumpxml", "life")
    daemon.restart()
    # The order of controllers that were added may change once, as it does in libvirt.
    assert sorted(virsh("dumpxml", "life").splitlines()) == sorted(before.splitlines())
    before = virsh("dumpxml", "life")
    daemon.restart()
    assert virsh("dumpxml", "life") == before


@case
def start_and_console():
    """start boots Linux to user space"""
    virsh("start", "life")
    assert virsh("domstate", "life", "--reason") == "running (booted)"
    assert int(virsh("domid", "life")) > 0
    wait_console("life", "KITE-GUEST-UP")
    fails("start", "life", contains="already")


@case
def suspend_resume():
    """suspend stops the vCPUs, resume goes on"""
    virsh("suspend", "life")
    assert virsh("domstate", "life", "--reason") == "paused (user)"
    virsh("resume", "life")
    assert virsh("domstate", "life", "--reason") == "running (unpaused)"


@case
def reset_boots_again():
    """reset starts the guest's kernel anew in the same process"""
    ident = virsh("domid", "life")
    count = kitehost.console_text("life").count("KITE-GUEST-UP")
    virsh("reset", "life")
    wait_for("second boot", lambda: kitehost.console_text("life").count("KITE-GUEST-UP") > count, 60)
    assert virsh("domid", "life") == ident


@case
def acpi_shutdown():
    """shutdown presses the power button; the guest ends by itself"""
    def pressed():  # again, for the guest may not listen yet
        virsh("shutdown", "life", "--mode", "acpi", check=False)
        return virsh("domstate", "life") == "shut off"
    wait_for("shut off", pressed, 60, 1)
    assert virsh("domstate", "life", "--reason") == "shut off (shutdown)"
    assert not kitehost.processes("guest=life")


@case
def destroy_is_quick():
    """destroy ends the process within a second and leaves nothing"""
    virsh("start", "life")
    begin = time.monotonic()
    virsh("destroy", "life")
    took = time.monotonic() - begin
    assert took < 5, took
    assert virsh("domstate", "life", "--reason") == "shut off (destroyed)"
    wait_for("end of the process", lambda: not kitehost.processes("guest=life"), 5)
    fails("destroy", "life", contains="not running")
    assert kitehost.PEER or not os.listdir("/run/kite/domains"), os.listdir("/run/kite/domains")


@case
def guest_reboot():
    """a reboot from inside the guest keeps the domain running"""
    kernel = kitehost.linux_guest()
    xml = domain_xml("rebooter", kernel=kernel, cmdline="kite.run=reboot_-f")
    write("rebooter.xml", xml)
    virsh("create", kitehost.WORK + "/rebooter.xml")
    wait_for("two boots", lambda: kitehost.console_text("rebooter").count("KITE-GUEST-UP") >= 2, 60)
    assert virsh("domstate", "rebooter") == "running"
    virsh("destroy", "rebooter")
    fails("domstate", "rebooter", contains=["failed to get domain 'rebooter'"])


@case
def guest_poweroff_transient():
    """a transient domain is gone when its guest powers off"""
    write("off.xml", domain_xml("off", kernel=kitehost.linux_guest(), cmdline="kite.run=true"))
    virsh("create", kitehost.WORK + "/off.xml")
    wait_for("end of the domain", lambda: "off" not in virsh("list", "--all", "--name").split(), 60)


@case
def create_paused():
    """create --paused does not run the guest"""
    write("p.xml", domain_xml("p", kernel=kitehost.linux_guest(), cmdline=QUIET))
    virsh("create", kitehost.WORK + "/p.xml", "--paused")
    assert virsh("domstate", "p", "--reason") == "paused (starting up)" or virsh("domstate", "p") == "paused"
    assert '"running":false' in virsh("qemu-monitor-command", "p", '{"execute":"query-status"}').replace(" ", "")
    assert "Linux version" not in kitehost.console_text("p")
    virsh("resume", "p")
    wait_console("p", "KITE-GUEST-UP")
    virsh("destroy", "p")


@case
def undefine_running():
    """a running domain that is undefined goes on as transient, and is persistent again after define"""
    virsh("start", "life")
    virsh("undefine", "life")
    assert "Persistent:     no" in virsh("dominfo", "life")
    virsh("define", kitehost.WORK + "/life.xml")
    assert "Persistent:     yes" in virsh("dominfo", "life")
    virsh("destroy", "life")
    assert virsh("domstate", "life") == "shut off"


@case
def rename_and_autostart():
    """rename, autostart and undefine"""
    virsh("domrename", "life", "life2")
    assert virsh("domuuid", "life2") == UUID
    fails("domuuid", "life", contains="failed to get domain")
    virsh("autostart", "life2")
    assert "Autostart:      enable" in virsh("dominfo", "life2")
    assert virsh("list", "--all", "--autostart", "--name") == "life2"
    virsh("autostart", "life2", "--disable")
    virsh("undefine", "life2")
    fails("domuuid", "life2")
    assert not os.path.exists("/etc/kite/domains/life2.xml")


@case
def title_metadata():
    """title, description and namespaced metadata, kept byte for byte"""
    write("m.xml", domain_xml("m", extra="<title>one</title><metadata><a:x xmlns:a='urn:a'  k=\"v\"> t </a:x></metadata>"))
    virsh("define", kitehost.WORK + "/m.xml")
    assert virsh("desc", "m", "--title") == "one"
    virsh("desc", "m", "--config", "--new-desc", "words & more")
    assert virsh("desc", "m", "--config") == "words & more"
    virsh("metadata", "m", "urn:b", "--key", "b", "--set", "<y>1</y>", "--config")
    assert "<y>1</y>" in virsh("metadata", "m", "urn:b", "--config").replace("y xmlns:b='urn:b'", "y")
    assert "<a:x" in virsh("dumpxml", "m") and "urn:b" in virsh("dumpxml", "m")
    virsh("metadata", "m", "urn:b", "--remove", "--config")
    fails("metadata", "m", "urn:b", "--config", contains="metadata")
    virsh("undefine", "m")


@case
def guest_agent():
    """guest agent: ping, exec, hostname, time, shutdown"""
    write("ga.xml", domain_xml("ga", AGENT, kernel=kitehost.linux_guest(agent=True), memory=320))
    virsh("create", kitehost.WORK + "/ga.xml")
    wait_console("ga", "KITE-AGENT-UP")
    wait_for("agent", lambda: kitehost.virsh("qemu-agent-command", "ga", '{"execute":"guest-ping"}', check=False)[0] == 0)
    assert virsh("qemu-agent-command", "ga", '{"execute":"guest-ping"}') == '{"return":{}}'
    assert "state='connected'" in virsh("dumpxml", "ga")
    assert re.search(r"^\S+", virsh("domhostname", "ga", "--source", "agent"))
    virsh("domtime", "ga")
    virsh("shutdown", "ga", "--mode", "agent")
    wait_for("end", lambda: "ga" not in virsh("list", "--all", "--name").split(), 60)


@case
def address_and_memory():
    """interface of type user: domifaddr by agent, balloon statistics, block and interface statistics"""
    disk = kitehost.WORK + "/d.qcow2"
    kitehost.run("qemu-img", "create", "-q", "-f", "qcow2", disk, "64M")
    devices = AGENT + """<interface type='user'><model type='virtio'/></interface>
      <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='%s'/><target dev='vda' bus='virtio'/></disk>
      <memballoon model='virtio'><stats period='1'/></memballoon>""" % disk
    write("st.xml", domain_xml("st", devices, kernel=kitehost.linux_guest(agent=True), memory=320, cmdline="kite.net=dhcp"))
    virsh("create", kitehost.WORK + "/st.xml")
    wait_console("st", "KITE-AGENT-UP")
    wait_for("agent", lambda: virsh("qemu-agent-command", "st", '{"execute":"guest-ping"}', check=False)[0] == 0)
    assert "10.0.2.15" in virsh("domifaddr", "st", "--source", "agent")
    wait_for("balloon statistics", lambda: "unused" in virsh("dommemstat", "st"))
    assert "vda rd_bytes" in virsh("domblkstat", "st", "vda")
    assert "Capacity:       67108864" in virsh("domblkinfo", "st", "vda")
    target = virsh("domiflist", "st").split()[0]
    stats = virsh("domstats", "st")
    for key in ("state.state=1", "cpu.time=", "balloon.current=", "vcpu.current=1", "block.0.name=vda", "block.0.capacity="):
        assert key in stats, (key, stats)
    assert target
    virsh("destroy", "st")


if __name__ == "__main__":
    kitehost.enter()
    sys.exit(kitehost.main(setup))
