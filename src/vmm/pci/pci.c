/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Functions, their configuration space and BARs, and the host bridge. See pci.h. Interface: PCI 3.0,
 * PCIe 3.0. */
#include "vmm/pci/pci.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "vmm/pci/msix.h"
#include "vmm/pci/pci_internal.h"

uint16_t pci_get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

uint32_t pci_get32(const uint8_t *p)
{
    return pci_get16(p) | (uint32_t)pci_get16(p + 2) << 16;
}

void pci_put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

void pci_put32(uint8_t *p, uint32_t v)
{
    pci_put16(p, (uint16_t)v);
    pci_put16(p + 2, (uint16_t)(v >> 16));
}

/* --- functions
 * ------------------------------------------------------------------------------------------------ */

void pci_device_init(PciDevice *dev, const PciDeviceOps *ops, const char *name, const PciIds *ids)
{
    dev->ops = ops;
    dev->name = name;
    dev->cap_end = 0x40;
    pci_put16(dev->config + PCI_VENDOR, ids->vendor);
    pci_put16(dev->config + PCI_DEVICE_ID, ids->device);
    dev->config[PCI_REVISION] = ids->revision;
    dev->config[PCI_CLASS] = (uint8_t)ids->class_code;
    dev->config[PCI_CLASS + 1] = (uint8_t)(ids->class_code >> 8);
    dev->config[PCI_CLASS + 2] = (uint8_t)(ids->class_code >> 16);
    pci_put16(dev->config + PCI_SUBSYSTEM_VENDOR, ids->subsystem_vendor);
    pci_put16(dev->config + PCI_SUBSYSTEM, ids->subsystem);
    pci_put16(dev->wmask + PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | 0x0540);
    dev->wmask[PCI_CACHE_LINE] = 0xff;
    dev->wmask[PCI_INTERRUPT_LINE] = 0xff;
}

int pci_add_capability(PciDevice *dev, uint8_t id, uint8_t len)
{
    unsigned at = ALIGN_UP((unsigned)dev->cap_end, 4u);

    if (at + len > PCI_CONFIG_SIZE)
        return -ENOSPC;
    dev->config[at] = id;
    dev->config[at + 1] = 0;
    if (dev->last_cap != 0)
        dev->config[dev->last_cap + 1] = (uint8_t)at;
    else
        dev->config[PCI_CAP_POINTER] = (uint8_t)at;
    pci_put16(dev->config + PCI_STATUS, pci_get16(dev->config + PCI_STATUS) | 0x10);
    dev->last_cap = (uint8_t)at;
    dev->cap_end = at + len > 0xff ? 0xff : (uint8_t)(at + len);
    return (int)at;
}

/* PCIe 3.0, 7.8: version 2; links that never train or change. */
void pci_add_express(PciDevice *dev, unsigned type, uint16_t slot_number)
{
    int at = pci_add_capability(dev, PCI_CAP_EXPRESS, 60);
    uint8_t *c = dev->config + at, *w = dev->wmask + at;

    if (at < 0)
        return;
    pci_put16(c + 2, (uint16_t)(2 | type << 4 | (type == PCIE_ROOT_PORT ? 1 << 8 : 0)));
    pci_put32(c + 4, 1u << 15); /* role-based error reporting */
    pci_put16(w + 8, 0x7fff & ~(1u << 15));
    if (type != PCIE_INTEGRATED_ENDPOINT) {
        pci_put32(c + 0x0c, 1 | 1 << 4 | (type == PCIE_ROOT_PORT ? 1u << 20 : 0)); /* 2.5 GT/s, x1 */
        pci_put16(c + 0x12, 1 | 1 << 4 | (type == PCIE_ROOT_PORT ? 1 << 13 : 0)); /* link active */
        pci_put16(w + 0x10, 0x0043);
    }
    if (type == PCIE_ROOT_PORT) {
        pci_put32(c + 0x14, (uint32_t)slot_number << 19);
        pci_put16(c + 0x1a, 1 << 6); /* presence detected */
    }
}

static void drop_range(PciDevice *dev, PciBar *bar)
{
    if (!bar->mapped)
        return;
    bus_remove(dev->bus->host->bus, &bar->range);
    bar->mapped = false;
    if (dev->ops->bar_mapped)
        dev->ops->bar_mapped(dev, (unsigned)(bar - dev->bars), false);
}

static uint64_t bar_address(const PciDevice *dev, unsigned i)
{
    const PciBar *bar = &dev->bars[i];
    uint64_t address = pci_get32(dev->config + PCI_BAR0 + 4 * i);

    if (bar->io)
        return address & ~3ull;
    address &= ~15ull;
    if (bar->is64)
        address |= (uint64_t)pci_get32(dev->config + PCI_BAR0 + 4 * i + 4) << 32;
    return address;
}

/* Whether a BAR may live there: inside the windows that the guest was told about (acpi.c, _CRS). */
static bool in_window(const PciHost *host, const PciBar *bar, uint64_t address)
{
    const PciHostLayout *l = &host->layout;

    if (bar->io)
        return address >= l->io_base && range_inside(address - l->io_base, bar->size, l->io_size);
    if (address >= l->mmio32_base && range_inside(address - l->mmio32_base, bar->size, l->mmio32_size))
        return true;
    return address >= l->mmio64_base && range_inside(address - l->mmio64_base, bar->size, l->mmio64_size);
}

void pci_update_bars(PciDevice *dev)
{
    uint16_t command = pci_get16(dev->config + PCI_COMMAND);

    if (dev->bus == NULL)
        return;
    for (unsigned i = 0; i < PCI_BARS; i++) {
        PciBar *bar = &dev->bars[i];
        uint64_t address;
        bool want;

        if (bar->size == 0)
            continue;
        address = bar_address(dev, i);
        want = (command & (bar->io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)) &&
               in_window(dev->bus->host, bar, address);
        if (bar->mapped && want && bar->address == address)
            continue;
        drop_range(dev, bar);
        if (!want || bus_add(dev->bus->host->bus, bar->io ? BUS_PIO : BUS_MMIO, address, bar->size, bar->ops,
                             bar->opaque, dev->name, &bar->range) < 0)
            continue;
        bar->address = address;
        bar->mapped = true;
        if (dev->ops->bar_mapped)
            dev->ops->bar_mapped(dev, i, true);
    }
}

void pci_bar_init(PciDevice *dev, unsigned index, uint64_t size, bool io, bool is64, bool prefetch,
                  const BusOps *ops, void *opaque, const char *name)
{
    PciBar *bar = &dev->bars[index];
    unsigned at = PCI_BAR0 + 4 * index;

    (void)name;
    *bar = (PciBar){
        .dev = dev, .size = size, .io = io, .is64 = is64, .prefetch = prefetch, .ops = ops, .opaque = opaque};
    pci_put32(dev->config + at, io ? 1 : (is64 ? 4 : 0) | (prefetch ? 8 : 0));
    pci_put32(dev->wmask + at, (uint32_t) ~(size - 1) & (io ? ~3u : ~15u));
    if (is64)
        pci_put32(dev->wmask + at + 4, (uint32_t)(~(size - 1) >> 32));
}

void pci_device_reset(PciDevice *dev)
{
    if (dev->ops->reset)
        dev->ops->reset(dev);
    memcpy(dev->config, dev->reset_config, sizeof dev->config);
    if (dev->msix)
        pci_msix_reset(dev->msix);
    pci_update_bars(dev);
}

uint32_t pci_device_id(const PciDevice *dev)
{
    return (uint32_t)pci_bus_number(dev->bus) << 8 | dev->devfn;
}

/* --- configuration accesses
 * ------------------------------------------------------------------------------------ */

uint8_t pci_bus_number(const PciBus *bus)
{
    return bus->bridge ? bus->bridge->config[PCI_SECONDARY_BUS] : 0;
}

const char *pci_bus_name(const PciBus *bus)
{
    return bus->bridge ? bus->bridge->name : "pcie.0";
}

static PciBus *bus_by_number(PciHost *host, uint8_t number)
{
    for (PciBus *bus = host->buses; bus != NULL; bus = bus->next) {
        if (bus->bridge == NULL ? number == 0 : number != 0 && pci_bus_number(bus) == number)
            return bus;
    }
    return NULL;
}

static PciDevice *device_on(PciBus *bus, uint8_t devfn)
{
    for (PciDevice *dev = bus->devices; dev != NULL; dev = dev->next) {
        if (dev->devfn == devfn)
            return dev;
    }
    return NULL;
}

PciDevice *pci_find(PciHost *host, uint8_t bus_number, uint8_t devfn)
{
    PciBus *bus = bus_by_number(host, bus_number);

    return bus ? device_on(bus, devfn) : NULL;
}

static uint32_t config_read(PciHost *host, uint8_t bus, uint8_t devfn, unsigned offset, unsigned len)
{
    uint32_t value = UINT32_MAX;
    PciDevice *dev;

    pci_host_lock(host);
    dev = pci_find(host, bus, devfn);
    if (dev != NULL) {
        value = 0;
        if (range_inside(offset, len, PCI_CONFIG_SIZE)) {
            if (dev->ops->config_read)
                dev->ops->config_read(dev, offset, len);
            memcpy(&value, dev->config + offset, len);
        }
    }
    pci_host_unlock(host);
    return value;
}

static bool touches(unsigned offset, unsigned len, unsigned start, unsigned size)
{
    return offset < start + size && start < offset + len;
}

static void config_write(PciHost *host, uint8_t bus, uint8_t devfn, unsigned offset, uint32_t value,
                         unsigned len)
{
    PciDevice *dev;

    pci_host_lock(host);
    dev = pci_find(host, bus, devfn);
    if (dev != NULL && range_inside(offset, len, PCI_CONFIG_SIZE)) {
        for (unsigned i = 0; i < len; i++, value >>= 8) {
            uint8_t *c = &dev->config[offset + i], w = dev->wmask[offset + i];

            *c = (uint8_t)((*c & ~w) | (value & w));
            *c &= (uint8_t) ~(value & dev->w1c[offset + i]);
        }
        if (touches(offset, len, PCI_COMMAND, 2) || touches(offset, len, PCI_BAR0, 4 * PCI_BARS))
            pci_update_bars(dev);
        if (dev->msix)
            pci_msix_config_write(dev->msix, offset, len);
        if (dev->ops->config_write)
            dev->ops->config_write(dev, offset, len);
    }
    pci_host_unlock(host);
}

/* ECAM (PCIe 3.0, 7.2.2): bus << 20 | devfn << 12 | offset */
static uint64_t ecam_read(void *opaque, uint64_t offset, unsigned len)
{
    if (len == 8)
        return ecam_read(opaque, offset, 4) | ecam_read(opaque, offset + 4, 4) << 32;
    return config_read(opaque, (uint8_t)(offset >> 20), (uint8_t)(offset >> 12), offset & 0xfff, len);
}

static void ecam_write(void *opaque, uint64_t offset, uint64_t value, unsigned len)
{
    if (len == 8) {
        ecam_write(opaque, offset, (uint32_t)value, 4);
        ecam_write(opaque, offset + 4, value >> 32, 4);
        return;
    }
    config_write(opaque, (uint8_t)(offset >> 20), (uint8_t)(offset >> 12), offset & 0xfff, (uint32_t)value,
                 len);
}

/* Configuration mechanism #1 (PCI 3.0, 3.2.2.3.2) */
static uint64_t address_read(void *opaque, uint64_t offset, unsigned len)
{
    PciHost *host = opaque;

    return offset == 0 && len == 4 ? host->config_address : UINT64_MAX;
}

static void address_write(void *opaque, uint64_t offset, uint64_t value, unsigned len)
{
    PciHost *host = opaque;

    if (offset == 0 && len == 4) {
        pci_host_lock(host);
        host->config_address = (uint32_t)value & 0x80fffffc;
        pci_host_unlock(host);
    }
}

static uint64_t data_read(void *opaque, uint64_t offset, unsigned len)
{
    PciHost *host = opaque;
    uint32_t a = host->config_address;

    if (!(a & 1u << 31) || len > 4)
        return UINT64_MAX;
    return config_read(host, (uint8_t)(a >> 16), (uint8_t)(a >> 8), (a & 0xfc) + (unsigned)offset, len);
}

static void data_write(void *opaque, uint64_t offset, uint64_t value, unsigned len)
{
    PciHost *host = opaque;
    uint32_t a = host->config_address;

    if ((a & 1u << 31) && len <= 4)
        config_write(host, (uint8_t)(a >> 16), (uint8_t)(a >> 8), (a & 0xfc) + (unsigned)offset,
                     (uint32_t)value, len);
}

static const BusOps ecam_ops = {.read = ecam_read, .write = ecam_write};
static const BusOps address_ops = {.read = address_read, .write = address_write};
static const BusOps data_ops = {.read = data_read, .write = data_write};
static const PciDeviceOps host_bridge_ops = {0};

/* --- the host bridge
 * ------------------------------------------------------------------------------------------- */

int pci_host_new(Bus *bus, const PciHostLayout *layout, PciHost **ret, Err *err)
{
    static const PciIds ids = {.vendor = 0x1b36,
                               .device = 0x0008,
                               .subsystem_vendor = 0x1af4,
                               .subsystem = 0x1100,
                               .class_code = 0x060000};
    PciHost *host = calloc(1, sizeof *host);
    pthread_mutexattr_t attr;
    int r;

    if (host == NULL)
        return err_set(err, ENOMEM, "out of memory");
    host->bus = bus;
    host->layout = *layout;
    host->root.host = host;
    host->root.slots = 32;
    host->buses = &host->root;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&host->lock, &attr);
    pthread_mutexattr_destroy(&attr);
    pci_device_init(&host->bridge_dev, &host_bridge_ops, "PCI host bridge", &ids);
    if ((r = bus_add(bus, BUS_MMIO, layout->ecam_base, (uint64_t)layout->buses << 20, &ecam_ops, host,
                     "PCI ECAM", &host->ecam_range)) < 0 ||
        (r = bus_add(bus, BUS_PIO, 0xcf8, 4, &address_ops, host, "PCI address", &host->address_range)) < 0 ||
        (r = bus_add(bus, BUS_PIO, 0xcfc, 4, &data_ops, host, "PCI data", &host->data_range)) < 0 ||
        (r = pci_attach(&host->root, &host->bridge_dev, 0, err)) < 0) {
        pci_host_free(host);
        return err_set(err, -r, "cannot place the PCI host bridge: %s", strerror(-r));
    }
    *ret = host;
    return 0;
}

void pci_host_free(PciHost *host)
{
    if (host == NULL)
        return;
    /* Buses below ports go with their ports, which are devices of the root. */
    while (host->root.devices != NULL) {
        PciDevice *dev = host->root.devices;

        pci_detach(dev);
        if (dev->ops->free)
            dev->ops->free(dev);
    }
    bus_remove(host->bus, &host->ecam_range);
    bus_remove(host->bus, &host->address_range);
    bus_remove(host->bus, &host->data_range);
    pthread_mutex_destroy(&host->lock);
    free(host);
}

const PciHostLayout *pci_host_layout(const PciHost *host)
{
    return &host->layout;
}

PciBus *pci_host_root(PciHost *host)
{
    return &host->root;
}

void pci_host_lock(PciHost *host)
{
    pthread_mutex_lock(&host->lock);
}

void pci_host_unlock(PciHost *host)
{
    pthread_mutex_unlock(&host->lock);
}

int pci_attach(PciBus *bus, PciDevice *dev, int devfn, Err *err)
{
    PciHost *host = bus->host;
    int r = 0;

    pci_host_lock(host);
    if (devfn < 0) {
        for (devfn = bus->slots == 1 ? 0 : PCI_DEVFN(1, 0); devfn < 256 && device_on(bus, (uint8_t)devfn);
             devfn += 8)
            ;
    }
    if (devfn >= (int)(8 * bus->slots))
        r = err_set(err, ENOSPC, "%s: no free slot on its PCI bus", dev->name);
    else if (device_on(bus, (uint8_t)devfn) != NULL)
        r = err_set(err, EBUSY, "%s: PCI slot %02x.%x is taken by %s", dev->name, devfn >> 3, devfn & 7,
                    device_on(bus, (uint8_t)devfn)->name);
    if (r == 0) {
        PciDevice *first = device_on(bus, (uint8_t)(devfn & ~7));

        dev->bus = bus;
        dev->devfn = (uint8_t)devfn;
        /* The first function of a slot says whether there are more (PCI 3.0, 6.2.1). */
        if ((devfn & 7) != 0 && first != NULL)
            first->config[PCI_HEADER_TYPE] |= 0x80;
        memcpy(dev->reset_config, dev->config, sizeof dev->config);
        if ((devfn & 7) != 0 && first != NULL)
            first->reset_config[PCI_HEADER_TYPE] |= 0x80;
        dev->next = bus->devices;
        bus->devices = dev;
    }
    pci_host_unlock(host);
    return r;
}

void pci_detach(PciDevice *dev)
{
    PciBus *bus = dev->bus;

    if (bus == NULL)
        return;
    pci_host_lock(bus->host);
    for (PciDevice **at = &bus->devices; *at != NULL; at = &(*at)->next) {
        if (*at == dev) {
            *at = dev->next;
            break;
        }
    }
    for (unsigned i = 0; i < PCI_BARS; i++)
        drop_range(dev, &dev->bars[i]);
    pci_host_unlock(bus->host);
    for (unsigned i = 0; i < PCI_BARS; i++)
        bus_drain(bus->host->bus, &dev->bars[i].range);
    dev->bus = NULL;
}

/* --- what firmware would do
 * ------------------------------------------------------------------------------------ */

/* Room a port's window keeps for devices that are plugged later. */
#define PORT_WINDOW32 (2ull << 20)
#define PORT_WINDOW64 (32ull << 20)

typedef struct Assign {
    uint64_t next32, end32, next64, end64, next_io, end_io;
    uint8_t next_bus;
} Assign;

static uint64_t take(uint64_t *next, uint64_t end, uint64_t size)
{
    uint64_t at = ALIGN_UP(*next, size);

    if (at > end || size > end - at)
        return 0;
    *next = at + size;
    return at;
}

static int assign_bars(PciDevice *dev, Assign *a, Err *err)
{
    uint16_t command = PCI_COMMAND_MASTER;

    for (unsigned i = 0; i < PCI_BARS; i++) {
        PciBar *bar = &dev->bars[i];
        unsigned at = PCI_BAR0 + 4 * i;
        uint64_t address;

        if (bar->size == 0)
            continue;
        if (bar->io)
            address = take(&a->next_io, a->end_io, bar->size);
        else if (bar->is64 && bar->prefetch)
            address = take(&a->next64, a->end64, bar->size);
        else
            address = take(&a->next32, a->end32, MAX(bar->size, 4096));
        if (address == 0)
            return err_set(err, ENOSPC, "%s: no PCI address space left for %" PRIu64 " bytes", dev->name,
                           bar->size);
        pci_put32(dev->config + at, (uint32_t)address | (pci_get32(dev->config + at) & (bar->io ? 3 : 15)));
        if (bar->is64)
            pci_put32(dev->config + at + 4, (uint32_t)(address >> 32));
        command |= bar->io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
    }
    pci_put16(dev->config + PCI_COMMAND, command);
    pci_update_bars(dev);
    return 0;
}

static int assign_device(PciDevice *dev, Assign *a, unsigned depth, unsigned buses, Err *err);

/* Windows halve with each level. */
static int assign_port(PciDevice *port, PciBus *below, Assign *a, unsigned depth, unsigned buses, Err *err)
{
    uint64_t size32 = PORT_WINDOW32 >> depth, size64 = PORT_WINDOW64 >> depth;
    uint64_t base32 = take(&a->next32, a->end32, size32), base64 = take(&a->next64, a->end64, size64);
    Assign inside = {.next32 = base32,
                     .end32 = base32 + size32,
                     .next64 = base64,
                     .end64 = base64 + size64,
                     .next_bus = (uint8_t)(a->next_bus + 1)};
    uint8_t *c = port->config;
    int r = 0;

    if (a->next_bus >= buses)
        return err_set(err, ENOSPC, "%s: more than %u PCI buses", port->name, buses);
    if (base32 == 0 || base64 == 0 || size32 < 1 << 20)
        return err_set(err, ENOSPC, "%s: no PCI address space left for its windows", port->name);
    c[PCI_PRIMARY_BUS] = pci_bus_number(port->bus);
    c[PCI_SECONDARY_BUS] = a->next_bus;
    pci_put16(c + PCI_MEM_BASE, (uint16_t)(base32 >> 16));
    pci_put16(c + PCI_MEM_BASE + 2, (uint16_t)((inside.end32 - 1) >> 16) & 0xfff0);
    pci_put16(c + PCI_PREF_BASE, (uint16_t)((base64 >> 16) & 0xfff0) | 1);
    pci_put16(c + PCI_PREF_BASE + 2, (uint16_t)(((inside.end64 - 1) >> 16) & 0xfff0) | 1);
    pci_put32(c + PCI_PREF_BASE_UPPER, (uint32_t)(base64 >> 32));
    pci_put32(c + PCI_PREF_LIMIT_UPPER, (uint32_t)((inside.end64 - 1) >> 32));
    /* An empty I/O window: base above limit. */
    c[PCI_IO_BASE] = 0xf1;
    c[PCI_IO_BASE + 1] = 0x01;
    pci_put16(c + PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    for (PciDevice *dev = below->devices; dev != NULL && r == 0; dev = dev->next)
        r = assign_device(dev, &inside, depth + 1, buses, err);
    a->next_bus = inside.next_bus;
    c[PCI_SUBORDINATE_BUS] = (uint8_t)(a->next_bus - 1);
    return r;
}

static int assign_device(PciDevice *dev, Assign *a, unsigned depth, unsigned buses, Err *err)
{
    PciBus *below = pci_bus_below(dev);

    return below ? assign_port(dev, below, a, depth, buses, err) : assign_bars(dev, a, err);
}

int pci_host_assign(PciHost *host, Err *err)
{
    const PciHostLayout *l = &host->layout;
    Assign a = {
        .next32 = l->mmio32_base,
        .end32 = l->mmio32_base + l->mmio32_size,
        .next64 = l->mmio64_base,
        .end64 = l->mmio64_base + l->mmio64_size,
        .next_io = l->io_base,
        .end_io = (uint64_t)l->io_base + l->io_size,
        .next_bus = 1,
    };
    int r = 0;

    pci_host_lock(host);
    /* In slot order, so that ports get bus numbers as a user counts them. */
    for (unsigned devfn = 0; devfn < 256 && r == 0; devfn++) {
        PciDevice *dev = device_on(&host->root, (uint8_t)devfn);

        if (dev != NULL)
            r = assign_device(dev, &a, 0, l->buses, err);
    }
    pci_host_unlock(host);
    return r;
}

void pci_host_reset(PciHost *host)
{
    pci_host_lock(host);
    for (PciBus *bus = host->buses; bus != NULL; bus = bus->next) {
        for (PciDevice *dev = bus->devices; dev != NULL; dev = dev->next)
            pci_device_reset(dev);
    }
    host->config_address = 0;
    (void)pci_host_assign(host, NULL); /* it fitted at start */
    pci_host_unlock(host);
}
