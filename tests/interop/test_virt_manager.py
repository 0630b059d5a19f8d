# SPDX-License-Identifier: LGPL-2.1-or-later
"""virt-manager under Xvfb: opens the connection, lists a running guest, shows its details and its console."""
import os
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import kitehost
from kitehost import case, domain_xml, virsh, wait_for, write

DISPLAY = ":77"
NEEDED = ("virt-manager", "Xvfb", "dbus-run-session", "xdotool", "xwd")


def setup():
    missing = [p for p in NEEDED if not shutil.which(p)]
    if missing:
        raise kitehost.Skip("not installed: " + ", ".join(missing))
    daemon = kitehost.Daemon().start()
    os.makedirs("/tmp/.X11-unix", mode=0o1777, exist_ok=True)
    daemon.xvfb = subprocess.Popen(["Xvfb", DISPLAY, "-screen", "0", "1280x900x24", "-nolisten", "tcp"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.environ["DISPLAY"] = DISPLAY
    wait_for("X server", lambda: os.path.exists("/tmp/.X11-unix/X77"))
    os.makedirs("/run/dbus", exist_ok=True)
    virsh("define", write("desk.xml", domain_xml(
        "desk", "<graphics type='vnc' port='-1'/><video><model type='vga'/></video>")))  # the firmware writes enough to see
    virsh("start", "desk")
    return daemon


def teardown(daemon):
    daemon.xvfb.kill()
    daemon.xvfb.wait()
    daemon.stop()


def windows():
    done = subprocess.run(["xdotool", "search", "--onlyvisible", "--name", "."], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    names = []
    for window in done.stdout.split():
        name = subprocess.run(["xdotool", "getwindowname", window], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()
        names.append(name)
    return names


def manager(*args):
    log = open(kitehost.WORK + "/virt-manager.log", "w")
    return subprocess.Popen(["dbus-run-session", "virt-manager", "--no-fork", "--debug", "-c", kitehost.URI] + list(args),
                            stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                            env=dict(os.environ, GSETTINGS_BACKEND="memory", NO_AT_BRIDGE="1", GDK_BACKEND="x11"))


def log_text():
    with open(kitehost.WORK + "/virt-manager.log", errors="replace") as f:
        return f.read()


def picture(name):
    folder = os.environ.get("KITE_TEST_PICTURES")
    if folder:
        subprocess.run("xwd -root -silent | convert xwd:- %s/%s.png" % (folder, name), shell=True)


def end(process):
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def errors_in_log():
    lines = log_text().splitlines()
    traces = ["\n".join(lines[i:i + 25]) for i, line in enumerate(lines) if "Traceback" in line]
    return traces or [line for line in lines if "Traceback" in line or "Error polling" in line or
            "Unable to open connection" in line or ("ERROR" in line and "libvirt" in line.lower())]


def lives_on(process, name):
    """What was asked for is on the screen; then virt-manager goes on: it sees a domain come, and told of no error."""
    def told(text):
        wait_for("'%s' in virt-manager's log" % text, lambda: text in log_text() or process.poll() is not None, 60)
        assert process.poll() is None, log_text()[-2000:]
    virsh("define", write("later.xml", domain_xml("later")))
    told("domain=later status=Shutoff added")
    virsh("undefine", "later")
    told("domain=later removed")
    picture(name)
    assert not errors_in_log(), "\n".join(errors_in_log())


@case
def opens_and_lists():
    """the manager window opens the connection and lists the running guest"""
    process = manager("--show-host-summary")
    try:
        wait_for("window", lambda: windows() or process.poll() is not None, 60)
        wait_for("host details", lambda: "Showing host details" in log_text() or process.poll() is not None, 60)
        assert "domain=desk status=Running added" in log_text(), log_text()[-2000:]
        lives_on(process, "manager")
    finally:
        end(process)


@case
def shows_details():
    """the details window of the running guest opens"""
    process = manager("--show-domain-editor", "desk")
    try:
        wait_for("details window", lambda: any("desk" in name for name in windows()) or process.poll() is not None, 60)
        lives_on(process, "details")
    finally:
        end(process)


@case
def shows_console():
    """the graphical console of the running guest connects"""
    process = manager("--show-domain-console", "desk")
    try:
        wait_for("console window", lambda: any("desk" in name for name in windows()) or process.poll() is not None, 60)
        wait_for("a viewer", lambda: "Viewer connected" in log_text() or "initialized" in log_text().lower()
                 or process.poll() is not None, 20)
        lives_on(process, "console")
    finally:
        end(process)


if __name__ == "__main__":
    kitehost.enter()
    sys.exit(kitehost.main(setup, teardown))
