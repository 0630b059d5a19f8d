/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Copying volumes. See volume_copy.h. */
#define ERROR_FROM VIR_FROM_STORAGE

#include "storage/volume_copy.h"

#include <string.h>

#include "common/error.h"

enum { MAP_STEP = 64 << 20, COPY_STEP = 1 << 20, ZERO_STEP = 64 << 10 };

static gboolean is_zero(const char *data, gsize length)
{
    return length == 0 || (data[0] == 0 && memcmp(data, data + 1, length - 1) == 0);
}

static int copy_data(Image *to, const char *buffer, guint64 offset, gsize length, gboolean sparse)
{
    gsize step = sparse ? ZERO_STEP : length;
    int rc = 0;

    for (gsize done = 0; done < length && rc == 0; done += step) {
        gsize n = MIN(step, length - done);

        if (!sparse || !is_zero(buffer + done, n))
            rc = image_pwrite(to, buffer + done, n, offset + done);
    }
    return rc;
}

static int copy_range(Image *to, Image *from, char *buffer, guint64 offset, guint64 length, gboolean sparse)
{
    int rc = 0;

    for (guint64 done = 0; done < length && rc == 0; done += COPY_STEP) {
        gsize n = (gsize)MIN((guint64)COPY_STEP, length - done);

        rc = image_pread(from, buffer, n, offset + done);
        if (rc == 0)
            rc = copy_data(to, buffer, offset + done, n, sparse);
    }
    return rc;
}

static int copy_image(Image *to, Image *from, gboolean sparse)
{
    g_autofree char *buffer = g_malloc(COPY_STEP);
    guint64 size = MIN(image_size(from), image_size(to));
    guint64 offset = 0;
    int rc = 0;

    while (offset < size && rc == 0) {
        ImageMapEntry entry;

        rc = image_map(from, offset, MIN(size - offset, (guint64)MAP_STEP), &entry);
        if (rc < 0)
            break;
        if (entry.data)
            rc = copy_range(to, from, buffer, offset, entry.length, sparse);
        offset += entry.length;
    }
    return rc == 0 ? image_flush(to) : rc;
}

gboolean volume_copy(const VolumeDef *target, const VolumeDef *source, gboolean sparse, GError **error)
{
    Image *from, *to;
    int rc, end;

    from = volume_image_open(source, FALSE, error);
    if (from == NULL)
        return FALSE;
    to = volume_image_open(target, TRUE, error);
    if (to == NULL) {
        image_close(from);
        return FALSE;
    }
    rc = copy_image(to, from, sparse);
    end = image_close(to);
    image_close(from);
    if (rc == 0)
        rc = end;
    return rc == 0 || error_set_errno(error, -rc, "failed to copy volume '%s' to '%s'", source->target.path,
                                      target->target.path);
}
