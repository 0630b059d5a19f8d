/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The file (or block device, or a test's replacement) below an image: whole transfers, zeros beyond its end, bounce
 * buffers where O_DIRECT wants alignment, and the cheapest way to zero a range. All functions may be called from
 * several threads; errors are -errno.
 */
#pragma once

#include <pthread.h>

#include "storage/image.h"

typedef struct HostFile {
    const ImageIo *io;
    void *opaque;
    int fd; /* -1 with a replaced io */
    bool direct; /* O_DIRECT: align is what it asks for */
    bool block_device;
    bool no_sync; /* cache=unsafe */
    uint32_t align;
    pthread_mutex_t around; /* held by a write that reads the blocks around it first */
    _Atomic bool no_zero, no_punch; /* the file system said no once */
    _Atomic uint64_t write_end; /* how far into it these functions have written */
    uint64_t base, window; /* a raw image may be a part of the file; window 0: to its end */
} HostFile;

/*
 * While it is on, reads by this thread that would wait for the disk give -EINPROGRESS instead: what is in the page cache
 * comes at once (preadv2 with RWF_NOWAIT), everything else is somebody's who may wait. Returns what it was.
 */
bool host_file_set_no_wait(bool on);
bool host_file_no_wait(void);

/* Takes over fd on success. */
int host_file_open(HostFile *file, int fd, const ImageIo *io, void *opaque, Err *err);
void host_file_close(HostFile *file);

int host_file_preadv(HostFile *file, const struct iovec *iov, int n_iov, uint64_t offset);
int host_file_pwritev(HostFile *file, const struct iovec *iov, int n_iov, uint64_t offset);
int host_file_pread(HostFile *file, void *buffer, size_t length, uint64_t offset);
int host_file_pwrite(HostFile *file, const void *buffer, size_t length, uint64_t offset);
int host_file_sync(HostFile *file);
/* Zeros the range, by writing if nothing else works; with unmap the space may go. */
int host_file_zero(HostFile *file, uint64_t offset, uint64_t length, bool unmap);
/* Gives the space back if that is possible, and says nothing if not. */
void host_file_punch(HostFile *file, uint64_t offset, uint64_t length);
int host_file_truncate(HostFile *file, uint64_t size);
int host_file_size(HostFile *file, uint64_t *ret_size);
/* fallocate: -ENOTSUP where it cannot. */
int host_file_allocate(HostFile *file, uint64_t offset, uint64_t length);
