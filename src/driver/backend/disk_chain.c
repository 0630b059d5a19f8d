/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Backing chains: see disk_chain.h. */
#include "driver/backend/disk_chain.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/slow_file.h"
#include "driver/backend/backing_name.h"
#include "storage/probe_client.h"

/* --- following it --- */

/* Formats that know backing images; the others' chains end with them. */
static gboolean has_backing(StorageFormat format)
{
    return format == STORAGE_FORMAT_COW || format == STORAGE_FORMAT_QCOW || format == STORAGE_FORMAT_QCOW2 ||
           format == STORAGE_FORMAT_QED || format == STORAGE_FORMAT_VMDK;
}

static gboolean is_local(const StorageSource *source)
{
    return source->type == STORAGE_TYPE_FILE || source->type == STORAGE_TYPE_BLOCK;
}

/* libvirt's name of what was found; a CD image is bytes to a hypervisor. */
static StorageFormat format_of(ImageFormat found)
{
    const char *name = image_format_name(found);
    int format = name != NULL && found != IMAGE_FORMAT_ISO ? storage_format_from_string(name) : STORAGE_FORMAT_RAW;

    return format > STORAGE_FORMAT_NONE ? (StorageFormat)format : STORAGE_FORMAT_RAW;
}

/*
 * What stands at the backing image's path, and its format if the header above does not say. A guess is dangerous: a guest
 * may have written the header. So it counts only for an image that refers to no other, as with libvirt.
 */
static gboolean look_at(StorageSource *backing, const char *name, const StorageSource *above, GError **error)
{
    gboolean declared = backing->format != STORAGE_FORMAT_NONE;
    ImageProbe probe;
    struct stat st;
    int r;

    if (declared) {
        r = slow_file_open(backing->path, O_PATH, &st, 0);
        if (r >= 0)
            close(r);
    } else {
        r = probe_path(backing->path, &probe, &st, NULL);
    }
    if (r < 0) {
        /* A folder, or a file that is not there or cannot be read: whoever opens it next says so. */
        if (!declared)
            backing->format = STORAGE_FORMAT_RAW;
        return TRUE;
    }
    if (S_ISBLK(st.st_mode))
        backing->type = STORAGE_TYPE_BLOCK;
    if (declared)
        return TRUE;
    if (probe.backing_name[0] != '\0' || probe.data_file[0] != '\0')
        return error_set(error, VIR_ERR_OPERATION_INVALID,
                         "format of backing image '%s' of image '%s' was not specified in the image metadata (See "
                         "https://libvirt.org/kbase/backing_chains.html for troubleshooting)",
                         name, above->path);
    backing->format = format_of(probe.format);
    return TRUE;
}

static gboolean add_backing(StorageSource *source, const ImageProbe *probe, GError **error)
{
    g_autoptr(StorageSource) backing = NULL;
    gboolean usable;
    int format;

    if (!backing_name_parse(source, probe->backing_name, &backing, &usable, error))
        return FALSE;
    if (!usable)
        return TRUE;
    if (probe->backing_format[0] != '\0') {
        format = storage_format_from_string(probe->backing_format);
        if (format <= STORAGE_FORMAT_NONE)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "image '%s' says that its backing image '%s' has the unknown format '%s'", source->path,
                             probe->backing_name, probe->backing_format);
        backing->format = format == STORAGE_FORMAT_ISO ? STORAGE_FORMAT_RAW : (StorageFormat)format;
    }
    if (is_local(backing) && !look_at(backing, probe->backing_name, source, error))
        return FALSE;
    if (backing->format == STORAGE_FORMAT_NONE)
        return error_set(error, VIR_ERR_OPERATION_INVALID,
                         "format of backing image '%s' of image '%s' was not specified in the image metadata (See "
                         "https://libvirt.org/kbase/backing_chains.html for troubleshooting)",
                         probe->backing_name, source->path);
    source->backing = g_steal_pointer(&backing);
    return TRUE;
}

gboolean disk_chain_next(const DiskDef *disk, StorageSource *source, GError **error)
{
    const char *wanted = storage_format_to_string(source->format);
    ImageProbe probe;

    if (source->backing != NULL || storage_source_is_empty(source))
        return TRUE;
    if (!has_backing(source->format)) {
        if (source->type != STORAGE_TYPE_NETWORK)
            source->backing = storage_source_new(STORAGE_TYPE_NONE);
        return TRUE;
    }
    if (!is_local(source) || source->fdgroup != NULL)
        return TRUE;
    if (probe_path(source->path, &probe, NULL, error) < 0) {
        g_prefix_error(error, "disk '%s': ", disk->target);
        return FALSE;
    }
    if (source->format != STORAGE_FORMAT_VMDK && source->format != STORAGE_FORMAT_COW &&
        strcmp(image_format_name(probe.format), wanted) != 0)
        return error_set(error, VIR_ERR_INTERNAL_ERROR,
                         "disk '%s': Image '%s' is not in %s format, as the definition or the image above it says: "
                         "it looks like %s",
                         disk->target, source->path, wanted, image_format_name(probe.format));
    source->has_data_file = probe.data_file[0] != '\0' || probe.external_data;
    source->payload_encrypted = probe.encrypted;
    if (probe.backing_name[0] != '\0')
        return add_backing(source, &probe, error);
    source->backing = storage_source_new(STORAGE_TYPE_NONE);
    return TRUE;
}

/* --- numbering --- */

static guint highest_index(const StorageSource *source, guint highest)
{
    for (; source != NULL; source = source->backing)
        highest = MAX(highest, source->index);
    return highest;
}

static guint highest_of(const DomainDef *def)
{
    guint highest = 0;

    DOMAIN_DEF_FOREACH(DiskDef, disk, def, DEVICE_DISK)
    {
        highest = highest_index(disk->source, highest);
        highest = highest_index(disk->mirror, highest);
    }
    return highest;
}

static void number(StorageSource *source, gboolean detected, guint *highest)
{
    for (; source != NULL && source->type != STORAGE_TYPE_NONE; source = source->backing) {
        if (source->index == 0 && source->detected == detected && !storage_source_is_empty(source))
            source->index = ++*highest;
    }
}

void disk_chain_number_all(DomainDef *def)
{
    GPtrArray *disks = def->devices[DEVICE_DISK];
    guint highest = highest_of(def);

    for (int detected = 0; detected < 2; detected++) {
        for (guint i = disks->len; i-- > 0;)
            number(((DiskDef *)disks->pdata[i])->source, detected, &highest);
    }
}

void disk_chain_number(const DomainDef *live, StorageSource *source)
{
    guint highest = highest_of(live);

    for (StorageSource *s = source; s != NULL; s = s->backing)
        s->index = 0;
    number(source, FALSE, &highest);
    number(source, TRUE, &highest);
}
