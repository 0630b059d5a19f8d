/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * RPC handlers that tell of settings as typed parameters: scheduler, block and memory tuning, NUMA, limits of
 * disks and interfaces, performance events. They read the live or the persistent definition under the state
 * lock. A client that asks for 0 parameters wants to know how many there are.
 */
#include <libvirt/libvirt.h>

#include "driver/backend/backend.h"
#include "driver/conf/def_disk.h"
#include "driver/conf/def_interface.h"
#include "driver/conf/domain_def.h"
#include "driver/domain/domain_private.h"
#include "driver/driver.h"
#include "driver/rpc/call.h"
#include "driver/rpc/typed_params.h"

#define AFFECT (VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG)
#define AFFECT_STRING (AFFECT | VIR_TYPED_PARAM_STRING_OKAY)

/* Parameters of a reply, of the wire's limits. */
enum { PARAMS_MAX = 16, IO_TUNE_MAX = 32 };

/* What the kernel gives to a group for which nothing is set. */
enum { DEFAULT_SHARES = 1024, DEFAULT_PERIOD_US = 100000, NO_QUOTA = -1 };

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

/* Tuning is root's. */
static gboolean check_privileged(Call *call, int code, const char *what, GError **error)
{
    const Driver *driver = call_driver(call);

    return driver->backend_config->privileged ||
           error_set(error, code, "%s is not available in session mode", what);
}

/* --- scheduler ------------------------------------------------------------------------------------------ */

enum { SCHEDULER_PARAMS = 9 };

static void list_scheduler(Listing *listing)
{
    const CpuTune *tune = &listing->def->cputune;
    TypedParams *params = &listing->params;
    gboolean live = listing->live;
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

    typed_params_add_ullong(params, VIR_DOMAIN_SCHEDULER_CPU_SHARES,
                            tune->shares == 0 && live ? DEFAULT_SHARES : tune->shares);
    for (gsize i = 0; i < G_N_ELEMENTS(pairs); i++) {
        typed_params_add_ullong(params, pairs[i].period_name,
                                pairs[i].period == 0 && live ? DEFAULT_PERIOD_US : pairs[i].period);
        typed_params_add_llong(params, pairs[i].quota_name,
                               pairs[i].quota == 0 && live ? NO_QUOTA : pairs[i].quota);
    }
}

gboolean call_domain_get_scheduler_type(Call *call, const DomainGetSchedulerTypeArgs *args,
                                        DomainGetSchedulerTypeRet *ret, GError **error)
{
    g_autoptr(Domain) dom = domain_from_wire(call, &args->dom, error);

    if (dom == NULL || !check_privileged(call, VIR_ERR_OPERATION_UNSUPPORTED, "CPU tuning", error))
        return FALSE;
    ret->type = g_strdup("posix");
    ret->nparams = SCHEDULER_PARAMS;
    return TRUE;
}

static gboolean scheduler(Call *call, const WireDomain *wire, gint32 nparams, guint flags,
                          WireTypedParam **ret_params, guint32 *ret_len, GError **error)
{
    Listing listing;

    if (!check_privileged(call, VIR_ERR_CONFIG_UNSUPPORTED, "CPU tuning", error) ||
        !begin(&listing, call, wire, nparams, PARAMS_MAX, flags, error))
        return FALSE;
    list_scheduler(&listing);
    return end(&listing, nparams, flags, ret_params, ret_len, NULL);
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
    Listing listing;

    if (!check_privileged(call, VIR_ERR_CONFIG_UNSUPPORTED, "Block I/O tuning", error) ||
        !begin(&listing, call, &args->dom, args->nparams, PARAMS_MAX, args->flags, error))
        return FALSE;
    typed_params_add_uint(&listing.params, VIR_DOMAIN_BLKIO_WEIGHT, listing.def->blkiotune.weight);
    for (gsize i = 0; i < G_N_ELEMENTS(fields); i++)
        list_devices(&listing, fields[i].field, fields[i].value);
    return end(&listing, args->nparams, args->flags, &ret->params, &ret->params_len, &ret->nparams);
}

/* --- memory, NUMA --------------------------------------------------------------------------------------- */

gboolean call_domain_get_memory_parameters(Call *call, const DomainGetMemoryParametersArgs *args,
                                           DomainGetMemoryParametersRet *ret, GError **error)
{
    Listing listing;

    if (!check_privileged(call, VIR_ERR_OPERATION_UNSUPPORTED, "Memory tuning", error) ||
        !begin(&listing, call, &args->dom, args->nparams, PARAMS_MAX, args->flags, error))
        return FALSE;

    const MemoryTune *tune = &listing.def->memtune;
    const struct {
        const char *field;
        guint64 kib;
    } fields[] = {{VIR_DOMAIN_MEMORY_HARD_LIMIT, tune->hard_limit},
                  {VIR_DOMAIN_MEMORY_SOFT_LIMIT, tune->soft_limit},
                  {VIR_DOMAIN_MEMORY_SWAP_HARD_LIMIT, tune->swap_hard_limit}};
    for (gsize i = 0; i < G_N_ELEMENTS(fields); i++)
        typed_params_add_ullong(&listing.params, fields[i].field,
                                fields[i].kib != 0 ? fields[i].kib : VIR_DOMAIN_MEMORY_PARAM_UNLIMITED);
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
            error_set(error, VIR_ERR_INVALID_ARG, "'%s' is not a known interface", args->device);
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

gboolean call_domain_get_perf_events(Call *call, const DomainGetPerfEventsArgs *args,
                                     DomainGetPerfEventsRet *ret, GError **error)
{
    Listing listing;

    if (!begin(&listing, call, &args->dom, PERF_LAST, PERF_LAST, args->flags, error))
        return FALSE;
    /* A running VM has none: nothing of Kite opens them. */
    for (int i = 0; i < PERF_LAST; i++)
        typed_params_add_boolean(&listing.params, perf_event_to_string(i),
                                 !listing.live && listing.def->perf[i] == TRISTATE_YES);
    return end(&listing, PERF_LAST, args->flags, &ret->params, &ret->params_len, NULL);
}

/* Validation refuses <launchSecurity>, so no domain has any: an empty list, as libvirt's for such a domain.
 */
gboolean call_domain_get_launch_security_info(Call *call, const DomainGetLaunchSecurityInfoArgs *args,
                                              DomainGetLaunchSecurityInfoRet *ret, GError **error)
{
    g_autoptr(Domain) dom = NULL;

    if (!call_check_flags(call, args->flags, VIR_TYPED_PARAM_STRING_OKAY, error))
        return FALSE;
    dom = domain_from_wire(call, &args->dom, error);
    return dom != NULL;
}
