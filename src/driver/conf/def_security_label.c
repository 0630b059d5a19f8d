/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <seclabel> of a source: see def_security_label.h. */
#include "driver/conf/def_security_label.h"

#include "common/error.h"
#include "driver/conf/fields.h"

static const Field security_label_fields[] = {
    FIELD_STR(SecurityLabel, model, "model"),
    FIELD_YES(SecurityLabel, labelskip, "labelskip"),
    FIELD_END,
};

void security_label_free(SecurityLabel *label)
{
    if (label == NULL)
        return;
    g_free(label->model);
    g_free(label->label);
    g_free(label);
}

gboolean security_labels_parse(xmlNodePtr node, GPtrArray **ret, GError **error)
{
    XML_FOREACH(child, node, "seclabel")
    {
        g_autoptr(SecurityLabel) label = g_new0(SecurityLabel, 1);
        Tristate relabel = TRISTATE_ABSENT;

        if (!fields_parse(security_label_fields, child, label, error) ||
            !xml_attr_get_yes_no(child, "relabel", XML_OPTIONAL, &relabel, error))
            return FALSE;
        label->relabel = relabel != TRISTATE_NO;
        for (guint i = 0; label->model != NULL && *ret != NULL && i < (*ret)->len; i++) {
            if (g_strcmp0(label->model, ((SecurityLabel *)g_ptr_array_index(*ret, i))->model) == 0)
                return error_set(error, VIR_ERR_XML_DETAIL, "seclabel for model %s is already provided", label->model);
        }
        label->label = xml_get_child_text(child, "label");
        if (label->label != NULL && !label->relabel)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "Cannot specify a label if relabelling is turned off. model=%s",
                             label->model != NULL ? label->model : "NULL");
        if (*ret == NULL)
            *ret = g_ptr_array_new_with_free_func((GDestroyNotify)security_label_free);
        g_ptr_array_add(*ret, g_steal_pointer(&label));
    }
    return TRUE;
}

void security_labels_format(XmlWriter *w, const GPtrArray *labels, guint format_flags)
{
    for (guint i = 0; labels != NULL && i < labels->len; i++) {
        const SecurityLabel *label = g_ptr_array_index(labels, i);

        if ((format_flags & DOMAIN_DEF_FORMAT_INACTIVE) && label->label == NULL && label->relabel)
            continue;
        xml_open(w, "seclabel");
        xml_attr(w, "model", label->model);
        if (label->labelskip)
            xml_attr(w, "labelskip", "yes");
        else
            xml_attr(w, "relabel", label->relabel ? "yes" : "no");
        xml_element_text(w, "label", label->label);
        xml_close(w);
    }
}
