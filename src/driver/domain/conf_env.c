/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The conf layer's questions about this host (conf/domain_env.h), answered from the capabilities of the QEMU
 * that will run the domain and from the image engine. Definitions that were accepted before are read without
 * asking: what they say is complete, and a daemon that starts must not wait for a probe.
 */
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "driver/backend/backend.h"
#include "driver/conf/def_disk.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/domain_list.h"
#include "driver/domain/domain_private.h"
#include "driver/domain/persist.h"
#include "driver/driver.h"
#include "driver/host/qemu_caps.h"
#include "driver/host/vmm_caps.h"
#include "storage/probe_client.h"

/* The capabilities of the emulator that def names, or of its architecture's default one. NULL: not known. */
static QemuCaps *caps_of(const DomainDefEnv *env, const DomainDef *def, GError **error)
{
    Driver *driver = env->opaque;
    g_autofree char *binary = NULL;

    if (def->emulator != NULL && !vmm_caps_is_vmm(def->emulator))
        binary = g_strdup(def->emulator);
    else
        binary =
            qemu_caps_cache_find_emulator(driver->qemu_caps, def->os.arch != NULL ? def->os.arch : "x86_64");
    if (binary == NULL)
        return NULL;
    return qemu_caps_cache_get(driver->qemu_caps, binary, error);
}

/* Whether kite-vmm may be asked in QEMU's place: it is named, or there is nobody else for this type. */
static gboolean may_be_vmm(const DomainDef *def)
{
    return vmm_caps_is_vmm(def->emulator) || (def->emulator == NULL && def->virt_type == VIRT_KVM);
}

static char *canonical_machine(const DomainDefEnv *env, const DomainDef *def, const char *machine,
                               GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(QemuCaps) caps = caps_of(env, def, &cause);
    Driver *driver = env->opaque;
    const QemuMachine *found;

    if (machine == NULL && driver->config != NULL)
        machine = driver->config->default_machine;
    if (caps == NULL && may_be_vmm(def)) {
        char *name = vmm_caps_machine(machine);

        if (name == NULL)
            error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Emulator 'kite-vmm' does not support machine type '%s'",
                      machine);
        return name;
    }
    if (caps == NULL) {
        if (cause != NULL)
            g_propagate_error(error, g_steal_pointer(&cause));
        else
            error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                      "no emulator for <type arch='%s'> is installed; install qemu-system or name one in "
                      "<emulator>",
                      def->os.arch != NULL ? def->os.arch : "x86_64");
        return NULL;
    }
    found = machine != NULL ? qemu_caps_machine(caps, machine) : qemu_caps_default_machine(caps);
    if (found == NULL) {
        error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Emulator '%s' does not support machine type '%s'",
                  qemu_caps_binary(caps), machine);
        return NULL;
    }
    return g_strdup(found->name);
}

static const char *vmm_path(const Driver *driver)
{
    return driver->config != NULL && driver->config->vmm_binary != NULL ? driver->config->vmm_binary
                                                                         : vmm_caps_default_path();
}

/* By the rule of DESIGN, section 3: for 'kvm' our own VMM where it is installed and can run all of def. */
static char *default_emulator(const DomainDefEnv *env, const DomainDef *def, GError **error)
{
    Driver *driver = env->opaque;
    g_autofree char *reason = NULL;
    char *qemu;

    if (def->virt_type == VIRT_KVM && access(vmm_path(driver), X_OK) == 0) {
        if (backend_vmm.can_run(def, &reason))
            return g_strdup(vmm_path(driver));
        log_info("domain '%s' goes to QEMU: %s", def->name != NULL ? def->name : "", reason);
    }
    if (!backend_qemu.can_run(def, &reason)) {
        error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s", reason);
        return NULL;
    }
    qemu = qemu_caps_cache_find_emulator(driver->qemu_caps, def->os.arch != NULL ? def->os.arch : "x86_64");
    if (qemu == NULL && reason != NULL)
        error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s, and no QEMU is installed", reason);
    return qemu;
}

static gboolean has_device(const DomainDefEnv *env, const DomainDef *def, const char *qemu_type)
{
    g_autoptr(QemuCaps) caps = caps_of(env, def, NULL);

    return caps == NULL || qemu_caps_has_device(caps, qemu_type);
}

static guint max_vcpus(const DomainDefEnv *env, const DomainDef *def)
{
    g_autoptr(QemuCaps) caps = caps_of(env, def, NULL);
    const QemuMachine *machine =
        caps != NULL && def->os.machine != NULL ? qemu_caps_machine(caps, def->os.machine) : NULL;

    return machine != NULL ? machine->max_cpus : 0;
}

/* A format that was found and not declared is honoured only for an image that refers to no other file (DESIGN
 * 4): its guest may have written the header. */
static char *probe_disk_format(const DomainDefEnv *env, const char *path, GError **error)
{
    ImageProbe probe;

    if (probe_path(path, &probe, NULL, NULL) < 0)
        return NULL; /* said when it is started, with the reason */
    if (probe.format == IMAGE_FORMAT_RAW || probe.format == IMAGE_FORMAT_AUTO)
        return g_strdup("raw");
    if (probe.backing_name[0] != '\0' || probe.data_file[0] != '\0') {
        error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                  "disk image '%s' looks like %s and refers to '%s': write <driver name='qemu' type='%s'/> "
                  "if that is "
                  "meant, or type='raw' if it is the guest's data",
                  path, image_format_name(probe.format),
                  probe.backing_name[0] != '\0' ? probe.backing_name : probe.data_file,
                  image_format_name(probe.format));
        return NULL;
    }
    return g_strdup(image_format_name(probe.format));
}

static gboolean validate(const DomainDefEnv *env, const DomainDef *def, GError **error)
{
    return backend_choose(def, error) != NULL;
}

static gboolean validate_device(const DomainDefEnv *env, const DomainDef *def, const DeviceInfo *dev, GError **error)
{
    const DiskDef *disk = dev->kind == DEVICE_DISK ? (const DiskDef *)dev : NULL;
    g_autoptr(QemuCaps) caps = NULL;

    if (disk == NULL || disk->iothreads == NULL || def == NULL || vmm_caps_is_vmm(def->emulator))
        return TRUE;
    caps = caps_of(env, def, NULL);
    return caps == NULL || qemu_caps_has_property(caps, "virtio-blk-pci", "iothread-vq-mapping") ||
           error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                     "<driver><iothreads> of disk '%s' is not supported by '%s': QEMU can map queues to iothreads since "
                     "9.0; use <driver iothread=>",
                     disk->target, qemu_caps_binary(caps));
}

DomainDefEnv *conf_env_new(Driver *driver)
{
    DomainDefEnv *env = g_new0(DomainDefEnv, 1);

    env->opaque = driver;
    if (driver == NULL || driver->qemu_caps == NULL)
        return env;
    env->rich_defaults = TRUE;
    env->nvram_dir = driver->paths->nvram_dir;
    env->run_dir = driver->paths->domain_run_dir;
    env->session = !driver->paths->privileged;
    if (driver->config != NULL) {
        env->vnc_listen = driver->config->vnc_listen;
        env->spice_listen = driver->config->spice_listen;
    }
    env->any_emulator = vmm_caps_choice_path();
    env->canonical_machine = canonical_machine;
    env->default_emulator = default_emulator;
    env->has_device = has_device;
    env->max_vcpus = max_vcpus;
    env->probe_disk_format = probe_disk_format;
    env->validate = validate;
    env->validate_device = validate_device;
    return env;
}

const DomainDefEnv *domain_env(Driver *driver)
{
    return driver != NULL && driver->domains != NULL ? domain_list_env(driver->domains)
                                                     : &domain_def_env_default;
}
