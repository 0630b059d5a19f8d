#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Makes a real Linux guest out of Debian's packages, without touching the host:
#   mkguest.sh FOLDER [--agent]
# leaves FOLDER/vmlinuz (Debian's cloud kernel, unmodified), FOLDER/initrd (busybox and the virtio modules)
# and, with --agent, FOLDER/initrd-agent (the same with Debian's qemu-guest-agent and its libraries).
# A kernel that the host has in /boot is used; otherwise Debian's package is fetched and unpacked here.
# Does nothing for what is there already.
set -euo pipefail

out=${1:?usage: mkguest.sh FOLDER [--agent]}
want_agent=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$out"
out=$(cd "$out" && pwd)
lock=$out/.lock
exec 9>"$lock"
flock 9

fetch_package() { # name -> unpacked below $out/pkg/NAME
    local name=$1
    [ -d "$out/pkg/$name" ] && return
    mkdir -p "$out/deb" "$out/pkg"
    (cd "$out/deb" && apt-get download -q "$name" >&2)
    dpkg-deb -x "$out/deb/$name"_*.deb "$out/pkg/.$name"
    mv "$out/pkg/.$name" "$out/pkg/$name"
}

find_kernel() {
    local image modules version
    for image in /boot/vmlinuz-*cloud-amd64; do
        version=${image#/boot/vmlinuz-}
        modules=/lib/modules/$version
        if [ -r "$image" ] && [ -d "$modules/kernel" ]; then
            echo "$image $modules $version"
            return
        fi
    done
    local name
    name=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image/{print $2; exit}')
    [ -n "$name" ] || { echo "mkguest: no cloud kernel in /boot and none known to apt; run apt-get update" >&2; exit 1; }
    fetch_package "$name"
    version=${name#linux-image-}
    echo "$out/pkg/$name/boot/vmlinuz-$version $out/pkg/$name/lib/modules/$version $version"
}

find_busybox() {
    if [ -x /bin/busybox ] && ! ldd /bin/busybox >/dev/null 2>&1; then
        echo /bin/busybox
        return
    fi
    fetch_package busybox-static
    echo "$out/pkg/busybox-static/bin/busybox"
}

read -r kernel modules version <<<"$(find_kernel)"
busybox=$(find_busybox)
[ -e "$out/vmlinuz" ] || cp "$kernel" "$out/vmlinuz"
echo "$version" >"$out/version"

# Modules a guest of ours may meet; what they depend on comes with them, in loading order.
module_names="virtio_pci virtio_blk virtio_net virtio_console virtio-rng virtio_balloon virtio_input virtio_mem
virtio_scsi sd_mod sr_mod ahci ata_piix button evdev isofs vmw_vsock_virtio_transport i6300esb"

add_module() { # root name: once, dependencies first
    local path dep
    path=$(find "$modules/kernel" \( -name "$2.ko" -o -name "${2//_/-}.ko" -o -name "${2//-/_}.ko" \) -print -quit)
    [ -n "$path" ] || return 0 # built in, or not in this kernel
    [ ! -e "$1/modules/${path##*/}" ] || return 0
    for dep in $(tr '\0' '\n' <"$path" | grep -a '^depends=' | cut -d= -f2 | tr , ' '); do
        add_module "$1" "$dep"
    done
    cp "$path" "$1/modules/"
    echo "${path##*/}" >>"$1/modules/list"
}

install_modules() { # root
    local name
    mkdir -p "$1/modules"
    : >"$1/modules/list"
    for name in $module_names; do
        add_module "$1" "$name"
    done
}

pack() { # root file
    (cd "$1" && find . -print0 | LC_ALL=C sort -z | cpio --null -o -H newc --quiet --owner=0:0 | gzip -1) >"$2.new"
    mv "$2.new" "$2"
}

make_root() { # root
    mkdir -p "$1"/{bin,dev,proc,sys,tmp,etc/acpi,run,var/run,root}
    cp "$busybox" "$1/bin/busybox"
    cp "$here/guest-init.sh" "$1/init"
    chmod 0755 "$1/init"
    printf 'root:x:0:0:root:/root:/bin/sh\n' >"$1/etc/passwd"
    printf 'root::0:0:99999:7:::\n' >"$1/etc/shadow"
    printf 'root:x:0:\n' >"$1/etc/group"
    install_modules "$1"
}

if [ ! -e "$out/initrd" ] || [ "$here/guest-init.sh" -nt "$out/initrd" ]; then
    rm -rf "$out/root"
    make_root "$out/root"
    pack "$out/root" "$out/initrd"
fi

if [ "$want_agent" = --agent ] && { [ ! -e "$out/initrd-agent" ] || [ "$here/guest-init.sh" -nt "$out/initrd-agent" ]; }; then
    rm -rf "$out/root-agent"
    make_root "$out/root-agent"
    fetch_package qemu-guest-agent
    agent=$out/pkg/qemu-guest-agent/usr/sbin/qemu-ga
    mkdir -p "$out/root-agent/usr/sbin"
    cp "$agent" "$out/root-agent/usr/sbin/"
    # Its libraries: those of the host where they are installed, else fetched by package.
    if ldd "$agent" | grep -q 'not found'; then
        for name in libnuma1 liburing2 libudev1 libglib2.0-0 libpcre2-8-0; do
            fetch_package "$name"
            cp -a "$out/pkg/$name"/. "$out/root-agent/"
        done
    fi
    ldd "$agent" | awk '$3 ~ /^\//{print $3} $1 ~ /^\//{print $1}' | while read -r lib; do
        mkdir -p "$out/root-agent$(dirname "$lib")"
        cp -L "$lib" "$out/root-agent$lib"
    done
    pack "$out/root-agent" "$out/initrd-agent"
fi
rm -rf "$out/root" "$out/root-agent"
