#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The wire as the .rpc files describe it, against tests/golden/wire.golden: a change of layout, number or access is a
# visible difference. KITE_TEST_REGENERATE=1 rewrites the golden file.
golden=$abs_top_srcdir/tests/golden/wire.golden
now=wire.golden.$$
echo 1..1
"$PYTHON" "$abs_top_srcdir/tools/gen/rpcgen.py" golden "$now" "$abs_top_srcdir"/src/driver/rpc/*.rpc || exit 1
if [ -n "$KITE_TEST_REGENERATE" ]; then
    cp "$now" "$golden"
fi
if diff -u "$golden" "$now" >&2; then
    echo "ok 1 - the wire is as agreed"
else
    echo "not ok 1 - the wire has changed; KITE_TEST_REGENERATE=1 accepts it"
fi
rm -f "$now"
