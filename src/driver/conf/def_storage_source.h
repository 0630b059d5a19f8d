/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One image or volume and its backing chain: <source>, <backingStore> and <mirror> of a disk, also the iSCSI
 * source of a host device. formatdomain, "Hard drives, floppy disks, CDROMs".
 */
#pragma once

#include "common/enum_table.h"
#include "common/xml.h"
#include "driver/conf/def_chr_source.h"
#include "driver/conf/device_info.h"

typedef enum {
    STORAGE_TYPE_NONE = 0, /* only as the end of a backing chain: <backingStore/> */
    STORAGE_TYPE_FILE,
    STORAGE_TYPE_BLOCK,
    STORAGE_TYPE_DIR,
    STORAGE_TYPE_NETWORK,
    STORAGE_TYPE_VOLUME,
    STORAGE_TYPE_NVME,
    STORAGE_TYPE_VHOSTUSER,
    STORAGE_TYPE_LAST
} StorageType;
ENUM_TABLE_DECL(storage_type, StorageType)

typedef enum {
    STORAGE_FORMAT_NONE = 0,
    STORAGE_FORMAT_RAW,
    STORAGE_FORMAT_DIR,
    STORAGE_FORMAT_BOCHS,
    STORAGE_FORMAT_CLOOP,
    STORAGE_FORMAT_DMG,
    STORAGE_FORMAT_ISO,
    STORAGE_FORMAT_VPC,
    STORAGE_FORMAT_VDI,
    STORAGE_FORMAT_FAT,
    STORAGE_FORMAT_VHD,
    STORAGE_FORMAT_PLOOP,
    STORAGE_FORMAT_COW,
    STORAGE_FORMAT_QCOW,
    STORAGE_FORMAT_QCOW2,
    STORAGE_FORMAT_QED,
    STORAGE_FORMAT_VMDK,
    STORAGE_FORMAT_LAST
} StorageFormat;
ENUM_TABLE_DECL(storage_format, StorageFormat)

typedef enum {
    STORAGE_PROTOCOL_NONE = 0,
    STORAGE_PROTOCOL_NBD,
    STORAGE_PROTOCOL_RBD,
    STORAGE_PROTOCOL_SHEEPDOG,
    STORAGE_PROTOCOL_GLUSTER,
    STORAGE_PROTOCOL_ISCSI,
    STORAGE_PROTOCOL_HTTP,
    STORAGE_PROTOCOL_HTTPS,
    STORAGE_PROTOCOL_FTP,
    STORAGE_PROTOCOL_FTPS,
    STORAGE_PROTOCOL_TFTP,
    STORAGE_PROTOCOL_SSH,
    STORAGE_PROTOCOL_VXHS,
    STORAGE_PROTOCOL_NFS,
    STORAGE_PROTOCOL_LAST
} StorageProtocol;
ENUM_TABLE_DECL(storage_protocol, StorageProtocol)

typedef enum {
    STORAGE_TRANSPORT_TCP = 0,
    STORAGE_TRANSPORT_UNIX,
    STORAGE_TRANSPORT_RDMA,
    STORAGE_TRANSPORT_LAST
} StorageTransport;
ENUM_TABLE_DECL(storage_transport, StorageTransport)

typedef enum {
    STARTUP_POLICY_DEFAULT = 0,
    STARTUP_POLICY_MANDATORY,
    STARTUP_POLICY_REQUISITE,
    STARTUP_POLICY_OPTIONAL,
    STARTUP_POLICY_LAST
} StartupPolicy;
ENUM_TABLE_DECL(startup_policy, StartupPolicy)

typedef enum { STORAGE_AUTH_NONE = 0, STORAGE_AUTH_CHAP, STORAGE_AUTH_CEPH, STORAGE_AUTH_LAST } StorageAuthType;
ENUM_TABLE_DECL(storage_auth, StorageAuthType)

typedef enum {
    STORAGE_POOL_MODE_DEFAULT = 0,
    STORAGE_POOL_MODE_HOST,
    STORAGE_POOL_MODE_DIRECT,
    STORAGE_POOL_MODE_LAST
} StoragePoolMode;
ENUM_TABLE_DECL(storage_pool_mode, StoragePoolMode)

typedef enum {
    ENCRYPTION_DEFAULT = 0,
    ENCRYPTION_QCOW,
    ENCRYPTION_LUKS,
    ENCRYPTION_LUKS2,
    ENCRYPTION_LAST
} EncryptionFormat;
ENUM_TABLE_DECL(encryption_format, EncryptionFormat)

typedef enum {
    ENCRYPTION_ENGINE_DEFAULT = 0,
    ENCRYPTION_ENGINE_QEMU,
    ENCRYPTION_ENGINE_LIBRBD,
    ENCRYPTION_ENGINE_LAST
} EncryptionEngine;
ENUM_TABLE_DECL(encryption_engine, EncryptionEngine)

/* <secret type='ceph' uuid='…'/> or <secret type='iscsi' usage='…'/>: names a secret, never holds one. */
typedef struct {
    char *type;
    char *uuid; /* one of uuid and usage is set */
    char *usage;
} SecretRef;

typedef struct {
    StorageAuthType type;
    char *username;
    SecretRef secret;
} StorageAuth;

typedef struct {
    EncryptionFormat format;
    EncryptionEngine engine;
    GPtrArray *secrets; /* of SecretRef; type is "passphrase" */
    char *cipher_name;  /* cipher and ivgen: only for images that are to be created */
    guint cipher_size;
    char *cipher_mode;
    char *cipher_hash;
    char *ivgen_name;
    char *ivgen_hash;
} StorageEncryption;

typedef struct {
    char *name;
    guint port; /* 0: the protocol's own */
    StorageTransport transport;
    char *socket; /* transport unix */
} StorageHost;

typedef struct {
    char *name;
    char *value;
} StorageCookie;

typedef struct StorageSource StorageSource;

struct StorageSource {
    StorageType type;
    StorageFormat format;      /* of the bytes in it: written in <driver type> or <format type> */
    guint64 metadata_cache;    /* qcow2 L2 cache limit in bytes; 0: default */
    guint index;               /* live: node number; names the image in block jobs ("vda[3]") */
    gboolean detected;         /* backing image found by probing, not written by the user */
    gboolean has_data_file;    /* found by probing: the data is in another file; not kept in any XML */
    gboolean payload_encrypted; /* found by probing; not kept in any XML */
    char *path;                /* file, dev, dir; network: name; vhostuser: socket */
    char *fdgroup;             /* file: descriptors handed over under this name */
    char *pool, *volume;       /* volume */
    StoragePoolMode pool_mode; /* volume */
    StorageProtocol protocol;  /* network */
    char *query;               /* network http: ?query */
    Tristate tls;
    char *tls_hostname;
    GPtrArray *hosts; /* of StorageHost; NULL when there is none */
    char *nfs_user, *nfs_group;
    char *snapshot;      /* rbd: <snapshot name> */
    char *config_file;   /* rbd: <config file> */
    char *initiator_iqn; /* iscsi */
    Tristate ssl_verify; /* https, ftps */
    GPtrArray *cookies;  /* of StorageCookie */
    guint64 readahead;   /* bytes */
    guint64 timeout;     /* seconds */
    Tristate nvme_managed;
    guint64 nvme_namespace;
    PciAddress nvme_address;
    ChrReconnect reconnect; /* vhostuser */
    gboolean has_slice;     /* only this part of the host file or device */
    guint64 slice_offset, slice_size;
    GPtrArray *seclabels; /* of SecurityLabel */
    StorageAuth *auth;
    StorageEncryption *encryption;
    Tristate pr_managed; /* <reservations managed=…>; absent: no reservations */
    char *pr_path;
    StorageSource *backing; /* NULL: not known yet; of type none: the end */
};

StorageSource *storage_source_new(StorageType type);
void storage_source_free(StorageSource *source); /* with its backing chain */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageSource, storage_source_free)
StorageSource *storage_source_copy(const StorageSource *source);

StorageHost *storage_host_new(void);
void storage_host_free(StorageHost *host);
void storage_cookie_free(StorageCookie *cookie);
guint storage_protocol_default_port(StorageProtocol protocol); /* 0: has none */

void storage_auth_free(StorageAuth *auth);
void storage_encryption_free(StorageEncryption *encryption);
StorageAuth *storage_auth_copy(const StorageAuth *auth); /* NULL of NULL */
StorageEncryption *storage_encryption_copy(const StorageEncryption *encryption);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageAuth, storage_auth_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageEncryption, storage_encryption_free)

/* Nothing there: an empty drive. */
gboolean storage_source_is_empty(const StorageSource *source);
gboolean storage_source_same(const StorageSource *a, const StorageSource *b);
/* For messages and block statistics: path, or "protocol:name". Caller frees; NULL when empty. */
char *storage_source_describe(const StorageSource *source);

/* Fills source, whose type is set, from a <source> element. */
gboolean storage_source_parse(xmlNodePtr node, StorageSource *source, guint parse_flags, GError **error);

typedef struct {
    const char *element;  /* "source" */
    StartupPolicy policy; /* attribute startupPolicy */
    gboolean with_index;
    gboolean skip_auth; /* written as child of <disk> instead */
    gboolean skip_encryption;
} StorageSourceFormat;
void storage_source_format(XmlWriter *w, const StorageSource *source, const StorageSourceFormat *how,
                           guint format_flags);

/* The <backingStore> child of node, if any, becomes source->backing. */
gboolean storage_backing_parse(xmlNodePtr node, StorageSource *source, guint parse_flags, GError **error);
void storage_backing_format(XmlWriter *w, const StorageSource *source, guint format_flags);

StorageAuth *storage_auth_parse(xmlNodePtr node, GError **error);
void storage_auth_format(XmlWriter *w, const StorageAuth *auth);
StorageEncryption *storage_encryption_parse(xmlNodePtr node, GError **error);
void storage_encryption_format(XmlWriter *w, const StorageEncryption *encryption);

/* <format type='qcow2'><metadata_cache>…, as <backingStore> and <mirror> have it. */
gboolean storage_format_parse(xmlNodePtr node, StorageSource *source, GError **error);
void storage_format_format(XmlWriter *w, const StorageSource *source);
void storage_metadata_cache_format(XmlWriter *w, const StorageSource *source);

/* Rules of each image of the chain. VIR_ERR_CONFIG_UNSUPPORTED. */
void storage_source_add_unit(StorageSource *source); /* an iSCSI target without a unit means unit 0 */
gboolean storage_source_validate(const StorageSource *source, GError **error);
