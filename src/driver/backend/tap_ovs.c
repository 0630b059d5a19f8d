/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ports of Open vSwitch bridges: ovs-vsctl(8), whose database names whom a port belongs to by external-ids. */
#include <string.h>

#include "common/error.h"
#include "common/log.h"
#include "driver/backend/tap.h"

#define TIMEOUT "--timeout=5" /* seconds; without, ovs-vsctl waits for a daemon that may never come */

static GPtrArray *command(void)
{
    GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);

    g_ptr_array_add(argv, g_strdup("ovs-vsctl"));
    g_ptr_array_add(argv, g_strdup(TIMEOUT));
    return argv;
}

static void add_words(GPtrArray *argv, const char *first, ...) G_GNUC_NULL_TERMINATED;
static void add_words(GPtrArray *argv, const char *first, ...)
{
    va_list ap;

    va_start(ap, first);
    for (const char *word = first; word != NULL; word = va_arg(ap, const char *))
        g_ptr_array_add(argv, g_strdup(word));
    va_end(ap);
}

static void add_id(GPtrArray *argv, const char *name, const char *key, const char *value)
{
    add_words(argv, "--", "set", "Interface", name, NULL);
    g_ptr_array_add(argv, g_strdup_printf("external-ids:%s=\"%s\"", key, value));
}

static void add_vlan(GPtrArray *argv, const NetVlan *vlan)
{
    g_autoptr(GString) trunk = g_string_new("trunk=");

    if (vlan->native_mode != VLAN_NATIVE_DEFAULT) {
        g_ptr_array_add(argv, g_strdup_printf("vlan_mode=native-%s", vlan_native_to_string(vlan->native_mode)));
        g_ptr_array_add(argv, g_strdup_printf("tag=%u", vlan->native_tag));
    }
    if (!vlan->trunk) {
        g_ptr_array_add(argv, g_strdup_printf("tag=%u", vlan->tags[0]));
        return;
    }
    for (guint i = 0; i < vlan->n_tags; i++)
        g_string_append_printf(trunk, "%s%u", i > 0 ? "," : "", vlan->tags[i]);
    add_words(argv, trunk->str, NULL);
}

/* FALSE with the program's last words. */
static gboolean run(GPtrArray *argv, const char *what, const char *name, GError **error)
{
    g_autoptr(GError) local = NULL;
    g_autofree char *said = NULL;
    int status = 0;

    g_ptr_array_add(argv, NULL);
    if (!g_spawn_sync(NULL, (char **)argv->pdata, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL,
                      NULL, &said, &status, &local))
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "Unable to %s %s: %s (package openvswitch-switch)", what, name,
                         local->message);
    if (status == 0)
        return TRUE;
    return error_set(error, VIR_ERR_INTERNAL_ERROR, "Unable to %s %s: ovs-vsctl failed: %s", what, name,
                     g_strstrip(said));
}

gboolean tap_ovs_join(const char *name, const char *bridge, const char *mac, const OvsPort *port, GError **error)
{
    g_autofree char *what = g_strdup_printf("add to OVS bridge %s port", bridge);
    g_autoptr(GPtrArray) argv = command();

    add_words(argv, "--", "--may-exist", "add-port", bridge, name, NULL);
    if (port->vlan->n_tags > 0)
        add_vlan(argv, port->vlan);
    add_id(argv, name, "attached-mac", mac);
    if (port->virtualport->interfaceid != NULL)
        add_id(argv, name, "iface-id", port->virtualport->interfaceid);
    add_id(argv, name, "vm-id", port->vm_uuid);
    if (port->virtualport->profileid != NULL) {
        add_id(argv, name, "port-profile", port->virtualport->profileid);
        add_id(argv, name, "ifname", name);
    }
    add_words(argv, "--", "set", "Interface", name, "external-ids:iface-status=active", NULL);
    return run(argv, what, name, error);
}

void tap_ovs_leave(const char *name)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) argv = command();

    add_words(argv, "--", "--if-exists", "del-port", name, NULL);
    if (!run(argv, "delete from OVS port", name, &error))
        log_warning("%s", error->message);
}
