/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory, huge pages and KSM: /proc/meminfo, /sys/devices/system/node, /sys/kernel/mm. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"
#include "driver/host/host_private.h"

#define KSM_DIR "/sys/kernel/mm/ksm"

/* "MemTotal:   123 kB", also behind "Node 0 ". */
static guint64 meminfo_field(const char *text, const char *label)
{
    for (const char *p = strstr(text, label); p != NULL; p = strstr(p + 1, label)) {
        if (p == text || p[-1] == '\n' || p[-1] == ' ')
            return g_ascii_strtoull(p + strlen(label), NULL, 10);
    }
    return 0;
}

static gboolean no_cell(int cell, GError **error)
{
    return error_set(error, VIR_ERR_INVALID_ARG, "no NUMA cell %d on this host", cell);
}

gboolean host_memory(Host *host, int cell, HostMemory *ret, GError **error)
{
    g_autofree char *text = cell < 0 ? host_read(host, "/proc/meminfo")
                                     : host_read(host, "/sys/devices/system/node/node%d/meminfo", cell);

    if (text == NULL && cell == 0) { /* a kernel without NUMA: its one cell is the host */
        g_autofree char *nodes = host_path(host, "/sys/devices/system/node/online");

        if (!g_file_test(nodes, G_FILE_TEST_EXISTS))
            text = host_read(host, "/proc/meminfo");
    }
    if (text == NULL)
        return cell >= 0 ? no_cell(cell, error) : error_set(error, VIR_ERR_INTERNAL_ERROR, "cannot read /proc/meminfo");
    ret->total = meminfo_field(text, "MemTotal:");
    ret->free = meminfo_field(text, "MemFree:");
    ret->buffers = meminfo_field(text, "Buffers:");
    ret->cached = meminfo_field(text, "Cached:");
    ret->available = meminfo_field(text, "MemAvailable:");
    return TRUE;
}

gboolean host_memory_of_cells(Host *host, HostMemory *ret, GError **error)
{
    const HostTopology *t = host_topology(host);

    *ret = (HostMemory){0};
    for (guint i = 0; i < t->cells->len; i++) {
        HostMemory cell;

        if (!host_memory(host, (int)((const HostCell *)t->cells->pdata[i])->id, &cell, error))
            return FALSE;
        ret->total += cell.total;
        ret->free += cell.free;
    }
    return TRUE;
}

/* --- pages ---------------------------------------------------------------------------------------------- */

static char *hugepages_dir(int cell)
{
    return cell < 0 ? g_strdup("/sys/kernel/mm/hugepages")
                    : g_strdup_printf("/sys/devices/system/node/node%d/hugepages", cell);
}

static gint compare_pages(gconstpointer a, gconstpointer b)
{
    const HostPages *x = a, *y = b;

    return x->size_kib < y->size_kib ? -1 : x->size_kib > y->size_kib;
}

GArray *host_pages_read(const Host *host, int cell, guint64 memory_kib)
{
    GArray *pages = g_array_new(FALSE, FALSE, sizeof(HostPages));
    g_autofree char *below = hugepages_dir(cell);
    g_autofree char *path = host_path(host, "%s", below);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    HostPages base = {host_page_kib((Host *)host), 0};
    guint64 huge_kib = 0;
    const char *name;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        HostPages p = {0};

        if (!g_str_has_prefix(name, "hugepages-"))
            continue;
        p.size_kib = g_ascii_strtoull(name + strlen("hugepages-"), NULL, 10);
        p.total = host_read_number(host, 0, "%s/%s/nr_hugepages", below, name);
        huge_kib += p.size_kib * p.total;
        if (p.size_kib != 0)
            g_array_append_val(pages, p);
    }
    base.total = (memory_kib > huge_kib ? memory_kib - huge_kib : 0) / base.size_kib;
    g_array_append_val(pages, base);
    g_array_sort(pages, compare_pages);
    return pages;
}

static gboolean check_size(Host *host, int cell, guint64 size_kib, char **ret_dir, GError **error)
{
    g_autofree char *below = hugepages_dir(cell);
    g_autofree char *path =
        host_path(host, "%s/hugepages-%" G_GUINT64_FORMAT "kB", below, size_kib);

    if (!g_file_test(path, G_FILE_TEST_IS_DIR))
        return error_set(error, VIR_ERR_OPERATION_FAILED,
                         "page size %" G_GUINT64_FORMAT " KiB is not available on NUMA cell %d", size_kib, cell);
    *ret_dir = g_steal_pointer(&path);
    return TRUE;
}

gboolean host_free_pages(Host *host, int cell, guint64 size_kib, guint64 *ret_count, GError **error)
{
    g_autofree char *dir = NULL;
    HostMemory memory;

    if (size_kib == host_page_kib(host)) {
        if (!host_memory(host, cell, &memory, error))
            return FALSE;
        *ret_count = memory.free / size_kib;
        return TRUE;
    }
    if (!check_size(host, cell, size_kib, &dir, error))
        return FALSE;
    *ret_count = host_read_number(host, 0, "%s/free_hugepages", dir + strlen(host->root));
    return TRUE;
}

static gboolean write_number(const char *path, guint64 value, GError **error)
{
    g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, value);
    autofd fd = open(path, O_WRONLY | O_CLOEXEC | O_TRUNC);

    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        return error_set_errno(error, errno, "cannot write %s to '%s'", text, path);
    return TRUE;
}

gboolean host_alloc_pages(Host *host, int cell, guint64 size_kib, guint64 count, gboolean add, GError **error)
{
    g_autofree char *dir = NULL;
    g_autofree char *path = NULL;
    guint64 now, want;

    if (size_kib == host_page_kib(host))
        return error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "system pages pool can't be modified");
    if (!check_size(host, cell, size_kib, &dir, error))
        return FALSE;
    path = g_build_filename(dir, "nr_hugepages", NULL);
    now = host_read_number(host, 0, "%s", path + strlen(host->root));
    want = add ? now + count : count;
    if (want == now)
        return TRUE;
    if (!write_number(path, want, error))
        return FALSE;
    now = host_read_number(host, 0, "%s", path + strlen(host->root));
    if (now != want) /* the kernel gives as many as it can and says nothing */
        return error_set(error, VIR_ERR_OPERATION_FAILED,
                         "Unable to allocate %" G_GUINT64_FORMAT " pages. Allocated only %" G_GUINT64_FORMAT, want,
                         now);
    return TRUE;
}

/* --- KSM ------------------------------------------------------------------------------------------------ */

static const struct {
    const char *name, *file;
    gboolean is_u64, writable;
} ksm_files[] = {
    {"pages_to_scan", "pages_to_scan", FALSE, TRUE},
    {"sleep_millisecs", "sleep_millisecs", FALSE, TRUE},
    {"pages_shared", "pages_shared", TRUE, FALSE},
    {"pages_sharing", "pages_sharing", TRUE, FALSE},
    {"pages_unshared", "pages_unshared", TRUE, FALSE},
    {"pages_volatile", "pages_volatile", TRUE, FALSE},
    {"full_scans", "full_scans", TRUE, FALSE},
    {"merge_across_nodes", "merge_across_nodes", FALSE, TRUE},
};

GArray *host_ksm(Host *host)
{
    GArray *params = g_array_new(FALSE, FALSE, sizeof(HostKsmParam));

    for (guint i = 0; i < G_N_ELEMENTS(ksm_files); i++) {
        HostKsmParam p = {ksm_files[i].name, 0, ksm_files[i].is_u64, ksm_files[i].writable};
        g_autofree char *path = host_path(host, KSM_DIR "/%s", ksm_files[i].file);

        if (!g_file_test(path, G_FILE_TEST_EXISTS))
            continue;
        p.value = host_read_number(host, 0, KSM_DIR "/%s", ksm_files[i].file);
        g_array_append_val(params, p);
    }
    return params;
}

gboolean host_ksm_set(Host *host, const char *name, guint64 value, GError **error)
{
    for (guint i = 0; i < G_N_ELEMENTS(ksm_files); i++) {
        g_autofree char *path = NULL;

        if (!g_str_equal(ksm_files[i].name, name) || !ksm_files[i].writable)
            continue;
        path = host_path(host, KSM_DIR "/%s", ksm_files[i].file);
        if (!g_file_test(path, G_FILE_TEST_EXISTS))
            return error_set(error, VIR_ERR_OPERATION_INVALID, "this kernel has no KSM parameter '%s'", name);
        return write_number(path, value, error);
    }
    return error_set(error, VIR_ERR_INVALID_ARG, "KSM parameter '%s' is unknown or read-only", name);
}
