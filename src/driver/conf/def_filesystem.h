/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <filesystem>: formatdomain, "Filesystems". */
#pragma once

#include "driver/conf/def_storage_source.h"
#include "driver/conf/device_def.h"
#include "driver/conf/virtio_model.h"

typedef enum {
    FS_TYPE_MOUNT = 0,
    FS_TYPE_BLOCK,
    FS_TYPE_FILE,
    FS_TYPE_TEMPLATE,
    FS_TYPE_RAM,
    FS_TYPE_BIND,
    FS_TYPE_VOLUME,
    FS_TYPE_LAST
} FsType;
ENUM_TABLE_DECL(fs_type, FsType)

typedef enum {
    FS_DRIVER_DEFAULT = 0,
    FS_DRIVER_PATH, /* 9p */
    FS_DRIVER_HANDLE,
    FS_DRIVER_LOOP,
    FS_DRIVER_NBD,
    FS_DRIVER_PLOOP,
    FS_DRIVER_VIRTIOFS,
    FS_DRIVER_LAST
} FsDriver;
ENUM_TABLE_DECL(fs_driver, FsDriver)

typedef enum {
    FS_ACCESS_DEFAULT = 0,
    FS_ACCESS_PASSTHROUGH,
    FS_ACCESS_MAPPED,
    FS_ACCESS_SQUASH,
    FS_ACCESS_LAST
} FsAccess;
ENUM_TABLE_DECL(fs_access, FsAccess)

typedef enum { FS_WRPOLICY_DEFAULT = 0, FS_WRPOLICY_IMMEDIATE, FS_WRPOLICY_LAST } FsWrpolicy;
ENUM_TABLE_DECL(fs_wrpolicy, FsWrpolicy)

typedef enum {
    FS_MULTIDEVS_DEFAULT = 0,
    FS_MULTIDEVS_REMAP,
    FS_MULTIDEVS_FORBID,
    FS_MULTIDEVS_WARN,
    FS_MULTIDEVS_LAST
} FsMultidevs;
ENUM_TABLE_DECL(fs_multidevs, FsMultidevs)

typedef enum { FS_CACHE_DEFAULT = 0, FS_CACHE_NONE, FS_CACHE_ALWAYS, FS_CACHE_LAST } FsCache;
ENUM_TABLE_DECL(fs_cache, FsCache)

typedef enum { FS_SANDBOX_DEFAULT = 0, FS_SANDBOX_NAMESPACE, FS_SANDBOX_CHROOT, FS_SANDBOX_LAST } FsSandbox;
ENUM_TABLE_DECL(fs_sandbox, FsSandbox)

typedef struct {
    DeviceInfo info;
    FsType type;
    FsDriver driver;
    StorageFormat format;
    FsAccess accessmode;
    FsWrpolicy wrpolicy;
    VirtioModel model;
    FsMultidevs multidevs;
    guint fmode, dmode; /* permission bits; 0: default */
    guint64 queue_size;
    VirtioOptions virtio;

    char *binary; /* virtiofsd, and its options */
    Tristate xattr;
    FsCache cache;
    FsSandbox sandbox;
    Tristate posix_lock, flock;
    int thread_pool_size; /* -1: default */

    char *source; /* directory, device, file or name, by type */
    char *socket; /* virtiofsd started by somebody else */
    char *pool, *volume;
    guint64 usage; /* ram: bytes */
    char *target;  /* mount tag */
    gboolean readonly;
    guint64 space_hard_limit, space_soft_limit; /* bytes; 0: none */
} FilesystemDef;

extern const DeviceDefOps filesystem_def_ops;
