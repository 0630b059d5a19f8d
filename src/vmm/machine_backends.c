/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What devices stand on and management adds, removes and lists: chardevs, block nodes, net back ends. Main thread. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/block/nbd_node.h"
#include "vmm/machine_internal.h"

Block *machine_find_block(void *opaque, const char *node_name)
{
    Machine *m = opaque;

    for (unsigned i = 0; i < MACHINE_LIST_MAX; i++) {
        Block *block = m->blocks[i];

        if (block != NULL && strcmp(block->node_name, node_name) == 0) {
            if (block->claimed)
                return NULL;
            block->claimed = true;
            return block;
        }
    }
    return NULL;
}

Chardev *machine_find_chardev(DeviceHost *host, const char *id)
{
    Machine *m = host->opaque;

    for (unsigned i = 0; i < MACHINE_LIST_MAX; i++) {
        if (m->chardevs[i] != NULL && strcmp(chardev_id(m->chardevs[i]), id) == 0)
            return m->chardevs[i];
    }
    return NULL;
}

int machine_take_fd(void *opaque, const char *name)
{
    Machine *m = opaque;

    return m->host.take_fd ? m->host.take_fd(m->host.opaque, name) : -1;
}

static void **free_place(void **list)
{
    for (unsigned i = 0; i < MACHINE_LIST_MAX; i++) {
        if (list[i] == NULL)
            return &list[i];
    }
    return NULL;
}

int machine_chardev_add(Machine *m, json_t *object, Err *err)
{
    void **place = free_place((void **)m->chardevs);
    Props *props;
    Chardev *chardev;
    int r = props_new(object, machine_take_fd, m, &props, err);

    if (r < 0)
        return r;
    if (place == NULL)
        r = err_set(err, ENOSPC, "too many chardevs");
    else if (machine_find_chardev(&m->device_host, props_id(props)) != NULL)
        r = err_set(err, EEXIST, "chardev '%s' exists already", props_id(props));
    else
        r = chardev_new(props, m->loop, &chardev, err);
    if (r >= 0)
        *place = chardev;
    props_free(props);
    return r;
}

int machine_chardev_remove(Machine *m, const char *id, Err *err)
{
    for (unsigned i = 0; i < MACHINE_LIST_MAX; i++) {
        Chardev *chardev = m->chardevs[i];

        if (chardev == NULL || strcmp(chardev_id(chardev), id) != 0)
            continue;
        if (chardev_in_use(chardev))
            return err_set(err, EBUSY, "chardev '%s' is in use", id);
        chardev_free(chardev);
        m->chardevs[i] = NULL;
        return 0;
    }
    return err_set(err, ENOENT, "chardev '%s' not found", id);
}

int machine_blockdev_add(Machine *m, json_t *object, Err *err)
{
    void **place = free_place((void **)m->blocks);
    Block *block;
    Props *props;
    int r = props_new(object, machine_take_fd, m, &props, err);

    if (r < 0)
        return r;
    r = place ? block_new(props, m->loop, machine_find_block, m, &block, err)
              : err_set(err, ENOSPC, "too many block nodes");
    if (r >= 0)
        *place = block;
    props_free(props);
    return r;
}

int machine_blockdev_reopen(Machine *m, json_t *object, Err *err)
{
    const char *name = json_string_value(json_object_get(object, "node-name"));

    for (unsigned i = 0; name != NULL && i < MACHINE_LIST_MAX; i++) {
        if (m->blocks[i] != NULL && strcmp(m->blocks[i]->node_name, name) == 0)
            return nbd_node_reopen(m->blocks[i], object, machine_take_fd, m, err);
    }
    return err_set(err, ENODEV, "Cannot find node '%s'", name ? name : "");
}

int machine_blockdev_del(Machine *m, const char *node_name, Err *err)
{
    for (unsigned i = 0; i < MACHINE_LIST_MAX; i++) {
        Block *block = m->blocks[i];

        if (block == NULL || strcmp(block->node_name, node_name) != 0)
            continue;
        if (block->claimed)
            return err_set(err, EBUSY, "Node %s is in use", node_name);
        m->blocks[i] = NULL;
        block_close(block);
        return 0;
    }
    return err_set(err, ENOENT, "Failed to find node with node-name='%s'", node_name);
}

/* Any loop. */
static void on_threshold(void *opaque, Block *block, uint64_t threshold, uint64_t end)
{
    Machine *m = opaque;

    m->device_host.event(&m->device_host, "BLOCK_WRITE_THRESHOLD",
                         json_pack("{s:s, s:I, s:I}", "node-name", block->node_name, "amount-exceeded",
                                   (json_int_t)(end - threshold), "write-threshold", (json_int_t)threshold));
}

int machine_set_write_threshold(Machine *m, const char *node_name, uint64_t bytes, Err *err)
{
    Block *storage = NULL, *top = NULL;

    for (unsigned i = 0; i < MACHINE_LIST_MAX; i++) {
        if (m->blocks[i] != NULL && strcmp(m->blocks[i]->node_name, node_name) == 0)
            storage = m->blocks[i];
    }
    if (storage == NULL)
        return err_set(err, ENODEV, "Device '%s' not found", node_name);
    if (storage->ops->storage == NULL)
        return err_set(err, ENOTSUP, "node '%s' has no file whose writes could be watched", node_name);
    storage = storage->ops->storage(storage);
    for (unsigned i = 0; i < MACHINE_LIST_MAX; i++) {
        Block *b = m->blocks[i];

        if (b != NULL && b->user[0] != '\0' && b->ops->storage != NULL && b->ops->storage(b) == storage)
            top = b;
    }
    __atomic_store_n(&storage->write_threshold, 0, __ATOMIC_RELEASE);
    storage->threshold_passed = on_threshold;
    storage->threshold_opaque = m;
    storage->threshold_shown = top != NULL ? &stats_block(m->stats, top->user)->write_threshold : NULL;
    if (storage->threshold_shown != NULL)
        __atomic_store_n(storage->threshold_shown, bytes, __ATOMIC_RELAXED);
    __atomic_store_n(&storage->write_threshold, bytes, __ATOMIC_RELEASE);
    return 0;
}

int machine_netdev_add(Machine *m, json_t *object, Err *err)
{
    void **place = free_place((void **)m->nets);
    NetBackend *net;
    Props *props;
    int r = props_new(object, machine_take_fd, m, &props, err);

    if (r < 0)
        return r;
    r = place ? net_new(props, &net, err) : err_set(err, ENOSPC, "too many net back ends");
    if (r >= 0)
        *place = net;
    props_free(props);
    return r;
}

int machine_netdev_del(Machine *m, const char *id, Err *err)
{
    for (unsigned i = 0; i < MACHINE_LIST_MAX; i++) {
        NetBackend *net = m->nets[i];

        if (net == NULL || strcmp(net->id, id) != 0)
            continue;
        if (net->claimed)
            return err_set(err, EBUSY, "net back end '%s' is in use", id);
        m->nets[i] = NULL;
        net_close(net);
        return 0;
    }
    return err_set(err, ENOENT, "Device '%s' not found", id);
}

Chardev *machine_chardev_at(Machine *m, unsigned index)
{
    for (unsigned i = 0; i < MACHINE_LIST_MAX; i++) {
        if (m->chardevs[i] != NULL && index-- == 0)
            return m->chardevs[i];
    }
    return NULL;
}

struct Block *machine_block_at(Machine *m, unsigned index)
{
    for (unsigned i = 0; i < MACHINE_LIST_MAX; i++) {
        if (m->blocks[i] != NULL && index-- == 0)
            return m->blocks[i];
    }
    return NULL;
}
