/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* MSI-X: the table's bytes as the guest wrote them, one IrqMsi an entry. */
#include "vmm/pci/msix.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "vmm/pci/pci_internal.h"

enum { MSIX_ENABLE = 1 << 15, MSIX_MASK_ALL = 1 << 14 };

typedef struct Vector {
    uint64_t address;
    uint32_t data;
    uint32_t control; /* bit 0: masked */
    IrqMsi *msi;
} Vector;

struct PciMsix {
    PciDevice *dev;
    unsigned cap; /* offset of the capability */
    unsigned count;
    pthread_mutex_t lock;
    Vector vectors[];
};

int pci_msix_init(PciDevice *dev, Irq *irq, unsigned vectors, unsigned bar, uint32_t table_offset,
                  uint32_t pba_offset, Err *err)
{
    int cap = pci_add_capability(dev, PCI_CAP_MSIX, 12);
    PciMsix *msix = calloc(1, sizeof *msix + vectors * sizeof(Vector));

    if (cap < 0 || msix == NULL) {
        free(msix);
        return err_set(err, ENOMEM, "%s: cannot make its MSI-X table", dev->name);
    }
    msix->dev = dev;
    msix->cap = (unsigned)cap;
    pthread_mutex_init(&msix->lock, NULL);
    dev->msix = msix;
    for (; msix->count < vectors; msix->count++) {
        int r = irq_msi_new(irq, &msix->vectors[msix->count].msi, err);

        if (r < 0) {
            pci_msix_free(dev);
            return r;
        }
        msix->vectors[msix->count].control = 1;
    }
    pci_put16(dev->config + cap + 2, (uint16_t)(vectors - 1));
    pci_put16(dev->wmask + cap + 2, MSIX_ENABLE | MSIX_MASK_ALL);
    pci_put32(dev->config + cap + 4, table_offset | bar);
    pci_put32(dev->config + cap + 8, pba_offset | bar);
    return 0;
}

void pci_msix_free(PciDevice *dev)
{
    PciMsix *msix = dev->msix;

    if (msix == NULL)
        return;
    for (unsigned i = 0; i < msix->count; i++)
        irq_msi_free(msix->vectors[i].msi);
    pthread_mutex_destroy(&msix->lock);
    free(msix);
    dev->msix = NULL;
}

static uint16_t control(const PciMsix *msix)
{
    return pci_get16(msix->dev->config + msix->cap + 2);
}

/* Under the lock: what the guest wrote becomes effective. */
static void apply(PciMsix *msix, Vector *v)
{
    bool masked = (control(msix) & (MSIX_ENABLE | MSIX_MASK_ALL)) != MSIX_ENABLE || (v->control & 1);

    (void)irq_msi_set(v->msi, v->address, v->data, masked, msix->dev->bus ? pci_device_id(msix->dev) : 0);
}

void pci_msix_reset(PciMsix *msix)
{
    pthread_mutex_lock(&msix->lock);
    for (unsigned i = 0; i < msix->count; i++) {
        Vector *v = &msix->vectors[i];

        v->address = 0;
        v->data = 0;
        v->control = 1;
        (void)irq_msi_set(v->msi, 0, 0, true, 0);
        irq_msi_clear(v->msi);
    }
    pthread_mutex_unlock(&msix->lock);
}

void pci_msix_config_write(PciMsix *msix, unsigned offset, unsigned len)
{
    if (offset >= msix->cap + 4 || offset + len <= msix->cap + 2)
        return;
    pthread_mutex_lock(&msix->lock);
    for (unsigned i = 0; i < msix->count; i++)
        apply(msix, &msix->vectors[i]);
    pthread_mutex_unlock(&msix->lock);
}

uint64_t pci_msix_read(PciMsix *msix, uint64_t offset, unsigned len)
{
    uint64_t index = offset / PCI_MSIX_ENTRY_SIZE, value = 0;

    if (index >= msix->count || offset % PCI_MSIX_ENTRY_SIZE + len > PCI_MSIX_ENTRY_SIZE)
        return 0;
    pthread_mutex_lock(&msix->lock);
    /* address, data and control lie in the struct as in the table */
    memcpy(&value, (const uint8_t *)&msix->vectors[index] + offset % PCI_MSIX_ENTRY_SIZE, len);
    pthread_mutex_unlock(&msix->lock);
    return value;
}

void pci_msix_write(PciMsix *msix, uint64_t offset, uint64_t value, unsigned len)
{
    uint64_t index = offset / PCI_MSIX_ENTRY_SIZE, at = offset % PCI_MSIX_ENTRY_SIZE;
    Vector *v;

    /* Only whole and aligned fields may be written (6.8.2). */
    if (index >= msix->count || (len != 4 && len != 8) || at % len != 0)
        return;
    pthread_mutex_lock(&msix->lock);
    v = &msix->vectors[index];
    memcpy((uint8_t *)v + at, &value, len);
    v->control &= 1;
    /* While masked, nothing is routed: the guest writes address and data first, then unmasks. */
    if (at + len > 12 || !(v->control & 1))
        apply(msix, v);
    pthread_mutex_unlock(&msix->lock);
}

uint64_t pci_msix_pba_read(PciMsix *msix, uint64_t offset, unsigned len)
{
    uint64_t value = 0;

    for (unsigned bit = 0; bit < 8 * len; bit++) {
        uint64_t vector = offset * 8 + bit;

        if (vector < msix->count && irq_msi_pending(msix->vectors[vector].msi))
            value |= 1ull << bit;
    }
    return value;
}

unsigned pci_msix_vectors(const PciMsix *msix)
{
    return msix->count;
}

void pci_msix_raise(PciMsix *msix, unsigned vector)
{
    if (vector < msix->count)
        irq_msi_raise(msix->vectors[vector].msi);
}

int pci_msix_fd(PciMsix *msix, unsigned vector)
{
    return vector < msix->count ? irq_msi_fd(msix->vectors[vector].msi) : -EINVAL;
}
