#!/bin/busybox sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# /init of the guests that mkguest.sh makes. Words on the kernel's command line steer it:
#   kite.net=dhcp|IP/BITS   bring up the first network card      kite.run=CMD (with _ for space) run, then power off
#   kite.quiet              no shell on the console
/bin/busybox mkdir -p /usr/bin /usr/sbin /sbin
/bin/busybox --install -s /bin
ln -sf /bin/busybox /sbin/hwclock
# What the guest agent calls: shutdown -P|-H|-r +0 "words".
printf '#!/bin/sh\nsync\ncase "$*" in *-r*) act="reboot -f" ;; *-H*) act="halt -f" ;; *) act="poweroff -f" ;; esac\n(sleep 0.2; $act) &\n' >/sbin/shutdown
chmod 0755 /sbin/shutdown
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts && mount -t devpts devpts /dev/pts
while read -r module; do
    insmod "/modules/$module" 2>/dev/null
done </modules/list
word() { sed -n "s/.*\b$1=\([^ ]*\).*/\1/p" /proc/cmdline; }

mkdir -p /dev/virtio-ports
for port in /sys/class/virtio-ports/*; do
    [ -s "$port/name" ] && ln -s "/dev/${port##*/}" "/dev/virtio-ports/$(cat "$port/name")"
done

# ACPI power button -> orderly power off.
mkdir -p /etc/acpi/PWRF
printf '#!/bin/sh\npoweroff -f\n' >/etc/acpi/PWRF/00000080
chmod 0755 /etc/acpi/PWRF/00000080
printf '#!/bin/sh\nsync\npoweroff -f\n' >/etc/acpi/power.sh
chmod 0755 /etc/acpi/power.sh
printf 'PWRF/00000080 .*\n' >/etc/acpi.map 2>/dev/null
(
    # Any KEY_POWER press on any input device ends the guest, whatever acpid's configuration dialect is.
    for event in /dev/input/event*; do
        name=$(cat "/sys/class/input/${event##*/}/device/name" 2>/dev/null)
        if [ "$name" = "Power Button" ]; then
            (hexdump -n 24 "$event" >/dev/null && sync && echo KITE-POWER-BUTTON >/dev/console && poweroff -f) &
        fi
    done
) 2>/dev/null

ip link set lo up
case $(word kite.net) in
    dhcp)
        printf '#!/bin/sh\n[ "$1" = bound ] && ip addr add $ip/${mask:-24} dev $interface && %s\n' \
            '{ [ -n "$router" ] && ip route add default via ${router%% *}; echo KITE-IP $ip >/dev/console; }' >/bin/udhcpc.script
        chmod 0755 /bin/udhcpc.script
        for nic in /sys/class/net/e*; do
            ip link set "${nic##*/}" up
            udhcpc -i "${nic##*/}" -s /bin/udhcpc.script -b -t 20 -T 1 >/dev/null 2>&1
            break
        done
        ;;
    */*)
        for nic in /sys/class/net/e*; do
            ip link set "${nic##*/}" up
            ip addr add "$(word kite.net)" dev "${nic##*/}"
            echo "KITE-IP $(word kite.net)" >/dev/console
            break
        done
        ;;
esac
if [ -x /usr/sbin/qemu-ga ] && [ -e /dev/virtio-ports/org.qemu.guest_agent.0 ]; then
    mkdir -p /var/run /usr/var/run /var/local/run
    /usr/sbin/qemu-ga -d -m virtio-serial -p /dev/virtio-ports/org.qemu.guest_agent.0 2>/dev/null &&
        echo KITE-AGENT-UP
fi
run=$(word kite.run | tr _ ' ')
echo "KITE-GUEST-UP $(uname -r) cpus=$(nproc) mem=$(sed -n 's/MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo)"
if [ -n "$run" ]; then
    $run
    poweroff -f
fi
if grep -q kite.quiet /proc/cmdline; then
    while :; do sleep 3600; done
fi
while :; do setsid cttyhack sh; done
