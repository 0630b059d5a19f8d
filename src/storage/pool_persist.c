/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pools on disk. See pool_persist.h. */
#define ERROR_FROM VIR_FROM_STORAGE
#define LOG_SOURCE "storage.persist"

#include "storage/pool_persist.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/atomic_file.h"
#include "common/error.h"
#include "common/log.h"

enum { FILE_MAX = 1 << 20 };

static char *xml_name(const char *folder, const char *name)
{
    return g_strdup_printf("%s/%s.xml", folder, name);
}

static gboolean make_folder(const char *folder, GError **error)
{
    return g_mkdir_with_parents(folder, 0700) == 0 ||
           error_set_errno(error, errno, "cannot create directory %s", folder);
}

gboolean pool_persist_save(Storage *storage, const PoolDef *def, GError **error)
{
    g_autofree char *path = xml_name(storage->config_dir, def->name);
    g_autoptr(PoolDef) plain = pool_def_copy(def);
    g_autofree char *xml = NULL, *text = NULL;

    plain->capacity = plain->allocation = plain->available = 0;
    xml = pool_def_format(plain);
    text = g_strdup_printf("<!--\n"
                           "This file is written by virtkited. Change the definition with\n"
                           "  virsh -c kite:///system pool-edit ...\n"
                           "or another client: edits made here are lost, or unseen until the next start.\n"
                           "-->\n%s",
                           xml);
    if (make_folder(storage->config_dir, error) && atomic_file_write(path, text, -1, 0600, error))
        return TRUE;
    g_prefix_error(error, "cannot save the definition of storage pool '%s': ", def->name);
    return FALSE;
}

gboolean pool_persist_remove(Storage *storage, const char *name, GError **error)
{
    g_autofree char *path = xml_name(storage->config_dir, name);
    g_autofree char *link = xml_name(storage->autostart_dir, name);

    return atomic_file_remove(link, error) && atomic_file_remove(path, error);
}

gboolean pool_persist_set_autostart(Storage *storage, const char *name, gboolean autostart, GError **error)
{
    g_autofree char *path = xml_name(storage->config_dir, name);
    g_autofree char *link = xml_name(storage->autostart_dir, name);

    if (!autostart)
        return atomic_file_remove(link, error);
    if (!make_folder(storage->autostart_dir, error))
        return FALSE;
    /* A link that an earlier life left behind may point anywhere. */
    if (symlink(path, link) == 0 || (errno == EEXIST && unlink(link) == 0 && symlink(path, link) == 0))
        return TRUE;
    return error_set_errno(error, errno, "Failed to create symlink '%s' to '%s'", link, path);
}

gboolean pool_persist_save_state(Storage *storage, const PoolDef *def, GError **error)
{
    g_autofree char *path = xml_name(storage->state_dir, def->name);
    g_autofree char *text = pool_def_format_state(def);

    return make_folder(storage->state_dir, error) && atomic_file_write(path, text, -1, 0600, error);
}

void pool_persist_remove_state(Storage *storage, const char *name)
{
    g_autofree char *path = xml_name(storage->state_dir, name);
    g_autoptr(GError) error = NULL;

    if (!atomic_file_remove(path, &error))
        log_warning("%s", error->message);
}

/* --- loading -------------------------------------------------------------------------------------------- */

typedef PoolDef *(*ParseFunc)(const char *text, GError **error);

static PoolDef *parse_config(const char *text, GError **error)
{
    return pool_def_parse(text, NULL, error);
}

static PoolDef *load_file(const char *folder, const char *entry, ParseFunc parse)
{
    g_autofree char *path = g_build_filename(folder, entry, NULL), *text = NULL, *expected = NULL;
    g_autoptr(PoolDef) def = NULL;
    g_autoptr(GError) error = NULL;
    struct stat st;

    if (!g_str_has_suffix(entry, ".xml") || stat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return NULL;
    if (st.st_size > FILE_MAX) {
        log_error("storage pool '%s' is not loaded: the file is larger than %d bytes", path, FILE_MAX);
        return NULL;
    }
    if (g_file_get_contents(path, &text, NULL, &error))
        def = parse(text, &error);
    if (def == NULL) {
        log_error("storage pool '%s' is not loaded: %s", path, error->message);
        return NULL;
    }
    expected = g_strdup_printf("%s.xml", def->name);
    if (!g_str_equal(expected, entry)) {
        log_error("storage pool '%s' is not loaded: it names itself '%s'", path, def->name);
        return NULL;
    }
    return g_steal_pointer(&def);
}

static gboolean has_autostart(Storage *storage, const char *name)
{
    g_autofree char *link = xml_name(storage->autostart_dir, name);

    return g_file_test(link, G_FILE_TEST_IS_SYMLINK) && g_file_test(link, G_FILE_TEST_IS_REGULAR);
}

static void add_state(Storage *storage, PoolDef *def)
{
    g_autoptr(Pool) pool = pool_new(def);

    pool->active = pool->unsettled = TRUE;
    storage_insert(storage, pool);
}

static void add_config(Storage *storage, PoolDef *def)
{
    g_autoptr(Pool) pool = storage_pool_by_name(storage, def->name);
    g_autoptr(Pool) same = storage_pool_by_uuid(storage, def->uuid);

    if (pool != same) {
        log_error("storage pool '%s' is not loaded: its uuid or name belongs to an active pool", def->name);
        pool_def_free(def);
        return;
    }
    if (pool != NULL) {
        pool->new_def = def; /* the live one is as the pool was started */
    } else {
        pool = pool_new(def);
        storage_insert(storage, pool);
    }
    pool->persistent = TRUE;
    pool->autostart = has_autostart(storage, def->name);
    pool->unsettled = pool->active || pool->autostart;
}

static void load_folder(Storage *storage, const char *folder, ParseFunc parse,
                        void (*add)(Storage *, PoolDef *))
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *entry;

    while (dir != NULL && (entry = g_dir_read_name(dir)) != NULL) {
        PoolDef *def = load_file(folder, entry, parse);
        g_autoptr(Pool) known = NULL;

        if (def == NULL)
            continue;
        known = storage_pool_by_uuid(storage, def->uuid);
        if (known != NULL && !g_str_equal(known->name, def->name)) {
            log_error("storage pool '%s' is not loaded: '%s' has the same uuid", def->name, known->name);
            pool_def_free(def);
            continue;
        }
        add(storage, def);
    }
}

guint pool_persist_load(Storage *storage)
{
    g_autoptr(GPtrArray) pools = NULL;

    atomic_file_sweep(storage->state_dir);
    atomic_file_sweep(storage->config_dir);
    load_folder(storage, storage->state_dir, pool_def_parse_state, add_state);
    load_folder(storage, storage->config_dir, parse_config, add_config);
    pools = storage_pools(storage);
    return pools->len;
}
