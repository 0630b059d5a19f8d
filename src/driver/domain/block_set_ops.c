/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* RPC handlers that change one disk's limits, size and write threshold, and one interface's bandwidth. */
#include <stdio.h>
#include <string.h>

#include "driver/backend/backend.h"
#include "driver/backend/monitor.h"
#include "driver/backend/qemu_live.h"
#include "driver/backend/tap.h"
#include "driver/conf/def_disk.h"
#include "driver/conf/def_interface.h"
#include "driver/domain/settings.h"

/* --- throttling ----------------------------------------------------------------------------------------- */

#define THROTTLE_MAX G_GUINT64_CONSTANT(1000000000000000) /* QEMU's THROTTLE_VALUE_MAX */
#define AT(member) G_STRUCT_OFFSET(DiskIotune, member)
/* In the event a limit is called as in the call, with this before it. */
#define TUNABLE_PREFIX "blkdeviotune."

/* Groups: QEMU sets all limits of a call anew, so that what is not said of a group that is said in part is 0, and of
 * a group that is not said stays. */
typedef enum { BYTES, IOPS, BYTES_MAX, IOPS_MAX, SIZE, BYTES_LENGTH, IOPS_LENGTH, N_GROUPS } ThrottleGroup;

static const struct {
    const char *field;
    gsize at;
    ThrottleGroup group;
} limits[] = {
    {VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_BYTES_SEC, AT(total_bytes_sec), BYTES},
    {VIR_DOMAIN_BLOCK_IOTUNE_READ_BYTES_SEC, AT(read_bytes_sec), BYTES},
    {VIR_DOMAIN_BLOCK_IOTUNE_WRITE_BYTES_SEC, AT(write_bytes_sec), BYTES},
    {VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_IOPS_SEC, AT(total_iops_sec), IOPS},
    {VIR_DOMAIN_BLOCK_IOTUNE_READ_IOPS_SEC, AT(read_iops_sec), IOPS},
    {VIR_DOMAIN_BLOCK_IOTUNE_WRITE_IOPS_SEC, AT(write_iops_sec), IOPS},
    {VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_BYTES_SEC_MAX, AT(total_bytes_sec_max), BYTES_MAX},
    {VIR_DOMAIN_BLOCK_IOTUNE_READ_BYTES_SEC_MAX, AT(read_bytes_sec_max), BYTES_MAX},
    {VIR_DOMAIN_BLOCK_IOTUNE_WRITE_BYTES_SEC_MAX, AT(write_bytes_sec_max), BYTES_MAX},
    {VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_IOPS_SEC_MAX, AT(total_iops_sec_max), IOPS_MAX},
    {VIR_DOMAIN_BLOCK_IOTUNE_READ_IOPS_SEC_MAX, AT(read_iops_sec_max), IOPS_MAX},
    {VIR_DOMAIN_BLOCK_IOTUNE_WRITE_IOPS_SEC_MAX, AT(write_iops_sec_max), IOPS_MAX},
    {VIR_DOMAIN_BLOCK_IOTUNE_SIZE_IOPS_SEC, AT(size_iops_sec), SIZE},
    {VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_BYTES_SEC_MAX_LENGTH, AT(total_bytes_sec_max_length), BYTES_LENGTH},
    {VIR_DOMAIN_BLOCK_IOTUNE_READ_BYTES_SEC_MAX_LENGTH, AT(read_bytes_sec_max_length), BYTES_LENGTH},
    {VIR_DOMAIN_BLOCK_IOTUNE_WRITE_BYTES_SEC_MAX_LENGTH, AT(write_bytes_sec_max_length), BYTES_LENGTH},
    {VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_IOPS_SEC_MAX_LENGTH, AT(total_iops_sec_max_length), IOPS_LENGTH},
    {VIR_DOMAIN_BLOCK_IOTUNE_READ_IOPS_SEC_MAX_LENGTH, AT(read_iops_sec_max_length), IOPS_LENGTH},
    {VIR_DOMAIN_BLOCK_IOTUNE_WRITE_IOPS_SEC_MAX_LENGTH, AT(write_iops_sec_max_length), IOPS_LENGTH},
};

static guint64 *limit_of(DiskIotune *tune, gsize i)
{
    return G_STRUCT_MEMBER_P(tune, limits[i].at);
}

static gboolean is_total(const char *field)
{
    return g_str_has_prefix(field, "total_");
}

static gboolean check_limits(const DomainSetBlockIoTuneArgs *args, GError **error)
{
    static const char *const families[] = {"bytes_sec", "iops_sec", "bytes_sec_max", "iops_sec_max"};

    for (gsize i = 0; i < G_N_ELEMENTS(limits); i++) {
        const WireTypedParam *param = typed_params_find(args->params, args->params_len, limits[i].field);

        if (param != NULL && param->value.ul > THROTTLE_MAX)
            return error_set(error, VIR_ERR_ARGUMENT_UNSUPPORTED,
                             "block I/O throttle limit value must be no more than %" G_GUINT64_FORMAT, THROTTLE_MAX);
    }
    for (gsize f = 0; f < G_N_ELEMENTS(families); f++) {
        gboolean total = FALSE, part = FALSE;

        for (gsize i = 0; i < G_N_ELEMENTS(limits); i++) {
            const WireTypedParam *param = typed_params_find(args->params, args->params_len, limits[i].field);

            if (param == NULL || param->value.ul == 0 || strcmp(strchr(limits[i].field, '_') + 1, families[f]) != 0)
                continue;
            if (is_total(limits[i].field))
                total = TRUE;
            else
                part = TRUE;
        }
        if (total && part)
            return error_set(error, VIR_ERR_INVALID_ARG,
                             "total and read/write of %s cannot be set at the same time", families[f]);
    }
    return TRUE;
}

/* What the disk will have: old, changed by the call. The group's name is a copy. */
static void next_limits(const DiskIotune *old, const DomainSetBlockIoTuneArgs *args, DiskIotune *ret)
{
    const WireTypedParam *group = typed_params_find(args->params, args->params_len, VIR_DOMAIN_BLOCK_IOTUNE_GROUP_NAME);
    gboolean said[N_GROUPS] = {FALSE};

    *ret = *old;
    ret->group_name = g_strdup(group != NULL ? group->value.s : old->group_name);
    for (gsize i = 0; i < G_N_ELEMENTS(limits); i++)
        said[limits[i].group] |= typed_params_find(args->params, args->params_len, limits[i].field) != NULL;
    for (gsize i = 0; i < G_N_ELEMENTS(limits); i++) {
        const WireTypedParam *param = typed_params_find(args->params, args->params_len, limits[i].field);

        if (said[limits[i].group])
            *limit_of(ret, i) = param != NULL ? param->value.ul : 0;
    }
}

static gboolean check_bursts(const DiskIotune *tune, GError **error)
{
    const struct {
        const char *name;
        guint64 value, max;
    } pairs[] = {{"total_bytes_sec", tune->total_bytes_sec, tune->total_bytes_sec_max},
                 {"read_bytes_sec", tune->read_bytes_sec, tune->read_bytes_sec_max},
                 {"write_bytes_sec", tune->write_bytes_sec, tune->write_bytes_sec_max},
                 {"total_iops_sec", tune->total_iops_sec, tune->total_iops_sec_max},
                 {"read_iops_sec", tune->read_iops_sec, tune->read_iops_sec_max},
                 {"write_iops_sec", tune->write_iops_sec, tune->write_iops_sec_max}};

    for (gsize i = 0; i < G_N_ELEMENTS(pairs); i++) {
        if (pairs[i].max == 0)
            continue;
        if (pairs[i].value == 0)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "cannot reset '%s' when '%s_max' is set",
                             pairs[i].name, pairs[i].name);
        if (pairs[i].max < pairs[i].value)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "value '%s_max' cannot be smaller than '%s'",
                             pairs[i].name, pairs[i].name);
    }
    return TRUE;
}

/* To the disk and all others of its group. */
static void store_limits(DomainDef *def, DiskDef *disk, const DiskIotune *tune)
{
    DOMAIN_DEF_FOREACH(DiskDef, other, def, DEVICE_DISK)
    {
        char *name;

        if (other != disk && (tune->group_name == NULL || g_strcmp0(other->iotune.group_name, tune->group_name) != 0))
            continue;
        name = g_strdup(tune->group_name);
        g_free(other->iotune.group_name);
        other->iotune = *tune;
        other->iotune.group_name = name;
    }
}

static void tell_limits(Setting *s, const DomainSetBlockIoTuneArgs *args)
{
    g_auto(TypedParams) params = {0};

    typed_params_init(&params);
    typed_params_add_string(&params, VIR_DOMAIN_TUNABLE_BLKDEV_DISK, args->disk);
    for (guint i = 0; i < args->params_len; i++) {
        g_autofree char *field = g_strconcat(TUNABLE_PREFIX, args->params[i].field, NULL);

        if (args->params[i].value.type == VIR_TYPED_PARAM_STRING)
            typed_params_add_string(&params, field, args->params[i].value.s);
        else
            typed_params_add_ullong(&params, field, args->params[i].value.ul);
    }
    setting_tell(s, &params);
}

static gboolean throttle_live(Setting *s, const DomainSetBlockIoTuneArgs *args, GError **error)
{
    DiskDef *disk = (DiskDef *)domain_def_find_disk(s->live, args->disk);
    g_autoptr(VmProcess) vm = NULL;
    DiskIotune next;
    DiskDef changed;
    gboolean done;

    if (disk == NULL)
        return error_set(error, VIR_ERR_INVALID_ARG, "disk '%s' not found in domain", args->disk);
    vm = domain_vm(s->dom, NULL, error);
    if (vm == NULL)
        return FALSE;
    next_limits(&disk->iotune, args, &next);
    /* A group that has no name yet is the disk's own; QEMU's default for it is the drive's. */
    changed = *disk;
    changed.iotune = next;
    done = check_bursts(&next, error) &&
           (storage_source_is_empty(disk->source) || qemu_live_force_throttle(vm_process_qmp(vm), &changed, error));
    if (done) {
        lock_acquire(&s->dom->lock);
        store_limits(s->live, disk, &next);
        lock_release(&s->dom->lock);
        tell_limits(s, args);
    }
    g_free(next.group_name);
    return done;
}

static gboolean throttle(Setting *s, const DomainSetBlockIoTuneArgs *args, GError **error)
{
    DiskDef *disk = NULL;
    DiskIotune next;
    gboolean good;

    if (!check_limits(args, error))
        return FALSE;
    if (s->config != NULL) {
        disk = (DiskDef *)domain_def_find_disk(s->config, args->disk);
        if (disk == NULL)
            return error_set(error, VIR_ERR_INVALID_ARG, "missing persistent configuration for disk '%s'", args->disk);
    }
    if (s->live != NULL && !throttle_live(s, args, error))
        return FALSE;
    if (disk == NULL)
        return TRUE;
    next_limits(&disk->iotune, args, &next);
    good = check_bursts(&next, error);
    if (good)
        store_limits(s->config, disk, &next);
    g_free(next.group_name);
    return good;
}

gboolean call_domain_set_block_io_tune(Call *call, const DomainSetBlockIoTuneArgs *args, DomainSetBlockIoTuneRet *ret,
                                       GError **error)
{
    TypedParamSpec specs[G_N_ELEMENTS(limits) + 1] = {0};
    Setting s;

    for (gsize i = 0; i < G_N_ELEMENTS(limits); i++)
        specs[i] = (TypedParamSpec){limits[i].field, VIR_TYPED_PARAM_ULLONG, FALSE};
    specs[G_N_ELEMENTS(limits)] = (TypedParamSpec){VIR_DOMAIN_BLOCK_IOTUNE_GROUP_NAME, VIR_TYPED_PARAM_STRING, FALSE};
    if (!typed_params_validate(args->params, args->params_len, specs, G_N_ELEMENTS(specs), error) ||
        !setting_begin(&s, call, &args->dom, args->flags, 0, error))
        return FALSE;
    return setting_end(&s, throttle(&s, args, error), error);
}

/* --- size and threshold --------------------------------------------------------------------------------- */

gboolean call_domain_block_resize(Call *call, const DomainBlockResizeArgs *args, DomainBlockResizeRet *ret,
                                  GError **error)
{
    guint64 size = args->size;
    g_autoptr(Domain) dom = NULL;
    g_autoptr(VmProcess) vm = NULL;
    g_autofree char *node = NULL;
    const DiskDef *disk;

    if (!call_check_flags(call, args->flags, VIR_DOMAIN_BLOCK_RESIZE_BYTES, error))
        return FALSE;
    if (!(args->flags & VIR_DOMAIN_BLOCK_RESIZE_BYTES)) {
        if (size > G_MAXUINT64 / 1024)
            return error_set(error, VIR_ERR_OVERFLOW, "size must be less than %" G_GUINT64_FORMAT, G_MAXUINT64 / 1024);
        size *= 1024;
    }
    dom = domain_from_wire(call, &args->dom, error);
    if (dom == NULL || !domain_job_begin_active(dom, call_api(call), error))
        return FALSE;
    DOMAIN_JOB_SCOPE(held) = dom;

    disk = (const DiskDef *)domain_def_find_disk(domain_job_live(dom), args->disk);
    if (disk == NULL)
        return error_set(error, VIR_ERR_INVALID_ARG, "disk '%s' was not found in the domain config", args->disk);
    if (storage_source_is_empty(disk->source) || disk->readonly)
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "can't resize empty or readonly disk '%s'",
                         disk->target);
    if (disk->source->format == STORAGE_FORMAT_QCOW2 || disk->source->format == STORAGE_FORMAT_QED)
        size = (size + 511) & ~G_GUINT64_CONSTANT(511); /* these are made of sectors */
    if (size > G_MAXINT64)
        return error_set(error, VIR_ERR_OVERFLOW, "size must be less than %" G_GINT64_FORMAT, G_MAXINT64);
    node = g_strdup_printf("libvirt-%u-format", disk->source->index);
    vm = domain_vm(dom, NULL, error);
    return vm != NULL && vm_block_resize(vm_process_qmp(vm), node, size, error);
}

/* The image "vda" or "vda[3]" means; NULL with *error. */
static const StorageSource *find_image(const DomainDef *def, const char *name, GError **error)
{
    const char *bracket = strchr(name, '[');
    g_autofree char *target = bracket != NULL ? g_strndup(name, (gsize)(bracket - name)) : g_strdup(name);
    const DiskDef *disk = (const DiskDef *)domain_def_find_disk(def, target);
    guint index = 0;

    if (bracket != NULL && sscanf(bracket, "[%u]", &index) != 1) {
        error_set(error, VIR_ERR_INVALID_ARG, "invalid format of '%s'", name);
        return NULL;
    }
    if (disk != NULL && bracket == NULL && !storage_source_is_empty(disk->source))
        return disk->source;
    for (const StorageSource *s = disk != NULL && bracket != NULL ? disk->source : NULL; s != NULL; s = s->backing) {
        if (s->index == index)
            return s;
    }
    error_set(error, VIR_ERR_INVALID_ARG, "failed to find disk '%s'", name);
    return NULL;
}

gboolean call_domain_set_block_threshold(Call *call, const DomainSetBlockThresholdArgs *args,
                                         DomainSetBlockThresholdRet *ret, GError **error)
{
    g_autoptr(Domain) dom = NULL;
    g_autoptr(VmProcess) vm = NULL;
    g_autofree char *node = NULL;
    const StorageSource *image;

    if (!call_check_flags(call, args->flags, 0, error))
        return FALSE;
    if (args->threshold > G_MAXINT64)
        return error_set(error, VIR_ERR_OVERFLOW, "threshold must be less than %" G_GINT64_FORMAT, G_MAXINT64);
    dom = domain_from_wire(call, &args->dom, error);
    if (dom == NULL || !domain_job_begin_active(dom, call_api(call), error))
        return FALSE;
    DOMAIN_JOB_SCOPE(held) = dom;

    image = find_image(domain_job_live(dom), args->dev, error);
    vm = image != NULL ? domain_vm(dom, NULL, error) : NULL;
    if (vm == NULL)
        return FALSE;
    node = g_strdup_printf("libvirt-%u-storage", image->index);
    return qmp_call(vm_process_qmp(vm), "block-set-write-threshold",
                    json_pack("{s:s, s:I}", "node-name", node, "write-threshold", (json_int_t)args->threshold), 0,
                    NULL, error);
}

/* --- bandwidth of an interface -------------------------------------------------------------------------- */

static const struct {
    const char *field;
    gboolean outbound;
    gsize at;
} rates[] = {
    {VIR_DOMAIN_BANDWIDTH_IN_AVERAGE, FALSE, G_STRUCT_OFFSET(NetRate, average)},
    {VIR_DOMAIN_BANDWIDTH_IN_PEAK, FALSE, G_STRUCT_OFFSET(NetRate, peak)},
    {VIR_DOMAIN_BANDWIDTH_IN_BURST, FALSE, G_STRUCT_OFFSET(NetRate, burst)},
    {VIR_DOMAIN_BANDWIDTH_IN_FLOOR, FALSE, G_STRUCT_OFFSET(NetRate, floor)},
    {VIR_DOMAIN_BANDWIDTH_OUT_AVERAGE, TRUE, G_STRUCT_OFFSET(NetRate, average)},
    {VIR_DOMAIN_BANDWIDTH_OUT_PEAK, TRUE, G_STRUCT_OFFSET(NetRate, peak)},
    {VIR_DOMAIN_BANDWIDTH_OUT_BURST, TRUE, G_STRUCT_OFFSET(NetRate, burst)},
};

/* A direction whose average is set to 0 has no limits any more. */
static gboolean next_bandwidth(const NetBandwidth *old, const DomainSetInterfaceParametersArgs *args, NetBandwidth *ret,
                               GError **error)
{
    gboolean said[2] = {FALSE, FALSE};
    NetBandwidth fresh = {0};

    for (gsize i = 0; i < G_N_ELEMENTS(rates); i++) {
        const WireTypedParam *param = typed_params_find(args->params, args->params_len, rates[i].field);

        if (param == NULL)
            continue;
        said[rates[i].outbound] = TRUE;
        G_STRUCT_MEMBER(guint64, rates[i].outbound ? &fresh.outbound : &fresh.inbound, rates[i].at) = param->value.ui;
    }
    if (fresh.inbound.floor != 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "bandwidth 'floor' is supported only for interface type 'network' with forward type 'nat', "
                         "'route', 'open' or none");
    if ((said[0] && fresh.inbound.average == 0 && (fresh.inbound.peak != 0 || fresh.inbound.burst != 0)) ||
        (said[1] && fresh.outbound.average == 0 && (fresh.outbound.peak != 0 || fresh.outbound.burst != 0)))
        return error_set(error, VIR_ERR_INVALID_ARG, "'average' is mandatory when 'peak' or 'burst' is given");
    *ret = *old;
    if (said[0])
        ret->inbound = fresh.inbound;
    if (said[1])
        ret->outbound = fresh.outbound;
    ret->present = ret->inbound.average != 0 || ret->outbound.average != 0;
    return TRUE;
}

static gboolean set_bandwidth(Setting *s, const DomainSetInterfaceParametersArgs *args, GError **error)
{
    DomainDef *defs[] = {s->live, s->config};
    InterfaceDef *nets[2] = {NULL, NULL};
    NetBandwidth next[2];
    InterfaceType type;

    for (guint i = 0; i < 2; i++) {
        if (defs[i] == NULL)
            continue;
        nets[i] = (InterfaceDef *)domain_def_find_interface(defs[i], args->device);
        if (nets[i] == NULL)
            return error_set(error, VIR_ERR_INVALID_ARG, "Can't find device %s", args->device);
        type = interface_actual_type(nets[i]);
        if (type != INTERFACE_BRIDGE && type != INTERFACE_NETWORK && type != INTERFACE_ETHERNET)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "cannot set the bandwidth of interface '%s': one of type '%s' has no device on the host; "
                             "types bridge, network and ethernet have",
                             args->device, interface_type_to_string(type));
        if (!next_bandwidth(&nets[i]->bandwidth, args, &next[i], error))
            return FALSE;
    }
    if (nets[0] != NULL) {
        if (nets[0]->target == NULL)
            return error_set(error, VIR_ERR_OPERATION_INVALID, "interface '%s' has no device on the host", args->device);
        if (!tap_set_bandwidth(nets[0]->target, &next[0], error)) {
            tap_set_bandwidth(nets[0]->target, &nets[0]->bandwidth, NULL);
            return FALSE;
        }
        lock_acquire(&s->dom->lock);
        nets[0]->bandwidth = next[0];
        lock_release(&s->dom->lock);
    }
    if (nets[1] != NULL)
        nets[1]->bandwidth = next[1];
    return TRUE;
}

gboolean call_domain_set_interface_parameters(Call *call, const DomainSetInterfaceParametersArgs *args,
                                              DomainSetInterfaceParametersRet *ret, GError **error)
{
    TypedParamSpec specs[G_N_ELEMENTS(rates)] = {0};
    Setting s;

    for (gsize i = 0; i < G_N_ELEMENTS(rates); i++)
        specs[i] = (TypedParamSpec){rates[i].field, VIR_TYPED_PARAM_UINT, FALSE};
    if (!typed_params_validate(args->params, args->params_len, specs, G_N_ELEMENTS(specs), error) ||
        !setting_begin(&s, call, &args->dom, args->flags, 0, error))
        return FALSE;
    return setting_end(&s, set_bandwidth(&s, args, error), error);
}
