# SPDX-License-Identifier: LGPL-2.1-or-later
# For jobs in the outer guest: points in TAP's words (check.sh numbers them) and a VM with QMP.
#   vm_start CPUS LAB-WORD [ARG...]   starts kite-vmm in the background, console in $console
#   vm_wait SECONDS PATTERN [N]       until the console has N (1) lines with PATTERN
#   vm_qmp COMMAND [ARGUMENTS]        sends; replies and events gather in $replies
#   vm_event SECONDS NAME [N]         until the event came N times
#   vm_end SECONDS                    until the VM is gone; its status in $vm_status
console=/tmp/console
replies=/tmp/replies
vm_pid=

ok() { # STATUS WORDS
    if [ "$1" = 0 ]; then
        echo "ok - $2"
    else
        echo "not ok - $2"
        tail -n 15 $console 2>/dev/null | cut -c1-200 | sed 's/^/# console: /'
        tail -n 8 $replies 2>/dev/null | cut -c1-300 | sed 's/^/# qmp: /'
        sed 's/^/# log: /' /tmp/log 2>/dev/null | tail -n 8
    fi
}

uptime_s() { cut -d. -f1 /proc/uptime; }

# until SECONDS COMMAND...: 0 as soon as it succeeds; 1 when time is up or the VM is gone
until_true() {
    local end=$(($(uptime_s) + $1))
    shift
    while ! "$@"; do
        [ "$(uptime_s)" -lt $end ] || return 1
        [ -z "$vm_pid" ] || kill -0 "$vm_pid" 2>/dev/null || { "$@"; return; }
        usleep 100000
    done
}

has() { # FILE PATTERN N
    [ "$(grep -c -- "$2" "$1" 2>/dev/null)" -ge "$3" ]
}

vm_start() {
    local cpus=$1 word=$2
    shift 2
    rm -f $console $replies /tmp/qmp
    mkfifo /tmp/qmp
    /qmp_pipe /tmp/qmp $replies /kite-vmm --kernel /vmlinuz --initrd /inner.img --memory 512 --cpus "$cpus" \
        --cmdline "console=ttyS0 panic=-1 quiet lab=$word" --console stdio "$@" >$console 2>/tmp/log </dev/null &
    vm_pid=$!
    vm_qmp qmp_capabilities
}

vm_wait() { until_true "$1" has $console "$2" "${3:-1}"; }
vm_qmp() { echo "{\"execute\": \"$1\"${2:+, \"arguments\": $2}, \"id\": \"$1\"}" >/tmp/qmp; }
vm_event() { until_true "$1" has $replies "\"event\": *\"$2\"" "${3:-1}"; }

vm_gone() { ! kill -0 "$vm_pid" 2>/dev/null; }
vm_end() {
    if ! until_true "$1" vm_gone; then
        kill -9 "$vm_pid"
        vm_status=timeout
    else
        wait "$vm_pid"
        vm_status=$?
    fi
    vm_pid=
    [ "$vm_status" = 0 ]
}

# What no log of a machine that is right has in it.
complaints='WARNING:|BUG:|Call Trace|Oops|general protection|lockup|blocked for more|self-detected stall|detected stalls|ACPI.*Error|Firmware Bug|probe of .* failed|assign: no space|not claimed|nobody cared|[Tt]imed out|virtio.*(fail|error)|insmod .* failed|FW_BUG|no GSI|spurious'
complain() { # WORDS: a point on the kernel's log, which the guest printed with "K " before each line
    # Emulated processors with the name of a vulnerable one have no microcode against that.
    grep '^K ' $console | grep -E "$complaints" | grep -v 'Speculative Return Stack Overflow' >/tmp/complaints
    ok $([ -s /tmp/complaints ] && echo 1 || echo 0) "$1"
    sed 's/^/# /' /tmp/complaints | cut -c1-200
}
