/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The small devices: balloon, random numbers, watchdog, panic notifier, vsock, IOMMU, 9p. */
#include <string.h>

#include "driver/backend/qemu_args_priv.h"
#include "driver/backend/virtiofsd.h"
#include "driver/conf/def_filesystem.h"
#include "driver/conf/def_iommu.h"
#include "driver/conf/def_memballoon.h"
#include "driver/conf/def_panic.h"
#include "driver/conf/def_rng.h"
#include "driver/conf/def_vsock.h"
#include "driver/conf/def_watchdog.h"

static gboolean add_balloon(QemuBuilder *b, const MemballoonDef *balloon, GError **error)
{
    VirtioModel model = balloon->model == MEMBALLOON_TRANSITIONAL       ? VIRTIO_MODEL_TRANSITIONAL
                        : balloon->model == MEMBALLOON_NON_TRANSITIONAL ? VIRTIO_MODEL_NON_TRANSITIONAL
                                                                        : VIRTIO_MODEL_VIRTIO;
    g_autofree char *driver = virtio_driver("virtio-balloon", model, &balloon->info);
    json_t *props;

    if (balloon->model == MEMBALLOON_NONE)
        return TRUE;
    if (balloon->model == MEMBALLOON_XEN)
        return args_unsupported(error, "memballoon model 'xen' is not supported");
    props = device_props(driver);
    prop_bool(props, "deflate-on-oom", balloon->autodeflate);
    prop_bool(props, "free-page-reporting", balloon->free_page_reporting);
    virtio_props(props, &balloon->virtio);
    return args_add_device(b, props, &balloon->info, error);
}

static gboolean add_rng(QemuBuilder *b, const RngDef *rng, GError **error)
{
    g_autofree char *driver = virtio_driver("virtio-rng", rng->model, &rng->info);
    g_autofree char *object = g_strconcat("obj", rng->info.alias, NULL);
    json_t *props;

    if (rng->backend == RNG_BACKEND_EGD) {
        g_autofree char *chardev = g_strconcat("char", rng->info.alias, NULL);

        if (!args_chardev(b, &rng->egd, rng->info.alias, error))
            return FALSE;
        args_add_json(b, "-object",
                      json_pack("{s:s, s:s, s:s}", "qom-type", "rng-egd", "id", object, "chardev", chardev));
    } else if (rng->backend == RNG_BACKEND_BUILTIN) {
        args_add_json(b, "-object", json_pack("{s:s, s:s}", "qom-type", "rng-builtin", "id", object));
    } else {
        args_add_json(b, "-object",
                      json_pack("{s:s, s:s, s:s}", "qom-type", "rng-random", "id", object, "filename",
                                rng->file ? rng->file : "/dev/urandom"));
    }
    props = device_props(driver);
    prop_str(props, "rng", object);
    if (rng->rate != 0) {
        prop_uint(props, "max-bytes", rng->rate);
        prop_uint(props, "period", rng->period ? rng->period : 1000);
    }
    virtio_props(props, &rng->virtio);
    return args_add_device(b, props, &rng->info, error);
}

static gboolean add_watchdog(QemuBuilder *b, const WatchdogDef *watchdog, GError **error)
{
    switch (watchdog->model) {
    case WATCHDOG_I6300ESB:
        return args_add_device(b, device_props("i6300esb"), &watchdog->info, error);
    case WATCHDOG_IB700: {
        json_t *props = device_props("ib700");

        prop_str(props, "id", watchdog->info.alias);
        args_add_json(b, "-device", props);
        return TRUE;
    }
    case WATCHDOG_ITCO:
        if (!os_def_is_q35(&b->def->os))
            return args_unsupported(error, "watchdog model 'itco' is part of the q35 machine only");
        args_add(b, "-global", "ICH9-LPC.noreboot=off");
        return TRUE;
    default:
        return args_unsupported(error, "watchdog model '%s' is not supported on x86",
                                watchdog_model_to_string(watchdog->model));
    }
}

static gboolean add_watchdogs(QemuBuilder *b, GError **error)
{
    const WatchdogDef *first = DOMAIN_DEF_SINGLE(WatchdogDef, b->def, DEVICE_WATCHDOG);
    WatchdogAction action;

    if (first == NULL)
        return TRUE;
    DOMAIN_DEF_FOREACH(WatchdogDef, watchdog, b->def, DEVICE_WATCHDOG)
    {
        if (!add_watchdog(b, watchdog, error))
            return FALSE;
    }
    /* A dump is made by the daemon once the guest stands still. */
    action = first->action == WATCHDOG_DUMP ? WATCHDOG_PAUSE : first->action;
    args_add(b, "-watchdog-action", "%s", watchdog_action_to_string(action));
    return TRUE;
}

static gboolean add_panic(QemuBuilder *b, const PanicDef *panic, GError **error)
{
    json_t *props;

    switch (panic->model) {
    case PANIC_DEFAULT:
    case PANIC_ISA:
        props = device_props("pvpanic");
        if (panic->info.address.type == ADDRESS_ISA)
            prop_uint(props, "ioport", panic->info.address.u.isa.iobase);
        args_add_json(b, "-device", props);
        return TRUE;
    case PANIC_PVPANIC:
        return args_add_device(b, device_props("pvpanic-pci"), &panic->info, error);
    case PANIC_HYPERV: /* a CPU feature */
        return TRUE;
    default:
        return args_unsupported(error, "panic model '%s' is not supported on x86",
                                panic_model_to_string(panic->model));
    }
}

static gboolean add_iommu(QemuBuilder *b, const IommuDef *iommu, GError **error)
{
    json_t *props;

    if (iommu->model == IOMMU_VIRTIO)
        return args_add_device(b, device_props("virtio-iommu-pci"), &iommu->info, error);
    if (iommu->model != IOMMU_INTEL)
        return args_unsupported(error, "iommu model '%s' is not supported on x86",
                                iommu_model_to_string(iommu->model));
    props = device_props("intel-iommu");
    prop_str(props, "id", iommu->info.alias);
    prop_onoff(props, "intremap", iommu->intremap);
    prop_bool(props, "caching-mode", iommu->caching_mode);
    prop_onoff(props, "eim", iommu->eim);
    prop_bool(props, "device-iotlb", iommu->iotlb);
    prop_uint(props, "aw-bits", iommu->aw_bits);
    args_add_json(b, "-device", props);
    return TRUE;
}

static gboolean add_vsock(QemuBuilder *b, const VsockDef *vsock, GError **error)
{
    g_autofree char *driver = virtio_driver("vhost-vsock", vsock->model, &vsock->info);
    GHashTable *fds = b->context->sockets;
    int fd = fds != NULL ? GPOINTER_TO_INT(g_hash_table_lookup(fds, vsock->info.alias)) : 0;
    json_t *props = device_props(driver);

    if (fd > 0)
        json_object_set_new(props, "vhostfd", json_sprintf("%d", args_pass_fd(b, fd)));
    prop_uint(props, "guest-cid", vsock->cid);
    virtio_props(props, &vsock->virtio);
    return args_add_device(b, props, &vsock->info, error);
}

static gboolean add_virtiofs(QemuBuilder *b, const FilesystemDef *fs, GError **error)
{
    g_autofree char *driver = virtio_driver("vhost-user-fs", fs->model, &fs->info);
    g_autofree char *chardev = g_strconcat("chr-vu-", fs->info.alias, NULL);
    g_autofree char *socket = virtiofsd_socket(fs, b->context->run_dir);
    g_autofree char *path = args_escape(socket);
    json_t *props;

    args_add(b, "-chardev", "socket,id=%s,path=%s", chardev, path);
    props = device_props(driver);
    prop_str(props, "chardev", chardev);
    prop_uint(props, "queue-size", fs->queue_size);
    prop_str(props, "tag", fs->target);
    virtio_props(props, &fs->virtio);
    return args_add_device(b, props, &fs->info, error);
}

static gboolean add_filesystem(QemuBuilder *b, const FilesystemDef *fs, GError **error)
{
    static const char *const models[FS_ACCESS_LAST] = {[FS_ACCESS_DEFAULT] = "passthrough",
                                                       [FS_ACCESS_PASSTHROUGH] = "passthrough",
                                                       [FS_ACCESS_MAPPED] = "mapped",
                                                       [FS_ACCESS_SQUASH] = "none"};
    g_autofree char *driver = virtio_driver("virtio-9p", fs->model, &fs->info);
    g_autofree char *fsdev = g_strconcat("fsdev-", fs->info.alias, NULL);
    g_autofree char *path = args_escape(fs->source ? fs->source : "");
    GString *text;
    json_t *props;

    if (fs->type == FS_TYPE_MOUNT && fs->driver == FS_DRIVER_VIRTIOFS)
        return add_virtiofs(b, fs, error);
    if (fs->type != FS_TYPE_MOUNT || (fs->driver != FS_DRIVER_DEFAULT && fs->driver != FS_DRIVER_PATH))
        return args_unsupported(error, "<filesystem>: only type 'mount' with driver 'path' is supported");
    text = g_string_new(NULL);
    g_string_append_printf(text, "local,security_model=%s", models[fs->accessmode]);
    if (fs->multidevs != FS_MULTIDEVS_DEFAULT)
        g_string_append_printf(text, ",multidevs=%s", fs_multidevs_to_string(fs->multidevs));
    if (fs->fmode != 0)
        g_string_append_printf(text, ",fmode=%04o", fs->fmode);
    if (fs->dmode != 0)
        g_string_append_printf(text, ",dmode=%04o", fs->dmode);
    if (fs->wrpolicy == FS_WRPOLICY_IMMEDIATE)
        g_string_append(text, ",writeout=immediate");
    g_string_append_printf(text, ",id=%s,path=%s%s", fsdev, path, fs->readonly ? ",readonly=on" : "");
    args_add_text(b, "-fsdev", g_string_free(text, FALSE));
    props = device_props(driver);
    prop_str(props, "fsdev", fsdev);
    prop_str(props, "mount_tag", fs->target);
    virtio_props(props, &fs->virtio);
    return args_add_device(b, props, &fs->info, error);
}

gboolean args_misc_device(QemuBuilder *b, const DeviceInfo *dev, GError **error)
{
    switch (dev->kind) {
    case DEVICE_RNG:
        return add_rng(b, (const RngDef *)dev, error);
    case DEVICE_WATCHDOG:
        return add_watchdog(b, (const WatchdogDef *)dev, error);
    case DEVICE_VSOCK:
        return add_vsock(b, (const VsockDef *)dev, error);
    default:
        return args_unsupported(error, "a %s device cannot be added to a running machine",
                                device_kind_to_string(dev->kind));
    }
}

gboolean args_misc(QemuBuilder *b, GError **error)
{
    DOMAIN_DEF_FOREACH(IommuDef, iommu, b->def, DEVICE_IOMMU)
    {
        if (!add_iommu(b, iommu, error))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(FilesystemDef, fs, b->def, DEVICE_FILESYSTEM)
    {
        if (!add_filesystem(b, fs, error))
            return FALSE;
    }
    if (!add_watchdogs(b, error))
        return FALSE;
    DOMAIN_DEF_FOREACH(MemballoonDef, balloon, b->def, DEVICE_MEMBALLOON)
    {
        if (!add_balloon(b, balloon, error))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(RngDef, rng, b->def, DEVICE_RNG)
    {
        if (!add_rng(b, rng, error))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(PanicDef, panic, b->def, DEVICE_PANIC)
    {
        if (!add_panic(b, panic, error))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(VsockDef, vsock, b->def, DEVICE_VSOCK)
    {
        if (!add_vsock(b, vsock, error))
            return FALSE;
    }
    if (feature_on(&b->def->features, FEATURE_VMCOREINFO))
        args_add_json(b, "-device", device_props("vmcoreinfo"));
    return TRUE;
}
