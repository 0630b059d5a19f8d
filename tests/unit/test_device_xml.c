/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Device elements against tests/golden/device/<element>/: ok-*.xml must come back byte for byte (ok-newer-*:
 * elements younger than libvirt 9.0); bad-*.xml must be refused with the number and the text
 * that stand in the comment at its top: <!-- NUMBER text -->. REGENERATE=1 rewrites the ok files.
 */
#include <errno.h>
#include <string.h>

#include "common/error.h"
#include "driver/conf/def_chr.h"
#include "driver/conf/def_disk.h"
#include "driver/conf/def_graphics.h"
#include "driver/conf/def_interface.h"
#include "driver/conf/domain_def.h"
#include "driver/conf/supported.h"

static void test_ok(gconstpointer data)
{
    const char *path = data;
    g_autofree char *text = NULL;
    g_autofree char *got = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(DeviceInfo) dev = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, &error));
    dev = device_def_parse(text, NULL, NULL, 0, &error);
    g_assert_no_error(error);
    got = device_def_format(dev, NULL, DOMAIN_DEF_FORMAT_SECURE);
    if (g_getenv("REGENERATE") != NULL)
        g_assert_true(g_file_set_contents(path, got, -1, NULL));
    else
        g_assert_cmpstr(got, ==, text);
}

static void test_bad(gconstpointer data)
{
    const char *path = data;
    g_autofree char *text = NULL;
    g_autofree char *got = NULL;
    g_autofree char *want = NULL;
    const char *end;
    g_autoptr(GError) error = NULL;
    g_autoptr(DeviceInfo) dev = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, &error));
    g_assert_true(g_str_has_prefix(text, "<!-- "));
    end = strstr(text, " -->");
    g_assert_nonnull(end);
    want = g_strndup(text + 5, (gsize)(end - text) - 5);
    dev = device_def_parse(text, NULL, NULL, DOMAIN_DEF_PARSE_INACTIVE, &error);
    g_assert_null(dev);
    got = g_strdup_printf("%d %s", (int)error_number(error), error->message);
    if (g_getenv("REGENERATE") != NULL) {
        g_autofree char *file = g_strdup_printf("<!-- %s%s", got, end);

        g_assert_true(g_file_set_contents(path, file, -1, NULL));
        return;
    }
    g_assert_cmpstr(got, ==, want);
}

static GPtrArray *paths;

static void add_folder(const char *folder, const char *element)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        char *path = g_build_filename(folder, name, NULL);
        g_autofree char *test = NULL;

        g_ptr_array_add(paths, path);
        if (g_file_test(path, G_FILE_TEST_IS_DIR)) {
            add_folder(path, name);
            continue;
        }
        test = g_strdup_printf("/device/%s/%s", element, name);
        if (g_str_has_prefix(name, "ok-"))
            g_test_add_data_func(test, path, test_ok);
        else if (g_str_has_prefix(name, "bad-"))
            g_test_add_data_func(test, path, test_bad);
    }
}

static DeviceInfo *parse(const char *text, guint flags)
{
    g_autoptr(GError) error = NULL;
    DeviceInfo *dev = device_def_parse(text, NULL, NULL, flags, &error);

    g_assert_no_error(error);
    return dev;
}

static void test_defaults(void)
{
    g_autoptr(DeviceInfo) disk = parse("<disk><source file='/a'/><target dev='sda'/></disk>", 0);
    g_autoptr(DeviceInfo) nic = parse("<interface type='user'/>", 0);
    const DiskDef *d = (const DiskDef *)disk;
    const InterfaceDef *i = (const InterfaceDef *)nic;

    g_assert_cmpint(d->bus, ==, DISK_BUS_SCSI);
    g_assert_cmpint(d->source->format, ==, STORAGE_FORMAT_RAW);
    g_assert_cmpstr(d->driver_name, ==, "qemu");
    g_assert_true(g_str_has_prefix(i->mac, "52:54:00:"));
    g_assert_true(i->mac_generated);
    g_assert_cmpint(i->model, ==, INTERFACE_MODEL_RTL8139);
}

static void test_names(void)
{
    guint index = 99;

    g_assert_true(disk_name_to_index("vda", &index) && index == 0);
    g_assert_true(disk_name_to_index("sdz", &index) && index == 25);
    g_assert_true(disk_name_to_index("hdaa", &index) && index == 26);
    g_assert_true(disk_name_to_index("vdb1", &index) && index == 1);
    g_assert_false(disk_name_to_index("vd", &index));
    g_assert_false(disk_name_to_index("nvme0", &index));
    for (guint i = 0; i < 20000; i += 7) {
        g_autofree char *name = disk_index_to_name("vd", i);

        g_assert_true(disk_name_to_index(name, &index));
        g_assert_cmpuint(index, ==, i);
    }
}

static void test_password(void)
{
    g_autoptr(DeviceInfo) dev = parse("<graphics type='vnc' passwd='secret' port='5901' autoport='no'/>", 0);
    g_autofree char *open = device_def_format(dev, NULL, DOMAIN_DEF_FORMAT_SECURE);
    g_autofree char *closed = device_def_format(dev, NULL, 0);

    g_assert_nonnull(strstr(open, "passwd='secret'"));
    g_assert_null(strstr(closed, "secret"));
}

/* Live things stay out of what is stored. */
static void test_inactive(void)
{
    g_autoptr(DeviceInfo) live = parse("<console type='pty' tty='/dev/pts/3'><source path='/dev/pts/3'/>"
                                       "<target type='serial' port='0'/></console>",
                                       0);
    g_autofree char *text = device_def_format(live, NULL, DOMAIN_DEF_FORMAT_INACTIVE);
    g_autoptr(DeviceInfo) nic =
        parse("<interface type='bridge'><source bridge='b'/><target dev='vnet3'/></interface>",
              DOMAIN_DEF_PARSE_INACTIVE);
    g_autoptr(DeviceInfo) vnc =
        parse("<graphics type='vnc' port='5907' autoport='yes'/>", DOMAIN_DEF_PARSE_INACTIVE);

    g_assert_null(strstr(text, "pts"));
    g_assert_null(((InterfaceDef *)nic)->target);
    g_assert_cmpint(((GraphicsDef *)vnc)->port, ==, 0);
}

static gboolean matches(const char *have, const char *wanted)
{
    g_autoptr(DeviceInfo) a = parse(have, 0);
    g_autoptr(DeviceInfo) b = parse(wanted, DOMAIN_DEF_PARSE_SKIP_VALIDATE);

    return device_def_ops(a->kind)->matches(a, b);
}

static void test_matches(void)
{
    const char *disk = "<disk type='file'><source file='/a'/><target dev='vda'/></disk>";
    const char *nic = "<interface type='user'><mac address='52:54:00:00:00:01'/></interface>";

    g_assert_true(matches(disk, "<disk type='file'><source file='/b'/><target dev='vda'/></disk>"));
    g_assert_false(matches(disk, "<disk type='file'><source file='/a'/><target dev='vdb'/></disk>"));
    g_assert_true(matches(nic, nic));
    g_assert_true(matches(nic, "<interface type='user'/>"));
    g_assert_false(matches(nic, "<interface type='user'><mac address='52:54:00:00:00:02'/></interface>"));
}

static void test_copy(void)
{
    g_autoptr(DeviceInfo) dev =
        parse("<disk type='network'><source protocol='https' name='a'><host name='h'/>"
              "<cookies><cookie name='c'>v</cookie></cookies></source>"
              "<backingStore type='file'><format type='qcow2'/><source file='/b'/>"
              "<backingStore/></backingStore><target dev='vda'/></disk>",
              0);
    const StorageSource *source = ((DiskDef *)dev)->source;
    g_autoptr(StorageSource) copy = storage_source_copy(source);
    g_autofree char *text = storage_source_describe(copy);

    g_assert_true(storage_source_same(source, copy));
    g_assert_cmpint(copy->backing->format, ==, STORAGE_FORMAT_QCOW2);
    g_assert_cmpint(copy->backing->backing->type, ==, STORAGE_TYPE_NONE);
    g_assert_cmpstr(text, ==, "https:a");
}

static void test_supported(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(supported_has(SUPPORTED_DISK_BUS, "virtio"));
    g_assert_false(supported_check(SUPPORTED_DISK_BUS, "xen", "disk bus", &error));
    g_assert_true(error_is(error, VIR_ERR_CONFIG_UNSUPPORTED));
    for (int i = 0; i < SUPPORTED_LAST; i++)
        g_assert_nonnull(supported_values(i)[0]);
}

int main(int argc, char **argv)
{
    g_autofree char *folder = g_build_filename(g_getenv("abs_top_srcdir"), "tests/golden/device", NULL);
    int result;

    g_test_init(&argc, &argv, NULL);
    paths = g_ptr_array_new_with_free_func(g_free);
    add_folder(folder, "");
    g_test_add_func("/device/defaults", test_defaults);
    g_test_add_func("/device/disk-names", test_names);
    g_test_add_func("/device/password", test_password);
    g_test_add_func("/device/inactive", test_inactive);
    g_test_add_func("/device/matches", test_matches);
    g_test_add_func("/device/copy", test_copy);
    g_test_add_func("/device/supported", test_supported);
    result = g_test_run();
    g_ptr_array_unref(paths);
    return result;
}
