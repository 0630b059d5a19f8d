/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <memory> devices: see def_memory.h. */
#include "driver/conf/def_memory.h"

#include "common/error.h"
#include "driver/conf/domain_def.h"
#include "driver/conf/fields.h"
#include "driver/conf/supported.h"

ENUM_TABLE(memory_model, MemoryModel, MEMORY_MODEL_LAST, "", "dimm", "nvdimm", "virtio-pmem", "virtio-mem",
           "sgx-epc")

static const Field memory_fields[] = {
    FIELD_OF(MemoryDef, model, "model", FIELD_KIND_ENUM, .flags = FIELD_REQUIRED | FIELD_NONZERO,
             FIELD_TABLE(memory_model)),
    FIELD_ENUM(MemoryDef, access, "access", memory_access),
    FIELD_YES_NO(MemoryDef, discard, "discard"),
    FIELD_STR_CHILD(MemoryDef, uuid, "uuid"),
    FIELD_END,
};
static const Field dimm_source[] = {
    FIELD_STR_CHILD(MemoryDef, nodemask, "nodemask"),
    FIELD_KIB(MemoryDef, pagesize, "pagesize"),
    FIELD_END,
};
static const Field nvdimm_source[] = {
    FIELD_STR_CHILD(MemoryDef, path, "path"),
    FIELD_KIB(MemoryDef, alignsize, "alignsize"),
    FIELD_FLAG(MemoryDef, pmem, "pmem"),
    FIELD_END,
};
static const Field pmem_source[] = {FIELD_STR_CHILD(MemoryDef, path, "path"), FIELD_END};
static const Field epc_source[] = {FIELD_STR_CHILD(MemoryDef, nodemask, "nodemask"), FIELD_END};
static const Field *const source_fields[MEMORY_MODEL_LAST] = {
    [MEMORY_MODEL_NONE] = pmem_source,       [MEMORY_MODEL_DIMM] = dimm_source,
    [MEMORY_MODEL_NVDIMM] = nvdimm_source,   [MEMORY_MODEL_VIRTIO_PMEM] = pmem_source,
    [MEMORY_MODEL_VIRTIO_MEM] = dimm_source, [MEMORY_MODEL_SGX_EPC] = epc_source,
};
static const Field label_fields[] = {FIELD_KIB(MemoryDef, labelsize, "size"), FIELD_END};
static const Field target_fields[] = {
    FIELD_KIB(MemoryDef, size, "size"),
    FIELD_INT_CHILD(MemoryDef, node, "node", -1),
    FIELD_ELEMENT("label", label_fields),
    FIELD_FLAG(MemoryDef, readonly, "readonly"),
    FIELD_END,
};
static const Field block_fields[] = {FIELD_KIB(MemoryDef, block, "block"), FIELD_END};

static void memory_init(DeviceInfo *dev)
{
    ((MemoryDef *)dev)->node = -1;
}

static gboolean canonical_uuid(char **text, GError **error)
{
    guint8 uuid[16];
    char canonical[UUID_TEXT_SIZE];

    if (*text == NULL)
        return TRUE;
    if (!uuid_parse(*text, uuid))
        return error_set(error, VIR_ERR_XML_ERROR, "malformed uuid '%s' in <memory>", *text);
    uuid_format(uuid, canonical);
    g_free(*text);
    *text = g_strdup(canonical);
    return TRUE;
}

static gboolean memory_parse(DeviceInfo *dev, xmlNodePtr node, const DeviceContext *ctx, GError **error)
{
    MemoryDef *def = (MemoryDef *)dev;
    xmlNodePtr source = xml_child(node, "source");
    xmlNodePtr target = xml_child(node, "target");

    if (!fields_parse(memory_fields, node, def, error) || !canonical_uuid(&def->uuid, error))
        return FALSE;
    if (target == NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "missing <target> element for <memory> device");
    if ((source != NULL && !fields_parse(source_fields[def->model], source, def, error)) ||
        !fields_parse(target_fields, target, def, error) || !fields_parse(block_fields, target, def, error) ||
        !xml_child_get_memory_kib(target, "requested", XML_OPTIONAL, &def->requested, error))
        return FALSE;
    if (!(ctx->flags & DOMAIN_DEF_PARSE_INACTIVE) &&
        !xml_child_get_memory_kib(target, "current", XML_OPTIONAL, &def->current, error))
        return FALSE;
    if (def->size == 0)
        return error_set(error, VIR_ERR_XML_ERROR, "missing size of the <target> of a <memory> device");
    return device_info_parse(dev, node, ctx->flags, error);
}

static void format_kib(XmlWriter *w, const char *name, guint64 kib)
{
    xml_open(w, name);
    xml_attr(w, "unit", "KiB");
    xml_text_u64(w, kib);
    xml_close(w);
}

static void memory_format(XmlWriter *w, const DeviceInfo *dev, const DeviceFormat *fmt)
{
    const MemoryDef *def = (const MemoryDef *)dev;

    xml_open(w, "memory");
    fields_format(w, memory_fields, def);
    fields_format_element(w, "source", source_fields[def->model], def);
    xml_open(w, "target");
    fields_format(w, target_fields, def);
    if (def->block != 0) {
        format_kib(w, "block", def->block);
        format_kib(w, "requested", def->requested);
        if (!(fmt->flags & DOMAIN_DEF_FORMAT_INACTIVE))
            format_kib(w, "current", def->current);
    }
    xml_close(w);
    device_info_format(w, dev, fmt->flags);
    xml_close(w);
}

static gboolean memory_validate(const DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    const MemoryDef *def = (const MemoryDef *)dev;
    const char *model = memory_model_to_string(def->model);

    (void)ctx;
    if (!supported_check(SUPPORTED_MEMORY_MODEL, model, "memory model", error))
        return FALSE;
    if (def->discard == TRISTATE_YES && def->model != MEMORY_MODEL_DIMM &&
        def->model != MEMORY_MODEL_NVDIMM && def->model != MEMORY_MODEL_VIRTIO_MEM)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "discard is not supported for %s", model);
    if ((def->model == MEMORY_MODEL_NVDIMM || def->model == MEMORY_MODEL_VIRTIO_PMEM) && def->path == NULL)
        return error_set(error, VIR_ERR_XML_DETAIL, "path is required for model '%s'", model);
    if (def->model == MEMORY_MODEL_NVDIMM && def->pmem && def->readonly)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "nvdimm cannot be both pmem and read-only");
    if (def->labelsize != 0 && def->labelsize < 128)
        return error_set(error, VIR_ERR_XML_ERROR, "nvdimm label must be at least 128KiB");
    if (def->labelsize >= def->size)
        return error_set(error, VIR_ERR_XML_ERROR, "label size must be smaller than NVDIMM size");
    if (def->model != MEMORY_MODEL_VIRTIO_MEM)
        return TRUE;
    if (def->block == 0 || (def->block & (def->block - 1)) != 0)
        return error_set(error, VIR_ERR_XML_ERROR, "virtio-mem needs a block size that is a power of two");
    if (def->requested > def->size)
        return error_set(error, VIR_ERR_XML_ERROR,
                         "requested size must be smaller than or equal to @size (%" G_GUINT64_FORMAT " KiB)",
                         def->size);
    if (def->requested % def->block != 0)
        return error_set(error, VIR_ERR_XML_ERROR,
                         "requested size must be an integer multiple of block size (%" G_GUINT64_FORMAT
                         " KiB)",
                         def->block);
    return TRUE;
}

static gboolean memory_matches(const DeviceInfo *dev, const DeviceInfo *wanted_dev)
{
    const MemoryDef *def = (const MemoryDef *)dev;
    const MemoryDef *wanted = (const MemoryDef *)wanted_dev;

    return def->model == wanted->model && def->node == wanted->node && def->size == wanted->size &&
           def->block == wanted->block && fields_equal(source_fields[def->model], def, wanted);
}

static void memory_clear(DeviceInfo *dev)
{
    MemoryDef *def = (MemoryDef *)dev;

    g_free(def->uuid);
    g_free(def->nodemask);
    g_free(def->path);
}

static guint memory_pci_connect(const DeviceInfo *dev, const DomainDef *domain)
{
    const MemoryDef *def = (const MemoryDef *)dev;

    (void)domain;
    return def->model == MEMORY_MODEL_VIRTIO_MEM || def->model == MEMORY_MODEL_VIRTIO_PMEM
               ? PCI_CONNECT_EXPRESS | PCI_CONNECT_HOTPLUG
               : PCI_CONNECT_NONE;
}

const DeviceDefOps memory_def_ops = {
    .kind = DEVICE_MEMORY,
    .size = sizeof(MemoryDef),
    .init = memory_init,
    .parse = memory_parse,
    .format = memory_format,
    .validate = memory_validate,
    .matches = memory_matches,
    .match_by_address = TRUE,
    .clear = memory_clear,
    .pci_connect = memory_pci_connect,
};
