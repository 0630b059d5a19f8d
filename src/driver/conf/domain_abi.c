/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether two definitions are the same machine for the guest: for restore, migration and redefinition of a
 * running one. */
#include <string.h>

#include "common/error.h"
#include "driver/conf/domain_def.h"

static gboolean differs(const char *what, const char *source, const char *target, GError **error)
{
    return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Target domain %s %s does not match source %s", what,
                     target != NULL ? target : "(none)", source != NULL ? source : "(none)");
}

static gboolean same_text(const char *what, const char *source, const char *target, GError **error)
{
    return g_strcmp0(source, target) == 0 || differs(what, source, target, error);
}

static gboolean same_number(const char *what, guint64 source, guint64 target, GError **error)
{
    if (source == target)
        return TRUE;
    return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                     "Target domain %s %" G_GUINT64_FORMAT " does not match source %" G_GUINT64_FORMAT, what,
                     target, source);
}

static gboolean same_device(const DeviceInfo *source, const DeviceInfo *target, GError **error)
{
    const DeviceDefOps *ops = device_def_ops(source->kind);

    if (!device_address_equal(&source->address, &target->address))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "Target device address of a %s does not match source",
                         device_kind_to_string(source->kind));
    return ops->check_abi == NULL || ops->check_abi(source, target, error);
}

static gboolean same_devices(const DomainDef *source, const DomainDef *target, GError **error)
{
    for (int kind = 0; kind < DEVICE_KIND_LAST; kind++) {
        /* What the host makes of a device without guest hardware is not the guest's matter. */
        if (kind == DEVICE_GRAPHICS || kind == DEVICE_AUDIO || kind == DEVICE_LEASE ||
            kind == DEVICE_REDIRFILTER)
            continue;
        if (source->devices[kind]->len != target->devices[kind]->len)
            return error_set(
                error, VIR_ERR_CONFIG_UNSUPPORTED, "Target domain %s count %u does not match source %u",
                device_kind_to_string(kind), target->devices[kind]->len, source->devices[kind]->len);
        for (guint i = 0; i < source->devices[kind]->len; i++) {
            if (!same_device(domain_def_get(source, kind, i), domain_def_get(target, kind, i), error))
                return FALSE;
        }
    }
    return TRUE;
}

static gboolean same_features(const DomainDef *source, const DomainDef *target, GError **error)
{
    for (int f = 0; f < FEATURE_LAST; f++) {
        if (source->features.state[f] != target->features.state[f])
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "State of feature '%s' differs: source: '%s', destination: '%s'",
                             feature_to_string(f), tristate_on_off(source->features.state[f]) ?: "default",
                             tristate_on_off(target->features.state[f]) ?: "default");
    }
    for (int f = 0; f < HYPERV_LAST; f++) {
        if (source->features.hyperv[f] != target->features.hyperv[f])
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "State of HyperV enlightenment feature '%s' differs",
                             hyperv_feature_to_string(f));
    }
    return TRUE;
}

gboolean domain_def_check_abi_stability(const DomainDef *src, const DomainDef *dst, GError **error)
{
    char source_uuid[UUID_TEXT_SIZE], target_uuid[UUID_TEXT_SIZE];

    uuid_format(src->uuid, source_uuid);
    uuid_format(dst->uuid, target_uuid);
    if (!same_text("virt type", virt_type_to_string(src->virt_type), virt_type_to_string(dst->virt_type),
                   error) ||
        !same_text("uuid", source_uuid, target_uuid, error) ||
        !same_text("name", src->name, dst->name, error))
        return FALSE;
    if (src->genid_given != dst->genid_given || memcmp(src->genid, dst->genid, sizeof(src->genid)) != 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Target domain genid does not match source");
    if (!same_number("max memory", domain_def_memory_initial(src), domain_def_memory_initial(dst), error) ||
        !same_number("vCPU max", src->vcpus->len, dst->vcpus->len, error) ||
        !same_number("vCPU count", domain_def_vcpus(src), domain_def_vcpus(dst), error) ||
        !same_number("IOThreads count", src->iothreads->len, dst->iothreads->len, error) ||
        !same_text("OS type", src->os.type, dst->os.type, error) ||
        !same_text("architecture", src->os.arch, dst->os.arch, error) ||
        !same_text("machine type", src->os.machine, dst->os.machine, error) ||
        !same_text("SMBIOS mode", smbios_mode_to_string(src->os.smbios),
                   smbios_mode_to_string(dst->os.smbios), error) ||
        !same_features(src, dst, error))
        return FALSE;
    if (!cpu_def_equal(src->cpu, dst->cpu))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Target CPU does not match source");
    if (numa_def_n_cells(&src->numa) != numa_def_n_cells(&dst->numa))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "Target NUMA node count '%u' doesn't match source '%u'",
                         numa_def_n_cells(&dst->numa), numa_def_n_cells(&src->numa));
    return same_devices(src, dst, error);
}
