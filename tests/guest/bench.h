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

static void bench_disk(const char *at)
{
    uint32_t type = *next_word(&at) == 'w';
    bool anywhere = *next_word(&at) == 'r';
    unsigned depth = next_number(&at), bytes = next_number(&at), count = next_number(&at), shown = 0, done = 0, bad = 0;
    unsigned free_slots[BENCH_DEPTH], free_count = 0;
    Queue *q = &queues[0];
    uint64_t random = 88172645463325252ull, at_byte;

    if (device_start(0x10421af4, 1) == 0 || depth < 1 || depth > BENCH_DEPTH || bytes > BENCH_BYTES) {
        print("disk not found\n");
        return;
    }
    while (free_count < depth) {
        free_slots[free_count] = free_count;
        free_count++;
    }
    *(volatile uint16_t *)q->avail = 1; /* no interrupts */
    print("go\n");
    while (done < count) {
        unsigned before = shown;

        for (; shown < count && free_count > 0; shown++) {
            unsigned slot = free_slots[--free_count];

            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            at_byte = (anywhere ? random >> 16 : shown) % (BENCH_SPAN / bytes) * bytes;
            disk_request(slot, type, at_byte / 512, bench_data[slot], bytes);
        }
        if (shown != before && !(*(volatile uint16_t *)q->used & 1))
            kick(q, 0);
        while (used_index(q) == (uint16_t)done)
            pause_cpu();
        for (; (uint16_t)done != used_index(q); done++) {
            free_slots[free_count] = used_head(q, (uint16_t)done) / 3;
            bad += status[free_slots[free_count++]] != 0;
        }
    }
    print("done\n");
    if (bad != 0)
        line("bad ", bad, 8);
}

static void bench_net(const char *at)
{
    bool send = *next_word(&at) == 't';
    unsigned bytes = next_number(&at), count = next_number(&at), shown = 0, done = 0;
    Queue *q = &queues[send];
    static const uint8_t head[] = {255, 255, 255, 255, 255, 255, 0x52, 0x54, 0, 1, 2, 3, 0x88, 0xb5};

    if (device_start(0x10411af4, 2) == 0) {
        print("net not found\n");
        return;
    }
    *(volatile uint16_t *)q->avail = 1;
    for (unsigned i = 0; i < q->size; i++) {
        uint8_t *frame = bench_data[0] + 2048 * i;

        for (unsigned j = 0; send && j < sizeof head; j++)
            frame[12 + j] = head[j];
        put_desc(q, i, frame, send ? 12 + bytes : 2048, send ? 0 : 2, 0);
    }
    print("go\n");
    while (done < count) {
        unsigned before = shown;

        for (; (!send || shown < count) && shown - done < q->size; shown++)
            show(q, (uint16_t)(shown % q->size));
        if (shown != before && !(*(volatile uint16_t *)q->used & 1))
            kick(q, send);
        while (used_index(q) == (uint16_t)done)
            pause_cpu();
        done += (uint16_t)(used_index(q) - (uint16_t)done);
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
