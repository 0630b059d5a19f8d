/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest agent's answers (QEMU's qga/qapi-schema.json) in libvirt's form. */
#include "driver/domain/agent_figures.h"

#include "common/bitmap.h"
#include "driver/backend/json_util.h"
#include "driver/conf/def_controller.h"
#include "driver/conf/def_disk.h"

static gboolean same_pci(const DeviceInfo *info, const json_t *pci)
{
    const PciAddress *address = &info->address.u.pci;

    return info->address.type == ADDRESS_PCI && (gint64)address->domain == jint(pci, "domain", -1) &&
           (gint64)address->bus == jint(pci, "bus", -1) && (gint64)address->slot == jint(pci, "slot", -1) &&
           (gint64)address->function == jint(pci, "function", -1);
}

/* A drive sits on a controller that has the PCI address; a virtio disk has it itself. The guest counts PCI
 * buses as the definition does only where no bridge was renumbered; that is as far as libvirt goes, too. */
const char *agent_disk_target(const DomainDef *def, const json_t *address)
{
    const json_t *pci = json_object_get(address, "pci-controller");
    const ControllerDef *owner = NULL;

    if (pci == NULL)
        return NULL;
    DOMAIN_DEF_FOREACH(ControllerDef, controller, def, DEVICE_CONTROLLER)
    {
        if (same_pci(&controller->info, pci))
            owner = controller;
    }
    DOMAIN_DEF_FOREACH(DiskDef, disk, def, DEVICE_DISK)
    {
        const DriveAddress *drive = &disk->info.address.u.drive;

        if (same_pci(&disk->info, pci))
            return disk->target;
        if (owner != NULL && disk->info.address.type == ADDRESS_DRIVE &&
            (gint64)drive->controller == owner->index && (gint64)drive->bus == jint(address, "bus", -1) &&
            (gint64)drive->target == jint(address, "target", -1) &&
            (gint64)drive->unit == jint(address, "unit", -1))
            return disk->target;
    }
    return NULL;
}

char **agent_fs_aliases(Domain *dom, const json_t *fs)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    const json_t *address;
    size_t i;

    LOCK_SCOPE(&dom->lock);
    json_array_foreach(json_object_get(fs, "disk"), i, address)
    {
        const char *target = agent_disk_target(domain_def(dom), address);

        if (target != NULL)
            g_ptr_array_add(names, g_strdup(target));
    }
    g_ptr_array_add(names, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&names), FALSE);
}

gboolean agent_vcpu_params(const json_t *vcpus, TypedParams *params, GError **error)
{
    static const char *const names[] = {"vcpus", "online", "offlinable"};
    g_autoptr(Bitmap) all = bitmap_new();
    g_autoptr(Bitmap) online = bitmap_new();
    g_autoptr(Bitmap) offlinable = bitmap_new();
    const Bitmap *maps[] = {all, online, offlinable};
    const json_t *vcpu;
    size_t i;

    if (!json_is_array(vcpus))
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "guest-get-vcpus reply was missing return data");
    json_array_foreach(vcpus, i, vcpu)
    {
        gint64 id = jint(vcpu, "logical-id", -1);

        if (id < 0 || id >= BITMAP_MAX_BITS || !bitmap_set(all, (guint)id))
            return error_set(error, VIR_ERR_INTERNAL_ERROR,
                             "vcpu id '%lld' reported by guest agent is out of range", (long long)id);
        if (jbool(vcpu, "online"))
            bitmap_set(online, (guint)id);
        if (jbool(vcpu, "can-offline"))
            bitmap_set(offlinable, (guint)id);
    }
    for (guint k = 0; k < G_N_ELEMENTS(names); k++) {
        g_autofree char *text = bitmap_format(maps[k]);

        typed_params_add_string(params, names[k], text != NULL ? text : "");
    }
    return TRUE;
}
