/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* -chardev's words as QMP says them: two spellings of the same thing in QEMU (qemu-options.hx, qapi/char.json). */
#include "driver/backend/qemu_hotplug.h"

#include <string.h>

#include "common/error.h"

/* key=value words; ",," in a value is a comma. The first word, without "=", is under "". */
static GHashTable *split(const char *words)
{
    GHashTable *table = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    GString *word = g_string_new(NULL);

    for (const char *p = words;; p++) {
        if (*p == ',' && p[1] == ',') {
            g_string_append_c(word, ',');
            p++;
        } else if (*p == ',' || *p == '\0') {
            char *equals = strchr(word->str, '=');

            if (equals != NULL)
                g_hash_table_insert(table, g_strndup(word->str, (gsize)(equals - word->str)),
                                    g_strdup(equals + 1));
            else
                g_hash_table_insert(table, g_strdup(""), g_strdup(word->str));
            g_string_truncate(word, 0);
            if (*p == '\0')
                break;
        } else {
            g_string_append_c(word, *p);
        }
    }
    g_string_free(word, TRUE);
    return table;
}

static const char *get(GHashTable *words, const char *key)
{
    return g_hash_table_lookup(words, key);
}

static void set_text(json_t *data, const char *member, const char *value)
{
    if (value != NULL)
        json_object_set_new(data, member, json_string(value));
}

static void set_flag(json_t *data, const char *member, const char *value)
{
    if (value != NULL)
        json_object_set_new(data, member, json_boolean(strcmp(value, "on") == 0));
}

static json_t *inet(const char *host, const char *port)
{
    return json_pack("{s:s, s:{s:s, s:s}}", "type", "inet", "data", "host", host != NULL ? host : "", "port",
                     port != NULL ? port : "0");
}

static void set_number(json_t *data, const char *member, const char *value)
{
    if (value != NULL)
        json_object_set_new(data, member, json_integer((json_int_t)g_ascii_strtoull(value, NULL, 10)));
}

static void socket_data(GHashTable *words, const char *fd_name, json_t *data)
{
    if (get(words, "fd") != NULL)
        json_object_set_new(data, "addr",
                            json_pack("{s:s, s:{s:s}}", "type", "fd", "data", "str",
                                      fd_name != NULL ? fd_name : get(words, "fd")));
    else if (get(words, "path") != NULL)
        json_object_set_new(data, "addr",
                            json_pack("{s:s, s:{s:s}}", "type", "unix", "data", "path", get(words, "path")));
    else
        json_object_set_new(data, "addr", inet(get(words, "host"), get(words, "port")));
    json_object_set_new(data, "server", json_boolean(get(words, "server") != NULL));
    if (get(words, "server") != NULL)
        set_flag(data, "wait", get(words, "wait"));
    set_flag(data, "telnet", get(words, "telnet"));
    set_number(data, "reconnect", get(words, "reconnect"));
    set_number(data, "reconnect-ms", get(words, "reconnect-ms"));
}

static const struct {
    const char *type;
    const char *path_member; /* what "path" is called there; NULL: no path */
    const char *name_member; /* what "name" is called there */
} plain[] = {
    {"null", NULL, NULL},     {"pty", NULL, NULL},          {"file", "out", NULL},
    {"pipe", "device", NULL}, {"serial", "device", NULL},   {"parallel", "device", NULL},
    {"spicevmc", NULL, "type"}, {"spiceport", NULL, "fqdn"}, {"qemu-vdagent", NULL, NULL},
    {"vc", NULL, NULL},
};

json_t *qemu_hotplug_chardev(const char *text, const char *fd_name, char **ret_id, GError **error)
{
    g_autoptr(GHashTable) words = split(text);
    const char *type = get(words, "");
    json_t *data = json_object();
    gboolean known = FALSE;

    if (g_strcmp0(type, "socket") == 0) {
        known = TRUE;
        socket_data(words, fd_name, data);
    } else if (g_strcmp0(type, "udp") == 0) {
        known = TRUE;
        json_object_set_new(data, "remote", inet(get(words, "host"), get(words, "port")));
        json_object_set_new(data, "local", inet(get(words, "localaddr"), get(words, "localport")));
    }
    for (gsize i = 0; i < G_N_ELEMENTS(plain) && !known; i++) {
        if (g_strcmp0(type, plain[i].type) != 0)
            continue;
        known = TRUE;
        if (plain[i].path_member != NULL)
            set_text(data, plain[i].path_member, get(words, "path"));
        if (plain[i].name_member != NULL)
            set_text(data, plain[i].name_member, get(words, "name"));
        set_flag(data, "append", get(words, "append"));
        set_flag(data, "clipboard", get(words, "clipboard"));
        set_flag(data, "mouse", get(words, "mouse"));
    }
    if (!known) {
        json_decref(data);
        error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "Hotplug unsupported for char device type '%s'",
                  type != NULL ? type : "");
        return NULL;
    }
    set_text(data, "logfile", get(words, "logfile"));
    set_flag(data, "logappend", get(words, "logappend"));
    *ret_id = g_strdup(get(words, "id"));
    return json_pack("{s:s, s:o}", "type", type, "data", data);
}
