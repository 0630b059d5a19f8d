/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <hostdev>: formatdomain, "Host device assignment". */
#pragma once

#include "driver/conf/def_net_common.h"
#include "driver/conf/def_disk.h"
#include "driver/conf/def_storage_source.h"
#include "driver/conf/device_def.h"
#include "driver/conf/virtio_model.h"

typedef enum { HOSTDEV_MODE_SUBSYSTEM = 0, HOSTDEV_MODE_CAPABILITIES, HOSTDEV_MODE_LAST } HostdevMode;
ENUM_TABLE_DECL(hostdev_mode, HostdevMode)

typedef enum {
    HOSTDEV_USB = 0,
    HOSTDEV_PCI,
    HOSTDEV_SCSI,
    HOSTDEV_SCSI_HOST,
    HOSTDEV_MDEV,
    HOSTDEV_LAST
} HostdevType;
ENUM_TABLE_DECL(hostdev_type, HostdevType)

typedef enum { HOSTDEV_CAPS_STORAGE = 0, HOSTDEV_CAPS_MISC, HOSTDEV_CAPS_NET, HOSTDEV_CAPS_LAST } HostdevCaps;
ENUM_TABLE_DECL(hostdev_caps, HostdevCaps)

typedef enum {
    HOSTDEV_DRIVER_DEFAULT = 0,
    HOSTDEV_DRIVER_KVM,
    HOSTDEV_DRIVER_VFIO,
    HOSTDEV_DRIVER_XEN,
    HOSTDEV_DRIVER_LAST
} HostdevDriver;
ENUM_TABLE_DECL(hostdev_driver, HostdevDriver)

typedef enum {
    USB_GUEST_RESET_DEFAULT = 0,
    USB_GUEST_RESET_OFF,
    USB_GUEST_RESET_UNINITIALIZED,
    USB_GUEST_RESET_ON,
    USB_GUEST_RESET_LAST
} UsbGuestReset;
ENUM_TABLE_DECL(usb_guest_reset, UsbGuestReset)

typedef enum { MDEV_VFIO_PCI = 0, MDEV_VFIO_CCW, MDEV_VFIO_AP, MDEV_LAST } MdevModel;
ENUM_TABLE_DECL(mdev_model, MdevModel)

typedef struct {
    DeviceInfo info;
    HostdevMode mode;
    HostdevType type;  /* mode subsystem */
    HostdevCaps caps;  /* mode capabilities */
    char *caps_source; /* mode capabilities: block device, char device or interface */
    NetIpInfo caps_ip;
    gboolean managed;
    DeviceSgio sgio;         /* scsi */
    Tristate rawio;          /* scsi */
    VirtioModel vhost_model; /* scsi_host */
    MdevModel mdev_model;    /* mdev; required */
    Tristate display;        /* mdev */
    Tristate ramfb;          /* mdev */

    HostdevDriver driver; /* pci */
    Tristate write_filtering;
    PciAddress pci;
    StartupPolicy startup_policy; /* usb */
    gboolean auto_address;        /* usb: bus and device were found by us, not written by the user */
    gboolean missing;             /* usb, live: optional device that was not there */
    UsbGuestReset guest_reset;
    gboolean has_usb_id;
    guint usb_vendor, usb_product;
    guint usb_bus, usb_device;
    char *scsi_adapter; /* scsi: "scsi_host0" */
    guint scsi_bus, scsi_target;
    guint64 scsi_unit;
    StorageSource *iscsi; /* scsi: iSCSI target instead of an adapter, or NULL */
    char *host_path;      /* scsi, of a start: "/dev/sg0"; no part of the definition */
    char *wwpn;           /* scsi_host, protocol vhost */
    char *uuid;           /* mdev */

    NetTeaming teaming;
    gboolean readonly;
    gboolean shareable;
} HostdevDef;

/* For <interface type='hostdev'>: type and <source>, <driver> of a subsystem device below node. */
gboolean hostdev_parse_source(xmlNodePtr node, HostdevDef *def, GError **error);
/* with_address_type: <address type='pci' …> inside the source, as interfaces have it. */
void hostdev_format_source(XmlWriter *w, const HostdevDef *def, gboolean with_address_type, guint format_flags);
void hostdev_clear_source(HostdevDef *def);

extern const DeviceDefOps hostdev_def_ops;
