#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""src/common/qmp.schema.json against the sources (TAP): kite-vmm's command table and events, and what the daemon's
monitor.c sends. Nothing runs. With --update the schema's commands and events are written anew from the sources.
"""
import json
import os
import re
import sys

top = os.environ.get("abs_top_srcdir") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
path = os.path.join(top, "src/common/qmp.schema.json")
kinds = {"s": "str", "i": "int", "b": "bool", "o": "object", "a": "array", "*": "any", "n": "number"}


def read(name):
    with open(os.path.join(top, name), encoding="utf-8") as f:
        return f.read()


def table():
    text = read("src/vmm/qmp_commands.c")
    text = text[text.index("static const QmpCommand qmp_commands[]"):]
    text = text[:text.index("\n};")]
    commands = {}
    for name, arguments in re.findall(r'\{"([\w-]+)",\s*"([^"]*)"', text):
        commands[name] = {}
        for word in arguments.split():
            if word == "...":
                commands[name]["..."] = "any"
            else:
                key, kind = word.split(":")
                commands[name][("*" if kind.endswith("?") else "") + key] = kinds[kind.rstrip("?")]
    return commands


def sources(folder):
    for where, _, names in os.walk(os.path.join(top, folder)):
        for name in names:
            if name.endswith(".c"):
                with open(os.path.join(where, name), encoding="utf-8") as f:
                    yield f.read()


def emitted():
    events = set()
    for text in sources("src/vmm"):
        events.update(re.findall(r'(?:machine_emit|event|emit)\s*\([^";]*"([A-Z][A-Z_]+)"', text))
    return sorted(events)


def sent():
    text = read("src/driver/backend/monitor.c")
    return sorted(set(re.findall(r'(?:qmp_call\w*|simple)\(\s*qmp,\s*"([\w-]+)"', text)))


def main():
    with open(path, encoding="utf-8") as f:
        schema = json.load(f)
    commands, events = table(), emitted()
    if "--update" in sys.argv:
        schema["commands"] = dict(sorted(commands.items()))
        schema["events"] = events
        with open(path, "w", encoding="utf-8") as f:
            json.dump(schema, f, indent=2)
            f.write("\n")
        return 0
    points = []
    for name in sorted(set(commands) | set(schema["commands"])):
        if commands.get(name) != schema["commands"].get(name):
            points.append((False, f"{name}: kite-vmm has {commands.get(name)}, the schema {schema['commands'].get(name)}"
                                  " (tests/unit/test_qmp_schema.py --update)"))
    points.append((not points, f"{len(commands)} commands are as the schema says"))
    points.append((events == schema["events"],
                   f"events: {len(events)}; not in both: {sorted(set(events) ^ set(schema['events']))}"))
    unknown = [name for name in sent() if name not in commands and name not in schema["absent"]]
    points.append((not unknown, f"monitor.c sends {len(sent())} commands; neither in the schema nor explained as absent: {unknown}"))
    both = [name for name in schema["absent"] if name in commands]
    points.append((not both, f"nothing is both there and absent: {both}"))
    for i, (good, what) in enumerate(points, 1):
        print(f"{'ok' if good else 'not ok'} {i} - {what}")
    print(f"1..{len(points)}")
    return 0 if all(good for good, _ in points) else 1


sys.exit(main())
