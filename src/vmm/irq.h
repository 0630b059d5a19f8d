/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Interrupts into the guest: lines (GSIs, pins of the IOAPIC) and message-signalled ones. Raising one is
 * one write to an eventfd that KVM turns into an interrupt (irqfd), from any thread, without a vCPU exit.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

#define IRQ_LINES 24 /* pins of the IOAPIC */

typedef struct KvmVm KvmVm;
typedef struct Irq Irq;

int irq_new(KvmVm *vm, Irq **ret, Err *err);
void irq_free(Irq *irq);

/* Level of a line; any thread. Lines reach the IOAPIC. */
void irq_line_set(Irq *irq, unsigned gsi, bool level);
/* A line that is raised by an edge only (GED, RTC). */
void irq_line_pulse(Irq *irq, unsigned gsi);

/* For an IOAPIC that is not KVM's (isa/ioapic.h). Lines go to the handler; a line's message is what KVM takes its
 * end from, on: whether the line can interrupt at all; a message goes to the local APICs at once. */
void irq_set_line_handler(Irq *irq, void (*changed)(void *opaque, unsigned line, bool level), void *opaque);
void irq_line_route(Irq *irq, unsigned line, bool on, uint64_t address, uint32_t data);
void irq_message(Irq *irq, uint64_t address, uint32_t data);

/*
 * One MSI or MSI-X vector: an eventfd, a GSI of its own while it is routed. Masked, or without an address,
 * raising it leaves it pending in the eventfd; unmasking delivers it (PCI 3.0, 6.8.2.9).
 */
typedef struct IrqMsi IrqMsi;

int irq_msi_new(Irq *irq, IrqMsi **ret, Err *err);
void irq_msi_free(IrqMsi *msi);
/* Sets address, data and mask as the guest wrote them. pci_devid: bus << 8 | devfn. vCPU threads. */
int irq_msi_set(IrqMsi *msi, uint64_t address, uint32_t data, bool masked, uint32_t pci_devid);
void irq_msi_raise(IrqMsi *msi); /* any thread */
void irq_msi_clear(IrqMsi *msi); /* forgets what is pending (device reset) */
bool irq_msi_pending(const IrqMsi *msi);
int irq_msi_fd(const IrqMsi *msi); /* the eventfd, for vhost; stays owned by the vector */
