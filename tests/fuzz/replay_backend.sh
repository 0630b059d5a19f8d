#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Replays the corpora of the back ends' fuzz targets.
n=0
bad=0
for what in qmp agent backing_name; do
    n=$((n + 1))
    if "$abs_top_builddir/tests/fuzz/replay_$what" "$abs_top_srcdir/tests/fuzz/corpus/$what" >/dev/null; then
        echo "ok $n - $what"
    else
        echo "not ok $n - $what"
        bad=1
    fi
done
echo "1..$n"
exit $bad
