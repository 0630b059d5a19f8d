/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel has counted for a control group. See cgroup.h. */
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "driver/host/cgroup_private.h"

static char *read_figures(Cgroup *group, const char *thread, const char *name, GError **error)
{
    g_autofree char *folder = cgroup_folder(group, CGROUP_CPUACCT, thread, FALSE);
    g_autofree char *path = folder != NULL ? g_build_filename(folder, name, NULL) : NULL;

    if (path != NULL)
        return cgroup_file_read(path, error);
    error_set(error, VIR_ERR_INTERNAL_ERROR, "controller 'cpuacct' is not available for '%s'", group->path);
    return NULL;
}

/* The number behind a word at the beginning of a line. */
static gboolean find_number(const char *text, const char *word, guint64 *ret, GError **error)
{
    gsize length = strlen(word);

    for (const char *line = text; line != NULL; line = strchr(line, '\n') != NULL ? strchr(line, '\n') + 1 : NULL) {
        if (strncmp(line, word, length) == 0 && line[length] == ' ') {
            *ret = g_ascii_strtoull(line + length, NULL, 10);
            return TRUE;
        }
    }
    return error_set(error, VIR_ERR_INTERNAL_ERROR, "Cannot parse %s stat '%s'", word, text);
}

static gboolean times_v2(Cgroup *group, CgroupTimes *ret, GError **error)
{
    g_autofree char *text = read_figures(group, NULL, "cpu.stat", error);

    if (text == NULL || !find_number(text, "usage_usec", &ret->total, error) ||
        !find_number(text, "user_usec", &ret->user, error) || !find_number(text, "system_usec", &ret->system, error))
        return FALSE;
    ret->total *= 1000;
    ret->user *= 1000;
    ret->system *= 1000;
    return TRUE;
}

gboolean cgroup_cpu_times(Cgroup *group, CgroupTimes *ret, GError **error)
{
    guint64 ns_per_tick = G_GUINT64_CONSTANT(1000000000) / (guint64)sysconf(_SC_CLK_TCK);
    g_autofree char *total = NULL;
    g_autofree char *parts = NULL;

    if (cgroup_has(group, CGROUP_CPUACCT) && cgroup_is_v2(group, CGROUP_CPUACCT))
        return times_v2(group, ret, error);
    total = read_figures(group, NULL, "cpuacct.usage", error);
    parts = total != NULL ? read_figures(group, NULL, "cpuacct.stat", error) : NULL;
    if (parts == NULL || !find_number(parts, "user", &ret->user, error) ||
        !find_number(parts, "system", &ret->system, error))
        return FALSE;
    ret->total = g_ascii_strtoull(total, NULL, 10);
    ret->user *= ns_per_tick;
    ret->system *= ns_per_tick;
    return TRUE;
}

GArray *cgroup_cpu_times_each(Cgroup *group, const char *thread, GError **error)
{
    g_autofree char *text = NULL;
    GArray *times;

    if (cgroup_has(group, CGROUP_CPUACCT) && cgroup_is_v2(group, CGROUP_CPUACCT)) {
        error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "operation 'getCpuacctPercpuUsage' not supported for backend "
                                                        "'cgroup V2'");
        return NULL;
    }
    text = read_figures(group, thread, "cpuacct.usage_percpu", error);
    if (text == NULL)
        return NULL;
    times = g_array_new(FALSE, FALSE, sizeof(guint64));
    for (char *at = text, *end;; at = end) {
        guint64 value = g_ascii_strtoull(at, &end, 10);

        if (end == at)
            return times;
        g_array_append_val(times, value);
    }
}
