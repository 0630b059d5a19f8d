/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Handlers about CPU models: names, comparing, what several have in common. */
#define ERROR_FROM VIR_FROM_CPU
#include <libvirt/libvirt.h>
#include <string.h>

#include "common/error.h"
#include "common/xml.h"
#include "driver/driver.h"
#include "driver/host/cpu_models.h"
#include "driver/host/domcaps.h"
#include "driver/host/host.h"
#include "driver/rpc/call.h"

static gboolean is_x86(const char *arch)
{
    return g_str_equal(arch, "x86_64") || g_str_equal(arch, "i686");
}

gboolean call_connect_get_cpu_model_names(Call *call, const ConnectGetCpuModelNamesArgs *args,
                                          ConnectGetCpuModelNamesRet *ret, GError **error)
{
    g_autofree const char **names = NULL;
    guint count;

    if (!call_check_flags(call, args->flags, 0, error))
        return FALSE;
    if (!host_arch_known(args->arch))
        return error_set(error, VIR_ERR_INVALID_ARG, "cannot find architecture %s", args->arch);
    if (!is_x86(args->arch))
        return TRUE; /* all models are accepted there, as libvirt says of architectures without a list */
    names = cpu_model_names(&count);
    ret->ret = (gint32)count;
    if (args->need_results == 0)
        return TRUE;
    ret->models = g_new0(char *, count);
    ret->models_len = count;
    for (guint i = 0; i < count; i++)
        ret->models[i] = g_strdup(names[i]);
    return TRUE;
}

/* <cpu> of a client: a host's (with <arch>) or a guest's. Also the whole of <domainCapabilities>' host-model mode or of
 * a <capabilities> document, as virsh and libvirt take them: the first <cpu> in it. */
static CpuDef *parse_cpu(const char *text, GError **error)
{
    g_autoptr(xmlDoc) doc = xml_parse(text, "(CPU_definition)", NULL, error);
    xmlNodePtr root;

    if (doc == NULL)
        return NULL;
    root = xmlDocGetRootElement(doc);
    if (!xml_is(root, "cpu")) {
        error_set(error, VIR_ERR_XML_ERROR, "expected <cpu>, not <%s>", (const char *)root->name);
        return NULL;
    }
    return cpu_def_parse(root, xml_child(root, "arch") == NULL, error); /* only hosts say their <arch> */
}

static gboolean compare(const CpuData *host, const char *arch, const char *xml, guint flags, gint32 *ret,
                        GError **error)
{
    g_autoptr(CpuDef) cpu = parse_cpu(xml, error);
    g_autofree char *why = NULL;
    int result;

    if (cpu == NULL)
        return FALSE;
    result = cpu_compare(host, arch, cpu, &why, error);
    if (result < 0)
        return FALSE;
    if (result == VIR_CPU_COMPARE_INCOMPATIBLE && (flags & VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE) != 0)
        return error_set(error, VIR_ERR_CPU_INCOMPATIBLE, "%s", why);
    *ret = result;
    return TRUE;
}

enum { COMPARE_FLAGS = VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE | VIR_CONNECT_COMPARE_CPU_VALIDATE_XML };

gboolean call_connect_compare_cpu(Call *call, const ConnectCompareCpuArgs *args, ConnectCompareCpuRet *ret,
                                  GError **error)
{
    Host *host = ((Driver *)call_driver(call))->host;
    g_autoptr(CpuData) data = NULL;

    if (!call_check_flags(call, args->flags, COMPARE_FLAGS, error))
        return FALSE;
    data = cpu_data_host(host);
    return compare(data, host_arch(host), args->xml, args->flags, &ret->result, error);
}

/* --- against a hypervisor ------------------------------------------------------------------------------- */

/* The emulator that a request of the hypervisor kind means, and whether with KVM. */
static QemuCaps *asked_caps(Driver *driver, const char *emulator, const char *arch, const char *machine,
                            const char *virt_type, gboolean *ret_kvm, GError **error)
{
    g_autofree char *found = NULL;
    g_autoptr(QemuCaps) caps = NULL;
    const char *wanted = arch != NULL ? arch : host_arch(driver->host);

    if (virt_type != NULL && !g_str_equal(virt_type, "kvm") && !g_str_equal(virt_type, "qemu")) {
        error_set(error, VIR_ERR_INVALID_ARG, "unknown virttype: %s", virt_type);
        return NULL;
    }
    if (!host_arch_known(wanted)) {
        error_set(error, VIR_ERR_INVALID_ARG, "unknown architecture: %s", wanted);
        return NULL;
    }
    if (emulator == NULL)
        found = qemu_caps_cache_find_emulator(driver->qemu_caps, g_str_equal(wanted, "i686") ? "x86_64" : wanted);
    if (emulator == NULL && found == NULL) {
        error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "unable to find any emulator to serve '%s' architecture", wanted);
        return NULL;
    }
    caps = qemu_caps_cache_get(driver->qemu_caps, emulator != NULL ? emulator : found, error);
    if (caps == NULL)
        return NULL;
    if (machine != NULL && qemu_caps_machine(caps, machine) == NULL) {
        error_set(error, VIR_ERR_INVALID_ARG, "the machine '%s' is not supported by emulator '%s'", machine,
                  qemu_caps_binary(caps));
        return NULL;
    }
    *ret_kvm = virt_type != NULL ? g_str_equal(virt_type, "kvm") : qemu_caps_has_kvm(caps);
    if (*ret_kvm && !qemu_caps_has_kvm(caps)) {
        error_set(error, VIR_ERR_INVALID_ARG, "the accel 'kvm' is not supported by '%s' on this host",
                  qemu_caps_binary(caps));
        return NULL;
    }
    return g_steal_pointer(&caps);
}

gboolean call_connect_compare_hypervisor_cpu(Call *call, const ConnectCompareHypervisorCpuArgs *args,
                                             ConnectCompareHypervisorCpuRet *ret, GError **error)
{
    Driver *driver = call_driver(call);
    g_autoptr(QemuCaps) caps = NULL;
    g_autoptr(CpuData) data = NULL;
    gboolean kvm = FALSE;

    if (!call_check_flags(call, args->flags, COMPARE_FLAGS, error))
        return FALSE;
    caps = asked_caps(driver, args->emulator, args->arch, args->machine, args->virttype, &kvm, error);
    if (caps == NULL)
        return FALSE;
    data = cpu_data_guest(driver->host, caps, kvm);
    return compare(data, args->arch, args->xmlCPU, args->flags, &ret->result, error);
}

/* --- in common ------------------------------------------------------------------------------------------ */

static void free_cpu(gpointer data)
{
    cpu_def_free(data);
}

static char *format_cpu(const CpuDef *cpu)
{
    XmlWriter *w = xml_writer_new(0);

    xml_open(w, "cpu");
    cpu_def_format_body(w, cpu);
    xml_close(w);
    return xml_writer_finish(w);
}

static char *baseline(char *const *xmls, guint count, guint flags, const CpuData *limit, GError **error)
{
    g_autoptr(GPtrArray) cpus = g_ptr_array_new_with_free_func(free_cpu);
    g_autoptr(CpuDef) result = NULL;

    if (count == 0) {
        error_set(error, VIR_ERR_INVALID_ARG, "no CPUs given");
        return NULL;
    }
    for (guint i = 0; i < count; i++) {
        CpuDef *cpu = parse_cpu(xmls[i], error);

        if (cpu == NULL)
            return NULL;
        g_ptr_array_add(cpus, cpu);
    }
    result = cpu_baseline((const CpuDef *const *)cpus->pdata, cpus->len, limit,
                          (flags & VIR_CONNECT_BASELINE_CPU_MIGRATABLE) != 0, error);
    if (result == NULL ||
        ((flags & VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES) != 0 && !cpu_expand(result, error)))
        return NULL;
    return format_cpu(result);
}

enum { BASELINE_FLAGS = VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES | VIR_CONNECT_BASELINE_CPU_MIGRATABLE };

gboolean call_connect_baseline_cpu(Call *call, const ConnectBaselineCpuArgs *args, ConnectBaselineCpuRet *ret,
                                   GError **error)
{
    if (!call_check_flags(call, args->flags, BASELINE_FLAGS, error))
        return FALSE;
    ret->cpu = baseline(args->xmlCPUs, args->xmlCPUs_len, args->flags, NULL, error);
    return ret->cpu != NULL;
}

gboolean call_connect_baseline_hypervisor_cpu(Call *call, const ConnectBaselineHypervisorCpuArgs *args,
                                              ConnectBaselineHypervisorCpuRet *ret, GError **error)
{
    Driver *driver = call_driver(call);
    g_autoptr(QemuCaps) caps = NULL;
    g_autoptr(CpuData) limit = NULL;
    gboolean kvm = FALSE;

    if (!call_check_flags(call, args->flags, BASELINE_FLAGS, error))
        return FALSE;
    caps = asked_caps(driver, args->emulator, args->arch, args->machine, args->virttype, &kvm, error);
    if (caps == NULL)
        return FALSE;
    limit = cpu_data_guest(driver->host, caps, kvm);
    ret->cpu = baseline(args->xmlCPUs, args->xmlCPUs_len, args->flags, limit, error);
    return ret->cpu != NULL;
}
