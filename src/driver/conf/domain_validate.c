/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checks of a complete definition: what contradicts itself, and what is understood but cannot be had. Each
 * refusal names element and value. What belongs to one device alone is in the device's own validate().
 */
#include "driver/conf/domain_validate.h"

#include <string.h>

#include "common/error.h"
#include "driver/conf/def_chr.h"
#include "driver/conf/def_controller.h"
#include "driver/conf/def_disk.h"
#include "driver/conf/def_hostdev.h"
#include "driver/conf/domain_def.h"

#define MEMORY_MAX_KIB (G_GUINT64_CONSTANT(1) << 42) /* 4 PiB, in KiB */

gboolean domain_name_check(const char *name, GError **error)
{
    if (name == NULL || *name == '\0')
        return error_set(error, VIR_ERR_NO_NAME, "the name of a domain must not be empty");
    if (strchr(name, '/') != NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "name %s cannot contain '/'", name);
    if (strchr(name, '\n') != NULL)
        return error_set(error, VIR_ERR_XML_DETAIL, "invalid char in name: a newline");
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return error_set(error, VIR_ERR_XML_ERROR, "'%s' cannot be the name of a domain", name);
    if (strlen(name) > DOMAIN_NAME_MAX)
        return error_set(error, VIR_ERR_XML_ERROR,
                         "the name of a domain is limited to %d bytes: '%.40s...' has %zu", DOMAIN_NAME_MAX,
                         name, strlen(name));
    if (strspn(name, " \t\r\f\v") == strlen(name))
        return error_set(error, VIR_ERR_XML_ERROR, "name '%s' must not consist of white space only", name);
    return TRUE;
}

/* --- one device --------------------------------------------------------------------------------------- */

gboolean device_def_validate(const DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    const DeviceDefOps *ops = device_def_ops(dev->kind);

    if (dev->address.type == ADDRESS_CCW || dev->address.type == ADDRESS_SPAPR_VIO ||
        dev->address.type == ADDRESS_VIRTIO_S390)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "address type '%s' of a %s device is not supported on x86",
                         address_type_to_string(dev->address.type), device_kind_to_string(dev->kind));
    if (dev->loadparm != NULL)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "boot loadparm='%s' is not supported on x86",
                         dev->loadparm);
    if (ops->validate != NULL && !ops->validate(dev, ctx, error))
        return FALSE;
    return ctx->env->validate_device == NULL || ctx->env->validate_device(ctx->env, ctx->def, dev, error);
}

/* --- duplicates --------------------------------------------------------------------------------------- */

typedef struct DuplicateContext {
    const DomainDef *def;
    GHashTable *aliases, *places, *pci, *boot;
    gboolean attached; /* what is looked at comes into a domain that is there */
    GError **error;
} DuplicateContext;

static char *place_key(const DeviceInfo *dev)
{
    const DeviceAddress *a = &dev->address;

    switch (a->type) {
    case ADDRESS_DRIVE: {
        const char *bus = dev->kind == DEVICE_DISK ? disk_bus_to_string(((const DiskDef *)dev)->bus) : "scsi";

        return g_strdup_printf("%s drive controller=%u bus=%u target=%u unit=%u", bus, a->u.drive.controller,
                               a->u.drive.bus, a->u.drive.target, a->u.drive.unit);
    }
    case ADDRESS_VIRTIO_SERIAL:
        return g_strdup_printf("virtio-serial controller=%u bus=%u port=%u", a->u.vserial.controller,
                               a->u.vserial.bus, a->u.vserial.port);
    case ADDRESS_CCID:
        return g_strdup_printf("ccid controller=%u slot=%u", a->u.ccid.controller, a->u.ccid.slot);
    case ADDRESS_USB:
        if (a->u.usb.port[0] == 0)
            return NULL;
        return g_strdup_printf("usb bus=%u port=%u.%u.%u.%u", a->u.usb.bus, a->u.usb.port[0],
                               a->u.usb.port[1], a->u.usb.port[2], a->u.usb.port[3]);
    case ADDRESS_DIMM:
        return g_strdup_printf("dimm slot=%u", a->u.dimm.slot);
    default:
        return NULL;
    }
}

static gpointer pci_key(const PciAddress *address)
{
    return GUINT_TO_POINTER((address->bus << 8 | address->slot << 3 | address->function) + 1);
}

static gboolean is_console_twin(const DeviceInfo *dev)
{
    return dev->kind == DEVICE_CONSOLE && (((const ChrDef *)dev)->target.console == CONSOLE_TARGET_SERIAL ||
                                           ((const ChrDef *)dev)->target.console == CONSOLE_TARGET_NONE);
}

/* libvirt's numbers for one address twice. */
static virErrorNumber duplicate_number(const DuplicateContext *ctx, const DeviceInfo *dev)
{
    if (ctx->attached && (dev->kind == DEVICE_MEMORY ||
                          (dev->kind == DEVICE_DISK && ((const DiskDef *)dev)->bus == DISK_BUS_SCSI)))
        return VIR_ERR_OPERATION_INVALID;
    return ctx->attached || dev->address.type == ADDRESS_DRIVE ? VIR_ERR_CONFIG_UNSUPPORTED : VIR_ERR_XML_ERROR;
}

static gboolean check_duplicates(DeviceInfo *dev, gpointer data)
{
    DuplicateContext *ctx = data;
    char *place;

    if (is_console_twin(dev))
        return TRUE;
    /* Ours may be shared: all parts of a USB 2 controller are "usb". */
    if (dev->alias != NULL && device_alias_is_user(dev->alias) && !g_hash_table_add(ctx->aliases, dev->alias))
        return error_set(ctx->error, VIR_ERR_CONFIG_UNSUPPORTED, "non unique alias detected: %s", dev->alias);
    if (pci_address_present(dev) && !g_hash_table_add(ctx->pci, pci_key(&dev->address.u.pci))) {
        g_autofree char *text = pci_address_text(&dev->address.u.pci);

        return error_set(ctx->error, duplicate_number(ctx, dev), "found duplicate PCI address %s for a %s device",
                         text, device_kind_to_string(dev->kind));
    }
    place = place_key(dev);
    if (place != NULL && g_hash_table_contains(ctx->places, place)) {
        error_set(ctx->error, duplicate_number(ctx, dev), "found duplicate %s for a %s device", place,
                  device_kind_to_string(dev->kind));
        g_free(place);
        return FALSE;
    }
    if (place != NULL)
        g_hash_table_add(ctx->places, place);
    if (dev->boot_index > 0 && !g_hash_table_add(ctx->boot, GUINT_TO_POINTER(dev->boot_index)))
        return error_set(ctx->error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "boot order '%u' used for more than one device", dev->boot_index);
    return TRUE;
}

static DuplicateContext duplicates_new(const DomainDef *def, GError **error)
{
    return (DuplicateContext){.def = def,
                              .aliases = g_hash_table_new(g_str_hash, g_str_equal),
                              .places = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
                              .pci = g_hash_table_new(NULL, NULL),
                              .boot = g_hash_table_new(NULL, NULL),
                              .error = error};
}

static void duplicates_clear(DuplicateContext *ctx)
{
    g_hash_table_unref(ctx->aliases);
    g_hash_table_unref(ctx->places);
    g_hash_table_unref(ctx->pci);
    g_hash_table_unref(ctx->boot);
}

static gboolean check_disk_against(const DiskDef *disk, const DiskDef *other, GError **error)
{
    if (g_strcmp0(disk->target, other->target) == 0)
        return error_set(error, VIR_ERR_XML_ERROR, "target '%s' duplicated for disk sources '%s' and '%s'",
                         disk->target, disk->source->path != NULL ? disk->source->path : "(empty)",
                         other->source->path != NULL ? other->source->path : "(empty)");
    if (disk->wwn != NULL && g_strcmp0(disk->wwn, other->wwn) == 0 &&
        g_strcmp0(disk->serial, other->serial) == 0)
        return error_set(error, VIR_ERR_XML_ERROR, "Disks '%s' and '%s' have identical WWN", disk->target,
                         other->target);
    return TRUE;
}

static gboolean check_disk_threads(const DomainDef *def, const DiskDef *disk, GError **error)
{
    guint missing = disk->iothread != 0 && domain_def_iothread(def, disk->iothread) == NULL ? disk->iothread : 0;

    for (guint i = 0; disk->iothreads != NULL && i < disk->iothreads->len; i++) {
        guint id = ((const DiskIothread *)g_ptr_array_index(disk->iothreads, i))->id;

        if (missing == 0 && domain_def_iothread(def, id) == NULL)
            missing = id;
    }
    return missing == 0 ||
           error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Disk iothread '%u' not defined in iothreadid", missing);
}

static gboolean check_disks(const DomainDef *def, GError **error)
{
    g_autoptr(GHashTable) targets = g_hash_table_new(g_str_hash, g_str_equal);

    DOMAIN_DEF_FOREACH(DiskDef, disk, def, DEVICE_DISK)
    {
        DiskDef *other = disk->target != NULL ? g_hash_table_lookup(targets, disk->target) : NULL;

        if (other != NULL)
            return check_disk_against(disk, other, error);
        if (disk->target != NULL)
            g_hash_table_insert(targets, disk->target, disk);
        for (guint i = 0; disk->wwn != NULL && i < disk_i; i++) {
            if (!check_disk_against(disk, domain_def_get(def, DEVICE_DISK, i), error))
                return FALSE;
        }
        if (!check_disk_threads(def, disk, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean check_controllers(const DomainDef *def, GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);

    DOMAIN_DEF_FOREACH(ControllerDef, controller, def, DEVICE_CONTROLLER)
    {
        if (controller->info.usb_master)
            continue;
        if (!g_hash_table_add(seen, GINT_TO_POINTER((controller->type << 20) + controller->index + 1)))
            return error_set(error, VIR_ERR_XML_ERROR, "Multiple '%s' controllers with index '%d'",
                             controller_type_to_string(controller->type), controller->index);
    }
    return TRUE;
}

/* --- the rest of the definition ----------------------------------------------------------------------- */

static gboolean check_memory(const DomainDef *def, GError **error)
{
    if (def->memory > MEMORY_MAX_KIB || def->max_memory > MEMORY_MAX_KIB)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "memory of %" G_GUINT64_FORMAT " KiB is beyond the limit",
                         MAX(def->memory, def->max_memory));
    if (!domain_def_has_memory_hotplug(def) && domain_def_n(def, DEVICE_MEMORY) > 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "cannot use/hotplug a memory device when domain 'maxMemory' is not defined");
    if (domain_def_has_memory_hotplug(def) && numa_def_n_cells(&def->numa) == 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "At least one numa node has to be configured when enabling memory hotplug");
    if (domain_def_n(def, DEVICE_MEMORY) > def->memory_slots && domain_def_has_memory_hotplug(def))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "memory device count '%u' exceeds slots count '%u'",
                         domain_def_n(def, DEVICE_MEMORY), def->memory_slots);
    if (def->memtune.min_guarantee > 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "Parameter 'min_guarantee' is not supported by QEMU.");
    return TRUE;
}

static gboolean check_cpu(const DomainDef *def, const DomainDefEnv *env, GError **error)
{
    const CpuDef *cpu = def->cpu;
    guint max = env->max_vcpus != NULL ? env->max_vcpus(env, def) : 0;
    guint64 product;

    if (max > 0 && domain_def_vcpus_max(def) > max)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "Maximum CPUs greater than specified machine type limit %u", max);
    if (numa_def_max_cpu(&def->numa) > domain_def_vcpus_max(def))
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "Number of CPUs in <numa> exceeds the <vcpu> count");
    if (cpu != NULL && !cpu_def_validate(cpu, error))
        return FALSE;
    if (cpu == NULL || cpu->sockets == 0)
        return TRUE;
    product = (guint64)cpu->sockets * cpu->dies;
    if (product > DOMAIN_VCPUS_MAX || product * cpu->cores > DOMAIN_VCPUS_MAX ||
        product * cpu->cores * cpu->threads != domain_def_vcpus_max(def))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "CPU topology doesn't match maximum vcpu count");
    return TRUE;
}

static gboolean check_features(const DomainDef *def, GError **error)
{
    static const Feature refused[] = {FEATURE_PRIVNET, FEATURE_CAPABILITIES, FEATURE_GIC, FEATURE_HPT,
                                      FEATURE_HTM,     FEATURE_NESTED_HV,    FEATURE_XEN, FEATURE_CCF_ASSIST,
                                      FEATURE_CFPC,    FEATURE_SBBC,         FEATURE_IBS};

    for (guint i = 0; i < G_N_ELEMENTS(refused); i++) {
        if (def->features.state[refused[i]] == TRISTATE_YES)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "The '%s' feature is not supported for architecture '%s' or machine type '%s'",
                             feature_to_string(refused[i]), def->os.arch, def->os.machine);
    }
    if (def->features.tseg_set && !os_def_is_q35(&def->os))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "SMM TSEG is only supported with q35 machine type");
    if (def->features.tseg_set && def->features.tseg_bytes % (1 << 20) != 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "SMM TSEG size must be divisible by 1 MiB");
    if (feature_on(&def->features, FEATURE_TCG) && def->virt_type != VIRT_QEMU)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "TCG features are incompatible with domain type '%s'",
                         virt_type_to_string(def->virt_type));
    return TRUE;
}

static gboolean check_clock(const DomainDef *def, GError **error)
{
    for (guint i = 0; def->clock.timers != NULL && i < def->clock.timers->len; i++) {
        const TimerDef *timer = &g_array_index(def->clock.timers, TimerDef, i);
        const char *name = timer_name_to_string(timer->name);

        if ((timer->name == TIMER_KVMCLOCK || timer->name == TIMER_HYPERVCLOCK) &&
            timer->tickpolicy != TICK_NONE)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "timer %s doesn't support setting of timer tickpolicy", name);
        if (timer->tickpolicy != TICK_CATCHUP &&
            (timer->catchup_threshold != 0 || timer->catchup_limit != 0 || timer->catchup_slew != 0))
            return error_set(error, VIR_ERR_XML_ERROR,
                             "setting of timer catchup policies is only supported with tickpolicy='catchup'");
        if (timer->name != TIMER_TSC && timer->frequency != 0)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "timer %s doesn't support setting of timer frequency", name);
        if (timer->name != TIMER_TSC && timer->mode != TIMER_MODE_NONE)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "timer %s doesn't support setting of timer mode", name);
        if (timer->name != TIMER_PLATFORM && timer->name != TIMER_RTC && timer->track != TIMER_TRACK_NONE)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "timer %s doesn't support setting of timer track", name);
        if (timer->name == TIMER_PLATFORM || timer->name == TIMER_ARMVTIMER)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "unsupported timer type (name) '%s'", name);
    }
    return TRUE;
}

static gboolean check_os(const DomainDef *def, GError **error)
{
    const OsDef *os = &def->os;

    if (os->root != NULL)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "element 'root' of 'os' is not supported");
    if (os->smbios == SMBIOS_SYSINFO && domain_def_sysinfo(def, FALSE) == NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "Domain '%s' sysinfo are not available", def->name);
    return TRUE;
}

static gboolean check_unsupported(const DomainDef *def, GError **error)
{
    const struct {
        const char *what;
        gboolean given;
    } refused[] = {
        {"element 'keywrap'", def->keywrap != NULL},
        {"element 'launchSecurity'", def->launch_security != NULL},
        {"element 'cachetune' or 'memorytune'",
         def->cputune.resctrl != NULL && def->cputune.resctrl->len > 0},
        {"on_lockfailure", def->on_lockfailure != LOCKFAIL_DEFAULT},
    };

    for (guint i = 0; i < G_N_ELEMENTS(refused); i++) {
        if (refused[i].given)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s of domain '%s' is not supported",
                             refused[i].what, def->name);
    }
    return TRUE;
}

static gboolean check_hostdevs(const DomainDef *def, GError **error)
{
    gboolean ramfb = FALSE;

    DOMAIN_DEF_FOREACH(DeviceInfo, dev, def, DEVICE_HOSTDEV)
    {
        gboolean has_ramfb = ((const HostdevDef *)dev)->ramfb == TRISTATE_YES;

        for (guint i = 0; i < dev_i; i++) {
            if (device_def_ops(DEVICE_HOSTDEV)->matches(domain_def_get(def, DEVICE_HOSTDEV, i), dev))
                return error_set(error, VIR_ERR_XML_ERROR, "Hostdev already exists in the domain configuration");
        }
        if (ramfb && has_ramfb)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Only one vgpu device can have 'ramfb' enabled");
        ramfb |= has_ramfb;
    }
    return TRUE;
}

static gboolean check_devices(const DomainDef *def, const DeviceContext *ctx, GError **error)
{
    for (int kind = 0; kind < DEVICE_KIND_LAST; kind++) {
        DOMAIN_DEF_FOREACH(DeviceInfo, dev, def, kind)
        {
            if (!is_console_twin(dev) && !device_def_validate(dev, ctx, error))
                return FALSE;
        }
    }
    return TRUE;
}

gboolean domain_def_validate(const DomainDef *def, const DomainDefEnv *env, GError **error)
{
    DeviceContext ctx = {.def = def, .env = env != NULL ? env : &domain_def_env_default};
    DuplicateContext duplicates;
    gboolean ok;

    if (!domain_name_check(def->name, error) || !check_memory(def, error) ||
        !check_cpu(def, ctx.env, error) || !check_features(def, error) || !check_clock(def, error) ||
        !check_os(def, error) || !check_unsupported(def, error) ||
        !check_devices(def, &ctx, error) || !check_hostdevs(def, error) ||
        !check_disks(def, error) || !domain_rules_check(def, error) || !check_controllers(def, error))
        return FALSE;
    duplicates = duplicates_new(def, error);
    ok = domain_def_visit(def, check_duplicates, &duplicates);
    duplicates_clear(&duplicates);
    return ok && (ctx.env->validate == NULL || ctx.env->validate(ctx.env, def, error));
}

gboolean domain_def_validate_attach(const DomainDef *def, const DeviceInfo *dev, const DomainDefEnv *env,
                                    GError **error)
{
    DeviceContext ctx = {.def = def, .env = env != NULL ? env : &domain_def_env_default};
    DuplicateContext duplicates;
    gboolean ok;

    if (!device_def_validate(dev, &ctx, error))
        return FALSE;
    if (device_def_ops(dev->kind)->single && domain_def_n(def, dev->kind) > 0)
        return error_set(error, VIR_ERR_OPERATION_INVALID, "domain '%s' already has a %s device", def->name,
                         device_kind_to_string(dev->kind));
    if (dev->boot_index > 0 && def->os.n_boot > 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "per-device boot elements cannot be used together with os/boot elements");
    if (dev->kind == DEVICE_DISK) {
        DOMAIN_DEF_FOREACH(DiskDef, disk, def, DEVICE_DISK)
        {
            if (g_strcmp0(disk->target, ((const DiskDef *)dev)->target) == 0)
                return error_set_from(error, VIR_FROM_QEMU, VIR_ERR_OPERATION_INVALID, "target %s already exists",
                                      disk->target);
            if (!check_disk_against((const DiskDef *)dev, disk, error))
                return FALSE;
        }
    }
    if (dev->kind == DEVICE_CONTROLLER && ((const ControllerDef *)dev)->index != -1) {
        DOMAIN_DEF_FOREACH(ControllerDef, other, def, DEVICE_CONTROLLER)
        {
            if (other->type != ((const ControllerDef *)dev)->type ||
                other->index != ((const ControllerDef *)dev)->index)
                continue;
            if (def->id >= 0) /* libvirt has another number where the domain runs */
                return error_set_from(error, VIR_FROM_QEMU, VIR_ERR_OPERATION_FAILED, "target %s:%d already exists",
                                      controller_type_to_string(other->type), other->index);
            return error_set_from(error, VIR_FROM_QEMU, VIR_ERR_OPERATION_INVALID,
                                  "controller index='%d' already exists", other->index);
        }
    }
    duplicates = duplicates_new(def, error);
    ok = domain_def_visit(def, check_duplicates, &duplicates);
    duplicates.attached = TRUE;
    ok = ok && check_duplicates((DeviceInfo *)dev, &duplicates);
    duplicates_clear(&duplicates);
    return ok;
}
