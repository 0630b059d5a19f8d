/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Registers (Intel 6300ESB I/O Controller Hub datasheet, chapter 16):
 *
 *   configuration space   0x60 word  bits 1:0 interrupt of stage 1, 2 fast clock, 5 no reboot after stage 2
 *                         0x68 byte  bit 0 locked until reset, 1 counting, 2 free running
 *   BAR 0, 16 bytes       0x00 long  preload of stage 1, 20 bits
 *                         0x04 long  preload of stage 2
 *                         0x08 long  interrupt status
 *                         0x0c word  write bit 8: start anew; bit 9: it has run out before (1 clears)
 *
 * A write to preloads and to bit 8 counts only right after 0x80 and 0x86 were written to 0x0c. The interrupt of stage 1
 * is not wired, as in QEMU; Linux's driver switches it off.
 *
 * Registers belong to vCPU threads, under `lock`; the timer to the main loop, which is told by a post, so that no vCPU
 * ever waits for it here. While the VM is paused the countdown stands still.
 */
#include "vmm/pci/i6300esb.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "vmm/pci/pci_internal.h"

enum { REG_CONFIG = 0x60, REG_LOCK = 0x68 };
enum { CONFIG_FAST = 1 << 2, CONFIG_NO_REBOOT = 1 << 5, CONFIG_WRITABLE = 0x27 };
enum { LOCK_LOCKED = 1, LOCK_ENABLE = 2, LOCK_FREE_RUN = 4 };
enum { BAR_PRELOAD1 = 0, BAR_PRELOAD2 = 4, BAR_RELOAD = 12, BAR_SIZE = 16 };
enum { UNLOCK_FIRST = 0x80, UNLOCK_SECOND = 0x86 };
/* Bit 12: where older Linux drivers look for it. */
enum { RELOAD_PING = 1 << 8, RELOAD_EXPIRED = 1 << 9, RELOAD_EXPIRED_OLD = 1 << 12 };
enum { PRELOAD_MAX = 0xfffff };
enum { TICK_NS = 30, SLOW_SHIFT = 15, FAST_SHIFT = 5 }; /* of the PCI clock */

typedef struct I6300esb {
    PciDevice pci;
    WatchdogHost host;
    char id[64];
    LoopTimer timer; /* main loop */
    LoopPost post;
    bool running; /* main loop */

    pthread_mutex_t lock; /* all below */
    uint32_t preload[2];
    unsigned unlock; /* words of the unlocking sequence seen */
    bool expired_before;
    unsigned stage; /* 0, 1 */
    bool counting;
    uint64_t deadline; /* CLOCK_MONOTONIC, while the VM runs */
    uint64_t left; /* nanoseconds, while it is paused */
} I6300esb;

/* --- the countdown ----------------------------------------------------------------------------------------- */

/* Under the lock. */
static void begin_stage(I6300esb *w, unsigned stage)
{
    unsigned shift = w->pci.config[REG_CONFIG] & CONFIG_FAST ? FAST_SHIFT : SLOW_SHIFT;

    w->stage = stage;
    w->counting = true;
    w->left = ((uint64_t)w->preload[stage] << shift) * TICK_NS;
    w->deadline = loop_now() + w->left;
    loop_post(w->host.loop, &w->post);
}

/* Main loop. */
static void set_timer(void *opaque)
{
    I6300esb *w = opaque;
    uint64_t deadline;
    bool counting;

    pthread_mutex_lock(&w->lock);
    counting = w->counting;
    deadline = w->deadline;
    pthread_mutex_unlock(&w->lock);
    if (counting && w->running)
        (void)loop_timer_set(&w->timer, deadline);
    else
        loop_timer_cancel(&w->timer);
}

static void expired(void *opaque)
{
    I6300esb *w = opaque;
    bool act = false;

    pthread_mutex_lock(&w->lock);
    if (w->counting && loop_now() >= w->deadline) {
        if (w->stage == 0) {
            begin_stage(w, 1);
        } else {
            w->counting = false;
            act = !(w->pci.config[REG_CONFIG] & CONFIG_NO_REBOOT);
            w->expired_before |= act;
            if (w->pci.config[REG_LOCK] & LOCK_FREE_RUN)
                begin_stage(w, 0);
        }
    }
    pthread_mutex_unlock(&w->lock);
    if (act)
        w->host.expired(w->host.opaque);
}

static void set_running(PciDevice *pci, bool running)
{
    I6300esb *w = (I6300esb *)pci;
    uint64_t now = loop_now();

    if (w->running == running)
        return;
    pthread_mutex_lock(&w->lock);
    if (running)
        w->deadline = now + w->left;
    else
        w->left = w->deadline > now ? w->deadline - now : 0;
    w->running = running;
    pthread_mutex_unlock(&w->lock);
    set_timer(w);
}

/* --- registers --------------------------------------------------------------------------------------------- */

static void config_write(PciDevice *pci, unsigned offset, unsigned len)
{
    I6300esb *w = (I6300esb *)pci;
    uint8_t value = pci->config[REG_LOCK];

    if (offset > REG_LOCK || offset + len <= REG_LOCK)
        return;
    pthread_mutex_lock(&w->lock);
    if (value & LOCK_LOCKED)
        pci->wmask[REG_LOCK] = 0;
    if (!(value & LOCK_ENABLE)) {
        w->counting = false;
        loop_post(w->host.loop, &w->post);
    } else if (!w->counting) {
        begin_stage(w, 0);
    }
    pthread_mutex_unlock(&w->lock);
}

static uint64_t bar_read(void *opaque, uint64_t offset, unsigned len)
{
    I6300esb *w = opaque;
    uint64_t value = 0;

    pthread_mutex_lock(&w->lock);
    if (offset == BAR_RELOAD && len >= 2 && w->expired_before)
        value = RELOAD_EXPIRED | RELOAD_EXPIRED_OLD;
    pthread_mutex_unlock(&w->lock);
    return value;
}

static void bar_write(void *opaque, uint64_t offset, uint64_t value, unsigned len)
{
    I6300esb *w = opaque;

    pthread_mutex_lock(&w->lock);
    if (offset == BAR_RELOAD && value == UNLOCK_FIRST) {
        w->unlock = 1;
    } else if (offset == BAR_RELOAD && value == UNLOCK_SECOND && w->unlock == 1) {
        w->unlock = 2;
    } else if (w->unlock == 2) {
        w->unlock = 0;
        if (offset == BAR_PRELOAD1 && len == 4)
            w->preload[0] = value & PRELOAD_MAX;
        else if (offset == BAR_PRELOAD2 && len == 4)
            w->preload[1] = value & PRELOAD_MAX;
        else if (offset == BAR_RELOAD && len >= 2) {
            if ((value & RELOAD_PING) && (w->pci.config[REG_LOCK] & LOCK_ENABLE))
                begin_stage(w, 0);
            if (value & (RELOAD_EXPIRED | RELOAD_EXPIRED_OLD))
                w->expired_before = false;
        }
    }
    pthread_mutex_unlock(&w->lock);
}

static const BusOps bar_ops = {.read = bar_read, .write = bar_write};

/* --- life -------------------------------------------------------------------------------------------------- */

/* That it has run out before survives, for the next kernel to see. */
static void reset(PciDevice *pci)
{
    I6300esb *w = (I6300esb *)pci;

    pthread_mutex_lock(&w->lock);
    w->counting = false;
    w->preload[0] = w->preload[1] = PRELOAD_MAX;
    w->unlock = 0;
    pci->wmask[REG_LOCK] = LOCK_LOCKED | LOCK_ENABLE | LOCK_FREE_RUN;
    pthread_mutex_unlock(&w->lock);
    set_timer(w);
}

static void free_device(PciDevice *pci)
{
    I6300esb *w = (I6300esb *)pci;

    loop_timer_cancel(&w->timer);
    loop_post_cancel(w->host.loop, &w->post);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

static const PciDeviceOps ops = {
    .config_write = config_write,
    .reset = reset,
    .set_running = set_running,
    .free = free_device,
};

int i6300esb_new(const char *id, const WatchdogHost *host, PciDevice **ret, Err *err)
{
    static const PciIds ids = {.vendor = 0x8086,
                               .device = 0x25ab,
                               .subsystem_vendor = 0x1af4,
                               .subsystem = 0x1100,
                               .class_code = 0x088000};
    I6300esb *w = calloc(1, sizeof *w);

    if (w == NULL)
        return err_set(err, ENOMEM, "out of memory");
    if (strlen(id) >= sizeof w->id) {
        free(w);
        return err_set(err, EINVAL, "i6300esb: its id is longer than %zu bytes", sizeof w->id - 1);
    }
    strncpy(w->id, id, sizeof w->id - 1);
    w->host = *host;
    w->running = true;
    w->post = (LoopPost){.run = set_timer, .opaque = w};
    pthread_mutex_init(&w->lock, NULL);
    loop_timer_init(host->loop, &w->timer, expired, w);
    pci_device_init(&w->pci, &ops, w->id, &ids);
    w->pci.wmask[REG_CONFIG] = CONFIG_WRITABLE;
    pci_bar_init(&w->pci, 0, BAR_SIZE, false, false, false, &bar_ops, w, w->id);
    reset(&w->pci);
    *ret = &w->pci;
    return 0;
}
