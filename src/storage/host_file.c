/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The file below an image: see host_file.h. */
#include "config.h"

#include "storage/host_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "common/iov.h"

#define DIRECT_ALIGN 4096u /* good for all that does not say */
#define ZERO_CHUNK (256u * 1024)

/* ---- descriptor ---- */

/* Transfers everything, in pieces of at most IOV_MAX; `done` bytes went before a short transfer. */
static int fd_transfer(HostFile *file, const struct iovec *iov, int n_iov, uint64_t offset, bool write)
{
    uint64_t total = iov_length(iov, (unsigned)n_iov), done = 0;
    struct iovec part[64];

    while (done < total) {
        const struct iovec *v = iov;
        int n = n_iov;
        ssize_t ret;

        if (done > 0 || n_iov > 1024) {
            /* Rare: go on behind a short transfer, a handful of pieces at a time. */
            uint64_t skip = done;

            while (n > 0 && skip >= v->iov_len) {
                skip -= v->iov_len;
                v++;
                n--;
            }
            n = MIN(n, (int)ARRAY_LEN(part));
            memcpy(part, v, sizeof *part * (size_t)n);
            part[0].iov_base = (char *)part[0].iov_base + skip;
            part[0].iov_len -= skip;
            v = part;
        }
        if (offset + done > INT64_MAX)
            return write ? -EFBIG : -EINVAL;
        if (write)
            ret = n == 1 ? pwrite(file->fd, v->iov_base, v->iov_len, (off_t)(offset + done))
                         : pwritev(file->fd, v, n, (off_t)(offset + done));
        else
            ret = n == 1 ? pread(file->fd, v->iov_base, v->iov_len, (off_t)(offset + done))
                         : preadv(file->fd, v, n, (off_t)(offset + done));
        if (ret < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        if (ret == 0) {
            if (write)
                return -ENOSPC;
            iov_fill(iov, (unsigned)n_iov, done, 0, total - done);
            return 0;
        }
        done += (uint64_t)ret;
    }
    return 0;
}

static bool iov_is_aligned(const struct iovec *iov, int n_iov, uint64_t offset, uint32_t align)
{
    if (offset & (align - 1))
        return false;
    for (int i = 0; i < n_iov; i++)
        if (((uintptr_t)iov[i].iov_base | iov[i].iov_len) & (align - 1))
            return false;
    return true;
}

/*
 * O_DIRECT with a range or memory that does not fit: through an aligned copy, reading around a write. Two writes that meet
 * in a block take turns, or one would put back what it read before the other.
 */
static int fd_bounce(HostFile *file, const struct iovec *iov, int n_iov, uint64_t offset, bool write)
{
    uint64_t length = iov_length(iov, (unsigned)n_iov), start = ALIGN_DOWN(offset, (uint64_t)file->align);
    uint64_t end = ALIGN_UP(offset + length, (uint64_t)file->align);
    bool around = write && (start != offset || end != offset + length);
    cleanup_free void *buffer = NULL;
    struct iovec all = {.iov_len = end - start};
    int ret = 0;

    if (posix_memalign(&buffer, file->align, all.iov_len) != 0)
        return -ENOMEM;
    all.iov_base = buffer;
    if (around)
        pthread_mutex_lock(&file->around);
    if (!write || around)
        ret = fd_transfer(file, &all, 1, start, false);
    if (ret == 0 && !write)
        iov_from_buffer(iov, n_iov, 0, (char *)buffer + (offset - start), length);
    if (ret == 0 && write) {
        iov_to_buffer(iov, n_iov, 0, (char *)buffer + (offset - start), length);
        ret = fd_transfer(file, &all, 1, start, true);
    }
    if (around)
        pthread_mutex_unlock(&file->around);
    return ret;
}

static _Thread_local bool no_wait;

bool host_file_set_no_wait(bool on)
{
    bool was = no_wait;

    no_wait = on;
    return was;
}

bool host_file_no_wait(void)
{
    return no_wait;
}

static int read_cached(HostFile *file, const struct iovec *iov, int n_iov, uint64_t offset)
{
    ssize_t n;

    if (file->io != NULL || file->direct || n_iov > IOV_MAX || offset > INT64_MAX)
        return -EINPROGRESS;
    n = preadv2(file->fd, iov, n_iov, (off_t)offset, RWF_NOWAIT);
    return n >= 0 && (uint64_t)n == iov_length(iov, (unsigned)n_iov) ? 0 : -EINPROGRESS; /* errors show when it waits */
}

int host_file_preadv(HostFile *file, const struct iovec *iov, int n_iov, uint64_t offset)
{
    if (no_wait)
        return read_cached(file, iov, n_iov, offset);
    if (file->io != NULL)
        return file->io->preadv(file->opaque, iov, n_iov, offset);
    if (file->direct && !iov_is_aligned(iov, n_iov, offset, file->align))
        return fd_bounce(file, iov, n_iov, offset, false);
    return fd_transfer(file, iov, n_iov, offset, false);
}

static void note_write(HostFile *file, uint64_t end)
{
    uint64_t known = file->write_end;

    while (end > known && !atomic_compare_exchange_weak(&file->write_end, &known, end))
        ;
}

int host_file_pwritev(HostFile *file, const struct iovec *iov, int n_iov, uint64_t offset)
{
    note_write(file, offset + iov_length(iov, (unsigned)n_iov));
    if (file->io != NULL)
        return file->io->pwritev(file->opaque, iov, n_iov, offset);
    if (file->direct && !iov_is_aligned(iov, n_iov, offset, file->align))
        return fd_bounce(file, iov, n_iov, offset, true);
    return fd_transfer(file, iov, n_iov, offset, true);
}

int host_file_pread(HostFile *file, void *buffer, size_t length, uint64_t offset)
{
    struct iovec iov = {.iov_base = buffer, .iov_len = length};

    return host_file_preadv(file, &iov, 1, offset);
}

int host_file_pwrite(HostFile *file, const void *buffer, size_t length, uint64_t offset)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)buffer, .iov_len = length};

    return host_file_pwritev(file, &iov, 1, offset);
}

int host_file_sync(HostFile *file)
{
    if (file->no_sync)
        return 0;
    if (file->io != NULL)
        return file->io->sync(file->opaque);
    return fdatasync(file->fd) < 0 ? -errno : 0;
}

/* One fallocate call; remembers "not supported". */
static int try_fallocate(HostFile *file, int mode, uint64_t offset, uint64_t length, _Atomic bool *refused)
{
    if (*refused)
        return -ENOTSUP;
    while (fallocate(file->fd, mode, (off_t)offset, (off_t)length) < 0) {
        if (errno == EINTR)
            continue;
        if (errno == EOPNOTSUPP || errno == ENOSYS || errno == ENODEV) {
            *refused = true;
            return -ENOTSUP;
        }
        return -errno;
    }
    return 0;
}

static int write_zeros(HostFile *file, uint64_t offset, uint64_t length)
{
    static const char zeros[ZERO_CHUNK] __attribute__((aligned(4096)));

    while (length > 0) {
        size_t n = (size_t)MIN(length, (uint64_t)ZERO_CHUNK);
        int ret = host_file_pwrite(file, zeros, n, offset);

        if (ret < 0)
            return ret;
        offset += n;
        length -= n;
    }
    return 0;
}

int host_file_zero(HostFile *file, uint64_t offset, uint64_t length, bool unmap)
{
    int ret = -ENOTSUP;

    if (length == 0)
        return 0;
    note_write(file, offset + length);
    if (file->io != NULL) {
        ret = file->io->zero(file->opaque, offset, length, unmap);
    } else if (length >= 4096) {
        uint64_t size = 0;

        if (unmap && host_file_size(file, &size) == 0 && offset + length <= size)
            ret = try_fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length, &file->no_punch);
        if (ret < 0 && ret != -ENOSPC)
            ret = try_fallocate(file, FALLOC_FL_ZERO_RANGE, offset, length, &file->no_zero);
    }
    /* Anything but a full disk may still go the slow way (odd alignment on a block device, say). */
    if (ret < 0 && ret != -ENOSPC && ret != -EIO)
        ret = write_zeros(file, offset, length);
    return ret;
}

void host_file_punch(HostFile *file, uint64_t offset, uint64_t length)
{
    if (file->io != NULL)
        file->io->zero(file->opaque, offset, length, true);
    else
        try_fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length, &file->no_punch);
}

int host_file_allocate(HostFile *file, uint64_t offset, uint64_t length)
{
    if (file->io != NULL || file->block_device)
        return -ENOTSUP;
    while (fallocate(file->fd, 0, (off_t)offset, (off_t)length) < 0)
        if (errno != EINTR)
            return errno == EOPNOTSUPP ? -ENOTSUP : -errno;
    return 0;
}

int host_file_truncate(HostFile *file, uint64_t size)
{
    if (file->io != NULL)
        return file->io->truncate(file->opaque, size);
    if (file->block_device) {
        uint64_t have;
        int ret = host_file_size(file, &have);

        return ret < 0 ? ret : size <= have ? 0 : -ENOSPC;
    }
    if (size > INT64_MAX)
        return -EFBIG;
    while (ftruncate(file->fd, (off_t)size) < 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

int host_file_size(HostFile *file, uint64_t *ret_size)
{
    struct stat st;

    if (file->io != NULL)
        return file->io->size(file->opaque, ret_size);
    if (file->block_device)
        return ioctl(file->fd, BLKGETSIZE64, ret_size) < 0 ? -errno : 0;
    if (fstat(file->fd, &st) < 0)
        return -errno;
    *ret_size = (uint64_t)st.st_size;
    return 0;
}

/*
 * What O_DIRECT asks for: a device says it, newer kernels do for files. Else a read shows it, if it brings something: the
 * end of a file and holes take any alignment.
 */
static uint32_t find_direct_align(int fd, bool block_device)
{
    cleanup_free uint8_t *buffer = NULL;
    off_t data;
    int sector;
#ifdef STATX_DIOALIGN
    struct statx stx;
#endif

    if (block_device)
        return ioctl(fd, BLKSSZGET, &sector) == 0 && sector >= 512 ? (uint32_t)sector : DIRECT_ALIGN;
#ifdef STATX_DIOALIGN
    if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) == 0 && (stx.stx_mask & STATX_DIOALIGN))
        return stx.stx_dio_offset_align == 0 ? DIRECT_ALIGN
                                             : MAX(MAX(stx.stx_dio_offset_align, stx.stx_dio_mem_align), 512u);
#endif
    data = lseek(fd, 0, SEEK_DATA);
    if (data < 0 || posix_memalign((void **)&buffer, DIRECT_ALIGN, 2 * DIRECT_ALIGN) != 0)
        return DIRECT_ALIGN;
    for (uint32_t align = 512; align < DIRECT_ALIGN; align *= 2) {
        if (pread(fd, buffer + align, align, data + align) == (ssize_t)align)
            return align;
    }
    return DIRECT_ALIGN;
}

int host_file_open(HostFile *file, int fd, const ImageIo *io, void *opaque, Err *err)
{
    struct stat st;
    int fl;

    *file = (HostFile){.io = io, .opaque = opaque, .fd = io != NULL ? -1 : fd, .align = 1,
                       .around = PTHREAD_MUTEX_INITIALIZER};
    if (io != NULL)
        return 0;
    if (fstat(fd, &st) < 0)
        return err_set(err, errno, "cannot stat the image's descriptor: %s", strerror(errno));
    file->block_device = S_ISBLK(st.st_mode);
    if (!file->block_device && !S_ISREG(st.st_mode))
        return err_set(err, S_ISDIR(st.st_mode) ? EISDIR : EINVAL,
                       "an image must be a regular file or a block device");
    fl = fcntl(fd, F_GETFL);
    if (fl >= 0 && (fl & O_DIRECT)) {
        file->direct = true;
        file->align = find_direct_align(fd, file->block_device);
    }
    return 0;
}

void host_file_close(HostFile *file)
{
    if (file->io != NULL && file->io->close != NULL)
        file->io->close(file->opaque);
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
    file->io = NULL;
}
