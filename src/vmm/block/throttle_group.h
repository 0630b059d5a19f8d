/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Limits that several block nodes have in common (QEMU's throttle groups, docs/throttle.txt): one set of buckets, and
 * turns. Who has to wait queues up, reads and writes apart; the first of a queue has the turn, takes it when the buckets
 * let one request go, and queues up again behind the others. So members share a limit evenly, however much each
 * asks for. A node with limits of its own is a group of one.
 *
 * Groups are found by name in the whole process; they live as long as they have members. Time is the caller's
 * (CLOCK_MONOTONIC, nanoseconds). Every function may be called on any thread, for one member by one thread at a time; none
 * calls back but wake().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "vmm/block/throttle.h"

#define THROTTLE_GROUP_NAME_MAX 255
/* Of *ret_wait: somebody else has the turn, wake() comes. */
#define THROTTLE_WAKE UINT64_MAX

typedef struct ThrottleGroup ThrottleGroup;

typedef struct ThrottleMember ThrottleMember;
struct ThrottleMember {
    /* It may be this one's turn: it calls throttle_turn() for what waits. Any thread, with the group's lock held, so it
     * only notes that and wakes the member's thread. */
    void (*wake)(ThrottleMember *member);
    ThrottleGroup *group; /* NULL: no limits */
    /* Lock of the group. Index: reads, writes. */
    bool queued[2];
    ThrottleMember *next[2];
};

/* Becomes one of the group of that name, which is made when there is none; leaves its former one. -EINVAL: no name, or too
 * long. Nothing of the member may be queued. */
int throttle_join(ThrottleMember *member, const char *name, Err *err);
/* No limits from now on. NULL group is fine. */
void throttle_leave(ThrottleMember *member);
/* NULL without a group. Valid as long as the member stays in it. */
const char *throttle_group_name(const ThrottleMember *member);

/* The limits of all members from now on. */
void throttle_group_set(ThrottleMember *member, const ThrottleConfig *config, uint64_t now_ns);
/* All zero without a group. */
void throttle_group_get(const ThrottleMember *member, ThrottleConfig *ret);

/* true: the request goes now, and is counted. Else the member is queued; it asks for its turn after *ret_wait
 * nanoseconds. */
bool throttle_ask(ThrottleMember *member, bool write, uint64_t bytes, uint64_t now_ns, uint64_t *ret_wait);
/* The same for the first request of those that wait. After true the caller says with throttle_taken() whether more wait. */
bool throttle_turn(ThrottleMember *member, bool write, uint64_t bytes, uint64_t now_ns, uint64_t *ret_wait);
void throttle_taken(ThrottleMember *member, bool write, bool more);
/* Gives up its place, and comes back (woken when it is its turn): a node that is held back must not hold up others. */
void throttle_step_aside(ThrottleMember *member);
void throttle_queue(ThrottleMember *member, bool write);
/* A request that went without asking (drain). */
void throttle_count(ThrottleMember *member, bool write, uint64_t bytes);
