/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Disk images: raw, qcow2 (docs/interop/qcow2 of QEMU, versions 2 and 3) and LUKS1. The one interface that the VMM
 * and the storage pools see. It knows descriptors and bytes: no XML, no main loop, no path of its own.
 *
 * Two ways to the data
 *   synchronous   image_preadv, image_pwritev, image_discard, image_write_zeroes, image_flush
 *   two-phase     image_begin_read / image_begin_write translate a guest range into extents of host files; the caller
 *                 does the data I/O itself (io_uring), then calls image_end. Only where image_is_direct() is true;
 *                 encrypted images go through the synchronous calls (on a worker thread).
 *
 * Threads
 *   Any number of threads may call the data functions (both ways), image_flush, image_map and image_get_info at the
 *   same time on one Image. The mapping of allocated clusters takes no lock at all (a sequence counter validates
 *   it); what changes metadata serialises on a mutex inside. Functions of the section "Administration", image_close
 *   included, need the image to themselves: no other call, and no request between begin and end (-EBUSY where it is
 *   noticed). Backing images are read only and may be shared by nobody else.
 *   Overlapping requests in flight are the guest's affair, as on a disk, except that they can never damage the data
 *   of another range or the metadata.
 *
 * Promise after kill, power cut or a full disk at any point: what image_flush() reported as done is there; the rest is
 * old or new; the metadata is consistent, at worst with leaked clusters (or marked dirty and repaired at next open).
 *
 * Errors: -errno, and a text in *err (may be NULL) where a person reads it. -EIO with image_is_corrupt() means that
 * metadata contradicted itself: the image was marked corrupt and takes no more writes until it is repaired.
 * -ENOSPC leaves the image usable: the same request may be tried again when there is room.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "common/err.h"

typedef struct Image Image;

/* Formats that probing tells apart; only RAW, QCOW2 and LUKS can be opened by this library. */
typedef enum ImageFormat {
    IMAGE_FORMAT_AUTO = 0, /* probe; an image of guessed format raw is opened, see image_probe() for the danger */
    IMAGE_FORMAT_RAW,
    IMAGE_FORMAT_QCOW2,
    IMAGE_FORMAT_LUKS,
    IMAGE_FORMAT_QCOW,
    IMAGE_FORMAT_QED,
    IMAGE_FORMAT_VMDK,
    IMAGE_FORMAT_VDI,
    IMAGE_FORMAT_VPC,
    IMAGE_FORMAT_VHDX,
    IMAGE_FORMAT_PARALLELS,
    IMAGE_FORMAT_BOCHS,
    IMAGE_FORMAT_CLOOP,
    IMAGE_FORMAT_DMG,
    IMAGE_FORMAT_ISO, /* raw with an ISO 9660 file system: open it as raw */
    IMAGE_FORMAT_LAST
} ImageFormat;

/* libvirt's and QEMU's common name ("qcow2"); NULL for AUTO. From a name: IMAGE_FORMAT_AUTO when unknown. */
const char *image_format_name(ImageFormat format);
ImageFormat image_format_from_name(const char *name);

/* ---- Probing --------------------------------------------------------------------------------------------------- */

#define IMAGE_PROBE_SIZE 34816 /* bytes from the start that tell every format apart */
#define IMAGE_NAME_MAX 1023    /* longest backing file name that qcow2 can hold */

/* What the header says, without opening anything else. Strings are NUL-terminated, "" when absent. */
typedef struct ImageProbe {
    ImageFormat format; /* RAW when nothing was recognised */
    uint64_t virtual_size; /* bytes; 0 when the header does not tell (raw: the file's size is the caller's to know) */
    uint32_t cluster_size;
    uint32_t version;
    bool encrypted;         /* payload encrypted (LUKS, or qcow2's encryption) */
    bool luks;              /* by LUKS */
    bool extended_l2, lazy_refcounts, dirty, corrupt, external_data, external_data_raw;
    uint32_t n_snapshots;
    char backing_name[IMAGE_NAME_MAX + 1];
    char backing_format[32];
    char data_file[IMAGE_NAME_MAX + 1];
} ImageProbe;

/*
 * Looks at the first bytes of a file (up to IMAGE_PROBE_SIZE are used; fewer are fine). Never fails: what is not
 * understood is raw. A guest can write any header into a raw disk, so a format that was found and not declared must be
 * honoured only where the image refers to no other file (DESIGN, section 4).
 */
void image_probe(const void *head, size_t len, ImageProbe *ret);
/* The same for a descriptor, with pread; -errno when it cannot be read. */
int image_probe_fd(int fd, ImageProbe *ret, Err *err);

/* ---- The host file --------------------------------------------------------------------------------------------- */

/*
 * What carries the bytes; NULL means the descriptor. Tests put faults here. All transfer everything or fail with
 * -errno; reads beyond the end give zeros. Callable from several threads at once.
 */
typedef struct ImageIo {
    int (*preadv)(void *opaque, const struct iovec *iov, int n_iov, uint64_t offset);
    int (*pwritev)(void *opaque, const struct iovec *iov, int n_iov, uint64_t offset);
    int (*sync)(void *opaque); /* everything written before is on the disk (fdatasync) */
    /* Makes the range read as zeros; with unmap its space may go. -ENOTSUP when only writing zeros would do. */
    int (*zero)(void *opaque, uint64_t offset, uint64_t length, bool unmap);
    int (*truncate)(void *opaque, uint64_t size);
    int (*size)(void *opaque, uint64_t *ret_size);
    void (*close)(void *opaque); /* may be NULL */
} ImageIo;

/* ---- Opening --------------------------------------------------------------------------------------------------- */

typedef enum ImageOpenFlags {
    IMAGE_OPEN_RDONLY = 1 << 0,
    IMAGE_OPEN_NO_LOCK = 1 << 1,     /* take no locks (QEMU's force-share); read only, contents may change beneath */
    IMAGE_OPEN_SHARE_WRITE = 1 << 2, /* raw only: let others write too (<shareable/>) */
    IMAGE_OPEN_NO_BACKING = 1 << 3,  /* leave backing and data files alone: for info, check, snapshots of metadata */
    IMAGE_OPEN_NO_SYNC = 1 << 4,     /* cache=unsafe: flush writes metadata but never waits for the disk */
    IMAGE_OPEN_UNMAP = 1 << 5,       /* discard=unmap: give space back to the host; else discards only free clusters */
    IMAGE_OPEN_CHECK = 1 << 6,       /* for check and repair: opens corrupt and dirty images as they are */
} ImageOpenFlags;

typedef struct ImageOpenParams ImageOpenParams;

typedef enum ImageRef {
    IMAGE_REF_BACKING, /* open read only */
    IMAGE_REF_DATA,    /* raw external data file, opened as the image itself */
} ImageRef;

/*
 * Asked for each file an image names. Fills *ret (initialised by image_open_params_init) with descriptor, format and
 * flags, or returns -errno with a text. The policy (which paths, which depth) is all the caller's. `format` is "" when
 * the image does not say.
 */
typedef int (*ImageOpener)(void *opaque, ImageRef ref, const char *name, const char *format, ImageOpenParams *ret,
                           Err *err);

struct ImageOpenParams {
    int fd;             /* regular file or block device; owned by the image on success, by the caller on failure */
    ImageFormat format;
    unsigned flags;     /* ImageOpenFlags */
    const char *name;   /* for messages only; copied */
    size_t cache_size;  /* bytes for metadata; 0: small default (1 MiB), grown by image_set_cache_size() */
    const void *passphrase; /* LUKS; not kept */
    size_t passphrase_len;
    Image *backing;     /* already open; owned on success. Else the opener is asked when the image names one. */
    int data_fd;        /* external data file, -1: ask the opener; owned on success */
    ImageOpener opener;
    void *opener_opaque;
    const ImageIo *io;  /* instead of fd; tests */
    void *io_opaque;
    uint64_t raw_offset, raw_size; /* raw: a window of the file; size 0: to its end */
};

void image_open_params_init(ImageOpenParams *params);

/*
 * -EACCES/-EAGAIN: the lock is held by somebody else; -EMEDIUMTYPE: not that format; -ENOTSUP: unknown incompatible
 * feature; -EKEYREJECTED / -ENOKEY: wrong / missing passphrase; -EROFS: corrupt image opened for writing;
 * -ENOENT: it needs a backing or data file that nobody supplied. A dirty image opened for writing is repaired first.
 */
int image_open(const ImageOpenParams *params, Image **ret_image, Err *err);

/* Flushes, clears the dirty mark, unlocks, closes the chain. The image is gone in any case; the error says whether
 * everything reached the disk. NULL is fine. */
int image_close(Image *image);

/* ---- Facts ----------------------------------------------------------------------------------------------------- */

typedef struct ImageInfo {
    ImageFormat format;
    uint64_t virtual_size;   /* bytes */
    uint64_t file_size;      /* length of the host file */
    uint64_t allocated_size; /* what it occupies on the host, bytes */
    uint64_t high_offset;    /* end of the highest used cluster (raw: file size), libvirt's watermark; of qcow2 on a block
                              * device, where that is not known: image_write_end() */
    uint32_t cluster_size;   /* 0 for raw */
    uint32_t version;        /* qcow2: 2 or 3 */
    uint32_t refcount_bits;
    bool read_only, dirty, corrupt, lazy_refcounts, extended_l2, encrypted, zstd, external_data, external_data_raw;
    bool has_bitmaps;
    uint32_t n_snapshots;
    unsigned depth; /* images below this one */
    char backing_name[IMAGE_NAME_MAX + 1];
    char backing_format[32];
    char data_file[IMAGE_NAME_MAX + 1];
} ImageInfo;

int image_get_info(Image *image, ImageInfo *ret);
uint64_t image_size(const Image *image); /* virtual size in bytes; any thread */
/* How far into its file the engine itself has written since it was opened; extents are their user's business. Any thread. */
uint64_t image_write_end(const Image *image);
ImageFormat image_format(const Image *image);
Image *image_backing(Image *image); /* NULL at the bottom */
int image_fd(const Image *image);
/* What O_DIRECT asks of memory, offsets and lengths of extents, for whichever file of the chain it is; 0: no O_DIRECT. */
uint32_t image_direct_align(const Image *image);
bool image_is_read_only(const Image *image);
bool image_is_corrupt(const Image *image);
bool image_is_direct(const Image *image); /* two-phase requests work */
const char *image_last_error(Image *image); /* text of the last metadata trouble, "" at first */

/* ---- Two-phase requests ---------------------------------------------------------------------------------------- */

typedef enum ImageExtentKind {
    IMAGE_EXTENT_DATA,     /* transfer guest memory from/to fd at offset */
    IMAGE_EXTENT_ZERO,     /* read: fill guest memory with zeros */
    IMAGE_EXTENT_INDIRECT, /* read: compressed; use image_preadv for this part (it blocks: decompression) */
    IMAGE_EXTENT_FILL,     /* write: also write `buffer` to fd at offset (copied from below); no guest memory */
} ImageExtentKind;

typedef struct ImageExtent {
    ImageExtentKind kind;
    int fd;
    uint64_t offset;    /* in the host file */
    uint64_t length;    /* bytes */
    const void *buffer; /* FILL: owned by the request, valid until image_end; aligned to 4 KiB. Else private. */
    uint64_t private_offset;
} ImageExtent;

#define IMAGE_MAX_EXTENTS 16

typedef struct ImageRequest ImageRequest;
struct ImageRequest {
    /* Set by the caller before begin. When a write, discard or zeroing touches a cluster that a write in flight is
     * just allocating, the call returns -EAGAIN, keeps the request, and calls resume(request) once, in the thread
     * that ends the other one, after which the caller begins again. It is called with a lock of the image held: it
     * only notes the request and wakes its thread (eventfd), and calls nothing here. NULL: the call waits instead;
     * only for callers whose other requests are ended by other threads. */
    void (*resume)(ImageRequest *request);
    void *user; /* the caller's */
    /* begin gives -EINPROGRESS, and holds nothing, where it would have to wait for the host's disk or for another
     * thread: metadata that is not in memory, data to be copied up. The caller begins again without this on a thread
     * that may wait; the rest of the request's life is where it was. */
    bool no_wait;

    /* Results of begin. */
    uint64_t length;    /* bytes of the range that the extents cover; less than asked for when there are too many
                           pieces: end this request, then begin another for the rest */
    unsigned n_extents; /* in guest order; FILL extents stand between at their place in the host file */
    ImageExtent extents[IMAGE_MAX_EXTENTS];

    /* Private. */
    Image *image;
    ImageRequest *next;
    void *alloc;
    uint32_t epoch;
    bool queued;
};

/*
 * Range must lie inside the image (-EINVAL otherwise). Never blocks on data; unless no_wait is set may read metadata,
 * and for a write that allocates also reads what it must copy from below. After 0 the caller does the I/O of all extents
 * and calls image_end exactly once. A read that ends at the end of the host file is short: the rest reads as zeros. On
 * error nothing is held.
 */
int image_begin_read(Image *image, uint64_t offset, uint64_t length, ImageRequest *request);
int image_begin_write(Image *image, uint64_t offset, uint64_t length, ImageRequest *request);

/* `status`: 0 or the -errno of the I/O. A write that allocated is linked now (0) or forgotten (error). Returns status
 * or the error of linking. */
int image_end(ImageRequest *request, int status);

/* Withdraws a request that got -EAGAIN: resume will not be called any more once this has returned. */
void image_cancel_wait(Image *image, ImageRequest *request);

/* ---- Synchronous requests -------------------------------------------------------------------------------------- */

int image_preadv(Image *image, const struct iovec *iov, int n_iov, uint64_t offset);
int image_pwritev(Image *image, const struct iovec *iov, int n_iov, uint64_t offset);
int image_pread(Image *image, void *buffer, size_t length, uint64_t offset);
int image_pwrite(Image *image, const void *buffer, size_t length, uint64_t offset);

/*
 * Discard: the whole clusters inside are freed, and read as zeros where the format can say so (raw without
 * IMAGE_OPEN_UNMAP: nothing happens); ragged ends are left alone. write_zeroes: exactly the range reads as zeros
 * afterwards; unmap allows space to go. `wait` (may be NULL): as in image_begin_write for -EAGAIN.
 */
int image_discard(Image *image, uint64_t offset, uint64_t length, ImageRequest *wait);
int image_write_zeroes(Image *image, uint64_t offset, uint64_t length, bool unmap, ImageRequest *wait);

/* What ended before is safe when it returns 0. Blocks. */
int image_flush(Image *image);

/* ---- Map ------------------------------------------------------------------------------------------------------- */

typedef struct ImageMapEntry {
    uint64_t offset, length; /* guest range */
    bool allocated;          /* in some layer of the chain */
    bool zero;               /* reads as zeros, known without reading */
    bool data;               /* there is data to read */
    bool compressed;
    bool has_host_offset;    /* host_offset is meaningful: plain bytes in the file at `depth` */
    uint64_t host_offset;
    unsigned depth;          /* 0: this image, 1: its backing image, … */
} ImageMapEntry;

/* The entry at `offset`, no longer than length; neighbours that agree are merged. */
int image_map(Image *image, uint64_t offset, uint64_t length, ImageMapEntry *ret);
/* The same looking at this layer only: allocated = decides the range without the backing image. */
int image_map_layer(Image *image, uint64_t offset, uint64_t length, ImageMapEntry *ret);

/* ---- Administration (alone on the image) ----------------------------------------------------------------------- */

typedef enum ImagePreallocation {
    IMAGE_PREALLOC_OFF,
    IMAGE_PREALLOC_METADATA,
    IMAGE_PREALLOC_FALLOC,
    IMAGE_PREALLOC_FULL,
} ImagePreallocation;

typedef struct ImageCreateParams {
    ImageFormat format;    /* RAW, QCOW2, LUKS */
    uint64_t size;         /* virtual, bytes; rounded up to 512 */
    uint32_t cluster_size; /* 0: 64 KiB; 512 bytes to 2 MiB */
    unsigned version;      /* 0: 3 */
    unsigned refcount_bits; /* 0: 16 */
    ImagePreallocation preallocation;
    bool lazy_refcounts, extended_l2, zstd;
    const char *backing_name, *backing_format; /* NULL: none */
    const char *data_file;                     /* external data file: its name and descriptor */
    int data_fd;                               /* stays the caller's */
    bool data_file_raw;
    const void *passphrase; /* LUKS payload (qcow2) or container (luks) when not NULL */
    size_t passphrase_len;
    unsigned luks_iterations; /* PBKDF2 rounds of the key slot; 0: as many as take about a second */
    const ImageIo *io;        /* instead of the descriptor; tests */
    void *io_opaque;
} ImageCreateParams;

void image_create_params_init(ImageCreateParams *params);
/* Overwrites the file behind fd (which stays the caller's, open for reading and writing). -EINVAL with a text for
 * combinations that cannot be, -EAGAIN when somebody has the file open as an image. */
int image_create(int fd, const ImageCreateParams *params, Err *err);
/* Bytes of host file that the image will need: fully allocated, and right after creation. */
int image_measure(const ImageCreateParams *params, uint64_t *ret_full, uint64_t *ret_initial, Err *err);

/* Grows or shrinks the virtual disk. Shrinking drops data, and needs `shrink`. */
int image_resize(Image *image, uint64_t size, ImagePreallocation preallocation, bool shrink, Err *err);

/* Read only and back: flushes, and gives up or takes the write locks (a live snapshot's new backing image). */
int image_set_read_only(Image *image, bool read_only, Err *err);
/* Puts another image underneath without touching the header; returns the old one through ret_old (may be NULL). */
int image_replace_backing(Image *image, Image *backing, Image **ret_old);
/* Changes the names in the header only ("unsafe" rebase). NULL name: no backing file any more. */
int image_set_backing_name(Image *image, const char *name, const char *format, Err *err);
/* Copies into this image what would read differently over new_backing (may be NULL: none), then changes the header.
 * new_backing is owned by the image on success. */
int image_rebase(Image *image, Image *new_backing, const char *name, const char *format, Err *err);
/* Writes what this layer holds into its backing image, which must be open for writing and is grown if needed; then
 * empties this layer when asked. `stop` (may be NULL) is asked now and then; true ends it with -ECANCELED. */
int image_commit(Image *image, bool empty, bool (*stop)(void *opaque), void *opaque, Err *err);
int image_set_cache_size(Image *image, size_t bytes);

/* Compressed cluster, whole and aligned, never written before: for making images. -ENOTSUP when not qcow2. */
int image_write_compressed(Image *image, const void *cluster, uint64_t offset);

typedef struct ImageSnapshot {
    char id[128];
    char name[256];
    uint64_t vm_state_size; /* bytes */
    uint64_t date_sec;
    uint32_t date_nsec;
    uint64_t vm_clock_nsec;
    uint64_t disk_size;
} ImageSnapshot;

/* Internal snapshots. The list is malloc'ed. A snapshot is named by id or name; id is chosen when it is made. */
int image_snapshot_list(Image *image, ImageSnapshot **ret_list, unsigned *ret_count, Err *err);
int image_snapshot_create(Image *image, const ImageSnapshot *snapshot, Err *err);
int image_snapshot_apply(Image *image, const char *id_or_name, Err *err);
int image_snapshot_delete(Image *image, const char *id_or_name, Err *err);
/* VM state beside the disk: written before image_snapshot_create with vm_state_size, read after apply. */
int image_vmstate_pwrite(Image *image, const void *buffer, size_t length, uint64_t offset);
int image_vmstate_pread(Image *image, void *buffer, size_t length, uint64_t offset);

typedef enum ImageRepair {
    IMAGE_REPAIR_NONE,
    IMAGE_REPAIR_LEAKS,
    IMAGE_REPAIR_ALL,
} ImageRepair;

typedef struct ImageCheck {
    uint64_t corruptions, leaks, check_errors; /* found and still there */
    uint64_t corruptions_fixed, leaks_fixed;
    uint64_t total_clusters, allocated_clusters, fragmented_clusters, compressed_clusters;
    uint64_t image_end; /* offset behind the last used cluster */
} ImageCheck;

/* As `qemu-img check`. `report` (may be NULL) gets one line a finding. -ENOTSUP for formats without metadata. */
int image_check(Image *image, ImageRepair repair, void (*report)(void *opaque, const char *line), void *opaque,
                ImageCheck *ret, Err *err);
