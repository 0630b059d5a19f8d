/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls about storage pools: unpack, check, call on (storage/storage_ops.h). All but the registration of
 * events may wait for a folder, so none of them runs on the I/O thread.
 */
#define ERROR_FROM VIR_FROM_STORAGE

#include "driver/calls_storage.h"

#include <libvirt/libvirt.h>
#include <string.h>

#include "common/error.h"
#include "driver/calls_absent.h"
#include "driver/domain/events.h"
#include "driver/driver.h"

enum { POOL_LIST_MAX = 4096, VOLUME_LIST_MAX = 16384 };

#define LIST_FILTERS                                                                                         \
    (VIR_CONNECT_LIST_STORAGE_POOLS_INACTIVE | VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE |                       \
     VIR_CONNECT_LIST_STORAGE_POOLS_PERSISTENT | VIR_CONNECT_LIST_STORAGE_POOLS_TRANSIENT |                  \
     VIR_CONNECT_LIST_STORAGE_POOLS_AUTOSTART | VIR_CONNECT_LIST_STORAGE_POOLS_NO_AUTOSTART |                \
     VIR_CONNECT_LIST_STORAGE_POOLS_DIR | VIR_CONNECT_LIST_STORAGE_POOLS_FS |                                \
     VIR_CONNECT_LIST_STORAGE_POOLS_NETFS | VIR_CONNECT_LIST_STORAGE_POOLS_LOGICAL |                         \
     VIR_CONNECT_LIST_STORAGE_POOLS_DISK | VIR_CONNECT_LIST_STORAGE_POOLS_ISCSI |                            \
     VIR_CONNECT_LIST_STORAGE_POOLS_SCSI | VIR_CONNECT_LIST_STORAGE_POOLS_MPATH |                            \
     VIR_CONNECT_LIST_STORAGE_POOLS_RBD | VIR_CONNECT_LIST_STORAGE_POOLS_SHEEPDOG |                          \
     VIR_CONNECT_LIST_STORAGE_POOLS_GLUSTER | VIR_CONNECT_LIST_STORAGE_POOLS_ZFS |                           \
     VIR_CONNECT_LIST_STORAGE_POOLS_VSTORAGE | VIR_CONNECT_LIST_STORAGE_POOLS_ISCSI_DIRECT)
#define CREATE_FLAGS                                                                                         \
    (VIR_STORAGE_POOL_CREATE_WITH_BUILD | VIR_STORAGE_POOL_CREATE_WITH_BUILD_OVERWRITE |                     \
     VIR_STORAGE_POOL_CREATE_WITH_BUILD_NO_OVERWRITE)

/* --- shared --------------------------------------------------------------------------------------------- */

Storage *calls_storage_of(Call *call)
{
    return ((Driver *)call_driver(call))->storage;
}

Pool *calls_storage_pool(Call *call, const WireStoragePool *wire, GError **error)
{
    return storage_find_by_uuid(calls_storage_of(call), wire->uuid, wire->name, error);
}

void calls_storage_pool_to_wire(const Pool *pool, WireStoragePool *ret)
{
    ret->name = g_strdup(pool->name);
    memcpy(ret->uuid, pool->uuid, sizeof(ret->uuid));
}

void calls_storage_volume_to_wire(const Pool *pool, const VolumeDef *volume, WireStorageVol *ret)
{
    ret->pool = g_strdup(pool->name);
    ret->name = g_strdup(volume->name);
    ret->key = g_strdup(volume->key);
}

/* --- events --------------------------------------------------------------------------------------------- */

static gboolean post_lifecycle(const EventSubscription *to, gconstpointer event)
{
    StoragePoolEventLifecycleMsg msg = *(const StoragePoolEventLifecycleMsg *)event;

    msg.callbackID = to->callback_id;
    return send_storage_pool_event_lifecycle(to->client, &msg);
}

static gboolean post_refresh(const EventSubscription *to, gconstpointer event)
{
    StoragePoolEventRefreshMsg msg = *(const StoragePoolEventRefreshMsg *)event;

    msg.callbackID = to->callback_id;
    return send_storage_pool_event_refresh(to->client, &msg);
}

void calls_storage_event(const StorageEvent *event, gpointer data)
{
    Driver *driver = data;
    EventSubject subject = {.kind = EVENT_KIND_STORAGE_POOL, .uuid = event->uuid};
    StoragePoolEventLifecycleMsg lifecycle = {.event = event->event};
    StoragePoolEventRefreshMsg refresh = {0};
    WireStoragePool pool = {.name = (char *)event->name}; /* borrowed: sending encodes at once */

    memcpy(pool.uuid, event->uuid, sizeof(pool.uuid));
    lifecycle.pool = refresh.pool = pool;
    subject.event_id =
        event->is_refresh ? VIR_STORAGE_POOL_EVENT_ID_REFRESH : VIR_STORAGE_POOL_EVENT_ID_LIFECYCLE;
    if (event->is_refresh)
        event_emit(driver->events, &subject, post_refresh, &refresh);
    else
        event_emit(driver->events, &subject, post_lifecycle, &lifecycle);
}

gboolean call_connect_storage_pool_event_register_any(Call *call,
                                                      const ConnectStoragePoolEventRegisterAnyArgs *args,
                                                      ConnectStoragePoolEventRegisterAnyRet *ret,
                                                      GError **error)
{
    return absent_subscribe(call, EVENT_KIND_STORAGE_POOL, args->eventID, VIR_STORAGE_POOL_EVENT_ID_REFRESH,
                            args->pool != NULL ? args->pool->uuid : NULL, NULL, &ret->callbackID, error);
}

gboolean call_connect_storage_pool_event_deregister_any(Call *call,
                                                        const ConnectStoragePoolEventDeregisterAnyArgs *args,
                                                        ConnectStoragePoolEventDeregisterAnyRet *ret,
                                                        GError **error)
{
    return absent_unsubscribe(call, EVENT_KIND_STORAGE_POOL, args->callbackID, error);
}

/* --- lists ---------------------------------------------------------------------------------------------- */

static gboolean count_pools(Call *call, guint filter, gint32 *ret)
{
    g_autoptr(GPtrArray) pools = storage_collect(calls_storage_of(call), filter);

    *ret = (gint32)pools->len;
    return TRUE;
}

static gboolean name_pools(Call *call, guint filter, gint32 max, char ***ret, guint32 *ret_len,
                           GError **error)
{
    g_autoptr(GPtrArray) pools = NULL;

    if (max < 0 || max > POOL_LIST_MAX)
        return error_set(error, VIR_ERR_RPC, "maxnames > REMOTE_STORAGE_POOL_LIST_MAX");
    pools = storage_collect(calls_storage_of(call), filter);
    *ret_len = MIN(pools->len, (guint)max);
    *ret = g_new0(char *, *ret_len + 1);
    for (guint i = 0; i < *ret_len; i++)
        (*ret)[i] = g_strdup(((Pool *)g_ptr_array_index(pools, i))->name);
    return TRUE;
}

gboolean call_connect_num_of_storage_pools(Call *call, const ConnectNumOfStoragePoolsArgs *args,
                                           ConnectNumOfStoragePoolsRet *ret, GError **error)
{
    return count_pools(call, VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE, &ret->num);
}

gboolean call_connect_num_of_defined_storage_pools(Call *call,
                                                   const ConnectNumOfDefinedStoragePoolsArgs *args,
                                                   ConnectNumOfDefinedStoragePoolsRet *ret, GError **error)
{
    return count_pools(call, VIR_CONNECT_LIST_STORAGE_POOLS_INACTIVE, &ret->num);
}

gboolean call_connect_list_storage_pools(Call *call, const ConnectListStoragePoolsArgs *args,
                                         ConnectListStoragePoolsRet *ret, GError **error)
{
    return name_pools(call, VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE, args->maxnames, &ret->names,
                      &ret->names_len, error);
}

gboolean call_connect_list_defined_storage_pools(Call *call, const ConnectListDefinedStoragePoolsArgs *args,
                                                 ConnectListDefinedStoragePoolsRet *ret, GError **error)
{
    return name_pools(call, VIR_CONNECT_LIST_STORAGE_POOLS_INACTIVE, args->maxnames, &ret->names,
                      &ret->names_len, error);
}

gboolean call_connect_list_all_storage_pools(Call *call, const ConnectListAllStoragePoolsArgs *args,
                                             ConnectListAllStoragePoolsRet *ret, GError **error)
{
    g_autoptr(GPtrArray) pools = NULL;

    if (!call_check_flags(call, args->flags, LIST_FILTERS, error))
        return FALSE;
    pools = storage_collect(calls_storage_of(call), args->flags);
    if (pools->len > POOL_LIST_MAX)
        return error_set(error, VIR_ERR_RPC, "Too many storage_pools '%u' for limit '%d'", pools->len,
                         POOL_LIST_MAX);
    ret->ret = pools->len;
    if (!args->need_results)
        return TRUE;
    ret->pools = g_new0(WireStoragePool, pools->len + 1);
    ret->pools_len = pools->len;
    for (guint i = 0; i < pools->len; i++)
        calls_storage_pool_to_wire(g_ptr_array_index(pools, i), &ret->pools[i]);
    return TRUE;
}

gboolean call_connect_find_storage_pool_sources(Call *call, const ConnectFindStoragePoolSourcesArgs *args,
                                                ConnectFindStoragePoolSourcesRet *ret, GError **error)
{
    ret->xml = storage_find_sources(args->type, error);
    return ret->xml != NULL;
}

gboolean call_connect_get_storage_pool_capabilities(Call *call,
                                                    const ConnectGetStoragePoolCapabilitiesArgs *args,
                                                    ConnectGetStoragePoolCapabilitiesRet *ret, GError **error)
{
    if (!call_check_flags(call, args->flags, 0, error))
        return FALSE;
    ret->capabilities = storage_capabilities_xml();
    return TRUE;
}

/* --- look-ups ------------------------------------------------------------------------------------------- */

static gboolean give_pool(Pool *pool, WireStoragePool *ret)
{
    if (pool == NULL)
        return FALSE;
    calls_storage_pool_to_wire(pool, ret);
    pool_unref(pool);
    return TRUE;
}

gboolean call_storage_pool_lookup_by_name(Call *call, const StoragePoolLookupByNameArgs *args,
                                          StoragePoolLookupByNameRet *ret, GError **error)
{
    return give_pool(storage_find_by_name(calls_storage_of(call), args->name, error), &ret->pool);
}

gboolean call_storage_pool_lookup_by_uuid(Call *call, const StoragePoolLookupByUuidArgs *args,
                                          StoragePoolLookupByUuidRet *ret, GError **error)
{
    return give_pool(storage_find_by_uuid(calls_storage_of(call), args->uuid, NULL, error), &ret->pool);
}

gboolean call_storage_pool_lookup_by_volume(Call *call, const StoragePoolLookupByVolumeArgs *args,
                                            StoragePoolLookupByVolumeRet *ret, GError **error)
{
    return give_pool(storage_find_by_name(calls_storage_of(call), args->vol.pool, error), &ret->pool);
}

gboolean call_storage_pool_lookup_by_target_path(Call *call, const StoragePoolLookupByTargetPathArgs *args,
                                                 StoragePoolLookupByTargetPathRet *ret, GError **error)
{
    return give_pool(storage_find_by_target_path(calls_storage_of(call), args->path, error), &ret->pool);
}

/* --- life ----------------------------------------------------------------------------------------------- */

gboolean call_storage_pool_define_xml(Call *call, const StoragePoolDefineXmlArgs *args,
                                      StoragePoolDefineXmlRet *ret, GError **error)
{
    Pool *pool = NULL;

    return call_check_flags(call, args->flags, VIR_STORAGE_POOL_DEFINE_VALIDATE, error) &&
           storage_pool_define(calls_storage_of(call), args->xml, args->flags, &pool, error) &&
           give_pool(pool, &ret->pool);
}

gboolean call_storage_pool_create_xml(Call *call, const StoragePoolCreateXmlArgs *args,
                                      StoragePoolCreateXmlRet *ret, GError **error)
{
    Pool *pool = NULL;

    return call_check_flags(call, args->flags, CREATE_FLAGS, error) &&
           storage_pool_create_xml(calls_storage_of(call), args->xml, args->flags, &pool, error) &&
           give_pool(pool, &ret->pool);
}

/* One pool is named, nothing is answered. */
#define POOL_CALL(fn, Type, ...)                                                                             \
    gboolean call_##fn(Call *call, const Type##Args *args, Type##Ret *ret, GError **error)                   \
    {                                                                                                        \
        g_autoptr(Pool) pool = calls_storage_pool(call, &args->pool, error);                                 \
        Storage *storage = calls_storage_of(call);                                                           \
                                                                                                             \
        return pool != NULL && __VA_ARGS__;                                                                  \
    }
POOL_CALL(storage_pool_create, StoragePoolCreate,
          call_check_flags(call, args->flags, CREATE_FLAGS, error) &&
              storage_pool_create(storage, pool, args->flags, error))
POOL_CALL(storage_pool_build, StoragePoolBuild,
          call_check_flags(call, args->flags,
                           VIR_STORAGE_POOL_BUILD_OVERWRITE | VIR_STORAGE_POOL_BUILD_NO_OVERWRITE, error) &&
              storage_pool_build(storage, pool, args->flags, error))
POOL_CALL(storage_pool_destroy, StoragePoolDestroy, storage_pool_destroy(storage, pool, error))
POOL_CALL(storage_pool_delete, StoragePoolDelete,
          call_check_flags(call, args->flags, 0, error) && storage_pool_delete(storage, pool, error))
POOL_CALL(storage_pool_undefine, StoragePoolUndefine, storage_pool_undefine(storage, pool, error))
POOL_CALL(storage_pool_refresh, StoragePoolRefresh,
          call_check_flags(call, args->flags, 0, error) && storage_pool_refresh(storage, pool, error))
POOL_CALL(storage_pool_set_autostart, StoragePoolSetAutostart,
          storage_pool_set_autostart(storage, pool, args->autostart != 0, error))

/* --- facts ---------------------------------------------------------------------------------------------- */

static gboolean pool_info(Call *call, const WireStoragePool *wire, PoolInfo *ret, GError **error)
{
    g_autoptr(Pool) pool = calls_storage_pool(call, wire, error);

    if (pool == NULL)
        return FALSE;
    storage_pool_get_info(pool, ret);
    return TRUE;
}

gboolean call_storage_pool_get_info(Call *call, const StoragePoolGetInfoArgs *args,
                                    StoragePoolGetInfoRet *ret, GError **error)
{
    PoolInfo info;

    if (!pool_info(call, &args->pool, &info, error))
        return FALSE;
    ret->state = info.active ? VIR_STORAGE_POOL_RUNNING : VIR_STORAGE_POOL_INACTIVE;
    ret->capacity = info.capacity;
    ret->allocation = info.allocation;
    ret->available = info.available;
    return TRUE;
}

gboolean call_storage_pool_get_autostart(Call *call, const StoragePoolGetAutostartArgs *args,
                                         StoragePoolGetAutostartRet *ret, GError **error)
{
    PoolInfo info = {0};

    if (!pool_info(call, &args->pool, &info, error))
        return FALSE;
    ret->autostart = info.autostart;
    return TRUE;
}

gboolean call_storage_pool_is_active(Call *call, const StoragePoolIsActiveArgs *args,
                                     StoragePoolIsActiveRet *ret, GError **error)
{
    PoolInfo info = {0};

    if (!pool_info(call, &args->pool, &info, error))
        return FALSE;
    ret->active = info.active;
    return TRUE;
}

gboolean call_storage_pool_is_persistent(Call *call, const StoragePoolIsPersistentArgs *args,
                                         StoragePoolIsPersistentRet *ret, GError **error)
{
    PoolInfo info = {0};

    if (!pool_info(call, &args->pool, &info, error))
        return FALSE;
    ret->persistent = info.persistent;
    return TRUE;
}

gboolean call_storage_pool_get_xml_desc(Call *call, const StoragePoolGetXmlDescArgs *args,
                                        StoragePoolGetXmlDescRet *ret, GError **error)
{
    g_autoptr(Pool) pool = NULL;

    if (!call_check_flags(call, args->flags, VIR_STORAGE_XML_INACTIVE, error))
        return FALSE;
    pool = calls_storage_pool(call, &args->pool, error);
    if (pool == NULL)
        return FALSE;
    ret->xml = storage_pool_xml(pool, (args->flags & VIR_STORAGE_XML_INACTIVE) != 0);
    return TRUE;
}

/* --- volumes of a pool ---------------------------------------------------------------------------------- */

static GPtrArray *volumes_of(Call *call, const WireStoragePool *wire, Pool **ret_pool, GError **error)
{
    g_autoptr(Pool) pool = calls_storage_pool(call, wire, error);
    GPtrArray *volumes = pool != NULL ? storage_pool_volumes(pool, error) : NULL;

    if (volumes != NULL)
        *ret_pool = g_steal_pointer(&pool);
    return volumes;
}

gboolean call_storage_pool_num_of_volumes(Call *call, const StoragePoolNumOfVolumesArgs *args,
                                          StoragePoolNumOfVolumesRet *ret, GError **error)
{
    g_autoptr(Pool) pool = NULL;
    g_autoptr(GPtrArray) volumes = volumes_of(call, &args->pool, &pool, error);

    if (volumes == NULL)
        return FALSE;
    ret->num = (gint32)volumes->len;
    return TRUE;
}

gboolean call_storage_pool_list_volumes(Call *call, const StoragePoolListVolumesArgs *args,
                                        StoragePoolListVolumesRet *ret, GError **error)
{
    g_autoptr(Pool) pool = NULL;
    g_autoptr(GPtrArray) volumes = NULL;

    if (args->maxnames < 0 || args->maxnames > VOLUME_LIST_MAX)
        return error_set(error, VIR_ERR_RPC, "maxnames > REMOTE_STORAGE_VOL_LIST_MAX");
    volumes = volumes_of(call, &args->pool, &pool, error);
    if (volumes == NULL)
        return FALSE;
    ret->names_len = MIN(volumes->len, (guint)args->maxnames);
    ret->names = g_new0(char *, ret->names_len + 1);
    for (guint i = 0; i < ret->names_len; i++)
        ret->names[i] = g_strdup(((VolumeDef *)g_ptr_array_index(volumes, i))->name);
    return TRUE;
}

gboolean call_storage_pool_list_all_volumes(Call *call, const StoragePoolListAllVolumesArgs *args,
                                            StoragePoolListAllVolumesRet *ret, GError **error)
{
    g_autoptr(Pool) pool = NULL;
    g_autoptr(GPtrArray) volumes = NULL;

    if (!call_check_flags(call, args->flags, 0, error))
        return FALSE;
    volumes = volumes_of(call, &args->pool, &pool, error);
    if (volumes == NULL)
        return FALSE;
    if (volumes->len > VOLUME_LIST_MAX)
        return error_set(error, VIR_ERR_RPC, "Too many storage_vols '%u' for limit '%d'", volumes->len,
                         VOLUME_LIST_MAX);
    ret->ret = volumes->len;
    if (!args->need_results)
        return TRUE;
    ret->vols = g_new0(WireStorageVol, volumes->len + 1);
    ret->vols_len = volumes->len;
    for (guint i = 0; i < volumes->len; i++)
        calls_storage_volume_to_wire(pool, g_ptr_array_index(volumes, i), &ret->vols[i]);
    return TRUE;
}
