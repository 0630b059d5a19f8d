/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <serial>, <parallel>, <console>, <channel>: formatdomain, "Consoles, serial, parallel & channel devices". */
#pragma once

#include "driver/conf/def_chr_source.h"
#include "driver/conf/device_def.h"

typedef enum {
    SERIAL_TARGET_NONE = 0,
    SERIAL_TARGET_ISA,
    SERIAL_TARGET_USB,
    SERIAL_TARGET_PCI,
    SERIAL_TARGET_SPAPR_VIO,
    SERIAL_TARGET_SYSTEM,
    SERIAL_TARGET_SCLP,
    SERIAL_TARGET_ISA_DEBUG,
    SERIAL_TARGET_LAST
} SerialTarget;
ENUM_TABLE_DECL(serial_target, SerialTarget)

typedef enum {
    SERIAL_MODEL_NONE = 0,
    SERIAL_MODEL_ISA_SERIAL,
    SERIAL_MODEL_USB_SERIAL,
    SERIAL_MODEL_PCI_SERIAL,
    SERIAL_MODEL_SPAPR_VTY,
    SERIAL_MODEL_PL011,
    SERIAL_MODEL_SCLPCONSOLE,
    SERIAL_MODEL_SCLPLMCONSOLE,
    SERIAL_MODEL_16550A,
    SERIAL_MODEL_ISA_DEBUGCON,
    SERIAL_MODEL_LAST
} SerialModel;
ENUM_TABLE_DECL(serial_model, SerialModel)

typedef enum {
    CONSOLE_TARGET_NONE = 0,
    CONSOLE_TARGET_SERIAL,
    CONSOLE_TARGET_XEN,
    CONSOLE_TARGET_UML,
    CONSOLE_TARGET_VIRTIO,
    CONSOLE_TARGET_LXC,
    CONSOLE_TARGET_OPENVZ,
    CONSOLE_TARGET_SCLP,
    CONSOLE_TARGET_SCLPLM,
    CONSOLE_TARGET_LAST
} ConsoleTarget;
ENUM_TABLE_DECL(console_target, ConsoleTarget)

typedef enum {
    CHANNEL_TARGET_NONE = 0,
    CHANNEL_TARGET_GUESTFWD,
    CHANNEL_TARGET_VIRTIO,
    CHANNEL_TARGET_XEN,
    CHANNEL_TARGET_LAST
} ChannelTarget;
ENUM_TABLE_DECL(channel_target, ChannelTarget)

/* Live only: whether the guest has opened the port. */
typedef enum {
    CHANNEL_STATE_DEFAULT = 0,
    CHANNEL_STATE_CONNECTED,
    CHANNEL_STATE_DISCONNECTED,
    CHANNEL_STATE_LAST
} ChannelState;
ENUM_TABLE_DECL(channel_state, ChannelState)

typedef struct {
    DeviceInfo info; /* info.kind says which of the four it is */
    ChrSource source;
    union { /* by kind; parallel has none */
        SerialTarget serial;
        ConsoleTarget console;
        ChannelTarget channel;
        int any;
    } target;
    SerialModel model; /* serial: <target><model name=…/></target> */
    int port;          /* serial, parallel, console, guestfwd; -1: to be given */
    char *name;        /* channel virtio: e.g. org.qemu.guest_agent.0 */
    char *address;     /* channel guestfwd: address the guest connects to */
    ChannelState state;
} ChrDef;

/* A console that is only the other name of the first serial port. */
gboolean chr_is_serial_console(const ChrDef *def);

extern const DeviceDefOps serial_def_ops;
extern const DeviceDefOps parallel_def_ops;
extern const DeviceDefOps console_def_ops;
extern const DeviceDefOps channel_def_ops;
