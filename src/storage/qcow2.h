/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The qcow2 driver's own state; not for users of the library. The file format is in qcow2_format.h.
 *
 * Locks. image->lock guards all of struct Qcow2, with one exception: the path of a request to clusters that are already
 * allocated reads L1 table, cached L2 slices and the set of metadata clusters without it, between two looks at `seq`
 * (odd while a writer is changing them; memory that readers may still see is never freed before close).
 *
 * Order of writes. Refcounts and L2 entries are changed in the caches and reach the file in qcow2_write_back():
 *   refcount blocks | sync | L2 slices | sync | L1 entries
 * so that whatever refers to a cluster is younger on disk than the cluster's count, the data copied up into it and the
 * table it points to. In the other direction, a cluster that lost its last reference waits in the `pending` queue until
 * the change of the L2 entry is synced and no request can see the old mapping; only then its count drops and it may be
 * reused. A cut anywhere leaves clusters counted too high at worst: leaks.
 * With lazy refcounts the first step is left out; the dirty bit in the header tells the next opener to count anew.
 * Operations that change many counts and COPIED flags at once (snapshots) set the dirty bit around them.
 */
#pragma once

#include "storage/image_priv.h"
#include "storage/qcow2_format.h"

/* ---- Cache of metadata slices (qcow2_cache.c) ---- */

typedef struct MetaSlot {
    uint64_t key; /* host offset of the slice; 0: empty */
    uint32_t tick;
    bool dirty;
    uint8_t *data;
} MetaSlot;

typedef struct MetaCache {
    HostFile *file;
    uint32_t slice_size;
    unsigned n_slots, n_dirty;
    MetaSlot *slots;
    uint32_t tick;
    _Atomic uint32_t *seq;         /* bumped around changes of keys; NULL: nobody reads without the lock */
    int (*make_clean)(void *opaque); /* called when only dirty slots are left to evict */
    void *opaque;
} MetaCache;

int meta_cache_init(MetaCache *cache, HostFile *file, uint32_t slice_size, size_t bytes);
void meta_cache_free(MetaCache *cache);
/* Loads if need be. The slot is good until the next call. */
int meta_cache_get(MetaCache *cache, uint64_t key, MetaSlot **ret_slot);
/* NULL when not cached. Safe without the lock inside a seq section. */
MetaSlot *meta_cache_find(MetaCache *cache, uint64_t key);
void meta_cache_dirty(MetaCache *cache, MetaSlot *slot);
/* Writes all dirty slices, in order of their place. */
int meta_cache_write(MetaCache *cache);
/* Forgets slices in a range, dirty or not. */
void meta_cache_drop(MetaCache *cache, uint64_t offset, uint64_t length);

static inline void seq_begin(_Atomic uint32_t *seq)
{
    atomic_store_explicit(seq, *seq + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

static inline void seq_end(_Atomic uint32_t *seq)
{
    atomic_store_explicit(seq, *seq + 1, memory_order_release);
}

/* ---- Set of host clusters that hold metadata (qcow2_cache.c) ---- */

typedef enum MetaKind {
    META_NONE = 0,
    META_HEADER,
    META_L1,
    META_L2,
    META_REFTABLE,
    META_REFBLOCK,
    META_SNAPSHOTS,
    META_SNAPSHOT_L1,
    META_CRYPT,
    META_BITMAPS,
    META_CONFLICT, /* claimed twice */
} MetaKind;

typedef struct MetaTable {
    struct MetaTable *retired;
    uint64_t mask;
    _Atomic uint64_t entries[]; /* cluster << 4 | kind, 0: empty; open addressing */
} MetaTable;

typedef struct MetaSet {
    MetaTable *_Atomic table;
    uint64_t n_used; /* with tombstones */
} MetaSet;

int meta_set_add(MetaSet *set, uint64_t cluster, uint64_t n, MetaKind kind);
void meta_set_remove(MetaSet *set, uint64_t cluster, uint64_t n);
MetaKind meta_set_find(MetaSet *set, uint64_t cluster); /* any thread */
void meta_set_free(MetaSet *set);

/* ---- State ---- */

typedef struct Qcow2Snapshot {
    uint64_t l1_offset;
    uint32_t l1_size;
    uint64_t disk_size, vm_state_size, vm_clock_nsec;
    uint32_t date_sec, date_nsec;
    char *id, *name;
    uint8_t *extra; /* extra data as read, kept */
    uint32_t extra_size;
} Qcow2Snapshot;

/* Clusters that lost a reference. */
typedef struct Qcow2Pending {
    uint64_t cluster, n;
    uint32_t epoch;
    bool unmap;
} Qcow2Pending;

/* A write that allocates, between begin and end. */
typedef struct Qcow2Alloc {
    struct Qcow2Alloc *next;
    uint64_t guest_cluster, n; /* guest clusters it changes */
    uint64_t host_offset;      /* of the first */
    bool fresh_clusters;       /* newly allocated: freed again on failure */
    uint32_t first_sc, end_sc; /* subclusters of the whole run that become allocated */
    void *fill[2];
} Qcow2Alloc;

typedef struct Qcow2 {
    Image *image;
    Qcow2Header h;
    uint8_t *head; /* first cluster as it was read */
    uint32_t cluster_bits;
    uint64_t cluster_size;
    uint32_t l2_bits;    /* log2 of entries in an L2 table */
    uint32_t entry_size; /* 8, or 16 with extended L2 entries */
    uint32_t sc_bits;    /* log2 of the subcluster (= cluster without extended L2) */
    uint32_t n_sc;       /* subclusters a cluster: 1 or 32 */
    uint32_t slice_entries;
    uint32_t refblock_bits; /* log2 of counts in a block */
    uint64_t max_refcount;
    bool external;    /* data file: guest offset = host offset, no counts */
    bool data_raw;    /* … which must read as raw */

    _Atomic uint32_t seq;
    uint64_t *_Atomic l1; /* host byte order */
    _Atomic uint32_t l1_size;
    uint8_t *l1_dirty;    /* one flag a 512-byte sector */
    bool l1_is_dirty;
    void **retired; /* old L1 tables */
    unsigned n_retired;
    uint64_t *reftable;
    uint32_t reftable_size; /* entries */
    bool reftable_odd; /* the file's has reserved bits set, which are left out here */
    MetaCache l2, rc;
    MetaSet meta;

    uint64_t free_hint;  /* no free cluster below */
    uint64_t fresh_from; /* clusters from here on were never used: they read as zeros */
    _Atomic bool prepared; /* header says that we write */
    bool below_later;    /* rebase: zeros must be told from nothing although nothing is below yet */
    bool marked_dirty;   /* dirty bit is set by us */
    bool miscounted;     /* an operation broke off, and counts may be too high: qcow2_recount() */
    bool need_sync;      /* something L2 entries rely on is not synced */
    bool changed;        /* L2 or L1 was written since the last sync */

    Qcow2Pending *pending; /* ring */
    uint64_t pending_room, pending_head, pending_safe, pending_written, pending_tail;

    Qcow2Alloc *allocs;
    Qcow2Snapshot *snapshots;
    uint32_t n_snapshots;
    uint64_t snapshots_bytes;

    pthread_mutex_t unpack_lock; /* the last decompressed cluster */
    uint64_t unpacked_entry;
    uint8_t *unpacked, *packed;
    uint64_t pack_cluster, pack_used; /* host cluster that compressed writes are filling; 0: none */
} Qcow2;

static inline Qcow2 *qcow2_of(Image *image)
{
    return image->state;
}

static inline bool qcow2_lazy(const Qcow2 *q)
{
    return q->h.version >= 3 && (q->h.compatible & QCOW2_COMPAT_LAZY);
}

/* ---- qcow2.c ---- */

/* Metadata contradicts itself: says so, sets the corrupt bit, returns -EIO. */
int qcow2_corrupt(Qcow2 *q, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Has the header say where something new is, durably. -ENOSPC (a thin volume, a file system that copies on write): the
 * old is in force. Other failures: which of them the file has is unknown, so neither may be changed any more. */
int qcow2_switch(Qcow2 *q, const void *fields, size_t length, uint64_t at, const char *what);
/* Before the first change: autoclear bits, dirty bit for lazy refcounts. */
int qcow2_prepare_write(Qcow2 *q);
int qcow2_mark_dirty(Qcow2 *q);
int qcow2_clear_dirty(Qcow2 *q);
/* Everything dirty to the file, in order (see above). */
int qcow2_write_back(Qcow2 *q);
/* … and down to the disk; clusters waiting to be freed are freed. */
int qcow2_write_back_sync(Qcow2 *q);
int qcow2_sync(Qcow2 *q);
/* Rewrites the first cluster from q->h. */
int qcow2_write_header(Qcow2 *q, Err *err);
int qcow2_write_features(Qcow2 *q);
int qcow2_load_meta_set(Qcow2 *q);
uint64_t qcow2_l1_entries_for(const Qcow2 *q, uint64_t size);
/* Forgets everything cached and reads L1, refcount table and snapshots again (after a repair). */
int qcow2_reload(Qcow2 *q, Err *err);

/* ---- qcow2_refcount.c ---- */

int qcow2_refcount_get(Qcow2 *q, uint64_t cluster, uint64_t *ret_count);
int qcow2_refcount_set(Qcow2 *q, uint64_t cluster, uint64_t count);
/* delta +1 or -1 on n clusters; -1 that reaches 0 makes them free. */
int qcow2_refcount_add(Qcow2 *q, uint64_t cluster, uint64_t n, int delta);
uint64_t qcow2_refcount_read(const uint8_t *block, uint64_t index, uint32_t order);
void qcow2_refcount_write(uint8_t *block, uint64_t index, uint32_t order, uint64_t count);
/* n clusters in a row with count 1; without `exact` fewer (at least one) are fine. *ret_fresh: never used before. */
int qcow2_alloc_clusters(Qcow2 *q, uint64_t n, bool exact, uint64_t *ret_cluster, uint64_t *ret_n, bool *ret_fresh);
/* A reference was dropped from the cached metadata; the count follows when that is safe. */
int qcow2_free_later(Qcow2 *q, uint64_t cluster, uint64_t n, bool unmap);
int qcow2_process_pending(Qcow2 *q);

/* ---- qcow2_map.c ---- */

typedef enum Qcow2Kind {
    QCOW2_UNALLOCATED,       /* below decides; no host cluster */
    QCOW2_UNALLOCATED_ALLOC, /* extended L2: below decides, but there is a host cluster */
    QCOW2_ZERO_PLAIN,
    QCOW2_ZERO_ALLOC, /* reads as zeros, host cluster reserved */
    QCOW2_NORMAL,
    QCOW2_PACKED, /* compressed */
    QCOW2_INVALID,
} Qcow2Kind;

typedef struct Qcow2Entry {
    uint64_t entry, bitmap;
} Qcow2Entry;

Qcow2Kind qcow2_kind(const Qcow2 *q, Qcow2Entry e, uint32_t subcluster);
/* Entries of `want` guest clusters from guest_cluster on (as many as are in one slice), without the lock if cached. */
int qcow2_lookup(Qcow2 *q, uint64_t guest_cluster, unsigned want, Qcow2Entry *ret, unsigned *ret_n);
/* Lock held. */
int qcow2_lookup_locked(Qcow2 *q, uint64_t guest_cluster, unsigned want, Qcow2Entry *ret, unsigned *ret_n);
/* Lock held: makes sure that there is an L2 table of our own. */
int qcow2_l2_own(Qcow2 *q, uint64_t guest_cluster);
/* Lock held: changes entries inside one slice of an L2 table of our own. */
int qcow2_set_entries(Qcow2 *q, uint64_t guest_cluster, unsigned n, const Qcow2Entry *entries);
void qcow2_set_l1(Qcow2 *q, uint32_t index, uint64_t value);
int qcow2_append_read(Image *image, uint64_t offset, uint64_t length, ImageRequest *request);
int qcow2_map(Image *image, uint64_t offset, uint64_t length, ImageMapEntry *ret);
static inline uint64_t qcow2_host_offset(const Qcow2 *q, Qcow2Entry e)
{
    return e.entry & QCOW2_OFFSET_MASK;
}

/* ---- qcow2_write.c ---- */

int qcow2_begin_write(Image *image, uint64_t offset, uint64_t length, ImageRequest *request);
int qcow2_end_write(Image *image, ImageRequest *request, int status);
/* Lock held: waits until no allocation in flight touches the guest clusters (0), or -EAGAIN. */
int qcow2_wait_range(Qcow2 *q, uint64_t guest_cluster, uint64_t n, ImageRequest *wait);
/* Drops what an entry refers to. */
int qcow2_free_entry(Qcow2 *q, Qcow2Entry e, bool unmap);

/* ---- qcow2_discard.c ---- */

int qcow2_discard(Image *image, uint64_t offset, uint64_t length, ImageRequest *wait);
int qcow2_write_zeroes(Image *image, uint64_t offset, uint64_t length, bool unmap, ImageRequest *wait);
/* Lock held: whole clusters become unallocated, whatever shows through then. */
int qcow2_drop_clusters(Qcow2 *q, uint64_t guest_cluster, uint64_t n, bool unmap);

/* ---- qcow2_compress.c ---- */

void qcow2_packed_place(const Qcow2 *q, uint64_t entry, uint64_t *ret_offset, uint64_t *ret_length);
int qcow2_unpack(Qcow2 *q, uint64_t entry, uint64_t skip, void *buffer, size_t length);

/* ---- qcow2_snapshot_table.c ---- */

int qcow2_snapshots_load(Qcow2 *q, Err *err);
void qcow2_snapshots_free(Qcow2 *q);
/* Lock held. Puts a new table in place; on success q->h and the file agree, the old place is free. */
int qcow2_snapshots_write(Qcow2 *q, const Qcow2Snapshot *list, uint32_t n);

/* ---- qcow2_snapshot.c ---- */

/* Lock held: counts everything anew after an operation that broke off. */
int qcow2_recount(Qcow2 *q);
uint64_t qcow2_vmstate_start(const Qcow2 *q);

/* ---- qcow2_resize.c ---- */

int qcow2_grow_l1(Qcow2 *q, uint64_t entries);
int qcow2_resize(Image *image, uint64_t size, ImagePreallocation preallocation, bool shrink, Err *err);
/* Gives every cluster of the range a place (prealloc=metadata), and its data when asked. */
int qcow2_preallocate(Qcow2 *q, uint64_t offset, uint64_t length, ImagePreallocation mode);

/* ---- qcow2_check.c ---- */

int qcow2_check(Image *image, ImageRepair repair, void (*report)(void *opaque, const char *line), void *opaque,
                ImageCheck *ret, Err *err);
