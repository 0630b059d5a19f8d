/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Turns of the event loop inside one another: which posts run where, and that no wake-up is lost; deferred work. */
#include <stddef.h>
#include <unistd.h>

#include "lib/tap.h"
#include "vmm/loop.h"

typedef struct Probe {
    Loop *loop;
    LoopPost inner, outer, nest;
    LoopTimer timer;
    LoopDefer greedy;
    unsigned inner_ran, outer_ran, inside; /* outer_ran, seen at the end of the nested turns */
    unsigned rounds;
    bool nested;
} Probe;

static void count(void *opaque)
{
    ++*(unsigned *)opaque;
}

static bool inner_has_run(void *opaque)
{
    return ((Probe *)opaque)->inner_ran > 0;
}

static void post_both(Probe *p)
{
    loop_post(p->loop, &p->outer);
    loop_post(p->loop, &p->inner);
}

static void nested_turns(void *opaque)
{
    Probe *p = opaque;

    post_both(p);
    for (int i = 0; i < 3; i++)
        loop_iterate(p->loop, false);
    p->inside = p->outer_ran;
}

static void nested_wait(void *opaque)
{
    Probe *p = opaque;

    post_both(p);
    loop_serve_until(p->loop, inner_has_run, p);
    p->inside = p->outer_ran;
}

static void look(void *opaque)
{
    Probe *p = opaque;

    p->nested = loop_is_nested(p->loop);
}

static void look_nested(void *opaque)
{
    Probe *p = opaque;

    p->inner = (LoopPost){.run = look, .opaque = p};
    loop_post(p->loop, &p->inner);
    loop_iterate(p->loop, false);
}

static Probe *make(Probe *p, void (*run)(void *))
{
    Err err = {0};

    *p = (Probe){.loop = NULL};
    if (loop_new("test", &p->loop, &err) < 0)
        ok(false, "%s", err.text);
    p->inner = (LoopPost){.run = count, .opaque = &p->inner_ran};
    p->outer = (LoopPost){.run = count, .opaque = &p->outer_ran, .outermost = true};
    p->nest = (LoopPost){.run = run, .opaque = p};
    loop_timer_init(p->loop, &p->timer, run, p);
    return p;
}

static void test_posts(void (*run)(void *), const char *where)
{
    Probe p;

    make(&p, run);
    loop_post(p.loop, &p.nest);
    loop_iterate(p.loop, false);
    ok(p.inner_ran == 1 && p.inside == 0, "%s: posts run there, those of the outermost turn do not", where);
    ok(p.outer_ran == 1, "%s: they do afterwards", where);
    loop_free(p.loop);
}

/* The turn that the timer is in would sleep next: for ever, the nested ones having taken the wake-up. */
static void test_timer(void)
{
    Probe p;

    make(&p, nested_turns);
    (void)loop_timer_set(&p.timer, loop_now());
    loop_iterate(p.loop, true);
    loop_iterate(p.loop, false);
    ok(p.inside == 0 && p.outer_ran == 1, "a nested turn in a timer takes no wake-up from the outermost one");
    loop_free(p.loop);
}

static void see_event(void *opaque, uint32_t events)
{
    (void)events;
    ++*(unsigned *)opaque;
}

static void post_inner(void *opaque)
{
    Probe *p = opaque;

    loop_post(p->loop, &p->inner);
}

/* A worker's answer comes while the loop waits: the wake-up ends this turn, and the next one runs the post. */
static void test_drain(void)
{
    unsigned turns = 0;
    Probe p;

    make(&p, post_inner);
    (void)loop_timer_set(&p.timer, loop_now());
    for (; p.inner_ran == 0 && turns < 4; turns++)
        loop_iterate(p.loop, true);
    ok(p.inner_ran == 1 && turns == 2, "who waits for a post does not sleep behind it");
    loop_free(p.loop);
}

/* Requests are waited for behind the loop's end: their completions are events. */
static void test_after_quit(void)
{
    LoopWatch watch = {0};
    unsigned ready = 0;
    int fds[2];
    Probe p;

    make(&p, post_inner);
    if (pipe(fds) < 0 || write(fds[1], "x", 1) != 1 ||
        loop_watch(p.loop, &watch, fds[0], EPOLLIN, see_event, &ready) < 0)
        ok(false, "a pipe");
    loop_quit(p.loop);
    for (int i = 0; i < 4 && ready == 0; i++)
        loop_iterate(p.loop, true);
    ok(ready > 0, "events are still seen after the loop has ended");
    loop_unwatch(&watch);
    close(fds[0]);
    close(fds[1]);
    loop_free(p.loop);
}

static void test_cancel(void)
{
    Probe p;

    make(&p, nested_turns);
    post_both(&p);
    loop_post_cancel(p.loop, &p.outer);
    loop_iterate(p.loop, false);
    ok(p.inner_ran == 1 && p.outer_ran == 0, "a post is taken back");
    loop_post(p.loop, &p.outer);
    loop_iterate(p.loop, false);
    ok(p.outer_ran == 1, "and comes again");
    loop_free(p.loop);
}

static void test_is_nested(void)
{
    Probe p;

    make(&p, look_nested);
    p.inner = (LoopPost){.run = look, .opaque = &p};
    loop_post(p.loop, &p.inner);
    loop_iterate(p.loop, false);
    ok(!p.nested, "the outermost turn is not nested");
    loop_post(p.loop, &p.nest);
    loop_iterate(p.loop, false);
    ok(p.nested, "one in it is");
    loop_free(p.loop);
}

static void greedy(void *opaque)
{
    Probe *p = opaque;

    if (++p->rounds < 1000)
        loop_defer(&p->greedy);
}

static void test_defer(void)
{
    Probe p;

    make(&p, nested_turns);
    loop_defer_init(p.loop, &p.greedy, greedy, &p);
    loop_defer(&p.greedy);
    loop_iterate(p.loop, true);
    ok(p.rounds == 1, "what defers itself again waits for the next turn");
    loop_iterate(p.loop, true);
    ok(p.rounds == 2, "which does not sleep");
    loop_defer_cancel(&p.greedy);
    loop_iterate(p.loop, false);
    ok(p.rounds == 2, "unless it is taken back");
    loop_free(p.loop);
}

int main(void)
{
    test_posts(nested_turns, "in a turn inside another");
    test_posts(nested_wait, "while something is waited for");
    test_timer();
    test_drain();
    test_after_quit();
    test_cancel();
    test_is_nested();
    test_defer();
    return done();
}
