/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Devices of the host that a definition's VM opens by path, for the device rules of its control group. See placement.h. */
#include "driver/conf/def_chr.h"
#include "driver/conf/def_disk.h"
#include "driver/conf/def_graphics.h"
#include "driver/conf/def_hostdev.h"
#include "driver/conf/def_input.h"
#include "driver/conf/def_memory.h"
#include "driver/conf/def_rng.h"
#include "driver/conf/def_tpm.h"
#include "driver/conf/def_video.h"
#include "driver/domain/placement_private.h"
#include "driver/driver.h"

#define PTY_MAJOR 136
#define SOUND_MAJOR 116

/* What every VM needs: cgroup_device_acl of virtkited.conf. */
static const char *const basic[] = {"/dev/null",    "/dev/full", "/dev/zero", "/dev/random",
                                    "/dev/urandom", "/dev/ptmx", "/dev/kvm",  NULL};

static void add_images(GArray *devices, const StorageSource *top, gboolean readonly)
{
    for (const StorageSource *source = top; source != NULL; source = source->backing) {
        if (source->type == STORAGE_TYPE_BLOCK || source->type == STORAGE_TYPE_FILE)
            cgroup_device_add(devices, source->path, source == top && !readonly);
    }
}

static void add_chr(GArray *devices, const ChrSource *source)
{
    if (source->type == CHR_TYPE_DEV)
        cgroup_device_add(devices, source->path, TRUE);
}

static void add_hostdev(GArray *devices, const HostdevDef *hostdev)
{
    g_autofree char *path = NULL;

    if (hostdev->mode != HOSTDEV_MODE_SUBSYSTEM)
        return;
    if (hostdev->type == HOSTDEV_USB) {
        path = g_strdup_printf("/dev/bus/usb/%03u/%03u", hostdev->usb_bus, hostdev->usb_device);
    } else if (hostdev->type == HOSTDEV_PCI) {
        const PciAddress *pci = &hostdev->pci;
        g_autofree char *link = g_strdup_printf("/sys/bus/pci/devices/%04x:%02x:%02x.%x/iommu_group", pci->domain,
                                                pci->bus, pci->slot, pci->function);
        g_autofree char *target = g_file_read_link(link, NULL);
        g_autofree char *group = target != NULL ? g_path_get_basename(target) : NULL;

        path = group != NULL ? g_build_filename("/dev/vfio", group, NULL) : NULL;
        cgroup_device_add(devices, "/dev/vfio/vfio", TRUE);
    }
    cgroup_device_add(devices, path, TRUE);
}

void placement_collect_device(GArray *devices, DeviceKind kind, const DeviceInfo *device)
{
    switch (kind) {
    case DEVICE_DISK: {
        const DiskDef *disk = (const DiskDef *)device;

        add_images(devices, disk->source, disk->readonly || disk->device == DISK_DEVICE_CDROM);
        break;
    }
    case DEVICE_SERIAL:
    case DEVICE_PARALLEL:
    case DEVICE_CONSOLE:
    case DEVICE_CHANNEL:
        add_chr(devices, &((const ChrDef *)device)->source);
        break;
    case DEVICE_RNG:
        if (((const RngDef *)device)->backend == RNG_BACKEND_RANDOM)
            cgroup_device_add(devices, ((const RngDef *)device)->file, TRUE);
        break;
    case DEVICE_INPUT:
        cgroup_device_add(devices, ((const InputDef *)device)->evdev, TRUE);
        break;
    case DEVICE_TPM:
        cgroup_device_add(devices, ((const TpmDef *)device)->device, TRUE);
        break;
    case DEVICE_GRAPHICS:
        cgroup_device_add(devices, ((const GraphicsDef *)device)->rendernode, TRUE);
        break;
    case DEVICE_VIDEO:
        cgroup_device_add(devices, ((const VideoDef *)device)->rendernode, TRUE);
        break;
    case DEVICE_MEMORY:
        cgroup_device_add(devices, ((const MemoryDef *)device)->path, TRUE);
        break;
    case DEVICE_HOSTDEV:
        add_hostdev(devices, (const HostdevDef *)device);
        break;
    default: /* opens none, or gets it as a descriptor */
        break;
    }
}

static void add_all_of(GArray *devices, char type, guint major)
{
    const CgroupDevice device = {.type = type, .major = major, .minor = -1, .write = TRUE};

    g_array_append_val(devices, device);
}

void placement_collect_devices(GArray *devices, const DomainDef *def, char **acl)
{
    const char *const *paths = acl != NULL ? (const char *const *)acl : basic;

    for (; *paths != NULL; paths++)
        cgroup_device_add(devices, *paths, TRUE);
    add_all_of(devices, 'c', PTY_MAJOR);
    if (domain_def_n(def, DEVICE_SOUND) > 0)
        add_all_of(devices, 'c', SOUND_MAJOR);
    cgroup_device_add(devices, def->os.loader.path, FALSE);
    for (int kind = 0; kind < DEVICE_KIND_LAST; kind++) {
        for (guint i = 0; i < domain_def_n(def, kind); i++)
            placement_collect_device(devices, kind, domain_def_get(def, kind, i));
    }
}

gboolean placement_allow_devices(Domain *dom, const DomainDef *live, DeviceKind kind, const DeviceInfo *extra,
                                 GError **error)
{
    g_autoptr(Cgroup) cgroup = domain_cgroup(dom);
    g_autoptr(GArray) devices = NULL;
    const Driver *driver = dom->driver;

    if (live == NULL || !cgroup_has(cgroup, CGROUP_DEVICES)) /* it has ended meanwhile */
        return TRUE;
    devices = g_array_new(FALSE, FALSE, sizeof(CgroupDevice));
    placement_collect_devices(devices, live,
                              driver != NULL && driver->config != NULL ? driver->config->cgroup_device_acl : NULL);
    if (extra != NULL)
        placement_collect_device(devices, kind, extra);
    return cgroup_set_devices(cgroup, devices, error);
}
