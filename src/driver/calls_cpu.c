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

static void add_model(ConnectGetCpuModelNamesRet *ret, gboolean wanted, const char *name)
{
    ret->ret++;
    if (!wanted)
        return;
    ret->models = g_renew(char *, ret->models, ret->models_len + 1);
    ret->models[ret->models_len++] = g_strdup(name);
}

/* Of an architecture without a list all models are accepted; an empty answer means that. */
gboolean call_connect_get_cpu_model_names(Call *call, const ConnectGetCpuModelNamesArgs *args,
                                          ConnectGetCpuModelNamesRet *ret, GError **error)
{
    static const char *const power[] = {"POWER6",  "POWER7",        "POWER8",       "POWER9",
                                        "POWER10", "POWERPC_e5500", "POWERPC_e6500"};
    gboolean wanted = args->need_results != 0;

    if (!call_check_flags(call, args->flags, 0, error))
        return FALSE;
    if (!host_arch_known(args->arch))
        return error_set(error, VIR_ERR_INVALID_ARG, "cannot find architecture %s", args->arch);
    for (guint i = 0; is_x86(args->arch) && cpu_model_at(i) != NULL; i++)
        add_model(ret, wanted, cpu_model_name(cpu_model_at(i)));
    for (guint i = 0; g_str_has_prefix(args->arch, "ppc64") && i < G_N_ELEMENTS(power); i++)
        add_model(ret, wanted, power[i]);
    return TRUE;
}

typedef enum { CPU_OF_HOST, CPU_OF_EITHER } CpuOf;

/* <cpu> of a client: a host's says its <arch>. */
static CpuDef *parse_cpu(const char *text, CpuOf of, GError **error)
{
    g_autoptr(xmlDoc) doc = xml_parse(text, "(CPU_definition)", NULL, error);
    xmlNodePtr root;

    if (doc == NULL)
        return NULL;
    root = xmlDocGetRootElement(doc);
    if (!xml_is(root, "cpu")) {
        error_set(error, VIR_ERR_XML_ERROR, "XML does not contain expected 'cpu' element");
        return NULL;
    }
    if (of == CPU_OF_EITHER && xml_child(root, "arch") == NULL)
        return cpu_def_parse(root, TRUE, error);
    if (of == CPU_OF_EITHER && xmlHasProp(root, (const xmlChar *)"match") != NULL) {
        error_set(error, VIR_ERR_XML_ERROR,
                  "'arch' element cannot be used inside 'cpu' element with 'match' attribute'");
        return NULL;
    }
    return cpu_def_parse(root, FALSE, error);
}

static gboolean compare(const CpuDef *host, const char *xml, guint flags, gint32 *ret, GError **error)
{
    g_autoptr(CpuDef) cpu = parse_cpu(xml, CPU_OF_EITHER, error);
    g_autofree char *why = NULL;
    int result;

    if (cpu == NULL)
        return FALSE;
    result = cpu_compare(host, cpu, &why, error);
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
    g_autoptr(CpuDef) named = NULL;

    if (!call_check_flags(call, args->flags, COMPARE_FLAGS, error))
        return FALSE;
    data = cpu_data_host(host);
    named = cpu_data_name(data, &(CpuNaming){.host = TRUE}, error);
    return named != NULL && compare(named, args->xml, args->flags, &ret->result, error);
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
        found = qemu_caps_cache_find_emulator(driver->qemu_caps, wanted);
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
    g_autoptr(CpuDef) model = NULL;
    gboolean kvm = FALSE;

    if (!call_check_flags(call, args->flags, COMPARE_FLAGS, error))
        return FALSE;
    caps = asked_caps(driver, args->emulator, args->arch, args->machine, args->virttype, &kvm, error);
    if (caps == NULL)
        return FALSE;
    model = cpu_host_model(&(CpuHypervisor){driver->host, caps, kvm}, CPU_HOST_MODEL_REPORTED, NULL);
    if (model == NULL)
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                         "QEMU '%s' does not support reporting CPU model for virttype '%s'", qemu_caps_binary(caps),
                         kvm ? "kvm" : "qemu");
    return compare(model, args->xmlCPU, args->flags, &ret->result, error);
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

static char *baseline(char *const *xmls, guint count, guint flags, const CpuHypervisor *hv, GError **error)
{
    g_autoptr(GPtrArray) cpus = g_ptr_array_new_with_free_func(free_cpu);
    g_autoptr(CpuDef) result = NULL;

    if (count == 0) {
        error_set(error, VIR_ERR_INVALID_ARG, "no CPUs given");
        return NULL;
    }
    for (guint i = 0; i < count; i++) {
        CpuDef *cpu = parse_cpu(xmls[i], hv == NULL ? CPU_OF_HOST : CPU_OF_EITHER, error);

        if (cpu == NULL)
            return NULL;
        g_ptr_array_add(cpus, cpu);
    }
    result = cpu_baseline((const CpuDef *const *)cpus->pdata, cpus->len, hv,
                          (flags & VIR_CONNECT_BASELINE_CPU_MIGRATABLE) != 0, error);
    if (result != NULL && hv == NULL)
        cpu_leave_out_host_features(result);
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
    gboolean kvm = FALSE;

    if (!call_check_flags(call, args->flags, BASELINE_FLAGS, error))
        return FALSE;
    caps = asked_caps(driver, args->emulator, args->arch, args->machine, args->virttype, &kvm, error);
    if (caps == NULL)
        return FALSE;
    ret->cpu = baseline(args->xmlCPUs, args->xmlCPUs_len, args->flags, &(CpuHypervisor){driver->host, caps, kvm},
                        error);
    return ret->cpu != NULL;
}
