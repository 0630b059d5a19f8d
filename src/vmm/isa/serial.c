/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * 16550A. Registers are touched by vCPU threads, input and room for output come on the main loop: all under
 * the lock. Output goes to the chardev at once; when that takes nothing, the byte waits and the transmitter
 * looks busy.
 */
#include "vmm/isa/serial.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"

enum { IER_RX = 1, IER_TX = 2, IER_LINE = 4, IER_MODEM = 8 };
enum { IIR_NONE = 1, IIR_TX = 2, IIR_RX = 4, IIR_TIMEOUT = 12, IIR_FIFO = 0xc0 };
enum { LCR_DLAB = 0x80 };
enum { LSR_DR = 1, LSR_OE = 2, LSR_THRE = 0x20, LSR_TEMT = 0x40 };
enum { MCR_OUT2 = 8, MCR_LOOP = 16 };
enum { FIFO_SIZE = 16 };

struct Serial {
    Bus *bus;
    Irq *irq;
    Chardev *chardev;
    unsigned index;
    BusRange range;
    pthread_mutex_t lock;
    uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
    bool overrun, tx_pending_irq, line_level;
    uint8_t fifo[FIFO_SIZE];
    unsigned fifo_head, fifo_count;
    bool tx_blocked;
    uint8_t tx_byte;
};

static const struct {
    uint16_t port;
    uint8_t gsi;
} places[SERIAL_PORTS] = {{0x3f8, 4}, {0x2f8, 3}, {0x3e8, 4}, {0x2e8, 3}};

uint16_t serial_port(unsigned index)
{
    return places[index].port;
}

unsigned serial_gsi(unsigned index)
{
    return places[index].gsi;
}

static unsigned fifo_limit(const Serial *s)
{
    return s->fcr & 1 ? FIFO_SIZE : 1;
}

/* Under the lock. */
static void update_irq(Serial *s)
{
    bool level = ((s->ier & IER_RX) && s->fifo_count > 0) || ((s->ier & IER_TX) && s->tx_pending_irq) ||
                 ((s->ier & IER_LINE) && s->overrun);

    if (level != s->line_level) {
        s->line_level = level;
        irq_line_set(s->irq, places[s->index].gsi, level);
    }
}

static bool push(Serial *s, uint8_t byte)
{
    if (s->fifo_count >= fifo_limit(s)) {
        s->overrun = true;
        return false;
    }
    s->fifo[(s->fifo_head + s->fifo_count++) % FIFO_SIZE] = byte;
    return true;
}

static uint8_t pop(Serial *s)
{
    uint8_t byte = 0;

    if (s->fifo_count > 0) {
        byte = s->fifo[s->fifo_head];
        s->fifo_head = (s->fifo_head + 1) % FIFO_SIZE;
        s->fifo_count--;
    }
    return byte;
}

static uint8_t modem_status(const Serial *s)
{
    if (!(s->mcr & MCR_LOOP))
        return 0xb0; /* carrier, data set ready, clear to send */
    /* Loop-back: DTR->DSR, RTS->CTS, OUT1->RI, OUT2->DCD */
    return (uint8_t)((s->mcr & 1) << 5 | (s->mcr & 2) << 3 | (s->mcr & 4) << 4 | (s->mcr & 8) << 4);
}

static uint8_t interrupt_id(Serial *s)
{
    uint8_t id = IIR_NONE;

    if ((s->ier & IER_LINE) && s->overrun)
        id = 6;
    else if ((s->ier & IER_RX) && s->fifo_count > 0)
        id = s->fcr & 1 ? IIR_TIMEOUT : IIR_RX;
    else if ((s->ier & IER_TX) && s->tx_pending_irq)
        id = IIR_TX;
    if (id == IIR_TX) {
        s->tx_pending_irq = false;
        update_irq(s);
    }
    return (uint8_t)(id | (s->fcr & 1 ? IIR_FIFO : 0));
}

static void transmit(Serial *s, uint8_t byte)
{
    if (s->mcr & MCR_LOOP) {
        push(s, byte);
    } else if (s->chardev != NULL && chardev_write(s->chardev, &byte, 1) == 0) {
        s->tx_byte = byte;
        s->tx_blocked = true;
        return;
    }
    s->tx_pending_irq = true;
}

static uint64_t serial_read(void *opaque, uint64_t offset, unsigned len)
{
    Serial *s = opaque;
    bool accept = false;
    uint8_t value = 0;

    (void)len;
    pthread_mutex_lock(&s->lock);
    switch (offset) {
    case 0:
        if (s->lcr & LCR_DLAB) {
            value = s->dll;
        } else {
            value = pop(s);
            accept = s->fifo_count == 0;
            update_irq(s);
        }
        break;
    case 1:
        value = s->lcr & LCR_DLAB ? s->dlm : s->ier;
        break;
    case 2:
        value = interrupt_id(s);
        break;
    case 3:
        value = s->lcr;
        break;
    case 4:
        value = s->mcr;
        break;
    case 5:
        value = (uint8_t)((s->fifo_count > 0 ? LSR_DR : 0) | (s->overrun ? LSR_OE : 0) |
                          (s->tx_blocked ? 0 : LSR_THRE | LSR_TEMT));
        s->overrun = false;
        update_irq(s);
        break;
    case 6:
        value = modem_status(s);
        break;
    default:
        value = s->scr;
        break;
    }
    pthread_mutex_unlock(&s->lock);
    if (accept && s->chardev != NULL)
        chardev_accept_input(s->chardev);
    return value;
}

static void serial_write(void *opaque, uint64_t offset, uint64_t value64, unsigned len)
{
    Serial *s = opaque;
    uint8_t value = (uint8_t)value64;

    (void)len;
    pthread_mutex_lock(&s->lock);
    switch (offset) {
    case 0:
        if (s->lcr & LCR_DLAB)
            s->dll = value;
        else if (!s->tx_blocked)
            transmit(s, value);
        break;
    case 1:
        if (s->lcr & LCR_DLAB) {
            s->dlm = value;
        } else {
            /* Switching the transmit interrupt on with an empty transmitter raises it. */
            if ((value & IER_TX) && !(s->ier & IER_TX) && !s->tx_blocked)
                s->tx_pending_irq = true;
            s->ier = value & 15;
        }
        break;
    case 2:
        if ((value ^ s->fcr) & 1 || value & 2)
            s->fifo_count = 0;
        s->fcr = value & 0xc9;
        break;
    case 3:
        s->lcr = value;
        break;
    case 4:
        s->mcr = value & 31;
        break;
    case 7:
        s->scr = value;
        break;
    default:
        break;
    }
    update_irq(s);
    pthread_mutex_unlock(&s->lock);
}

static const BusOps serial_ops = {.read = serial_read, .write = serial_write};

/* --- the chardev's side: main loop
 * ---------------------------------------------------------------------------- */

static size_t can_receive(void *opaque)
{
    Serial *s = opaque;
    size_t room;

    pthread_mutex_lock(&s->lock);
    room = s->mcr & MCR_LOOP ? 0 : fifo_limit(s) - MIN(s->fifo_count, fifo_limit(s));
    pthread_mutex_unlock(&s->lock);
    return room;
}

static void receive(void *opaque, const uint8_t *data, size_t len)
{
    Serial *s = opaque;

    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < len; i++)
        push(s, data[i]);
    update_irq(s);
    pthread_mutex_unlock(&s->lock);
}

static void writable(void *opaque)
{
    Serial *s = opaque;

    pthread_mutex_lock(&s->lock);
    if (s->tx_blocked && chardev_write(s->chardev, &s->tx_byte, 1) == 1) {
        s->tx_blocked = false;
        s->tx_pending_irq = true;
        update_irq(s);
    }
    pthread_mutex_unlock(&s->lock);
}

static const ChardevUser chardev_user = {
    .can_receive = can_receive, .receive = receive, .writable = writable};

void serial_reset(Serial *s)
{
    pthread_mutex_lock(&s->lock);
    s->ier = s->fcr = s->lcr = s->mcr = s->scr = s->dlm = 0;
    s->dll = 12;
    s->fifo_count = 0;
    s->overrun = s->tx_pending_irq = s->tx_blocked = false;
    update_irq(s);
    pthread_mutex_unlock(&s->lock);
}

int serial_new(Bus *bus, Irq *irq, unsigned index, Chardev *chardev, Serial **ret, Err *err)
{
    Serial *s = calloc(1, sizeof *s);
    int r;

    if (s == NULL)
        return err_set(err, ENOMEM, "out of memory");
    pthread_mutex_init(&s->lock, NULL);
    s->bus = bus;
    s->irq = irq;
    s->index = index;
    s->chardev = chardev;
    s->dll = 12;
    r = bus_add(bus, BUS_PIO, places[index].port, 8, &serial_ops, s, "serial", &s->range);
    if (r == 0 && chardev != NULL)
        r = chardev_attach(chardev, &chardev_user, s);
    if (r < 0) {
        serial_free(s);
        return err_set(err, -r, "serial port %u: %s", index, strerror(-r));
    }
    *ret = s;
    return 0;
}

void serial_free(Serial *s)
{
    if (s == NULL)
        return;
    bus_remove(s->bus, &s->range);
    if (s->chardev != NULL)
        chardev_attach(s->chardev, NULL, NULL);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
