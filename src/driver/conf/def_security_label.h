/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <seclabel> of one source (disk or character device): formatdomain, "Security label". */
#pragma once

#include "common/xml.h"
#include "driver/conf/device_info.h"

typedef struct {
    char *model; /* NULL: every security driver */
    char *label;
    gboolean relabel;
    gboolean labelskip;
} SecurityLabel;

void security_label_free(SecurityLabel *label);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SecurityLabel, security_label_free)

/* Appends each <seclabel> child of node to *ret, which stays NULL when there is none. */
gboolean security_labels_parse(xmlNodePtr node, GPtrArray **ret, GError **error);
void security_labels_format(XmlWriter *w, const GPtrArray *labels, guint format_flags);
