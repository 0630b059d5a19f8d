/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Insides of the machine, for machine.c, machine_devices.c and machine_boot.c. */
#pragma once

#include <pthread.h>

#include "vmm/block/block.h"
#include "vmm/boot/linux.h"
#include "vmm/bus.h"
#include "vmm/irq.h"
#include "vmm/isa/acpi_hw.h"
#include "vmm/isa/ioapic.h"
#include "vmm/isa/legacy.h"
#include "vmm/isa/serial.h"
#include "vmm/kvm.h"
#include "vmm/machine.h"
#include "vmm/net/net.h"
#include "vmm/pci/pci.h"
#include "vmm/virtio/device_host.h"
#include "vmm/virtio/device_table.h"
#include "vmm/virtio/virtio_pci.h"

#define MACHINE_LIST_MAX DESC_LIST_MAX
#define MACHINE_BRIDGES_MAX 32
#define MACHINE_HELPERS_MAX 3

/* What other threads ask the main loop for. */
enum {
    PENDING_RESET = 1 << 0,
    PENDING_SHUTDOWN = 1 << 1,
    PENDING_PANIC = 1 << 2,
    PENDING_ERROR = 1 << 3,
    PENDING_CRASHLOADED = 1 << 4,
    PENDING_STOP_IO = 1 << 5,
    PENDING_WATCHDOG = 1 << 6,
};

typedef struct QueuedEvent {
    struct QueuedEvent *next;
    char name[64];
    json_t *data;
} QueuedEvent;

typedef struct MachinePort {
    PciPort *port;
    char id[64];
    uint8_t devfn;
} MachinePort;

typedef struct MachineDevice {
    PciDevice *pci; /* its name is the device's id */
    const VirtioDeviceKind *kind; /* virtio only, as is the next; else NULL */
    VirtioPci *transport;
    int slot; /* hot-plug slot, -1 on bus 0 */
    bool removal_asked;
} MachineDevice;

typedef struct MachineIothread {
    Loop *loop;
    char id[64];
    LoopPolling polling;
} MachineIothread;

/* A place for a CPU; vcpus[] has one for each. */
typedef struct MachineCpu {
    bool parked; /* not plugged */
    char id[64]; /* "" for those of the start */
} MachineCpu;

struct Machine {
    const MachineDesc *desc;
    MachineHost host;
    DeviceHost device_host;
    Loop *loop;
    KvmVm *kvm;
    GuestMemory *memory;
    Bus *bus;
    Irq *irq;
    Ioapic *ioapic; /* split controllers only */
    PciHost *pci;
    AcpiHw *acpi_hw;
    Legacy *legacy;
    Rtc *rtc;
    Serial *serials[SERIAL_PORTS];
    Stats *stats;
    LinuxKernel kernel;
    bool kernel_open;
    KvmIrqchipState reset_irqchip;
    struct kvm_clock_data clock;
    bool clock_saved;

    Vcpu *vcpus[DESC_CPUS_MAX];
    unsigned vcpu_count;
    MachineCpu cpu_slots[DESC_CPUS_MAX];
    uint32_t apic_ids[DESC_CPUS_MAX];
    CpuChoice cpu_choice; /* all of them have the same */

    MachineIothread iothreads[MACHINE_LIST_MAX];
    unsigned iothread_count;
    Loop *helpers[MACHINE_HELPERS_MAX]; /* made when a device asks for them */
    unsigned helper_max;
    Chardev *chardevs[MACHINE_LIST_MAX];
    Block *blocks[MACHINE_LIST_MAX];
    NetBackend *nets[MACHINE_LIST_MAX];
    MachinePort ports[ACPI_SLOTS_MAX];
    unsigned port_count;
    uint8_t root_slots[PCI_SLOTS]; /* places of the root bus that are hot-plug slots: they follow those of the ports */
    unsigned root_slot_count;
    PciPort *bridges[MACHINE_BRIDGES_MAX]; /* to conventional PCI; no hot plug below them */
    unsigned bridge_count;
    MachineDevice devices[MACHINE_LIST_MAX];
    unsigned device_count;

    WatchdogAction watchdog_action;
    DirtyRate *dirty_rate;

    RunState state;
    bool started;
    int exit_status;
    bool exiting;

    /* Shared with other threads. */
    pthread_mutex_t lock;
    unsigned pending; /* PENDING_…; lock */
    char error_text[200]; /* lock */
    QueuedEvent *events, **events_tail; /* lock */
    uint64_t ejected[ACPI_SLOTS_MAX / 64]; /* lock */
    uint64_t ejected_cpus[ACPI_CPUS_MAX / 64]; /* lock */
    uint64_t reported_cpus[ACPI_CPUS_MAX / 64]; /* lock */
    LoopPost post;
};

/* machine_boot.c: kernel, ACPI tables and the boot CPU's registers. Paused vCPUs. */
int machine_load_boot(Machine *m, Err *err);

/* machine_backends.c */
Block *machine_find_block(void *machine, const char *node_name); /* claims it; NULL: none, or claimed already */
Chardev *machine_find_chardev(DeviceHost *host, const char *id);
int machine_take_fd(void *machine, const char *name);

/* machine_devices.c */
int machine_make_devices(Machine *m, Err *err);
void machine_free_devices(Machine *m);
void machine_devices_set_running(Machine *m, bool running);
void machine_handle_ejected(Machine *m, unsigned slot);
/* A reset: nobody is there any more who would let go of what is to be unplugged. Paused vCPUs and devices. */
void machine_remove_asked(Machine *m);
void machine_init_device_host(Machine *m);

/* machine_cpus.c */
bool machine_is_cpu_type(const char *driver);
int machine_cpu_add(Machine *m, const char *driver, Props *props, Err *err);
int machine_find_cpu(const Machine *m, const char *id); /* -1: none */
int machine_cpu_del(Machine *m, unsigned index, Err *err);
void machine_handle_cpu_ejected(Machine *m, unsigned index);
void machine_handle_cpu_reported(Machine *m, unsigned index);

/* machine_iothreads.c */
Loop *machine_find_iothread(DeviceHost *host, const char *id);
Loop *machine_find_helper(DeviceHost *host, unsigned index);
int machine_make_iothreads(Machine *m, Err *err);
int machine_start_iothreads(Machine *m, Err *err);
void machine_free_iothreads(Machine *m);

/* machine_watchdog.c */
int machine_watchdog_new(Machine *m, const char *id, PciDevice **ret, Err *err);
void machine_watchdog_expired(Machine *m);

/* machine.c */
void machine_emit(Machine *m, const char *name, json_t *data);
void machine_pause_vcpus(Machine *m);
void machine_resume_vcpus(Machine *m);
void machine_post(Machine *m, unsigned pending); /* any thread */
