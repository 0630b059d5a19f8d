/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Backing chains. Where the definition ends a chain (<backingStore/>) or gives it, that is what counts. Where
 * it says nothing, the image's header does, as with libvirt: each backing image must be a local file and its
 * format must stand in the header, for a format that is guessed could have been written by a guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/error.h"
#include "common/fd.h"
#include "driver/backend/vmm_host.h"
#include "driver/conf/def_disk.h"
#include "driver/conf/domain_def.h"
#include "storage/image.h"

enum { CHAIN_MAX = 200 };

static gboolean refuse(const DiskDef *disk, const StorageSource *source, GError **error, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

static gboolean refuse(const DiskDef *disk, const StorageSource *source, GError **error, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, format);
    text = g_strdup_vprintf(format, ap);
    va_end(ap);
    return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "disk '%s': image '%s' %s", disk->target, source->path, text);
}

/* The backing image that a header names, as a source of its own. */
static StorageSource *backing_of(const DiskDef *disk, const StorageSource *source, const ImageProbe *probe,
                                 GError **error)
{
    g_autoptr(StorageSource) backing = NULL;
    const char *name = probe->backing_name;

    if (g_str_has_prefix(name, "file:"))
        name += strlen("file:");
    else if (strncmp(name, "json:", 5) == 0 || (strstr(name, "://") != NULL && name[0] != '/')) {
        refuse(disk, source, error, "has the backing image '%s', which is no local file", name);
        return NULL;
    }
    if (probe->backing_format[0] == '\0') {
        refuse(disk, source, error,
               "does not say the format of its backing image '%s': add it with qemu-img rebase -u -b '%s' -F "
               "FORMAT, or write <backingStore>",
               name, name);
        return NULL;
    }
    if (strcmp(probe->backing_format, "raw") != 0 && strcmp(probe->backing_format, "qcow2") != 0) {
        refuse(disk, source, error, "has a backing image of format '%s', which kite-vmm does not support: use QEMU",
               probe->backing_format);
        return NULL;
    }
    backing = storage_source_new(STORAGE_TYPE_FILE);
    backing->detected = TRUE;
    backing->format = probe->backing_format[0] == 'q' ? STORAGE_FORMAT_QCOW2 : STORAGE_FORMAT_RAW;
    if (name[0] == '/') {
        backing->path = g_strdup(name);
    } else {
        g_autofree char *folder = g_path_get_dirname(source->path);

        backing->path = g_build_filename(folder, name, NULL);
    }
    return g_steal_pointer(&backing);
}

static gboolean complete(const DiskDef *disk, StorageSource *source, GError **error)
{
    for (guint depth = 0; source != NULL && source->type != STORAGE_TYPE_NONE; source = source->backing) {
        autofd fd = -1;
        ImageProbe probe;
        Err err = {0};
        int r;

        if (++depth > CHAIN_MAX)
            return refuse(disk, source, error, "is the %uth of its chain: there is a loop", depth);
        if (source->backing != NULL)
            continue;
        if (source->format == STORAGE_FORMAT_QCOW2) {
            fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
            if (fd < 0)
                return error_set_errno(error, errno, "Cannot access storage file '%s' of disk '%s'", source->path,
                                       disk->target);
            r = image_probe_fd(fd, &probe, &err);
            if (r < 0)
                return error_set_errno(error, -r, "cannot read the image '%s' of disk '%s'", source->path,
                                       disk->target);
            if (probe.format != IMAGE_FORMAT_QCOW2)
                return refuse(disk, source, error, "is not in qcow2 format, as the definition says");
            if (probe.data_file[0] != '\0')
                return refuse(disk, source, error, "keeps its data in another file, which is not supported");
            if (probe.encrypted)
                return refuse(disk, source, error, "is encrypted, which is not supported yet");
            if (probe.backing_name[0] != '\0') {
                source->backing = backing_of(disk, source, &probe, error);
                if (source->backing == NULL)
                    return FALSE;
                continue;
            }
        }
        source->backing = storage_source_new(STORAGE_TYPE_NONE); /* the end */
    }
    return TRUE;
}

gboolean vmm_chain_complete_disk(DiskDef *disk, GError **error)
{
    return storage_source_is_empty(disk->source) || complete(disk, disk->source, error);
}

gboolean vmm_chain_complete(DomainDef *live, GError **error)
{
    DOMAIN_DEF_FOREACH(DiskDef, disk, live, DEVICE_DISK)
    {
        if (!vmm_chain_complete_disk(disk, error))
            return FALSE;
    }
    return TRUE;
}
