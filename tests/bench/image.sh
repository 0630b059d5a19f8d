#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Image engine against qemu-img, in one run on the same files: seconds for COUNT requests of 4 KiB (best of three), and
# how many times as fast. `rnd` strides by a large prime number of blocks, as `qemu-img bench -S`. Usage:
#   tests/bench/image.sh PATH/TO/kite-image [FOLDER [COUNT]]
set -u
kite=$(realpath "$1")
folder=$(mktemp -d -p "${2:-${TMPDIR:-/tmp}}") || exit 1
count=${3:-100000}
size=512M
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
command -v qemu-img >/dev/null || { echo "qemu-img is not installed"; exit 77; }

seconds() {
    for _ in 1 2 3; do
        "$prepare"
        "$@" 2>&1 | sed -n 's/Run completed in \([0-9.]*\) seconds.*/\1/p'
    done | sort -n | head -1
}
row() { # name format file step count [-w]
    local k q1 q32
    k=$(seconds "$kite" bench -f "$2" -c "$5" -s 4096 -S "$4" ${6-} "$3")
    q1=$(seconds qemu-img bench -f "$2" -c "$5" -s 4096 -S "$4" -d 1 ${6-} "$3")
    q32=$(seconds qemu-img bench -f "$2" -c "$5" -s 4096 -S "$4" -d 32 ${6-} "$3")
    awk -v n="$1" -v k="$k" -v a="$q1" -v b="$q32" \
        'BEGIN { printf "%-22s kite %6.3f s   qemu-img depth 1 %6.3f s (%.1fx)   depth 32 %6.3f s (%.1fx)\n", n, k, a, a/k, b, b/k }'
}
nothing() { :; }
fresh() { rm -f new.qcow2; qemu-img create -q -f qcow2 new.qcow2 $size; }
overlay() { rm -f new.qcow2; qemu-img create -q -f qcow2 -b full.qcow2 -F qcow2 new.qcow2; }

random=$((4096 * 7919))
truncate -s $size full.raw
qemu-img create -q -f qcow2 full.qcow2 $size
for f in raw qcow2; do qemu-img bench -f $f -w -c 512 -s 1048576 -d 4 full.$f >/dev/null; done
qemu-img create -q -f qcow2 -b full.qcow2 -F qcow2 below.qcow2

prepare=nothing
for f in raw qcow2; do
    row "$f read seq" $f full.$f 4096 "$count"
    row "$f read rnd" $f full.$f $random "$count"
    row "$f write seq" $f full.$f 4096 "$count" -w
    row "$f write rnd" $f full.$f $random "$count" -w
done
row "backing read seq" qcow2 below.qcow2 4096 "$count"
row "backing read rnd" qcow2 below.qcow2 $random "$count"
prepare=fresh
row "allocating seq" qcow2 new.qcow2 4096 $((count / 5)) -w
row "allocating rnd" qcow2 new.qcow2 $random $((count / 5)) -w
prepare=overlay
row "copy up seq" qcow2 new.qcow2 4096 $((count / 5)) -w
row "copy up rnd" qcow2 new.qcow2 $random $((count / 5)) -w
