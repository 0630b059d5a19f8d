/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See domcaps_xml.h. */
#include "driver/host/domcaps_xml.h"

void domcaps_open(XmlWriter *w, const char *name, gboolean supported)
{
    xml_open(w, name);
    xml_attr(w, "supported", supported ? "yes" : "no");
}

void domcaps_empty(XmlWriter *w, const char *name, gboolean supported)
{
    domcaps_open(w, name, supported);
    xml_close(w);
}

void domcaps_open_enum(XmlWriter *w, const char *name)
{
    xml_open(w, "enum");
    xml_attr(w, "name", name);
}

void domcaps_enum(XmlWriter *w, const char *name, const char *const *values)
{
    domcaps_open_enum(w, name);
    for (; *values != NULL; values++)
        xml_element_text(w, "value", *values);
    xml_close(w);
}

void domcaps_enum_of(XmlWriter *w, const char *name, Supported what, DomcapsHas has, gconstpointer opaque)
{
    domcaps_open_enum(w, name);
    for (const char *const *value = supported_values(what); *value != NULL; value++) {
        if (has(opaque, what, *value))
            xml_element_text(w, "value", *value);
    }
    xml_close(w);
}

void domcaps_device(XmlWriter *w, const char *element, const char *const *names, const Supported *what, DomcapsHas has,
                    gconstpointer opaque)
{
    gboolean any = FALSE;

    for (const char *const *value = supported_values(what[0]); *value != NULL; value++)
        any = any || has(opaque, what[0], *value);
    domcaps_open(w, element, any);
    for (guint i = 0; any && names[i] != NULL; i++)
        domcaps_enum_of(w, names[i], what[i], has, opaque);
    xml_close(w);
}
