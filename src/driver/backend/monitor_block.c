/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QMP commands as typed functions: block nodes, drives, their statistics and limits. */
#include <string.h>

#include "common/error.h"
#include "driver/backend/json_util.h"
#include "driver/backend/monitor.h"

gboolean vm_blockdev_add(QmpClient *qmp, json_t *node, GError **error)
{
    return qmp_call(qmp, "blockdev-add", node, 0, NULL, error);
}

gboolean vm_blockdev_del(QmpClient *qmp, const char *node, GError **error)
{
    return qmp_call(qmp, "blockdev-del", json_pack("{s:s}", "node-name", node), 0, NULL, error);
}

gboolean vm_tray_open(QmpClient *qmp, const char *id, gboolean force, GError **error)
{
    return qmp_call(qmp, "blockdev-open-tray", json_pack("{s:s, s:b}", "id", id, "force", force), 0, NULL,
                    error);
}

gboolean vm_tray_close(QmpClient *qmp, const char *id, GError **error)
{
    return qmp_call(qmp, "blockdev-close-tray", json_pack("{s:s}", "id", id), 0, NULL, error);
}

gboolean vm_medium_remove(QmpClient *qmp, const char *id, GError **error)
{
    return qmp_call(qmp, "blockdev-remove-medium", json_pack("{s:s}", "id", id), 0, NULL, error);
}

gboolean vm_medium_insert(QmpClient *qmp, const char *id, const char *node, GError **error)
{
    return qmp_call(qmp, "blockdev-insert-medium", json_pack("{s:s, s:s}", "id", id, "node-name", node), 0,
                    NULL, error);
}

gboolean vm_block_resize(QmpClient *qmp, const char *node, guint64 bytes, GError **error)
{
    return qmp_call(qmp, "block_resize",
                    json_pack("{s:s, s:I}", "node-name", node, "size", (json_int_t)bytes), 0, NULL, error);
}

gboolean vm_qdev_matches(const char *qdev, const char *alias)
{
    gsize length = strlen(alias);

    if (qdev == NULL || alias[0] == '\0')
        return FALSE;
    if (g_str_has_prefix(qdev, "/machine/peripheral/"))
        qdev += strlen("/machine/peripheral/");
    /* the alias itself or a part of the device below it */
    return strncmp(qdev, alias, length) == 0 && (qdev[length] == '\0' || qdev[length] == '/');
}

static void node_free(gpointer data)
{
    VmBlockNode *node = data;

    g_free(node->node);
    g_free(node);
}

gboolean vm_query_block_nodes(QmpClient *qmp, GPtrArray **ret, GError **error)
{
    autojson *nodes = NULL;
    autojson *counters = NULL;
    g_autoptr(GHashTable) highest =
        g_hash_table_new(g_str_hash, g_str_equal); /* node name -> stats, both borrowed */
    json_t *item;
    size_t i;

    if (!qmp_call(qmp, "query-named-block-nodes", json_pack("{s:b}", "flat", TRUE), 0, &nodes, error) ||
        !qmp_call(qmp, "query-blockstats", json_pack("{s:b}", "query-nodes", TRUE), 0, &counters, error))
        return FALSE;
    json_array_foreach(counters, i, item)
    {
        if (jstr(item, "node-name") != NULL)
            g_hash_table_insert(highest, (gpointer)jstr(item, "node-name"), json_object_get(item, "stats"));
    }
    *ret = g_ptr_array_new_with_free_func(node_free);
    json_array_foreach(nodes, i, item)
    {
        json_t *image = json_object_get(item, "image");
        const char *name = jstr(item, "node-name");
        VmBlockNode *node;

        if (name == NULL)
            continue;
        node = g_new0(VmBlockNode, 1);
        node->node = g_strdup(name);
        node->virtual_size = juint(image, "virtual-size");
        node->actual_size = juint(image, "actual-size");
        node->wr_highest = juint(g_hash_table_lookup(highest, name), "wr_highest_offset");
        node->read_only = jbool(item, "ro");
        g_ptr_array_add(*ret, node);
    }
    return TRUE;
}

gboolean vm_set_io_throttle(QmpClient *qmp, const char *id, const VmIoThrottle *t, GError **error)
{
    const struct {
        const char *name;
        guint64 value;
        gboolean always; /* QEMU demands it even when 0 */
    } fields[] = {
        {"bps", t->total_bytes, TRUE},
        {"bps_rd", t->read_bytes, TRUE},
        {"bps_wr", t->write_bytes, TRUE},
        {"iops", t->total_iops, TRUE},
        {"iops_rd", t->read_iops, TRUE},
        {"iops_wr", t->write_iops, TRUE},
        {"bps_max", t->total_bytes_max, FALSE},
        {"bps_rd_max", t->read_bytes_max, FALSE},
        {"bps_wr_max", t->write_bytes_max, FALSE},
        {"iops_max", t->total_iops_max, FALSE},
        {"iops_rd_max", t->read_iops_max, FALSE},
        {"iops_wr_max", t->write_iops_max, FALSE},
        {"bps_max_length", t->total_bytes_max_length, FALSE},
        {"bps_rd_max_length", t->read_bytes_max_length, FALSE},
        {"bps_wr_max_length", t->write_bytes_max_length, FALSE},
        {"iops_max_length", t->total_iops_max_length, FALSE},
        {"iops_rd_max_length", t->read_iops_max_length, FALSE},
        {"iops_wr_max_length", t->write_iops_max_length, FALSE},
        {"iops_size", t->size_iops, FALSE},
    };
    json_t *args = json_object();

    json_object_set_new(args, "id", json_string(id));
    for (gsize i = 0; i < G_N_ELEMENTS(fields); i++) {
        if (fields[i].always || fields[i].value != 0)
            json_object_set_new(args, fields[i].name, json_integer((json_int_t)fields[i].value));
    }
    if (t->group != NULL)
        json_object_set_new(args, "group", json_string(t->group));
    return qmp_call(qmp, "block_set_io_throttle", args, 0, NULL, error);
}
