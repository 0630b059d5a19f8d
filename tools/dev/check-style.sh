#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Grep rules, each with its reason. Prints TAP.
top=${abs_top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
cd "$top" || exit 1
failed=0 count=0

rule() { # reason command...: fails when the command prints anything
    local reason=$1 bad
    shift
    bad=$("$@" 2>/dev/null | head -n 10)
    count=$((count + 1))
    if [ -z "$bad" ]; then
        echo "ok $count - $reason"
    else
        failed=1
        echo "not ok $count - $reason"
        sed 's/^/# /' <<<"$bad"
    fi
}

sources() { find src tools tests -name '*.[ch]'; }
without() { sources | xargs grep -LE "$1"; }
headers_without() { find src -name '*.h' | xargs grep -LE "$1"; }
in_sources() { find src tools -name '*.[ch]' | xargs grep -nE "$1"; }
long_files() { find src tools -name '*.c' | xargs wc -l | awk '$1 > 1000 && $2 != "total"'; }
# grep, as mawk counts bytes
long_lines() { sources | LC_ALL=C.UTF-8 xargs grep -nE '^.{126}' | cut -d: -f1,2; }

rule "every source names its licence" without 'SPDX-License-Identifier: LGPL-2.1-or-later'
rule "headers guard themselves with #pragma once" headers_without '#pragma once'
rule "no line over 125 columns" long_lines
rule "no file over 1000 lines: a second idea wants to move out" long_files
rule "no strcpy, strcat, sprintf, gets: they know no bounds" in_sources '\b(strcpy|strcat|sprintf|vsprintf|gets)\('
rule "no system() and popen(): no shell between us and a program" in_sources '\b(system|popen)\('
rule "no usleep or sleep: wait for what happens, with a deadline" in_sources '\b(usleep|sleep|g_usleep)\('
rule "no tabs in C" in_sources '	'
rule "nothing left for later in the tree" in_sources '\b(TODO|FIXME|XXX)\b'
echo "1..$count"
[ $failed -eq 0 ] || true
