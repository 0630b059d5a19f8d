/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images as values: made, copied, freed, compared, named. See def_storage_source.h; their XML is def_storage_source.c. */
#include "driver/conf/def_storage_source.h"

/* --- life --- */

StorageHost *storage_host_new(void)
{
    return g_new0(StorageHost, 1);
}

void storage_host_free(StorageHost *host)
{
    g_free(host->name);
    g_free(host->socket);
    g_free(host);
}

/* A copy of a struct of any kind, with its own copies of the two strings that it owns. */
static gpointer copy_with_strings(gconstpointer src, gsize size, gsize first, gsize second)
{
    gpointer copy = g_memdup2(src, size);
    char **one = G_STRUCT_MEMBER_P(copy, first), **other = G_STRUCT_MEMBER_P(copy, second);

    *one = g_strdup(*one);
    *other = g_strdup(*other);
    return copy;
}

static gpointer host_copy(gconstpointer src, G_GNUC_UNUSED gpointer data)
{
    return copy_with_strings(src, sizeof(StorageHost), offsetof(StorageHost, name), offsetof(StorageHost, socket));
}

void storage_cookie_free(StorageCookie *cookie)
{
    g_free(cookie->name);
    g_free(cookie->value);
    g_free(cookie);
}

static gpointer cookie_copy(gconstpointer src, G_GNUC_UNUSED gpointer data)
{
    return copy_with_strings(src, sizeof(StorageCookie), offsetof(StorageCookie, name), offsetof(StorageCookie, value));
}

static gpointer label_copy(gconstpointer src, G_GNUC_UNUSED gpointer data)
{
    return copy_with_strings(src, sizeof(SecurityLabel), offsetof(SecurityLabel, model), offsetof(SecurityLabel, label));
}

/* NULL stays NULL; the copy frees its members as the original does. */
static GPtrArray *list_copy(GPtrArray *list, GCopyFunc copy)
{
    return list != NULL ? g_ptr_array_copy(list, copy, NULL) : NULL;
}

StorageSource *storage_source_new(StorageType type)
{
    StorageSource *source = g_new0(StorageSource, 1);

    source->type = type;
    return source;
}

enum { STRINGS = 12 };

/* Every string that a source owns. */
static void strings_of(StorageSource *source, char **ret[STRINGS])
{
    char **strings[STRINGS] = {&source->path,     &source->fdgroup,      &source->pool,          &source->volume,
                               &source->query,    &source->tls_hostname, &source->nfs_user,      &source->nfs_group,
                               &source->snapshot, &source->config_file,  &source->initiator_iqn, &source->pr_path};

    for (guint i = 0; i < STRINGS; i++)
        ret[i] = strings[i];
}

static void free_one(StorageSource *source)
{
    char **strings[STRINGS];

    strings_of(source, strings);
    for (guint i = 0; i < STRINGS; i++)
        g_free(*strings[i]);
    g_clear_pointer(&source->hosts, g_ptr_array_unref);
    g_clear_pointer(&source->cookies, g_ptr_array_unref);
    g_clear_pointer(&source->seclabels, g_ptr_array_unref);
    storage_auth_free(source->auth);
    storage_encryption_free(source->encryption);
    g_free(source);
}

void storage_source_free(StorageSource *source)
{
    while (source != NULL) {
        StorageSource *backing = source->backing;

        free_one(source);
        source = backing;
    }
}

static StorageSource *copy_one(const StorageSource *source)
{
    StorageSource *copy = g_memdup2(source, sizeof(*source));
    char **strings[STRINGS];

    strings_of(copy, strings);
    for (guint i = 0; i < STRINGS; i++)
        *strings[i] = g_strdup(*strings[i]);
    copy->hosts = list_copy(source->hosts, host_copy);
    copy->cookies = list_copy(source->cookies, cookie_copy);
    copy->seclabels = list_copy(source->seclabels, label_copy);
    copy->auth = storage_auth_copy(source->auth);
    copy->encryption = storage_encryption_copy(source->encryption);
    copy->backing = NULL;
    return copy;
}

StorageSource *storage_source_copy(const StorageSource *source)
{
    StorageSource *head = NULL;
    StorageSource **tail = &head;

    for (; source != NULL; source = source->backing) {
        *tail = copy_one(source);
        tail = &(*tail)->backing;
    }
    return head;
}

/* --- questions --- */

gboolean storage_source_is_empty(const StorageSource *source)
{
    switch (source->type) {
    case STORAGE_TYPE_NETWORK:
        return source->protocol == STORAGE_PROTOCOL_NONE;
    case STORAGE_TYPE_VOLUME:
        return source->pool == NULL || source->volume == NULL;
    case STORAGE_TYPE_NVME:
        return FALSE;
    default:
        return source->path == NULL;
    }
}

static gboolean same_hosts(const GPtrArray *a, const GPtrArray *b)
{
    if ((a != NULL ? a->len : 0) != (b != NULL ? b->len : 0))
        return FALSE;
    for (guint i = 0; a != NULL && i < a->len; i++) {
        const StorageHost *one = g_ptr_array_index(a, i), *other = g_ptr_array_index(b, i);

        if (one->port != other->port || one->transport != other->transport ||
            g_strcmp0(one->name, other->name) != 0 || g_strcmp0(one->socket, other->socket) != 0)
            return FALSE;
    }
    return TRUE;
}

gboolean storage_source_same(const StorageSource *a, const StorageSource *b)
{
    if (storage_source_is_empty(a) || storage_source_is_empty(b))
        return storage_source_is_empty(a) && storage_source_is_empty(b);
    if (a->type != b->type)
        return FALSE;
    switch (a->type) {
    case STORAGE_TYPE_NETWORK:
        return a->protocol == b->protocol && g_strcmp0(a->path, b->path) == 0 &&
               same_hosts(a->hosts, b->hosts);
    case STORAGE_TYPE_VOLUME:
        return g_strcmp0(a->pool, b->pool) == 0 && g_strcmp0(a->volume, b->volume) == 0;
    case STORAGE_TYPE_NVME: {
        DeviceAddress first = {.type = ADDRESS_PCI, .u.pci = a->nvme_address};
        DeviceAddress second = {.type = ADDRESS_PCI, .u.pci = b->nvme_address};

        return a->nvme_namespace == b->nvme_namespace && device_address_equal(&first, &second);
    }
    default:
        return g_strcmp0(a->path, b->path) == 0;
    }
}

char *storage_source_describe(const StorageSource *source)
{
    if (storage_source_is_empty(source))
        return NULL;
    switch (source->type) {
    case STORAGE_TYPE_NETWORK:
        return g_strdup_printf("%s:%s", storage_protocol_to_string(source->protocol),
                               source->path != NULL ? source->path : "");
    case STORAGE_TYPE_VOLUME:
        return g_strdup_printf("%s/%s", source->pool, source->volume);
    case STORAGE_TYPE_NVME:
        return pci_address_text(&source->nvme_address);
    default:
        return g_strdup(source->path);
    }
}
