#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Does a QEMU take what Kite tells it, and what does it warn of?

    KITE_TEST_QEMU=FOLDER accept_argv.py [DOMAIN.xml ...]

Each definition (those of tests/golden/argv by default) becomes a command line by what this QEMU says of itself (virsh
domxml-to-native), is started with -S, with images, sockets and descriptors in the places that it names, and ended by
QMP. What the host has not (VFIO, vhost-vsock, servers in the network) is left out or shows why it is refused.
"""
import contextlib
import glob
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import kitehost  # noqa: E402

FORMATS = {"qcow2", "qcow", "qed", "vmdk", "vdi", "vpc"}
HOSTS = ("vhost-vsock", "vfio-pci", "usb-host", "scsi-generic", "vhost-vdpa", "vhost-user", "chrtpm", "tpm-tpm0")
BOUND = {}


def make_image(path, kind):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if kind in FORMATS:
        kitehost.run("qemu-img", "create", "-q", "-f", kind, path, "64M")
    elif path.endswith("_VARS.fd"):
        shutil.copy("/usr/share/OVMF/OVMF_VARS.fd", path)
    else:
        with open(path, "wb") as f:
            f.truncate(1440 * 1024 if path.endswith(".img") else 64 << 20)


def make_images(nodes):
    """Files for the storage nodes of a command line, in the format of the node above them."""
    formats = {n["file"]: n["driver"] for n in nodes if isinstance(n.get("file"), str)}
    for node in nodes:
        if node["driver"] == "host_device":
            node["driver"] = "file"
        path = node.get("filename", "")
        if path.startswith((kitehost.WORK, "/var/lib/")) and not os.path.exists(path):
            make_image(path, formats.get(node["node-name"]))


def make_peer(word):
    """What a -chardev expects to be there."""
    path = re.search(r"path=((?:[^,]|,,)*)", word)
    if not path:
        return
    path = path.group(1).replace(",,", ",")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if word.startswith("pipe") and not os.path.exists(path + ".in"):
        os.mkfifo(path + ".in")
        os.mkfifo(path + ".out")
    elif word.startswith("socket") and "server=on" not in word and path not in BOUND:
        BOUND[path] = socket.socket(socket.AF_UNIX)
        BOUND[path].bind(path)
        BOUND[path].listen(8)


def leave_out(words, option):
    """Devices of the host that no test machine has; a tap becomes slirp."""
    for at in [i for i in range(len(words) - 1, 0, -1) if words[i - 1] == option]:
        if any(name in words[at] for name in HOSTS):
            del words[at - 1:at + 1]
        elif words[at].startswith('{"type":"tap"'):
            words[at] = json.dumps({"type": "user", "id": json.loads(words[at])["id"]})


def command_line(definition):
    """(environment, words) that can run here; (None, why)."""
    status, text = kitehost.virsh("domxml-to-native", "qemu-argv", "--xml", definition, check=False)
    if status:
        return None, text
    # Folders that a test may not make on the machine are below its own.
    text = re.sub(r"(?<=[\"=:])/(i|s|l|srv|dev/vg|dev/mapper|d\.raw)(?=[/\"])", kitehost.WORK + r"/\1", text)
    before, text = text.replace("\\\n", "").split("/usr/bin/qemu", 1)
    env = dict(os.environ, **dict(re.findall(r"([A-Z_]+)=(\S*)", before)))
    words = shlex.split("/usr/bin/qemu" + text.replace(",acpi=off", ""))  # memory devices need it
    for option in ("-device", "-netdev", "-tpmdev", "-chardev"):
        leave_out(words, option)
    nodes = {}
    for at, word in enumerate(words):
        option = words[at - 1]
        if option == "-blockdev":
            nodes[at] = json.loads(word)
        elif option == "-chardev":
            make_peer(word)
        elif option in ("-kernel", "-initrd"):
            words[at] = kitehost.linux_guest()[option == "-initrd"]
    make_images(list(nodes.values()))
    for at, node in nodes.items():
        words[at] = json.dumps(node)
    return env, words


def greet_and_quit(path):
    """None, or why there was no conversation."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(path)
        try:
            answers = client.makefile("rb")
            if b"QMP" not in answers.readline():
                return "no greeting"
        except OSError as e:
            return str(e)
        with contextlib.suppress(OSError):  # it may go with its last answer unread
            client.sendall(b'{"execute":"qmp_capabilities"}\n{"execute":"quit"}\n')
            answers.read()
    return None


def start(env, words):
    """(None, or why it was refused; stderr)."""
    path = kitehost.WORK + "/monitor"
    if os.path.exists(path):
        os.unlink(path)
    monitor = socket.socket(socket.AF_UNIX)
    monitor.bind(path)
    monitor.listen(1)
    pair = socket.socketpair()

    def descriptors():
        os.dup2(monitor.fileno(), 3)
        os.set_inheritable(3, True)
        for number in range(20, 40):
            os.dup2(pair[0].fileno(), number)

    with open(kitehost.WORK + "/stderr", "w+b") as err:
        process = subprocess.Popen(words, env=env, stdin=subprocess.DEVNULL, stdout=err, stderr=err, cwd="/",
                                   preexec_fn=descriptors, close_fds=False)
        monitor.close()
        why = greet_and_quit(path)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            why = why or "it does not end"
        err.seek(0)
        text = err.read().decode(errors="replace").strip()
    return why or ("exit status %d" % process.returncode if process.returncode else None), text


def main():
    kitehost.enter()
    daemon = kitehost.Daemon().start()
    for folder in (kitehost.WORK + "/l", kitehost.WORK + "/s", "/var/lib/kite/ram"):
        os.makedirs(folder, exist_ok=True)
    print(kitehost.run("/usr/bin/qemu-system-x86_64", "--version").stdout.splitlines()[0])
    definitions = sys.argv[1:] or sorted(glob.glob(kitehost.SOURCE + "/tests/golden/argv/ok-*.xml"))
    taken = 0
    for definition in definitions:
        env, words = command_line(definition)
        why, text = (("no command line", words) if env is None else start(env, words))
        taken += why is None
        print("%-8s %s" % ("REFUSED (%s)" % why if why else "says" if text else "ok", os.path.basename(definition)), flush=True)
        for line in text.splitlines()[:6]:
            print("         " + line[:300])
    print("%d of %d taken" % (taken, len(definitions)))
    daemon.stop()
    kitehost.cleanup_processes()
    return 0


if __name__ == "__main__":
    sys.exit(main())
