/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <controller>: formatdomain, "Controllers". */
#pragma once

#include "driver/conf/device_def.h"

typedef enum {
    CONTROLLER_IDE = 0,
    CONTROLLER_FDC,
    CONTROLLER_SCSI,
    CONTROLLER_SATA,
    CONTROLLER_VIRTIO_SERIAL,
    CONTROLLER_CCID,
    CONTROLLER_USB,
    CONTROLLER_PCI,
    CONTROLLER_XENBUS,
    CONTROLLER_ISA,
    CONTROLLER_LAST
} ControllerType;
ENUM_TABLE_DECL(controller_type, ControllerType)

/* Models, one space for each type; -1 everywhere: not chosen yet. */
typedef enum {
    PCI_MODEL_DEFAULT = -1,
    PCI_MODEL_PCI_ROOT,
    PCI_MODEL_PCIE_ROOT,
    PCI_MODEL_PCI_BRIDGE,
    PCI_MODEL_DMI_TO_PCI_BRIDGE,
    PCI_MODEL_PCIE_TO_PCI_BRIDGE,
    PCI_MODEL_PCIE_ROOT_PORT,
    PCI_MODEL_PCIE_SWITCH_UPSTREAM_PORT,
    PCI_MODEL_PCIE_SWITCH_DOWNSTREAM_PORT,
    PCI_MODEL_PCI_EXPANDER_BUS,
    PCI_MODEL_PCIE_EXPANDER_BUS,
    PCI_MODEL_LAST
} PciModel;
ENUM_TABLE_DECL(pci_model, PciModel)

/* <model name=>: the device that plays a pci controller; 0: not chosen yet. */
typedef enum {
    PCI_MODEL_NAME_NONE = 0,
    PCI_MODEL_NAME_PCI_BRIDGE,
    PCI_MODEL_NAME_I82801B11_BRIDGE,
    PCI_MODEL_NAME_IOH3420,
    PCI_MODEL_NAME_X3130_UPSTREAM,
    PCI_MODEL_NAME_XIO3130_DOWNSTREAM,
    PCI_MODEL_NAME_PXB,
    PCI_MODEL_NAME_PXB_PCIE,
    PCI_MODEL_NAME_PCIE_ROOT_PORT,
    PCI_MODEL_NAME_SPAPR_PCI_HOST_BRIDGE,
    PCI_MODEL_NAME_PCIE_PCI_BRIDGE,
    PCI_MODEL_NAME_LAST
} PciModelName;
ENUM_TABLE_DECL(pci_model_name, PciModelName)

typedef enum {
    SCSI_MODEL_DEFAULT = -1,
    SCSI_MODEL_AUTO,
    SCSI_MODEL_BUSLOGIC,
    SCSI_MODEL_LSILOGIC,
    SCSI_MODEL_LSISAS1068,
    SCSI_MODEL_VMPVSCSI,
    SCSI_MODEL_IBMVSCSI,
    SCSI_MODEL_VIRTIO_SCSI,
    SCSI_MODEL_LSISAS1078,
    SCSI_MODEL_VIRTIO_TRANSITIONAL,
    SCSI_MODEL_VIRTIO_NON_TRANSITIONAL,
    SCSI_MODEL_NCR53C90,
    SCSI_MODEL_DC390,
    SCSI_MODEL_AM53C974,
    SCSI_MODEL_LAST
} ScsiModel;
ENUM_TABLE_DECL(scsi_model, ScsiModel)

typedef enum {
    USB_MODEL_DEFAULT = -1,
    USB_MODEL_PIIX3_UHCI,
    USB_MODEL_PIIX4_UHCI,
    USB_MODEL_EHCI,
    USB_MODEL_ICH9_EHCI1,
    USB_MODEL_ICH9_UHCI1,
    USB_MODEL_ICH9_UHCI2,
    USB_MODEL_ICH9_UHCI3,
    USB_MODEL_VT82C686B_UHCI,
    USB_MODEL_PCI_OHCI,
    USB_MODEL_NEC_XHCI,
    USB_MODEL_QUSB1,
    USB_MODEL_QUSB2,
    USB_MODEL_QEMU_XHCI,
    USB_MODEL_NONE, /* the domain has no USB */
    USB_MODEL_LAST
} UsbModel;
ENUM_TABLE_DECL(usb_model, UsbModel)

typedef enum { IDE_MODEL_DEFAULT = -1, IDE_MODEL_PIIX3, IDE_MODEL_PIIX4, IDE_MODEL_ICH6, IDE_MODEL_LAST } IdeModel;
ENUM_TABLE_DECL(ide_model, IdeModel)

typedef enum {
    VSERIAL_MODEL_DEFAULT = -1,
    VSERIAL_MODEL_VIRTIO,
    VSERIAL_MODEL_TRANSITIONAL,
    VSERIAL_MODEL_NON_TRANSITIONAL,
    VSERIAL_MODEL_LAST
} VserialModel;
ENUM_TABLE_DECL(vserial_model, VserialModel)

typedef struct {
    DeviceInfo info;
    ControllerType type;
    int index; /* -1: to be given */
    int model; /* of the type's enum above; -1: not chosen yet */
    int ports; /* virtio-serial, usb; -1: default */
    int vectors;
    int max_grant_frames, max_event_channels; /* xenbus */

    guint queues, cmd_per_lun, max_sectors; /* <driver> of scsi; 0: default */
    Tristate ioeventfd;
    guint iothread;
    VirtioOptions virtio;

    PciModelName pci_model_name;
    int chassis_nr, chassis, port, bus_nr, numa_node, target_index; /* <target> of pci; -1: not given */
    Tristate hotplug;
    gboolean has_pcihole64;
    guint64 pcihole64_kib;
} ControllerDef;

/* Text of the model for the controller's type; NULL when none is chosen. */
const char *controller_model_text(const ControllerDef *def);
gboolean controller_is_pci_model(const ControllerDef *def, PciModel model);
gboolean controller_is_pci_root(const ControllerDef *def); /* pci-root or pcie-root */

extern const DeviceDefOps controller_def_ops;
