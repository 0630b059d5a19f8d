/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See domain_implicit.h; what is added, and when, is what libvirt 9.0's QEMU driver does. */
#include "driver/conf/domain_implicit.h"

#include <string.h>

#include "common/error.h"
#include "driver/conf/address.h"
#include "driver/conf/def_audio.h"
#include "driver/conf/def_chr.h"
#include "driver/conf/def_controller.h"
#include "driver/conf/def_disk.h"
#include "driver/conf/def_graphics.h"
#include "driver/conf/def_hostdev.h"
#include "driver/conf/def_input.h"
#include "driver/conf/def_rng.h"
#include "driver/conf/def_smartcard.h"

#define AGENT_CHANNEL "org.qemu.guest_agent.0"
#define CONTROLLER_INDEX_MAX 1024

/* --- implicit devices --------------------------------------------------------------------------------- */

gpointer implicit_add_device(DomainDef *def, DeviceKind kind)
{
    DeviceInfo *dev = device_def_new(kind);

    g_ptr_array_add(def->devices[kind], dev);
    return dev;
}

static void ensure_input(DomainDef *def, InputType type)
{
    InputDef *input;

    DOMAIN_DEF_FOREACH(InputDef, other, def, DEVICE_INPUT)
    {
        if (other->type == type && other->bus == INPUT_BUS_PS2)
            return;
    }
    input = implicit_add_device(def, DEVICE_INPUT);
    input->type = type;
    input->bus = INPUT_BUS_PS2;
}

static gboolean is_usb2(const ControllerDef *controller)
{
    return controller->type == CONTROLLER_USB &&
           (controller->model == USB_MODEL_ICH9_EHCI1 || controller->model == USB_MODEL_ICH9_UHCI1 ||
            controller->model == USB_MODEL_ICH9_UHCI2 || controller->model == USB_MODEL_ICH9_UHCI3);
}

/* The index of the USB2 controller right before this one in the list, when its group has none of this model
 * yet; else -1. */
static int usb2_group_index(const DomainDef *def, guint position, const ControllerDef *controller)
{
    const ControllerDef *previous = NULL;

    for (guint i = position; i > 0 && previous == NULL; i--) {
        const ControllerDef *other = domain_def_get(def, DEVICE_CONTROLLER, i - 1);

        if (other->type == CONTROLLER_USB)
            previous = other;
    }
    if (previous == NULL || !is_usb2(controller) || !is_usb2(previous))
        return -1;
    DOMAIN_DEF_FOREACH(ControllerDef, other, def, DEVICE_CONTROLLER)
    {
        if (other->type == CONTROLLER_USB && other->index == previous->index &&
            other->model == controller->model)
            return -1;
    }
    return previous->index;
}

/* Controllers without index get the lowest free one of their type, the parts of a USB2 controller one index.
 */
void implicit_controller_indexes(DomainDef *def)
{
    DOMAIN_DEF_FOREACH(ControllerDef, controller, def, DEVICE_CONTROLLER)
    {
        int index;

        if (controller->index != -1)
            continue;
        index = usb2_group_index(def, controller_i, controller);
        if (index < 0) {
            for (index = 0; controller_find(def, controller->type, index) != NULL;)
                index++;
        }
        controller->index = index;
    }
}

static gboolean has_device(const DomainDefEnv *env, const DomainDef *def, const char *name)
{
    return env->has_device == NULL || env->has_device(env, def, name);
}

static void add_usb_controller(DomainDef *def, const DomainDefEnv *env)
{
    int model = USB_MODEL_DEFAULT;

    if (controller_find(def, CONTROLLER_USB, 0) != NULL)
        return;
    if (os_def_is_q35(&def->os)) {
        if (has_device(env, def, "qemu-xhci"))
            model = USB_MODEL_QEMU_XHCI;
        else if (has_device(env, def, "nec-usb-xhci"))
            model = USB_MODEL_NEC_XHCI;
        else if (has_device(env, def, "ich9-usb-ehci1"))
            model = USB_MODEL_ICH9_EHCI1;
        else
            return;
    }
    controller_add(def, CONTROLLER_USB, 0, model);
    if (model == USB_MODEL_ICH9_EHCI1) {
        for (int i = 0; i < 3; i++) {
            ControllerDef *companion = controller_add(def, CONTROLLER_USB, 0, USB_MODEL_ICH9_UHCI1 + i);

            companion->info.usb_master = TRUE;
            companion->info.usb_master_startport = (guint)i * 2;
        }
    }
}

static gboolean ensure_pci_root(DomainDef *def, PciModel model, GError **error)
{
    ControllerDef *root = controller_find(def, CONTROLLER_PCI, 0);

    if (root == NULL) {
        controller_add(def, CONTROLLER_PCI, 0, model);
        return TRUE;
    }
    if (root->model != (int)model)
        return error_set(
            error, VIR_ERR_XML_ERROR,
            "The PCI controller with index='0' must be model='%s' for this machine type, but model='%s' "
            "was found instead",
            pci_model_to_string(model), controller_model_text(root));
    return TRUE;
}

static void add_audio(DomainDef *def)
{
    gboolean wanted = domain_def_n(def, DEVICE_GRAPHICS) == 0;
    AudioType type = AUDIO_NONE;
    AudioDef *audio;

    if (domain_def_n(def, DEVICE_AUDIO) > 0)
        return;
    DOMAIN_DEF_FOREACH(GraphicsDef, graphics, def, DEVICE_GRAPHICS)
    {
        if (graphics->type == GRAPHICS_VNC || graphics->type == GRAPHICS_SPICE) {
            wanted = TRUE;
            type = graphics->type == GRAPHICS_SPICE ? AUDIO_SPICE : AUDIO_NONE;
        } else if (graphics->type == GRAPHICS_SDL) {
            wanted = FALSE;
        }
    }
    if (!wanted)
        return;
    audio = implicit_add_device(def, DEVICE_AUDIO);
    audio->type = type;
    audio->id = 1;
}

gboolean implicit_add_chipset(DomainDef *def, const DomainDefEnv *env, GError **error)
{
    gboolean q35 = os_def_is_q35(&def->os);

    ensure_input(def, INPUT_MOUSE);
    ensure_input(def, INPUT_KEYBOARD);
    if (g_strcmp0(def->os.machine, "isapc") != 0)
        add_usb_controller(def, env);
    if (q35)
        controller_ensure(def, CONTROLLER_SATA, 0, -1);
    if ((q35 && !ensure_pci_root(def, PCI_MODEL_PCIE_ROOT, error)) ||
        (os_def_is_i440fx(&def->os) && !ensure_pci_root(def, PCI_MODEL_PCI_ROOT, error)))
        return FALSE;
    if (domain_def_n(def, DEVICE_MEMBALLOON) == 0)
        implicit_add_device(def, DEVICE_MEMBALLOON);
    add_audio(def);
    return TRUE;
}

/* For clients that leave out what a guest of today wants: agent channel and entropy. */
void implicit_add_rich(DomainDef *def)
{
    gboolean agent = FALSE;

    DOMAIN_DEF_FOREACH(ChrDef, channel, def, DEVICE_CHANNEL)
    agent |= channel->target.channel == CHANNEL_TARGET_VIRTIO && g_strcmp0(channel->name, AGENT_CHANNEL) == 0;
    if (!agent) {
        ChrDef *channel = implicit_add_device(def, DEVICE_CHANNEL);

        channel->source.type = CHR_TYPE_UNIX;
        channel->source.mode = CHR_MODE_BIND;
        channel->target.channel = CHANNEL_TARGET_VIRTIO;
        channel->name = g_strdup(AGENT_CHANNEL);
    }
    if (domain_def_n(def, DEVICE_RNG) == 0) {
        RngDef *rng = implicit_add_device(def, DEVICE_RNG);

        rng->model = VIRTIO_MODEL_VIRTIO;
        rng->backend = RNG_BACKEND_RANDOM;
        rng->file = g_strdup("/dev/urandom");
    }
}

/* A client that names no machine counts on free slots, which libvirt's default machine has: q35 has none beyond its
 * ports. */
gboolean implicit_add_spare_ports(DomainDef *def, const DomainDefEnv *env, GError **error)
{
    enum { SPARE_PORTS = 4 };

    if (!os_def_is_q35(&def->os))
        return TRUE;
    for (guint i = 0; i < SPARE_PORTS; i++)
        controller_add(def, CONTROLLER_PCI, -1, PCI_MODEL_PCIE_ROOT_PORT);
    implicit_controller_indexes(def);
    return address_assign_all(def, env, FALSE, error);
}

/* --- console and serial ------------------------------------------------------------------------------- */

static void insert_console_twin(DomainDef *def, guint index)
{
    ChrDef *console = (ChrDef *)device_def_new(DEVICE_CONSOLE);

    console->target.console = CONSOLE_TARGET_SERIAL;
    console->port = 0;
    g_ptr_array_insert(def->devices[DEVICE_CONSOLE], (gint)index, console);
}

static gboolean serial_gets_console(const ChrDef *serial)
{
    switch (serial->target.serial) {
    case SERIAL_TARGET_NONE:
    case SERIAL_TARGET_ISA:
    case SERIAL_TARGET_SPAPR_VIO:
    case SERIAL_TARGET_SYSTEM:
    case SERIAL_TARGET_SCLP:
        return TRUE;
    default:
        return FALSE;
    }
}

/* The first console of a PC is another name of the first serial port: each brings the other with it. */
gboolean implicit_fill_console(DomainDef *def, GError **error)
{
    GPtrArray *consoles = def->devices[DEVICE_CONSOLE], *serials = def->devices[DEVICE_SERIAL];
    ChrDef *console = domain_def_get(def, DEVICE_CONSOLE, 0), *serial = domain_def_get(def, DEVICE_SERIAL, 0);

    for (guint i = 1; i < consoles->len; i++) {
        if (((ChrDef *)consoles->pdata[i])->target.console == CONSOLE_TARGET_SERIAL)
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "Only the first console can be a serial port");
    }
    if (console != NULL && (console->target.console == CONSOLE_TARGET_SERIAL ||
                            console->target.console == CONSOLE_TARGET_NONE)) {
        if (serial == NULL) {
            console = g_ptr_array_steal_index(consoles, 0);
            console->info.kind = DEVICE_SERIAL;
            console->target.serial = SERIAL_TARGET_NONE;
            console->port = 0;
            g_ptr_array_add(serials, console);
            insert_console_twin(def, 0);
        } else if (!chr_source_equal(&serial->source, &console->source)) {
            g_ptr_array_remove_index(consoles, 0);
            insert_console_twin(def, 0);
        }
    } else if (serial != NULL && serial_gets_console(serial)) {
        insert_console_twin(def, 0);
    }
    return TRUE;
}

/* --- implicit controllers ----------------------------------------------------------------------------- */

static gboolean ensure_up_to(DomainDef *def, ControllerType type, guint max, int model, GError **error)
{
    if (max >= CONTROLLER_INDEX_MAX)
        return error_set(error, VIR_ERR_XML_ERROR, "%s controller index %u is beyond the limit of %u",
                         controller_type_to_string(type), max, CONTROLLER_INDEX_MAX);
    for (guint i = 0; i <= max; i++)
        controller_ensure(def, type, (int)i, model);
    return TRUE;
}

static gboolean add_disk_controllers(DomainDef *def, ControllerType type, DiskBus bus, GError **error)
{
    gboolean any = FALSE;
    guint max = 0;

    DOMAIN_DEF_FOREACH(DiskDef, disk, def, DEVICE_DISK)
    {
        if (disk->bus == bus && disk->info.address.type == ADDRESS_DRIVE) {
            any = TRUE;
            max = MAX(max, disk->info.address.u.drive.controller);
        }
    }
    return !any || ensure_up_to(def, type, max, -1, error);
}

static void add_vserial_controllers(DomainDef *def)
{
    static const DeviceKind kinds[] = {DEVICE_CHANNEL, DEVICE_CONSOLE};

    for (guint k = 0; k < G_N_ELEMENTS(kinds); k++) {
        DOMAIN_DEF_FOREACH(DeviceInfo, dev, def, kinds[k])
        {
            guint index = dev->address.type == ADDRESS_VIRTIO_SERIAL ? dev->address.u.vserial.controller : 0;

            if (address_is_virtio_serial(dev))
                controller_ensure(def, CONTROLLER_VIRTIO_SERIAL, (int)MIN(index, G_MAXINT), -1);
        }
    }
}

static gboolean add_ccid_controllers(DomainDef *def, GError **error)
{
    DOMAIN_DEF_FOREACH(SmartcardDef, card, def, DEVICE_SMARTCARD)
    {
        if (card->info.address.type == ADDRESS_NONE) {
            guint slot = 0;

            DOMAIN_DEF_FOREACH(SmartcardDef, other, def, DEVICE_SMARTCARD)
            {
                if (other->info.address.type == ADDRESS_CCID && other->info.address.u.ccid.controller == 0)
                    slot = MAX(slot, other->info.address.u.ccid.slot + 1);
            }
            card->info.address.type = ADDRESS_CCID;
            card->info.address.u.ccid.slot = slot;
        }
        if (card->info.address.type == ADDRESS_CCID &&
            !ensure_up_to(def, CONTROLLER_CCID, card->info.address.u.ccid.controller, -1, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean add_scsi_hostdev_controllers(DomainDef *def, GError **error)
{
    gboolean any = FALSE;
    guint max = 0;
    int model = SCSI_MODEL_DEFAULT;

    DOMAIN_DEF_FOREACH(HostdevDef, hostdev, def, DEVICE_HOSTDEV)
    {
        const ControllerDef *controller;

        if (hostdev->mode != HOSTDEV_MODE_SUBSYSTEM || hostdev->type != HOSTDEV_SCSI)
            continue;
        if (hostdev->info.address.type == ADDRESS_DRIVE)
            max = MAX(max, hostdev->info.address.u.drive.controller);
        controller = controller_find(def, CONTROLLER_SCSI, (int)MIN(max, G_MAXINT));
        if (controller != NULL && controller->model != SCSI_MODEL_DEFAULT)
            model = controller->model;
        any = TRUE;
    }
    return !any || ensure_up_to(def, CONTROLLER_SCSI, max, model, error);
}

gboolean implicit_add_controllers(DomainDef *def, GError **error)
{
    if (!add_disk_controllers(def, CONTROLLER_SCSI, DISK_BUS_SCSI, error) ||
        !add_disk_controllers(def, CONTROLLER_FDC, DISK_BUS_FDC, error) ||
        !add_disk_controllers(def, CONTROLLER_IDE, DISK_BUS_IDE, error) ||
        !add_disk_controllers(def, CONTROLLER_SATA, DISK_BUS_SATA, error))
        return FALSE;
    add_vserial_controllers(def);
    return add_ccid_controllers(def, error) && add_scsi_hostdev_controllers(def, error);
}
