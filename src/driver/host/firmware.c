/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Firmware descriptors: see firmware.h. */
#include "driver/host/firmware.h"

#include <jansson.h>
#include <string.h>
#include <unistd.h>

enum { DESCRIPTOR_MAX = 256 * 1024 };

static const char *root_folder; /* NULL but in tests */

void firmware_set_root(const char *root)
{
    root_folder = root;
}

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

static const char *file_name(json_t *mapping, const char *key)
{
    json_t *file = json_object_get(mapping, key);
    const char *format = json_string_value(json_object_get(file, "format"));

    return format == NULL || strcmp(format, "raw") == 0 ? json_string_value(json_object_get(file, "filename")) : NULL;
}

/* From a descriptor's "mapping": where the image is, and of what kind. FALSE: of a kind that is not used here. */
static gboolean read_mapping(FirmwareImage *firmware, json_t *mapping)
{
    const char *device = json_string_value(json_object_get(mapping, "device"));
    const char *mode = json_string_value(json_object_get(mapping, "mode"));

    if (g_strcmp0(device, "memory") == 0) {
        firmware->device = FIRMWARE_DEVICE_MEMORY;
        firmware->code = g_strdup(json_string_value(json_object_get(mapping, "filename")));
        return firmware->code != NULL;
    }
    if (g_strcmp0(device, "flash") != 0 || g_strcmp0(mode, "combined") == 0)
        return FALSE;
    firmware->device = FIRMWARE_DEVICE_FLASH;
    firmware->code = g_strdup(file_name(mapping, "executable"));
    if (g_strcmp0(mode, "stateless") != 0)
        firmware->template = g_strdup(file_name(mapping, "nvram-template"));
    return firmware->code != NULL;
}

/* An image for this machine that is there, else NULL. */
static FirmwareImage *read_descriptor(const char *path, const char *arch, const char *machine)
{
    g_autofree char *text = NULL;
    g_autoptr(FirmwareImage) firmware = g_new0(FirmwareImage, 1);
    json_t *doc, *features, *interfaces;
    gboolean fits;
    gsize length;

    if (!g_file_get_contents(path, &text, &length, NULL) || length > DESCRIPTOR_MAX)
        return NULL;
    doc = json_loadb(text, length, 0, NULL);
    features = json_object_get(doc, "features");
    interfaces = json_object_get(doc, "interface-types");
    firmware->uefi = list_has(interfaces, "uefi");
    firmware->bios = list_has(interfaces, "bios");
    firmware->secure = list_has(features, "secure-boot");
    firmware->enrolled_keys = list_has(features, "enrolled-keys");
    firmware->requires_smm = list_has(features, "requires-smm");
    firmware->s3 = list_has(features, "acpi-s3");
    firmware->s4 = list_has(features, "acpi-s4");
    fits = read_mapping(firmware, json_object_get(doc, "mapping")) &&
           is_target(json_object_get(doc, "targets"), arch, machine) && access(firmware->code, F_OK) == 0;
    json_decref(doc);
    return fits ? g_steal_pointer(&firmware) : NULL;
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
    const char *root = root_folder != NULL ? root_folder : "";
    g_autofree char *packaged = g_strconcat(root, "/usr/share/qemu/firmware", NULL);
    g_autofree char *local = g_strconcat(root, "/etc/qemu/firmware", NULL);
    g_autofree char *user = g_build_filename(g_get_user_config_dir(), "qemu/firmware", NULL);
    const char *const folders[] = {packaged, local, user}; /* the later one wins */
    g_autoptr(GList) names = NULL;

    for (guint i = 0; i < G_N_ELEMENTS(folders) - (geteuid() == 0 || root_folder != NULL); i++) {
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

        if (f->uefi && f->device == FIRMWARE_DEVICE_FLASH &&
            !g_ptr_array_find_with_equal_func(paths, f->code, g_str_equal, NULL))
            g_ptr_array_add(paths, g_strdup(f->code));
    }
    return paths;
}

gboolean firmware_secure(const char *arch, const char *machine)
{
    const FirmwareWish wish = {.arch = arch, .machine = machine, .secure = 1, .enrolled_keys = -1};
    g_autoptr(FirmwareImage) f = firmware_find(&wish);

    return f != NULL;
}

static gboolean agrees(int wanted, gboolean is)
{
    return wanted == -1 || (wanted == 1) == is;
}

static gboolean fits(const FirmwareImage *f, const FirmwareWish *wish)
{
    if (!(wish->bios ? f->bios : f->uefi) || (wish->smm && !f->requires_smm) || (wish->s3 && !f->s3) ||
        (wish->s4 && !f->s4) || !agrees(wish->secure, f->secure) || !agrees(wish->enrolled_keys, f->enrolled_keys))
        return FALSE;
    if (wish->code != NULL && (f->device != FIRMWARE_DEVICE_FLASH || strcmp(f->code, wish->code) != 0))
        return FALSE;
    return f->device != FIRMWARE_DEVICE_FLASH || (f->template == NULL) == wish->stateless;
}

FirmwareImage *firmware_find(const FirmwareWish *wish)
{
    g_autoptr(GPtrArray) list = all(wish->arch, wish->machine);

    for (guint i = 0; i < list->len; i++) {
        if (fits(list->pdata[i], wish))
            return g_ptr_array_steal_index(list, i);
    }
    return NULL;
}
