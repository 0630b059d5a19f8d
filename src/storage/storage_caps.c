/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What this driver can do with which kind of pool. */
#define ERROR_FROM VIR_FROM_STORAGE

#include "common/error.h"
#include "storage/storage_ops.h"

static void format_volume_options(XmlWriter *w)
{
    xml_open(w, "volOptions");
    xml_open(w, "defaultFormat");
    xml_attr(w, "type", volume_format_to_string(VOLUME_FORMAT_RAW));
    xml_close(w);
    xml_open(w, "enum");
    xml_attr(w, "name", "targetFormatType");
    for (int i = VOLUME_FORMAT_NONE; i < VOLUME_FORMAT_LAST; i++)
        xml_element_text(w, "value", volume_format_to_string((VolumeFormat)i));
    xml_close(w);
    xml_close(w);
}

char *storage_capabilities_xml(void)
{
    XmlWriter *w = xml_writer_new(0);

    xml_open(w, "storagepoolCapabilities");
    for (int i = 0; i < POOL_TYPE_LAST; i++) {
        const PoolOps *ops = pool_ops_for_type((PoolType)i);

        xml_open(w, "pool");
        xml_attr(w, "type", pool_type_to_string((PoolType)i));
        xml_attr(w, "supported", ops != NULL ? "yes" : "no");
        if (ops != NULL)
            format_volume_options(w);
        xml_close(w);
    }
    xml_close(w);
    return xml_writer_finish(w);
}

char *storage_find_sources(const char *type, GError **error)
{
    int value = pool_type_from_string(type);

    if (value < 0)
        error_set(error, VIR_ERR_INTERNAL_ERROR, "unknown storage pool type %s", type);
    else if (pool_ops_for_type((PoolType)value) == NULL)
        error_set(error, VIR_ERR_NO_SUPPORT, "storage pools of type '%s' are not supported by this driver",
                  type);
    else
        error_set(error, VIR_ERR_NO_SUPPORT, "pool type '%s' does not support source discovery", type);
    return NULL;
}
