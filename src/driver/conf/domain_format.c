/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes definitions, element by element in the order libvirt writes them. */
#include <string.h>

#include "driver/conf/def_chr.h"
#include "driver/conf/domain_def.h"

static void format_kib(XmlWriter *w, const char *name, guint64 kib)
{
    xml_open(w, name);
    xml_attr(w, "unit", "KiB");
    xml_text_u64(w, kib);
    xml_close(w);
}

/* An element that is only kept. */
static void format_kept(XmlWriter *w, const char *text)
{
    if (text != NULL)
        xml_raw_indented(w, text);
}

static void format_identity(XmlWriter *w, const DomainDef *def)
{
    char uuid[UUID_TEXT_SIZE];

    xml_element_text(w, "name", def->name);
    uuid_format(def->uuid, uuid);
    xml_element_text(w, "uuid", uuid);
    if (def->genid_given) {
        uuid_format(def->genid, uuid);
        xml_element_text(w, "genid", uuid);
    }
    xml_element_text(w, "title", def->title);
    xml_element_text(w, "description", def->description);
    if (def->metadata->len > 0) {
        xml_open(w, "metadata");
        for (guint i = 0; i < def->metadata->len; i++) {
            /* The lines of an element stay as they are: only its first one is indented. */
            xml_raw_verbatim(w, "    ");
            xml_raw_verbatim(w, g_ptr_array_index(def->metadata, i));
            xml_raw_verbatim(w, "\n");
        }
        xml_close(w);
    }
}

static void format_memory(XmlWriter *w, const DomainDef *def)
{
    if (domain_def_has_memory_hotplug(def)) {
        xml_open(w, "maxMemory");
        xml_attr_u64(w, "slots", def->memory_slots);
        xml_attr(w, "unit", "KiB");
        xml_text_u64(w, def->max_memory);
        xml_close(w);
    }
    xml_open(w, "memory");
    xml_attr(w, "dumpCore", tristate_on_off(def->dump_core));
    xml_attr(w, "unit", "KiB");
    xml_text_u64(w, def->memory);
    xml_close(w);
    format_kib(w, "currentMemory", def->current_memory);
}

static void format_tuning(XmlWriter *w, const DomainDef *def, guint flags)
{
    blkio_tune_format(w, &def->blkiotune);
    memory_tune_format(w, &def->memtune);
    vcpus_format(w, def);
    cpu_tune_format(w, def, flags);
    numa_tune_format(w, &def->numatune);
    if (def->partition != NULL || def->appid != NULL) {
        xml_open(w, "resource");
        xml_element_text(w, "partition", def->partition);
        if (def->appid != NULL) {
            xml_open(w, "fibrechannel");
            xml_attr(w, "appid", def->appid);
            xml_close(w);
        }
        xml_close(w);
    }
}

static void format_cpu(XmlWriter *w, const DomainDef *def)
{
    if ((def->cpu == NULL || cpu_def_is_empty(def->cpu)) && numa_def_n_cells(&def->numa) == 0)
        return;
    xml_open(w, "cpu");
    if (def->cpu != NULL)
        cpu_def_format_body(w, def->cpu);
    numa_def_format(w, &def->numa);
    xml_close(w);
}

static void format_actions(XmlWriter *w, const DomainDef *def)
{
    gboolean perf = FALSE;

    xml_element_text(w, "on_poweroff", lifecycle_action_to_string(def->on_poweroff));
    xml_element_text(w, "on_reboot", lifecycle_action_to_string(def->on_reboot));
    xml_element_text(w, "on_crash", lifecycle_action_to_string(def->on_crash));
    if (def->on_lockfailure != LOCKFAIL_DEFAULT)
        xml_element_text(w, "on_lockfailure", lock_failure_action_to_string(def->on_lockfailure));
    if (def->pm_s3 != TRISTATE_ABSENT || def->pm_s4 != TRISTATE_ABSENT) {
        xml_open(w, "pm");
        if (def->pm_s3 != TRISTATE_ABSENT) {
            xml_open(w, "suspend-to-mem");
            xml_attr(w, "enabled", tristate_yes_no(def->pm_s3));
            xml_close(w);
        }
        if (def->pm_s4 != TRISTATE_ABSENT) {
            xml_open(w, "suspend-to-disk");
            xml_attr(w, "enabled", tristate_yes_no(def->pm_s4));
            xml_close(w);
        }
        xml_close(w);
    }
    for (int i = 0; i < PERF_LAST; i++) {
        if (def->perf[i] == TRISTATE_ABSENT)
            continue;
        if (!perf)
            xml_open(w, "perf");
        perf = TRUE;
        xml_open(w, "event");
        xml_attr(w, "name", perf_event_to_string(i));
        xml_attr(w, "enabled", tristate_yes_no(def->perf[i]));
        xml_close(w);
    }
    if (perf)
        xml_close(w);
}

/* A console that only is the other name of a serial port shows the port's source and alias. */
static void format_console(XmlWriter *w, const DomainDef *def, guint n, const DeviceFormat *fmt)
{
    const ChrDef *console = domain_def_get(def, DEVICE_CONSOLE, n);

    if ((console->target.console == CONSOLE_TARGET_SERIAL ||
         console->target.console == CONSOLE_TARGET_NONE) &&
        n < domain_def_n(def, DEVICE_SERIAL)) {
        ChrDef mirror = *(const ChrDef *)domain_def_get(def, DEVICE_SERIAL, n);

        mirror.info.kind = DEVICE_CONSOLE;
        mirror.target.console = CONSOLE_TARGET_SERIAL;
        mirror.model = SERIAL_MODEL_NONE;
        device_def_format_into(w, &mirror.info, fmt);
        return;
    }
    device_def_format_into(w, &console->info, fmt);
}

static void format_devices(XmlWriter *w, const DomainDef *def, guint flags)
{
    DeviceFormat fmt = {.flags = flags, .def = def};

    xml_open(w, "devices");
    xml_element_text(w, "emulator", def->emulator);
    for (int kind = 0; kind < DEVICE_KIND_LAST; kind++) {
        for (guint i = 0; i < def->devices[kind]->len; i++) {
            if (kind == DEVICE_CONSOLE)
                format_console(w, def, i, &fmt);
            else
                device_def_format_into(w, domain_def_get(def, kind, i), &fmt);
        }
    }
    xml_close(w);
}

static void format_seclabel(XmlWriter *w, const SeclabelDef *seclabel, guint flags)
{
    gboolean inactive = (flags & DOMAIN_DEF_FORMAT_INACTIVE) != 0;

    xml_open(w, "seclabel");
    xml_attr(w, "type", seclabel_type_to_string(seclabel->type));
    xml_attr(w, "model", seclabel->model);
    if (seclabel->type != SECLABEL_NONE) {
        xml_attr(w, "relabel", tristate_yes_no(seclabel->relabel));
        if (seclabel->type == SECLABEL_STATIC || !inactive)
            xml_element_text(w, "label", seclabel->label);
        if (seclabel->relabel == TRISTATE_YES && !inactive)
            xml_element_text(w, "imagelabel", seclabel->imagelabel);
        if (seclabel->type == SECLABEL_DYNAMIC)
            xml_element_text(w, "baselabel", seclabel->baselabel);
    }
    xml_close(w);
}

void domain_def_format_into(XmlWriter *w, const DomainDef *def, guint flags)
{
    if (def->id == -1 && !(flags & DOMAIN_DEF_FORMAT_STATUS))
        flags |= DOMAIN_DEF_FORMAT_INACTIVE;
    xml_open(w, "domain");
    xml_attr(w, "type", virt_type_to_string(def->virt_type));
    if (!(flags & DOMAIN_DEF_FORMAT_INACTIVE) && def->id != -1)
        xml_attr_printf(w, "id", "%d", def->id);
    if (def->qemu.given)
        xml_attr(w, "xmlns:qemu", QEMU_XML_NAMESPACE);
    format_identity(w, def);
    format_memory(w, def);
    format_tuning(w, def, flags);
    for (guint i = 0; i < def->sysinfo->len; i++)
        sysinfo_def_format(w, g_ptr_array_index(def->sysinfo, i));
    os_def_format(w, &def->os);
    format_kept(w, def->idmap);
    features_def_format(w, &def->features);
    format_cpu(w, def);
    clock_def_format(w, &def->clock, flags);
    format_actions(w, def);
    format_devices(w, def, flags);
    for (guint i = 0; i < def->seclabels->len; i++)
        format_seclabel(w, g_ptr_array_index(def->seclabels, i), flags);
    format_kept(w, def->keywrap);
    format_kept(w, def->launch_security);
    if (def->qemu.given)
        qemu_namespace_format(w, &def->qemu);
    xml_close(w);
}

char *domain_def_format(const DomainDef *def, guint flags)
{
    XmlWriter *w = xml_writer_new(0);

    domain_def_format_into(w, def, flags);
    return xml_writer_finish(w);
}
