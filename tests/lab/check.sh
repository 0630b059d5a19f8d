#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# One job of the lab as a TAP test: numbers the points that the job prints, and adds one for its end.
# usage: check.sh JOB [run.sh's options...]
# LAB_ARGS: arguments for the job.
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=${abs_top_builddir:-$here/../../build}
job=$1
shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export KITE_VMM=${KITE_VMM:-$build/kite-vmm} LAB_GUEST=${LAB_GUEST:-$build/test-guest}
for helper in "$build/tests/lab/qmp_pipe"; do
    [ -x "$helper" ] || { echo "1..0 # SKIP $helper is not built"; exit 0; }
done
start=$SECONDS
# QEMU's emulated SVM may leave the lab's own kernel with its guest's GS, of which it dies (seen with two CPUs). That says
# nothing about us, who are a process there: another lab, and if none lives long enough, what it did not come to is skipped.
died=0
for attempt in 1 2 3; do
    bash "$here/run.sh" -f "$here/lib.sh" -f "$build/tests/lab/qmp_pipe" "$@" "$here/$job" ${LAB_ARGS:-} >"$log" 2>&1
    status=$?
    [ $status != 0 ] && grep -q 'Kernel panic - not syncing' "$log" && ! grep -q '^not ok' "$log" || break
    echo "# attempt $attempt: the lab's own kernel died"
    died=$attempt
done
if grep -q '^1\.\.0 # SKIP' "$log"; then
    grep '^1\.\.0 # SKIP' "$log"
    exit 0
fi
tr -d '\r' <"$log" | awk '
    /^ok - / { printf "ok %d %s\n", ++n, substr($0, 4); next }
    # A job with TAP of its own: renumbered.
    /^ok [0-9]+ / { sub(/^ok [0-9]+/, ""); printf "ok %d%s\n", ++n, $0; next }
    /^not ok [0-9]+ / { sub(/^not ok [0-9]+/, ""); printf "not ok %d%s\n", ++n, $0; next }
    /^1\.\.[0-9]/ { next }
    /^not ok - / { printf "not ok %d %s\n", ++n, substr($0, 8); next }
    /^#/ { print; next }
    { print "# " $0 }
    END { exit n < 250 ? n : 250 }'
points=${PIPESTATUS[1]}
points=$((points + 1))
if [ $status = 0 ]; then
    echo "ok $points - $job runs to its end"
elif [ "$died" = 3 ]; then
    echo "ok $points - $job runs to its end # SKIP the lab's own kernel died three times (QEMU's emulated SVM)"
else
    echo "not ok $points - $job runs to its end"
fi
echo "# $job: $((SECONDS - start)) s"
echo "1..$points"
