/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Domain capabilities, in the order and with the names of libvirt's domaincaps.rng. What a device element may say comes
 * from the table that validation uses (conf/supported.h), less what this QEMU or this host has no part for
 * (parts below): so a client is never offered what would be refused.
 */
#include "driver/host/domcaps.h"

#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/xml.h"
#include "driver/conf/supported.h"
#include "driver/host/cpu_models.h"
#include "driver/host/domcaps_xml.h"
#include "driver/host/firmware.h"
#include "driver/host/vmm_caps.h"

typedef struct Asked {
    Host *host;
    QemuCaps *caps;
    const char *arch;
    const char *machine; /* canonical */
    gboolean kvm;
    gboolean q35;
} Asked;

/* --- what values need ----------------------------------------------------------------------------------- */

typedef enum { NEEDS_DEVICE, NEEDS_OPTION, NEEDS_VARIANT, NEEDS_PROGRAM, NEEDS_FILE, NEEDS_I440FX } Need;

static const struct {
    Supported what;
    const char *value;
    Need need;
    const char *name, *alternative; /* one of the two will do; for NEEDS_VARIANT: union and variant */
} parts[] = {
    {SUPPORTED_DISK_BUS, "ide", NEEDS_I440FX, NULL, NULL},
    {SUPPORTED_DISK_BUS, "fdc", NEEDS_DEVICE, "isa-fdc", "floppy"},
    {SUPPORTED_DISK_BUS, "usb", NEEDS_DEVICE, "usb-storage", NULL},
    {SUPPORTED_DISK_BUS, "scsi", NEEDS_DEVICE, "scsi-hd", NULL},
    {SUPPORTED_DISK_BUS, "virtio", NEEDS_DEVICE, "virtio-blk-pci", NULL},
    {SUPPORTED_DISK_BUS, "sata", NEEDS_DEVICE, "ich9-ahci", NULL},
    {SUPPORTED_DISK_MODEL, "virtio-transitional", NEEDS_DEVICE, "virtio-blk-pci-transitional", NULL},
    {SUPPORTED_DISK_MODEL, "virtio-non-transitional", NEEDS_DEVICE, "virtio-blk-pci-non-transitional", NULL},
    {SUPPORTED_GRAPHICS, "spice", NEEDS_OPTION, "spice", NULL},
    {SUPPORTED_GRAPHICS, "vnc", NEEDS_OPTION, "vnc", NULL},
    {SUPPORTED_GRAPHICS, "sdl", NEEDS_VARIANT, "display", "sdl"},
    {SUPPORTED_GRAPHICS, "egl-headless", NEEDS_VARIANT, "display", "egl-headless"},
    {SUPPORTED_GRAPHICS, "dbus", NEEDS_VARIANT, "display", "dbus"},
    {SUPPORTED_VIDEO, "vga", NEEDS_DEVICE, "VGA", NULL},
    {SUPPORTED_VIDEO, "cirrus", NEEDS_DEVICE, "cirrus-vga", NULL},
    {SUPPORTED_VIDEO, "vmvga", NEEDS_DEVICE, "vmware-svga", NULL},
    {SUPPORTED_VIDEO, "qxl", NEEDS_DEVICE, "qxl-vga", "qxl"},
    {SUPPORTED_VIDEO, "virtio", NEEDS_DEVICE, "virtio-vga", "virtio-gpu-pci"},
    {SUPPORTED_VIDEO, "bochs", NEEDS_DEVICE, "bochs-display", NULL},
    {SUPPORTED_VIDEO, "ramfb", NEEDS_DEVICE, "ramfb", NULL},
    {SUPPORTED_HOSTDEV_TYPE, "usb", NEEDS_DEVICE, "usb-host", NULL},
    {SUPPORTED_HOSTDEV_TYPE, "pci", NEEDS_DEVICE, "vfio-pci", NULL},
    {SUPPORTED_HOSTDEV_TYPE, "scsi", NEEDS_DEVICE, "scsi-generic", NULL},
    {SUPPORTED_RNG_MODEL, "virtio", NEEDS_DEVICE, "virtio-rng-pci", NULL},
    {SUPPORTED_RNG_MODEL, "virtio-transitional", NEEDS_DEVICE, "virtio-rng-pci-transitional", NULL},
    {SUPPORTED_RNG_MODEL, "virtio-non-transitional", NEEDS_DEVICE, "virtio-rng-pci-non-transitional", NULL},
    {SUPPORTED_RNG_BACKEND, "random", NEEDS_DEVICE, "rng-random", NULL},
    {SUPPORTED_RNG_BACKEND, "egd", NEEDS_DEVICE, "rng-egd", NULL},
    {SUPPORTED_RNG_BACKEND, "builtin", NEEDS_DEVICE, "rng-builtin", NULL},
    {SUPPORTED_FILESYSTEM_DRIVER, "path", NEEDS_DEVICE, "virtio-9p-pci", NULL},
    {SUPPORTED_FILESYSTEM_DRIVER, "virtiofs", NEEDS_DEVICE, "vhost-user-fs-pci", NULL},
    {SUPPORTED_FILESYSTEM_DRIVER, "virtiofs", NEEDS_FILE, "/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd"},
    {SUPPORTED_TPM_MODEL, "tpm-tis", NEEDS_DEVICE, "tpm-tis", NULL},
    {SUPPORTED_TPM_MODEL, "tpm-crb", NEEDS_DEVICE, "tpm-crb", NULL},
    {SUPPORTED_TPM_BACKEND, "passthrough", NEEDS_FILE, "/dev/tpm0", NULL},
    {SUPPORTED_TPM_BACKEND, "emulator", NEEDS_PROGRAM, "swtpm", NULL},
    {SUPPORTED_REDIRDEV_BUS, "usb", NEEDS_DEVICE, "usb-redir", NULL},
    {SUPPORTED_CHANNEL_TYPE, "spicevmc", NEEDS_OPTION, "spice", NULL},
    {SUPPORTED_CHANNEL_TYPE, "spiceport", NEEDS_OPTION, "spice", NULL},
    {SUPPORTED_CHANNEL_TYPE, "qemu-vdagent", NEEDS_VARIANT, "chardev", "qemu-vdagent"},
    {SUPPORTED_CHANNEL_TYPE, "dbus", NEEDS_VARIANT, "chardev", "dbus"},
};

static gboolean program_exists(const char *name)
{
    g_autofree char *path = g_find_program_in_path(name);

    return path != NULL;
}

static gboolean need_met(const Asked *a, guint i)
{
    const char *name = parts[i].name, *alternative = parts[i].alternative;

    switch (parts[i].need) {
    case NEEDS_DEVICE:
        return qemu_caps_has_device(a->caps, name) ||
               (alternative != NULL && qemu_caps_has_device(a->caps, alternative));
    case NEEDS_OPTION:
        return qemu_caps_has_option(a->caps, name, NULL);
    case NEEDS_VARIANT:
        return qemu_caps_has_variant(a->caps, name, alternative);
    case NEEDS_PROGRAM:
        return program_exists(name);
    case NEEDS_FILE:
        return access(name, F_OK) == 0 || (alternative != NULL && access(alternative, F_OK) == 0);
    case NEEDS_I440FX:
        return !a->q35;
    }
    return TRUE;
}

/* DomcapsHas. */
static gboolean possible(gconstpointer a, Supported what, const char *value)
{
    for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
        if (parts[i].what == what && g_str_equal(parts[i].value, value) && !need_met(a, i))
            return FALSE;
    }
    return TRUE;
}

/* --- os ------------------------------------------------------------------------------------------------- */

static void write_os(XmlWriter *w, const Asked *a)
{
    g_autoptr(GPtrArray) images = firmware_loaders(a->arch, a->machine);
    gboolean efi = images->len > 0, secure = firmware_secure(a->arch, a->machine);

    domcaps_open(w, "os", TRUE);
    domcaps_open_enum(w, "firmware");
    xml_element_text(w, "value", "bios");
    if (efi)
        xml_element_text(w, "value", "efi");
    xml_close(w);
    domcaps_open(w, "loader", TRUE);
    for (guint i = 0; i < images->len; i++)
        xml_element_text(w, "value", images->pdata[i]);
    domcaps_enum(w, "type", efi ? DOMCAPS_VALUES("rom", "pflash") : DOMCAPS_VALUES("rom"));
    domcaps_enum(w, "readonly", DOMCAPS_VALUES("yes", "no"));
    domcaps_enum(w, "secure", secure ? DOMCAPS_VALUES("yes", "no") : DOMCAPS_VALUES("no"));
    xml_close(w);
    xml_close(w);
}

/* --- cpu ------------------------------------------------------------------------------------------------ */

void domcaps_write_host_model(XmlWriter *w, const CpuHypervisor *hv)
{
    g_autoptr(CpuDef) cpu = cpu_host_model(hv, CPU_HOST_MODEL_REPORTED, NULL);

    xml_open(w, "mode");
    xml_attr(w, "name", "host-model");
    xml_attr(w, "supported", cpu != NULL ? "yes" : "no");
    if (cpu != NULL) {
        xml_open(w, "model");
        xml_attr(w, "fallback", cpu_fallback_to_string(cpu->fallback));
        xml_text(w, cpu->model);
        xml_close(w);
        xml_element_text(w, "vendor", cpu->vendor);
        for (guint i = 0; i < cpu->features->len; i++) {
            const CpuFeature *f = &g_array_index(cpu->features, CpuFeature, i);

            xml_open(w, "feature");
            xml_attr(w, "policy", cpu_feature_policy_to_string(f->policy));
            xml_attr(w, "name", f->name);
            xml_close(w);
        }
    }
    xml_close(w);
}

void domcaps_write_model(XmlWriter *w, const char *name, const char *usable, gboolean deprecated)
{
    const CpuModel *model = cpu_model_find(name);
    const char *vendor = model != NULL ? cpu_model_vendor(model) : NULL;

    if (model == NULL)
        return; /* versions, and what libvirt's clients have no name for */
    xml_open(w, "model");
    xml_attr(w, "usable", usable);
    if (deprecated)
        xml_attr(w, "deprecated", "yes");
    xml_attr(w, "vendor", vendor != NULL ? vendor : "unknown");
    xml_text(w, name);
    xml_close(w);
}

static void write_custom(XmlWriter *w, const Asked *a)
{
    const GPtrArray *models = qemu_caps_cpu_models(a->caps, a->kvm);

    xml_open(w, "mode");
    xml_attr(w, "name", "custom");
    xml_attr(w, "supported", models->len > 0 ? "yes" : "no");
    for (guint i = 0; i < models->len; i++) {
        const QemuCpuModel *m = models->pdata[i];

        domcaps_write_model(w, m->name, m->usable ? "yes" : "no", m->deprecated);
    }
    xml_close(w);
}

static void write_simple_mode(XmlWriter *w, const char *name, const char *enum_name, gboolean supported)
{
    xml_open(w, "mode");
    xml_attr(w, "name", name);
    xml_attr(w, "supported", supported ? "yes" : "no");
    if (supported)
        domcaps_enum(w, enum_name, DOMCAPS_VALUES("on", "off"));
    xml_close(w);
}

static void write_cpu(XmlWriter *w, const Asked *a)
{
    xml_open(w, "cpu");
    write_simple_mode(w, "host-passthrough", "hostPassthroughMigratable", a->kvm);
    write_simple_mode(w, "maximum", "maximumMigratable", qemu_caps_cpu_model(a->caps, a->kvm, "max") != NULL);
    domcaps_write_host_model(w, &(CpuHypervisor){a->host, a->caps, a->kvm});
    write_custom(w, a);
    xml_close(w);
}

/* --- devices and features ------------------------------------------------------------------------------- */

static void write_disk_buses(XmlWriter *w, const Asked *a)
{
    domcaps_open(w, "disk", TRUE);
    domcaps_enum_of(w, "diskDevice", SUPPORTED_DISK_DEVICE, possible, a);
    domcaps_enum_of(w, "bus", SUPPORTED_DISK_BUS, possible, a);
    domcaps_enum_of(w, "model", SUPPORTED_DISK_MODEL, possible, a);
    xml_close(w);
}

static void write_hostdev(XmlWriter *w, const Asked *a)
{
    gboolean vfio = access("/dev/vfio/vfio", F_OK) == 0;

    domcaps_open(w, "hostdev", TRUE);
    domcaps_enum_of(w, "mode", SUPPORTED_HOSTDEV_MODE, possible, a);
    domcaps_enum_of(w, "startupPolicy", SUPPORTED_STARTUP_POLICY, possible, a);
    domcaps_open_enum(w, "subsysType");
    for (const char *const *type = supported_values(SUPPORTED_HOSTDEV_TYPE); *type != NULL; type++) {
        if (possible(a, SUPPORTED_HOSTDEV_TYPE, *type) && (vfio || !g_str_equal(*type, "pci")) &&
            !g_str_equal(*type, "mdev") && !g_str_equal(*type, "scsi_host"))
            xml_element_text(w, "value", *type);
    }
    xml_close(w);
    domcaps_open_enum(w, "capsType");
    xml_close(w);
    domcaps_enum(w, "pciBackend", vfio ? DOMCAPS_VALUES("default", "vfio") : DOMCAPS_VALUES("default"));
    xml_close(w);
}

static void write_devices(XmlWriter *w, const Asked *a)
{
    xml_open(w, "devices");
    write_disk_buses(w, a);
    domcaps_device(w, "graphics", DOMCAPS_VALUES("type"),
                   (const Supported[]){SUPPORTED_GRAPHICS}, possible, a);
    domcaps_device(w, "video", DOMCAPS_VALUES("modelType"),
                   (const Supported[]){SUPPORTED_VIDEO}, possible, a);
    write_hostdev(w, a);
    domcaps_device(w, "rng", DOMCAPS_VALUES("model", "backendModel"),
                   (const Supported[]){SUPPORTED_RNG_MODEL, SUPPORTED_RNG_BACKEND}, possible, a);
    domcaps_device(w, "filesystem", DOMCAPS_VALUES("driverType"),
                   (const Supported[]){SUPPORTED_FILESYSTEM_DRIVER}, possible, a);
    domcaps_device(w, "tpm", DOMCAPS_VALUES("model", "backendModel", "backendVersion"),
                   (const Supported[]){SUPPORTED_TPM_MODEL, SUPPORTED_TPM_BACKEND, SUPPORTED_TPM_VERSION}, possible, a);
    domcaps_device(w, "redirdev", DOMCAPS_VALUES("bus"),
                   (const Supported[]){SUPPORTED_REDIRDEV_BUS}, possible, a);
    domcaps_device(w, "channel", DOMCAPS_VALUES("type"),
                   (const Supported[]){SUPPORTED_CHANNEL_TYPE}, possible, a);
    xml_close(w);
}

static void write_features(XmlWriter *w, const Asked *a)
{
    xml_open(w, "features");
    domcaps_empty(w, "gic", FALSE);
    domcaps_empty(w, "vmcoreinfo", qemu_caps_has_device(a->caps, "vmcoreinfo"));
    domcaps_empty(w, "genid", qemu_caps_has_device(a->caps, "vmgenid"));
    domcaps_empty(w, "backingStoreInput", TRUE);
    domcaps_empty(w, "backup", FALSE);
    domcaps_empty(w, "sev", FALSE);
    domcaps_empty(w, "sgx", FALSE);
    xml_close(w);
}

/* --- request -------------------------------------------------------------------------------------------- */

static gboolean is_x86(const char *arch)
{
    return g_str_equal(arch, "x86_64") || g_str_equal(arch, "i686");
}

static gboolean resolve_type(Asked *a, const char *type, GError **error)
{
    if (type == NULL)
        a->kvm = qemu_caps_has_kvm(a->caps);
    else if (g_str_equal(type, "kvm"))
        a->kvm = TRUE;
    else if (!g_str_equal(type, "qemu"))
        return error_set(error, VIR_ERR_INVALID_ARG, "unknown virttype: %s", type);
    if (a->kvm && !qemu_caps_has_kvm(a->caps))
        return error_set(error, VIR_ERR_INVALID_ARG, "the accel 'kvm' is not supported by '%s' on this host",
                         qemu_caps_binary(a->caps));
    return TRUE;
}

static gboolean resolve(Asked *a, QemuCapsCache *cache, const DomcapsRequest *r, GError **error)
{
    const QemuMachine *machine;
    g_autofree char *found = NULL;

    a->arch = r->arch != NULL ? r->arch : host_arch(a->host);
    if (!host_arch_known(a->arch))
        return error_set(error, VIR_ERR_INVALID_ARG, "unknown architecture: %s", a->arch);
    if (r->emulator == NULL) {
        found = qemu_caps_cache_find_emulator(cache, g_str_equal(a->arch, "i686") ? "x86_64" : a->arch);
        if (found == NULL)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "unable to find any emulator to serve '%s' architecture", a->arch);
    }
    a->caps = qemu_caps_cache_get(cache, r->emulator != NULL ? r->emulator : found, error);
    if (a->caps == NULL)
        return FALSE;
    if (!g_str_equal(a->arch, qemu_caps_arch(a->caps)) && !(is_x86(a->arch) && is_x86(qemu_caps_arch(a->caps))))
        return error_set(error, VIR_ERR_INVALID_ARG,
                         "architecture from emulator '%s' doesn't match given architecture '%s'",
                         qemu_caps_arch(a->caps), a->arch);
    if (!resolve_type(a, r->virt_type, error))
        return FALSE;
    machine = qemu_caps_machine(a->caps, r->machine != NULL ? r->machine : r->default_machine);
    if (machine == NULL && r->machine == NULL)
        machine = qemu_caps_default_machine(a->caps);
    if (machine == NULL)
        return error_set(error, VIR_ERR_INVALID_ARG, "the machine '%s' is not supported by emulator '%s'",
                         r->machine != NULL ? r->machine : "default", qemu_caps_binary(a->caps));
    a->machine = machine->name;
    a->q35 = strstr(machine->name, "q35") != NULL;
    return TRUE;
}

static guint max_vcpus(const Asked *a)
{
    guint machine = qemu_caps_machine(a->caps, a->machine)->max_cpus;
    guint host = a->kvm ? host_kvm_max_vcpus(a->host) : 0;

    return host != 0 ? MIN(machine, host) : machine;
}

/* kite-vmm is asked by its name, or because nobody else is there. */
static gboolean is_for_vmm(QemuCapsCache *cache, const DomcapsRequest *r)
{
    g_autofree char *found = NULL;

    if (r->emulator != NULL)
        return vmm_caps_is_vmm(r->emulator);
    if (r->vmm == NULL || (r->virt_type != NULL && !g_str_equal(r->virt_type, "kvm")))
        return FALSE;
    found = qemu_caps_cache_find_emulator(cache, "x86_64");
    return found == NULL;
}

char *domcaps_xml(Host *host, QemuCapsCache *cache, const DomcapsRequest *asked, GError **error)
{
    Asked a = {.host = host};
    DomcapsRequest plain = *asked, *request = &plain;
    gboolean any = g_strcmp0(asked->emulator, vmm_caps_choice_path()) == 0;
    XmlWriter *w;

    /* Whatever kite-vmm lacks QEMU has, so that is what the choice of the two can do. */
    if (any)
        plain.emulator = NULL;
    if (is_for_vmm(cache, request))
        return domcaps_vmm_xml(host, request, error);
    if (!resolve(&a, cache, request, error)) {
        qemu_caps_unref(a.caps);
        return NULL;
    }
    w = xml_writer_new(0);
    xml_open(w, "domainCapabilities");
    xml_element_text(w, "path", any ? asked->emulator : qemu_caps_binary(a.caps));
    xml_element_text(w, "domain", a.kvm ? "kvm" : "qemu");
    xml_element_text(w, "machine", a.machine);
    xml_element_text(w, "arch", a.arch);
    xml_open(w, "vcpu");
    xml_attr_u64(w, "max", max_vcpus(&a));
    xml_close(w);
    domcaps_empty(w, "iothreads", qemu_caps_has_device(a.caps, "iothread"));
    write_os(w, &a);
    write_cpu(w, &a);
    domcaps_open(w, "memoryBacking", TRUE);
    domcaps_enum(w, "sourceType",
                 qemu_caps_has_device(a.caps, "memory-backend-memfd") ? DOMCAPS_VALUES("file", "anonymous", "memfd")
                                                                      : DOMCAPS_VALUES("file", "anonymous"));
    xml_close(w);
    write_devices(w, &a);
    write_features(w, &a);
    xml_close(w);
    qemu_caps_unref(a.caps);
    return xml_writer_finish(w);
}
