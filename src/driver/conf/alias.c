/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of devices while they run, as libvirt's QEMU driver makes them; QEMU's ids are the same names. */
#include <string.h>

#include "driver/conf/def_chr.h"
#include "driver/conf/def_controller.h"
#include "driver/conf/def_disk.h"
#include "driver/conf/def_interface.h"
#include "driver/conf/def_memballoon.h"
#include "driver/conf/def_memory.h"
#include "driver/conf/domain_def.h"

/* Prefix of "<prefix><number>"; NULL: the kind is named by a function of its own, or not at all. */
static const char *const prefixes[DEVICE_KIND_LAST] = {
    [DEVICE_FILESYSTEM] = "fs",     [DEVICE_SMARTCARD] = "smartcard",
    [DEVICE_SERIAL] = "serial",     [DEVICE_PARALLEL] = "parallel",
    [DEVICE_CONSOLE] = "console",   [DEVICE_CHANNEL] = "channel",
    [DEVICE_INPUT] = "input",       [DEVICE_TPM] = "tpm",
    [DEVICE_SOUND] = "sound",       [DEVICE_VIDEO] = "video",
    [DEVICE_REDIRDEV] = "redir",    [DEVICE_HUB] = "hub",
    [DEVICE_WATCHDOG] = "watchdog", [DEVICE_MEMBALLOON] = "balloon",
    [DEVICE_RNG] = "rng",           [DEVICE_SHMEM] = "shmem",
    [DEVICE_VSOCK] = "vsock",       [DEVICE_IOMMU] = "iommu",
    [DEVICE_PANIC] = "panic",       [DEVICE_CRYPTO] = "crypto",
    [DEVICE_INTERFACE] = "net",     [DEVICE_HOSTDEV] = "hostdev",
};

static char *controller_alias(const DomainDef *def, const ControllerDef *controller)
{
    switch (controller->type) {
    case CONTROLLER_PCI:
        return g_strdup_printf(controller->model == PCI_MODEL_PCIE_ROOT ? "pcie.%d" : "pci.%d",
                               controller->index);
    case CONTROLLER_IDE:
        if (os_def_is_i440fx(&def->os) && controller->index == 0)
            return g_strdup("ide");
        break;
    case CONTROLLER_SATA:
        if (os_def_is_q35(&def->os) && controller->index == 0)
            return g_strdup("ide");
        break;
    case CONTROLLER_USB:
        if (controller->index == 0)
            return g_strdup("usb");
        break;
    default:
        break;
    }
    return g_strdup_printf("%s%d", controller_type_to_string(controller->type), controller->index);
}

static gboolean is_lsi(const DomainDef *def, guint index)
{
    DOMAIN_DEF_FOREACH(ControllerDef, controller, def, DEVICE_CONTROLLER)
    {
        if (controller->type == CONTROLLER_SCSI && controller->index == (int)index)
            return controller->model == SCSI_MODEL_LSILOGIC;
    }
    return FALSE;
}

static char *disk_alias(const DomainDef *def, const DiskDef *disk)
{
    const DriveAddress *drive = &disk->info.address.u.drive;
    guint index = 0;

    if (disk->info.address.type == ADDRESS_DRIVE && disk->bus == DISK_BUS_SCSI &&
        !is_lsi(def, drive->controller))
        return g_strdup_printf("scsi%u-%u-%u-%u", drive->controller, drive->bus, drive->target, drive->unit);
    if (disk->info.address.type == ADDRESS_DRIVE)
        return g_strdup_printf("%s%u-%u-%u", disk_bus_to_string(disk->bus), drive->controller, drive->bus,
                               drive->unit);
    disk_name_to_index(disk->target, &index);
    return g_strdup_printf("%s-disk%u", disk_bus_to_string(disk->bus), index);
}

static const char *memory_prefix(const MemoryDef *memory)
{
    switch (memory->model) {
    case MEMORY_MODEL_NVDIMM:
        return "nvdimm";
    case MEMORY_MODEL_VIRTIO_PMEM:
        return "virtiopmem";
    case MEMORY_MODEL_VIRTIO_MEM:
        return "virtiomem";
    case MEMORY_MODEL_SGX_EPC:
        return "epc";
    default:
        return "dimm";
    }
}

/* One above the highest number in use with the prefix; with start the first to try. */
static char *next_alias(const DomainDef *def, const char *prefix, guint start)
{
    for (guint n = start;; n++) {
        char *alias = g_strdup_printf("%s%u", prefix, n);

        if (domain_def_find_alias(def, alias) == NULL)
            return alias;
        g_free(alias);
    }
}

static guint position(const DomainDef *def, const DeviceInfo *dev)
{
    guint index = def->devices[dev->kind]->len;

    g_ptr_array_find(def->devices[dev->kind], dev, &index);
    return index;
}

void domain_def_assign_device_alias(const DomainDef *def, DeviceInfo *dev)
{
    if (dev->alias != NULL)
        return;
    switch (dev->kind) {
    case DEVICE_DISK:
        dev->alias = disk_alias(def, (DiskDef *)dev);
        break;
    case DEVICE_CONTROLLER:
        dev->alias = controller_alias(def, (ControllerDef *)dev);
        break;
    case DEVICE_INTERFACE:
        dev->alias = next_alias(def, ((InterfaceDef *)dev)->type == INTERFACE_HOSTDEV ? "hostdev" : "net", 0);
        break;
    case DEVICE_HOSTDEV:
        dev->alias = next_alias(def, "hostdev", 0);
        break;
    case DEVICE_MEMORY:
        if (dev->address.type == ADDRESS_DIMM)
            dev->alias = g_strdup_printf("%s%u", memory_prefix((MemoryDef *)dev), dev->address.u.dimm.slot);
        else
            dev->alias = next_alias(def, memory_prefix((MemoryDef *)dev), 0);
        break;
    case DEVICE_MEMBALLOON:
        if (((MemballoonDef *)dev)->model != MEMBALLOON_NONE)
            dev->alias = g_strdup("balloon0");
        break;
    case DEVICE_IOMMU:
        dev->alias = g_strdup("iommu0");
        break;
    case DEVICE_CONSOLE:
        if (((ChrDef *)dev)->target.console == CONSOLE_TARGET_SERIAL ||
            ((ChrDef *)dev)->target.console == CONSOLE_TARGET_NONE)
            break;
        dev->alias = next_alias(def, prefixes[dev->kind], position(def, dev));
        break;
    default:
        if (prefixes[dev->kind] != NULL && !device_def_ops(dev->kind)->no_info)
            dev->alias = next_alias(def, prefixes[dev->kind], position(def, dev));
    }
}

static gboolean assign(DeviceInfo *dev, gpointer data)
{
    domain_def_assign_device_alias(data, dev);
    return TRUE;
}

void domain_def_assign_aliases(DomainDef *def)
{
    domain_def_visit(def, assign, def);
}

static gboolean clear(DeviceInfo *dev, gpointer data)
{
    if (dev->alias != NULL && !device_alias_is_user(dev->alias))
        g_clear_pointer(&dev->alias, g_free);
    return TRUE;
}

void domain_def_clear_aliases(DomainDef *def)
{
    domain_def_visit(def, clear, NULL);
}
