/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The probe. What it makes:
 *
 *   arch, version (7002022), package     query-target, query-version
 *   kvm, tcg                             booleans
 *   machines                             query-machines, as QEMU gives it
 *   types, commands, events              sorted name lists
 *   options                              {"sandbox": ["enable", ...]}: query-command-line-options
 *   variants                             {"netdev": ["stream", ...]}: cases of the unions of query-qmp-schema
 *   properties                           {"virtio-blk-pci": [...]}: of the devices in property_types
 *   cpus                                 {"kvm": [...], "tcg": [...]}: query-cpu-definitions
 *   host_cpu                             {"kvm": {...}, "tcg": {...}}: expansion of "host" and "max"
 */
#include "driver/host/qemu_probe.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "driver/host/qemu_caps.h"

#define REPLY_MAX (32 * 1024 * 1024)
#define LAST_WORDS_MAX 4096

/* Devices and objects whose properties differ between versions in ways the argv builder cares about. */
static const char *const property_types[] = {
    "virtio-blk-pci", "virtio-net-pci",   "virtio-scsi-pci",     "virtio-serial-pci",    "virtio-balloon-pci",
    "virtio-rng-pci", "virtio-gpu-pci",   "virtio-vga",          "virtio-mem-pci",       "virtio-iommu-pci",
    "scsi-hd",        "scsi-cd",          "scsi-block",          "ide-hd",               "usb-storage",
    "usb-host",       "usb-redir",        "vfio-pci",            "VGA",                  "qxl",
    "qxl-vga",        "ICH9-LPC",         "PIIX4_PM",            "i440FX-pcihost",       "q35-pcihost",
    "intel-iommu",    "pcie-root-port",   "nvdimm",              "memory-backend-file",  "memory-backend-memfd",
    "memory-backend-ram", "iothread",     "vhost-user-fs-pci",   "vhost-vsock-pci",      "isa-debugcon",
    "ramfb",          "kvm-pit",          "mc146818rtc",         "sev-guest",            "tpm-crb",
};

/* Commands whose argument (or answer) is a union, and the name we give it. member: the argument that holds it. */
static const struct {
    const char *command, *member, *name;
    gboolean answer;
} unions[] = {
    {"netdev_add", NULL, "netdev", FALSE},       {"object-add", NULL, "object", FALSE},
    {"blockdev-add", NULL, "blockdev", FALSE},   {"chardev-add", "backend", "chardev", FALSE},
    {"query-display-options", NULL, "display", TRUE}, {"query-audiodevs", NULL, "audiodev", TRUE},
};

/* --- one line each way ---------------------------------------------------------------------------------- */

typedef struct Peer {
    int read_fd, write_fd;
    gint64 deadline_us;
    GString *buffer;
} Peer;

static gboolean read_line(Peer *peer, json_t **ret, GError **error)
{
    gsize scanned = 0;

    for (;;) {
        char *end = memchr(peer->buffer->str + scanned, '\n', peer->buffer->len - scanned);
        struct pollfd pfd = {.fd = peer->read_fd, .events = POLLIN};
        gint64 left_us = peer->deadline_us - g_get_monotonic_time();
        char block[65536];
        ssize_t n;

        if (end != NULL) {
            gsize length = (gsize)(end - peer->buffer->str);
            json_error_t why;

            *ret = json_loadb(peer->buffer->str, length, 0, &why);
            if (*ret == NULL) /* jansson refuses integers of 64 bits without sign, and QEMU writes some (lbr-fmt) */
                *ret = json_loadb(peer->buffer->str, length, JSON_DECODE_INT_AS_REAL, &why);
            g_string_erase(peer->buffer, 0, (gssize)length + 1);
            if (*ret == NULL)
                return error_set(error, VIR_ERR_OPERATION_FAILED, "it answers no JSON: %s", why.text);
            return TRUE;
        }
        scanned = peer->buffer->len;
        if (scanned > REPLY_MAX)
            return error_set(error, VIR_ERR_OPERATION_FAILED, "an answer is longer than %d bytes", REPLY_MAX);
        if (left_us <= 0 || poll(&pfd, 1, (int)MIN(left_us / 1000 + 1, 60000)) == 0) {
            if (g_get_monotonic_time() >= peer->deadline_us)
                return error_set(error, VIR_ERR_OPERATION_FAILED, "it does not answer in time");
            continue;
        }
        n = read(peer->read_fd, block, sizeof(block));
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0)
            return error_set(error, VIR_ERR_OPERATION_FAILED, "it ended");
        g_string_append_len(peer->buffer, block, n);
    }
}

/* The "return" of a command, a new reference. Errors of QEMU: *ret NULL and TRUE. */
static gboolean ask(Peer *peer, const char *command, json_t *arguments /*stolen*/, json_t **ret, GError **error)
{
    g_autofree char *request = NULL;
    char *dumped;
    json_t *message = json_pack("{s:s}", "execute", command);

    *ret = NULL;
    if (arguments != NULL)
        json_object_set_new(message, "arguments", arguments);
    dumped = json_dumps(message, JSON_COMPACT);
    json_decref(message);
    request = g_strconcat(dumped, "\n", NULL);
    free(dumped);
    if (!fd_write_all(peer->write_fd, request, strlen(request), error))
        return FALSE;
    for (;;) {
        json_t *reply = NULL;

        if (!read_line(peer, &reply, error))
            return FALSE;
        if (json_object_get(reply, "event") == NULL) {
            *ret = json_incref(json_object_get(reply, "return"));
            json_decref(reply);
            return TRUE;
        }
        json_decref(reply);
    }
}

static gboolean must_ask(Peer *peer, const char *command, json_t *arguments, json_t **ret, GError **error)
{
    if (!ask(peer, command, arguments, ret, error))
        return FALSE;
    if (*ret == NULL)
        return error_set(error, VIR_ERR_OPERATION_FAILED, "it refuses '%s'", command);
    return TRUE;
}

/* --- distilling ----------------------------------------------------------------------------------------- */

static gint compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The "name" (or other key) of each object of a list, sorted. */
static json_t *names_of(json_t *list, const char *key)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    json_t *result = json_array();
    json_t *item;
    size_t i;

    json_array_foreach(list, i, item) {
        const char *name = json_string_value(json_object_get(item, key));

        if (name != NULL)
            g_ptr_array_add(names, (gpointer)name);
    }
    g_ptr_array_sort(names, compare_names);
    for (i = 0; i < names->len; i++)
        json_array_append_new(result, json_string(names->pdata[i]));
    return result;
}

static json_t *schema_find(GHashTable *schema, const char *name)
{
    return name != NULL ? g_hash_table_lookup(schema, name) : NULL;
}

static const char *text_of(json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static json_t *member_type(GHashTable *schema, json_t *object, const char *member)
{
    json_t *item;
    size_t i;

    json_array_foreach(json_object_get(object, "members"), i, item) {
        if (g_strcmp0(text_of(item, "name"), member) == 0)
            return schema_find(schema, text_of(item, "type"));
    }
    return NULL;
}

static void add_unions(json_t *caps, GHashTable *schema)
{
    json_t *variants = json_object();

    for (guint i = 0; i < G_N_ELEMENTS(unions); i++) {
        json_t *command = schema_find(schema, unions[i].command);
        json_t *type = schema_find(schema, text_of(command, unions[i].answer ? "ret-type" : "arg-type"));

        if (g_strcmp0(text_of(type, "meta-type"), "array") == 0)
            type = schema_find(schema, text_of(type, "element-type"));
        if (unions[i].member != NULL)
            type = member_type(schema, type, unions[i].member);
        if (type != NULL)
            json_object_set_new(variants, unions[i].name, names_of(json_object_get(type, "variants"), "case"));
    }
    json_object_set_new(caps, "variants", variants);
}

static void distil_schema(json_t *caps, json_t *schema)
{
    g_autoptr(GHashTable) by_name = g_hash_table_new(g_str_hash, g_str_equal);
    json_t *events = json_array();
    json_t *event_names;
    json_t *item;
    size_t i;

    json_array_foreach(schema, i, item) {
        const char *name = text_of(item, "name");

        if (name == NULL)
            continue;
        g_hash_table_insert(by_name, (gpointer)name, item);
        if (g_strcmp0(text_of(item, "meta-type"), "event") == 0)
            json_array_append(events, item);
    }
    event_names = names_of(events, "name");
    json_object_set_new(caps, "events", event_names);
    json_decref(events);
    add_unions(caps, by_name);
}

static void distil_options(json_t *caps, json_t *options)
{
    json_t *result = json_object();
    json_t *item;
    size_t i;

    json_array_foreach(options, i, item) {
        const char *name = text_of(item, "option");

        if (name != NULL)
            json_object_set_new(result, name, names_of(json_object_get(item, "parameters"), "name"));
    }
    json_object_set_new(caps, "options", result);
}

static void distil_version(json_t *caps, json_t *version)
{
    json_t *qemu = json_object_get(version, "qemu");
    json_int_t number = json_integer_value(json_object_get(qemu, "major")) * 1000000 +
                        json_integer_value(json_object_get(qemu, "minor")) * 1000 +
                        json_integer_value(json_object_get(qemu, "micro"));
    const char *package = text_of(version, "package");

    json_object_set_new(caps, "version", json_integer(number));
    json_object_set_new(caps, "package", json_string(package != NULL ? package : ""));
}

static gboolean ask_properties(Peer *peer, json_t *caps, GError **error)
{
    json_t *result = json_object();

    json_object_set_new(caps, "properties", result);
    for (guint i = 0; i < G_N_ELEMENTS(property_types); i++) {
        json_t *list = NULL;

        if (!ask(peer, "qom-list-properties", json_pack("{s:s}", "typename", property_types[i]), &list, error))
            return FALSE;
        if (list != NULL)
            json_object_set_new(result, property_types[i], names_of(list, "name"));
        json_decref(list);
    }
    return TRUE;
}

/* --- the conversation ----------------------------------------------------------------------------------- */

/* Deprecated by QEMU 11 in favour of a command that says it of each accelerator. */
static gboolean talk_accelerator(Peer *peer, gboolean *ret_kvm, GError **error)
{
    json_t *reply = NULL;

    if (!ask(peer, "query-kvm", NULL, &reply, error))
        return FALSE;
    if (reply != NULL) {
        *ret_kvm = json_is_true(json_object_get(reply, "enabled"));
    } else {
        if (!must_ask(peer, "query-accelerators", NULL, &reply, error))
            return FALSE;
        *ret_kvm = g_strcmp0(text_of(reply, "enabled"), "kvm") == 0;
    }
    json_decref(reply);
    return TRUE;
}

static gboolean talk_identity(Peer *peer, json_t *caps, gboolean *ret_kvm, GError **error)
{
    json_t *reply = NULL;

    if (!read_line(peer, &reply, error))
        return FALSE;
    if (json_object_get(reply, "QMP") == NULL) {
        json_decref(reply);
        return error_set(error, VIR_ERR_OPERATION_FAILED, "it does not greet as QMP does");
    }
    json_decref(reply);
    if (!must_ask(peer, "qmp_capabilities", NULL, &reply, error))
        return FALSE;
    json_decref(reply);
    if (!must_ask(peer, "query-version", NULL, &reply, error))
        return FALSE;
    distil_version(caps, reply);
    json_decref(reply);
    if (!must_ask(peer, "query-target", NULL, &reply, error))
        return FALSE;
    json_object_set(caps, "arch", json_object_get(reply, "arch"));
    json_decref(reply);
    return talk_accelerator(peer, ret_kvm, error);
}

/* What does not depend on the accelerator. */
static gboolean talk_vocabulary(Peer *peer, json_t *caps, GError **error)
{
    json_t *reply = NULL;

    if (!must_ask(peer, "query-commands", NULL, &reply, error))
        return FALSE;
    json_object_set_new(caps, "commands", names_of(reply, "name"));
    json_decref(reply);
    if (!must_ask(peer, "query-qmp-schema", NULL, &reply, error))
        return FALSE;
    distil_schema(caps, reply);
    json_decref(reply);
    if (!must_ask(peer, "qom-list-types", json_pack("{s:b}", "abstract", 0), &reply, error))
        return FALSE;
    json_object_set_new(caps, "types", names_of(reply, "name"));
    json_decref(reply);
    if (!must_ask(peer, "query-machines", NULL, &reply, error))
        return FALSE;
    json_object_set_new(caps, "machines", reply);
    if (!must_ask(peer, "query-command-line-options", NULL, &reply, error))
        return FALSE;
    distil_options(caps, reply);
    json_decref(reply);
    return ask_properties(peer, caps, error);
}

static json_t *sub_object(json_t *caps, const char *key)
{
    json_t *object = json_object_get(caps, key);

    if (object == NULL) {
        object = json_object();
        json_object_set_new(caps, key, object);
    }
    return object;
}

/* The CPU with everything that a guest can have here. */
static gboolean talk_best_cpu(Peer *peer, json_t *caps, const char *key, gboolean kvm, gboolean migratable,
                              GError **error)
{
    json_t *reply = NULL;
    json_t *props;

    if (!ask(peer, "query-cpu-model-expansion",
             json_pack("{s:s, s:{s:s, s:{s:b}}}", "type", "full", "model", "name", kvm ? "host" : "max", "props",
                       "migratable", migratable),
             &reply, error))
        return FALSE;
    props = json_object_get(json_object_get(reply, "model"), "props");
    if (props != NULL)
        json_object_set(sub_object(caps, key), kvm ? "kvm" : "tcg", props);
    json_decref(reply);
    return TRUE;
}

static gboolean talk_cpus(Peer *peer, json_t *caps, gboolean kvm, GError **error)
{
    const char *accel = kvm ? "kvm" : "tcg";
    json_t *reply = NULL;

    if (!ask(peer, "query-cpu-definitions", NULL, &reply, error))
        return FALSE;
    if (reply != NULL)
        json_object_set_new(sub_object(caps, "cpus"), accel, reply);
    return talk_best_cpu(peer, caps, "host_cpu", kvm, TRUE, error) &&
           talk_best_cpu(peer, caps, "host_cpu_unmigratable", kvm, FALSE, error);
}

gboolean qemu_probe_talk(int read_fd, int write_fd, gint64 deadline_us, json_t *caps, gboolean *ret_kvm,
                         GError **error)
{
    Peer peer = {read_fd, write_fd, deadline_us, g_string_new(NULL)};
    gboolean ok;

    ok = talk_identity(&peer, caps, ret_kvm, error);
    if (ok && json_object_get(caps, "types") == NULL)
        ok = talk_vocabulary(&peer, caps, error);
    ok = ok && talk_cpus(&peer, caps, *ret_kvm, error);
    g_string_free(peer.buffer, TRUE);
    return ok;
}

/* --- the process ---------------------------------------------------------------------------------------- */

static void child_setup(gpointer data)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* What it wrote to stderr, on one line. */
static char *last_words(int fd)
{
    char text[LAST_WORDS_MAX];
    ssize_t n;

    fd_set_nonblocking(fd, TRUE, NULL);
    n = read(fd, text, sizeof(text) - 1);
    text[MAX(n, 0)] = '\0';
    return g_strdelimit(g_strstrip(g_strdup(text)), "\n", ' ');
}

static gboolean run_once(const char *binary, const char *accel, gint64 deadline_us, json_t *caps, gboolean *ret_kvm,
                         GError **error)
{
    g_autofree char *machine = g_strconcat("none,accel=", accel, NULL);
    const char *argv[] = {binary, "-S", "-no-user-config", "-nodefaults", "-nographic",
                          "-machine", machine, "-qmp", "stdio", NULL};
    g_autoptr(GError) cause = NULL;
    autofd in = -1;
    autofd out = -1;
    autofd err = -1;
    GPid pid;
    gboolean ok;

    if (!g_spawn_async_with_pipes("/", (char **)argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, child_setup, NULL, &pid, &in,
                                  &out, &err, &cause))
        return error_set(error, VIR_ERR_OPERATION_FAILED, "cannot start '%s': %s", binary, cause->message);
    ok = qemu_probe_talk(out, in, deadline_us, caps, ret_kvm, &cause);
    if (!ok) {
        g_autofree char *words = last_words(err);

        error_set(error, VIR_ERR_INTERNAL_ERROR, "cannot find out what '%s' can do: %s%s%s", binary, cause->message,
                  words[0] != '\0' ? ": " : "", words);
    }
    kill(pid, SIGKILL); /* it has nothing to lose */
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    return ok;
}

json_t *qemu_probe_binary(const char *binary, guint deadline_ms, GError **error)
{
    gint64 deadline_us = g_get_monotonic_time() + (gint64)deadline_ms * 1000;
    json_t *caps = json_object();
    g_autoptr(GError) no_tcg = NULL;
    gboolean kvm = FALSE, second_kvm = FALSE, tcg = TRUE;

    if (!run_once(binary, "kvm:tcg", deadline_us, caps, &kvm, error)) {
        json_decref(caps);
        return NULL;
    }
    if (kvm)
        tcg = run_once(binary, "tcg", deadline_us, caps, &second_kvm, &no_tcg);
    json_object_set_new(caps, "kvm", json_boolean(kvm));
    json_object_set_new(caps, "tcg", json_boolean(tcg));
    return caps;
}
