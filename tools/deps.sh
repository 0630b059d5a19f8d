#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Installs from Debian what Kite needs. deps.sh build | run | test  (each includes the ones before it).
# Needs root for what is missing; does nothing, and needs no root, when all is there.
set -euo pipefail

build="gcc make autoconf automake pkg-config python3 xz-utils libglib2.0-dev libxml2-dev libjansson-dev libvirt-dev
libgnutls28-dev libsasl2-dev liburing-dev libseccomp-dev zlib1g-dev libzstd-dev nettle-dev libnl-3-dev libnl-route-3-dev"
run="qemu-system-x86 qemu-utils libvirt-clients seabios iproute2 kmod cpio busybox-static passt"
test="python3-libvirt virtinst libxml2-utils xorriso nftables dnsmasq-base acpica-tools procps util-linux
golang-go golang-github-digitalocean-go-libvirt-dev virt-manager gir1.2-gtk-vnc-2.0 gir1.2-vte-2.91
ovmf swtpm swtpm-tools xvfb xauth xdotool x11-apps dbus-x11 mmdebstrap libvirt-daemon-system clang libsasl2-modules
libsasl2-modules-gssapi-mit sasl2-bin krb5-kdc krb5-admin-server krb5-user dbus polkitd gnutls-bin
systemd systemd-container libpam-systemd dbus-user-session libvirt-dbus python3-gi"
case ${1:-build} in
    build) wanted=$build ;;
    run) wanted="$build $run" ;;
    test) wanted="$build $run $test" ;;
    *) echo "usage: $0 build|run|test" >&2; exit 2 ;;
esac

missing=
for package in $wanted; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
    echo "deps.sh: these packages are missing; as root: apt-get install$missing" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
echo "installing from Debian:$missing"
apt-get update -q >/dev/null
# No service may start because of us: libvirt's own daemons are only here as a peer to measure.
policy=/usr/sbin/policy-rc.d
made=
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 0755 $policy
    made=yes
fi
trap '[ -z "$made" ] || rm -f $policy' EXIT
# shellcheck disable=SC2086 # a list of words on purpose
apt-get install -q -y --no-install-recommends $missing >/tmp/kite-deps.log 2>&1 || {
    tail -n 20 /tmp/kite-deps.log >&2
    exit 1
}
