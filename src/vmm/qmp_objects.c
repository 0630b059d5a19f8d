/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * QMP commands on the object tree (QEMU 7.2, qapi/qom.json): what is in /machine/peripheral and /objects, and user-made
 * objects, of which iothreads are the only kind here.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "vmm/qmp_handlers.h"
#include "vmm/virtio/scsi.h"

static const char *string_arg(json_t *args, const char *key)
{
    return json_string_value(json_object_get(args, key));
}

/* --- qom-list --- */

static void add_child(json_t *list, const char *name, const char *type)
{
    json_array_append_new(list, json_pack("{s:s, s:s++}", "name", name, "type", "child<", type, ">"));
}

static void list_devices(Machine *m, json_t *list)
{
    char type[64], path[96];
    const char *id, *driver;
    VirtioDevice *dev;
    ScsiDrive drive;

    for (unsigned i = 0; machine_peripheral_at(m, i, &id, &driver); i++)
        add_child(list, id, driver);
    for (unsigned i = 0; (dev = machine_device_at(m, i)) != NULL; i++) {
        for (unsigned k = 0; dev->ops->type == VIRTIO_TYPE_SCSI && scsi_drive_at(dev, k, &drive); k++)
            add_child(list, drive.id, drive.removable ? "scsi-cd" : "scsi-hd");
    }
    machine_cpu_type(m, type, sizeof type);
    for (unsigned i = 0; i < machine_vcpu_count(m); i++) {
        static const char prefix[] = "/machine/peripheral/";

        machine_cpu_path(m, i, path, sizeof path);
        if (machine_cpu_plugged(m, i) && strncmp(path, prefix, sizeof prefix - 1) == 0)
            add_child(list, path + sizeof prefix - 1, type);
    }
}

static void list_objects(Machine *m, json_t *list)
{
    MachineIothreadInfo t;

    for (unsigned i = 0; machine_iothread_at(m, i, &t); i++)
        add_child(list, t.id, "iothread");
}

int qmp_qom_list(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    static const struct {
        const char *path;
        void (*list)(Machine *m, json_t *list);
    } places[] = {{"/machine/peripheral", list_devices}, {"/objects", list_objects}};
    const char *path = string_arg(args, "path");

    (void)s;
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        if (strcmp(places[i].path, path) != 0)
            continue;
        *ret = json_array();
        json_array_append_new(*ret, json_pack("{s:s, s:s}", "name", "type", "type", "string"));
        places[i].list(m, *ret);
        return 0;
    }
    return err_set(err, ENODEV, "Device '%.100s' not found", path);
}

/* --- iothreads --- */

static const struct {
    const char *name;
    size_t offset, size;
    uint64_t max;
} polling_fields[] = {
    {"poll-max-ns", offsetof(LoopPolling, max_ns), sizeof(uint64_t), INT64_MAX},
    {"poll-grow", offsetof(LoopPolling, grow), sizeof(uint32_t), UINT32_MAX},
    {"poll-shrink", offsetof(LoopPolling, shrink), sizeof(uint32_t), UINT32_MAX},
};

static int set_polling_field(LoopPolling *polling, size_t i, const json_t *value, Err *err)
{
    json_int_t v = json_integer_value(value);
    uint32_t small = (uint32_t)v;
    uint64_t whole = (uint64_t)v;

    if (!json_is_integer(value) || v < 0 || whole > polling_fields[i].max)
        return err_set(err, EINVAL, "%s value must be in range [0, %llu]", polling_fields[i].name,
                       (unsigned long long)polling_fields[i].max);
    if (polling_fields[i].size == sizeof small)
        memcpy((char *)polling + polling_fields[i].offset, &small, sizeof small);
    else
        memcpy((char *)polling + polling_fields[i].offset, &whole, sizeof whole);
    return 0;
}

static uint64_t polling_field(const LoopPolling *polling, size_t i)
{
    uint32_t small;
    uint64_t whole;

    if (polling_fields[i].size == sizeof small) {
        memcpy(&small, (const char *)polling + polling_fields[i].offset, sizeof small);
        return small;
    }
    memcpy(&whole, (const char *)polling + polling_fields[i].offset, sizeof whole);
    return whole;
}

int qmp_query_iothreads(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    MachineIothreadInfo t;

    (void)s;
    (void)args;
    (void)err;
    *ret = json_array();
    for (unsigned n = 0; machine_iothread_at(m, n, &t); n++) {
        json_t *o = json_pack("{s:s, s:i, s:i}", "id", t.id, "thread-id", t.tid, "aio-max-batch", 0);

        for (size_t i = 0; i < ARRAY_LEN(polling_fields); i++)
            json_object_set_new(o, polling_fields[i].name, json_integer((json_int_t)polling_field(&t.polling, i)));
        json_array_append_new(*ret, o);
    }
    return 0;
}

int qmp_object_add(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    const char *type = string_arg(args, "qom-type"), *key;
    LoopPolling polling = {0};
    json_t *value;

    (void)s;
    (void)ret;
    if (strcmp(type, "iothread") != 0)
        return err_set(err, EINVAL, "Parameter 'qom-type' does not accept value '%.60s'", type);
    json_object_foreach(args, key, value)
    {
        size_t i = 0;
        int r;

        if (strcmp(key, "qom-type") == 0 || strcmp(key, "id") == 0)
            continue;
        while (i < ARRAY_LEN(polling_fields) && strcmp(polling_fields[i].name, key) != 0)
            i++;
        if (i == ARRAY_LEN(polling_fields))
            return err_set(err, EINVAL, "Parameter '%.60s' is unexpected", key);
        if ((r = set_polling_field(&polling, i, value, err)) < 0)
            return r;
    }
    return machine_iothread_add(m, string_arg(args, "id"), &polling, err);
}

int qmp_object_del(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    (void)s;
    (void)ret;
    return machine_iothread_del(m, string_arg(args, "id"), err);
}

bool qmp_is_object_path(const char *path)
{
    return strncmp(path, "/objects/", strlen("/objects/")) == 0;
}

int qmp_object_property(Machine *m, json_t *args, json_t *value, json_t **ret, Err *err)
{
    const char *id = string_arg(args, "path") + strlen("/objects/"), *name = string_arg(args, "property");
    MachineIothreadInfo t;
    int r;

    if (!machine_iothread_get(m, id, &t))
        return err_set(err, ENODEV, "Device '/objects/%.100s' not found", id);
    if (value == NULL && strcmp(name, "thread-id") == 0)
        return (*ret = json_integer(t.tid)) ? 0 : -ENOMEM;
    if (value == NULL && strcmp(name, "type") == 0)
        return (*ret = json_string("iothread")) ? 0 : -ENOMEM;
    for (size_t i = 0; i < ARRAY_LEN(polling_fields); i++) {
        if (strcmp(polling_fields[i].name, name) != 0)
            continue;
        if (value == NULL)
            return (*ret = json_integer((json_int_t)polling_field(&t.polling, i))) ? 0 : -ENOMEM;
        r = set_polling_field(&t.polling, i, value, err);
        return r < 0 ? r : machine_iothread_set_polling(m, id, &t.polling, err);
    }
    return err_set(err, ENOENT, "Property 'iothread.%.60s' not found", name);
}
