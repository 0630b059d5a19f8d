/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Running qemu-img. See volume_tool.h. */
#define ERROR_FROM VIR_FROM_STORAGE

#include "storage/volume_tool.h"

#include <string.h>

#include "common/error.h"

gboolean volume_tool_knows(VolumeFormat format)
{
    return format == VOLUME_FORMAT_QCOW || format == VOLUME_FORMAT_QED || format == VOLUME_FORMAT_VMDK ||
           format == VOLUME_FORMAT_VDI || format == VOLUME_FORMAT_VPC;
}

/* qemu-img takes "a:b" for a protocol; every path of ours begins with a slash. */
static gboolean run(GPtrArray *argv, const char *path, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autofree char *said = NULL;
    int status = 0;

    g_ptr_array_add(argv, NULL);
    if (!g_spawn_sync(NULL, (char **)argv->pdata, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL,
                      NULL, NULL, NULL, &said, &status, &cause)) {
        if (g_error_matches(cause, G_SPAWN_ERROR, G_SPAWN_ERROR_NOENT))
            return error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "volume '%s': this format needs qemu-img, which is not installed", path);
        return error_set(error, VIR_ERR_OPERATION_FAILED, "cannot run qemu-img for '%s': %s", path,
                         cause->message);
    }
    if (g_spawn_check_wait_status(status, &cause))
        return TRUE;
    return error_set(error, VIR_ERR_OPERATION_FAILED, "qemu-img failed for '%s': %s", path,
                     *said != '\0' ? g_strchomp(said) : cause->message);
}

static GPtrArray *command(const char *verb)
{
    GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);

    g_ptr_array_add(argv, g_strdup("qemu-img"));
    g_ptr_array_add(argv, g_strdup(verb));
    return argv;
}

static void add(GPtrArray *argv, const char *option, const char *value)
{
    g_ptr_array_add(argv, g_strdup(option));
    if (value != NULL)
        g_ptr_array_add(argv, g_strdup(value));
}

gboolean volume_tool_create(const VolumeDef *volume, const char *backing_path, GError **error)
{
    g_autoptr(GPtrArray) argv = command("create");

    add(argv, "-q", NULL);
    add(argv, "-f", volume_format_to_string(volume->target.format));
    if (backing_path != NULL) {
        add(argv, "-b", backing_path);
        add(argv, "-F", volume_format_to_string(volume->backing->format));
    }
    g_ptr_array_add(argv, g_strdup(volume->target.path));
    if (volume->has_capacity)
        g_ptr_array_add(argv, g_strdup_printf("%" G_GUINT64_FORMAT, volume->capacity));
    return run(argv, volume->target.path, error);
}

static const char *input_format(const VolumeDef *source)
{
    return source->target.format == VOLUME_FORMAT_ISO ? "raw"
                                                      : volume_format_to_string(source->target.format);
}

gboolean volume_tool_convert(const VolumeDef *volume, const VolumeDef *source, GError **error)
{
    g_autoptr(GPtrArray) argv = command("convert");

    add(argv, "-f", input_format(source));
    add(argv, "-O", volume_format_to_string(volume->target.format));
    if (volume->target.format == VOLUME_FORMAT_QCOW2)
        add(argv, "-o",
            volume->target.compat == NULL || g_str_equal(volume->target.compat, "0.10") ? "compat=0.10"
                                                                                        : "compat=1.1");
    g_ptr_array_add(argv, g_strdup(source->target.path));
    g_ptr_array_add(argv, g_strdup(volume->target.path));
    return run(argv, volume->target.path, error);
}
