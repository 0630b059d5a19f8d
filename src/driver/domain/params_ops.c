/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * RPC handlers that tell of settings as typed parameters: scheduler, block and memory tuning, NUMA, limits of
 * disks and interfaces. They read the live or the persistent definition under the state lock, and then without it the
 * control group of a running domain. A client that asks for 0 parameters wants to know how many there are.
 */
#include <libvirt/libvirt.h>

#include "driver/backend/backend.h"
#include "driver/conf/def_disk.h"
#include "driver/conf/def_interface.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/domain_private.h"
#include "driver/domain/placement.h"
#include "driver/domain/settings.h"
#include "driver/driver.h"
#include "driver/rpc/call.h"
#include "driver/rpc/typed_params.h"

#define AFFECT (VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG)
#define AFFECT_STRING (AFFECT | VIR_TYPED_PARAM_STRING_OKAY)

/* Parameters of a reply, of the wire's limits. */
enum { PARAMS_MAX = 16, IO_TUNE_MAX = 32 };

/* --- common steps --------------------------------------------------------------------------------------- */

typedef struct Listing {
    Domain *dom; /* reference; its state lock is held from begin to end */
    const DomainDef *def;
    gboolean live;
    TypedParams params;
} Listing;

/* Flags, count, domain, definition; on TRUE the state lock is held. */
static gboolean begin(Listing *listing, Call *call, const WireDomain *wire, gint32 nparams, gint32 max,
                      guint flags, GError **error)
{
    *listing = (Listing){0};
    if (!call_check_flags(call, flags, AFFECT_STRING, error))
        return FALSE;
    if (nparams < 0)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "nparams must be non-negative");
    if (nparams > max)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "nparams too large");
    listing->dom = domain_from_wire(call, wire, error);
    if (listing->dom == NULL)
        return FALSE;
    lock_acquire(&listing->dom->lock);
    listing->def = domain_one_def_for(listing->dom, flags & AFFECT, &listing->live, error);
    if (listing->def == NULL) {
        lock_release(&listing->dom->lock);
        g_clear_pointer(&listing->dom, domain_unref);
        return FALSE;
    }
    typed_params_init(&listing->params);
    return TRUE;
}

/* The first `asked` of what was listed, without strings for clients that do not know them; with asked 0 the
 * number of all of them. */
static gboolean end(Listing *listing, gint32 asked, guint flags, WireTypedParam **ret_params,
                    guint32 *ret_len, gint32 *ret_nparams)
{
    guint count = typed_params_count(&listing->params);

    lock_release(&listing->dom->lock);
    if (asked == 0 && ret_nparams != NULL) {
        *ret_nparams = (gint32)count;
    } else {
        for (guint i = 0; i < count; i++) {
            WireTypedParam *param = typed_params_at(&listing->params, i);
            gboolean text = param->value.type == VIR_TYPED_PARAM_STRING;

            if (i < (guint)asked && !(text && !(flags & VIR_TYPED_PARAM_STRING_OKAY)))
                continue;
            if (text)
                g_clear_pointer(&param->value.s, g_free);
            param->value.type = 0;
        }
        typed_params_drop_unset(&listing->params);
        *ret_params = typed_params_steal(&listing->params, ret_len);
    }
    typed_params_clear(&listing->params);
    domain_unref(listing->dom);
    return TRUE;
}

/* After begin(): takes back what it did. Always FALSE. */
static gboolean fail(Listing *listing)
{
    lock_release(&listing->dom->lock);
    typed_params_clear(&listing->params);
    domain_unref(listing->dom);
    return FALSE;
}

/* --- scheduler ------------------------------------------------------------------------------------------ */

enum { SCHEDULER_PARAMS = 9, SCHEDULER_PARAMS_WITHOUT_BANDWIDTH = 1 };

/* Of the running domain, what its control group says. */
typedef struct LiveScheduler {
    Cgroup *cgroup;
    guint vcpus; /* online */
    gboolean vcpu_groups;
    guint iothread; /* number of the first one; 0: none */
    gboolean bandwidth;
    CpuTune tune;
} LiveScheduler;

/* State lock held. */
static void note_threads(const Domain *dom, const DomainDef *def, LiveScheduler *live)
{
    live->cgroup = cgroup_ref(dom->cgroup);
    live->vcpus = domain_def_vcpus(def);
    for (guint i = 0; dom->info != NULL && i < dom->info->n_vcpus; i++)
        live->vcpu_groups |= dom->info->vcpus[i].tid > 0;
    if (def->iothreads->len > 0)
        live->iothread = ((const IothreadDef *)g_ptr_array_index(def->iothreads, 0))->id;
}

/* All vCPUs have the limits of the first one, all iothreads those of the first one. */
static gboolean read_scheduler(LiveScheduler *live, GError **error)
{
    CpuTune *tune = &live->tune;
    CgroupThread name;

    if (!cgroup_has(live->cgroup, CGROUP_CPU))
        return error_set(error, VIR_ERR_OPERATION_INVALID, "cgroup CPU controller is not mounted");
    live->bandwidth = cgroup_has_bandwidth(live->cgroup);
    if (!cgroup_get_shares(live->cgroup, &tune->shares, error))
        return FALSE;
    if (!live->bandwidth)
        return TRUE;
    if (!cgroup_get_bandwidth(live->cgroup, live->vcpu_groups ? cgroup_thread(name, "vcpu", 0) : NULL, &tune->period,
                              &tune->quota, error) ||
        !cgroup_get_bandwidth(live->cgroup, CGROUP_EMULATOR, &tune->emulator_period, &tune->emulator_quota, error) ||
        !cgroup_get_bandwidth(live->cgroup, NULL, &tune->global_period, &tune->global_quota, error) ||
        !cgroup_get_bandwidth(live->cgroup,
                              live->iothread != 0 ? cgroup_thread(name, "iothread", live->iothread) : NULL,
                              &tune->iothread_period, &tune->iothread_quota, error))
        return FALSE;
    if (!live->vcpu_groups && tune->quota > 0 && live->vcpus > 0)
        tune->quota /= live->vcpus;
    return TRUE;
}

static void list_scheduler(TypedParams *params, const CpuTune *tune, gboolean bandwidth)
{
    const struct {
        const char *period_name, *quota_name;
        guint64 period;
        gint64 quota;
    } pairs[] = {
        {VIR_DOMAIN_SCHEDULER_VCPU_PERIOD, VIR_DOMAIN_SCHEDULER_VCPU_QUOTA, tune->period, tune->quota},
        {VIR_DOMAIN_SCHEDULER_EMULATOR_PERIOD, VIR_DOMAIN_SCHEDULER_EMULATOR_QUOTA, tune->emulator_period,
         tune->emulator_quota},
        {VIR_DOMAIN_SCHEDULER_GLOBAL_PERIOD, VIR_DOMAIN_SCHEDULER_GLOBAL_QUOTA, tune->global_period,
         tune->global_quota},
        {VIR_DOMAIN_SCHEDULER_IOTHREAD_PERIOD, VIR_DOMAIN_SCHEDULER_IOTHREAD_QUOTA, tune->iothread_period,
         tune->iothread_quota},
    };

    typed_params_add_ullong(params, VIR_DOMAIN_SCHEDULER_CPU_SHARES, tune->shares);
    for (gsize i = 0; bandwidth && i < G_N_ELEMENTS(pairs); i++) {
        typed_params_add_ullong(params, pairs[i].period_name, pairs[i].period);
        typed_params_add_llong(params, pairs[i].quota_name, pairs[i].quota);
    }
}

gboolean call_domain_get_scheduler_type(Call *call, const DomainGetSchedulerTypeArgs *args,
                                        DomainGetSchedulerTypeRet *ret, GError **error)
{
    g_autoptr(Domain) dom = domain_from_wire(call, &args->dom, error);
    g_autoptr(Cgroup) cgroup = NULL;
    gboolean active;

    if (dom == NULL || !setting_check_privileged(call, VIR_ERR_OPERATION_UNSUPPORTED, "CPU tuning", error))
        return FALSE;
    lock_acquire(&dom->lock);
    active = domain_active(dom);
    cgroup = cgroup_ref(dom->cgroup);
    lock_release(&dom->lock);
    if (active && !cgroup_has(cgroup, CGROUP_CPU))
        return error_set(error, VIR_ERR_OPERATION_INVALID, "cgroup CPU controller is not mounted");
    ret->type = g_strdup("posix");
    ret->nparams = !active || cgroup_has_bandwidth(cgroup) ? SCHEDULER_PARAMS : SCHEDULER_PARAMS_WITHOUT_BANDWIDTH;
    return TRUE;
}

static gboolean scheduler(Call *call, const WireDomain *wire, gint32 nparams, guint flags,
                          WireTypedParam **ret_params, guint32 *ret_len, GError **error)
{
    Listing listing;
    LiveScheduler live = {0};
    gboolean good = TRUE;

    if (!setting_check_privileged(call, VIR_ERR_CONFIG_UNSUPPORTED, "CPU tuning", error) ||
        !begin(&listing, call, wire, nparams, PARAMS_MAX, flags, error))
        return FALSE;
    if (listing.live) {
        note_threads(listing.dom, listing.def, &live);
        lock_release(&listing.dom->lock);
        good = read_scheduler(&live, error);
        lock_acquire(&listing.dom->lock);
        cgroup_unref(live.cgroup);
        list_scheduler(&listing.params, &live.tune, live.bandwidth);
    } else {
        list_scheduler(&listing.params, &listing.def->cputune, TRUE);
    }
    return good ? end(&listing, nparams, flags, ret_params, ret_len, NULL) : fail(&listing);
}

gboolean call_domain_get_scheduler_parameters(Call *call, const DomainGetSchedulerParametersArgs *args,
                                              DomainGetSchedulerParametersRet *ret, GError **error)
{
    return scheduler(call, &args->dom, args->nparams, 0, &ret->params, &ret->params_len, error);
}

gboolean call_domain_get_scheduler_parameters_flags(Call *call,
                                                    const DomainGetSchedulerParametersFlagsArgs *args,
                                                    DomainGetSchedulerParametersFlagsRet *ret, GError **error)
{
    return scheduler(call, &args->dom, args->nparams, args->flags, &ret->params, &ret->params_len, error);
}

/* --- block I/O of the whole domain ---------------------------------------------------------------------- */

typedef guint64 (*BlkioValue)(const BlkioDevice *device);

static guint64 blkio_weight(const BlkioDevice *device)
{
    return device->weight;
}

static guint64 blkio_read_iops(const BlkioDevice *device)
{
    return device->read_iops;
}

static guint64 blkio_write_iops(const BlkioDevice *device)
{
    return device->write_iops;
}

static guint64 blkio_read_bytes(const BlkioDevice *device)
{
    return device->read_bytes;
}

static guint64 blkio_write_bytes(const BlkioDevice *device)
{
    return device->write_bytes;
}

/* "/dev/sda,100,/dev/sdb,200" of the devices that have such a limit. */
static void list_devices(Listing *listing, const char *field, BlkioValue value)
{
    const GArray *devices = listing->def->blkiotune.devices;
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; devices != NULL && i < devices->len; i++) {
        const BlkioDevice *device = &g_array_index(devices, BlkioDevice, i);

        if (value(device) != 0)
            g_string_append_printf(text, "%s%s,%" G_GUINT64_FORMAT, text->len > 0 ? "," : "", device->path,
                                   value(device));
    }
    typed_params_add_string(&listing->params, field, text->str);
}

gboolean call_domain_get_blkio_parameters(Call *call, const DomainGetBlkioParametersArgs *args,
                                          DomainGetBlkioParametersRet *ret, GError **error)
{
    static const struct {
        const char *field;
        BlkioValue value;
    } fields[] = {
        {VIR_DOMAIN_BLKIO_DEVICE_WEIGHT, blkio_weight},
        {VIR_DOMAIN_BLKIO_DEVICE_READ_IOPS, blkio_read_iops},
        {VIR_DOMAIN_BLKIO_DEVICE_WRITE_IOPS, blkio_write_iops},
        {VIR_DOMAIN_BLKIO_DEVICE_READ_BPS, blkio_read_bytes},
        {VIR_DOMAIN_BLKIO_DEVICE_WRITE_BPS, blkio_write_bytes},
    };
    g_autoptr(Cgroup) cgroup = NULL;
    gboolean good = TRUE;
    Listing listing;
    guint weight;

    if (!setting_check_privileged(call, VIR_ERR_CONFIG_UNSUPPORTED, "Block I/O tuning", error) ||
        !begin(&listing, call, &args->dom, args->nparams, PARAMS_MAX, args->flags, error))
        return FALSE;
    weight = listing.def->blkiotune.weight;
    typed_params_add_uint(&listing.params, VIR_DOMAIN_BLKIO_WEIGHT, 0);
    for (gsize i = 0; i < G_N_ELEMENTS(fields); i++)
        list_devices(&listing, fields[i].field, fields[i].value);
    if (listing.live && args->nparams != 0) {
        cgroup = cgroup_ref(listing.dom->cgroup);
        lock_release(&listing.dom->lock);
        good = cgroup_has(cgroup, CGROUP_BLKIO)
                   ? cgroup_get_weight(cgroup, &weight, error)
                   : error_set(error, VIR_ERR_OPERATION_INVALID, "blkio cgroup isn't mounted");
        lock_acquire(&listing.dom->lock);
    }
    typed_params_at(&listing.params, 0)->value.ui = weight;
    if (!good)
        return fail(&listing);
    return end(&listing, args->nparams, args->flags, &ret->params, &ret->params_len, &ret->nparams);
}

/* --- memory, NUMA --------------------------------------------------------------------------------------- */

gboolean call_domain_get_memory_parameters(Call *call, const DomainGetMemoryParametersArgs *args,
                                           DomainGetMemoryParametersRet *ret, GError **error)
{
    static const char *const names[] = {[CGROUP_HARD_LIMIT] = VIR_DOMAIN_MEMORY_HARD_LIMIT,
                                        [CGROUP_SOFT_LIMIT] = VIR_DOMAIN_MEMORY_SOFT_LIMIT,
                                        [CGROUP_SWAP_LIMIT] = VIR_DOMAIN_MEMORY_SWAP_HARD_LIMIT};
    guint64 limits[G_N_ELEMENTS(names)];
    gboolean good = TRUE;
    Listing listing;

    if (!setting_check_privileged(call, VIR_ERR_OPERATION_UNSUPPORTED, "Memory tuning", error) ||
        !begin(&listing, call, &args->dom, args->nparams, PARAMS_MAX, args->flags, error))
        return FALSE;

    limits[CGROUP_HARD_LIMIT] = listing.def->memtune.hard_limit;
    limits[CGROUP_SOFT_LIMIT] = listing.def->memtune.soft_limit;
    limits[CGROUP_SWAP_LIMIT] = listing.def->memtune.swap_hard_limit;
    if (listing.live && args->nparams != 0) {
        g_autoptr(Cgroup) cgroup = cgroup_ref(listing.dom->cgroup);

        lock_release(&listing.dom->lock);
        good = cgroup_has(cgroup, CGROUP_MEMORY) ||
               error_set(error, VIR_ERR_OPERATION_INVALID, "cgroup memory controller is not mounted");
        for (guint i = 0; good && i < G_N_ELEMENTS(limits); i++)
            good = cgroup_get_memory(cgroup, i, &limits[i], error);
        lock_acquire(&listing.dom->lock);
    }
    if (!good)
        return fail(&listing);
    for (guint i = 0; i < G_N_ELEMENTS(limits); i++)
        typed_params_add_ullong(&listing.params, names[i], limits[i]);
    return end(&listing, args->nparams, args->flags, &ret->params, &ret->params_len, &ret->nparams);
}

gboolean call_domain_get_numa_parameters(Call *call, const DomainGetNumaParametersArgs *args,
                                         DomainGetNumaParametersRet *ret, GError **error)
{
    Listing listing;
    g_autofree char *nodes = NULL;

    if (!begin(&listing, call, &args->dom, args->nparams, PARAMS_MAX, args->flags, error))
        return FALSE;
    if (listing.def->numatune.nodes != NULL)
        nodes = bitmap_format(listing.def->numatune.nodes);
    /* The values of NumatuneMode are those of virDomainNumatuneMemMode. */
    typed_params_add_int(&listing.params, VIR_DOMAIN_NUMA_MODE, (gint32)listing.def->numatune.mode);
    typed_params_add_string(&listing.params, VIR_DOMAIN_NUMA_NODESET, nodes != NULL ? nodes : "");
    return end(&listing, args->nparams, args->flags, &ret->params, &ret->params_len, &ret->nparams);
}

/* --- one disk, one interface ---------------------------------------------------------------------------- */

static void list_io_tune(Listing *listing, const DiskIotune *tune)
{
    const struct {
        const char *field;
        guint64 value;
    } limits[] = {
        {VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_BYTES_SEC, tune->total_bytes_sec},
        {VIR_DOMAIN_BLOCK_IOTUNE_READ_BYTES_SEC, tune->read_bytes_sec},
        {VIR_DOMAIN_BLOCK_IOTUNE_WRITE_BYTES_SEC, tune->write_bytes_sec},
        {VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_IOPS_SEC, tune->total_iops_sec},
        {VIR_DOMAIN_BLOCK_IOTUNE_READ_IOPS_SEC, tune->read_iops_sec},
        {VIR_DOMAIN_BLOCK_IOTUNE_WRITE_IOPS_SEC, tune->write_iops_sec},
        {VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_BYTES_SEC_MAX, tune->total_bytes_sec_max},
        {VIR_DOMAIN_BLOCK_IOTUNE_READ_BYTES_SEC_MAX, tune->read_bytes_sec_max},
        {VIR_DOMAIN_BLOCK_IOTUNE_WRITE_BYTES_SEC_MAX, tune->write_bytes_sec_max},
        {VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_IOPS_SEC_MAX, tune->total_iops_sec_max},
        {VIR_DOMAIN_BLOCK_IOTUNE_READ_IOPS_SEC_MAX, tune->read_iops_sec_max},
        {VIR_DOMAIN_BLOCK_IOTUNE_WRITE_IOPS_SEC_MAX, tune->write_iops_sec_max},
        {VIR_DOMAIN_BLOCK_IOTUNE_SIZE_IOPS_SEC, tune->size_iops_sec},
    };
    const struct {
        const char *field;
        guint64 value;
    } lengths[] = {
        {VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_BYTES_SEC_MAX_LENGTH, tune->total_bytes_sec_max_length},
        {VIR_DOMAIN_BLOCK_IOTUNE_READ_BYTES_SEC_MAX_LENGTH, tune->read_bytes_sec_max_length},
        {VIR_DOMAIN_BLOCK_IOTUNE_WRITE_BYTES_SEC_MAX_LENGTH, tune->write_bytes_sec_max_length},
        {VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_IOPS_SEC_MAX_LENGTH, tune->total_iops_sec_max_length},
        {VIR_DOMAIN_BLOCK_IOTUNE_READ_IOPS_SEC_MAX_LENGTH, tune->read_iops_sec_max_length},
        {VIR_DOMAIN_BLOCK_IOTUNE_WRITE_IOPS_SEC_MAX_LENGTH, tune->write_iops_sec_max_length},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(limits); i++)
        typed_params_add_ullong(&listing->params, limits[i].field, limits[i].value);
    typed_params_add_string(&listing->params, VIR_DOMAIN_BLOCK_IOTUNE_GROUP_NAME,
                            tune->group_name != NULL ? tune->group_name : "");
    for (gsize i = 0; i < G_N_ELEMENTS(lengths); i++)
        typed_params_add_ullong(&listing->params, lengths[i].field, lengths[i].value);
}

gboolean call_domain_get_block_io_tune(Call *call, const DomainGetBlockIoTuneArgs *args,
                                       DomainGetBlockIoTuneRet *ret, GError **error)
{
    static const DiskIotune none;
    const DiskDef *disk = NULL;
    Listing listing;

    if (args->nparams != 0 && args->disk == NULL)
        return error_set(error, VIR_ERR_INVALID_ARG, "disk in virDomainGetBlockIoTune must not be NULL");
    if (!begin(&listing, call, &args->dom, args->nparams, IO_TUNE_MAX, args->flags, error))
        return FALSE;
    if (args->nparams != 0) {
        disk = (const DiskDef *)domain_def_find_disk(listing.def, args->disk);
        if (disk == NULL) {
            error_set(error, VIR_ERR_INVALID_ARG,
                      listing.live ? "disk '%s' not found in domain"
                                   : "disk '%s' was not found in the domain config",
                      args->disk);
            return fail(&listing);
        }
        if (disk->source->type == STORAGE_TYPE_VHOSTUSER) {
            error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                      "a block I/O throttling is not supported for vhostuser disk");
            return fail(&listing);
        }
        /* QEMU has limits for media only. */
        if (listing.live && storage_source_is_empty(disk->source)) {
            error_set(error, VIR_ERR_INTERNAL_ERROR,
                      "block_io_throttle inserted entry was not in expected format");
            return fail(&listing);
        }
    }
    list_io_tune(&listing, disk != NULL ? &disk->iotune : &none);
    return end(&listing, args->nparams, args->flags, &ret->params, &ret->params_len, &ret->nparams);
}

gboolean call_domain_get_interface_parameters(Call *call, const DomainGetInterfaceParametersArgs *args,
                                              DomainGetInterfaceParametersRet *ret, GError **error)
{
    static const NetBandwidth none;
    const InterfaceDef *net = NULL;
    const NetBandwidth *band;
    Listing listing;

    if (!begin(&listing, call, &args->dom, args->nparams, PARAMS_MAX, args->flags, error))
        return FALSE;
    if (args->nparams != 0) {
        net = (const InterfaceDef *)domain_def_find_interface(listing.def, args->device);
        if (net == NULL) {
            error_set_from(error, VIR_FROM_DOMAIN, VIR_ERR_INVALID_ARG, "'%s' is not a known interface", args->device);
            return fail(&listing);
        }
    }
    band = net != NULL && net->bandwidth.present ? &net->bandwidth : &none;

    const struct {
        const char *field;
        guint64 value;
    } fields[] = {
        {VIR_DOMAIN_BANDWIDTH_IN_AVERAGE, band->inbound.average},
        {VIR_DOMAIN_BANDWIDTH_IN_PEAK, band->inbound.peak},
        {VIR_DOMAIN_BANDWIDTH_IN_BURST, band->inbound.burst},
        {VIR_DOMAIN_BANDWIDTH_IN_FLOOR, band->inbound.floor},
        {VIR_DOMAIN_BANDWIDTH_OUT_AVERAGE, band->outbound.average},
        {VIR_DOMAIN_BANDWIDTH_OUT_PEAK, band->outbound.peak},
        {VIR_DOMAIN_BANDWIDTH_OUT_BURST, band->outbound.burst},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(fields); i++)
        typed_params_add_uint(&listing.params, fields[i].field, (guint32)MIN(fields[i].value, G_MAXUINT32));
    return end(&listing, args->nparams, args->flags, &ret->params, &ret->params_len, &ret->nparams);
}

/* --- the rest ------------------------------------------------------------------------------------------- */

/* Validation refuses <launchSecurity>, so no domain has any: an empty list, as libvirt's for such a domain.
 */
gboolean call_domain_get_launch_security_info(Call *call, const DomainGetLaunchSecurityInfoArgs *args,
                                              DomainGetLaunchSecurityInfoRet *ret, GError **error)
{
    g_autoptr(Domain) dom = NULL;

    dom = domain_from_wire_flags(call, &args->dom, args->flags, VIR_TYPED_PARAM_STRING_OKAY, error);
    return dom != NULL;
}
