/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of all device elements, and what is the same for all of them: making, parsing, formatting, copying
 * and freeing. A new element: its def_<element>.{c,h} with "extern const DeviceDefOps <element>_def_ops;", its
 * line here and in DeviceKind.
 */
#include "driver/conf/device_def.h"

#include "common/error.h"
#include "driver/conf/domain_def.h"
#include "driver/conf/domain_validate.h"

ENUM_TABLE(device_kind, DeviceKind, DEVICE_KIND_LAST, "disk", "controller", "lease", "filesystem", "interface",
           "smartcard", "serial", "parallel", "console", "channel", "input", "tpm", "graphics", "sound", "audio",
           "video", "hostdev", "redirdev", "redirfilter", "hub", "watchdog", "memballoon", "rng", "panic", "shmem",
           "memory", "iommu", "vsock", "crypto")

/* An element without ops is one that this build ignores. */
static const DeviceDefOps *const device_table[DEVICE_KIND_LAST] = {
    [DEVICE_DISK] = NULL,
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
        error_set(error, VIR_ERR_XML_ERROR, "unknown device type '%s'", (const char *)node->name);
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

DeviceInfo *device_def_copy(const DeviceInfo *dev, const DomainDef *def, const DomainDefEnv *env, GError **error)
{
    g_autofree char *text =
        device_def_format(dev, def, DOMAIN_DEF_FORMAT_SECURE | DOMAIN_DEF_FORMAT_STATUS);
    DeviceContext ctx = {.flags = DOMAIN_DEF_PARSE_STATUS | DOMAIN_DEF_PARSE_SKIP_VALIDATE,
                         .def = def,
                         .env = env != NULL ? env : &domain_def_env_default};
    g_autoptr(xmlDoc) doc = xml_parse(text, "(device_copy)", NULL, error);

    return doc != NULL ? device_def_parse_node(xmlDocGetRootElement(doc), &ctx, error) : NULL;
}
