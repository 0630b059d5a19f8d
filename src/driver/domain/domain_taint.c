/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What makes a run of a domain hard to support, as clients are told (virDomainGetMessages). Kept until the run ends. */
#define LOG_SOURCE "domain"

#include <string.h>

#include "common/log.h"
#include "driver/conf/def_disk.h"
#include "driver/conf/def_hostdev.h"
#include "driver/conf/def_interface.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/domain_private.h"
#include "driver/domain/domain_taint.h"
#include "driver/host/qemu_caps.h"

/* In the order in which clients see them. */
static const struct {
    const char *name, *text;
} taints[] = {
    [DOMAIN_TAINT_CUSTOM_ARGV] = {"custom-argv", "custom configuration parameters specified"},
    [DOMAIN_TAINT_CUSTOM_MONITOR] = {"custom-monitor", "custom monitor control commands issued"},
    [DOMAIN_TAINT_HIGH_PRIVILEGES] = {"high-privileges", "running with undesirable elevated privileges"},
    [DOMAIN_TAINT_SHELL_SCRIPTS] = {"shell-scripts", "network configuration using opaque shell scripts"},
    [DOMAIN_TAINT_HOST_CPU] = {"host-cpu", "potentially unsafe use of host CPU passthrough"},
    [DOMAIN_TAINT_CDROM_PASSTHROUGH] = {"cdrom-passthrough", "use of host cdrom passthrough"},
    [DOMAIN_TAINT_CUSTOM_DTB] = {"custom-dtb", "custom device tree blob used"},
    [DOMAIN_TAINT_CUSTOM_GA_COMMAND] = {"custom-ga-command", "custom guest agent control commands issued"},
    [DOMAIN_TAINT_CUSTOM_FEATURE] = {"custom-hypervisor-feature", "hypervisor feature autodetection override"},
    [DOMAIN_TAINT_DEPRECATED_CONFIG] = {"deprecated-config", "use of deprecated configuration settings"},
    [DOMAIN_TAINT_CUSTOM_DEVICE] = {"custom-device", "custom device configuration"},
};
_Static_assert(G_N_ELEMENTS(taints) == DOMAIN_TAINT_LAST, "a line a taint");

const char *domain_taint_name(DomainTaint taint)
{
    return taint < DOMAIN_TAINT_LAST ? taints[taint].name : "unknown";
}

const char *domain_taint_text(DomainTaint taint)
{
    return taint < DOMAIN_TAINT_LAST ? taints[taint].text : "unknown";
}

static void set(Domain *dom, gboolean condition, DomainTaint taint)
{
    if (!condition || (dom->taints & (G_GUINT64_CONSTANT(1) << taint)))
        return;
    dom->taints |= G_GUINT64_CONSTANT(1) << taint;
    log_info("domain '%s' (%s) is tainted: %s", dom->name, dom->uuid_text, domain_taint_text(taint));
}

void domain_taint(Domain *dom, DomainTaint taint)
{
    LOCK_SCOPE(&dom->lock);

    set(dom, TRUE, taint);
}

void domain_taint_clear(Domain *dom)
{
    dom->taints = 0;
    g_clear_pointer(&dom->deprecations, g_ptr_array_unref);
}

static void deprecated(Domain *dom, const char *what, const char *name)
{
    if (dom->deprecations == NULL)
        dom->deprecations = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(dom->deprecations, g_strdup_printf("%s '%s'", what, name));
    set(dom, TRUE, DOMAIN_TAINT_DEPRECATED_CONFIG);
}

static void taint_by_caps(Domain *dom, const DomainDef *live, const QemuCaps *caps)
{
    const QemuMachine *machine = qemu_caps_machine(caps, live->os.machine);
    const QemuCpuModel *cpu = live->cpu != NULL && live->cpu->mode == CPU_MODE_CUSTOM && live->cpu->model != NULL
                                  ? qemu_caps_cpu_model(caps, live->virt_type == VIRT_KVM, live->cpu->model)
                                  : NULL;

    if (machine != NULL && machine->deprecated)
        deprecated(dom, "machine type", live->os.machine);
    if (cpu != NULL && cpu->deprecated)
        deprecated(dom, "CPU model", cpu->name);
}

static gboolean is_host_drive(const DiskDef *disk)
{
    const StorageSource *source = disk->source;

    return disk->device == DISK_DEVICE_CDROM && source != NULL && source->type == STORAGE_TYPE_BLOCK &&
           source->path != NULL && g_str_has_prefix(source->path, "/dev/sr");
}

void domain_taint_start(Domain *dom, const DomainDef *live, const QemuCaps *caps)
{
    const QemuNamespace *qemu = &live->qemu;

    LOCK_SCOPE(&dom->lock);
    set(dom, (qemu->args != NULL && qemu->args->len > 0) || (qemu->env != NULL && qemu->env->len > 0),
        DOMAIN_TAINT_CUSTOM_ARGV);
    set(dom, qemu->overrides != NULL && qemu->overrides->len > 0, DOMAIN_TAINT_CUSTOM_DEVICE);
    set(dom, (qemu->caps_added != NULL && qemu->caps_added->len > 0) ||
                 (qemu->caps_removed != NULL && qemu->caps_removed->len > 0),
        DOMAIN_TAINT_CUSTOM_FEATURE);
    if (caps != NULL)
        taint_by_caps(dom, live, caps);
    DOMAIN_DEF_FOREACH(DiskDef, disk, live, DEVICE_DISK)
    {
        set(dom, disk->rawio == TRISTATE_YES, DOMAIN_TAINT_HIGH_PRIVILEGES);
        set(dom, is_host_drive(disk), DOMAIN_TAINT_CDROM_PASSTHROUGH);
    }
    DOMAIN_DEF_FOREACH(HostdevDef, hostdev, live, DEVICE_HOSTDEV)
    {
        set(dom, hostdev->rawio == TRISTATE_YES, DOMAIN_TAINT_HIGH_PRIVILEGES);
    }
    DOMAIN_DEF_FOREACH(InterfaceDef, net, live, DEVICE_INTERFACE)
    {
        set(dom, net->script != NULL, DOMAIN_TAINT_SHELL_SCRIPTS);
    }
    set(dom, live->os.dtb != NULL, DOMAIN_TAINT_CUSTOM_DTB);
}
