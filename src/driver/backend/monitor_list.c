/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QMP queries whose answer is a list: processors, iothreads, character devices, drives and their statistics. */
#include "driver/backend/json_util.h"
#include "driver/backend/monitor.h"

/* One item of the answer as a struct of ours; NULL: an item that does not count. */
typedef gpointer (*FromJson)(json_t *item, gsize index);

static gboolean query_list(QmpClient *qmp, const char *command, FromJson from_json, GDestroyNotify item_free,
                           GPtrArray **ret, GError **error)
{
    autojson *answer = NULL;
    json_t *item;
    size_t i;

    if (!qmp_call(qmp, command, NULL, 0, &answer, error))
        return FALSE;
    *ret = g_ptr_array_new_with_free_func(item_free);
    json_array_foreach(answer, i, item)
    {
        gpointer made = from_json(item, i);

        if (made != NULL)
            g_ptr_array_add(*ret, made);
    }
    return TRUE;
}

/* --- processors --- */

static void cpu_free(gpointer data)
{
    VmCpu *cpu = data;

    g_free(cpu->qom_path);
    g_free(cpu->qom_type);
    g_free(cpu);
}

static gpointer cpu_from_json(json_t *item, gsize index)
{
    VmCpu *cpu = g_new0(VmCpu, 1);

    cpu->index = jint(item, "cpu-index", (gint64)index);
    cpu->tid = (pid_t)jint(item, "thread-id", 0);
    cpu->qom_path = g_strdup(jstr(item, "qom-path"));
    cpu->qom_type = g_strdup(jstr(item, "qom-type"));
    cpu->place = cpu_place_from_json(json_object_get(item, "props"));
    return cpu;
}

gboolean vm_query_cpus(QmpClient *qmp, GPtrArray **ret, GError **error)
{
    return query_list(qmp, "query-cpus-fast", cpu_from_json, cpu_free, ret, error);
}

static void slot_free(gpointer data)
{
    VmCpuSlot *slot = data;

    g_free(slot->qom_path);
    g_free(slot->qom_type);
    g_free(slot);
}

static gpointer slot_from_json(json_t *item, G_GNUC_UNUSED gsize index)
{
    VmCpuSlot *slot = g_new0(VmCpuSlot, 1);

    slot->qom_type = g_strdup(jstr(item, "type"));
    slot->qom_path = g_strdup(jstr(item, "qom-path"));
    slot->vcpus = (guint)jint(item, "vcpus-count", 1);
    slot->place = cpu_place_from_json(json_object_get(item, "props"));
    return slot;
}

gboolean vm_query_hotpluggable_cpus(QmpClient *qmp, GPtrArray **ret, GError **error)
{
    if (!query_list(qmp, "query-hotpluggable-cpus", slot_from_json, slot_free, ret, error))
        return FALSE;
    for (guint first = 0, last = (*ret)->len; first + 1 < last; first++) { /* QEMU lists the last slot first */
        gpointer slot = (*ret)->pdata[first];

        (*ret)->pdata[first] = (*ret)->pdata[--last];
        (*ret)->pdata[last] = slot;
    }
    return TRUE;
}

static void iothread_free(gpointer data)
{
    VmIothread *thread = data;

    g_free(thread->id);
    g_free(thread);
}

static gpointer iothread_from_json(json_t *item, G_GNUC_UNUSED gsize index)
{
    VmIothread *thread = g_new0(VmIothread, 1);

    thread->id = g_strdup(jstr(item, "id") ? jstr(item, "id") : "");
    thread->tid = (pid_t)jint(item, "thread-id", 0);
    thread->poll_max_ns = jint(item, "poll-max-ns", 0);
    thread->poll_grow = jint(item, "poll-grow", 0);
    thread->poll_shrink = jint(item, "poll-shrink", 0);
    return thread;
}

gboolean vm_query_iothreads(QmpClient *qmp, GPtrArray **ret, GError **error)
{
    return query_list(qmp, "query-iothreads", iothread_from_json, iothread_free, ret, error);
}

/* --- character devices --- */

static void chardev_free(gpointer data)
{
    VmChardev *chardev = data;

    g_free(chardev->id);
    g_free(chardev->filename);
    g_free(chardev);
}

static gpointer chardev_from_json(json_t *item, G_GNUC_UNUSED gsize index)
{
    VmChardev *chardev;

    if (jstr(item, "label") == NULL || jstr(item, "filename") == NULL)
        return NULL;
    chardev = g_new0(VmChardev, 1);
    chardev->id = g_strdup(jstr(item, "label"));
    chardev->filename = g_strdup(jstr(item, "filename"));
    chardev->frontend_open = jbool(item, "frontend-open");
    return chardev;
}

gboolean vm_query_chardev(QmpClient *qmp, GPtrArray **ret, GError **error)
{
    return query_list(qmp, "query-chardev", chardev_from_json, chardev_free, ret, error);
}

/* --- drives --- */

static void stats_free(gpointer data)
{
    VmBlockStats *stats = data;

    g_free(stats->qdev);
    g_free(stats->node);
    g_free(stats);
}

static gpointer stats_from_json(json_t *item, G_GNUC_UNUSED gsize index)
{
    static const char *const failures[] = {"failed_rd_operations", "failed_wr_operations",
                                           "failed_flush_operations", "failed_unmap_operations"};
    VmBlockStats *stats = g_new0(VmBlockStats, 1);
    json_t *s = json_object_get(item, "stats");

    stats->qdev = g_strdup(jstr(item, "qdev") ? jstr(item, "qdev") : "");
    stats->node = g_strdup(jstr(item, "node-name"));
    stats->rd_bytes = jint(s, "rd_bytes", 0);
    stats->rd_ops = jint(s, "rd_operations", 0);
    stats->rd_ns = jint(s, "rd_total_time_ns", 0);
    stats->wr_bytes = jint(s, "wr_bytes", 0);
    stats->wr_ops = jint(s, "wr_operations", 0);
    stats->wr_ns = jint(s, "wr_total_time_ns", 0);
    stats->flush_ops = jint(s, "flush_operations", 0);
    stats->flush_ns = jint(s, "flush_total_time_ns", 0);
    stats->errors = json_object_get(s, failures[0]) ? 0 : -1;
    for (gsize k = 0; stats->errors >= 0 && k < G_N_ELEMENTS(failures); k++)
        stats->errors += jint(s, failures[k], 0);
    stats->wr_highest = juint(json_object_get(json_object_get(item, "parent"), "stats"), "wr_highest_offset");
    if (stats->wr_highest == 0)
        stats->wr_highest = juint(s, "wr_highest_offset");
    return stats;
}

gboolean vm_query_blockstats(QmpClient *qmp, GPtrArray **ret, GError **error)
{
    return query_list(qmp, "query-blockstats", stats_from_json, stats_free, ret, error);
}

static void drive_free(gpointer data)
{
    VmDrive *drive = data;

    g_free(drive->qdev);
    g_free(drive->node);
    g_free(drive->io_status);
    g_free(drive);
}

static gpointer drive_from_json(json_t *item, G_GNUC_UNUSED gsize index)
{
    VmDrive *drive = g_new0(VmDrive, 1);

    drive->qdev = g_strdup(jstr(item, "qdev") ? jstr(item, "qdev") : "");
    drive->node = g_strdup(jstr(json_object_get(item, "inserted"), "node-name"));
    drive->removable = jbool(item, "removable");
    drive->tray_open = jbool(item, "tray_open");
    drive->locked = jbool(item, "locked");
    drive->io_status = g_strdup(jstr(item, "io-status"));
    return drive;
}

gboolean vm_query_drives(QmpClient *qmp, GPtrArray **ret, GError **error)
{
    return query_list(qmp, "query-block", drive_from_json, drive_free, ret, error);
}
