/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Named iothreads: from the description, and added, removed and tuned while the VM runs (QEMU 7.2, qapi/qom.json,
 * IothreadProperties). What they are stands in the statistics page, too. Main thread. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/log.h"
#include "vmm/machine_internal.h"

static int find(const Machine *m, const char *id)
{
    for (unsigned i = 0; i < m->iothread_count; i++) {
        if (strcmp(m->iothreads[i].id, id) == 0)
            return (int)i;
    }
    return -1;
}

Loop *machine_find_iothread(DeviceHost *host, const char *id)
{
    Machine *m = host->opaque;
    int i = find(m, id);

    return i >= 0 ? m->iothreads[i].loop : NULL;
}

static void publish(Machine *m, const MachineIothread *t)
{
    StatsIothread *s = stats_iothread(m->stats, t->id);

    s->poll_max_ns = t->polling.max_ns;
    s->poll_grow = t->polling.grow;
    s->poll_shrink = t->polling.shrink;
    __atomic_store_n(&s->tid, (uint64_t)loop_thread_id(t->loop), __ATOMIC_RELAXED);
}

static void enter_iothread(void *opaque)
{
    Machine *m = opaque;

    if (m->host.enter_thread)
        m->host.enter_thread("iothread");
}

/* Nothing to wait for: calls queue up until the thread runs. Its number is known when it answers one. */
static void nothing(void *opaque)
{
    (void)opaque;
}

static int start(Machine *m, MachineIothread *t, Err *err)
{
    int r = loop_start(t->loop, enter_iothread, m, err);

    if (r < 0)
        return r;
    loop_call(t->loop, nothing, NULL);
    publish(m, t);
    return 0;
}

int machine_iothread_add(Machine *m, const char *id, const LoopPolling *polling, Err *err)
{
    MachineIothread *t = &m->iothreads[m->iothread_count];
    char name[16];
    int r;

    if (id[0] == '\0' || strlen(id) >= sizeof t->id)
        return err_set(err, EINVAL, "an iothread needs an id of at most %zu bytes", sizeof t->id - 1);
    if (find(m, id) >= 0)
        return err_set(err, EEXIST, "attempt to add duplicate property '%s' to object (type 'container')", id);
    if (m->iothread_count == MACHINE_LIST_MAX)
        return err_set(err, ENOSPC, "too many iothreads: there is room for %d", MACHINE_LIST_MAX);
    *t = (MachineIothread){.polling = *polling};
    snprintf(t->id, sizeof t->id, "%s", id);
    snprintf(name, sizeof name, "IO %.12s", id);
    if ((r = loop_new(name, &t->loop, err)) < 0)
        return r;
    loop_set_polling(t->loop, polling);
    if (m->started && (r = start(m, t, err)) < 0) {
        loop_free(t->loop);
        return r;
    }
    m->iothread_count++;
    return 0;
}

static bool is_used(Machine *m, const Loop *loop)
{
    VirtioDevice *dev;

    for (unsigned i = 0; (dev = machine_device_at(m, i)) != NULL; i++) {
        if (dev->loop == loop)
            return true;
    }
    for (unsigned i = 0; i < MACHINE_LIST_MAX; i++) {
        const Block *block = m->blocks[i];

        if (block != NULL && block->loop == loop)
            return true;
        for (const Block *view = block != NULL ? block->views : NULL; view != NULL; view = view->next_view) {
            if (view->loop == loop)
                return true;
        }
    }
    return false;
}

int machine_iothread_del(Machine *m, const char *id, Err *err)
{
    int i = find(m, id);
    MachineIothread *t;

    if (i < 0)
        return err_set(err, ENOENT, "object '%s' not found", id);
    t = &m->iothreads[i];
    if (is_used(m, t->loop))
        return err_set(err, EBUSY, "object '%s' is in use, can not be deleted", id);
    loop_free(t->loop);
    stats_iothread(m->stats, id)->id[0] = '\0';
    memmove(t, t + 1, (m->iothread_count - (unsigned)i - 1) * sizeof *t);
    m->iothread_count--;
    return 0;
}

int machine_iothread_set_polling(Machine *m, const char *id, const LoopPolling *polling, Err *err)
{
    int i = find(m, id);

    if (i < 0)
        return err_set(err, ENODEV, "Device '/objects/%s' not found", id);
    m->iothreads[i].polling = *polling;
    loop_set_polling(m->iothreads[i].loop, polling);
    publish(m, &m->iothreads[i]);
    return 0;
}

/* --- helpers: threads of no name, for disks with several queues */

Loop *machine_find_helper(DeviceHost *host, unsigned index)
{
    Machine *m = host->opaque;
    char name[16];
    Err err = {0};
    int r;

    if (index >= m->helper_max)
        return NULL;
    if (m->helpers[index] != NULL)
        return m->helpers[index];
    snprintf(name, sizeof name, "IO helper%u", index % MACHINE_HELPERS_MAX);
    r = loop_new(name, &m->helpers[index], &err);
    if (r == 0 && m->started && (r = loop_start(m->helpers[index], enter_iothread, m, &err)) < 0) {
        loop_free(m->helpers[index]);
        m->helpers[index] = NULL;
    }
    if (r < 0)
        log_note("%s; its queues are served by fewer threads", err.text);
    return m->helpers[index];
}

/* --- all of them */

bool machine_iothread_at(Machine *m, unsigned index, MachineIothreadInfo *ret)
{
    const MachineIothread *t;

    if (index >= m->iothread_count)
        return false;
    t = &m->iothreads[index];
    *ret = (MachineIothreadInfo){.id = t->id, .tid = loop_thread_id(t->loop), .polling = t->polling};
    return true;
}

bool machine_iothread_get(Machine *m, const char *id, MachineIothreadInfo *ret)
{
    int i = find(m, id);

    return i >= 0 && machine_iothread_at(m, (unsigned)i, ret);
}

int machine_make_iothreads(Machine *m, Err *err)
{
    const LoopPolling none = {0};
    size_t i;
    json_t *item;

    json_array_foreach(m->desc->iothreads, i, item)
    {
        int r;

        if (!json_is_string(item))
            return err_set(err, EINVAL, "machine description: iothreads must be a list of strings");
        if ((r = machine_iothread_add(m, json_string_value(item), &none, err)) < 0)
            return r;
    }
    return 0;
}

int machine_start_iothreads(Machine *m, Err *err)
{
    int r = 0;

    for (unsigned i = 0; i < m->iothread_count && r == 0; i++)
        r = start(m, &m->iothreads[i], err);
    for (unsigned i = 0; i < MACHINE_HELPERS_MAX && m->helpers[i] != NULL && r == 0; i++)
        r = loop_start(m->helpers[i], enter_iothread, m, err);
    return r;
}

void machine_free_iothreads(Machine *m)
{
    while (m->iothread_count > 0)
        loop_free(m->iothreads[--m->iothread_count].loop);
    for (unsigned i = 0; i < MACHINE_HELPERS_MAX; i++)
        loop_free(m->helpers[i]);
}
