/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which control group hierarchies are mounted where (proc(5), mounts), and names in them. See cgroup_private.h. */
#include <mntent.h>
#include <stdio.h>
#include <string.h>

#include "driver/host/cgroup_private.h"

/* By CgroupController; v2 NULL: no controller there (cpuacct's figures always exist, devices are a program's). */
static const struct {
    const char *v1, *v2;
} names[CGROUP_LAST] = {
    [CGROUP_CPU] = {"cpu", "cpu"},
    [CGROUP_CPUACCT] = {"cpuacct", NULL},
    [CGROUP_CPUSET] = {"cpuset", "cpuset"},
    [CGROUP_MEMORY] = {"memory", "memory"},
    [CGROUP_DEVICES] = {"devices", NULL},
    [CGROUP_FREEZER] = {"freezer", NULL},
    [CGROUP_BLKIO] = {"blkio", "io"},
    [CGROUP_NET_CLS] = {"net_cls", NULL},
    [CGROUP_PERF_EVENT] = {"perf_event", NULL},
};

const char *cgroup_controller_name(CgroupController controller, gboolean v2)
{
    return v2 ? names[controller].v2 : names[controller].v1;
}

int cgroup_controller_from_string(const char *name)
{
    for (int i = 0; i < CGROUP_LAST; i++) {
        if (strcmp(names[i].v1, name) == 0)
            return i;
    }
    return -1;
}

void cgroup_layout_clear(CgroupLayout *layout)
{
    for (int i = 0; i < CGROUP_LAST; i++)
        g_clear_pointer(&layout->v1[i], g_free);
    g_clear_pointer(&layout->v2, g_free);
    layout->v2_controllers = 0;
}

/* A v2 mount with controllers. Beside v1 there is often one without, for systemd to count processes. */
static void see_v2(CgroupLayout *layout, const char *point)
{
    g_autofree char *path = g_build_filename(point, "cgroup.controllers", NULL);
    g_autofree char *text = NULL;
    g_auto(GStrv) words = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL) || *g_strstrip(text) == '\0')
        return;
    words = g_strsplit(text, " ", -1);
    g_free(layout->v2);
    layout->v2 = g_strdup(point);
    layout->v2_controllers = CGROUP_BIT(CGROUP_CPUACCT) | CGROUP_BIT(CGROUP_DEVICES);
    for (int i = 0; i < CGROUP_LAST; i++) {
        if (names[i].v2 != NULL && g_strv_contains((const char *const *)words, names[i].v2))
            layout->v2_controllers |= CGROUP_BIT(i);
    }
}

static void see_v1(CgroupLayout *layout, const char *options, const char *point)
{
    g_auto(GStrv) words = g_strsplit(options, ",", -1);

    for (int i = 0; i < CGROUP_LAST; i++) {
        if (!g_strv_contains((const char *const *)words, names[i].v1))
            continue;
        g_free(layout->v1[i]); /* the last one mounted is the one to be seen */
        layout->v1[i] = g_strdup(point);
    }
}

gboolean cgroup_layout_read(const char *root, guint wanted, CgroupLayout *ret)
{
    g_autofree char *path = g_strconcat(root, "/proc/mounts", NULL);
    guint present = 0;
    char buffer[8192];
    struct mntent entry;
    FILE *mounts = setmntent(path, "re");

    *ret = (CgroupLayout){0};
    while (mounts != NULL && getmntent_r(mounts, &entry, buffer, sizeof(buffer)) != NULL) {
        g_autofree char *point = g_strconcat(root, entry.mnt_dir, NULL);

        if (strcmp(entry.mnt_type, "cgroup2") == 0)
            see_v2(ret, point);
        else if (strcmp(entry.mnt_type, "cgroup") == 0)
            see_v1(ret, entry.mnt_opts, point);
    }
    if (mounts != NULL)
        endmntent(mounts);
    ret->v2_controllers &= wanted;
    for (int i = 0; i < CGROUP_LAST; i++) {
        if (!(wanted & CGROUP_BIT(i)))
            g_clear_pointer(&ret->v1[i], g_free);
        else if (ret->v1[i] != NULL)
            ret->v2_controllers &= ~CGROUP_BIT(i); /* a controller is in one hierarchy only */
        present |= ret->v1[i] != NULL || (ret->v2_controllers & CGROUP_BIT(i)) ? CGROUP_BIT(i) : 0;
    }
    if (present != 0)
        return TRUE;
    cgroup_layout_clear(ret);
    return FALSE;
}

/* --- names ---------------------------------------------------------------------------------------------- */

char *cgroup_machine_name(int id, const char *name)
{
    const char valid[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
    GString *text = g_string_new(NULL);
    gboolean separated = TRUE; /* no two dots or dashes in a row */

    g_string_printf(text, "kite-%d-", id);
    for (; *name != '\0' && text->len < 64; name++) {
        gboolean separator = *name == '.' || *name == '-';

        if (strchr(valid, *name) == NULL || (separator && separated))
            continue;
        g_string_append_c(text, *name);
        separated = separator;
    }
    while (text->len > 0 && (text->str[text->len - 1] == '-' || text->str[text->len - 1] == '.'))
        g_string_truncate(text, text->len - 1);
    return g_string_free(text, FALSE);
}

/* Whether a v1 hierarchy could have files of that name: those of a controller begin with its name and a dot. */
static gboolean looks_like_a_file(const char *root, const char *name)
{
    g_autofree char *path = g_strconcat(root, "/proc/cgroups", NULL);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    if (g_str_has_prefix(name, "cgroup.") || name[0] == '_' || name[0] == '.')
        return TRUE;
    if (!g_file_get_contents(path, &text, NULL, NULL))
        return FALSE;
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line != NULL; line++) {
        gsize length = strcspn(*line, "\t ");

        if (length > 0 && strncmp(name, *line, length) == 0 && name[length] == '.')
            return TRUE;
    }
    return FALSE;
}

char *cgroup_escape(const char *root, char *name)
{
    char *escaped;

    if (!looks_like_a_file(root, name))
        return name;
    escaped = g_strconcat("_", name, NULL);
    g_free(name);
    return escaped;
}

char *cgroup_partition_path(const char *root, const char *partition)
{
    g_auto(GStrv) words = g_strsplit(partition, "/", -1);
    GString *path = g_string_new(NULL);

    for (guint i = 1; words[0] != NULL && words[i] != NULL; i++) {
        gboolean top = i == 1 && (strcmp(words[i], "machine") == 0 || strcmp(words[i], "system") == 0 ||
                                  strcmp(words[i], "user") == 0);
        g_autofree char *word = NULL;

        if (words[i][0] == '\0')
            continue;
        word = g_strconcat(words[i], top || strchr(words[i], '.') != NULL ? "" : ".partition", NULL);
        word = cgroup_escape(root, g_steal_pointer(&word));
        g_string_append_printf(path, "/%s", word);
    }
    return g_string_free(path, FALSE);
}
