/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <redirfilter>: see def_redirfilter.h. */
#include "driver/conf/def_redirfilter.h"

#include <stdio.h>
#include <string.h>

#include "common/error.h"

#define USBDEVS_MAX 4096

static void redirfilter_init(DeviceInfo *dev)
{
    ((RedirfilterDef *)dev)->usbdevs = g_ptr_array_new_with_free_func(g_free);
}

static gboolean parse_number(xmlNodePtr node, const char *name, guint64 max, int *ret, GError **error)
{
    g_autofree char *text = xml_get_attr(node, name);
    guint64 value = 0;

    if (text == NULL || strcmp(text, "-1") == 0)
        return TRUE;
    if (!xml_attr_get_hex(node, name, XML_OPTIONAL, &value, error))
        return FALSE;
    if (value > max)
        return error_set(error, VIR_ERR_XML_ERROR, "invalid USB %s code %s in <usbdev>", name, text);
    *ret = (int)value;
    return TRUE;
}

/* "2.10" into 0x0210: two decimal digits on each side of the dot. */
static gboolean parse_version(xmlNodePtr node, int *ret, GError **error)
{
    g_autofree char *text = xml_get_attr(node, "version");
    guint major, minor;
    int dot = 0, end = 0;

    if (text == NULL || strcmp(text, "-1") == 0)
        return TRUE;
    if (sscanf(text, "%2u.%n%2u%n", &major, &dot, &minor, &end) != 2 || text[end] != '\0')
        return error_set(error, VIR_ERR_XML_ERROR, "Cannot parse USB version %s", text);
    if (end - dot == 1) /* "9.4" is 9.40 */
        minor *= 10;
    *ret = (int)((major / 10) << 12 | (major % 10) << 8 | (minor / 10) << 4 | (minor % 10));
    return TRUE;
}

static gboolean redirfilter_parse(DeviceInfo *dev, xmlNodePtr node, const DeviceContext *ctx, GError **error)
{
    RedirfilterDef *def = (RedirfilterDef *)dev;

    (void)ctx;
    XML_FOREACH(child, node, "usbdev")
    {
        RedirfilterUsbdev *usbdev = g_new0(RedirfilterUsbdev, 1);
        Tristate allow = TRISTATE_ABSENT;

        g_ptr_array_add(def->usbdevs, usbdev);
        if (def->usbdevs->len > USBDEVS_MAX)
            return error_set(error, VIR_ERR_XML_ERROR, "<redirfilter> has more than %d rules", USBDEVS_MAX);
        usbdev->usb_class = usbdev->vendor = usbdev->product = usbdev->version = -1;
        if (!parse_number(child, "class", 0xff, &usbdev->usb_class, error) ||
            !parse_number(child, "vendor", 0xffff, &usbdev->vendor, error) ||
            !parse_number(child, "product", 0xffff, &usbdev->product, error) ||
            !parse_version(child, &usbdev->version, error) ||
            !xml_attr_get_yes_no(child, "allow", XML_REQUIRED, &allow, error))
            return FALSE;
        usbdev->allow = allow == TRISTATE_YES;
    }
    return TRUE;
}

static void redirfilter_format(XmlWriter *w, const DeviceInfo *dev, const DeviceFormat *fmt)
{
    const RedirfilterDef *def = (const RedirfilterDef *)dev;

    (void)fmt;
    if (def->usbdevs->len == 0)
        return;
    xml_open(w, "redirfilter");
    for (guint i = 0; i < def->usbdevs->len; i++) {
        const RedirfilterUsbdev *usbdev = g_ptr_array_index(def->usbdevs, i);
        guint version = (guint)usbdev->version;

        xml_open(w, "usbdev");
        if (usbdev->usb_class >= 0)
            xml_attr_printf(w, "class", "0x%02X", (guint)usbdev->usb_class);
        if (usbdev->vendor >= 0)
            xml_attr_printf(w, "vendor", "0x%04X", (guint)usbdev->vendor);
        if (usbdev->product >= 0)
            xml_attr_printf(w, "product", "0x%04X", (guint)usbdev->product);
        if (usbdev->version >= 0)
            xml_attr_printf(w, "version", "%u.%02u", (version >> 12 & 0xf) * 10 + (version >> 8 & 0xf),
                            (version >> 4 & 0xf) * 10 + (version & 0xf));
        xml_attr(w, "allow", usbdev->allow ? "yes" : "no");
        xml_close(w);
    }
    xml_close(w);
}

static void redirfilter_clear(DeviceInfo *dev)
{
    g_ptr_array_unref(((RedirfilterDef *)dev)->usbdevs);
}

const DeviceDefOps redirfilter_def_ops = {
    .kind = DEVICE_REDIRFILTER,
    .size = sizeof(RedirfilterDef),
    .single = TRUE,
    .no_info = TRUE,
    .init = redirfilter_init,
    .parse = redirfilter_parse,
    .format = redirfilter_format,
    .clear = redirfilter_clear,
};
