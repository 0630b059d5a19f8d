/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SMBIOS tables (DSP0134 3.0): what the guest's DMI shows about the machine. Pure: bytes come out. The entry point lies
 * at their start, where a guest without EFI looks for it (5.2.2: on 16 bytes between 0xf0000 and 0xfffff).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* Texts that a description may set; what it leaves NULL has a default or is not specified. */
typedef enum SmbiosText {
    SMBIOS_BIOS_VENDOR,
    SMBIOS_BIOS_VERSION,
    SMBIOS_BIOS_DATE,
    SMBIOS_SYSTEM_MANUFACTURER,
    SMBIOS_SYSTEM_PRODUCT,
    SMBIOS_SYSTEM_VERSION,
    SMBIOS_SYSTEM_SERIAL,
    SMBIOS_SYSTEM_SKU,
    SMBIOS_SYSTEM_FAMILY,
    SMBIOS_BOARD_MANUFACTURER,
    SMBIOS_BOARD_PRODUCT,
    SMBIOS_BOARD_VERSION,
    SMBIOS_BOARD_SERIAL,
    SMBIOS_BOARD_ASSET,
    SMBIOS_CHASSIS_MANUFACTURER,
    SMBIOS_CHASSIS_VERSION,
    SMBIOS_CHASSIS_SERIAL,
    SMBIOS_CHASSIS_ASSET,
    SMBIOS_CHASSIS_SKU,
    SMBIOS_TEXT_LAST
} SmbiosText;

#define SMBIOS_TEXT_MAX 255
#define SMBIOS_OEM_MAX 16

typedef struct SmbiosConfig {
    const char *uuid; /* "" or NULL: not specified */
    const char *texts[SMBIOS_TEXT_LAST];
    const char *oem[SMBIOS_OEM_MAX]; /* OEM strings (type 11) */
    unsigned oem_count;
    uint64_t low_memory, high_memory; /* bytes below 3 GiB, and from 4 GiB on */
    unsigned sockets, cores, threads; /* cores a socket, threads a core */
    unsigned cpus; /* present at boot: later sockets are unpopulated */
} SmbiosConfig;

/* Tables at guest-physical address, entry point first. free() *ret. -E2BIG when they are longer than max. */
int smbios_build(const SmbiosConfig *config, uint64_t address, size_t max, uint8_t **ret, size_t *ret_len, Err *err);
