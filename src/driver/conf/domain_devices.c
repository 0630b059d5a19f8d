/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The device lists of a definition: where a new one goes, and how one is found again. */
#include <string.h>

#include "common/error.h"
#include "driver/conf/def_chr.h"
#include "driver/conf/def_controller.h"
#include "driver/conf/def_disk.h"
#include "driver/conf/def_interface.h"
#include "driver/conf/def_memory.h"
#include "driver/conf/domain_def.h"

guint64 domain_def_memory_initial(const DomainDef *def)
{
    guint64 initial = def->memory;

    DOMAIN_DEF_FOREACH(MemoryDef, memory, def, DEVICE_MEMORY)
    initial = initial > memory->size ? initial - memory->size : 0;
    return initial;
}

gboolean domain_def_visit(const DomainDef *def, DeviceVisit visit, gpointer data)
{
    for (int kind = 0; kind < DEVICE_KIND_LAST; kind++) {
        for (guint i = 0; i < def->devices[kind]->len; i++) {
            if (!visit(domain_def_get(def, kind, i), data))
                return FALSE;
        }
    }
    return TRUE;
}

/* --- order -------------------------------------------------------------------------------------------- */

static gboolean disk_is_behind(const DiskDef *disk, const DiskDef *other)
{
    guint a = 0, b = 0;

    return disk->target != NULL && other->target != NULL && disk_name_to_index(disk->target, &a) &&
           disk_name_to_index(other->target, &b) && a > b;
}

/* Disks of one bus stand together in the order of their targets. */
static guint disk_place(const GPtrArray *disks, const DiskDef *disk)
{
    gint place = -1;

    for (gint i = (gint)disks->len - 1; i >= 0; i--) {
        const DiskDef *other = g_ptr_array_index(disks, (guint)i);

        if (other->bus != disk->bus)
            continue;
        if (disk_is_behind(other, disk))
            place = i;
        else if (place < 0)
            place = i + 1;
    }
    return place < 0 ? disks->len : (guint)place;
}

/* Controllers of one type stand together by index, a USB master before its companions. */
static guint controller_place(const GPtrArray *controllers, const ControllerDef *controller)
{
    gint place = -1;

    for (gint i = (gint)controllers->len - 1; i >= 0; i--) {
        const ControllerDef *other = g_ptr_array_index(controllers, (guint)i);

        if (other->type != controller->type)
            continue;
        if (controller->index == -1)
            return (guint)i + 1;
        if (other->index > controller->index ||
            (!controller->info.usb_master && other->info.usb_master && other->index == controller->index))
            place = i;
        else if (place < 0)
            place = i + 1;
    }
    return place < 0 ? controllers->len : (guint)place;
}

void domain_def_insert(DomainDef *def, DeviceInfo *dev)
{
    GPtrArray *list = def->devices[dev->kind];
    guint place = list->len;

    if (dev->kind == DEVICE_DISK)
        place = disk_place(list, (const DiskDef *)dev);
    else if (dev->kind == DEVICE_CONTROLLER)
        place = controller_place(list, (const ControllerDef *)dev);
    g_ptr_array_insert(list, (gint)place, dev);
}

DeviceInfo *domain_def_steal(DomainDef *def, DeviceInfo *dev)
{
    guint index;

    if (!g_ptr_array_find(def->devices[dev->kind], dev, &index))
        return NULL;
    return g_ptr_array_steal_index(def->devices[dev->kind], index);
}

/* --- finding ------------------------------------------------------------------------------------------ */

static gboolean place_differs(const DeviceInfo *dev, const DeviceInfo *wanted)
{
    if (wanted->address.type != ADDRESS_NONE &&
        !(wanted->address.type == ADDRESS_PCI && !wanted->address.u.pci.given) &&
        !device_address_equal(&dev->address, &wanted->address))
        return TRUE;
    return wanted->alias != NULL && dev->alias != NULL && strcmp(dev->alias, wanted->alias) != 0;
}

DeviceInfo *domain_def_find_device(const DomainDef *def, const DeviceInfo *wanted, GError **error)
{
    const DeviceDefOps *ops = device_def_ops(wanted->kind);
    DeviceInfo *found = NULL;

    for (guint i = 0; ops->matches != NULL && i < def->devices[wanted->kind]->len; i++) {
        DeviceInfo *dev = domain_def_get(def, wanted->kind, i);

        if ((ops->match_by_address && place_differs(dev, wanted)) || !ops->matches(dev, wanted))
            continue;
        if (found != NULL && wanted->kind == DEVICE_INTERFACE) {
            error_set(error, VIR_ERR_OPERATION_FAILED,
                      "several %s devices match; give the address or alias of one",
                      device_kind_to_string(wanted->kind));
            return NULL;
        }
        if (found == NULL) /* libvirt: of devices that are the same, the first */
            found = dev;
    }
    if (found == NULL)
        error_set(error, VIR_ERR_DEVICE_MISSING, "matching %s device not found in domain '%s'",
                  device_kind_to_string(wanted->kind), def->name);
    return found;
}

DeviceInfo *domain_def_find_alias(const DomainDef *def, const char *alias)
{
    for (int kind = 0; kind < DEVICE_KIND_LAST; kind++) {
        for (guint i = 0; i < def->devices[kind]->len; i++) {
            DeviceInfo *dev = domain_def_get(def, kind, i);

            if (dev->alias != NULL && strcmp(dev->alias, alias) == 0)
                return dev;
        }
    }
    return NULL;
}

DeviceInfo *domain_def_find_disk(const DomainDef *def, const char *name)
{
    DiskDef *found = NULL;

    DOMAIN_DEF_FOREACH(DiskDef, by_target, def, DEVICE_DISK)
    {
        if (g_strcmp0(by_target->target, name) == 0)
            return &by_target->info;
    }
    if (*name != '/')
        return NULL;
    DOMAIN_DEF_FOREACH(DiskDef, disk, def, DEVICE_DISK)
    {
        if (disk->source == NULL || g_strcmp0(disk->source->path, name) != 0)
            continue;
        if (found != NULL)
            return NULL;
        found = disk;
    }
    return found != NULL ? &found->info : NULL;
}

DeviceInfo *domain_def_find_interface(const DomainDef *def, const char *name)
{
    DOMAIN_DEF_FOREACH(InterfaceDef, net, def, DEVICE_INTERFACE)
    {
        if (g_strcmp0(net->target, name) == 0 || (net->mac != NULL && g_ascii_strcasecmp(net->mac, name) == 0))
            return &net->info;
    }
    return NULL;
}
