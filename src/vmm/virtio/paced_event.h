/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An event that a guest can cause as often as it likes, told at most once a second (as QEMU paces
 * BALLOON_CHANGE and MEMORY_DEVICE_SIZE_CHANGE): the first at once, what follows at the end of that second,
 * so the last state is always told. All functions on the loop's thread.
 */
#pragma once

#include "vmm/loop.h"

typedef struct PacedEvent {
    LoopTimer timer;
    uint64_t last; /* loop_now() of the last emission, 0 never */
    void (*emit)(void *opaque); /* tells the state as it is now */
    void *opaque;
} PacedEvent;

void paced_event_init(PacedEvent *event, Loop *loop, void (*emit)(void *opaque), void *opaque);
void paced_event_raise(PacedEvent *event);
/* Nothing is emitted any more. */
void paced_event_cancel(PacedEvent *event);
