/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* RPC handler virDomainGetXMLDesc: the definition, as the flags want it. */
#include "driver/backend/backend.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/domain_private.h"
#include "driver/driver.h"
#include "driver/host/cpu_models.h"
#include "driver/host/vmm_caps.h"
#include "driver/rpc/call.h"

/* A definition's CPU and who runs it. */
typedef struct Wanted {
    CpuDef *cpu;
    char *emulator, *arch;
    gboolean kvm;
} Wanted;

static void wanted_clear(Wanted *w)
{
    cpu_def_free(w->cpu);
    g_free(w->emulator);
    g_free(w->arch);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Wanted, wanted_clear)

/* Which definition a call is about. State lock held. */
static const DomainDef *chosen(Domain *dom, guint flags)
{
    return (flags & VIR_DOMAIN_XML_INACTIVE) && dom->config != NULL ? dom->config : domain_def(dom);
}

/* What runs has its CPU spelled out already. State lock held. */
static gboolean is_relative(Domain *dom, guint flags)
{
    const DomainDef *def = chosen(dom, flags);

    return (flags & VIR_DOMAIN_XML_UPDATE_CPU) && def != dom->live && def->cpu != NULL &&
           (def->cpu->mode != CPU_MODE_CUSTOM || def->cpu->model != NULL);
}

/* The CPU that the definition would be started with. Asks an emulator it has not been asked before: no lock is held. */
static gboolean update_cpu(Driver *driver, Wanted *w, GError **error)
{
    CpuHypervisor hv = {.host = driver->host, .kvm = w->kvm};
    g_autofree char *found = NULL;
    g_autoptr(QemuCaps) caps = NULL;
    g_autoptr(CpuDef) host = NULL;

    if (!vmm_caps_is_vmm(w->emulator)) {
        if (w->emulator == NULL)
            found = qemu_caps_cache_find_emulator(driver->qemu_caps, w->arch);
        caps = qemu_caps_cache_get(driver->qemu_caps, w->emulator != NULL ? w->emulator : found, error);
        if (caps == NULL)
            return FALSE;
        hv.caps = caps;
    }
    host = cpu_host_model(&hv, CPU_HOST_MODEL_MIGRATABLE, NULL);
    return cpu_guest_update(w->cpu, host, error);
}

/* The CPU that another host is to be told: as it was asked for, not as it turned out here. New, or NULL: as it stands.
 * State lock held. */
static CpuDef *migratable_cpu(Domain *dom, const DomainDef *def, const CpuDef *updated)
{
    const CpuDef *asked = def == dom->live && dom->info != NULL ? dom->info->asked_cpu : NULL;
    CpuDef *cpu = cpu_def_copy(asked != NULL ? asked : updated != NULL ? updated : def->cpu);

    /* Old versions took it for a part of this model, though no processor ever had it. */
    if (cpu != NULL && cpu->mode == CPU_MODE_CUSTOM && g_strcmp0(cpu->model, "Icelake-Server") == 0)
        cpu_def_set_feature(cpu, "pconfig", CPU_FEATURE_DISABLE);
    return cpu;
}

static char *format(Domain *dom, guint flags, const Wanted *before, CpuDef *updated)
{
    static const struct {
        guint flag, format;
    } map[] = {
        {VIR_DOMAIN_XML_SECURE, DOMAIN_DEF_FORMAT_SECURE},
        {VIR_DOMAIN_XML_INACTIVE, DOMAIN_DEF_FORMAT_INACTIVE},
        {VIR_DOMAIN_XML_MIGRATABLE,
         DOMAIN_DEF_FORMAT_MIGRATABLE | DOMAIN_DEF_FORMAT_SECURE | DOMAIN_DEF_FORMAT_INACTIVE},
        {VIR_DOMAIN_XML_UPDATE_CPU, DOMAIN_DEF_FORMAT_UPDATE_CPU},
    };
    g_autoptr(CpuDef) migratable = NULL;
    guint format = 0;
    const DomainDef *def;
    DomainDef view;
    LOCK_SCOPE(&dom->lock);

    def = chosen(dom, flags);
    view = *def; /* to be read only: everything in it is def's */
    if (updated != NULL && !(is_relative(dom, flags) && cpu_def_equal(def->cpu, before->cpu)))
        updated = NULL; /* it was redefined or started meanwhile */
    if (updated != NULL)
        view.cpu = updated;
    if (flags & VIR_DOMAIN_XML_MIGRATABLE)
        view.cpu = migratable = migratable_cpu(dom, def, updated);
    for (guint i = 0; i < G_N_ELEMENTS(map); i++) {
        if (flags & map[i].flag)
            format |= map[i].format;
    }
    if (!domain_active(dom))
        format |= DOMAIN_DEF_FORMAT_INACTIVE;
    return domain_def_format(&view, format);
}

gboolean call_domain_get_xml_desc(Call *call, const DomainGetXmlDescArgs *args, DomainGetXmlDescRet *ret,
                                  GError **error)
{
    const guint known = VIR_DOMAIN_XML_SECURE | VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_MIGRATABLE |
                        VIR_DOMAIN_XML_UPDATE_CPU;
    g_autoptr(Domain) dom = NULL;
    g_auto(Wanted) before = {0};
    g_auto(Wanted) after = {0};

    if (!call_check_flags(call, args->flags, known, error))
        return FALSE;
    if (call_readonly(call) && (args->flags & (VIR_DOMAIN_XML_SECURE | VIR_DOMAIN_XML_MIGRATABLE)))
        return error_set(error, VIR_ERR_OPERATION_DENIED, "virDomainGetXMLDesc with secure flag");
    dom = domain_from_wire(call, &args->dom, error);
    if (dom == NULL)
        return FALSE;
    lock_acquire(&dom->lock);
    if (is_relative(dom, args->flags)) {
        const DomainDef *def = chosen(dom, args->flags);

        before.cpu = cpu_def_copy(def->cpu);
        after = (Wanted){cpu_def_copy(def->cpu), g_strdup(def->emulator),
                         g_strdup(def->os.arch != NULL ? def->os.arch : "x86_64"), def->virt_type == VIRT_KVM};
    }
    lock_release(&dom->lock);
    if (after.cpu != NULL && call_must_not_wait(call))
        return call_move(call);
    if (after.cpu != NULL && !update_cpu(call_driver(call), &after, error))
        return FALSE;
    ret->xml = format(dom, args->flags, &before, after.cpu);
    return ret->xml != NULL || error_set(error, VIR_ERR_INTERNAL_ERROR,
                                         "the definition of domain '%s' holds a value that has no name", dom->name);
}
