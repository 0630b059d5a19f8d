/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sweeps up orphaned zombies. */
#include "driver/reaper.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOG_SOURCE "driver.reaper"
#include "common/log.h"

/* Of the last look. Used in the main thread only. */
static GHashTable *seen;

static gboolean is_zombie_of_ours(const char *pid_text)
{
    g_autofree char *path = g_strdup_printf("/proc/%s/stat", pid_text);
    g_autofree char *text = NULL;
    const char *p;
    char state;
    int parent;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return FALSE;
    p = strrchr(text, ')'); /* the name before it may hold anything */
    return p != NULL && sscanf(p, ") %c %d", &state, &parent) == 2 && state == 'Z' && parent == (int)getpid();
}

static GHashTable *zombies(void)
{
    GHashTable *set = g_hash_table_new(g_direct_hash, g_direct_equal);
    g_autoptr(GDir) dir = g_dir_open("/proc", 0, NULL);
    const char *name;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        if (g_ascii_isdigit(name[0]) && is_zombie_of_ours(name))
            g_hash_table_add(set, GINT_TO_POINTER((int)g_ascii_strtoll(name, NULL, 10)));
    }
    return set;
}

static gboolean sweep(gpointer data)
{
    siginfo_t info = {0};
    GHashTable *now;
    GHashTableIter iter;
    gpointer pid;

    /* One cheap question first: mostly there is none. */
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0) {
        g_hash_table_remove_all(seen);
        return G_SOURCE_CONTINUE;
    }
    now = zombies();
    g_hash_table_iter_init(&iter, now);
    while (g_hash_table_iter_next(&iter, &pid, NULL)) {
        if (g_hash_table_contains(seen, pid) && waitpid(GPOINTER_TO_INT(pid), NULL, WNOHANG) > 0) {
            log_debug("reaped %d, which nobody waited for", GPOINTER_TO_INT(pid));
            g_hash_table_iter_remove(&iter);
        }
    }
    g_hash_table_unref(seen);
    seen = now;
    return G_SOURCE_CONTINUE;
}

GSource *reaper_start(GMainContext *context)
{
    GSource *source = g_timeout_source_new_seconds(REAPER_SECONDS);

    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        log_warning("cannot become the reaper of helper processes");
    if (seen == NULL)
        seen = g_hash_table_new(g_direct_hash, g_direct_equal);
    g_source_set_callback(source, sweep, NULL, NULL);
    g_source_attach(source, context);
    return source;
}
