/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* 16550A UART (National Semiconductor PC16550D), up to four at the usual ports and interrupts. */
#pragma once

#include "common/err.h"
#include "vmm/bus.h"
#include "vmm/chardev/chardev.h"
#include "vmm/irq.h"

#define SERIAL_PORTS 4

typedef struct Serial Serial;

/* index 0..3 is COM1..COM4; chardev may be NULL. Main thread. */
int serial_new(Bus *bus, Irq *irq, unsigned index, Chardev *chardev, Serial **ret, Err *err);
void serial_free(Serial *serial);
void serial_reset(Serial *serial);
uint16_t serial_port(unsigned index);
unsigned serial_gsi(unsigned index);
