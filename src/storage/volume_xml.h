/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <volume> documents (libvirt's formatstorage, "Storage volume XML"). A VolumeDef that is in a pool never
 * changes: new figures make a new one. It is counted, so that readers need no lock.
 */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>
#include <time.h>

#include "storage/image.h"
#include "storage/pool_xml.h"

/* libvirt's names of formats. */
typedef enum VolumeFormat {
    VOLUME_FORMAT_NONE,
    VOLUME_FORMAT_RAW,
    VOLUME_FORMAT_DIR,
    VOLUME_FORMAT_BOCHS,
    VOLUME_FORMAT_CLOOP,
    VOLUME_FORMAT_DMG,
    VOLUME_FORMAT_ISO,
    VOLUME_FORMAT_VPC,
    VOLUME_FORMAT_VDI,
    VOLUME_FORMAT_FAT,
    VOLUME_FORMAT_VHD,
    VOLUME_FORMAT_PLOOP,
    VOLUME_FORMAT_COW,
    VOLUME_FORMAT_QCOW,
    VOLUME_FORMAT_QCOW2,
    VOLUME_FORMAT_QED,
    VOLUME_FORMAT_VMDK,
    VOLUME_FORMAT_LAST
} VolumeFormat;
ENUM_TABLE_DECL(volume_format, VolumeFormat)
/* What probing found; formats that libvirt has no name for count as raw. */
VolumeFormat volume_format_of_image(ImageFormat format);
/* IMAGE_FORMAT_AUTO: the engine does not know it. */
ImageFormat volume_format_to_image(VolumeFormat format);

typedef enum VolumeEncryption { VOLUME_PLAIN, VOLUME_LUKS, VOLUME_QCOW_AES } VolumeEncryption;

/* <target> and <backingStore>. */
typedef struct VolumeTarget {
    char *path;
    VolumeFormat format;
    StoragePerms perms;
    gboolean has_times;
    struct timespec atime, mtime, ctime;
    VolumeEncryption encryption;
    char *compat; /* qcow2: "0.10", "1.1" */
    guint64 cluster_size;
    gboolean has_features, lazy_refcounts, extended_l2;
    gboolean nocow;
} VolumeTarget;

typedef struct VolumeDef {
    gint refs;
    virStorageVolType type;
    char *name, *key;
    guint64 capacity, allocation, physical; /* bytes */
    gboolean has_capacity, has_allocation;
    VolumeTarget target;
    VolumeTarget *backing; /* NULL: none */
    /* The file whose header was read: as long as these stay the same it is not read again. */
    guint64 seen_dev, seen_ino, seen_size;
} VolumeDef;

typedef enum VolumeParseFlags {
    VOLUME_PARSE_NO_CAPACITY = 1 << 0, /* <capacity> may be missing */
    VOLUME_PARSE_OPT_CAPACITY = 1 << 1, /* ... when there is a backing store */
} VolumeParseFlags;

/* VIR_ERR_XML_ERROR, VIR_ERR_CONFIG_UNSUPPORTED for unknown types and formats. schema_path: RNG or NULL. */
VolumeDef *volume_def_parse(const char *xml, guint flags, const char *schema_path, GError **error);
char *volume_def_format(const VolumeDef *def);

VolumeDef *volume_def_new(const char *name);
/* A private one to change. */
VolumeDef *volume_def_copy(const VolumeDef *def);
VolumeDef *volume_def_ref(VolumeDef *def);
void volume_def_unref(VolumeDef *def);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VolumeDef, volume_def_unref)
void volume_def_set_backing(VolumeDef *def, VolumeTarget *backing); /* takes it */
VolumeTarget *volume_target_new(void);
