/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Metadata in memory: the slices of L2 tables and refcount blocks, and the set of clusters that hold metadata.
 *
 * qsort() of glibc asks how much memory there is:
 * #syscalls sysinfo
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "storage/qcow2.h"

#define WAYS 8u

/* ---- Slices ---- */

int meta_cache_init(MetaCache *cache, HostFile *file, uint32_t slice_size, size_t bytes)
{
    unsigned sets = 1;

    while ((uint64_t)sets * 2 * WAYS * slice_size <= bytes)
        sets *= 2;
    cache->file = file;
    cache->slice_size = slice_size;
    cache->n_slots = sets * WAYS;
    cache->n_dirty = 0;
    cache->slots = calloc(cache->n_slots, sizeof *cache->slots);
    return cache->slots != NULL ? 0 : -ENOMEM;
}

void meta_cache_free(MetaCache *cache)
{
    for (unsigned i = 0; cache->slots != NULL && i < cache->n_slots; i++)
        free(cache->slots[i].data);
    free(cache->slots);
    cache->slots = NULL;
    cache->n_slots = cache->n_dirty = 0;
}

static MetaSlot *set_of(MetaCache *cache, uint64_t key)
{
    uint64_t hash = (key / cache->slice_size) * 0x9e3779b97f4a7c15ull;

    return cache->slots + (hash >> 40) % (cache->n_slots / WAYS) * WAYS;
}

MetaSlot *meta_cache_find(MetaCache *cache, uint64_t key)
{
    MetaSlot *set = set_of(cache, key);

    for (unsigned i = 0; i < WAYS; i++)
        if (__atomic_load_n(&set[i].key, __ATOMIC_RELAXED) == key) {
            uint32_t tick = __atomic_load_n(&cache->tick, __ATOMIC_RELAXED);

            if (__atomic_load_n(&set[i].tick, __ATOMIC_RELAXED) != tick)
                __atomic_store_n(&set[i].tick, tick, __ATOMIC_RELAXED);
            return &set[i];
        }
    return NULL;
}

static void set_key(MetaCache *cache, MetaSlot *slot, uint64_t key)
{
    if (cache->seq != NULL)
        seq_begin(cache->seq);
    __atomic_store_n(&slot->key, key, __ATOMIC_RELAXED);
    if (cache->seq != NULL)
        seq_end(cache->seq);
}

/* The slot that was not used for longest, clean ones only. */
static MetaSlot *pick_victim(MetaCache *cache, uint64_t key)
{
    MetaSlot *set = set_of(cache, key), *best = NULL;

    for (unsigned i = 0; i < WAYS; i++) {
        MetaSlot *s = &set[i];

        if (s->key == 0)
            return s;
        if (!s->dirty && (best == NULL || cache->tick - s->tick > cache->tick - best->tick))
            best = s;
    }
    return best;
}

int meta_cache_get(MetaCache *cache, uint64_t key, MetaSlot **ret_slot)
{
    MetaSlot *slot = meta_cache_find(cache, key);
    int ret;

    if (slot != NULL) {
        *ret_slot = slot;
        return 0;
    }
    slot = pick_victim(cache, key);
    if (slot == NULL) {
        if (host_file_no_wait())
            return -EINPROGRESS; /* writing and syncing */
        ret = cache->make_clean(cache->opaque);
        if (ret < 0)
            return ret;
        slot = pick_victim(cache, key);
        if (slot == NULL)
            return -EIO;
    }
    if (slot->data == NULL) {
        void *data;

        if (posix_memalign(&data, MAX(512u, MIN(cache->slice_size, 4096u)), cache->slice_size) != 0)
            return -ENOMEM;
        __atomic_store_n(&slot->data, data, __ATOMIC_RELEASE);
    }
    set_key(cache, slot, 0);
    ret = host_file_pread(cache->file, slot->data, cache->slice_size, key);
    if (ret < 0)
        return ret;
    __atomic_store_n(&cache->tick, cache->tick + 1, __ATOMIC_RELAXED);
    slot->tick = cache->tick;
    set_key(cache, slot, key);
    *ret_slot = slot;
    return 0;
}

void meta_cache_dirty(MetaCache *cache, MetaSlot *slot)
{
    if (!slot->dirty) {
        slot->dirty = true;
        cache->n_dirty++;
    }
}

static int by_key(const void *a, const void *b)
{
    uint64_t x = (*(MetaSlot *const *)a)->key, y = (*(MetaSlot *const *)b)->key;

    return x < y ? -1 : x > y;
}

int meta_cache_write(MetaCache *cache)
{
    cleanup_free MetaSlot **list = NULL;
    unsigned n = 0;

    if (cache->n_dirty == 0)
        return 0;
    list = malloc(sizeof *list * cache->n_dirty);
    if (list == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < cache->n_slots; i++)
        if (cache->slots[i].dirty)
            list[n++] = &cache->slots[i];
    qsort(list, n, sizeof *list, by_key);
    for (unsigned i = 0; i < n;) {
        struct iovec iov[64];
        unsigned k = 0;
        int ret;

        while (i + k < n && k < ARRAY_LEN(iov) && list[i + k]->key == list[i]->key + (uint64_t)k * cache->slice_size) {
            iov[k] = (struct iovec){.iov_base = list[i + k]->data, .iov_len = cache->slice_size};
            k++;
        }
        ret = host_file_pwritev(cache->file, iov, (int)k, list[i]->key);
        if (ret < 0)
            return ret;
        for (unsigned j = 0; j < k; j++) {
            list[i + j]->dirty = false;
            cache->n_dirty--;
        }
        i += k;
    }
    return 0;
}

void meta_cache_drop(MetaCache *cache, uint64_t offset, uint64_t length)
{
    for (uint64_t key = offset; key < offset + length; key += cache->slice_size) {
        MetaSlot *slot = meta_cache_find(cache, key);

        if (slot == NULL)
            continue;
        if (slot->dirty) {
            slot->dirty = false;
            cache->n_dirty--;
        }
        set_key(cache, slot, 0);
    }
}

/* ---- Clusters that hold metadata ---- */

#define TOMBSTONE UINT64_MAX

static uint64_t spread(uint64_t cluster)
{
    return (cluster * 0x9e3779b97f4a7c15ull) >> 20;
}

static _Atomic uint64_t *find_entry(MetaTable *table, uint64_t cluster)
{
    for (uint64_t i = spread(cluster);; i++) {
        _Atomic uint64_t *e = &table->entries[i & table->mask];
        uint64_t v = atomic_load_explicit(e, memory_order_relaxed);

        if (v == 0)
            return NULL;
        if (v != TOMBSTONE && v >> 4 == cluster)
            return e;
    }
}

MetaKind meta_set_find(MetaSet *set, uint64_t cluster)
{
    MetaTable *table = set->table;
    _Atomic uint64_t *e = table != NULL ? find_entry(table, cluster) : NULL;

    return e != NULL ? (MetaKind)(*e & 15) : META_NONE;
}

static void insert(MetaTable *table, uint64_t value)
{
    for (uint64_t i = spread(value >> 4);; i++)
        if (table->entries[i & table->mask] == 0) {
            table->entries[i & table->mask] = value;
            return;
        }
}

static int grow(MetaSet *set)
{
    MetaTable *old = set->table, *table;
    uint64_t room = old != NULL ? (old->mask + 1) * 2 : 64;

    table = calloc(1, sizeof *table + room * sizeof table->entries[0]);
    if (table == NULL)
        return -ENOMEM;
    table->mask = room - 1;
    table->retired = old; /* readers may still be in it */
    set->n_used = 0;
    for (uint64_t i = 0; old != NULL && i <= old->mask; i++)
        if (old->entries[i] != 0 && old->entries[i] != TOMBSTONE) {
            insert(table, old->entries[i]);
            set->n_used++;
        }
    set->table = table;
    return 0;
}

int meta_set_add(MetaSet *set, uint64_t cluster, uint64_t n, MetaKind kind)
{
    for (uint64_t i = 0; i < n; i++) {
        MetaTable *table = set->table;
        _Atomic uint64_t *e = table != NULL ? find_entry(table, cluster + i) : NULL;

        if (e != NULL) {
            *e = (cluster + i) << 4 | META_CONFLICT;
            continue;
        }
        if (table == NULL || set->n_used * 2 >= table->mask) {
            int ret = grow(set);

            if (ret < 0)
                return ret;
        }
        insert(set->table, (cluster + i) << 4 | kind);
        set->n_used++;
    }
    return 0;
}

void meta_set_remove(MetaSet *set, uint64_t cluster, uint64_t n)
{
    for (uint64_t i = 0; i < n && set->table != NULL; i++) {
        _Atomic uint64_t *e = find_entry(set->table, cluster + i);

        if (e != NULL)
            *e = TOMBSTONE;
    }
}

void meta_set_free(MetaSet *set)
{
    MetaTable *table = set->table;

    while (table != NULL) {
        MetaTable *next = table->retired;

        free(table);
        table = next;
    }
    set->table = NULL;
    set->n_used = 0;
}
