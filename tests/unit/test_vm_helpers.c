/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What stands beside a VM: swtpm's arguments and state, the choice of firmware, devices of the host (made-up sysfs). */
#include <libvirt/libvirt.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "driver/backend/hostdev.h"
#include "driver/backend/qemu_firmware.h"
#include "driver/backend/swtpm.h"
#include "driver/host/firmware.h"

static char *top; /* a folder of this test's own */

static void put(const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(top, name, NULL);
    g_autofree char *folder = g_path_get_dirname(path);

    g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static char *get(const char *name)
{
    g_autofree char *path = g_build_filename(top, name, NULL);
    char *text = NULL;

    g_file_get_contents(path, &text, NULL, NULL);
    return text;
}

static DomainDef *parse(const char *os, const char *devices)
{
    g_autofree char *xml =
        g_strdup_printf("<domain type='qemu'><name>beside</name><uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid>"
                        "<memory>65536</memory>%s<devices>%s</devices></domain>",
                        os, devices);
    g_autoptr(GError) error = NULL;
    DomainDef *def = domain_def_parse(xml, NULL, DOMAIN_DEF_PARSE_INACTIVE | DOMAIN_DEF_PARSE_SKIP_VALIDATE, &error);

    g_assert_no_error(error);
    return def;
}

#define Q35 "<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>"

/* --- swtpm --- */

static void assert_words(char **words, const char *expected)
{
    g_autofree char *text = g_strjoinv(" ", words);

    g_assert_cmpstr(text, ==, expected);
    g_strfreev(words);
}

static void test_swtpm_args(void)
{
    g_autoptr(DomainDef) def = parse(Q35, "<tpm model='tpm-crb'><backend type='emulator' version='2.0'>"
                                          "<active_pcr_banks><sha512/><sha1/></active_pcr_banks></backend></tpm>");
    g_autoptr(DomainDef) old = parse(Q35, "<tpm model='tpm-tis'><backend type='emulator' version='1.2'/></tpm>");
    const TpmDef *tpm = domain_def_get(def, DEVICE_TPM, 0);

    assert_words(swtpm_args(tpm, "/s/tpm2", "/l", 7),
                 "socket --ctrl type=unixio,clientfd=7 --tpmstate dir=/s/tpm2,mode=0600 --log file=/l --terminate "
                 "--tpm2");
    assert_words(swtpm_setup_args(tpm, "/s/tpm2", "/l", "n:u"),
                 "--tpm2 --tpm-state /s/tpm2 --vmid n:u --logfile /l --createek --create-ek-cert "
                 "--create-platform-cert --lock-nvram --not-overwrite");
    assert_words(swtpm_banks_args(tpm, "/s/tpm2", "/l"),
                 "--tpm2 --tpm-state /s/tpm2 --logfile /l --pcr-banks sha1,sha512 --reconfigure");
    tpm = domain_def_get(old, DEVICE_TPM, 0);
    g_assert_null(swtpm_banks_args(tpm, "/s/tpm1.2", "/l"));
    assert_words(swtpm_args(tpm, "/s/tpm1.2", "/l", 7),
                 "socket --ctrl type=unixio,clientfd=7 --tpmstate dir=/s/tpm1.2,mode=0600 --log file=/l --terminate");
}

static gboolean state_stays(const char *persistent, guint flags)
{
    const char *file = "swtpm/c7a5fdbd-edaf-9455-926a-d65c16db1809/tpm2/tpm2-00.permall";
    g_autofree char *device =
        g_strdup_printf("<tpm model='tpm-crb'><backend type='emulator' version='2.0'%s/></tpm>", persistent);
    g_autoptr(DomainDef) def = parse(Q35, device);
    g_autofree char *text = NULL;

    put(file, "state");
    swtpm_forget(def, top, flags);
    text = get(file);
    return text != NULL;
}

static void test_swtpm_forget(void)
{
    g_assert_false(state_stays("", 0));
    g_assert_false(state_stays("", VIR_DOMAIN_UNDEFINE_TPM));
    g_assert_true(state_stays("", VIR_DOMAIN_UNDEFINE_KEEP_TPM));
    g_assert_true(state_stays(" persistent_state='yes'", 0));
    g_assert_true(state_stays(" persistent_state='yes'", VIR_DOMAIN_UNDEFINE_KEEP_TPM));
    g_assert_false(state_stays(" persistent_state='yes'", VIR_DOMAIN_UNDEFINE_TPM));
}

/* --- firmware --- */

static void put_descriptor(const char *name, const char *code, const char *features)
{
    g_autofree char *path = g_strconcat("usr/share/qemu/firmware/", name, NULL);
    g_autofree char *text = g_strdup_printf(
        "{\"interface-types\":[\"uefi\"],\"mapping\":{\"device\":\"flash\",\"executable\":{\"filename\":\"%s/%s\","
        "\"format\":\"raw\"},\"nvram-template\":{\"filename\":\"%s/%s.vars\",\"format\":\"raw\"}},\"targets\":[{"
        "\"architecture\":\"x86_64\",\"machines\":[\"pc-q35-*\"]}],\"features\":[%s]}",
        top, code, top, code, features);
    g_autofree char *template = g_strconcat(code, ".vars", NULL);

    put(path, text);
    put(code, "code");
    put(template, "variables");
}

static gboolean chosen(const char *os, const char *code, gboolean secure)
{
    g_autoptr(DomainDef) def = parse(os, "");
    const LoaderDef *loader = &def->os.loader;
    g_autofree char *base = NULL;

    g_assert_true(qemu_firmware_choose(def, "/nv", FALSE, NULL));
    g_assert_cmpint(def->os.firmware, ==, FIRMWARE_NONE);
    g_assert_cmpint(loader->type, ==, LOADER_PFLASH);
    g_assert_cmpint(loader->readonly, ==, TRISTATE_YES);
    g_assert_cmpstr(loader->nvram_path, ==, "/nv/beside_VARS.fd");
    g_assert_true(g_str_has_suffix(loader->nvram_template, ".vars"));
    base = g_path_get_basename(loader->path);
    return strcmp(base, code) == 0 && (loader->secure == TRISTATE_YES) == secure &&
           (def->features.state[FEATURE_SMM] == TRISTATE_YES) == secure;
}

#define EFI(inner)                                                                                                   \
    "<os firmware='efi'><type arch='x86_64' machine='pc-q35-7.2'>hvm</type>" inner "</os>"
#define FEATURE(name, enabled) "<firmware><feature enabled='" enabled "' name='" name "'/></firmware>"

static void test_firmware(void)
{
    g_autoptr(DomainDef) none = parse(EFI(FEATURE("enrolled-keys", "yes")), "");
    g_autoptr(DomainDef) old = parse("<os firmware='efi'><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type></os>", "");
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) paths = NULL;

    put_descriptor("40-plain.json", "plain.fd", "\"acpi-s3\"");
    put_descriptor("50-secure.json", "secure.fd", "\"secure-boot\",\"requires-smm\"");
    put("usr/share/qemu/firmware/60-broken.json", "{");
    firmware_set_root(top);
    g_assert_true(chosen(EFI(""), "plain.fd", FALSE));
    g_assert_true(chosen(EFI("<loader secure='yes'/>"), "secure.fd", TRUE));
    g_assert_true(chosen(EFI(FEATURE("secure-boot", "yes")), "secure.fd", TRUE));
    g_assert_true(chosen(EFI(FEATURE("secure-boot", "no")), "plain.fd", FALSE));
    g_assert_false(qemu_firmware_choose(none, "/nv", FALSE, &error));
    g_assert_true(error_is(error, VIR_ERR_OPERATION_FAILED));
    g_assert_nonnull(strstr(error->message, "Unable to find any firmware to satisfy 'efi'"));
    g_assert_false(qemu_firmware_choose(old, "/nv", FALSE, NULL));
    /* What the administrator has put in its place, or hidden. */
    put("etc/qemu/firmware/40-plain.json", "");
    g_assert_true(chosen(EFI(""), "secure.fd", TRUE));
    paths = firmware_loaders("x86_64", "pc-q35-7.2");
    g_assert_cmpuint(paths->len, ==, 1);
    firmware_set_root(NULL);
}

static void test_nvram(void)
{
    g_autofree char *nvram = g_build_filename(top, "made/here_VARS.fd", NULL);
    g_autofree char *template = g_build_filename(top, "template.fd", NULL);
    BackendConfig config = {.user = (uid_t)-1, .group = (gid_t)-1};
    g_autoptr(DomainDef) def = parse(Q35, "");
    g_autoptr(GError) error = NULL;
    g_autofree char *first = NULL;
    g_autofree char *second = NULL;
    g_autofree char *third = NULL;

    def->os.loader.path = g_strdup("/nowhere/CODE.fd");
    def->os.loader.nvram_path = g_strdup(nvram);
    g_assert_false(qemu_firmware_make_nvram(&config, def, FALSE, &error));
    g_assert_true(error_is(error, VIR_ERR_OPERATION_FAILED));
    def->os.loader.nvram_template = g_strdup(template);
    g_clear_error(&error);
    g_assert_false(qemu_firmware_make_nvram(&config, def, FALSE, &error));
    g_assert_true(error_is(error, VIR_ERR_SYSTEM_ERROR));
    put("template.fd", "old");
    g_assert_true(qemu_firmware_make_nvram(&config, def, FALSE, NULL));
    first = get("made/here_VARS.fd");
    g_assert_cmpstr(first, ==, "old");
    put("template.fd", "new");
    g_assert_true(qemu_firmware_make_nvram(&config, def, FALSE, NULL)); /* the guest's variables stay */
    second = get("made/here_VARS.fd");
    g_assert_cmpstr(second, ==, "old");
    g_assert_true(qemu_firmware_make_nvram(&config, def, TRUE, NULL));
    third = get("made/here_VARS.fd");
    g_assert_cmpstr(third, ==, "new");
}

/* --- devices of the host --- */

static HostdevDef *hostdev_of(DomainDef *def)
{
    return domain_def_get(def, DEVICE_HOSTDEV, 0);
}

static void put_usb(const char *name, const char *vendor, const char *bus, const char *number)
{
    const char *const files[][2] = {
        {"idVendor", vendor}, {"idProduct", "5678\n"}, {"busnum", bus}, {"devnum", number}};

    for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *path = g_strdup_printf("bus/usb/devices/%s/%s", name, files[i][0]);

        put(path, files[i][1]);
    }
}

#define USB(policy)                                                                                                  \
    "<hostdev mode='subsystem' type='usb'><source" policy "><vendor id='0x1234'/><product id='0x5678'/></source>"     \
    "</hostdev>"

static void test_usb(void)
{
    g_autoptr(DomainDef) def = parse(Q35, USB(""));
    g_autoptr(DomainDef) optional = parse(Q35, USB(" startupPolicy='optional'"));
    g_autoptr(GError) error = NULL;

    put_usb("usb1", "1d6b\n", "1\n", "1\n");
    g_assert_false(hostdev_take(top, hostdev_of(def), &error));
    g_assert_true(error_is(error, VIR_ERR_INTERNAL_ERROR));
    g_assert_true(hostdev_take(top, hostdev_of(optional), NULL));
    g_assert_true(hostdev_of(optional)->missing);
    put_usb("1-1", "1234\n", "1\n", "9\n");
    g_assert_true(hostdev_take(top, hostdev_of(def), NULL));
    g_assert_cmpuint(hostdev_of(def)->usb_bus, ==, 1);
    g_assert_cmpuint(hostdev_of(def)->usb_device, ==, 9);
    g_assert_true(hostdev_of(def)->auto_address);
    put_usb("1-2", "1234\n", "1\n", "10\n");
    g_clear_error(&error);
    g_assert_false(hostdev_take(top, hostdev_of(def), &error));
    g_assert_true(error_is(error, VIR_ERR_OPERATION_FAILED));
}

static void test_pci(void)
{
    g_autoptr(DomainDef) def =
        parse(Q35, "<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0' bus='6' slot='0' "
                   "function='1'/></source></hostdev>");
    const char *driver = "../../../../drivers/nic";
    g_autofree char *link = g_build_filename(top, "bus/pci/devices/0000:06:00.1/driver", NULL);
    g_autofree char *written = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_false(hostdev_take(top, hostdev_of(def), &error));
    g_assert_true(error_is(error, VIR_ERR_SYSTEM_ERROR));
    put("bus/pci/devices/0000:06:00.1/driver_override", "");
    put("bus/pci/drivers_probe", "");
    put("drivers/nic/unbind", "");
    hostdev_of(def)->managed = FALSE;
    g_clear_error(&error);
    g_assert_false(hostdev_take(top, hostdev_of(def), &error));
    g_assert_true(error_is(error, VIR_ERR_OPERATION_INVALID));
    /* Files obey no driver: it says which it wants, and that it did not get it. */
    g_assert_cmpint(symlink(driver, link), ==, 0);
    hostdev_of(def)->managed = TRUE;
    g_clear_error(&error);
    g_assert_false(hostdev_take(top, hostdev_of(def), &error));
    g_assert_nonnull(error);
    written = get("bus/pci/devices/0000:06:00.1/driver_override");
    g_assert_true(written[0] == '\n' || g_str_has_prefix(written, "vfio-pci"));
    g_assert_cmpint(unlink(link), ==, 0);
    g_assert_cmpint(symlink("../../../../drivers/vfio-pci", link), ==, 0);
    g_assert_true(hostdev_take(top, hostdev_of(def), NULL));
}

static void test_scsi(void)
{
    g_autoptr(DomainDef) def = parse(Q35, "<hostdev mode='subsystem' type='scsi'><source><adapter name='scsi_host2'/>"
                                          "<address bus='0' target='3' unit='4'/></source></hostdev>");
    g_autoptr(GError) error = NULL;

    g_assert_false(hostdev_take(top, hostdev_of(def), &error));
    g_assert_true(error_is(error, VIR_ERR_SYSTEM_ERROR));
    put("bus/scsi/devices/2:0:3:4/scsi_generic/sg7/uevent", "");
    g_assert_true(hostdev_take(top, hostdev_of(def), NULL));
    g_assert_cmpstr(hostdev_of(def)->host_path, ==, "/dev/sg7");
}

int main(int argc, char **argv)
{
    g_autofree char *command = NULL;
    int result;

    g_test_init(&argc, &argv, NULL);
    top = g_dir_make_tmp("kite-beside-XXXXXX", NULL);
    g_test_add_func("/beside/swtpm/args", test_swtpm_args);
    g_test_add_func("/beside/swtpm/forget", test_swtpm_forget);
    g_test_add_func("/beside/firmware", test_firmware);
    g_test_add_func("/beside/nvram", test_nvram);
    g_test_add_func("/beside/hostdev/usb", test_usb);
    g_test_add_func("/beside/hostdev/pci", test_pci);
    g_test_add_func("/beside/hostdev/scsi", test_scsi);
    result = g_test_run();
    command = g_strdup_printf("rm -r '%s'", top);
    if (!g_spawn_command_line_sync(command, NULL, NULL, NULL, NULL))
        result = 1;
    g_free(top);
    return result;
}
