/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guest memory: -m, its backends, NUMA cells, memory devices. The default backend is private anonymous
 * memory; a memfd only where pages are shared or huge, so that neither a mount nor a file name is needed for
 * huge pages.
 */
#include <string.h>

#include "driver/backend/qemu_args_priv.h"
#include "driver/conf/def_memory.h"

static const char *numatune_policy(NumatuneMode mode)
{
    switch (mode) {
    case NUMATUNE_PREFERRED:
        return "preferred";
    case NUMATUNE_INTERLEAVE:
        return "interleave";
    case NUMATUNE_RESTRICTIVE:
        return NULL; /* by cgroup only */
    default:
        return "bind";
    }
}

static void place(const NumaTune *tune, json_t *props, int node)
{
    const Bitmap *nodes = tune->memory_given ? tune->nodes : NULL;
    const char *policy = numatune_policy(tune->mode);
    json_t *list;

    for (guint i = 0; node >= 0 && tune->memnodes != NULL && i < tune->memnodes->len; i++) {
        const NumatuneNode *cell = &g_array_index(tune->memnodes, NumatuneNode, i);

        if (cell->cell == (guint)node) {
            nodes = cell->nodes;
            policy = numatune_policy(cell->mode);
        }
    }
    if (nodes == NULL || policy == NULL)
        return;
    list = json_array();
    BITMAP_FOREACH(bit, nodes)
    {
        json_array_append_new(list, json_integer(bit));
    }
    json_object_set_new(props, "host-nodes", list);
    prop_str(props, "policy", policy);
}

/* Huge page size for a cell in KiB; 0: the host's default; -1: none. */
static gint64 hugepage_for(const MemoryTune *tune, int node)
{
    gint64 size = tune->hugepages_given ? 0 : -1;
    gboolean any = FALSE;

    for (guint i = 0; tune->hugepages != NULL && i < tune->hugepages->len; i++) {
        const HugePage *page = &g_array_index(tune->hugepages, HugePage, i);

        if (page->nodes == NULL) {
            if (!any)
                size = (gint64)page->size_kib;
        } else if (node >= 0 && bitmap_get(page->nodes, (guint)node)) {
            size = (gint64)page->size_kib;
            any = TRUE;
        } else if (tune->hugepages->len == 1 && !any) {
            size = -1; /* only other cells have them */
        }
    }
    return size;
}

json_t *memory_backend(const QemuBuilder *b, const char *id, guint64 size_kib, int node, MemoryAccess access,
                       Tristate discard, guint64 page_kib)
{
    const MemoryTune *tune = &b->def->memtune;
    gint64 huge = page_kib != 0 ? (gint64)page_kib : hugepage_for(tune, node);
    json_t *props = json_object();

    if (access == MEMORY_ACCESS_DEFAULT)
        access = tune->access;
    if (discard == TRISTATE_ABSENT)
        discard = tune->discard;
    if (huge == 4)
        huge = -1; /* base pages asked for by size */
    if (huge >= 0) {
        prop_str(props, "qom-type", "memory-backend-memfd");
        prop_str(props, "id", id);
        json_object_set_new(props, "hugetlb", json_true());
        prop_uint(props, "hugetlbsize", (guint64)huge * 1024);
        json_object_set_new(props, "share", json_boolean(access == MEMORY_ACCESS_SHARED));
        json_object_set_new(props, "prealloc", json_true());
    } else if (tune->source == MEMORY_SOURCE_FILE) {
        prop_str(props, "qom-type", "memory-backend-file");
        prop_str(props, "id", id);
        prop_str(props, "mem-path", b->context->memory_dir);
        json_object_set_new(props, "share", json_boolean(access == MEMORY_ACCESS_SHARED));
    } else if (tune->source == MEMORY_SOURCE_MEMFD || access == MEMORY_ACCESS_SHARED) {
        prop_str(props, "qom-type", "memory-backend-memfd");
        prop_str(props, "id", id);
        json_object_set_new(props, "share", json_boolean(access == MEMORY_ACCESS_SHARED));
    } else {
        prop_str(props, "qom-type", "memory-backend-ram");
        prop_str(props, "id", id);
    }
    if (huge < 0 && tune->allocation == MEMORY_ALLOCATION_IMMEDIATE)
        json_object_set_new(props, "prealloc", json_true());
    if (tune->allocation_threads != 0 && json_is_true(json_object_get(props, "prealloc")))
        prop_uint(props, "prealloc-threads", tune->allocation_threads);
    if (discard == TRISTATE_YES &&
        strcmp(json_string_value(json_object_get(props, "qom-type")), "memory-backend-file") == 0)
        json_object_set_new(props, "discard-data", json_true());
    prop_uint(props, "size", size_kib * 1024);
    place(&b->def->numatune, props, node);
    return props;
}

static void add_cell(QemuBuilder *b, guint i, const NumaCell *cell)
{
    g_autofree char *id = g_strdup_printf("ram-node%u", i);
    GString *text = g_string_new(NULL);
    int first = -1, last = -1;

    args_add_json(b, "-object",
                  memory_backend(b, id, cell->memory_kib, (int)i, cell->access, cell->discard, 0));
    g_string_append_printf(text, "node,nodeid=%u", i);
    for (int bit = bitmap_next(cell->cpus, 0);; bit = bitmap_next(cell->cpus, (guint)bit + 1)) {
        if (first >= 0 && bit != last + 1) {
            g_string_append_printf(text, ",cpus=%d", first);
            if (last > first)
                g_string_append_printf(text, "-%d", last);
            first = -1;
        }
        if (bit < 0)
            break;
        if (first < 0)
            first = bit;
        last = bit;
    }
    g_string_append_printf(text, ",memdev=%s", id);
    args_add_text(b, "-numa", g_string_free(text, FALSE));
}

static gboolean add_cells(QemuBuilder *b, GError **error)
{
    const NumaDef *numa = &b->def->numa;
    guint n = numa_def_n_cells(numa);

    if (numa->interconnects != NULL && numa->interconnects->len > 0)
        return args_unsupported(error, "<interconnects> of NUMA cells is not supported");
    for (guint i = 0; i < n; i++) {
        const NumaCell *cell = numa_def_cell(numa, i);

        if (cell->caches != NULL && cell->caches->len > 0)
            return args_unsupported(error, "<cache> of NUMA cells is not supported");
        add_cell(b, i, cell);
    }
    for (guint i = 0; numa_def_has_distances(numa) && i < n; i++) {
        for (guint k = 0; k < n; k++)
            args_add(b, "-numa", "dist,src=%u,dst=%u,val=%u", i, k, numa_def_distance(numa, i, k));
    }
    return TRUE;
}

gboolean args_memory(QemuBuilder *b, GError **error)
{
    const DomainDef *def = b->def;
    guint64 initial = domain_def_memory_initial(def);

    if (domain_def_has_memory_hotplug(def))
        args_add(b, "-m", "size=%" G_GUINT64_FORMAT "k,slots=%u,maxmem=%" G_GUINT64_FORMAT "k", initial,
                 def->memory_slots, def->max_memory);
    else
        args_add(b, "-m", "size=%" G_GUINT64_FORMAT "k", initial);
    if (numa_def_n_cells(&def->numa) == 0)
        args_add_json(b, "-object",
                      memory_backend(b, "pc.ram", initial, -1, MEMORY_ACCESS_DEFAULT, TRISTATE_ABSENT, 0));
    args_add(b, "-overcommit", "mem-lock=%s", def->memtune.locked ? "on" : "off");
    return add_cells(b, error);
}

gboolean args_memory_device(QemuBuilder *b, const MemoryDef *memory, GError **error)
{
    g_autofree char *id = g_strconcat("mem", memory->info.alias, NULL);
    json_t *backend, *props;

    switch (memory->model) {
    case MEMORY_MODEL_DIMM:
        props = device_props("pc-dimm");
        break;
    case MEMORY_MODEL_NVDIMM:
        props = device_props("nvdimm");
        break;
    case MEMORY_MODEL_VIRTIO_MEM:
        props = device_props("virtio-mem-pci");
        break;
    case MEMORY_MODEL_VIRTIO_PMEM:
        props = device_props("virtio-pmem-pci");
        break;
    default:
        return args_unsupported(error, "memory device model '%s' is not supported",
                                memory_model_to_string(memory->model));
    }
    if (memory->path != NULL) {
        backend = json_pack("{s:s, s:s, s:s, s:b}", "qom-type", "memory-backend-file", "id", id, "mem-path",
                            memory->path, "share", memory->access != MEMORY_ACCESS_PRIVATE);
        if (memory->alignsize != 0)
            prop_uint(backend, "align", memory->alignsize * 1024);
        if (memory->pmem)
            json_object_set_new(backend, "pmem", json_true());
        if (memory->readonly)
            json_object_set_new(backend, "readonly", json_true());
        prop_uint(backend, "size", memory->size * 1024);
    } else {
        backend = memory_backend(b, id, memory->size, memory->node, memory->access, memory->discard,
                                 memory->pagesize);
        if (memory->model == MEMORY_MODEL_VIRTIO_MEM)
            json_object_set_new(backend, "reserve", json_false());
    }
    args_add_json(b, "-object", backend);
    if (memory->node >= 0 && memory->model != MEMORY_MODEL_VIRTIO_PMEM)
        prop_int(props, "node", memory->node);
    if (memory->labelsize != 0)
        prop_uint(props, "label-size", memory->labelsize * 1024);
    if (memory->model == MEMORY_MODEL_VIRTIO_MEM) {
        prop_uint(props, "block-size", memory->block * 1024);
        prop_int(props, "requested-size", (gint64)memory->requested * 1024);
    }
    prop_str(props, "uuid", memory->uuid);
    prop_str(props, "memdev", id);
    if (!device_finish(b->def, props, &memory->info, error)) {
        json_decref(props);
        return FALSE;
    }
    args_add_json(b, "-device", props);
    return TRUE;
}

gboolean args_memory_devices(QemuBuilder *b, GError **error)
{
    DOMAIN_DEF_FOREACH(MemoryDef, memory, b->def, DEVICE_MEMORY)
    {
        if (!args_memory_device(b, memory, error))
            return FALSE;
    }
    return TRUE;
}
