/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * RPC handlers that set limits of the whole domain as typed parameters: scheduler, memory, block I/O, NUMA. In the
 * definition always. While it runs these are cgroup limits, and virtual machines of this daemon have no cgroup of
 * their own: then libvirt's words for a host without that controller.
 */
#include <string.h>

#include "driver/backend/backend.h"
#include "driver/domain/settings.h"
#include "driver/driver.h"

static gboolean check_privileged(Call *call, int code, const char *what, GError **error)
{
    const Driver *driver = call_driver(call);

    return driver->backend_config->privileged ||
           error_set(error, code, "%s is not available in session mode", what);
}

/* --- scheduler ------------------------------------------------------------------------------------------ */

static const struct {
    const char *field;
    gsize offset; /* in CpuTune; 64 bits */
    gboolean quota; /* signed */
} scheduler_fields[] = {
    {VIR_DOMAIN_SCHEDULER_CPU_SHARES, G_STRUCT_OFFSET(CpuTune, shares), FALSE},
    {VIR_DOMAIN_SCHEDULER_VCPU_PERIOD, G_STRUCT_OFFSET(CpuTune, period), FALSE},
    {VIR_DOMAIN_SCHEDULER_VCPU_QUOTA, G_STRUCT_OFFSET(CpuTune, quota), TRUE},
    {VIR_DOMAIN_SCHEDULER_GLOBAL_PERIOD, G_STRUCT_OFFSET(CpuTune, global_period), FALSE},
    {VIR_DOMAIN_SCHEDULER_GLOBAL_QUOTA, G_STRUCT_OFFSET(CpuTune, global_quota), TRUE},
    {VIR_DOMAIN_SCHEDULER_EMULATOR_PERIOD, G_STRUCT_OFFSET(CpuTune, emulator_period), FALSE},
    {VIR_DOMAIN_SCHEDULER_EMULATOR_QUOTA, G_STRUCT_OFFSET(CpuTune, emulator_quota), TRUE},
    {VIR_DOMAIN_SCHEDULER_IOTHREAD_PERIOD, G_STRUCT_OFFSET(CpuTune, iothread_period), FALSE},
    {VIR_DOMAIN_SCHEDULER_IOTHREAD_QUOTA, G_STRUCT_OFFSET(CpuTune, iothread_quota), TRUE},
};

/* What the kernel's scheduler takes, microseconds. */
#define PERIOD_MIN G_GINT64_CONSTANT(1000)
#define PERIOD_MAX G_GINT64_CONSTANT(1000000)
#define QUOTA_MIN G_GINT64_CONSTANT(1000)
#define QUOTA_MAX G_GINT64_CONSTANT(17592186044415)

static gboolean check_range(const char *field, gint64 value, gint64 min, gint64 max, GError **error)
{
    if ((value <= 0 || value >= min) && value <= max)
        return TRUE;
    return error_set(error, VIR_ERR_INVALID_ARG,
                     "value of '%s' is out of range [%" G_GINT64_FORMAT ", %" G_GINT64_FORMAT "]", field, min, max);
}

static gboolean check_scheduler(const WireTypedParam *params, guint n, GError **error)
{
    for (gsize i = 0; i < G_N_ELEMENTS(scheduler_fields); i++) {
        const WireTypedParam *param = typed_params_find(params, n, scheduler_fields[i].field);

        if (param == NULL || scheduler_fields[i].offset == G_STRUCT_OFFSET(CpuTune, shares))
            continue;
        if (scheduler_fields[i].quota ? !check_range(param->field, param->value.l, QUOTA_MIN, QUOTA_MAX, error)
                                      : !check_range(param->field, (gint64)MIN(param->value.ul, G_MAXINT64), PERIOD_MIN,
                                                     PERIOD_MAX, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean set_scheduler(Call *call, const WireDomain *wire, const WireTypedParam *params, guint n, guint flags,
                              GError **error)
{
    TypedParamSpec specs[G_N_ELEMENTS(scheduler_fields)] = {0};
    Setting s;

    for (gsize i = 0; i < G_N_ELEMENTS(specs); i++)
        specs[i] =
            (TypedParamSpec){scheduler_fields[i].field,
                             scheduler_fields[i].quota ? VIR_TYPED_PARAM_LLONG : VIR_TYPED_PARAM_ULLONG, FALSE};
    if (!typed_params_validate(params, n, specs, G_N_ELEMENTS(specs), error) ||
        !check_privileged(call, VIR_ERR_CONFIG_UNSUPPORTED, "CPU tuning", error) ||
        !setting_begin(&s, call, wire, flags, 0, error))
        return FALSE;
    if (s.live != NULL && n > 0)
        return setting_end(
            &s, error_set(error, VIR_ERR_OPERATION_INVALID, "cgroup CPU controller is not mounted"), error);
    if (!check_scheduler(params, n, error))
        return setting_end(&s, FALSE, error);
    for (gsize i = 0; s.config != NULL && i < G_N_ELEMENTS(scheduler_fields); i++) {
        const WireTypedParam *param = typed_params_find(params, n, scheduler_fields[i].field);

        if (param == NULL)
            continue;
        G_STRUCT_MEMBER(guint64, &s.config->cputune, scheduler_fields[i].offset) = param->value.ul;
        if (scheduler_fields[i].offset == G_STRUCT_OFFSET(CpuTune, shares))
            s.config->cputune.shares_given = TRUE;
    }
    return setting_end(&s, TRUE, error);
}

gboolean call_domain_set_scheduler_parameters(Call *call, const DomainSetSchedulerParametersArgs *args,
                                              DomainSetSchedulerParametersRet *ret, GError **error)
{
    return set_scheduler(call, &args->dom, args->params, args->params_len, 0, error);
}

gboolean call_domain_set_scheduler_parameters_flags(Call *call, const DomainSetSchedulerParametersFlagsArgs *args,
                                                    DomainSetSchedulerParametersFlagsRet *ret, GError **error)
{
    return set_scheduler(call, &args->dom, args->params, args->params_len, args->flags, error);
}

/* --- memory --------------------------------------------------------------------------------------------- */

static gboolean set_memory(Setting *s, const WireTypedParam *params, guint n, GError **error)
{
    MemoryTune *tune = s->config != NULL ? &s->config->memtune : NULL;
    const struct {
        const char *field;
        guint64 *where;
    } fields[] = {{VIR_DOMAIN_MEMORY_HARD_LIMIT, tune != NULL ? &tune->hard_limit : NULL},
                  {VIR_DOMAIN_MEMORY_SOFT_LIMIT, tune != NULL ? &tune->soft_limit : NULL},
                  {VIR_DOMAIN_MEMORY_SWAP_HARD_LIMIT, tune != NULL ? &tune->swap_hard_limit : NULL}};

    if (s->live != NULL)
        return error_set(error, VIR_ERR_OPERATION_INVALID, "cgroup memory controller is not mounted");
    for (gsize i = 0; tune != NULL && i < G_N_ELEMENTS(fields); i++) {
        const WireTypedParam *param = typed_params_find(params, n, fields[i].field);

        if (param != NULL)
            *fields[i].where = param->value.ul >= MEMORY_UNLIMITED_KIB ? 0 : param->value.ul;
    }
    if (tune != NULL && tune->swap_hard_limit != 0 &&
        (tune->hard_limit == 0 || tune->hard_limit > tune->swap_hard_limit))
        return error_set(error, VIR_ERR_INVALID_ARG,
                         "memory hard_limit tunable value must be lower than or equal to swap_hard_limit");
    return TRUE;
}

gboolean call_domain_set_memory_parameters(Call *call, const DomainSetMemoryParametersArgs *args,
                                           DomainSetMemoryParametersRet *ret, GError **error)
{
    static const TypedParamSpec specs[] = {{VIR_DOMAIN_MEMORY_HARD_LIMIT, VIR_TYPED_PARAM_ULLONG, FALSE},
                                           {VIR_DOMAIN_MEMORY_SOFT_LIMIT, VIR_TYPED_PARAM_ULLONG, FALSE},
                                           {VIR_DOMAIN_MEMORY_SWAP_HARD_LIMIT, VIR_TYPED_PARAM_ULLONG, FALSE}};
    Setting s;

    if (!typed_params_validate(args->params, args->params_len, specs, G_N_ELEMENTS(specs), error) ||
        !check_privileged(call, VIR_ERR_OPERATION_UNSUPPORTED, "Memory tuning", error) ||
        !setting_begin(&s, call, &args->dom, args->flags, 0, error))
        return FALSE;
    return setting_end(&s, set_memory(&s, args->params, args->params_len, error), error);
}

/* --- block I/O ------------------------------------------------------------------------------------------ */

typedef enum { BLKIO_WEIGHT, BLKIO_READ_IOPS, BLKIO_WRITE_IOPS, BLKIO_READ_BYTES, BLKIO_WRITE_BYTES } BlkioLimit;

static void free_path(gpointer device)
{
    g_free(((BlkioDevice *)device)->path);
}

static BlkioDevice *blkio_device(BlkioTune *tune, const char *path)
{
    BlkioDevice fresh = {0};

    if (tune->devices == NULL) {
        tune->devices = g_array_new(FALSE, TRUE, sizeof(BlkioDevice));
        g_array_set_clear_func(tune->devices, free_path);
    }
    for (guint i = 0; i < tune->devices->len; i++) {
        BlkioDevice *device = &g_array_index(tune->devices, BlkioDevice, i);

        if (strcmp(device->path, path) == 0)
            return device;
    }
    fresh.path = g_strdup(path);
    g_array_append_val(tune->devices, fresh);
    return &g_array_index(tune->devices, BlkioDevice, tune->devices->len - 1);
}

static gboolean set_limit(BlkioDevice *device, BlkioLimit limit, guint64 value)
{
    if (limit < BLKIO_READ_BYTES && value > G_MAXUINT32)
        return FALSE;
    switch (limit) {
    case BLKIO_WEIGHT:
        device->weight = (guint)value;
        return value == 0 || (value >= 10 && value <= 1000);
    case BLKIO_READ_IOPS:
        device->read_iops = (guint)value;
        return TRUE;
    case BLKIO_WRITE_IOPS:
        device->write_iops = (guint)value;
        return TRUE;
    case BLKIO_READ_BYTES:
        device->read_bytes = value;
        return TRUE;
    default:
        device->write_bytes = value;
        return TRUE;
    }
}

/* "/dev/sda,100,/dev/sdb,200"; 0 takes a limit away. */
static gboolean set_device_limits(BlkioTune *tune, const char *field, BlkioLimit limit, const char *text,
                                  GError **error)
{
    g_auto(GStrv) words = g_strsplit(text, ",", -1);
    guint n = g_strv_length(words);

    if (n % 2 != 0)
        return error_set(error, VIR_ERR_INVALID_ARG, "unable to parse blkio device '%s' '%s'", field, text);
    for (guint i = 0; i < n; i += 2) {
        guint64 value;

        if (words[i][0] == '\0' || !g_ascii_string_to_unsigned(words[i + 1], 10, 0, G_MAXUINT64, &value, NULL) ||
            !set_limit(blkio_device(tune, words[i]), limit, value))
            return error_set(error, VIR_ERR_INVALID_ARG, "invalid value '%s' for parameter '%s' of device '%s'",
                             words[i + 1], field, words[i]);
    }
    return TRUE;
}

static void drop_empty(BlkioTune *tune)
{
    for (guint i = tune->devices != NULL ? tune->devices->len : 0; i-- > 0;) {
        BlkioDevice *device = &g_array_index(tune->devices, BlkioDevice, i);

        if (device->weight == 0 && device->read_iops == 0 && device->write_iops == 0 && device->read_bytes == 0 &&
            device->write_bytes == 0)
            g_array_remove_index(tune->devices, i);
    }
}

static gboolean set_blkio(Setting *s, const WireTypedParam *params, guint n, GError **error)
{
    static const struct {
        const char *field;
        BlkioLimit limit;
    } fields[] = {{VIR_DOMAIN_BLKIO_DEVICE_WEIGHT, BLKIO_WEIGHT},
                  {VIR_DOMAIN_BLKIO_DEVICE_READ_IOPS, BLKIO_READ_IOPS},
                  {VIR_DOMAIN_BLKIO_DEVICE_WRITE_IOPS, BLKIO_WRITE_IOPS},
                  {VIR_DOMAIN_BLKIO_DEVICE_READ_BPS, BLKIO_READ_BYTES},
                  {VIR_DOMAIN_BLKIO_DEVICE_WRITE_BPS, BLKIO_WRITE_BYTES}};
    const WireTypedParam *weight = typed_params_find(params, n, VIR_DOMAIN_BLKIO_WEIGHT);

    if (s->live != NULL)
        return error_set(error, VIR_ERR_OPERATION_INVALID, "blkio cgroup isn't mounted");
    if (weight != NULL)
        s->config->blkiotune.weight = weight->value.ui;
    for (gsize i = 0; i < G_N_ELEMENTS(fields); i++) {
        const WireTypedParam *param = typed_params_find(params, n, fields[i].field);

        if (param != NULL && !set_device_limits(&s->config->blkiotune, fields[i].field, fields[i].limit,
                                                param->value.s, error))
            return FALSE;
    }
    drop_empty(&s->config->blkiotune);
    return TRUE;
}

gboolean call_domain_set_blkio_parameters(Call *call, const DomainSetBlkioParametersArgs *args,
                                          DomainSetBlkioParametersRet *ret, GError **error)
{
    static const TypedParamSpec specs[] = {{VIR_DOMAIN_BLKIO_WEIGHT, VIR_TYPED_PARAM_UINT, FALSE},
                                           {VIR_DOMAIN_BLKIO_DEVICE_WEIGHT, VIR_TYPED_PARAM_STRING, FALSE},
                                           {VIR_DOMAIN_BLKIO_DEVICE_READ_IOPS, VIR_TYPED_PARAM_STRING, FALSE},
                                           {VIR_DOMAIN_BLKIO_DEVICE_WRITE_IOPS, VIR_TYPED_PARAM_STRING, FALSE},
                                           {VIR_DOMAIN_BLKIO_DEVICE_READ_BPS, VIR_TYPED_PARAM_STRING, FALSE},
                                           {VIR_DOMAIN_BLKIO_DEVICE_WRITE_BPS, VIR_TYPED_PARAM_STRING, FALSE}};
    Setting s;

    if (!typed_params_validate(args->params, args->params_len, specs, G_N_ELEMENTS(specs), error) ||
        !check_privileged(call, VIR_ERR_OPERATION_UNSUPPORTED, "Block I/O tuning", error) ||
        !setting_begin(&s, call, &args->dom, args->flags, 0, error))
        return FALSE;
    return setting_end(&s, set_blkio(&s, args->params, args->params_len, error), error);
}

/* --- NUMA ----------------------------------------------------------------------------------------------- */

static gboolean set_numa(Setting *s, const WireTypedParam *params, guint n, GError **error)
{
    const WireTypedParam *mode = typed_params_find(params, n, VIR_DOMAIN_NUMA_MODE);
    const WireTypedParam *nodes = typed_params_find(params, n, VIR_DOMAIN_NUMA_NODESET);
    g_autoptr(Bitmap) map = NULL;
    NumaTune *tune;

    if (mode != NULL && (mode->value.i < 0 || mode->value.i >= NUMATUNE_LAST))
        return error_set(error, VIR_ERR_INVALID_ARG, "unsupported numatune mode: '%d'", mode->value.i);
    if (nodes != NULL) {
        map = bitmap_parse(nodes->value.s, 0, error);
        if (map == NULL)
            return FALSE;
        if (bitmap_is_empty(map))
            return error_set(error, VIR_ERR_OPERATION_INVALID, "Invalid nodeset of 'numatune': %s", nodes->value.s);
    }
    if (s->live != NULL && mode != NULL && (NumatuneMode)mode->value.i != s->live->numatune.mode)
        return error_set(error, VIR_ERR_OPERATION_INVALID, "can't change numatune mode for running domain");
    if (s->live != NULL)
        return error_set(error, VIR_ERR_OPERATION_INVALID, "cgroup cpuset controller is not mounted");
    tune = &s->config->numatune;
    tune->memory_given = TRUE;
    if (mode != NULL)
        tune->mode = (NumatuneMode)mode->value.i;
    if (map != NULL) {
        bitmap_free(tune->nodes);
        tune->nodes = g_steal_pointer(&map);
        tune->placement_auto = FALSE;
    }
    if (tune->nodes == NULL)
        tune->placement_auto = TRUE;
    return TRUE;
}

gboolean call_domain_set_numa_parameters(Call *call, const DomainSetNumaParametersArgs *args,
                                         DomainSetNumaParametersRet *ret, GError **error)
{
    static const TypedParamSpec specs[] = {{VIR_DOMAIN_NUMA_MODE, VIR_TYPED_PARAM_INT, FALSE},
                                           {VIR_DOMAIN_NUMA_NODESET, VIR_TYPED_PARAM_STRING, FALSE}};
    Setting s;

    if (!typed_params_validate(args->params, args->params_len, specs, G_N_ELEMENTS(specs), error) ||
        !setting_begin(&s, call, &args->dom, args->flags, 0, error))
        return FALSE;
    return setting_end(&s, set_numa(&s, args->params, args->params_len, error), error);
}
