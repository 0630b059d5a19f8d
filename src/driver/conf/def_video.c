/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <video>: see def_video.h. */
#include "driver/conf/def_video.h"

#include "common/error.h"
#include "driver/conf/domain_def.h"
#include "driver/conf/fields.h"
#include "driver/conf/supported.h"

#define QXL_RAM (64u * 1024) /* KiB: QEMU's least for qxl */
#define QXL_VGAMEM (16u * 1024)
#define VGA_VRAM (16u * 1024)

ENUM_TABLE(video_model, VideoModel, VIDEO_LAST, "default", "vga", "cirrus", "vmvga", "xen", "vbox", "qxl",
           "parallels", "virtio", "gop", "none", "bochs", "ramfb")
ENUM_TABLE(video_driver, VideoDriver, VIDEO_DRIVER_LAST, "default", "qemu", "vhostuser")
ENUM_TABLE(video_vgaconf, VideoVgaconf, VGACONF_LAST, "none", "io", "on", "off")

static const Field driver_fields[] = {
    FIELDS_VIRTIO_OPTIONS(VideoDef, virtio),
    FIELD_ENUM(VideoDef, vgaconf, "vgaconf", video_vgaconf),
    FIELD_ENUM(VideoDef, driver, "name", video_driver),
    FIELD_END,
};
static const Field acceleration_fields[] = {
    FIELD_YES_NO(VideoDef, accel3d, "accel3d"),
    FIELD_YES_NO(VideoDef, accel2d, "accel2d"),
    FIELD_STR(VideoDef, rendernode, "rendernode"),
    FIELD_END,
};
static const Field resolution_fields[] = {
    FIELD_UINT(VideoDef, res_x, "x"),
    FIELD_UINT(VideoDef, res_y, "y"),
    FIELD_END,
};
static const Field model_fields[] = {
    FIELD_ENUM_ALWAYS(VideoDef, model, "type", video_model, 0, .unknown = "unknown video model"),
    FIELD_UINT(VideoDef, ram, "ram"),
    FIELD_UINT(VideoDef, vram, "vram"),
    FIELD_UINT(VideoDef, vram64, "vram64"),
    FIELD_UINT(VideoDef, vgamem, "vgamem"),
    FIELD_UINT(VideoDef, heads, "heads"),
    FIELD_YES(VideoDef, primary, "primary"),
    FIELD_ELEMENT_PRESENT(VideoDef, has_acceleration, "acceleration", acceleration_fields),
    FIELD_ELEMENT_PRESENT(VideoDef, has_resolution, "resolution", resolution_fields),
    FIELD_END,
};
static const Field video_fields[] = {
    FIELD_ELEMENT("driver", driver_fields),
    FIELD_ELEMENT("model", model_fields),
    FIELD_END,
};

static void video_init(DeviceInfo *dev)
{
    ((VideoDef *)dev)->heads = 1;
}

static gboolean video_parse(DeviceInfo *dev, xmlNodePtr node, const DeviceContext *ctx, GError **error)
{
    return fields_parse(video_fields, node, dev, error) && device_info_parse(dev, node, ctx->flags, error);
}

static void video_format(XmlWriter *w, const DeviceInfo *dev, const DeviceFormat *fmt)
{
    xml_open(w, "video");
    fields_format(w, video_fields, dev);
    device_info_format(w, dev, fmt->flags);
    xml_close(w);
}

static guint round_up_to_power_of_two(guint value)
{
    guint power = 1;

    if (value == 0)
        return 0;
    while (power < value && power < (1u << 31))
        power <<= 1;
    return power;
}

static guint default_vram(VideoModel model)
{
    switch (model) {
    case VIDEO_VGA:
    case VIDEO_CIRRUS:
    case VIDEO_VMVGA:
    case VIDEO_BOCHS:
        return VGA_VRAM;
    case VIDEO_QXL:
        return QXL_RAM;
    default:
        return 0;
    }
}

static gboolean video_post_parse(DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    VideoDef *def = (VideoDef *)dev;

    (void)ctx;
    (void)error;
    if (def->model == VIDEO_DEFAULT)
        def->model = VIDEO_CIRRUS;
    if (def->model == VIDEO_NONE) { /* nothing is filled in for a card that is not there */
        def->heads = def->vram = def->ram = def->vram64 = def->vgamem = 0;
        def->primary = FALSE;
        return TRUE;
    }
    if (def->heads == 0)
        def->heads = 1;
    if (def->model == VIDEO_QXL && def->vgamem == 0)
        def->vgamem = QXL_VGAMEM;
    if (def->model == VIDEO_QXL && def->ram == 0)
        def->ram = QXL_RAM;
    if (def->vram == 0)
        def->vram = default_vram(def->model);
    def->ram = round_up_to_power_of_two(def->ram);
    def->vram = round_up_to_power_of_two(def->vram);
    return TRUE;
}

static gboolean video_validate(const DeviceInfo *dev, const DeviceContext *ctx, GError **error)
{
    const VideoDef *def = (const VideoDef *)dev;
    const char *only = def->ram != 0      ? "ram"
                       : def->vram64 != 0 ? "vram64"
                       : def->vgamem != 0 ? "vgamem"
                                          : NULL;

    if (!supported_check(SUPPORTED_VIDEO, video_model_to_string(def->model), "video model", error))
        return FALSE;
    if (def->model == VIDEO_NONE && ctx->def != NULL && domain_def_n(ctx->def, DEVICE_VIDEO) > 1)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "a 'none' video type must be the only video device defined for the domain");
    if (def->driver == VIDEO_DRIVER_VHOSTUSER && def->model != VIDEO_VIRTIO)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "'vhostuser' driver is only supported with 'virtio' device");
    if (def->driver != VIDEO_DRIVER_VHOSTUSER && def->rendernode != NULL)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         "unsupported rendernode accel attribute without 'vhostuser'");
    if (def->has_resolution && (def->res_x == 0 || def->res_y == 0))
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "video resolution values must be greater than 0");
    if (def->model != VIDEO_QXL && only != NULL)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s attribute only supported for video type qxl",
                         only);
    if (def->model == VIDEO_RAMFB && def->info.address.type != ADDRESS_NONE)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "address not supported for video type ramfb");
    if (def->accel3d == TRISTATE_YES && def->model != VIDEO_VIRTIO)
        return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s 3d acceleration is not supported",
                         video_model_to_string(def->model));
    if (def->model != VIDEO_VIRTIO && virtio_options_given(&def->virtio))
        return error_set(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            "iommu, ats, packed and page_per_vq driver options are only supported for virtio devices");
    return TRUE;
}

static void video_clear(DeviceInfo *dev)
{
    fields_clear(video_fields, dev);
}

static guint video_pci_connect(const DeviceInfo *dev, const DomainDef *domain)
{
    (void)domain;
    switch (((const VideoDef *)dev)->model) {
    case VIDEO_NONE:
    case VIDEO_RAMFB:
        return PCI_CONNECT_NONE;
    case VIDEO_VIRTIO:
        return PCI_CONNECT_EXPRESS | PCI_CONNECT_CONVENTIONAL | PCI_CONNECT_INTEGRATED;
    default:
        return PCI_CONNECT_CONVENTIONAL | PCI_CONNECT_INTEGRATED;
    }
}

const DeviceDefOps video_def_ops = {
    .kind = DEVICE_VIDEO,
    .size = sizeof(VideoDef),
    .init = video_init,
    .parse = video_parse,
    .format = video_format,
    .post_parse = video_post_parse,
    .validate = video_validate,
    .clear = video_clear,
    .pci_connect = video_pci_connect,
};
