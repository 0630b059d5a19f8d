#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The nested lab: an unmodified Debian cloud kernel under QEMU TCG (-cpu max emulates SVM), whose initramfs is a busybox,
# the KVM modules, kite-vmm and a job script; inside it kite-vmm boots the same kernel for real.
#
# usage: run.sh [-r | -s] [-o OUTER_CPUS] [-f FILE[:NAME]]... JOB [ARG...]
#
# JOB is a shell script that runs in the outer guest as /job with the arguments; in its folder / are kite-vmm, vmlinuz,
# inner.img (inner initramfs) and every FILE. What it prints comes out here; its exit status is this script's.
# -r: the outer guest's root is this machine's own root file system (virtiofs, read-only, below an overlay in its RAM),
# so that every program of this machine and the build folder are there; JOB is then run where it lies, /lab has the files,
# /scratch is an ext4 disk, /sys/fs/cgroup is cgroup v2. Needs root and virtiofsd.
# -s: like -r, and the outer guest's PID 1 is this machine's systemd (lab.target, lab-job.service).
# Environment: abs_top_builddir, KITE_VMM (default: build/kite-vmm), LAB_GUEST (folder of mkguest.sh), LAB_KERNEL,
# LAB_MODULES, LAB_TIMEOUT (seconds), LAB_MEM (MiB), LAB_ENV (words NAME=VALUE for a job of -r),
# LAB_CONTROLLERS (those that cgroup v2 hands down with -r; none: VMs have no group there),
# LAB_QEMU (more arguments for the outer QEMU), LAB_PROGRAM (another one), LAB_APPEND (more words for its kernel).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
outer_cpus=1 # with more, the SVM of QEMU's threads side by side mixes up the GS of guest and host now and then
files=()
whole=
systemd=
while getopts rso:f: opt; do
    case $opt in
    r) whole=yes ;;
    s) whole=yes systemd=yes ;;
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
build=$(realpath "${abs_top_builddir:-$here/../../build}")
built=$build/tests/lab
vmm=${KITE_VMM:-$build/kite-vmm}
guest=${LAB_GUEST:-$build/test-guest}
# The kernel: /boot's, or the package that tests/lib/mkguest.sh unpacked.
kernel=${LAB_KERNEL:-$(ls -1 /boot/vmlinuz-*cloud-amd64 2>/dev/null | sort -V | tail -1)}
modules=${LAB_MODULES:-/lib/modules/${kernel##*/vmlinuz-}}
if [ -z "$kernel" ] || [ ! -d "$modules/kernel" ]; then
    [ -s "$guest/version" ] || skip "no Debian cloud kernel: package linux-image-cloud-amd64, or make test-guest"
    release=$(cat "$guest/version")
    kernel=$guest/pkg/linux-image-$release/boot/vmlinuz-$release
    modules=$guest/pkg/linux-image-$release/lib/modules/$release
    [ -r "$kernel" ] && [ -d "$modules/kernel" ] || skip "no Debian cloud kernel in $guest"
fi
busybox=$(command -v busybox) || busybox=$guest/pkg/busybox-static/bin/busybox
if [ ! -x "$busybox" ] || ldd "$busybox" >/dev/null 2>&1; then
    skip "no static busybox (package busybox-static)"
fi
for program in qemu-system-x86_64 cpio; do
    command -v $program >/dev/null || skip "no $program"
done
[ -x "$vmm" ] || skip "no $vmm"
if ldd "$vmm" 2>/dev/null | grep -q '=>'; then
    skip "$vmm is not static"
fi

if [ -n "$whole" ]; then
    for virtiofsd in /usr/lib/qemu/virtiofsd /usr/libexec/virtiofsd ""; do
        [ ! -x "$virtiofsd" ] || break
    done
    [ -n "$virtiofsd" ] || skip "no virtiofsd (package qemu-system-common)"
    [ -z "$systemd" ] || [ -x /lib/systemd/systemd ] || skip "no systemd on this machine (package systemd)"
    [ "$(id -u)" = 0 ] || skip "the whole stack in the lab needs root (for virtiofsd)"
fi

work=$(mktemp -d)
fs_pid=
trap 'rm -rf "$work"; [ -z "$fs_pid" ] || kill "$fs_pid" 2>/dev/null' EXIT

# add_modules ROOT MODULE...: copies them and what they need, and writes the order of loading to ROOT/modules. Needs no
# modules.dep, which a package that was only unpacked does not have.
add_modules() {
    local root=$1 module
    shift
    mkdir -p "$root/lib"
    for module; do
        add_module "$root" "$module"
    done
}
add_module() {
    local root=$1 name=$2 path dependency
    path=$(find "$modules/kernel" \( -name "${name//-/_}.ko*" -o -name "${name//_/-}.ko*" \) -print -quit)
    [ -n "$path" ] || return 0 # built in, or not in this kernel
    [ ! -e "$root/lib/${path##*/}" ] || return 0
    for dependency in $(tr '\0' '\n' <"$path" | grep -a '^depends=' | cut -d= -f2 | tr , ' '); do
        add_module "$root" "$dependency"
    done
    cp "$path" "$root/lib/"
    echo "/lib/${path##*/}" >>"$root/modules"
}

# pack ROOT FILE
pack() { (cd "$1" && find . | cpio --quiet -o -H newc -R 0:0) >"$2"; }

# --- inner initramfs -------------------------------------------------------------------------------------------
inner=$work/inner
mkdir -p "$inner"/{bin,dev,proc,sys,tmp,mnt}
cp "$busybox" "$inner/bin/busybox"
add_modules "$inner" virtio_pci virtio_rng virtio_blk virtio_net virtio_console virtio_balloon button evdev ext4 \
    pvpanic-mmio autofs4 virtio_mem vmw_vsock_virtio_transport virtio_scsi sd_mod sr_mod
cp "$here/inner-init" "$inner/init"
[ ! -x "$built/disk_load" ] || cp "$built/disk_load" "$inner/bin/"
chmod +x "$inner/init"
pack "$inner" "$work/inner.img"

# --- outer initramfs -------------------------------------------------------------------------------------------
outer=$work/outer
mkdir -p "$outer"/{bin,dev,proc,sys,tmp}
cp "$busybox" "$outer/bin/busybox"
add_modules "$outer" kvm_amd tun bridge veth vhost_vsock vhost_net ${whole:+virtio_pci virtiofs overlay virtio_blk}
cp "$vmm" "$outer/kite-vmm"
cp "$kernel" "$outer/vmlinuz"
cp "$work/inner.img" "$outer/inner.img"
cp "$here/outer-init" "$outer/init"
if [ -n "$systemd" ]; then
    cp "$here/lab.target" "$here/lab-job.service" "$here/../lib/systemd-masked" "$outer/"
fi
if [ -n "$whole" ]; then
    { printf 'cd %q\n' "$PWD"; printf 'export %q\n' KITE_TEST_PATIENCE=3 ${LAB_ENV:-} abs_top_builddir="$build" abs_top_srcdir="$(realpath "$here/../..")"; \
        case $job in *.py) printf 'exec /usr/bin/python3 ' ;; *) printf 'exec /bin/bash ' ;; esac
        printf '%q "$@"\n' "$(realpath "$job")"; } >"$outer/job"
    mkdir "$outer/host" "$outer/scratch" "$outer/new"
else
    cp "$job" "$outer/job"
fi
for file in "${files[@]}"; do
    cp "${file%%:*}" "$outer/$(basename "${file#*:}")"
done
printf '%s\n' "$@" >"$outer/args"
printf '%s\n' ${LAB_CONTROLLERS:-} >"$outer/controllers"
chmod +x "$outer/init" "$outer/job"
pack "$outer" "$work/outer.img"

machine=()
if [ -n "$whole" ]; then
    "$virtiofsd" --socket-path="$work/fs" -o source=/ -o sandbox=chroot -o "cache=${LAB_CACHE:-always}" \
        >"$work/virtiofsd" 2>&1 &
    fs_pid=$!
    until [ -S "$work/fs" ] || ! kill -0 $fs_pid 2>/dev/null; do read -rt 0.1 <> <(:) || :; done
    truncate -s 16G "$work/scratch"
    mke2fs -q -t ext4 -E lazy_itable_init=1,nodiscard -O ^has_journal "$work/scratch"
    machine=(-object "memory-backend-memfd,id=ram,size=${LAB_MEM:-4096}M,share=on" -machine memory-backend=ram
        -chardev "socket,id=fs,path=$work/fs" -device vhost-user-fs-pci,chardev=fs,tag=host,queue-size=1024
        -drive "file=$work/scratch,format=raw,if=none,id=scratch,cache=unsafe,discard=unmap"
        -device virtio-blk-pci,drive=scratch)
    : "${LAB_MEM:=4096}"
fi

# TCG does not intercept XSETBV for a nested guest, so KVM would report a stale XSAVE size: no XSAVE in the lab.
# VMRUN of QEMU 7.2 to 10.0 sets CPU_INTERRUPT_VIRQ outside of its lock and without an atomic operation, and so loses an
# interrupt that another thread raises in that moment. When it is the one-shot timer's, a guest that waits in a loop is
# never left again: the local APIC keeps the vector in IRR, and only another interrupt makes the processor look. So one
# comes 20 times a second: a byte on the console, which outer-init reads.
# The second serial port carries the job's output, the first the outer kernel's words.
beat() {
    trap '' PIPE
    while printf . 2>/dev/null; do read -rt 0.05 <> <(:) || :; done
}
set +e
beat | timeout "${LAB_TIMEOUT:-1500}" "${LAB_PROGRAM:-qemu-system-x86_64}" -M q35,mem-merge=off -cpu max,xsave=off \
    -accel tcg,thread=${LAB_THREAD:-multi} -m "${LAB_MEM:-3072}" -smp "$outer_cpus" "${machine[@]}" \
    -nodefaults -no-user-config -display none -no-reboot -kernel "$kernel" -initrd "$work/outer.img" \
    -append "console=ttyS0 panic=-1 quiet loglevel=4 tsc=reliable no_timer_check ${LAB_APPEND:-}" \
    -chardev stdio,id=console,signal=off,logfile="$work/console" -serial chardev:console \
    -serial file:"$work/out" ${LAB_QEMU:-} >/dev/null 2>"$work/err"
sed '/^LAB-STATUS /d' "$work/out"
status=$(sed -n 's/^LAB-STATUS \([0-9]*\).*/\1/p' "$work/out" | tail -1)
if [ -z "$status" ]; then
    echo "the lab did not finish; its console:" >&2
    tail -n 40 "$work/console" "$work/err" >&2
    exit 1
fi
exit "$status"
