/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Domains on disk. See persist.h. */
#define LOG_SOURCE "domain.persist"

#include "driver/domain/persist.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/atomic_file.h"
#include "common/log.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/domain_list.h"
#include "driver/domain/domain_private.h"
#include "driver/domain/status_file.h"
#include "driver/driver.h"

/* sun_path holds 107 characters; run_dir and the longest socket name in a run folder take up to 60 of them.
 */
enum { RUN_NAME_MAX = 40, STATUS_FILE_MAX = 32 << 20 };

/* --- definitions ---------------------------------------------------------------------------------------- */

static char *xml_name(const char *folder, const char *name)
{
    return g_strdup_printf("%s/%s.xml", folder, name);
}

char *persist_format_config(const DomainDef *def)
{
    g_autofree char *xml = domain_def_format(def, DOMAIN_DEF_FORMAT_SECURE | DOMAIN_DEF_FORMAT_INACTIVE);

    return g_strdup_printf("<!--\n"
                           "This file is written by virtkited. Change the definition with\n"
                           "  virsh -c kite:///system edit ...\n"
                           "or another client: edits made here are lost, or unseen until the next start.\n"
                           "-->\n%s",
                           xml);
}

gboolean persist_write_config(Driver *driver, const char *name, const char *xml, GError **error)
{
    g_autofree char *path = xml_name(driver->paths->domain_config_dir, name);

    if (atomic_file_write(path, xml, -1, 0600, error))
        return TRUE;
    g_prefix_error(error, "cannot save the definition of domain '%s': ", name);
    return FALSE;
}

gboolean persist_remove_config(Driver *driver, const char *name, GError **error)
{
    g_autofree char *path = xml_name(driver->paths->domain_config_dir, name);
    g_autofree char *link = xml_name(driver->paths->domain_autostart_dir, name);

    return atomic_file_remove(link, error) && atomic_file_remove(path, error);
}

gboolean persist_set_autostart(Driver *driver, const char *name, gboolean autostart, GError **error)
{
    g_autofree char *path = xml_name(driver->paths->domain_config_dir, name);
    g_autofree char *link = xml_name(driver->paths->domain_autostart_dir, name);

    if (!autostart)
        return atomic_file_remove(link, error);
    if (g_mkdir_with_parents(driver->paths->domain_autostart_dir, 0700) < 0)
        return error_set_errno(error, errno, "cannot create autostart directory '%s'",
                               driver->paths->domain_autostart_dir);
    if (symlink(path, link) == 0)
        return TRUE;
    /* A link that an earlier life left behind may point anywhere. */
    if (errno == EEXIST && unlink(link) == 0 && symlink(path, link) == 0)
        return TRUE;
    return error_set_errno(error, errno, "failed to create symlink '%s' to '%s'", link, path);
}

gboolean persist_rename_config(Driver *driver, const char *old_name, const char *new_name, const char *xml,
                               gboolean autostart, GError **error)
{
    if (!persist_write_config(driver, new_name, xml, error))
        return FALSE;
    if (autostart && !persist_set_autostart(driver, new_name, TRUE, error)) {
        persist_remove_config(driver, new_name, NULL);
        return FALSE;
    }
    if (!persist_remove_config(driver, old_name, error)) {
        /* One of the two names must go, or the next start finds the domain twice. */
        if (autostart)
            persist_set_autostart(driver, old_name, TRUE, NULL);
        persist_remove_config(driver, new_name, NULL);
        return FALSE;
    }
    return TRUE;
}

/* --- loading -------------------------------------------------------------------------------------------- */

typedef struct LoadFile {
    char *path;
    char *name; /* without .xml */
    gint64 mtime;
    DomainDef *def;
    GError *error;
} LoadFile;

static void load_file_free(gpointer data)
{
    LoadFile *file = data;

    g_free(file->path);
    g_free(file->name);
    domain_def_free(file->def);
    g_clear_error(&file->error);
    g_free(file);
}

static GPtrArray *find_configs(const char *folder)
{
    GPtrArray *files = g_ptr_array_new_with_free_func(load_file_free);
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) dir = g_dir_open(folder, 0, &error);
    const char *entry;

    if (dir == NULL && !g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
        log_error("cannot read the folder of definitions: %s", error->message);
    while (dir != NULL && (entry = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(folder, entry, NULL);
        struct stat st;
        LoadFile *file;

        if (!g_str_has_suffix(entry, ".xml") || stat(path, &st) < 0 || !S_ISREG(st.st_mode))
            continue;
        file = g_new0(LoadFile, 1);
        file->name = g_strndup(entry, strlen(entry) - strlen(".xml"));
        file->path = g_steal_pointer(&path);
        file->mtime = st.st_mtim.tv_sec * G_GINT64_CONSTANT(1000000000) + st.st_mtim.tv_nsec;
        g_ptr_array_add(files, file);
    }
    return files;
}

/* A thread of the pool parses a file; nothing is shared. */
static void load_one(gpointer data, gpointer env)
{
    LoadFile *file = data;

    file->def = domain_def_parse_file(
        file->path, env, DOMAIN_DEF_PARSE_INACTIVE | DOMAIN_DEF_PARSE_SKIP_VALIDATE, &file->error);
    if (file->def != NULL && strcmp(file->def->name, file->name) != 0) {
        error_set(&file->error, VIR_ERR_INTERNAL_ERROR, "it defines a domain of another name, '%s'",
                  file->def->name);
        g_clear_pointer(&file->def, domain_def_free);
    }
}

/* After a crash in the middle of a rename there are two files with one uuid: the newer one counts. */
static gint newest_first(gconstpointer a, gconstpointer b)
{
    const LoadFile *x = *(LoadFile *const *)a, *y = *(LoadFile *const *)b;

    return x->mtime != y->mtime ? (x->mtime < y->mtime ? 1 : -1) : strcmp(x->name, y->name);
}

static gboolean adopt(Driver *driver, DomainList *list, LoadFile *file)
{
    g_autoptr(Domain) dom = NULL;
    g_autofree char *link = xml_name(driver->paths->domain_autostart_dir, file->name);

    if (file->def == NULL)
        return FALSE;
    dom = domain_list_claim(list, file->def->uuid, file->name, DOMAIN_CLAIM_DEFINE, &file->error);
    if (dom == NULL)
        return FALSE;
    lock_acquire(&dom->lock);
    domain_put_config(dom, g_steal_pointer(&file->def));
    dom->autostart = g_file_test(link, G_FILE_TEST_IS_SYMLINK);
    lock_release(&dom->lock);
    domain_list_publish(list, dom);
    return TRUE;
}

guint persist_load_configs(Driver *driver, DomainList *list)
{
    const char *folder = driver->paths->domain_config_dir;
    g_autoptr(GPtrArray) files = NULL;
    GThreadPool *pool;
    guint loaded = 0;

    atomic_file_sweep(folder);
    files = find_configs(folder);
    pool = g_thread_pool_new(load_one, (gpointer)domain_env(NULL), (int)MIN(g_get_num_processors(), 8), FALSE,
                             NULL);
    for (guint i = 0; i < files->len; i++)
        g_thread_pool_push(pool, g_ptr_array_index(files, i), NULL);
    g_thread_pool_free(pool, FALSE, TRUE);
    g_ptr_array_sort(files, newest_first);
    for (guint i = 0; i < files->len; i++) {
        LoadFile *file = g_ptr_array_index(files, i);

        if (adopt(driver, list, file))
            loaded++;
        else
            log_error("definition '%s' is left out (the file stays as it is): %s", file->path,
                      file->error->message);
    }
    return loaded;
}

/* --- run state ------------------------------------------------------------------------------------------ */

char *persist_run_folder(Driver *driver, const char *name, const guint8 uuid[16])
{
    char uuid_text[UUID_TEXT_SIZE];
    g_autofree char *start = NULL;
    gsize length = strlen(name);

    if (length <= RUN_NAME_MAX && name[0] != '.')
        return g_build_filename(driver->paths->domain_run_dir, name, NULL);
    uuid_format(uuid, uuid_text);
    length = MIN(length, RUN_NAME_MAX - 20);
    while (length > 0 && (name[length] & 0xc0) == 0x80) /* not in the middle of a UTF-8 character */
        length--;
    start = g_strndup(name, length);
    return g_strdup_printf("%s/%s%.*s~%.18s", driver->paths->domain_run_dir, name[0] == '.' ? "_" : "",
                           (int)length, start, uuid_text);
}

char *persist_log_path(Driver *driver, const char *name)
{
    return g_strdup_printf("%s/%s.log", driver->paths->log_dir, name);
}

void persist_remove_log(const char *log_path)
{
    unlink(log_path);
    for (guint i = 0; i < 32; i++) {
        g_autofree char *old = g_strdup_printf("%s.%u", log_path, i);

        if (unlink(old) < 0 && i > 0)
            break;
    }
}

gboolean persist_make_run_folder(const char *folder, GError **error)
{
    if (g_mkdir_with_parents(folder, 0711) < 0)
        return error_set_errno(error, errno, "cannot create the run folder '%s'", folder);
    return TRUE;
}

gboolean persist_write_status(Domain *dom, GError **error)
{
    g_autofree char *folder = NULL;
    g_autofree char *path = NULL;
    g_autofree char *text = NULL;

    lock_acquire(&dom->lock);
    if (domain_active(dom) && dom->vm != NULL && dom->live != NULL && !dom->stopping) {
        StatusFile status = {.state = dom->state,
                             .reason = dom->reason,
                             .id = dom->id,
                             .pid = vm_process_pid(dom->vm),
                             .start_time = vm_process_start_time(dom->vm),
                             .backend = (char *)vm_process_backend(dom->vm)->name,
                             .shutdown_reason = dom->stop_reason,
                             .updated = dom->updated,
                             .fake_reboot = dom->fake_reboot,
                             .guest_shutdown = dom->guest_shutdown,
                             .autodestroy = dom->autodestroy != NULL,
                             .taints = dom->taints,
                             .deprecations = dom->deprecations,
                             .info = dom->info,
                             .def = dom->live};

        folder = persist_run_folder(dom->driver, dom->name, dom->uuid);
        text = status_file_format(&status);
    }
    lock_release(&dom->lock);
    if (text == NULL)
        return TRUE;
    path = g_build_filename(folder, "status.xml", NULL);
    return atomic_file_write(path, text, -1, 0600, error);
}

void persist_remove_run_folder(const char *folder)
{
    g_autoptr(GDir) dir = NULL;
    const char *entry;

    /* First, so that a daemon killed right now does not find a run that is over. */
    g_autofree char *status = g_build_filename(folder, "status.xml", NULL);
    atomic_file_remove(status, NULL);
    dir = g_dir_open(folder, 0, NULL);
    while (dir != NULL && (entry = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(folder, entry, NULL);

        if (unlink(path) < 0 && errno != ENOENT)
            log_warning("cannot remove '%s' of a domain that has ended: %s", path, g_strerror(errno));
    }
    if (rmdir(folder) < 0 && errno != ENOENT)
        log_warning("cannot remove the run folder '%s': %s", folder, g_strerror(errno));
}

static char *read_status(const char *folder)
{
    g_autofree char *path = g_build_filename(folder, "status.xml", NULL);
    char *text = NULL;
    struct stat st;

    if (lstat(path, &st) < 0)
        return NULL;
    if (!S_ISREG(st.st_mode) || st.st_size > STATUS_FILE_MAX || !g_file_get_contents(path, &text, NULL, NULL))
        return g_strdup("");
    return text;
}

void persist_scan_runs(Driver *driver, PersistRunFound found, gpointer data)
{
    const char *parent = driver->paths->domain_run_dir;
    g_autoptr(GPtrArray) folders = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GDir) dir = g_dir_open(parent, 0, NULL);
    const char *entry;

    while (dir != NULL && (entry = g_dir_read_name(dir)) != NULL)
        g_ptr_array_add(folders, g_build_filename(parent, entry, NULL));
    for (guint i = 0; i < folders->len; i++) {
        const char *folder = g_ptr_array_index(folders, i);
        g_autofree char *text = NULL;

        if (!g_file_test(folder, G_FILE_TEST_IS_DIR) || g_file_test(folder, G_FILE_TEST_IS_SYMLINK))
            continue;
        atomic_file_sweep(folder);
        text = read_status(folder);
        found(folder, text, data);
    }
}

gboolean persist_first_start(Driver *driver)
{
    g_autofree char *path = g_strdup_printf("%s-autostarted", driver->paths->domain_run_dir);
    g_autofree char *boot_id = NULL;
    g_autofree char *seen = NULL;

    /* The run folder usually goes with a boot; where it does not, the kernel's boot id tells. */
    if (!g_file_get_contents("/proc/sys/kernel/random/boot_id", &boot_id, NULL, NULL))
        boot_id = g_strdup("unknown");
    if (g_file_get_contents(path, &seen, NULL, NULL) && strcmp(seen, boot_id) == 0)
        return FALSE;
    return atomic_file_write(path, boot_id, -1, 0600, NULL);
}
