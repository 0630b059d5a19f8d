/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the chipset of a machine has at fixed places (i440fx: slot 1 is the PIIX3, slot 2 the first VGA; q35: 1f.0/2/3 the
 * ICH9, 1 the first VGA) or would rather have there (1b sound, 1d and 1a USB2).
 */
#include "common/error.h"
#include "driver/conf/address_pci_priv.h"
#include "driver/conf/def_sound.h"
#include "driver/conf/def_video.h"

/* Integrated at a fixed place: NULL when the XML says another one. */
static gboolean check_fixed(DeviceInfo *dev, guint slot, guint function, const char *what, GError **error)
{
    PciAddress fixed = {.slot = slot, .function = function, .given = TRUE};

    if (!pci_address_present(dev)) {
        dev->address.type = ADDRESS_PCI;
        dev->address.u.pci = fixed;
        return TRUE;
    }
    if (dev->address.u.pci.bus != 0 || dev->address.u.pci.slot != slot ||
        dev->address.u.pci.function != function)
        return error_set(error, VIR_ERR_INTERNAL_ERROR, "%s must have PCI address 0:0:%x.%u", what, slot,
                         function);
    return TRUE;
}

gboolean pci_chipset_has(const DomainDef *def, const ControllerDef *controller, guint *ret_slot,
                              guint *ret_function, const char **ret_what)
{
    if (controller->index != 0)
        return FALSE;
    if (os_def_is_i440fx(&def->os) && controller->type == CONTROLLER_IDE) {
        *ret_slot = 1;
        *ret_function = 1;
        *ret_what = "Primary IDE controller";
        return TRUE;
    }
    if (os_def_is_i440fx(&def->os) && controller->type == CONTROLLER_USB &&
        (controller->model == USB_MODEL_PIIX3_UHCI || controller->model == USB_MODEL_DEFAULT)) {
        *ret_slot = 1;
        *ret_function = 2;
        *ret_what = "PIIX3 USB controller at index 0";
        return TRUE;
    }
    if (os_def_is_q35(&def->os) && controller->type == CONTROLLER_SATA) {
        *ret_slot = 0x1f;
        *ret_function = 2;
        *ret_what = "Primary SATA controller";
        return TRUE;
    }
    return FALSE;
}

static gboolean place_integrated(PciBuses *buses, GError **error)
{
    gboolean q35 = os_def_is_q35(&buses->def->os);

    DOMAIN_DEF_FOREACH(ControllerDef, controller, buses->def, DEVICE_CONTROLLER)
    {
        guint slot, function;
        const char *what;

        if (!pci_chipset_has(buses->def, controller, &slot, &function, &what))
            continue;
        if (!check_fixed(&controller->info, slot, function, what, error))
            return FALSE;
        if (!q35 && !pci_reserve(buses, &controller->info.address.u.pci, 0, TRUE, error))
            return FALSE;
        /* On q35 a place that the XML gave was reserved with all others. */
        if (q35 && !(pci_bus_at(buses, 0)->slot[slot].functions & (1u << function)) &&
            !pci_reserve(buses, &controller->info.address.u.pci, 0, TRUE, error))
            return FALSE;
    }
    if (q35)
        return pci_place_fixed(buses, NULL, 0x1f, 0, 0, error) && pci_place_fixed(buses, NULL, 0x1f, 3, 0, error);
    return pci_place_fixed(buses, NULL, 1, 0, 0, error) && pci_place_fixed(buses, NULL, 1, 3, 0, error);
}

/* Places of q35's own devices that are only preferred. */
static gboolean place_preferred_q35(PciBuses *buses, GError **error)
{
    DOMAIN_DEF_FOREACH(ControllerDef, controller, buses->def, DEVICE_CONTROLLER)
    {
        if (controller->info.address.type != ADDRESS_NONE)
            continue;
        if (controller->type == CONTROLLER_USB && controller->model == USB_MODEL_ICH9_UHCI1) {
            guint slot = !pci_slot_is_used(buses, 0, 0x1d) ? 0x1d : !pci_slot_is_used(buses, 0, 0x1a) ? 0x1a : 0;

            if (slot == 0)
                continue;
            if (!pci_place_fixed(buses, &controller->info, slot, 0, 0, error))
                return FALSE;
            controller->info.address.u.pci.multifunction = TRISTATE_YES;
        } else if (controller->type == CONTROLLER_PCI && controller->model == PCI_MODEL_DMI_TO_PCI_BRIDGE &&
                   !pci_slot_is_used(buses, 0, 0x1e)) {
            if (!pci_place_fixed(buses, &controller->info, 0x1e, 0, 0, error))
                return FALSE;
        }
    }
    return TRUE;
}

static gboolean place_sound_q35(PciBuses *buses, GError **error)
{
    if (pci_slot_is_used(buses, 0, 0x1b))
        return TRUE;
    DOMAIN_DEF_FOREACH(SoundDef, sound, buses->def, DEVICE_SOUND)
    {
        if (sound->model == SOUND_ICH9 && pci_address_wanted(&sound->info))
            return pci_place_fixed(buses, &sound->info, 0x1b, 0, 0, error);
    }
    return TRUE;
}

static gboolean place_primary_video(PciBuses *buses, guint slot, GError **error)
{
    VideoDef *video = domain_def_get(buses->def, DEVICE_VIDEO, 0);

    if (video == NULL || video->model == VIDEO_NONE || video->model == VIDEO_RAMFB ||
        !pci_address_wanted(&video->info))
        return TRUE;
    if (pci_slot_is_used(buses, 0, slot))
        return pci_place(buses, &video->info, pci_plug_of(buses, &video->info), -1, error);
    return pci_place_fixed(buses, &video->info, slot, 0, 0, error);
}

gboolean pci_place_chipset(PciBuses *buses, GError **error)
{
    gboolean q35 = os_def_is_q35(&buses->def->os);

    if (!q35 && !os_def_is_i440fx(&buses->def->os))
        return TRUE;
    return place_integrated(buses, error) && (!q35 || place_preferred_q35(buses, error)) &&
           place_primary_video(buses, q35 ? 1 : 2, error) && (!q35 || place_sound_q35(buses, error));
}
