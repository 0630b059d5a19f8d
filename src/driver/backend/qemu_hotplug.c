/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hot plug with QEMU. What the command line would say of a device (qemu_args*.c) is said by QMP instead, word
 * by word: -blockdev is blockdev-add, -netdev netdev_add, -object object-add, -chardev chardev-add, -device
 * device_add. Each step that worked knows how it is undone. Descriptors travel by getfd under names.
 */
#include "driver/backend/qemu_hotplug.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/log.h"
#include "driver/backend/backend.h"
#include "driver/backend/disk_chain.h"
#include "driver/backend/json_util.h"
#include "driver/backend/hostdev.h"
#include "driver/backend/monitor.h"
#include "driver/backend/qemu_args.h"
#include "driver/backend/qemu_host.h"
#include "driver/backend/qemu_live.h"
#include "driver/backend/tap.h"
#include "driver/conf/def_hostdev.h"
#include "driver/conf/def_memballoon.h"
#include "driver/conf/def_redirdev.h"
#include "driver/conf/def_rng.h"
#include "driver/conf/def_watchdog.h"
#include "driver/host/qemu_caps.h"

/* --- steps and their undoing --- */

typedef enum { STEP_BLOCKDEV, STEP_NETDEV, STEP_OBJECT, STEP_CHARDEV } StepKind;

typedef struct Step {
    StepKind kind;
    char *id;
} Step;

typedef struct Plug {
    QmpClient *qmp;
    GArray *done; /* Step, in order */
    GPtrArray *sent; /* names of descriptors that QEMU has */
} Plug;

static void plug_init(Plug *plug, QmpClient *qmp)
{
    plug->qmp = qmp;
    plug->done = g_array_new(FALSE, FALSE, sizeof(Step));
    plug->sent = g_ptr_array_new_with_free_func(g_free);
}

static void plug_clear(Plug *plug)
{
    for (guint i = 0; i < plug->done->len; i++)
        g_free(g_array_index(plug->done, Step, i).id);
    g_array_unref(plug->done);
    g_ptr_array_unref(plug->sent);
}

static void note(Plug *plug, StepKind kind, const char *id)
{
    const Step step = {kind, g_strdup(id)};

    g_array_append_val(plug->done, step);
}

static void remove_one(QmpClient *qmp, StepKind kind, const char *id)
{
    g_autoptr(GError) error = NULL;
    gboolean gone = FALSE;

    switch (kind) {
    case STEP_BLOCKDEV:
        gone = vm_blockdev_del(qmp, id, &error);
        break;
    case STEP_NETDEV:
        gone = vm_netdev_del(qmp, id, &error);
        break;
    case STEP_OBJECT:
        gone = vm_object_del(qmp, id, &error);
        break;
    case STEP_CHARDEV:
        gone = vm_chardev_remove(qmp, id, &error);
        break;
    }
    if (!gone)
        log_debug("'%s' is left behind in QEMU: %s", id, error->message);
}

static void undo(Plug *plug)
{
    for (guint i = plug->done->len; i-- > 0;) {
        const Step *step = &g_array_index(plug->done, Step, i);

        remove_one(plug->qmp, step->kind, step->id);
    }
    for (guint i = 0; i < plug->sent->len; i++)
        qmp_call(plug->qmp, "closefd", json_pack("{s:s}", "fdname", plug->sent->pdata[i]), 0, NULL, NULL);
}

/* --- descriptors --- */

/* "12" or "12:13" as the names under which QEMU gets these descriptors. Caller frees; NULL with *error. */
static char *send_fds(Plug *plug, const char *numbers, const char *alias, const char *what, GError **error)
{
    g_auto(GStrv) list = g_strsplit(numbers, ":", -1);
    GString *names = g_string_new(NULL);

    for (guint i = 0; list[i] != NULL; i++) {
        char *name = g_strdup_printf("%s-%s-%u", what, alias, i);

        if (!qmp_send_fd(plug->qmp, (int)g_ascii_strtoll(list[i], NULL, 10), name, error)) {
            g_free(name);
            g_string_free(names, TRUE);
            return NULL;
        }
        g_ptr_array_add(plug->sent, name);
        g_string_append_printf(names, "%s%s", i > 0 ? ":" : "", name);
    }
    return g_string_free(names, FALSE);
}

static gboolean replace_fds(Plug *plug, json_t *object, const char *key, const char *alias, GError **error)
{
    const char *numbers = json_string_value(json_object_get(object, key));
    g_autofree char *names = NULL;

    if (numbers == NULL)
        return TRUE;
    names = send_fds(plug, numbers, alias, key, error);
    if (names == NULL)
        return FALSE;
    json_object_set_new(object, key, json_string(names));
    return TRUE;
}

/* --- words to commands --- */

static gboolean add_netdev(Plug *plug, json_t *netdev, const char *alias, GError **error)
{
    static const char *const keys[] = {"fd", "fds", "vhostfd", "vhostfds"};
    json_t *address = json_object_get(netdev, "addr");
    g_autofree char *id = g_strdup(jstr(netdev, "id"));

    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
        if (!replace_fds(plug, netdev, keys[i], alias, error))
            return FALSE;
    }
    if (g_strcmp0(jstr(address, "type"), "fd") == 0 && !replace_fds(plug, address, "str", alias, error))
        return FALSE;
    if (!vm_netdev_add(plug->qmp, json_incref(netdev), NULL, 0, error))
        return FALSE;
    note(plug, STEP_NETDEV, id);
    return TRUE;
}

static gboolean add_chardev(Plug *plug, const char *words, const char *alias, GError **error)
{
    const char *fd = strstr(words, ",fd=");
    g_autofree char *fd_name = NULL;
    g_autofree char *id = NULL;
    json_t *backend;

    if (fd != NULL) {
        g_autofree char *number = g_strndup(fd + 4, strspn(fd + 4, "0123456789"));

        fd_name = send_fds(plug, number, alias, "chr", error);
        if (fd_name == NULL)
            return FALSE;
    }
    backend = qemu_hotplug_chardev(words, fd_name, &id, error);
    if (backend == NULL || !vm_chardev_add(plug->qmp, id, backend, NULL, error))
        return FALSE;
    note(plug, STEP_CHARDEV, id);
    return TRUE;
}

static gboolean say(Plug *plug, const char *option, const char *words, const char *alias, GError **error)
{
    autojson *object = words[0] == '{' ? json_loads(words, 0, NULL) : NULL;

    if (strcmp(option, "-chardev") == 0)
        return add_chardev(plug, words, alias, error);
    if (object != NULL && strcmp(option, "-netdev") == 0)
        return add_netdev(plug, object, alias, error);
    if (object != NULL && strcmp(option, "-device") == 0)
        return replace_fds(plug, object, "vhostfd", alias, error) && vm_device_add(plug->qmp, json_incref(object), error);
    if (object != NULL && strcmp(option, "-blockdev") == 0) {
        if (!vm_blockdev_add(plug->qmp, json_incref(object), error))
            return FALSE;
        note(plug, STEP_BLOCKDEV, jstr(object, "node-name"));
        return TRUE;
    }
    if (object != NULL && strcmp(option, "-object") == 0) {
        if (!vm_object_add(plug->qmp, json_incref(object), error))
            return FALSE;
        note(plug, STEP_OBJECT, jstr(object, "id"));
        return TRUE;
    }
    return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                     "device '%s' cannot be added to a running machine: QEMU has no command for %s", alias, option);
}

static gboolean say_all(Plug *plug, const QemuArgs *args, const char *alias, GError **error)
{
    for (guint i = 0; i + 1 < args->argv->len; i += 2) {
        if (!say(plug, args->argv->pdata[i], args->argv->pdata[i + 1], alias, error))
            return FALSE;
    }
    return TRUE;
}

/* --- what is chosen here, and what is set afterwards --- */

static gboolean read_pty(QmpClient *qmp, ChrDef *chr, GError **error)
{
    g_autofree char *id = g_strconcat("char", chr->info.alias, NULL);
    g_autoptr(GPtrArray) chardevs = NULL;

    if (chr->source.type != CHR_TYPE_PTY)
        return TRUE;
    if (!vm_query_chardev(qmp, &chardevs, error))
        return FALSE;
    for (guint i = 0; i < chardevs->len; i++) {
        const VmChardev *chardev = chardevs->pdata[i];

        if (strcmp(chardev->id, id) == 0 && g_str_has_prefix(chardev->filename, "pty:")) {
            g_free(chr->source.path);
            chr->source.path = g_strdup(chardev->filename + strlen("pty:"));
        }
    }
    return TRUE;
}

/* Before the device is there. */
static gboolean prepare(Plug *plug, DeviceInfo *dev, GError **error)
{
    const WatchdogDef *watchdog = (const WatchdogDef *)dev;
    WatchdogAction action;

    if (dev->kind != DEVICE_WATCHDOG)
        return TRUE;
    if (watchdog->model != WATCHDOG_I6300ESB)
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "hotplug of watchdog of model %s is not supported",
                         watchdog_model_to_string(watchdog->model));
    action = watchdog->action == WATCHDOG_DUMP ? WATCHDOG_PAUSE : watchdog->action;
    return qmp_call(plug->qmp, "watchdog-set-action",
                    json_pack("{s:s}", "action", watchdog_action_to_string(action)), 0, NULL, error);
}

static gboolean finish(Plug *plug, DeviceInfo *dev, GError **error)
{
    switch (dev->kind) {
    case DEVICE_SERIAL:
    case DEVICE_PARALLEL:
    case DEVICE_CONSOLE:
    case DEVICE_CHANNEL:
        return read_pty(plug->qmp, (ChrDef *)dev, error);
    case DEVICE_INTERFACE:
        return ((InterfaceDef *)dev)->link != NET_LINK_DOWN || vm_set_link(plug->qmp, dev->alias, FALSE, error);
    case DEVICE_DISK:
        return qemu_live_set_throttle(plug->qmp, (DiskDef *)dev, error);
    default:
        return TRUE;
    }
}

gboolean qemu_plug(const BackendConfig *config, VmProcess *vm, DomainDef *live, DeviceInfo *dev, GError **error)
{
    g_autoptr(QemuCaps) caps = qemu_caps_cache_get(config->qemu_caps, live->emulator, error);
    g_autoptr(QemuHost) host = NULL;
    g_autoptr(QemuArgs) args = NULL;
    QemuArgsContext context = {.caps = caps,
                               .emulator = live->emulator,
                               .run_dir = vm_process_run_dir(vm),
                               .privileged = config->privileged,
                               .monitor_fd = -1};
    Plug plug;
    gboolean good;

    if (caps == NULL)
        return FALSE;
    dev->effective_boot_index = dev->boot_index;
    host = qemu_host_prepare_device(config, live, dev, vm_process_run_dir(vm), error);
    if (host == NULL)
        return FALSE;
    context.nets = host->n_nets > 0 ? host->nets : NULL;
    context.sockets = host->sockets;
    if (dev->kind == DEVICE_DISK)
        disk_chain_number(live, ((DiskDef *)dev)->source); /* all of it is known by now */
    args = qemu_args_build_device(live, dev, &context, error);
    if (args == NULL)
        return FALSE;
    plug_init(&plug, vm_process_qmp(vm));
    good = prepare(&plug, dev, error) && say_all(&plug, args, dev->alias, error) &&
           qemu_host_helpers_live(host, error);
    if (!good)
        undo(&plug);
    host->kept = good;
    if (good && !finish(&plug, dev, error)) {
        /* The device is in and the guest may have seen it, so it can only be asked to let go. */
        vm_device_del(plug.qmp, dev->alias, NULL);
        good = FALSE;
    }
    plug_clear(&plug);
    return good;
}

/* --- afterwards --- */

static void remove_nodes(QmpClient *qmp, const DiskDef *disk)
{
    g_autoptr(GPtrArray) nodes = qemu_disk_nodes(disk, NULL);

    for (guint i = nodes != NULL ? nodes->len : 0; i-- > 0;)
        remove_one(qmp, STEP_BLOCKDEV, jstr(nodes->pdata[i], "node-name"));
}

static void remove_chardev(QmpClient *qmp, const ChrSource *source, const char *alias)
{
    g_autofree char *id = g_strconcat("char", alias, NULL);
    struct stat st;

    remove_one(qmp, STEP_CHARDEV, id);
    if (source->type == CHR_TYPE_UNIX && source->mode == CHR_MODE_BIND && source->path != NULL &&
        lstat(source->path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(source->path);
}

static void remove_interface(QmpClient *qmp, const InterfaceDef *net)
{
    g_autofree char *id = g_strconcat("host", net->info.alias, NULL);

    remove_one(qmp, STEP_NETDEV, id);
    if (net->type == INTERFACE_VHOSTUSER)
        remove_chardev(qmp, &net->vhostuser, net->info.alias);
    if (interface_is_ovs(net) && net->target != NULL)
        tap_ovs_leave(net->target);
    if (interface_actual_type(net) == INTERFACE_ETHERNET && net->downscript != NULL && net->target != NULL) {
        const char *argv[] = {net->downscript, net->target, NULL};

        g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_STDOUT_TO_DEV_NULL | G_SPAWN_STDERR_TO_DEV_NULL, NULL,
                     NULL, NULL, NULL, NULL, NULL);
    }
}

void qemu_unplugged(const BackendConfig *config, VmProcess *vm, const DeviceInfo *dev)
{
    QmpClient *qmp = vm_process_qmp(vm);
    g_autofree char *object = NULL;

    switch (dev->kind) {
    case DEVICE_DISK:
        remove_nodes(qmp, (const DiskDef *)dev);
        break;
    case DEVICE_INTERFACE:
        remove_interface(qmp, (const InterfaceDef *)dev);
        break;
    case DEVICE_SERIAL:
    case DEVICE_PARALLEL:
    case DEVICE_CONSOLE:
    case DEVICE_CHANNEL:
        remove_chardev(qmp, &((const ChrDef *)dev)->source, dev->alias);
        break;
    case DEVICE_RNG:
        object = g_strconcat("obj", dev->alias, NULL);
        remove_one(qmp, STEP_OBJECT, object);
        if (((const RngDef *)dev)->backend == RNG_BACKEND_EGD)
            remove_chardev(qmp, &((const RngDef *)dev)->egd, dev->alias);
        break;
    case DEVICE_MEMORY:
        object = g_strconcat("mem", dev->alias, NULL);
        remove_one(qmp, STEP_OBJECT, object);
        break;
    case DEVICE_REDIRDEV:
        remove_chardev(qmp, &((const RedirdevDef *)dev)->source, dev->alias);
        break;
    case DEVICE_SHMEM:
        object = g_strconcat("shmmem-", dev->alias, NULL);
        remove_one(qmp, STEP_OBJECT, object);
        break;
    case DEVICE_HOSTDEV:
        hostdev_give_back("/sys", (const HostdevDef *)dev);
        break;
    default:
        break;
    }
}
