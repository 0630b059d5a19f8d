/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of all device elements, and what is the same for all of them: making, parsing, formatting,
 * copying and freeing. A new element: its def_<element>.{c,h} with "extern const DeviceDefOps
 * <element>_def_ops;", its line here and in DeviceKind.
 */
#include "driver/conf/device_def.h"

#include "common/error.h"
#include "driver/conf/def_audio.h"
#include "driver/conf/def_chr.h"
#include "driver/conf/def_controller.h"
#include "driver/conf/def_crypto.h"
#include "driver/conf/def_disk.h"
#include "driver/conf/def_filesystem.h"
#include "driver/conf/def_graphics.h"
#include "driver/conf/def_hostdev.h"
#include "driver/conf/def_hub.h"
#include "driver/conf/def_input.h"
#include "driver/conf/def_interface.h"
#include "driver/conf/def_iommu.h"
#include "driver/conf/def_lease.h"
#include "driver/conf/def_memballoon.h"
#include "driver/conf/def_memory.h"
#include "driver/conf/def_panic.h"
#include "driver/conf/def_redirdev.h"
#include "driver/conf/def_redirfilter.h"
#include "driver/conf/def_rng.h"
#include "driver/conf/def_shmem.h"
#include "driver/conf/def_smartcard.h"
#include "driver/conf/def_sound.h"
#include "driver/conf/def_tpm.h"
#include "driver/conf/def_video.h"
#include "driver/conf/def_vsock.h"
#include "driver/conf/def_watchdog.h"
#include "driver/conf/domain_def.h"
#include "driver/conf/domain_validate.h"

ENUM_TABLE(device_kind, DeviceKind, DEVICE_KIND_LAST, "disk", "controller", "lease", "filesystem",
           "interface", "smartcard", "serial", "parallel", "console", "channel", "input", "tpm", "graphics",
           "sound", "audio", "video", "hostdev", "redirdev", "redirfilter", "hub", "watchdog", "memballoon",
           "rng", "panic", "shmem", "memory", "iommu", "vsock", "crypto")

static const DeviceDefOps *const device_table[DEVICE_KIND_LAST] = {
    [DEVICE_DISK] = &disk_def_ops,
    [DEVICE_CONTROLLER] = &controller_def_ops,
    [DEVICE_LEASE] = &lease_def_ops,
    [DEVICE_FILESYSTEM] = &filesystem_def_ops,
    [DEVICE_INTERFACE] = &interface_def_ops,
    [DEVICE_SMARTCARD] = &smartcard_def_ops,
    [DEVICE_SERIAL] = &serial_def_ops,
    [DEVICE_PARALLEL] = &parallel_def_ops,
    [DEVICE_CONSOLE] = &console_def_ops,
    [DEVICE_CHANNEL] = &channel_def_ops,
    [DEVICE_INPUT] = &input_def_ops,
    [DEVICE_TPM] = &tpm_def_ops,
    [DEVICE_GRAPHICS] = &graphics_def_ops,
    [DEVICE_SOUND] = &sound_def_ops,
    [DEVICE_AUDIO] = &audio_def_ops,
    [DEVICE_VIDEO] = &video_def_ops,
    [DEVICE_HOSTDEV] = &hostdev_def_ops,
    [DEVICE_REDIRDEV] = &redirdev_def_ops,
    [DEVICE_REDIRFILTER] = &redirfilter_def_ops,
    [DEVICE_HUB] = &hub_def_ops,
    [DEVICE_WATCHDOG] = &watchdog_def_ops,
    [DEVICE_MEMBALLOON] = &memballoon_def_ops,
    [DEVICE_RNG] = &rng_def_ops,
    [DEVICE_PANIC] = &panic_def_ops,
    [DEVICE_SHMEM] = &shmem_def_ops,
    [DEVICE_MEMORY] = &memory_def_ops,
    [DEVICE_IOMMU] = &iommu_def_ops,
    [DEVICE_VSOCK] = &vsock_def_ops,
    [DEVICE_CRYPTO] = &crypto_def_ops,
};

const DomainDefEnv domain_def_env_default;

const DeviceDefOps *device_def_ops(DeviceKind kind)
{
    return kind < DEVICE_KIND_LAST ? device_table[kind] : NULL;
}

int device_kind_of_element(xmlNodePtr node)
{
    int kind = device_kind_from_string((const char *)node->name);

    return kind >= 0 && device_table[kind] != NULL ? kind : -1;
}

DeviceInfo *device_def_new(DeviceKind kind)
{
    const DeviceDefOps *ops = device_def_ops(kind);
    DeviceInfo *dev;

    g_assert(ops != NULL && ops->size >= sizeof(DeviceInfo));
    dev = g_malloc0(ops->size);
    dev->kind = kind;
    if (ops->init != NULL)
        ops->init(dev);
    return dev;
}

void device_def_free(DeviceInfo *dev)
{
    const DeviceDefOps *ops;

    if (dev == NULL)
        return;
    ops = device_def_ops(dev->kind);
    if (ops->clear != NULL)
        ops->clear(dev);
    device_info_clear(dev);
    g_free(dev);
}

DeviceInfo *device_def_parse_node(xmlNodePtr node, const DeviceContext *ctx, GError **error)
{
    int kind = device_kind_of_element(node);
    g_autoptr(DeviceInfo) dev = NULL;

    if (kind < 0) {
        error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "unknown device type '%s'", (const char *)node->name);
        return NULL;
    }
    dev = device_def_new(kind);
    if (!device_def_ops(kind)->parse(dev, node, ctx, error))
        return NULL;
    return g_steal_pointer(&dev);
}

DeviceInfo *device_def_parse(const char *text, const DomainDef *def, const DomainDefEnv *env, guint flags,
                             GError **error)
{
    DeviceContext ctx = {.flags = flags, .def = def, .env = env != NULL ? env : &domain_def_env_default};
    g_autoptr(xmlDoc) doc = xml_parse(text, "(device_definition)", NULL, error);
    g_autoptr(DeviceInfo) dev = NULL;
    const DeviceDefOps *ops;

    if (doc == NULL)
        return NULL;
    dev = device_def_parse_node(xmlDocGetRootElement(doc), &ctx, error);
    if (dev == NULL)
        return NULL;
    ops = device_def_ops(dev->kind);
    if (ops->post_parse != NULL && !ops->post_parse(dev, &ctx, error))
        return NULL;
    if (!(flags & DOMAIN_DEF_PARSE_SKIP_VALIDATE) && !device_def_validate(dev, &ctx, error))
        return NULL;
    return g_steal_pointer(&dev);
}

void device_def_format_into(XmlWriter *w, const DeviceInfo *dev, const DeviceFormat *fmt)
{
    device_def_ops(dev->kind)->format(w, dev, fmt);
}

char *device_def_format(const DeviceInfo *dev, const DomainDef *def, guint flags)
{
    DeviceFormat fmt = {.flags = flags, .def = def};
    XmlWriter *w = xml_writer_new(0);

    device_def_format_into(w, dev, &fmt);
    return xml_writer_finish(w);
}

DeviceInfo *device_def_copy(const DeviceInfo *dev, const DomainDef *def, const DomainDefEnv *env,
                            GError **error)
{
    g_autofree char *text = device_def_format(dev, def, DOMAIN_DEF_FORMAT_SECURE | DOMAIN_DEF_FORMAT_STATUS);
    DeviceContext ctx = {.flags = DOMAIN_DEF_PARSE_STATUS | DOMAIN_DEF_PARSE_SKIP_VALIDATE,
                         .def = def,
                         .env = env != NULL ? env : &domain_def_env_default};
    g_autoptr(xmlDoc) doc = xml_parse(text, "(device_copy)", NULL, error);

    return doc != NULL ? device_def_parse_node(xmlDocGetRootElement(doc), &ctx, error) : NULL;
}
