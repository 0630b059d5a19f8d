/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists of buffers: see iov.h. */
#include "common/iov.h"

#include <errno.h>
#include <string.h>

#include "common/checked.h"

enum { COPY_OUT, COPY_IN, COPY_FILL };

static uint64_t walk(const struct iovec *iov, unsigned count, uint64_t offset, uint8_t *buffer, uint64_t len,
                     int mode, int byte)
{
    uint64_t moved = 0;

    for (unsigned i = 0; i < count && moved < len; i++) {
        if (offset >= iov[i].iov_len) {
            offset -= iov[i].iov_len;
            continue;
        }
        uint64_t part = MIN(iov[i].iov_len - offset, len - moved);
        uint8_t *at = (uint8_t *)iov[i].iov_base + offset;

        if (mode == COPY_OUT)
            memcpy(buffer + moved, at, part);
        else if (mode == COPY_IN)
            memcpy(at, buffer + moved, part);
        else
            memset(at, byte, part);
        moved += part;
        offset = 0;
    }
    return moved;
}

uint64_t iov_to_buffer(const struct iovec *iov, unsigned count, uint64_t offset, void *buffer, uint64_t len)
{
    return walk(iov, count, offset, buffer, len, COPY_OUT, 0);
}

uint64_t iov_from_buffer(const struct iovec *iov, unsigned count, uint64_t offset, const void *buffer,
                         uint64_t len)
{
    return walk(iov, count, offset, (uint8_t *)(uintptr_t)buffer, len, COPY_IN, 0);
}

uint64_t iov_fill(const struct iovec *iov, unsigned count, uint64_t offset, int byte, uint64_t len)
{
    return walk(iov, count, offset, NULL, len, COPY_FILL, byte);
}

uint64_t iov_length(const struct iovec *iov, unsigned count)
{
    uint64_t len = 0;

    for (unsigned i = 0; i < count; i++)
        len += iov[i].iov_len;
    return len;
}

int iov_slice(const struct iovec *iov, unsigned count, uint64_t offset, uint64_t len, struct iovec *ret,
              unsigned max)
{
    unsigned n = 0;

    for (unsigned i = 0; i < count && len > 0; i++) {
        if (offset >= iov[i].iov_len) {
            offset -= iov[i].iov_len;
            continue;
        }
        if (n == max)
            return -E2BIG;
        ret[n].iov_base = (uint8_t *)iov[i].iov_base + offset;
        ret[n].iov_len = MIN(iov[i].iov_len - offset, len);
        len -= ret[n++].iov_len;
        offset = 0;
    }
    return (int)n;
}

void iov_drop_front(struct iovec **iov, unsigned *count, uint64_t len)
{
    while (len > 0 && *count > 0) {
        uint64_t part = MIN(len, (*iov)->iov_len);

        (*iov)->iov_base = (uint8_t *)(*iov)->iov_base + part;
        (*iov)->iov_len -= part;
        len -= part;
        if ((*iov)->iov_len == 0) {
            (*iov)++;
            (*count)--;
        }
    }
}
