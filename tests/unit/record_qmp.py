#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Records what a QEMU binary answers to the capability probe: record_qmp.py BINARY ACCEL FILE PROBE-LOG

Runs BINARY as src/driver/host/qemu_probe.c does, sends the requests of PROBE-LOG (one JSON a line, e.g. taken from strace
of the daemon) or, without it, reads them from standard input, and writes the greeting and one answer a line to FILE. Of
the QMP schema only what the probe looks at is kept.
"""
import json
import subprocess
import sys

ROOTS = ["netdev_add", "object-add", "blockdev-add", "chardev-add", "query-display-options", "query-audiodevs"]


def trim(schema):
    by_name = {e["name"]: e for e in schema}
    keep = {e["name"] for e in schema if e["meta-type"] == "event"}
    for root in ROOTS:
        entry = by_name.get(root)
        if entry is None:
            continue
        keep.add(root)
        for name in (entry["arg-type"], entry["ret-type"]):
            kind = by_name.get(name, {})
            keep.add(name)
            keep.add(kind.get("element-type", name))
            keep.update(m["type"] for m in kind.get("members", []) if m["name"] == "backend")
    result = []
    for entry in schema:
        if entry["name"] in keep:
            entry = dict(entry)
            entry["members"] = [m for m in entry.get("members", []) if m["name"] in ("backend", "type", "driver")]
            result.append(entry)
    return result


def main():
    binary, accel, target = sys.argv[1:4]
    requests = open(sys.argv[4]) if len(sys.argv) > 4 else sys.stdin
    qemu = subprocess.Popen([binary, "-S", "-no-user-config", "-nodefaults", "-nographic", "-machine",
                             "none,accel=" + accel, "-qmp", "stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            text=True)
    with open(target, "w") as out:
        out.write(qemu.stdout.readline().rstrip() + "\n")
        for line in requests:
            qemu.stdin.write(line)
            qemu.stdin.flush()
            reply = json.loads(qemu.stdout.readline())
            if '"query-qmp-schema"' in line:
                reply["return"] = trim(reply["return"])
            out.write(json.dumps(reply, separators=(",", ":")) + "\n")
    qemu.kill()
    qemu.wait()


main()
