#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Replays the corpus of fuzz_qcow2.
exec "$abs_top_builddir/tests/fuzz/replay_qcow2" "$abs_top_srcdir/tests/fuzz/corpus/qcow2"
