/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * IOAPIC (Intel 82093AA) for machines with split interrupt controllers: KVM has the local APICs, this is the rest. Its
 * messages are MSIs. Otherwise KVM's own IOAPIC is used and none of this exists.
 */
#pragma once

#include "common/err.h"
#include "vmm/bus.h"
#include "vmm/irq.h"

typedef struct Ioapic Ioapic;

int ioapic_new(Bus *bus, Irq *irq, Ioapic **ret, Err *err);
void ioapic_free(Ioapic *ioapic);
void ioapic_reset(Ioapic *ioapic); /* NULL is fine */
/* A guest ended a level-triggered interrupt with this vector (KVM_EXIT_IOAPIC_EOI). vCPU threads. */
void ioapic_end_of_interrupt(Ioapic *ioapic, uint8_t vector);
