/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <os> and <sysinfo> of a domain. Source: libvirt docs/formatdomain.rst, "Operating system booting",
 * "SMBIOS System Information".
 */
#pragma once

#include "common/enum_table.h"
#include "common/xml.h"

typedef enum { BOOT_FLOPPY = 0, BOOT_CDROM, BOOT_DISK, BOOT_NETWORK, BOOT_LAST } BootDevice;
ENUM_TABLE_DECL(boot_device, BootDevice) /* fd cdrom hd network */

typedef enum { FIRMWARE_NONE = 0, FIRMWARE_BIOS, FIRMWARE_EFI, FIRMWARE_LAST } Firmware;
ENUM_TABLE_DECL(firmware, Firmware)

typedef enum {
    FIRMWARE_FEATURE_ENROLLED_KEYS = 0,
    FIRMWARE_FEATURE_SECURE_BOOT,
    FIRMWARE_FEATURE_LAST
} FirmwareFeature;
ENUM_TABLE_DECL(firmware_feature, FirmwareFeature)

typedef enum { LOADER_NONE = 0, LOADER_ROM, LOADER_PFLASH, LOADER_LAST } LoaderType;
ENUM_TABLE_DECL(loader_type, LoaderType)

typedef enum { SMBIOS_NONE = 0, SMBIOS_EMULATE, SMBIOS_HOST, SMBIOS_SYSINFO, SMBIOS_LAST } SmbiosMode;
ENUM_TABLE_DECL(smbios_mode, SmbiosMode)

/* <loader>, <nvram> */
typedef struct LoaderDef {
    gboolean given; /* a <loader> or <nvram> element stood there */
    char *path;
    Tristate readonly, secure, stateless;
    LoaderType type;
    char *nvram_template;
    gboolean nvram_given;
    char *nvram_type; /* <nvram type=>: "file", "block"; NULL: old style, path is the text */
    char *nvram_path;
} LoaderDef;

typedef struct OsDef {
    char *type; /* "hvm" */
    char *arch; /* "x86_64" */
    char *machine; /* canonical after defaults */
    Firmware firmware;
    gboolean firmware_features_given;
    Tristate firmware_features[FIRMWARE_FEATURE_LAST];
    LoaderDef loader;
    char *kernel, *initrd, *cmdline, *dtb, *root, *slic_table;
    guint n_boot;
    BootDevice boot[BOOT_LAST];
    Tristate bootmenu;
    gboolean bootmenu_timeout_set;
    guint bootmenu_timeout; /* ms */
    Tristate bios_useserial;
    gboolean bios_reboot_timeout_set;
    int bios_reboot_timeout; /* ms; -1: never */
    SmbiosMode smbios;
} OsDef;

struct DomainDef;
/* def->os from the <os> child of a domain. */
gboolean os_def_parse(OsDef *os, xmlNodePtr domain, GError **error);
void os_def_format(XmlWriter *w, const OsDef *os);
void os_def_clear(OsDef *os);
gboolean os_def_is_q35(const OsDef *os);
gboolean os_def_is_i440fx(const OsDef *os);

/* --- <sysinfo> --- */

typedef struct SysinfoEntry {
    char *block; /* "bios", "system", "baseBoard", "chassis", "oemStrings"; fwcfg: "entry" */
    guint index; /* which of several baseBoards */
    char *name; /* NULL: oemStrings */
    char *value; /* NULL: fwcfg from a file */
    char *file;
} SysinfoEntry;

typedef struct SysinfoDef {
    gboolean fwcfg; /* else smbios */
    GArray *entries; /* SysinfoEntry, in the order libvirt writes them */
} SysinfoDef;

SysinfoDef *sysinfo_def_new(gboolean fwcfg);
void sysinfo_def_free(SysinfoDef *sysinfo);
SysinfoDef *sysinfo_def_parse(xmlNodePtr node, const guint8 *domain_uuid, gboolean *ret_uuid_is_used,
                              GError **error);
void sysinfo_def_format(XmlWriter *w, const SysinfoDef *sysinfo);
/* The value of block/name (first one), or NULL. */
const char *sysinfo_def_get(const SysinfoDef *sysinfo, const char *block, const char *name);
