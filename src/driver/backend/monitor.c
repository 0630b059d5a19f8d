/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QMP commands as typed functions: run state, memory, processors, devices, display. Blocks: monitor_block.c.
 */
#include "driver/backend/monitor.h"

#include <string.h>

#include "common/error.h"
#include "driver/backend/json_util.h"

/* Peers that answer something of another type than promised. */
static gboolean bad_answer(const char *command, const char *what, GError **error)
{
    return error_set(error, VIR_ERR_INTERNAL_ERROR,
                     "unable to execute QEMU command '%s': the reply has no valid '%s'", command, what);
}

static gboolean simple(QmpClient *qmp, const char *command, GError **error)
{
    return qmp_call(qmp, command, NULL, 0, NULL, error);
}

/* --- run state --- */

void vm_status_clear(VmStatus *status)
{
    g_clear_pointer(&status->status, g_free);
}

gboolean vm_query_status(QmpClient *qmp, VmStatus *ret, GError **error)
{
    autojson *answer = NULL;

    *ret = (VmStatus){0};
    if (!qmp_call(qmp, "query-status", NULL, 0, &answer, error))
        return FALSE;
    if (jstr(answer, "status") == NULL)
        return bad_answer("query-status", "status", error);
    ret->running = jbool(answer, "running");
    ret->status = g_strdup(jstr(answer, "status"));
    return TRUE;
}

gboolean vm_cont(QmpClient *qmp, GError **error)
{
    return simple(qmp, "cont", error);
}

gboolean vm_stop(QmpClient *qmp, GError **error)
{
    return simple(qmp, "stop", error);
}

gboolean vm_system_powerdown(QmpClient *qmp, GError **error)
{
    return simple(qmp, "system_powerdown", error);
}

gboolean vm_system_reset(QmpClient *qmp, GError **error)
{
    return simple(qmp, "system_reset", error);
}

gboolean vm_system_wakeup(QmpClient *qmp, GError **error)
{
    return simple(qmp, "system_wakeup", error);
}

gboolean vm_can_suspend(QmpClient *qmp, gboolean *ret_can, GError **error)
{
    autojson *answer = NULL;

    if (!qmp_call(qmp, "query-current-machine", NULL, 0, &answer, error))
        return FALSE;
    *ret_can = json_is_true(json_object_get(answer, "wakeup-suspend-support"));
    return TRUE;
}

gboolean vm_inject_nmi(QmpClient *qmp, GError **error)
{
    return simple(qmp, "inject-nmi", error);
}

gboolean vm_calc_dirty_rate(QmpClient *qmp, guint seconds, const char *mode, GError **error)
{
    json_t *args = json_pack("{s:i}", "calc-time", (int)seconds);

    if (strcmp(mode, "page-sampling") != 0)
        json_object_set_new(args, "mode", json_string(mode));
    return qmp_call(qmp, "calc-dirty-rate", args, 0, NULL, error);
}

gboolean vm_send_keys(QmpClient *qmp, const guint *keycodes, guint n, guint hold_ms, GError **error)
{
    json_t *keys = json_array(), *args = json_object();

    for (guint i = 0; i < n; i++)
        json_array_append_new(keys, json_pack("{s:s, s:i}", "type", "number", "data", (int)keycodes[i]));
    json_object_set_new(args, "keys", keys);
    if (hold_ms != 0)
        json_object_set_new(args, "hold-time", json_integer(hold_ms));
    return qmp_call(qmp, "send-key", args, 0, NULL, error);
}

/* --- memory --- */

gboolean vm_query_balloon(QmpClient *qmp, guint64 *ret_bytes, GError **error)
{
    autojson *answer = NULL;

    if (!qmp_call(qmp, "query-balloon", NULL, 0, &answer, error))
        return FALSE;
    *ret_bytes = juint(answer, "actual");
    return *ret_bytes != 0 ? TRUE : bad_answer("query-balloon", "actual", error);
}

gboolean vm_set_balloon(QmpClient *qmp, guint64 bytes, GError **error)
{
    return qmp_call(qmp, "balloon", json_pack("{s:I}", "value", (json_int_t)bytes), 0, NULL, error);
}

static guint64 guest_stat(const json_t *stats, const char *key)
{
    gint64 value = jint(stats, key, G_MAXINT64);

    /* QEMU says 2^64 - 1 for what the guest has not told; older ones -1. */
    return value < 0 || value == G_MAXINT64 ? G_MAXUINT64 : (guint64)value;
}

gboolean vm_balloon_stats(QmpClient *qmp, const char *qom_path, VmBalloonStats *ret, GError **error)
{
    autojson *answer = NULL;
    json_t *stats;

    if (!vm_qom_get(qmp, qom_path, "guest-stats", &answer, error))
        return FALSE;
    stats = json_object_get(answer, "stats");
    ret->swap_in = guest_stat(stats, "stat-swap-in");
    ret->swap_out = guest_stat(stats, "stat-swap-out");
    ret->major_faults = guest_stat(stats, "stat-major-faults");
    ret->minor_faults = guest_stat(stats, "stat-minor-faults");
    ret->free = guest_stat(stats, "stat-free-memory");
    ret->total = guest_stat(stats, "stat-total-memory");
    ret->available = guest_stat(stats, "stat-available-memory");
    ret->disk_caches = guest_stat(stats, "stat-disk-caches");
    ret->hugetlb_pgalloc = guest_stat(stats, "stat-htlb-pgalloc");
    ret->hugetlb_pgfail = guest_stat(stats, "stat-htlb-pgfail");
    ret->last_update = juint(answer, "last-update");
    return TRUE;
}

gboolean vm_balloon_set_period(QmpClient *qmp, const char *qom_path, guint seconds, GError **error)
{
    return vm_qom_set(qmp, qom_path, "guest-stats-polling-interval", json_integer(seconds), error);
}

char *vm_balloon_path(const char *alias)
{
    return g_strdup_printf("/machine/peripheral/%s", alias);
}

/* --- devices and objects --- */

gboolean vm_device_add(QmpClient *qmp, json_t *props, GError **error)
{
    return qmp_call(qmp, "device_add", props, 0, NULL, error);
}

gboolean vm_device_del(QmpClient *qmp, const char *id, GError **error)
{
    g_autoptr(GError) local = NULL;
    QmpErrorClass class;

    if (qmp_call_full(qmp, "device_del", json_pack("{s:s}", "id", id), NULL, 0, 0, &class, NULL, &local))
        return TRUE;
    if (class == QMP_ERROR_DEVICE_NOT_FOUND)
        return error_set(error, VIR_ERR_DEVICE_MISSING, "device '%s' not found", id);
    g_propagate_error(error, g_steal_pointer(&local));
    return FALSE;
}

gboolean vm_object_add(QmpClient *qmp, json_t *props, GError **error)
{
    return qmp_call(qmp, "object-add", props, 0, NULL, error);
}

gboolean vm_object_del(QmpClient *qmp, const char *id, GError **error)
{
    return qmp_call(qmp, "object-del", json_pack("{s:s}", "id", id), 0, NULL, error);
}

gboolean vm_qom_get(QmpClient *qmp, const char *path, const char *property, json_t **ret, GError **error)
{
    return qmp_call(qmp, "qom-get", json_pack("{s:s, s:s}", "path", path, "property", property), 0, ret,
                    error);
}

gboolean vm_qom_set(QmpClient *qmp, const char *path, const char *property, json_t *value, GError **error)
{
    return qmp_call(qmp, "qom-set",
                    json_pack("{s:s, s:s, s:o}", "path", path, "property", property, "value", value), 0, NULL,
                    error);
}

gboolean vm_qom_list(QmpClient *qmp, const char *path, json_t **ret, GError **error)
{
    return qmp_call(qmp, "qom-list", json_pack("{s:s}", "path", path), 0, ret, error);
}

gboolean vm_chardev_add(QmpClient *qmp, const char *id, json_t *backend, char **ret_pty, GError **error)
{
    autojson *answer = NULL;

    if (!qmp_call(qmp, "chardev-add", json_pack("{s:s, s:o}", "id", id, "backend", backend), 0, &answer,
                  error))
        return FALSE;
    if (ret_pty != NULL)
        *ret_pty = g_strdup(jstr(answer, "pty"));
    return TRUE;
}

gboolean vm_chardev_remove(QmpClient *qmp, const char *id, GError **error)
{
    return qmp_call(qmp, "chardev-remove", json_pack("{s:s}", "id", id), 0, NULL, error);
}

gboolean vm_netdev_add(QmpClient *qmp, json_t *props, const int *fds, guint n_fds, GError **error)
{
    return qmp_call_full(qmp, "netdev_add", props, fds, n_fds, 0, NULL, NULL, error);
}

gboolean vm_netdev_del(QmpClient *qmp, const char *id, GError **error)
{
    return qmp_call(qmp, "netdev_del", json_pack("{s:s}", "id", id), 0, NULL, error);
}

gboolean vm_set_link(QmpClient *qmp, const char *id, gboolean up, GError **error)
{
    return qmp_call(qmp, "set_link", json_pack("{s:s, s:b}", "name", id, "up", up), 0, NULL, error);
}

/* --- display --- */

gboolean vm_screendump(QmpClient *qmp, const char *device, guint head, const char *format, const char *path,
                       int fd, GError **error)
{
    g_autofree char *set_path = NULL;
    gint64 fdset = -1;
    json_t *args = json_object();
    gboolean ok;

    if (fd >= 0) {
        if (!qmp_add_fd(qmp, fd, -1, "screendump", &fdset, error)) {
            json_decref(args);
            return FALSE;
        }
        set_path = g_strdup_printf("/dev/fdset/%" G_GINT64_FORMAT, fdset);
        path = set_path;
    }
    json_object_set_new(args, "filename", json_string(path));
    if (device != NULL)
        json_object_set_new(args, "device", json_string(device));
    if (device != NULL && head != 0)
        json_object_set_new(args, "head", json_integer(head));
    if (format != NULL && strcmp(format, "ppm") != 0)
        json_object_set_new(args, "format", json_string(format));
    ok = qmp_call(qmp, "screendump", args, 0, NULL, error);
    if (fdset >= 0)
        qmp_call(qmp, "remove-fd", json_pack("{s:I}", "fdset-id", (json_int_t)fdset), 0, NULL, NULL);
    return ok;
}

gboolean vm_set_password(QmpClient *qmp, const char *protocol, const char *password, const char *connected,
                         GError **error)
{
    json_t *args = json_pack("{s:s, s:s}", "protocol", protocol, "password", password);

    if (connected != NULL)
        json_object_set_new(args, "connected", json_string(connected));
    return qmp_call(qmp, "set_password", args, 0, NULL, error);
}

gboolean vm_expire_password(QmpClient *qmp, const char *protocol, const char *when, GError **error)
{
    return qmp_call(qmp, "expire_password", json_pack("{s:s, s:s}", "protocol", protocol, "time", when), 0,
                    NULL, error);
}

void vm_vnc_info_clear(VmVncInfo *info)
{
    g_clear_pointer(&info->host, g_free);
    g_clear_pointer(&info->auth, g_free);
}

gboolean vm_query_vnc(QmpClient *qmp, VmVncInfo *ret, GError **error)
{
    autojson *answer = NULL;
    const char *service;

    *ret = (VmVncInfo){0};
    if (!qmp_call(qmp, "query-vnc", NULL, 0, &answer, error))
        return FALSE;
    ret->enabled = jbool(answer, "enabled");
    ret->host = g_strdup(jstr(answer, "host"));
    ret->auth = g_strdup(jstr(answer, "auth"));
    service = jstr(answer, "service");
    if (service != NULL && strspn(service, "0123456789") == strlen(service))
        ret->port = (guint)g_ascii_strtoull(service, NULL, 10);
    return TRUE;
}

gboolean vm_add_client(QmpClient *qmp, const char *protocol, int fd, gboolean skip_auth, GError **error)
{
    static gint serial;
    g_autofree char *name = g_strdup_printf("graphics-%d", g_atomic_int_add(&serial, 1));

    if (!qmp_send_fd(qmp, fd, name, error))
        return FALSE;
    if (qmp_call(qmp, "add_client",
                 json_pack("{s:s, s:s, s:b}", "protocol", protocol, "fdname", name, "skipauth", skip_auth), 0,
                 NULL, error))
        return TRUE;
    qmp_call(qmp, "closefd", json_pack("{s:s}", "fdname", name), 0, NULL, NULL);
    return FALSE;
}

/* --- the rest --- */

gboolean vm_dump_memory(QmpClient *qmp, int fd, const char *format, gboolean paging, guint timeout_ms,
                        GError **error)
{
    json_t *args;

    if (!qmp_send_fd(qmp, fd, "dump", error))
        return FALSE;
    args = json_pack("{s:b, s:s}", "paging", paging, "protocol", "fd:dump");
    if (format != NULL && strcmp(format, "elf") != 0)
        json_object_set_new(args, "format", json_string(format));
    return qmp_call(qmp, "dump-guest-memory", args, timeout_ms ? timeout_ms : (guint)G_MAXINT32, NULL, error);
}

gboolean vm_human_command(QmpClient *qmp, const char *line, char **ret_text, GError **error)
{
    autojson *answer = NULL;

    if (!qmp_call(qmp, "human-monitor-command", json_pack("{s:s}", "command-line", line), 0, &answer, error))
        return FALSE;
    if (!json_is_string(answer))
        return bad_answer("human-monitor-command", "return", error);
    *ret_text = g_strdup(json_string_value(answer));
    return TRUE;
}

gboolean vm_query_migrate(QmpClient *qmp, json_t **ret, GError **error)
{
    return qmp_call(qmp, "query-migrate", NULL, 0, ret, error);
}
