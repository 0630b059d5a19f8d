/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What tests/bench/vmm.py measures beside QEMU's microvm (pcie=on), which has the same ECAM. The command line says what:
 *
 *   bench exits KIND COUNT                      KIND p: port reads of the serial port; m: reads of a virtio register
 *   bench blk OP ORDER DEPTH BYTES COUNT        OP r or w; ORDER s (one after the other) or r (anywhere in 64 MiB)
 *   bench net DIRECTION BYTES COUNT             DIRECTION t (send) or r (receive)
 *
 * "go" is printed when it begins and "done" when it has ended; the host has the clock. Rings are polled: what is measured is
 * the way of a request through the VMM.
 */
#pragma once

enum { BENCH_DEPTH = 32, BENCH_BYTES = 65536, BENCH_SPAN = 64 << 20 };
static uint8_t bench_data[BENCH_DEPTH][BENCH_BYTES] __attribute__((aligned(4096)));

static const char *next_word(const char **at)
{
    const char *word = *at;

    while (**at && **at != ' ')
        ++*at;
    while (**at == ' ')
        ++*at;
    return word;
}

static unsigned next_number(const char **at)
{
    const char *word = next_word(at);
    unsigned n = 0;

    for (; *word >= '0' && *word <= '9'; word++)
        n = n * 10 + (unsigned)(*word - '0');
    return n;
}

static void bench_exits(const char *at)
{
    bool port = *next_word(&at) == 'p';
    unsigned count = next_number(&at);
    volatile uint8_t *common = device_start(0x10421af4, 0);

    if (!port && common == 0) {
        print("disk not found\n");
        return;
    }
    print("go\n");
    for (unsigned i = 0; i < count; i++) {
        if (port)
            inb(COM1 + 5);
        else
            (void)*(volatile uint32_t *)common;
    }
    print("done\n");
}

/* Descriptors, ring entries and places are written before it begins: the guest may be emulated, and an instruction of it
 * then costs as much as a hundred of the VMM's. */
enum { BENCH_PLACES = 1024 };
static uint64_t bench_places[BENCH_PLACES];

static void bench_disk(const char *at)
{
    uint32_t type = *next_word(&at) == 'w';
    bool anywhere = *next_word(&at) == 'r';
    unsigned depth = next_number(&at), bytes = next_number(&at), count = next_number(&at), done = 0, bad = 0;
    unsigned free_heads[BENCH_DEPTH], free_count = 0, shown = 0, mask;
    Queue *q = &queues[0];
    volatile uint16_t *avail, *used;
    const uint8_t *entries;
    uint64_t random = 88172645463325252ull;

    if (device_start(0x10421af4, 1) == 0 || depth < 1 || depth > BENCH_DEPTH || bytes > BENCH_BYTES ||
        4 * depth > q->size) {
        print("disk not found\n");
        return;
    }
    avail = (volatile uint16_t *)q->avail;
    used = (volatile uint16_t *)q->used;
    entries = q->used + 4;
    mask = q->size - 1;
    for (unsigned i = 0; i < BENCH_PLACES; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        bench_places[i] = (anywhere ? random >> 16 : i) % (BENCH_SPAN / bytes) * bytes / 512;
    }
    for (; free_count < depth; free_count++) {
        unsigned d = 4 * free_count;

        free_heads[free_count] = d;
        header[free_count].type = type;
        put_desc(q, d, &header[free_count], 16, 1, d + 1);
        put_desc(q, d + 1, bench_data[free_count], bytes, type == 1 ? 1 : 3, d + 2);
        put_desc(q, d + 2, &status[free_count], 1, 2, 0);
    }
    avail[0] = 1; /* no interrupts */
    print("go\n");
    while (done < count) {
        unsigned before = shown;

        for (; shown < count && free_count > 0; shown++) {
            unsigned head = free_heads[--free_count];

            header[head / 4].sector = bench_places[shown % BENCH_PLACES];
            avail[2 + (shown & mask)] = (uint16_t)head;
        }
        if (shown != before) {
            __atomic_thread_fence(__ATOMIC_RELEASE);
            avail[1] = (uint16_t)shown;
            __atomic_thread_fence(__ATOMIC_SEQ_CST);
            if (!(used[0] & 1))
                *q->notify = 0;
        }
        while (used[1] == (uint16_t)done)
            pause_cpu();
        for (unsigned end = done + (uint16_t)(used[1] - (uint16_t)done); done != end; done++) {
            unsigned head = *(const volatile uint32_t *)(entries + 8 * (done & mask));

            free_heads[free_count++] = head;
            bad += status[head / 4] != 0;
        }
    }
    print("done\n");
    if (bad != 0)
        line("bad ", bad, 8);
}

static void bench_net(const char *at)
{
    bool send = *next_word(&at) == 't';
    unsigned bytes = next_number(&at), count = next_number(&at), shown = 0, done = 0, size;
    Queue *q = &queues[send];
    volatile uint16_t *avail, *used;
    static const uint8_t head[] = {255, 255, 255, 255, 255, 255, 0x52, 0x54, 0, 1, 2, 3, 0x88, 0xb5};

    if (device_start(0x10411af4, 2) == 0) {
        print("net not found\n");
        return;
    }
    avail = (volatile uint16_t *)q->avail;
    used = (volatile uint16_t *)q->used;
    size = q->size;
    avail[0] = 1;
    for (unsigned i = 0; i < size; i++) {
        uint8_t *frame = bench_data[0] + 2048 * i;

        for (unsigned j = 0; send && j < sizeof head; j++)
            frame[12 + j] = head[j];
        put_desc(q, i, frame, send ? 12 + bytes : 2048, send ? 0 : 2, 0);
        avail[2 + i] = (uint16_t)i;
    }
    print("go\n");
    while (done < count) {
        /* Chains come back in the order in which they went: entry i stays chain i. */
        unsigned next = done + size;

        if (send && next > count)
            next = count;
        if (next != shown) {
            shown = next;
            __atomic_thread_fence(__ATOMIC_RELEASE);
            avail[1] = (uint16_t)shown;
            __atomic_thread_fence(__ATOMIC_SEQ_CST);
            if (!(used[0] & 1))
                *q->notify = (uint16_t)send;
        }
        while (used[1] == (uint16_t)done)
            pause_cpu();
        done += (uint16_t)(used[1] - (uint16_t)done);
    }
    print("done\n");
}

static void bench(const char *at)
{
    const char *what = next_word(&at);

    if (*what == 'e')
        bench_exits(at);
    else if (*what == 'b')
        bench_disk(at);
    else
        bench_net(at);
}
