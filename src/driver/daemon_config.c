/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys of virtkited.conf: one line of a table each, with kind and limits. */
#include "driver/daemon_config.h"

#include <stddef.h>
#include <string.h>

#include "common/error.h"
#include "driver/conf_file.h"

typedef enum {
    KIND_BOOL,
    KIND_UINT,
    KIND_INT,
    KIND_STRING,
    KIND_CHOICE, /* a string that must be one of choices */
    KIND_OCTAL,  /* a string of octal digits */
    KIND_PORT,   /* a string or number 1-65535, kept as text */
    KIND_LIST,
    KIND_IGNORED /* libvirtd has it, we have nothing it could set */
} Kind;

typedef struct Key {
    const char *name;
    Kind kind;
    gsize offset;
    gint64 min, max;
    const char *const *choices;
} Key;

static const char *const auth_unix_choices[] = {"none", "polkit", "sasl", NULL};
static const char *const auth_net_choices[] = {"none", "sasl", NULL};
static const char *const uuid_source_choices[] = {"smbios", "machine-id", NULL};

#define AT(member) offsetof(DaemonConfig, member)
#define BOOL(name) {#name, KIND_BOOL, AT(name), 0, 1, NULL}
#define UINT(name, low, high) {#name, KIND_UINT, AT(name), low, high, NULL}
#define STRING(name) {#name, KIND_STRING, AT(name), 0, 0, NULL}
#define CHOICE(name, choices) {#name, KIND_CHOICE, AT(name), 0, 0, choices}
#define OCTAL(name) {#name, KIND_OCTAL, AT(name), 0, 0, NULL}
#define PORT(name) {#name, KIND_PORT, AT(name), 0, 0, NULL}
#define LIST(name) {#name, KIND_LIST, AT(name), 0, 0, NULL}
#define IGNORED(name) {name, KIND_IGNORED, 0, 0, 0, NULL}

static const Key keys[] = {
    BOOL(listen_tls),
    BOOL(listen_tcp),
    PORT(tls_port),
    PORT(tcp_port),
    STRING(listen_addr),
    STRING(unix_sock_group),
    OCTAL(unix_sock_rw_perms),
    OCTAL(unix_sock_ro_perms),
    STRING(unix_sock_dir),
    CHOICE(auth_unix_ro, auth_unix_choices),
    CHOICE(auth_unix_rw, auth_unix_choices),
    CHOICE(auth_tcp, auth_net_choices),
    CHOICE(auth_tls, auth_net_choices),
    LIST(sasl_allowed_username_list),
    STRING(key_file),
    STRING(cert_file),
    STRING(ca_file),
    STRING(crl_file),
    BOOL(tls_no_verify_certificate),
    BOOL(tls_no_sanity_certificate),
    LIST(tls_allowed_dn_list),
    STRING(tls_priority),
    UINT(tcp_min_ssf, 56, 1024),
    UINT(max_clients, 1, 1000000),
    UINT(max_queued_clients, 0, 1000000),
    UINT(max_anonymous_clients, 0, 1000000),
    UINT(min_workers, 0, 1000),
    UINT(max_workers, 1, 10000),
    UINT(prio_workers, 0, 1000),
    UINT(max_requests, 1, 1000000),
    UINT(max_client_requests, 1, 100000),
    {"keepalive_interval", KIND_INT, AT(keepalive_interval), -1, 86400, NULL},
    UINT(keepalive_count, 0, 10000),
    UINT(ovs_timeout, 0, 3600),
    UINT(log_level, 0, 4),
    STRING(log_filters),
    STRING(log_outputs),
    BOOL(audit_logging),
    UINT(audit_level, 0, 2),
    STRING(host_uuid),
    CHOICE(host_uuid_source, uuid_source_choices),
    STRING(connection_type),
    STRING(qemu_emulator),
    STRING(vmm_binary),
    STRING(default_machine),
    STRING(vnc_listen),
    STRING(spice_listen),
    UINT(remote_display_port_min, 5900, 65535),
    UINT(remote_display_port_max, 5900, 65535),
    UINT(start_timeout, 1, 3600),
    UINT(stop_timeout, 1, 3600),
    STRING(vm_user),
    STRING(vm_group),
    UINT(vm_id_min, 0, G_MAXINT32),
    UINT(vm_id_max, 0, G_MAXINT32),
    BOOL(autostart_domains),
    LIST(also),
    LIST(access_drivers),
    LIST(cgroup_controllers),
    LIST(cgroup_device_acl),
    IGNORED("mdns_adv"),
    IGNORED("mdns_name"),
    IGNORED("unix_sock_admin_perms"),
    IGNORED("keepalive_required"),
    IGNORED("admin_keepalive_required"),
    IGNORED("admin_min_workers"),
    IGNORED("admin_max_workers"),
    IGNORED("admin_max_clients"),
    IGNORED("admin_max_queued_clients"),
    IGNORED("admin_max_client_requests"),
    IGNORED("admin_keepalive_interval"),
    IGNORED("admin_keepalive_count"),
    IGNORED("log_buffer_size"),
};

DaemonConfig *daemon_config_new(void)
{
    DaemonConfig *c = g_new0(DaemonConfig, 1);

    c->tls_port = g_strdup("16514");
    c->tcp_port = g_strdup("16509");
    c->listen_tls = TRUE; /* with --listen only, as libvirtd */
    c->auth_tcp = g_strdup("sasl");
    c->auth_tls = g_strdup("none");
    c->tcp_min_ssf = 112;
    c->max_clients = 5000;
    c->max_queued_clients = 1000;
    c->max_anonymous_clients = 20;
    c->min_workers = 5;
    c->max_workers = 20;
    c->prio_workers = 5;
    c->max_requests = 20;
    c->max_client_requests = 5;
    c->keepalive_interval = 5;
    c->keepalive_count = 5;
    c->ovs_timeout = 5;
    c->log_level = 3;
    c->audit_level = 1;
    c->connection_type = g_strdup("QEMU");
    c->default_machine = g_strdup("q35");
    c->vnc_listen = g_strdup("127.0.0.1");
    c->spice_listen = g_strdup("127.0.0.1");
    c->remote_display_port_min = 5900;
    c->remote_display_port_max = 65535;
    c->vm_id_min = 2080374784; /* systemd leaves 1879048192 to 2147483647 to nobody */
    c->vm_id_max = 2080440319;
    c->start_timeout = 30;
    c->stop_timeout = 10;
    c->autostart_domains = TRUE;
    return c;
}

void daemon_config_free(DaemonConfig *config)
{
    if (config == NULL)
        return;
    for (guint i = 0; i < G_N_ELEMENTS(keys); i++) {
        gpointer member = (char *)config + keys[i].offset;

        switch (keys[i].kind) {
        case KIND_STRING:
        case KIND_CHOICE:
        case KIND_OCTAL:
        case KIND_PORT:
            g_free(*(char **)member);
            break;
        case KIND_LIST:
            g_strfreev(*(char ***)member);
            break;
        default:
            break;
        }
    }
    g_free(config);
}

/* --- values --------------------------------------------------------------------------------------------- */

typedef struct Loading {
    DaemonConfig *config;
    const char *name;
} Loading;

static gboolean wrong(const Loading *l, const ConfEntry *entry, GError **error, const char *wanted)
{
    return error_set(error, VIR_ERR_CONF_SYNTAX, "%s:%u: '%s' must be %s", l->name, entry->line, entry->key, wanted);
}

static gboolean set_number(const Loading *l, const Key *key, const ConfEntry *entry, GError **error)
{
    gpointer member = (char *)l->config + key->offset;

    if (entry->type != CONF_NUMBER || entry->number < key->min || entry->number > key->max) {
        g_autofree char *wanted =
            g_strdup_printf("a number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, key->min, key->max);

        return wrong(l, entry, error, wanted);
    }
    *(gint *)member = (gint)entry->number;
    return TRUE;
}

static gboolean text_fits(const Key *key, const char *text)
{
    guint64 number;

    switch (key->kind) {
    case KIND_CHOICE:
        return g_strv_contains(key->choices, text);
    case KIND_OCTAL:
        return text[0] != '\0' && strlen(text) <= 5 && strspn(text, "01234567") == strlen(text);
    case KIND_PORT:
        return g_ascii_string_to_unsigned(text, 10, 1, 65535, &number, NULL);
    default:
        return TRUE;
    }
}

static gboolean set_string(const Loading *l, const Key *key, const ConfEntry *entry, GError **error)
{
    char **member = (char **)(gpointer)((char *)l->config + key->offset);
    g_autofree char *text = NULL;

    if (entry->type == CONF_NUMBER && key->kind == KIND_PORT)
        text = g_strdup_printf("%" G_GINT64_FORMAT, entry->number);
    else if (entry->type == CONF_STRING)
        text = g_strdup(entry->string);
    if (text == NULL)
        return wrong(l, entry, error, key->kind == KIND_PORT ? "a port" : "a string");
    if (!text_fits(key, text)) {
        g_autofree char *choices = key->choices != NULL ? g_strjoinv("', '", (char **)key->choices) : NULL;
        g_autofree char *wanted = key->kind == KIND_CHOICE  ? g_strdup_printf("one of '%s'", choices)
                                  : key->kind == KIND_OCTAL ? g_strdup("octal permission bits such as \"0770\"")
                                                            : g_strdup("a port from 1 to 65535");

        return wrong(l, entry, error, wanted);
    }
    g_free(*member);
    *member = g_steal_pointer(&text);
    return TRUE;
}

static gboolean set_list(const Loading *l, const Key *key, const ConfEntry *entry, GError **error)
{
    char ***member = (char ***)(gpointer)((char *)l->config + key->offset);

    if (entry->type != CONF_LIST && entry->type != CONF_STRING)
        return wrong(l, entry, error, "a list of strings");
    g_strfreev(*member);
    if (entry->type == CONF_LIST) {
        *member = g_strdupv((char **)entry->list);
    } else {
        *member = g_new0(char *, 2);
        (*member)[0] = g_strdup(entry->string);
    }
    return TRUE;
}

static gboolean apply(const ConfEntry *entry, gpointer data, GError **error)
{
    const Loading *l = data;

    for (guint i = 0; i < G_N_ELEMENTS(keys); i++) {
        const Key *key = &keys[i];

        if (!g_str_equal(key->name, entry->key))
            continue;
        switch (key->kind) {
        case KIND_BOOL:
        case KIND_UINT:
        case KIND_INT:
            return set_number(l, key, entry, error);
        case KIND_LIST:
            return set_list(l, key, entry, error);
        case KIND_IGNORED:
            return TRUE;
        default:
            return set_string(l, key, entry, error);
        }
    }
    return error_set(error, VIR_ERR_CONF_SYNTAX, "%s:%u: unknown key '%s'", l->name, entry->line, entry->key);
}

/* Rules over more than one key. */
static gboolean check(const DaemonConfig *c, const char *name, GError **error)
{
    if (c->max_anonymous_clients > c->max_clients)
        return error_set(error, VIR_ERR_CONF_SYNTAX,
                         "%s: max_anonymous_clients %u is more than max_clients %u", name,
                         c->max_anonymous_clients, c->max_clients);
    if (c->remote_display_port_min > c->remote_display_port_max)
        return error_set(error, VIR_ERR_CONF_SYNTAX,
                         "%s: remote_display_port_min %u is more than remote_display_port_max %u", name,
                         c->remote_display_port_min, c->remote_display_port_max);
    /* Who asks for rules of access must not believe that they hold. */
    for (guint i = 0; c->access_drivers != NULL && c->access_drivers[i] != NULL; i++) {
        if (!g_str_equal(c->access_drivers[i], "none"))
            return error_set(
                error, VIR_ERR_CONF_SYNTAX,
                "%s: access_drivers: \"%s\" is not supported; there is no access control below that of "
                "the sockets (auth_unix_rw, unix_sock_group)",
                name, c->access_drivers[i]);
    }
    for (guint i = 0; c->also != NULL && c->also[i] != NULL; i++) {
        if (!g_str_equal(c->also[i], "qemu"))
            return error_set(error, VIR_ERR_CONF_SYNTAX, "%s: 'also' knows \"qemu\" only, not \"%s\"", name,
                             c->also[i]);
    }
    if (c->host_uuid != NULL && !g_uuid_string_is_valid(c->host_uuid))
        return error_set(error, VIR_ERR_CONF_SYNTAX, "%s: host_uuid \"%s\" is no UUID", name, c->host_uuid);
    return TRUE;
}

gboolean daemon_config_parse(DaemonConfig *config, const char *text, gsize length, const char *name, GError **error)
{
    Loading loading = {config, name};

    return conf_file_parse(text, length, name, apply, &loading, error) && check(config, name, error);
}

gboolean daemon_config_load(DaemonConfig *config, const char *path, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autofree char *text = NULL;
    gsize length;

    if (!g_file_get_contents(path, &text, &length, &cause))
        return error_set(error, VIR_ERR_OPEN_FAILED, "'%s': %s", path, cause->message);
    return daemon_config_parse(config, text, length, path, error);
}

static guint octal(const char *perms)
{
    return (guint)g_ascii_strtoull(perms, NULL, 8) & 0777;
}

guint daemon_config_rw_mode(const DaemonConfig *config, gboolean polkit)
{
    if (config->unix_sock_rw_perms != NULL)
        return octal(config->unix_sock_rw_perms);
    return polkit ? 0777 : config->unix_sock_group != NULL ? 0770 : 0700;
}

guint daemon_config_ro_mode(const DaemonConfig *config)
{
    return config->unix_sock_ro_perms != NULL ? octal(config->unix_sock_ro_perms) : 0777;
}
