/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Domain capabilities of kite-vmm: the same document as domcaps.c writes for a QEMU, from vmm_caps.h. */
#include "driver/host/domcaps.h"

#include <string.h>

#include "common/error.h"
#include "common/xml.h"
#include "driver/host/cpu_models.h"
#include "driver/host/domcaps_xml.h"
#include "driver/host/vmm_caps.h"

/* DomcapsHas. */
static gboolean possible(G_GNUC_UNUSED gconstpointer opaque, Supported what, const char *value)
{
    return vmm_caps_has(what, value);
}

static void write_mode(XmlWriter *w, const char *name, const char *enum_name)
{
    xml_open(w, "mode");
    xml_attr(w, "name", name);
    xml_attr(w, "supported", "yes");
    domcaps_enum(w, enum_name, DOMCAPS_VALUES("on", "off"));
    xml_close(w);
}

static void write_cpu(XmlWriter *w, Host *host)
{
    xml_open(w, "cpu");
    write_mode(w, "host-passthrough", "hostPassthroughMigratable");
    write_mode(w, "maximum", "maximumMigratable");
    domcaps_write_host_model(w, &(CpuHypervisor){host, NULL, TRUE});
    xml_open(w, "mode");
    xml_attr(w, "name", "custom");
    xml_attr(w, "supported", "yes");
    for (const char *const *name = vmm_caps_cpu_models(); *name != NULL; name++)
        domcaps_write_model(w, *name, "unknown", FALSE); /* known when it is started */
    xml_close(w);
    xml_close(w);
}

static void write_devices(XmlWriter *w)
{
    xml_open(w, "devices");
    domcaps_device(w, "disk", DOMCAPS_VALUES("diskDevice", "bus", "model"),
                   (const Supported[]){SUPPORTED_DISK_DEVICE, SUPPORTED_DISK_BUS, SUPPORTED_DISK_MODEL}, possible, NULL);
    domcaps_device(w, "graphics", DOMCAPS_VALUES("type"),
                   (const Supported[]){SUPPORTED_GRAPHICS}, possible, NULL);
    domcaps_device(w, "video", DOMCAPS_VALUES("modelType"),
                   (const Supported[]){SUPPORTED_VIDEO}, possible, NULL);
    domcaps_empty(w, "hostdev", FALSE);
    domcaps_device(w, "rng", DOMCAPS_VALUES("model", "backendModel"),
                   (const Supported[]){SUPPORTED_RNG_MODEL, SUPPORTED_RNG_BACKEND}, possible, NULL);
    domcaps_empty(w, "filesystem", FALSE);
    domcaps_empty(w, "tpm", FALSE);
    domcaps_empty(w, "redirdev", FALSE);
    domcaps_device(w, "channel", DOMCAPS_VALUES("type"),
                   (const Supported[]){SUPPORTED_CHANNEL_TYPE}, possible, NULL);
    xml_close(w);
}

char *domcaps_vmm_xml(Host *host, const DomcapsRequest *r, GError **error)
{
    const char *arch = r->arch != NULL ? r->arch : "x86_64";
    g_autofree char *machine = vmm_caps_machine(r->machine != NULL ? r->machine : r->default_machine);
    static const char *const no_features[] = {"gic", "vmcoreinfo", "genid"};
    static const char *const no_more[] = {"backup", "sev", "sgx"};
    XmlWriter *w;

    if (!g_str_equal(arch, "x86_64")) {
        error_set(error, VIR_ERR_INVALID_ARG, "architecture from emulator 'x86_64' doesn't match given architecture '%s'",
                  arch);
        return NULL;
    }
    if (r->virt_type != NULL && !g_str_equal(r->virt_type, "kvm")) {
        error_set(error, VIR_ERR_INVALID_ARG, "virttype '%s' is not supported by emulator '%s'", r->virt_type,
                  r->emulator != NULL ? r->emulator : r->vmm);
        return NULL;
    }
    if (!host_kvm_usable(host)) {
        error_set(error, VIR_ERR_INVALID_ARG, "the accel 'kvm' is not supported by '%s' on this host",
                  r->emulator != NULL ? r->emulator : r->vmm);
        return NULL;
    }
    if (machine == NULL) {
        error_set(error, VIR_ERR_INVALID_ARG, "the machine '%s' is not supported by emulator '%s'", r->machine,
                  r->emulator != NULL ? r->emulator : r->vmm);
        return NULL;
    }
    w = xml_writer_new(0);
    xml_open(w, "domainCapabilities");
    xml_element_text(w, "path", r->emulator != NULL ? r->emulator : r->vmm);
    xml_element_text(w, "domain", "kvm");
    xml_element_text(w, "machine", machine);
    xml_element_text(w, "arch", arch);
    xml_open(w, "vcpu");
    xml_attr_u64(w, "max", MIN(VMM_VCPUS_MAX, MAX(host_kvm_max_vcpus(host), 1)));
    xml_close(w);
    domcaps_empty(w, "iothreads", TRUE);
    domcaps_open(w, "os", TRUE);
    xml_open(w, "enum");
    xml_attr(w, "name", "firmware");
    xml_close(w);
    domcaps_empty(w, "loader", FALSE);
    xml_close(w);
    write_cpu(w, host);
    domcaps_open(w, "memoryBacking", TRUE);
    domcaps_enum(w, "sourceType", DOMCAPS_VALUES("anonymous", "memfd"));
    xml_close(w);
    write_devices(w);
    xml_open(w, "features");
    for (gsize i = 0; i < G_N_ELEMENTS(no_features); i++)
        domcaps_empty(w, no_features[i], FALSE);
    domcaps_empty(w, "backingStoreInput", TRUE);
    for (gsize i = 0; i < G_N_ELEMENTS(no_more); i++)
        domcaps_empty(w, no_more[i], FALSE);
    xml_close(w);
    xml_close(w);
    return xml_writer_finish(w);
}
