/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hot plug with kite-vmm. What the description would say of a device (vmm_desc.c) is said by QMP instead, in the same
 * objects: chardev-add, blockdev-add, netdev_add, device_add. Descriptors go first, by getfd, and their names stand
 * where the description has numbers. Each step that worked is undone when a later one does not.
 */
#include <string.h>

#include "common/error.h"
#include "common/log.h"
#include "driver/backend/backend.h"
#include "driver/backend/json_util.h"
#include "driver/backend/media.h"
#include "driver/backend/monitor.h"
#include "driver/backend/qemu_live.h"
#include "driver/backend/storage_daemon.h"
#include "driver/backend/vmm_desc.h"
#include "driver/backend/vmm_host.h"

typedef struct Plug {
    QmpClient *qmp;
    const char *alias;
    guint sent; /* descriptors so far */
    GPtrArray *names; /* of all of them */
} Plug;

enum { STEP_CHARDEVS, STEP_BLOCKDEVS, STEP_NETDEVS, STEP_DEVICES };

static const struct {
    const char *list, *add, *remove, *key; /* key: of the name in an object; argument of remove */
} steps[] = {
    [STEP_CHARDEVS] = {"chardevs", "chardev-add", "chardev-remove", "id"},
    [STEP_BLOCKDEVS] = {"blockdevs", "blockdev-add", "blockdev-del", "node-name"},
    [STEP_NETDEVS] = {"netdevs", "netdev_add", "netdev_del", "id"},
    [STEP_DEVICES] = {"devices", "device_add", NULL, "id"},
};

/* --- descriptors --- */

static json_t *send_fd(Plug *plug, const json_t *number, GError **error)
{
    char *name = g_strdup_printf("%s-%u", plug->alias, plug->sent++);

    if (!qmp_send_fd(plug->qmp, (int)json_integer_value(number), name, error)) {
        g_free(name);
        return NULL;
    }
    g_ptr_array_add(plug->names, name);
    return json_string(name);
}

static gboolean send_fds(Plug *plug, json_t *object, GError **error)
{
    static const char *const keys[] = {"fd", "logfd", "fds", "vhostfds", "vhostfd", "server-fd"};

    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
        json_t *value = json_object_get(object, keys[i]), *name;

        if (json_is_integer(value)) {
            if ((name = send_fd(plug, value, error)) == NULL)
                return FALSE;
            json_object_set_new(object, keys[i], name); /* frees value */
            continue;
        }
        for (gsize k = 0; json_is_array(value) && k < json_array_size(value); k++) {
            if ((name = send_fd(plug, json_array_get(value, k), error)) == NULL)
                return FALSE;
            json_array_set_new(value, k, name);
        }
    }
    return TRUE;
}

/* --- steps --- */

/* Undoes the first count objects of a step, the last one first. */
static void undo(Plug *plug, const json_t *parts, gsize step, gsize count)
{
    const json_t *list = json_object_get(parts, steps[step].list);

    while (steps[step].remove != NULL && count-- > 0) {
        const char *name = jstr(json_array_get(list, count), steps[step].key);
        g_autoptr(GError) error = NULL;

        if (!qmp_call(plug->qmp, steps[step].remove, json_pack("{s:s}", steps[step].key, name), 0, NULL, &error))
            log_debug("'%s' is left behind in kite-vmm: %s", name, error->message);
    }
}

static gboolean say(Plug *plug, gsize step, json_t *object, GError **error)
{
    return send_fds(plug, object, error) && qmp_call(plug->qmp, steps[step].add, json_incref(object), 0, NULL, error);
}

/* Descriptors that were not taken. */
static void close_fds(const Plug *plug)
{
    for (guint i = 0; i < plug->names->len; i++)
        qmp_call(plug->qmp, "closefd", json_pack("{s:s}", "fdname", plug->names->pdata[i]), 0, NULL, NULL);
}

static gboolean say_all(Plug *plug, json_t *parts, GError **error)
{
    for (gsize step = 0; step < G_N_ELEMENTS(steps); step++) {
        const json_t *list = json_object_get(parts, steps[step].list);

        for (gsize i = 0; i < json_array_size(list); i++) {
            if (say(plug, step, json_array_get(list, i), error))
                continue;
            undo(plug, parts, step, i);
            while (step-- > 0)
                undo(plug, parts, step, json_array_size(json_object_get(parts, steps[step].list)));
            close_fds(plug);
            return FALSE;
        }
    }
    return TRUE;
}

/* What the description does not say. */
static gboolean finish(QmpClient *qmp, DeviceInfo *dev, GError **error)
{
    if (dev->kind == DEVICE_INTERFACE)
        return ((InterfaceDef *)dev)->link != NET_LINK_DOWN || vm_set_link(qmp, dev->alias, FALSE, error);
    return dev->kind != DEVICE_DISK || qemu_live_set_throttle(qmp, (DiskDef *)dev, error);
}

gboolean vmm_plug(const BackendConfig *config, VmProcess *vm, DomainDef *live, DeviceInfo *dev, GError **error)
{
    g_autoptr(VmmHost) host = NULL;
    g_autofree char *reason = NULL;
    VmmDescContext context = {.fd = vmm_host_fd, .now = g_get_real_time() / G_USEC_PER_SEC};
    Plug plug = {.qmp = vm_process_qmp(vm), .alias = dev->alias};
    autojson *parts = NULL;
    gboolean good;

    if (!vmm_desc_supported_device(dev, &reason))
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "%s", reason);
    host = vmm_host_prepare_device(config, vm, live, dev, error);
    if (host == NULL)
        return FALSE;
    context.opaque = host;
    context.nets = host->base->n_nets > 0 ? host->base->nets : NULL;
    parts = vmm_desc_build_device(live, dev, &context, error);
    if (parts == NULL)
        return FALSE;
    plug.names = g_ptr_array_new_with_free_func(g_free);
    good = say_all(&plug, parts, error);
    g_ptr_array_unref(plug.names);
    host->base->kept = good;
    if (good && !finish(plug.qmp, dev, error)) {
        /* The device is in and the guest may have seen it, so it can only be asked to let go. */
        vm_device_del(plug.qmp, dev->alias, NULL);
        good = FALSE;
    }
    return good;
}

void vmm_unplugged(const BackendConfig *config, VmProcess *vm, const DeviceInfo *dev)
{
    qemu_unplugged(config, vm, dev); /* the names are the same */
    if (dev->kind == DEVICE_DISK && !storage_source_is_empty(((const DiskDef *)dev)->source))
        storage_servers_gone(vm_process_run_dir(vm), ((const DiskDef *)dev)->source);
}

/* --- media --- */

static gboolean add_medium(const BackendConfig *config, VmProcess *vm, const DiskDef *disk, GPtrArray *added,
                           GError **error)
{
    g_autoptr(VmmHost) host = vmm_host_prepare_medium(config, vm, disk, error);
    VmmDescContext context = {.fd = vmm_host_fd, .opaque = host};
    Plug plug = {.qmp = vm_process_qmp(vm), .alias = disk->info.alias};
    json_t *nodes;
    gboolean good = TRUE;

    if (host == NULL)
        return FALSE;
    nodes = vmm_desc_build_medium(disk, &context);
    plug.names = g_ptr_array_new_with_free_func(g_free);
    for (gsize i = 0; good && i < json_array_size(nodes); i++) {
        json_t *node = json_array_get(nodes, i);

        good = say(&plug, STEP_BLOCKDEVS, node, error);
        if (good)
            g_ptr_array_insert(added, 0, g_strdup(jstr(node, "node-name")));
    }
    if (!good)
        close_fds(&plug);
    host->kept = good;
    g_ptr_array_unref(plug.names);
    json_decref(nodes);
    return good;
}

gboolean vmm_change_media(const BackendConfig *config, VmProcess *vm, const DomainDef *live, const DiskDef *disk,
                          StorageSource *source, gboolean force, GError **error)
{
    DiskDef changed = *disk;
    g_autofree char *reason = NULL;

    changed.source = source;
    if (!vmm_desc_supported_device(&changed.info, &reason))
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "%s", reason);
    if (!media_change(config, vm, live, disk, source, force, add_medium, error))
        return FALSE;
    if (!storage_source_is_empty(disk->source))
        storage_servers_gone(vm_process_run_dir(vm), disk->source);
    return TRUE;
}

/* --- servers --- */

static gboolean is_lost(QmpClient *qmp, const char *node)
{
    autojson *list = NULL;
    gboolean lost = FALSE;

    if (!qmp_call(qmp, "query-named-block-nodes", NULL, 0, &list, NULL))
        return FALSE;
    for (gsize i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);

        if (g_strcmp0(jstr(one, "node-name"), node) == 0)
            lost = json_is_true(json_object_get(one, "x-lost"));
    }
    return lost;
}

gboolean vmm_revive(const BackendConfig *config, VmProcess *vm, const DiskDef *disk, GError **error)
{
    g_autoptr(VmmHost) host = NULL;
    g_autofree char *node = qemu_disk_node_name(disk);
    VmmDescContext context = {.fd = vmm_host_fd};
    Plug plug = {.qmp = vm_process_qmp(vm), .alias = disk->info.alias};
    autojson *nodes = NULL;

    if (node == NULL || storage_way(disk) == STORAGE_DIRECT || !is_lost(plug.qmp, node))
        return TRUE;
    storage_servers_gone(vm_process_run_dir(vm), disk->source);
    host = vmm_host_prepare_medium(config, vm, disk, error);
    if (host == NULL)
        return FALSE;
    context.opaque = host;
    nodes = vmm_desc_build_medium(disk, &context);
    plug.names = g_ptr_array_new_with_free_func(g_free);
    host->kept = send_fds(&plug, json_array_get(nodes, 0), error) &&
                 qmp_call(plug.qmp, "blockdev-reopen", json_pack("{s:O}", "options", nodes), 0, NULL, error);
    if (!host->kept)
        close_fds(&plug);
    g_ptr_array_unref(plug.names);
    return host->kept;
}
