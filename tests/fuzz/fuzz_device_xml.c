/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Device XML of the attach, detach and update calls: whatever is accepted must be written, read again, and be
 * the same. */
#include <stdint.h>
#include <string.h>

#include "driver/conf/def_disk.h"
#include "driver/conf/domain_def.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    g_autofree char *first = NULL;
    g_autofree char *second = NULL;
    g_autoptr(DeviceInfo) dev = device_def_parse(text, NULL, NULL, DOMAIN_DEF_PARSE_SKIP_VALIDATE, NULL);
    g_autoptr(DeviceInfo) again = NULL;

    /* With the checks: may be refused, must not fall over. */
    device_def_free(device_def_parse(text, NULL, NULL, DOMAIN_DEF_PARSE_INACTIVE, NULL));
    if (dev == NULL)
        return 0;
    first = device_def_format(dev, NULL, DOMAIN_DEF_FORMAT_SECURE);
    if (first == NULL || *first == '\0')
        return 0;
    again = device_def_parse(first, NULL, NULL, DOMAIN_DEF_PARSE_SKIP_VALIDATE, NULL);
    g_assert_nonnull(again);
    second = device_def_format(again, NULL, DOMAIN_DEF_FORMAT_SECURE);
    /* Without an image there is no <source> to say of what type it is, and so it is read as a file, as by libvirt. */
    if (dev->kind != DEVICE_DISK || !storage_source_is_empty(((DiskDef *)dev)->source))
        g_assert_cmpstr(first, ==, second);
    if (device_def_ops(dev->kind)->matches != NULL)
        device_def_ops(dev->kind)->matches(dev, again);
    return 0;
}
