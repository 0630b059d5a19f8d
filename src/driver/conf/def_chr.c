/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <serial>, <parallel>, <console>, <channel>: see def_chr.h. */
#include "driver/conf/def_chr.h"

#include <arpa/inet.h>
#include <string.h>

#include "common/error.h"
#include "driver/conf/domain_def.h"
#include "driver/conf/supported.h"

ENUM_TABLE(serial_target, SerialTarget, SERIAL_TARGET_LAST, "none", "isa-serial", "usb-serial", "pci-serial",
           "spapr-vio-serial", "system-serial", "sclp-serial", "isa-debug")
ENUM_TABLE(serial_model, SerialModel, SERIAL_MODEL_LAST, "none", "isa-serial", "usb-serial", "pci-serial",
           "spapr-vty", "pl011", "sclpconsole", "sclplmconsole", "16550a", "isa-debugcon")
ENUM_TABLE(console_target, ConsoleTarget, CONSOLE_TARGET_LAST, "none", "serial", "xen", "uml", "virtio",
           "lxc", "openvz", "sclp", "sclplm")
ENUM_TABLE(channel_target, ChannelTarget, CHANNEL_TARGET_LAST, "none", "guestfwd", "virtio", "xen")
ENUM_TABLE(channel_state, ChannelState, CHANNEL_STATE_LAST, "default", "connected", "disconnected")

static void chr_init(DeviceInfo *dev)
{
    ChrDef *def = (ChrDef *)dev;

    def->source.type = CHR_TYPE_PTY;
    def->port = -1;
}

/* Words of a target's type, by kind; NULL: the kind has no types. */
static int target_from_string(DeviceKind kind, const char *type)
{
    switch (kind) {
    case DEVICE_SERIAL:
        return serial_target_from_string(type);
    case DEVICE_CONSOLE:
        return console_target_from_string(type);
    case DEVICE_CHANNEL:
        return channel_target_from_string(type);
    default:
        return 0;
    }
}

static const char *target_text(const ChrDef *def)
{
    switch (def->info.kind) {
    case DEVICE_SERIAL:
        return def->target.serial != SERIAL_TARGET_NONE ? serial_target_to_string(def->target.serial) : NULL;
    case DEVICE_CONSOLE:
        return console_target_to_string(def->target.console);
    case DEVICE_CHANNEL:
        return channel_target_to_string(def->target.channel);
    default:
        return NULL;
    }
}

static gboolean parse_guestfwd(ChrDef *def, xmlNodePtr target, GError **error)
{
    struct in_addr ignored;
    guint port = 0;

    def->address = xml_get_attr(target, "address");
    if (def->address == NULL)
        return error_set(error, VIR_ERR_XML_ERROR, "guestfwd channel does not define a target address");
    if (inet_pton(AF_INET, def->address, &ignored) != 1)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "guestfwd channel only supports IPv4 addresses, not '%s'", def->address);
    if (!xml_attr_get_uint(target, "port", XML_REQUIRED | XML_NONZERO, &port, error))
        return FALSE;
    if (port > G_MAXUINT16)
        return error_set(error, VIR_ERR_XML_ERROR, "guestfwd channel: port %u is out of range", port);
    def->port = (int)port;
    return TRUE;
}

static gboolean parse_target(ChrDef *def, xmlNodePtr target, guint flags, GError **error)
{
    DeviceKind kind = def->info.kind;
    g_autofree char *type = xml_get_attr(target, "type");
    xmlNodePtr model = xml_child(target, "model");

    if (type != NULL) {
        def->target.any = target_from_string(kind, type);
        if (def->target.any < 0)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "unknown target type '%s' specified for character device", type);
    }
    if (kind == DEVICE_SERIAL && model != NULL) {
        g_autofree char *name = xml_get_attr(model, "name");
        int value = serial_model_from_string(name);

        if (name != NULL && value < 0)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "unknown target model '%s' specified for character device", name);
        def->model = value > 0 ? value : SERIAL_MODEL_NONE;
    }
    if (kind == DEVICE_CHANNEL) {
        if (def->target.channel == CHANNEL_TARGET_GUESTFWD)
            return parse_guestfwd(def, target, error);
        def->name = xml_get_attr(target, "name");
        return (flags & DOMAIN_DEF_PARSE_INACTIVE) || def->target.channel != CHANNEL_TARGET_VIRTIO ||
               xml_attr_get_enum(target, "state", channel_state_from_string, XML_NONZERO, (int *)&def->state,
                                 error);
    }
    return xml_attr_get_int(target, "port", XML_OPTIONAL, &def->port, error);
}

static gboolean chr_parse(DeviceInfo *dev, xmlNodePtr node, const DeviceContext *ctx, GError **error)
{
    ChrDef *def = (ChrDef *)dev;
    xmlNodePtr target = xml_child(node, "target");

    if (target != NULL && !parse_target(def, target, ctx->flags, error))
        return FALSE;
    if (dev->kind == DEVICE_CHANNEL && def->target.channel == CHANNEL_TARGET_NONE)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "target type must be specified for character device <channel>");
    if (def->port < -1)
        return error_set(error, VIR_ERR_XML_ERROR, "Invalid port number: %d", def->port);
    if (!chr_source_parse(node, &def->source, ctx->flags, error))
        return FALSE;
    if (def->source.type == CHR_TYPE_SPICEVMC &&
        (dev->kind != DEVICE_CHANNEL || def->target.channel != CHANNEL_TARGET_VIRTIO))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "spicevmc device type only supports virtio");
    return device_info_parse(dev, node, ctx->flags, error);
}

static void format_target(XmlWriter *w, const ChrDef *def, guint flags)
{
    xml_open(w, "target");
    xml_attr(w, "type", target_text(def));
    if (def->info.kind == DEVICE_CHANNEL) {
        xml_attr(w, "address", def->address);
        if (def->target.channel == CHANNEL_TARGET_GUESTFWD)
            xml_attr_printf(w, "port", "%d", def->port);
        xml_attr(w, "name", def->name);
        if (def->state != CHANNEL_STATE_DEFAULT && !(flags & DOMAIN_DEF_FORMAT_INACTIVE))
            xml_attr(w, "state", channel_state_to_string(def->state));
    } else {
        xml_attr_printf(w, "port", "%d", def->port);
    }
    if (def->info.kind == DEVICE_SERIAL && def->model != SERIAL_MODEL_NONE) {
        xml_open(w, "model");
        xml_attr(w, "name", serial_model_to_string(def->model));
        xml_close(w);
    }
    xml_close(w);
}

static void chr_format(XmlWriter *w, const DeviceInfo *dev, const DeviceFormat *fmt)
{
    const ChrDef *def = (const ChrDef *)dev;

    xml_open(w, device_kind_to_string(dev->kind));
    chr_source_format_type(w, &def->source);
    /* The first console's pty also stands in the attribute that clients before 2007 look at. */
    if (dev->kind == DEVICE_CONSOLE && def->port == 0 && def->source.type == CHR_TYPE_PTY &&
        !(fmt->flags & DOMAIN_DEF_FORMAT_INACTIVE))
        xml_attr(w, "tty", def->source.path);
    chr_source_format_children(w, &def->source, fmt->flags);
    format_target(w, def, fmt->flags);
    device_info_format(w, dev, fmt->flags);
    xml_close(w);
}

static int next_port(const DomainDef *def, const DeviceInfo *dev)
{
    int highest = -1;

    for (guint i = 0; def != NULL && i < domain_def_n(def, dev->kind); i++) {
        const ChrDef *other = domain_def_get(def, dev->kind, i);

        if (&other->info != dev)
            highest = MAX(highest, other->port);
    }
    return highest + 1;
}

/* Address of the device decides what a serial port without type is. */
static SerialTarget serial_target_for(const DeviceInfo *dev)
{
    switch (dev->address.type) {
    case ADDRESS_USB:
        return SERIAL_TARGET_USB;
    case ADDRESS_PCI:
        return SERIAL_TARGET_PCI;
    default:
        return SERIAL_TARGET_ISA;
    }
}

static SerialModel serial_model_for(SerialTarget target)
{
    switch (target) {
    case SERIAL_TARGET_ISA:
        return SERIAL_MODEL_ISA_SERIAL;
    case SERIAL_TARGET_USB:
        return SERIAL_MODEL_USB_SERIAL;
    case SERIAL_TARGET_PCI:
        return SERIAL_MODEL_PCI_SERIAL;
    case SERIAL_TARGET_ISA_DEBUG:
        return SERIAL_MODEL_ISA_DEBUGCON;
    default:
        return SERIAL_MODEL_NONE;
    }
}

/* Whether libvirt or we made this path up for a run: a live XML that is defined again names sockets of its run. */
static gboolean is_made_up(const DomainDefEnv *env, const char *path, const char *name)
{
    /* Those of libvirt's own daemons mean nothing here, whatever host a definition comes from. */
    const char *const folders[] = {env->run_dir, "/var/lib/libvirt/qemu/channel/", "/run/libvirt/qemu/channel/"};
    g_autofree char *folder = g_path_get_dirname(path);
    g_autofree char *file = g_path_get_basename(path);
    const char *domain;

    for (gsize i = 0; i < G_N_ELEMENTS(folders); i++) {
        if (folders[i] != NULL && g_str_has_prefix(path, folders[i]))
            return TRUE;
    }
    /* Any other folder that a libvirt may be set to: FOLDER/domain-NAME/TARGET. */
    domain = strstr(strrchr(folder, '/') != NULL ? strrchr(folder, '/') : folder, "domain-");
    return g_strcmp0(file, name) == 0 && domain != NULL && domain[strlen("domain-")] != '\0';
}

/* A channel without a path has one made for it, and then it listens. */
static void fill_channel_socket(ChrDef *def, const DeviceContext *ctx)
{
    ChrSource *source = &def->source;

    if (def->target.channel != CHANNEL_TARGET_VIRTIO || source->type != CHR_TYPE_UNIX ||
        !(ctx->flags & DOMAIN_DEF_PARSE_INACTIVE))
        return;
    if (source->path != NULL && is_made_up(ctx->env, source->path, def->name))
        g_clear_pointer(&source->path, g_free);
    if (source->path == NULL)
        source->mode = CHR_MODE_BIND;
}

static gboolean chr_post_parse(DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    ChrDef *def = (ChrDef *)dev;

    (void)error;
    if (dev->kind == DEVICE_CONSOLE && def->target.console == CONSOLE_TARGET_NONE)
        def->target.console = CONSOLE_TARGET_SERIAL;
    if (dev->kind != DEVICE_CHANNEL && def->port == -1)
        def->port = next_port(ctx->def, dev);
    if (dev->kind == DEVICE_CHANNEL)
        fill_channel_socket(def, ctx);
    if (dev->kind != DEVICE_SERIAL)
        return TRUE;
    if (def->target.serial == SERIAL_TARGET_NONE)
        def->target.serial = serial_target_for(dev);
    if (def->model == SERIAL_MODEL_NONE)
        def->model = serial_model_for(def->target.serial);
    return TRUE;
}

static gboolean validate_serial(const ChrDef *def, GError **error)
{
    static const AddressType address_of[SERIAL_TARGET_LAST] = {
        [SERIAL_TARGET_ISA] = ADDRESS_ISA,
        [SERIAL_TARGET_USB] = ADDRESS_USB,
        [SERIAL_TARGET_PCI] = ADDRESS_PCI,
        [SERIAL_TARGET_ISA_DEBUG] = ADDRESS_ISA,
    };
    SerialTarget target = def->target.serial;
    AddressType address = def->info.address.type;

    if (target == SERIAL_TARGET_NONE)
        return TRUE;
    if (address_of[target] == ADDRESS_NONE)
        return error_set(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            "serial target type '%s' is not supported on x86_64; supported are isa-serial, usb-serial, "
            "pci-serial, isa-debug",
            serial_target_to_string(target));
    if (def->model != SERIAL_MODEL_NONE && def->model != serial_model_for(target))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "Target model '%s' requires a target type other than '%s'",
                         serial_model_to_string(def->model), serial_target_to_string(target));
    if (address != ADDRESS_NONE && address != address_of[target])
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "Target type '%s' cannot have an associated address of type '%s'",
                         serial_target_to_string(target), address_type_to_string(address));
    return TRUE;
}

static gboolean chr_validate(const DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    const ChrDef *def = (const ChrDef *)dev;
    gboolean virtio_channel = dev->kind == DEVICE_CHANNEL && def->target.channel == CHANNEL_TARGET_VIRTIO;

    (void)ctx;
    if (virtio_channel && def->source.type == CHR_TYPE_UNIX && def->source.path == NULL &&
        def->source.reconnect.enabled == TRISTATE_YES && def->source.mode == CHR_MODE_BIND)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "chardev reconnect is possible only for connect mode");
    /* A channel's socket gets its path when the domain starts. */
    if (!(virtio_channel && def->source.type == CHR_TYPE_UNIX && def->source.path == NULL) &&
        !chr_source_validate(&def->source, device_kind_to_string(dev->kind), error))
        return FALSE;
    if (dev->kind == DEVICE_SERIAL)
        return validate_serial(def, error);
    if (dev->kind == DEVICE_CONSOLE && def->target.console != CONSOLE_TARGET_SERIAL &&
        def->target.console != CONSOLE_TARGET_VIRTIO)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "console target type '%s' is not supported; supported are serial, virtio",
                         console_target_to_string(def->target.console));
    if (dev->kind == DEVICE_CHANNEL) {
        if (def->target.channel == CHANNEL_TARGET_XEN)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "channel target type 'xen' is not supported; supported are virtio, guestfwd");
        return supported_check(SUPPORTED_CHANNEL_TYPE, chr_type_to_string(def->source.type), "channel type",
                               error);
    }
    return TRUE;
}

/* libvirt: same source and same target, wherever it is. */
static gboolean chr_matches(const DeviceInfo *dev, const DeviceInfo *wanted_dev)
{
    const ChrDef *def = (const ChrDef *)dev;
    const ChrDef *wanted = (const ChrDef *)wanted_dev;

    /* The socket of a running channel that was given none was chosen for it. */
    gboolean chosen = dev->kind == DEVICE_CHANNEL && wanted->source.type == CHR_TYPE_UNIX &&
                      def->source.type == CHR_TYPE_UNIX && wanted->source.path == NULL;

    if ((!chosen && !chr_source_equal(&def->source, &wanted->source)) || def->target.any != wanted->target.any)
        return FALSE;
    if (dev->kind != DEVICE_CHANNEL)
        return wanted->port == -1 || def->port == wanted->port;
    return g_strcmp0(def->name, wanted->name) == 0 && g_strcmp0(def->address, wanted->address) == 0 &&
           def->port == wanted->port;
}

static void chr_clear(DeviceInfo *dev)
{
    ChrDef *def = (ChrDef *)dev;

    chr_source_clear(&def->source);
    g_free(def->name);
    g_free(def->address);
}

static guint chr_pci_connect(const DeviceInfo *dev, const DomainDef *domain)
{
    (void)domain;
    return dev->kind == DEVICE_SERIAL && ((const ChrDef *)dev)->target.serial == SERIAL_TARGET_PCI
               ? PCI_CONNECT_CONVENTIONAL | PCI_CONNECT_HOTPLUG
               : PCI_CONNECT_NONE;
}

gboolean chr_is_serial_console(const ChrDef *def)
{
    return def->info.kind == DEVICE_CONSOLE &&
           (def->target.console == CONSOLE_TARGET_SERIAL || def->target.console == CONSOLE_TARGET_NONE);
}

#define CHR_OPS(kind_)                                                                                       \
    {                                                                                                        \
        .kind = (kind_), .size = sizeof(ChrDef), .init = chr_init, .parse = chr_parse, .format = chr_format, \
        .post_parse = chr_post_parse, .validate = chr_validate, .matches = chr_matches, .clear = chr_clear,  \
        .pci_connect = chr_pci_connect                                                                       \
    }
const DeviceDefOps serial_def_ops = CHR_OPS(DEVICE_SERIAL);
const DeviceDefOps parallel_def_ops = CHR_OPS(DEVICE_PARALLEL);
const DeviceDefOps console_def_ops = CHR_OPS(DEVICE_CONSOLE);
const DeviceDefOps channel_def_ops = CHR_OPS(DEVICE_CHANNEL);
