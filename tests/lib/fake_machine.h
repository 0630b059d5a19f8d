/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A machine without /dev/kvm: linked into a test, fake_machine.c takes the place of kvm.c and vcpu.c. Everything else is
 * real: description, memory, buses, PCI, devices, QMP, run states. vCPUs execute nothing; the test makes their accesses
 * itself with fake_in(), fake_out(), fake_load() and fake_store(). One thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "vmm/kvm.h"
#include "vmm/machine.h"

#define FAKE_GSIS 4096

/* What KVM was told. */
typedef struct FakeKvm {
    struct kvm_irq_routing_entry routes[FAKE_GSIS]; /* by GSI */
    int irqfds[FAKE_GSIS]; /* descriptor attached to a GSI, -1 none */
    unsigned line_edges[24]; /* times a line rose */
    bool line_level[24];
    unsigned ioeventfds;
    unsigned vcpus;
    unsigned nmis;
    unsigned messages; /* KVM_SIGNAL_MSI */
    struct kvm_msi message; /* the last */
    unsigned logged_slots; /* memory slots with a log of written pages */
    uint64_t dirty_pages; /* the first 64 bits of every such log */
    void (*last_act)(void *opaque); /* what vCPU 0 does between being asked to pause and pausing; once */
    void *last_opaque;
} FakeKvm;
extern FakeKvm fake_kvm;

/* A KvmVm for parts that want one (irq_new()); kvm_close() frees it. */
KvmVm *fake_kvm_new(void);
/* Whether an interrupt raised on the vector with this route would reach a vCPU now: its GSI is attached. */
int fake_kvm_gsi_of(uint64_t address, uint32_t data); /* -1: no such route */

/* An ELF kernel with a PVH entry that needs 2 MiB. The caller owns the descriptor. */
int fake_kernel(void);
int fake_file(const void *data, size_t len);

/* json: a machine description without "boot"; kernel and boot are added. NULL and a text in err when it is refused. */
Machine *fake_machine(const char *json, MachineDesc **ret_desc, Err *err);
void fake_machine_free(Machine *machine, MachineDesc *desc);

/* A vCPU's accesses; unclaimed reads give all ones. */
uint64_t fake_in(Machine *machine, uint16_t port, unsigned len);
void fake_out(Machine *machine, uint16_t port, uint64_t value, unsigned len);
uint64_t fake_load(Machine *machine, uint64_t address, unsigned len);
void fake_store(Machine *machine, uint64_t address, uint64_t value, unsigned len);
/* Turns the main loop until nothing is left to do. */
void fake_settle(Machine *machine);
