/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virDomainGetGuestInfo (one group an agent command, in a table) and virDomainInterfaceAddresses (leases,
 * guest agent, the host's neighbour table).
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "driver/backend/agent_client.h"
#include "driver/backend/json_util.h"
#include "driver/conf/def_interface.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/agent_figures.h"
#include "driver/domain/domain_private.h"
#include "driver/rpc/call.h"
#include "driver/rpc/typed_params.h"

#define ADDRESS_LIMIT 4096 /* a guest that claims more is cut off */

/* --- groups of virDomainGetGuestInfo -------------------------------------------------------------------- */

static void add_users(Domain *dom, const json_t *reply, TypedParams *params)
{
    const json_t *user;
    size_t i;

    typed_params_add_uint(params, "user.count", (guint)json_array_size(reply));
    json_array_foreach(reply, i, user)
    {
        typed_params_addf_string(params, jstr(user, "user"), "user.%zu.name", i);
        typed_params_addf_string(params, jstr(user, "domain"), "user.%zu.domain", i);
        typed_params_addf_ullong(
            params, (guint64)(MAX(json_number_value(json_object_get(user, "login-time")), 0) * 1000),
            "user.%zu.login-time", i);
    }
}

static void add_os(Domain *dom, const json_t *reply, TypedParams *params)
{
    static const char *const names[] = {
        "id",      "name",    "pretty-name", "version",        "version-id",
        "machine", "variant", "variant-id",  "kernel-release", "kernel-version"};

    for (guint i = 0; i < G_N_ELEMENTS(names); i++)
        typed_params_addf_string(params, jstr(reply, names[i]), "os.%s", names[i]);
}

static void add_timezone(Domain *dom, const json_t *reply, TypedParams *params)
{
    typed_params_add_string(params, "timezone.name", jstr(reply, "zone"));
    typed_params_add_int(params, "timezone.offset", (gint32)jint(reply, "offset", 0));
}

static void add_hostname(Domain *dom, const json_t *reply, TypedParams *params)
{
    typed_params_add_string(params, "hostname", jstr(reply, "host-name"));
}

static void add_file_systems(Domain *dom, const json_t *reply, TypedParams *params)
{
    const json_t *fs, *disk;
    size_t i, k;

    if (json_array_size(reply) == 0)
        return; /* libvirt says nothing of none */
    LOCK_SCOPE(&dom->lock);
    typed_params_add_uint(params, "fs.count", (guint)json_array_size(reply));
    json_array_foreach(reply, i, fs)
    {
        const json_t *disks = json_object_get(fs, "disk");

        typed_params_addf_string(params, jstr(fs, "name"), "fs.%zu.name", i);
        typed_params_addf_string(params, jstr(fs, "mountpoint"), "fs.%zu.mountpoint", i);
        typed_params_addf_string(params, jstr(fs, "type"), "fs.%zu.fstype", i);
        if (json_is_integer(json_object_get(fs, "total-bytes")))
            typed_params_addf_ullong(params, juint(fs, "total-bytes"), "fs.%zu.total-bytes", i);
        if (json_is_integer(json_object_get(fs, "used-bytes")))
            typed_params_addf_ullong(params, juint(fs, "used-bytes"), "fs.%zu.used-bytes", i);
        typed_params_addf_uint(params, (guint)json_array_size(disks), "fs.%zu.disk.count", i);
        json_array_foreach(disks, k, disk)
        {
            typed_params_addf_string(params, agent_disk_target(domain_def(dom), disk),
                                     "fs.%zu.disk.%zu.alias", i, k);
            typed_params_addf_string(params, jstr(disk, "serial"), "fs.%zu.disk.%zu.serial", i, k);
            typed_params_addf_string(params, jstr(disk, "dev"), "fs.%zu.disk.%zu.device", i, k);
        }
    }
}

static void add_disks(Domain *dom, const json_t *reply, TypedParams *params)
{
    const json_t *disk, *dependency;
    size_t i, k;

    if (json_array_size(reply) == 0)
        return;
    LOCK_SCOPE(&dom->lock);
    typed_params_add_uint(params, "disk.count", (guint)json_array_size(reply));
    json_array_foreach(reply, i, disk)
    {
        const json_t *dependencies = json_object_get(disk, "dependencies"),
                     *address = json_object_get(disk, "address");

        typed_params_addf_string(params, jstr(disk, "name"), "disk.%zu.name", i);
        typed_params_addf_boolean(params, jbool(disk, "partition"), "disk.%zu.partition", i);
        if (json_array_size(dependencies) > 0)
            typed_params_addf_uint(params, (guint)json_array_size(dependencies), "disk.%zu.dependency.count",
                                   i);
        json_array_foreach(dependencies, k, dependency)
        {
            typed_params_addf_string(params, json_string_value(dependency), "disk.%zu.dependency.%zu.name", i,
                                     k);
        }
        typed_params_addf_string(params, jstr(address, "serial"), "disk.%zu.serial", i);
        if (address != NULL)
            typed_params_addf_string(params, agent_disk_target(domain_def(dom), address), "disk.%zu.alias",
                                     i);
        typed_params_addf_string(params, jstr(disk, "alias"), "disk.%zu.guest_alias", i);
    }
}

/* --- interfaces of the guest ---------------------------------------------------------------------------- */

static WireDomainInterface *find_interface(WireDomainInterface *list, guint n, const char *name, gsize length)
{
    for (guint i = 0; i < n; i++) {
        if (strlen(list[i].name) == length && strncmp(list[i].name, name, length) == 0)
            return &list[i];
    }
    return NULL;
}

static void add_address(WireDomainInterface *interface, int type, const char *address, guint prefix)
{
    WireDomainIpAddr *slot;

    if (interface->addrs_len >= ADDRESS_LIMIT)
        return;
    interface->addrs = g_renew(WireDomainIpAddr, interface->addrs, interface->addrs_len + 1);
    slot = &interface->addrs[interface->addrs_len++];
    slot->type = type;
    slot->addr = g_strdup(address);
    slot->prefix = prefix;
}

/* guest-network-get-interfaces. "eth0:1" is another address of eth0. */
static gboolean guest_interfaces(const json_t *reply, WireDomainInterface **ret, guint32 *ret_n,
                                 GError **error)
{
    const json_t *entry, *address;
    size_t i, k;

    if (!json_is_array(reply))
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "qemu agent didn't return an array of interfaces");
    *ret = g_new0(WireDomainInterface, json_array_size(reply) + 1);
    json_array_foreach(reply, i, entry)
    {
        const char *name = jstr(entry, "name");
        WireDomainInterface *interface;
        gsize length;

        if (name == NULL)
            return error_set(error, VIR_ERR_INTERNAL_ERROR, "qemu agent didn't provide 'name' field");
        length = strcspn(name, ":");
        interface = find_interface(*ret, *ret_n, name, length);
        if (interface == NULL) {
            interface = &(*ret)[(*ret_n)++];
            interface->name = g_strndup(name, length);
            interface->hwaddr = g_strdup(jstr(entry, "hardware-address"));
        }
        json_array_foreach(json_object_get(entry, "ip-addresses"), k, address)
        {
            const char *type = jstr(address, "ip-address-type"), *text = jstr(address, "ip-address");

            if (type == NULL || text == NULL || (strcmp(type, "ipv4") != 0 && strcmp(type, "ipv6") != 0))
                return error_set(error, VIR_ERR_INTERNAL_ERROR,
                                 "qemu agent gave an address of interface '%s' that is neither ipv4 nor ipv6",
                                 name);
            add_address(interface, strcmp(type, "ipv4") == 0 ? VIR_IP_ADDR_TYPE_IPV4 : VIR_IP_ADDR_TYPE_IPV6,
                        text, (guint)juint(address, "prefix"));
        }
    }
    return TRUE;
}

static void clear_interfaces(WireDomainInterface *list, guint n)
{
    for (guint i = 0; i < n; i++)
        xdr_clear(&xdr_wire_domain_interface, &list[i]);
    g_free(list);
}

static void add_interfaces(Domain *dom, const json_t *reply, TypedParams *params)
{
    WireDomainInterface *list = NULL;
    guint32 n = 0;

    if (guest_interfaces(reply, &list, &n, NULL)) {
        typed_params_add_uint(params, "if.count", n);
        for (guint i = 0; i < n; i++) {
            typed_params_addf_string(params, list[i].name, "if.%u.name", i);
            typed_params_addf_string(params, list[i].hwaddr, "if.%u.hwaddr", i);
            typed_params_addf_uint(params, list[i].addrs_len, "if.%u.addr.count", i);
            for (guint k = 0; k < list[i].addrs_len; k++) {
                const WireDomainIpAddr *a = &list[i].addrs[k];

                typed_params_addf_string(params, a->type == VIR_IP_ADDR_TYPE_IPV4 ? "ipv4" : "ipv6",
                                         "if.%u.addr.%u.type", i, k);
                typed_params_addf_string(params, a->addr, "if.%u.addr.%u.addr", i, k);
                typed_params_addf_uint(params, a->prefix, "if.%u.addr.%u.prefix", i, k);
            }
        }
    }
    clear_interfaces(list, n);
}

/* --- the call ------------------------------------------------------------------------------------------- */

static const struct {
    guint type;
    const char *command;
    void (*add)(Domain *dom, const json_t *reply, TypedParams *params);
} groups[] = {
    {VIR_DOMAIN_GUEST_INFO_USERS, "guest-get-users", add_users},
    {VIR_DOMAIN_GUEST_INFO_OS, "guest-get-osinfo", add_os},
    {VIR_DOMAIN_GUEST_INFO_TIMEZONE, "guest-get-timezone", add_timezone},
    {VIR_DOMAIN_GUEST_INFO_HOSTNAME, "guest-get-host-name", add_hostname},
    {VIR_DOMAIN_GUEST_INFO_FILESYSTEM, "guest-get-fsinfo", add_file_systems},
    {VIR_DOMAIN_GUEST_INFO_DISKS, "guest-get-disks", add_disks},
    {VIR_DOMAIN_GUEST_INFO_INTERFACES, "guest-network-get-interfaces", add_interfaces},
};

/* The agent does not know the command, or not on this guest: no error when the client asked for all there is.
 */
static gboolean unsupported(const char *error_class, const GError *error)
{
    return g_strcmp0(error_class, "CommandNotFound") == 0 || g_strcmp0(error_class, "CommandDisabled") == 0 ||
           g_strcmp0(error_class, "Unsupported") == 0 ||
           strstr(error->message, "not currently supported") != NULL;
}

gboolean call_domain_get_guest_info(Call *call, const DomainGetGuestInfoArgs *args,
                                    DomainGetGuestInfoRet *ret, GError **error)
{
    g_auto(TypedParams) params = {0};
    g_autoptr(Domain) dom = NULL;
    g_autoptr(AgentClient) agent = NULL;
    guint known = 0, types = args->types;

    if (!call_check_flags(call, args->flags, 0, error))
        return FALSE;
    for (guint i = 0; i < G_N_ELEMENTS(groups); i++)
        known |= groups[i].type;
    if (types & ~known)
        return error_set(error, VIR_ERR_INVALID_ARG, "unsupported guest information types '0x%x'",
                         types & ~known);
    dom = domain_from_wire(call, &args->dom, error);
    if (dom == NULL || (agent = domain_agent(dom, error)) == NULL)
        return FALSE;
    typed_params_init(&params);
    for (guint i = 0; i < G_N_ELEMENTS(groups); i++) {
        g_autofree char *error_class = NULL;
        g_autoptr(GError) cause = NULL;
        autojson *reply = NULL;

        if (types != 0 && !(types & groups[i].type))
            continue;
        if (agent_call_full(agent, groups[i].command, NULL, AGENT_TIMEOUT_DEFAULT, &error_class, &reply,
                            &cause)) {
            groups[i].add(dom, reply, &params);
        } else if (types != 0 || !unsupported(error_class, cause)) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return FALSE;
        }
    }
    ret->params = typed_params_steal(&params, &ret->params_len);
    return TRUE;
}

/* --- addresses ------------------------------------------------------------------------------------------ */

/* /proc/net/arp: "IP address  HW type  Flags  HW address  Mask  Device"; flag 2: complete. */
static void addresses_by_arp(const DomainDef *def, DomainInterfaceAddressesRet *ret)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    GPtrArray *interfaces = def->devices[DEVICE_INTERFACE];

    if (interfaces == NULL || interfaces->len == 0 ||
        !g_file_get_contents("/proc/net/arp", &text, NULL, NULL))
        return;
    lines = g_strsplit(text, "\n", -1);
    ret->ifaces = g_new0(WireDomainInterface, interfaces->len + 1);
    for (guint i = 0; i < interfaces->len; i++) {
        const InterfaceDef *interface = g_ptr_array_index(interfaces, i);
        WireDomainInterface *out = NULL;

        for (guint line = 1; lines[0] != NULL && lines[line] != NULL; line++) {
            char ip[64], hardware[64];
            guint type, flags;

            if (sscanf(lines[line], "%63s 0x%x 0x%x %63s", ip, &type, &flags, hardware) != 4 ||
                !(flags & 2) || interface->mac == NULL || g_ascii_strcasecmp(hardware, interface->mac) != 0)
                continue;
            if (out == NULL) {
                out = &ret->ifaces[ret->ifaces_len++];
                out->name = g_strdup(interface->target != NULL ? interface->target : "");
                out->hwaddr = g_strdup(interface->mac);
            }
            add_address(out, VIR_IP_ADDR_TYPE_IPV4, ip, 0);
        }
    }
}

gboolean call_domain_interface_addresses(Call *call, const DomainInterfaceAddressesArgs *args,
                                         DomainInterfaceAddressesRet *ret, GError **error)
{
    g_autoptr(Domain) dom = NULL;
    g_autoptr(AgentClient) agent = NULL;
    autojson *reply = NULL;

    if (!call_check_flags(call, args->flags, 0, error))
        return FALSE;
    if (args->source == VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT && !call_check_writable(call, error))
        return FALSE;
    dom = domain_from_wire(call, &args->dom, error);
    if (dom == NULL)
        return FALSE;
    switch (args->source) {
    case VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT:
        agent = domain_agent(dom, error);
        return agent != NULL &&
               agent_call(agent, "guest-network-get-interfaces", NULL, AGENT_TIMEOUT_DEFAULT, &reply,
                          error) &&
               guest_interfaces(reply, &ret->ifaces, &ret->ifaces_len, error);
    default: {
        LOCK_SCOPE(&dom->lock);
        if (!domain_require_active(dom, error))
            return FALSE;
        if (args->source == VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP)
            addresses_by_arp(domain_def(dom), ret);
        else if (args->source != VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE)
            return error_set(error, VIR_ERR_ARGUMENT_UNSUPPORTED, "Unknown IP address data source %u",
                             args->source);
        return TRUE; /* no network of ours gives leases: none is known */
    }
    }
}
