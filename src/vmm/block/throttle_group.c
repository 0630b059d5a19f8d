/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Throttle groups. See throttle_group.h.
 *
 * Locks: `groups_lock` the list of groups and their counts; a group's own lock its buckets and queues. Both are held for
 * a few instructions only; the second is taken inside the first, never the other way round.
 */
#include "vmm/block/throttle_group.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct ThrottleGroup {
    ThrottleGroup *next;
    unsigned members;
    pthread_mutex_t lock;
    Throttle throttle;
    ThrottleMember *queue[2], **tail[2];
    char name[];
};

static pthread_mutex_t groups_lock = PTHREAD_MUTEX_INITIALIZER;
static ThrottleGroup *groups;

/* --- members ----------------------------------------------------------------------------------------------- */

static ThrottleGroup *group_new(const char *name)
{
    size_t len = strlen(name) + 1;
    ThrottleGroup *g = calloc(1, sizeof *g + len);

    if (g == NULL)
        return NULL;
    memcpy(g->name, name, len);
    pthread_mutex_init(&g->lock, NULL);
    for (int i = 0; i < 2; i++)
        g->tail[i] = &g->queue[i];
    g->next = groups;
    groups = g;
    return g;
}

/* groups_lock is held. */
static void unref(ThrottleGroup *g)
{
    if (--g->members > 0)
        return;
    for (ThrottleGroup **at = &groups; *at != NULL; at = &(*at)->next) {
        if (*at == g) {
            *at = g->next;
            break;
        }
    }
    pthread_mutex_destroy(&g->lock);
    free(g);
}

int throttle_join(ThrottleMember *member, const char *name, Err *err)
{
    ThrottleGroup *g, *old = member->group;

    if (name == NULL || name[0] == '\0' || strlen(name) > THROTTLE_GROUP_NAME_MAX)
        return err_set(err, EINVAL, "a throttle group's name has 1 to %d bytes", THROTTLE_GROUP_NAME_MAX);
    if (old != NULL && strcmp(old->name, name) == 0)
        return 0;
    pthread_mutex_lock(&groups_lock);
    g = groups;
    while (g != NULL && strcmp(g->name, name) != 0)
        g = g->next;
    if (g == NULL)
        g = group_new(name);
    if (g != NULL)
        g->members++;
    pthread_mutex_unlock(&groups_lock);
    if (g == NULL)
        return err_set(err, ENOMEM, "out of memory");
    throttle_leave(member);
    member->group = g;
    return 0;
}

void throttle_leave(ThrottleMember *member)
{
    ThrottleGroup *g = member->group;

    if (g == NULL)
        return;
    throttle_step_aside(member);
    member->group = NULL;
    pthread_mutex_lock(&groups_lock);
    unref(g);
    pthread_mutex_unlock(&groups_lock);
}

const char *throttle_group_name(const ThrottleMember *member)
{
    return member->group ? member->group->name : NULL;
}

/* --- limits ------------------------------------------------------------------------------------------------ */

static void wake_first(ThrottleGroup *g, unsigned way)
{
    if (g->queue[way] != NULL)
        g->queue[way]->wake(g->queue[way]);
}

void throttle_group_set(ThrottleMember *member, const ThrottleConfig *config, uint64_t now_ns)
{
    ThrottleGroup *g = member->group;

    if (g == NULL)
        return;
    pthread_mutex_lock(&g->lock);
    throttle_set(&g->throttle, config, now_ns);
    wake_first(g, 0);
    wake_first(g, 1);
    pthread_mutex_unlock(&g->lock);
}

void throttle_group_get(const ThrottleMember *member, ThrottleConfig *ret)
{
    ThrottleGroup *g = member->group;

    memset(ret, 0, sizeof *ret);
    if (g == NULL)
        return;
    pthread_mutex_lock(&g->lock);
    *ret = g->throttle.config;
    pthread_mutex_unlock(&g->lock);
}

/* --- turns: under the group's lock ------------------------------------------------------------------------- */

static void append(ThrottleGroup *g, ThrottleMember *m, unsigned way)
{
    m->queued[way] = true;
    m->next[way] = NULL;
    *g->tail[way] = m;
    g->tail[way] = &m->next[way];
}

static void take_out(ThrottleGroup *g, ThrottleMember *m, unsigned way)
{
    for (ThrottleMember **at = &g->queue[way]; *at != NULL; at = &(*at)->next[way]) {
        if (*at != m)
            continue;
        *at = m->next[way];
        if (*at == NULL)
            g->tail[way] = at;
        break;
    }
    m->queued[way] = false;
}

static bool may_go(ThrottleGroup *g, bool write, uint64_t bytes, uint64_t now_ns, uint64_t *ret_wait)
{
    *ret_wait = throttle_wait(&g->throttle, write, now_ns);
    if (*ret_wait > 0)
        return false;
    throttle_account(&g->throttle, write, bytes);
    return true;
}

/* In his turn, or else if nobody waits: who may not go is in the queue afterwards. */
static bool ask(ThrottleMember *m, bool in_turn, bool write, uint64_t bytes, uint64_t now_ns, uint64_t *ret_wait)
{
    ThrottleGroup *g = m->group;
    unsigned way = write;
    bool go;

    if (g == NULL)
        return true;
    *ret_wait = THROTTLE_WAKE;
    pthread_mutex_lock(&g->lock);
    if (in_turn && !m->queued[way])
        append(g, m, way);
    go = g->queue[way] == (in_turn ? m : NULL) && may_go(g, write, bytes, now_ns, ret_wait);
    if (!go && !m->queued[way])
        append(g, m, way);
    pthread_mutex_unlock(&g->lock);
    return go;
}

bool throttle_ask(ThrottleMember *m, bool write, uint64_t bytes, uint64_t now_ns, uint64_t *ret_wait)
{
    return ask(m, false, write, bytes, now_ns, ret_wait);
}

bool throttle_turn(ThrottleMember *m, bool write, uint64_t bytes, uint64_t now_ns, uint64_t *ret_wait)
{
    return ask(m, true, write, bytes, now_ns, ret_wait);
}

void throttle_taken(ThrottleMember *m, bool write, bool more)
{
    ThrottleGroup *g = m->group;
    unsigned way = write;

    if (g == NULL)
        return;
    pthread_mutex_lock(&g->lock);
    if (m->queued[way]) {
        take_out(g, m, way);
        if (more)
            append(g, m, way);
        if (g->queue[way] != m)
            wake_first(g, way);
    }
    pthread_mutex_unlock(&g->lock);
}

void throttle_step_aside(ThrottleMember *m)
{
    ThrottleGroup *g = m->group;

    if (g == NULL)
        return;
    pthread_mutex_lock(&g->lock);
    for (unsigned way = 0; way < 2; way++) {
        bool first = g->queue[way] == m;

        if (m->queued[way])
            take_out(g, m, way);
        if (first)
            wake_first(g, way);
    }
    pthread_mutex_unlock(&g->lock);
}

void throttle_queue(ThrottleMember *m, bool write)
{
    ThrottleGroup *g = m->group;
    unsigned way = write;

    if (g == NULL)
        return;
    pthread_mutex_lock(&g->lock);
    if (!m->queued[way]) {
        append(g, m, way);
        if (g->queue[way] == m)
            m->wake(m);
    }
    pthread_mutex_unlock(&g->lock);
}

void throttle_count(ThrottleMember *m, bool write, uint64_t bytes)
{
    ThrottleGroup *g = m->group;

    if (g == NULL)
        return;
    pthread_mutex_lock(&g->lock);
    throttle_account(&g->throttle, write, bytes);
    pthread_mutex_unlock(&g->lock);
}
