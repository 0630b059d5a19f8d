/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Domain definitions: golden files, round trips, metadata, look-ups, aliases, attached devices. */
#include <string.h>

#include "common/error.h"
#include "driver/conf/def_disk.h"
#include "driver/conf/domain_def.h"
#include "golden.h"

#define LIBVIRT_SCHEMA "/usr/share/libvirt/schemas/domain.rng"

static const char small[] = "<domain type='kvm'><name>small</name>"
                            "<uuid>0b0a0000-0000-4000-a000-000000000009</uuid><memory>65536</memory>"
                            "<os><type machine='q35'>hvm</type></os><devices>"
                            "<disk type='file'><driver name='qemu' type='raw'/><source file='/a'/>"
                            "<target dev='vda'/></disk>"
                            "<interface type='user'><mac address='52:54:00:00:00:01'/></interface>"
                            "<console type='pty'/></devices></domain>";

static DomainDef *parse_ok(const char *xml, guint flags)
{
    g_autoptr(GError) error = NULL;
    DomainDef *def = domain_def_parse(xml, NULL, flags, &error);

    g_assert_no_error(error);
    return def;
}

static void validate(const char *schema, const char *xml)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(xmlDoc) doc = NULL;

    if (!g_file_test(schema, G_FILE_TEST_EXISTS))
        return;
    doc = xml_parse(xml, "(output)", "domain", &error);
    g_assert_no_error(error);
    if (!xml_validate_rng(schema, doc, &error))
        g_error("%s\n%s", error->message, xml);
}

/* What comes out reads back to itself, as inactive, as live state, and is valid by libvirt's schema and ours.
 */
static char *transform(const char *input, GError **error)
{
    g_autofree char *schema = golden_source_path("xml-schemas/domain.rng");
    g_autoptr(DomainDef) def = domain_def_parse(input, NULL, DOMAIN_DEF_PARSE_INACTIVE, error);
    g_autoptr(DomainDef) again = NULL;
    g_autoptr(DomainDef) live = NULL;
    g_autofree char *text = NULL;
    g_autofree char *second = NULL;
    g_autofree char *live_text = NULL;
    g_autofree char *live_again = NULL;
    g_autofree char *shown = NULL;

    if (def == NULL)
        return NULL;
    text = domain_def_format(def, DOMAIN_DEF_FORMAT_SECURE);
    validate(LIBVIRT_SCHEMA, text);
    validate(schema, text);
    again = parse_ok(text, DOMAIN_DEF_PARSE_INACTIVE);
    second = domain_def_format(again, DOMAIN_DEF_FORMAT_SECURE);
    again->id = 7;
    domain_def_assign_aliases(again);
    shown = domain_def_format(again, DOMAIN_DEF_FORMAT_SECURE);
    validate(LIBVIRT_SCHEMA, shown);
    validate(schema, shown);
    live_text = domain_def_format(again, DOMAIN_DEF_FORMAT_STATUS | DOMAIN_DEF_FORMAT_SECURE);
    validate(schema, live_text);
    live = parse_ok(live_text, DOMAIN_DEF_PARSE_STATUS);
    live_again = domain_def_format(live, DOMAIN_DEF_FORMAT_STATUS | DOMAIN_DEF_FORMAT_SECURE);
    g_assert_cmpstr(live_again, ==, live_text);
    g_assert_true(domain_def_check_abi_stability(again, live, NULL));
    /* Controllers that were added are sorted in when they are read again, which is the only change. */
    g_assert_cmpuint(strlen(second), ==, strlen(text));
    return g_steal_pointer(&text);
}

static void test_schema(void)
{
    static const struct {
        const char *inside;
        gboolean valid;
    } cases[] = {
        {"<vcpu>1</vcpu>", TRUE},
        {"<metadata><x:a xmlns:x='urn:x' b='c'>d<e/></x:a></metadata>", TRUE},
        {"<devices><disk type='file'><source file='/a'/><target dev='vda'/></disk></devices>", TRUE},
        {"<devices><crypto model='virtio' type='qemu'><backend model='builtin'/></crypto></devices>", TRUE},
        {"<devices><smartcard mode='host'><alias name='smartcard0'/></smartcard></devices>", TRUE},
        {"<iothreads>1</iothreads><devices><disk type='file'><driver><iothreads><iothread id='1'/></iothreads></driver>"
         "<source file='/a'/><target dev='vda'/></disk></devices>", TRUE},
        {"<vcpus><unknown/></vcpus>", FALSE},
        {"<unknown/>", FALSE},
        {"<devices><disk type='file' unknown='1'><target dev='vda'/></disk></devices>", FALSE},
        {"<devices><disk type='nothing'><target dev='vda'/></disk></devices>", FALSE},
        {"<vcpu>many</vcpu>", FALSE},
    };
    g_autofree char *schema = golden_source_path("xml-schemas/domain.rng");
    DomainDefEnv env = {.schema_path = schema};

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *xml = g_strdup_printf("<domain type='kvm'><name>n</name><memory>65536</memory>"
                                               "<os><type>hvm</type></os>%s</domain>",
                                               cases[i].inside);
        g_autoptr(GError) error = NULL;
        g_autoptr(DomainDef) def =
            domain_def_parse(xml, &env, DOMAIN_DEF_PARSE_INACTIVE | DOMAIN_DEF_PARSE_VALIDATE_SCHEMA, &error);

        if (cases[i].valid)
            g_assert_no_error(error);
        else
            g_assert_true(error_is(error, VIR_ERR_XML_INVALID_SCHEMA));
        g_assert_true((def != NULL) == cases[i].valid);
    }
}

static void test_metadata(void)
{
    g_autoptr(DomainDef) def = parse_ok(small, DOMAIN_DEF_PARSE_INACTIVE);
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    g_autofree char *xml = NULL;

    g_assert_true(
        domain_def_set_metadata(def, "<app a='1'><x>y &amp; z</x></app>", "k", "http://e/1", &error));
    g_assert_true(domain_def_set_metadata(def, "<app/>", "l", "http://e/2", &error));
    text = domain_def_get_metadata(def, "http://e/1");
    g_assert_cmpstr(text, ==, "<app a=\"1\"><x>y &amp; z</x></app>");
    xml = domain_def_format(def, 0);
    g_assert_nonnull(strstr(xml, "<k:app xmlns:k=\"http://e/1\" a=\"1\"><k:x>y &amp; z</k:x></k:app>"));
    g_assert_true(domain_def_set_metadata(def, NULL, NULL, "http://e/1", &error));
    g_assert_null(domain_def_get_metadata(def, "http://e/1"));
    g_assert_cmpuint(def->metadata->len, ==, 1);
    g_assert_false(domain_def_set_metadata(def, "<app>", "k", "http://e/3", &error));
    g_clear_error(&error);
    g_assert_false(domain_def_set_title(def, "a\nb", &error));
    g_assert_true(error_is(error, VIR_ERR_INVALID_ARG));
}

static void test_devices(void)
{
    g_autoptr(DomainDef) def = parse_ok(small, DOMAIN_DEF_PARSE_INACTIVE);
    g_autoptr(GError) error = NULL;
    g_autoptr(DeviceInfo) disk = NULL;
    g_autoptr(DeviceInfo) wanted = NULL;
    DeviceInfo *found;

    disk = device_def_parse("<disk type='file'><source file='/b'/><target dev='vdb'/></disk>", def, NULL,
                            DOMAIN_DEF_PARSE_INACTIVE, &error);
    g_assert_no_error(error);
    g_assert_true(domain_def_validate_attach(def, disk, NULL, &error));
    g_assert_true(domain_def_assign_device_address(def, disk, NULL, &error));
    g_assert_cmpint(disk->address.type, ==, ADDRESS_PCI);
    domain_def_assign_device_alias(def, disk);
    g_assert_cmpstr(disk->alias, ==, "virtio-disk1");
    domain_def_insert(def, g_steal_pointer(&disk));
    g_assert_true(domain_def_validate(def, NULL, &error));
    g_assert_nonnull(domain_def_find_disk(def, "vdb"));
    g_assert_nonnull(domain_def_find_disk(def, "/a"));
    g_assert_nonnull(domain_def_find_interface(def, "52:54:00:00:00:01"));
    disk = device_def_parse("<disk type='file'><source file='/c'/><target dev='vdb'/></disk>", def, NULL,
                            DOMAIN_DEF_PARSE_INACTIVE, &error);
    g_assert_false(domain_def_validate_attach(def, disk, NULL, &error));
    g_clear_error(&error);
    wanted = device_def_parse("<disk type='file'><target dev='vdb'/></disk>", def, NULL,
                              DOMAIN_DEF_PARSE_INACTIVE | DOMAIN_DEF_PARSE_SKIP_VALIDATE, &error);
    found = domain_def_find_device(def, wanted, &error);
    g_assert_no_error(error);
    device_def_free(domain_def_steal(def, found));
    g_assert_null(domain_def_find_device(def, wanted, &error));
    g_assert_true(error_is(error, VIR_ERR_DEVICE_MISSING));
}

static void test_aliases(void)
{
    g_autoptr(DomainDef) def = parse_ok(small, DOMAIN_DEF_PARSE_INACTIVE);
    static const char *const names[] = {"virtio-disk0", "net0", "serial0",  "pcie.0", "pci.1",
                                        "usb",          "ide",  "balloon0", "input0", "input1"};

    domain_def_assign_aliases(def);
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        if (domain_def_find_alias(def, names[i]) == NULL)
            g_error("no alias %s", names[i]);
    }
    domain_def_clear_aliases(def);
    g_assert_null(domain_def_find_alias(def, "net0"));
}

static void test_boot_order(void)
{
    g_autoptr(DomainDef) def = parse_ok(small, DOMAIN_DEF_PARSE_INACTIVE);

    g_assert_cmpuint(def->os.n_boot, ==, 1);
    g_assert_cmpuint(((DeviceInfo *)domain_def_get(def, DEVICE_DISK, 0))->effective_boot_index, ==, 1);
}

static void test_rich_defaults(void)
{
    DomainDefEnv env = {.rich_defaults = TRUE};
    g_autoptr(DomainDef) def = domain_def_parse(small, &env, DOMAIN_DEF_PARSE_ABI_UPDATE, NULL);

    g_assert_cmpuint(domain_def_n(def, DEVICE_RNG), ==, 1);
    g_assert_cmpuint(domain_def_n(def, DEVICE_CHANNEL), ==, 1);
    g_assert_cmpuint(domain_def_n(def, DEVICE_MEMBALLOON), ==, 1);
}

static void test_limits(void)
{
    g_autoptr(GString) xml =
        g_string_new("<domain type='kvm'><name>n</name><memory>65536</memory><os><type>hvm"
                     "</type></os><devices>");
    g_autoptr(GError) error = NULL;
    g_autofree char *name = g_strnfill(DOMAIN_NAME_MAX + 1, 'x');

    for (int i = 0; i <= DOMAIN_DEVICES_MAX; i++)
        g_string_append(xml, "<sound model='pcspk'/>");
    g_string_append(xml, "</devices></domain>");
    g_assert_null(domain_def_parse(xml->str, NULL, 0, &error));
    g_assert_nonnull(strstr(error->message, "devices"));
    g_clear_error(&error);
    g_assert_false(domain_name_check(name, &error));
}

/* --- damaged state ------------------------------------------------------------------------------------ */

/* A status that is read must be written so that it can be read again, or a VM is lost at the next restart. */
static gboolean survives(xmlDocPtr doc, const char *what, const char *of)
{
    guint flags = DOMAIN_DEF_FORMAT_STATUS | DOMAIN_DEF_FORMAT_SECURE;
    g_autoptr(DomainDef) def = domain_def_parse_node(xmlDocGetRootElement(doc), NULL, DOMAIN_DEF_PARSE_STATUS, NULL);
    g_autoptr(DomainDef) again = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    g_autofree char *second = NULL;

    if (def == NULL)
        return FALSE;
    text = domain_def_format(def, flags);
    again = domain_def_parse(text, NULL, DOMAIN_DEF_PARSE_STATUS, &error);
    if (again == NULL)
        g_error("without '%s' of <%s>: %s\n%s", what, of, error->message, text);
    second = domain_def_format(again, flags);
    if (strcmp(second, text) != 0)
        g_error("without '%s' of <%s> it becomes\n%s\nand then\n%s", what, of, text, second);
    return TRUE;
}

/* Each attribute and each element is missing once. Returns how many such documents were accepted. */
static guint damage(xmlDocPtr doc, xmlNodePtr node)
{
    const char *name = (const char *)node->name;
    guint accepted = 0;

    for (xmlAttrPtr attr = node->properties; attr != NULL; attr = attr->next) {
        const xmlChar *kept = attr->name;

        /* Renamed is as good as gone, and puts back easily. */
        attr->name = (const xmlChar *)"x-gone";
        accepted += survives(doc, (const char *)kept, name);
        attr->name = kept;
    }
    for (xmlNodePtr child = node->children; child != NULL; child = child->next) {
        const xmlChar *kept = child->name;

        if (child->type != XML_ELEMENT_NODE)
            continue;
        child->name = (const xmlChar *)"x-gone";
        accepted += survives(doc, (const char *)kept, name);
        child->name = kept;
        accepted += damage(doc, child);
    }
    return accepted;
}

static void test_damaged(gconstpointer data)
{
    g_autofree char *path = golden_source_path(data);
    g_autoptr(GError) error = NULL;
    g_autoptr(DomainDef) def = domain_def_parse_file(path, NULL, DOMAIN_DEF_PARSE_INACTIVE, &error);
    g_autofree char *text = NULL;
    g_autoptr(xmlDoc) doc = NULL;

    g_assert_no_error(error);
    def->id = 7;
    domain_def_assign_aliases(def);
    text = domain_def_format(def, DOMAIN_DEF_FORMAT_STATUS | DOMAIN_DEF_FORMAT_SECURE);
    doc = xml_parse(text, "(status)", "domain", &error);
    g_assert_no_error(error);
    g_assert_cmpuint(damage(doc, xmlDocGetRootElement(doc)), >, 50);
}

static void test_speed(void)
{
    gint64 start = g_get_monotonic_time();
    const guint n = 200;

    for (guint i = 0; i < n; i++)
        domain_def_free(parse_ok(small, DOMAIN_DEF_PARSE_INACTIVE));
    g_test_message("%.0f us a definition", (double)(g_get_monotonic_time() - start) / n);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    golden_add_tests("domain", transform);
    g_test_add_func("/conf/schema", test_schema);
    g_test_add_func("/conf/metadata", test_metadata);
    g_test_add_func("/conf/devices", test_devices);
    g_test_add_func("/conf/aliases", test_aliases);
    g_test_add_func("/conf/boot-order", test_boot_order);
    g_test_add_func("/conf/rich-defaults", test_rich_defaults);
    g_test_add_func("/conf/limits", test_limits);
    g_test_add_data_func("/conf/damaged/everything", "tests/golden/domain/ok-everything.xml", test_damaged);
    g_test_add_data_func("/conf/damaged/windows", "tests/golden/domain/ok-virt-install-windows.xml", test_damaged);
    g_test_add_data_func("/conf/damaged/tuned", "tests/golden/domain/ok-virt-install-tuned.xml", test_damaged);
    g_test_add_data_func("/conf/damaged/as-libvirt", "tests/golden/domain/ok-as-libvirt.xml", test_damaged);
    g_test_add_func("/conf/speed", test_speed);
    return g_test_run();
}
