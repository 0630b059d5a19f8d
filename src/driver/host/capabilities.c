/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Capabilities document, in the order and with the names of libvirt's capability.rng. */
#include "driver/host/capabilities.h"

#include <string.h>

#include "common/error.h"
#define LOG_SOURCE "host.capabilities"
#include "common/log.h"
#include "common/xml.h"
#include "driver/host/cpu_models.h"
#include "driver/host/host_private.h"
#include "driver/host/vmm_caps.h"

/* --- host/cpu ------------------------------------------------------------------------------------------- */

static void write_cpu_model(XmlWriter *w, Host *host)
{
    g_autoptr(CpuData) data = cpu_data_host(host);
    g_autoptr(GError) error = NULL;
    g_autoptr(CpuDef) cpu = cpu_data_name(data, &(CpuNaming){.host = TRUE}, &error);
    const HostTopology *t = host_topology(host);

    if (cpu != NULL) {
        xml_element_text(w, "model", cpu->model);
        xml_element_text(w, "vendor", cpu->vendor);
    }
    if (data->microcode != NULL) {
        xml_open(w, "microcode");
        xml_attr(w, "version", data->microcode);
        xml_close(w);
    }
    if (data->family != 0) {
        xml_open(w, "signature");
        xml_attr_u64(w, "family", data->family);
        xml_attr_u64(w, "model", data->model);
        xml_attr_u64(w, "stepping", data->stepping);
        xml_close(w);
    }
    if (data->tsc_hz != 0) {
        xml_open(w, "counter");
        xml_attr(w, "name", "tsc");
        xml_attr_u64(w, "frequency", data->tsc_hz);
        xml_attr(w, "scaling", data->tsc_scaling ? "yes" : "no");
        xml_close(w);
    }
    xml_open(w, "topology");
    xml_attr_u64(w, "sockets", MAX(t->sockets, 1));
    xml_attr_u64(w, "dies", MAX(t->dies, 1));
    xml_attr_u64(w, "cores", MAX(t->cores, 1) / MAX(t->dies, 1));
    xml_attr_u64(w, "threads", MAX(t->threads, 1));
    xml_close(w);
    if (data->address_bits != 0) {
        xml_open(w, "maxphysaddr");
        xml_attr(w, "mode", "emulate");
        xml_attr_u64(w, "bits", data->address_bits);
        xml_close(w);
    }
    for (guint i = 0; cpu != NULL && cpu->features != NULL && i < cpu->features->len; i++) {
        xml_open(w, "feature");
        xml_attr(w, "name", g_array_index(cpu->features, CpuFeature, i).name);
        xml_close(w);
    }
}

static void write_cpu(XmlWriter *w, Host *host)
{
    const HostTopology *t = host_topology(host);
    const HostCell *cell = t->cells->pdata[0];

    xml_open(w, "cpu");
    xml_element_text(w, "arch", host_arch(host));
    write_cpu_model(w, host);
    for (guint i = 0; i < cell->pages->len; i++) {
        xml_open(w, "pages");
        xml_attr(w, "unit", "KiB");
        xml_attr_u64(w, "size", g_array_index(cell->pages, HostPages, i).size_kib);
        xml_close(w);
    }
    xml_close(w);
}

static gboolean has_iommu(const Host *host)
{
    g_autofree char *path = host_path(host, "/sys/class/iommu");
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);

    return dir != NULL && g_dir_read_name(dir) != NULL;
}

/* --- host/topology, cache ------------------------------------------------------------------------------- */

static char *list_text(const GArray *list)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < list->len; i++) {
        guint first = g_array_index(list, guint, i), last = first;

        while (i + 1 < list->len && g_array_index(list, guint, i + 1) == last + 1) {
            last++;
            i++;
        }
        g_string_append_printf(text, text->len > 0 ? ",%u" : "%u", first);
        if (last != first)
            g_string_append_printf(text, "-%u", last);
    }
    return g_string_free(text, FALSE);
}

static const HostCpu *find_cpu(const HostTopology *t, guint id)
{
    for (guint i = 0; i < t->cpus->len; i++) {
        const HostCpu *cpu = t->cpus->pdata[i];

        if (cpu->id == id)
            return cpu;
    }
    return NULL;
}

static void write_cell_cpus(XmlWriter *w, const HostTopology *t, const HostCell *cell)
{
    xml_open(w, "cpus");
    xml_attr_u64(w, "num", cell->cpus->len);
    for (guint i = 0; i < cell->cpus->len; i++) {
        const HostCpu *cpu = find_cpu(t, g_array_index(cell->cpus, guint, i));
        g_autofree char *siblings = list_text(cpu->siblings);

        xml_open(w, "cpu");
        xml_attr_u64(w, "id", cpu->id);
        xml_attr_u64(w, "socket_id", cpu->socket);
        xml_attr_u64(w, "die_id", cpu->die);
        xml_attr_u64(w, "core_id", cpu->core);
        xml_attr(w, "siblings", siblings);
        xml_close(w);
    }
    xml_close(w);
}

static void write_cell(XmlWriter *w, const HostTopology *t, const HostCell *cell)
{
    xml_open(w, "cell");
    xml_attr_u64(w, "id", cell->id);
    xml_open(w, "memory");
    xml_attr(w, "unit", "KiB");
    xml_text_u64(w, cell->memory_kib);
    xml_close(w);
    for (guint i = 0; i < cell->pages->len; i++) {
        const HostPages *p = &g_array_index(cell->pages, HostPages, i);

        xml_open(w, "pages");
        xml_attr(w, "unit", "KiB");
        xml_attr_u64(w, "size", p->size_kib);
        xml_text_u64(w, p->total);
        xml_close(w);
    }
    if (cell->distances->len > 0) {
        xml_open(w, "distances");
        for (guint i = 0; i < cell->distances->len; i++) {
            const HostDistance *d = &g_array_index(cell->distances, HostDistance, i);

            xml_open(w, "sibling");
            xml_attr_u64(w, "id", d->cell);
            xml_attr_u64(w, "value", d->value);
            xml_close(w);
        }
        xml_close(w);
    }
    write_cell_cpus(w, t, cell);
    xml_close(w);
}

static void write_topology(XmlWriter *w, Host *host)
{
    const HostTopology *t = host_topology(host);

    xml_open(w, "topology");
    xml_open(w, "cells");
    xml_attr_u64(w, "num", t->cells->len);
    for (guint i = 0; i < t->cells->len; i++)
        write_cell(w, t, t->cells->pdata[i]);
    xml_close(w);
    xml_close(w);
}

static void write_caches(XmlWriter *w, Host *host)
{
    const HostTopology *t = host_topology(host);

    if (t->caches->len == 0)
        return;
    xml_open(w, "cache");
    for (guint i = 0; i < t->caches->len; i++) {
        const HostCache *c = t->caches->pdata[i];
        gboolean mib = c->size_kib % 1024 == 0;

        xml_open(w, "bank");
        xml_attr_u64(w, "id", c->id);
        xml_attr_u64(w, "level", c->level);
        xml_attr(w, "type", c->type == 'i' ? "code" : c->type == 'd' ? "data" : "both");
        xml_attr_u64(w, "size", mib ? c->size_kib / 1024 : c->size_kib);
        xml_attr(w, "unit", mib ? "MiB" : "KiB");
        xml_attr(w, "cpus", c->cpus);
        xml_close(w);
    }
    xml_close(w);
}

/* Suspend and migration are not there yet, and no security driver labels guests: so little is said of them. */
static void write_host(XmlWriter *w, Host *host)
{
    g_autofree char *uuid = host_uuid_string(host);

    xml_open(w, "host");
    xml_element_text(w, "uuid", uuid);
    write_cpu(w, host);
    xml_element_empty(w, "power_management");
    xml_open(w, "iommu");
    xml_attr(w, "support", has_iommu(host) ? "yes" : "no");
    xml_close(w);
    write_topology(w, host);
    write_caches(w, host);
    xml_open(w, "secmodel");
    xml_element_text(w, "model", "none");
    xml_element_text(w, "doi", "0");
    xml_close(w);
    xml_close(w);
}

/* --- guests --------------------------------------------------------------------------------------------- */

static void write_machine(XmlWriter *w, const QemuMachine *m, gboolean by_alias)
{
    xml_open(w, "machine");
    if (by_alias)
        xml_attr(w, "canonical", m->name);
    if (m->max_cpus != 0)
        xml_attr_u64(w, "maxCpus", m->max_cpus);
    if (m->deprecated)
        xml_attr(w, "deprecated", "yes");
    xml_text(w, by_alias ? m->alias : m->name);
    xml_close(w);
}

static void write_machine_and_alias(XmlWriter *w, const QemuMachine *m)
{
    write_machine(w, m, FALSE);
    if (m->alias != NULL)
        write_machine(w, m, TRUE);
}

static void write_machines(XmlWriter *w, const QemuCaps *caps, const char *default_machine)
{
    const GPtrArray *machines = qemu_caps_machines(caps);
    const QemuMachine *first = qemu_caps_machine(caps, default_machine);
    const QemuMachine *second = qemu_caps_default_machine(caps);

    if (first != NULL)
        write_machine_and_alias(w, first);
    if (second != NULL && second != first)
        write_machine_and_alias(w, second);
    for (guint i = 0; i < machines->len; i++) {
        const QemuMachine *m = machines->pdata[i];

        if (m != first && m != second)
            write_machine_and_alias(w, m);
    }
}

static void write_toggle(XmlWriter *w, const char *name, const char *by_default, const char *toggle)
{
    xml_open(w, name);
    xml_attr(w, "default", by_default);
    xml_attr(w, "toggle", toggle);
    xml_close(w);
}

static void write_vmm_machines(XmlWriter *w)
{
    const VmmMachine *m;

    for (guint i = 0; (m = vmm_caps_machine_at(i)) != NULL; i++) {
        xml_open(w, "machine");
        xml_attr_u64(w, "maxCpus", VMM_VCPUS_MAX);
        xml_text(w, m->name);
        xml_close(w);
        xml_open(w, "machine");
        xml_attr(w, "canonical", m->name);
        xml_attr_u64(w, "maxCpus", VMM_VCPUS_MAX);
        xml_text(w, m->alias);
        xml_close(w);
    }
}

/* After the choice between the two: what a client writes into <emulator> because it stands first must run any
 * definition. */
static void write_vmm_domain(XmlWriter *w, const char *vmm)
{
    xml_open(w, "domain");
    xml_attr(w, "type", "kvm");
    xml_element_text(w, "emulator", vmm);
    write_vmm_machines(w);
    xml_close(w);
}

/* narrow: a guest of 32 bits. acpi: whether it can be switched. */
static void write_features(XmlWriter *w, gboolean narrow, const char *acpi)
{
    xml_open(w, "features");
    if (narrow) {
        xml_element_empty(w, "pae");
        xml_element_empty(w, "nonpae");
    }
    write_toggle(w, "acpi", "on", acpi);
    write_toggle(w, "apic", "on", "no");
    xml_element_empty(w, "cpuselection");
    xml_element_empty(w, "deviceboot");
    write_toggle(w, "disksnapshot", "on", "no");
    xml_close(w);
}

/* A host without QEMU. */
static void write_vmm_guest(XmlWriter *w, const char *vmm)
{
    xml_open(w, "guest");
    xml_element_text(w, "os_type", "hvm");
    xml_open(w, "arch");
    xml_attr(w, "name", "x86_64");
    xml_element_text(w, "wordsize", "64");
    xml_element_text(w, "emulator", vmm);
    write_vmm_machines(w);
    xml_open(w, "domain");
    xml_attr(w, "type", "kvm");
    xml_close(w);
    xml_close(w);
    write_features(w, FALSE, "no");
    xml_close(w);
}

static void write_guest(XmlWriter *w, const QemuCaps *caps, const char *arch, const char *default_machine,
                        const char *vmm)
{
    gboolean narrow = g_str_equal(arch, "i686");

    xml_open(w, "guest");
    xml_element_text(w, "os_type", "hvm");
    xml_open(w, "arch");
    xml_attr(w, "name", arch);
    xml_element_text(w, "wordsize", narrow ? "32" : "64");
    xml_element_text(w, "emulator", qemu_caps_binary(caps));
    write_machines(w, caps, default_machine);
    if (qemu_caps_has_tcg(caps)) {
        xml_open(w, "domain");
        xml_attr(w, "type", "qemu");
        xml_close(w);
    }
    if (qemu_caps_has_kvm(caps)) {
        xml_open(w, "domain");
        xml_attr(w, "type", "kvm");
        if (vmm != NULL && !narrow)
            xml_element_text(w, "emulator", vmm_caps_choice_path());
        xml_close(w);
    }
    if (vmm != NULL && !narrow)
        write_vmm_domain(w, vmm);
    xml_close(w);
    write_features(w, narrow, "yes");
    xml_close(w);
}

char *capabilities_xml(Host *host, QemuCapsCache *cache, const char *default_machine, const char *vmm,
                       GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(QemuCaps) caps = qemu_caps_cache_get(cache, NULL, &cause);
    XmlWriter *w = xml_writer_new(0);

    if (vmm != NULL && !host_kvm_usable(host))
        vmm = NULL;
    if (caps == NULL)
        log_debug("capabilities without guests: %s", cause->message);
    xml_open(w, "capabilities");
    write_host(w, host);
    if (caps != NULL) {
        write_guest(w, caps, qemu_caps_arch(caps), default_machine, vmm);
        if (g_str_equal(qemu_caps_arch(caps), "x86_64"))
            write_guest(w, caps, "i686", default_machine, vmm);
    } else if (vmm != NULL) {
        write_vmm_guest(w, vmm);
    }
    xml_close(w);
    return xml_writer_finish(w);
}
