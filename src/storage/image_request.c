/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Data requests: epochs, building and doing extents, both ways of image.h. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "common/iov.h"
#include "storage/image_priv.h"

#define CRYPT_CHUNK (256u * 1024)

/* ---- Epochs ---- */

uint32_t image_epoch_enter(Image *image)
{
    for (;;) {
        uint32_t epoch = image->epoch;

        image->in_flight[epoch & 1]++;
        if (image->epoch == epoch)
            return epoch;
        image->in_flight[epoch & 1]--; /* it moved on between: whoever looks at the count may have missed us */
    }
}

void image_epoch_leave(Image *image, uint32_t epoch)
{
    image->in_flight[epoch & 1]--;
}

uint32_t image_epoch_advance(Image *image)
{
    if (image->in_flight[(image->epoch + 1) & 1] == 0)
        image->epoch++;
    return image->epoch;
}

bool image_is_busy(Image *image)
{
    return image->in_flight[0] != 0 || image->in_flight[1] != 0;
}

/* ---- Building ---- */

bool image_request_add(ImageRequest *request, ImageExtentKind kind, HostFile *file, uint64_t offset, uint64_t length,
                       uint64_t private_offset)
{
    ImageExtent *last = request->n_extents > 0 ? &request->extents[request->n_extents - 1] : NULL;

    if (last != NULL && last->kind == kind &&
        (kind == IMAGE_EXTENT_ZERO ||
         (kind == IMAGE_EXTENT_DATA && last->buffer == file && last->offset + last->length == offset))) {
        last->length += length;
        request->length += length;
        return true;
    }
    if (request->n_extents == IMAGE_MAX_EXTENTS)
        return false;
    request->extents[request->n_extents++] = (ImageExtent){
        .kind = kind,
        .fd = file != NULL ? file->fd : -1,
        .offset = offset,
        .length = length,
        .buffer = file,
        .private_offset = private_offset,
    };
    request->length += length;
    return true;
}

bool image_request_add_indirect(ImageRequest *request, Image *image, uint64_t offset, uint64_t length,
                                uint64_t private_offset)
{
    if (request->n_extents == IMAGE_MAX_EXTENTS)
        return false;
    request->extents[request->n_extents++] = (ImageExtent){
        .kind = IMAGE_EXTENT_INDIRECT,
        .fd = -1,
        .offset = offset,
        .length = length,
        .buffer = image,
        .private_offset = private_offset,
    };
    request->length += length;
    return true;
}

static void request_reset(Image *image, ImageRequest *request)
{
    request->length = 0;
    request->n_extents = 0;
    request->image = image;
    request->alloc = NULL;
}

static int begin_read(Image *image, uint64_t offset, uint64_t length, ImageRequest *request)
{
    int ret;

    request_reset(image, request);
    request->epoch = image_epoch_enter(image);
    ret = image->ops->append_read(image, offset, length, request);
    if (ret < 0 && request->length == 0)
        image_epoch_leave(image, request->epoch);
    else
        ret = 0; /* the pieces before the bad one are good */
    return ret;
}

static int begin_write(Image *image, uint64_t offset, uint64_t length, ImageRequest *request)
{
    int ret;

    if (image->read_only)
        return -EROFS;
    if (image->corrupt)
        return -EIO;
    request_reset(image, request);
    request->epoch = image_epoch_enter(image);
    ret = image->ops->begin_write(image, offset, length, request);
    if (ret < 0)
        image_epoch_leave(image, request->epoch);
    return ret;
}

int image_begin_read(Image *image, uint64_t offset, uint64_t length, ImageRequest *request)
{
    bool was;
    int ret;

    if (length == 0 || !range_inside(offset, length, image->size))
        return -EINVAL;
    was = host_file_set_no_wait(request->no_wait);
    ret = begin_read(image, offset, length, request);
    host_file_set_no_wait(was);
    return ret;
}

int image_begin_write(Image *image, uint64_t offset, uint64_t length, ImageRequest *request)
{
    bool was;
    int ret;

    if (length == 0 || !range_inside(offset, length, image->size))
        return -EINVAL;
    if (image->luks != NULL)
        return -ENOTSUP;
    was = host_file_set_no_wait(request->no_wait);
    ret = begin_write(image, offset, length, request);
    host_file_set_no_wait(was);
    return ret;
}

int image_end(ImageRequest *request, int status)
{
    Image *image = request->image;
    int ret = status;

    if (request->alloc != NULL) {
        ret = image->ops->end_write(image, request, status);
        request->alloc = NULL;
    }
    image_epoch_leave(image, request->epoch);
    return ret;
}

int image_lock_request(Image *image)
{
    if (!host_file_no_wait()) {
        pthread_mutex_lock(&image->lock);
        return 0;
    }
    return pthread_mutex_trylock(&image->lock) == 0 ? 0 : -EINPROGRESS;
}

/* ---- Doing ---- */

/* Encrypted payload or compressed cluster into guest memory, a bounded piece at a time. */
static int read_indirect(const ImageExtent *e, const struct iovec *iov, int n_iov, uint64_t at)
{
    Image *layer = (Image *)(uintptr_t)e->buffer;
    size_t chunk = (size_t)MIN(e->length, (uint64_t)CRYPT_CHUNK);
    cleanup_free void *bounce = NULL;

    if (posix_memalign(&bounce, 4096, chunk) != 0)
        return -ENOMEM;
    for (uint64_t done = 0; done < e->length;) {
        size_t n = (size_t)MIN(e->length - done, (uint64_t)chunk);
        int ret = layer->ops->read_indirect(layer, e, done, bounce, n);

        if (ret < 0)
            return ret;
        iov_from_buffer(iov, (unsigned)n_iov, at + done, bounce, n);
        done += n;
    }
    return 0;
}

int luks_read_range(Image *image, HostFile *file, uint64_t offset, uint64_t iv, void *buffer, size_t length)
{
    uint64_t before = iv % LUKS_SECTOR, whole = ALIGN_UP(before + length, (uint64_t)LUKS_SECTOR);
    cleanup_free uint8_t *bounce = NULL;
    uint8_t *p = buffer;
    int ret;

    if (whole != length) {
        p = bounce = malloc(whole);
        if (bounce == NULL)
            return -ENOMEM;
    }
    ret = host_file_pread(file, p, whole, offset - before);
    if (ret < 0)
        return ret;
    luks_decrypt(image->luks, iv - before, p, whole);
    if (bounce != NULL)
        memcpy(buffer, bounce + before, length);
    return 0;
}

static int read_extents(const ImageRequest *request, const struct iovec *iov, int n_iov, uint64_t at)
{
    cleanup_free struct iovec *heap = NULL;
    struct iovec stack[32], *part = stack;

    if (n_iov > (int)ARRAY_LEN(stack)) {
        part = heap = malloc(sizeof *heap * (size_t)n_iov);
        if (heap == NULL)
            return -ENOMEM;
    }
    for (unsigned i = 0; i < request->n_extents; i++) {
        const ImageExtent *e = &request->extents[i];
        int ret = 0;

        if (e->kind == IMAGE_EXTENT_ZERO) {
            iov_fill(iov, (unsigned)n_iov, at, 0, e->length);
        } else if (e->kind == IMAGE_EXTENT_DATA) {
            int n = iov_slice(iov, (unsigned)n_iov, at, e->length, part, (unsigned)n_iov);

            ret = n < 0 ? n : host_file_preadv((HostFile *)(uintptr_t)e->buffer, part, n, e->offset);
        } else {
            ret = read_indirect(e, iov, n_iov, at);
        }
        if (ret < 0)
            return ret;
        at += e->length;
    }
    return 0;
}

int image_read_any(Image *image, const struct iovec *iov, int n_iov, uint64_t offset)
{
    uint64_t total = iov_length(iov, (unsigned)n_iov), done = 0;

    while (done < total) {
        ImageRequest request;
        int ret = begin_read(image, offset + done, total - done, &request);

        if (ret < 0)
            return ret;
        ret = read_extents(&request, iov, n_iov, done);
        ret = image_end(&request, ret);
        if (ret < 0)
            return ret;
        done += request.length;
    }
    return 0;
}

/* Writes one data extent of an encrypted image: guest memory is copied, encrypted by its place, written. */
static int write_encrypted(Image *image, const ImageExtent *e, const struct iovec *iov, int n_iov, uint64_t at)
{
    size_t chunk = (size_t)MIN(e->length, (uint64_t)CRYPT_CHUNK);
    cleanup_free void *bounce = NULL;

    if (posix_memalign(&bounce, 4096, chunk) != 0)
        return -ENOMEM;
    for (uint64_t done = 0; done < e->length;) {
        size_t n = (size_t)MIN(e->length - done, (uint64_t)chunk);
        int ret;

        iov_to_buffer(iov, (unsigned)n_iov, at + done, bounce, n);
        luks_encrypt(image->luks, e->offset + done - image->luks_shift, bounce, n);
        ret = host_file_pwrite((HostFile *)(uintptr_t)e->buffer, bounce, n, e->offset + done);
        if (ret < 0)
            return ret;
        done += n;
    }
    return 0;
}

/* Extents that follow one another in the host file become one write: copied-up edges travel with the data. */
static int write_extents(Image *image, const ImageRequest *request, const struct iovec *iov, int n_iov, uint64_t at)
{
    cleanup_free struct iovec *heap = NULL;
    struct iovec stack[48], *part = stack;
    size_t room = (size_t)n_iov * 2 + IMAGE_MAX_EXTENTS;

    if (room > ARRAY_LEN(stack)) {
        part = heap = malloc(sizeof *heap * room);
        if (heap == NULL)
            return -ENOMEM;
    }
    for (unsigned i = 0; i < request->n_extents;) {
        const ImageExtent *first = &request->extents[i];
        HostFile *file = image_data_file(image);
        uint64_t end = first->offset;
        int n = 0, ret;

        if (image->luks != NULL) {
            ret = first->kind == IMAGE_EXTENT_FILL
                      ? host_file_pwrite(file, first->buffer, first->length, first->offset)
                      : write_encrypted(image, first, iov, n_iov, at);
            at += first->kind == IMAGE_EXTENT_FILL ? 0 : first->length;
            i++;
        } else {
            for (; i < request->n_extents && request->extents[i].offset == end; i++) {
                const ImageExtent *e = &request->extents[i];

                if (e->kind == IMAGE_EXTENT_FILL) {
                    part[n++] = (struct iovec){.iov_base = (void *)(uintptr_t)e->buffer, .iov_len = e->length};
                } else {
                    unsigned left = (unsigned)room - (unsigned)n;
                    int added = iov_slice(iov, (unsigned)n_iov, at, e->length, part + n, left);

                    if (added < 0)
                        return added;
                    n += added;
                    at += e->length;
                }
                end += e->length;
            }
            ret = host_file_pwritev(file, part, n, first->offset);
        }
        if (ret < 0)
            return ret;
    }
    return 0;
}

int image_write_any(Image *image, const struct iovec *iov, int n_iov, uint64_t offset)
{
    uint64_t total = iov_length(iov, (unsigned)n_iov), done = 0;

    while (done < total) {
        ImageRequest request = {.resume = NULL};
        int ret = begin_write(image, offset + done, total - done, &request);

        if (ret < 0)
            return ret;
        ret = write_extents(image, &request, iov, n_iov, done);
        ret = image_end(&request, ret);
        if (ret < 0)
            return ret;
        done += request.length;
    }
    return 0;
}

/* An encrypted image is written in whole sectors: reads what is around and writes it again. */
static int write_partial_sectors(Image *image, const struct iovec *iov, int n_iov, uint64_t offset)
{
    uint64_t length = iov_length(iov, (unsigned)n_iov), start = ALIGN_DOWN(offset, (uint64_t)LUKS_SECTOR);
    uint64_t end = ALIGN_UP(offset + length, (uint64_t)LUKS_SECTOR);
    cleanup_free uint8_t *buffer = malloc(end - start);
    struct iovec all = {.iov_base = buffer, .iov_len = end - start};
    int ret;

    if (buffer == NULL)
        return -ENOMEM;
    pthread_mutex_lock(&image->crypt_lock);
    ret = image_read_any(image, &all, 1, start);
    if (ret == 0) {
        iov_to_buffer(iov, (unsigned)n_iov, 0, buffer + (offset - start), length);
        ret = image_write_any(image, &all, 1, start);
    }
    pthread_mutex_unlock(&image->crypt_lock);
    return ret;
}

int image_preadv(Image *image, const struct iovec *iov, int n_iov, uint64_t offset)
{
    if (!range_inside(offset, iov_length(iov, (unsigned)n_iov), image->size))
        return -EINVAL;
    return image_read_any(image, iov, n_iov, offset);
}

int image_pwritev(Image *image, const struct iovec *iov, int n_iov, uint64_t offset)
{
    uint64_t length = iov_length(iov, (unsigned)n_iov);

    if (!range_inside(offset, length, image->size))
        return -EINVAL;
    if (image->luks != NULL && ((offset | length) & (LUKS_SECTOR - 1)))
        return write_partial_sectors(image, iov, n_iov, offset);
    return image_write_any(image, iov, n_iov, offset);
}

int image_pread(Image *image, void *buffer, size_t length, uint64_t offset)
{
    struct iovec iov = {.iov_base = buffer, .iov_len = length};

    return image_preadv(image, &iov, 1, offset);
}

int image_pwrite(Image *image, const void *buffer, size_t length, uint64_t offset)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)buffer, .iov_len = length};

    return image_pwritev(image, &iov, 1, offset);
}

static int change_allowed(Image *image, uint64_t offset, uint64_t length)
{
    if (!range_inside(offset, length, image->size))
        return -EINVAL;
    if (image->read_only)
        return -EROFS;
    return image->corrupt ? -EIO : 0;
}

int image_discard(Image *image, uint64_t offset, uint64_t length, ImageRequest *wait)
{
    int ret = change_allowed(image, offset, length);

    return ret < 0 || length == 0 ? ret : image->ops->discard(image, offset, length, wait);
}

int image_write_zeroes(Image *image, uint64_t offset, uint64_t length, bool unmap, ImageRequest *wait)
{
    int ret = change_allowed(image, offset, length);

    return ret < 0 || length == 0 ? ret : image->ops->write_zeroes(image, offset, length, unmap, wait);
}

int image_flush(Image *image)
{
    return image->read_only ? 0 : image->ops->flush(image);
}

/* ---- Map ---- */

int image_map_layer(Image *image, uint64_t offset, uint64_t length, ImageMapEntry *ret)
{
    if (length == 0 || !range_inside(offset, length, image->size))
        return -EINVAL;
    memset(ret, 0, sizeof *ret);
    ret->offset = offset;
    ret->length = length;
    return image->ops->map(image, offset, length, ret);
}

static int map_chain(Image *image, uint64_t offset, uint64_t length, ImageMapEntry *ret)
{
    for (unsigned depth = 0;; depth++) {
        int r = image_map_layer(image, offset, length, ret);

        if (r < 0)
            return r;
        ret->depth = depth;
        if (ret->allocated || image->backing == NULL) {
            if (!ret->allocated)
                ret->zero = true;
            return 0;
        }
        length = ret->length;
        image = image->backing;
        if (offset >= image->size) { /* smaller backing image: zeros beyond it, held by that layer */
            *ret = (ImageMapEntry){.offset = offset, .length = length, .zero = true, .depth = depth + 1};
            return 0;
        }
        length = MIN(length, image->size - offset);
    }
}

static bool entries_join(const ImageMapEntry *a, const ImageMapEntry *b)
{
    return a->allocated == b->allocated && a->zero == b->zero && a->data == b->data &&
           a->compressed == b->compressed && a->depth == b->depth && a->has_host_offset == b->has_host_offset &&
           (!a->has_host_offset || a->host_offset + a->length == b->host_offset);
}

int image_map(Image *image, uint64_t offset, uint64_t length, ImageMapEntry *ret)
{
    int r;

    if (length == 0 || !range_inside(offset, length, image->size))
        return -EINVAL;
    r = map_chain(image, offset, length, ret);
    while (r == 0 && ret->length < length) {
        ImageMapEntry next;

        if (map_chain(image, offset + ret->length, length - ret->length, &next) < 0 || !entries_join(ret, &next))
            break;
        ret->length += next.length;
    }
    return r;
}

/* ---- Waiting ---- */

int image_wait_for(Image *image, ImageRequest *request, void *alloc)
{
    if (request == NULL || request->resume == NULL) {
        pthread_cond_wait(&image->changed, &image->lock);
        return 0;
    }
    request->image = image;
    request->alloc = alloc;
    request->queued = true;
    request->next = image->waiters;
    image->waiters = request;
    return -EAGAIN;
}

void image_wake(Image *image, void *alloc)
{
    ImageRequest **link = &image->waiters;

    pthread_cond_broadcast(&image->changed);
    while (*link != NULL) {
        ImageRequest *request = *link;

        if (request->alloc != alloc) {
            link = &request->next;
            continue;
        }
        *link = request->next;
        request->queued = false;
        request->alloc = NULL;
        request->resume(request);
    }
}

void image_cancel_wait(Image *image, ImageRequest *request)
{
    pthread_mutex_lock(&image->lock);
    for (ImageRequest **link = &image->waiters; *link != NULL; link = &(*link)->next)
        if (*link == request) {
            *link = request->next;
            request->queued = false;
            request->alloc = NULL;
            break;
        }
    pthread_mutex_unlock(&image->lock);
}
