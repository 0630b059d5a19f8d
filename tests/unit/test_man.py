#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Manual pages against --help (TAP): every option of the one is in the other, command by command where there are commands."""
import os
import re
import subprocess

top = os.environ.get("abs_top_srcdir", ".")
build = os.environ.get("abs_top_builddir", ".")
PAGES = {"virtkited": "virtkited.8.in", "kite-vmm": "kite-vmm.1", "kite-image": "kite-image.1"}
LEADERS = r"(?:^|(?<=[\s\[|,]))"  # what stands before an option in a help text


def help_options(program):
    """{command or "": options}; a line "  name [-x] ..." of kite-image is a command."""
    text = subprocess.run([os.path.join(build, program), "--help"], stdout=subprocess.PIPE, text=True, check=True,
                          timeout=60).stdout
    found = {"": set()}
    for line in text.splitlines():
        command = re.match(r"  ([a-z]+) ", line) if program == "kite-image" else None
        options = re.findall(LEADERS + r"(--?[A-Za-z][\w-]*)", line)
        found.setdefault(command.group(1) if command else "", set()).update(options)
    return found


def page_options(name):
    """The same from mdoc: "Fl x", "Fl -long", "Fl x | -long", and "Fl abc" for several short ones; ".It Cm name" is a command."""
    with open(os.path.join(top, "man", name), encoding="utf-8") as f:
        text = f.read().replace("\\\n", "")
    found, command = {"": set()}, ""
    for line in text.splitlines():
        item = re.match(r"\.It Cm ([a-z]+)\b", line)
        if item:
            command = item.group(1)
            found[command] = set()
        elif line.startswith((".Sh", ".El")):
            command = ""
        if not line.startswith("."):
            continue
        for words in re.findall(r"\bFl ((?:-?[A-Za-z][\w-]*)(?: \| -[\w-]+)*)", line):
            for word in words.split(" | "):
                shorts = [word] if word.startswith("-") else word
                found.setdefault(command, set()).update("-" + s for s in shorts)
    return found


def main():
    print("1..%d" % len(PAGES))
    for number, (program, page) in enumerate(PAGES.items(), 1):
        helped, paged = help_options(program), page_options(page)
        wrong = ["%s %s: only in %s" % (command, option, "--help" if option in helped.get(command, ()) else page)
                 for command in sorted(helped.keys() | paged.keys())
                 for option in sorted(helped.get(command, set()) ^ paged.get(command, set()))]
        wrong += ["command %s: only in %s" % (c, "--help" if c in helped else page)
                  for c in sorted(helped.keys() ^ paged.keys())]
        print("\n".join("# " + w for w in wrong), end="\n" if wrong else "")
        print("%s %d - %s and %s" % ("not ok" if wrong else "ok", number, program, page))


main()
