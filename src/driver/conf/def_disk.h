/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <disk>: formatdomain, "Hard drives, floppy disks, CDROMs". */
#pragma once

#include "driver/conf/def_storage_source.h"
#include "driver/conf/device_def.h"
#include "driver/conf/disk_iothreads.h"
#include "driver/conf/virtio_model.h"

typedef enum {
    DISK_DEVICE_DISK = 0,
    DISK_DEVICE_CDROM,
    DISK_DEVICE_FLOPPY,
    DISK_DEVICE_LUN,
    DISK_DEVICE_LAST
} DiskDevice;
ENUM_TABLE_DECL(disk_device, DiskDevice)

typedef enum {
    DISK_BUS_NONE = 0,
    DISK_BUS_IDE,
    DISK_BUS_FDC,
    DISK_BUS_SCSI,
    DISK_BUS_VIRTIO,
    DISK_BUS_XEN,
    DISK_BUS_USB,
    DISK_BUS_UML,
    DISK_BUS_SATA,
    DISK_BUS_SD,
    DISK_BUS_LAST
} DiskBus;
ENUM_TABLE_DECL(disk_bus, DiskBus)

typedef enum {
    DISK_CACHE_DEFAULT = 0,
    DISK_CACHE_NONE,
    DISK_CACHE_WRITETHROUGH,
    DISK_CACHE_WRITEBACK,
    DISK_CACHE_DIRECTSYNC,
    DISK_CACHE_UNSAFE,
    DISK_CACHE_LAST
} DiskCache;
ENUM_TABLE_DECL(disk_cache, DiskCache)

typedef enum {
    DISK_ERROR_DEFAULT = 0,
    DISK_ERROR_STOP,
    DISK_ERROR_REPORT,
    DISK_ERROR_IGNORE,
    DISK_ERROR_ENOSPACE,
    DISK_ERROR_LAST
} DiskErrorPolicy;
ENUM_TABLE_DECL(disk_error_policy, DiskErrorPolicy)

typedef enum { DISK_IO_DEFAULT = 0, DISK_IO_NATIVE, DISK_IO_THREADS, DISK_IO_IO_URING, DISK_IO_LAST } DiskIo;
ENUM_TABLE_DECL(disk_io, DiskIo)

typedef enum { DISK_DISCARD_DEFAULT = 0, DISK_DISCARD_UNMAP, DISK_DISCARD_IGNORE, DISK_DISCARD_LAST } DiskDiscard;
ENUM_TABLE_DECL(disk_discard, DiskDiscard)

typedef enum {
    DISK_DETECT_ZEROES_DEFAULT = 0,
    DISK_DETECT_ZEROES_OFF,
    DISK_DETECT_ZEROES_ON,
    DISK_DETECT_ZEROES_UNMAP,
    DISK_DETECT_ZEROES_LAST
} DiskDetectZeroes;
ENUM_TABLE_DECL(disk_detect_zeroes, DiskDetectZeroes)

typedef enum { DISK_TRAY_CLOSED = 0, DISK_TRAY_OPEN, DISK_TRAY_LAST } DiskTray;
ENUM_TABLE_DECL(disk_tray, DiskTray)

typedef enum {
    DISK_SNAPSHOT_DEFAULT = 0,
    DISK_SNAPSHOT_NO,
    DISK_SNAPSHOT_INTERNAL,
    DISK_SNAPSHOT_EXTERNAL,
    DISK_SNAPSHOT_MANUAL,
    DISK_SNAPSHOT_LAST
} DiskSnapshot;
ENUM_TABLE_DECL(disk_snapshot, DiskSnapshot)

typedef enum {
    GEOMETRY_TRANS_DEFAULT = 0,
    GEOMETRY_TRANS_NONE,
    GEOMETRY_TRANS_AUTO,
    GEOMETRY_TRANS_LBA,
    GEOMETRY_TRANS_LAST
} GeometryTrans;
ENUM_TABLE_DECL(geometry_trans, GeometryTrans)

typedef enum { SGIO_DEFAULT = 0, SGIO_FILTERED, SGIO_UNFILTERED, SGIO_LAST } DeviceSgio;
ENUM_TABLE_DECL(device_sgio, DeviceSgio)

typedef enum { MIRROR_JOB_NONE = 0, MIRROR_JOB_COPY, MIRROR_JOB_ACTIVE_COMMIT, MIRROR_JOB_LAST } MirrorJob;
ENUM_TABLE_DECL(mirror_job, MirrorJob)

typedef enum {
    MIRROR_STATE_NONE = 0, /* not in step with the disk yet */
    MIRROR_STATE_READY,
    MIRROR_STATE_ABORT,
    MIRROR_STATE_PIVOT,
    MIRROR_STATE_LAST
} MirrorState;
ENUM_TABLE_DECL(mirror_state, MirrorState)

/* Bytes and requests a second; lengths of bursts in seconds; 0: no limit. */
typedef struct {
    guint64 total_bytes_sec, read_bytes_sec, write_bytes_sec;
    guint64 total_iops_sec, read_iops_sec, write_iops_sec;
    guint64 total_bytes_sec_max, read_bytes_sec_max, write_bytes_sec_max;
    guint64 total_iops_sec_max, read_iops_sec_max, write_iops_sec_max;
    guint64 size_iops_sec;
    char *group_name;
    guint64 total_bytes_sec_max_length, read_bytes_sec_max_length, write_bytes_sec_max_length;
    guint64 total_iops_sec_max_length, read_iops_sec_max_length, write_iops_sec_max_length;
} DiskIotune;

typedef struct {
    DeviceInfo info;
    DiskDevice device;
    VirtioModel model;
    Tristate rawio;
    DeviceSgio sgio;
    DiskSnapshot snapshot;

    char *driver_name; /* "qemu", or NULL; the format is source->format */
    DiskCache cache;
    DiskErrorPolicy error_policy;
    DiskErrorPolicy rerror_policy;
    DiskIo io;
    Tristate ioeventfd;
    Tristate event_idx;
    Tristate copy_on_read;
    DiskDiscard discard;
    guint iothread; /* 0: none */
    GPtrArray *iothreads; /* of DiskIothread; NULL: none */
    DiskDetectZeroes detect_zeroes;
    guint queues; /* 0: default */
    guint queue_size;
    VirtioOptions virtio;

    StorageSource *source; /* never NULL; storage_source_is_empty() for an empty drive */
    StartupPolicy startup_policy;
    gboolean auth_in_disk; /* <auth> stood in <disk>, not in <source>: written back there */
    gboolean encryption_in_disk;
    char *backend_domain;

    guint cyls, heads, secs;
    GeometryTrans trans;
    guint logical_block_size;
    guint physical_block_size;

    StorageSource *mirror; /* live: target of a block job */
    MirrorJob mirror_job;
    MirrorState mirror_state;

    char *target; /* "vda"; unique in a domain */
    DiskBus bus;
    DiskTray tray;
    Tristate removable; /* usb */
    guint rotation_rate; /* 1: SSD; else rpm */

    DiskIotune iotune;
    gboolean readonly;
    gboolean shareable;
    gboolean transient;
    Tristate transient_share_backing;
    char *serial;
    char *wwn;
    char *vendor;
    char *product;
} DiskDef;

gboolean disk_is_removable_media(const DiskDef *def); /* cdrom or floppy */
/* Position of the drive in its bus by its name: vda 0, vdb 1, hdaa 26. FALSE for a name of another form. */
gboolean disk_name_to_index(const char *name, guint *ret_index);
char *disk_index_to_name(const char *prefix, guint index);

void disk_iotune_clear(DiskIotune *iotune);
gboolean disk_iotune_is_set(const DiskIotune *iotune);
/* Rules between the limits (total against read and write, bursts). */
gboolean disk_iotune_validate(const DiskIotune *iotune, GError **error);

/* By <driver iothread=> or <iothreads>. */
gboolean disk_uses_iothread(const DiskDef *def, guint id);

extern const DeviceDefOps disk_def_ops;
