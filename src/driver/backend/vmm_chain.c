/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Backing chains as kite-vmm takes them: every layer is known, a local file, raw or qcow2, and whole in itself. */
#include "common/error.h"
#include "driver/backend/vmm_host.h"
#include "driver/conf/def_disk.h"
#include "driver/conf/domain_def.h"

static const char *obstacle(const StorageSource *source)
{
    if (source->type != STORAGE_TYPE_FILE && source->type != STORAGE_TYPE_BLOCK)
        return "is no local file";
    if (source->format != STORAGE_FORMAT_RAW && source->format != STORAGE_FORMAT_QCOW2)
        return "is neither raw nor qcow2";
    if (source->has_data_file)
        return "keeps its data in another file";
    if (source->payload_encrypted)
        return "is encrypted";
    if (source->backing == NULL)
        return "has a backing image that cannot be described";
    return NULL;
}

gboolean vmm_chain_check_disk(const DiskDef *disk, GError **error)
{
    if (storage_source_is_empty(disk->source))
        return TRUE;
    for (const StorageSource *s = disk->source; s != NULL && s->type != STORAGE_TYPE_NONE; s = s->backing) {
        const char *why = obstacle(s);
        g_autofree char *name = NULL;

        if (why == NULL)
            continue;
        name = storage_source_describe(s);
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "disk '%s': image '%s' %s, which kite-vmm does not support: name QEMU in <emulator>",
                         disk->target, name, why);
    }
    return TRUE;
}

gboolean vmm_chain_check(const DomainDef *live, GError **error)
{
    DOMAIN_DEF_FOREACH(DiskDef, disk, live, DEVICE_DISK)
    {
        if (!vmm_chain_check_disk(disk, error))
            return FALSE;
    }
    return TRUE;
}
