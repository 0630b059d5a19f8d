/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The freestanding test guest. Its command line names a test; it prints what it finds on the first serial
 * port and powers off through ACPI's sleep register. Driven by tests/guest/check_kvm.py.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { COM1 = 0x3f8, ACPI = 0x600, PVPANIC = 0x505, I8042 = 0x64 };
#define ECAM 0xe0000000ull
#define LAPIC 0xfee00000ull
#define IOAPIC 0xfec00000ull
#define TRAMPOLINE 0x8000ull
#define MARKER ((volatile uint64_t *)0x700000) /* survives a reset */

extern const char trampoline[], trampoline_end[];
extern volatile uint64_t ap_stack;
void guest_main(uint32_t info);
void ap_main(void);

/* --- hardware access
 * ------------------------------------------------------------------------------------------- */

static void outb(uint16_t port, uint8_t v)
{
    __asm__ volatile("outb %0, %1" ::"a"(v), "d"(port));
}

static uint8_t inb(uint16_t port)
{
    uint8_t v;

    __asm__ volatile("inb %1, %0" : "=a"(v) : "d"(port));
    return v;
}

static uint32_t inl(uint16_t port)
{
    uint32_t v;

    __asm__ volatile("inl %1, %0" : "=a"(v) : "d"(port));
    return v;
}

static void outl(uint16_t port, uint32_t v)
{
    __asm__ volatile("outl %0, %1" ::"a"(v), "d"(port));
}

static volatile uint32_t *reg32(uint64_t address)
{
    return (volatile uint32_t *)address;
}

static void pause_cpu(void)
{
    __asm__ volatile("pause" ::: "memory");
}

/* --- output
 * ---------------------------------------------------------------------------------------------------- */

static void put(char c)
{
    while (!(inb(COM1 + 5) & 0x20))
        pause_cpu();
    outb(COM1, (uint8_t)c);
}

static void print(const char *s)
{
    for (; *s; s++)
        put(*s);
}

static void print_hex(uint64_t v, int digits)
{
    for (int i = digits - 1; i >= 0; i--)
        put("0123456789abcdef"[v >> (4 * i) & 15]);
}

static void line(const char *text, uint64_t v, int digits)
{
    print(text);
    print_hex(v, digits);
    put('\n');
}

static __attribute__((noreturn)) void power_off(void)
{
    outb(ACPI + 4, 0x20 | 5 << 2);
    for (;;)
        __asm__ volatile("cli; hlt");
}

static bool equal(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

/* --- interrupts
 * ------------------------------------------------------------------------------------------------ */

struct frame;
static volatile uint32_t hits[256];
static struct {
    uint16_t low, selector, flags, mid;
    uint32_t high, zero;
} idt[256] __attribute__((aligned(16)));

#define HANDLER(n)                                                                                           \
    static __attribute__((interrupt)) void handler_##n(struct frame *f)                                      \
    {                                                                                                        \
        (void)f;                                                                                             \
        __atomic_fetch_add(&hits[n], 1, __ATOMIC_RELAXED);                                                   \
        *reg32(LAPIC + 0xb0) = 0;                                                                            \
    }
HANDLER(64)
HANDLER(65)
HANDLER(66)

static __attribute__((interrupt)) void handler_nmi(struct frame *f)
{
    (void)f;
    __atomic_fetch_add(&hits[2], 1, __ATOMIC_RELAXED);
}

static void set_gate(unsigned n, void (*fn)(struct frame *))
{
    uint64_t at = (uint64_t)fn;

    idt[n].low = (uint16_t)at;
    idt[n].selector = 8;
    idt[n].flags = 0x8e00;
    idt[n].mid = (uint16_t)(at >> 16);
    idt[n].high = (uint32_t)(at >> 32);
}

static void interrupts_on(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) pointer = {sizeof idt - 1, (uint64_t)idt};

    set_gate(2, handler_nmi);
    set_gate(64, handler_64);
    set_gate(65, handler_65);
    set_gate(66, handler_66);
    __asm__ volatile("lidt %0" ::"m"(pointer));
    *reg32(LAPIC + 0xf0) = 0x1ff; /* software enable, spurious vector 0xff */
    __asm__ volatile("sti");
}

static bool wait_hits(unsigned vector, uint32_t count)
{
    for (uint32_t i = 0; i < 20000000; i++) {
        if (hits[vector] >= count)
            return true;
        pause_cpu();
    }
    return false;
}

/* --- PCI and virtio
 * -------------------------------------------------------------------------------------------- */

static uint32_t pci_read(unsigned devfn, unsigned offset)
{
    return *reg32(ECAM + (uint64_t)devfn * 4096 + offset);
}

static void pci_write(unsigned devfn, unsigned offset, uint32_t v)
{
    *reg32(ECAM + (uint64_t)devfn * 4096 + offset) = v;
}

static int find_device(uint32_t id)
{
    for (unsigned devfn = 0; devfn < 256; devfn++) {
        if (pci_read(devfn, 0) == id)
            return (int)devfn;
    }
    return -1;
}

static unsigned find_cap(unsigned devfn, uint8_t id, uint8_t virtio_type)
{
    for (unsigned at = pci_read(devfn, 0x34) & 0xff; at; at = pci_read(devfn, at) >> 8 & 0xff) {
        uint32_t head = pci_read(devfn, at);

        if ((head & 0xff) == id && (virtio_type == 0 || head >> 24 == virtio_type))
            return at;
    }
    return 0;
}

static uint8_t ring[4096 * 3] __attribute__((aligned(4096)));
static uint8_t buffer[256] __attribute__((aligned(64)));

typedef struct Rng {
    unsigned devfn;
    volatile uint8_t *bar, *common;
    volatile uint16_t *notify;
} Rng;

static bool rng_start(Rng *r, uint64_t desc_flags_next)
{
    int devfn = find_device(0x10441af4);
    unsigned cap;
    volatile uint32_t *entry;
    uint64_t *desc = (uint64_t *)ring;

    if (devfn < 0)
        return false;
    r->devfn = (unsigned)devfn;
    r->bar = (volatile uint8_t *)(uint64_t)(pci_read(r->devfn, 0x10) & ~15u);
    cap = find_cap(r->devfn, 9, 1);
    r->common = r->bar + pci_read(r->devfn, cap + 8);
    cap = find_cap(r->devfn, 9, 2);
    r->notify = (volatile uint16_t *)(r->bar + pci_read(r->devfn, cap + 8));
    cap = find_cap(r->devfn, 0x11, 0);
    entry = (volatile uint32_t *)(r->bar + (pci_read(r->devfn, cap + 4) & ~7u));
    entry[4] = (uint32_t)LAPIC; /* vector 1 of the table: the queue */
    entry[5] = 0;
    entry[6] = 64;
    entry[7] = 0;
    pci_write(r->devfn, cap, pci_read(r->devfn, cap) | 1u << 31);

    r->common[0x14] = 0;
    while (r->common[0x14] != 0)
        pause_cpu();
    r->common[0x14] = 3;
    *(volatile uint32_t *)(r->common + 8) = 1;
    *(volatile uint32_t *)(r->common + 12) = 1; /* VERSION_1 */
    r->common[0x14] = 11;
    if (!(r->common[0x14] & 8))
        return false;
    *(volatile uint16_t *)(r->common + 0x16) = 0;
    *(volatile uint16_t *)(r->common + 0x18) = 8;
    *(volatile uint16_t *)(r->common + 0x1a) = 1;
    *(volatile uint64_t *)(r->common + 0x20) = (uint64_t)ring;
    *(volatile uint64_t *)(r->common + 0x28) = (uint64_t)ring + 4096;
    *(volatile uint64_t *)(r->common + 0x30) = (uint64_t)ring + 8192;
    *(volatile uint16_t *)(r->common + 0x1c) = 1;
    desc[0] = (uint64_t)buffer;
    desc[1] = 64 | desc_flags_next << 32;
    r->common[0x14] = 15;
    return true;
}

static void rng_ask(Rng *r)
{
    volatile uint16_t *avail = (volatile uint16_t *)(ring + 4096);

    avail[2] = 0;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    avail[1] = 1;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    *r->notify = 0;
}

#include "devices.h"
#include "bench.h"

/* --- tests
 * ----------------------------------------------------------------------------------------------------- */

static void test_pci(void)
{
    for (unsigned devfn = 0; devfn < 256; devfn++) {
        if (pci_read(devfn, 0) != UINT32_MAX) {
            print("pci ");
            print_hex(devfn >> 3, 2);
            line(" ", pci_read(devfn, 0), 8);
        }
    }
}

static void test_rng(void)
{
    Rng r;
    uint64_t sum = 0;

    interrupts_on();
    if (!rng_start(&r, 2)) {
        print("rng not found\n");
        return;
    }
    rng_ask(&r);
    print(wait_hits(64, 1) ? "rng interrupt\n" : "rng no interrupt\n");
    for (unsigned i = 0; i < 64; i++)
        sum += buffer[i];
    line("rng used ", *(volatile uint16_t *)(ring + 8194), 4);
    line("rng written ", *(volatile uint32_t *)(ring + 8192 + 8), 8);
    print(sum != 0 && buffer[64] == 0 ? "rng bytes\n" : "rng no bytes\n");
}

static void test_loop(void)
{
    Rng r;

    interrupts_on();
    if (!rng_start(&r, 3)) { /* writable, next = itself */
        print("rng not found\n");
        return;
    }
    rng_ask(&r);
    for (uint32_t i = 0; i < 10000000 && !(r.common[0x14] & 64); i++)
        pause_cpu();
    line("status ", r.common[0x14], 2);
    print(rng_start(&r, 2) ? "restarted\n" : "not restarted\n");
    rng_ask(&r);
    print(wait_hits(64, 1) ? "works again\n" : "dead\n");
}

static volatile uint32_t aps_up, aps_hit;
enum { CPUS_MAX = 64 };
static uint8_t ap_stacks[CPUS_MAX][4096];

void ap_main(void)
{
    interrupts_on();
    __atomic_fetch_add(&aps_up, 1, __ATOMIC_SEQ_CST);
    ap_stack = 0;
    for (;;) {
        __asm__ volatile("hlt");
        __atomic_fetch_add(&aps_hit, 1, __ATOMIC_SEQ_CST);
    }
}

static void delay(void)
{
    for (uint32_t i = 0; i < 20000; i++)
        pause_cpu();
}

static void test_smp(unsigned cpus)
{
    if (cpus > CPUS_MAX)
        return;
    interrupts_on();
    for (long i = 0; i < trampoline_end - trampoline; i++)
        ((volatile char *)TRAMPOLINE)[i] = trampoline[i];
    for (unsigned id = 1; id < cpus; id++) {
        ap_stack = (uint64_t)ap_stacks[id] + sizeof ap_stacks[id];
        *reg32(LAPIC + 0x310) = id << 24;
        *reg32(LAPIC + 0x300) = 0x4500; /* INIT */
        delay();
        *reg32(LAPIC + 0x310) = id << 24;
        *reg32(LAPIC + 0x300) = 0x4600 | TRAMPOLINE >> 12; /* start-up */
        for (uint32_t i = 0; i < 50000000 && aps_up < id; i++)
            pause_cpu();
    }
    line("cpus up ", aps_up, 2);
    *reg32(LAPIC + 0x300) = 0xc4000 | 65; /* to all others */
    for (uint32_t i = 0; i < 50000000 && hits[65] < cpus - 1; i++)
        pause_cpu();
    line("ipis ", hits[65], 2);
}

static void test_button(bool level)
{
    interrupts_on();
    *reg32(IOAPIC) = 0x10 + 2 * 9;
    *reg32(IOAPIC + 0x10) = 66 | (level ? 1u << 15 : 0); /* edge or level, high, to APIC 0 */
    print("waiting\n");
    while (hits[66] == 0)
        __asm__ volatile("sti; hlt");
    line("event ", inl(ACPI), 8);
    line("again ", inl(ACPI), 8);
}

/* Every text of the SMBIOS tables, whose entry point (3.0) says where they are. */
static void test_smbios(void)
{
    for (uint64_t at = 0xf0000; at < 0x100000; at += 16) {
        const char *p = (const char *)at;
        uint32_t left;
        bool text = false;

        if (p[0] != '_' || p[1] != 'S' || p[2] != 'M' || p[3] != '3' || p[4] != '_')
            continue;
        left = *(const uint32_t *)(p + 12);
        for (p = *(const char *const *)(p + 16); left > 0; left--, p++) {
            bool shown = *p >= 32 && *p < 127;

            if (shown)
                put(*p);
            else if (text)
                put('\n');
            text = shown;
        }
        return;
    }
    print("no SMBIOS\n");
}

/* What is inserted is taken note of, what shall go is let go; or a CPU is kept, and that reported by what _OST writes. The
 * button ends it. */
static void test_obey(bool keeps_cpus)
{
    static const struct {
        const char *what;
        uint16_t select, state;
        unsigned count;
    } kinds[] = {{"slot ", ACPI + 0x10, ACPI + 0x14, 32}, {"cpu ", ACPI + 0x20, ACPI + 0x24, 8}};
    uint32_t seen = 0;

    interrupts_on();
    *reg32(IOAPIC) = 0x10 + 2 * 9;
    *reg32(IOAPIC + 0x10) = 66;
    print("obeying\n");
    for (;;) {
        uint32_t events;

        __asm__ volatile("cli");
        if (hits[66] == seen)
            __asm__ volatile("sti; hlt");
        __asm__ volatile("sti");
        seen = hits[66];
        events = inl(ACPI);
        if (events & 1)
            return;
        for (unsigned k = 0; k < 2; k++) {
            for (unsigned i = 0; i < kinds[k].count; i++) {
                uint32_t state;
                bool keep;

                outl(kinds[k].select, i);
                state = inl(kinds[k].state);
                if (!(state & 6))
                    continue;
                keep = keeps_cpus && k == 1 && (state & 4);
                print(state & 2 ? "inserted " : keep ? "kept " : "let go ");
                line(kinds[k].what, i, 2);
                outl(kinds[k].state, (state & 6) | (keep ? 0 : (state & 4) << 1));
                if (keep) {
                    outl(ACPI + 0x28, 3);
                    outl(ACPI + 0x2c, 0x82);
                }
            }
        }
    }
}

static void test_reset(bool by_keyboard)
{
    if (MARKER[0] == 0x6b697465) {
        print("second life\n");
        MARKER[0] = 0;
        return;
    }
    MARKER[0] = 0x6b697465;
    print("resetting\n");
    if (by_keyboard)
        outb(I8042, 0xfe);
    else
        outb(ACPI + 6, 1);
    for (;;)
        pause_cpu();
}

static void test_nmi(void)
{
    interrupts_on();
    print("waiting\n");
    while (hits[2] == 0)
        pause_cpu();
    print("nmi\n");
}

/* Linux's way: both stages of 1 ms, then no ping. */
static void test_watchdog(bool survives)
{
    int devfn = find_device(0x25ab8086);
    volatile uint32_t *bar;

    if (devfn < 0) {
        print("watchdog not found\n");
        return;
    }
    interrupts_on();
    bar = reg32(pci_read((unsigned)devfn, 0x10) & ~15u);
    line("watchdog before ", ((volatile uint16_t *)bar)[6], 4);
    if (((volatile uint16_t *)bar)[6] & 0x200)
        return;
    pci_write((unsigned)devfn, 0x60, 0);
    for (unsigned i = 0; i < 2; i++) {
        ((volatile uint16_t *)bar)[6] = 0x80;
        ((volatile uint16_t *)bar)[6] = 0x86;
        bar[i] = 1;
    }
    pci_write((unsigned)devfn, 0x68, 2);
    print("watchdog on\n");
    while (!survives || !(((volatile uint16_t *)bar)[6] & 0x200))
        pause_cpu();
    print("watchdog ran out\n");
}

static void test_scribble(void)
{
    /* Every register of the entropy device and of the ACPI block, with nonsense. */
    int devfn = find_device(0x10441af4);
    uint64_t x = 88172645463325252ull;
    volatile uint32_t *bar;

    if (devfn < 0)
        return;
    bar = reg32(pci_read((unsigned)devfn, 0x10) & ~15u);
    for (unsigned i = 0; i < 20000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        bar[(x >> 8) % (0x8000 / 4)] = (uint32_t)(x >> 20);
        if (i % 16 == 0)
            pci_write((unsigned)devfn, 0x40 + ((unsigned)(x >> 40) % 0xc0 & ~3u), (uint32_t)x);
    }
    for (unsigned i = 0; i < 0x8000 / 4; i++)
        (void)bar[i];
    for (unsigned i = 0; i < 0x100; i += 4)
        (void)pci_read((unsigned)devfn, i);
    print("scribbled\n");
}

/* What the processor says of itself, then it stays. */
static void test_cpuid(void)
{
    static const uint32_t leaves[] = {0, 1, 6, 7, 0x80000001, 0x80000007, 0x80000008};

    for (unsigned i = 0; i < sizeof leaves / sizeof leaves[0]; i++) {
        uint32_t r[4] = {leaves[i], 0, 0, 0};

        __asm__ volatile("cpuid" : "+a"(r[0]), "=b"(r[1]), "+c"(r[2]), "=d"(r[3]));
        print("cpuid ");
        print_hex(leaves[i], 8);
        for (unsigned k = 0; k < 4; k++) {
            put(' ');
            print_hex(r[k], 8);
        }
        put('\n');
    }
    print("told\n");
    for (;;)
        pause_cpu();
}

void guest_main(uint32_t info)
{
    const char *test = (const char *)*(uint64_t *)(uint64_t)(info + 24);

    if (*(uint32_t *)(uint64_t)info != 0x336ec578)
        print("wrong start info\n");
    print("guest ");
    print(test);
    put('\n');
    if (test[0] == 'b' && test[1] == 'e')
        bench(test + 6);
    else if (equal(test, "pci"))
        test_pci();
    else if (equal(test, "rng"))
        test_rng();
    else if (equal(test, "disk"))
        test_disk();
    else if (equal(test, "diskqueues"))
        test_disk_queues();
    else if (equal(test, "diskspeed1"))
        test_disk_speed(1);
    else if (equal(test, "diskspeed16"))
        test_disk_speed(16);
    else if (equal(test, "console"))
        test_console();
    else if (equal(test, "net"))
        test_net();
    else if (equal(test, "loop"))
        test_loop();
    else if (test[0] == 's' && test[1] == 'm' && test[2] == 'p') { /* smpN */
        const char *number = test + 3;

        test_smp(next_number(&number));
    }
    else if (equal(test, "fill"))
        test_fill();
    else if (equal(test, "smbios"))
        test_smbios();
    else if (equal(test, "obey"))
        test_obey(false);
    else if (equal(test, "keep"))
        test_obey(true);
    else if (equal(test, "button"))
        test_button(false);
    else if (equal(test, "button-level"))
        test_button(true);
    else if (equal(test, "reset"))
        test_reset(false);
    else if (equal(test, "kbdreset"))
        test_reset(true);
    else if (equal(test, "cpuid"))
        test_cpuid();
    else if (equal(test, "nmi"))
        test_nmi();
    else if (equal(test, "watchdog"))
        test_watchdog(false);
    else if (equal(test, "watchdog-on"))
        test_watchdog(true);
    else if (equal(test, "panic"))
        outb(PVPANIC, 1);
    else if (equal(test, "triple")) {
        struct {
            uint16_t limit;
            uint64_t base;
        } __attribute__((packed)) none = {0, 0};

        if (MARKER[0] == 0x74726970) {
            MARKER[0] = 0;
            print("second life\n");
        } else {
            MARKER[0] = 0x74726970;
            __asm__ volatile("lidt %0; int3" ::"m"(none));
        }
    } else if (equal(test, "scribble"))
        test_scribble();
    else if (equal(test, "spin"))
        for (;;)
            MARKER[1]++;
    print("end\n");
    power_off();
}
