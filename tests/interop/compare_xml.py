#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Domain definitions put to virtkited and to libvirtd: what each makes of them, and where that differs.

    abs_top_builddir=$PWD abs_top_srcdir=.. /usr/bin/python3 ../tests/interop/compare_xml.py FILE-OR-FOLDER ...

after `make stage`, as root. Meant for the test inputs in libvirt's sources (tests/qemuxml2argvdata, qemuxml2xmloutdata,
genericxml2xmlindata): some 1,400, 20 s. Machines and emulators that this host does not have are replaced by its own, and
type 'kvm' by 'qemu' unless KITE_COMPARE_KVM is set. No test: what differs is for a person to judge.
"""
import difflib
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))

FOREIGN = re.compile(r"<domain[^>]*type=['\"](?!qemu|kvm)|arch=['\"](?!x86_64|i686)")


def definitions(paths):
    for path in paths:
        names = sorted(os.listdir(path)) if os.path.isdir(path) else [""]
        for name in names:
            file = os.path.join(path, name) if name else path
            if file.endswith(".xml"):
                with open(file, errors="replace") as f:
                    text = f.read()
                if "<domain" in text and not FOREIGN.search(text):
                    yield file, adapted(text)


def adapted(text):
    binary = "i386" if re.search(r"arch=['\"]i686", text) else "x86_64"
    emulator = "<emulator>/usr/bin/qemu-system-%s</emulator>" % binary
    text = re.sub(r"<emulator>[^<]*</emulator>", emulator, text)
    text = re.sub(r"machine=(['\"])pc-(0\.\d+|1\.[0-6])\1", "machine='pc'", text)
    if "<emulator>" not in text:
        text = text.replace("<devices>", "<devices>" + emulator, 1)
    if not os.environ.get("KITE_COMPARE_KVM"):
        text = re.sub(r"(<domain[^>]*type=)['\"]kvm['\"]", r"\1'qemu'", text)
    return text


def collect(paths):
    """What one daemon makes of them, as JSON: {file: XML, or [number, text]}."""
    import libvirt
    import kitehost
    kitehost.enter()
    libvirt.registerErrorHandler(lambda *_: None, None)
    daemon = kitehost.Daemon().start()
    connection = libvirt.open(kitehost.URI if kitehost.PEER else "qemu:///system?socket=" + kitehost.SOCKET)
    found = {}
    for file, text in definitions(paths):
        try:
            domain = connection.defineXMLFlags(text, 0)
            found[file] = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)
            domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
        except libvirt.libvirtError as e:
            found[file] = [e.get_error_code(), e.get_error_message()]
    connection.close()
    daemon.stop()
    print(json.dumps(found))


def run(paths, peer):
    env = dict(os.environ, KITE_COMPARE_CHILD="1")
    env.pop("KITE_TEST_PEER", None)
    if peer:
        env["KITE_TEST_PEER"] = peer
    text = subprocess.run([sys.executable, __file__] + [os.path.abspath(p) for p in paths], env=env, check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    return json.loads(text.splitlines()[-1])


def plain(xml):
    """Without what is made up or belongs to the daemon."""
    xml = re.sub(r"<uuid>.*</uuid>|<genid>.*</genid>|<mac address='(52:54:00|00:16:3e).*/>", "", xml)
    return xml.replace("/var/lib/kite/nvram", "/var/lib/libvirt/qemu/nvram")


def main(paths):
    kite, peer = run(paths, None), run(paths, "libvirtd")
    counts = {}
    for file in peer:
        a, b = peer[file], kite[file]
        if isinstance(a, str) and isinstance(b, str):
            kind = "equal" if plain(a) == plain(b) else "another result"
            lines = difflib.unified_diff(plain(a).splitlines(), plain(b).splitlines(), "libvirtd", "kite", lineterm="", n=0)
        elif isinstance(a, list) and isinstance(b, list):
            kind = "refused alike" if a[0] == b[0] else "another number"
            lines = ["libvirtd %d: %s" % tuple(a), "kite %d: %s" % tuple(b)]
        else:
            kind = "only kite accepts" if isinstance(a, list) else "only libvirtd accepts"
            lines = ["%d: %s" % tuple(a if isinstance(a, list) else b)]
        counts[kind] = counts.get(kind, 0) + 1
        if kind not in ("equal", "refused alike"):
            print("%s: %s\n    %s" % (os.path.relpath(file), kind, "\n    ".join(lines)))
    print(", ".join("%s %d" % pair for pair in sorted(counts.items())))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    (collect if os.environ.get("KITE_COMPARE_CHILD") else main)(sys.argv[1:])
