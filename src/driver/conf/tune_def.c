/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <memtune>, <memoryBacking>, <blkiotune>, <numatune>: see tune_def.h. */
#include "driver/conf/tune_def.h"

#include <string.h>

#include "common/error.h"

ENUM_TABLE(memory_source, MemorySource, MEMORY_SOURCE_LAST, "none", "file", "anonymous", "memfd")
ENUM_TABLE(memory_allocation, MemoryAllocation, MEMORY_ALLOCATION_LAST, "none", "immediate", "ondemand")
ENUM_TABLE(sched_policy, SchedPolicy, SCHED_CLASS_LAST, "other", "batch", "idle", "fifo", "rr")
ENUM_TABLE(numatune_mode, NumatuneMode, NUMATUNE_LAST, "strict", "preferred", "interleave", "restrictive")

/* --- memory ------------------------------------------------------------------------------------------- */

static void huge_page_clear(gpointer data)
{
    bitmap_free(((HugePage *)data)->nodes);
}

void memory_tune_init(MemoryTune *tune)
{
    tune->hard_limit = tune->soft_limit = tune->swap_hard_limit = MEMORY_UNLIMITED_KIB;
}

void memory_tune_clear(MemoryTune *tune)
{
    g_clear_pointer(&tune->hugepages, g_array_unref);
}

static gboolean parse_hugepages(MemoryTune *tune, xmlNodePtr node, GError **error)
{
    tune->hugepages_given = TRUE;
    tune->hugepages = g_array_new(FALSE, TRUE, sizeof(HugePage));
    g_array_set_clear_func(tune->hugepages, huge_page_clear);
    XML_FOREACH(child, node, "page")
    {
        g_autofree char *size = xml_get_attr(child, "size");
        g_autofree char *unit = xml_get_attr(child, "unit");
        g_autofree char *nodeset = xml_get_attr(child, "nodeset");
        HugePage page = {0};
        guint64 bytes;

        if (size == NULL)
            return error_set(error, VIR_ERR_XML_ERROR, "Missing required attribute 'size' in element 'page'");
        if (!xml_parse_scaled(size, unit, 1024, &bytes, error))
            return FALSE;
        page.size_kib = bytes / 1024;
        if (page.size_kib == 0)
            return error_set(error, VIR_ERR_XML_DETAIL, "hugepage size can't be zero");
        if (nodeset != NULL) {
            page.nodes = bitmap_parse(nodeset, 0, error);
            if (page.nodes == NULL)
                return FALSE;
            if (bitmap_is_empty(page.nodes)) {
                bitmap_free(page.nodes);
                return error_set(error, VIR_ERR_XML_ERROR, "Invalid value of 'nodeset': %s", nodeset);
            }
        }
        g_array_append_val(tune->hugepages, page);
    }
    return TRUE;
}

static gboolean parse_backing(MemoryTune *tune, xmlNodePtr node, GError **error)
{
    xmlNodePtr hugepages = xml_child(node, "hugepages"), source = xml_child(node, "source");
    xmlNodePtr access = xml_child(node, "access"), allocation = xml_child(node, "allocation");
    int value = 0;

    if (hugepages != NULL && !parse_hugepages(tune, hugepages, error))
        return FALSE;
    tune->nosharepages = xml_child(node, "nosharepages") != NULL;
    tune->locked = xml_child(node, "locked") != NULL;
    tune->discard = xml_child(node, "discard") != NULL ? TRISTATE_YES : TRISTATE_ABSENT;
    if (source != NULL && !xml_attr_get_word(source, "type", memory_source_from_string, XML_NONZERO,
                                             "unknown memoryBacking/source/type", &value, error))
        return FALSE;
    tune->source = value;
    value = 0;
    if (access != NULL && !xml_attr_get_word(access, "mode", memory_access_from_string, XML_NONZERO,
                                             "unknown memoryBacking/access/mode", &value, error))
        return FALSE;
    tune->access = value;
    value = 0;
    if (allocation != NULL &&
        (!xml_attr_get_word(allocation, "mode", memory_allocation_from_string, XML_NONZERO,
                            "unknown memoryBacking/allocation/mode", &value, error) ||
         !xml_attr_get_uint(allocation, "threads", XML_NONZERO, &tune->allocation_threads, error)))
        return FALSE;
    tune->allocation = value;
    if (tune->hugepages_given && tune->allocation == MEMORY_ALLOCATION_ONDEMAND)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "hugepages are not allowed with memory allocation ondemand");
    if (tune->hugepages_given && tune->source == MEMORY_SOURCE_ANONYMOUS)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "hugepages are not allowed with anonymous memory source");
    return TRUE;
}

gboolean memory_tune_parse(MemoryTune *tune, xmlNodePtr domain, GError **error)
{
    xmlNodePtr memtune = xml_child(domain, "memtune"), backing = xml_child(domain, "memoryBacking");

    if (memtune != NULL &&
        (!xml_child_get_memory_kib(memtune, "hard_limit", XML_OPTIONAL, &tune->hard_limit, error) ||
         !xml_child_get_memory_kib(memtune, "soft_limit", XML_OPTIONAL, &tune->soft_limit, error) ||
         !xml_child_get_memory_kib(memtune, "min_guarantee", XML_OPTIONAL, &tune->min_guarantee, error) ||
         !xml_child_get_memory_kib(memtune, "swap_hard_limit", XML_OPTIONAL, &tune->swap_hard_limit, error)))
        return FALSE;
    return backing == NULL || parse_backing(tune, backing, error);
}

static void format_limit(XmlWriter *w, const char *name, guint64 kib)
{
    if (!memory_limit_is_set(kib))
        return;
    xml_open(w, name);
    xml_attr(w, "unit", "KiB");
    xml_text_u64(w, kib);
    xml_close(w);
}

static void format_attr_element(XmlWriter *w, const char *name, const char *attr, const char *value)
{
    xml_open(w, name);
    xml_attr(w, attr, value);
    xml_close(w);
}

void memory_tune_format(XmlWriter *w, const MemoryTune *tune)
{
    if (memory_limit_is_set(tune->hard_limit) || memory_limit_is_set(tune->soft_limit) || tune->min_guarantee > 0 ||
        memory_limit_is_set(tune->swap_hard_limit)) {
        xml_open(w, "memtune");
        format_limit(w, "hard_limit", tune->hard_limit);
        format_limit(w, "soft_limit", tune->soft_limit);
        if (tune->min_guarantee > 0)
            format_limit(w, "min_guarantee", tune->min_guarantee);
        format_limit(w, "swap_hard_limit", tune->swap_hard_limit);
        xml_close(w);
    }
    if (!tune->hugepages_given && !tune->nosharepages && !tune->locked &&
        tune->source == MEMORY_SOURCE_NONE && tune->access == MEMORY_ACCESS_DEFAULT &&
        tune->allocation == MEMORY_ALLOCATION_NONE && tune->allocation_threads == 0 &&
        tune->discard != TRISTATE_YES)
        return;
    xml_open(w, "memoryBacking");
    if (tune->hugepages_given) {
        xml_open(w, "hugepages");
        for (guint i = 0; i < tune->hugepages->len; i++) {
            const HugePage *page = &g_array_index(tune->hugepages, HugePage, i);
            g_autofree char *nodes = page->nodes != NULL ? bitmap_format(page->nodes) : NULL;

            xml_open(w, "page");
            xml_attr_u64(w, "size", page->size_kib);
            xml_attr(w, "unit", "KiB");
            xml_attr(w, "nodeset", nodes);
            xml_close(w);
        }
        xml_close(w);
    }
    if (tune->nosharepages)
        xml_element_empty(w, "nosharepages");
    if (tune->locked)
        xml_element_empty(w, "locked");
    if (tune->source != MEMORY_SOURCE_NONE)
        format_attr_element(w, "source", "type", memory_source_to_string(tune->source));
    if (tune->access != MEMORY_ACCESS_DEFAULT)
        format_attr_element(w, "access", "mode", memory_access_to_string(tune->access));
    if (tune->allocation != MEMORY_ALLOCATION_NONE || tune->allocation_threads > 0) {
        xml_open(w, "allocation");
        if (tune->allocation != MEMORY_ALLOCATION_NONE)
            xml_attr(w, "mode", memory_allocation_to_string(tune->allocation));
        if (tune->allocation_threads > 0)
            xml_attr_u64(w, "threads", tune->allocation_threads);
        xml_close(w);
    }
    if (tune->discard == TRISTATE_YES)
        xml_element_empty(w, "discard");
    xml_close(w);
}

/* --- block I/O ---------------------------------------------------------------------------------------- */

static void blkio_device_clear(gpointer data)
{
    g_free(((BlkioDevice *)data)->path);
}

void blkio_tune_clear(BlkioTune *tune)
{
    g_clear_pointer(&tune->devices, g_array_unref);
}

gboolean blkio_tune_parse(BlkioTune *tune, xmlNodePtr domain, GError **error)
{
    xmlNodePtr node = xml_child(domain, "blkiotune");

    if (node == NULL)
        return TRUE;
    if (!xml_child_get_uint(node, "weight", XML_OPTIONAL, &tune->weight, error))
        return FALSE;
    XML_FOREACH(child, node, "device")
    {
        BlkioDevice device = {0};

        if (!xml_child_get_uint(child, "weight", XML_OPTIONAL, &device.weight, error) ||
            !xml_child_get_uint(child, "read_iops_sec", XML_OPTIONAL, &device.read_iops, error) ||
            !xml_child_get_uint(child, "write_iops_sec", XML_OPTIONAL, &device.write_iops, error) ||
            !xml_child_get_u64(child, "read_bytes_sec", XML_OPTIONAL, &device.read_bytes, error) ||
            !xml_child_get_u64(child, "write_bytes_sec", XML_OPTIONAL, &device.write_bytes, error))
            return FALSE;
        device.path = xml_get_child_text(child, "path");
        if (device.path == NULL)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "missing per-device path of element 'blkiotune'");
        if (tune->devices == NULL) {
            tune->devices = g_array_new(FALSE, TRUE, sizeof(BlkioDevice));
            g_array_set_clear_func(tune->devices, blkio_device_clear);
        }
        for (guint i = 0; i < tune->devices->len; i++) {
            if (strcmp(g_array_index(tune->devices, BlkioDevice, i).path, device.path) == 0) {
                error_set(error, VIR_ERR_XML_ERROR, "duplicate blkio device path '%s'", device.path);
                g_free(device.path);
                return FALSE;
            }
        }
        g_array_append_val(tune->devices, device);
    }
    return TRUE;
}

static gboolean blkio_device_says_something(const BlkioDevice *device)
{
    return (device->weight | device->read_iops | device->write_iops) != 0 ||
           (device->read_bytes | device->write_bytes) != 0;
}

void blkio_tune_format(XmlWriter *w, const BlkioTune *tune)
{
    gboolean something = tune->weight > 0;

    for (guint i = 0; tune->devices != NULL && i < tune->devices->len; i++)
        something |= blkio_device_says_something(&g_array_index(tune->devices, BlkioDevice, i));
    if (!something)
        return;
    xml_open(w, "blkiotune");
    if (tune->weight > 0)
        xml_element_u64(w, "weight", tune->weight);
    for (guint i = 0; tune->devices != NULL && i < tune->devices->len; i++) {
        const BlkioDevice *device = &g_array_index(tune->devices, BlkioDevice, i);

        if (!blkio_device_says_something(device))
            continue;
        xml_open(w, "device");
        xml_element_text(w, "path", device->path);
        if (device->weight > 0)
            xml_element_u64(w, "weight", device->weight);
        if (device->read_iops > 0)
            xml_element_u64(w, "read_iops_sec", device->read_iops);
        if (device->write_iops > 0)
            xml_element_u64(w, "write_iops_sec", device->write_iops);
        if (device->read_bytes > 0)
            xml_element_u64(w, "read_bytes_sec", device->read_bytes);
        if (device->write_bytes > 0)
            xml_element_u64(w, "write_bytes_sec", device->write_bytes);
        xml_close(w);
    }
    xml_close(w);
}

/* --- NUMA placement ----------------------------------------------------------------------------------- */

static void numatune_node_clear(gpointer data)
{
    bitmap_free(((NumatuneNode *)data)->nodes);
}

void numa_tune_clear(NumaTune *tune)
{
    g_clear_pointer(&tune->nodes, bitmap_free);
    g_clear_pointer(&tune->memnodes, g_array_unref);
}

static Bitmap *parse_nodeset(xmlNodePtr node, GError **error)
{
    g_autofree char *text = xml_get_attr(node, "nodeset");
    g_autoptr(Bitmap) nodes = NULL;

    if (text == NULL) {
        error_set(error, VIR_ERR_XML_ERROR, "Missing required nodeset attribute in %s element",
                  (const char *)node->name);
        return NULL;
    }
    nodes = bitmap_parse(text, 0, error);
    if (nodes != NULL && bitmap_is_empty(nodes)) {
        error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Invalid value of 'nodeset': %s", text);
        return NULL;
    }
    return g_steal_pointer(&nodes);
}

static gint by_cell(gconstpointer a, gconstpointer b)
{
    return (gint)((const NumatuneNode *)a)->cell - (gint)((const NumatuneNode *)b)->cell;
}

static gboolean parse_memnode(NumaTune *tune, const NumaDef *numa, xmlNodePtr node, GError **error)
{
    NumatuneNode memnode = {0};
    int mode = NUMATUNE_STRICT;

    if (!xml_attr_get_uint(node, "cellid", XML_REQUIRED, &memnode.cell, error) ||
        !xml_attr_get_enum(node, "mode", numatune_mode_from_string, XML_OPTIONAL, &mode, error))
        return FALSE;
    memnode.mode = mode;
    if (memnode.cell >= numa_def_n_cells(numa))
        return error_set(
            error, VIR_ERR_XML_ERROR,
            "Argument 'cellid' in memnode element must correspond to existing guest's NUMA cell");
    if (tune->memnodes == NULL) {
        tune->memnodes = g_array_new(FALSE, TRUE, sizeof(NumatuneNode));
        g_array_set_clear_func(tune->memnodes, numatune_node_clear);
    }
    for (guint i = 0; i < tune->memnodes->len; i++) {
        if (g_array_index(tune->memnodes, NumatuneNode, i).cell == memnode.cell)
            return error_set(error, VIR_ERR_XML_ERROR, "Multiple memnode elements with cellid %u",
                             memnode.cell);
    }
    memnode.nodes = parse_nodeset(node, error);
    if (memnode.nodes == NULL)
        return FALSE;
    g_array_append_val(tune->memnodes, memnode);
    g_array_sort(tune->memnodes, by_cell);
    return TRUE;
}

gboolean numa_tune_parse(NumaTune *tune, const NumaDef *numa, xmlNodePtr domain, GError **error)
{
    xmlNodePtr node = xml_child(domain, "numatune"), memory = xml_child(node, "memory");
    int mode = NUMATUNE_STRICT;

    if (memory != NULL) {
        g_autofree char *placement = xml_get_attr(memory, "placement");
        g_autofree char *nodeset = xml_get_attr(memory, "nodeset");
        g_autofree char *mode_text = xml_get_attr(memory, "mode");

        if (mode_text != NULL && (mode = numatune_mode_from_string(mode_text)) < 0)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Unsupported NUMA memory tuning mode '%s'", mode_text);
        if (placement != NULL && strcmp(placement, "auto") != 0 && strcmp(placement, "static") != 0)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "Unsupported NUMA memory placement mode '%s'",
                             placement);
        tune->memory_given = TRUE;
        tune->mode = mode;
        tune->placement_auto = nodeset == NULL && g_strcmp0(placement, "static") != 0;
        if (g_strcmp0(placement, "auto") == 0)
            tune->placement_auto = TRUE;
        if (!tune->placement_auto) {
            if (nodeset == NULL)
                return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                 "nodeset for NUMA memory tuning must be set if 'placement' is 'static'");
            tune->nodes = parse_nodeset(memory, error);
            if (tune->nodes == NULL)
                return FALSE;
        }
    }
    XML_FOREACH(child, node, "memnode")
    {
        if (!parse_memnode(tune, numa, child, error))
            return FALSE;
    }
    return TRUE;
}

void numa_tune_format(XmlWriter *w, const NumaTune *tune)
{
    if (!tune->memory_given && tune->memnodes == NULL)
        return;
    xml_open(w, "numatune");
    if (tune->memory_given) {
        g_autofree char *nodes = tune->placement_auto ? NULL : bitmap_format(tune->nodes);

        xml_open(w, "memory");
        xml_attr(w, "mode", numatune_mode_to_string(tune->mode));
        if (tune->placement_auto)
            xml_attr(w, "placement", "auto");
        else
            xml_attr(w, "nodeset", nodes);
        xml_close(w);
    }
    for (guint i = 0; tune->memnodes != NULL && i < tune->memnodes->len; i++) {
        const NumatuneNode *memnode = &g_array_index(tune->memnodes, NumatuneNode, i);
        g_autofree char *nodes = bitmap_format(memnode->nodes);

        xml_open(w, "memnode");
        xml_attr_u64(w, "cellid", memnode->cell);
        xml_attr(w, "mode", numatune_mode_to_string(memnode->mode));
        xml_attr(w, "nodeset", nodes);
        xml_close(w);
    }
    xml_close(w);
}
