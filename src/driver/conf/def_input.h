/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <input>: formatdomain, "Input devices". */
#pragma once

#include "driver/conf/device_def.h"
#include "driver/conf/virtio_model.h"

typedef enum {
    INPUT_MOUSE = 0,
    INPUT_TABLET,
    INPUT_KEYBOARD,
    INPUT_PASSTHROUGH,
    INPUT_EVDEV,
    INPUT_LAST
} InputType;
ENUM_TABLE_DECL(input_type, InputType)

typedef enum {
    INPUT_BUS_DEFAULT = -1,
    INPUT_BUS_PS2 = 0,
    INPUT_BUS_USB,
    INPUT_BUS_XEN,
    INPUT_BUS_PARALLELS,
    INPUT_BUS_VIRTIO,
    INPUT_BUS_NONE, /* evdev: has no bus */
    INPUT_BUS_LAST
} InputBus;
ENUM_TABLE_DECL(input_bus, InputBus)

typedef enum { INPUT_GRAB_DEFAULT = 0, INPUT_GRAB_ALL, INPUT_GRAB_LAST } InputGrab;
ENUM_TABLE_DECL(input_grab, InputGrab)

typedef enum {
    GRAB_TOGGLE_DEFAULT = 0,
    GRAB_TOGGLE_CTRL_CTRL,
    GRAB_TOGGLE_ALT_ALT,
    GRAB_TOGGLE_SHIFT_SHIFT,
    GRAB_TOGGLE_META_META,
    GRAB_TOGGLE_SCROLLLOCK,
    GRAB_TOGGLE_CTRL_SCROLLLOCK,
    GRAB_TOGGLE_LAST
} InputGrabToggle;
ENUM_TABLE_DECL(input_grab_toggle, InputGrabToggle)

typedef struct {
    DeviceInfo info;
    InputType type;
    InputBus bus;
    VirtioModel model;
    char *evdev; /* passthrough, evdev: host device */
    InputGrab grab;
    InputGrabToggle grab_toggle;
    Tristate repeat;
    VirtioOptions virtio;
} InputDef;

/* The PS/2 mouse and keyboard that x86 machines have of themselves. */
gboolean input_is_builtin(const InputDef *def);

extern const DeviceDefOps input_def_ops;
