/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Worker threads: see workers.h. */
#define LOG_SOURCE "rpc"
#include "driver/rpc/workers.h"

#include "common/log.h"
#include "common/thread.h"

#define IDLE_USEC (30 * G_USEC_PER_SEC)

typedef struct Job {
    void (*run)(void *opaque);
    void *opaque;
    guint64 number;
} Job;

struct Workers {
    GMutex lock; /* guards everything below */
    GCond any; /* ordinary workers wait here */
    GCond high; /* priority workers */
    GCond ended;
    GQueue queue[2]; /* of Job; [1] high */
    guint64 pushed;
    guint min, max, priority;
    guint total, idle, busy; /* ordinary workers */
    guint priority_total, priority_idle;
    gboolean stopping;
    gboolean scarce; /* the last try to start a worker found no thread */
};

Workers *workers_new(guint min, guint max, guint priority)
{
    Workers *workers = g_new0(Workers, 1);

    g_mutex_init(&workers->lock);
    g_cond_init(&workers->any);
    g_cond_init(&workers->high);
    g_cond_init(&workers->ended);
    g_queue_init(&workers->queue[0]);
    g_queue_init(&workers->queue[1]);
    workers->max = MAX(max, 1);
    workers->min = MIN(min, workers->max);
    workers->priority = priority;
    return workers;
}

/* The older of both queues, or only of the high one. */
static Job *next_job(Workers *workers, gboolean only_high)
{
    Job *high = g_queue_peek_head(&workers->queue[1]);
    Job *low = only_high ? NULL : g_queue_peek_head(&workers->queue[0]);

    if (high != NULL && (low == NULL || high->number < low->number))
        return g_queue_pop_head(&workers->queue[1]);
    return low != NULL ? g_queue_pop_head(&workers->queue[0]) : NULL;
}

static gpointer worker(gpointer opaque)
{
    Workers *workers = opaque;
    gboolean fresh = TRUE;

    g_mutex_lock(&workers->lock);
    for (;;) {
        Job *job = next_job(workers, FALSE);

        if (job != NULL) {
            workers->busy++;
            g_mutex_unlock(&workers->lock);
            job->run(job->opaque);
            g_free(job);
            g_mutex_lock(&workers->lock);
            workers->busy--;
            fresh = FALSE;
            continue;
        }
        if (workers->stopping)
            break;
        workers->idle++;
        gboolean woken = g_cond_wait_until(&workers->any, &workers->lock, g_get_monotonic_time() + IDLE_USEC);
        workers->idle--;
        if (!woken && !fresh && workers->total > workers->min && g_queue_is_empty(&workers->queue[0]) &&
            g_queue_is_empty(&workers->queue[1]))
            break;
        fresh = FALSE;
    }
    workers->total--;
    g_cond_broadcast(&workers->ended);
    g_mutex_unlock(&workers->lock);
    return NULL;
}

static gpointer priority_worker(gpointer opaque)
{
    Workers *workers = opaque;

    g_mutex_lock(&workers->lock);
    for (;;) {
        Job *job = next_job(workers, TRUE);

        if (job != NULL) {
            g_mutex_unlock(&workers->lock);
            job->run(job->opaque);
            g_free(job);
            g_mutex_lock(&workers->lock);
            continue;
        }
        if (workers->stopping)
            break;
        workers->priority_idle++;
        g_cond_wait(&workers->high, &workers->lock);
        workers->priority_idle--;
    }
    workers->priority_total--;
    g_cond_broadcast(&workers->ended);
    g_mutex_unlock(&workers->lock);
    return NULL;
}

/* Lock held: the new thread waits for it. */
static gboolean start_worker(Workers *workers, GError **error)
{
    if (!thread_detached("rpc-worker", worker, workers, error))
        return FALSE;
    workers->total++;
    return TRUE;
}

static gboolean start_priority_worker(Workers *workers, GError **error)
{
    if (!thread_detached("rpc-prio", priority_worker, workers, error))
        return FALSE;
    workers->priority_total++;
    return TRUE;
}

gboolean workers_start(Workers *workers, GError **error)
{
    gboolean fine = TRUE;

    g_mutex_lock(&workers->lock);
    while (fine && workers->total < workers->min)
        fine = start_worker(workers, error);
    while (fine && workers->priority_total < workers->priority)
        fine = start_priority_worker(workers, error);
    g_mutex_unlock(&workers->lock);
    return fine;
}

/* Lock held. Said once, until there are threads again. */
static void start_one_more(Workers *workers)
{
    g_autoptr(GError) error = NULL;
    gboolean scarce = !start_worker(workers, &error);

    if (scarce && !workers->scarce)
        log_warning("calls wait for the %u workers that there are: %s", workers->total, error->message);
    workers->scarce = scarce;
}

void workers_push(Workers *workers, gboolean high, void (*run)(void *opaque), void *opaque)
{
    Job *job = g_new(Job, 1);
    guint waiting;

    *job = (Job){run, opaque, 0};
    g_mutex_lock(&workers->lock);
    job->number = workers->pushed++;
    g_queue_push_tail(&workers->queue[high ? 1 : 0], job);
    waiting = workers->queue[0].length + workers->queue[1].length;
    /* idle counts who was signalled and has not woken yet: fewer than the jobs means somebody is missing */
    if (workers->idle > 0)
        g_cond_signal(&workers->any);
    if (high && workers->idle < waiting)
        g_cond_signal(&workers->high);
    if (workers->idle < waiting && workers->total < workers->max)
        start_one_more(workers);
    g_mutex_unlock(&workers->lock);
}

void workers_free(Workers *workers)
{
    Job *job;

    if (workers == NULL)
        return;
    g_mutex_lock(&workers->lock);
    workers->stopping = TRUE;
    /* Never started, or the start has failed: nobody else does it. */
    while (workers->total == 0 && (job = next_job(workers, FALSE)) != NULL) {
        g_mutex_unlock(&workers->lock);
        job->run(job->opaque);
        g_free(job);
        g_mutex_lock(&workers->lock);
    }
    g_cond_broadcast(&workers->any);
    g_cond_broadcast(&workers->high);
    while (workers->total > 0 || workers->priority_total > 0)
        g_cond_wait(&workers->ended, &workers->lock);
    g_mutex_unlock(&workers->lock);
    g_mutex_clear(&workers->lock);
    g_cond_clear(&workers->any);
    g_cond_clear(&workers->high);
    g_cond_clear(&workers->ended);
    g_free(workers);
}

void workers_count(Workers *workers, guint *ret_total, guint *ret_busy, guint *ret_priority,
                   guint *ret_queued)
{
    g_mutex_lock(&workers->lock);
    *ret_total = workers->total;
    *ret_busy = workers->busy;
    *ret_priority = workers->priority_total;
    *ret_queued = workers->queue[0].length + workers->queue[1].length;
    g_mutex_unlock(&workers->lock);
}
