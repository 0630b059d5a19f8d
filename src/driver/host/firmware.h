/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Firmware images on this host, from QEMU's firmware descriptors (docs/interop/firmware.json): *.json below
 * /usr/share/qemu/firmware, overridden by files of the same name in /etc/qemu/firmware and, for an ordinary user's
 * daemon, in $XDG_CONFIG_HOME/qemu/firmware; in the order of their names. An empty file hides its namesakes. Read at
 * each call: installing a package takes effect at once. Any thread.
 */
#pragma once

#include <glib.h>

typedef enum { FIRMWARE_DEVICE_FLASH, FIRMWARE_DEVICE_MEMORY } FirmwareDevice;

typedef struct FirmwareImage {
    FirmwareDevice device;
    gboolean uefi, bios; /* what it offers to the guest */
    char *code;          /* the image */
    char *template;      /* of the variable store; NULL: the image has none of its own (stateless) */
    gboolean secure, enrolled_keys, requires_smm, s3, s4;
} FirmwareImage;

void firmware_image_free(FirmwareImage *firmware);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FirmwareImage, firmware_image_free)

/* What a guest asks of its firmware. Where a number is: 1 wanted, 0 not wanted, -1 no matter. */
typedef struct FirmwareWish {
    const char *arch, *machine; /* canonical */
    gboolean bios;              /* else UEFI */
    const char *code;           /* this image and no other, or NULL */
    int secure, enrolled_keys;
    gboolean smm, s3, s4; /* must have it */
    gboolean stateless;   /* without a variable store; else with one */
} FirmwareWish;

/* For tests: descriptors are looked for below this folder, images stay where they say. NULL: "/". */
void firmware_set_root(const char *root);

/* Paths (char *, freed with the array) of all UEFI flash images for an architecture and a canonical machine name. */
GPtrArray *firmware_loaders(const char *arch, const char *machine);
/* Is there one with Secure Boot? */
gboolean firmware_secure(const char *arch, const char *machine);
/* The first that fits, NULL when none does. */
FirmwareImage *firmware_find(const FirmwareWish *wish);
