# SPDX-License-Identifier: LGPL-2.1-or-later
# Disks of every kind under load in the nested lab; the images are made by qemu-img here.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
command -v qemu-img >/dev/null || { echo "1..0 # SKIP no qemu-img"; exit 0; }
head -c 4194304 /dev/urandom >base.raw
truncate -s 128M base.raw
qemu-img create -q -f qcow2 -b base.raw -F raw disk.qcow2
qemu-img create -q -f luks --object secret,id=s,data=kite-lab -o key-secret=s,iter-time=10 disk.luks 64M
bash "$abs_top_srcdir/tests/lab/check.sh" job-disks -f "$folder/base.raw" -f "$folder/disk.qcow2" -f "$folder/disk.luks"
