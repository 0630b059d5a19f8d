#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The nested lab: an unmodified Debian cloud kernel under QEMU TCG (-cpu max emulates SVM), whose initramfs is a busybox,
# the KVM modules, kite-vmm and a job script; inside it kite-vmm boots the same kernel for real.
#
# usage: run.sh [-o OUTER_CPUS] [-f FILE[:NAME]]... JOB [ARG...]
#
# JOB is a shell script that runs in the outer guest as /job with the arguments; in its folder / are kite-vmm, vmlinuz,
# inner.img (inner initramfs) and every FILE. What it prints comes out here; its exit status is this script's.
# Environment: KITE_VMM (default: build/kite-vmm), LAB_KERNEL, LAB_MODULES, LAB_TIMEOUT (seconds), LAB_MEM (MiB).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
outer_cpus=2
files=()
while getopts o:f: opt; do
    case $opt in
    o) outer_cpus=$OPTARG ;;
    f) files+=("$OPTARG") ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
job=$1
shift

skip() {
    echo "1..0 # SKIP $*"
    exit 77
}
vmm=${KITE_VMM:-$here/../../build/kite-vmm}
kernel=${LAB_KERNEL:-$(ls -1 /boot/vmlinuz-*cloud-amd64 2>/dev/null | sort -V | tail -1)}
[ -n "$kernel" ] || skip "no Debian cloud kernel (package linux-image-cloud-amd64)"
release=${kernel##*/vmlinuz-}
modules=${LAB_MODULES:-/lib/modules/$release}
busybox=$(command -v busybox) || skip "no busybox (package busybox-static)"
for program in qemu-system-x86_64 cpio modprobe; do
    command -v $program >/dev/null || skip "no $program"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# add_modules ROOT MODULE...: copies them and what they need, and writes the order of loading to ROOT/modules
add_modules() {
    local root=$1 module path
    shift
    mkdir -p "$root/lib"
    for module; do
        modprobe --show-depends -S "$release" "$module" 2>/dev/null | awk '$1 == "insmod" { print $2 }' || true
    done | awk '!seen[$0]++' | while read -r path; do
        cp "$path" "$root/lib/"
        echo "/lib/${path##*/}" >>"$root/modules"
    done
}

# pack ROOT FILE
pack() { (cd "$1" && find . | cpio --quiet -o -H newc -R 0:0) >"$2"; }

# --- inner initramfs -------------------------------------------------------------------------------------------
inner=$work/inner
mkdir -p "$inner"/{bin,dev,proc,sys,tmp,mnt}
cp "$busybox" "$inner/bin/busybox"
add_modules "$inner" virtio_pci virtio_rng virtio_blk virtio_net virtio_console virtio_balloon button ext4 \
    pvpanic-mmio virtio_mem vmw_vsock_virtio_transport virtio_scsi sd_mod sr_mod
cp "$here/inner-init" "$inner/init"
chmod +x "$inner/init"
pack "$inner" "$work/inner.img"

# --- outer initramfs -------------------------------------------------------------------------------------------
outer=$work/outer
mkdir -p "$outer"/{bin,dev,proc,sys,tmp}
cp "$busybox" "$outer/bin/busybox"
add_modules "$outer" kvm_amd tun bridge veth
cp "$vmm" "$outer/kite-vmm"
cp "$kernel" "$outer/vmlinuz"
cp "$work/inner.img" "$outer/inner.img"
cp "$here/outer-init" "$outer/init"
cp "$job" "$outer/job"
for file in "${files[@]}"; do
    cp "${file%%:*}" "$outer/$(basename "${file#*:}")"
done
printf '%s\n' "$@" >"$outer/args"
chmod +x "$outer/init" "$outer/job"
pack "$outer" "$work/outer.img"

# TCG does not intercept XSETBV for a nested guest, so KVM would report a stale XSAVE size: no XSAVE in the lab.
# The second serial port carries the job's output, the first the outer kernel's words.
set +e
timeout "${LAB_TIMEOUT:-600}" qemu-system-x86_64 -M q35,mem-merge=off -cpu max,xsave=off -accel tcg,thread=multi -m "${LAB_MEM:-3072}" \
    -smp "$outer_cpus" -nodefaults -no-user-config -display none -no-reboot \
    -kernel "$kernel" -initrd "$work/outer.img" -append "console=ttyS0 panic=-1 quiet loglevel=4 tsc=reliable" \
    -serial file:"$work/console" -serial file:"$work/out" </dev/null 2>"$work/err"
sed '/^LAB-STATUS /d' "$work/out"
status=$(sed -n 's/^LAB-STATUS \([0-9]*\).*/\1/p' "$work/out" | tail -1)
if [ -z "$status" ]; then
    echo "the lab did not finish; its console:" >&2
    tail -40 "$work/console" "$work/err" >&2
    exit 1
fi
exit "$status"
