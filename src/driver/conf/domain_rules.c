/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Rules that join parts of a definition with one another: firmware with platform, memory with guest NUMA nodes, displays
 * with displays, USB devices with their ports. libvirt's own and those of its QEMU driver, with its error codes.
 */
#include <string.h>

#include "common/error.h"
#include "driver/conf/def_audio.h"
#include "driver/conf/def_chr.h"
#include "driver/conf/def_controller.h"
#include "driver/conf/def_disk.h"
#include "driver/conf/def_filesystem.h"
#include "driver/conf/def_graphics.h"
#include "driver/conf/def_iommu.h"
#include "driver/conf/def_memory.h"
#include "driver/conf/def_redirdev.h"
#include "driver/conf/def_rng.h"
#include "driver/conf/def_smartcard.h"
#include "driver/conf/def_video.h"
#include "driver/conf/domain_def.h"
#include "driver/conf/domain_validate.h"

/* --- firmware ----------------------------------------------------------------------------------------- */

static gboolean check_chosen_firmware(const OsDef *os, GError **error)
{
    const LoaderDef *loader = &os->loader;
    const struct {
        gboolean given;
        const char *what;
    } given[] = {
        {loader->readonly != TRISTATE_ABSENT, "loader attribute 'readonly'"},
        {loader->type != LOADER_NONE, "loader attribute 'type'"},
        {loader->path != NULL, "loader path"},
        {loader->nvram_template != NULL, "nvram attribute 'template'"},
        {loader->secure == TRISTATE_NO, "loader attribute 'secure'"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(given); i++) {
        if (given[i].given)
            return error_set(error, VIR_ERR_XML_DETAIL,
                             "%s cannot be specified when firmware autoselection is enabled", given[i].what);
    }
    if (loader->nvram_path != NULL && os->firmware != FIRMWARE_EFI)
        return error_set(error, VIR_ERR_XML_DETAIL, "firmware type '%s' does not support nvram",
                         firmware_to_string(os->firmware));
    return TRUE;
}

static gboolean check_stateless(const OsDef *os, GError **error)
{
    const LoaderDef *loader = &os->loader;

    if (loader->stateless == TRISTATE_YES && loader->nvram_template != NULL)
        return error_set(error, VIR_ERR_XML_DETAIL, "NVRAM template is not permitted when loader is stateless");
    if (loader->stateless == TRISTATE_YES && loader->nvram_path != NULL)
        return error_set(error, VIR_ERR_XML_DETAIL, "NVRAM is not permitted when loader is stateless");
    if (loader->stateless == TRISTATE_NO && os->firmware == FIRMWARE_NONE && loader->type != LOADER_PFLASH)
        return error_set(error, VIR_ERR_XML_DETAIL, "Only pflash loader type permits NVRAM");
    if (loader->stateless == TRISTATE_NO && os->firmware != FIRMWARE_NONE && os->firmware != FIRMWARE_EFI)
        return error_set(error, VIR_ERR_XML_DETAIL, "Only EFI firmware permits NVRAM");
    return TRUE;
}

static gboolean check_secure_boot(const DomainDef *def, GError **error)
{
    const OsDef *os = &def->os;
    gboolean uefi = os->firmware == FIRMWARE_EFI || os->loader.type == LOADER_PFLASH;

    if (uefi && def->features.state[FEATURE_ACPI] != TRISTATE_YES)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "UEFI requires ACPI on this architecture");
    if (os->loader.secure != TRISTATE_YES)
        return TRUE;
    if (!os_def_is_q35(os))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Secure boot is supported with q35 machine types only");
    if (strcmp(os->arch, "x86_64") != 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Secure boot is supported for x86_64 architecture only");
    return os->firmware != FIRMWARE_NONE || def->features.state[FEATURE_SMM] == TRISTATE_YES ||
           error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Secure boot requires SMM feature enabled");
}

static gboolean check_firmware(const DomainDef *def, GError **error)
{
    const OsDef *os = &def->os;

    if (os->firmware != FIRMWARE_NONE) {
        if (!check_chosen_firmware(os, error))
            return FALSE;
    } else if (os->firmware_features_given) {
        return error_set(error, VIR_ERR_XML_DETAIL,
                         "cannot use feature-based firmware autoselection when firmware autoselection is disabled");
    } else if (os->loader.given && os->loader.path == NULL) {
        return error_set(error, VIR_ERR_XML_DETAIL,
                         "no loader path specified and firmware auto selection disabled");
    }
    return check_stateless(os, error) && check_secure_boot(def, error);
}

/* --- CPU and memory ----------------------------------------------------------------------------------- */

static gboolean check_cpu_details(const CpuDef *cpu, GError **error)
{
    const char *mode;

    if (cpu == NULL)
        return TRUE;
    mode = cpu_maxphysaddr_to_string(cpu->maxphysaddr);
    if (cpu->maxphysaddr == CPU_MAXPHYSADDR_PASSTHROUGH && cpu->maxphysaddr_bits != 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "CPU maximum physical address bits number specification cannot be used with mode='%s'", mode);
    if (cpu->maxphysaddr == CPU_MAXPHYSADDR_EMULATE && cpu->maxphysaddr_bits == 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "if using CPU maximum physical address mode='%s', bits= must be specified too", mode);
    if (!cpu->cache_set)
        return TRUE;
    mode = cpu_cache_mode_to_string(cpu->cache_mode);
    if (cpu->cache_mode == CPU_CACHE_EMULATE && cpu->cache_level != 3)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "CPU cache mode '%s' can only be used with level='3'", mode);
    if (cpu->cache_mode == CPU_CACHE_PASSTHROUGH && cpu->mode != CPU_MODE_HOST_PASSTHROUGH &&
        cpu->mode != CPU_MODE_MAXIMUM)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "CPU cache mode '%s' can only be used with 'host-passthrough' / 'maximum' CPUs", mode);
    if (cpu->cache_mode != CPU_CACHE_EMULATE && cpu->cache_level != -1)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "unsupported CPU cache level for mode '%s'", mode);
    return TRUE;
}

static gboolean check_hugepages(const DomainDef *def, GError **error)
{
    const GArray *pages = def->memtune.hugepages;
    guint nodes = MAX(numa_def_n_cells(&def->numa), 1);

    for (guint i = 0; pages != NULL && i < pages->len; i++) {
        const HugePage *page = &g_array_index(pages, HugePage, i);

        for (guint j = 0; j < i; j++) {
            const HugePage *other = &g_array_index(pages, HugePage, j);

            if (page->nodes == NULL && other->nodes == NULL)
                return error_set(error, VIR_ERR_XML_DETAIL,
                                 "two master hugepages detected: %" G_GUINT64_FORMAT " and %" G_GUINT64_FORMAT,
                                 page->size_kib, other->size_kib);
            if (page->nodes != NULL && other->nodes != NULL && bitmap_overlaps(page->nodes, other->nodes))
                return error_set(error, VIR_ERR_XML_DETAIL,
                                 "nodeset attribute of hugepages of sizes %" G_GUINT64_FORMAT " and %" G_GUINT64_FORMAT
                                 " intersect",
                                 page->size_kib, other->size_kib);
        }
        if (page->nodes != NULL && bitmap_last(page->nodes) >= (int)nodes)
            return error_set(error, VIR_ERR_XML_DETAIL, "hugepages: node %d not found",
                             bitmap_next(page->nodes, nodes));
    }
    return TRUE;
}

static gboolean check_numatune(const NumaTune *tune, GError **error)
{
    if (tune->memnodes == NULL || !tune->memory_given)
        return TRUE;
    if (tune->placement_auto)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "Per-node binding is not compatible with automatic NUMA placement.");
    for (guint i = 0; tune->mode == NUMATUNE_RESTRICTIVE && i < tune->memnodes->len; i++) {
        if (g_array_index(tune->memnodes, NumatuneNode, i).mode != NUMATUNE_RESTRICTIVE)
            return error_set(error, VIR_ERR_XML_ERROR,
                             "'restrictive' mode is required in memnode element when mode is 'restrictive' in memory "
                             "element");
    }
    return TRUE;
}

static gboolean check_numa_places(const DomainDef *def, GError **error)
{
    int cells = (int)numa_def_n_cells(&def->numa);

    DOMAIN_DEF_FOREACH(MemoryDef, memory, def, DEVICE_MEMORY)
    {
        if (memory->node >= 0 && cells == 0)
            return error_set(error, VIR_ERR_XML_DETAIL,
                             "can't add memory backend as guest has no NUMA nodes configured");
        if (memory->node >= cells)
            return error_set(error, VIR_ERR_XML_DETAIL,
                             "can't add memory backend for guest node '%d' as the guest has only '%d' NUMA nodes "
                             "configured",
                             memory->node, cells);
    }
    DOMAIN_DEF_FOREACH(ControllerDef, controller, def, DEVICE_CONTROLLER)
    {
        if (controller->type == CONTROLLER_PCI && controller->numa_node >= cells)
            return error_set(error, VIR_ERR_XML_ERROR,
                             "%s with index %d is configured for a NUMA node (%d) not present in the domain's "
                             "<cpu><numa> array (%d)",
                             controller_model_text(controller), controller->index, controller->numa_node, cells);
    }
    return TRUE;
}

/* virtiofsd and who serves a vhost-user disk map the guest's memory. */
static gboolean check_shared_memory(const DomainDef *def, GError **error)
{
    gboolean shared = def->memtune.access == MEMORY_ACCESS_SHARED;

    for (guint i = 0; i < numa_def_n_cells(&def->numa); i++) {
        MemoryAccess access = numa_def_cell(&def->numa, i)->access;

        shared = access == MEMORY_ACCESS_SHARED ||
                 (access == MEMORY_ACCESS_DEFAULT && def->memtune.access == MEMORY_ACCESS_SHARED);
        if (!shared)
            break;
    }
    DOMAIN_DEF_FOREACH(FilesystemDef, fs, def, DEVICE_FILESYSTEM)
    {
        if (fs->driver == FS_DRIVER_VIRTIOFS && !shared)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "'virtiofs' requires shared memory: <memoryBacking><access mode='shared'/>");
    }
    DOMAIN_DEF_FOREACH(DiskDef, disk, def, DEVICE_DISK)
    {
        if (disk->source->type == STORAGE_TYPE_VHOSTUSER && !shared)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "'vhostuser' requires shared memory: <memoryBacking><access mode='shared'/>");
    }
    return TRUE;
}

/* --- displays, IOMMU ---------------------------------------------------------------------------------- */

static gboolean check_displays(const DomainDef *def, GError **error)
{
    gboolean headless = FALSE;
    guint primary = 0;

    DOMAIN_DEF_FOREACH(GraphicsDef, graphics, def, DEVICE_GRAPHICS)
    headless |= graphics->type == GRAPHICS_EGL_HEADLESS;
    for (guint i = 0; headless && i < domain_def_n(def, DEVICE_GRAPHICS); i++) {
        const GraphicsDef *graphics = domain_def_get(def, DEVICE_GRAPHICS, i);

        if (graphics->type != GRAPHICS_EGL_HEADLESS && graphics->type != GRAPHICS_VNC &&
            graphics->type != GRAPHICS_SPICE)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "graphics type 'egl-headless' is only supported with one of: 'vnc', 'spice' graphics types");
        if (graphics->type == GRAPHICS_SPICE && graphics->gl == TRISTATE_YES)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "multiple OpenGL displays are not supported by QEMU");
    }
    DOMAIN_DEF_FOREACH(VideoDef, video, def, DEVICE_VIDEO)
    primary += video->primary ? 1 : 0;
    return primary < 2 ||
           error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Only one primary video device is supported");
}

/* What ends in a SPICE client needs a SPICE server. */
static gboolean check_spice_source(const ChrSource *source, GError **error)
{
    return (source->type != CHR_TYPE_SPICEVMC && source->type != CHR_TYPE_SPICEPORT) ||
           error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "chardev '%s' not supported without spice graphics",
                     chr_type_to_string(source->type));
}

static gboolean check_spice(const DomainDef *def, GError **error)
{
    static const DeviceKind chrs[] = {DEVICE_SERIAL, DEVICE_PARALLEL, DEVICE_CONSOLE, DEVICE_CHANNEL};

    DOMAIN_DEF_FOREACH(GraphicsDef, graphics, def, DEVICE_GRAPHICS)
    {
        if (graphics->type == GRAPHICS_SPICE)
            return TRUE;
    }
    for (guint k = 0; k < G_N_ELEMENTS(chrs); k++) {
        DOMAIN_DEF_FOREACH(ChrDef, chr, def, chrs[k])
        {
            if (!check_spice_source(&chr->source, error))
                return FALSE;
        }
    }
    DOMAIN_DEF_FOREACH(SmartcardDef, smartcard, def, DEVICE_SMARTCARD)
    {
        if (smartcard->mode == SMARTCARD_PASSTHROUGH && !check_spice_source(&smartcard->source, error))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(RngDef, rng, def, DEVICE_RNG)
    {
        if (rng->backend == RNG_BACKEND_EGD && !check_spice_source(&rng->egd, error))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(RedirdevDef, redirdev, def, DEVICE_REDIRDEV)
    {
        if (!check_spice_source(&redirdev->source, error))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(AudioDef, audio, def, DEVICE_AUDIO)
    {
        if (audio->type == AUDIO_SPICE)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Spice audio is not supported without spice graphics");
    }
    return TRUE;
}

static gboolean check_iommu(const DomainDef *def, GError **error)
{
    const IommuDef *iommu = DOMAIN_DEF_SINGLE(IommuDef, def, DEVICE_IOMMU);
    const char *model;

    if (iommu == NULL)
        return TRUE;
    model = iommu_model_to_string(iommu->model);
    if (!os_def_is_q35(&def->os))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "IOMMU device: '%s' is only supported with Q35 machines",
                         model);
    if (iommu->model != IOMMU_VIRTIO)
        return TRUE;
    if (def->features.state[FEATURE_ACPI] != TRISTATE_YES)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "IOMMU device: '%s' requires ACPI", model);
    return iommu->info.address.type == ADDRESS_NONE || iommu->info.address.type == ADDRESS_PCI ||
           error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "IOMMU device: '%s' needs a PCI address", model);
}

static gboolean check_tpms(const DomainDef *def, GError **error)
{
    return domain_def_n(def, DEVICE_TPM) <= 1 ||
           error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "only a single TPM non-proxy device is supported");
}

/* --- USB ---------------------------------------------------------------------------------------------- */

static gboolean check_usb_bus(const DomainDef *def, GError **error)
{
    gboolean none = FALSE, master = FALSE, companion = FALSE;

    DOMAIN_DEF_FOREACH(ControllerDef, controller, def, DEVICE_CONTROLLER)
    {
        if (controller->type != CONTROLLER_USB)
            continue;
        if (controller->model == USB_MODEL_NONE)
            none = TRUE;
        else if (controller->info.usb_master)
            companion = TRUE;
        else
            master = TRUE;
    }
    if (none && (master || companion))
        return error_set(error, VIR_ERR_XML_DETAIL,
                         "Can't add another USB controller: USB is disabled for this domain");
    if (companion && !master)
        return error_set(error, VIR_ERR_XML_DETAIL, "No master USB controller specified");
    if (none && domain_def_n(def, DEVICE_HUB) > 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Can't add USB hub: USB is disabled for this domain");
    DOMAIN_DEF_FOREACH(DiskDef, disk, def, DEVICE_DISK)
    {
        if (none && disk->bus == DISK_BUS_USB)
            return error_set(error, VIR_ERR_XML_ERROR,
                             "Device configuration is not compatible: Domain has USB bus disabled");
    }
    return TRUE;
}

gboolean domain_rules_check(const DomainDef *def, GError **error)
{
    return check_firmware(def, error) && check_cpu_details(def->cpu, error) && check_hugepages(def, error) &&
           check_numatune(&def->numatune, error) && check_numa_places(def, error) &&
           check_shared_memory(def, error) && check_displays(def, error) && check_spice(def, error) &&
           check_iommu(def, error) && check_tpms(def, error) && check_usb_bus(def, error);
}
