/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is asked of polkit and what its answers mean, against an authority of our own on a private bus.
 * Skipped where there is no dbus-daemon.
 */
#include <gio/gio.h>
#include <unistd.h>

#include "common/error.h"
#include "common/thread.h"
#include "driver/rpc/private.h"

/* Never reached: no call is made here. */
const RpcProgram rpc_programs[] = {{0}};
const guint rpc_program_count = 0;

static const char interface_xml[] =
    "<node><interface name='org.freedesktop.PolicyKit1.Authority'><method name='CheckAuthorization'>"
    "<arg type='(sa{sv})' direction='in'/><arg type='s' direction='in'/><arg type='a{ss}' direction='in'/>"
    "<arg type='u' direction='in'/><arg type='s' direction='in'/><arg type='(bba{ss})' direction='out'/>"
    "</method></interface></node>";

static GTestDBus *dbus;

static void on_call(GDBusConnection *bus, const char *sender, const char *path, const char *interface,
                    const char *method, GVariant *args, GDBusMethodInvocation *invocation, gpointer data)
{
    g_autoptr(GVariant) subject = NULL, details = NULL;
    const char *kind, *action, *cancel;
    GVariantBuilder builder;
    gint32 uid = -1;
    guint32 pid = 0, flags = 0;
    guint64 start = 0;

    g_variant_get(args, "((&s@a{sv})&s@a{ss}u&s)", &kind, &subject, &action, &details, &flags, &cancel);
    g_assert_cmpstr(kind, ==, "unix-process");
    g_assert_true(g_variant_lookup(subject, "pid", "u", &pid));
    g_assert_true(g_variant_lookup(subject, "uid", "i", &uid));
    g_assert_true(g_variant_lookup(subject, "start-time", "t", &start));
    g_assert_cmpuint(pid, ==, getpid());
    g_assert_cmpint(uid, ==, 1234);
    g_assert_cmpuint(start, >, 0);
    g_assert_cmpuint(flags, ==, 1);
    if (g_str_has_suffix(action, ".end-of-bus")) {
        g_test_dbus_stop(dbus);
        g_object_unref(invocation);
        return;
    }
    g_variant_builder_init(&builder, G_VARIANT_TYPE("a{ss}"));
    if (g_str_has_suffix(action, ".dismissed"))
        g_variant_builder_add(&builder, "{ss}", "polkit.dismissed", "true");
    g_dbus_method_invocation_return_value(invocation,
                                          g_variant_new("((bba{ss}))", g_str_has_suffix(action, ".yes"),
                                                        g_str_has_suffix(action, ".agent"), &builder));
}

static void check(const char *action, int code)
{
    g_autoptr(GError) error = NULL;
    gboolean fine = polkit_check(action, getpid(), 1234, &error);

    g_assert_cmpint(fine, ==, code == 0);
    if (code != 0)
        g_assert_cmpint(error_number(error), ==, code);
}

static void test_answers(void)
{
    static const GDBusInterfaceVTable vtable = {.method_call = on_call};
    g_autofree char *daemon = g_find_program_in_path("dbus-daemon");
    g_autoptr(GMainContext) context = NULL;
    g_autoptr(GDBusConnection) bus = NULL;
    g_autoptr(GDBusNodeInfo) node = NULL;
    g_autoptr(GVariant) owned = NULL;
    g_autoptr(GMainLoop) loop = NULL;
    g_autoptr(GError) error = NULL;
    GThread *thread;

    if (daemon == NULL) {
        g_test_skip("no dbus-daemon");
        return;
    }
    dbus = g_test_dbus_new(G_TEST_DBUS_NONE);
    g_test_dbus_up(dbus);
    g_setenv("DBUS_SYSTEM_BUS_ADDRESS", g_test_dbus_get_bus_address(dbus), TRUE);
    context = g_main_context_new();
    g_main_context_push_thread_default(context);
    bus = g_dbus_connection_new_for_address_sync(g_test_dbus_get_bus_address(dbus),
                                                 G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                                     G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                                 NULL, NULL, &error);
    g_assert_no_error(error);
    /* nobody there yet */
    check("org.libvirt.unix.yes", VIR_ERR_AUTH_UNAVAILABLE);
    node = g_dbus_node_info_new_for_xml(interface_xml, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(g_dbus_connection_register_object(bus, "/org/freedesktop/PolicyKit1/Authority",
                                                       node->interfaces[0], &vtable, NULL, NULL, &error),
                     >, 0);
    g_main_context_pop_thread_default(context);
    owned = g_dbus_connection_call_sync(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                        "org.freedesktop.DBus", "RequestName",
                                        g_variant_new("(su)", "org.freedesktop.PolicyKit1", 0), NULL,
                                        G_DBUS_CALL_FLAGS_NONE, 5000, NULL, &error);
    g_assert_no_error(error);
    loop = g_main_loop_new(context, FALSE);
    thread = thread_run_loop("authority", loop, NULL);
    check("org.libvirt.unix.yes", 0);
    check("org.libvirt.unix.no", VIR_ERR_AUTH_FAILED);
    check("org.libvirt.unix.agent", VIR_ERR_AUTH_UNAVAILABLE);
    check("org.libvirt.unix.dismissed", VIR_ERR_AUTH_CANCELLED);
    /* The bus is restarted while a dialog is up: that is no end of ours (GIO's default is SIGTERM). */
    check("org.libvirt.unix.end-of-bus", VIR_ERR_AUTH_UNAVAILABLE);
    while (g_main_context_iteration(NULL, FALSE))
        ;
    thread_end_loop(thread, loop);
    g_object_unref(dbus);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rpc/polkit/answers", test_answers);
    return g_test_run();
}
