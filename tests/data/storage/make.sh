#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Made the stored images with qemu-img 7.2: run in an empty folder. What they hold is in test_storage_basic.c.
set -e
python3 - <<'P'
with open('raw', 'wb') as f:
    for i in range(384):
        f.write(bytes([(i * 7 + 1) & 255]) * 512)
    f.seek(300000)
    f.write(b'\xee' * 1000)
    f.truncate(1 << 20)
P
c() { name=$1; shift; qemu-img convert -f raw -O qcow2 "$@" raw "$name.qcow2"; }
c zlib -c
c zstd -c -o compression_type=zstd
c zlib4k -c -o cluster_size=4096
c v2 -o compat=0.10,cluster_size=4096
c extended -o extended_l2=on,cluster_size=16384
c snapshot -o cluster_size=4096
qemu-img snapshot -c one snapshot.qcow2
qemu-io -c 'write -P 0x11 0 64k' -c 'discard 128k 16k' snapshot.qcow2 >/dev/null
qemu-img snapshot -c two snapshot.qcow2
qemu-img snapshot -a one snapshot.qcow2
gzip -9n ./*.qcow2
rm raw
