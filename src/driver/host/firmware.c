/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* FirmwareImage descriptors. */
#include "driver/host/firmware.h"

#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"

static const char *const folders[] = {"/usr/share/qemu/firmware", "/etc/qemu/firmware"}; /* the later one wins */
enum { DESCRIPTOR_MAX = 256 * 1024 };

void firmware_image_free(FirmwareImage *firmware)
{
    if (firmware == NULL)
        return;
    g_free(firmware->code);
    g_free(firmware->template);
    g_free(firmware);
}

static gboolean list_has(json_t *list, const char *word)
{
    json_t *item;
    size_t i;

    json_array_foreach(list, i, item) {
        if (g_strcmp0(json_string_value(item), word) == 0)
            return TRUE;
    }
    return FALSE;
}

static gboolean is_target(json_t *targets, const char *arch, const char *machine)
{
    json_t *target, *pattern;
    size_t i, j;

    json_array_foreach(targets, i, target) {
        if (g_strcmp0(json_string_value(json_object_get(target, "architecture")), arch) != 0)
            continue;
        json_array_foreach(json_object_get(target, "machines"), j, pattern) {
            if (json_is_string(pattern) && g_pattern_match_simple(json_string_value(pattern), machine))
                return TRUE;
        }
    }
    return FALSE;
}

/* A flash image for this machine that is there, else NULL. */
static FirmwareImage *read_descriptor(const char *path, const char *arch, const char *machine)
{
    g_autofree char *text = NULL;
    g_autoptr(FirmwareImage) firmware = NULL;
    json_t *doc, *mapping, *features;
    const char *code, *template;
    gsize length;

    if (!g_file_get_contents(path, &text, &length, NULL) || length > DESCRIPTOR_MAX)
        return NULL;
    doc = json_loadb(text, length, 0, NULL);
    mapping = json_object_get(doc, "mapping");
    features = json_object_get(doc, "features");
    code = json_string_value(json_object_get(json_object_get(mapping, "executable"), "filename"));
    template = json_string_value(json_object_get(json_object_get(mapping, "nvram-template"), "filename"));
    if (code != NULL && list_has(json_object_get(doc, "interface-types"), "uefi") &&
        g_strcmp0(json_string_value(json_object_get(mapping, "device")), "flash") == 0 &&
        is_target(json_object_get(doc, "targets"), arch, machine) && access(code, F_OK) == 0) {
        firmware = g_new0(FirmwareImage, 1);
        firmware->code = g_strdup(code);
        firmware->template = g_strdup(template);
        firmware->secure = list_has(features, "secure-boot");
        firmware->enrolled_keys = list_has(features, "enrolled-keys");
        firmware->requires_smm = list_has(features, "requires-smm");
    }
    json_decref(doc);
    return g_steal_pointer(&firmware);
}

static void free_firmware(gpointer data)
{
    firmware_image_free(data);
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(a, b);
}

static GPtrArray *all(const char *arch, const char *machine)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(free_firmware);
    g_autoptr(GHashTable) paths = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_autoptr(GList) names = NULL;

    for (guint i = 0; i < G_N_ELEMENTS(folders); i++) {
        g_autoptr(GDir) dir = g_dir_open(folders[i], 0, NULL);
        const char *name;

        while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
            if (g_str_has_suffix(name, ".json"))
                g_hash_table_replace(paths, g_strdup(name), g_build_filename(folders[i], name, NULL));
        }
    }
    names = g_list_sort(g_hash_table_get_keys(paths), compare_names);
    for (GList *n = names; n != NULL; n = n->next) {
        FirmwareImage *f = read_descriptor(g_hash_table_lookup(paths, n->data), arch, machine);

        if (f != NULL)
            g_ptr_array_add(list, f);
    }
    return list;
}

GPtrArray *firmware_loaders(const char *arch, const char *machine)
{
    g_autoptr(GPtrArray) list = all(arch, machine);
    GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < list->len; i++) {
        const FirmwareImage *f = list->pdata[i];

        if (!g_ptr_array_find_with_equal_func(paths, f->code, g_str_equal, NULL))
            g_ptr_array_add(paths, g_strdup(f->code));
    }
    return paths;
}

gboolean firmware_secure(const char *arch, const char *machine)
{
    g_autoptr(FirmwareImage) f = firmware_find(arch, machine, 1, -1, NULL);

    return f != NULL;
}

FirmwareImage *firmware_find(const char *arch, const char *machine, int secure, int enrolled_keys, GError **error)
{
    g_autoptr(GPtrArray) list = all(arch, machine);

    for (guint i = 0; i < list->len; i++) {
        const FirmwareImage *f = list->pdata[i];

        if ((secure == -1 || f->secure == (secure == 1)) &&
            (enrolled_keys == -1 || f->enrolled_keys == (enrolled_keys == 1)))
            return g_ptr_array_steal_index(list, i);
    }
    error_set(error, VIR_ERR_OPERATION_FAILED, "Unable to find any firmware to satisfy 'efi'");
    return NULL;
}
