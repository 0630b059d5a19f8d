/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Machine description: JSON to struct, every limit checked.
 *
 * Descriptors are only taken as numbers here; that they are open is checked by their first use.
 */
#include "vmm/machine_desc.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/enum_table.h"

static const char *const action_names[] = {"exit", "pause", "reset", "run"};
_Static_assert(sizeof action_names / sizeof action_names[0] == ACTION_LAST, "a name an action");

const char *const watchdog_action_names[WATCHDOG_LAST] = {"reset", "shutdown", "poweroff",  "pause",
                                                          "debug", "none",     "inject-nmi"};

/* A JSON object whose keys are ticked off as they are read. */
typedef struct Reader {
    json_t *object;
    const char *where;
    const char *seen[40];
    unsigned seen_count;
    Err *err;
    int error; /* first error, negative */
} Reader;

static void fail(Reader *r, const char *key, const char *what)
{
    if (r->error == 0)
        r->error = err_set(r->err, EINVAL, "machine description: %s%s%s %s", r->where, r->where[0] ? "." : "",
                           key, what);
}

static json_t *get(Reader *r, const char *key)
{
    if (r->seen_count < ARRAY_LEN(r->seen))
        r->seen[r->seen_count++] = key;
    return r->object ? json_object_get(r->object, key) : NULL;
}

static int64_t get_int(Reader *r, const char *key, int64_t min, int64_t max, int64_t def)
{
    json_t *v = get(r, key);

    if (v == NULL)
        return def;
    if (!json_is_integer(v)) {
        fail(r, key, "must be a number");
        return def;
    }
    if (json_integer_value(v) < min || json_integer_value(v) > max) {
        fail(r, key, "is out of range");
        return def;
    }
    return json_integer_value(v);
}

static bool get_bool(Reader *r, const char *key, bool def)
{
    json_t *v = get(r, key);

    if (v != NULL && !json_is_boolean(v))
        fail(r, key, "must be true or false");
    return json_is_boolean(v) ? json_is_true(v) : def;
}

static const char *get_string(Reader *r, const char *key, size_t max, const char *def)
{
    json_t *v = get(r, key);

    if (v == NULL)
        return def;
    if (!json_is_string(v) || json_string_length(v) > max ||
        strlen(json_string_value(v)) != json_string_length(v)) {
        fail(r, key, "must be a string of reasonable length");
        return def;
    }
    return json_string_value(v);
}

static MachineAction get_action(Reader *r, const char *key, MachineAction def)
{
    const char *name = get_string(r, key, 16, NULL);
    int v = name ? enum_table_value(action_names, ACTION_LAST, name) : (int)def;

    if (v < 0)
        fail(r, key, "names no action (exit, pause, reset, run)");
    return v < 0 ? def : (MachineAction)v;
}

static WatchdogAction get_watchdog_action(Reader *r)
{
    const char *name = get_string(r, "watchdog-action", 16, "reset");
    int v = enum_table_value(watchdog_action_names, WATCHDOG_LAST, name);

    if (v < 0)
        fail(r, "watchdog-action", "names no action");
    return v < 0 ? WATCHDOG_RESET : (WatchdogAction)v;
}

static json_t *get_array(Reader *r, const char *key)
{
    json_t *v = get(r, key);

    if (v != NULL && (!json_is_array(v) || json_array_size(v) > DESC_LIST_MAX)) {
        fail(r, key, "must be an array of reasonable length");
        return NULL;
    }
    return v;
}

static Reader sub(Reader *r, const char *key)
{
    json_t *v = get(r, key);

    if (v != NULL && !json_is_object(v)) {
        fail(r, key, "must be an object");
        v = NULL;
    }
    return (Reader){.object = v, .where = key, .err = r->err, .error = r->error};
}

static void finish(Reader *r)
{
    const char *key;
    json_t *value;

    if (r->object == NULL)
        return;
    json_object_foreach(r->object, key, value)
    {
        bool known = false;

        for (unsigned i = 0; i < r->seen_count && !known; i++)
            known = strcmp(r->seen[i], key) == 0;
        if (!known && r->error == 0)
            r->error = err_set(r->err, EINVAL, "machine description: %s%s%.60s is not known", r->where,
                               r->where[0] ? "." : "", key);
    }
}

/* --- the parts
 * ------------------------------------------------------------------------------------------------- */

static int parse_memory(Reader *root, MachineDesc *d)
{
    Reader r = sub(root, "memory");
    MemoryOptions *m = &d->memory;

    m->size = (uint64_t)get_int(&r, "size", 1 << 20, 1ll << 44, 128 << 20);
    m->high_reserve = (uint64_t)get_int(&r, "reserve", 0, 1ll << 44, 0);
    m->shared = get_bool(&r, "shared", false);
    m->hugepages = get_bool(&r, "hugepages", false);
    m->hugepage_size = (uint64_t)get_int(&r, "hugepage-size", 0, 1 << 30, 0);
    m->mergeable = get_bool(&r, "mergeable", false);
    m->thp = get_bool(&r, "thp", false);
    m->prealloc = get_bool(&r, "prealloc", false);
    m->locked = get_bool(&r, "locked", false);
    m->dump_guest = get_bool(&r, "dump-guest-core", false);
    if (m->hugepage_size & (m->hugepage_size - 1))
        fail(&r, "hugepage-size", "must be a power of two");
    if (m->size % 4096 != 0)
        fail(&r, "size", "must be a multiple of 4096");
    finish(&r);
    return r.error;
}

static int parse_cpus(Reader *root, MachineDesc *d)
{
    Reader r = sub(root, "cpus");
    CpuTopology *t = &d->topology;
    json_t *features;

    d->cpus = (unsigned)get_int(&r, "count", 1, DESC_CPUS_MAX, 1);
    d->cpus_max = (unsigned)get_int(&r, "max", d->cpus, DESC_CPUS_MAX, d->cpus);
    t->dies = (unsigned)get_int(&r, "dies", 1, DESC_CPUS_MAX, 1);
    t->cores = (unsigned)get_int(&r, "cores", 1, DESC_CPUS_MAX, 1);
    t->threads = (unsigned)get_int(&r, "threads", 1, DESC_CPUS_MAX, 1);
    t->sockets = (unsigned)get_int(&r, "sockets", 1, DESC_CPUS_MAX,
                                   (int64_t)DIV_ROUND_UP(d->cpus_max, t->dies * t->cores * t->threads));
    if ((uint64_t)t->sockets * t->dies * t->cores * t->threads < d->cpus_max)
        fail(&r, "sockets", "times dies, cores and threads is less than the number of CPUs");
    d->cpu_model.name = get_string(&r, "model", 64, "host");
    d->cpu_model.enforce = get_bool(&r, "enforce", true);
    d->cpu_model.hide_hypervisor = get_bool(&r, "hide-hypervisor", false);
    features = get_array(&r, "features");
    for (size_t i = 0; i < json_array_size(features); i++) {
        const char *f = json_string_value(json_array_get(features, i));

        if (f == NULL || i >= DESC_FEATURES_MAX)
            fail(&r, "features", "must be a list of strings");
        else
            d->features[d->cpu_model.feature_count++] = f;
    }
    d->cpu_model.features = d->features;
    finish(&r);
    return r.error;
}

/* Cells are laid out one after the other over low and high RAM. */
static void place_node(AcpiNode *node, uint64_t *next, uint64_t size)
{
    unsigned n = 0;

    if (*next < MEMORY_LOW_MAX) {
        uint64_t part = MIN(size, MEMORY_LOW_MAX - *next);

        node->memory[n][0] = *next;
        node->memory[n++][1] = part;
        *next += part;
        size -= part;
        if (*next == MEMORY_LOW_MAX)
            *next = MEMORY_HIGH_BASE;
    }
    if (size > 0) {
        node->memory[n][0] = *next;
        node->memory[n][1] = size;
        *next += size;
    }
}

static int parse_numa(Reader *root, MachineDesc *d)
{
    json_t *cells = get_array(root, "numa");
    uint64_t next = 0, total = 0;

    if (json_array_size(cells) > ACPI_NODES_MAX)
        fail(root, "numa", "has too many cells");
    d->nodes = root->error ? 0 : (unsigned)json_array_size(cells);
    for (unsigned n = 0; n < d->nodes; n++) {
        Reader r = {
            .object = json_array_get(cells, n), .where = "numa", .err = root->err, .error = root->error};
        json_t *cpus, *distances;
        uint64_t size;

        if (!json_is_object(r.object)) {
            fail(root, "numa", "must be a list of objects");
            break;
        }
        cpus = get_array(&r, "cpus");
        distances = get_array(&r, "distances");
        size = (uint64_t)get_int(&r, "memory", 0, 1ll << 44, 0);
        total += size;
        place_node(&d->node[n], &next, size);
        for (size_t i = 0; i < json_array_size(cpus); i++) {
            int64_t cpu = json_integer_value(json_array_get(cpus, i));

            if (!json_is_integer(json_array_get(cpus, i)) || cpu < 0 || cpu >= d->cpus_max)
                fail(&r, "cpus", "names a CPU that does not exist");
            else
                d->cpu_node[cpu] = (uint8_t)n;
        }
        for (size_t i = 0; i < json_array_size(distances) && i < ACPI_NODES_MAX; i++) {
            int64_t v = json_integer_value(json_array_get(distances, i));

            if (v < 10 || v > 255)
                fail(&r, "distances", "must be 10 to 255");
            else
                d->distance[n][i] = (uint8_t)v;
        }
        finish(&r);
        root->error = r.error;
    }
    if (d->nodes > 0 && total != d->memory.size)
        fail(root, "numa", "cells do not add up to the memory size");
    return root->error;
}

static int parse_boot(Reader *root, MachineDesc *d)
{
    Reader r = sub(root, "boot");

    d->kernel_fd = (int)get_int(&r, "kernel-fd", 0, 1 << 20, -1);
    d->initrd_fd = (int)get_int(&r, "initrd-fd", 0, 1 << 20, -1);
    d->cmdline = get_string(&r, "cmdline", 65535, "");
    if (d->kernel_fd < 0)
        fail(&r, "kernel-fd", "is missing");
    finish(&r);
    return r.error;
}

/* Keys of "smbios", as QEMU and libvirt name the fields. */
static const char *const smbios_keys[] = {
    "bios-vendor",          "bios-version",    "bios-date",      "system-manufacturer", "system-product",
    "system-version",       "system-serial",   "system-sku",     "system-family",       "board-manufacturer",
    "board-product",        "board-version",   "board-serial",   "board-asset",         "chassis-manufacturer",
    "chassis-version",      "chassis-serial",  "chassis-asset",  "chassis-sku",
};
_Static_assert(sizeof smbios_keys / sizeof smbios_keys[0] == SMBIOS_TEXT_LAST, "a key a text");

static int parse_smbios(Reader *root, MachineDesc *d)
{
    Reader r = sub(root, "smbios");
    json_t *oem = get_array(&r, "oem");

    for (unsigned i = 0; i < SMBIOS_TEXT_LAST; i++)
        d->smbios_texts[i] = get_string(&r, smbios_keys[i], SMBIOS_TEXT_MAX, NULL);
    for (size_t i = 0; i < json_array_size(oem); i++) {
        const char *text = json_string_value(json_array_get(oem, i));

        if (text == NULL || text[0] == '\0' || strlen(text) > SMBIOS_TEXT_MAX || i >= SMBIOS_OEM_MAX)
            fail(&r, "oem", "must be a list of at most 16 short strings");
        else
            d->smbios_oem[d->smbios_oem_count++] = text;
    }
    finish(&r);
    return r.error;
}

static int parse_small(Reader *root, MachineDesc *d)
{
    Reader rtc = sub(root, "rtc"), sandbox;

    d->rtc_offset = get_int(&rtc, "offset", -(1ll << 40), 1ll << 40, 0);
    finish(&rtc);
    root->error = rtc.error;
    sandbox = sub(root, "sandbox");
    d->sandbox_seccomp = get_bool(&sandbox, "seccomp", true);
    d->sandbox_chroot = get_bool(&sandbox, "chroot", true);
    d->sandbox_uid = get_int(&sandbox, "uid", 0, UINT32_MAX - 1, -1);
    d->sandbox_gid = get_int(&sandbox, "gid", 0, UINT32_MAX - 1, -1);
    finish(&sandbox);
    return sandbox.error;
}

/* Room for the virtio-mem devices that are described, each with what its alignment may cost. */
static void reserve_growth(MachineDesc *d)
{
    uint64_t sum = 0;
    size_t i;
    json_t *item;

    json_array_foreach(d->devices, i, item)
    {
        const char *driver = json_string_value(json_object_get(item, "driver"));
        json_int_t size = json_integer_value(json_object_get(item, "size")),
                   block = json_integer_value(json_object_get(item, "block-size"));

        if (driver != NULL && strcmp(driver, "virtio-mem-pci") == 0 && size > 0 && size <= 1ll << 44 && block >= 0 &&
            block <= 1ll << 40)
            sum += (uint64_t)size + MAX((uint64_t)block, 128ull << 20);
    }
    d->memory.high_reserve = MAX(d->memory.high_reserve, sum);
}

int machine_desc_parse(json_t *json, MachineDesc **ret, Err *err)
{
    MachineDesc *d = calloc(1, sizeof *d);
    Reader r = {.object = json, .where = "", .err = err};

    if (d == NULL || !json_is_object(json)) {
        free(d);
        json_decref(json);
        return err_set(err, EINVAL, "machine description: not a JSON object");
    }
    d->root = json;
    d->name = get_string(&r, "name", 255, "");
    d->uuid = get_string(&r, "uuid", 36, "");
    d->kvm_fd = (int)get_int(&r, "kvm-fd", 0, 1 << 20, -1);
    d->stats_fd = (int)get_int(&r, "stats-fd", 0, 1 << 20, -1);
    d->paused = get_bool(&r, "paused", false);
    d->split_irqchip = get_bool(&r, "split-irqchip", false);
    d->pvpanic = get_bool(&r, "pvpanic", true);
    d->root_hotplug = get_bool(&r, "root-hotplug", false);
    d->on_poweroff = get_action(&r, "on-poweroff", ACTION_EXIT);
    d->on_reboot = get_action(&r, "on-reboot", ACTION_RESET);
    d->on_panic = get_action(&r, "on-panic", ACTION_PAUSE);
    d->watchdog_action = get_watchdog_action(&r);
    r.error = parse_memory(&r, d);
    r.error = parse_cpus(&r, d);
    r.error = parse_boot(&r, d);
    r.error = parse_numa(&r, d);
    r.error = parse_small(&r, d);
    r.error = parse_smbios(&r, d);
    d->iothreads = get_array(&r, "iothreads");
    d->chardevs = get_array(&r, "chardevs");
    d->serials = get_array(&r, "serials");
    d->blockdevs = get_array(&r, "blockdevs");
    d->netdevs = get_array(&r, "netdevs");
    d->ports = get_array(&r, "ports");
    d->devices = get_array(&r, "devices");
    reserve_growth(d);
    finish(&r);
    if (r.error < 0) {
        machine_desc_free(d);
        return r.error;
    }
    *ret = d;
    return 0;
}

int machine_desc_parse_text(const char *text, size_t len, MachineDesc **ret, Err *err)
{
    json_error_t where;
    json_t *root;

    if (len > DESC_BYTES_MAX)
        return err_set(err, E2BIG, "machine description: longer than %u bytes", DESC_BYTES_MAX);
    root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &where);
    if (root == NULL)
        return err_set(err, EINVAL, "machine description: line %d: %s", where.line, where.text);
    return machine_desc_parse(root, ret, err);
}

int machine_desc_read(int fd, MachineDesc **ret, Err *err)
{
    size_t len = 0, size = 65536;
    char *text = malloc(size);
    int r = 0;

    while (text != NULL) {
        ssize_t n = read(fd, text + len, size - len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            r = err_set(err, errno, "cannot read the machine description: %s", strerror(errno));
        if (n <= 0)
            break;
        len += (size_t)n;
        if (len == size) {
            char *grown = size <= DESC_BYTES_MAX ? realloc(text, size * 2) : NULL;

            if (grown == NULL) {
                r = err_set(err, E2BIG, "machine description: longer than %u bytes", DESC_BYTES_MAX);
                break;
            }
            text = grown;
            size *= 2;
        }
    }
    if (text == NULL)
        return err_set(err, ENOMEM, "out of memory");
    if (r == 0)
        r = machine_desc_parse_text(text, len, ret, err);
    free(text);
    return r;
}

void machine_desc_free(MachineDesc *desc)
{
    if (desc == NULL)
        return;
    json_decref(desc->root);
    free(desc);
}
