/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The watchdog of Intel's 6300ESB, which Linux drives (i6300esb.ko): two stages of one countdown. The guest gives a
 * preload for each and "pings"; when the second stage runs out the host does what the machine says.
 */
#pragma once

#include "vmm/loop.h"
#include "vmm/pci/pci.h"

typedef struct WatchdogHost {
    Loop *loop; /* the main loop: the countdown runs here */
    void (*expired)(void *opaque); /* on that loop, once a countdown that may reboot has run out */
    void *opaque;
} WatchdogHost;

/* The device, not yet attached; its free op frees it. */
int i6300esb_new(const char *id, const WatchdogHost *host, PciDevice **ret, Err *err);
