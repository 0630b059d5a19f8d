/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What libvirt's QEMU driver refuses, with libvirt's number: clients decide by it. Each case was put to libvirtd 9.0.
 * And what a client that counts on libvirt's defaults gets.
 */
#include <string.h>

#include "common/error.h"
#include "driver/conf/def_controller.h"
#include "driver/conf/domain_def.h"

#define SCSI_HOSTDEV(unit)                                                                                   \
    "<hostdev mode='subsystem' type='scsi'><source><adapter name='scsi_host2'/>"                             \
    "<address bus='0' target='0' unit='" unit "'/></source>"                                                 \
    "<address type='drive' controller='0' bus='0' target='0' unit='0'/></hostdev>"
#define MDEV(attributes, uuid_address, rest)                                                                 \
    "<hostdev mode='subsystem' type='mdev' model='vfio-pci' " attributes "><source>" uuid_address "</source>" rest   \
    "</hostdev>"
#define UUID1 "<address uuid='53764d0e-85a0-42b4-af5c-2046b460b1dc'/>"
#define UUID2 "<address uuid='53764d0e-85a0-42b4-af5c-2046b460b1dd'/>"
#define NO_USB "<controller type='usb' model='none'/>"
#define DISK(type, device, inside) "<disk type='" type "' device='" device "'>" inside "</disk>"
#define VNC "<graphics type='vnc'/>"

typedef struct Refusal {
    const char *name;
    const char *devices;
    const char *rest; /* of <domain> */
    int number;
    const char *words;
} Refusal;

static const Refusal refusals[] = {
    /* Words of attributes that are older than libvirt's common reader of attributes. */
    {"word-watchdog", "<watchdog model='foo'/>", "", VIR_ERR_CONFIG_UNSUPPORTED, "unknown watchdog model 'foo'"},
    {"word-watchdog-action", "<watchdog model='i6300esb' action='foo'/>", "", VIR_ERR_CONFIG_UNSUPPORTED,
     "unknown watchdog action 'foo'"},
    {"word-rng", "<rng model='foo'><backend model='random'/></rng>", "", VIR_ERR_CONFIG_UNSUPPORTED,
     "unknown RNG model 'foo'"},
    {"word-rng-backend", "<rng model='virtio'><backend model='foo'/></rng>", "", VIR_ERR_CONFIG_UNSUPPORTED,
     "unknown RNG backend model 'foo'"},
    {"word-video", "<video><model type='foo'/></video>", "", VIR_ERR_CONFIG_UNSUPPORTED, "unknown video model 'foo'"},
    {"word-hub", "<hub type='foo'/>", "", VIR_ERR_CONFIG_UNSUPPORTED, "unknown hub device type 'foo'"},
    {"word-panic", "<panic model='foo'/>", "", VIR_ERR_CONFIG_UNSUPPORTED, "unknown panic model 'foo'"},
    {"word-input-model", "<input type='mouse' model='foo'/>", "", VIR_ERR_CONFIG_UNSUPPORTED, "unknown input model 'foo'"},
    {"word-redirdev", "<redirdev bus='foo' type='spicevmc'/>", "", VIR_ERR_CONFIG_UNSUPPORTED,
     "unknown redirdev bus 'foo'"},
    {"word-codec", "<sound model='ich6'><codec type='foo'/></sound>", "", VIR_ERR_CONFIG_UNSUPPORTED,
     "unknown codec type 'foo'"},
    {"word-hostdev-mode", "<hostdev mode='foo' type='pci'/>", "", VIR_ERR_CONFIG_UNSUPPORTED, "unknown hostdev mode 'foo'"},
    {"word-hostdev-type", "<hostdev mode='subsystem' type='foo'/>", "", VIR_ERR_CONFIG_UNSUPPORTED,
     "source address type 'foo'"},
    {"word-link", "<interface type='user'><link state='foo'/></interface>", "", VIR_ERR_CONFIG_UNSUPPORTED,
     "unknown interface link state 'foo'"},
    {"word-protocol",
     "<serial type='tcp'><source mode='bind' host='x' service='1'/><protocol type='foo'/></serial>", "",
     VIR_ERR_CONFIG_UNSUPPORTED, "Unknown protocol 'foo'"},
    {"word-transport",
     "<disk type='network'><source protocol='nbd'><host name='x' transport='foo'/></source><target dev='vda'/></disk>", "",
     VIR_ERR_CONFIG_UNSUPPORTED, "transport type 'foo'"},
    {"word-format", DISK("file", "disk", "<driver name='qemu' type='foo'/><source file='/a'/><target dev='vda'/>"), "",
     VIR_ERR_CONFIG_UNSUPPORTED, "unknown driver format value 'foo'"},
    {"word-clock", "", "<clock offset='foo'/>", VIR_ERR_CONFIG_UNSUPPORTED, "unknown clock offset 'foo'"},
    {"word-clock-basis", "", "<clock offset='variable' basis='foo'/>", VIR_ERR_CONFIG_UNSUPPORTED,
     "unknown clock basis 'foo'"},
    {"word-memory-source", "", "<memoryBacking><source type='foo'/></memoryBacking>", VIR_ERR_CONFIG_UNSUPPORTED,
     "memoryBacking/source/type 'foo'"},
    {"word-smbios", "", "<os><type>hvm</type><smbios mode='foo'/></os>", VIR_ERR_CONFIG_UNSUPPORTED,
     "unknown smbios mode 'foo'"},
    {"word-action", "", "<on_crash>foo</on_crash>", VIR_ERR_CONFIG_UNSUPPORTED, "unknown on_crash action: foo"},
    {"clock-timezone", "", "<clock offset='timezone'/>", VIR_ERR_INTERNAL_ERROR, "missing 'timezone'"},
    {"vcpupin-cpuset", "", "<cputune><vcpupin vcpu='0'/></cputune>", VIR_ERR_INTERNAL_ERROR, "missing cpuset"},
    {"emulatorpin-cpuset", "", "<cputune><emulatorpin/></cputune>", VIR_ERR_INTERNAL_ERROR, "missing cpuset"},
    {"iothreadpin", "", "<cputune><iothreadpin iothread='1' cpuset='0'/></cputune>", VIR_ERR_CONFIG_UNSUPPORTED,
     "Cannot find 'iothread' : 1"},
    {"vnc-port", "<graphics type='vnc' port='x'/>", "", VIR_ERR_INTERNAL_ERROR, "cannot parse vnc port x"},
    {"target-name", DISK("file", "disk", "<source file='/a'/><target dev='foo' bus='virtio'/>"), "", VIR_ERR_XML_ERROR,
     "Unknown disk name 'foo'"},
    {"serial-words", DISK("file", "disk", "<source file='/a'/><target dev='vda'/><serial>a$b;</serial>"), "",
     VIR_ERR_INTERNAL_ERROR, "unsafe characters"},
    {"tpm-two",
     "<tpm model='tpm-tis'><backend type='emulator'/></tpm><tpm model='tpm-crb'><backend type='emulator'/></tpm>", "",
     VIR_ERR_CONFIG_UNSUPPORTED, "only a single TPM"},
    {"iothreadsched", "", "<iothreads>1</iothreads><cputune><iothreadsched iothreads='2' scheduler='batch'/></cputune>",
     VIR_ERR_CONFIG_UNSUPPORTED, "cannot find 'iothread' : 2"},
    {"boot-menu", "", "<os><type machine='pc'>hvm</type><bootmenu enable='yes' timeout='65536'/></os>",
     VIR_ERR_CONFIG_UNSUPPORTED, "[0,65535]"},
    {"hugepages", "",
     "<memoryBacking><hugepages><page size='1' unit='G'/><page size='2' unit='M' nodeset='0'/></hugepages></memoryBacking>",
     VIR_ERR_XML_DETAIL, "two master hugepages"},
    {"numatune-empty", "", "<numatune><memory mode='strict' nodeset='0,^0'/></numatune>", VIR_ERR_CONFIG_UNSUPPORTED,
     "'nodeset': 0,^0"},
    {"numatune-static", "", "<numatune><memory mode='interleave' placement='static'/></numatune>",
     VIR_ERR_CONFIG_UNSUPPORTED, "'placement' is 'static'"},
    {"numatune-placement", "", "<numatune><memory placement='sometimes' nodeset='0'/></numatune>",
     VIR_ERR_CONFIG_UNSUPPORTED, "'sometimes'"},
    {"numatune-mode", "", "<numatune><memory mode='foo' nodeset='0'/></numatune>", VIR_ERR_CONFIG_UNSUPPORTED, "'foo'"},
    {"seclabel-no-model", "", "<seclabel type='none'/><seclabel type='dynamic' model='dac'/>", VIR_ERR_XML_ERROR,
     "missing security model"},
    {"seclabel-static", "", "<seclabel type='static'><label>x</label></seclabel>", VIR_ERR_XML_ERROR,
     "missing security model"},
    {"seclabel-twice", "", "<seclabel type='none' model='dac'/><seclabel type='dynamic' model='dac'/>",
     VIR_ERR_XML_DETAIL, "model dac is already"},
    {"seclabel-of-source-twice",
     DISK("file", "disk",
          "<source file='/a'><seclabel model='dac' relabel='no'/><seclabel model='dac' relabel='no'/></source>"
          "<target dev='vda'/>"),
     "", VIR_ERR_XML_DETAIL, "model dac is already"},
    {"drive-disks",
     DISK("file", "disk", "<source file='/a'/><target dev='sda' bus='sata'/>")
     DISK("file", "disk", "<source file='/b'/><target dev='sdb' bus='sata'/>"
                          "<address type='drive' controller='0' bus='0' target='0' unit='0'/>"),
     "", VIR_ERR_CONFIG_UNSUPPORTED, "duplicate sata drive"},
    {"drive-disk-hostdev",
     "<controller type='scsi' model='virtio-scsi'/>" DISK("file", "disk",
                                                          "<source file='/a'/><target dev='sda' bus='scsi'/>")
         SCSI_HOSTDEV("1"),
     "", VIR_ERR_CONFIG_UNSUPPORTED, "duplicate scsi drive"},
    {"drive-hostdevs", "<controller type='scsi' model='virtio-scsi'/>" SCSI_HOSTDEV("1") SCSI_HOSTDEV("2"), "",
     VIR_ERR_CONFIG_UNSUPPORTED, "duplicate scsi drive"},
    {"usb-disk-pci",
     DISK("file", "disk", "<source file='/a'/><target dev='sda' bus='usb'/><address type='pci' bus='0' slot='6'/>"), "",
     VIR_ERR_INTERNAL_ERROR, "address type 'pci'"},
    {"rotation-rate", DISK("file", "disk", "<source file='/a'/><target dev='vda' bus='virtio' rotation_rate='1'/>"), "",
     VIR_ERR_INTERNAL_ERROR, "rotation rate"},
    {"ide-q35", DISK("file", "disk", "<source file='/a'/><target dev='hda' bus='ide'/>"),
     "<os><type machine='q35'>hvm</type></os>", VIR_ERR_CONFIG_UNSUPPORTED, "IDE controllers are unsupported"},
    {"ide-second", "<controller type='ide' index='1'/>", "", VIR_ERR_CONFIG_UNSUPPORTED, "single IDE controller"},
    {"ide-hde", DISK("file", "disk", "<source file='/a'/><target dev='hde' bus='ide'/>"), "", VIR_ERR_INTERNAL_ERROR,
     "Only 1 ide controller"},
    {"floppy-bus",
     DISK("file", "floppy", "<source file='/a'/><target dev='fda'/><address type='drive' bus='1'/>"), "",
     VIR_ERR_INTERNAL_ERROR, "1 bus"},
    {"scsi-bus",
     DISK("file", "disk", "<source file='/a'/><target dev='sda' bus='scsi'/><address type='drive' bus='1'/>"), "",
     VIR_ERR_INTERNAL_ERROR, "1 bus"},
    {"scsi-lsilogic-target",
     DISK("file", "disk", "<source file='/a'/><target dev='sda' bus='scsi'/><address type='drive' target='1'/>"), "",
     VIR_ERR_CONFIG_UNSUPPORTED, "target must be 0"},
    {"sata-bus",
     DISK("file", "disk", "<source file='/a'/><target dev='sda' bus='sata'/><address type='drive' bus='1'/>"), "",
     VIR_ERR_CONFIG_UNSUPPORTED, "bus must be 0"},
    {"sata-target",
     DISK("file", "disk", "<source file='/a'/><target dev='sda' bus='sata'/><address type='drive' target='1'/>"), "",
     VIR_ERR_CONFIG_UNSUPPORTED, "target must be 0"},
    {"vhostuser-private",
     DISK("vhostuser", "disk", "<source type='unix' path='/s'/><target dev='vda' bus='virtio'/>"), "",
     VIR_ERR_CONFIG_UNSUPPORTED, "shared memory"},
    {"sound-audio", "<sound model='ich6'><audio id='2'/></sound>", "", VIR_ERR_XML_ERROR, "audio device with ID 2"},
    {"audio-twice", "<audio id='1' type='none'/><audio id='1' type='none'/>", "", VIR_ERR_XML_ERROR, "multiple times"},
    {"vnc-audio", "<graphics type='vnc'><audio id='3'/></graphics>", "", VIR_ERR_XML_ERROR, "audio device with ID 3"},
    {"folder-writable", DISK("dir", "floppy", "<driver type='fat'/><source dir='/a'/><target dev='fda'/>"), "",
     VIR_ERR_CONFIG_UNSUPPORTED, "read-write"},
    {"folder-raw", DISK("dir", "disk", "<driver type='raw'/><source dir='/a'/><target dev='vda'/><readonly/>"), "",
     VIR_ERR_CONFIG_UNSUPPORTED, "'fat'"},
    {"fat-file", DISK("file", "disk", "<driver type='fat'/><source file='/a'/><target dev='vda'/><readonly/>"), "",
     VIR_ERR_CONFIG_UNSUPPORTED, "'fat'"},
    {"mdev-address", MDEV("", "<address domain='0' bus='6' slot='18' function='5'/>", ""), "",
     VIR_ERR_CONFIG_UNSUPPORTED, "'uuid'"},
    {"mdev-drive", MDEV("", UUID1, "<address type='drive' unit='1'/>"), "", VIR_ERR_XML_ERROR, "'drive'"},
    {"mdev-display", MDEV("display='on'", UUID1, ""), "", VIR_ERR_CONFIG_UNSUPPORTED, "graphics device is needed"},
    {"mdev-ramfb", VNC MDEV("display='on' ramfb='on'", UUID1, "") MDEV("display='on' ramfb='on'", UUID2, ""), "",
     VIR_ERR_CONFIG_UNSUPPORTED, "'ramfb'"},
    {"vhost-scsi-boot",
     "<hostdev mode='subsystem' type='scsi_host'><source protocol='vhost' wwpn='naa.5123456789abcde0'/><boot order='1'/>"
     "</hostdev>",
     "", VIR_ERR_CONFIG_UNSUPPORTED, "vhost SCSI"},
    {"zpci",
     "<hostdev mode='subsystem' type='pci'><source><address domain='1' bus='0' slot='0' function='0'/></source>"
     "<address type='pci' bus='0' slot='8'><zpci uid='0x19' fid='0x1f'/></address></hostdev>",
     "", VIR_ERR_CONFIG_UNSUPPORTED, "zpci"},
    {"expander-on-pc", "<controller type='pci' index='1' model='pcie-expander-bus'/>", "", VIR_ERR_CONFIG_UNSUPPORTED,
     "pcie-expander-bus"},
    {"shmem-msi", "<shmem name='s'><msi/></shmem>", "", VIR_ERR_XML_ERROR, "msi"},
    {"channel-reconnect",
     "<channel type='unix'><source mode='connect' path='/tmp/domain-x/a'><reconnect enabled='yes' timeout='10'/></source>"
     "<target type='virtio' name='a'/></channel>",
     "", VIR_ERR_INTERNAL_ERROR, "reconnect"},
    {"usb-port", "<input type='tablet' bus='usb'><address type='usb' bus='0' port='1.1.1.1.1'/></input>", "",
     VIR_ERR_INTERNAL_ERROR, "'port'"},
    {"usb-bus", "<input type='tablet' bus='usb'><address type='usb' bus='2' port='1'/></input>", "", VIR_ERR_XML_ERROR,
     "USB bus 2"},
    {"usb-none-controller", NO_USB "<controller type='usb' index='0'/>", "", VIR_ERR_XML_DETAIL, "USB is disabled"},
    {"usb-none-tablet", NO_USB "<input type='tablet' bus='usb'/>", "", VIR_ERR_CONFIG_UNSUPPORTED, "USB is disabled"},
    {"usb-none-disk", NO_USB DISK("file", "disk", "<source file='/a'/><target dev='sda' bus='usb'/>"), "",
     VIR_ERR_CONFIG_UNSUPPORTED, "USB is disabled"},
};

static DomainDef *parse(const char *devices, const char *rest, const DomainDefEnv *env, guint flags, GError **error)
{
    g_autofree char *xml =
        g_strdup_printf("<domain type='qemu'><name>n</name><memory>1048576</memory>%s%s<devices>%s</devices></domain>",
                        strstr(rest, "<os>") != NULL ? "" : "<os><type machine='pc'>hvm</type></os>", rest, devices);

    return domain_def_parse(xml, env, DOMAIN_DEF_PARSE_INACTIVE | flags, error);
}

static void test_refused(gconstpointer data)
{
    const Refusal *refusal = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(DomainDef) def = parse(refusal->devices, refusal->rest, NULL, DOMAIN_DEF_PARSE_ABI_UPDATE, &error);

    g_assert_null(def);
    g_assert_cmpint(error_number(error), ==, refusal->number);
    if (strstr(error->message, refusal->words) == NULL)
        g_error("'%s' is not in: %s", refusal->words, error->message);
}

static char *q35_unless_named(const DomainDefEnv *env, const DomainDef *def, const char *machine, GError **error)
{
    (void)env;
    (void)def;
    (void)error;
    return g_strdup(machine != NULL ? machine : "q35");
}

/* Whoever opens qemu:/// and names no machine may plug devices into it, as into libvirt's default one. */
static void test_default_machine(void)
{
    DomainDefEnv env = {.canonical_machine = q35_unless_named, .rich_defaults = TRUE};
    const char *os = "<os><type>hvm</type></os>";
    g_autoptr(DomainDef) rich = parse("", os, &env, DOMAIN_DEF_PARSE_ABI_UPDATE, NULL);
    g_autoptr(DomainDef) plain =
        parse("", os, &env, DOMAIN_DEF_PARSE_ABI_UPDATE | DOMAIN_DEF_PARSE_NO_RICH, NULL);

    g_assert_cmpstr(rich->os.machine, ==, "q35");
    g_assert_cmpstr(plain->os.machine, ==, "pc");
    g_assert_cmpuint(domain_def_n(rich, DEVICE_RNG), ==, 1);
    g_assert_cmpuint(domain_def_n(plain, DEVICE_RNG), ==, 0);
}

static PciAddress place_of(const char *device, DeviceKind kind)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(DomainDef) def =
        parse(device, "<os><type machine='q35'>hvm</type></os>", NULL, DOMAIN_DEF_PARSE_ABI_UPDATE, &error);

    g_assert_no_error(error);
    DOMAIN_DEF_FOREACH(DeviceInfo, dev, def, kind)
    {
        if (dev->kind != DEVICE_CONTROLLER || ((const ControllerDef *)dev)->type == CONTROLLER_SCSI)
            return dev->address.u.pci;
    }
    g_assert_not_reached();
}

/* The slot of a bridge to conventional PCI is 1 at least, that of a root port 0: where libvirt puts a device, guests know it
 * to be. */
static void test_places(void)
{
    static const char nic[] = "<interface type='user'><model type='%s'/></interface>";
    static const struct {
        const char *model;
        guint slot;
    } nics[] = {{"virtio", 0}, {"e1000e", 0}, {"ne2k_pci", 0}, {"e1000", 1}, {"rtl8139", 1}, {"vmxnet3", 1}};

    for (guint i = 0; i < G_N_ELEMENTS(nics); i++) {
        g_auto(GStrv) parts = g_strsplit(nic, "%s", 2);
        g_autofree char *xml = g_strconcat(parts[0], nics[i].model, parts[1], NULL);

        g_assert_cmpuint(place_of(xml, DEVICE_INTERFACE).slot, ==, nics[i].slot);
    }
    g_assert_cmpuint(place_of("<controller type='scsi' model='vmpvscsi'/>", DEVICE_CONTROLLER).slot, ==, 1);
    g_assert_cmpuint(place_of("<controller type='scsi' model='virtio-scsi'/>", DEVICE_CONTROLLER).slot, ==, 0);
}

/* The XML that attached a device detaches it, also where it left the port to us. */
static void test_detach(void)
{
    const char *xml = "<channel type='pty'><target type='virtio' name='a'/>"
                      "<address type='virtio-serial' controller='1' bus='0'/></channel>";
    g_autoptr(GError) error = NULL;
    g_autoptr(DomainDef) def = parse(xml, "", NULL, DOMAIN_DEF_PARSE_ABI_UPDATE, &error);
    g_autoptr(DeviceInfo) wanted = device_def_parse(xml, def, NULL, DOMAIN_DEF_PARSE_INACTIVE, &error);

    g_assert_no_error(error);
    g_assert_true(domain_def_find_device(def, wanted, &error) == domain_def_get(def, DEVICE_CHANNEL, 0));
    g_assert_no_error(error);
}

/* A place that is taken has another number when a device is attached. */
static void test_attach(void)
{
    static const struct {
        const char *xml;
        int number;
    } cases[] = {
        {"<rng model='virtio'><backend model='random'>/dev/urandom</backend><address type='pci' bus='0' slot='2'/></rng>",
         VIR_ERR_CONFIG_UNSUPPORTED},
        {DISK("file", "disk", "<source file='/b'/><target dev='sdb' bus='scsi'/><address type='drive' unit='0'/>"),
         VIR_ERR_OPERATION_INVALID},
        {"<controller type='usb' index='0' model='ich9-uhci1'><master startport='0'/></controller>",
         VIR_ERR_OPERATION_INVALID},
    };
    g_autoptr(GError) error = NULL;
    g_autoptr(DomainDef) def = parse(VNC DISK("file", "disk", "<source file='/a'/><target dev='sda' bus='scsi'/>"), "", NULL,
                                     DOMAIN_DEF_PARSE_ABI_UPDATE, &error);
    g_autoptr(DomainDef) running =
        parse("<controller type='usb' index='0' model='ich9-ehci1'/>"
              "<controller type='usb' index='0' model='ich9-uhci1'><master startport='0'/></controller>",
              "", NULL, DOMAIN_DEF_PARSE_ABI_UPDATE, &error);
    g_autoptr(DeviceInfo) added = NULL;

    g_assert_no_error(error);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(DeviceInfo) dev = device_def_parse(cases[i].xml, def, NULL, DOMAIN_DEF_PARSE_INACTIVE, &error);

        g_assert_no_error(error);
        g_assert_false(domain_def_validate_attach(def, dev, NULL, &error));
        g_assert_cmpint(error_number(error), ==, cases[i].number);
        g_clear_error(&error);
    }
    /* The parts of a USB 2 controller share their alias: nobody is in the way of another device. */
    domain_def_assign_aliases(running);
    added = device_def_parse("<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>", running, NULL,
                           DOMAIN_DEF_PARSE_INACTIVE, &error);
    g_assert_no_error(error);
    domain_def_validate_attach(running, added, NULL, &error);
    g_assert_no_error(error);
    /* libvirt has another number for the same where the domain runs. */
    def->id = 3;
    g_clear_pointer(&added, device_def_free);
    added = device_def_parse("<controller type='scsi' index='0'/>", def, NULL, DOMAIN_DEF_PARSE_INACTIVE, &error);
    g_assert_no_error(error);
    g_assert_false(domain_def_validate_attach(def, added, NULL, &error));
    g_assert_true(error_is(error, VIR_ERR_OPERATION_FAILED) && error_from(error) == VIR_FROM_QEMU);
}

/* Hubs come by libvirt's count, one more than must be now and then. */
static void test_hubs(void)
{
    g_autoptr(GString) tablets = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(DomainDef) def = NULL;

    for (int i = 0; i < 16; i++)
        g_string_append(tablets, "<input type='tablet' bus='usb'/>");
    def = parse(tablets->str, "", NULL, DOMAIN_DEF_PARSE_ABI_UPDATE, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(domain_def_n(def, DEVICE_HUB), ==, 3);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(refusals); i++) {
        g_autofree char *path = g_strconcat("/conf-rules/refused/", refusals[i].name, NULL);

        g_test_add_data_func(path, &refusals[i], test_refused);
    }
    g_test_add_func("/conf-rules/default-machine", test_default_machine);
    g_test_add_func("/conf-rules/places", test_places);
    g_test_add_func("/conf-rules/detach", test_detach);
    g_test_add_func("/conf-rules/attach", test_attach);
    g_test_add_func("/conf-rules/hubs", test_hubs);
    return g_test_run();
}
