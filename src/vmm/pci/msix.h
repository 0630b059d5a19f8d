/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * MSI-X capability (PCI 3.0, 6.8.2): the table and the pending bits live in a BAR of the device, which passes
 * accesses on to pci_msix_read() and pci_msix_write(). vCPU threads; raising is safe on any thread.
 */
#pragma once

#include "vmm/pci/pci.h"

#define PCI_MSIX_ENTRY_SIZE 16

/* vectors: 1 .. 2048. Offsets are of the BAR. */
int pci_msix_init(PciDevice *dev, Irq *irq, unsigned vectors, unsigned bar, uint32_t table_offset,
                  uint32_t pba_offset, Err *err);
void pci_msix_free(PciDevice *dev);
void pci_msix_reset(PciMsix *msix);

/* offset counts from the table, or from the pending bits. */
uint64_t pci_msix_read(PciMsix *msix, uint64_t offset, unsigned len);
void pci_msix_write(PciMsix *msix, uint64_t offset, uint64_t value, unsigned len);
uint64_t pci_msix_pba_read(PciMsix *msix, uint64_t offset, unsigned len);

void pci_msix_config_write(PciMsix *msix, unsigned offset, unsigned len);
unsigned pci_msix_vectors(const PciMsix *msix);
/* A vector that does not exist is ignored. */
void pci_msix_raise(PciMsix *msix, unsigned vector);
int pci_msix_fd(PciMsix *msix, unsigned vector); /* -EINVAL when it does not exist */
