/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The contract of one device element: one DeviceDefOps a kind, all collected in device_table.c. A device's
 * file def_<element>.{c,h} holds its struct (first member: DeviceInfo info), its enums, and its ops, and
 * knows no other device. All of it works on plain data: any thread, no global state, no I/O.
 */
#pragma once

#include "driver/conf/device_info.h"
#include "driver/conf/domain_env.h"

typedef struct DomainDef DomainDef;

/* What a device may look at while it is parsed or checked. */
typedef struct DeviceContext {
    guint flags; /* DomainDefParseFlags */
    const DomainDef *def; /* the domain it belongs to or will be attached to; NULL: unknown.
                           * While the domain itself is parsed: everything before <devices> is there,
                           * devices only those parsed before. */
    const DomainDefEnv *env; /* never NULL */
} DeviceContext;

typedef struct DeviceFormat {
    guint flags; /* DomainDefFormatFlags; INACTIVE is already added when def is not running */
    const DomainDef *def; /* may be NULL */
} DeviceFormat;

/* How a device meets the PCI buses (addresses are assigned by address_pci.c from this). */
typedef enum {
    PCI_CONNECT_NONE = 0, /* not a PCI device (as it is configured) */
    PCI_CONNECT_CONVENTIONAL = 1 << 0, /* plugs into a conventional PCI slot */
    PCI_CONNECT_EXPRESS = 1 << 1, /* plugs into a PCIe port */
    PCI_CONNECT_INTEGRATED = 1 << 2, /* iommu: sits on the root bus; a wish of others is not honoured */
    PCI_CONNECT_HOTPLUG = 1 << 3, /* wants a place where it can be unplugged */
    PCI_CONNECT_AGGREGATE = 1 << 4 /* may share a slot with its like (pcie-root-port, USB companions) */
} PciConnect;

typedef struct DeviceDefOps {
    DeviceKind kind;
    gsize size; /* of the struct; allocated zeroed with info.kind set by device_def_new() */
    gboolean single; /* libvirt reads only one of these a domain and calls a second an error */
    gboolean no_info; /* element without alias and address (lease, graphics, audio, redirfilter) */

    /* Values that are not zero when nothing is said. May be NULL. */
    void (*init)(DeviceInfo *dev);
    /* Reads the element into *dev (fresh from device_def_new()), calling device_info_parse() unless no_info.
     * Unknown children are ignored. VIR_ERR_XML_ERROR/XML_DETAIL naming element, attribute and value. */
    gboolean (*parse)(DeviceInfo *dev, xmlNodePtr node, const DeviceContext *ctx, GError **error);
    /* Writes the whole element as libvirt does (order!), calling device_info_format() unless no_info. */
    void (*format)(XmlWriter *w, const DeviceInfo *dev, const DeviceFormat *fmt);
    /* Fills in defaults that depend on the machine or on env (model, bus, driver name). Called for each
     * device once all are parsed (device_def_parse(): at once). May be NULL. */
    gboolean (*post_parse)(DeviceInfo *dev, const DeviceContext *ctx, GError **error);
    /* Wrong in itself, or understood and not supported: VIR_ERR_CONFIG_UNSUPPORTED / XML_ERROR naming the
     * element. ctx->def may be used when not NULL. May be NULL. */
    gboolean (*validate)(const DeviceInfo *dev, const DeviceContext *ctx, GError **error);
    /* Whether dev is the device that "wanted" (XML of a detach/update call) means, by libvirt's rule for the
     * kind. NULL: never found. Alias and address, when "wanted" gives them, are already compared by the
     * caller for kinds that say match_by_address. */
    gboolean (*matches)(const DeviceInfo *dev, const DeviceInfo *wanted);
    gboolean match_by_address; /* caller skips devs whose given address or alias differs before matches() */
    /* Whether dst may take the place of src without the guest noticing (same hardware).
     * VIR_ERR_CONFIG_UNSUPPORTED naming the difference. Address and alias are compared by the caller. May be
     * NULL: same when the formatted elements are equal. */
    gboolean (*check_abi)(const DeviceInfo *src, const DeviceInfo *dst, GError **error);
    /* Frees what the struct points to; DeviceInfo and the struct are freed by device_def_free(). May be NULL.
     */
    void (*clear)(DeviceInfo *dev);
    /* PCI_CONNECT_* of this device as configured, NONE for other buses. NULL: never PCI. */
    guint (*pci_connect)(const DeviceInfo *dev, const DomainDef *def);
} DeviceDefOps;

/* device_table.c */
const DeviceDefOps *device_def_ops(DeviceKind kind);
/* The kind of a <devices> child: -1 when it is none we know. */
int device_kind_of_element(xmlNodePtr node);

/* A device with everything at its default; kind's struct, freed with device_def_free(). */
DeviceInfo *device_def_new(DeviceKind kind);
void device_def_free(DeviceInfo *dev);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DeviceInfo, device_def_free)

/* One element: parse only (no post-parse, no validation); for use inside a domain. */
DeviceInfo *device_def_parse_node(xmlNodePtr node, const DeviceContext *ctx, GError **error);
/* A device's XML as the attach, detach and update calls take it: parse, post-parse and (unless SKIP_VALIDATE)
 * validation in the light of def, which may be NULL. */
DeviceInfo *device_def_parse(const char *text, const DomainDef *def, const DomainDefEnv *env, guint flags,
                             GError **error);
void device_def_format_into(XmlWriter *w, const DeviceInfo *dev, const DeviceFormat *fmt);
/* The element as text. def may be NULL. Caller frees. */
char *device_def_format(const DeviceInfo *dev, const DomainDef *def, guint flags);
/* Deep copy, live data included. */
DeviceInfo *device_def_copy(const DeviceInfo *dev, const DomainDef *def, const DomainDefEnv *env,
                            GError **error);

/* For the files of the devices: <driver iommu= ats= packed= page_per_vq=> shared by all virtio devices. */
typedef struct VirtioOptions {
    Tristate iommu, ats, packed, page_per_vq;
} VirtioOptions;
gboolean virtio_options_parse(VirtioOptions *options, xmlNodePtr driver,
                              GError **error); /* driver may be NULL */
gboolean virtio_options_given(const VirtioOptions *options);
