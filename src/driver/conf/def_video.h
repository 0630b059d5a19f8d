/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <video>: formatdomain, "Video devices". */
#pragma once

#include "driver/conf/device_def.h"

typedef enum {
    VIDEO_DEFAULT = 0,
    VIDEO_VGA,
    VIDEO_CIRRUS,
    VIDEO_VMVGA,
    VIDEO_XEN,
    VIDEO_VBOX,
    VIDEO_QXL,
    VIDEO_PARALLELS,
    VIDEO_VIRTIO,
    VIDEO_GOP,
    VIDEO_NONE,
    VIDEO_BOCHS,
    VIDEO_RAMFB,
    VIDEO_LAST
} VideoModel;
ENUM_TABLE_DECL(video_model, VideoModel)

typedef enum { VIDEO_DRIVER_DEFAULT = 0, VIDEO_DRIVER_QEMU, VIDEO_DRIVER_VHOSTUSER, VIDEO_DRIVER_LAST } VideoDriver;
ENUM_TABLE_DECL(video_driver, VideoDriver)

typedef enum { VGACONF_NONE = 0, VGACONF_IO, VGACONF_ON, VGACONF_OFF, VGACONF_LAST } VideoVgaconf;
ENUM_TABLE_DECL(video_vgaconf, VideoVgaconf)

typedef struct {
    DeviceInfo info;
    VideoModel model;
    guint ram, vram, vram64, vgamem; /* KiB; 0: default */
    guint heads;                     /* 0: default */
    gboolean primary;
    gboolean has_acceleration;
    Tristate accel3d, accel2d;
    char *rendernode;
    gboolean has_resolution;
    guint res_x, res_y;
    VideoDriver driver;
    VideoVgaconf vgaconf;
    VirtioOptions virtio;
} VideoDef;

extern const DeviceDefOps video_def_ops;
