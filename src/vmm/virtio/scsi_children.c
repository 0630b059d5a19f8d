/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Units of the SCSI host device come, go, change their medium and are looked at. Called on the main thread; what is done
 * to the device is done on its loop. */
#include "vmm/virtio/scsi_priv.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

typedef struct Change {
    Scsi *s;
    ScsiUnit *unit;
    const char *id;
    ScsiMediumAction action;
    bool force;
    Block *block;
    Err *err;
    int result;
} Change;

static void unit_resized(ScsiUnit *unit, void *opaque)
{
    Scsi *s = opaque;

    if (virtio_has(&s->dev, F_CHANGE))
        scsi_send_event(s, unit, EVENT_PARAM_CHANGE,
                   sense_capacity_changed.asc | (uint32_t)sense_capacity_changed.ascq << 8);
}

static bool target_taken(const Scsi *s, unsigned target)
{
    bool taken;

    (void)scsi_find_unit(s, target, UINT32_MAX, &taken);
    return taken;
}

static void do_add(void *opaque)
{
    Change *c = opaque;
    Scsi *s = c->s;
    ScsiUnit **end = &s->units;
    unsigned count = 0;
    bool has_target;

    if (c->unit->target == UINT32_MAX) {
        for (c->unit->target = 0; c->unit->target < 255 && target_taken(s, c->unit->target);)
            c->unit->target++;
    }
    if (scsi_find_unit(s, c->unit->target, c->unit->lun, &has_target) != NULL) {
        c->result =
            err_set(c->err, EEXIST, "%s: lun already used by another device of the target", c->unit->id);
        return;
    }
    for (; *end != NULL; end = &(*end)->next_unit, count++) {
        if (strcmp((*end)->id, c->unit->id) == 0) {
            c->result = err_set(c->err, EEXIST, "Duplicate device ID '%s'", c->unit->id);
            return;
        }
    }
    if (count >= UNITS_MAX) {
        c->result = err_set(c->err, ENOSPC, "%s: more than %d units", s->dev.id, UNITS_MAX);
        return;
    }
    *end = c->unit;
    c->unit->resized = unit_resized;
    c->unit->resized_opaque = s;
    if (virtio_has(&s->dev, F_HOTPLUG))
        scsi_send_event(s, c->unit, EVENT_TRANSPORT_RESET, REASON_RESCAN);
}

int scsi_add_child(VirtioDevice *dev, Props *props, Err *err)
{
    Change c = {.s = (Scsi *)dev, .err = err};
    const char *driver;
    int r = props_string(props, "driver", "", &driver, err);

    if (r < 0)
        return r;
    if (strcmp(driver, "scsi-hd") != 0 && strcmp(driver, "scsi-cd") != 0)
        return err_set(err, ENOTSUP, "'%s' is not a valid device model name", driver);
    r = scsi_unit_new(props, strcmp(driver, "scsi-cd") == 0, dev->host, dev->loop, &c.unit, err);
    if (r < 0)
        return r;
    loop_call(dev->loop, do_add, &c);
    if (c.result < 0)
        scsi_unit_free(c.unit);
    return c.result;
}

static ScsiUnit **find_id(Scsi *s, const char *id)
{
    ScsiUnit **at = &s->units;

    while (*at != NULL && strcmp((*at)->id, id) != 0)
        at = &(*at)->next_unit;
    return at;
}

static void do_remove(void *opaque)
{
    Change *c = opaque;
    ScsiUnit **at = find_id(c->s, c->id);

    c->unit = *at;
    if (c->unit == NULL)
        return;
    /* Out first: a guest that goes on and on would else never let it come to rest. */
    *at = c->unit->next_unit;
    scsi_unit_drain(c->unit);
    scsi_unit_abort_stopped(c->unit);
    if (virtio_has(&c->s->dev, F_HOTPLUG))
        scsi_send_event(c->s, c->unit, EVENT_TRANSPORT_RESET, REASON_REMOVED);
}

int scsi_remove_child(VirtioDevice *dev, const char *child_id, Err *err)
{
    Change c = {.s = (Scsi *)dev, .id = child_id};

    loop_call(dev->loop, do_remove, &c);
    if (c.unit == NULL)
        return err_set(err, ENODEV, "Device '%s' not found", child_id);
    scsi_unit_free(c.unit);
    return 0;
}

static void do_medium(void *opaque)
{
    Change *c = opaque;
    ScsiUnit *u = *find_id(c->s, c->id);

    c->result = 0;
    if (u == NULL) {
        c->result = -ENOENT;
    } else if (!u->removable) {
        c->result = err_set(c->err, ENOTSUP, "Device '%s' is not removable", c->id);
    } else if (c->action == SCSI_TRAY_OPEN) {
        c->result = scsi_cd_open_tray(u, c->force, c->err);
    } else if (c->action == SCSI_TRAY_CLOSE) {
        scsi_cd_move_tray(u, false);
    } else if (!u->tray_open) {
        c->result = err_set(c->err, EBUSY, "Tray of device '%s' is not open", c->id);
    } else if (c->action == SCSI_MEDIUM_REMOVE) {
        c->block = scsi_cd_take_medium(u);
    } else if (u->block != NULL) {
        c->result = err_set(c->err, EBUSY, "There already is a medium in device '%s'", c->id);
    } else if (c->block != NULL) {
        scsi_cd_put_medium(u, c->block);
    }
}

int scsi_medium(VirtioDevice *dev, const char *id, ScsiMediumAction action, bool force, const char *node,
                Err *err)
{
    Change c = {.s = (Scsi *)dev, .id = id, .action = action, .force = force, .err = err};

    loop_call(dev->loop, do_medium, &c); /* an insertion only looks whether it may be */
    if (c.result < 0)
        return c.result;
    if (action == SCSI_MEDIUM_INSERT) {
        c.block = dev->host->block(dev->host, node);
        if (c.block == NULL)
            return err_set(err, ENOENT, "Node '%s' not found", node);
        c.result = block_attach_loop(c.block, dev->loop, err);
        if (c.result == 0)
            loop_call(dev->loop, do_medium, &c);
        else
            block_release(c.block);
    } else if (c.block != NULL) {
        (void)block_attach_loop(c.block, dev->host->main_loop, NULL);
        block_release(c.block);
    }
    return c.result;
}

typedef struct Look {
    Scsi *s;
    unsigned index;
    ScsiDrive *ret;
    bool found;
} Look;

static void do_look(void *opaque)
{
    Look *l = opaque;
    ScsiUnit *u = l->s->units;

    for (unsigned i = 0; u != NULL && i < l->index; i++)
        u = u->next_unit;
    l->found = u != NULL;
    if (u != NULL) {
        *l->ret = (ScsiDrive){.removable = u->removable, .locked = u->locked, .tray_open = u->tray_open};
        memcpy(l->ret->id, u->id, sizeof u->id);
    }
}

bool scsi_drive_at(VirtioDevice *dev, unsigned index, ScsiDrive *ret)
{
    Look l = {.s = (Scsi *)dev, .index = index, .ret = ret};

    loop_call(dev->loop, do_look, &l);
    return l.found;
}
