#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Makes a Debian root file system that boots with systemd:  mkdebian.sh FOLDER  leaves FOLDER/debian.raw (ext4).
# Debian's packages as they are (mmdebstrap, needs root and Debian's mirror, about a minute), with: an address by DHCP on
# every card, root logged in on the serial console, the guest agent, "KITE-DEBIAN-UP" on the console when all is up.
# Kernel and initrd are not in it (direct boot; tests/lab/inner-init with lab=root). Does nothing for what is there already.
set -euo pipefail

out=${1:?usage: mkdebian.sh FOLDER}
mkdir -p "$out"
out=$(cd "$out" && pwd)
exec 9>"$out/.debian.lock"
flock 9
if [ -s "$out/debian.raw" ] && [ ! "${BASH_SOURCE[0]}" -nt "$out/debian.raw" ]; then
    exit 0
fi
for program in mmdebstrap mke2fs; do
    command -v $program >/dev/null || { echo "mkdebian: no $program" >&2; exit 1; }
done
[ "$(id -u)" = 0 ] || { echo "mkdebian: needs root" >&2; exit 1; }
root=$out/debian
rm -rf "$root"
mmdebstrap --quiet --variant=minbase \
    --include=systemd-sysv,udev,dbus,qemu-guest-agent,iproute2,iputils-ping,kmod,procps,nftables,ethtool \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --aptopt='Acquire::Languages "none"' \
    bookworm "$root" >&2
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin

echo kite-guest >"$root/etc/hostname"
echo '/dev/root / auto noatime 0 0' >"$root/etc/fstab"
sed -i 's/^root:[^:]*:/root::/' "$root/etc/shadow"
mkdir -p "$root/etc/systemd/network" "$root/etc/systemd/system/serial-getty@.service.d" \
    "$root/etc/systemd/journald.conf.d"
cat >"$root/etc/systemd/network/cards.network" <<'EOF'
[Match]
Type=ether
[Network]
DHCP=ipv4
LinkLocalAddressing=no
IPv6AcceptRA=no
[DHCPv4]
ClientIdentifier=mac
EOF
cat >"$root/etc/systemd/system/serial-getty@.service.d/root.conf" <<'EOF'
[Service]
ExecStart=
ExecStart=-/sbin/agetty --autologin root --noclear %I vt220
EOF
printf '[Journal]\nStorage=volatile\n' >"$root/etc/systemd/journald.conf.d/volatile.conf"
cat >"$root/etc/systemd/system/kite-up.service" <<'EOF'
[Unit]
Description=Says on the console that the machine is up
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo "KITE-DEBIAN-UP $(uname -r) cpus=$(nproc) up=$(cut -d" " -f1 /proc/uptime)" >/dev/console'
[Install]
WantedBy=default.target
EOF
chroot "$root" systemctl --quiet enable systemd-networkd kite-up serial-getty@ttyS0 >&2
chroot "$root" systemctl --quiet disable systemd-networkd-wait-online >&2 || :
for unit in apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer dpkg-db-backup.timer \
    systemd-networkd-wait-online.service systemd-update-utmp.service systemd-update-utmp-runlevel.service \
    systemd-random-seed.service getty@tty1.service nftables.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
truncate -s 768M "$out/debian.new"
mke2fs -q -F -t ext4 -L kite-root -E lazy_itable_init=0,nodiscard -d "$root" "$out/debian.new"
rm -rf "$root"
mv "$out/debian.new" "$out/debian.raw"
