/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * UEFI images on this host, from QEMU's firmware descriptors (docs/interop/firmware.json): *.json below
 * /usr/share/qemu/firmware, overridden by files of the same name in /etc/qemu/firmware, in the order of their names. Read
 * at each call: installing a package takes effect at once. Any thread.
 */
#pragma once

#include <glib.h>

typedef struct FirmwareImage {
    char *code;     /* the image */
    char *template; /* of the variable store; may be NULL: stateless */
    gboolean secure, enrolled_keys, requires_smm;
} FirmwareImage;

void firmware_image_free(FirmwareImage *firmware);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FirmwareImage, firmware_image_free)

/* Paths (char *, freed with the array) of all images for an architecture and a canonical machine name. */
GPtrArray *firmware_loaders(const char *arch, const char *machine);
/* Is there one with Secure Boot? */
gboolean firmware_secure(const char *arch, const char *machine);
/* The first that fits; secure and enrolled_keys: 1 wanted, 0 not wanted, -1 no matter. NULL with
 * VIR_ERR_OPERATION_FAILED "Unable to find any firmware to satisfy 'efi'". */
FirmwareImage *firmware_find(const char *arch, const char *machine, int secure, int enrolled_keys, GError **error);
