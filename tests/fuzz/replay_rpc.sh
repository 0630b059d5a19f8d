#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Replays the corpora of the RPC fuzz targets.
echo 1..2
n=0
for target in rpc_decode rpc_connection; do
    n=$((n + 1))
    if "$abs_top_builddir/tests/fuzz/replay_$target" "$abs_top_srcdir/tests/fuzz/corpus/$target" >&2; then
        echo "ok $n - $target"
    else
        echo "not ok $n - $target"
    fi
done
