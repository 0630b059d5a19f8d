/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Throttle groups with a clock of the test's own: shared buckets, turns, changes, members that come and go. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "lib/tap.h"
#include "vmm/block/throttle_group.h"

#define SECOND 1000000000ull

typedef struct Peer {
    ThrottleMember member;
    unsigned wakes, waiting[2], done[2];
    uint64_t due; /* when it asks again */
} Peer;

static uint64_t now = 5 * SECOND;

static void wake(ThrottleMember *member)
{
    Peer *p = container_of(member, Peer, member);

    p->wakes++;
    p->due = now;
}

static void again(Peer *p, uint64_t wait)
{
    if (wait != THROTTLE_WAKE && now + wait < p->due)
        p->due = now + wait;
}

static void ask(Peer *p, bool write, uint64_t bytes)
{
    uint64_t wait;

    if (p->waiting[write] == 0 && throttle_ask(&p->member, write, bytes, now, &wait)) {
        p->done[write]++;
        return;
    }
    if (p->waiting[write]++ == 0)
        again(p, wait);
}

static void serve(Peer *p, uint64_t bytes)
{
    p->due = UINT64_MAX;
    for (unsigned write = 0; write < 2; write++) {
        while (p->waiting[write] > 0) {
            uint64_t wait;

            if (!throttle_turn(&p->member, write, bytes, now, &wait)) {
                again(p, wait);
                break;
            }
            p->waiting[write]--;
            p->done[write]++;
            throttle_taken(&p->member, write, p->waiting[write] > 0);
        }
    }
}

/* Lets time go on to `end`, and everybody ask when it is due. */
static void run(Peer *peers, unsigned count, uint64_t end, uint64_t bytes)
{
    for (;;) {
        Peer *next = NULL;

        for (unsigned i = 0; i < count; i++) {
            if (peers[i].due != UINT64_MAX && (next == NULL || peers[i].due < next->due))
                next = &peers[i];
        }
        if (next == NULL || next->due > end)
            break;
        now = MAX(now, next->due);
        serve(next, bytes);
    }
    now = end;
}

static void start(Peer *peers, unsigned count, const char *group, const ThrottleConfig *config)
{
    for (unsigned i = 0; i < count; i++) {
        peers[i] = (Peer){.member.wake = wake, .due = UINT64_MAX};
        ok(throttle_join(&peers[i].member, group, NULL) == 0, "member %u joins %s", i, group);
    }
    throttle_group_set(&peers[0].member, config, now);
}

static void stop(Peer *peers, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        throttle_leave(&peers[i].member);
}

static ThrottleConfig operations(unsigned kind, uint64_t avg)
{
    ThrottleConfig c = {0};

    c.limit[kind].avg = avg;
    return c;
}

static void test_shared(void)
{
    ThrottleConfig c = operations(THROTTLE_OPS_TOTAL, 100), read_back;
    Peer p[3];

    start(p, 3, "shared", &c);
    throttle_group_get(&p[2].member, &read_back);
    ok(read_back.limit[THROTTLE_OPS_TOTAL].avg == 100, "one member's limits are all members'");
    /* The first asks for ten times as much. */
    for (int i = 0; i < 2000; i++)
        ask(&p[0], false, 512);
    for (int i = 0; i < 600; i++)
        ask(&p[1], false, 512), ask(&p[2], false, 512);
    run(p, 3, now + 3 * SECOND, 512);
    ok(p[0].done[0] + p[1].done[0] + p[2].done[0] >= 300 && p[0].done[0] + p[1].done[0] + p[2].done[0] <= 315,
       "100 a second for all together: %u", p[0].done[0] + p[1].done[0] + p[2].done[0]);
    /* The ten of the burst are the first's. */
    ok(p[1].done[0] >= 98 && p[2].done[0] >= 98 && p[0].done[0] <= 115, "in turns: %u %u %u", p[0].done[0], p[1].done[0],
       p[2].done[0]);

    c = operations(THROTTLE_OPS_TOTAL, 1000);
    throttle_group_set(&p[1].member, &c, now);
    p[0].done[0] = p[1].done[0] = p[2].done[0] = 0;
    run(p, 3, now + SECOND / 10, 512);
    ok(p[0].done[0] + p[1].done[0] + p[2].done[0] >= 190 && p[0].done[0] + p[1].done[0] + p[2].done[0] <= 205,
       "a change reaches those that wait: %u", p[0].done[0] + p[1].done[0] + p[2].done[0]);

    throttle_leave(&p[0].member);
    p[0].due = UINT64_MAX;
    p[1].done[0] = p[2].done[0] = 0;
    run(p + 1, 2, now + SECOND / 10, 512);
    ok(p[1].done[0] + p[2].done[0] >= 95, "who leaves takes its turn along: %u", p[1].done[0] + p[2].done[0]);
    stop(p, 3);
}

static void test_ways(void)
{
    ThrottleConfig c = operations(THROTTLE_BPS_WRITE, 10000);
    Peer p[2];

    start(p, 2, "ways", &c);
    for (int i = 0; i < 100; i++)
        ask(&p[0], true, 1000), ask(&p[0], false, 1000);
    ok(p[0].done[1] == 2 && p[0].done[0] == 100, "reads do not wait behind writes: %u, %u", p[0].done[1], p[0].done[0]);
    ask(&p[1], true, 1000);
    ok(p[1].done[1] == 0, "the other member's write waits");
    run(p, 2, now + SECOND, 1000);
    ok(p[1].done[1] == 1 && p[0].done[1] >= 10 && p[0].done[1] <= 12, "and comes soon: %u", p[0].done[1]);
    stop(p, 2);
}

static void test_aside(void)
{
    ThrottleConfig c = operations(THROTTLE_OPS_TOTAL, 10);
    Peer p[2];

    start(p, 2, "aside", &c);
    for (int i = 0; i < 10; i++)
        ask(&p[0], false, 512), ask(&p[1], false, 512);
    throttle_step_aside(&p[0].member);
    p[0].due = UINT64_MAX;
    p[0].done[0] = p[1].done[0] = 0;
    run(p, 2, now + SECOND, 512);
    ok(p[0].done[0] == 0 && p[1].done[0] >= 9, "one that is held back does not hold up the other: %u", p[1].done[0]);
    throttle_queue(&p[0].member, false);
    run(p, 2, now + SECOND, 512);
    ok(p[0].done[0] >= 8, "and has its turns again when it is back: %u", p[0].done[0]);
    stop(p, 2);
}

static void test_groups(void)
{
    char longest[THROTTLE_GROUP_NAME_MAX + 2];
    ThrottleConfig c = operations(THROTTLE_OPS_TOTAL, 10), read_back;
    Peer p[2];
    Err err = {0};

    start(p, 2, "one", &c);
    ok(throttle_join(&p[1].member, "two", &err) == 0 && !strcmp(throttle_group_name(&p[1].member), "two"),
       "a member changes to another group");
    throttle_group_get(&p[1].member, &read_back);
    ok(!throttle_is_on(&read_back), "which has limits of its own");
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    ok(throttle_join(&p[1].member, longest, &err) == -EINVAL && throttle_join(&p[1].member, "", &err) == -EINVAL &&
           !strcmp(throttle_group_name(&p[1].member), "two"),
       "names of no length, or too long, are refused");
    stop(p, 2);
    ok(throttle_group_name(&p[0].member) == NULL, "who left is in none");
    p[0] = (Peer){.member.wake = wake, .due = UINT64_MAX};
    ok(throttle_join(&p[0].member, "one", &err) == 0, "the name is free");
    throttle_group_get(&p[0].member, &read_back);
    ok(!throttle_is_on(&read_back), "and the group a new one: it ended with its last member");
    stop(p, 1);
}

int main(void)
{
    test_shared();
    test_ways();
    test_aside();
    test_groups();
    return done();
}
