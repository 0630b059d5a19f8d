/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Backing chains as kite-vmm takes them. Its engine reads chains of local files, raw or qcow2, every layer of which is known
 * and whole in itself; what goes through qemu-storage-daemon is read by QEMU's block layer, which has no keys and sees no
 * file but those of the chain.
 */
#include "common/error.h"
#include "driver/backend/storage_daemon.h"
#include "driver/backend/vmm_host.h"
#include "driver/conf/def_disk.h"
#include "driver/conf/domain_def.h"

static const char *obstacle(const StorageSource *source)
{
    if (source->has_data_file)
        return "keeps its data in another file";
    if (source->payload_encrypted)
        return "is encrypted";
    if (source->backing == NULL && source->type != STORAGE_TYPE_NETWORK)
        return "has a backing image that cannot be described";
    return NULL;
}

gboolean vmm_chain_check_disk(const DiskDef *disk, GError **error)
{
    g_autofree char *daemon = NULL;

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
    if (storage_way(disk) == STORAGE_DAEMON && (daemon = storage_daemon_path()) == NULL)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "disk '%s': one of its images is neither raw nor qcow2, or is not local: kite-vmm needs "
                         "qemu-storage-daemon for it, which is not installed (Debian: qemu-system-common), or name QEMU in "
                         "<emulator>",
                         disk->target);
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
