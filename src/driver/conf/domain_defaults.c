/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a definition gets without being asked, in the order in which libvirt 9.0's QEMU driver fills it in, so
 * that a client cannot tell the difference: machine, chipset devices, CPU, defaults of each device,
 * console/serial twin, implicit controllers, video, addresses.
 */
#include <string.h>

#include "common/error.h"
#include "driver/conf/address.h"
#include "driver/conf/def_controller.h"
#include "driver/conf/def_memory.h"
#include "driver/conf/def_video.h"
#include "driver/conf/domain_def.h"
#include "driver/conf/domain_implicit.h"

#define DEFAULT_ARCH "x86_64"
#define DEFAULT_MACHINE "pc"
#define DEFAULT_NVRAM_DIR "/var/lib/libvirt/qemu/nvram"

/* --- machine ------------------------------------------------------------------------------------------ */

static gboolean fill_os(DomainDef *def, const DomainDefEnv *env, guint flags, GError **error)
{
    OsDef *os = &def->os;
    /* Whoever counts on what libvirt adds counts on the slots of libvirt's default machine. */
    const char *machine = os->machine == NULL && (flags & DOMAIN_DEF_PARSE_NO_RICH) ? DEFAULT_MACHINE : os->machine;
    char *canonical;

    if (os->type == NULL || *os->type == '\0')
        return error_set(error, VIR_ERR_XML_ERROR, "an os <type> must be specified");
    if (strcmp(os->type, "hvm") != 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "element 'os': type '%s' is not supported; supported is hvm", os->type);
    if (os->arch == NULL)
        os->arch = g_strdup(env->default_arch != NULL ? env->default_arch : DEFAULT_ARCH);
    if (strcmp(os->arch, "x86_64") != 0 && strcmp(os->arch, "i686") != 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "element 'os': arch '%s' is not supported; supported are x86_64, i686", os->arch);
    if (env->canonical_machine != NULL) {
        canonical = env->canonical_machine(env, def, machine, error);
        if (canonical == NULL)
            return FALSE;
        g_free(os->machine);
        os->machine = canonical;
    } else if (os->machine == NULL) {
        os->machine = g_strdup(DEFAULT_MACHINE);
    }
    return TRUE;
}

static gboolean fill_firmware(DomainDef *def, const DomainDefEnv *env, GError **error)
{
    OsDef *os = &def->os;
    LoaderDef *loader = &os->loader;

    if (os->firmware_features[FIRMWARE_FEATURE_ENROLLED_KEYS] == TRISTATE_YES) {
        if (os->firmware_features[FIRMWARE_FEATURE_SECURE_BOOT] == TRISTATE_NO)
            return error_set(
                error, VIR_ERR_XML_DETAIL,
                "firmware feature 'enrolled-keys' cannot be enabled when firmware feature 'secure-boot' "
                "is disabled");
        os->firmware_features[FIRMWARE_FEATURE_SECURE_BOOT] = TRISTATE_YES;
    }
    if (loader->path != NULL && loader->type == LOADER_NONE)
        loader->type = LOADER_ROM;
    if (os->firmware == FIRMWARE_NONE && loader->type == LOADER_PFLASH && loader->readonly == TRISTATE_YES &&
        loader->nvram_path == NULL && loader->stateless != TRISTATE_YES) {
        loader->nvram_given = TRUE;
        loader->nvram_path = g_strdup_printf(
            "%s/%s_VARS.fd", env->nvram_dir != NULL ? env->nvram_dir : DEFAULT_NVRAM_DIR, def->name);
    }
    return TRUE;
}

/* --- memory, vCPUs, CPU ------------------------------------------------------------------------------- */

/* Without guest nodes there is node 0 only: a page size "of node 0" is one of all memory. */
static void fill_hugepages(DomainDef *def)
{
    const GArray *pages = def->memtune.hugepages;

    for (guint i = 0; pages != NULL && numa_def_n_cells(&def->numa) == 0 && i < pages->len; i++) {
        HugePage *page = &g_array_index(pages, HugePage, i);

        if (page->nodes != NULL && bitmap_next(page->nodes, 1) < 0)
            g_clear_pointer(&page->nodes, bitmap_free);
    }
}

static gboolean fill_memory(DomainDef *def, guint flags, GError **error)
{
    guint64 numa = 0, hotplug = 0;

    if (def->memory == 0 || (flags & DOMAIN_DEF_PARSE_ABI_UPDATE))
        numa = numa_def_memory(&def->numa);
    DOMAIN_DEF_FOREACH(MemoryDef, memory, def, DEVICE_MEMORY)
    hotplug += memory->size;
    if (numa > 0) {
        def->memory = numa + hotplug;
        def->memory_from_numa = TRUE;
    } else if (hotplug > def->memory) {
        return error_set(error, VIR_ERR_XML_ERROR,
                         "Total size of memory devices exceeds the total memory size");
    }
    if (domain_def_memory_initial(def) == 0)
        return error_set(error, VIR_ERR_XML_ERROR,
                         "Memory size must be specified via <memory> or in the <numa> configuration");
    if (def->current_memory > def->memory || def->current_memory == 0)
        def->current_memory = def->memory;
    if (domain_def_has_memory_hotplug(def) && (def->max_memory == 0 || def->memory_slots == 0))
        return error_set(error, VIR_ERR_XML_ERROR,
                         "both maximum memory size and memory slot count must be specified");
    if (def->max_memory > 0 && def->max_memory < def->memory)
        return error_set(error, VIR_ERR_XML_ERROR,
                         "maximum memory size must be equal or greater than the actual memory size");
    return TRUE;
}

static void fill_hotpluggable(DomainDef *def)
{
    for (guint i = 0; i < def->vcpus->len; i++) {
        VcpuDef *vcpu = domain_def_vcpu(def, i);

        if (vcpu->hotpluggable == TRISTATE_ABSENT)
            vcpu->hotpluggable = vcpu->online ? TRISTATE_NO : TRISTATE_YES;
    }
}

static gboolean fill_vcpus(DomainDef *def, GError **error)
{
    gboolean ordered = domain_def_vcpu(def, 0)->order != 0;
    const VcpuDef *first = domain_def_vcpu(def, 0), *previous = first;

    if (!first->online)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "vcpu 0 can't be offline");
    if (first->hotpluggable == TRISTATE_YES)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "vcpu0 can't be hotpluggable");
    if (first->order > 1)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "vcpu0 must be enabled first");
    for (guint i = 1; i < def->vcpus->len; i++) {
        const VcpuDef *vcpu = domain_def_vcpu(def, i);

        if (vcpu->online && (vcpu->order != 0) != ordered)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "all vcpus must have either set or unset order");
        if (vcpu->hotpluggable == TRISTATE_NO) {
            if (previous->hotpluggable == TRISTATE_YES)
                return error_set(
                    error, VIR_ERR_CONFIG_UNSUPPORTED,
                    "online non-hotpluggable vcpus need to be ordered prior to hotplugable vcpus");
            if (previous->order > vcpu->order)
                return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                 "online non-hotpluggable vcpus must be ordered in ascending order");
        }
        previous = vcpu;
    }
    fill_hotpluggable(def);
    for (guint i = 0; i < def->vcpus->len; i++) {
        const VcpuDef *vcpu = domain_def_vcpu(def, i);

        if (vcpu->hotpluggable == TRISTATE_NO && !vcpu->online)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "vcpu '%u' is both offline and not hotpluggable", i);
    }
    return TRUE;
}

static gboolean is_default_cpu_wanted(const DomainDef *def)
{
    return def->cpu == NULL || (def->cpu->mode == CPU_MODE_CUSTOM && def->cpu->model == NULL);
}

/* What QEMU's own default is, by binary. */
static const char *emulated_cpu(const DomainDef *def)
{
    gboolean is_32bit = def->emulator != NULL ? g_str_has_suffix(def->emulator, "-i386") : strcmp(def->os.arch, "i686") == 0;

    return is_32bit ? "qemu32" : "qemu64";
}

static gboolean fill_cpu(DomainDef *def, const DomainDefEnv *env, GError **error)
{
    CpuDef *cpu;

    if (def->cpu != NULL && def->cpu->mode == CPU_MODE_CUSTOM && def->cpu->model == NULL &&
        def->cpu->check != CPU_CHECK_DEFAULT)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "check attribute specified for CPU with no model");
    if (is_default_cpu_wanted(def)) {
        const char *model = env->default_cpu != NULL ? env->default_cpu(env, def) : emulated_cpu(def);

        if (model == NULL)
            return TRUE;
        if (def->cpu == NULL)
            def->cpu = cpu_def_new();
        def->cpu->guest = TRUE;
        if (strcmp(model, "host") == 0) {
            def->cpu->mode = CPU_MODE_HOST_PASSTHROUGH;
        } else {
            /* Whatever of such a model the host lacks is left out at the start. */
            def->cpu->check = CPU_CHECK_NONE;
            def->cpu->match = CPU_MATCH_EXACT;
            def->cpu->fallback = CPU_FALLBACK_FORBID;
            def->cpu->model = g_strdup(model);
        }
    }
    cpu = def->cpu;
    if (def->id == -1 && cpu->mode == CPU_MODE_HOST_PASSTHROUGH && cpu->migratable == TRISTATE_ABSENT)
        cpu->migratable = TRISTATE_YES;
    if (cpu->check != CPU_CHECK_DEFAULT || is_default_cpu_wanted(def))
        return TRUE;
    if (cpu->mode == CPU_MODE_HOST_MODEL)
        cpu->check = CPU_CHECK_PARTIAL;
    else if (cpu->mode == CPU_MODE_CUSTOM && def->virt_type != VIRT_QEMU)
        cpu->check = CPU_CHECK_PARTIAL;
    else
        cpu->check = CPU_CHECK_NONE;
    return TRUE;
}

/* vCPUs that no NUMA cell lists belong to the first one. */
static void fill_numa_cpus(DomainDef *def)
{
    NumaCell *cell;

    if (numa_def_n_cells(&def->numa) == 0)
        return;
    cell = &g_array_index(def->numa.cells, NumaCell, 0);
    for (guint cpu = 0; cpu < def->vcpus->len; cpu++) {
        gboolean listed = FALSE;

        for (guint i = 0; i < def->numa.cells->len && !listed; i++)
            listed = bitmap_get(numa_def_cell(&def->numa, i)->cpus, cpu);
        if (listed)
            continue;
        if (cell->cpus == NULL)
            cell->cpus = bitmap_new();
        bitmap_set(cell->cpus, cpu);
    }
}

/* --- all ---------------------------------------------------------------------------------------------- */

static gboolean post_parse_device(DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    const DeviceDefOps *ops = device_def_ops(dev->kind);

    if (ops->post_parse != NULL && !ops->post_parse(dev, ctx, error))
        return FALSE;
    if (dev->kind == DEVICE_HOSTDEV)
        address_for_scsi_hostdev(ctx->def, dev);
    return dev->kind != DEVICE_DISK || address_from_disk_target(dev, error);
}

static gboolean post_parse_kind(DomainDef *def, DeviceKind kind, const DeviceContext *ctx, GError **error)
{
    DOMAIN_DEF_FOREACH(DeviceInfo, dev, def, kind)
    {
        if (!post_parse_device(dev, ctx, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean fill_video(DomainDef *def, const DeviceContext *ctx, GError **error)
{
    VideoDef *video;

    if (domain_def_n(def, DEVICE_GRAPHICS) > 0 && domain_def_n(def, DEVICE_VIDEO) == 0)
        implicit_add_device(def, DEVICE_VIDEO);
    video = domain_def_get(def, DEVICE_VIDEO, 0);
    if (video == NULL || video->model == VIDEO_NONE)
        return TRUE;
    /* The one that says primary stands first; else the first one is it. */
    for (guint i = 1; i < domain_def_n(def, DEVICE_VIDEO); i++) {
        VideoDef *other = domain_def_get(def, DEVICE_VIDEO, i);

        if (other->primary && !video->primary) {
            g_ptr_array_steal_index(def->devices[DEVICE_VIDEO], i);
            g_ptr_array_insert(def->devices[DEVICE_VIDEO], 0, other);
            video = other;
        }
    }
    video->primary = TRUE;
    return post_parse_device(&video->info, ctx, error);
}

static gboolean note_boot(DeviceInfo *dev, gpointer data)
{
    *(gboolean *)data |= dev->boot_index > 0;
    return TRUE;
}

/* Without any word on booting it is the first disk. */
static gboolean fill_boot(DomainDef *def, GError **error)
{
    gboolean per_device = FALSE;

    domain_def_visit(def, note_boot, &per_device);
    if (per_device && def->os.n_boot > 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "per-device boot elements cannot be used together with os/boot elements");
    if (!per_device && def->os.n_boot == 0) {
        def->os.n_boot = 1;
        def->os.boot[0] = BOOT_DISK;
    }
    return TRUE;
}

static gboolean fill_devices(DomainDef *def, const DeviceContext *ctx, GError **error)
{
    for (int kind = 0; kind < DEVICE_KIND_LAST; kind++) {
        if (!post_parse_kind(def, kind, ctx, error))
            return FALSE;
    }
    return TRUE;
}

/* A label of no model is of the host's, and that has none. */
static gboolean fill_seclabel(DomainDef *def, guint flags, GError **error)
{
    SeclabelDef *seclabel = def->seclabels->len == 1 ? g_ptr_array_index(def->seclabels, 0) : NULL;

    if (seclabel == NULL || seclabel->model != NULL)
        return TRUE;
    if (seclabel->type == SECLABEL_STATIC || seclabel->baselabel != NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "missing security model in domain seclabel");
    seclabel->model = g_strdup("none");
    if (flags & DOMAIN_DEF_PARSE_INACTIVE) {
        seclabel->type = SECLABEL_NONE;
        seclabel->relabel = TRISTATE_NO;
    }
    return TRUE;
}

gboolean domain_def_post_parse(DomainDef *def, const DomainDefEnv *env, guint flags, GError **error)
{
    DeviceContext ctx = {.flags = flags, .def = def, .env = env != NULL ? env : &domain_def_env_default};
    gboolean rich, any_machine = def->os.machine == NULL;

    env = ctx.env;
    rich = env->rich_defaults && (flags & DOMAIN_DEF_PARSE_ABI_UPDATE) && !(flags & DOMAIN_DEF_PARSE_NO_RICH);
    if (def->emulator != NULL && g_strcmp0(def->emulator, env->any_emulator) == 0)
        g_clear_pointer(&def->emulator, g_free);
    if (!fill_os(def, env, flags, error))
        return FALSE;
    implicit_controller_indexes(def);
    if (!fill_firmware(def, env, error))
        return FALSE;
    if (!fill_seclabel(def, flags, error))
        return FALSE;
    if (rich)
        implicit_add_rich(def);
    if (!implicit_add_chipset(def, env, error) || !fill_cpu(def, env, error) || !fill_vcpus(def, error))
        return FALSE;
    fill_numa_cpus(def);
    fill_hugepages(def);
    if (!fill_devices(def, &ctx, error) || !fill_memory(def, flags, error) || !fill_boot(def, error) ||
        !implicit_fill_console(def, error) || !implicit_add_controllers(def, error) || !fill_video(def, &ctx, error))
        return FALSE;
    /* What the steps above have added. */
    if (!post_parse_kind(def, DEVICE_SERIAL, &ctx, error) ||
        !post_parse_kind(def, DEVICE_CONTROLLER, &ctx, error))
        return FALSE;
    if (def->emulator == NULL && env->default_emulator != NULL) {
        g_autoptr(GError) cause = NULL;

        def->emulator = env->default_emulator(env, def, &cause);
        if (cause != NULL) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return FALSE;
        }
    }
    if (!address_assign_all(def, env, !(flags & DOMAIN_DEF_PARSE_ABI_UPDATE), error) ||
        (rich && any_machine && !implicit_add_spare_ports(def, env, error)))
        return FALSE;
    domain_def_boot_order(def);
    return TRUE;
}

void domain_def_complete(DomainDef *def)
{
    implicit_controller_indexes(def);
    fill_hotpluggable(def);
    domain_def_boot_order(def);
}
