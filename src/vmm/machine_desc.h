/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The machine description: one JSON object that says everything about a VM, read from a descriptor before
 * anything else happens. Numbers are bytes unless the name says otherwise; "...-fd" are inherited descriptors.
 * Unknown keys are errors.
 *
 *   name, uuid      strings
 *   kvm-fd          number
 *   stats-fd        number
 *   paused          bool
 *   split-irqchip   bool
 *   pvpanic         bool
 *   root-hotplug    bool: the root bus takes hot plugs, as QEMU's i440fx does
 *   on-poweroff     "exit", "pause"
 *   on-reboot       "reset", "exit", "pause"
 *   on-panic        "pause", "exit", "reset", "run"
 *   watchdog-action "reset", "shutdown", "poweroff", "pause", "debug", "none", "inject-nmi"
 *   sandbox         {seccomp, uid, gid, chroot}
 *   memory          {size, reserve, shared, hugepages, hugepage-size, mergeable, thp, prealloc, locked,
 *                  dump-guest-core}
 *   cpus            {count, max, sockets, dies, cores, threads, model, enforce, features [..], hide-hypervisor}
 *   numa            [{cpus [..], memory, distances [..]}]
 *   boot            {kernel-fd, initrd-fd, cmdline}
 *   rtc             {offset}, seconds ahead of UTC
 *   iothreads       ["id"]
 *   chardevs        [{id, backend, fd, server, logfd}]      chardev.h
 *   serials         ["chardev id" or null], COM1 and so on
 *   blockdevs       [{driver, node-name, ...}]              block/
 *   netdevs         [{type, id, ...}]                       net/
 *   ports           [{id, addr, driver, bus}]; addr "slot.function", hexadecimal; driver: "pcie-root-port" (default), or
 *                   "pcie-pci-bridge" for conventional devices, which can itself be below a root port
 *   devices         [{driver, id, bus, addr, ...}]          virtio/, pci/i6300esb.h
 *   smbios  {bios-vendor, system-product, …: texts (machine_desc.c names them), oem ["text"]}
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "vmm/arch/x86_64/cpuid.h"
#include "vmm/boot/acpi.h"
#include "vmm/boot/smbios.h"
#include "vmm/memory.h"

#define DESC_BYTES_MAX (4u << 20)
#define DESC_CPUS_MAX 240
#define DESC_LIST_MAX 256
#define DESC_FEATURES_MAX 128

/* What happens when a watchdog runs out, in the order of QEMU's names (watchdog_action_names). */
typedef enum WatchdogAction {
    WATCHDOG_RESET,
    WATCHDOG_SHUTDOWN,
    WATCHDOG_POWEROFF,
    WATCHDOG_PAUSE,
    WATCHDOG_DEBUG,
    WATCHDOG_NONE,
    WATCHDOG_INJECT_NMI,
    WATCHDOG_LAST
} WatchdogAction;
extern const char *const watchdog_action_names[WATCHDOG_LAST];

typedef enum MachineAction { ACTION_EXIT, ACTION_PAUSE, ACTION_RESET, ACTION_RUN, ACTION_LAST } MachineAction;

typedef struct MachineDesc {
    json_t *root; /* owns what the rest points into */
    const char *name, *uuid;
    int kvm_fd, stats_fd;
    bool paused, split_irqchip, pvpanic, root_hotplug;
    MachineAction on_poweroff, on_reboot, on_panic;
    WatchdogAction watchdog_action;
    MemoryOptions memory;
    unsigned cpus, cpus_max;
    CpuTopology topology;
    CpuModel cpu_model;
    const char *features[DESC_FEATURES_MAX];
    unsigned nodes;
    AcpiNode node[ACPI_NODES_MAX];
    uint8_t distance[ACPI_NODES_MAX][ACPI_NODES_MAX];
    uint8_t cpu_node[DESC_CPUS_MAX];
    int kernel_fd, initrd_fd;
    const char *cmdline;
    int64_t rtc_offset;
    const char *smbios_texts[SMBIOS_TEXT_LAST];
    const char *smbios_oem[SMBIOS_OEM_MAX];
    unsigned smbios_oem_count;
    bool sandbox_seccomp, sandbox_chroot;
    int64_t sandbox_uid, sandbox_gid; /* -1: keep */
    /* Arrays, borrowed from root; NULL when absent. Their members are checked where they are used. */
    json_t *iothreads, *chardevs, *serials, *blockdevs, *netdevs, *ports, *devices;
} MachineDesc;

/* Takes root over, also on failure. */
int machine_desc_parse(json_t *root, MachineDesc **ret, Err *err);
/* text: len bytes of JSON. */
int machine_desc_parse_text(const char *text, size_t len, MachineDesc **ret, Err *err);
/* Reads fd to its end. */
int machine_desc_read(int fd, MachineDesc **ret, Err *err);
void machine_desc_free(MachineDesc *desc);
