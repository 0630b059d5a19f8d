#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Images between kite-image and qemu-img, both ways: made by one, written, checked, compared and mapped by the other.
# KITE_TEST_SOAK=1 tries every kind (QEMU takes seconds for each LUKS header it makes).
set -u
kite=$abs_top_builddir/kite-image
command -v qemu-img >/dev/null && command -v qemu-io >/dev/null || { echo "1..0 # SKIP qemu-img is not installed"; exit 0; }
parent=${TMPDIR:-/tmp}
[ -w /dev/shm ] && parent=/dev/shm # syncs are what takes time
dir=$(mktemp -d -p "$parent" kite-storage-XXXXXX) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1

all=${KITE_TEST_SOAK:-}
n=0
what=
bad=
run() {
    if ! timeout 30 "$@" >out 2>&1; then
        bad=1
        echo "# $*"
        sed 's/^/#   /' out | head -5
    fi
}
point() {
    n=$((n + 1))
    if [ -n "$bad" ]; then echo "not ok $n - $what"; else echo "ok $n - $what"; fi
    bad=
}

awk 'BEGIN { for (i = 0; i < 60000; i++) printf "%08d the quick brown fox\n", i * 7919 % 100000 }' >data
head -c 400000 /dev/urandom >>data
truncate -s 4M data
changes="w:5000:100:1 w:70000:200000:2 z:1000000:300000 d:1900000:500000 u:2400000:400000 w:4194000:304:3"

for o in "" "-o compression_type=zstd" "-o cluster_size=4k" "-o cluster_size=2M"; do
    what="compressed $o"
    [ -z "$all" ] && case $o in "" | *2M) continue ;; esac
    run qemu-img convert -c -f raw -O qcow2 $o data c.qcow2
    run "$kite" compare -f raw data c.qcow2
    run "$kite" check c.qcow2
    run "$kite" convert -c -f raw -O qcow2 $o data c2.qcow2
    run qemu-img compare -f raw data c2.qcow2
    run "$kite" io c2.qcow2 $changes
    run qemu-img check c2.qcow2
    rm -f c.qcow2 c2.qcow2
    point
done

for o in "" "-o extended_l2=on" "-o cluster_size=4k" "-o compat=0.10"; do
    what="backing file $o"
    [ -z "$all" ] && case $o in "" | *4k) continue ;; esac
    run qemu-img create -q -f qcow2 -b data -F raw $o o.qcow2
    run "$kite" io o.qcow2 $changes
    run qemu-img check o.qcow2
    cp o.qcow2 o2.qcow2
    run qemu-img convert -O raw o.qcow2 o.raw
    run "$kite" compare -f qcow2 -F raw o.qcow2 o.raw
    "$kite" map o.qcow2 >m1
    qemu-img map --output=json o.qcow2 >m2
    # Neighbours joined, zeros and data and their places must agree.
    run "$PYTHON" - m1 m2 <<'P'
import json, sys
def entries(name):
    out = []
    for e in json.load(open(name)):
        n = [e['start'], e['length'], e['zero'], e['data'], e.get('offset') if e['data'] else None]
        p = out[-1] if out else None
        if p and p[2:4] == n[2:4] and (p[4] is None) == (n[4] is None) and (p[4] is None or p[4] + p[1] == n[4]):
            p[1] += n[1]
        else:
            out.append(n)
    return out
sys.exit(entries(sys.argv[1]) != entries(sys.argv[2]))
P
    run "$kite" rebase -b "" o.qcow2
    run qemu-img check o.qcow2
    run qemu-img compare -F raw o.qcow2 o.raw
    cp data base.raw
    run qemu-img rebase -u -b base.raw -F raw o2.qcow2
    run "$kite" commit o2.qcow2
    run qemu-img compare -f raw -F raw o.raw base.raw
    run qemu-img check o2.qcow2
    rm -f o.qcow2 o2.qcow2 o.raw base.raw
    point
done

printf secret >key
export KITE_IMAGE_KEY=secret
secret="--object secret,id=s,file=key"
luks=encrypt.format=luks,encrypt.key-secret=s
what="LUKS in qcow2"
run "$kite" create -f raw q.raw 4M
run "$kite" io q.raw $changes
if [ -n "$all" ]; then
    run qemu-img create -q -f qcow2 $secret -o $luks,encrypt.iter-time=10 q.qcow2 4M
    run "$kite" io q.qcow2 $changes r:5000:100:1
    run "$kite" check q.qcow2
    run qemu-img convert $secret --image-opts driver=qcow2,encrypt.key-secret=s,file.filename=q.qcow2 -O raw q2.raw
    run "$kite" compare -F raw q.qcow2 q2.raw
fi
changes=${changes/d:1900000:500000 /}
run "$kite" create -f raw q.raw 4M
run "$kite" io q.raw $changes
run "$kite" create -f qcow2 -o encrypt.format=luks,iterations=1000 k.qcow2 4M
run "$kite" io k.qcow2 $changes
run qemu-img check $secret --image-opts driver=qcow2,encrypt.key-secret=s,file.filename=k.qcow2
run qemu-img compare $secret --image-opts driver=qcow2,encrypt.key-secret=s,file.filename=k.qcow2 \
    driver=raw,file.filename=q.raw
point
what="raw LUKS"
if [ -n "$all" ]; then
    run qemu-img create -q -f luks $secret -o key-secret=s,iter-time=10 q.luks 4M
    run "$kite" io q.luks z:0:4194304 $changes
    run qemu-img convert $secret --image-opts driver=luks,key-secret=s,file.filename=q.luks -O raw q2.raw
    run "$kite" compare -f luks -F raw q.luks q2.raw
fi
run "$kite" create -f luks -o iterations=1000 k.luks 4M
run "$kite" io k.luks z:0:4194304 $changes
run "$kite" compare -f luks -F raw k.luks q.raw
run qemu-img compare $secret --image-opts driver=luks,key-secret=s,file.filename=k.luks driver=raw,file.filename=q.raw
point
what="a wrong passphrase is refused"
KITE_IMAGE_KEY=wrong "$kite" io k.luks r:0:1:0 >/dev/null 2>&1 && bad=1
point
what="a key in the environment is no wish to encrypt"
run "$kite" convert -O qcow2 k.luks plain.qcow2
run qemu-img compare -F raw plain.qcow2 q.raw
point
unset KITE_IMAGE_KEY

refused() {
    if timeout 30 "$kite" "$@" >out 2>&1; then
        bad=1
        echo "# not refused: $*"
    fi
}
what="what cannot be meant is refused"
rm -f n.qcow2
refused create -f qcow2 -o encrypt.format=luks n.qcow2 1M
refused create -f qcow2 -o encrypt.format=aes n.qcow2 1M
refused create -f qcow2 -o compat=2 n.qcow2 1M
refused create -f qcow2 -o compression_type=lzma n.qcow2 1M
refused create -f qcow2 -o lazy_refcounts=maybe n.qcow2 1M
refused create -f qcow2 -o cluster_size=4294971392 n.qcow2 1M
for size in nan 1e9 -1 " 5" 0x100 1.5 12345678901234567890 9E 1.k; do refused create n.qcow2 "$size"; done
refused create -f qcow2 -b nobody -F raw n.qcow2 1M
[ -e n.qcow2 ] && bad=1
run "$kite" create -f qcow2 n.qcow2 1.5M
refused create -f qcow2 -b n.qcow2 -F qcow2 n.qcow2
refused convert -O qcow2 n.qcow2 n.qcow2
run "$kite" create -u -f qcow2 -b nobody -F raw n2.qcow2 1M
run "$kite" create n.raw 9007199254740
[ "$(stat -c %s n.raw)" = 9007199254740 ] || bad=1
for name in 'json:{"driver":"file","filename":"n.raw"}' nbd://localhost/x; do
    run "$kite" create -u -f qcow2 -b "$name" -F raw n2.qcow2 1M
    refused io n2.qcow2 r:0:1:0
    grep -q "is no path" out || bad=1
done
rm -f n.raw n.qcow2 n2.qcow2
point

for o in data_file=ext.raw data_file=ext.raw,data_file_raw=on preallocation=metadata preallocation=falloc \
    preallocation=full preallocation=metadata,extended_l2=on lazy_refcounts=on refcount_bits=64,cluster_size=512; do
    what="$o"
    for maker in "$kite create" "qemu-img create -q"; do
        [ -z "$all" ] && case "$o $maker" in *falloc* | *full* | lazy*qemu-img* | *raw=on*qemu-img*) continue ;; esac
        rm -f ext.raw p.qcow2
        run $maker -f qcow2 -o $o p.qcow2 4M
        run "$kite" io p.qcow2 $changes
        run qemu-img check p.qcow2
        run "$kite" check p.qcow2
        run qemu-img convert -O raw p.qcow2 p.raw
        run "$kite" compare -F raw p.qcow2 p.raw
        case $o in *raw=on) run cmp ext.raw p.raw ;; esac
    done
    point
done

what="bitmaps that are not kept are marked so"
run qemu-img create -q -f qcow2 b.qcow2 4M
run qemu-img bitmap --add b.qcow2 map
run "$kite" check b.qcow2
run "$kite" io b.qcow2 w:0:10:1
run "$kite" check -r all b.qcow2
run qemu-img check b.qcow2
point

what="snapshots of one are the other's"
run qemu-img create -q -f qcow2 -o cluster_size=4k s.qcow2 4M
run "$kite" io s.qcow2 $changes
run qemu-img snapshot -c theirs s.qcow2
run "$kite" io s.qcow2 w:0:100000:9
run "$kite" snapshot -c ours s.qcow2
run qemu-img check s.qcow2
run qemu-io -c "write -P 7 0 1M" s.qcow2
run "$kite" snapshot -a theirs s.qcow2
run qemu-img check s.qcow2
run "$kite" io s.qcow2 r:5000:100:1
run qemu-img snapshot -a ours s.qcow2
run "$kite" io s.qcow2 r:0:100000:9
run qemu-img snapshot -d theirs s.qcow2
run "$kite" snapshot -d ours s.qcow2
run qemu-img check s.qcow2
run "$kite" check s.qcow2
point

what="repair"
run qemu-img create -q -f qcow2 r.qcow2 4M
run qemu-io -c "write 0 1M" r.qcow2
printf '\0\0' | dd of=r.qcow2 bs=1 seek=$((131072 + 20)) conv=notrunc 2>/dev/null
"$kite" check -q r.qcow2 && bad=1
run "$kite" check -r all r.qcow2
run qemu-img check r.qcow2
dd if=/dev/zero of=r.qcow2 bs=64k seek=1 count=1 conv=notrunc 2>/dev/null
"$kite" check -q r.qcow2 && bad=1
run "$kite" check -r all r.qcow2
run qemu-img check r.qcow2
point

what="QEMU's locks"
coproc qemu-io r.qcow2 2>/dev/null
echo "read 0 512" >&"${COPROC[1]}"
read -r _ <&"${COPROC[0]}"
"$kite" io r.qcow2 r:0:1:0 >/dev/null 2>&1 && bad=1
"$kite" info r.qcow2 >/dev/null 2>&1 && bad=1
run "$kite" info -U r.qcow2
echo quit >&"${COPROC[1]}"
wait
run "$kite" info r.qcow2
point
echo "1..$n"
