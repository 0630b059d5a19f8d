/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <auth> and <encryption> of storage sources: see def_storage_source.h. They name secrets and never hold one.
 */
#include <string.h>

#include "common/error.h"
#include "driver/conf/def_storage_source.h"
#include "driver/conf/domain_def.h"
#include "driver/conf/fields.h"

ENUM_TABLE(storage_auth, StorageAuthType, STORAGE_AUTH_LAST, "none", "chap", "ceph")
ENUM_TABLE(encryption_format, EncryptionFormat, ENCRYPTION_LAST, "default", "qcow", "luks", "luks2")
ENUM_TABLE(encryption_engine, EncryptionEngine, ENCRYPTION_ENGINE_LAST, "default", "qemu", "librbd")

static const Field secret_fields[] = {
    FIELD_STR(SecretRef, type, "type"),
    FIELD_STR(SecretRef, uuid, "uuid"),
    FIELD_STR(SecretRef, usage, "usage"),
    FIELD_END,
};
static const Field auth_fields[] = {
    FIELD_ENUM(StorageAuth, type, "type", storage_auth),
    FIELD_STR(StorageAuth, username, "username"),
    FIELD_END,
};
static const Field encryption_fields[] = {
    FIELD_ENUM_ALWAYS(StorageEncryption, format, "format", encryption_format, FIELD_REQUIRED,
                      .unknown = "unknown volume encryption format type"),
    FIELD_ENUM(StorageEncryption, engine, "engine", encryption_engine),
    FIELD_END,
};
static const Field cipher_fields[] = {
    FIELD_STR(StorageEncryption, cipher_name, "name"),
    FIELD_UINT(StorageEncryption, cipher_size, "size"),
    FIELD_STR(StorageEncryption, cipher_mode, "mode"),
    FIELD_STR(StorageEncryption, cipher_hash, "hash"),
    FIELD_END,
};
static const Field ivgen_fields[] = {
    FIELD_STR(StorageEncryption, ivgen_name, "name"),
    FIELD_STR(StorageEncryption, ivgen_hash, "hash"),
    FIELD_END,
};
static const Field creation_fields[] = {
    FIELD_ELEMENT("cipher", cipher_fields),
    FIELD_ELEMENT("ivgen", ivgen_fields),
    FIELD_END,
};

static gboolean secret_parse(xmlNodePtr node, SecretRef *secret, GError **error)
{
    guint8 uuid[16];
    char text[UUID_TEXT_SIZE];

    if (!fields_parse(secret_fields, node, secret, error))
        return FALSE;
    if ((secret->uuid == NULL) == (secret->usage == NULL))
        return error_set(error, VIR_ERR_XML_ERROR,
                         secret->uuid == NULL ? "missing secret uuid or usage attribute"
                                              : "either secret uuid or usage expected");
    if (secret->uuid == NULL)
        return TRUE;
    if (!uuid_parse(secret->uuid, uuid))
        return error_set(error, VIR_ERR_XML_ERROR, "invalid secret uuid '%s'", secret->uuid);
    uuid_format(uuid, text);
    g_free(secret->uuid);
    secret->uuid = g_strdup(text);
    return TRUE;
}

static void secret_free(SecretRef *secret)
{
    fields_clear(secret_fields, secret);
    g_free(secret);
}

static SecretRef secret_copy(const SecretRef *secret)
{
    return (SecretRef){g_strdup(secret->type), g_strdup(secret->uuid), g_strdup(secret->usage)};
}

void storage_auth_free(StorageAuth *auth)
{
    if (auth == NULL)
        return;
    fields_clear(auth_fields, auth);
    fields_clear(secret_fields, &auth->secret);
    g_free(auth);
}

StorageAuth *storage_auth_copy(const StorageAuth *auth)
{
    StorageAuth *copy;

    if (auth == NULL)
        return NULL;
    copy = g_new0(StorageAuth, 1);
    copy->type = auth->type;
    copy->username = g_strdup(auth->username);
    copy->secret = secret_copy(&auth->secret);
    return copy;
}

StorageAuth *storage_auth_parse(xmlNodePtr node, GError **error)
{
    g_autoptr(StorageAuth) auth = g_new0(StorageAuth, 1);
    xmlNodePtr secret = xml_child(node, "secret");

    if (!fields_parse(auth_fields, node, auth, error))
        return NULL;
    if (auth->username == NULL) {
        error_set(error, VIR_ERR_XML_ERROR, "missing username for auth");
        return NULL;
    }
    if (secret == NULL) {
        error_set(error, VIR_ERR_XML_ERROR, "missing secret element in auth");
        return NULL;
    }
    return secret_parse(secret, &auth->secret, error) ? g_steal_pointer(&auth) : NULL;
}

void storage_auth_format(XmlWriter *w, const StorageAuth *auth)
{
    xml_open(w, "auth");
    fields_format(w, auth_fields, auth);
    fields_format_element(w, "secret", secret_fields, &auth->secret);
    xml_close(w);
}

void storage_encryption_free(StorageEncryption *encryption)
{
    if (encryption == NULL)
        return;
    fields_clear(creation_fields, encryption);
    g_clear_pointer(&encryption->secrets, g_ptr_array_unref);
    g_free(encryption);
}

static StorageEncryption *encryption_new(void)
{
    StorageEncryption *encryption = g_new0(StorageEncryption, 1);

    encryption->secrets = g_ptr_array_new_with_free_func((GDestroyNotify)secret_free);
    return encryption;
}

StorageEncryption *storage_encryption_copy(const StorageEncryption *encryption)
{
    StorageEncryption *copy;

    if (encryption == NULL)
        return NULL;
    copy = encryption_new();
    copy->format = encryption->format;
    copy->engine = encryption->engine;
    copy->cipher_size = encryption->cipher_size;
    copy->cipher_name = g_strdup(encryption->cipher_name);
    copy->cipher_mode = g_strdup(encryption->cipher_mode);
    copy->cipher_hash = g_strdup(encryption->cipher_hash);
    copy->ivgen_name = g_strdup(encryption->ivgen_name);
    copy->ivgen_hash = g_strdup(encryption->ivgen_hash);
    for (guint i = 0; i < encryption->secrets->len; i++) {
        SecretRef *secret = g_new0(SecretRef, 1);

        *secret = secret_copy(g_ptr_array_index(encryption->secrets, i));
        g_ptr_array_add(copy->secrets, secret);
    }
    return copy;
}

StorageEncryption *storage_encryption_parse(xmlNodePtr node, GError **error)
{
    g_autoptr(StorageEncryption) encryption = encryption_new();

    if (!fields_parse(encryption_fields, node, encryption, error))
        return NULL;
    XML_FOREACH(child, node, "secret")
    {
        SecretRef *secret = g_new0(SecretRef, 1);

        g_ptr_array_add(encryption->secrets, secret);
        if (!secret_parse(child, secret, error))
            return NULL;
        if (g_strcmp0(secret->type, "passphrase") != 0) {
            error_set(error, VIR_ERR_XML_ERROR, "unknown volume encryption secret type '%s'",
                      secret->type != NULL ? secret->type : "");
            return NULL;
        }
    }
    if (encryption->format == ENCRYPTION_LUKS && !fields_parse(creation_fields, node, encryption, error))
        return NULL;
    return g_steal_pointer(&encryption);
}

void storage_encryption_format(XmlWriter *w, const StorageEncryption *encryption)
{
    xml_open(w, "encryption");
    fields_format(w, encryption_fields, encryption);
    for (guint i = 0; i < encryption->secrets->len; i++)
        fields_format_element(w, "secret", secret_fields, g_ptr_array_index(encryption->secrets, i));
    if (encryption->format == ENCRYPTION_LUKS && encryption->cipher_name != NULL)
        fields_format(w, creation_fields, encryption);
    xml_close(w);
}

/* --- rules --- */

static gboolean validate_auth(const StorageSource *source, GError **error)
{
    const char *type = source->auth->secret.type;

    switch (source->protocol) {
    case STORAGE_PROTOCOL_ISCSI:
    case STORAGE_PROTOCOL_RBD:
    case STORAGE_PROTOCOL_HTTP:
    case STORAGE_PROTOCOL_HTTPS:
    case STORAGE_PROTOCOL_FTP:
    case STORAGE_PROTOCOL_FTPS:
    case STORAGE_PROTOCOL_SSH:
        break;
    default:
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "authentication is not supported for protocol '%s'",
                         storage_protocol_to_string(source->protocol));
    }
    if ((source->protocol == STORAGE_PROTOCOL_ISCSI && g_strcmp0(type, "iscsi") != 0) ||
        (source->protocol == STORAGE_PROTOCOL_RBD && g_strcmp0(type, "ceph") != 0))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "invalid secret type '%s'",
                         type != NULL ? type : "");
    return TRUE;
}

static gboolean validate_one(const StorageSource *source, GError **error)
{
    const StorageEncryption *encryption = source->encryption;

    if (source->type == STORAGE_TYPE_NETWORK && source->auth != NULL && !validate_auth(source, error))
        return FALSE;
    if (encryption != NULL && encryption->format == ENCRYPTION_LUKS && encryption->cipher_name != NULL)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "supplying <cipher> for domain disk definition is unnecessary");
    if (encryption != NULL && encryption->format == ENCRYPTION_LUKS2 &&
        encryption->engine != ENCRYPTION_ENGINE_LIBRBD)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "encryption format 'luks2' is only supported with engine 'librbd'");
    if (source->type == STORAGE_TYPE_NVME && source->nvme_namespace == 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "NVMe namespace can't be zero");
    switch (source->protocol) {
    case STORAGE_PROTOCOL_SHEEPDOG:
    case STORAGE_PROTOCOL_VXHS:
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "disk source protocol '%s' is not supported: QEMU has dropped it",
                         storage_protocol_to_string(source->protocol));
    default:
        return TRUE;
    }
}

void storage_source_add_unit(StorageSource *source)
{
    char *path;

    if (source->type != STORAGE_TYPE_NETWORK || source->protocol != STORAGE_PROTOCOL_ISCSI || source->path == NULL ||
        strchr(source->path, '/') != NULL)
        return;
    path = g_strconcat(source->path, "/0", NULL);
    g_free(source->path);
    source->path = path;
}

gboolean storage_source_validate(const StorageSource *source, GError **error)
{
    for (; source != NULL; source = source->backing) {
        if (!validate_one(source, error))
            return FALSE;
    }
    return TRUE;
}
