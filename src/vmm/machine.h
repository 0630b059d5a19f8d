/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The machine: builds all parts from the description, owns them, and keeps the run state. Everything here is
 * the main thread's; what other threads find out (a reset, a power-off, a device's event) is posted to the
 * main loop.
 *
 *   prelaunch ──cont──> running <──cont / stop──> paused
 *                          │ guest powers off: shutdown     guest panics: guest-panicked
 *                          │ KVM gives up: internal-error   image full: io-error
 *                          └─ each of them stops the vCPUs; cont or system_reset goes on where that makes
 * sense
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/err.h"
#include "vmm/chardev/chardev.h"
#include "vmm/dirty_rate.h"
#include "vmm/loop.h"
#include "vmm/machine_desc.h"
#include "vmm/stats.h"
#include "vmm/vcpu.h"
#include "vmm/virtio/virtio.h"

/* QEMU's run states, as far as this machine has them; stats_page.run_state is this number. */
typedef enum RunState {
    RUN_PRELAUNCH,
    RUN_RUNNING,
    RUN_PAUSED,
    RUN_SHUTDOWN,
    RUN_IO_ERROR,
    RUN_INTERNAL_ERROR,
    RUN_GUEST_PANICKED,
    RUN_WATCHDOG,
    RUN_LAST
} RunState;

typedef struct MachineHost {
    /* An event with QEMU's name; data is stolen, may be NULL. */
    void (*event)(void *opaque, const char *name, json_t *data);
    /* A descriptor given by name (getfd, add-fd); -1 unknown. */
    int (*take_fd)(void *opaque, const char *name);
    /* On each new thread: its sandbox. thread_class: "vcpu" or "iothread". */
    void (*enter_thread)(const char *thread_class);
    void *opaque;
} MachineHost;

typedef struct Machine Machine;

/* Checks everything and builds the machine; no guest instruction runs. desc is borrowed for the machine's
 * life. */
int machine_new(const MachineDesc *desc, const MachineHost *host, Machine **ret, Err *err);
void machine_free(Machine *machine);
/* Starts vCPU threads and iothreads, and the guest unless the description says "paused". */
int machine_start(Machine *machine, Err *err);

Loop *machine_loop(Machine *machine);
RunState machine_run_state(const Machine *machine);
const char *machine_run_state_name(RunState state);
const MachineDesc *machine_description(const Machine *machine);
Stats *machine_stats(Machine *machine);

int machine_cont(Machine *machine, Err *err);
void machine_stop(Machine *machine, RunState why);
void machine_power_button(Machine *machine);
int machine_reset(Machine *machine, bool guest, Err *err);
void machine_nmi(Machine *machine);
/* The guest's memory into fd; it stands still meanwhile. format: of QEMU's names. */
int machine_dump(Machine *machine, int fd, const char *format, Err *err);
/* QEMU's name of an action; -EINVAL otherwise. */
int machine_set_watchdog_action(Machine *machine, const char *action, Err *err);
/* Leaves the main loop; the process ends with this status. reason: QEMU's ShutdownCause. */
void machine_exit(Machine *machine, int status, bool guest, const char *reason);
int machine_exit_status(const Machine *machine);

/* All places for vCPUs; those that are not plugged are parked. */
unsigned machine_vcpu_count(const Machine *machine);
/* Of query-cpus-fast's "qom-path"; -1: none plugged has it. */
int machine_cpu_at_path(const Machine *machine, const char *path);
const CpuChoice *machine_cpu_choice(const Machine *machine);
bool machine_cpu_plugged(const Machine *machine, unsigned index);
void machine_cpu_type(const Machine *machine, char *ret, size_t size);
void machine_cpu_path(const Machine *machine, unsigned index, char *ret, size_t size);
typedef struct CpuPlace {
    unsigned socket, die, core, thread;
} CpuPlace;
void machine_cpu_place(const CpuTopology *topology, unsigned index, CpuPlace *ret);
Vcpu *machine_vcpu(Machine *machine, unsigned index);
uint64_t machine_memory_size(const Machine *machine);
DirtyRate *machine_dirty_rate(Machine *machine);

/* Devices by id or by position; NULL when there is none. */
VirtioDevice *machine_device(Machine *machine, const char *id);
VirtioDevice *machine_device_at(Machine *machine, unsigned index);
/* Names below /machine/peripheral and their drivers, but those of CPUs and of disks behind a controller. */
bool machine_peripheral_at(Machine *machine, unsigned index, const char **ret_id, const char **ret_driver);
/* object: borrowed. device_del returns once the guest was asked; DEVICE_DELETED follows. */
int machine_device_add(Machine *machine, json_t *object, Err *err);
int machine_device_del(Machine *machine, const char *id, Err *err);
int machine_chardev_add(Machine *machine, json_t *object, Err *err);
int machine_chardev_remove(Machine *machine, const char *id, Err *err);
int machine_blockdev_add(Machine *machine, json_t *object, Err *err);
/* Another server for a node of driver nbd whose server is gone: see block/nbd_node.h. */
int machine_blockdev_reopen(Machine *machine, json_t *object, Err *err);
int machine_blockdev_del(Machine *machine, const char *node_name, Err *err);
/* BLOCK_WRITE_THRESHOLD once when a write reaches farther into that node's file; 0: not. */
int machine_set_write_threshold(Machine *machine, const char *node_name, uint64_t bytes, Err *err);
int machine_netdev_add(Machine *machine, json_t *object, Err *err);
int machine_netdev_del(Machine *machine, const char *id, Err *err);
Chardev *machine_chardev_at(Machine *machine, unsigned index);
typedef struct MachineIothreadInfo {
    const char *id;
    int tid;
    LoopPolling polling;
} MachineIothreadInfo;
/* false: behind the last, or none of that name. */
bool machine_iothread_at(Machine *machine, unsigned index, MachineIothreadInfo *ret);
bool machine_iothread_get(Machine *machine, const char *id, MachineIothreadInfo *ret);
/* A started machine gets a started iothread. Removing one that a device or a block node lives on is refused. */
int machine_iothread_add(Machine *machine, const char *id, const LoopPolling *polling, Err *err);
int machine_iothread_del(Machine *machine, const char *id, Err *err);
int machine_iothread_set_polling(Machine *machine, const char *id, const LoopPolling *polling, Err *err);
struct Block *machine_block_at(Machine *machine, unsigned index);
