/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Console device (virtio 1.2, 5.3) with several ports: consoles (hvc0 ..) and named channels (guest agent and others),
 * each on a chardev.
 *
 * Queues: 0 and 1 receive and transmit of port 0, 2 and 3 the control queues, then two for each further port. Without
 * the MULTIPORT feature only port 0 exists for the driver.
 *
 * Control messages are 8 bytes, some followed by a name (5.3.6.2). Ours go out in order; those that find no buffer
 * wait in `pending` as one flag word a port, so that nothing grows with what the guest does not read: what is sent
 * later is the state at that time.
 *
 * Output of a port goes straight to its chardev; what that does not take waits in the queue (the chain is kept, with
 * the bytes already written) until the chardev has room again. Input is read when a buffer is there.
 *
 * Properties: max_ports. Children: virtconsole, virtserialport {chardev, name, nr, id}.
 * Everything on the main loop, where chardevs live.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "vmm/chardev/chardev.h"
#include "vmm/log.h"
#include "vmm/virtio/devices.h"
#include "vmm/virtio/virtio.h"
#include "vmm/virtio/virtqueue.h"

/* Behind ours: it has macros of the same names. */
#include <linux/virtio_console.h>

#define PORTS_MAX 31
#define BUFFERS_MAX 64
#define QUEUE_SIZE 128
#define NAME_MAX_LEN 127
/* Bytes moved for one port before others get their turn; a chain may claim the same memory many times. */
#define TURN_BYTES 65536

enum { CONTROL_RX = 2, CONTROL_TX = 3 };
/* What a port still has to tell the driver, in the order of sending. */
enum { TELL_REMOVE = 1, TELL_ADD = 2, TELL_CONSOLE = 4, TELL_NAME = 8, TELL_OPEN = 16 };

typedef struct Console Console;

typedef struct Port {
    Console *console;
    bool present;
    bool is_console;
    unsigned nr;
    char id[64];
    char name[NAME_MAX_LEN + 1];
    Chardev *chardev;
    bool host_open; /* somebody is at the chardev */
    bool guest_open; /* as the guest said */
    bool guest_ready;
    unsigned tell; /* TELL_… */
    uint64_t out_done; /* bytes of the first waiting chain that are written */
    bool out_blocked; /* the chardev took less than it was given */
    LoopDefer more_out;
} Port;

struct Console {
    VirtioDevice dev;
    unsigned max_ports;
    Port ports[PORTS_MAX];
    bool ready; /* the driver said DEVICE_READY */
    bool paused;
};

static unsigned rx_queue(unsigned nr)
{
    return nr == 0 ? 0 : 2 + 2 * nr;
}

static unsigned tx_queue(unsigned nr)
{
    return rx_queue(nr) + 1;
}

static bool usable(const Console *c)
{
    return c->dev.active && !c->paused;
}

static bool multiport(const Console *c)
{
    return virtio_has(&c->dev, VIRTIO_CONSOLE_F_MULTIPORT);
}

/* --- control messages to the driver ------------------------------------------------------------------------ */

static bool send_control(Console *c, unsigned nr, unsigned event, unsigned value, const char *name)
{
    Virtqueue *vq = virtio_queue(&c->dev, CONTROL_RX);
    struct iovec iov[BUFFERS_MAX];
    VirtqElem elem = {.iov = iov, .iov_max = BUFFERS_MAX};
    struct virtio_console_control message = {htole32(nr), htole16((uint16_t)event), htole16((uint16_t)value)};
    uint64_t written;

    if (virtqueue_pop(vq, &elem) <= 0)
        return false;
    written = iov_from_buffer(virtq_elem_in(&elem), elem.in_count, 0, &message, sizeof message);
    if (name != NULL)
        written += iov_from_buffer(virtq_elem_in(&elem), elem.in_count, sizeof message, name, strlen(name));
    virtqueue_push(vq, &elem, (uint32_t)written);
    return true;
}

/* Sends what ports have to tell, as far as there are buffers. */
static void send_pending(Console *c)
{
    bool room = true;

    if (!usable(c) || !multiport(c) || !c->ready)
        return;
    for (unsigned nr = 0; nr < c->max_ports && room; nr++) {
        Port *p = &c->ports[nr];

        while (p->tell != 0 && room) {
            unsigned what = p->tell & -p->tell;

            /* The driver learns the rest once it answered PORT_READY. */
            if (what > TELL_ADD && !p->guest_ready)
                break;
            if (what == TELL_REMOVE)
                room = send_control(c, nr, VIRTIO_CONSOLE_PORT_REMOVE, 1, NULL);
            else if (what == TELL_ADD)
                room = send_control(c, nr, VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
            else if (what == TELL_CONSOLE)
                room = send_control(c, nr, VIRTIO_CONSOLE_CONSOLE_PORT, 1, NULL);
            else if (what == TELL_NAME)
                room = send_control(c, nr, VIRTIO_CONSOLE_PORT_NAME, 1, p->name);
            else
                room = send_control(c, nr, VIRTIO_CONSOLE_PORT_OPEN, p->host_open, NULL);
            if (room)
                p->tell &= ~what;
        }
    }
    virtqueue_notify(virtio_queue(&c->dev, CONTROL_RX));
}

/* --- output ------------------------------------------------------------------------------------------------ */

static void port_output(Port *p)
{
    Console *c = p->console;
    Virtqueue *vq = virtio_queue(&c->dev, tx_queue(p->nr));
    struct iovec iov[BUFFERS_MAX];
    VirtqElem elem = {.iov = iov, .iov_max = BUFFERS_MAX};

    if (!usable(c) || !virtqueue_ready(vq) || p->out_blocked)
        return;
    do {
        virtqueue_disable_notify(vq);
        while (virtqueue_pop(vq, &elem) > 0) {
            uint64_t skip = p->out_done, end = MIN(elem.out_len, p->out_done + TURN_BYTES);

            for (unsigned i = 0; i < elem.out_count && p->chardev != NULL && p->out_done < end; i++) {
                size_t len = iov[i].iov_len, took;

                if (skip >= len) {
                    skip -= len;
                    continue;
                }
                len = MIN(len - skip, end - p->out_done);
                took = chardev_write(p->chardev, (uint8_t *)iov[i].iov_base + skip, len);
                skip = 0;
                p->out_done += took;
                if (took < len) {
                    virtqueue_unpop(vq, 1);
                    p->out_blocked = true;
                    virtqueue_notify(vq);
                    return;
                }
            }
            if (p->chardev != NULL && end < elem.out_len) {
                virtqueue_unpop(vq, 1);
                virtqueue_notify(vq);
                loop_defer(&p->more_out);
                return;
            }
            p->out_done = 0;
            virtqueue_push(vq, &elem, 0);
        }
    } while (virtqueue_enable_notify(vq));
    virtqueue_notify(vq);
}

static void more_output(void *opaque)
{
    port_output(opaque);
}

static void writable(void *opaque)
{
    Port *p = opaque;

    p->out_blocked = false;
    if (p->console->dev.active)
        port_output(p);
}

/* --- input ------------------------------------------------------------------------------------------------- */

static bool takes_input(const Port *p)
{
    const Console *c = p->console;

    return usable(c) && p->present && (!multiport(c) || p->guest_open || p->is_console);
}

static size_t can_receive(void *opaque)
{
    Port *p = opaque;
    Virtqueue *vq = virtio_queue(&p->console->dev, rx_queue(p->nr));

    return takes_input(p) && virtqueue_ready(vq) && virtqueue_pending(vq) ? 4096 : 0;
}

static void receive(void *opaque, const uint8_t *data, size_t len)
{
    Port *p = opaque;
    Virtqueue *vq = virtio_queue(&p->console->dev, rx_queue(p->nr));
    struct iovec iov[BUFFERS_MAX];
    VirtqElem elem = {.iov = iov, .iov_max = BUFFERS_MAX};

    while (len > 0 && virtqueue_pop(vq, &elem) > 0) {
        size_t part = (size_t)iov_from_buffer(virtq_elem_in(&elem), elem.in_count, 0, data, len);

        virtqueue_push(vq, &elem, (uint32_t)part);
        if (part == 0) {
            virtio_device_fail(&p->console->dev, "queue %u: a receive buffer without writable part",
                               virtqueue_index(vq));
            return;
        }
        data += part;
        len -= part;
    }
    if (len > 0)
        log_guest_fault("%s: port %u: %zu bytes of input lost, the driver's buffers are too small", p->console->dev.id,
                        p->nr, len);
    virtqueue_notify(vq);
}

static void connected(void *opaque, bool open)
{
    Port *p = opaque;

    p->host_open = open;
    p->tell |= TELL_OPEN;
    if (!open)
        p->out_done = 0;
    send_pending(p->console);
}

static const ChardevUser port_user = {
    .can_receive = can_receive, .receive = receive, .writable = writable, .connected = connected};

/* --- control messages from the driver ---------------------------------------------------------------------- */

static void port_changed(Port *p, bool open)
{
    DeviceHost *host = p->console->dev.host;

    if (p->guest_open == open)
        return;
    p->guest_open = open;
    if (p->chardev != NULL)
        chardev_set_frontend_open(p->chardev, open);
    if (!p->is_console)
        host->event(host, "VSERPORT_CHANGE", json_pack("{s:b, s:s}", "open", (int)open, "id", p->id));
    if (open && p->chardev != NULL)
        chardev_accept_input(p->chardev);
}

static void handle_control(Console *c, const struct virtio_console_control *m)
{
    unsigned nr = le32toh(m->id), event = le16toh(m->event), value = le16toh(m->value);
    Port *p;

    if (event == VIRTIO_CONSOLE_DEVICE_READY) {
        if (value == 0) {
            log_guest_fault("%s: the driver could not set the device up", c->dev.id);
            return;
        }
        c->ready = true;
        for (unsigned i = 0; i < c->max_ports; i++) {
            if (c->ports[i].present)
                c->ports[i].tell |= TELL_ADD;
        }
        return;
    }
    if (nr >= c->max_ports || !c->ports[nr].present) {
        log_guest_fault("%s: control message %u about port %u, which does not exist", c->dev.id, event, nr);
        return;
    }
    p = &c->ports[nr];
    if (event == VIRTIO_CONSOLE_PORT_READY) {
        if (value == 0) {
            log_guest_fault("%s: the driver could not set port %u up", c->dev.id, nr);
            return;
        }
        p->guest_ready = true;
        p->tell |= (p->is_console ? TELL_CONSOLE : 0) | (p->name[0] ? TELL_NAME : 0) | TELL_OPEN;
    } else if (event == VIRTIO_CONSOLE_PORT_OPEN) {
        port_changed(p, value != 0);
    }
}

static void control_kick(Console *c, Virtqueue *vq)
{
    struct iovec iov[BUFFERS_MAX];
    VirtqElem elem = {.iov = iov, .iov_max = BUFFERS_MAX};

    do {
        virtqueue_disable_notify(vq);
        while (virtqueue_pop(vq, &elem) > 0) {
            struct virtio_console_control message;

            if (iov_to_buffer(elem.iov, elem.out_count, 0, &message, sizeof message) == sizeof message)
                handle_control(c, &message);
            virtqueue_push(vq, &elem, 0);
        }
    } while (virtqueue_enable_notify(vq));
    virtqueue_notify(vq);
}

static void console_kick(VirtioDevice *dev, Virtqueue *vq)
{
    Console *c = (Console *)dev;
    unsigned index = virtqueue_index(vq), nr = index < 2 ? 0 : index / 2 - 1;

    if (c->paused)
        return;
    if (index == CONTROL_TX) {
        control_kick(c, vq);
        send_pending(c);
    } else if (index == CONTROL_RX) {
        send_pending(c);
    } else if (nr < c->max_ports && c->ports[nr].present) {
        if (index & 1)
            port_output(&c->ports[nr]);
        else if (c->ports[nr].chardev != NULL)
            chardev_accept_input(c->ports[nr].chardev);
    }
}

/* --- life -------------------------------------------------------------------------------------------------- */

static int console_activate(VirtioDevice *dev)
{
    Console *c = (Console *)dev;

    c->ready = false;
    for (unsigned i = 0; i < c->max_ports; i++) {
        c->ports[i].tell = 0;
        c->ports[i].guest_ready = false;
        c->ports[i].out_done = 0;
        c->ports[i].out_blocked = false;
    }
    /* A driver without ports of its own sees port 0 open all the time. */
    if (!multiport(c) && c->ports[0].present)
        port_changed(&c->ports[0], true);
    return 0;
}

static void console_deactivate(VirtioDevice *dev)
{
    Console *c = (Console *)dev;

    c->ready = false;
    for (unsigned i = 0; i < c->max_ports; i++) {
        loop_defer_cancel(&c->ports[i].more_out);
        if (c->ports[i].present)
            port_changed(&c->ports[i], false);
    }
}

static void console_set_running(VirtioDevice *dev, bool running)
{
    Console *c = (Console *)dev;

    c->paused = !running;
    if (!running || !dev->active)
        return;
    for (unsigned i = 0; i < c->max_ports; i++) {
        if (c->ports[i].present) {
            port_output(&c->ports[i]);
            if (c->ports[i].chardev != NULL)
                chardev_accept_input(c->ports[i].chardev);
        }
    }
    control_kick(c, virtio_queue(dev, CONTROL_TX));
    send_pending(c);
}

static void drop_port(Port *p)
{
    if (p->chardev != NULL)
        chardev_attach(p->chardev, NULL, NULL);
    loop_defer_cancel(&p->more_out);
    p->chardev = NULL;
    p->present = false;
}

static void console_free(VirtioDevice *dev)
{
    Console *c = (Console *)dev;

    for (unsigned i = 0; i < c->max_ports; i++)
        drop_port(&c->ports[i]);
}

static const VirtioDeviceOps console_ops = {
    .name = "virtio-serial",
    .type = VIRTIO_TYPE_CONSOLE,
    .pci_class = 0x078000,
    .state_size = sizeof(Console),
    .activate = console_activate,
    .deactivate = console_deactivate,
    .kick = console_kick,
    .set_running = console_set_running,
    .free = console_free,
};

int console_create(Props *props, DeviceHost *host, VirtioDevice **ret, Err *err)
{
    uint16_t sizes[2 * (PORTS_MAX + 1)];
    struct virtio_console_config config = {0};
    VirtioDevice *dev;
    uint64_t max_ports;
    Console *c;
    int r = props_uint(props, "max_ports", 1, PORTS_MAX, PORTS_MAX, &max_ports, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        sizes[i] = i == CONTROL_RX || i == CONTROL_TX ? 32 : QUEUE_SIZE;
    r = virtio_device_new(&console_ops, props_id(props), host, host->main_loop, sizes, 2 * ((unsigned)max_ports + 1),
                          &dev, err);
    if (r < 0)
        return r;
    c = (Console *)dev;
    c->max_ports = (unsigned)max_ports;
    for (unsigned i = 0; i < c->max_ports; i++) {
        c->ports[i].console = c;
        c->ports[i].nr = i;
        loop_defer_init(host->main_loop, &c->ports[i].more_out, more_output, &c->ports[i]);
    }
    config.max_nr_ports = htole32(c->max_ports);
    virtio_config_set(dev, 0, &config, sizeof config);
    dev->offered = VIRTIO_BIT(VIRTIO_CONSOLE_F_MULTIPORT);
    *ret = dev;
    return 0;
}

static int choose_number(Console *c, bool is_console, uint64_t wanted, Err *err)
{
    unsigned first = is_console ? 0 : 1;

    if (wanted != UINT32_MAX) {
        if (wanted >= c->max_ports)
            return err_set(err, EINVAL, "virtio-serial-bus: Out-of-range port id specified, max. allowed: %u",
                           c->max_ports - 1);
        if (c->ports[wanted].present)
            return err_set(err, EEXIST, "virtio-serial-bus: A port already exists at id %u", (unsigned)wanted);
        /* Port 0 is a console for drivers without ports of their own. */
        if (wanted == 0 && !is_console)
            return err_set(err, EINVAL, "Port number 0 on virtio-serial devices reserved for virtconsole devices for "
                                        "backward compatibility.");
        return (int)wanted;
    }
    for (unsigned i = first; i < c->max_ports; i++) {
        if (!c->ports[i].present && !(c->ports[i].tell & TELL_REMOVE))
            return (int)i;
    }
    return err_set(err, ENOSPC, "virtio-serial-bus: Maximum port limit for this device reached");
}

int console_add_child(VirtioDevice *dev, Props *props, Err *err)
{
    Console *c = (Console *)dev;
    const char *driver, *chardev, *name;
    bool is_console;
    uint64_t wanted;
    Chardev *back;
    Port *p;
    int r;

    if ((r = props_string(props, "driver", "", &driver, err)) < 0 ||
        (r = props_string(props, "chardev", NULL, &chardev, err)) < 0 ||
        (r = props_string(props, "name", "", &name, err)) < 0 ||
        (r = props_uint(props, "nr", 0, UINT32_MAX, UINT32_MAX, &wanted, err)) < 0)
        return r;
    is_console = strcmp(driver, "virtconsole") == 0;
    if (!is_console && strcmp(driver, "virtserialport") != 0)
        return err_set(err, EINVAL, "'%s' is not a device for a virtio-serial-bus", driver);
    if (strlen(name) > NAME_MAX_LEN)
        return err_set(err, EINVAL, "%s %s: the name of a port has at most %d bytes", driver, props_id(props),
                       NAME_MAX_LEN);
    if ((r = props_finish(props, err)) < 0 || (r = choose_number(c, is_console, wanted, err)) < 0)
        return r;
    p = &c->ports[r];
    back = chardev ? dev->host->chardev(dev->host, chardev) : NULL;
    if (chardev != NULL && back == NULL)
        return err_set(err, ENOENT, "%s %s: chardev '%s' does not exist", driver, props_id(props), chardev);
    if (back != NULL && chardev_in_use(back))
        return err_set(err, EBUSY, "%s %s: chardev '%s' is in use", driver, props_id(props), chardev);
    p->present = true;
    p->is_console = is_console;
    p->guest_open = p->guest_ready = p->host_open = false;
    p->out_done = 0;
    p->out_blocked = false;
    snprintf(p->id, sizeof p->id, "%s", props_id(props));
    snprintf(p->name, sizeof p->name, "%s", name);
    p->tell = c->ready ? TELL_ADD : 0;
    p->chardev = back;
    if (back != NULL) {
        chardev_attach(back, &port_user, p);
        if (!is_console)
            chardev_set_frontend_open(back, false);
    }
    send_pending(c);
    return 0;
}

int console_remove_child(VirtioDevice *dev, const char *child_id, Err *err)
{
    Console *c = (Console *)dev;

    for (unsigned i = 0; i < c->max_ports; i++) {
        Port *p = &c->ports[i];

        if (!p->present || strcmp(p->id, child_id) != 0)
            continue;
        port_changed(p, false);
        drop_port(p);
        p->tell = c->ready ? TELL_REMOVE : 0;
        send_pending(c);
        return 0;
    }
    return err_set(err, ENOENT, "Device '%s' not found", child_id);
}
