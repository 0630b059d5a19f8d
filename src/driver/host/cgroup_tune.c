/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Limits of a control group. One table says in which file of which controller each is, in v1 and in v2
 * (Documentation/admin-guide/cgroup-v1/ and cgroup-v2.rst of Linux). See cgroup.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/error.h"
#include "driver/host/cgroup_private.h"
#include "driver/host/cgroup_systemd.h"

typedef enum {
    KEY_SHARES,
    KEY_PERIOD,
    KEY_QUOTA,
    KEY_CPUS,
    KEY_MEMS,
    KEY_MIGRATE,
    KEY_HARD,
    KEY_SOFT,
    KEY_SWAP,
    KEY_BFQ_WEIGHT,
    KEY_WEIGHT,
    KEY_DEVICE_WEIGHT,
    KEY_READ_IOPS,
    KEY_WRITE_IOPS,
    KEY_READ_BYTES,
    KEY_WRITE_BYTES,
    KEY_LAST
} Key;

static const struct {
    CgroupController controller;
    const char *v1, *v2; /* NULL: there is no such thing */
    const char *word; /* before the value in v2's file of several: "riops=" */
    gboolean outer; /* belongs to systemd where there is one */
} keys[KEY_LAST] = {
    [KEY_SHARES] = {CGROUP_CPU, "cpu.shares", "cpu.weight", NULL, TRUE},
    [KEY_PERIOD] = {CGROUP_CPU, "cpu.cfs_period_us", "cpu.max", NULL, FALSE},
    [KEY_QUOTA] = {CGROUP_CPU, "cpu.cfs_quota_us", "cpu.max", NULL, FALSE},
    [KEY_CPUS] = {CGROUP_CPUSET, "cpuset.cpus", "cpuset.cpus", NULL, FALSE},
    [KEY_MEMS] = {CGROUP_CPUSET, "cpuset.mems", "cpuset.mems", NULL, FALSE},
    [KEY_MIGRATE] = {CGROUP_CPUSET, "cpuset.memory_migrate", NULL, NULL, FALSE},
    [KEY_HARD] = {CGROUP_MEMORY, "memory.limit_in_bytes", "memory.max", NULL, FALSE},
    [KEY_SOFT] = {CGROUP_MEMORY, "memory.soft_limit_in_bytes", "memory.high", NULL, FALSE},
    [KEY_SWAP] = {CGROUP_MEMORY, "memory.memsw.limit_in_bytes", "memory.swap.max", NULL, FALSE},
    [KEY_BFQ_WEIGHT] = {CGROUP_BLKIO, "blkio.bfq.weight", "io.bfq.weight", NULL, TRUE},
    [KEY_WEIGHT] = {CGROUP_BLKIO, "blkio.weight", "io.weight", NULL, TRUE},
    [KEY_DEVICE_WEIGHT] = {CGROUP_BLKIO, "blkio.weight_device", "io.weight", NULL, TRUE},
    [KEY_READ_IOPS] = {CGROUP_BLKIO, "blkio.throttle.read_iops_device", "io.max", "riops=", FALSE},
    [KEY_WRITE_IOPS] = {CGROUP_BLKIO, "blkio.throttle.write_iops_device", "io.max", "wiops=", FALSE},
    [KEY_READ_BYTES] = {CGROUP_BLKIO, "blkio.throttle.read_bps_device", "io.max", "rbps=", FALSE},
    [KEY_WRITE_BYTES] = {CGROUP_BLKIO, "blkio.throttle.write_bps_device", "io.max", "wbps=", FALSE},
};

/* --- files ---------------------------------------------------------------------------------------------- */

/* Caller frees; NULL: the controller, or such a file in this version, is not there. */
static char *key_path(const Cgroup *group, const char *thread, Key key)
{
    g_autofree char *folder = cgroup_folder(group, keys[key].controller, thread, keys[key].outer);
    const char *name = cgroup_has(group, keys[key].controller) && cgroup_is_v2(group, keys[key].controller) ? keys[key].v2
                                                                                                            : keys[key].v1;

    return folder != NULL && name != NULL ? g_build_filename(folder, name, NULL) : NULL;
}

static gboolean no_controller(const Cgroup *group, Key key, GError **error)
{
    return error_set(error, VIR_ERR_INTERNAL_ERROR, "controller '%s' is not available for '%s'",
                     cgroup_controller_name(keys[key].controller, FALSE), group->path);
}

static gboolean key_exists(const Cgroup *group, Key key)
{
    g_autofree char *path = key_path(group, NULL, key);

    return path != NULL && g_file_test(path, G_FILE_TEST_EXISTS);
}

static gboolean key_write(const Cgroup *group, const char *thread, Key key, const char *value, GError **error)
{
    g_autofree char *path = key_path(group, thread, key);

    return path != NULL ? cgroup_file_write(path, value, error) : no_controller(group, key, error);
}

static char *key_read(const Cgroup *group, const char *thread, Key key, GError **error)
{
    g_autofree char *path = key_path(group, thread, key);

    if (path != NULL)
        return cgroup_file_read(path, error);
    no_controller(group, key, error);
    return NULL;
}

static gboolean write_u64(const Cgroup *group, const char *thread, Key key, guint64 value, GError **error)
{
    char text[24];

    g_snprintf(text, sizeof(text), "%" G_GUINT64_FORMAT, value);
    return key_write(group, thread, key, text, error);
}

static gboolean parse_i64(const char *text, gint64 *ret, GError **error)
{
    char *end;

    errno = 0;
    *ret = g_ascii_strtoll(text, &end, 10);
    return (errno != ERANGE && end != text) ||
           error_set(error, VIR_ERR_INTERNAL_ERROR, "Unable to parse '%s' as an integer", text);
}

static gboolean read_i64(const Cgroup *group, const char *thread, Key key, gint64 *ret, GError **error)
{
    g_autofree char *text = key_read(group, thread, key, error);

    return text != NULL && parse_i64(text, ret, error);
}

/* --- processors ----------------------------------------------------------------------------------------- */

gboolean cgroup_set_shares(Cgroup *group, guint64 shares, GError **error)
{
    if (shares < CGROUP_SHARES_MIN || shares > CGROUP_SHARES_MAX)
        return error_set(error, VIR_ERR_INVALID_ARG, "shares '%" G_GUINT64_FORMAT "' must be in range [%d, %d]", shares,
                         CGROUP_SHARES_MIN, CGROUP_SHARES_MAX);
    if (group->unit != NULL)
        return systemd_set_unit_u64(group, cgroup_is_v2(group, CGROUP_CPU) ? "CPUWeight" : "CPUShares", shares, error);
    return write_u64(group, NULL, KEY_SHARES, shares, error);
}

gboolean cgroup_get_shares(Cgroup *group, guint64 *ret, GError **error)
{
    gint64 value;

    if (!read_i64(group, NULL, KEY_SHARES, &value, error))
        return FALSE;
    *ret = (guint64)value;
    return TRUE;
}

gboolean cgroup_has_bandwidth(Cgroup *group)
{
    return key_exists(group, KEY_PERIOD);
}

static gboolean check_bandwidth(guint64 period, gint64 quota, GError **error)
{
    if (period != 0 && (period < CGROUP_PERIOD_MIN || period > CGROUP_PERIOD_MAX))
        return error_set(error, VIR_ERR_INVALID_ARG, "cfs_period '%" G_GUINT64_FORMAT "' must be in range (%d, %d)", period,
                         CGROUP_PERIOD_MIN, CGROUP_PERIOD_MAX);
    if (quota > 0 && (quota < CGROUP_QUOTA_MIN || quota > CGROUP_QUOTA_MAX))
        return error_set(error, VIR_ERR_INVALID_ARG,
                         "cfs_quota '%" G_GINT64_FORMAT "' must be in range (%d, %" G_GINT64_FORMAT ")", quota,
                         CGROUP_QUOTA_MIN, CGROUP_QUOTA_MAX);
    return TRUE;
}

#define PERIOD_DEFAULT 100000 /* us; of a new group */

/* "max 100000": v2 has both in one file, and a quota alone leaves the period as it is. */
static gboolean set_max(Cgroup *group, const char *thread, guint64 period, gint64 quota, GError **error)
{
    g_autofree char *value = NULL;
    guint64 now_period;
    gint64 now_quota;

    if (!cgroup_get_bandwidth(group, thread, &now_period, &now_quota, error))
        return FALSE;
    if (period == 0)
        period = now_period;
    if (quota == 0)
        quota = now_quota;
    value = quota < 0 || quota >= CGROUP_QUOTA_MAX
                ? g_strdup_printf("max %" G_GUINT64_FORMAT, period)
                : g_strdup_printf("%" G_GINT64_FORMAT " %" G_GUINT64_FORMAT, quota, period);
    return key_write(group, thread, KEY_QUOTA, value, error);
}

gboolean cgroup_set_bandwidth(Cgroup *group, const char *thread, guint64 period, gint64 quota, GError **error)
{
    g_autofree char *text = g_strdup_printf("%" G_GINT64_FORMAT, quota < 0 ? -1 : quota);
    gint64 before = 0;

    if (period == 0 && quota == 0)
        return TRUE;
    if (!check_bandwidth(period, quota, error))
        return FALSE;
    if (cgroup_is_v2(group, CGROUP_CPU))
        return set_max(group, thread, period, quota, error);
    if (period != 0 && (!read_i64(group, thread, KEY_PERIOD, &before, error) ||
                        !write_u64(group, thread, KEY_PERIOD, period, error)))
        return FALSE;
    if (quota == 0 || key_write(group, thread, KEY_QUOTA, text, error))
        return TRUE;
    if (period != 0)
        write_u64(group, thread, KEY_PERIOD, (guint64)before, NULL);
    return FALSE;
}

gboolean cgroup_get_bandwidth(Cgroup *group, const char *thread, guint64 *ret_period, gint64 *ret_quota, GError **error)
{
    g_autofree char *text = NULL;
    const char *space;
    gint64 period;

    if (!cgroup_is_v2(group, CGROUP_CPU)) {
        if (!read_i64(group, thread, KEY_PERIOD, &period, error) ||
            !read_i64(group, thread, KEY_QUOTA, ret_quota, error))
            return FALSE;
        *ret_period = (guint64)period;
        return TRUE;
    }
    if (thread != NULL && !cgroup_is_divided(group)) {
        *ret_period = PERIOD_DEFAULT;
        *ret_quota = CGROUP_QUOTA_MAX;
        return TRUE;
    }
    text = key_read(group, thread, KEY_QUOTA, error);
    if (text == NULL)
        return FALSE;
    space = strchr(text, ' ');
    if (space == NULL)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "Invalid 'cpu.max' data.");
    if (!parse_i64(space + 1, &period, error))
        return FALSE;
    *ret_period = (guint64)period;
    *ret_quota = CGROUP_QUOTA_MAX;
    return g_str_has_prefix(text, "max") || parse_i64(text, ret_quota, error);
}

/* --- CPUs and nodes ------------------------------------------------------------------------------------- */

gboolean cgroup_set_cpus(Cgroup *group, const char *thread, const Bitmap *cpus, GError **error)
{
    g_autofree char *text = bitmap_format(cpus);

    return key_write(group, thread, KEY_CPUS, text, error);
}

gboolean cgroup_set_mems(Cgroup *group, const char *thread, const char *nodes, GError **error)
{
    return key_write(group, thread, KEY_MEMS, nodes, error);
}

char *cgroup_get_mems(Cgroup *group, const char *thread, GError **error)
{
    return key_read(group, thread, KEY_MEMS, error);
}

gboolean cgroup_set_memory_migrate(Cgroup *group, const char *thread, GError **error)
{
    return cgroup_is_v2(group, CGROUP_CPUSET) || key_write(group, thread, KEY_MIGRATE, "1", error);
}

/* --- memory --------------------------------------------------------------------------------------------- */

static const Key memory_keys[] = {
    [CGROUP_HARD_LIMIT] = KEY_HARD, [CGROUP_SOFT_LIMIT] = KEY_SOFT, [CGROUP_SWAP_LIMIT] = KEY_SWAP};

/* v1's "none" is the highest number of bytes in whole pages. */
#define V1_UNLIMITED_KIB ((G_MAXINT64 >> 10) - 3)

gboolean cgroup_set_memory(Cgroup *group, CgroupMemory limit, guint64 kib, GError **error)
{
    Key key = memory_keys[limit];

    if (kib > CGROUP_MEMORY_UNLIMITED)
        return error_set(error, VIR_ERR_INVALID_ARG,
                         "Memory '%" G_GUINT64_FORMAT "' must be less than %" G_GINT64_FORMAT, kib,
                         CGROUP_MEMORY_UNLIMITED);
    if (kib == CGROUP_MEMORY_UNLIMITED)
        return key_write(group, NULL, key, cgroup_is_v2(group, CGROUP_MEMORY) ? "max" : "-1", error);
    return write_u64(group, NULL, key, kib << 10, error);
}

gboolean cgroup_get_memory(Cgroup *group, CgroupMemory limit, guint64 *ret_kib, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autofree char *text = key_read(group, NULL, memory_keys[limit], &failure);
    gint64 bytes;

    *ret_kib = CGROUP_MEMORY_UNLIMITED;
    if (text == NULL) {
        if (limit == CGROUP_SWAP_LIMIT && error_is(failure, VIR_ERR_SYSTEM_ERROR) &&
            (cgroup_file_errno() == ENOENT || cgroup_file_errno() == EOPNOTSUPP))
            return TRUE;
        g_propagate_error(error, g_steal_pointer(&failure));
        return FALSE;
    }
    if (strcmp(text, "max") == 0)
        return TRUE;
    if (!parse_i64(text, &bytes, error))
        return FALSE;
    if ((guint64)bytes >> 10 < V1_UNLIMITED_KIB)
        *ret_kib = (guint64)bytes >> 10;
    return TRUE;
}

/* --- block devices -------------------------------------------------------------------------------------- */

static gboolean weight_key(Cgroup *group, Key *ret, GError **error)
{
    *ret = key_exists(group, KEY_BFQ_WEIGHT) ? KEY_BFQ_WEIGHT : KEY_WEIGHT;
    if (*ret == KEY_BFQ_WEIGHT || key_exists(group, KEY_WEIGHT))
        return TRUE;
    return error_set(error, VIR_ERR_OPERATION_INVALID, "blkio %sweight is valid only for bfq or cfq scheduler",
                     cgroup_is_v2(group, CGROUP_BLKIO) ? "" : "device ");
}

gboolean cgroup_set_weight(Cgroup *group, guint weight, GError **error)
{
    gboolean v2 = cgroup_is_v2(group, CGROUP_BLKIO);
    g_autofree char *text = NULL;
    Key key;

    if (!weight_key(group, &key, error))
        return FALSE;
    if (group->unit != NULL)
        return systemd_set_unit_u64(group, v2 ? "IOWeight" : "BlockIOWeight", weight, error);
    text = g_strdup_printf(v2 && key == KEY_WEIGHT ? "default %u" : "%u", weight);
    return key_write(group, NULL, key, text, error);
}

gboolean cgroup_get_weight(Cgroup *group, guint *ret, GError **error)
{
    g_autofree char *text = NULL;
    const char *at;
    gint64 value;
    Key key;

    if (!weight_key(group, &key, error))
        return FALSE;
    text = key_read(group, NULL, key, error);
    if (text == NULL)
        return FALSE;
    at = strstr(text, "default ");
    if (!parse_i64(at != NULL ? at + strlen("default ") : text, &value, error))
        return FALSE;
    *ret = (guint)value;
    return TRUE;
}

static const Key device_keys[] = {[CGROUP_DEVICE_WEIGHT] = KEY_DEVICE_WEIGHT,
                                  [CGROUP_READ_IOPS] = KEY_READ_IOPS,
                                  [CGROUP_WRITE_IOPS] = KEY_WRITE_IOPS,
                                  [CGROUP_READ_BYTES] = KEY_READ_BYTES,
                                  [CGROUP_WRITE_BYTES] = KEY_WRITE_BYTES};

/* "8:16", as the kernel names a disk. NULL with *error. Caller frees. */
static char *device_number(const char *path, GError **error)
{
    struct stat st;

    if (stat(path, &st) < 0) {
        error_set_errno(error, errno, "Path '%s' is not accessible", path);
        return NULL;
    }
    if (!S_ISBLK(st.st_mode)) {
        error_set_errno(error, EINVAL, "Path '%s' must be a block device", path);
        return NULL;
    }
    return g_strdup_printf("%u:%u", major(st.st_rdev), minor(st.st_rdev));
}

/* The value of one device in "8:16 rbps=max wbps=1000\n..."; 0: none. */
static guint64 device_value(const char *text, const char *number, const char *word)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    gsize length = strlen(number);

    for (char **line = lines; *line != NULL; line++) {
        const char *at;

        if (strncmp(*line, number, length) != 0 || (*line)[length] != ' ')
            continue;
        at = *line + length;
        if (word != NULL)
            at = strstr(at, word);
        return at != NULL ? g_ascii_strtoull(at + (word != NULL ? strlen(word) : 1), NULL, 10) : 0;
    }
    return 0;
}

gboolean cgroup_set_device_limit(Cgroup *group, CgroupDeviceLimit limit, const char *path, guint64 *value,
                                 GError **error)
{
    Key key = device_keys[limit];
    const char *word = cgroup_is_v2(group, CGROUP_BLKIO) ? keys[key].word : NULL;
    g_autofree char *number = NULL;
    g_autofree char *text = NULL;
    g_autofree char *now = NULL;

    if (limit == CGROUP_DEVICE_WEIGHT && !key_exists(group, key))
        return error_set(error, VIR_ERR_OPERATION_INVALID, "blkio device weight is valid only for cfq scheduler");
    number = device_number(path, error);
    if (number == NULL)
        return FALSE;
    if (limit == CGROUP_DEVICE_WEIGHT && group->unit != NULL) {
        if (!systemd_set_device_weight(group, cgroup_is_v2(group, CGROUP_BLKIO) ? "IODeviceWeight" : "BlockIODeviceWeight",
                                       path, *value, error))
            return FALSE;
    } else {
        text = word != NULL && *value == 0
                   ? g_strdup_printf("%s %smax", number, word)
                   : g_strdup_printf("%s %s%" G_GUINT64_FORMAT, number, word != NULL ? word : "", *value);
        if (!key_write(group, NULL, key, text, error))
            return FALSE;
    }
    now = key_read(group, NULL, key, error);
    if (now == NULL)
        return FALSE;
    *value = device_value(now, number, word);
    return TRUE;
}
