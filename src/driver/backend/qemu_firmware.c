/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Firmware of a start: see qemu_firmware.h. */
#include "driver/backend/qemu_firmware.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/atomic_file.h"
#include "common/error.h"
#include "driver/conf/domain_def.h"
#include "driver/host/firmware.h"

enum { NVRAM_MAX = 64 * 1024 * 1024 };

/* Templates of images that no descriptor knows. */
static const struct {
    const char *code, *template;
} old_templates[] = {
    {"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"},
    {"/usr/share/OVMF/OVMF_CODE.secboot.fd", "/usr/share/OVMF/OVMF_VARS.fd"},
};

static gboolean file_exists(const char *path)
{
    return path != NULL && access(path, F_OK) == 0;
}

static int wish_of(Tristate given)
{
    return given == TRISTATE_ABSENT ? -1 : given == TRISTATE_YES;
}

static FirmwareWish wish_for(const DomainDef *live)
{
    const OsDef *os = &live->os;

    return (FirmwareWish){
        .arch = os->arch,
        .machine = os->machine,
        .bios = os->firmware == FIRMWARE_BIOS,
        .code = os->firmware == FIRMWARE_NONE ? os->loader.path : NULL,
        .secure = wish_of(os->firmware_features[FIRMWARE_FEATURE_SECURE_BOOT]),
        .enrolled_keys = wish_of(os->firmware_features[FIRMWARE_FEATURE_ENROLLED_KEYS]),
        .smm = os->loader.secure == TRISTATE_YES,
        .s3 = live->pm_s3 == TRISTATE_YES,
        .s4 = live->pm_s4 == TRISTATE_YES,
        .stateless = os->loader.stateless == TRISTATE_YES,
    };
}

static gboolean require_smm(DomainDef *live, GError **error)
{
    Tristate *smm = &live->features.state[FEATURE_SMM];

    if (*smm == TRISTATE_NO)
        return error_set(error, VIR_ERR_OPERATION_INVALID,
                         "domain has SMM turned off but chosen firmware requires it");
    *smm = TRISTATE_YES;
    live->os.loader.secure = TRISTATE_YES;
    return TRUE;
}

static void put_text(char **text, const char *value)
{
    g_free(*text);
    *text = g_strdup(value);
}

static gboolean put_image(DomainDef *live, const FirmwareImage *image, const char *nvram_dir, GError **error)
{
    LoaderDef *loader = &live->os.loader;

    loader->given = TRUE;
    put_text(&loader->path, image->code);
    if (image->device == FIRMWARE_DEVICE_MEMORY) {
        loader->type = LOADER_ROM;
    } else {
        loader->type = LOADER_PFLASH;
        loader->readonly = TRISTATE_YES;
        if (image->template != NULL) {
            loader->nvram_given = TRUE;
            put_text(&loader->nvram_template, image->template);
            if (loader->nvram_path == NULL)
                loader->nvram_path = g_strdup_printf("%s/%s_VARS.fd", nvram_dir, live->name);
        }
    }
    live->os.firmware = FIRMWARE_NONE;
    return !image->requires_smm || require_smm(live, error);
}

gboolean qemu_firmware_choose(DomainDef *live, const char *nvram_dir, gboolean reset, GError **error)
{
    const LoaderDef *loader = &live->os.loader;
    gboolean named = live->os.firmware == FIRMWARE_NONE;
    FirmwareWish wish = wish_for(live);
    g_autoptr(FirmwareImage) image = NULL;

    /* A loader that is named needs a descriptor only for the template of variables that have to be made. */
    if (named && (loader->path == NULL || loader->type != LOADER_PFLASH || loader->readonly != TRISTATE_YES ||
                  loader->nvram_template != NULL || (!reset && file_exists(loader->nvram_path))))
        return TRUE;
    image = firmware_find(&wish);
    if (image != NULL)
        return put_image(live, image, nvram_dir, error);
    /* QEMU brings its own BIOS, descriptor or not. */
    if (named || live->os.firmware == FIRMWARE_BIOS)
        return TRUE;
    return error_set(error, VIR_ERR_OPERATION_FAILED,
                     "Unable to find any firmware to satisfy '%s': see the features asked for in <os>, and whether the "
                     "package ovmf is installed",
                     firmware_to_string(live->os.firmware));
}

gboolean qemu_firmware_make_nvram(const BackendConfig *config, const DomainDef *live, gboolean reset, GError **error)
{
    const LoaderDef *loader = &live->os.loader;
    const char *template = loader->nvram_template;
    g_autofree char *data = NULL;
    g_autofree char *folder = NULL;
    g_autoptr(GError) local = NULL;
    gsize length;

    if (loader->nvram_path == NULL || (!reset && file_exists(loader->nvram_path)))
        return TRUE;
    for (gsize i = 0; template == NULL && i < G_N_ELEMENTS(old_templates); i++) {
        if (g_strcmp0(loader->path, old_templates[i].code) == 0)
            template = old_templates[i].template;
    }
    if (template == NULL)
        return error_set(error, VIR_ERR_OPERATION_FAILED,
                         "unable to find any master var store for loader: %s; name one in <nvram template='...'>",
                         loader->path ? loader->path : "(none)");
    if (!g_file_get_contents(template, &data, &length, &local))
        return error_set(error, VIR_ERR_SYSTEM_ERROR, "Failed to open file '%s', the template of the nvram: %s",
                         template, local->message);
    if (length > NVRAM_MAX)
        return error_set(error, VIR_ERR_OPERATION_FAILED, "the template '%s' of the nvram has %zu bytes; at most %d",
                         template, length, NVRAM_MAX);
    folder = g_path_get_dirname(loader->nvram_path);
    g_mkdir_with_parents(folder, 0711);
    if (!atomic_file_write(loader->nvram_path, data, (gssize)length, 0600, error))
        return FALSE;
    if (config->user != (uid_t)-1 && chown(loader->nvram_path, config->user, config->group) < 0)
        return error_set_errno(error, errno, "cannot give the nvram '%s' to the user of the VMs", loader->nvram_path);
    return TRUE;
}
