/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <shmem>: see def_shmem.h. */
#include "driver/conf/def_shmem.h"

#include <string.h>

#include "common/error.h"
#include "driver/conf/fields.h"

#define SIZE_DEFAULT (4ull << 20)

ENUM_TABLE(shmem_model, ShmemModel, SHMEM_LAST, "ivshmem", "ivshmem-plain", "ivshmem-doorbell")
ENUM_TABLE(shmem_role, ShmemRole, SHMEM_ROLE_LAST, "default", "master", "peer")

static const Field shmem_fields[] = {
    FIELD_STR_REQUIRED(ShmemDef, name, "name"),
    FIELD_ENUM(ShmemDef, role, "role", shmem_role),
    FIELD_END,
};
static const Field model_fields[] = {FIELD_ENUM_ALWAYS(ShmemDef, model, "type", shmem_model, 0), FIELD_END};
static const Field model_element[] = {FIELD_ELEMENT("model", model_fields), FIELD_END};
static const Field server_fields[] = {FIELD_STR(ShmemDef, server_path, "path"), FIELD_END};
static const Field msi_fields[] = {
    FIELD_UINT(ShmemDef, msi_vectors, "vectors"),
    FIELD_ON_OFF(ShmemDef, msi_ioeventfd, "ioeventfd"),
    FIELD_END,
};
static const Field tail_fields[] = {
    FIELD_ELEMENT_PRESENT(ShmemDef, has_server, "server", server_fields),
    FIELD_ELEMENT_PRESENT(ShmemDef, has_msi, "msi", msi_fields),
    FIELD_END,
};

static gboolean shmem_parse(DeviceInfo *dev, xmlNodePtr node, const DeviceContext *ctx, GError **error)
{
    ShmemDef *def = (ShmemDef *)dev;
    guint64 kib = 0;

    if (!fields_parse(shmem_fields, node, def, error) || !fields_parse(model_element, node, def, error) ||
        !fields_parse(tail_fields, node, def, error) ||
        !xml_child_get_memory_kib(node, "size", XML_OPTIONAL, &kib, error))
        return FALSE;
    if (kib > G_MAXUINT64 / 1024)
        return error_set(error, VIR_ERR_XML_ERROR, "size of shmem '%s' is too large", def->name);
    def->size = kib * 1024;
    if (def->has_msi && !def->has_server)
        return error_set(error, VIR_ERR_XML_ERROR, "shmem '%s': msi option is only supported with a server", def->name);
    return device_info_parse(dev, node, ctx->flags, error);
}

static void shmem_format(XmlWriter *w, const DeviceInfo *dev, const DeviceFormat *fmt)
{
    const ShmemDef *def = (const ShmemDef *)dev;

    xml_open(w, "shmem");
    fields_format(w, shmem_fields, def);
    fields_format(w, model_element, def);
    if (def->size != 0) {
        xml_open(w, "size");
        xml_attr(w, "unit", "M");
        xml_text_u64(w, def->size >> 20);
        xml_close(w);
    }
    fields_format(w, tail_fields, def);
    device_info_format(w, dev, fmt->flags);
    xml_close(w);
}

static gboolean shmem_post_parse(DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    ShmemDef *def = (ShmemDef *)dev;

    (void)ctx;
    (void)error;
    if (def->model != SHMEM_DOORBELL && def->size == 0)
        def->size = SIZE_DEFAULT;
    if (def->model == SHMEM_DOORBELL && def->has_server) {
        def->has_msi = TRUE;
        if (def->msi_ioeventfd == TRISTATE_ABSENT)
            def->msi_ioeventfd = TRISTATE_YES;
    }
    return TRUE;
}

static gboolean shmem_validate(const DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    const ShmemDef *def = (const ShmemDef *)dev;
    const char *model = shmem_model_to_string(def->model);

    (void)ctx;
    if (strchr(def->name, '/') != NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "shmem name '%s' must not contain '/'", def->name);
    if (strcmp(def->name, ".") == 0 || strcmp(def->name, "..") == 0)
        return error_set(error, VIR_ERR_XML_ERROR, "shmem name must not be equal to '%s'", def->name);
    if (def->model == SHMEM_IVSHMEM)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "shmem model '%s' is not supported; supported are ivshmem-plain, ivshmem-doorbell",
                         model);
    if (def->model == SHMEM_DOORBELL && !def->has_server)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "shmem model '%s' is supported only with server option enabled", model);
    if (def->model == SHMEM_DOORBELL && def->size != 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "shmem model '%s' does not support size setting",
                         model);
    if (def->model == SHMEM_PLAIN && def->has_server)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "shmem model '%s' is supported only with server option disabled", model);
    if (def->model == SHMEM_PLAIN && def->has_msi)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "shmem model '%s' doesn't support msi", model);
    if (def->model == SHMEM_PLAIN && (def->size < (1u << 20) || (def->size & (def->size - 1)) != 0))
        return error_set(error, VIR_ERR_XML_ERROR, "shmem size must be a power of two and at least 1 MiB");
    return TRUE;
}

static gboolean shmem_matches(const DeviceInfo *dev, const DeviceInfo *wanted_dev)
{
    const ShmemDef *def = (const ShmemDef *)dev;
    const ShmemDef *wanted = (const ShmemDef *)wanted_dev;

    return g_strcmp0(def->name, wanted->name) == 0 && def->model == wanted->model &&
           def->role == wanted->role && (wanted->size == 0 || def->size == wanted->size);
}

static void shmem_clear(DeviceInfo *dev)
{
    ShmemDef *def = (ShmemDef *)dev;

    g_free(def->name);
    g_free(def->server_path);
}

static guint shmem_pci_connect(const DeviceInfo *dev, const DomainDef *domain)
{
    (void)dev;
    (void)domain;
    return PCI_CONNECT_CONVENTIONAL | PCI_CONNECT_HOTPLUG;
}

const DeviceDefOps shmem_def_ops = {
    .kind = DEVICE_SHMEM,
    .size = sizeof(ShmemDef),
    .parse = shmem_parse,
    .format = shmem_format,
    .post_parse = shmem_post_parse,
    .validate = shmem_validate,
    .matches = shmem_matches,
    .match_by_address = TRUE,
    .clear = shmem_clear,
    .pci_connect = shmem_pci_connect,
};
