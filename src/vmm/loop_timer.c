/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Timers of an event loop: a binary heap, the next to expire at its top. See loop.h. */
#include <errno.h>
#include <stdlib.h>

#include "vmm/loop_internal.h"

static void heap_place(Loop *loop, unsigned slot, LoopTimer *timer)
{
    loop->heap[slot] = timer;
    timer->slot = slot;
}

static void heap_up(Loop *loop, unsigned slot)
{
    LoopTimer *timer = loop->heap[slot];

    while (slot > 1 && loop->heap[slot / 2]->deadline > timer->deadline) {
        heap_place(loop, slot, loop->heap[slot / 2]);
        slot /= 2;
    }
    heap_place(loop, slot, timer);
}

static void heap_down(Loop *loop, unsigned slot)
{
    LoopTimer *timer = loop->heap[slot];

    for (;;) {
        unsigned child = slot * 2;

        if (child > loop->heap_count)
            break;
        if (child < loop->heap_count && loop->heap[child + 1]->deadline < loop->heap[child]->deadline)
            child++;
        if (loop->heap[child]->deadline >= timer->deadline)
            break;
        heap_place(loop, slot, loop->heap[child]);
        slot = child;
    }
    heap_place(loop, slot, timer);
}

void loop_timer_init(Loop *loop, LoopTimer *timer, void (*expired)(void *opaque), void *opaque)
{
    *timer = (LoopTimer){.loop = loop, .expired = expired, .opaque = opaque};
}

int loop_timer_set(LoopTimer *timer, uint64_t deadline)
{
    Loop *loop = timer->loop;

    loop_timer_cancel(timer);
    timer->deadline = deadline;
    if (loop->heap_count + 2 > loop->heap_size) {
        unsigned size = loop->heap_size ? loop->heap_size * 2 : 16;
        LoopTimer **heap = realloc(loop->heap, size * sizeof *heap);

        if (heap == NULL)
            return -ENOMEM;
        loop->heap = heap;
        loop->heap_size = size;
    }
    loop->heap[++loop->heap_count] = timer;
    heap_up(loop, loop->heap_count);
    return 0;
}

void loop_timer_cancel(LoopTimer *timer)
{
    Loop *loop = timer->loop;
    unsigned slot = timer->slot;
    LoopTimer *last;

    if (slot == 0)
        return;
    timer->slot = 0;
    last = loop->heap[loop->heap_count--];
    if (last == timer)
        return;
    loop->heap[slot] = last;
    last->slot = slot;
    heap_up(loop, slot);
    heap_down(loop, last->slot);
}

bool loop_run_timers(Loop *loop)
{
    bool ran = false;

    if (loop->heap_count == 0)
        return false;
    for (uint64_t now = loop_now(); loop->heap_count > 0 && loop->heap[1]->deadline <= now;) {
        LoopTimer *timer = loop->heap[1];

        loop_timer_cancel(timer);
        timer->expired(timer->opaque);
        ran = true;
    }
    return ran;
}
