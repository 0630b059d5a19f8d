/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ACPI tables: checksums and links; with iasl on the PATH, every table is disassembled and compiled again. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/checked.h"
#include "lib/fake_machine.h"
#include "lib/tap.h"
#include "vmm/arch/x86_64/layout.h"
#include "vmm/boot/acpi.h"
#include "vmm/boot/smbios.h"
#include "vmm/machine_internal.h"

#define BASE 0xe0000ull

static uint8_t sum(const uint8_t *data, size_t len)
{
    uint8_t s = 0;

    while (len-- > 0)
        s = (uint8_t)(s + *data++);
    return s;
}

static uint64_t get(const uint8_t *at, unsigned len)
{
    uint64_t v = 0;

    memcpy(&v, at, len);
    return v;
}

/* iasl -d and -tc: 0 when it finds no error. */
static int check_iasl(const uint8_t *table, size_t len, const char *signature, const char *folder)
{
    char path[256], command[1200];
    FILE *f;
    int r;

    snprintf(path, sizeof path, "%s/%s.aml", folder, signature);
    f = fopen(path, "wb");
    if (f == NULL || fwrite(table, 1, len, f) != len)
        return -1;
    fclose(f);
    snprintf(command, sizeof command,
             "cd '%s' && iasl -d %s.aml >%s.log 2>&1 && iasl -vw 3073 -tc %s.dsl >%s.log2 2>&1 && "
             "! grep -E '^Error|[1-9][0-9]* (Errors|Warnings)' %s.log2",
             folder, signature, signature, signature, signature, signature);
    r = system(command);
    return r;
}

static void check(const char *name, const AcpiConfig *config, const char *const *expected)
{
    uint8_t *t = NULL;
    size_t len = 0;
    Err err = {0};
    bool iasl = system("command -v iasl >/dev/null 2>&1") == 0;
    char folder[] = "/tmp/kite-acpi-XXXXXX", remove[64];

    ok(acpi_build(config, BASE, &t, &len, &err) == 0 && len < 0x20000, "%s: tables of %zu bytes", name, len);
    ok(memcmp(t, "RSD PTR ", 8) == 0 && sum(t, 20) == 0 && sum(t, 36) == 0, "%s: RSDP", name);
    const uint8_t *xsdt = t + (get(t + 24, 8) - BASE);
    unsigned count = (unsigned)(get(xsdt + 4, 4) - 36) / 8;

    ok(memcmp(xsdt, "XSDT", 4) == 0 && sum(xsdt, get(xsdt + 4, 4)) == 0, "%s: XSDT of %u tables", name,
       count);
    if (iasl && mkdtemp(folder) == NULL)
        iasl = false;
    for (unsigned i = 0; expected[i] != NULL; i++) {
        const uint8_t *table = NULL;
        char signature[5] = "";

        for (unsigned k = 0; k < count; k++) {
            const uint8_t *at = t + (get(xsdt + 36 + 8 * k, 8) - BASE);

            if (memcmp(at, expected[i], 4) == 0)
                table = at;
        }
        if (strcmp(expected[i], "DSDT") == 0) {
            for (unsigned k = 0; k < count; k++) {
                const uint8_t *at = t + (get(xsdt + 36 + 8 * k, 8) - BASE);

                if (memcmp(at, "FACP", 4) == 0)
                    table = t + (get(at + 140, 8) - BASE);
            }
        }
        ok(table != NULL && sum(table, get(table + 4, 4)) == 0, "%s: %s with its checksum", name,
           expected[i]);
        if (table == NULL || !iasl)
            continue;
        memcpy(signature, table, 4);
        ok(check_iasl(table, get(table + 4, 4), signature, folder) == 0, "%s: iasl finds %s in order", name,
           signature);
    }
    if (iasl) {
        snprintf(remove, sizeof remove, "rm -rf '%s'", folder);
        ok(system(remove) == 0, "%s: cleaned up", name);
    }
    free(t);
}

static void test_smbios(void)
{
    SmbiosConfig c = {.uuid = "00112233-4455-6677-8899-aabbccddeeff",
                      .low_memory = 3ull << 30,
                      .high_memory = 61ull << 30,
                      .sockets = 240, .cores = 1, .threads = 1, .cpus = 2, .oem = {"one", "two"}, .oem_count = 2};
    static const uint8_t uuid[16] = {0x33, 0x22, 0x11, 0,    0x55, 0x44, 0x77, 0x66,
                                     0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
    uint8_t *t = NULL;
    size_t len = 0, at = 32;
    unsigned seen[128] = {0};
    char text[SMBIOS_TEXT_MAX + 1];
    Err err = {0};

    c.texts[SMBIOS_SYSTEM_PRODUCT] = "OpenStack Nova";
    ok(smbios_build(&c, 0xfc000, 16368, &t, &len, &err) == 0, "SMBIOS tables of %zu bytes for 240 sockets", len);
    ok(memcmp(t, "_SM3_", 5) == 0 && sum(t, 24) == 0 && get(t + 12, 4) == len - 32 && get(t + 16, 8) == 0xfc020,
       "SMBIOS: entry point");
    while (at + 4 <= len) {
        uint8_t type = t[at];

        seen[type & 127]++;
        if (type == 1)
            ok(memcmp(t + at + 8, uuid, 16) == 0 && memmem(t + at, len - at, "OpenStack Nova", 15) != NULL,
               "SMBIOS: system with its uuid and product");
        at += t[at + 1];
        while (at + 2 <= len && (t[at] != 0 || t[at + 1] != 0))
            at++;
        at += 2;
    }
    ok(at == len && seen[0] == 1 && seen[3] == 1 && seen[4] == 240 && seen[11] == 1 && seen[16] == 1 && seen[17] == 4 &&
           seen[19] == 2 && seen[32] == 1 && seen[127] == 1,
       "SMBIOS: every structure ends where the next begins");
    free(t);
    memset(text, 'x', SMBIOS_TEXT_MAX);
    text[SMBIOS_TEXT_MAX] = '\0';
    for (unsigned i = 0; i < SMBIOS_TEXT_LAST; i++)
        c.texts[i] = text;
    ok(smbios_build(&c, 0xfc000, 16368, &t, &len, &err) < 0 && strstr(err.text, "do not fit"),
       "SMBIOS: too long: %s", err.text);
}

/* --- what a definition's cells become --- */

/* A table where the running machine has it; NULL: none of that name. */
static const uint8_t *find_table(Machine *m, const char *signature)
{
    const uint8_t *rsdp = memory_at(m->memory, ACPI_ADDRESS, 36), *xsdt, *table;
    uint64_t at = get(rsdp + 24, 8);

    xsdt = memory_at(m->memory, at, 36);
    xsdt = memory_at(m->memory, at, get(xsdt + 4, 4));
    for (uint64_t k = 36; xsdt != NULL && k + 8 <= get(xsdt + 4, 4); k += 8) {
        table = memory_at(m->memory, get(xsdt + k, 8), 36);
        if (table != NULL && memcmp(table, signature, 4) == 0)
            return memory_at(m->memory, get(xsdt + k, 8), get(table + 4, 4));
    }
    return NULL;
}

/* The description that the daemon makes of tests/golden/vmmdesc/ok-numa.xml: two cells, the first beyond the hole. */
static void test_cells(void)
{
    static const uint64_t expected_memory[][3] = {/* node, address, size */
                                                  {0, 0, 3ull << 30},
                                                  {0, 4ull << 30, 512ull << 20},
                                                  {1, (4ull << 30) + (512ull << 20), 512ull << 20}};
    static const uint8_t expected_distances[] = {10, 21, 31, 10};
    const char *top = getenv("abs_top_srcdir");
    unsigned cpus = 0, memories = 0;
    bool cpus_right = true, memory_right = true;
    MachineDesc *desc;
    const uint8_t *t;
    char path[512], *text;
    json_t *root;
    Machine *m;
    Err err = {0};

    snprintf(path, sizeof path, "%s/tests/golden/vmmdesc/ok-numa.json", top ? top : "..");
    root = json_load_file(path, 0, NULL);
    json_object_del(root, "kvm-fd");
    json_object_del(root, "stats-fd");
    text = json_dumps(root, 0);
    m = text != NULL ? fake_machine(text, &desc, &err) : NULL;
    free(text);
    json_decref(root);
    ok(m != NULL, "cells: a machine from %s: %s", path, err.text);
    if (m == NULL)
        return;
    t = find_table(m, "SRAT");
    for (uint64_t at = 48; t != NULL && at + 2 <= get(t + 4, 4) && t[at + 1] > 0; at += t[at + 1]) {
        const uint8_t *e = t + at;

        if (e[0] == 2 && cpus < 4) {
            cpus_right &= get(e + 4, 4) == cpus / 2 && get(e + 8, 4) == m->apic_ids[cpus] && (e[12] & 1);
            cpus++;
        } else if (e[0] == 1 && memories < ARRAY_LEN(expected_memory)) {
            const uint64_t *x = expected_memory[memories++];

            memory_right &= get(e + 2, 4) == x[0] && get(e + 8, 8) == x[1] && get(e + 16, 8) == x[2] && (e[28] & 1);
        } else {
            memory_right = false;
        }
    }
    ok(cpus == 4 && cpus_right, "cells: each CPU is in its node (%u)", cpus);
    ok(memories == ARRAY_LEN(expected_memory) && memory_right, "cells: so is memory, on both sides of the hole (%u)",
       memories);
    t = find_table(m, "SLIT");
    ok(t != NULL && get(t + 36, 8) == 2 && memcmp(t + 44, expected_distances, sizeof expected_distances) == 0,
       "cells: distances, also where they differ by direction");
    fake_machine_free(m, desc);
}

/* Each CPU but the first can be let go of, and has the method by which the guest says how that went. */
static void test_cpu_methods(const AcpiConfig *config)
{
    static const uint8_t ost[] = {0x14, 0xff, 0xff, 0xff, '_', 'O', 'S', 'T', 3 | 8}; /* Method (_OST, 3, Serialized) */
    uint8_t *t = NULL;
    size_t len = 0;
    unsigned reports = 0, ejects = 0;
    Err err = {0};

    if (acpi_build(config, BASE, &t, &len, &err) < 0)
        abort();
    for (size_t i = 4; i + 5 <= len; i++) {
        reports += t[i - 4] == ost[0] && memcmp(t + i, ost + 4, 5) == 0;
        ejects += t[i - 4] == ost[0] && memcmp(t + i, "_EJ0", 4) == 0;
    }
    ok(reports == config->cpus_max - 1 && ejects == reports + config->slots + config->root_slots,
       "%u CPUs report, and %u things are ejected", reports, ejects);
    free(t);
}

int main(void)
{
    uint32_t apic_ids[240];
    uint8_t nodes[240] = {0}, devfns[40];
    AcpiConfig config = {
        .cpus = 1,
        .cpus_max = 1,
        .apic_ids = apic_ids,
        .ecam_base = 0xe0000000,
        .buses = 128,
        .mmio32_base = 0xc0000000,
        .mmio32_size = 0x20000000,
        .mmio64_base = 0x100000000,
        .mmio64_size = 64ull << 30,
        .io_base = 0xc000,
        .io_size = 0x4000,
        .slot_devfn = devfns,
        .serial_mask = 1,
        .rtc = true,
    };

    for (unsigned i = 0; i < ARRAY_LEN(apic_ids); i++)
        apic_ids[i] = i < 100 ? i : i + 200; /* also x2APIC entries */
    for (unsigned i = 0; i < ARRAY_LEN(devfns); i++)
        devfns[i] = (uint8_t)(8 + i);
    check("smallest", &config, (const char *const[]){"FACP", "DSDT", "APIC", "MCFG", NULL});
    config.cpus = 2;
    config.cpus_max = 240;
    config.slots = 20;
    config.root_slots = ARRAY_LEN(devfns) - config.slots;
    config.serial_mask = 15;
    config.pvpanic = true;
    config.cpu_nodes = nodes;
    config.nodes = 2;
    config.node[0].memory[0][1] = 1 << 30;
    config.node[1].memory[0][0] = 1 << 30;
    config.node[1].memory[0][1] = 1 << 30;
    for (unsigned i = 0; i < ARRAY_LEN(nodes); i++)
        nodes[i] = i & 1;
    check("everything", &config, (const char *const[]){"FACP", "DSDT", "APIC", "MCFG", "SRAT", "SLIT", NULL});
    test_cpu_methods(&config);
    test_smbios();
    test_cells();
    return done();
}
