/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Storage pools and volumes: the calls that clients send over the same connection. This daemon keeps none of these
 * objects: lists are empty, look-ups say that there is no such object, and what would make one is not supported
 * (records without handler).
 */
#define ERROR_FROM VIR_FROM_STORAGE
#include "driver/calls_absent.h"

EMPTY(connect_num_of_storage_pools, ConnectNumOfStoragePools)
EMPTY(connect_list_storage_pools, ConnectListStoragePools)
EMPTY(connect_num_of_defined_storage_pools, ConnectNumOfDefinedStoragePools)
EMPTY(connect_list_defined_storage_pools, ConnectListDefinedStoragePools)
EMPTY(connect_list_all_storage_pools, ConnectListAllStoragePools)

ABSENT(storage_pool_lookup_by_name, StoragePoolLookupByName, VIR_ERR_NO_STORAGE_POOL,
       "no storage pool with matching name '%s'", args->name)
ABSENT(storage_pool_lookup_by_uuid, StoragePoolLookupByUuid, VIR_ERR_NO_STORAGE_POOL,
       "no storage pool with matching uuid '%s'", UUID(args->uuid))
ABSENT(storage_vol_lookup_by_key, StorageVolLookupByKey, VIR_ERR_NO_STORAGE_VOL,
       "no storage vol with matching key '%s'", args->key)
ABSENT(storage_vol_lookup_by_path, StorageVolLookupByPath, VIR_ERR_NO_STORAGE_VOL,
       "no storage vol with matching path '%s'", args->path)
ABSENT(storage_pool_lookup_by_target_path, StoragePoolLookupByTargetPath, VIR_ERR_NO_STORAGE_POOL,
       "no storage pool with matching target path '%s'", args->path)

/* Of an object that is named by args->pool. */
#define NO_POOL(fn, Type)                                                                                    \
    ABSENT(fn, Type, VIR_ERR_NO_STORAGE_POOL,                                                                \
           "no storage pool with matching uuid '%s' (%s)", UUID(args->pool.uuid), args->pool.name)
NO_POOL(storage_pool_create, StoragePoolCreate)
NO_POOL(storage_pool_build, StoragePoolBuild)
NO_POOL(storage_pool_destroy, StoragePoolDestroy)
NO_POOL(storage_pool_delete, StoragePoolDelete)
NO_POOL(storage_pool_undefine, StoragePoolUndefine)
NO_POOL(storage_pool_refresh, StoragePoolRefresh)
NO_POOL(storage_pool_get_info, StoragePoolGetInfo)
NO_POOL(storage_pool_get_xml_desc, StoragePoolGetXmlDesc)
NO_POOL(storage_pool_get_autostart, StoragePoolGetAutostart)
NO_POOL(storage_pool_set_autostart, StoragePoolSetAutostart)
NO_POOL(storage_pool_num_of_volumes, StoragePoolNumOfVolumes)
NO_POOL(storage_pool_list_volumes, StoragePoolListVolumes)
NO_POOL(storage_vol_create_xml, StorageVolCreateXml)
NO_POOL(storage_vol_lookup_by_name, StorageVolLookupByName)
NO_POOL(storage_vol_create_xml_from, StorageVolCreateXmlFrom)
NO_POOL(storage_pool_is_active, StoragePoolIsActive)
NO_POOL(storage_pool_is_persistent, StoragePoolIsPersistent)
NO_POOL(storage_pool_list_all_volumes, StoragePoolListAllVolumes)

/* Of an object that is named by args->vol. */
#define NO_VOL(fn, Type)                                                                                     \
    ABSENT(fn, Type, VIR_ERR_NO_STORAGE_POOL,                                                                \
           "no storage pool with matching name '%s'", args->vol.pool)
NO_VOL(storage_pool_lookup_by_volume, StoragePoolLookupByVolume)
NO_VOL(storage_vol_delete, StorageVolDelete)
NO_VOL(storage_vol_get_info, StorageVolGetInfo)
NO_VOL(storage_vol_get_xml_desc, StorageVolGetXmlDesc)
NO_VOL(storage_vol_get_path, StorageVolGetPath)
NO_VOL(storage_vol_wipe, StorageVolWipe)
NO_VOL(storage_vol_upload, StorageVolUpload)
NO_VOL(storage_vol_download, StorageVolDownload)
NO_VOL(storage_vol_wipe_pattern, StorageVolWipePattern)
NO_VOL(storage_vol_resize, StorageVolResize)
NO_VOL(storage_vol_get_info_flags, StorageVolGetInfoFlags)

gboolean call_connect_storage_pool_event_register_any(Call *call, const ConnectStoragePoolEventRegisterAnyArgs *args,
    ConnectStoragePoolEventRegisterAnyRet *ret, GError **error)
{
    return absent_subscribe(call, EVENT_KIND_STORAGE_POOL, args->eventID, VIR_STORAGE_POOL_EVENT_ID_REFRESH,
                            args->pool != NULL ? args->pool->uuid : NULL, NULL, &ret->callbackID, error);
}

gboolean call_connect_storage_pool_event_deregister_any(Call *call, const ConnectStoragePoolEventDeregisterAnyArgs *args,
    ConnectStoragePoolEventDeregisterAnyRet *ret, GError **error)
{
    return absent_unsubscribe(call, EVENT_KIND_STORAGE_POOL, args->callbackID, error);
}
