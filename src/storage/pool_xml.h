/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <pool> documents (libvirt's formatstorage, "Storage pool XML"). All kinds of pools have a name here; which
 * of them can be made is pool_table.c's matter. A PoolDef belongs to its pool's state lock once it is in one.
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

#include "common/enum_table.h"
#include "common/xml.h"

/* All that libvirt knows. */
typedef enum PoolType {
    POOL_TYPE_DIR,
    POOL_TYPE_FS,
    POOL_TYPE_NETFS,
    POOL_TYPE_LOGICAL,
    POOL_TYPE_DISK,
    POOL_TYPE_ISCSI,
    POOL_TYPE_ISCSI_DIRECT,
    POOL_TYPE_SCSI,
    POOL_TYPE_MPATH,
    POOL_TYPE_RBD,
    POOL_TYPE_SHEEPDOG,
    POOL_TYPE_GLUSTER,
    POOL_TYPE_ZFS,
    POOL_TYPE_VSTORAGE,
    POOL_TYPE_LAST
} PoolType;
ENUM_TABLE_DECL(pool_type, PoolType)

/* <permissions>; -1: not said. */
typedef struct StoragePerms {
    int mode;
    gint64 owner, group;
    char *label;
} StoragePerms;
#define STORAGE_PERMS_NONE ((StoragePerms){-1, -1, -1, NULL})

typedef struct PoolDef {
    PoolType type;
    char *name;
    guint8 uuid[16];
    char *path; /* target folder: absolute, no doubled and no trailing slashes */
    StoragePerms perms;
    Tristate cow;
    char *source_vendor, *source_product;
    char *refresh_allocation; /* "default", "capacity" or NULL */
    /* Bytes; of an active pool. */
    guint64 capacity, allocation, available;
} PoolDef;

/* VIR_ERR_XML_ERROR for what is malformed; VIR_ERR_CONFIG_UNSUPPORTED for a kind of pool that cannot be made
 * here. schema_path: RNG to check against first, or NULL. */
PoolDef *pool_def_parse(const char *xml, const char *schema_path, GError **error);
/* The <pool> below a <poolstate>. */
PoolDef *pool_def_parse_state(const char *xml, GError **error);
PoolDef *pool_def_copy(const PoolDef *def);
void pool_def_free(PoolDef *def);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PoolDef, pool_def_free)

char *pool_def_format(const PoolDef *def);
/* As it is kept for an active pool: inside <poolstate>. */
char *pool_def_format_state(const PoolDef *def);

/* Shared with volumes. parent: the element that may have <permissions>. */
gboolean storage_perms_parse(xmlNodePtr parent, StoragePerms *ret, GError **error);
void storage_perms_format(XmlWriter *w, const StoragePerms *perms);
/* One slash where there are several, none at the end. Caller frees. */
char *storage_path_clean(const char *path);
