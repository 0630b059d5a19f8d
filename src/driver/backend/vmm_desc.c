/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Definition -> machine description: see vmm_desc.h. The machine; its devices are in vmm_desc_devices.c. */
#include <string.h>
#include <time.h>

#include "driver/backend/vmm_desc_priv.h"
#include "driver/conf/def_panic.h"
#include "driver/conf/def_watchdog.h"
#include "driver/host/vmm_caps.h"

enum { MEMORY_ALIGN = 128 << 20 }; /* of a memory device (src/vmm/virtio/mem.c) */

/* --- the machine --- */

static json_t *make_memory(const DomainDef *def)
{
    const MemoryTune *tune = &def->memtune;
    json_t *memory = json_pack("{s:I}", "size", (json_int_t)(domain_def_memory_initial(def) * 1024));
    gboolean shared = tune->access == MEMORY_ACCESS_SHARED;

    for (guint i = 0; i < numa_def_n_cells(&def->numa); i++)
        shared |= numa_def_cell(&def->numa, i)->access == MEMORY_ACCESS_SHARED;
    if (shared)
        json_object_set_new(memory, "shared", json_true());
    if (tune->hugepages_given) {
        const HugePage *page =
            tune->hugepages != NULL && tune->hugepages->len > 0 ? &g_array_index(tune->hugepages, HugePage, 0)
                                                                : NULL;

        if (page == NULL || page->size_kib != 4) {
            json_object_set_new(memory, "hugepages", json_true());
            prop_uint(memory, "hugepage-size", page ? page->size_kib * 1024 : 0);
        }
    }
    if (tune->allocation == MEMORY_ALLOCATION_IMMEDIATE || json_object_get(memory, "hugepages") != NULL)
        json_object_set_new(memory, "prealloc", json_true());
    if (tune->locked)
        json_object_set_new(memory, "locked", json_true());
    /* Room for growth, and for what the alignment of each device costs. */
    if (def->max_memory > domain_def_memory_initial(def))
        prop_uint(memory, "reserve", (def->max_memory - domain_def_memory_initial(def)) * 1024 +
                                         (guint64)def->memory_slots * MEMORY_ALIGN);
    json_object_set_new(memory, "mergeable", json_boolean(!tune->nosharepages));
    if (def->dump_core == TRISTATE_YES)
        json_object_set_new(memory, "dump-guest-core", json_true());
    return memory;
}

static void add_feature(json_t *features, char sign, const char *name)
{
    g_autofree char *text = g_strdup_printf("%c%s", sign, name);

    json_array_append_new(features, json_string(text));
}

/* Those that can be taken out are plugged before the guest runs (qemu_live.c). */
guint vmm_desc_vcpus_at_boot(const DomainDef *def)
{
    guint n = 0;

    for (guint i = 0; i < domain_def_vcpus_max(def); i++) {
        const VcpuDef *vcpu = domain_def_vcpu(def, i);

        n += vcpu->online && vcpu->hotpluggable != TRISTATE_YES;
    }
    return n;
}

static json_t *make_cpus(const DomainDef *def)
{
    const CpuDef *cpu = def->cpu;
    guint max = domain_def_vcpus_max(def);
    guint present = vmm_desc_vcpus_at_boot(def);
    json_t *cpus = json_pack("{s:i}", "count", (int)present);
    json_t *features = json_array();
    const char *model = "qemu64";

    if (max > present)
        json_object_set_new(cpus, "max", json_integer(max));
    if (cpu != NULL && cpu->mode == CPU_MODE_MAXIMUM)
        model = "max";
    else if (cpu != NULL && (cpu->mode == CPU_MODE_HOST_PASSTHROUGH ||
                             (cpu->mode == CPU_MODE_HOST_MODEL && cpu->model == NULL)))
        model = "host";
    else if (cpu != NULL && cpu->model != NULL)
        model = cpu->model;
    json_object_set_new(cpus, "model", json_string(model));
    /* What is missing is the daemon's to judge: before (guest_cpu_prepare()) and after (guest_cpu_read_back()). */
    json_object_set_new(cpus, "enforce", json_false());
    if (cpu != NULL && cpu->sockets != 0) {
        json_object_set_new(cpus, "sockets", json_integer(cpu->sockets));
        json_object_set_new(cpus, "dies", json_integer(MAX(cpu->dies, 1)));
        json_object_set_new(cpus, "cores", json_integer(MAX(cpu->cores, 1)));
        json_object_set_new(cpus, "threads", json_integer(MAX(cpu->threads, 1)));
    } else {
        json_object_set_new(cpus, "sockets", json_integer(max)); /* libvirt's rule: a socket a vCPU */
    }
    for (guint i = 0; cpu != NULL && cpu->features != NULL && i < cpu->features->len; i++) {
        const CpuFeature *feature = &g_array_index(cpu->features, CpuFeature, i);
        gboolean off = feature->policy == CPU_FEATURE_DISABLE || feature->policy == CPU_FEATURE_FORBID;

        if (feature->policy != CPU_FEATURE_OPTIONAL)
            add_feature(features, off ? '-' : '+', feature->name);
    }
    if (json_array_size(features) > 0)
        json_object_set(cpus, "features", features);
    json_decref(features);
    if (def->features.kvm[KVM_HIDDEN] == TRISTATE_YES)
        json_object_set_new(cpus, "hide-hypervisor", json_true());
    return cpus;
}

static json_t *make_numa(const DomainDef *def)
{
    guint n = numa_def_n_cells(&def->numa);
    json_t *list = json_array();

    for (guint i = 0; i < n; i++) {
        const NumaCell *cell = numa_def_cell(&def->numa, i);
        json_t *object = json_pack("{s:I}", "memory", (json_int_t)(cell->memory_kib * 1024));
        json_t *cpus = json_array();

        if (cell->cpus != NULL) {
            BITMAP_FOREACH(bit, cell->cpus)
            {
                json_array_append_new(cpus, json_integer(bit));
            }
        }
        json_object_set_new(object, "cpus", cpus);
        if (numa_def_has_distances(&def->numa)) {
            json_t *distances = json_array();

            for (guint k = 0; k < n; k++)
                json_array_append_new(distances, json_integer(numa_def_distance(&def->numa, i, k)));
            json_object_set_new(object, "distances", distances);
        }
        json_array_append_new(list, object);
    }
    return list;
}

/* Seconds that the guest's clock is ahead of UTC. */
static gint64 rtc_offset(const VmmBuilder *b)
{
    const ClockDef *clock = &b->def->clock;
    g_autoptr(GTimeZone) zone = NULL;
    gint64 offset = 0;

    if (clock->offset == CLOCK_TIMEZONE)
        zone = g_time_zone_new_identifier(clock->timezone);
    else if (clock->offset == CLOCK_LOCALTIME || (clock->offset == CLOCK_VARIABLE && clock->basis_localtime))
        zone = g_time_zone_new_local();
    if (zone != NULL)
        offset = g_time_zone_get_offset(zone, g_time_zone_find_interval(zone, G_TIME_TYPE_UNIVERSAL, b->context->now));
    if (clock->offset == CLOCK_VARIABLE)
        offset += clock->adjustment;
    else if (clock->offset == CLOCK_ABSOLUTE)
        offset = (gint64)clock->start - b->context->now;
    return offset;
}

/* --- SMBIOS --- */

static const struct {
    const char *block, *prefix;
    const char *names[8];
} smbios_blocks[] = {
    {"bios", "bios", {"vendor", "version", "date"}},
    {"system", "system", {"manufacturer", "product", "version", "serial", "sku", "family"}},
    {"baseBoard", "board", {"manufacturer", "product", "version", "serial", "asset"}},
    {"chassis", "chassis", {"manufacturer", "version", "serial", "asset", "sku"}},
};

/* The description's key for an entry, or NULL. Caller frees. */
static char *smbios_key(const SysinfoEntry *entry)
{
    for (gsize i = 0; i < G_N_ELEMENTS(smbios_blocks); i++) {
        if (strcmp(smbios_blocks[i].block, entry->block) != 0)
            continue;
        for (gsize k = 0; smbios_blocks[i].names[k] != NULL; k++) {
            if (g_strcmp0(smbios_blocks[i].names[k], entry->name) == 0)
                return g_strdup_printf("%s-%s", smbios_blocks[i].prefix, entry->name);
        }
    }
    return NULL;
}

gboolean vmm_desc_smbios_known(const SysinfoEntry *entry)
{
    g_autofree char *key = smbios_key(entry);

    if (strcmp(entry->block, "system") == 0 && g_strcmp0(entry->name, "uuid") == 0)
        return TRUE; /* the domain's: validation saw to that */
    return strcmp(entry->block, "oemStrings") == 0 || (key != NULL && entry->index == 0);
}

static json_t *make_smbios(const DomainDef *def)
{
    const SysinfoDef *sysinfo = domain_def_sysinfo(def, FALSE);
    json_t *smbios = json_object(), *oem = json_array();

    for (guint i = 0; def->os.smbios == SMBIOS_SYSINFO && sysinfo != NULL && i < sysinfo->entries->len; i++) {
        const SysinfoEntry *entry = &g_array_index(sysinfo->entries, SysinfoEntry, i);
        g_autofree char *key = smbios_key(entry);

        if (strcmp(entry->block, "oemStrings") == 0)
            json_array_append_new(oem, json_string(entry->value));
        else if (key != NULL)
            json_object_set_new(smbios, key, json_string(entry->value));
    }
    vmm_desc_set_list(smbios, "oem", oem);
    return smbios;
}

/* --- all --- */

static json_t *make_boot(const VmmBuilder *b)
{
    const OsDef *os = &b->def->os;
    json_t *boot = json_object();

    vmm_desc_set_fd(boot, "kernel-fd", vmm_desc_fd(b, "kernel"));
    if (os->initrd != NULL)
        vmm_desc_set_fd(boot, "initrd-fd", vmm_desc_fd(b, "initrd"));
    if (os->cmdline != NULL)
        json_object_set_new(boot, "cmdline", json_string(os->cmdline));
    return boot;
}

static json_t *make_sandbox(const VmmDescContext *context)
{
    json_t *sandbox = json_pack("{s:b, s:b}", "seccomp", context->sandbox, "chroot", context->sandbox);

    if (context->uid >= 0)
        json_object_set_new(sandbox, "uid", json_integer(context->uid));
    if (context->gid >= 0)
        json_object_set_new(sandbox, "gid", json_integer(context->gid));
    return sandbox;
}

json_t *vmm_desc_build(const DomainDef *def, const VmmDescContext *context, GError **error)
{
    VmmBuilder builder = VMM_BUILDER_NEW(def, context);
    VmmBuilder *b = &builder;
    const WatchdogDef *watchdog = DOMAIN_DEF_SINGLE(WatchdogDef, def, DEVICE_WATCHDOG);
    g_autofree char *reason = NULL;
    char uuid[UUID_TEXT_SIZE];
    json_t *root = json_object(), *iothreads = json_array(), *smbios;
    gboolean ok;

    ok = vmm_desc_supported(def, &reason) || args_unsupported(error, "%s", reason);
    ok = ok && vmm_desc_add_devices(b, error);
    uuid_format(def->uuid, uuid);
    json_object_set_new(root, "name", json_string(def->name));
    json_object_set_new(root, "uuid", json_string(uuid));
    vmm_desc_set_fd(root, "kvm-fd", vmm_desc_fd(b, "kvm"));
    vmm_desc_set_fd(root, "stats-fd", vmm_desc_fd(b, "stats"));
    json_object_set_new(root, "paused", json_true());
    if (def->features.ioapic == IOAPIC_QEMU)
        json_object_set_new(root, "split-irqchip", json_true());
    if (os_def_is_i440fx(&def->os))
        json_object_set_new(root, "root-hotplug", json_true());
    json_object_set_new(root, "pvpanic", json_boolean(domain_def_n(def, DEVICE_PANIC) > 0));
    /* What follows a shutdown or a crash is the daemon's decision; a reboot only where it ends the run. */
    json_object_set_new(root, "on-poweroff", json_string("pause"));
    json_object_set_new(root, "on-reboot", json_string(def->on_reboot == ACTION_DESTROY ? "pause" : "reset"));
    json_object_set_new(root, "on-panic", json_string("pause"));
    if (watchdog != NULL)
        json_object_set_new(root, "watchdog-action",
                            json_string(watchdog_action_to_string(
                                watchdog->action == WATCHDOG_DUMP ? WATCHDOG_PAUSE : watchdog->action)));
    json_object_set_new(root, "memory", make_memory(def));
    json_object_set_new(root, "cpus", make_cpus(def));
    vmm_desc_set_list(root, "numa", make_numa(def));
    json_object_set_new(root, "boot", make_boot(b));
    smbios = make_smbios(def);
    if (json_object_size(smbios) > 0)
        json_object_set(root, "smbios", smbios);
    json_decref(smbios);
    json_object_set_new(root, "rtc", json_pack("{s:I}", "offset", (json_int_t)rtc_offset(b)));
    for (guint i = 0; i < def->iothreads->len; i++) {
        const IothreadDef *thread = g_ptr_array_index(def->iothreads, i);
        g_autofree char *id = g_strdup_printf("iothread%u", thread->id);

        json_array_append_new(iothreads, json_string(id));
    }
    vmm_desc_set_list(root, "iothreads", iothreads);
    vmm_desc_set_list(root, "chardevs", b->chardevs);
    vmm_desc_set_list(root, "serials", b->serials);
    vmm_desc_set_list(root, "blockdevs", b->blockdevs);
    vmm_desc_set_list(root, "netdevs", b->netdevs);
    vmm_desc_set_list(root, "ports", b->ports);
    vmm_desc_set_list(root, "devices", b->devices);
    json_object_set_new(root, "sandbox", make_sandbox(context));
    if (!ok)
        g_clear_pointer(&root, json_decref);
    return root;
}
