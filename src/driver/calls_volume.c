/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls about storage volumes: unpack, check, call on (storage/storage_ops.h). */
#define ERROR_FROM VIR_FROM_STORAGE

#include <libvirt/libvirt.h>

#include "common/error.h"
#include "driver/calls_storage.h"
#include "driver/rpc/stream.h"

/* --- look-ups ------------------------------------------------------------------------------------------- */

/* Takes both references. */
static gboolean give_volume(Pool *pool, VolumeDef *volume, WireStorageVol *ret)
{
    if (volume != NULL)
        calls_storage_volume_to_wire(pool, volume, ret);
    pool_unref(pool);
    volume_def_unref(volume);
    return ret->name != NULL;
}

gboolean call_storage_vol_lookup_by_name(Call *call, const StorageVolLookupByNameArgs *args,
                                         StorageVolLookupByNameRet *ret, GError **error)
{
    Pool *pool = calls_storage_pool(call, &args->pool, error);

    return give_volume(pool, pool != NULL ? storage_volume_by_name(pool, args->name, error) : NULL,
                       &ret->vol);
}

gboolean call_storage_vol_lookup_by_key(Call *call, const StorageVolLookupByKeyArgs *args,
                                        StorageVolLookupByKeyRet *ret, GError **error)
{
    Pool *pool = NULL;
    VolumeDef *volume = storage_volume_by_key(calls_storage_of(call), args->key, &pool, error);

    return give_volume(pool, volume, &ret->vol);
}

gboolean call_storage_vol_lookup_by_path(Call *call, const StorageVolLookupByPathArgs *args,
                                         StorageVolLookupByPathRet *ret, GError **error)
{
    Pool *pool = NULL;
    VolumeDef *volume = storage_volume_by_path(calls_storage_of(call), args->path, &pool, error);

    return give_volume(pool, volume, &ret->vol);
}

/* --- facts ---------------------------------------------------------------------------------------------- */

static VolumeDef *refreshed(Call *call, const WireStorageVol *wire, GError **error)
{
    return storage_volume_refreshed(calls_storage_of(call), wire->pool, wire->name, error);
}

gboolean call_storage_vol_get_info(Call *call, const StorageVolGetInfoArgs *args, StorageVolGetInfoRet *ret,
                                   GError **error)
{
    g_autoptr(VolumeDef) def = refreshed(call, &args->vol, error);

    if (def == NULL)
        return FALSE;
    ret->type = (gint8)def->type;
    ret->capacity = def->capacity;
    ret->allocation = def->allocation;
    return TRUE;
}

gboolean call_storage_vol_get_info_flags(Call *call, const StorageVolGetInfoFlagsArgs *args,
                                         StorageVolGetInfoFlagsRet *ret, GError **error)
{
    g_autoptr(VolumeDef) def = NULL;

    if (!call_check_flags(call, args->flags, VIR_STORAGE_VOL_GET_PHYSICAL, error))
        return FALSE;
    def = refreshed(call, &args->vol, error);
    if (def == NULL)
        return FALSE;
    ret->type = (gint8)def->type;
    ret->capacity = def->capacity;
    ret->allocation = (args->flags & VIR_STORAGE_VOL_GET_PHYSICAL) ? def->physical : def->allocation;
    return TRUE;
}

gboolean call_storage_vol_get_xml_desc(Call *call, const StorageVolGetXmlDescArgs *args,
                                       StorageVolGetXmlDescRet *ret, GError **error)
{
    g_autoptr(VolumeDef) def = NULL;

    if (!call_check_flags(call, args->flags, 0, error))
        return FALSE;
    def = refreshed(call, &args->vol, error);
    if (def == NULL)
        return FALSE;
    ret->xml = volume_def_format(def);
    return TRUE;
}

gboolean call_storage_vol_get_path(Call *call, const StorageVolGetPathArgs *args, StorageVolGetPathRet *ret,
                                   GError **error)
{
    g_autoptr(VolumeDef) def =
        storage_volume_find(calls_storage_of(call), args->vol.pool, args->vol.name, NULL, error);

    if (def == NULL)
        return FALSE;
    ret->name = g_strdup(def->target.path);
    return TRUE;
}

/* --- making and changing -------------------------------------------------------------------------------- */

gboolean call_storage_vol_create_xml(Call *call, const StorageVolCreateXmlArgs *args,
                                     StorageVolCreateXmlRet *ret, GError **error)
{
    Pool *pool;

    if (!call_check_flags(call, args->flags,
                          VIR_STORAGE_VOL_CREATE_PREALLOC_METADATA | VIR_STORAGE_VOL_CREATE_VALIDATE, error))
        return FALSE;
    pool = calls_storage_pool(call, &args->pool, error);
    return give_volume(
        pool,
        pool != NULL ? storage_volume_create(calls_storage_of(call), pool, args->xml, args->flags, error)
                     : NULL,
        &ret->vol);
}

gboolean call_storage_vol_create_xml_from(Call *call, const StorageVolCreateXmlFromArgs *args,
                                          StorageVolCreateXmlFromRet *ret, GError **error)
{
    Pool *pool;
    VolumeDef *made = NULL;

    if (!call_check_flags(call, args->flags,
                          VIR_STORAGE_VOL_CREATE_PREALLOC_METADATA | VIR_STORAGE_VOL_CREATE_REFLINK |
                              VIR_STORAGE_VOL_CREATE_VALIDATE,
                          error))
        return FALSE;
    pool = calls_storage_pool(call, &args->pool, error);
    if (pool != NULL)
        made = storage_volume_clone(calls_storage_of(call), pool, args->xml, args->clonevol.pool,
                                    args->clonevol.name, args->flags, error);
    return give_volume(pool, made, &ret->vol);
}

gboolean call_storage_vol_delete(Call *call, const StorageVolDeleteArgs *args, StorageVolDeleteRet *ret,
                                 GError **error)
{
    return call_check_flags(call, args->flags, 0, error) &&
           storage_volume_delete(calls_storage_of(call), args->vol.pool, args->vol.name, error);
}

gboolean call_storage_vol_resize(Call *call, const StorageVolResizeArgs *args, StorageVolResizeRet *ret,
                                 GError **error)
{
    return call_check_flags(call, args->flags,
                            VIR_STORAGE_VOL_RESIZE_ALLOCATE | VIR_STORAGE_VOL_RESIZE_DELTA |
                                VIR_STORAGE_VOL_RESIZE_SHRINK,
                            error) &&
           storage_volume_resize(calls_storage_of(call), args->vol.pool, args->vol.name, args->capacity,
                                 args->flags, error);
}

gboolean call_storage_vol_wipe(Call *call, const StorageVolWipeArgs *args, StorageVolWipeRet *ret,
                               GError **error)
{
    return call_check_flags(call, args->flags, 0, error) &&
           storage_volume_wipe(calls_storage_of(call), args->vol.pool, args->vol.name,
                               VIR_STORAGE_VOL_WIPE_ALG_ZERO, error);
}

gboolean call_storage_vol_wipe_pattern(Call *call, const StorageVolWipePatternArgs *args,
                                       StorageVolWipePatternRet *ret, GError **error)
{
    return call_check_flags(call, args->flags, 0, error) &&
           storage_volume_wipe(calls_storage_of(call), args->vol.pool, args->vol.name, args->algorithm,
                               error);
}

/* --- streams -------------------------------------------------------------------------------------------- */

typedef struct Upload {
    Storage *storage;
    char *pool_name;
} Upload;

/* What was written, perhaps only in part, may be another format and has another size. */
static void upload_ended(gboolean aborted, void *opaque)
{
    Upload *upload = opaque;

    storage_pool_refresh_later(upload->storage, upload->pool_name);
    g_free(upload->pool_name);
    g_free(upload);
}

static gboolean check_range(guint64 offset, guint64 length, GError **error)
{
    if (offset > G_MAXINT64 || length > G_MAXINT64 - offset)
        return error_set(error, VIR_ERR_OVERFLOW, "offset and length are beyond the largest file");
    return TRUE;
}

gboolean call_storage_vol_upload(Call *call, const StorageVolUploadArgs *args, StorageVolUploadRet *ret,
                                 GError **error)
{
    StreamFdOptions options = {
        .offset = (gint64)args->offset, .length = args->length, .on_end = upload_ended};
    Upload *upload;
    int fd;

    if (!call_check_flags(call, args->flags, VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM, error) ||
        !check_range(args->offset, args->length, error))
        return FALSE;
    fd = storage_volume_open(calls_storage_of(call), args->vol.pool, args->vol.name, TRUE, error);
    if (fd < 0)
        return FALSE;
    upload = g_new0(Upload, 1);
    upload->storage = calls_storage_of(call);
    upload->pool_name = g_strdup(args->vol.pool);
    options.opaque = upload;
    return stream_attach_fd_full(
        call, fd,
        STREAM_FD_WRITE | ((args->flags & VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM) ? STREAM_FD_SPARSE : 0),
        &options, error);
}

gboolean call_storage_vol_download(Call *call, const StorageVolDownloadArgs *args, StorageVolDownloadRet *ret,
                                   GError **error)
{
    StreamFdOptions options = {.offset = (gint64)args->offset, .length = args->length};
    int fd;

    if (!call_check_flags(call, args->flags, VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM, error) ||
        !check_range(args->offset, args->length, error))
        return FALSE;
    fd = storage_volume_open(calls_storage_of(call), args->vol.pool, args->vol.name, FALSE, error);
    if (fd < 0)
        return FALSE;
    return stream_attach_fd_full(
        call, fd,
        STREAM_FD_READ | ((args->flags & VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM) ? STREAM_FD_SPARSE : 0),
        &options, error);
}
