/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ids of VMs: see id_table.h. */
#include "driver/backend/id_table.h"

#include <stdio.h>
#include <string.h>

#include "common/log.h"

struct IdTable {
    guint first, last; /* constant */
    GMutex lock;
    guint next; /* where to look: an id is not used again at once */
    GHashTable *owners; /* run folder -> id */
    GHashTable *taken; /* set of ids */
};

/* Whether all of the range can be told apart in the user namespace that we are in: user_namespaces(7). */
static gboolean range_is_mapped(guint first, guint last)
{
    static const char *const files[] = {"/proc/self/uid_map", "/proc/self/gid_map"};

    for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *text = NULL;
        g_auto(GStrv) lines = NULL;
        gboolean found = FALSE;

        if (!g_file_get_contents(files[i], &text, NULL, NULL))
            return FALSE;
        lines = g_strsplit(text, "\n", -1);
        for (char **line = lines; *line != NULL; line++) {
            guint inside, outside, count;

            found |= sscanf(*line, "%u %u %u", &inside, &outside, &count) == 3 && first >= inside &&
                     last - inside < count;
        }
        if (!found)
            return FALSE;
    }
    return TRUE;
}

IdTable *id_table_new(guint first, guint last)
{
    IdTable *table = g_new0(IdTable, 1);

    g_mutex_init(&table->lock);
    table->owners = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    table->taken = g_hash_table_new(NULL, NULL);
    if (first > 0 && first <= last && !range_is_mapped(first, last)) {
        log_info("user ids %u to %u do not exist in this user namespace: VMs share the daemon's", first, last);
        first = 0;
    }
    table->first = table->next = first;
    table->last = last;
    return table;
}

void id_table_free(IdTable *table)
{
    if (table == NULL)
        return;
    g_hash_table_unref(table->owners);
    g_hash_table_unref(table->taken);
    g_mutex_clear(&table->lock);
    g_free(table);
}

static void keep(IdTable *table, const char *owner, guint id)
{
    g_hash_table_insert(table->owners, g_strdup(owner), GUINT_TO_POINTER(id));
    g_hash_table_add(table->taken, GUINT_TO_POINTER(id));
}

gboolean id_table_take(IdTable *table, const char *owner, guint *ret_id)
{
    guint left, id;

    if (table->first == 0 || table->first > table->last)
        return FALSE;
    g_mutex_lock(&table->lock);
    id = GPOINTER_TO_UINT(g_hash_table_lookup(table->owners, owner));
    for (left = table->last - table->first + 1; id == 0 && left > 0; left--) {
        if (!g_hash_table_contains(table->taken, GUINT_TO_POINTER(table->next)))
            keep(table, owner, id = table->next);
        table->next = table->next == table->last ? table->first : table->next + 1;
    }
    g_mutex_unlock(&table->lock);
    *ret_id = id;
    return id != 0;
}

void id_table_note(IdTable *table, const char *owner, pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/status", (int)pid);
    g_autofree char *text = NULL;
    const char *line;
    guint id = 0;

    if (table->first == 0 || !g_file_get_contents(path, &text, NULL, NULL))
        return;
    line = strstr(text, "\nUid:");
    if (line == NULL || sscanf(line, "\nUid: %u", &id) != 1 || id < table->first || id > table->last)
        return;
    g_mutex_lock(&table->lock);
    keep(table, owner, id);
    g_mutex_unlock(&table->lock);
}

void id_table_release(IdTable *table, const char *owner)
{
    gpointer id;

    g_mutex_lock(&table->lock);
    if (g_hash_table_lookup_extended(table->owners, owner, NULL, &id)) {
        g_hash_table_remove(table->owners, owner);
        g_hash_table_remove(table->taken, id);
    }
    g_mutex_unlock(&table->lock);
}
