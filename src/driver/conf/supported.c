/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of what guests may have: see supported.h. Facts: QEMU 7.2 for x86-64 as Debian builds it. */
#include "driver/conf/supported.h"

#include "common/error.h"

#define LIST(...)                                                                                            \
    (const char *const[])                                                                                    \
    {                                                                                                        \
        __VA_ARGS__, NULL                                                                                    \
    }

static const char *const *const supported_table[SUPPORTED_LAST] = {
    [SUPPORTED_DISK_DEVICE] = LIST("disk", "cdrom", "floppy", "lun"),
    [SUPPORTED_DISK_BUS] = LIST("ide", "fdc", "scsi", "virtio", "usb", "sata"),
    [SUPPORTED_DISK_MODEL] = LIST("virtio", "virtio-transitional", "virtio-non-transitional"),
    [SUPPORTED_DISK_SOURCE] = LIST("file", "block", "dir", "network", "volume", "nvme", "vhostuser"),
    [SUPPORTED_GRAPHICS] = LIST("sdl", "vnc", "spice", "egl-headless", "dbus"),
    [SUPPORTED_VIDEO] = LIST("vga", "cirrus", "vmvga", "qxl", "virtio", "none", "bochs", "ramfb"),
    [SUPPORTED_HOSTDEV_MODE] = LIST("subsystem"),
    [SUPPORTED_HOSTDEV_TYPE] = LIST("usb", "pci", "scsi", "scsi_host", "mdev"),
    [SUPPORTED_STARTUP_POLICY] = LIST("default", "mandatory", "requisite", "optional"),
    [SUPPORTED_RNG_MODEL] = LIST("virtio", "virtio-transitional", "virtio-non-transitional"),
    [SUPPORTED_RNG_BACKEND] = LIST("random", "egd", "builtin"),
    [SUPPORTED_FILESYSTEM_DRIVER] = LIST("path", "virtiofs"),
    [SUPPORTED_TPM_MODEL] = LIST("tpm-tis", "tpm-crb"),
    [SUPPORTED_TPM_BACKEND] = LIST("passthrough", "emulator", "external"),
    [SUPPORTED_TPM_VERSION] = LIST("1.2", "2.0"),
    [SUPPORTED_REDIRDEV_BUS] = LIST("usb"),
    [SUPPORTED_CHANNEL_TYPE] = LIST("null", "vc", "pty", "dev", "file", "pipe", "stdio", "udp", "tcp", "unix",
                                    "spicevmc", "spiceport", "qemu-vdagent", "dbus"),
    [SUPPORTED_INTERFACE_MODEL] =
        LIST("rtl8139", "virtio", "e1000", "e1000e", "virtio-transitional", "virtio-non-transitional",
             "usb-net", "vmxnet3", "ne2k_pci", "pcnet", "i82551", "i82557b", "i82559er", "tulip",
             "e1000-82544gc", "e1000-82545em"),
    [SUPPORTED_INTERFACE_TYPE] = LIST("user", "ethernet", "vhostuser", "server", "client", "mcast", "network",
                                      "bridge", "direct", "hostdev", "udp", "vdpa"),
    [SUPPORTED_INPUT_BUS] = LIST("ps2", "usb", "virtio", "none"),
    [SUPPORTED_SOUND_MODEL] = LIST("sb16", "es1370", "pcspk", "ac97", "ich6", "ich9", "usb"),
    [SUPPORTED_WATCHDOG_MODEL] = LIST("i6300esb", "ib700", "itco"),
    [SUPPORTED_PANIC_MODEL] = LIST("isa", "hyperv", "pvpanic"),
    [SUPPORTED_CRYPTO_MODEL] = LIST("virtio"),
    [SUPPORTED_MEMORY_MODEL] = LIST("dimm", "nvdimm", "virtio-pmem", "virtio-mem"),
};

const char *const *supported_values(Supported what)
{
    static const char *const nothing[] = {NULL};

    return what < SUPPORTED_LAST && supported_table[what] != NULL ? supported_table[what] : nothing;
}

gboolean supported_has(Supported what, const char *value)
{
    for (const char *const *name = supported_values(what); *name != NULL; name++) {
        if (g_strcmp0(*name, value) == 0)
            return TRUE;
    }
    return FALSE;
}

gboolean supported_check(Supported what, const char *value, const char *element, GError **error)
{
    g_autofree char *list = NULL;

    if (value == NULL || supported_has(what, value))
        return TRUE;
    list = g_strjoinv(", ", (char **)supported_values(what));
    return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s '%s' is not supported; supported are %s", element,
                     value, list);
}
