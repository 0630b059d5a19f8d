/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Devices behind which another program or a piece of the host stands: TPM, smart cards, USB redirection, shared memory,
 * host devices, crypto. */
#include <string.h>

#include "driver/backend/qemu_args_priv.h"
#include "driver/conf/def_crypto.h"
#include "driver/conf/def_hostdev.h"
#include "driver/conf/def_redirdev.h"
#include "driver/conf/def_redirfilter.h"
#include "driver/conf/def_shmem.h"
#include "driver/conf/def_smartcard.h"
#include "driver/conf/def_tpm.h"

#define ISCSI_PORT 3260
#define NSS_DATABASE "/etc/pki/nssdb"

gboolean args_add_device(QemuBuilder *b, json_t *props, const DeviceInfo *info, GError **error)
{
    if (!device_finish(b->def, props, info, error) ||
        !args_require_device(b, json_string_value(json_object_get(props, "driver")),
                             device_kind_to_string(info->kind), error)) {
        json_decref(props);
        return FALSE;
    }
    args_add_json(b, "-device", props);
    return TRUE;
}

/* --- TPM --- */

static gboolean add_tpm(QemuBuilder *b, const TpmDef *tpm, GError **error)
{
    g_autofree char *id = g_strconcat("tpm-", tpm->info.alias, NULL);
    g_autofree char *path = args_escape(tpm->device != NULL ? tpm->device : "");
    json_t *props = device_props(tpm_model_to_string(tpm->model));

    prop_str(props, "tpmdev", id);
    switch (tpm->backend) {
    case TPM_PASSTHROUGH:
        args_add(b, "-tpmdev", "passthrough,id=%s,path=%s", id, path);
        break;
    case TPM_EMULATOR: /* one end of a socket pair, the other is swtpm's */
        args_add(b, "-chardev", "socket,id=chrtpm,fd=%d", args_pass_fd(b, b->context->tpm_fd));
        args_add(b, "-tpmdev", "emulator,id=%s,chardev=chrtpm", id);
        break;
    default: {
        g_autofree char *socket = args_escape(tpm->source.path);

        args_add(b, "-chardev", "socket,id=chrtpm,path=%s", socket);
        args_add(b, "-tpmdev", "emulator,id=%s,chardev=chrtpm", id);
        break;
    }
    }
    return args_add_device(b, props, &tpm->info, error);
}

/* --- smart cards, USB redirection --- */

static gboolean add_smartcard(QemuBuilder *b, const SmartcardDef *card, GError **error)
{
    g_autofree char *chardev = g_strconcat("char", card->info.alias, NULL);
    const guint index = card->info.address.u.ccid.controller;
    const ControllerDef *reader = find_controller(b->def, CONTROLLER_CCID, index);
    g_autofree char *bus = reader != NULL ? g_strconcat(reader->info.alias, ".0", NULL) : NULL;
    json_t *props;

    if (reader == NULL)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "Unable to find '%s' controller with index %u", "ccid", index);
    if (card->mode == SMARTCARD_PASSTHROUGH) {
        if (!args_chardev(b, &card->source, card->info.alias, error))
            return FALSE;
        props = device_props("ccid-card-passthru");
        prop_str(props, "chardev", chardev);
    } else {
        props = device_props("ccid-card-emulated");
        prop_str(props, "backend", card->mode == SMARTCARD_HOST ? "nss-emulated" : "certificates");
        for (int i = 0; card->mode == SMARTCARD_HOST_CERTIFICATES && i < SMARTCARD_CERTIFICATES; i++) {
            g_autofree char *key = g_strdup_printf("cert%d", i + 1);

            prop_str(props, key, card->certificates[i]);
        }
        if (card->mode == SMARTCARD_HOST_CERTIFICATES)
            prop_str(props, "db", card->database != NULL ? card->database : NSS_DATABASE);
    }
    prop_str(props, "bus", bus);
    return args_add_device(b, props, &card->info, error);
}

static void filter_number(GString *text, int value, const char *format)
{
    if (value < 0)
        g_string_append(text, "-1");
    else if (strcmp(format, "02") == 0)
        g_string_append_printf(text, "0x%02X", (guint)value);
    else
        g_string_append_printf(text, "0x%04X", (guint)value);
    g_string_append_c(text, ':');
}

/* "class:vendor:product:version:allow|...". Caller frees; NULL when there is no filter. */
static char *redirection_filter(const DomainDef *def)
{
    const RedirfilterDef *filter = DOMAIN_DEF_SINGLE(RedirfilterDef, def, DEVICE_REDIRFILTER);
    GString *text;

    if (filter == NULL || filter->usbdevs->len == 0)
        return NULL;
    text = g_string_new(NULL);
    for (guint i = 0; i < filter->usbdevs->len; i++) {
        const RedirfilterUsbdev *rule = filter->usbdevs->pdata[i];

        if (i > 0)
            g_string_append_c(text, '|');
        filter_number(text, rule->usb_class, "02");
        filter_number(text, rule->vendor, "04");
        filter_number(text, rule->product, "04");
        filter_number(text, rule->version, "04");
        g_string_append_c(text, rule->allow ? '1' : '0');
    }
    return g_string_free(text, FALSE);
}

gboolean args_redirdev(QemuBuilder *b, const RedirdevDef *redirdev, GError **error)
{
    g_autofree char *chardev = g_strconcat("char", redirdev->info.alias, NULL);
    g_autofree char *filter = redirection_filter(b->def);
    json_t *props;

    if (!args_chardev(b, &redirdev->source, redirdev->info.alias, error))
        return FALSE;
    props = device_props("usb-redir");
    prop_str(props, "chardev", chardev);
    prop_str(props, "filter", filter);
    return args_add_device(b, props, &redirdev->info, error);
}

/* --- shared memory, crypto --- */

gboolean args_shmem(QemuBuilder *b, const ShmemDef *shmem, GError **error)
{
    g_autofree char *chardev = g_strconcat("char", shmem->info.alias, NULL);
    g_autofree char *memory = g_strconcat("shmmem-", shmem->info.alias, NULL);
    g_autofree char *path = g_strconcat("/dev/shm/", shmem->name, NULL);
    json_t *props = device_props(shmem_model_to_string(shmem->model));

    if (shmem->model == SHMEM_PLAIN) {
        args_add_json(b, "-object",
                      json_pack("{s:s, s:s, s:s, s:I, s:b}", "qom-type", "memory-backend-file", "id", memory,
                                "mem-path", path, "size", (json_int_t)shmem->size, "share", TRUE));
        prop_str(props, "memdev", memory);
        if (shmem->role != SHMEM_ROLE_DEFAULT)
            prop_str(props, "master", shmem->role == SHMEM_ROLE_MASTER ? "on" : "off");
    } else {
        ChrSource server = {.type = CHR_TYPE_UNIX, .mode = CHR_MODE_CONNECT};
        g_autofree char *socket = shmem->server_path != NULL
                                      ? g_strdup(shmem->server_path)
                                      : g_strdup_printf("/var/lib/libvirt/shmem-%s-sock", shmem->name);

        server.path = socket;
        if (!args_chardev(b, &server, shmem->info.alias, error)) {
            json_decref(props);
            return FALSE;
        }
        prop_str(props, "chardev", chardev);
        prop_uint(props, "vectors", shmem->msi_vectors);
        prop_bool(props, "ioeventfd", shmem->msi_ioeventfd);
    }
    return args_add_device(b, props, &shmem->info, error);
}

static gboolean add_crypto(QemuBuilder *b, const CryptoDef *crypto, GError **error)
{
    g_autofree char *object = g_strconcat("obj", crypto->info.alias, NULL);
    g_autofree char *driver = virtio_driver("virtio-crypto", VIRTIO_MODEL_VIRTIO, &crypto->info);
    json_t *props =
        json_pack("{s:s, s:s}", "qom-type",
                  crypto->backend == CRYPTO_BACKEND_LKCF ? "cryptodev-backend-lkcf" : "cryptodev-backend-builtin", "id",
                  object);

    prop_uint(props, "queues", crypto->queues);
    args_add_json(b, "-object", props);
    props = device_props(driver);
    prop_str(props, "cryptodev", object);
    virtio_props(props, &crypto->virtio);
    return args_add_device(b, props, &crypto->info, error);
}

/* --- host devices --- */

static json_t *usb_host(const HostdevDef *dev)
{
    g_autofree char *path = g_strdup_printf("/dev/bus/usb/%03u/%03u", dev->usb_bus, dev->usb_device);
    json_t *props = device_props("usb-host");

    if (!dev->missing) /* QEMU waits for nothing then: the card is there, and empty */
        prop_str(props, "hostdevice", path);
    if (dev->guest_reset != USB_GUEST_RESET_DEFAULT)
        prop_bool(props, "guest-reset", dev->guest_reset == USB_GUEST_RESET_OFF ? TRISTATE_NO : TRISTATE_YES);
    if (dev->guest_reset == USB_GUEST_RESET_UNINITIALIZED || dev->guest_reset == USB_GUEST_RESET_ON)
        prop_bool(props, "guest-resets-all", dev->guest_reset == USB_GUEST_RESET_ON ? TRISTATE_YES : TRISTATE_NO);
    return props;
}

static json_t *pci_host(const PciAddress *pci, const NetTeaming *teaming)
{
    g_autofree char *address = g_strdup_printf("%04x:%02x:%02x.%x", pci->domain, pci->bus, pci->slot, pci->function);
    json_t *props = device_props("vfio-pci");

    prop_str(props, "host", address);
    if (teaming->type == TEAMING_TRANSIENT)
        prop_str(props, "failover_pair_id", teaming->persistent);
    return props;
}

static json_t *mdev_host(const HostdevDef *dev)
{
    static const char *const drivers[MDEV_LAST] = {"vfio-pci", "vfio-ccw", "vfio-ap"};
    gboolean ramfb = dev->ramfb == TRISTATE_YES;
    g_autofree char *path = g_strconcat("/sys/bus/mdev/devices/", dev->uuid, NULL);
    json_t *props =
        device_props(dev->mdev_model == MDEV_VFIO_PCI && ramfb ? "vfio-pci-nohotplug" : drivers[dev->mdev_model]);

    prop_str(props, "sysfsdev", path);
    prop_onoff(props, "display", dev->display);
    prop_bool(props, "ramfb", ramfb ? TRISTATE_YES : TRISTATE_ABSENT);
    return props;
}

/* The node below a SCSI device: a generic device of the host, or a unit of an iSCSI target. */
static gboolean scsi_node(QemuBuilder *b, const HostdevDef *dev, const char *node, GError **error)
{
    json_t *props;

    if (dev->iscsi != NULL) {
        g_autofree char *text = g_strdup(dev->iscsi->path ? dev->iscsi->path : "");
        const GPtrArray *hosts = dev->iscsi->hosts;
        const StorageHost *host = hosts != NULL && hosts->len > 0 ? hosts->pdata[0] : NULL;
        g_autofree char *portal = NULL;
        char *slash = strrchr(text, '/');
        guint64 lun = 0;

        if (host == NULL || host->name == NULL)
            return error_set(error, VIR_ERR_XML_ERROR, "hostdev '%s': its target has no host", dev->info.alias);
        if (slash != NULL && g_ascii_string_to_unsigned(slash + 1, 10, 0, G_MAXUINT16, &lun, NULL))
            *slash = '\0';
        portal = g_strdup_printf("%s:%u", host->name, host->port != 0 ? host->port : ISCSI_PORT);
        props = json_pack("{s:s, s:s, s:s, s:I, s:s}", "driver", "iscsi", "portal", portal, "target", text, "lun",
                          (json_int_t)lun, "transport", "tcp");
    } else if (dev->host_path != NULL) {
        props = json_pack("{s:s, s:s}", "driver", "host_device", "filename", dev->host_path);
    } else {
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "hostdev '%s': its SCSI device has not been looked for",
                         dev->info.alias);
    }
    prop_str(props, "node-name", node);
    json_object_set_new(props, "read-only", json_boolean(dev->readonly));
    args_add_json(b, "-blockdev", props);
    return TRUE;
}

static json_t *scsi_host(QemuBuilder *b, const HostdevDef *dev, GError **error)
{
    g_autofree char *node = g_strdup_printf("libvirt-%s-backend", dev->info.alias);
    const DriveAddress *drive = &dev->info.address.u.drive;
    const ControllerDef *controller = find_controller(b->def, CONTROLLER_SCSI, drive->controller);
    g_autofree char *bus = controller != NULL ? g_strconcat(controller->info.alias, ".0", NULL) : NULL;
    json_t *props;

    if (controller == NULL) {
        error_set(error, VIR_ERR_INTERNAL_ERROR, "hostdev '%s' is at scsi controller %u, which is not there",
                  dev->info.alias, drive->controller);
        return NULL;
    }
    if (!scsi_node(b, dev, node, error))
        return NULL;
    props = device_props("scsi-generic");
    prop_str(props, "drive", node);
    prop_str(props, "bus", bus);
    if (controller->model == SCSI_MODEL_LSILOGIC) {
        prop_int(props, "scsi-id", drive->unit);
    } else {
        prop_int(props, "channel", drive->bus);
        prop_int(props, "scsi-id", drive->target);
        prop_int(props, "lun", drive->unit);
    }
    return props;
}

static json_t *vhost_scsi(QemuBuilder *b, const HostdevDef *dev, GError **error)
{
    g_autofree char *driver = virtio_driver("vhost-scsi", dev->vhost_model, &dev->info);
    gpointer fd = NULL;
    char number[16];
    json_t *props;

    if (b->context->sockets == NULL ||
        !g_hash_table_lookup_extended(b->context->sockets, dev->info.alias, NULL, &fd)) {
        error_set(error, VIR_ERR_INTERNAL_ERROR, "hostdev '%s' has no descriptor of /dev/vhost-scsi", dev->info.alias);
        return NULL;
    }
    g_snprintf(number, sizeof(number), "%d", args_pass_fd(b, GPOINTER_TO_INT(fd)));
    props = device_props(driver);
    prop_str(props, "wwpn", dev->wwpn);
    prop_str(props, "vhostfd", number);
    return props;
}

gboolean args_hostdev(QemuBuilder *b, const HostdevDef *dev, GError **error)
{
    json_t *props = NULL;

    if (dev->mode != HOSTDEV_MODE_SUBSYSTEM)
        return args_unsupported(error, "hostdev mode '%s' is not supported", hostdev_mode_to_string(dev->mode));
    if (dev->type == HOSTDEV_PCI && dev->info.address.type == ADDRESS_UNASSIGNED)
        return TRUE; /* kept from the host, not given to the guest */
    switch (dev->type) {
    case HOSTDEV_USB:
        props = usb_host(dev);
        break;
    case HOSTDEV_PCI:
        props = pci_host(&dev->pci, &dev->teaming);
        break;
    case HOSTDEV_SCSI:
        props = scsi_host(b, dev, error);
        break;
    case HOSTDEV_SCSI_HOST:
        props = vhost_scsi(b, dev, error);
        break;
    default:
        props = mdev_host(dev);
        break;
    }
    return props != NULL && args_add_device(b, props, &dev->info, error);
}

gboolean args_hostdev_interface(QemuBuilder *b, const InterfaceDef *net, GError **error)
{
    return args_add_device(b, pci_host(&net->hostdev->pci, &net->teaming), &net->info, error);
}

/* --- all of them --- */

gboolean args_tpms_and_smartcards(QemuBuilder *b, GError **error)
{
    DOMAIN_DEF_FOREACH(SmartcardDef, card, b->def, DEVICE_SMARTCARD)
    {
        if (!add_smartcard(b, card, error))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(TpmDef, tpm, b->def, DEVICE_TPM)
    {
        if (!add_tpm(b, tpm, error))
            return FALSE;
    }
    return TRUE;
}

gboolean args_host_devices(QemuBuilder *b, GError **error)
{
    DOMAIN_DEF_FOREACH(RedirdevDef, redirdev, b->def, DEVICE_REDIRDEV)
    {
        if (!args_redirdev(b, redirdev, error))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(HostdevDef, hostdev, b->def, DEVICE_HOSTDEV)
    {
        if (!args_hostdev(b, hostdev, error))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(CryptoDef, crypto, b->def, DEVICE_CRYPTO)
    {
        if (!add_crypto(b, crypto, error))
            return FALSE;
    }
    DOMAIN_DEF_FOREACH(ShmemDef, shmem, b->def, DEVICE_SHMEM)
    {
        if (!args_shmem(b, shmem, error))
            return FALSE;
    }
    return TRUE;
}
