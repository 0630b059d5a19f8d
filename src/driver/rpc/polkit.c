/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asks polkit over the system bus (org.freedesktop.PolicyKit1.Authority.CheckAuthorization). Blocks: workers
 * only. */
#define ERROR_FROM VIR_FROM_POLKIT
#include <gio/gio.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "common/system_bus.h"
#include "driver/rpc/private.h"

#define ALLOW_INTERACTION 1
#define DIALOG_MSEC (5 * 60 * 1000) /* a person types a password */

/* Start time of a process in clock ticks since boot: with it a reused pid is somebody else. proc(5), stat,
 * field 22. */
static gboolean start_time(pid_t pid, guint64 *ret_time, GError **error)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);
    g_autofree char *text = NULL;
    g_auto(GStrv) fields = NULL;
    char *after;

    if (!g_file_get_contents(path, &text, NULL, NULL) || (after = strrchr(text, ')')) == NULL)
        return error_set(error, VIR_ERR_AUTH_FAILED, "process %d has gone", (int)pid);
    fields = g_strsplit(g_strstrip(after + 1), " ", 0);
    if (g_strv_length(fields) < 20) /* field 3 comes first */
        return error_set(error, VIR_ERR_AUTH_FAILED, "cannot read the start time of process %d", (int)pid);
    *ret_time = g_ascii_strtoull(fields[19], NULL, 10);
    return TRUE;
}

gboolean polkit_check(const char *action, pid_t pid, uid_t uid, GError **error)
{
    g_autoptr(GDBusConnection) bus = NULL;
    g_autoptr(GError) bus_error = NULL;
    g_autoptr(GVariant) reply = NULL, details = NULL;
    gboolean authorised = FALSE, challenge = FALSE;
    GVariantBuilder subject;
    const char *dismissed = NULL;
    guint64 started = 0;

    if (!start_time(pid, &started, error))
        return FALSE;
    bus = system_bus(&bus_error);
    if (bus == NULL)
        return error_set(error, VIR_ERR_AUTH_UNAVAILABLE, "no system bus to ask polkit: %s",
                         bus_error->message);
    g_variant_builder_init(&subject, G_VARIANT_TYPE("a{sv}"));
    g_variant_builder_add(&subject, "{sv}", "pid", g_variant_new_uint32((guint32)pid));
    g_variant_builder_add(&subject, "{sv}", "start-time", g_variant_new_uint64(started));
    g_variant_builder_add(&subject, "{sv}", "uid", g_variant_new_int32((gint32)uid));
    reply = g_dbus_connection_call_sync(
        bus, "org.freedesktop.PolicyKit1", "/org/freedesktop/PolicyKit1/Authority",
        "org.freedesktop.PolicyKit1.Authority", "CheckAuthorization",
        g_variant_new("((sa{sv})sa{ss}us)", "unix-process", &subject, action, NULL, ALLOW_INTERACTION, ""),
        G_VARIANT_TYPE("((bba{ss}))"), G_DBUS_CALL_FLAGS_NONE, DIALOG_MSEC, NULL, &bus_error);
    if (reply == NULL)
        return error_set(error, VIR_ERR_AUTH_UNAVAILABLE, "polkit cannot be asked: %s", bus_error->message);
    g_variant_get(reply, "((bb@a{ss}))", &authorised, &challenge, &details);
    if (authorised)
        return TRUE;
    if (g_variant_lookup(details, "polkit.dismissed", "&s", &dismissed) && strcmp(dismissed, "true") == 0)
        return error_set(error, VIR_ERR_AUTH_CANCELLED, "user cancelled authentication process");
    if (challenge)
        return error_set(error, VIR_ERR_AUTH_UNAVAILABLE,
                         "no polkit agent available to authenticate action '%s'", action);
    return error_set(error, VIR_ERR_AUTH_FAILED, "access denied by policy");
}
