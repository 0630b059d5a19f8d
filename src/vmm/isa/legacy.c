/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keyboard controller as far as software resets the machine with it; system control port B; debug port; pvpanic (QEMU,
 * docs/specs/pvpanic). */
#include "vmm/isa/legacy.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "vmm/arch/x86_64/layout.h"
#include "vmm/log.h"

enum { PVPANIC_EVENTS = 3 }; /* panicked, crash loaded */

struct Legacy {
    Bus *bus;
    LegacyHost host;
    BusRange data, control, command, debug, panic;
    pthread_mutex_t lock;
    char line[200];
    unsigned len;
};

static uint64_t zero_read(void *opaque, uint64_t offset, unsigned len)
{
    (void)opaque;
    (void)offset;
    (void)len;
    return 0; /* status: both buffers empty */
}

/* Port 0x61: an NMI comes from no failed bus (bits 6 and 7), so that a guest takes one for what whoever injects it means by
 * it: stop and dump. The timer's output is high: what waits for it goes on. */
static uint64_t control_read(void *opaque, uint64_t offset, unsigned len)
{
    (void)opaque;
    (void)offset;
    (void)len;
    return 0x20;
}

static void command_write(void *opaque, uint64_t offset, uint64_t value, unsigned len)
{
    Legacy *legacy = opaque;

    (void)offset;
    (void)len;
    if ((value & 0xff) == 0xfe)
        legacy->host.reset(legacy->host.opaque);
}

static uint64_t debug_read(void *opaque, uint64_t offset, unsigned len)
{
    (void)opaque;
    (void)offset;
    (void)len;
    return 0xe9; /* says that the port is there */
}

static void debug_write(void *opaque, uint64_t offset, uint64_t value, unsigned len)
{
    Legacy *legacy = opaque;
    char c = (char)value;

    (void)offset;
    (void)len;
    pthread_mutex_lock(&legacy->lock);
    if (c != '\n' && c != '\r')
        legacy->line[legacy->len++] = c >= ' ' && c < 127 ? c : '?';
    if ((c == '\n' && legacy->len > 0) || legacy->len == sizeof legacy->line) {
        log_guest_fault("debug port: %.*s", (int)legacy->len, legacy->line);
        legacy->len = 0;
    }
    pthread_mutex_unlock(&legacy->lock);
}

static uint64_t panic_read(void *opaque, uint64_t offset, unsigned len)
{
    (void)opaque;
    (void)offset;
    (void)len;
    return PVPANIC_EVENTS;
}

static void panic_write(void *opaque, uint64_t offset, uint64_t value, unsigned len)
{
    Legacy *legacy = opaque;

    (void)offset;
    (void)len;
    if (value & PVPANIC_EVENTS)
        legacy->host.panicked(legacy->host.opaque, value & PVPANIC_EVENTS);
}

static const BusOps data_ops = {.read = zero_read};
static const BusOps control_ops = {.read = control_read};
static const BusOps command_ops = {.read = zero_read, .write = command_write};
static const BusOps debug_ops = {.read = debug_read, .write = debug_write};
static const BusOps panic_ops = {.read = panic_read, .write = panic_write};

int legacy_new(Bus *bus, const LegacyHost *host, Legacy **ret, Err *err)
{
    Legacy *legacy = calloc(1, sizeof *legacy);

    if (legacy == NULL)
        return err_set(err, ENOMEM, "out of memory");
    legacy->bus = bus;
    legacy->host = *host;
    pthread_mutex_init(&legacy->lock, NULL);
    if (bus_add(bus, BUS_PIO, 0x60, 1, &data_ops, legacy, "keyboard data", &legacy->data) < 0 ||
        bus_add(bus, BUS_PIO, 0x61, 1, &control_ops, legacy, "system control", &legacy->control) < 0 ||
        bus_add(bus, BUS_PIO, 0x64, 1, &command_ops, legacy, "keyboard command", &legacy->command) < 0 ||
        bus_add(bus, BUS_PIO, 0x402, 1, &debug_ops, legacy, "debug port", &legacy->debug) < 0 ||
        bus_add(bus, BUS_PIO, PVPANIC_PORT, 1, &panic_ops, legacy, "pvpanic", &legacy->panic) < 0) {
        legacy_free(legacy);
        return err_set(err, EEXIST, "legacy devices: a port is taken");
    }
    *ret = legacy;
    return 0;
}

void legacy_free(Legacy *legacy)
{
    if (legacy == NULL)
        return;
    bus_remove(legacy->bus, &legacy->data);
    bus_remove(legacy->bus, &legacy->control);
    bus_remove(legacy->bus, &legacy->command);
    bus_remove(legacy->bus, &legacy->debug);
    bus_remove(legacy->bus, &legacy->panic);
    pthread_mutex_destroy(&legacy->lock);
    free(legacy);
}
