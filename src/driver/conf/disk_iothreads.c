/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See disk_iothreads.h. */
#include "driver/conf/disk_iothreads.h"

#include "common/bitmap.h"
#include "common/error.h"

#define THREADS_MAX 1024
#define QUEUES_MAX 1024 /* of virtio */

static void iothread_free(gpointer data)
{
    DiskIothread *thread = data;

    if (thread->queues != NULL)
        g_array_unref(thread->queues);
    g_free(thread);
}

static gboolean parse_thread(xmlNodePtr node, DiskIothread *thread, GError **error)
{
    if (!xml_attr_get_uint(node, "id", XML_REQUIRED | XML_NONZERO, &thread->id, error))
        return FALSE;
    XML_FOREACH(child, node, "queue")
    {
        guint queue = 0;

        if (!xml_attr_get_uint(child, "id", XML_REQUIRED, &queue, error))
            return FALSE;
        if (thread->queues == NULL)
            thread->queues = g_array_new(FALSE, FALSE, sizeof(guint));
        if (thread->queues->len == QUEUES_MAX)
            return error_set(error, VIR_ERR_XML_ERROR, "iothread '%u' of a disk lists more than %d queues", thread->id,
                             QUEUES_MAX);
        g_array_append_val(thread->queues, queue);
    }
    return TRUE;
}

gboolean disk_iothreads_parse(xmlNodePtr driver, GPtrArray **ret, GError **error)
{
    XML_FOREACH(child, xml_child(driver, "iothreads"), "iothread")
    {
        DiskIothread *thread = g_new0(DiskIothread, 1);

        if (*ret == NULL)
            *ret = g_ptr_array_new_with_free_func(iothread_free);
        g_ptr_array_add(*ret, thread);
        if ((*ret)->len > THREADS_MAX)
            return error_set(error, VIR_ERR_XML_ERROR, "<iothreads> of a disk lists more than %d threads", THREADS_MAX);
        if (!parse_thread(child, thread, error))
            return FALSE;
    }
    return TRUE;
}

void disk_iothreads_format(XmlWriter *w, const GPtrArray *threads)
{
    if (threads == NULL)
        return;
    xml_open(w, "iothreads");
    for (guint i = 0; i < threads->len; i++) {
        const DiskIothread *thread = g_ptr_array_index(threads, i);

        xml_open(w, "iothread");
        xml_attr_u64(w, "id", thread->id);
        for (guint q = 0; thread->queues != NULL && q < thread->queues->len; q++) {
            xml_open(w, "queue");
            xml_attr_u64(w, "id", g_array_index(thread->queues, guint, q));
            xml_close(w);
        }
        xml_close(w);
    }
    xml_close(w);
}

static gboolean check_queues(const DiskIothread *thread, guint queues, Bitmap *mapped, const char *disk, GError **error)
{
    for (guint q = 0; q < thread->queues->len; q++) {
        guint queue = g_array_index(thread->queues, guint, q);

        if (queue >= queues)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "iothread '%u' of disk '%s' is given queue '%u', but <driver queues='%u'> ends before it",
                             thread->id, disk, queue, queues);
        if (bitmap_get(mapped, queue))
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "queue '%u' of disk '%s' is given to more than one iothread",
                             queue, disk);
        bitmap_set(mapped, queue);
    }
    return TRUE;
}

gboolean disk_iothreads_validate(const GPtrArray *threads, guint queues, const char *disk, GError **error)
{
    g_autoptr(Bitmap) mapped = bitmap_new();
    gboolean named;

    if (threads == NULL)
        return TRUE;
    named = ((const DiskIothread *)g_ptr_array_index(threads, 0))->queues != NULL;
    if (named && queues == 0)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "<iothreads> of disk '%s' lists queues: say how many there are by <driver queues=>", disk);
    for (guint i = 0; i < threads->len; i++) {
        const DiskIothread *thread = g_ptr_array_index(threads, i);

        for (guint j = 0; j < i; j++) {
            if (((const DiskIothread *)g_ptr_array_index(threads, j))->id == thread->id)
                return error_set(error, VIR_ERR_XML_ERROR, "iothread '%u' is listed twice in <iothreads> of disk '%s'",
                                 thread->id, disk);
        }
        if ((thread->queues != NULL) != named)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "<iothreads> of disk '%s': either all iothreads list their queues or none does", disk);
        if (named && !check_queues(thread, queues, mapped, disk, error))
            return FALSE;
    }
    return !named || bitmap_count(mapped) == queues ||
           error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                     "<iothreads> of disk '%s' gives %u of %u queues to iothreads: give each of them to one", disk,
                     bitmap_count(mapped), queues);
}

static gboolean thread_equal(const DiskIothread *a, const DiskIothread *b)
{
    guint n = a->queues != NULL ? a->queues->len : 0;

    if (a->id != b->id || n != (b->queues != NULL ? b->queues->len : 0))
        return FALSE;
    for (guint i = 0; i < n; i++) {
        if (g_array_index(a->queues, guint, i) != g_array_index(b->queues, guint, i))
            return FALSE;
    }
    return TRUE;
}

gboolean disk_iothreads_equal(const GPtrArray *a, const GPtrArray *b)
{
    if (a == NULL || b == NULL || a->len != b->len)
        return a == b;
    for (guint i = 0; i < a->len; i++) {
        if (!thread_equal(g_ptr_array_index(a, i), g_ptr_array_index(b, i)))
            return FALSE;
    }
    return TRUE;
}
