# SPDX-License-Identifier: LGPL-2.1-or-later
"""Another QEMU in the place of this machine's, for the private host of a test (kitehost.py).

KITE_TEST_QEMU is a program, or a folder with the packages of some distribution unpacked (`dpkg -x`, its libraries
with them): then its programs run with the tree's own dynamic loader, libraries, modules and firmware, and nothing of
the tree has to fit the machine. Whoever looks at /usr/bin sees that QEMU only: the daemon, its probe, qemu-img.
KITE_TEST_QEMU_ARGS, with a folder, are more arguments for the emulator: "-compat deprecated-input=reject" makes it refuse
what is deprecated in QMP.
"""
import os
import shlex
import stat
import subprocess

PROGRAMS = ("qemu-system-x86_64", "qemu-img", "qemu-storage-daemon", "qemu-io", "qemu-nbd")
LIBRARIES = "usr/lib/x86_64-linux-gnu"
PLACE = "/usr/src"  # where a tree is mounted: what is confined sees /usr, and overlays need a folder that exists


def script(tree, name):
    """What starts a program of the tree. The loader is told of the libraries, not the environment: nobody inherits."""
    words = [os.path.join(PLACE, LIBRARIES, "ld-linux-x86-64.so.2"), "--library-path",
             ":".join(os.path.join(PLACE, LIBRARIES, sub) for sub in ("", "pulseaudio", "blas", "lapack")),
             "--argv0", "/usr/bin/" + name, os.path.join(PLACE, "usr/bin", name)]
    if name.startswith("qemu-system"):
        for data in ("usr/share/qemu", "usr/share/seabios", "usr/lib/ipxe/qemu"):
            if os.path.isdir(os.path.join(tree, data)):
                words += ["-L", os.path.join(PLACE, data)]
        words += shlex.split(os.environ.get("KITE_TEST_QEMU_ARGS", ""))
    return "#!/bin/sh\nexec %s \"$@\"\n" % " ".join(shlex.quote(w) for w in words)


def programs(where, folder):
    """{name: path} of what KITE_TEST_QEMU names; scripts are made in folder."""
    if not os.path.isdir(where):
        return {PROGRAMS[0]: where}
    found = {}
    os.makedirs(folder, exist_ok=True)
    for name in PROGRAMS:
        if os.path.exists(os.path.join(where, "usr/bin", name)):
            found[name] = os.path.join(folder, name)
            with open(found[name], "w", encoding="utf-8") as f:
                f.write(script(where, name))
            os.chmod(found[name], stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)
    return found


def install(where, folder):
    """In a mount namespace of the test's own: each program over the machine's, and the modules, which QEMU looks for
    in a folder that was compiled in."""
    mounts = [(path, "/usr/bin/" + name) for name, path in programs(where, folder).items()]
    modules = os.path.join(where, LIBRARIES, "qemu")
    if os.path.isdir(where):
        mounts.append((where, PLACE))
    if os.path.isdir(modules):
        mounts.append((modules, "/%s/qemu" % LIBRARIES))
    for source, target in mounts:
        subprocess.run(["mount", "--bind", source, target], check=True)
