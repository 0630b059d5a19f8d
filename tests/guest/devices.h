/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests of disk, console and network for guest.c: one queue at a time, kicked and waited for by interrupt. */
#pragma once

enum { Q_SIZE = 128, VECTOR_FIRST = 64 };

typedef struct Queue {
    uint8_t desc[16 * Q_SIZE] __attribute__((aligned(4096)));
    uint8_t avail[4096] __attribute__((aligned(4096)));
    uint8_t used[4096] __attribute__((aligned(4096)));
    volatile uint16_t *notify;
    uint16_t shown, size; /* size: at most Q_SIZE */
} Queue;

static Queue queues[2];
static uint8_t page_a[65536] __attribute__((aligned(4096))), page_b[65536] __attribute__((aligned(4096)));
static struct {
    uint32_t type, reserved;
    uint64_t sector;
} header[Q_SIZE] __attribute__((aligned(64)));
static volatile uint8_t status[Q_SIZE];

/* Where a BAR is; one that no firmware has placed (QEMU's microvm) is placed here. */
static uint64_t bar_address(unsigned devfn, unsigned bar)
{
    static uint32_t next = 0xc0000000;
    unsigned at = 0x10 + 4 * bar;
    uint32_t low = pci_read(devfn, at), size;

    if (low & ~15u || ((low & 4) && pci_read(devfn, at + 4) != 0))
        return (low & ~15u) | ((low & 4) ? (uint64_t)pci_read(devfn, at + 4) << 32 : 0);
    pci_write(devfn, at, UINT32_MAX);
    size = -(pci_read(devfn, at) & ~15u);
    size = size < 4096 ? 4096 : size;
    next = (next + size - 1) & -size;
    pci_write(devfn, at, next);
    if (low & 4)
        pci_write(devfn, at + 4, 0);
    pci_write(devfn, 4, pci_read(devfn, 4) | 6);
    next += size;
    return next - size;
}

/* What a virtio capability shows. */
static volatile uint8_t *cap_address(unsigned devfn, unsigned cap)
{
    return (volatile uint8_t *)(bar_address(devfn, pci_read(devfn, cap + 4) & 255) + pci_read(devfn, cap + 8));
}

/* Sets queues up to count of the device with this PCI id; queue i interrupts with vector 64 + i. */
static volatile uint8_t *device_start(uint32_t id, unsigned count)
{
    int found = find_device(id);
    unsigned devfn, cap;
    volatile uint8_t *common, *notify;
    volatile uint32_t *entry;

    if (found < 0)
        return 0;
    devfn = (unsigned)found;
    common = cap_address(devfn, find_cap(devfn, 9, 1));
    notify = cap_address(devfn, find_cap(devfn, 9, 2));
    cap = find_cap(devfn, 0x11, 0);
    entry = (volatile uint32_t *)(bar_address(devfn, pci_read(devfn, cap + 4) & 7) + (pci_read(devfn, cap + 4) & ~7u));
    for (unsigned i = 0; i < count; i++) {
        entry[4 * (i + 1)] = (uint32_t)LAPIC;
        entry[4 * (i + 1) + 1] = 0;
        entry[4 * (i + 1) + 2] = VECTOR_FIRST + i;
        entry[4 * (i + 1) + 3] = 0;
    }
    pci_write(devfn, cap, pci_read(devfn, cap) | 1u << 31);
    common[0x14] = 0;
    while (common[0x14] != 0)
        pause_cpu();
    common[0x14] = 3;
    *(volatile uint32_t *)(common + 8) = 0;
    *(volatile uint32_t *)(common + 12) = id == 0x10421af4 ? 1u << 9 : 0; /* flush */
    *(volatile uint32_t *)(common + 8) = 1;
    *(volatile uint32_t *)(common + 12) = 1; /* VERSION_1 */
    common[0x14] = 11;
    if (!(common[0x14] & 8))
        return 0;
    for (unsigned i = 0; i < count; i++) {
        *(volatile uint16_t *)(common + 0x16) = (uint16_t)i;
        if (*(volatile uint16_t *)(common + 0x18) > Q_SIZE)
            *(volatile uint16_t *)(common + 0x18) = Q_SIZE;
        queues[i].size = *(volatile uint16_t *)(common + 0x18);
        *(volatile uint16_t *)(common + 0x1a) = (uint16_t)(i + 1);
        *(volatile uint64_t *)(common + 0x20) = (uint64_t)queues[i].desc;
        *(volatile uint64_t *)(common + 0x28) = (uint64_t)queues[i].avail;
        *(volatile uint64_t *)(common + 0x30) = (uint64_t)queues[i].used;
        *(volatile uint16_t *)(common + 0x1c) = 1;
        queues[i].notify = (volatile uint16_t *)(notify + 4 * i);
    }
    common[0x14] = 15;
    return cap_address(devfn, find_cap(devfn, 9, 4));
}

static void put_desc(Queue *q, unsigned index, const volatile void *at, uint32_t len, uint32_t flags, uint32_t next)
{
    uint64_t *d = (uint64_t *)q->desc + 2 * index;

    d[0] = (uint64_t)at;
    d[1] = len | (uint64_t)flags << 32 | (uint64_t)next << 48;
}

static void show(Queue *q, uint16_t head)
{
    ((volatile uint16_t *)q->avail)[2 + q->shown % q->size] = head;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    ((volatile uint16_t *)q->avail)[1] = ++q->shown;
}

static void kick(Queue *q, unsigned index)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    *q->notify = (uint16_t)index;
}

static uint16_t used_index(const Queue *q)
{
    return ((const volatile uint16_t *)q->used)[1];
}

static uint32_t used_head(const Queue *q, uint16_t at)
{
    return *(const volatile uint32_t *)(q->used + 4 + 8 * (at % q->size));
}

static uint32_t used_length(const Queue *q, uint16_t at)
{
    return *(const volatile uint32_t *)(q->used + 8 + 8 * (at % q->size));
}

/* Chain of slot (three descriptors) for one request on a queue of the disk. */
static void disk_request_on(Queue *q, unsigned slot, uint32_t type, uint64_t sector, void *data, uint32_t len)
{
    unsigned d = 3 * slot;

    header[slot].type = type;
    header[slot].sector = sector;
    status[slot] = 0x55;
    put_desc(q, d, &header[slot], 16, 1, len ? d + 1 : d + 2);
    put_desc(q, d + 1, data, len, type == 1 ? 1 : 3, d + 2);
    put_desc(q, d + 2, &status[slot], 1, 2, 0);
    show(q, (uint16_t)d);
}

static void disk_request(unsigned slot, uint32_t type, uint64_t sector, void *data, uint32_t len)
{
    disk_request_on(&queues[0], slot, type, sector, data, len);
}

static bool disk(uint32_t type, uint64_t sector, void *data, uint32_t len)
{
    uint32_t before = hits[VECTOR_FIRST];

    disk_request(0, type, sector, data, len);
    kick(&queues[0], 0);
    return wait_hits(VECTOR_FIRST, before + 1) && used_index(&queues[0]) == queues[0].shown && status[0] == 0;
}

static void test_disk(void)
{
    volatile uint8_t *config;
    unsigned bad = 0;

    interrupts_on();
    config = device_start(0x10421af4, 1);
    if (config == 0) {
        print("disk not found\n");
        return;
    }
    line("disk sectors ", *(volatile uint64_t *)config, 8);
    for (unsigned i = 0; i < sizeof page_a; i++)
        page_a[i] = (uint8_t)(i * 7 + (i >> 8));
    print(disk(1, 8, page_a, sizeof page_a) ? "disk written\n" : "disk not written\n");
    print(disk(4, 0, 0, 0) ? "disk flushed\n" : "disk not flushed\n");
    print(disk(0, 8, page_b, sizeof page_b) ? "disk read\n" : "disk not read\n");
    for (unsigned i = 0; i < sizeof page_a; i++)
        bad += page_a[i] != page_b[i];
    line("disk differences ", bad, 8);
    print(disk(8, 0, page_b, 20) ? "disk serial " : "disk no serial ");
    print((char *)page_b);
    print("\n");
    disk(0, 1ull << 40, page_b, 512);
    line("disk beyond ", status[0], 2);
}

/* What one queue writes the other reads, and both write at once: they may be served by two threads of the VMM. */
static void test_disk_queues(void)
{
    unsigned bad = 0;

    if (device_start(0x10421af4, 2) == 0 || queues[1].notify == 0) {
        print("disk not found\n");
        return;
    }
    for (unsigned round = 0; round < 64; round++) {
        for (unsigned i = 0; i < 4096; i++)
            page_a[i] = (uint8_t)(round + i);
        disk_request_on(&queues[round & 1], 0, 1, 8 * round, page_a, 4096);
        disk_request_on(&queues[~round & 1], 1, 1, 8 * (round + 64), page_a, 4096);
        kick(&queues[0], 0);
        kick(&queues[1], 1);
        while (used_index(&queues[0]) != queues[0].shown || used_index(&queues[1]) != queues[1].shown)
            pause_cpu();
        bad += status[0] != 0 || status[1] != 0;
        disk_request_on(&queues[~round & 1], 0, 0, 8 * round, page_b, 4096);
        disk_request_on(&queues[round & 1], 1, 0, 8 * (round + 64), page_b + 4096, 4096);
        kick(&queues[0], 0);
        kick(&queues[1], 1);
        while (used_index(&queues[0]) != queues[0].shown || used_index(&queues[1]) != queues[1].shown)
            pause_cpu();
        bad += status[0] != 0 || status[1] != 0;
        for (unsigned i = 0; i < 4096; i += 255)
            bad += page_b[i] != page_a[i] || page_b[4096 + i] != page_a[i];
    }
    line("queues bad ", bad, 8);
}

/* Writes the whole disk, however long each request takes, and says how far it has come. */
static void test_fill(void)
{
    volatile uint8_t *config = device_start(0x10421af4, 1);
    uint64_t sectors;
    unsigned failed = 0;

    if (config == 0) {
        print("disk not found\n");
        return;
    }
    sectors = *(volatile uint64_t *)config;
    for (unsigned i = 0; i < sizeof page_a; i++)
        page_a[i] = (uint8_t)(i * 7 + 1);
    for (uint64_t at = 0; at + 128 <= sectors; at += 128) {
        disk_request(0, 1, at, page_a, sizeof page_a);
        kick(&queues[0], 0);
        while (used_index(&queues[0]) != queues[0].shown)
            pause_cpu();
        failed += status[0] != 0;
    }
    line("fill failed ", failed, 8);
    print("filled\n");
}

/* Reads until the clock of the host says enough: kicked one at a time, or 16 in flight. */
static void test_disk_speed(unsigned depth)
{
    uint32_t done = 0, shown = 0, total = 20000;

    if (device_start(0x10421af4, 1) == 0)
        return;
    print("speed start\n");
    while (done < total) {
        unsigned room = depth - (shown - done);

        for (unsigned i = 0; i < room && shown < total; i++, shown++)
            disk_request(shown % 16, 0, (shown * 977u % 1024) * 8, page_a + 4096 * (shown % 16), 4096);
        if (room > 0)
            kick(&queues[0], 0);
        while (used_index(&queues[0]) == (uint16_t)done)
            pause_cpu();
        done += (uint16_t)(used_index(&queues[0]) - (uint16_t)done);
    }
    line("speed end ", done, 8);
}

static void test_console(void)
{
    static const char text[] = "bytes of the console\n";
    Queue *q = &queues[1];

    interrupts_on();
    if (device_start(0x10431af4, 2) == 0) {
        print("console not found\n");
        return;
    }
    put_desc(q, 0, text, sizeof text - 1, 0, 0);
    show(q, 0);
    kick(q, 1);
    print(wait_hits(VECTOR_FIRST + 1, 1) ? "console sent\n" : "console not sent\n");
    put_desc(&queues[0], 0, page_b, 64, 2, 0);
    show(&queues[0], 0);
    kick(&queues[0], 0);
    while (!wait_hits(VECTOR_FIRST, 1))
        ;
    page_b[used_length(&queues[0], 0)] = 0;
    print("console got ");
    print((char *)page_b);
    print("\n");
}

/* Sends one frame; then sends back what comes, until it says "end". */
static void test_net(void)
{
    static uint8_t frame[12 + 60] = {[12] = 255, 255, 255, 255, 255, 255, 0x52, 0x54, 0, 1, 2, 3, 0x88, 0xb5, 'h', 'i'};
    uint16_t seen = 0;

    interrupts_on();
    if (device_start(0x10411af4, 2) == 0) {
        print("net not found\n");
        return;
    }
    put_desc(&queues[0], 0, page_b, 2048, 2, 0);
    show(&queues[0], 0);
    kick(&queues[0], 0);
    put_desc(&queues[1], 0, frame, sizeof frame, 0, 0);
    show(&queues[1], 0);
    kick(&queues[1], 1);
    print(wait_hits(VECTOR_FIRST + 1, 1) ? "net sent\n" : "net not sent\n");
    for (;;) {
        uint32_t len;

        while (used_index(&queues[0]) == seen)
            pause_cpu();
        len = used_length(&queues[0], seen++);
        if (page_b[12 + 12] == 0x88 && page_b[12 + 13] == 0xb5) {
            line("net got ", len, 4);
            if (page_b[12 + 14] == 'e')
                return;
        }
        show(&queues[0], 0);
        kick(&queues[0], 0);
    }
}
