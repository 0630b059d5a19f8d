/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether kite-vmm has a device: see vmm_support.c. */
#include <string.h>

#include "driver/backend/storage_daemon.h"
#include "driver/backend/vmm_desc_priv.h"
#include "driver/conf/def_audio.h"
#include "driver/conf/def_chr.h"
#include "driver/conf/def_controller.h"
#include "driver/conf/def_disk.h"
#include "driver/conf/def_input.h"
#include "driver/conf/def_interface.h"
#include "driver/conf/def_memballoon.h"
#include "driver/conf/def_panic.h"
#include "driver/conf/def_rng.h"
#include "driver/conf/def_video.h"
#include "driver/conf/def_vsock.h"
#include "driver/conf/def_watchdog.h"
#include "driver/host/vmm_caps.h"

/* --- devices --- */

static gboolean check_virtio(const DeviceInfo *info, const VirtioOptions *options, const char *driver,
                             char **reason)
{
    const char *element = device_kind_to_string(info->kind);

    if (!vmm_caps_device(driver))
        return vmm_support_no(reason, "<%s>: it has no %s yet", element, driver);
    if (options != NULL && virtio_options_given(options))
        return vmm_support_no(reason, "<driver iommu=, ats=, packed=, page_per_vq=> of <%s>", element);
    if (info->acpi_index != 0)
        return vmm_support_no(reason, "<acpi index=> of <%s>", element);
    if (info->rom_file != NULL)
        return vmm_support_no(reason, "<rom file=> of <%s>", element);
    return TRUE;
}

/* What QEMU's block layer opens without a key. */
static gboolean check_served(const DiskDef *disk, const StorageSource *source, char **reason)
{
    static const gboolean formats[STORAGE_FORMAT_LAST] = {
        [STORAGE_FORMAT_NONE] = TRUE,  [STORAGE_FORMAT_RAW] = TRUE,   [STORAGE_FORMAT_ISO] = TRUE,
        [STORAGE_FORMAT_QCOW2] = TRUE, [STORAGE_FORMAT_BOCHS] = TRUE, [STORAGE_FORMAT_CLOOP] = TRUE,
        [STORAGE_FORMAT_DMG] = TRUE,   [STORAGE_FORMAT_VPC] = TRUE,   [STORAGE_FORMAT_VHD] = TRUE,
        [STORAGE_FORMAT_VDI] = TRUE,   [STORAGE_FORMAT_QCOW] = TRUE,  [STORAGE_FORMAT_QED] = TRUE,
        [STORAGE_FORMAT_VMDK] = TRUE,  [STORAGE_FORMAT_PLOOP] = TRUE,
    };
    static const gboolean protocols[STORAGE_PROTOCOL_LAST] = {
        [STORAGE_PROTOCOL_NBD] = TRUE,   [STORAGE_PROTOCOL_HTTP] = TRUE, [STORAGE_PROTOCOL_HTTPS] = TRUE,
        [STORAGE_PROTOCOL_FTP] = TRUE,   [STORAGE_PROTOCOL_FTPS] = TRUE, [STORAGE_PROTOCOL_ISCSI] = TRUE,
        [STORAGE_PROTOCOL_RBD] = TRUE,   [STORAGE_PROTOCOL_SSH] = TRUE,
    };

    if (!formats[source->format])
        return vmm_support_no(reason, "disk '%s' of format '%s'", disk->target, storage_format_to_string(source->format));
    if (source->type != STORAGE_TYPE_NETWORK)
        return TRUE;
    if (!protocols[source->protocol])
        return vmm_support_no(reason, "disk '%s' on protocol '%s'", disk->target,
                              storage_protocol_to_string(source->protocol));
    if (source->auth != NULL || (source->cookies != NULL && source->cookies->len > 0))
        return vmm_support_no(reason, "<auth> or <cookies> of disk '%s'", disk->target);
    if (source->tls == TRISTATE_YES)
        return vmm_support_no(reason, "<source tls='yes'> of disk '%s'", disk->target);
    return TRUE;
}

static gboolean check_image(const DiskDef *disk, const StorageSource *source, char **reason)
{
    if (!vmm_caps_has(SUPPORTED_DISK_SOURCE, storage_type_to_string(source->type)))
        return vmm_support_no(reason, "disk '%s' of type '%s'", disk->target, storage_type_to_string(source->type));
    if (!check_served(disk, source, reason))
        return FALSE;
    if (source->encryption != NULL)
        return vmm_support_no(reason, "<encryption> of disk '%s'", disk->target);
    if (source->fdgroup != NULL)
        return vmm_support_no(reason, "<source fdgroup=> of disk '%s'", disk->target);
    if (source->pr_managed != TRISTATE_ABSENT)
        return vmm_support_no(reason, "<reservations> of disk '%s'", disk->target);
    return TRUE;
}

static gboolean check_disk(const DiskDef *disk, char **reason)
{
    const char *driver = disk->bus == DISK_BUS_VIRTIO ? "virtio-blk-pci" : "virtio-scsi-pci";
    g_autofree char *daemon = NULL;

    if (!vmm_caps_has(SUPPORTED_DISK_BUS, disk_bus_to_string(disk->bus)))
        return vmm_support_no(reason, "disk '%s' on bus '%s'", disk->target, disk_bus_to_string(disk->bus));
    if (!vmm_caps_has(SUPPORTED_DISK_DEVICE, disk_device_to_string(disk->device)))
        return vmm_support_no(reason, "<disk device='%s'>", disk_device_to_string(disk->device));
    if (disk->model != VIRTIO_MODEL_DEFAULT &&
        !vmm_caps_has(SUPPORTED_DISK_MODEL, virtio_model_to_string(disk->model)))
        return vmm_support_no(reason, "model '%s' of disk '%s'", virtio_model_to_string(disk->model), disk->target);
    if (!check_virtio(&disk->info, &disk->virtio, driver, reason))
        return FALSE;
    if (disk->transient)
        return vmm_support_no(reason, "<transient> of disk '%s'", disk->target);
    if (disk->shareable && disk->source->format == STORAGE_FORMAT_QCOW2)
        return vmm_support_no(reason, "<shareable> of disk '%s' of format qcow2", disk->target);
    if (disk->cyls != 0)
        return vmm_support_no(reason, "<geometry> of disk '%s'", disk->target);
    if (disk->mirror != NULL)
        return vmm_support_no(reason, "<mirror> of disk '%s'", disk->target);
    if (storage_source_is_empty(disk->source))
        return TRUE;
    for (const StorageSource *s = disk->source; s != NULL && s->type != STORAGE_TYPE_NONE; s = s->backing) {
        if (!check_image(disk, s, reason))
            return FALSE;
    }
    if (storage_way(disk) == STORAGE_DAEMON && (daemon = storage_daemon_path()) == NULL)
        return vmm_support_no(reason, "disk '%s' without qemu-storage-daemon, which is not installed", disk->target);
    return TRUE;
}

static gboolean check_controller(const ControllerDef *controller, char **reason)
{
    switch (controller->type) {
    case CONTROLLER_PCI:
        if (controller_is_pci_root(controller) || controller_is_pci_model(controller, PCI_MODEL_PCIE_ROOT_PORT) ||
            controller_is_pci_model(controller, PCI_MODEL_PCIE_TO_PCI_BRIDGE))
            return TRUE;
        return vmm_support_no(reason, "PCI controller model '%s'", controller_model_text(controller));
    case CONTROLLER_SCSI:
        if (controller->model == SCSI_MODEL_VIRTIO_SCSI || controller->model == SCSI_MODEL_VIRTIO_NON_TRANSITIONAL)
            return check_virtio(&controller->info, &controller->virtio, "virtio-scsi-pci", reason);
        return vmm_support_no(reason, "SCSI controller model '%s'",
                  controller->model == SCSI_MODEL_DEFAULT ? "auto" : controller_model_text(controller));
    case CONTROLLER_VIRTIO_SERIAL:
        if (controller->model == VSERIAL_MODEL_TRANSITIONAL)
            return vmm_support_no(reason, "virtio-serial controller model '%s'", controller_model_text(controller));
        return check_virtio(&controller->info, &controller->virtio, "virtio-serial-pci", reason);
    default:
        return TRUE; /* nothing is on them: their devices are refused */
    }
}

static gboolean check_interface(const InterfaceDef *net, char **reason)
{
    InterfaceType type = interface_actual_type(net);
    const char *model = interface_model_text(net);

    if (!vmm_caps_has(SUPPORTED_INTERFACE_TYPE, interface_type_to_string(type)))
        return vmm_support_no(reason, "<interface type='%s'>", interface_type_to_string(type));
    if (!vmm_caps_has(SUPPORTED_INTERFACE_MODEL, model))
        return vmm_support_no(reason, "interface model '%s'", model ? model : "");
    if (!check_virtio(&net->info, &net->virtio, "virtio-net-pci", reason))
        return FALSE;
    if (type == INTERFACE_USER && net->backend != NET_BACKEND_PASST)
        return vmm_support_no(reason, "<interface type='user'> without <backend type='passt'/>");
    if (net->rss == TRISTATE_YES || net->rss_hash_report == TRISTATE_YES)
        return vmm_support_no(reason, "<driver rss=> of an interface");
    if (net->teaming.type != TEAMING_NONE)
        return vmm_support_no(reason, "<teaming> of an interface");
    if (net->has_sndbuf)
        return vmm_support_no(reason, "<tune><sndbuf> of an interface");
    return TRUE;
}

static gboolean check_chr_source(const ChrSource *source, const char *element, char **reason)
{
    if (!vmm_caps_has(SUPPORTED_CHANNEL_TYPE, chr_type_to_string(source->type)))
        return vmm_support_no(reason, "<%s type='%s'>", element, chr_type_to_string(source->type));
    if (source->type == CHR_TYPE_TCP && (source->protocol != CHR_PROTOCOL_RAW || source->tls == TRISTATE_YES))
        return vmm_support_no(reason, "<%s type='tcp'> with a protocol other than raw", element);
    if (source->mode == CHR_MODE_CONNECT && source->reconnect.enabled == TRISTATE_YES)
        return vmm_support_no(reason, "<reconnect> of <%s>", element);
    return TRUE;
}

/* A <console> or <channel> of a virtio console. */
static gboolean check_console_port(const ChrDef *chr, char **reason)
{
    gboolean channel = chr->info.kind == DEVICE_CHANNEL;
    const char *element = channel ? "channel" : "console";

    if (channel && chr->target.channel != CHANNEL_TARGET_VIRTIO)
        return vmm_support_no(reason, "<channel> with <target type='%s'>", channel_target_to_string(chr->target.channel));
    if (!channel && chr->target.console != CONSOLE_TARGET_VIRTIO)
        return vmm_support_no(reason, "<console> with <target type='%s'>", console_target_to_string(chr->target.console));
    return check_virtio(&chr->info, NULL, channel ? "virtserialport" : "virtconsole", reason) &&
           check_chr_source(&chr->source, element, reason);
}

static gboolean check_chrs(const DomainDef *def, char **reason)
{
    if (domain_def_n(def, DEVICE_SERIAL) > VMM_SERIALS_MAX)
        return vmm_support_no(reason, "more than %d serial ports", VMM_SERIALS_MAX);
    DOMAIN_DEF_FOREACH(ChrDef, serial, def, DEVICE_SERIAL)
    {
        if (serial->target.serial != SERIAL_TARGET_NONE && serial->target.serial != SERIAL_TARGET_ISA)
            return vmm_support_no(reason, "<serial> with <target type='%s'>",
                                  serial_target_to_string(serial->target.serial));
        if (serial->port >= VMM_SERIALS_MAX)
            return vmm_support_no(reason, "serial port %d", serial->port);
        if (!check_chr_source(&serial->source, "serial", reason))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(ChrDef, console, def, DEVICE_CONSOLE)
    {
        if (!chr_is_serial_console(console) && !check_console_port(console, reason))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(ChrDef, channel, def, DEVICE_CHANNEL)
    {
        if (!check_console_port(channel, reason))
            return FALSE;
    }
    return TRUE;
}

static gboolean check_rng(const RngDef *rng, char **reason)
{
    if (rng->model != VIRTIO_MODEL_DEFAULT &&
        !vmm_caps_has(SUPPORTED_RNG_MODEL, virtio_model_to_string(rng->model)))
        return vmm_support_no(reason, "rng model '%s'", virtio_model_to_string(rng->model));
    if (!vmm_caps_has(SUPPORTED_RNG_BACKEND, rng_backend_to_string(rng->backend)))
        return vmm_support_no(reason, "<rng><backend model='%s'>", rng_backend_to_string(rng->backend));
    /* Its source is the kernel's generator; /dev/random is the same one. */
    if (rng->backend == RNG_BACKEND_RANDOM && rng->file != NULL && strcmp(rng->file, "/dev/urandom") != 0 &&
        strcmp(rng->file, "/dev/random") != 0)
        return vmm_support_no(reason, "<rng> from '%s'", rng->file);
    return check_virtio(&rng->info, &rng->virtio, "virtio-rng-pci", reason);
}

static gboolean check_memory(const MemoryDef *memory, char **reason)
{
    if (memory->model != MEMORY_MODEL_VIRTIO_MEM)
        return vmm_support_no(reason, "memory device model '%s'", memory_model_to_string(memory->model));
    if (memory->pagesize != 0 || memory->nodemask != NULL)
        return vmm_support_no(reason, "<source> of a memory device");
    if (memory->access == MEMORY_ACCESS_SHARED)
        return vmm_support_no(reason, "a memory device with access='shared'");
    return check_virtio(&memory->info, NULL, "virtio-mem-pci", reason);
}

static gboolean check_vsock(const VsockDef *vsock, char **reason)
{
    if (vsock->model == VIRTIO_MODEL_TRANSITIONAL)
        return vmm_support_no(reason, "vsock model '%s'", virtio_model_to_string(vsock->model));
    return check_virtio(&vsock->info, &vsock->virtio, "vhost-vsock-pci", reason);
}

/* virtio of the present generation. */
static gboolean check_small(const DomainDef *def, char **reason)
{
    DOMAIN_DEF_FOREACH(MemballoonDef, balloon, def, DEVICE_MEMBALLOON)
    {
        if (balloon->model == MEMBALLOON_NONE)
            continue;
        if (balloon->model != MEMBALLOON_VIRTIO && balloon->model != MEMBALLOON_NON_TRANSITIONAL)
            return vmm_support_no(reason, "memballoon model '%s'", memballoon_model_to_string(balloon->model));
        if (!check_virtio(&balloon->info, &balloon->virtio, "virtio-balloon-pci", reason))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(RngDef, rng, def, DEVICE_RNG)
    {
        if (!check_rng(rng, reason))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(MemoryDef, memory, def, DEVICE_MEMORY)
    {
        if (!check_memory(memory, reason))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(VsockDef, vsock, def, DEVICE_VSOCK)
    {
        if (!check_vsock(vsock, reason))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(WatchdogDef, watchdog, def, DEVICE_WATCHDOG)
    {
        if (!vmm_caps_has(SUPPORTED_WATCHDOG_MODEL, watchdog_model_to_string(watchdog->model)))
            return vmm_support_no(reason, "watchdog model '%s'", watchdog_model_to_string(watchdog->model));
    }
    DOMAIN_DEF_FOREACH(PanicDef, panic, def, DEVICE_PANIC)
    {
        if (panic->model != PANIC_DEFAULT && panic->model != PANIC_ISA)
            return vmm_support_no(reason, "panic model '%s'", panic_model_to_string(panic->model));
    }
    DOMAIN_DEF_FOREACH(InputDef, input, def, DEVICE_INPUT)
    {
        if (!input_is_builtin(input))
            return vmm_support_no(reason, "<input bus='%s'>", input_bus_to_string(input->bus));
    }
    DOMAIN_DEF_FOREACH(VideoDef, video, def, DEVICE_VIDEO)
    {
        if (video->model != VIDEO_NONE)
            return vmm_support_no(reason, "<video>");
    }
    return TRUE;
}

gboolean vmm_support_devices(const DomainDef *def, char **reason)
{
    static const DeviceKind refused[] = {
        DEVICE_LEASE,   DEVICE_FILESYSTEM, DEVICE_SMARTCARD, DEVICE_PARALLEL, DEVICE_TPM,
        DEVICE_GRAPHICS, DEVICE_SOUND,     DEVICE_HOSTDEV,   DEVICE_REDIRDEV, DEVICE_HUB,
        DEVICE_SHMEM,     DEVICE_IOMMU,     DEVICE_CRYPTO,
    };

    for (gsize i = 0; i < G_N_ELEMENTS(refused); i++) {
        if (domain_def_n(def, refused[i]) > 0)
            return vmm_support_no(reason, "<%s>", device_kind_to_string(refused[i]));
    }
    DOMAIN_DEF_FOREACH(DiskDef, disk, def, DEVICE_DISK)
    {
        if (!check_disk(disk, reason))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(InterfaceDef, net, def, DEVICE_INTERFACE)
    {
        if (!check_interface(net, reason))
            return FALSE;
    }
    if (!check_chrs(def, reason) || !check_small(def, reason))
        return FALSE;
    /* Last: a controller is rather named by what needs it. */
    DOMAIN_DEF_FOREACH(ControllerDef, controller, def, DEVICE_CONTROLLER)
    {
        if (!check_controller(controller, reason))
            return FALSE;
    }
    return TRUE;
}

gboolean vmm_desc_supported_device(const DeviceInfo *dev, char **ret_reason)
{
    switch (dev->kind) {
    case DEVICE_DISK:
        return check_disk((const DiskDef *)dev, ret_reason);
    case DEVICE_INTERFACE:
        return check_interface((const InterfaceDef *)dev, ret_reason);
    case DEVICE_CHANNEL:
    case DEVICE_CONSOLE:
        return check_console_port((const ChrDef *)dev, ret_reason);
    case DEVICE_RNG:
        return check_rng((const RngDef *)dev, ret_reason);
    case DEVICE_MEMORY:
        return check_memory((const MemoryDef *)dev, ret_reason);
    case DEVICE_VSOCK:
        return check_vsock((const VsockDef *)dev, ret_reason);
    case DEVICE_CONTROLLER:
        if (((const ControllerDef *)dev)->type == CONTROLLER_PCI)
            return vmm_support_no(ret_reason, "PCI controllers plugged into a running machine");
        return check_controller((const ControllerDef *)dev, ret_reason);
    default:
        return vmm_support_no(ret_reason, "<%s> plugged into a running machine", device_kind_to_string(dev->kind));
    }
}
