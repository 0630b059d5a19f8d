/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kite-vmm's abilities: see vmm_caps.h. */
#include "driver/host/vmm_caps.h"

#include <string.h>

#define LIST(...)                                                                                            \
    (const char *const[])                                                                                    \
    {                                                                                                        \
        __VA_ARGS__, NULL                                                                                    \
    }

static const char *const nothing[] = {NULL};

static const char *const devices[] = {
    "virtio-blk-pci", "virtio-serial-pci", "virtserialport", "virtconsole",
    "virtio-balloon-pci", "virtio-net-pci", "virtio-rng-pci", "virtio-scsi-pci", "scsi-hd", "scsi-cd",
    "virtio-mem-pci", "vhost-vsock-pci", "i6300esb", NULL,
};

/* Which device a value stands on; values without one are always there. */
static const struct {
    Supported what;
    const char *value, *device;
} values_of_devices[] = {
    {SUPPORTED_DISK_BUS, "virtio", "virtio-blk-pci"},
    {SUPPORTED_DISK_BUS, "scsi", "virtio-scsi-pci"},
    {SUPPORTED_DISK_DEVICE, "cdrom", "virtio-scsi-pci"},
    {SUPPORTED_DISK_MODEL, "virtio", "virtio-blk-pci"},
    {SUPPORTED_DISK_MODEL, "virtio-non-transitional", "virtio-blk-pci"},
    {SUPPORTED_RNG_MODEL, "virtio", "virtio-rng-pci"},
    {SUPPORTED_RNG_MODEL, "virtio-non-transitional", "virtio-rng-pci"},
    {SUPPORTED_INTERFACE_MODEL, "virtio", "virtio-net-pci"},
    {SUPPORTED_INTERFACE_MODEL, "virtio-non-transitional", "virtio-net-pci"},
    {SUPPORTED_MEMORY_MODEL, "virtio-mem", "virtio-mem-pci"},
};

static const char *const *const tables[SUPPORTED_LAST] = {
    [SUPPORTED_DISK_DEVICE] = LIST("disk", "cdrom"),
    [SUPPORTED_DISK_BUS] = LIST("scsi", "virtio"),
    [SUPPORTED_DISK_MODEL] = LIST("virtio", "virtio-non-transitional"),
    [SUPPORTED_DISK_SOURCE] = LIST("file", "block", "network"),
    [SUPPORTED_VIDEO] = LIST("none"),
    [SUPPORTED_STARTUP_POLICY] = LIST("default", "mandatory", "requisite", "optional"),
    [SUPPORTED_RNG_MODEL] = LIST("virtio", "virtio-non-transitional"),
    [SUPPORTED_RNG_BACKEND] = LIST("random", "builtin"),
    [SUPPORTED_CHANNEL_TYPE] = LIST("null", "pty", "file", "tcp", "unix"),
    [SUPPORTED_INTERFACE_MODEL] = LIST("virtio", "virtio-non-transitional"),
    [SUPPORTED_INTERFACE_TYPE] = LIST("user", "ethernet", "network", "bridge"),
    [SUPPORTED_INPUT_BUS] = LIST("ps2"),
    [SUPPORTED_WATCHDOG_MODEL] = LIST("i6300esb"),
    [SUPPORTED_PANIC_MODEL] = LIST("isa"),
    [SUPPORTED_MEMORY_MODEL] = LIST("virtio-mem"),
};

static const char *const cpu_models[] = {
    "qemu64",
    "phenom",
    "core2duo",
    "kvm64",
    "Conroe",
    "Penryn",
    "Nehalem",
    "Nehalem-IBRS",
    "Westmere",
    "Westmere-IBRS",
    "SandyBridge",
    "SandyBridge-IBRS",
    "IvyBridge",
    "IvyBridge-IBRS",
    "Haswell",
    "Haswell-noTSX",
    "Haswell-IBRS",
    "Haswell-noTSX-IBRS",
    "Broadwell",
    "Broadwell-noTSX",
    "Broadwell-IBRS",
    "Broadwell-noTSX-IBRS",
    "Skylake-Client",
    "Skylake-Client-IBRS",
    "Skylake-Client-noTSX-IBRS",
    "Skylake-Server",
    "Skylake-Server-IBRS",
    "Skylake-Server-noTSX-IBRS",
    "Cascadelake-Server",
    "Cascadelake-Server-noTSX",
    "Cooperlake",
    "Icelake-Server",
    "Icelake-Server-noTSX",
    "Denverton",
    "Snowridge",
    "KnightsMill",
    "Opteron_G1",
    "Opteron_G2",
    "Opteron_G3",
    "Opteron_G4",
    "Opteron_G5",
    "EPYC",
    "EPYC-IBPB",
    "Dhyana",
    "EPYC-Rome",
    "EPYC-Milan",
    NULL,
};

static const VmmMachine machines[] = {
    {"pc-i440fx-7.2", "pc"},
    {"pc-q35-7.2", "q35"},
};

static gboolean in_list(const char *const *list, const char *value)
{
    for (; *list != NULL; list++) {
        if (g_strcmp0(*list, value) == 0)
            return TRUE;
    }
    return FALSE;
}

const char *const *vmm_caps_devices(void)
{
    return devices;
}

gboolean vmm_caps_device(const char *driver)
{
    return in_list(devices, driver);
}

const char *const *vmm_caps_values(Supported what)
{
    static const char *shown[SUPPORTED_LAST][16];
    static gsize done;

    if (what >= SUPPORTED_LAST)
        return nothing;
    if (g_once_init_enter(&done)) {
        for (guint w = 0; w < SUPPORTED_LAST; w++) {
            guint n = 0;

            for (const char *const *value = tables[w] ? tables[w] : nothing; *value != NULL; value++) {
                gboolean there = TRUE;

                for (gsize i = 0; i < G_N_ELEMENTS(values_of_devices); i++) {
                    if (values_of_devices[i].what == w && strcmp(values_of_devices[i].value, *value) == 0)
                        there = vmm_caps_device(values_of_devices[i].device);
                }
                g_assert(n + 1 < G_N_ELEMENTS(shown[w]));
                if (there)
                    shown[w][n++] = *value;
            }
        }
        g_once_init_leave(&done, 1);
    }
    return shown[what];
}

gboolean vmm_caps_has(Supported what, const char *value)
{
    return in_list(vmm_caps_values(what), value);
}

const char *const *vmm_caps_cpu_models(void)
{
    return cpu_models;
}

gboolean vmm_caps_cpu_model(const char *name)
{
    return in_list(cpu_models, name);
}

/* Any version of the two: what differs between versions is nothing this machine has. */
char *vmm_caps_machine(const char *machine)
{
    static const char *const prefixes[] = {"pc-i440fx-", "pc-q35-"};

    for (gsize i = 0; i < G_N_ELEMENTS(machines); i++) {
        if (machine == NULL || strcmp(machine, machines[i].alias) == 0)
            return g_strdup(machines[i].name);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(prefixes); i++) {
        if (g_str_has_prefix(machine, prefixes[i]) && machine[strlen(prefixes[i])] != '\0')
            return g_strdup(machine);
    }
    return NULL;
}

const VmmMachine *vmm_caps_machine_at(guint index)
{
    return index < G_N_ELEMENTS(machines) ? &machines[index] : NULL;
}

gboolean vmm_caps_is_vmm(const char *emulator)
{
    const char *slash = emulator != NULL ? strrchr(emulator, '/') : NULL;

    return emulator != NULL && g_str_has_prefix(slash != NULL ? slash + 1 : emulator, "kite-vmm");
}

const char *vmm_caps_choice_path(void)
{
    return KITE_LIBEXECDIR "/kite-emulator";
}

const char *vmm_caps_default_path(void)
{
    return KITE_LIBEXECDIR "/kite-vmm";
}
