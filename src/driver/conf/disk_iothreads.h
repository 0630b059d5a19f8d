/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <driver><iothreads> of a virtio disk (libvirt 10.0): which threads serve its queues. Either each thread lists its
 * queues and every queue has exactly one thread, or none does and the queues go round. formatdomain, "Hard drives".
 */
#pragma once

#include "common/xml.h"

typedef struct DiskIothread {
    guint id;
    GArray *queues; /* guint, in the order they were given; NULL: whichever */
} DiskIothread;

/* The <iothreads> of a <driver> into *ret (of DiskIothread); *ret stays NULL when there is none. */
gboolean disk_iothreads_parse(xmlNodePtr driver, GPtrArray **ret, GError **error);
void disk_iothreads_format(XmlWriter *w, const GPtrArray *threads);
/* Of a disk with so many queues (0: the default). VIR_ERR_XML_ERROR or CONFIG_UNSUPPORTED naming disk and thread. */
gboolean disk_iothreads_validate(const GPtrArray *threads, guint queues, const char *disk, GError **error);
gboolean disk_iothreads_equal(const GPtrArray *a, const GPtrArray *b);
