/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Host devices: see hostdev.h. Facts: Linux, Documentation/ABI/testing/sysfs-bus-{usb,pci,vfio-mdev}. */
#include "driver/backend/hostdev.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "common/log.h"

/* --- USB --- */

static gboolean read_number(const char *folder, const char *name, guint base, guint *ret)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autofree char *text = NULL;
    guint64 value;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return FALSE;
    if (!g_ascii_string_to_unsigned(g_strstrip(text), base, 0, G_MAXUINT, &value, NULL))
        return FALSE;
    *ret = (guint)value;
    return TRUE;
}

/* Whether the USB device in this folder is what dev asks for. */
static gboolean is_usb(const char *folder, const HostdevDef *dev, guint *ret_bus, guint *ret_device)
{
    guint vendor, product;

    if (!read_number(folder, "busnum", 10, ret_bus) || !read_number(folder, "devnum", 10, ret_device) ||
        !read_number(folder, "idVendor", 16, &vendor) || !read_number(folder, "idProduct", 16, &product))
        return FALSE;
    if (dev->has_usb_id && (vendor != dev->usb_vendor || product != dev->usb_product))
        return FALSE;
    return dev->auto_address || (dev->usb_bus == 0 && dev->usb_device == 0) ||
           (*ret_bus == dev->usb_bus && *ret_device == dev->usb_device);
}

static guint find_usb(const char *sys, const HostdevDef *dev, guint *ret_bus, guint *ret_device)
{
    g_autofree char *top = g_build_filename(sys, "bus/usb/devices", NULL);
    g_autoptr(GDir) dir = g_dir_open(top, 0, NULL);
    const char *name;
    guint found = 0;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *folder = g_build_filename(top, name, NULL);
        guint bus, device;

        if (strchr(name, ':') != NULL || !is_usb(folder, dev, &bus, &device)) /* with ':': an interface */
            continue;
        *ret_bus = bus;
        *ret_device = device;
        found++;
    }
    return found;
}

static gboolean take_usb(const char *sys, HostdevDef *dev, GError **error)
{
    guint bus = 0, device = 0;
    guint found = find_usb(sys, dev, &bus, &device);

    dev->missing = FALSE;
    if (found == 1) {
        dev->auto_address |= dev->usb_bus == 0 && dev->usb_device == 0;
        dev->usb_bus = bus;
        dev->usb_device = device;
        return TRUE;
    }
    if (found > 1)
        return error_set(error, VIR_ERR_OPERATION_FAILED,
                         "multiple USB devices for %x:%x, use <address> to specify one", dev->usb_vendor,
                         dev->usb_product);
    if (dev->startup_policy == STARTUP_POLICY_OPTIONAL) {
        dev->missing = TRUE;
        return TRUE;
    }
    if (dev->has_usb_id)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "Did not find USB device %04x:%04x", dev->usb_vendor,
                         dev->usb_product);
    return error_set(error, VIR_ERR_INTERNAL_ERROR, "Did not find USB device bus:%u device:%u", dev->usb_bus,
                     dev->usb_device);
}

/* --- PCI --- */

static char *pci_name(const PciAddress *pci)
{
    return g_strdup_printf("%04x:%02x:%02x.%x", pci->domain, pci->bus, pci->slot, pci->function);
}

static gboolean write_file(const char *sys, const char *device, const char *name, const char *text)
{
    g_autofree char *path = device != NULL ? g_build_filename(sys, "bus/pci/devices", device, name, NULL)
                                           : g_build_filename(sys, "bus/pci", name, NULL);
    autofd fd = open(path, O_WRONLY | O_CLOEXEC);

    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* The name of a device's driver; NULL when there is none. Caller frees. */
static char *pci_driver(const char *sys, const char *device)
{
    g_autofree char *path = g_build_filename(sys, "bus/pci/devices", device, "driver", NULL);
    g_autofree char *target = g_file_read_link(path, NULL);

    return target != NULL ? g_path_get_basename(target) : NULL;
}

/* Binds to the driver that the override names, or to what the kernel finds when that is empty. */
static gboolean rebind(const char *sys, const char *device, const char *override)
{
    g_autofree char *driver = pci_driver(sys, device);

    return write_file(sys, device, "driver_override", override) &&
           (driver == NULL || write_file(sys, device, "driver/unbind", device)) &&
           write_file(sys, NULL, "drivers_probe", device);
}

static gboolean take_pci(const char *sys, HostdevDef *dev, GError **error)
{
    g_autofree char *name = pci_name(&dev->pci);
    g_autofree char *path = g_build_filename(sys, "bus/pci/devices", name, NULL);
    g_autofree char *driver = pci_driver(sys, name);

    if (access(path, F_OK) < 0)
        return error_set_errno(error, errno, "Device %s not found: could not access %s", name, path);
    if (g_strcmp0(driver, "vfio-pci") == 0)
        return TRUE;
    if (!dev->managed)
        return error_set(error, VIR_ERR_OPERATION_INVALID,
                         "Unmanaged PCI device %s must be manually detached from the host", name);
    if (!rebind(sys, name, "vfio-pci"))
        return error_set_errno(error, errno, "cannot bind the PCI device %s to vfio-pci (is the module loaded?)", name);
    g_free(driver);
    driver = pci_driver(sys, name);
    if (g_strcmp0(driver, "vfio-pci") == 0)
        return TRUE;
    rebind(sys, name, "\n");
    return error_set(error, VIR_ERR_INTERNAL_ERROR,
                     "the PCI device %s did not accept the driver vfio-pci: is the module loaded, and the IOMMU on?",
                     name);
}

void hostdev_give_back(const char *sys, const HostdevDef *dev)
{
    g_autofree char *name = NULL;
    g_autofree char *driver = NULL;

    if (dev->mode != HOSTDEV_MODE_SUBSYSTEM || dev->type != HOSTDEV_PCI || !dev->managed)
        return;
    name = pci_name(&dev->pci);
    driver = pci_driver(sys, name);
    if (g_strcmp0(driver, "vfio-pci") == 0 && !rebind(sys, name, "\n"))
        log_warning("cannot give the PCI device %s back to the host: %s", name, g_strerror(errno));
}

void hostdevs_give_back(const char *sys, const DomainDef *def)
{
    DOMAIN_DEF_FOREACH(HostdevDef, dev, def, DEVICE_HOSTDEV)
    hostdev_give_back(sys, dev);
}

/* --- SCSI, mediated --- */

/* The generic node of adapter:bus:target:unit. */
static gboolean take_scsi(const char *sys, HostdevDef *dev, GError **error)
{
    const char *number = dev->scsi_adapter;
    g_autofree char *folder = NULL;
    g_autoptr(GDir) dir = NULL;
    const char *name;

    if (dev->iscsi != NULL) {
        if (dev->iscsi->auth != NULL)
            return error_set_from(error, VIR_FROM_SECRET, VIR_ERR_NO_SECRET,
                                  "no secret for the iSCSI target of a host device: secrets are not supported");
        return TRUE;
    }
    while (number != NULL && *number != '\0' && !g_ascii_isdigit(*number))
        number++;
    folder = g_strdup_printf("%s/bus/scsi/devices/%s:%u:%u:%" G_GUINT64_FORMAT "/scsi_generic", sys,
                             number != NULL ? number : "", dev->scsi_bus, dev->scsi_target, dev->scsi_unit);
    dir = g_dir_open(folder, 0, NULL);
    name = dir != NULL ? g_dir_read_name(dir) : NULL;
    if (name == NULL)
        return error_set_errno(error, ENOENT, "Could not open '%s'", folder);
    g_free(dev->host_path);
    dev->host_path = g_strconcat("/dev/", name, NULL);
    return TRUE;
}

static gboolean take_mdev(const char *sys, const HostdevDef *dev, GError **error)
{
    g_autofree char *path = g_build_filename(sys, "bus/mdev/devices", dev->uuid, NULL);

    return access(path, F_OK) == 0 ||
           error_set(error, VIR_ERR_DEVICE_MISSING, "mediated device '%s' not found", dev->uuid);
}

gboolean hostdev_take(const char *sys, HostdevDef *dev, GError **error)
{
    if (dev->mode != HOSTDEV_MODE_SUBSYSTEM)
        return TRUE;
    switch (dev->type) {
    case HOSTDEV_USB:
        return take_usb(sys, dev, error);
    case HOSTDEV_PCI:
        return take_pci(sys, dev, error);
    case HOSTDEV_SCSI:
        return take_scsi(sys, dev, error);
    case HOSTDEV_MDEV:
        return take_mdev(sys, dev, error);
    default:
        return TRUE;
    }
}
