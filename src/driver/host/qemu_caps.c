/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The capabilities of one QEMU binary: built from the probe's document, then only read. */
#include "driver/host/qemu_caps.h"

#include <jansson.h>
#include <string.h>

#include "common/error.h"
#include "driver/host/qemu_caps_private.h"

struct QemuCaps {
    gatomicrefcount refs;
    char *binary, *arch, *package;
    guint version;
    gboolean kvm, tcg;
    GPtrArray *machines;
    GHashTable *machine_index; /* name or alias -> QemuMachine */
    GHashTable *words;         /* "kind/name" and "kind/name/sub": types, commands, events, options, variants, ... */
    GPtrArray *cpus[2];        /* QemuCpuModel: TCG, KVM */
    GHashTable *features[2];   /* set of names */
    GHashTable *unmigratable[2]; /* the same, with those that keep a guest from migrating */
    json_t *host_cpu[2];       /* properties; read-only, so safe from any thread */
};

static const char *const accel_names[] = {"tcg", "kvm"};

static void machine_free(gpointer data)
{
    QemuMachine *m = data;

    g_free(m->name);
    g_free(m->alias);
    g_free(m->default_cpu);
    g_free(m->default_ram_id);
    g_free(m);
}

static void cpu_model_free(gpointer data)
{
    QemuCpuModel *m = data;

    g_free(m->name);
    g_free(m->type);
    g_strfreev(m->unavailable);
    g_free(m);
}

QemuCaps *qemu_caps_ref(QemuCaps *caps)
{
    g_atomic_ref_count_inc(&caps->refs);
    return caps;
}

void qemu_caps_unref(QemuCaps *caps)
{
    if (caps == NULL || !g_atomic_ref_count_dec(&caps->refs))
        return;
    g_free(caps->binary);
    g_free(caps->arch);
    g_free(caps->package);
    g_ptr_array_unref(caps->machines);
    g_hash_table_unref(caps->machine_index);
    g_hash_table_unref(caps->words);
    for (guint i = 0; i < 2; i++) {
        g_ptr_array_unref(caps->cpus[i]);
        g_hash_table_unref(caps->features[i]);
        g_hash_table_unref(caps->unmigratable[i]);
        json_decref(caps->host_cpu[i]);
    }
    g_free(caps);
}

/* --- from the document ---------------------------------------------------------------------------------- */

static const char *text_of(json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static void add_word(QemuCaps *caps, const char *kind, const char *name, const char *sub)
{
    g_hash_table_add(caps->words, sub == NULL ? g_strdup_printf("%s/%s", kind, name)
                                              : g_strdup_printf("%s/%s/%s", kind, name, sub));
}

static void add_list(QemuCaps *caps, const char *kind, json_t *list)
{
    json_t *item;
    size_t i;

    json_array_foreach(list, i, item) {
        if (json_is_string(item))
            add_word(caps, kind, json_string_value(item), NULL);
    }
}

/* {"name": ["sub", ...]} */
static void add_lists(QemuCaps *caps, const char *kind, json_t *lists)
{
    const char *name;
    json_t *list;
    json_t *item;
    size_t i;

    json_object_foreach(lists, name, list) {
        add_word(caps, kind, name, NULL);
        json_array_foreach(list, i, item) {
            if (json_is_string(item))
                add_word(caps, kind, name, json_string_value(item));
        }
    }
}

static void add_machines(QemuCaps *caps, json_t *list)
{
    json_t *item;
    size_t i;

    json_array_foreach(list, i, item) {
        QemuMachine *m;

        if (text_of(item, "name") == NULL || g_str_equal(text_of(item, "name"), "none"))
            continue;
        m = g_new0(QemuMachine, 1);
        m->name = g_strdup(text_of(item, "name"));
        m->alias = g_strdup(text_of(item, "alias"));
        m->max_cpus = (guint)json_integer_value(json_object_get(item, "cpu-max"));
        m->hotpluggable_cpus = json_is_true(json_object_get(item, "hotpluggable-cpus"));
        m->is_default = json_is_true(json_object_get(item, "is-default"));
        m->deprecated = json_is_true(json_object_get(item, "deprecated"));
        m->numa_memdev = json_is_false(json_object_get(item, "numa-mem-supported"));
        m->default_cpu = g_strdup(text_of(item, "default-cpu-type"));
        m->default_ram_id = g_strdup(text_of(item, "default-ram-id"));
        g_ptr_array_add(caps->machines, m);
        g_hash_table_insert(caps->machine_index, m->name, m);
        if (m->alias != NULL)
            g_hash_table_insert(caps->machine_index, m->alias, m);
    }
}

static char **strings_of(json_t *list)
{
    g_autoptr(GPtrArray) strings = g_ptr_array_new();
    json_t *item;
    size_t i;

    json_array_foreach(list, i, item) {
        if (json_is_string(item))
            g_ptr_array_add(strings, g_strdup(json_string_value(item)));
    }
    if (strings->len == 0)
        return NULL;
    g_ptr_array_add(strings, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&strings), FALSE);
}

/* "NAME-v3": how QEMU writes the versions behind a name. */
static gboolean is_versioned(const char *name)
{
    const char *v = strrchr(name, '-');

    return v != NULL && v[1] == 'v' && g_ascii_isdigit(v[2]) && strspn(v + 2, "0123456789") == strlen(v + 2);
}

static void add_cpus(QemuCaps *caps, guint accel, json_t *list)
{
    json_t *item;
    size_t i;

    json_array_foreach(list, i, item) {
        QemuCpuModel *m;

        if (text_of(item, "name") == NULL)
            continue;
        m = g_new0(QemuCpuModel, 1);
        m->name = g_strdup(text_of(item, "name"));
        m->type = g_strdup(text_of(item, "typename"));
        m->unavailable = strings_of(json_object_get(item, "unavailable-features"));
        m->usable = json_object_get(item, "unavailable-features") != NULL && m->unavailable == NULL;
        m->deprecated = json_is_true(json_object_get(item, "deprecated"));
        m->is_versioned_alias = is_versioned(m->name);
        g_ptr_array_add(caps->cpus[accel], m);
    }
}

static void add_true(GHashTable *names, json_t *props)
{
    const char *name;
    json_t *value;

    json_object_foreach(props, name, value) {
        if (json_is_true(value))
            g_hash_table_add(names, g_strdup(name));
    }
}

static void add_host_cpu(QemuCaps *caps, guint accel, json_t *props, json_t *unmigratable)
{
    caps->host_cpu[accel] = json_incref(props);
    add_true(caps->features[accel], props);
    add_true(caps->unmigratable[accel], props);
    add_true(caps->unmigratable[accel], unmigratable);
}

QemuCaps *qemu_caps_from_json(const char *binary, json_t *doc, GError **error)
{
    QemuCaps *caps;

    if (text_of(doc, "arch") == NULL || !json_is_integer(json_object_get(doc, "version")) ||
        !json_is_array(json_object_get(doc, "machines")) || !json_is_array(json_object_get(doc, "types"))) {
        error_set(error, VIR_ERR_OPERATION_FAILED, "the capabilities of '%s' are incomplete", binary);
        return NULL;
    }
    caps = g_new0(QemuCaps, 1);
    g_atomic_ref_count_init(&caps->refs);
    caps->binary = g_strdup(binary);
    caps->arch = g_strdup(g_str_equal(text_of(doc, "arch"), "i386") ? "i686" : text_of(doc, "arch"));
    caps->package = g_strdup(text_of(doc, "package"));
    caps->version = (guint)json_integer_value(json_object_get(doc, "version"));
    caps->kvm = json_is_true(json_object_get(doc, "kvm"));
    caps->tcg = json_is_true(json_object_get(doc, "tcg"));
    caps->machines = g_ptr_array_new_with_free_func(machine_free);
    caps->machine_index = g_hash_table_new(g_str_hash, g_str_equal);
    caps->words = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; i < 2; i++) {
        caps->cpus[i] = g_ptr_array_new_with_free_func(cpu_model_free);
        caps->features[i] = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        add_cpus(caps, i, json_object_get(json_object_get(doc, "cpus"), accel_names[i]));
        caps->unmigratable[i] = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        add_host_cpu(caps, i, json_object_get(json_object_get(doc, "host_cpu"), accel_names[i]),
                     json_object_get(json_object_get(doc, "host_cpu_unmigratable"), accel_names[i]));
    }
    add_machines(caps, json_object_get(doc, "machines"));
    add_list(caps, "type", json_object_get(doc, "types"));
    add_list(caps, "command", json_object_get(doc, "commands"));
    add_list(caps, "event", json_object_get(doc, "events"));
    add_lists(caps, "option", json_object_get(doc, "options"));
    add_lists(caps, "variant", json_object_get(doc, "variants"));
    add_lists(caps, "property", json_object_get(doc, "properties"));
    return caps;
}

/* --- identity ------------------------------------------------------------------------------------------- */

const char *qemu_caps_binary(const QemuCaps *caps)
{
    return caps->binary;
}

const char *qemu_caps_arch(const QemuCaps *caps)
{
    return caps->arch;
}

guint qemu_caps_version(const QemuCaps *caps)
{
    return caps->version;
}

const char *qemu_caps_package(const QemuCaps *caps)
{
    return caps->package != NULL ? caps->package : "";
}

gboolean qemu_caps_has_kvm(const QemuCaps *caps)
{
    return caps->kvm;
}

gboolean qemu_caps_has_tcg(const QemuCaps *caps)
{
    return caps->tcg;
}

/* --- machines ------------------------------------------------------------------------------------------- */

const GPtrArray *qemu_caps_machines(const QemuCaps *caps)
{
    return caps->machines;
}

const QemuMachine *qemu_caps_machine(const QemuCaps *caps, const char *name)
{
    return name != NULL ? g_hash_table_lookup(caps->machine_index, name) : NULL;
}

const char *qemu_caps_canonical_machine(const QemuCaps *caps, const char *name)
{
    const QemuMachine *m = qemu_caps_machine(caps, name);

    return m != NULL ? m->name : name;
}

const QemuMachine *qemu_caps_default_machine(const QemuCaps *caps)
{
    for (guint i = 0; i < caps->machines->len; i++) {
        const QemuMachine *m = caps->machines->pdata[i];

        if (m->is_default)
            return m;
    }
    return caps->machines->len > 0 ? caps->machines->pdata[0] : NULL;
}

/* --- vocabulary ----------------------------------------------------------------------------------------- */

static gboolean has_word(const QemuCaps *caps, const char *kind, const char *name, const char *sub)
{
    g_autofree char *key =
        sub == NULL ? g_strdup_printf("%s/%s", kind, name) : g_strdup_printf("%s/%s/%s", kind, name, sub);

    return g_hash_table_contains(caps->words, key);
}

gboolean qemu_caps_has_device(const QemuCaps *caps, const char *type)
{
    return has_word(caps, "type", type, NULL);
}

gboolean qemu_caps_has_property(const QemuCaps *caps, const char *type, const char *property)
{
    return has_word(caps, "property", type, property);
}

gboolean qemu_caps_has_command(const QemuCaps *caps, const char *command)
{
    return has_word(caps, "command", command, NULL);
}

gboolean qemu_caps_has_event(const QemuCaps *caps, const char *event)
{
    return has_word(caps, "event", event, NULL);
}

gboolean qemu_caps_has_option(const QemuCaps *caps, const char *option, const char *key)
{
    return has_word(caps, "option", option, key);
}

gboolean qemu_caps_has_variant(const QemuCaps *caps, const char *what, const char *variant)
{
    return has_word(caps, "variant", what, variant);
}

/* --- CPUs ----------------------------------------------------------------------------------------------- */

const GPtrArray *qemu_caps_cpu_models(const QemuCaps *caps, gboolean kvm)
{
    return caps->cpus[kvm ? 1 : 0];
}

const QemuCpuModel *qemu_caps_cpu_model(const QemuCaps *caps, gboolean kvm, const char *name)
{
    const GPtrArray *models = qemu_caps_cpu_models(caps, kvm);

    for (guint i = 0; i < models->len; i++) {
        const QemuCpuModel *m = models->pdata[i];

        if (g_str_equal(m->name, name))
            return m;
    }
    return NULL;
}

const GHashTable *qemu_caps_host_features(const QemuCaps *caps, gboolean kvm, gboolean migratable)
{
    return migratable ? caps->features[kvm ? 1 : 0] : caps->unmigratable[kvm ? 1 : 0];
}

gboolean qemu_caps_has_cpu_switch(const QemuCaps *caps, gboolean kvm, const char *feature)
{
    json_t *props = caps->host_cpu[kvm ? 1 : 0];

    return props == NULL || json_object_get(props, feature) != NULL;
}

guint64 qemu_caps_host_cpu_number(const QemuCaps *caps, gboolean kvm, const char *property)
{
    return (guint64)MAX(json_number_value(json_object_get(caps->host_cpu[kvm ? 1 : 0], property)), 0);
}

const char *qemu_caps_host_cpu_string(const QemuCaps *caps, gboolean kvm, const char *property)
{
    return json_string_value(json_object_get(caps->host_cpu[kvm ? 1 : 0], property));
}
