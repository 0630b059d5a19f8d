/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <watchdog>: see def_watchdog.h. */
#include "driver/conf/def_watchdog.h"

#include "common/error.h"
#include "driver/conf/fields.h"
#include "driver/conf/supported.h"

ENUM_TABLE(watchdog_model, WatchdogModel, WATCHDOG_LAST, "i6300esb", "ib700", "diag288", "itco")
ENUM_TABLE(watchdog_action, WatchdogAction, WATCHDOG_ACTION_LAST, "reset", "shutdown", "poweroff", "pause",
           "dump", "none", "inject-nmi")

static const Field watchdog_fields[] = {
    FIELD_ENUM_ALWAYS(WatchdogDef, model, "model", watchdog_model, FIELD_REQUIRED,
                      .unknown = "unknown watchdog model"),
    FIELD_ENUM_ALWAYS(WatchdogDef, action, "action", watchdog_action, 0,
                      .unknown = "unknown watchdog action"),
    FIELD_END,
};

static gboolean watchdog_parse(DeviceInfo *dev, xmlNodePtr node, const DeviceContext *ctx, GError **error)
{
    return fields_parse(watchdog_fields, node, dev, error) && device_info_parse(dev, node, ctx->flags, error);
}

static void watchdog_format(XmlWriter *w, const DeviceInfo *dev, const DeviceFormat *fmt)
{
    xml_open(w, "watchdog");
    fields_format(w, watchdog_fields, dev);
    device_info_format(w, dev, fmt->flags);
    xml_close(w);
}

static gboolean watchdog_validate(const DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    const WatchdogDef *def = (const WatchdogDef *)dev;
    AddressType address = dev->address.type;
    const char *model = watchdog_model_to_string(def->model);

    (void)ctx;
    if (!supported_check(SUPPORTED_WATCHDOG_MODEL, model, "watchdog model", error))
        return FALSE;
    if (def->model == WATCHDOG_I6300ESB && address != ADDRESS_NONE && address != ADDRESS_PCI)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s model of watchdog can go only on PCI bus",
                         model);
    if (def->model == WATCHDOG_IB700 && address != ADDRESS_NONE && address != ADDRESS_ISA)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s model of watchdog can go only on ISA bus",
                         model);
    if (def->model == WATCHDOG_ITCO && address != ADDRESS_NONE)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "%s model of watchdog is part of the machine and cannot have any address set",
                         model);
    return TRUE;
}

static gboolean watchdog_matches(const DeviceInfo *dev, const DeviceInfo *wanted_dev)
{
    const WatchdogDef *def = (const WatchdogDef *)dev;
    const WatchdogDef *wanted = (const WatchdogDef *)wanted_dev;

    return def->model == wanted->model && def->action == wanted->action;
}

static guint watchdog_pci_connect(const DeviceInfo *dev, const DomainDef *domain)
{
    (void)domain;
    return ((const WatchdogDef *)dev)->model == WATCHDOG_I6300ESB
               ? PCI_CONNECT_CONVENTIONAL | PCI_CONNECT_HOTPLUG
               : PCI_CONNECT_NONE;
}

const DeviceDefOps watchdog_def_ops = {
    .kind = DEVICE_WATCHDOG,
    .size = sizeof(WatchdogDef),
    .parse = watchdog_parse,
    .format = watchdog_format,
    .validate = watchdog_validate,
    .matches = watchdog_matches,
    .match_by_address = TRUE,
    .pci_connect = watchdog_pci_connect,
};
