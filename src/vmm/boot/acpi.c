/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ACPI tables. Layout in guest memory: RSDP, then each table on a 64-byte boundary, the XSDT last, because it
 * points at all others. See isa/acpi_hw.h for the registers that the DSDT's methods use.
 */
#include "vmm/boot/acpi.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "vmm/arch/x86_64/layout.h"
#include "vmm/boot/aml.h"
#include "vmm/isa/acpi_hw.h"
#include "vmm/isa/serial.h"

#define TABLES_MAX 8

typedef struct Build {
    const AcpiConfig *config;
    uint64_t address;
    Aml out; /* used as a growing buffer */
    uint64_t tables[TABLES_MAX];
    unsigned table_count;
    size_t start; /* of the open table */
} Build;

static void put(Build *b, uint64_t v, unsigned len)
{
    aml_bytes(&b->out, &v, len);
}

static void align(Build *b)
{
    while (b->out.len % 64 != 0 && !b->out.failed)
        aml_byte(&b->out, 0);
}

/* 5.2.6: the common header; length and checksum are filled in by end_table(). */
static void begin_table(Build *b, const char *signature, uint8_t revision)
{
    align(b);
    b->start = b->out.len;
    aml_bytes(&b->out, signature, 4);
    put(b, 0, 4);
    put(b, revision, 1);
    put(b, 0, 1);
    aml_bytes(&b->out, "KITE  ", 6);
    aml_bytes(&b->out, "KITEVMM ", 8);
    put(b, 1, 4);
    aml_bytes(&b->out, "KITE", 4);
    put(b, 1, 4);
}

static uint8_t checksum(const uint8_t *data, size_t len)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < len; i++)
        sum = (uint8_t)(sum + data[i]);
    return (uint8_t)-sum;
}

static uint64_t end_table(Build *b)
{
    uint8_t *t;
    uint32_t len;

    if (b->out.failed)
        return 0;
    t = b->out.data + b->start;
    len = (uint32_t)(b->out.len - b->start);
    memcpy(t + 4, &len, 4);
    t[9] = 0;
    t[9] = checksum(t, len);
    return b->address + b->start;
}

static void list_table(Build *b, uint64_t address)
{
    b->tables[b->table_count++] = address;
}

/* --- DSDT
 * ----------------------------------------------------------------------------------------------------- */

static void name_hid(Aml *a, const char *name, const char *id)
{
    aml_name(a, name);
    if (strncmp(id, "PNP", 3) == 0)
        aml_eisa_id(a, id);
    else
        aml_string(a, id);
}

/* OperationRegion (KHP, SystemIO, …) and its fields, 19.6.100, 19.6.48 */
static void dsdt_registers(Aml *a)
{
    static const uint8_t field_op[] = {0x5b, 0x81}, region_op[] = {0x5b, 0x80};

    aml_bytes(a, region_op, 2);
    aml_name_string(a, "KHP");
    aml_byte(a, 1); /* SystemIO */
    aml_integer(a, ACPI_PORT);
    aml_integer(a, 0x40);
    aml_bytes(a, field_op, 2);

    /* One field list: EVNT at 0, PSEL 0x10, PSTA 0x14, CSEL 0x20, CSTA 0x24, COEV 0x28, COST 0x2c; reserved bits fill
     * the gaps. */
    static const struct {
        const char *name;
        unsigned bits;
    } fields[] = {{"EVNT", 32}, {NULL, 96},   {"PSEL", 32}, {"PSTA", 32},
                  {NULL, 64},   {"CSEL", 32}, {"CSTA", 32}, {"COEV", 32}, {"COST", 32}};
    Aml list = {0};

    aml_name_string(&list, "KHP");
    aml_byte(&list, 3); /* DWordAcc, NoLock, Preserve */
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (fields[i].name != NULL)
            aml_name_string(&list, fields[i].name);
        else
            aml_byte(&list, 0);
        if (fields[i].bits < 64) {
            aml_byte(&list, (uint8_t)fields[i].bits);
        } else {
            aml_byte(&list, (uint8_t)(0x40 | (fields[i].bits & 15)));
            aml_byte(&list, (uint8_t)(fields[i].bits >> 4));
        }
    }
    aml_byte(a, (uint8_t)(0x40 | ((list.len + 2) & 15)));
    aml_byte(a, (uint8_t)((list.len + 2) >> 4));
    aml_bytes(a, list.data, list.len);
    a->failed |= list.failed;
    aml_free(&list);
}

/* _OSC (6.2.11; PCI Firmware 3.3, 4.5): everything but native and SHPC hot plug, which ACPI does here. */
static void dsdt_osc(Aml *a)
{
    static const uint8_t uuid[16] = {0x5b, 0x4d, 0xdb, 0x33, 0xf7, 0x1f, 0x1c, 0x40,
                                     0x96, 0x57, 0x74, 0x41, 0xc0, 0x3d, 0xd7, 0x66};
    static const char *const names[] = {"CDW1", "CDW2", "CDW3"};

    aml_begin_method(a, "_OSC", 4, true);
    for (unsigned i = 0; i < 3; i++) { /* CreateDWordField (Arg3, 4 * i, CDWn) */
        aml_op(a, 0x8a);
        aml_arg(a, 3);
        aml_integer(a, 4 * i);
        aml_name_string(a, names[i]);
    }
    aml_begin_if(a);
    aml_op(a, AML_LEQUAL);
    aml_arg(a, 0);
    aml_byte(a, 0x11); /* Buffer (16) { uuid } */
    aml_byte(a, 19);
    aml_byte(a, 0x0a);
    aml_byte(a, 16);
    aml_bytes(a, uuid, sizeof uuid);
    aml_store_to_local(a, "CDW3", 0);
    aml_op(a, AML_AND);
    aml_local(a, 0);
    aml_integer(a, 0x1c);
    aml_local(a, 0);
    aml_begin_if(a); /* LNot (LEqual (Local0, CDW3)): some were taken away */
    aml_op(a, 0x92);
    aml_op(a, AML_LEQUAL);
    aml_local(a, 0);
    aml_name_string(a, "CDW3");
    aml_op(a, AML_OR);
    aml_name_string(a, "CDW1");
    aml_integer(a, 0x10);
    aml_name_string(a, "CDW1");
    aml_end(a);
    aml_op(a, AML_STORE);
    aml_local(a, 0);
    aml_name_string(a, "CDW3");
    aml_end(a);
    aml_begin_else(a);
    aml_op(a, AML_OR);
    aml_name_string(a, "CDW1");
    aml_integer(a, 4); /* unrecognized UUID */
    aml_name_string(a, "CDW1");
    aml_end(a);
    aml_op(a, AML_RETURN);
    aml_arg(a, 3);
    aml_end(a);
}

static void slot_name(char *ret, const AcpiConfig *c, unsigned slot)
{
    snprintf(ret, 5, "S%03X", c->slot_devfn[slot]);
}

/* What a device has that can be let go of. */
static void dsdt_ejectable(Aml *a, unsigned slot)
{
    aml_name_integer(a, "_SUN", slot + 1);
    aml_begin_method(a, "_EJ0", 1, true);
    aml_store_integer(a, slot, "\\_SB.PSEL");
    aml_store_integer(a, 8, "\\_SB.PSTA");
    aml_end(a);
}

static void dsdt_slot(Aml *a, const AcpiConfig *c, unsigned slot)
{
    char name[5];

    slot_name(name, c, slot);
    aml_begin_device(a, name);
    aml_name_integer(a, "_ADR", (uint64_t)(c->slot_devfn[slot] >> 3) << 16 | (c->slot_devfn[slot] & 7));
    if (slot < c->slots) {
        aml_begin_device(a, "S000");
        aml_name_integer(a, "_ADR", 0);
        dsdt_ejectable(a, slot);
        aml_end(a);
    } else {
        dsdt_ejectable(a, slot);
    }
    aml_end(a);
}

static void dsdt_pci(Aml *a, const AcpiConfig *c)
{
    aml_begin_device(a, "PCI0");
    name_hid(a, "_HID", "PNP0A08");
    name_hid(a, "_CID", "PNP0A03");
    aml_name_integer(a, "_UID", 0);
    aml_name_integer(a, "_SEG", 0);
    aml_name_integer(a, "_BBN", 0);
    aml_name_integer(a, "_CCA", 1);
    aml_begin_resources(a, "_CRS");
    aml_bus_range(a, 0, (uint16_t)(c->buses - 1));
    aml_io(a, 0xcf8, 8);
    aml_io_window(a, c->io_base, (uint16_t)(c->io_base + c->io_size - 1));
    aml_memory32_window(a, (uint32_t)c->mmio32_base, (uint32_t)(c->mmio32_base + c->mmio32_size - 1));
    if (c->mmio64_size != 0)
        aml_memory64_window(a, c->mmio64_base, c->mmio64_base + c->mmio64_size - 1);
    aml_end_resources(a);
    dsdt_osc(a);
    for (unsigned i = 0; i < c->slots + c->root_slots; i++)
        dsdt_slot(a, c, i);
    aml_end(a);

    /* The ECAM area belongs to the board (PCI Firmware 3.3, 4.1.2). */
    aml_begin_device(a, "MB00");
    name_hid(a, "_HID", "PNP0C02");
    aml_name_integer(a, "_UID", 0);
    aml_begin_resources(a, "_CRS");
    aml_memory32(a, (uint32_t)c->ecam_base, c->buses << 20);
    aml_io(a, ACPI_PORT, 0x40);
    aml_end_resources(a);
    aml_end(a);
}

static void dsdt_legacy(Aml *a, const AcpiConfig *c)
{
    for (unsigned i = 0; i < SERIAL_PORTS; i++) {
        char name[5];

        if (!(c->serial_mask & 1u << i))
            continue;
        snprintf(name, sizeof name, "COM%u", i + 1);
        aml_begin_device(a, name);
        name_hid(a, "_HID", "PNP0501");
        aml_name_integer(a, "_UID", i + 1);
        aml_begin_resources(a, "_CRS");
        aml_io(a, serial_port(i), 8);
        aml_interrupt(a, serial_gsi(i), true);
        aml_end_resources(a);
        aml_end(a);
    }
    if (c->rtc) {
        aml_begin_device(a, "RTC0");
        name_hid(a, "_HID", "PNP0B00");
        aml_begin_resources(a, "_CRS");
        aml_io(a, 0x70, 2);
        aml_interrupt(a, RTC_GSI, true);
        aml_end_resources(a);
        aml_end(a);
    }
    if (c->pvpanic) {
        aml_begin_device(a, "PEVT");
        name_hid(a, "_HID", "QEMU0001");
        aml_begin_resources(a, "_CRS");
        aml_io(a, PVPANIC_PORT, 1);
        aml_end_resources(a);
        aml_name_integer(a, "_STA", 15);
        aml_end(a);
    }
    aml_begin_device(a, "PWRB");
    name_hid(a, "_HID", "PNP0C0C");
    aml_name_integer(a, "_UID", 0);
    aml_end(a);
}

/* One CPU (8.4). _MAT gives the MADT entry of a CPU that comes later. */
static void dsdt_cpu(Aml *a, const AcpiConfig *c, unsigned i)
{
    char name[16];
    uint32_t apic_id = c->apic_ids[i];
    bool wide = apic_id >= 255;
    uint8_t entry[16] = {0};

    if (wide) {
        uint32_t flags = 1;

        entry[0] = 9;
        entry[1] = 16;
        memcpy(entry + 4, &apic_id, 4);
        memcpy(entry + 8, &flags, 4);
        memcpy(entry + 12, &i, 4);
    } else {
        entry[1] = 8;
        entry[2] = (uint8_t)i;
        entry[3] = (uint8_t)apic_id;
        entry[4] = 1;
    }
    snprintf(name, sizeof name, "C%03X", i);
    aml_begin_device(a, name);
    name_hid(a, "_HID", "ACPI0007");
    aml_name_integer(a, "_UID", i);
    if (c->nodes > 0 && c->cpu_nodes != NULL)
        aml_name_integer(a, "_PXM", c->cpu_nodes[i]);
    if (c->cpus_max > c->cpus) {
        aml_name(a, "_MAT");
        aml_byte(a, 0x11);
        aml_byte(a, (uint8_t)(3 + entry[1]));
        aml_byte(a, 0x0a);
        aml_byte(a, entry[1]);
        aml_bytes(a, entry, entry[1]);
        aml_begin_method(a, "_STA", 0, true);
        aml_store_integer(a, i, "\\_SB.CSEL");
        aml_store_to_local(a, "\\_SB.CSTA", 0);
        aml_begin_if_local_bit(a, 0, 1);
        aml_op(a, AML_RETURN);
        aml_integer(a, 15);
        aml_end(a);
        aml_op(a, AML_RETURN);
        aml_integer(a, 0);
        aml_end(a);
        if (i > 0) {
            aml_begin_method(a, "_EJ0", 1, true);
            aml_store_integer(a, i, "\\_SB.CSEL");
            aml_store_integer(a, 8, "\\_SB.CSTA");
            aml_end(a);
            aml_begin_method(a, "_OST", 3, true); /* 6.3.5: how it went */
            aml_store_integer(a, i, "\\_SB.CSEL");
            aml_store_arg(a, 0, "\\_SB.COEV");
            aml_store_arg(a, 1, "\\_SB.COST");
            aml_end(a);
        }
    }
    aml_end(a);
}

/* For each selectable thing: ask its state, notify what changed, say that it was seen. */
static void dsdt_scan(Aml *a, const char *select, const char *state, unsigned index, const char *path)
{
    aml_store_integer(a, index, select);
    aml_store_to_local(a, state, 0);
    aml_begin_if_local_bit(a, 0, 2);
    aml_store_integer(a, 2, state);
    aml_notify(a, path, 1); /* device check */
    aml_end(a);
    aml_begin_if_local_bit(a, 0, 4);
    aml_store_integer(a, 4, state);
    aml_notify(a, path, 3); /* eject request */
    aml_end(a);
}

static void dsdt_events(Aml *a, const AcpiConfig *c)
{
    char path[32];

    aml_begin_device(a, "GED0");
    name_hid(a, "_HID", "ACPI0013");
    aml_name_integer(a, "_UID", 0);
    aml_begin_resources(a, "_CRS");
    aml_interrupt(a, ACPI_GED_GSI, true);
    aml_end_resources(a);
    aml_begin_method(a, "_EVT", 1, true);
    aml_store_to_local(a, "\\_SB.EVNT", 1);
    aml_begin_if_local_bit(a, 1, 1);
    aml_notify(a, "\\_SB.PWRB", 0x80);
    aml_end(a);
    if (c->slots + c->root_slots > 0) {
        aml_begin_if_local_bit(a, 1, 2);
        for (unsigned i = 0; i < c->slots + c->root_slots; i++) {
            char name[5];

            slot_name(name, c, i);
            snprintf(path, sizeof path, "\\_SB.PCI0.%s%s", name, i < c->slots ? ".S000" : "");
            dsdt_scan(a, "\\_SB.PSEL", "\\_SB.PSTA", i, path);
        }
        aml_end(a);
    }
    if (c->cpus_max > c->cpus) {
        aml_begin_if_local_bit(a, 1, 4);
        for (unsigned i = 1; i < c->cpus_max; i++) {
            snprintf(path, sizeof path, "\\_SB.C%03X", i);
            dsdt_scan(a, "\\_SB.CSEL", "\\_SB.CSTA", i, path);
        }
        aml_end(a);
    }
    aml_end(a);
    aml_end(a);
}

static uint64_t build_dsdt(Build *b)
{
    const AcpiConfig *c = b->config;
    Aml *a = &b->out;

    begin_table(b, "DSDT", 2);
    aml_begin_scope(a, "\\_SB");
    dsdt_registers(a);
    dsdt_pci(a, c);
    dsdt_legacy(a, c);
    for (unsigned i = 0; i < c->cpus_max; i++)
        dsdt_cpu(a, c, i);
    dsdt_events(a, c);
    aml_end(a);
    aml_name(a, "\\_S5"); /* 7.4.2.6: what goes into the sleep control register */
    aml_begin_package(a, 4);
    aml_integer(a, ACPI_SLEEP_S5);
    for (int i = 0; i < 3; i++)
        aml_integer(a, 0);
    aml_end(a);
    return end_table(b);
}

/* --- the fixed tables
 * ----------------------------------------------------------------------------------------- */

/* 5.2.3.2: generic address, an 8-bit port */
static void port_address(Build *b, uint16_t port)
{
    put(b, 1, 1);
    put(b, 8, 1);
    put(b, 0, 1);
    put(b, 1, 1);
    put(b, port, 8);
}

/* 5.2.9: hardware-reduced, so all of the old fixed hardware is zero. */
static void build_fadt(Build *b, uint64_t dsdt)
{
    enum {
        WBINVD = 1 << 0,
        NO_FIXED_POWER_BUTTON = 1 << 4,
        NO_FIXED_SLEEP_BUTTON = 1 << 5,
        RESET_REGISTER = 1 << 10,
        HEADLESS = 1 << 12,
        HW_REDUCED = 1 << 20
    };
    size_t start;

    begin_table(b, "FACP", 6);
    start = b->start;
    while (b->out.len < start + 109 && !b->out.failed)
        put(b, 0, 1);
    put(b, 4, 2); /* boot architecture flags: no VGA to probe */
    put(b, 0, 1);
    put(b, WBINVD | NO_FIXED_POWER_BUTTON | NO_FIXED_SLEEP_BUTTON | RESET_REGISTER | HEADLESS | HW_REDUCED,
        4);
    port_address(b, ACPI_PORT + 6);
    put(b, 1, 1); /* value that resets */
    put(b, 0, 2);
    put(b, 4, 1); /* minor version: 6.4 */
    put(b, 0, 8); /* FACS: none */
    put(b, dsdt, 8);
    while (b->out.len < start + 244 && !b->out.failed)
        put(b, 0, 1);
    port_address(b, ACPI_PORT + 4);
    port_address(b, ACPI_PORT + 5);
    aml_bytes(&b->out, "KITE\0\0\0\0", 8);
    list_table(b, end_table(b));
}

/* 5.2.12 */
static void build_madt(Build *b)
{
    const AcpiConfig *c = b->config;

    begin_table(b, "APIC", 5);
    put(b, LAPIC_ADDRESS, 4);
    put(b, 0, 4); /* no 8259s that the guest should use */
    for (unsigned i = 0; i < c->cpus_max; i++) {
        uint32_t flags = (c->cpu_present ? c->cpu_present[i] : i < c->cpus) ? 1 : 2; /* enabled, or online-capable */

        if (c->apic_ids[i] >= 255) {
            put(b, 9, 1);
            put(b, 16, 1);
            put(b, 0, 2);
            put(b, c->apic_ids[i], 4);
            put(b, flags, 4);
            put(b, i, 4);
        } else {
            put(b, 0, 1);
            put(b, 8, 1);
            put(b, i, 1);
            put(b, c->apic_ids[i], 1);
            put(b, flags, 4);
        }
    }
    put(b, 1, 1); /* IOAPIC, GSIs from 0 */
    put(b, 12, 1);
    put(b, 0, 2);
    put(b, IOAPIC_ADDRESS, 4);
    put(b, 0, 4);
    put(b, 4, 1); /* LINT1 of every CPU is NMI */
    put(b, 6, 1);
    put(b, 0xff, 1);
    put(b, 0, 2);
    put(b, 1, 1);
    list_table(b, end_table(b));
}

static void build_mcfg(Build *b)
{
    begin_table(b, "MCFG", 1);
    put(b, 0, 8);
    put(b, b->config->ecam_base, 8);
    put(b, 0, 2);
    put(b, 0, 1);
    put(b, b->config->buses - 1, 1);
    put(b, 0, 4);
    list_table(b, end_table(b));
}

/* 5.2.16.2 */
static void put_memory_affinity(Build *b, unsigned node, uint64_t base, uint64_t size, bool hot_plug)
{
    put(b, 1, 1);
    put(b, 40, 1);
    put(b, node, 4);
    put(b, 0, 2);
    put(b, base, 8);
    put(b, size, 8);
    put(b, 0, 4);
    put(b, hot_plug ? 3 : 1, 4); /* enabled, hot pluggable */
    put(b, 0, 8);
}

/* 5.2.16, 5.2.17 */
static void build_numa(Build *b)
{
    const AcpiConfig *c = b->config;

    begin_table(b, "SRAT", 3);
    put(b, 1, 4);
    put(b, 0, 8);
    for (unsigned i = 0; i < c->cpus_max; i++) { /* x2APIC affinity */
        put(b, 2, 1);
        put(b, 24, 1);
        put(b, 0, 2);
        put(b, c->cpu_nodes ? c->cpu_nodes[i] : 0, 4);
        put(b, c->apic_ids[i], 4);
        put(b, 1, 4);
        put(b, 0, 4);
        put(b, 0, 4);
    }
    for (unsigned n = 0; n < c->nodes; n++) {
        for (unsigned i = 0; i < ARRAY_LEN(c->node[n].memory) && c->node[n].memory[i][1] != 0; i++)
            put_memory_affinity(b, n, c->node[n].memory[i][0], c->node[n].memory[i][1], false);
    }
    if (c->growth_size != 0)
        put_memory_affinity(b, c->nodes - 1, c->growth_base, c->growth_size, true);
    list_table(b, end_table(b));
    begin_table(b, "SLIT", 1);
    put(b, c->nodes, 8);
    for (unsigned from = 0; from < c->nodes; from++) {
        for (unsigned to = 0; to < c->nodes; to++) {
            uint8_t d = c->distance[from][to];

            put(b, d ? d : from == to ? 10 : 20, 1);
        }
    }
    list_table(b, end_table(b));
}

/* 5.2.5.3 */
static void fill_rsdp(uint8_t *rsdp, uint64_t xsdt)
{
    uint32_t len = 36;

    memcpy(rsdp, "RSD PTR ", 8);
    memcpy(rsdp + 9, "KITE  ", 6);
    rsdp[15] = 2;
    memcpy(rsdp + 20, &len, 4);
    memcpy(rsdp + 24, &xsdt, 8);
    rsdp[8] = checksum(rsdp, 20);
    rsdp[32] = checksum(rsdp, 36);
}

int acpi_build(const AcpiConfig *config, uint64_t address, uint8_t **ret, size_t *ret_len, Err *err)
{
    static const uint8_t room[36];
    Build b = {.config = config, .address = address};
    uint64_t dsdt, xsdt;

    aml_bytes(&b.out, room, sizeof room);
    dsdt = build_dsdt(&b);
    build_fadt(&b, dsdt);
    build_madt(&b);
    build_mcfg(&b);
    if (config->nodes > 0)
        build_numa(&b);
    begin_table(&b, "XSDT", 1);
    for (unsigned i = 0; i < b.table_count; i++)
        put(&b, b.tables[i], 8);
    xsdt = end_table(&b);
    if (b.out.failed || b.out.depth != 0) {
        aml_free(&b.out);
        return err_set(err, ENOMEM, "cannot build the ACPI tables: out of memory");
    }
    fill_rsdp(b.out.data, xsdt);
    *ret = b.out.data;
    *ret_len = b.out.len;
    return 0;
}
