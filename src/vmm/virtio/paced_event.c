/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See paced_event.h. */
#include "vmm/virtio/paced_event.h"

#define PACE_NS 1000000000ull

static void emit_now(void *opaque)
{
    PacedEvent *event = opaque;

    event->last = loop_now();
    event->emit(event->opaque);
}

void paced_event_init(PacedEvent *event, Loop *loop, void (*emit)(void *opaque), void *opaque)
{
    *event = (PacedEvent){.emit = emit, .opaque = opaque};
    loop_timer_init(loop, &event->timer, emit_now, event);
}

void paced_event_raise(PacedEvent *event)
{
    if (event->timer.slot != 0)
        return; /* the timer will tell */
    if (event->last == 0 || loop_now() - event->last >= PACE_NS ||
        loop_timer_set(&event->timer, event->last + PACE_NS) < 0)
        emit_now(event);
}

void paced_event_cancel(PacedEvent *event)
{
    loop_timer_cancel(&event->timer);
}
