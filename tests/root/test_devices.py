# SPDX-License-Identifier: LGPL-2.1-or-later
"""What can be done to a running or shut off guest: devices in and out, media, memory, CPUs, limits, keys, pictures."""
import contextlib
import os
import re
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import kitehost
from kitehost import WORK, case, domain_xml, fails, virsh, wait_console, wait_for, write


def setup():
    return kitehost.Daemon().start()


def image(name, size="16M", kind="raw"):
    path = "%s/%s" % (WORK, name)
    kitehost.run("qemu-img", "create", "-q", "-f", kind, path, size)
    return path


def disk_xml(path, target, bus="virtio", kind="raw", extra="", device="disk"):
    source = "<source file='%s'/>" % path if path else ""
    return ("<disk type='file' device='%s'><driver name='qemu' type='%s'/>%s<target dev='%s' bus='%s'/>%s</disk>"
            % (device, kind, source, target, bus, extra))


def define(name, devices="", **kw):
    virsh("define", write(name + ".xml", domain_xml(name, devices, **kw)))


def start_linux(name, devices="", cmdline="kite.quiet", **kw):
    define(name, devices, kernel=kitehost.linux_guest(), cmdline=cmdline, **kw)
    virsh("start", name)
    wait_console(name, "KITE-GUEST-UP")


@contextlib.contextmanager
def events(name, *what):
    """Collects virsh's event lines while the block runs; use .wait(text)."""
    path = "%s/%s.events" % (WORK, name)
    with open(path, "w") as out:
        process = subprocess.Popen(["stdbuf", "-oL", "virsh", "-q", "-c", kitehost.URI, "event", name, "--all", "--loop",
                                    "--timeout", "120"], stdout=out, stderr=subprocess.STDOUT)

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
            virsh("metadata", name, "--uri", "http://kite.test/probe", "--key", "probe", "--set", "<x/>", "--current")
            return "metadata-change" in Log.text()
        wait_for("subscription", subscribed, 10, 0.2)
        yield Log
    finally:
        process.kill()
        process.wait()


@case
def picture_of_the_screen():
    """screenshot: a picture with its type; errors for screens that are not there"""
    define("screen", "<video><model type='vga'/></video><graphics type='vnc' port='-1'/>")
    fails("screenshot", "screen", WORK + "/none.png", contains="domain is not running")
    virsh("start", "screen", "--paused")
    virsh("screenshot", "screen", WORK + "/screen.png")
    with open(WORK + "/screen.png", "rb") as f:
        assert f.read(8) == b"\x89PNG\r\n\x1a\n"
    fails("screenshot", "screen", WORK + "/none.png", "--screen", "7", contains="no such screen ID")
    virsh("destroy", "screen")
    define("blind")
    virsh("start", "blind", "--paused")
    fails("screenshot", "blind", WORK + "/none.png", contains="no screens to take screenshot from")
    virsh("destroy", "blind")


@case
def keys():
    """send-key in several codesets; a key that a set does not have"""
    virsh("start", "screen", "--paused")
    virsh("send-key", "screen", "KEY_LEFTCTRL", "KEY_LEFTALT", "KEY_DELETE")
    for codeset, code in (("linux", "30"), ("xt", "30"), ("atset1", "30"), ("atset2", "28"), ("atset3", "28"),
                          ("os_x", "0"), ("xt_kbd", "30"), ("usb", "4"), ("win32", "65"), ("rfb", "30")):
        virsh("send-key", "screen", "--codeset", codeset, code)
    virsh("send-key", "screen", "--holdtime", "20", "KEY_A")
    fails("send-key", "screen", "--codeset", "usb", "65000",
          contains="cannot translate keycode 65000 of usb codeset to qnum keycode")
    virsh("destroy", "screen")


@case
def display_descriptor():
    """a display opened through the daemon speaks VNC, at once when authentication is skipped"""
    program = ("import libvirt, os, socket, sys\n"
               "dom = libvirt.open('%s').lookupByName('screen')\n"
               "for how in ('fd', 'own'):\n"
               "    if how == 'fd':\n"
               "        s = socket.socket(fileno=dom.openGraphicsFD(0, libvirt.VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH))\n"
               "    else:\n"
               "        s, peer = socket.socketpair(); dom.openGraphics(0, peer.fileno(), 0); peer.close()\n"
               "    s.settimeout(10)\n"
               "    assert s.recv(12).startswith(b'RFB 003.'), how\n"
               "try:\n"
               "    dom.openGraphicsFD(4, 0)\n"
               "except libvirt.libvirtError as e:\n"
               "    assert e.get_error_code() == libvirt.VIR_ERR_INTERNAL_ERROR, e\n"
               "else:\n"
               "    sys.exit('index 4 was opened')\n" % kitehost.URI)
    virsh("start", "screen")
    kitehost.run("/usr/bin/python3", "-c", program)
    virsh("destroy", "screen")


if __name__ == "__main__":
    kitehost.enter()
    sys.exit(kitehost.main(setup))
