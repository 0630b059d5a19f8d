/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Devices and what they stand on: iothreads, chardevs, block nodes, net back ends, root ports; making them
 * from the description and hot plug. Main thread.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "vmm/log.h"
#include "vmm/machine_internal.h"

/* --- what devices see of the machine
 * -------------------------------------------------------------------------- */

static Block *host_block(DeviceHost *host, const char *node_name)
{
    Block *block = machine_find_block(host->opaque, node_name);
    Err err = {0};

    if (block != NULL && block->ops->reopen != NULL && block->ops->reopen(block, &err) < 0) {
        log_error("%s", err.text);
        block_release(block);
        return NULL;
    }
    return block;
}

static NetBackend *find_net(DeviceHost *host, const char *id)
{
    Machine *m = host->opaque;

    for (unsigned i = 0; i < MACHINE_LIST_MAX; i++) {
        NetBackend *net = m->nets[i];

        if (net != NULL && strcmp(net->id, id) == 0) {
            if (net->claimed)
                return NULL;
            net->claimed = true;
            return net;
        }
    }
    return NULL;
}

static void host_event(DeviceHost *host, const char *name, json_t *data)
{
    Machine *m = host->opaque;
    QueuedEvent *event = calloc(1, sizeof *event);

    if (event == NULL) {
        json_decref(data);
        return;
    }
    snprintf(event->name, sizeof event->name, "%s", name);
    event->data = data;
    pthread_mutex_lock(&m->lock);
    *m->events_tail = event;
    m->events_tail = &event->next;
    pthread_mutex_unlock(&m->lock);
    loop_post(m->loop, &m->post);
}

static void host_stop_vm(DeviceHost *host, const char *run_state)
{
    (void)run_state; /* the only one devices have is "io-error" */
    machine_post(host->opaque, PENDING_STOP_IO);
}

static StatsBlock *host_stats_block(DeviceHost *host, const char *id)
{
    return stats_block(((Machine *)host->opaque)->stats, id);
}

static StatsNet *host_stats_net(DeviceHost *host, const char *id)
{
    return stats_net(((Machine *)host->opaque)->stats, id);
}

static StatsBalloon *host_stats_balloon(DeviceHost *host)
{
    return &stats_page(((Machine *)host->opaque)->stats)->balloon;
}

static void tell_memory_changed(void *opaque)
{
    VirtioDevice *dev = opaque;

    if (dev->active && dev->ops->memory_changed)
        dev->ops->memory_changed(dev);
}

static int host_memory_changed(DeviceHost *host, Err *err)
{
    Machine *m = host->opaque;
    int r = kvm_memory_sync(m->kvm, m->memory, err);

    for (unsigned i = 0; i < m->device_count && r == 0; i++) {
        VirtioDevice *dev = machine_device_at(m, i);

        if (dev != NULL)
            loop_call(dev->loop, tell_memory_changed, dev);
    }
    return r;
}

void machine_init_device_host(Machine *m)
{
    cpu_set_t cpus;

    /* Asked now: the sandbox does not let a thread ask. */
    m->helper_max = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? (unsigned)MAX(CPU_COUNT(&cpus), 1) - 1 : 0;
    m->helper_max = MIN(m->helper_max, MACHINE_HELPERS_MAX);
    m->device_host = (DeviceHost){
        .opaque = m,
        .memory = m->memory,
        .main_loop = m->loop,
        .iothread = machine_find_iothread,
        .helper = machine_find_helper,
        .block = host_block,
        .netdev = find_net,
        .chardev = machine_find_chardev,
        .event = host_event,
        .stop_vm = host_stop_vm,
        .stats_block = host_stats_block,
        .stats_net = host_stats_net,
        .stats_balloon = host_stats_balloon,
        .memory_changed = host_memory_changed,
    };
}

/* --- PCI addresses and ports
 * ---------------------------------------------------------------------------------- */

/* "1d", "0x1d" or "1d.7": slot and function, hexadecimal. -1: any. */
static int parse_address(const char *text, int *ret, Err *err)
{
    unsigned long slot, function = 0;
    char *end;

    *ret = -1;
    if (text == NULL)
        return 0;
    slot = strtoul(text, &end, 16);
    if (end != text && *end == '.')
        function = strtoul(end + 1, &end, 16);
    if (end == text || *end != '\0' || slot > 31 || function > 7)
        return err_set(err, EINVAL, "PCI address '%s' is not of the form SLOT.FUNCTION", text);
    *ret = PCI_DEVFN((int)slot, (int)function);
    return 0;
}

/* The bus of this name: of a port, whose hot-plug slot is *ret_slot, of a bridge or the root (slot -1). */
static PciBus *find_bus(const Machine *m, const char *id, int *ret_slot)
{
    *ret_slot = -1;
    for (unsigned i = 0; i < m->port_count; i++) {
        if (strcmp(m->ports[i].id, id) == 0) {
            *ret_slot = (int)i;
            return pci_port_bus(m->ports[i].port);
        }
    }
    for (unsigned i = 0; i < m->bridge_count; i++) {
        if (strcmp(pci_port_self(m->bridges[i])->name, id) == 0)
            return pci_port_bus(m->bridges[i]);
    }
    return strcmp(id, "pcie.0") == 0 ? pci_host_root(m->pci) : NULL;
}

static int add_root_port(Machine *m, const char *id, PciBus *bus, int devfn, Err *err)
{
    MachinePort *p = &m->ports[m->port_count];
    int r;

    if (m->port_count == ACPI_SLOTS_MAX)
        return err_set(err, ENOSPC, "more than %d PCIe root ports", ACPI_SLOTS_MAX);
    r = pci_port_new(bus, id, devfn, PCI_PORT_ROOT, (uint16_t)(m->port_count + 1), &p->port, err);
    if (r < 0)
        return r;
    snprintf(p->id, sizeof p->id, "%s", id);
    p->devfn = pci_port_self(p->port)->devfn;
    m->port_count++;
    return 0;
}

static int add_bridge(Machine *m, const char *id, PciBus *bus, int slot, int devfn, Err *err)
{
    int r;

    if (m->bridge_count == MACHINE_BRIDGES_MAX)
        return err_set(err, ENOSPC, "more than %d PCI bridges", MACHINE_BRIDGES_MAX);
    r = pci_port_new(bus, id, devfn, PCI_PORT_BRIDGE, 0, &m->bridges[m->bridge_count], err);
    if (r < 0)
        return r;
    m->bridge_count++;
    if (slot >= 0)
        acpi_hw_set_slot(m->acpi_hw, (unsigned)slot, true, false);
    return 0;
}

static int make_port(Machine *m, json_t *object, Err *err)
{
    const char *addr, *driver, *on;
    PciBus *bus;
    Props *props;
    int devfn, slot, r = props_new(object, NULL, NULL, &props, err);

    if (r < 0)
        return r;
    if ((r = props_string(props, "addr", NULL, &addr, err)) < 0 ||
        (r = props_string(props, "driver", "pcie-root-port", &driver, err)) < 0 ||
        (r = props_string(props, "bus", "pcie.0", &on, err)) < 0 || (r = props_finish(props, err)) < 0 ||
        (r = parse_address(addr, &devfn, err)) < 0)
        goto out;
    bus = find_bus(m, on, &slot);
    if (bus == NULL)
        r = err_set(err, EINVAL, "port %s: bus '%s' not found", props_id(props), on);
    else if (strcmp(driver, "pcie-pci-bridge") == 0)
        r = add_bridge(m, props_id(props), bus, slot, devfn, err);
    else if (strcmp(driver, "pcie-root-port") == 0 && bus == pci_host_root(m->pci))
        r = add_root_port(m, props_id(props), bus, devfn, err);
    else
        r = err_set(err, EINVAL, "port %s: there can be no %s on bus '%s'", props_id(props), driver, on);
out:
    props_free(props);
    return r;
}

/* The places of the root bus that no port or bridge has taken, and the host bridge's is none. */
static void make_root_slots(Machine *m)
{
    uint32_t taken = 1;

    for (unsigned i = 0; i < m->port_count; i++)
        taken |= 1u << (m->ports[i].devfn >> 3);
    for (unsigned i = 0; i < m->bridge_count; i++) {
        const PciDevice *self = pci_port_self(m->bridges[i]);

        if (self->bus == pci_host_root(m->pci))
            taken |= 1u << (self->devfn >> 3);
    }
    for (unsigned place = 0; m->desc->root_hotplug && place < PCI_SLOTS; place++) {
        if (!(taken & 1u << place) && m->port_count + m->root_slot_count < ACPI_SLOTS_MAX)
            m->root_slots[m->root_slot_count++] = (uint8_t)place;
    }
}

static int find_root_slot(const Machine *m, const PciDevice *pci)
{
    for (unsigned i = 0; i < m->root_slot_count; i++) {
        if (m->root_slots[i] == pci->devfn >> 3)
            return (int)(m->port_count + i);
    }
    return -1;
}

/* --- devices
 * -------------------------------------------------------------------------------------------------- */

static MachineDevice *find_device(Machine *m, const char *id)
{
    for (unsigned i = 0; i < m->device_count; i++) {
        if (strcmp(m->devices[i].pci->name, id) == 0)
            return &m->devices[i];
    }
    return NULL;
}

/* NULL when it is no virtio device. */
static VirtioDevice *virtio_of(const MachineDevice *d)
{
    return d->transport ? virtio_pci_virtio(d->transport) : NULL;
}

VirtioDevice *machine_device(Machine *m, const char *id)
{
    MachineDevice *d = find_device(m, id);

    return d ? virtio_of(d) : NULL;
}

VirtioDevice *machine_device_at(Machine *m, unsigned index)
{
    for (unsigned i = 0; i < m->device_count; i++) {
        if (m->devices[i].transport != NULL && index-- == 0)
            return virtio_of(&m->devices[i]);
    }
    return NULL;
}

bool machine_peripheral_at(Machine *m, unsigned index, const char **ret_id, const char **ret_driver)
{
    if (index < m->device_count) {
        const MachineDevice *d = &m->devices[index];

        *ret_id = d->pci->name;
        *ret_driver = d->transport != NULL ? d->kind->driver : "i6300esb";
        return true;
    }
    index -= m->device_count;
    if (index < m->port_count) {
        *ret_id = m->ports[index].id;
        *ret_driver = "pcie-root-port";
        return true;
    }
    index -= m->port_count;
    if (index < m->bridge_count) {
        *ret_id = pci_port_self(m->bridges[index])->name;
        *ret_driver = "pcie-pci-bridge";
        return true;
    }
    return false;
}

/* A child of a device: bus is "ID.0" of a device whose kind takes children. */
static int add_child(Machine *m, const char *bus, Props *props, Err *err)
{
    size_t n = strlen(bus);
    char id[64];
    MachineDevice *d;

    if (n < 3 || n - 2 >= sizeof id || strcmp(bus + n - 2, ".0") != 0)
        return err_set(err, EINVAL, "device %s: bus '%s' not found", props_id(props), bus);
    memcpy(id, bus, n - 2);
    id[n - 2] = '\0';
    d = find_device(m, id);
    if (d == NULL || d->kind == NULL || d->kind->add_child == NULL)
        return err_set(err, EINVAL, "device %s: bus '%s' not found", props_id(props), bus);
    return d->kind->add_child(virtio_pci_virtio(d->transport), props, err);
}

static int make_virtio(Machine *m, const VirtioDeviceKind *kind, Props *props, bool integrated, VirtioPci **ret,
                       Err *err)
{
    VirtioDevice *dev;
    int r = kind->create(props, &m->device_host, &dev, err);

    if (r < 0)
        return r;
    r = props_finish(props, err);
    if (r == 0)
        r = virtio_pci_new(dev, m->kvm, m->irq, integrated, ret, err);
    if (r < 0)
        virtio_device_free(dev);
    return r;
}

/* kind: NULL for the watchdog, the one device that is not virtio. */
static int add_pci_device(Machine *m, const VirtioDeviceKind *kind, const char *bus, Props *props, bool hot,
                          Err *err)
{
    MachineDevice d = {.kind = kind};
    PciBus *pci_bus = find_bus(m, bus, &d.slot);
    bool multifunction;
    const char *addr;
    int devfn, r;

    if (pci_bus == NULL)
        return err_set(err, EINVAL, "device %s: bus '%s' not found", props_id(props), bus);
    if (hot && d.slot < 0 && (pci_bus != pci_host_root(m->pci) || m->root_slot_count == 0))
        return err_set(err, EOPNOTSUPP, "Bus '%s' does not support hotplugging", bus);
    if (m->device_count == MACHINE_LIST_MAX)
        return err_set(err, ENOSPC, "more than %d devices", MACHINE_LIST_MAX);
    if ((r = props_string(props, "addr", NULL, &addr, err)) < 0 ||
        (r = parse_address(addr, &devfn, err)) < 0 ||
        (r = props_bool(props, "multifunction", false, &multifunction, err)) < 0)
        return r;
    if (kind != NULL) {
        r = make_virtio(m, kind, props, pci_bus == pci_host_root(m->pci), &d.transport, err);
        d.pci = r < 0 ? NULL : virtio_pci_device(d.transport);
    } else if ((r = props_finish(props, err)) == 0) {
        r = machine_watchdog_new(m, props_id(props), &d.pci, err);
    }
    if (r < 0)
        return r;
    if (m->started && m->state != RUN_RUNNING && d.pci->ops->set_running)
        d.pci->ops->set_running(d.pci, false);
    /* A vCPU that holds the bus may be waiting for this thread: pausing serves it first. */
    if (m->started && m->state == RUN_RUNNING)
        machine_pause_vcpus(m);
    r = pci_attach(pci_bus, d.pci, devfn, err);
    if (m->started && m->state == RUN_RUNNING)
        machine_resume_vcpus(m);
    if (r < 0) {
        d.pci->ops->free(d.pci);
        return r;
    }
    if (pci_bus == pci_host_root(m->pci))
        d.slot = find_root_slot(m, d.pci);
    m->devices[m->device_count++] = d;
    if (d.slot >= 0)
        acpi_hw_set_slot(m->acpi_hw, (unsigned)d.slot, true, hot);
    return 0;
}

static int add_device(Machine *m, json_t *object, bool hot, Err *err)
{
    const VirtioDeviceKind *kind;
    const char *driver, *bus;
    Props *props;
    int slot, r = props_new(object, machine_take_fd, m, &props, err);

    if (r < 0)
        return r;
    if ((r = props_string(props, "driver", "", &driver, err)) < 0 ||
        (r = props_string(props, "bus", NULL, &bus, err)) < 0)
        goto out;
    kind = device_table_find(driver);
    if (find_device(m, props_id(props)) != NULL) {
        r = err_set(err, EEXIST, "Duplicate device ID '%s'", props_id(props));
    } else if (machine_is_cpu_type(driver)) {
        r = machine_find_cpu(m, props_id(props)) >= 0
                ? err_set(err, EEXIST, "Duplicate device ID '%s'", props_id(props))
                : machine_cpu_add(m, driver, props, err);
    } else if (kind != NULL || strcmp(driver, "i6300esb") == 0) {
        r = add_pci_device(m, kind, bus ? bus : "pcie.0", props, hot, err);
    } else if (bus != NULL && find_bus(m, bus, &slot) == NULL) {
        r = add_child(m, bus, props, err);
        if (r == 0)
            r = props_finish(props, err);
    } else {
        r = err_set(err, ENOTSUP, "'%s' is not a valid device model name", driver);
    }
out:
    props_free(props);
    return r;
}

int machine_device_add(Machine *m, json_t *object, Err *err)
{
    return add_device(m, object, m->started, err);
}

int machine_device_del(Machine *m, const char *id, Err *err)
{
    MachineDevice *d = find_device(m, id);

    if (d == NULL && machine_find_cpu(m, id) >= 0)
        return machine_cpu_del(m, (unsigned)machine_find_cpu(m, id), err);
    if (d == NULL) {
        for (unsigned i = 0; i < m->device_count; i++) {
            const VirtioDeviceKind *kind = m->devices[i].kind;

            if (kind != NULL && kind->remove_child &&
                kind->remove_child(virtio_pci_virtio(m->devices[i].transport), id, err) == 0) {
                machine_emit(m, "DEVICE_DELETED",
                             json_pack("{s:s, s:s+}", "device", id, "path", "/machine/peripheral/", id));
                return 0;
            }
        }
        return err_set(err, ENODEV, "Device '%s' not found", id);
    }
    if (d->slot < 0)
        return err_set(err, EOPNOTSUPP, "Bus '%s' does not support hotplugging", pci_bus_name(d->pci->bus));
    d->removal_asked = true;
    acpi_hw_ask_slot_removal(m->acpi_hw, (unsigned)d->slot);
    return 0;
}

/* No vCPU may be inside the device's registers while it goes: paused. */
static void remove_device(Machine *m, unsigned index)
{
    MachineDevice d = m->devices[index];
    char id[128];

    snprintf(id, sizeof id, "%s", d.pci->name);
    m->devices[index] = m->devices[--m->device_count];
    pci_detach(d.pci);
    d.pci->ops->free(d.pci);
    acpi_hw_set_slot(m->acpi_hw, (unsigned)d.slot, false, false);
    machine_emit(m, "DEVICE_DELETED",
                 json_pack("{s:s, s:s+}", "device", id, "path", "/machine/peripheral/", id));
}

/* All functions that are there. */
void machine_handle_ejected(Machine *m, unsigned slot)
{
    for (unsigned i = 0; i < m->device_count;) {
        if (m->devices[i].slot != (int)slot) {
            i++;
            continue;
        }
        if (m->state == RUN_RUNNING)
            machine_pause_vcpus(m);
        remove_device(m, i);
        if (m->state == RUN_RUNNING)
            machine_resume_vcpus(m);
    }
}

void machine_remove_asked(Machine *m)
{
    for (unsigned i = 0; i < m->device_count;) {
        if (m->devices[i].removal_asked)
            remove_device(m, i);
        else
            i++;
    }
}

void machine_devices_set_running(Machine *m, bool running)
{
    for (unsigned i = 0; i < m->device_count; i++) {
        PciDevice *pci = m->devices[i].pci;

        if (pci->ops->set_running)
            pci->ops->set_running(pci, running);
    }
}

/* --- from the description
 * ------------------------------------------------------------------------------------- */

static int make_serials(Machine *m, Err *err)
{
    size_t i;
    json_t *item;

    json_array_foreach(m->desc->serials, i, item)
    {
        const char *id = json_string_value(item);
        Chardev *chardev = NULL;
        int r;

        if (i >= SERIAL_PORTS)
            return err_set(err, EINVAL, "more than %d serial ports", SERIAL_PORTS);
        if (json_is_null(item))
            continue;
        if (id == NULL || (chardev = machine_find_chardev(&m->device_host, id)) == NULL)
            return err_set(err, EINVAL, "serial port %zu: its chardev '%s' does not exist", i, id ? id : "");
        r = serial_new(m->bus, m->irq, (unsigned)i, chardev, &m->serials[i], err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int each(Machine *m, json_t *list, int (*add)(Machine *, json_t *, Err *), Err *err)
{
    size_t i;
    json_t *item;

    json_array_foreach(list, i, item)
    {
        int r = add(m, item, err);

        if (r < 0)
            return r;
    }
    return 0;
}

int machine_make_devices(Machine *m, Err *err)
{
    const MachineDesc *d = m->desc;
    int r;

    if ((r = machine_make_iothreads(m, err)) < 0 || (r = each(m, d->chardevs, machine_chardev_add, err)) < 0 ||
        (r = make_serials(m, err)) < 0 || (r = each(m, d->ports, make_port, err)) < 0)
        return r;
    make_root_slots(m);
    if ((r = each(m, d->blockdevs, machine_blockdev_add, err)) < 0 ||
        (r = each(m, d->netdevs, machine_netdev_add, err)) < 0 ||
        (r = each(m, d->devices, machine_device_add, err)) < 0)
        return r;
    return pci_host_assign(m->pci, err);
}

void machine_free_devices(Machine *m)
{
    /* Devices first (they end on their loops), then what they stood on. */
    pci_host_free(m->pci);
    for (unsigned i = 0; i < SERIAL_PORTS; i++)
        serial_free(m->serials[i]);
    /* Those that stand on others first: closing them releases what is below. */
    for (bool again = true; again;) {
        again = false;
        for (unsigned i = 0; i < MACHINE_LIST_MAX; i++) {
            if (m->blocks[i] != NULL && !m->blocks[i]->claimed) {
                block_close(m->blocks[i]);
                m->blocks[i] = NULL;
                again = true;
            }
        }
    }
    for (unsigned i = 0; i < MACHINE_LIST_MAX; i++) {
        if (m->nets[i] != NULL)
            net_close(m->nets[i]);
        chardev_free(m->chardevs[i]);
    }
    machine_free_iothreads(m);
}
