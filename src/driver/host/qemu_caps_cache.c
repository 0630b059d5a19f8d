/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Capabilities by binary, kept in memory and in CACHE_DIR/qemu-HASH.json. An entry holds as long as the binary's path,
 * size, mtime and ctime, the state of /dev/kvm and the running kernel are what they were. One lock for the table, one
 * per entry: a slow probe of one binary does not hold up another.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/atomic_file.h"
#include "common/error.h"
#define LOG_SOURCE "host.qemu_caps"
#include "common/log.h"
#include "driver/host/qemu_caps.h"
#include "driver/host/qemu_caps_private.h"
#include "driver/host/qemu_probe.h"

enum { CACHE_FORMAT = 3, CACHE_FILE_MAX = 16 * 1024 * 1024 };

typedef struct Entry {
    GMutex mutex; /* held while probing */
    QemuCaps *caps;
    char *stamp;
} Entry;

struct QemuCapsCache {
    char *dir, *default_emulator;
    GMutex mutex;
    GHashTable *entries; /* path -> Entry; entries are never removed */
};

static void entry_free(gpointer data)
{
    Entry *entry = data;

    qemu_caps_unref(entry->caps);
    g_free(entry->stamp);
    g_mutex_clear(&entry->mutex);
    g_free(entry);
}

QemuCapsCache *qemu_caps_cache_new(const char *cache_dir, const char *default_emulator)
{
    QemuCapsCache *cache = g_new0(QemuCapsCache, 1);

    cache->dir = g_strdup(cache_dir);
    cache->default_emulator = g_strdup(default_emulator);
    g_mutex_init(&cache->mutex);
    cache->entries = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, entry_free);
    return cache;
}

void qemu_caps_cache_free(QemuCapsCache *cache)
{
    if (cache == NULL)
        return;
    g_hash_table_unref(cache->entries);
    g_mutex_clear(&cache->mutex);
    g_free(cache->dir);
    g_free(cache->default_emulator);
    g_free(cache);
}

char *qemu_caps_cache_find_emulator(QemuCapsCache *cache, const char *arch)
{
    static const struct {
        const char *arch, *binary;
    } names[] = {
        {"x86_64", "qemu-system-x86_64"}, {"i686", "qemu-system-i386"},       {"i686", "qemu-system-x86_64"},
        {"aarch64", "qemu-system-aarch64"}, {"x86_64", "qemu-kvm"},
    };

    if (cache->default_emulator != NULL && (g_str_equal(arch, "x86_64") || g_str_equal(arch, "i686")))
        return g_strdup(cache->default_emulator);
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        char *path = g_str_equal(names[i].arch, arch) ? g_find_program_in_path(names[i].binary) : NULL;

        if (path != NULL)
            return path;
    }
    if (g_str_equal(arch, "x86_64") && access("/usr/libexec/qemu-kvm", X_OK) == 0)
        return g_strdup("/usr/libexec/qemu-kvm");
    return NULL;
}

/* --- when an entry is stale ----------------------------------------------------------------------------- */

static char *stamp_of(const char *binary, GError **error)
{
    struct utsname kernel = {0};
    struct stat st, kvm = {0};

    errno = 0;
    if (stat(binary, &st) < 0 || !S_ISREG(st.st_mode) || access(binary, X_OK) < 0) {
        error_set_errno(error, errno != 0 ? errno : EACCES, "Cannot check QEMU binary %s", binary);
        return NULL;
    }
    uname(&kernel);
    stat("/dev/kvm", &kvm);
    return g_strdup_printf("%d %s %" G_GINT64_FORMAT " %" G_GINT64_FORMAT ".%ld %" G_GINT64_FORMAT ".%ld %u:%o:%u:%u "
                           "%d %u %s %s",
                           CACHE_FORMAT, PACKAGE_VERSION, (gint64)st.st_size, (gint64)st.st_mtim.tv_sec,
                           st.st_mtim.tv_nsec, (gint64)st.st_ctim.tv_sec, st.st_ctim.tv_nsec, (guint)kvm.st_rdev,
                           (guint)kvm.st_mode, kvm.st_uid, kvm.st_gid, access("/dev/kvm", R_OK | W_OK) == 0,
                           (guint)geteuid(), kernel.release, kernel.version);
}

/* --- on disk -------------------------------------------------------------------------------------------- */

static char *file_of(const QemuCapsCache *cache, const char *binary)
{
    g_autofree char *hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, binary, -1);
    g_autofree char *name = g_strdup_printf("qemu-%.32s.json", hash);

    return g_build_filename(cache->dir, name, NULL);
}

static QemuCaps *load(const QemuCapsCache *cache, const char *binary, const char *stamp)
{
    g_autofree char *path = cache->dir != NULL ? file_of(cache, binary) : NULL;
    QemuCaps *caps = NULL;
    json_t *doc;
    struct stat st;

    if (path == NULL || stat(path, &st) < 0 || st.st_size > CACHE_FILE_MAX)
        return NULL;
    doc = json_load_file(path, 0, NULL);
    if (g_strcmp0(json_string_value(json_object_get(doc, "stamp")), stamp) == 0 &&
        g_strcmp0(json_string_value(json_object_get(doc, "binary")), binary) == 0)
        caps = qemu_caps_from_json(binary, json_object_get(doc, "caps"), NULL);
    json_decref(doc);
    return caps;
}

static void store(const QemuCapsCache *cache, const char *binary, const char *stamp, json_t *caps)
{
    g_autofree char *path = cache->dir != NULL ? file_of(cache, binary) : NULL;
    g_autoptr(GError) error = NULL;
    json_t *doc;
    char *text;

    if (path == NULL)
        return;
    doc = json_pack("{s:s, s:s, s:O}", "binary", binary, "stamp", stamp, "caps", caps);
    text = json_dumps(doc, JSON_COMPACT);
    json_decref(doc);
    g_mkdir_with_parents(cache->dir, 0755);
    if (text != NULL && !atomic_file_write(path, text, -1, 0600, &error))
        log_warning("capabilities of '%s' are not kept: %s", binary, error->message);
    free(text);
}

/* --- look-up -------------------------------------------------------------------------------------------- */

static Entry *entry_for(QemuCapsCache *cache, const char *binary)
{
    Entry *entry;

    g_mutex_lock(&cache->mutex);
    entry = g_hash_table_lookup(cache->entries, binary);
    if (entry == NULL) {
        entry = g_new0(Entry, 1);
        g_mutex_init(&entry->mutex);
        g_hash_table_insert(cache->entries, g_strdup(binary), entry);
    }
    g_mutex_unlock(&cache->mutex);
    return entry;
}

static QemuCaps *probe(QemuCapsCache *cache, const char *binary, const char *stamp, GError **error)
{
    gint64 start = g_get_monotonic_time();
    json_t *doc = qemu_probe_binary(binary, QEMU_CAPS_DEADLINE_MS, error);
    QemuCaps *caps = doc != NULL ? qemu_caps_from_json(binary, doc, error) : NULL;

    if (caps != NULL) {
        store(cache, binary, stamp, doc);
        log_info("asked '%s' for its capabilities in %d ms", binary, (int)((g_get_monotonic_time() - start) / 1000));
    }
    json_decref(doc);
    return caps;
}

QemuCaps *qemu_caps_cache_get(QemuCapsCache *cache, const char *binary, GError **error)
{
    g_autofree char *path = g_strdup(binary);
    g_autofree char *stamp = NULL;
    QemuCaps *caps = NULL;
    struct utsname name;
    Entry *entry;

    if (path == NULL)
        path = qemu_caps_cache_find_emulator(cache, uname(&name) == 0 ? name.machine : "x86_64");
    if (path == NULL) {
        error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "no QEMU is installed: there is no qemu-system-%s on PATH",
                  name.machine);
        return NULL;
    }
    errno = 0;
    stamp = stamp_of(path, error);
    if (stamp == NULL)
        return NULL;
    entry = entry_for(cache, path);
    g_mutex_lock(&entry->mutex);
    if (entry->caps == NULL || g_strcmp0(entry->stamp, stamp) != 0) {
        caps = load(cache, path, stamp);
        if (caps == NULL)
            caps = probe(cache, path, stamp, error);
        if (caps != NULL) {
            qemu_caps_unref(entry->caps);
            entry->caps = g_steal_pointer(&caps);
            g_free(entry->stamp);
            entry->stamp = g_steal_pointer(&stamp);
        } else {
            g_mutex_unlock(&entry->mutex);
            return NULL;
        }
    }
    caps = qemu_caps_ref(entry->caps);
    g_mutex_unlock(&entry->mutex);
    return caps;
}
