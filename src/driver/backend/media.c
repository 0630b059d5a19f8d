/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Changing the medium of a CD-ROM or floppy drive of a running VM of either back end (qemu qapi/block.json:
 * blockdev-open-tray, -remove-medium, -insert-medium, -close-tray). The tray is asked to open; a guest that
 * has locked it answers by letting go or not, and force opens it all the same.
 */
#include "driver/backend/media.h"

#include "common/error.h"
#include "driver/backend/disk_chain.h"
#include "driver/backend/monitor.h"
#include "driver/backend/qemu_args.h"
#include "driver/backend/qemu_host.h"
#include "driver/backend/qemu_live.h"

/* The top one first: a node that another uses cannot go. */
static void delete_nodes(QmpClient *qmp, GPtrArray *names)
{
    for (guint i = 0; i < names->len; i++)
        vm_blockdev_del(qmp, g_ptr_array_index(names, i), NULL);
}

static GPtrArray *names_of(const DiskDef *disk)
{
    g_autoptr(GPtrArray) nodes = qemu_disk_nodes(disk, NULL);
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; nodes != NULL && i < nodes->len; i++)
        g_ptr_array_insert(
            names, 0, g_strdup(json_string_value(json_object_get(g_ptr_array_index(nodes, i), "node-name"))));
    return names;
}

gboolean media_change(const BackendConfig *config, VmProcess *vm, const DomainDef *live, const DiskDef *disk,
                      StorageSource *source, gboolean force, MediaAddNodes add_nodes, GError **error)
{
    QmpClient *qmp = vm_process_qmp(vm);
    g_autofree char *id = qemu_disk_qdev(disk);
    g_autofree char *top = NULL;
    g_autofree char *old_top = qemu_disk_node_name(disk);
    g_autoptr(GPtrArray) old = names_of(disk);
    g_autoptr(GPtrArray) added = g_ptr_array_new_with_free_func(g_free);
    DiskDef changed = *disk;

    changed.source = source;
    changed.startup_policy = STARTUP_POLICY_DEFAULT; /* a medium that is asked for now must be there */
    if (!qemu_check_device_files(config, &changed.info, error))
        return FALSE;
    disk_chain_number(live, source);
    if (!storage_source_is_empty(source)) {
        top = qemu_disk_node_name(&changed);
        if (!add_nodes(config, vm, &changed, added, error)) {
            delete_nodes(qmp, added);
            return FALSE;
        }
    }
    if (!vm_tray_open(qmp, id, force, error) || !vm_medium_remove(qmp, id, error)) {
        delete_nodes(qmp, added);
        return FALSE;
    }
    if (top != NULL && !vm_medium_insert(qmp, id, top, error)) {
        if (old_top != NULL)
            vm_medium_insert(qmp, id, old_top, NULL);
        vm_tray_close(qmp, id, NULL);
        delete_nodes(qmp, added);
        return FALSE;
    }
    delete_nodes(qmp, old);
    return qemu_live_set_throttle(qmp, &changed, error) && vm_tray_close(qmp, id, error);
}

/* --- QEMU --- */

static gboolean add_nodes(const BackendConfig *config, VmProcess *vm, const DiskDef *disk, GPtrArray *added,
                          GError **error)
{
    g_autoptr(GPtrArray) nodes = qemu_disk_nodes(disk, error);

    if (nodes == NULL)
        return FALSE;
    for (guint i = 0; i < nodes->len; i++) {
        json_t *node = g_ptr_array_index(nodes, i);
        g_autofree char *name = g_strdup(json_string_value(json_object_get(node, "node-name")));

        if (!vm_blockdev_add(vm_process_qmp(vm), json_incref(node), error))
            return FALSE;
        g_ptr_array_insert(added, 0, g_steal_pointer(&name));
    }
    return TRUE;
}

gboolean qemu_change_media(const BackendConfig *config, VmProcess *vm, const DomainDef *live, const DiskDef *disk,
                           StorageSource *source, gboolean force, GError **error)
{
    return media_change(config, vm, live, disk, source, force, add_nodes, error);
}
