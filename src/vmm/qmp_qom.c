/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * QMP commands on devices: properties, balloon and memory, removable media (QEMU 7.2, qapi/qom.json,
 * machine.json, block.json). Three places of QEMU's object tree exist here: /machine/peripheral/ID, CPUs where
 * query-cpus-fast says that they are, and /objects/ID (qmp_objects.c).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "common/enum_table.h"
#include "vmm/qmp_handlers.h"
#include "vmm/virtio/balloon.h"
#include "vmm/virtio/mem.h"
#include "vmm/virtio/scsi.h"

static const char *string_arg(json_t *args, const char *key)
{
    return json_string_value(json_object_get(args, key));
}

/* --- properties --- */

static int device_at(Machine *m, const char *path, VirtioDevice **ret, Err *err)
{
    static const char prefix[] = "/machine/peripheral/", backend[] = "/virtio-backend";
    const char *id = strncmp(path, prefix, sizeof prefix - 1) == 0 ? path + sizeof prefix - 1 : path;
    size_t len = strlen(id), tail = sizeof backend - 1;
    char name[128];

    if (len > tail && strcmp(id + len - tail, backend) == 0)
        len -= tail;
    snprintf(name, sizeof name, "%.*s", (int)MIN(len, sizeof name), id);
    *ret = machine_device(m, name);
    return *ret ? 0 : err_set(err, ENODEV, "Device '%.100s' not found", path);
}

/* The device's own thread asks it. */
typedef struct Access {
    VirtioDevice *dev;
    const char *name;
    json_t *value, **ret;
    Err *err;
    int result;
} Access;

static void do_get(void *opaque)
{
    Access *a = opaque;

    a->result = a->dev->ops->get_property(a->dev, a->name, a->ret, a->err);
}

static void do_set(void *opaque)
{
    Access *a = opaque;

    a->result = a->dev->ops->set_property(a->dev, a->name, a->value, a->err);
}

/* --- processors --- */

static json_t *feature_words(const CpuWords *set)
{
    static const char *const registers[] = {[CPU_EAX] = "EAX", [CPU_EBX] = "EBX", [CPU_ECX] = "ECX", [CPU_EDX] = "EDX"};
    json_t *list = json_array();
    const CpuFeature *w;

    for (unsigned i = 0; (w = cpu_word_at(i)) != NULL; i++) {
        if (w->reg != CPU_MSR)
            json_array_append_new(list, json_pack("{s:I, s:I, s:s, s:I}", "cpuid-input-eax", (json_int_t)w->function,
                                                  "cpuid-input-ecx", (json_int_t)w->index, "cpuid-register",
                                                  registers[w->reg], "features", (json_int_t)set->bits[i]));
    }
    return list;
}

static json_t *feature_names(const CpuWords *set)
{
    json_t *list = json_array();
    const CpuFeature *f;

    for (unsigned at = 0; (f = cpu_words_next(set, &at)) != NULL;)
        json_array_append_new(list, json_string(f->name));
    return list;
}

/* What QEMU's processors have of the kind, and each feature by its name. */
static int cpu_property(Machine *m, const char *name, json_t **ret, Err *err)
{
    const CpuChoice *choice = machine_cpu_choice(m);
    const CpuFeature *f = cpu_feature_find(name);
    char type[64];

    machine_cpu_type(m, type, sizeof type);
    if (strcmp(name, "type") == 0)
        *ret = json_string(type);
    else if (strcmp(name, "feature-words") == 0)
        *ret = feature_words(&choice->given);
    else if (strcmp(name, "filtered-features") == 0)
        *ret = feature_words(&choice->missing);
    else if (strcmp(name, "unavailable-features") == 0)
        *ret = feature_names(&choice->missing);
    else if (f != NULL)
        *ret = json_boolean(cpu_words_have(&choice->given, f));
    else
        return err_set(err, ENOENT, "Property '%s.%.60s' not found", type, name);
    return *ret != NULL ? 0 : -ENOMEM;
}

/* --- both --- */

static int access_property(Machine *m, json_t *args, json_t *value, json_t **ret, Err *err)
{
    Access a = {
        .name = string_arg(args, "property"), .value = value, .ret = ret, .err = err, .result = -ENOENT};
    int r = device_at(m, string_arg(args, "path"), &a.dev, err);

    if (r < 0)
        return r;
    if (value != NULL && a.dev->ops->set_property)
        loop_call(a.dev->loop, do_set, &a);
    else if (value == NULL && strcmp(a.name, "type") == 0)
        a.result = (*ret = json_sprintf("%s-pci", a.dev->ops->name)) ? 0 : -ENOMEM;
    else if (value == NULL && a.dev->ops->get_property)
        loop_call(a.dev->loop, do_get, &a);
    if (a.result == -ENOENT)
        return err_set(err, ENOENT, "Property '%s-pci.%.60s' not found", a.dev->ops->name, a.name);
    return a.result;
}

int qmp_qom_get(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    (void)s;
    if (qmp_is_object_path(string_arg(args, "path")))
        return qmp_object_property(m, args, NULL, ret, err);
    if (machine_cpu_at_path(m, string_arg(args, "path")) >= 0)
        return cpu_property(m, string_arg(args, "property"), ret, err);
    return access_property(m, args, NULL, ret, err);
}

int qmp_qom_set(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    (void)s;
    if (qmp_is_object_path(string_arg(args, "path")))
        return qmp_object_property(m, args, json_object_get(args, "value"), ret, err);
    return access_property(m, args, json_object_get(args, "value"), ret, err);
}

/* --- balloon --- */

static VirtioDevice *find_balloon(Machine *m)
{
    VirtioDevice *dev;

    for (unsigned i = 0; (dev = machine_device_at(m, i)) != NULL; i++) {
        if (dev->ops->type == VIRTIO_TYPE_BALLOON)
            return dev;
    }
    return NULL;
}

int qmp_balloon(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    VirtioDevice *balloon = find_balloon(m);
    json_int_t value = json_integer_value(json_object_get(args, "value"));

    (void)s;
    (void)ret;
    if (balloon == NULL)
        return err_set(err, ENXIO, "No balloon device has been activated");
    if (value <= 0)
        return err_set(err, EINVAL, "Parameter 'target' expects a size");
    balloon_set_target(balloon, (uint64_t)value);
    return 0;
}

int qmp_query_balloon(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    VirtioDevice *balloon = find_balloon(m);

    (void)s;
    (void)args;
    if (balloon == NULL)
        return err_set(err, ENXIO, "No balloon device has been activated");
    *ret = json_pack("{s:I}", "actual", (json_int_t)balloon_actual(balloon));
    return 0;
}

/* --- memory --- */

int qmp_query_memory_devices(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    VirtioDevice *dev;

    (void)s;
    (void)args;
    (void)err;
    *ret = json_array();
    for (unsigned i = 0; (dev = machine_device_at(m, i)) != NULL; i++) {
        if (dev->ops->type == VIRTIO_TYPE_MEM)
            json_array_append_new(*ret,
                                  json_pack("{s:s, s:o}", "type", "virtio-mem", "data", mem_describe(dev)));
    }
    return 0;
}

int qmp_query_memory_size(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    uint64_t plugged = 0;
    VirtioDevice *dev;

    (void)s;
    (void)args;
    (void)err;
    for (unsigned i = 0; (dev = machine_device_at(m, i)) != NULL; i++)
        plugged += dev->ops->type == VIRTIO_TYPE_MEM ? mem_plugged(dev) : 0;
    *ret = json_pack("{s:I, s:I}", "base-memory", (json_int_t)machine_memory_size(m), "plugged-memory",
                     (json_int_t)plugged);
    return 0;
}

/* --- how fast memory is written --- */

/* 0, which no figure may be, for what does not fit. */
static unsigned as_unsigned(json_int_t value)
{
    return value > 0 && value < INT32_MAX ? (unsigned)value : 0;
}

int qmp_calc_dirty_rate(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    json_t *samples = json_object_get(args, "sample-pages");
    json_int_t seconds = json_integer_value(json_object_get(args, "calc-time"));
    json_int_t pages = samples != NULL ? json_integer_value(samples) : DIRTY_RATE_SAMPLES;
    const char *name = string_arg(args, "mode");
    int mode = name != NULL ? enum_table_value(dirty_rate_mode_names, DIRTY_RATE_MODES, name) : DIRTY_RATE_BY_SAMPLES;

    (void)s;
    (void)ret;
    if (mode < 0)
        return err_set(err, EINVAL, "Parameter 'mode' does not accept value '%.40s'", name);
    if (samples != NULL && mode != DIRTY_RATE_BY_SAMPLES)
        return err_set(err, EINVAL, "sample-pages is used only in page-sampling mode");
    return dirty_rate_start(machine_dirty_rate(m), (DirtyRateMode)mode, as_unsigned(seconds), as_unsigned(pages), err);
}

int qmp_query_dirty_rate(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    const DirtyRateReport *report = dirty_rate_report(machine_dirty_rate(m));

    (void)s;
    (void)args;
    (void)err;
    *ret = json_pack("{s:s, s:I, s:i, s:i, s:s}", "status", dirty_rate_state_names[report->state], "start-time",
                     (json_int_t)report->start, "calc-time", (int)report->seconds, "sample-pages",
                     (int)report->samples, "mode", dirty_rate_mode_names[report->mode]);
    if (report->state == DIRTY_RATE_MEASURED)
        json_object_set_new(*ret, "dirty-rate", json_integer((json_int_t)report->rate));
    return 0;
}

/* --- removable media --- */

static int medium(Machine *m, json_t *args, ScsiMediumAction action, Err *err)
{
    bool force = json_is_true(json_object_get(args, "force"));
    const char *id = string_arg(args, "id");
    VirtioDevice *dev;

    for (unsigned i = 0; (dev = machine_device_at(m, i)) != NULL; i++) {
        int r = dev->ops->type == VIRTIO_TYPE_SCSI
                    ? scsi_medium(dev, id, action, force, string_arg(args, "node-name"), err)
                    : -ENOENT;

        if (r != -ENOENT || err->errnum != 0)
            return r;
    }
    return err_set(err, ENODEV, "Device '%.100s' not found", id);
}

int qmp_open_tray(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    (void)s;
    (void)ret;
    return medium(m, args, SCSI_TRAY_OPEN, err);
}

int qmp_close_tray(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    (void)s;
    (void)ret;
    return medium(m, args, SCSI_TRAY_CLOSE, err);
}

int qmp_remove_medium(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    (void)s;
    (void)ret;
    return medium(m, args, SCSI_MEDIUM_REMOVE, err);
}

int qmp_insert_medium(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    (void)s;
    (void)ret;
    return medium(m, args, SCSI_MEDIUM_INSERT, err);
}
