/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What every device of a domain has: its kind, alias, guest address, boot order, ROM. Each kind's struct
 * (DiskDef, InterfaceDef, ...) begins with a DeviceInfo named "info", so that a DeviceInfo * is the common
 * type of all devices. Source of the elements: libvirt docs/formatdomain.rst, "Device Addresses", "<boot>",
 * "<rom>".
 */
#pragma once

#include <glib.h>

#include "common/enum_table.h"
#include "common/xml.h"

/* In the order in which libvirt writes them below <devices>. */
typedef enum {
    DEVICE_DISK = 0, /* def_disk.h        DiskDef */
    DEVICE_CONTROLLER, /* def_controller.h  ControllerDef */
    DEVICE_LEASE, /* def_lease.h       LeaseDef */
    DEVICE_FILESYSTEM, /* def_filesystem.h  FilesystemDef */
    DEVICE_INTERFACE, /* def_interface.h   InterfaceDef */
    DEVICE_SMARTCARD, /* def_smartcard.h   SmartcardDef */
    DEVICE_SERIAL, /* def_chardev.h     ChardevDef, also the next three */
    DEVICE_PARALLEL,
    DEVICE_CONSOLE,
    DEVICE_CHANNEL,
    DEVICE_INPUT, /* def_input.h       InputDef */
    DEVICE_TPM, /* def_tpm.h         TpmDef */
    DEVICE_GRAPHICS, /* def_graphics.h    GraphicsDef */
    DEVICE_SOUND, /* def_sound.h       SoundDef */
    DEVICE_AUDIO, /* def_audio.h       AudioDef */
    DEVICE_VIDEO, /* def_video.h       VideoDef */
    DEVICE_HOSTDEV, /* def_hostdev.h     HostdevDef */
    DEVICE_REDIRDEV, /* def_redirdev.h    RedirdevDef */
    DEVICE_REDIRFILTER, /* def_redirfilter.h RedirfilterDef */
    DEVICE_HUB, /* def_hub.h         HubDef */
    DEVICE_WATCHDOG, /* def_watchdog.h    WatchdogDef */
    DEVICE_MEMBALLOON, /* def_memballoon.h  MemballoonDef */
    DEVICE_RNG, /* def_rng.h         RngDef */
    DEVICE_PANIC, /* def_panic.h       PanicDef */
    DEVICE_SHMEM, /* def_shmem.h       ShmemDef */
    DEVICE_MEMORY, /* def_memory.h      MemoryDef */
    DEVICE_IOMMU, /* def_iommu.h       IommuDef */
    DEVICE_VSOCK, /* def_vsock.h       VsockDef */
    DEVICE_CRYPTO, /* def_crypto.h      CryptoDef */
    DEVICE_KIND_LAST
} DeviceKind;
/* The element's name: "disk", "interface", ... */
ENUM_TABLE_DECL(device_kind, DeviceKind)

typedef enum {
    ADDRESS_NONE = 0,
    ADDRESS_PCI,
    ADDRESS_DRIVE,
    ADDRESS_VIRTIO_SERIAL,
    ADDRESS_CCID,
    ADDRESS_USB,
    ADDRESS_SPAPR_VIO,
    ADDRESS_VIRTIO_S390,
    ADDRESS_CCW,
    ADDRESS_VIRTIO_MMIO,
    ADDRESS_ISA,
    ADDRESS_DIMM,
    ADDRESS_UNASSIGNED,
    ADDRESS_LAST
} AddressType;
ENUM_TABLE_DECL(address_type, AddressType)

/* All zero means "not given": 0000:00:00.0 is never a guest device's address on bus 0 (it is the host
 * bridge). */
typedef struct PciAddress {
    guint domain; /* <= 0xffff */
    guint bus; /* <= 0xff: index of the pci controller */
    guint slot; /* <= 0x1f */
    guint function; /* <= 7 */
    Tristate multifunction;
    gboolean given; /* written in the XML or assigned; a given zero address is an error for most devices */
} PciAddress;

typedef struct DriveAddress {
    guint controller, bus, target, unit;
} DriveAddress;

typedef struct VirtioSerialAddress {
    guint controller, bus, port;
} VirtioSerialAddress;

typedef struct CcidAddress {
    guint controller, slot;
} CcidAddress;

#define USB_PORT_DEPTH 4
typedef struct UsbAddress {
    guint bus;
    guint port[USB_PORT_DEPTH]; /* a path through hubs, ended by 0 */
} UsbAddress;

typedef struct IsaAddress {
    guint iobase, irq; /* 0: not given */
} IsaAddress;

typedef struct DimmAddress {
    guint slot;
    guint64 base; /* 0: not given */
} DimmAddress;

typedef struct DeviceAddress {
    AddressType type;
    union {
        PciAddress pci;
        DriveAddress drive;
        VirtioSerialAddress vserial;
        CcidAddress ccid;
        UsbAddress usb;
        guint64 spapr_reg;
        IsaAddress isa;
        DimmAddress dimm;
    } u;
} DeviceAddress;

typedef struct DeviceInfo {
    DeviceKind kind;
    char *alias; /* set while running, or a user's "ua-..." */
    DeviceAddress address;
    /* <master startport=>: companion USB controllers. */
    gboolean usb_master;
    guint usb_master_startport;
    /* <rom enabled= bar= file=> */
    Tristate rom_enabled, rom_bar;
    char *rom_file;
    guint boot_index; /* <boot order=>, 0: none */
    guint effective_boot_index; /* also from <os><boot>: computed by domain_def_boot_order(), never written */
    char *loadparm;
    guint acpi_index; /* <acpi index=>, 0: none */
} DeviceInfo;

/* Flags of both parse calls, domain and device. */
typedef enum {
    DOMAIN_DEF_PARSE_INACTIVE = 1 << 0, /* drop what only a running domain has: ids, aliases, live ports */
    DOMAIN_DEF_PARSE_STATUS = 1 << 1, /* our own run-state file: keep and trust everything */
    DOMAIN_DEF_PARSE_VALIDATE_SCHEMA = 1 << 2, /* against domain.rng first */
    DOMAIN_DEF_PARSE_SKIP_VALIDATE = 1 << 3, /* loading what was accepted before */
    DOMAIN_DEF_PARSE_ABI_UPDATE = 1 << 4, /* new definition: newer defaults may be chosen */
    DOMAIN_DEF_PARSE_NO_RICH = 1 << 5 /* whatever the env says of defaults: the client counts on what libvirt adds */
} DomainDefParseFlags;

typedef enum {
    DOMAIN_DEF_FORMAT_SECURE = 1 << 0, /* with passwords */
    DOMAIN_DEF_FORMAT_INACTIVE = 1 << 1, /* no ids, aliases, live ports, actual sources */
    DOMAIN_DEF_FORMAT_MIGRATABLE = 1 << 2,
    DOMAIN_DEF_FORMAT_STATUS = 1 << 3, /* run-state file: everything */
    DOMAIN_DEF_FORMAT_UPDATE_CPU = 1 << 4 /* handled by the caller, who replaces def->cpu first */
} DomainDefFormatFlags;

/* A name that a user chose ("ua-..."), not one of ours. */
gboolean device_alias_is_user(const char *alias);

/* Frees what info points to (not info). */
void device_info_clear(DeviceInfo *info);

/* <address>, <alias>, <boot>, <rom>, <acpi>, <master> of a device's element. Aliases are kept for a user's
 * "ua-" and without PARSE_INACTIVE. Every device's parse calls it. VIR_ERR_XML_ERROR / XML_DETAIL. */
gboolean device_info_parse(DeviceInfo *info, xmlNodePtr node, guint parse_flags, GError **error);
/* The same elements, which libvirt writes last in a device's element: master, boot, alias, rom, acpi,
 * address. */
void device_info_format(XmlWriter *w, const DeviceInfo *info, guint format_flags);
/* Only <boot>: for the kinds that write it at another place (disk, interface, hostdev, redirdev write it
 * where device_info_format() puts it; nothing else needs this). */
#define DEVICE_INFO_FORMAT_NO_BOOT (1u << 16)
#define DEVICE_INFO_FORMAT_NO_ADDRESS (1u << 17)
#define DEVICE_INFO_FORMAT_NO_OWN_ALIAS (1u << 18) /* but a user's, and in the run-state file */

/* One <address type='pci'.../> of any element ("address" of hostdev sources too). */
gboolean pci_address_parse(PciAddress *address, xmlNodePtr node, GError **error);
void pci_address_attrs(XmlWriter *w, const PciAddress *address); /* domain= bus= slot= function= */
gboolean device_address_parse(DeviceAddress *address, xmlNodePtr node, GError **error);
void device_address_format(XmlWriter *w, const DeviceAddress *address);
gboolean device_address_equal(const DeviceAddress *a, const DeviceAddress *b);
char *pci_address_text(const PciAddress *address); /* "0000:00:02.0", caller frees */
/* TRUE when a PCI address is still to be assigned (type pci without a place, or none). */
gboolean pci_address_wanted(const DeviceInfo *info);
gboolean pci_address_present(const DeviceInfo *info);
