#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Image engine against qemu-img, in one run on the same files: 4 KiB sequential and random, 1 MiB sequential. For each the
# best of three, as seconds and as CPU seconds (user and system): on a busy machine the second is the one that counts,
# for qemu-img works in several threads. `rnd` strides by a large prime number of blocks, as `qemu-img bench -S`. Usage:
#   tests/bench/image.sh PATH/TO/kite-image [FOLDER [COUNT]]
set -u
kite=$(realpath "$1")
folder=$(mktemp -d -p "${2:-${TMPDIR:-/tmp}}") || exit 1
count=${3:-100000}
size=512M
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
command -v qemu-img >/dev/null || { echo "qemu-img is not installed"; exit 77; }
TIMEFORMAT='%U %S'

# Seconds and CPU seconds of the best run.
seconds() {
    local wall cpu
    for _ in 1 2 3; do
        "$prepare"
        cpu=$({ time "$@" >out 2>&1; } 2>&1 | awk '{ printf "%.3f", $1 + $2 }')
        wall=$(sed -n 's/Run completed in \([0-9.]*\) seconds.*/\1/p' out)
        echo "$wall $cpu"
    done | awk 'NR == 1 || $1 < w { w = $1 } NR == 1 || $2 < c { c = $2 } END { print w, c }'
}
row() { # name format file block step count [-w]
    local k q1 q32
    k=$(seconds "$kite" bench -f "$2" -c "$6" -s "$4" -S "$5" ${7-} "$3")
    q1=$(seconds qemu-img bench -f "$2" -c "$6" -s "$4" -S "$5" -d 1 ${7-} "$3")
    q32=$(seconds qemu-img bench -f "$2" -c "$6" -s "$4" -S "$5" -d 32 ${7-} "$3")
    awk -v n="$1" -v k="$k" -v a="$q1" -v b="$q32" 'BEGIN {
        split(k, K); split(a, A); split(b, B)
        printf "%-20s kite %6.3f s, CPU %6.3f   qemu-img depth 1 %5.1fx, CPU %5.1fx   depth 32 %5.1fx, CPU %5.1fx\n",
            n, K[1], K[2], A[1] / K[1], A[2] / K[2], B[1] / K[1], B[2] / K[2] }'
}
nothing() { :; }
fresh() { rm -f new.qcow2; qemu-img create -q -f qcow2 new.qcow2 $size; }
overlay() { rm -f new.qcow2; qemu-img create -q -f qcow2 -b full.qcow2 -F qcow2 new.qcow2; }

random=$((4096 * 7919)) mega=1048576
truncate -s $size full.raw
qemu-img create -q -f qcow2 full.qcow2 $size
for f in raw qcow2; do qemu-img bench -f $f -w -c 512 -s $mega -d 4 full.$f >/dev/null; done
qemu-img create -q -f qcow2 -b full.qcow2 -F qcow2 below.qcow2

prepare=nothing
for f in raw qcow2; do
    row "$f read seq" $f full.$f 4096 4096 "$count"
    row "$f read rnd" $f full.$f 4096 $random "$count"
    row "$f read 1M" $f full.$f $mega $mega $((count / 50))
    row "$f write seq" $f full.$f 4096 4096 "$count" -w
    row "$f write rnd" $f full.$f 4096 $random "$count" -w
    row "$f write 1M" $f full.$f $mega $mega $((count / 50)) -w
done
row "backing read seq" qcow2 below.qcow2 4096 4096 "$count"
row "backing read rnd" qcow2 below.qcow2 4096 $random "$count"
row "backing read 1M" qcow2 below.qcow2 $mega $mega $((count / 50))
prepare=fresh
row "allocating seq" qcow2 new.qcow2 4096 4096 $((count / 5)) -w
row "allocating rnd" qcow2 new.qcow2 4096 $random $((count / 5)) -w
row "allocating 1M" qcow2 new.qcow2 $mega $mega 512 -w
prepare=overlay
row "copy up seq" qcow2 new.qcow2 4096 4096 $((count / 5)) -w
row "copy up rnd" qcow2 new.qcow2 4096 $random $((count / 5)) -w
