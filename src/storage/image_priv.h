/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the formats share with image.c. Not for users of the library.
 *
 * Life of a host cluster that is given up. A request that began before may still read or write it through the mapping
 * it saw, so the cluster must not be reused before that request has ended. Requests enter the current epoch and
 * leave it; epoch e + 1 starts when nobody is left in e - 1. What was given up during e is nobody's from e + 2 on.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "common/byteorder.h"
#include "storage/host_file.h"
#include "storage/image.h"
#include "storage/luks.h"

typedef struct ImageFormatOps {
    /* Parses the header; sets size and state. Called with the locks of the file held. */
    int (*open)(Image *image, const ImageOpenParams *params, Err *err);
    /* After the backing image is there: repairs and other work that needs everything. May be NULL. */
    int (*opened)(Image *image, Err *err);
    /* Writes back what is dirty. */
    int (*finish)(Image *image);
    void (*free)(Image *image);
    /* Appends extents of [offset, offset + length) until the request is full; returns -errno or 0. */
    int (*append_read)(Image *image, uint64_t offset, uint64_t length, ImageRequest *request);
    int (*begin_write)(Image *image, uint64_t offset, uint64_t length, ImageRequest *request);
    int (*end_write)(Image *image, ImageRequest *request, int status);
    int (*read_indirect)(Image *image, const ImageExtent *extent, uint64_t skip, void *buffer, size_t length);
    int (*discard)(Image *image, uint64_t offset, uint64_t length, ImageRequest *wait);
    int (*write_zeroes)(Image *image, uint64_t offset, uint64_t length, bool unmap, ImageRequest *wait);
    int (*flush)(Image *image);
    int (*map)(Image *image, uint64_t offset, uint64_t length, ImageMapEntry *ret);
    int (*info)(Image *image, ImageInfo *ret);
    int (*resize)(Image *image, uint64_t size, ImagePreallocation preallocation, bool shrink, Err *err);
} ImageFormatOps;

struct Image {
    const ImageFormatOps *ops;
    ImageFormat format;
    char *name;
    HostFile file;
    HostFile data; /* external data file; data.fd and data.io unset when there is none */
    Image *backing;
    _Atomic uint64_t size;
    unsigned flags;
    _Atomic bool read_only;
    _Atomic bool corrupt;
    bool names_backing; /* the header names a backing file */
    bool locks;
    unsigned perms_held, perms_unshared, data_held, data_unshared;

    pthread_mutex_t lock;   /* metadata, waiting requests, last_error */
    pthread_cond_t changed; /* an allocation ended */
    ImageRequest *waiters;  /* got -EAGAIN; request->alloc is what each waits for */

    _Atomic uint32_t epoch;
    _Atomic uint32_t in_flight[2];

    Luks *luks;          /* payload cipher */
    uint64_t luks_shift; /* raw LUKS: payload offset */
    pthread_mutex_t crypt_lock; /* partial sectors of encrypted images */
    uint64_t raw_base;
    bool raw_window;
    void *state; /* the format's */
    char last_error[sizeof((Err){0}.text)];
};

extern const ImageFormatOps image_raw_ops;
extern const ImageFormatOps image_qcow2_ops;

uint32_t image_epoch_enter(Image *image);
void image_epoch_leave(Image *image, uint32_t epoch);
/* Lock held. Starts the next epoch if possible; returns the current one. */
uint32_t image_epoch_advance(Image *image);
/* Any request between begin and end? */
bool image_is_busy(Image *image);

/* The lock, for begin: -EINPROGRESS where it is held by another and this thread may not wait (host_file_no_wait()). */
int image_lock_request(Image *image);
/* Lock held. Waits for `alloc` to end: 0 when it may have (look again), -EAGAIN when the request was noted down. */
int image_wait_for(Image *image, ImageRequest *request, void *alloc);
/* Lock held. `alloc` has ended. */
void image_wake(Image *image, void *alloc);

/* Appends an extent, merging it with the last one where they join. False: no room, nothing was added. */
bool image_request_add(ImageRequest *request, ImageExtentKind kind, HostFile *file, uint64_t offset, uint64_t length,
                       uint64_t private_offset);
/* INDIRECT: read by image->ops->read_indirect(). */
bool image_request_add_indirect(ImageRequest *request, Image *image, uint64_t offset, uint64_t length,
                                uint64_t private_offset);

/* As image_preadv/pwritev, without the check against the virtual size (VM state, areas beyond a smaller size). */
int image_read_any(Image *image, const struct iovec *iov, int n_iov, uint64_t offset);
int image_write_any(Image *image, const struct iovec *iov, int n_iov, uint64_t offset);

/* Records a text for image_last_error; returns -errnum. Lock not needed (takes none: last writer wins). */
int image_complain(Image *image, int errnum, const char *format, ...) __attribute__((format(printf, 3, 4)));

static inline HostFile *image_data_file(Image *image)
{
    return image->data.fd >= 0 || image->data.io != NULL ? &image->data : &image->file;
}

/* Reads and decrypts any bytes of an encrypted file; `iv` is the position that the cipher counts by. */
int luks_read_range(Image *image, HostFile *file, uint64_t offset, uint64_t iv, void *buffer, size_t length);
