/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Device changes without a machine: key numbers, words of -chardev as QMP, devices in and out of a definition. */
#include <string.h>

#include "common/error.h"
#include "driver/backend/qemu_hotplug.h"
#include "driver/conf/def_interface.h"
#include "driver/domain/devices.h"
#include "driver/domain/key_codes.h"

/* --- keys ----------------------------------------------------------------------------------------------- */

static void test_keys(void)
{
    /* The key A in every set, and QEMU's number of it; then keys with a prefix. */
    static const struct {
        guint set, code, number;
    } keys[] = {
        {VIR_KEYCODE_SET_LINUX, 30, 0x1e},   {VIR_KEYCODE_SET_XT, 0x1e, 0x1e},    {VIR_KEYCODE_SET_ATSET1, 0x1e, 0x1e},
        {VIR_KEYCODE_SET_ATSET2, 0x1c, 0x1e}, {VIR_KEYCODE_SET_ATSET3, 0x1c, 0x1e}, {VIR_KEYCODE_SET_OSX, 0, 0x1e},
        {VIR_KEYCODE_SET_XT_KBD, 0x1e, 0x1e}, {VIR_KEYCODE_SET_USB, 4, 0x1e},      {VIR_KEYCODE_SET_WIN32, 0x41, 0x1e},
        {VIR_KEYCODE_SET_QNUM, 0x1e, 0x1e},  {VIR_KEYCODE_SET_LINUX, 111, 0xd3},  {VIR_KEYCODE_SET_ATSET1, 0xe053, 0xd3},
        {VIR_KEYCODE_SET_USB, 76, 0xd3},
    };
    guint number;

    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_assert_true(key_codes_to_qemu(keys[i].set, keys[i].code, &number));
        g_assert_cmphex(number, ==, keys[i].number);
    }
    g_assert_false(key_codes_to_qemu(VIR_KEYCODE_SET_LINUX, 0, &number));
    g_assert_false(key_codes_to_qemu(VIR_KEYCODE_SET_USB, 65000, &number));
    g_assert_cmpstr(key_codes_set_name(VIR_KEYCODE_SET_OSX), ==, "os_x");
    g_assert_null(key_codes_set_name(VIR_KEYCODE_SET_QNUM + 1));
}

/* --- chardevs ------------------------------------------------------------------------------------------- */

static void expect_chardev(const char *words, const char *fd_name, const char *wanted)
{
    g_autofree char *id = NULL;
    g_autoptr(GError) error = NULL;
    json_t *backend = qemu_hotplug_chardev(words, fd_name, &id, &error);
    char *text;

    g_assert_no_error(error);
    text = json_dumps(backend, JSON_COMPACT | JSON_SORT_KEYS);
    g_assert_cmpstr(text, ==, wanted);
    g_assert_cmpstr(id, ==, "charx");
    free(text);
    json_decref(backend);
}

static void test_chardevs(void)
{
    g_autofree char *id = NULL;
    g_autoptr(GError) error = NULL;

    expect_chardev("pty,id=charx", NULL, "{\"data\":{},\"type\":\"pty\"}");
    expect_chardev("file,id=charx,path=/a,,b,append=on", NULL,
                   "{\"data\":{\"append\":true,\"out\":\"/a,b\"},\"type\":\"file\"}");
    expect_chardev("socket,id=charx,fd=12,server=on,wait=off", "chr-x-0",
                   "{\"data\":{\"addr\":{\"data\":{\"str\":\"chr-x-0\"},\"type\":\"fd\"},\"server\":true,\"wait\":false},"
                   "\"type\":\"socket\"}");
    expect_chardev("socket,id=charx,host=h,port=5,telnet=on,reconnect=3", NULL,
                   "{\"data\":{\"addr\":{\"data\":{\"host\":\"h\",\"port\":\"5\"},\"type\":\"inet\"},\"reconnect\":3,"
                   "\"server\":false,\"telnet\":true},\"type\":\"socket\"}");
    expect_chardev("socket,id=charx,path=/s,reconnect-ms=3000", NULL,
                   "{\"data\":{\"addr\":{\"data\":{\"path\":\"/s\"},\"type\":\"unix\"},\"reconnect-ms\":3000,"
                   "\"server\":false},\"type\":\"socket\"}");
    expect_chardev("spicevmc,id=charx,name=vdagent", NULL, "{\"data\":{\"type\":\"vdagent\"},\"type\":\"spicevmc\"}");
    expect_chardev("null,id=charx,logfile=/l,logappend=off", NULL,
                   "{\"data\":{\"logappend\":false,\"logfile\":\"/l\"},\"type\":\"null\"}");
    g_assert_null(qemu_hotplug_chardev("stdio,id=charx", NULL, &id, &error));
    g_assert_true(error_is(error, VIR_ERR_OPERATION_UNSUPPORTED));
}

/* --- definitions ---------------------------------------------------------------------------------------- */

static DomainDef *make_def(void)
{
    g_autoptr(GError) error = NULL;
    DomainDef *def = domain_def_parse(
        "<domain type='qemu'><name>d</name><memory>65536</memory><os><type arch='x86_64' machine='q35'>hvm</type></os>"
        "<devices><disk type='file'><source file='/a'/><target dev='vda' bus='virtio'/></disk>"
        "<interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/></interface>"
        "<interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/></interface>"
        "</devices></domain>",
        NULL, DOMAIN_DEF_PARSE_INACTIVE | DOMAIN_DEF_PARSE_ABI_UPDATE, &error);

    g_assert_no_error(error);
    return def;
}

typedef gboolean (*Change)(DomainDef *def, DeviceInfo **dev, const DomainDefEnv *env, GError **error);

/* number 0: it works. */
static void expect_change(DomainDef *def, Change change, const char *xml, int number, const char *words)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(DeviceInfo) dev = device_def_parse(xml, def, NULL, DOMAIN_DEF_PARSE_INACTIVE, &error);
    gboolean done;

    g_assert_no_error(error);
    done = change(def, &dev, &domain_def_env_default, &error);
    if (number == 0) {
        g_assert_no_error(error);
        g_assert_true(done);
        return;
    }
    g_assert_false(done);
    g_assert_nonnull(error);
    g_assert_nonnull(strstr(error->message, words));
    g_assert_cmpint(error_number(error), ==, number);
}

static void test_definition(void)
{
    static const char *const vdb =
        "<disk type='file'><source file='/b'/><target dev='vdb' bus='virtio'/></disk>";
    g_autoptr(DomainDef) def = make_def();
    guint disks = domain_def_n(def, DEVICE_DISK);

    expect_change(def, device_config_attach, vdb, 0, NULL);
    expect_change(def, device_config_attach, vdb, VIR_ERR_OPERATION_INVALID, "target vdb already exists");
    expect_change(def, device_config_update,
                  "<disk type='file'><source file='/c'/><target dev='vdb' bus='virtio'/></disk>", 0, NULL);
    g_assert_nonnull(domain_def_find_disk(def, "/c"));
    expect_change(def, device_config_detach, vdb, 0, NULL);
    g_assert_cmpuint(domain_def_n(def, DEVICE_DISK), ==, disks);
    expect_change(def, device_config_detach, vdb, VIR_ERR_DEVICE_MISSING, "no target device vdb");
    expect_change(def, device_config_update, vdb, VIR_ERR_INVALID_ARG, "target vdb doesn't exist.");
    expect_change(def, device_config_detach, "<interface type='user'><mac address='52:54:00:00:00:01'/></interface>",
                  VIR_ERR_OPERATION_FAILED, "multiple devices matching MAC address 52:54:00:00:00:01 found");
    expect_change(def, device_config_attach, "<memballoon model='virtio'/>", VIR_ERR_OPERATION_UNSUPPORTED,
                  "persistent attach of device 'memballoon' is not supported");
    expect_change(def, device_config_update, "<rng model='virtio'><backend model='random'/></rng>",
                  VIR_ERR_OPERATION_UNSUPPORTED, "persistent update of device 'rng' is not supported");
    expect_change(def, device_config_attach, "<serial type='pty'/>", 0, NULL);
    g_assert_cmpuint(domain_def_n(def, DEVICE_CONSOLE), ==, 1);
    expect_change(def, device_config_detach, "<serial type='pty'><target port='0'/></serial>", 0, NULL);
    g_assert_cmpuint(domain_def_n(def, DEVICE_CONSOLE), ==, 0);
    expect_change(def, device_config_attach, "<memory model='dimm'><target><size unit='MiB'>64</size></target></memory>",
                  VIR_ERR_CONFIG_UNSUPPORTED, "maxMemory");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/devices/keys", test_keys);
    g_test_add_func("/devices/chardevs", test_chardevs);
    g_test_add_func("/devices/definition", test_definition);
    return g_test_run();
}
