/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* -machine, -accel, firmware, boot, clock, power management: the platform itself. */
#include <string.h>

#include "driver/backend/qemu_args_priv.h"
#include "driver/conf/def_memory.h"

static gboolean add_pflash(QemuBuilder *b, GString *machine, guint unit, const char *path, gboolean readonly)
{
    g_autofree char *storage = g_strdup_printf("libvirt-pflash%u-storage", unit);
    g_autofree char *format = g_strdup_printf("libvirt-pflash%u-format", unit);

    args_add_json(b, "-blockdev",
                  json_pack("{s:s, s:s, s:s, s:b, s:s}", "driver", "file", "filename", path, "node-name",
                            storage, "auto-read-only", TRUE, "discard", "unmap"));
    args_add_json(b, "-blockdev",
                  json_pack("{s:s, s:b, s:s, s:s}", "node-name", format, "read-only", readonly, "driver",
                            "raw", "file", storage));
    g_string_append_printf(machine, ",pflash%u=%s", unit, format);
    return TRUE;
}

static gboolean add_loader(QemuBuilder *b, GString *machine, GError **error)
{
    const OsDef *os = &b->def->os;
    const LoaderDef *loader = &os->loader;

    if (loader->path == NULL) {
        if (os->firmware == FIRMWARE_EFI)
            return error_set(error, VIR_ERR_OPERATION_FAILED, "no firmware was chosen for <os firmware='efi'>");
        return TRUE;
    }
    if (loader->type != LOADER_PFLASH) {
        args_add(b, "-bios", "%s", loader->path);
        return TRUE;
    }
    add_pflash(b, machine, 0, loader->path, loader->readonly != TRISTATE_NO);
    if (loader->nvram_path != NULL && loader->stateless != TRISTATE_YES)
        add_pflash(b, machine, 1, loader->nvram_path, FALSE);
    if (loader->secure == TRISTATE_YES)
        args_add(b, "-global", "driver=cfi.pflash01,property=secure,value=on");
    return TRUE;
}

static void machine_tristate(GString *machine, const char *key, Tristate value)
{
    if (value != TRISTATE_ABSENT)
        g_string_append_printf(machine, ",%s=%s", key, value == TRISTATE_YES ? "on" : "off");
}

static gboolean add_accel(QemuBuilder *b, GError **error)
{
    const FeaturesDef *features = &b->def->features;

    if (b->def->virt_type == VIRT_KVM) {
        g_autofree char *ring =
            features->kvm[KVM_DIRTY_RING] == TRISTATE_YES && features->kvm_dirty_ring_size != 0
                ? g_strdup_printf(",dirty-ring-size=%u", features->kvm_dirty_ring_size)
                : NULL;

        if (b->context->caps != NULL && !qemu_caps_has_kvm(b->context->caps))
            return args_unsupported(error,
                                    "domain type 'kvm' needs KVM, which '%s' cannot use on this host: check "
                                    "/dev/kvm, or use <domain type='qemu'>",
                                    b->context->emulator);
        args_add(b, "-accel", "kvm%s", ring ? ring : "");
        return TRUE;
    }
    if (features->tcg_tb_cache_kib != 0) /* QEMU counts MiB */
        args_add(b, "-accel", "tcg,tb-size=%" G_GUINT64_FORMAT, MAX(features->tcg_tb_cache_kib / 1024, 1));
    else
        args_add(b, "-accel", "tcg");
    return TRUE;
}

static gboolean memory_is_numa(const DomainDef *def)
{
    return numa_def_n_cells(&def->numa) > 0;
}

gboolean args_machine(QemuBuilder *b, GError **error)
{
    const DomainDef *def = b->def;
    const FeaturesDef *features = &def->features;
    const TimerDef *hpet = clock_def_timer(&def->clock, TIMER_HPET);
    const char *name = def->os.machine ? def->os.machine : "pc";
    GString *machine = g_string_new(name);
    gboolean ok;

    if (b->context->caps != NULL && qemu_caps_machine(b->context->caps, name) == NULL) {
        g_string_free(machine, TRUE);
        return args_unsupported(error, "Emulator '%s' does not support machine type '%s'",
                                b->context->emulator, name);
    }
    g_string_append(machine, ",usb=off");
    machine_tristate(machine, "vmport", features->state[FEATURE_VMPORT]);
    if (features->state[FEATURE_SMM] != TRISTATE_ABSENT)
        machine_tristate(machine, "smm", features->state[FEATURE_SMM]);
    if (features->ioapic == IOAPIC_QEMU)
        g_string_append(machine, ",kernel_irqchip=split");
    else if (features->ioapic == IOAPIC_KVM)
        g_string_append(machine, ",kernel_irqchip=on");
    g_string_append_printf(machine, ",dump-guest-core=%s", def->dump_core == TRISTATE_YES ? "on" : "off");
    if (def->memtune.nosharepages)
        g_string_append(machine, ",mem-merge=off");
    DOMAIN_DEF_FOREACH(MemoryDef, memory, def, DEVICE_MEMORY)
    {
        if (memory->model == MEMORY_MODEL_NVDIMM && strstr(machine->str, "nvdimm=on") == NULL)
            g_string_append(machine, ",nvdimm=on");
    }
    if (!memory_is_numa(def))
        g_string_append(machine, ",memory-backend=pc.ram");
    ok = add_loader(b, machine, error);
    if (feature_on(features, FEATURE_ACPI) == FALSE)
        g_string_append(machine, ",acpi=off");
    if (hpet != NULL)
        machine_tristate(machine, "hpet", hpet->present);
    if (def->os.bios_useserial == TRISTATE_YES)
        g_string_append(machine, ",graphics=off"); /* SeaBIOS then talks on the first serial port */
    args_add_text(b, "-machine", g_string_free(machine, FALSE));
    return ok && add_accel(b, error);
}

/* --- clock --- */

static gboolean add_rtc(QemuBuilder *b, GError **error)
{
    const ClockDef *clock = &b->def->clock;
    const TimerDef *rtc = clock_def_timer(clock, TIMER_RTC);
    GString *text = g_string_new("base=");

    if (clock->offset == CLOCK_TIMEZONE)
        g_ptr_array_add(b->args->env, g_strdup_printf("TZ=%s", clock->timezone));
    if (clock->offset == CLOCK_LOCALTIME || clock->offset == CLOCK_TIMEZONE) {
        g_string_append(text, "localtime");
    } else if (clock->offset == CLOCK_VARIABLE || clock->offset == CLOCK_ABSOLUTE) {
        gint64 base =
            clock->offset == CLOCK_ABSOLUTE ? (gint64)clock->start : b->context->now + clock->adjustment;
        g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(base);
        g_autofree char *stamp = NULL;

        if (utc != NULL && clock->offset == CLOCK_VARIABLE && clock->basis_localtime) {
            g_autoptr(GDateTime) local = g_date_time_new_from_unix_local(base);

            stamp = g_date_time_format(local, "%Y-%m-%dT%H:%M:%S");
        } else if (utc != NULL) {
            stamp = g_date_time_format(utc, "%Y-%m-%dT%H:%M:%S");
        }
        if (stamp == NULL) {
            g_string_free(text, TRUE);
            return args_unsupported(error, "<clock> is beyond what can be expressed as a date");
        }
        g_string_append(text, stamp);
    } else {
        g_string_append(text, "utc");
    }
    if (rtc != NULL) {
        if (rtc->track == TIMER_TRACK_GUEST)
            g_string_append(text, ",clock=vm");
        else if (rtc->track == TIMER_TRACK_WALL)
            g_string_append(text, ",clock=host");
        else if (rtc->track == TIMER_TRACK_REALTIME)
            g_string_append(text, ",clock=rt");
        if (rtc->tickpolicy == TICK_CATCHUP)
            g_string_append(text, ",driftfix=slew");
    }
    args_add_text(b, "-rtc", g_string_free(text, FALSE));
    return TRUE;
}

static gboolean add_pit(QemuBuilder *b, GError **error)
{
    const TimerDef *pit = clock_def_timer(&b->def->clock, TIMER_PIT);

    if (pit == NULL || b->def->virt_type != VIRT_KVM)
        return TRUE;
    if (pit->tickpolicy == TICK_DELAY)
        args_add(b, "-global", "kvm-pit.lost_tick_policy=delay");
    else if (pit->tickpolicy == TICK_DISCARD)
        args_add(b, "-global", "kvm-pit.lost_tick_policy=discard");
    else if (pit->tickpolicy == TICK_MERGE)
        return args_unsupported(error, "unsupported pit tickpolicy 'merge'");
    return TRUE;
}

static void add_power_management(QemuBuilder *b)
{
    const char *chip = os_def_is_q35(&b->def->os) ? "ICH9-LPC" : "PIIX4_PM";

    /* The guest's shutdown stops the VM, and what happens then is the daemon's decision; so with a reboot
     * only where the definition says that it ends the run. */
    args_add_text(b, "-no-shutdown", NULL);
    if (b->def->on_reboot == ACTION_DESTROY)
        args_add_text(b, "-no-reboot", NULL);
    if (b->def->pm_s3 != TRISTATE_ABSENT)
        args_add(b, "-global", "%s.disable_s3=%d", chip, b->def->pm_s3 == TRISTATE_NO);
    if (b->def->pm_s4 != TRISTATE_ABSENT)
        args_add(b, "-global", "%s.disable_s4=%d", chip, b->def->pm_s4 == TRISTATE_NO);
    if (b->def->features.tseg_set && os_def_is_q35(&b->def->os))
        args_add(b, "-global", "mch.extended-tseg-mbytes=%" G_GUINT64_FORMAT,
                 b->def->features.tseg_bytes >> 20);
}

static void add_boot(QemuBuilder *b)
{
    const OsDef *os = &b->def->os;
    GString *text = g_string_new(NULL);

    if (os->bootmenu != TRISTATE_ABSENT) {
        g_string_append_printf(text, "menu=%s", os->bootmenu == TRISTATE_YES ? "on" : "off");
        if (os->bootmenu == TRISTATE_YES && os->bootmenu_timeout_set)
            g_string_append_printf(text, ",splash-time=%u", os->bootmenu_timeout);
    }
    if (os->bios_reboot_timeout_set)
        g_string_append_printf(text, "%sreboot-timeout=%d", text->len ? "," : "", os->bios_reboot_timeout);
    g_string_append_printf(text, "%sstrict=on", text->len ? "," : "");
    args_add_text(b, "-boot", g_string_free(text, FALSE));
    if (os->kernel != NULL)
        args_add(b, "-kernel", "%s", os->kernel);
    if (os->initrd != NULL)
        args_add(b, "-initrd", "%s", os->initrd);
    if (os->cmdline != NULL)
        args_add(b, "-append", "%s", os->cmdline);
    if (os->dtb != NULL)
        args_add(b, "-dtb", "%s", os->dtb);
    if (os->slic_table != NULL) {
        g_autofree char *path = args_escape(os->slic_table);

        args_add(b, "-acpitable", "sig=SLIC,file=%s", path);
    }
}

gboolean args_platform(QemuBuilder *b, GError **error)
{
    if (!add_rtc(b, error) || !add_pit(b, error))
        return FALSE;
    add_power_management(b);
    add_boot(b);
    return TRUE;
}

/* --- SMBIOS and fw_cfg --- */

typedef struct SmbiosBlock {
    const char *block;
    int type;
    const char *names[12][2]; /* ours, QEMU's */
} SmbiosBlock;

static const SmbiosBlock smbios_blocks[] = {
    {"bios", 0, {{"vendor", "vendor"}, {"version", "version"}, {"date", "date"}, {"release", "release"}}},
    {"system",
     1,
     {{"manufacturer", "manufacturer"},
      {"product", "product"},
      {"version", "version"},
      {"serial", "serial"},
      {"uuid", "uuid"},
      {"sku", "sku"},
      {"family", "family"}}},
    {"baseBoard",
     2,
     {{"manufacturer", "manufacturer"},
      {"product", "product"},
      {"version", "version"},
      {"serial", "serial"},
      {"asset", "asset"},
      {"location", "location"}}},
    {"chassis",
     3,
     {{"manufacturer", "manufacturer"},
      {"version", "version"},
      {"serial", "serial"},
      {"asset", "asset"},
      {"sku", "sku"}}},
};

static void add_smbios_block(QemuBuilder *b, const SysinfoDef *sysinfo, const SmbiosBlock *block)
{
    GString *text = g_string_new(NULL);

    for (gsize i = 0; i < G_N_ELEMENTS(block->names) && block->names[i][0] != NULL; i++) {
        const char *value = sysinfo_def_get(sysinfo, block->block, block->names[i][0]);
        g_autofree char *escaped = value ? args_escape(value) : NULL;

        if (value != NULL)
            g_string_append_printf(text, ",%s=%s", block->names[i][1], escaped);
    }
    if (text->len > 0)
        args_add(b, "-smbios", "type=%d%s", block->type, text->str);
    g_string_free(text, TRUE);
}

static void add_oem_strings(QemuBuilder *b, const SysinfoDef *sysinfo)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < sysinfo->entries->len; i++) {
        const SysinfoEntry *entry = &g_array_index(sysinfo->entries, SysinfoEntry, i);
        g_autofree char *value = NULL;

        if (g_strcmp0(entry->block, "oemStrings") != 0 || entry->value == NULL)
            continue;
        value = args_escape(entry->value);
        g_string_append_printf(text, ",value=%s", value);
    }
    if (text->len > 0)
        args_add(b, "-smbios", "type=11%s", text->str);
    g_string_free(text, TRUE);
}

static void add_fwcfg(QemuBuilder *b, const SysinfoDef *sysinfo)
{
    for (guint i = 0; i < sysinfo->entries->len; i++) {
        const SysinfoEntry *entry = &g_array_index(sysinfo->entries, SysinfoEntry, i);
        g_autofree char *name = args_escape(entry->name ? entry->name : "");
        g_autofree char *value = args_escape(entry->file ? entry->file : entry->value ? entry->value : "");

        args_add(b, "-fw_cfg", "name=%s,%s=%s", name, entry->file ? "file" : "string", value);
    }
}

gboolean args_smbios(QemuBuilder *b, GError **error)
{
    const SysinfoDef *fwcfg = domain_def_sysinfo(b->def, TRUE);
    const SysinfoDef *smbios = domain_def_sysinfo(b->def, FALSE);

    if (fwcfg != NULL)
        add_fwcfg(b, fwcfg);
    if (b->def->genid_given) {
        char uuid[UUID_TEXT_SIZE];

        uuid_format(b->def->genid, uuid);
        args_add_json(b, "-device",
                      json_pack("{s:s, s:s, s:s}", "driver", "vmgenid", "guid", uuid, "id", "vmgenid0"));
    }
    if (b->def->os.smbios == SMBIOS_HOST)
        return args_unsupported(error,
                                "<smbios mode='host'> is not supported; use mode='sysinfo' with <sysinfo>");
    if (b->def->os.smbios != SMBIOS_SYSINFO)
        return TRUE;
    if (smbios == NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "Domain '%s' sysinfo are not available", b->def->name);
    for (gsize i = 0; i < G_N_ELEMENTS(smbios_blocks); i++)
        add_smbios_block(b, smbios, &smbios_blocks[i]);
    add_oem_strings(b, smbios);
    return TRUE;
}
