/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* RPC handler of virDomainSetBlkioParameters: weight and limits of block devices of the host, in the definitions, and while
 * the domain runs in its control group. */
#include <string.h>

#include "driver/domain/placement.h"
#include "driver/domain/settings.h"

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

typedef struct DeviceLimit {
    char *path;
    guint64 value;
} DeviceLimit;

static void limit_clear(gpointer data)
{
    g_free(((DeviceLimit *)data)->path);
}

static gboolean in_range(CgroupDeviceLimit limit, guint64 value)
{
    switch (limit) {
    case CGROUP_DEVICE_WEIGHT:
        return value == 0 || (value >= 10 && value <= 1000);
    case CGROUP_READ_IOPS:
    case CGROUP_WRITE_IOPS:
        return value <= G_MAXUINT32;
    default:
        return TRUE;
    }
}

/* "/dev/sda,100,/dev/sdb,200"; 0 takes a limit away. Caller unrefs. */
static GArray *parse_limits(const char *field, CgroupDeviceLimit limit, const char *text, GError **error)
{
    g_auto(GStrv) words = g_strsplit(text, ",", -1);
    g_autoptr(GArray) limits = g_array_new(FALSE, TRUE, sizeof(DeviceLimit));
    guint n = g_strv_length(words);

    g_array_set_clear_func(limits, limit_clear);
    if (n % 2 != 0) {
        error_set(error, VIR_ERR_INVALID_ARG, "unable to parse blkio device '%s' '%s'", field, text);
        return NULL;
    }
    for (guint i = 0; i < n; i += 2) {
        DeviceLimit one = {0};

        if (words[i][0] == '\0' || !g_ascii_string_to_unsigned(words[i + 1], 10, 0, G_MAXUINT64, &one.value, NULL) ||
            !in_range(limit, one.value)) {
            error_set(error, VIR_ERR_INVALID_ARG, "invalid value '%s' for parameter '%s' of device '%s'", words[i + 1],
                      field, words[i]);
            return NULL;
        }
        one.path = g_strdup(words[i]);
        g_array_append_val(limits, one);
    }
    return g_steal_pointer(&limits);
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

static void store_limits(BlkioTune *tune, CgroupDeviceLimit limit, const GArray *limits)
{
    for (guint i = 0; i < limits->len; i++) {
        const DeviceLimit *one = &g_array_index(limits, DeviceLimit, i);
        BlkioDevice *device = blkio_device(tune, one->path);

        switch (limit) {
        case CGROUP_DEVICE_WEIGHT:
            device->weight = (guint)one->value;
            break;
        case CGROUP_READ_IOPS:
            device->read_iops = (guint)one->value;
            break;
        case CGROUP_WRITE_IOPS:
            device->write_iops = (guint)one->value;
            break;
        case CGROUP_READ_BYTES:
            device->read_bytes = one->value;
            break;
        case CGROUP_WRITE_BYTES:
            device->write_bytes = one->value;
            break;
        }
    }
    drop_empty(tune);
}

static const struct {
    const char *field;
    CgroupDeviceLimit limit;
} device_fields[] = {{VIR_DOMAIN_BLKIO_DEVICE_WEIGHT, CGROUP_DEVICE_WEIGHT},
                     {VIR_DOMAIN_BLKIO_DEVICE_READ_IOPS, CGROUP_READ_IOPS},
                     {VIR_DOMAIN_BLKIO_DEVICE_WRITE_IOPS, CGROUP_WRITE_IOPS},
                     {VIR_DOMAIN_BLKIO_DEVICE_READ_BPS, CGROUP_READ_BYTES},
                     {VIR_DOMAIN_BLKIO_DEVICE_WRITE_BPS, CGROUP_WRITE_BYTES}};

/* In the kernel first; what it made of them is what the live definition says then. */
static gboolean set_live(Setting *s, Cgroup *cgroup, const WireTypedParam *params, guint n, GError **error)
{
    const WireTypedParam *weight = typed_params_find(params, n, VIR_DOMAIN_BLKIO_WEIGHT);
    g_autoptr(GArray) limits = NULL;
    guint kernel_weight = 0;

    if (weight != NULL &&
        (!cgroup_set_weight(cgroup, weight->value.ui, error) || !cgroup_get_weight(cgroup, &kernel_weight, error)))
        return FALSE;
    if (weight != NULL) {
        LOCK_SCOPE(&s->dom->lock);
        s->live->blkiotune.weight = kernel_weight;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(device_fields); i++) {
        const WireTypedParam *param = typed_params_find(params, n, device_fields[i].field);

        if (param == NULL)
            continue;
        g_clear_pointer(&limits, g_array_unref);
        limits = parse_limits(param->field, device_fields[i].limit, param->value.s, error);
        for (guint k = 0; limits != NULL && k < limits->len; k++) {
            DeviceLimit *limit = &g_array_index(limits, DeviceLimit, k);

            if (!cgroup_set_device_limit(cgroup, device_fields[i].limit, limit->path, &limit->value, error))
                return FALSE;
        }
        if (limits == NULL)
            return FALSE;
        LOCK_SCOPE(&s->dom->lock);
        store_limits(&s->live->blkiotune, device_fields[i].limit, limits);
    }
    return TRUE;
}

static gboolean set_config(DomainDef *config, const WireTypedParam *params, guint n, GError **error)
{
    const WireTypedParam *weight = typed_params_find(params, n, VIR_DOMAIN_BLKIO_WEIGHT);

    if (weight != NULL)
        config->blkiotune.weight = weight->value.ui;
    for (gsize i = 0; i < G_N_ELEMENTS(device_fields); i++) {
        const WireTypedParam *param = typed_params_find(params, n, device_fields[i].field);
        g_autoptr(GArray) limits = NULL;

        if (param == NULL)
            continue;
        limits = parse_limits(param->field, device_fields[i].limit, param->value.s, error);
        if (limits == NULL)
            return FALSE;
        store_limits(&config->blkiotune, device_fields[i].limit, limits);
    }
    return TRUE;
}

static gboolean set_blkio(Setting *s, const WireTypedParam *params, guint n, GError **error)
{
    g_autoptr(Cgroup) cgroup = s->live != NULL ? domain_cgroup(s->dom) : NULL;

    if (s->live != NULL && !cgroup_has(cgroup, CGROUP_BLKIO))
        return error_set(error, VIR_ERR_OPERATION_INVALID, "blkio cgroup isn't mounted");
    return (s->live == NULL || set_live(s, cgroup, params, n, error)) &&
           (s->config == NULL || set_config(s->config, params, n, error));
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

    if (!call_check_params(call, args->params_len, error) ||
        !typed_params_validate(args->params, args->params_len, specs, G_N_ELEMENTS(specs), error) ||
        !setting_check_privileged(call, VIR_ERR_OPERATION_UNSUPPORTED, "Block I/O tuning", error) ||
        !setting_begin(&s, call, &args->dom, args->flags, 0, error))
        return FALSE;
    return setting_end(&s, set_blkio(&s, args->params, args->params_len, error), error);
}
