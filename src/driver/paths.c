/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Folders of the system and of a session daemon. */
#include "driver/paths.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/error.h"

/* GLib falls back to the cache folder for the run folder; libvirt's clients look in cache/libvirt then, which comes to
 * the same for the sockets. The rest of ours gets a folder of its own there. */
static char *session_run_dir(void)
{
    const char *dir = g_getenv("XDG_RUNTIME_DIR");

    if (dir != NULL && dir[0] != '\0')
        return g_build_filename(dir, "kite", NULL);
    return g_build_filename(g_get_user_cache_dir(), "kite", "run", NULL);
}

static char *session_socket_dir(void)
{
    const char *dir = g_getenv("XDG_RUNTIME_DIR");

    return g_build_filename(dir != NULL && dir[0] != '\0' ? dir : g_get_user_cache_dir(), "libvirt", NULL);
}

Paths *paths_new(gboolean privileged)
{
    Paths *p = g_new0(Paths, 1);

    p->privileged = privileged;
    if (privileged) {
        p->config_dir = g_strdup(KITE_SYSCONFDIR "/kite");
        p->data_dir = g_strdup(KITE_LOCALSTATEDIR "/lib/kite");
        p->cache_dir = g_strdup(KITE_LOCALSTATEDIR "/cache/kite");
        p->log_dir = g_strdup(KITE_LOCALSTATEDIR "/log/kite");
        p->run_dir = g_strdup(KITE_RUNDIR "/kite");
        p->socket_dir = g_strdup(KITE_RUNDIR "/libvirt");
    } else {
        p->config_dir = g_build_filename(g_get_user_config_dir(), "kite", NULL);
        p->data_dir = g_build_filename(g_get_user_data_dir(), "kite", NULL);
        p->cache_dir = g_build_filename(g_get_user_cache_dir(), "kite", NULL);
        p->log_dir = g_build_filename(p->cache_dir, "log", NULL);
        p->run_dir = session_run_dir();
        p->socket_dir = session_socket_dir();
    }
    p->domain_config_dir = g_build_filename(p->config_dir, "domains", NULL);
    p->domain_autostart_dir = g_build_filename(p->domain_config_dir, "autostart", NULL);
    p->storage_config_dir = g_build_filename(p->config_dir, "storage", NULL);
    p->storage_state_dir = g_build_filename(p->run_dir, "storage", NULL);
    p->domain_run_dir = g_build_filename(p->run_dir, "domains", NULL);
    p->save_dir = g_build_filename(p->data_dir, "save", NULL);
    p->snapshot_dir = g_build_filename(p->data_dir, "snapshots", NULL);
    p->checkpoint_dir = g_build_filename(p->data_dir, "checkpoints", NULL);
    p->nvram_dir = g_build_filename(p->data_dir, "nvram", NULL);
    p->channel_dir = g_build_filename(p->data_dir, "channel", NULL);
    p->images_dir = g_build_filename(p->data_dir, "images", NULL);
    return p;
}

void paths_free(Paths *p)
{
    if (p == NULL)
        return;
    g_free(p->config_dir);
    g_free(p->data_dir);
    g_free(p->cache_dir);
    g_free(p->log_dir);
    g_free(p->run_dir);
    g_free(p->socket_dir);
    g_free(p->domain_config_dir);
    g_free(p->domain_autostart_dir);
    g_free(p->storage_config_dir);
    g_free(p->storage_state_dir);
    g_free(p->domain_run_dir);
    g_free(p->save_dir);
    g_free(p->snapshot_dir);
    g_free(p->checkpoint_dir);
    g_free(p->nvram_dir);
    g_free(p->channel_dir);
    g_free(p->images_dir);
    g_free(p);
}

gboolean paths_make(const Paths *p, GError **error)
{
    const struct {
        const char *path;
        int mode, session_mode;
    } folders[] = {
        {p->config_dir, 0755, 0700},
        {p->domain_config_dir, 0700, 0700}, /* definitions may hold passwords */
        {p->domain_autostart_dir, 0700, 0700},
        {p->storage_config_dir, 0700, 0700},
        {p->data_dir, 0711, 0700},
        {p->save_dir, 0700, 0700},
        {p->snapshot_dir, 0700, 0700},
        {p->checkpoint_dir, 0700, 0700},
        {p->nvram_dir, 0711, 0700}, /* the VM's user passes through to its own files */
        {p->channel_dir, 0711, 0700},
        {p->images_dir, 0711, 0700},
        {p->cache_dir, 0755, 0700},
        {p->log_dir, 0700, 0700},
        {p->run_dir, 0711, 0700},
        {p->domain_run_dir, 0711, 0700},
        {p->storage_state_dir, 0700, 0700},
        {p->socket_dir, 0755, 0700},
    };

    for (guint i = 0; i < G_N_ELEMENTS(folders); i++) {
        mode_t old = umask(022);
        int rc = g_mkdir_with_parents(folders[i].path, p->privileged ? folders[i].mode : folders[i].session_mode);
        int saved = errno;

        umask(old);
        if (rc < 0)
            return error_set_errno(error, saved, "cannot make folder '%s'", folders[i].path);
    }
    return TRUE;
}
