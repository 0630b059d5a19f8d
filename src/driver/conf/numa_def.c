/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <cpu><numa>: the guest's NUMA cells, see cpu_def.h. */
#include "driver/conf/cpu_def.h"

#include <string.h>

#include "common/error.h"

#define NUMA_CELLS_MAX 1024
#define DISTANCE_LOCAL 10
#define DISTANCE_REMOTE 20
#define DISTANCE_MAX 255

ENUM_TABLE(memory_access, MemoryAccess, MEMORY_ACCESS_LAST, "default", "shared", "private")

static const char *const associativity_names[] = {"none", "direct", "full"};
static const char *const policy_names[] = {"none", "writeback", "writethrough"};
static const char *const access_names[] = {"access", "read", "write"};

static int associativity_from_string(const char *s)
{
    return enum_table_value(associativity_names, 3, s);
}
static int policy_from_string(const char *s)
{
    return enum_table_value(policy_names, 3, s);
}
static int access_from_string(const char *s)
{
    return enum_table_value(access_names, 3, s);
}

static void cell_clear(gpointer data)
{
    NumaCell *cell = data;

    bitmap_free(cell->cpus);
    g_free(cell->distances);
    if (cell->caches != NULL)
        g_array_unref(cell->caches);
}

void numa_def_clear(NumaDef *numa)
{
    g_clear_pointer(&numa->cells, g_array_unref);
    g_clear_pointer(&numa->interconnects, g_array_unref);
}

guint numa_def_n_cells(const NumaDef *numa)
{
    return numa->cells != NULL ? numa->cells->len : 0;
}

const NumaCell *numa_def_cell(const NumaDef *numa, guint i)
{
    return &g_array_index(numa->cells, NumaCell, i);
}

guint64 numa_def_memory(const NumaDef *numa)
{
    guint64 sum = 0;

    for (guint i = 0; i < numa_def_n_cells(numa); i++)
        sum += numa_def_cell(numa, i)->memory_kib;
    return sum;
}

guint numa_def_cpu_count(const NumaDef *numa)
{
    guint sum = 0;

    for (guint i = 0; i < numa_def_n_cells(numa); i++)
        sum += bitmap_count(numa_def_cell(numa, i)->cpus);
    return sum;
}

guint numa_def_max_cpu(const NumaDef *numa)
{
    int max = -1;

    for (guint i = 0; i < numa_def_n_cells(numa); i++)
        max = MAX(max, bitmap_last(numa_def_cell(numa, i)->cpus));
    return (guint)(max + 1);
}

static gboolean parse_caches(NumaCell *cell, xmlNodePtr node, GError **error)
{
    XML_FOREACH(child, node, "cache")
    {
        NumaCache cache = {0};
        xmlNodePtr size = xml_child(child, "size"), line = xml_child(child, "line");
        g_autofree char *size_text = xml_get_attr(size, "value");
        g_autofree char *size_unit = xml_get_attr(size, "unit");
        g_autofree char *line_text = xml_get_attr(line, "value");
        g_autofree char *line_unit = xml_get_attr(line, "unit");
        guint64 bytes = 0;

        if (!xml_attr_get_uint(child, "level", XML_REQUIRED | XML_NONZERO, &cache.level, error) ||
            !xml_attr_get_enum(child, "associativity", associativity_from_string, XML_REQUIRED,
                               &cache.associativity, error) ||
            !xml_attr_get_enum(child, "policy", policy_from_string, XML_REQUIRED, &cache.policy, error))
            return FALSE;
        if (size_text == NULL || line_text == NULL)
            return error_set(error, VIR_ERR_XML_ERROR,
                             "element 'cache' of a NUMA cell needs 'size' and 'line'");
        if (!xml_parse_scaled(size_text, size_unit, 1024, &bytes, error))
            return FALSE;
        cache.size_kib = bytes / 1024;
        if (!xml_parse_scaled(line_text, line_unit, 1, &bytes, error))
            return FALSE;
        cache.line = (guint)MIN(bytes, G_MAXUINT);
        if (cell->caches == NULL)
            cell->caches = g_array_new(FALSE, TRUE, sizeof(NumaCache));
        g_array_append_val(cell->caches, cache);
    }
    return TRUE;
}

gboolean numa_def_has_distances(const NumaDef *numa)
{
    for (guint i = 0; i < numa_def_n_cells(numa); i++) {
        if (numa_def_cell(numa, i)->distances != NULL)
            return TRUE;
    }
    return FALSE;
}

guint numa_def_distance(const NumaDef *numa, guint from, guint to)
{
    const NumaCell *cell = numa_def_cell(numa, from);

    if (cell->distances != NULL && cell->distances[to] != 0)
        return cell->distances[to];
    return from == to ? DISTANCE_LOCAL : DISTANCE_REMOTE;
}

static gboolean parse_distances(NumaDef *numa, guint id, xmlNodePtr node, GError **error)
{
    NumaCell *cell = &g_array_index(numa->cells, NumaCell, id);
    xmlNodePtr distances = xml_child(node, "distances");
    guint n = numa->cells->len;

    XML_FOREACH(child, distances, "sibling")
    {
        NumaCell *other;
        guint sibling = 0, value = 0;

        if (!xml_attr_get_uint(child, "id", XML_REQUIRED, &sibling, error) ||
            !xml_attr_get_uint(child, "value", XML_REQUIRED, &value, error))
            return FALSE;
        if (sibling >= n)
            return error_set(error, VIR_ERR_XML_ERROR,
                             "'sibling_id %u' does not refer to a valid cell within NUMA 'cell id %u'",
                             sibling, id);
        if (value < DISTANCE_LOCAL || value > DISTANCE_MAX || (sibling == id && value != DISTANCE_LOCAL))
            return error_set(error, VIR_ERR_XML_ERROR,
                             "'value %u' is invalid for 'sibling id %u' under NUMA 'cell id %u'", value,
                             sibling, id);
        other = &g_array_index(numa->cells, NumaCell, sibling);
        if (cell->distances == NULL)
            cell->distances = g_new0(guint, n);
        if (other->distances == NULL)
            other->distances = g_new0(guint, n);
        cell->distances[id] = DISTANCE_LOCAL;
        other->distances[sibling] = DISTANCE_LOCAL;
        cell->distances[sibling] = value;
        /* The way back is as far unless it is said otherwise. */
        if (other->distances[id] == 0)
            other->distances[id] = value;
    }
    return TRUE;
}

static gboolean parse_cell(NumaDef *numa, guint position, xmlNodePtr node, GError **error)
{
    g_autofree char *cpus = xml_get_attr(node, "cpus");
    g_autofree char *memory = xml_get_attr(node, "memory");
    g_autofree char *unit = xml_get_attr(node, "unit");
    guint id = position;
    int access = 0;
    guint64 bytes;
    NumaCell *cell;

    if (!xml_attr_get_uint(node, "id", XML_OPTIONAL, &id, error))
        return FALSE;
    if (id >= numa->cells->len)
        return error_set(
            error, VIR_ERR_XML_ERROR,
            "Exactly one 'cell' element per guest NUMA cell allowed, non-contiguous ranges or ranges "
            "not starting from 0 are not allowed");
    cell = &g_array_index(numa->cells, NumaCell, id);
    if (cell->present)
        return error_set(error, VIR_ERR_XML_ERROR, "Duplicate NUMA cell info for cell id '%u'", id);
    cell->present = TRUE;
    if (cpus != NULL) {
        cell->cpus = bitmap_parse(cpus, 0, error);
        if (cell->cpus == NULL)
            return FALSE;
        for (guint i = 0; i < numa->cells->len; i++) {
            if (i != id && bitmap_overlaps(numa_def_cell(numa, i)->cpus, cell->cpus))
                return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                 "NUMA cells %u and %u have overlapping vCPU ids", MAX(i, id), MIN(i, id));
        }
    }
    if (memory == NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "missing element or attribute 'memory' in NUMA cell %u",
                         id);
    if (!xml_parse_scaled(memory, unit, 1024, &bytes, error))
        return FALSE;
    cell->memory_kib = bytes / 1024 + (bytes % 1024 != 0);
    if (!xml_attr_get_enum(node, "memAccess", memory_access_from_string, XML_NONZERO, &access, error) ||
        !xml_attr_get_yes_no(node, "discard", XML_OPTIONAL, &cell->discard, error))
        return FALSE;
    cell->access = access;
    return parse_caches(cell, node, error) && parse_distances(numa, id, node, error);
}

static gboolean parse_interconnects(NumaDef *numa, xmlNodePtr node, GError **error)
{
    xmlNodePtr list = xml_child(node, "interconnects");

    XML_FOREACH(child, list, NULL)
    {
        NumaInterconnect link = {.bandwidth = xml_is(child, "bandwidth")};
        g_autofree char *text = xml_get_attr(child, "value");
        g_autofree char *unit = xml_get_attr(child, "unit");

        if (!link.bandwidth && !xml_is(child, "latency"))
            continue;
        if (!xml_attr_get_uint(child, "initiator", XML_REQUIRED, &link.initiator, error) ||
            !xml_attr_get_uint(child, "target", XML_REQUIRED, &link.target, error) ||
            !xml_attr_get_uint(child, "cache", XML_NONZERO, &link.cache, error) ||
            !xml_attr_get_enum(child, "type", access_from_string, XML_REQUIRED, &link.access_type, error))
            return FALSE;
        if (link.bandwidth) {
            if (text == NULL || !xml_parse_scaled(text, unit, 1024, &link.value, error))
                return text != NULL || error_set(error, VIR_ERR_XML_ERROR,
                                                 "Missing required attribute 'value' in element 'bandwidth'");
            link.value /= 1024;
        } else if (!xml_attr_get_u64(child, "value", XML_REQUIRED, &link.value, error)) {
            return FALSE;
        }
        if (link.initiator >= numa->cells->len || link.target >= numa->cells->len)
            return error_set(error, VIR_ERR_XML_ERROR,
                             "'initiator' or 'target' refers to a non-existent NUMA node");
        if (numa->interconnects == NULL)
            numa->interconnects = g_array_new(FALSE, TRUE, sizeof(NumaInterconnect));
        g_array_append_val(numa->interconnects, link);
    }
    return TRUE;
}

gboolean numa_def_parse(NumaDef *numa, xmlNodePtr cpu_node, GError **error)
{
    xmlNodePtr node = xml_child(cpu_node, "numa");
    guint n = xml_count(node, "cell"), i = 0;

    if (node == NULL)
        return TRUE;
    if (n == 0)
        return error_set(error, VIR_ERR_XML_ERROR, "NUMA topology defined without NUMA cells");
    if (n > NUMA_CELLS_MAX)
        return error_set(error, VIR_ERR_XML_ERROR, "%u NUMA cells, the limit is %u", n, NUMA_CELLS_MAX);
    numa->cells = g_array_new(FALSE, TRUE, sizeof(NumaCell));
    g_array_set_clear_func(numa->cells, cell_clear);
    g_array_set_size(numa->cells, n);
    XML_FOREACH(child, node, "cell")
    {
        if (!parse_cell(numa, i++, child, error))
            return FALSE;
    }
    return parse_interconnects(numa, node, error);
}

static void format_cell(XmlWriter *w, const NumaDef *numa, guint id)
{
    const NumaCell *cell = numa_def_cell(numa, id);

    xml_open(w, "cell");
    xml_attr_u64(w, "id", id);
    if (!bitmap_is_empty(cell->cpus)) {
        g_autofree char *cpus = bitmap_format(cell->cpus);

        xml_attr(w, "cpus", cpus);
    }
    xml_attr_u64(w, "memory", cell->memory_kib);
    xml_attr(w, "unit", "KiB");
    if (cell->access != MEMORY_ACCESS_DEFAULT)
        xml_attr(w, "memAccess", memory_access_to_string(cell->access));
    xml_attr(w, "discard", tristate_yes_no(cell->discard));
    if (cell->distances != NULL) {
        xml_open(w, "distances");
        for (guint i = 0; i < numa->cells->len; i++) {
            if (cell->distances[i] == 0)
                continue;
            xml_open(w, "sibling");
            xml_attr_u64(w, "id", i);
            xml_attr_u64(w, "value", cell->distances[i]);
            xml_close(w);
        }
        xml_close(w);
    }
    for (guint i = 0; cell->caches != NULL && i < cell->caches->len; i++) {
        const NumaCache *cache = &g_array_index(cell->caches, NumaCache, i);

        xml_open(w, "cache");
        xml_attr_u64(w, "level", cache->level);
        xml_attr(w, "associativity", associativity_names[cache->associativity]);
        xml_attr(w, "policy", policy_names[cache->policy]);
        xml_open(w, "size");
        xml_attr_u64(w, "value", cache->size_kib);
        xml_attr(w, "unit", "KiB");
        xml_close(w);
        xml_open(w, "line");
        xml_attr_u64(w, "value", cache->line);
        xml_attr(w, "unit", "B");
        xml_close(w);
        xml_close(w);
    }
    xml_close(w);
}

void numa_def_format(XmlWriter *w, const NumaDef *numa)
{
    if (numa_def_n_cells(numa) == 0)
        return;
    xml_open(w, "numa");
    for (guint i = 0; i < numa->cells->len; i++)
        format_cell(w, numa, i);
    if (numa->interconnects != NULL) {
        xml_open(w, "interconnects");
        for (guint i = 0; i < numa->interconnects->len; i++) {
            const NumaInterconnect *link = &g_array_index(numa->interconnects, NumaInterconnect, i);

            xml_open(w, link->bandwidth ? "bandwidth" : "latency");
            xml_attr_u64(w, "initiator", link->initiator);
            xml_attr_u64(w, "target", link->target);
            if (link->cache > 0)
                xml_attr_u64(w, "cache", link->cache);
            xml_attr(w, "type", access_names[link->access_type]);
            xml_attr_u64(w, "value", link->value);
            if (link->bandwidth)
                xml_attr(w, "unit", "KiB");
            xml_close(w);
        }
        xml_close(w);
    }
    xml_close(w);
}
