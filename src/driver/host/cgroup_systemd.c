/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Speaks with systemd and systemd-machined over the system bus. See cgroup_systemd.h; the calls are described in
 * org.freedesktop.machine1(5) and org.freedesktop.systemd1(5). */
#define LOG_SOURCE "host.cgroup"

#include <gio/gio.h>
#include <string.h>

#include "common/error.h"
#include "common/log.h"
#include "common/system_bus.h"
#include "driver/host/cgroup_systemd.h"

#define MACHINED "org.freedesktop.machine1"
#define SYSTEMD "org.freedesktop.systemd1"

enum { CALL_MS = 60000 }; /* a host that has just booted is slow, and a VM without its scope is no VM */

gboolean systemd_is_running(const char *root)
{
    g_autofree char *path = g_strconcat(root, "/run/systemd/system", NULL);

    return g_file_test(path, G_FILE_TEST_IS_DIR);
}

/* --- names (systemd.unit(5), "String escaping") --------------------------------------------------------- */

static void append_escaped(GString *text, const char *name)
{
    const char valid[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:_.";

    for (const char *at = name; *at != '\0'; at++) {
        if (*at == '/')
            g_string_append_c(text, '-');
        else if (strchr(valid, *at) == NULL || (*at == '.' && at == name))
            g_string_append_printf(text, "\\x%02x", (guchar)*at);
        else
            g_string_append_c(text, *at);
    }
}

char *systemd_scope_name(const char *machine)
{
    GString *text = g_string_new("machine-");

    append_escaped(text, machine);
    g_string_append(text, ".scope");
    return g_string_free(text, FALSE);
}

char *systemd_slice_name(const char *partition)
{
    GString *text = g_string_new(NULL);

    append_escaped(text, partition[0] == '/' ? partition + 1 : partition);
    g_string_append(text, ".slice");
    return g_string_free(text, FALSE);
}

/* --- calls ---------------------------------------------------------------------------------------------- */

/* Whether the error says that there is nobody of that name, and no way to start him. */
static gboolean nobody_there(const GError *error)
{
    g_autofree char *name = g_dbus_error_get_remote_error(error);

    return g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_SERVICE_UNKNOWN) ||
           g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_NAME_HAS_NO_OWNER) ||
           g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_SPAWN_SERVICE_NOT_FOUND) ||
           g_strcmp0(name, SYSTEMD ".NoSuchUnit") == 0 || g_strcmp0(name, SYSTEMD ".UnitMasked") == 0;
}

static GVariant *call_manager(GDBusConnection *bus, const char *service, const char *method, GVariant *arguments,
                              GError **error)
{
    g_autofree char *path = g_strconcat("/", service, NULL);
    g_autofree char *interface = g_strconcat(service, ".Manager", NULL);

    g_strdelimit(path, ".", '/');
    return g_dbus_connection_call_sync(bus, service, path, interface, method, arguments, NULL, G_DBUS_CALL_FLAGS_NONE,
                                       CALL_MS, NULL, error);
}

static gboolean fail(const char *what, GError *cause, GError **error)
{
    g_dbus_error_strip_remote_error(cause);
    error_set(error, VIR_ERR_INTERNAL_ERROR, "systemd cannot %s: %s", what, cause->message);
    g_error_free(cause);
    return FALSE;
}

/* --- scopes --------------------------------------------------------------------------------------------- */

/* What both kinds of scope get: stopped before the network is, and after guests were told to shut down. */
static void add_scope_properties(GVariantBuilder *builder, const char *slice)
{
    const char *after[] = {"virtkited.service", NULL}, *before[] = {"virt-guest-shutdown.target", NULL};

    g_variant_builder_add(builder, "(sv)", "Slice", g_variant_new_string(slice));
    g_variant_builder_add(builder, "(sv)", "After", g_variant_new_strv(after, -1));
    g_variant_builder_add(builder, "(sv)", "Before", g_variant_new_strv(before, -1));
}

static GVariant *register_machine(GDBusConnection *bus, const Cgroup *group, const CgroupMachine *machine,
                                  const char *slice, GError **error)
{
    GVariantBuilder properties;

    g_variant_builder_init(&properties, G_VARIANT_TYPE("a(sv)"));
    add_scope_properties(&properties, slice);
    return call_manager(bus, MACHINED, "CreateMachine",
                        g_variant_new("(s@ayssusa(sv))", group->machine,
                                      g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, machine->uuid, 16, 1), "libvirt-kite",
                                      "vm", (guint32)machine->pid, "", &properties),
                        error);
}

static GVariant *start_scope(GDBusConnection *bus, const Cgroup *group, const CgroupMachine *machine, const char *slice,
                             GError **error)
{
    guint32 pid = (guint32)machine->pid;
    GVariantBuilder properties, none;

    g_variant_builder_init(&properties, G_VARIANT_TYPE("a(sv)"));
    add_scope_properties(&properties, slice);
    g_variant_builder_add(&properties, "(sv)", "Description", g_variant_new_printf("Virtual Machine %s", machine->name));
    g_variant_builder_add(&properties, "(sv)", "Delegate", g_variant_new_boolean(TRUE));
    g_variant_builder_add(&properties, "(sv)", "CollectMode", g_variant_new_string("inactive-or-failed"));
    g_variant_builder_add(&properties, "(sv)", "PIDs", g_variant_new_fixed_array(G_VARIANT_TYPE_UINT32, &pid, 1, 4));
    g_variant_builder_init(&none, G_VARIANT_TYPE("a(sa(sv))"));
    return call_manager(bus, SYSTEMD, "StartTransientUnit",
                        g_variant_new("(ssa(sv)a(sa(sv)))", group->unit, "fail", &properties, &none), error);
}

/* --- a job of systemd's, until it is done --------------------------------------------------------------- */

typedef struct Job {
    const char *unit;
    gboolean done, good;
} Job;

static void job_removed(GDBusConnection *bus, const char *sender, const char *path, const char *interface,
                        const char *signal, GVariant *arguments, gpointer data)
{
    Job *job = data;
    const char *unit, *result;

    g_variant_get(arguments, "(u&o&s&s)", NULL, NULL, &unit, &result);
    if (strcmp(unit, job->unit) == 0) {
        job->done = TRUE;
        job->good = strcmp(result, "done") == 0;
    }
}

static gboolean wake_up(gpointer data)
{
    *(gboolean *)data = TRUE;
    return G_SOURCE_REMOVE;
}

/* StartTransientUnit answers when the job is queued; the process is moved when it is done. */
static gboolean start_scope_and_wait(GDBusConnection *bus, const Cgroup *group, const CgroupMachine *machine,
                                     const char *slice, GError **error)
{
    g_autoptr(GMainContext) context = g_main_context_new(); /* signals come to the thread's default one */
    g_autoptr(GVariant) subscribed = NULL;
    g_autoptr(GVariant) reply = NULL;
    Job job = {.unit = group->unit};
    gboolean late = FALSE;
    GSource *timer;
    guint subscription;

    g_main_context_push_thread_default(context);
    subscription = g_dbus_connection_signal_subscribe(bus, SYSTEMD, SYSTEMD ".Manager", "JobRemoved",
                                                      "/org/freedesktop/systemd1", NULL, G_DBUS_SIGNAL_FLAGS_NONE,
                                                      job_removed, &job, NULL);
    subscribed = call_manager(bus, SYSTEMD, "Subscribe", NULL, NULL);
    reply = start_scope(bus, group, machine, slice, error);
    timer = g_timeout_source_new(CALL_MS);
    g_source_set_callback(timer, wake_up, &late, NULL);
    g_source_attach(timer, context);
    while (reply != NULL && !job.done && !late)
        g_main_context_iteration(context, TRUE);
    g_source_destroy(timer);
    g_source_unref(timer);
    g_dbus_connection_signal_unsubscribe(bus, subscription);
    g_main_context_pop_thread_default(context);
    if (reply != NULL && !job.good)
        g_set_error(error, G_DBUS_ERROR, G_DBUS_ERROR_FAILED, "the job to start '%s' %s", group->unit,
                    late ? "takes too long" : "has failed");
    return job.good;
}

gboolean systemd_make_machine(Cgroup *group, const CgroupMachine *machine, GError **error)
{
    g_autofree char *slice = systemd_slice_name(machine->partition != NULL ? machine->partition : "/machine");
    g_autoptr(GDBusConnection) bus = NULL;
    g_autoptr(GVariant) reply = NULL;
    GError *cause = NULL;

    bus = system_bus(&cause);
    if (bus == NULL)
        return fail("be reached on the system bus", cause, error);
    reply = register_machine(bus, group, machine, slice, &cause);
    if (reply == NULL && !nobody_there(cause))
        return fail("register the virtual machine", cause, error);
    g_clear_error(&cause);
    group->unit = systemd_scope_name(group->machine);
    group->machined = reply != NULL;
    if (reply != NULL || start_scope_and_wait(bus, group, machine, slice, &cause))
        return TRUE;
    g_clear_pointer(&group->unit, g_free);
    return fail("make a scope for the virtual machine", cause, error);
}

void systemd_end_machine(const Cgroup *group)
{
    g_autoptr(GDBusConnection) bus = group->unit != NULL ? system_bus(NULL) : NULL;

    if (bus == NULL)
        return;
    /* A scope ends by itself when it is empty; this ends what the VM may have left in it. */
    if (group->machined)
        g_dbus_connection_call(bus, MACHINED, "/org/freedesktop/machine1", MACHINED ".Manager", "TerminateMachine",
                               g_variant_new("(s)", group->machine), NULL, G_DBUS_CALL_FLAGS_NONE, CALL_MS, NULL, NULL,
                               NULL);
    else
        g_dbus_connection_call(bus, SYSTEMD, "/org/freedesktop/systemd1", SYSTEMD ".Manager", "StopUnit",
                               g_variant_new("(ss)", group->unit, "fail"), NULL, G_DBUS_CALL_FLAGS_NONE, CALL_MS, NULL,
                               NULL, NULL);
}

/* --- properties ----------------------------------------------------------------------------------------- */

static gboolean set_property(const Cgroup *group, const char *property, GVariant *value, GError **error)
{
    g_autoptr(GDBusConnection) bus = NULL;
    g_autoptr(GVariant) reply = NULL;
    GVariantBuilder properties;
    GError *cause = NULL;

    g_variant_builder_init(&properties, G_VARIANT_TYPE("a(sv)"));
    g_variant_builder_add(&properties, "(sv)", property, value);
    bus = system_bus(&cause);
    if (bus != NULL)
        reply = call_manager(bus, SYSTEMD, "SetUnitProperties",
                             g_variant_new("(sba(sv))", group->unit, TRUE, &properties), &cause);
    else
        g_variant_builder_clear(&properties);
    return reply != NULL || fail("set a property of the virtual machine's unit", cause, error);
}

gboolean systemd_set_unit_u64(const Cgroup *group, const char *property, guint64 value, GError **error)
{
    return set_property(group, property, g_variant_new_uint64(value), error);
}

gboolean systemd_set_device_weight(const Cgroup *group, const char *property, const char *path, guint64 value,
                                   GError **error)
{
    GVariantBuilder weights;

    g_variant_builder_init(&weights, G_VARIANT_TYPE("a(st)"));
    g_variant_builder_add(&weights, "(st)", path, value);
    return set_property(group, property, g_variant_builder_end(&weights), error);
}
