/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * QMP commands on block nodes and network links: query-block, query-blockstats, query-named-block-nodes, block_resize,
 * block_set_io_throttle, blockdev-reopen, set_link, query-rx-filter (QEMU 7.2, qapi/block-core.json, qapi/block.json,
 * qapi/net.json).
 *
 * What belongs to a node or device is asked for on its loop.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "vmm/block/block.h"
#include "vmm/qmp_handlers.h"
#include "vmm/virtio/devices.h"
#include "vmm/virtio/scsi.h"

static const char *string_arg(json_t *args, const char *key)
{
    return json_string_value(json_object_get(args, key));
}

static void put(json_t *object, const char *key, json_int_t value)
{
    json_object_set_new(object, key, json_integer(value));
}

/* --- nodes ------------------------------------------------------------------------------------------------- */

typedef struct Describe {
    Block *block;
    json_t *object;
} Describe;

static void do_describe(void *opaque)
{
    static const char *const limits[] = {"bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"};
    Describe *d = opaque;
    Block *b = d->block;
    ThrottleConfig config;

    throttle_group_get(&b->limits, &config);
    json_object_set_new(d->object, "node-name", json_string(b->node_name));
    json_object_set_new(d->object, "drv", json_string(b->ops->driver));
    json_object_set_new(d->object, "file", json_string(""));
    json_object_set_new(d->object, "ro", json_boolean(b->info.read_only));
    for (unsigned i = 0; i < ARRAY_LEN(limits); i++) {
        const ThrottleLimit *l = &config.limit[i];
        char key[32];

        put(d->object, limits[i], (json_int_t)l->avg);
        snprintf(key, sizeof key, "%.*s_max%s", (int)strcspn(limits[i], "_"), limits[i],
                 limits[i] + strcspn(limits[i], "_"));
        if (l->max > 0)
            put(d->object, key, (json_int_t)l->max);
        snprintf(key, sizeof key, "%.*s_max%s_length", (int)strcspn(limits[i], "_"), limits[i],
                 limits[i] + strcspn(limits[i], "_"));
        if (l->max_length > 1)
            put(d->object, key, (json_int_t)l->max_length);
    }
    if (config.op_size > 0)
        put(d->object, "iops_size", (json_int_t)config.op_size);
    if (throttle_group_name(&b->limits) != NULL)
        json_object_set_new(d->object, "group", json_string(throttle_group_name(&b->limits)));
    if (b->ops->describe)
        b->ops->describe(b, d->object);
}

static json_t *describe(Block *block)
{
    Describe d = {block, json_object()};

    loop_call(block->loop, do_describe, &d);
    return d.object;
}

static Block *find_node(Machine *m, const char *name)
{
    Block *b;

    for (unsigned i = 0; (b = machine_block_at(m, i)) != NULL; i++) {
        if (strcmp(b->node_name, name) == 0)
            return b;
    }
    return NULL;
}

/* The node under a device that is named by its id or QOM path. */
static Block *find_device_node(Machine *m, const char *name)
{
    static const char prefix[] = "/machine/peripheral/";
    size_t len;
    Block *b;

    if (strncmp(name, prefix, sizeof prefix - 1) == 0)
        name += sizeof prefix - 1;
    len = strcspn(name, "/");
    for (unsigned i = 0; (b = machine_block_at(m, i)) != NULL; i++) {
        if (b->user[0] != '\0' && strlen(b->user) == len && strncmp(b->user, name, len) == 0)
            return b;
    }
    return NULL;
}

static int node_arg(Machine *m, json_t *args, const char *device_key, Block **ret, Err *err)
{
    const char *node = string_arg(args, "node-name"), *device = string_arg(args, device_key);

    if (device == NULL)
        device = string_arg(args, "device");
    if ((node != NULL) == (device != NULL && device[0] != '\0'))
        return err_set(err, EINVAL, "Need exactly one of '%s' and 'node-name'", device_key);
    *ret = node != NULL ? find_node(m, node) : find_device_node(m, device);
    if (*ret == NULL)
        return err_set(err, ENODEV, node ? "Cannot find node '%s'" : "Device '%s' not found", node ? node : device);
    return 0;
}

/* The io-status is the VM's: a device that met an error of policy "stop" stopped it. */
static void add_drive(Machine *m, json_t *list, const char *id, const ScsiDrive *drive)
{
    bool failed = machine_run_state(m) == RUN_IO_ERROR;
    Block *b = find_device_node(m, id);
    const char *status = failed && b != NULL && b->last_error == ENOSPC ? "nospace"
                         : failed && b != NULL && b->last_error != 0    ? "failed"
                                                                        : "ok";
    json_t *o = json_pack("{s:s, s:b, s:b, s:s}", "device", "", "locked", drive && drive->locked, "removable",
                          drive && drive->removable, "type", "unknown");

    json_object_set_new(o, "qdev",
                        drive ? json_string(id) : json_sprintf("/machine/peripheral/%s/virtio-backend", id));
    if (b != NULL) {
        json_object_set_new(o, "inserted", describe(b));
        json_object_set_new(o, "io-status", json_string(status));
    }
    if (drive && drive->removable)
        json_object_set_new(o, "tray_open", json_boolean(drive->tray_open));
    json_array_append_new(list, o);
}

int qmp_query_block(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    VirtioDevice *dev;
    ScsiDrive drive;

    (void)s;
    (void)args;
    (void)err;
    *ret = json_array();
    for (unsigned i = 0; (dev = machine_device_at(m, i)) != NULL; i++) {
        if (dev->ops->type == VIRTIO_TYPE_BLOCK)
            add_drive(m, *ret, dev->id, NULL);
        for (unsigned k = 0; dev->ops->type == VIRTIO_TYPE_SCSI && scsi_drive_at(dev, k, &drive); k++)
            add_drive(m, *ret, drive.id, &drive);
    }
    return 0;
}

int qmp_query_named_block_nodes(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    Block *b;

    (void)s;
    (void)args;
    (void)err;
    *ret = json_array();
    for (unsigned i = 0; (b = machine_block_at(m, i)) != NULL; i++)
        json_array_append_new(*ret, describe(b));
    return 0;
}

static uint64_t get(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static json_t *counters(const StatsBlock *c)
{
    static const StatsBlock none;
    json_t *o = json_object();
    static const struct {
        const char *prefix;
        int kind;
    } kinds[] = {{"rd", STATS_IO_READ}, {"wr", STATS_IO_WRITE}, {"flush", STATS_IO_FLUSH}, {"unmap", STATS_IO_DISCARD}};
    char key[40];

    if (c == NULL)
        c = &none;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        int k = kinds[i].kind;

        snprintf(key, sizeof key, "%s_operations", kinds[i].prefix);
        put(o, key, (json_int_t)get(&c->requests[k]));
        snprintf(key, sizeof key, "%s_total_time_ns", kinds[i].prefix);
        put(o, key, (json_int_t)get(&c->time_ns[k]));
        snprintf(key, sizeof key, "failed_%s_operations", kinds[i].prefix);
        put(o, key, (json_int_t)get(&c->errors[k]));
        if (k != STATS_IO_FLUSH) {
            snprintf(key, sizeof key, "%s_bytes", kinds[i].prefix);
            put(o, key, (json_int_t)get(&c->bytes[k]));
            snprintf(key, sizeof key, "%s_merged", kinds[i].prefix);
            put(o, key, 0);
        }
    }
    put(o, "wr_highest_offset", (json_int_t)get(&c->wr_highest));
    json_object_set_new(o, "account_failed", json_true());
    json_object_set_new(o, "account_invalid", json_true());
    json_object_set_new(o, "timed_stats", json_array());
    return o;
}

static json_t *node_stats(Block *b, const StatsBlock *c, const char *device, bool scsi)
{
    json_t *o = json_pack("{s:s, s:o}", "node-name", b->node_name, "stats", counters(c)), *image, *info;

    if (device != NULL) {
        json_object_set_new(o, "device", json_string(""));
        json_object_set_new(o, "qdev",
                            scsi ? json_string(device)
                                 : json_sprintf("/machine/peripheral/%s/virtio-backend", device));
    }
    /* How far the image reaches into its file; libvirt's "physical" watermark. */
    info = describe(b);
    image = json_object_get(info, "x-highest-offset");
    if (json_is_integer(image))
        json_object_set_new(o, "parent",
                            json_pack("{s:{s:I}}", "stats", "wr_highest_offset", json_integer_value(image)));
    json_decref(info);
    return o;
}

int qmp_query_blockstats(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    VirtioDevice *dev;
    ScsiDrive drive;
    Block *b;

    (void)s;
    (void)err;
    *ret = json_array();
    if (json_is_true(json_object_get(args, "query-nodes"))) {
        for (unsigned i = 0; (b = machine_block_at(m, i)) != NULL; i++)
            json_array_append_new(*ret,
                                  node_stats(b, b->user[0] ? stats_block(machine_stats(m), b->user) : NULL, NULL, false));
        return 0;
    }
    for (unsigned i = 0; (dev = machine_device_at(m, i)) != NULL; i++) {
        b = dev->ops->type == VIRTIO_TYPE_BLOCK ? find_device_node(m, dev->id) : NULL;
        if (b != NULL)
            json_array_append_new(*ret, node_stats(b, stats_block(machine_stats(m), dev->id), dev->id, false));
        for (unsigned k = 0; dev->ops->type == VIRTIO_TYPE_SCSI && scsi_drive_at(dev, k, &drive); k++) {
            b = find_device_node(m, drive.id);
            if (b != NULL)
                json_array_append_new(*ret,
                                      node_stats(b, stats_block(machine_stats(m), drive.id), drive.id, true));
        }
    }
    return 0;
}

int qmp_blockdev_reopen(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    json_t *list = json_object_get(args, "options");

    (void)s;
    (void)ret;
    if (json_array_size(list) != 1)
        return err_set(err, EINVAL, "'options' must be a list of one block node");
    return machine_blockdev_reopen(m, json_array_get(list, 0), err);
}

typedef struct Change {
    Block *block;
    uint64_t size;
    const ThrottleConfig *limits;
    const char *group;
    Err *err;
    int result;
} Change;

static void do_resize(void *opaque)
{
    Change *c = opaque;

    c->result = block_resize(c->block, c->size, c->err);
}

int qmp_block_resize(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    json_int_t size = json_integer_value(json_object_get(args, "size"));
    Change c = {.size = (uint64_t)size, .err = err};
    int r = node_arg(m, args, "device", &c.block, err);

    (void)s;
    (void)ret;
    if (r < 0)
        return r;
    if (size < 0)
        return err_set(err, EINVAL, "Parameter 'size' expects a >0 size");
    loop_call(c.block->loop, do_resize, &c);
    return c.result;
}

static void do_throttle(void *opaque)
{
    Change *c = opaque;

    c->result = block_set_throttle(c->block, c->group, c->limits, c->err);
}

int qmp_block_set_io_throttle(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    static const char *const names[THROTTLE_BUCKETS][3] = {
        {"bps", "bps_max", "bps_max_length"},          {"bps_rd", "bps_rd_max", "bps_rd_max_length"},
        {"bps_wr", "bps_wr_max", "bps_wr_max_length"}, {"iops", "iops_max", "iops_max_length"},
        {"iops_rd", "iops_rd_max", "iops_rd_max_length"}, {"iops_wr", "iops_wr_max", "iops_wr_max_length"},
    };
    ThrottleConfig limits = {0};
    Change c = {.limits = &limits, .group = string_arg(args, "group"), .err = err};
    int r = node_arg(m, args, "id", &c.block, err);

    (void)s;
    (void)ret;
    if (r < 0)
        return r;
    for (unsigned i = 0; i < THROTTLE_BUCKETS; i++) {
        uint64_t *fields[] = {&limits.limit[i].avg, &limits.limit[i].max, &limits.limit[i].max_length};

        for (unsigned k = 0; k < 3; k++) {
            json_int_t v = json_integer_value(json_object_get(args, names[i][k]));

            /* 10^15, as in QEMU */
            if (v < 0 || v > 1000000000000000)
                return err_set(err, EINVAL, "bps/iops/max values must be within [0, 1000000000000000]");
            *fields[k] = (uint64_t)v;
        }
    }
    limits.op_size = (uint64_t)json_integer_value(json_object_get(args, "iops_size"));
    loop_call(c.block->loop, do_throttle, &c);
    return c.result;
}

int qmp_block_set_write_threshold(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    json_int_t bytes = json_integer_value(json_object_get(args, "write-threshold"));

    (void)s;
    (void)ret;
    if (bytes < 0)
        return err_set(err, EINVAL, "Parameter 'write-threshold' expects a size");
    return machine_set_write_threshold(m, string_arg(args, "node-name"), (uint64_t)bytes, err);
}

/* --- links ------------------------------------------------------------------------------------------------- */

typedef struct Link {
    VirtioDevice *dev;
    bool up;
    json_t *filter;
} Link;

static void do_set_link(void *opaque)
{
    Link *l = opaque;

    net_device_set_link(l->dev, l->up);
}

int qmp_set_link(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    const char *name = string_arg(args, "name");
    Link l = {.up = json_is_true(json_object_get(args, "up"))};

    (void)s;
    (void)ret;
    for (unsigned i = 0; (l.dev = machine_device_at(m, i)) != NULL; i++) {
        if (l.dev->ops->type == VIRTIO_TYPE_NET &&
            (strcmp(l.dev->id, name) == 0 || strcmp(net_device_backend(l.dev), name) == 0)) {
            loop_call(l.dev->loop, do_set_link, &l);
            return 0;
        }
    }
    return err_set(err, ENODEV, "Device '%s' not found", name);
}

static void do_rx_filter(void *opaque)
{
    Link *l = opaque;

    l->filter = net_device_rx_filter(l->dev);
}

int qmp_query_rx_filter(QmpServer *s, Machine *m, json_t *args, json_t **ret, Err *err)
{
    const char *name = string_arg(args, "name");
    Link l = {0};

    (void)s;
    *ret = json_array();
    for (unsigned i = 0; (l.dev = machine_device_at(m, i)) != NULL; i++) {
        if (l.dev->ops->type != VIRTIO_TYPE_NET || (name != NULL && strcmp(name, l.dev->id) != 0))
            continue;
        loop_call(l.dev->loop, do_rx_filter, &l);
        json_array_append_new(*ret, l.filter);
    }
    return name != NULL && json_array_size(*ret) == 0 ? err_set(err, EINVAL, "invalid net client name: %s", name) : 0;
}
